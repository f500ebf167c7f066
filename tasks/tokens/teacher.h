/* Teachers of distillation: another language model that runs beside the student, or its largest logits, stored.
 *
 * Stored logits are a safetensors file with metadata `format` = teacher/1, `tokens` (the token file's name) and
 * `temperature` = 1; tensors indices [N, T, K] of U16 or U32 and values F16 or F32 [N, T, K], by falling value,
 * the lower id first of equals, zeros where no word follows. `moire teach` writes one.
 */
#ifndef MOIRE_TASKS_TOKENS_TEACHER_H
#define MOIRE_TASKS_TOKENS_TEACHER_H

#include "tasks/predictor.h"
#include "tasks/tokens/token_file.h"

#define MOIRE__TEACHER_FORMAT "teacher/1"

typedef struct moire__teacher moire__teacher;

/* Opens a checkpoint or a file of logits, whichever `path` is. A file of logits must be that of `file`, with as
 * many rows and positions. *out is owned. */
moire_status moire__teacher_open(const char *path, const moire__token_file *file, moire__teacher **out,
                                 moire_error *error);
void moire__teacher_close(moire__teacher *teacher); /* NULL is fine */

/* How many logits of a position it gives; 0: all of them. */
int64_t moire__teacher_top(const moire__teacher *teacher);
/* What is stored is so for this file alone. */
bool moire__teacher_knows(const moire__teacher *teacher, const moire__token_file *file);
/* The checkpoint of a live one, compiled to give `logits` of rows as the file's: compiles at the first call.
 * NULL with a sentence. Of stored logits NULL without one. */
moire_runner *moire__teacher_runner(moire__teacher *teacher, const moire__token_file *file, int threads,
                                    moire_error *error);

/* Sets the teacher's inputs of the student's runner, as far as it has them, for rows rows[0 ... n) of the file
 * that were set before: ids i32[n, T], lengths i32[n]. A live teacher computes them. */
moire_status moire__teacher_give(moire__teacher *teacher, const moire__token_file *file, moire_runner *student,
                                 const int64_t *rows, int64_t n, const int32_t *ids, const int32_t *lengths,
                                 moire_error *error);
/* How many threads a live one computes with (1). */
void moire__teacher_set_threads(moire__teacher *teacher, int threads);

#endif
