/* Where a step's numbers stopped being finite: a watch over its kernels, for the second run of steps whose loss
 * came out as NaN or infinite.
 *
 *   moire__nonfinite *search = moire__nonfinite_create(plan);
 *   moire__nonfinite_begin(search, runner, number);
 *   moire_runner_run(runner, &error);
 *   moire__nonfinite_end(search, runner, isfinite(loss));
 *   moire__nonfinite_found(search, &place);                 // after any number of steps
 *
 * A kernel is to blame if a buffer holds a NaN after it and held none before. Infinities alone may be meant
 * (a mask of -inf), and so may a NaN that a `where` throws away: what a kernel also does in a step that ends
 * with a finite loss and finite states is taken to be its way, and not blamed. Every buffer is read once for
 * each kernel that uses it, so that a step takes about twice its time. */
#ifndef MOIRE_RUNTIME_TRAIN_NONFINITE_H
#define MOIRE_RUNTIME_TRAIN_NONFINITE_H

#include "moire/run.h"

typedef struct moire__nonfinite moire__nonfinite;

typedef struct moire__nonfinite_place {
  int64_t number; /* of the step of training */
  int step;       /* of the plan; -1: what `buffer` held before the first kernel */
  int buffer;     /* of the plan, which first held … */
  bool nan;       /* … a NaN; false: an infinity, and no NaN came */
  int infinite;   /* the step whose kernel gave an infinity before, which it does not as a rule; -1: none */
} moire__nonfinite_place;

moire__nonfinite *moire__nonfinite_create(const moire_plan *plan); /* owned; borrows the plan */
void moire__nonfinite_destroy(moire__nonfinite *search);           /* NULL is fine; no runner may hold it */

/* The next run of `runner` is watched as step `number`. */
void moire__nonfinite_begin(moire__nonfinite *search, moire_runner *runner, int64_t number);
/* After it; `finite`: its loss is. */
void moire__nonfinite_end(moire__nonfinite *search, moire_runner *runner, bool finite);
/* The first thing that went wrong; false: nothing did. */
bool moire__nonfinite_found(const moire__nonfinite *search, moire__nonfinite_place *place);

#endif
