/* Times as buckets. See time_bucket.h. */
#include "runtime/measure/time_bucket.h"

int32_t moire__time_bucket(double time, double first, double last, int buckets) {
  return last > first ? (int32_t)((time - first) / (last - first) * (buckets - 1)) : 0;
}
