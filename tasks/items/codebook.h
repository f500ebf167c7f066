/* A level's codebook in the store: the states that an item coder's contract names (moire/model.h), as arrays.
 */
#ifndef MOIRE_TASKS_ITEMS_CODEBOOK_H
#define MOIRE_TASKS_ITEMS_CODEBOOK_H

#include "moire/run.h"

typedef struct moire__codebook {
  int level;
  int64_t size, width;
  float *codes, *sums, *sizes; /* [size, width] twice, [size] */
  float *unused;               /* [size] steps without a member, or NULL */
} moire__codebook;

/* Of a store that holds the states of the model; a sentence where it does not. */
moire_status moire__codebook_find(const moire_store *store, int level, int64_t size, moire__codebook *out,
                                  moire_error *error);

/* Puts a code onto a row of `width`; codes, sums and sizes agree (codes = sums / sizes), so that the next
 * moving average goes on from there. */
void moire__codebook_set(const moire__codebook *book, int64_t code, const float *row, float size);

/* Puts codes that were unused for `after` steps onto rows [n, width] of the batch, drawn by (seed, step,
 * level), no row twice. Returns how many. A resumed run draws the same. */
int64_t moire__codebook_restart(const moire__codebook *book, int64_t after, const float *rows, int64_t n,
                                uint64_t seed, int64_t step);

#endif
