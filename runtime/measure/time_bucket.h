/* Times of a user's ratings as buckets of all of them. */
#ifndef MOIRE_RUNTIME_MEASURE_TIME_BUCKET_H
#define MOIRE_RUNTIME_MEASURE_TIME_BUCKET_H

#include <stdint.h>

/* The bucket, from 0 to buckets - 1, of a time between the user's first and last: truncated; 0 where all his
 * times are the same. */
int32_t moire__time_bucket(double time, double first, double last, int buckets);

#endif
