/* A part of what one call of a verb computes, for schedulers that run the others elsewhere: part `index` of
 * `count`, whose rows follow on one another, so that the parts' results one after the other are those of all
 * rows.
 */
#ifndef MOIRE_TASKS_PART_H
#define MOIRE_TASKS_PART_H

#include <stdint.h>

/* What a part's file holds, and so how parts are joined. */
typedef enum moire__part_form {
  MOIRE__PART_LINES,   /* text: one after the other */
  MOIRE__PART_CODES,   /* lines of codes that the task joins (moire__task.join): they want all of them */
  MOIRE__PART_TENSORS, /* a safetensors file: along the first axis */
  MOIRE__PART_TERMS,   /* terms of measures (tasks/terms.h) */
} moire__part_form;

typedef struct moire__part {
  int64_t index, count; /* 1 <= index <= count; what the user asks for */
  /* What the verb has taken: */
  moire__part_form form;
  const char *unit; /* "user"; static storage */
  int64_t first, rows, total;
} moire__part;

/* The rows [*first, *first + *rows) of `total` that are the part's, which are noted in it. Cuts are at
 * multiples of `step`, the number of rows that are computed together where that may change a result, else 1.
 * All rows where `part` is NULL. */
void moire__part_take(moire__part *part, moire__part_form form, const char *unit, int64_t total, int64_t step,
                      int64_t *first, int64_t *rows);

#endif
