/* Synthetic sequences with planted bursts and rhythms, for demos and tests.
 *
 * Each user has a home cluster of topics and a personal rhythm. A topic is a ring of a few items. A sequence
 * mixes bursts   3 to 6 consecutive items of one ring, in ring order: the next item follows from the last;
 *   rhythms  every `period`-th position holds the next item of a short cycle of the user's own;
 *   noise    single items by a skewed popularity (Zipf).
 * What comes next depends on the order of what came before, which a ranking by popularity cannot see.
 */
#ifndef MOIRE_RUNTIME_SYNTH_H
#define MOIRE_RUNTIME_SYNTH_H

#include "moire/status.h"
#include "runtime/base/text.h"

#include <stdint.h>

typedef struct moire__synth_options {
  int64_t users;
  int64_t items;       /* at least 2 * ring */
  int64_t mean_length; /* items a user, at least 5; lengths are spread evenly over 1/2 to 3/2 of it */
  int64_t ring;        /* items of a topic, at least 3 */
  int64_t clusters;    /* groups of topics; a user's bursts come from one of them */
  int64_t cycle;       /* items of a user's rhythm */
  int64_t period;      /* positions from one rhythm item to the next, at least 2 */
  double burst;        /* probability that a burst starts at a free position, 0..1 */
  uint64_t seed;
} moire__synth_options;

moire__synth_options moire__synth_defaults(void); /* 600 users, 400 items, mean length 20 */

/* Appends the data set, one user a line, as runtime/dataset.h reads it. The text depends on the options alone.
 * An option out of range is an error that names it. */
moire_status moire__synth_text(const moire__synth_options *options, moire__text *out, moire_error *error);

/* The same, written to a file (see runtime/file.h). */
moire_status moire__synth_write(const moire__synth_options *options, const char *path, moire_error *error);

#endif
