/* One step of training: from numbers of samples to the loss, the parameters a step further. */
#ifndef MOIRE_RUNTIME_TRAIN_TRAIN_STEP_H
#define MOIRE_RUNTIME_TRAIN_TRAIN_STEP_H

#include "moire/optimizer.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "runtime/train/groups.h"
#include "runtime/train/history.h"
#include "runtime/train/samples.h"
#include "runtime/train/training_options.h"

/* Zero-initialise; free with moire__train_step_free. Borrows runner and configuration. */
typedef struct moire__train_step {
  moire_runner *runner;
  moire__samples samples;
  const moire_config *training; /* of the task's keys */
  int32_t rng[3];               /* seed low, seed high, step */
  moire__training optimizer;    /* from the configuration */
  int64_t batch;                /* samples of a batch, but for the last of an epoch */
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  moire__history history; /* of the optimizer's steps, where the program reads it */
  double weight;          /* of the step's batches so far, where samples weigh by themselves */
  int64_t steps;          /* of the optimizer, in all: of the schedule, or of all epochs */
  float progress;         /* steps that are done / steps, at most 1 */
  moire__groups *groups;  /* NULL: the runner's program is the whole step */
  const int64_t *chosen;  /* the step that was prepared last, by groups */
  int64_t n_chosen;
  bool stop; /* somebody in this process wants the training to end */
} moire__train_step;

/* `runner` runs the program of a step: inputs of the model, "rng", "progress", "optimizer.scalars", and where
 * tables are stepped by rows "optimizer.step" and "optimizer.history"; output "loss". The
 * structure must stay where it is: the runner reads from it. Takes the samples, on failure too. */
moire_status moire__train_step_open(moire__train_step *step, moire_runner *runner, moire__samples samples,
                                    const moire_config *training, moire_error *error);
void moire__train_step_free(moire__train_step *step);

/* The step is made of two programs from here on: the runner has that of the sums. The samples that `prepare`
 * gets must stay until the step has run. */
moire_status moire__train_step_divide(moire__train_step *step, const moire__division *division,
                                      const moire_plan *sums, moire_store *store, moire_threads *threads,
                                      moire_error *error);

/* Makes the batch of samples[0 .. n), n at most the configured batch, for step number `number`, from 0. */
moire_status moire__train_step_prepare(moire__train_step *step, const int64_t *samples, int64_t n,
                                       int64_t number, moire_error *error);
/* Runs the step that was prepared last. *loss may be infinite or NaN. */
moire_status moire__train_step_run(moire__train_step *step, double *loss, moire_error *error);
/* An output of the last step, of the whole batch, as moire_runner_output. */
const void *moire__train_step_output(const moire__train_step *step, const char *name, int64_t *elements);

#endif
