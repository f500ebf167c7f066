/* A step of training by groups of samples, which any number of processes share with the same result.
 *
 * The batch is cut into G groups of whole samples: group g has samples [n g / G, n (g + 1) / G). The program
 * SUMS (moire_part) runs for each, and what it gives is added up by a binary tree over the groups (tree.h):
 * gradients and other outputs of fixed size as means, weighted by what the samples count for, and "group.sum.*"
 * as they are. Outputs with a row for each sample are put side by side. Then the program STEP runs once. Rank r
 * of R makes groups [G r / R, G (r + 1) / R); each rank adds up a range of elements from all of them, and gives
 * the others its result, and all run STEP. */
#ifndef MOIRE_RUNTIME_TRAIN_GROUPS_H
#define MOIRE_RUNTIME_TRAIN_GROUPS_H

#include "moire/run.h"
#include "runtime/team/team.h"
#include "runtime/train/samples.h"

enum { MOIRE__MOST_GROUPS_OF_BATCH = 1024 };

/* The two programs of a step, and by how many groups. Everything is borrowed. */
typedef struct moire__division {
  const moire_plan *step; /* NULL: the step is one program */
  int groups;
  moire__team *team; /* or NULL */
} moire__division;

typedef struct moire__groups moire__groups;

/* `sums` runs SUMS. Owned; NULL with a sentence. */
moire__groups *moire__groups_create(const moire__division *division, const moire_plan *sums,
                                    moire_runner *runner, moire_store *store, moire_threads *threads,
                                    moire_error *error);
void moire__groups_destroy(moire__groups *groups); /* NULL is fine */
/* The runner of STEP, for inputs other than sums. */
moire_runner *moire__groups_step_runner(moire__groups *groups);

/* Runs samples[0 .. n), which `from` gives, and the step. `stop`: somebody wants the training to end, which all
 * ranks then learn with moire__groups_stopped. */
moire_status moire__groups_run(moire__groups *groups, const moire__samples *from, const int64_t *samples,
                               int64_t n, bool stop, moire_error *error);
bool moire__groups_stopped(const moire__groups *groups);

/* Gives this rank's first group to the runner, for a look at what it takes. */
moire_status moire__groups_give_one(moire__groups *groups, const moire__samples *from, const int64_t *samples,
                                    int64_t n, moire_error *error);
/* Bytes that sums and rows take beside the runner's. */
size_t moire__groups_bytes(const moire__groups *groups);

/* An output of the last step, as moire_runner_output: sums, rows of the whole batch, or what STEP gives. */
const void *moire__groups_output(const moire__groups *groups, const char *name, int64_t *elements);

/* Runs the first samples of the batch as two parts and as one, changing no state: loss and gradients are equal
 * but for rounding where no sample's depend on the others. *loss and *gradient are relative differences, 0
 * where there is a single sample. Inputs other than samples are set. */
moire_status moire__groups_compare(moire__groups *groups, const moire__samples *from, const int64_t *samples,
                                   int64_t n, double *loss, double *gradient, moire_error *error);

#endif
