/* What a run of a plan took: when each step began and ended, and which threads worked on it for how long.
 *
 *   moire__recording *recording = moire__recording_create(plan->n_steps, threads, 50, 3);
 *   moire__runner_record(runner, recording);
 *   for (...) moire_runner_run(runner, &error);
 *   moire__runner_record(runner, NULL);
 *
 * A runner without a recording pays one comparison a step. With one, a step costs a reading of the clock, and
 * one more for each chunk of pieces that a thread takes; nothing is allocated while it records. Times are
 * nanoseconds of CLOCK_MONOTONIC since the recording was made.
 */
#ifndef MOIRE_RUNTIME_PROFILE_RECORDING_H
#define MOIRE_RUNTIME_PROFILE_RECORDING_H

#include "moire/run.h"

/* One thread's work on one step: from its first chunk to the end of its last. */
typedef struct moire__span {
  int32_t step, thread; /* threads are numbered as they turn up */
  int64_t begin, end;
} moire__span;

/* One run. steps[i] is the end of step i, whose begin is the end of the one before. */
typedef struct moire__recorded_run {
  int64_t begin;    /* of moire_runner_run */
  int64_t prepared; /* inputs are bound, and packed where the plan is: step 0 begins */
  int64_t *steps;   /* [n_steps] */
  int64_t end;      /* states are updated */
  int64_t extents[MOIRE_MAX_EXTENTS + 1];
  moire__span *spans; /* of the first `sampled` runs; NULL for the others */
  int n_spans;
} moire__recorded_run;

typedef struct moire__recording moire__recording;

/* For at most `runs` runs of a plan of `n_steps` steps on `n_threads` threads; the first `sampled` keep their
 * spans. Owned. */
moire__recording *moire__recording_create(int n_steps, int n_threads, int runs, int sampled);
void moire__recording_destroy(moire__recording *recording); /* NULL is fine; no runner may hold it any more */

int moire__recording_count(const moire__recording *recording); /* runs so far */
const moire__recorded_run *moire__recording_at(const moire__recording *recording, int run);
/* Nanoseconds that `thread` has worked on `step`, over all runs. */
int64_t moire__recording_busy(const moire__recording *recording, int step, int thread);
int moire__recording_threads(const moire__recording *recording);
int64_t moire__recording_now(const moire__recording *recording);

/* The next runs of `runner` are recorded (NULL: no longer), as long as there is room. Borrows. */
void moire__runner_record(moire_runner *runner, moire__recording *recording);

/* Is called before each step of the next runs (NULL: no longer) with what its kernel gets. */
typedef void moire__step_watch(void *context, int step, void *const *buffers, const int64_t *extents);
void moire__runner_watch(moire_runner *runner, moire__step_watch *watch, void *context);

/* Where buffer `buffer` of the plan lies in the workspace; -1 if it does not. */
int64_t moire__runner_offset(const moire_runner *runner, int buffer);

/* ---- what a runner calls --------------------------------------------------------------------------------- */

/* False if there is no room for another run. */
bool moire__recording_begin(moire__recording *recording);
void moire__recording_prepared(moire__recording *recording, const int64_t *extents);
/* moire_threads_run, recorded as step `step`. */
void moire__recording_run(moire__recording *recording, moire_threads *threads, int step, int64_t pieces,
                          void (*work)(void *context, int64_t begin, int64_t end), void *context);
void moire__recording_end(moire__recording *recording);

#endif
