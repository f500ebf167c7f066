/* Samples: what a step of training is given, by numbers. */
#ifndef MOIRE_RUNTIME_TRAIN_SAMPLES_H
#define MOIRE_RUNTIME_TRAIN_SAMPLES_H

#include "moire/run.h"

typedef struct moire__samples {
  void *context; /* owned: moire__samples_free */
  int64_t n;
  /* Sets the inputs of the runner's program, as far as it has them, to samples[0 .. n); the extent B is set. */
  moire_status (*give)(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                       moire_error *error);
  void (*release)(void *context);
  /* What samples[0 .. n) count for beside the other batches of a step, where their loss is no mean over samples
   * but over something else: how many of those they have. NULL: n. */
  double (*weigh)(void *context, const int64_t *samples, int64_t n);
  /* Before a step, with its number and all its samples, for what is drawn anew in each; NULL: nothing is. */
  void (*begin_step)(void *context, int64_t number, const int64_t *samples, int64_t n);
  /* The samples that are given next stand behind so many of the step's; 0 where this is not called. */
  void (*begin_part)(void *context, int64_t first);
} moire__samples;

void moire__samples_free(moire__samples *samples); /* one that is zeroed is fine */

/* Rows of values [n, width], at most `batch` at once: the input `name`. Borrows both. */
moire__samples moire__samples_of_rows(const char *name, const float *values, int64_t n, int64_t width,
                                      int64_t batch);

#endif
