/* What the training loop asks of what it trains on: one task for each kind of model (tasks/).
 *
 * The loop (trainer.c) knows epochs, steps, early stopping and files; a task knows the data. It gives the
 * inputs of a step from the numbers of samples, may prepare the states before the first step and mend them
 * after any, and measures the model. All that it does is a function of (seed, epoch, step, states), so that a
 * run that is resumed goes on as if it had not ended.
 */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_TASK_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_TASK_H

#include "moire/files.h"
#include "moire/run.h"
#include "runtime/measure/measures.h"
#include "runtime/team/team.h"
#include "runtime/train/train_step.h"

#include <signal.h>

typedef struct moire__trainer_task {
  void *context;
  moire__samples samples;
  const char *data;       /* the file, for messages */
  uint64_t fingerprint;   /* of what is in it */
  moire_metadata kept[2]; /* metadata that the task adds to checkpoints, as far as it has values */
  int64_t n_tested;       /* samples that the test measures */
  const char *baseline;   /* name of what the test's baseline is; NULL: there is none */
  const char *monitored;  /* the measure by which an epoch is the best … */
  bool least;             /* … if it is least, else if it is largest */
  /* Declares the states of its own programs and makes their runners. */
  moire_status (*open)(void *context, moire_store *store, moire_threads *threads, moire_error *error);
  /* Before the first step of a run that is not resumed; NULL: nothing. */
  moire_status (*begin)(void *context, const volatile sig_atomic_t *stop, moire_error *error);
  /* After step `number`, from 0, of `n` samples, which `step` has run; NULL: nothing. */
  moire_status (*after_step)(void *context, const moire__train_step *step, int64_t number, int64_t n,
                             moire_error *error);
  /* Appends lines of JSON about the steps since it was last called, {"step":…}: they come before the epoch's in
   * metrics.jsonl. NULL: none. */
  void (*lines)(void *context, moire__text *out);
  /* By all ranks of `team` (NULL: this process is alone), each of which has the same states and measures its
   * part of the samples; rank 0 gets the measures, those of one process. */
  moire_status (*validate)(void *context, moire__team *team, moire__measures *measures, moire_error *error);
  /* Likewise, once, of the best. `directory`, where rank 0 may leave files, is the run's, and NULL of the
   * others; `baseline`, which starts empty, is what the model has to beat. */
  moire_status (*test)(void *context, moire__team *team, const char *directory, moire__measures *measures,
                       moire__measures *baseline, moire_error *error);
  /* Appends what beside the monitored measure is worth a line on the terminal; NULL: nothing. */
  void (*describe)(const moire__measures *measures, const char *monitored, moire__text *out);
  void (*close)(void *context);
} moire__trainer_task;

/* Of a task that moire__trainer_run is not called for, which does the same at its end. */
void moire__trainer_task_free(const moire__trainer_task *task);

#endif
