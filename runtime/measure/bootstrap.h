/* Is a difference more than noise? A paired bootstrap over users.
 *
 * Two models are tested on the same users, and users differ by far more than models do: so the difference is
 * taken user by user, and resampling users says how far its mean would stray for other users of the same kind.
 *
 * Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 (percentile intervals).
 */
#ifndef MOIRE_RUNTIME_MEASURE_BOOTSTRAP_H
#define MOIRE_RUNTIME_MEASURE_BOOTSTRAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct moire__interval {
  double mean;      /* of the differences */
  double low, high; /* the middle 95 % of the means of resampled differences */
  bool noise;       /* 0 lies within */
} moire__interval;

/* n > 0 differences, `resamples` >= 40. The random numbers depend on nothing: equal arguments, equal intervals.
 */
moire__interval moire__bootstrap(const double *differences, int64_t n, int resamples);

#endif
