/* The bootstrap. See bootstrap.h. */
#include "runtime/measure/bootstrap.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

moire__interval moire__bootstrap(const double *differences, int64_t n, int resamples) {
  double *means = moire__allocate_array((size_t)resamples, sizeof *means), sum = 0;
  moire__random random = moire__random_start(1, 0);
  for (int r = 0; r < resamples; r++) {
    double drawn = 0;
    for (int64_t i = 0; i < n; i++) drawn += differences[(int64_t)(moire__random_real(&random) * (double)n)];
    means[r] = drawn / (double)n;
  }
  for (int64_t i = 0; i < n; i++) sum += differences[i];
  qsort(means, (size_t)resamples, sizeof *means, by_value);
  moire__interval interval = {.mean = sum / (double)n,
                              .low = means[(int)(0.025 * resamples)],
                              .high = means[(int)ceil(0.975 * resamples) - 1]};
  interval.noise = interval.low <= 0 && interval.high >= 0;
  moire__release(means);
  return interval;
}
