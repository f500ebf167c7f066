/* Synthetic sequences with planted bursts and rhythms, for demos and tests.
 *
 * Three quarters of the items form topics, the rest rhythms; both are rings, so that each item has a successor.
 * A user has a home cluster of topics and follows one rhythm. A sequence mixes rhythms  every `period`-th
 * position holds the successor of the user's last rhythm item; bursts   3 to 6 items of one topic of the home
 * cluster, in ring order, between the rhythm's positions; noise    single items by a skewed popularity (Zipf).
 * What comes next follows from what came before, one or `period` positions ago, which a ranking by popularity
 * cannot see. No user has an item twice, since the ranking excludes what a user has had.
 */
#ifndef MOIRE_TASKS_SEQUENCES_SYNTH_H
#define MOIRE_TASKS_SEQUENCES_SYNTH_H

#include "moire/status.h"
#include "runtime/base/text.h"

#include <stdint.h>

typedef struct moire__synth_options {
  int64_t users;       /* 1 to 10 million */
  int64_t items;       /* at least 4 * mean_length and 4 * cycle and 2 * ring, at most 10 million */
  int64_t mean_length; /* items a user, 6 to 10000; lengths are spread evenly over 1/2 to 3/2 of it */
  int64_t ring;        /* items of a topic, at least 3 */
  int64_t cycle;       /* items of a rhythm, at least 2 */
  int64_t period;      /* positions from one rhythm item to the next, at least 2 */
  int64_t clusters;    /* groups of topics, at least 1 */
  double burst;        /* probability that a burst starts where nothing else is due, 0 to 1 */
  uint64_t seed;
} moire__synth_options;

/* 600 users, 400 items, mean length 20, rings of 8, cycles of 20, period 4, 5 clusters, bursts 0.6, seed 1. */
moire__synth_options moire__synth_defaults(void);

/* Appends the data set, one user a line, as tasks/sequences/dataset.h reads it. The text depends on the
 * options alone. An option out of range is an error that names it. */
moire_status moire__synth_text(const moire__synth_options *options, moire__text *out, moire_error *error);

/* The same, written to a file (see runtime/files/file.h). */
moire_status moire__synth_write(const moire__synth_options *options, const char *path, moire_error *error);

#endif
