/* What a step by rows reads of the steps before it (moire_optimizer_history). */
#ifndef MOIRE_RUNTIME_TRAIN_HISTORY_H
#define MOIRE_RUNTIME_TRAIN_HISTORY_H

#include "moire/optimizer.h"
#include "moire/run.h"

/* Zero-initialise; free with moire__history_free. Runners read from it: it must stay where it is. */
typedef struct moire__history {
  double *rows;
  int64_t filled, capacity; /* rows */
  int32_t step;
} moire__history;

void moire__history_free(moire__history *history);

/* Gives the runner, if its program reads them, the steps that are done: `done` of them, by these options, which
 * are the same in every call. */
moire_status moire__history_give(moire__history *history, const moire_training_options *options, int64_t done,
                                 moire_runner *runner, moire_error *error);

#endif
