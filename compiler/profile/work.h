/* The work of a plan's steps: operations, and bytes by where the plan says they come from. */
#ifndef MOIRE_COMPILER_PROFILE_WORK_H
#define MOIRE_COMPILER_PROFILE_WORK_H

#include "compiler/ir/loop/loop_work.h"
#include "moire/compile.h"
#include "runtime/machine/peaks.h"
#include "runtime/profile/recording.h"

/* Sums over the runs that were counted. */
typedef struct moire__profile_work {
  double flop;
  double accessed;                 /* bytes that its instructions load and store */
  double touched;                  /* different bytes of its buffers: each counts once */
  double from[MOIRE__MOST_LEVELS]; /* those, by the nearest level of peaks.levels that still holds them */
  double memory;                   /* of those: last touched so long ago that no cache holds them */
  double asked;                    /* how often a condition was asked in it */
  double taken;                    /* how often it was true: what stands behind it was done */
  double *cost;                    /* [nodes of the graph]: of the statements that were lowered from it */
  bool exact;                      /* else an upper bound */
} moire__profile_work;

typedef struct moire__profile_counter moire__profile_counter;

/* Counts the runs of a runner of the program's plan on a machine with these caches (one of 32 MiB where `peaks`
 * knows none). Owned. Between begin and
 * end of a run that is to be counted, the runner must be watched by moire__profile_watch with the counter as
 * context. */
moire__profile_counter *moire__profile_counter_create(const moire_program *program, const moire__peaks *peaks);
void moire__profile_counter_destroy(moire__profile_counter *counter);
moire__step_watch moire__profile_watch;

int moire__profile_counter_runs(const moire__profile_counter *counter);
const moire__profile_work *moire__profile_counter_step(const moire__profile_counter *counter, int step);

#endif
