/* Continuing rows of words: the program of a language model with its cache of keys and values.
 *
 * The cache is the caller's side of the graph's inputs past.NAME, which a run reads where they are. It holds
 * 64, 128, ... positions of each row, as they are needed: nothing is compiled anew for it.
 */
#ifndef MOIRE_TASKS_TOKENS_GENERATOR_H
#define MOIRE_TASKS_TOKENS_GENERATOR_H

#include "tasks/predictor.h"

typedef struct moire__generator moire__generator;

/* Compiles the predictor, whose setup is built, for rows that are continued: `rows` of them, empty at first.
 * Borrows it. Owned; NULL with a sentence. */
moire__generator *moire__generator_create(moire__predictor *predictor, int64_t rows, moire_error *error);
void moire__generator_destroy(moire__generator *generator); /* NULL is fine */

/* Appends counts[b] tokens to row b, 0 to n of them: tokens[b * n ...]. *logits, if a row got any, is f32[rows,
 * V]: row b's behind its last token, of no use where it got none; borrowed until the next call. */
moire_status moire__generator_append(moire__generator *generator, const int32_t *tokens, const int32_t *counts,
                                     int64_t n, const float **logits, moire_error *error);
/* All rows are empty again. */
void moire__generator_clear(moire__generator *generator);
/* Tokens of a row so far. */
int64_t moire__generator_length(const moire__generator *generator, int64_t row);

#endif
