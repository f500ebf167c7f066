/* Hardware counters of this process, where the machine has them and the operating system lets us read them. */
#ifndef MOIRE_RUNTIME_PROFILE_COUNTERS_H
#define MOIRE_RUNTIME_PROFILE_COUNTERS_H

#include "moire/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOIRE__COUNTERS = 5 };

/* Zero-initialise; close with moire__counters_close. */
typedef struct moire__counters {
  int files[MOIRE__COUNTERS]; /* 1 + descriptor; 0: this machine does not count it */
  bool open;
} moire__counters;

/* Opens them, stopped, for the calling thread and all threads that it makes from here on. Fails with a sentence
 * if not one can be had; then the others do nothing. */
moire_status moire__counters_open(moire__counters *counters, moire_error *error);
void moire__counters_close(moire__counters *counters);
/* Counts while on; what was counted before stays. */
void moire__counters_run(const moire__counters *counters, bool on);

/* "cycles", "instructions", "cache references", "cache misses", "branch misses"; NULL past the last. */
const char *moire__counters_name(int i);
/* What counter i has counted, over the time that it had a place in the hardware scaled up to all of it; -1 if
 * it is not counted. */
double moire__counters_value(const moire__counters *counters, int i);

#endif
