/* Training: epochs over a data set, validation, early stopping, checkpoints, the test of the best.
 *
 * Each epoch visits every training sample once, in an order that (seed, epoch) decides, then the
 * task validates. The epoch whose monitored measure is strictly best so far is kept; after
 * `patience` epochs without a new best, training ends and the best is tested once.
 *
 * Files in the directory of the run, each replaced as a whole, never half-written:
 *
 *   best.safetensors   the model after its best epoch: of weights that are averaged, the averages, which are
 * also what is validated metrics.jsonl      one line an epoch, after those of its steps, and a last one with
 * the test last.safetensors   everything after the last whole epoch: what --resume starts from and, once the
 * best is tested, what the task's test leaves part.safetensors   everything within the next epoch, every
 * `save_minutes` and where `stop` was raised: what
 *                      --resume goes on from instead. The end of its epoch removes it.
 *
 * The first three are written in this order at the end of an epoch. Whenever a run is killed, the last two are
 * thus the oldest, and the resumed run repeats, bit for bit, what the others may already hold: lines of
 * metrics.jsonl beyond what is resumed are dropped and written again.
 *
 * A new run leaves what the directory holds alone until its own first checkpoint: that is then written beside,
 * whole, before anything of an earlier run is removed and it takes its place. Only one process may train in a
 * directory at a time; that is for the caller to see to.
 *
 * All randomness is a function of (seed, epoch, step), so that neither a resumption nor the number of threads
 * changes a bit of the result.
 */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_H

#include "moire/run.h"
#include "runtime/base/text.h"
#include "runtime/files/checkpoint.h"
#include "runtime/config/config.h"
#include "runtime/train/groups.h"
#include "runtime/train/trainer_task.h"

#include <signal.h>

/* What is trained, on what. Everything is borrowed. */
typedef struct moire__trainer_job {
  const char *model;            /* its name, for the checkpoints */
  const moire_config *config;   /* of the model */
  const moire_config *training; /* of the task's keys (runtime/train/trainer_fields.h) */
  /* One step of training: inputs of the model, "rng", "optimizer.scalars"; output "loss". Of a step in two
   * programs, that of the sums; `division` has the other. */
  const moire_plan *step;
  /* Its step is NULL where the step is one program. Of a team, rank 0 alone reads and writes files, validates
   * and tests, and has a result; the others have its states. */
  moire__division division;
  /* The program that has all rows of tables make the steps that they have missed (MOIRE_PART_CATCH_UP), run
   * before weights are validated and at the end of an epoch; NULL: no rows miss any. */
  const moire_plan *catch_up;
  const moire__trainer_task *task; /* what it is trained on; closed by moire__trainer_run */
  moire_threads *threads;
  const char *directory; /* made if it is not there */
  const char *from;      /* a checkpoint whose weights a new run starts with, as far as they fit; or NULL */
  bool resume;           /* from last.safetensors, if it is there */
  /* A model with weights of its own: fills the store with them, after all is declared; both NULL, or neither.
   */
  moire_status (*fill)(const void *context, moire_store *store, moire_error *error);
  const void *fill_context;
  const moire__state_dict *dict; /* how best.safetensors has them; NULL: as states */
  /* Called once the directory becomes this run's: when it is resumed, or when the first checkpoint of a new run
   * is whole and about to replace what an earlier run left. Removes what would be stale beside it; may be NULL.
   */
  moire_status (*claim)(void *context, moire_error *error);
  void *claim_context;
  const volatile sig_atomic_t *stop; /* not 0: end after the current step; may be NULL */
  /* Called before each step with its number in this run, from 0, and with -1 when there are no more; may be
   * NULL. */
  void (*watch)(void *context, moire_runner *runner, int64_t step);
  void *watch_context;
  /* For the message about a loss that is no number; both NULL, or neither. `plain`: the same step with an
   * operation a kernel, borrowed from the caller, NULL with a sentence. `locate` appends where the kernel of
   * one of its steps comes from: " (models/qia.c:88; forward)". */
  const moire_plan *(*plain)(void *context, moire_error *error);
  void (*locate)(void *context, int step, moire__text *out);
  void *plain_context;
} moire__trainer_job;

typedef struct moire__trainer_result {
  bool stopped; /* `stop` was raised; the rest is not set */
  int64_t parameters, epochs, best_epoch;
  moire__measures test;
  moire__measures baseline;  /* of the test: what the model has to beat; empty where there is nothing to */
  const char *baseline_name; /* "popularity"; NULL where there is none */
  char monitored[24];        /* the measure by which an epoch was the best … */
  bool least;                /* … if it was least */
  int64_t samples;           /* that the test measures */
  uint64_t fingerprint;      /* of the data */
} moire__trainer_result;

/* Trains. Progress goes to stderr. */
moire_status moire__trainer_run(const moire__trainer_job *job, moire__trainer_result *result,
                                moire_error *error);

#endif
