/* Rows of words that are continued: where their parts lie, and running the plan on words that are not read yet.
 *
 * One block of memory holds the struct, then its arrays, each from a multiple of 64. Words are kept as they are
 * appended; the plan reads them when what follows is asked for, at most MOIRE__AOT_PIECE of a row at once, and
 * the longest row's first, so that the last run holds the end of every row (as tasks/tokens/generator.c does).
 */
#ifndef MOIRE_RUNTIME_AOT_ROWS_H
#define MOIRE_RUNTIME_AOT_ROWS_H

#include "runtime/aot/execute.h"

#include <stdbool.h>
#include <stddef.h>

/* Written by the compiler, as moire__aot_caches[moire__aot_n_caches]: an input past.NAME, one plane of it.
 * Their numbers follow those below, and as outputs that of the logits. */
typedef struct moire__aot_cache {
  int64_t heads, width;
} moire__aot_cache;

enum { MOIRE__AOT_WORDS = MOIRE__AOT_OWN, MOIRE__AOT_FRESH, MOIRE__AOT_POSITIONS, MOIRE__AOT_PAST };
enum { MOIRE__AOT_ROWS_T = 2, MOIRE__AOT_ROWS_S = 3 }; /* named extents */
enum { MOIRE__AOT_PIECE = 128 };

struct library_rows {
  const moire__aot_level *level;
  const void *block; /* of the model */
  void *allocated;   /* NULL: the memory is the caller's */
  int64_t rows, capacity;
  /* By row: words, those that have been read, those chosen by library_next; whether it has ended. */
  int64_t *length, *read, *chosen;
  unsigned char *ended;
  int32_t *words;                   /* [rows, capacity + 1] */
  int32_t *tokens, *fresh, *before; /* of a run: i32[rows, n], [rows], [rows] */
  float *logits;                    /* [rows, LIBRARY_WORDS]: behind the last word that has been read */
  double *z, *scratch, *p;          /* [LIBRARY_WORDS] */
  int32_t *order;                   /* [LIBRARY_WORDS] */
  float *caches;                    /* of all planes, one after the other: [rows, heads, capacity, width] */
};

/* Reads the words that have not been read yet. On failure nothing has changed. */
static library_status moire__aot_rows_read(library_rows *rows, library_workspace *workspace);

#endif
