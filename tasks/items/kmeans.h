/* k-means for the codebook of one level: where its codes start. */
#ifndef MOIRE_TASKS_ITEMS_KMEANS_H
#define MOIRE_TASKS_ITEMS_KMEANS_H

#include "tasks/items/codebook.h"

#include <signal.h>

typedef struct moire__kmeans {
  moire_runner
      *runner;         /* "features" to "residuals.<l>" and "codes.<l>", by the store that the codebook is in */
  const float *values; /* [n, features] */
  int64_t n, features;
  int64_t samples; /* most rows for a code: of more rows, some are drawn */
  int64_t iterations, batch;
  int64_t step_batch; /* rows of a step of training: sizes start as what they will average to */
  uint64_t seed;
  const volatile sig_atomic_t *stop; /* may be NULL: raised, the codebook is left as it is */
} moire__kmeans;

/* Fills the codebook: k-means++ and Lloyd's rounds, as a function of the values and (seed, level). At least as
 * many rows as codes. */
moire_status moire__kmeans_run(const moire__codebook *book, const moire__kmeans *k, moire_error *error);

#endif
