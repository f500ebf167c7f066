/* Scoring users: runs a model over the users of a data set, a batch at a time, and ranks what it returns. */
#ifndef MOIRE_TASKS_SEQUENCES_SCORING_H
#define MOIRE_TASKS_SEQUENCES_SCORING_H

#include "moire/run.h"
#include "tasks/sequences/dataset.h"
#include "runtime/measure/metrics.h"

/* What it takes. `runner` has the input "input_ids" and the output "logits"; all are borrowed. */
typedef struct moire__scoring {
  moire_runner *runner;
  moire_threads *threads;
  const moire__dataset *dataset;
  int64_t item_size; /* columns of the logits; at least the data set's */
  int64_t batch;     /* users at once, at least 1 */
  const char *label; /* of the progress bar */
} moire__scoring;

/* ranks[i] = the rank of user first + i's target, for n users. */
moire_status moire__scoring_ranks(const moire__scoring *scoring, moire__split split, int64_t first, int64_t n,
                                  int64_t *ranks, moire_error *error);

/* Writes ranks[0 .. n), one a line; 0 for a target that scores no number and so has no rank. */
moire_status moire__scoring_write_ranks(const char *path, const int64_t *ranks, int64_t n, moire_error *error);

/* items[i * k ..], scores[i * k ..] = the best k items of the users first + i, i in 0 .. n - 1, what they had
 * excluded; item 0 ends a list that is shorter. */
moire_status moire__scoring_top(const moire__scoring *scoring, int64_t first, int64_t n, int k, int32_t *items,
                                float *scores, moire_error *error);

/* The metrics of ranks[0 .. n). */
moire__metrics moire__scoring_metrics(const int64_t *ranks, int64_t n);

#endif
