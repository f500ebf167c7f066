/* The task `sequences`: what its files share. The setup's data are a moire__dataset. */
#ifndef MOIRE_TASKS_SEQUENCES_SEQUENCES_H
#define MOIRE_TASKS_SEQUENCES_SEQUENCES_H

#include "tasks/sequences/dataset.h"
#include "tasks/sequences/scoring.h"
#include "tasks/task.h"

/* The metadata of a checkpoint that names the items, one a line, where they are not the data's own numbers. */
#define MOIRE__SEQUENCES_MAP "items"

/* Validation and test rank all items for every user's target; the test leaves ranks.txt, the rank of each
 * user's target, in the run's directory; the baseline is a ranking by popularity. */
moire_status moire__sequences_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                    moire_error *error);

/* The verbs. A model is opened for both by moire__sequences_open: data read, program compiled with an output.
 */
moire_status moire__sequences_open(moire__predictor *predictor, const moire__data_files *files,
                                   const char *output, moire_error *error);
moire__eval_verb moire__sequences_eval;
/* The terms of a split: the rank of each user's target, of those users that are the part's. */
moire_status moire__sequences_collect(const moire__scoring *scoring, moire__split split, moire__part *part,
                                      moire__terms *terms, moire_error *error);
moire_status moire__sequences_measured(const moire__terms *terms, moire__measures *measures,
                                       moire_error *error);
moire_status moire__sequences_leave(const moire__terms *terms, const char *path, moire_error *error);
moire__recommend_verb moire__sequences_recommend;

/* The measure of every user, from ranks.txt of a run's folder or from a file of ranks (moire__task.values). */
double *moire__sequences_values(const char *path, const char *measure, int64_t *n, moire_error *error);

#endif
