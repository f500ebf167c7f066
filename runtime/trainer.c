/* The training loop. See trainer.h for what it promises; trainer_files.c keeps those promises on disk. */
#include "runtime/trainer.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/progress.h"
#include "runtime/scoring.h"
#include "runtime/train_step.h"
#include "runtime/trainer_files.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define METRICS "HR@5|NDCG@5|HR@10|NDCG@10|HR@20|NDCG@20"

static const moire_config_field fields[] = {
    {"model", MOIRE_CONFIG_STRING, NULL, 0, 0, NULL, "name of a model, or path of a shared object with one"},
    {"data", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, "data set: one user a line; --data replaces it"},
    {"epochs", MOIRE_CONFIG_INT, "200", 1, 1000000, NULL, "most epochs"},
    {"batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "samples of a step"},
    {"eval_batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "users that are scored at once"},
    {"optimizer", MOIRE_CONFIG_STRING, "adam", 0, 0, "adam|adamw", "adamw decays weights by themselves"},
    {"lr", MOIRE_CONFIG_REAL, "0.001", 0, 100, NULL, "learning rate"},
    {"beta1", MOIRE_CONFIG_REAL, "0.9", 0, 0.999999, NULL, "decay of the first moment"},
    {"beta2", MOIRE_CONFIG_REAL, "0.999", 0, 0.99999999, NULL, "decay of the second moment"},
    {"eps", MOIRE_CONFIG_REAL, "1e-8", 0, 1, NULL, "added to the root of the second moment"},
    {"weight_decay", MOIRE_CONFIG_REAL, "0.0", 0, 100, NULL, "strength of the decay"},
    {"patience", MOIRE_CONFIG_INT, "10", 1, 1000000, NULL, "epochs without a new best before training ends"},
    {"stop_metric", MOIRE_CONFIG_STRING, "NDCG@10", 0, 0, METRICS, "what the best epoch is best in"},
    {"seed", MOIRE_CONFIG_INT, "42", 0, 9007199254740992, NULL, "of all randomness"},
};

moire__config_fields moire__trainer_fields(void) {
  return (moire__config_fields){fields, (int)(sizeof fields / sizeof *fields)};
}

typedef struct trainer {
  const moire__trainer_job *job;
  moire_store *store;
  moire_runner *runner, *scores;
  moire__train_step step;
  moire__trainer_files files;
  moire__trained done;
  uint64_t seed;
  int64_t batch;
  int64_t *order; /* [n_samples] */
  int64_t *ranks; /* [n_users] */
} trainer;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool must_stop(const trainer *t) { return t->job->stop && *t->job->stop; }

/* ---- Steps ------------------------------------------------------------------------------------------------
 */

/* Trains on samples[0..n) as step number `step`, from 0. */
static moire_status train_step(trainer *t, const int64_t *samples, int64_t n, int64_t step, double *loss,
                               moire_error *error) {
  moire_status status = moire__train_step_prepare(&t->step, samples, n, step, error);
  if (!status) status = moire__train_step_run(&t->step, loss, error);
  if (status || isfinite(*loss)) return status;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "the loss became %g in epoch %" PRId64 ", step %" PRId64 "; a smaller lr than %g may help",
                    *loss, t->done.epochs, step - t->done.steps, moire_config_real(t->job->training, "lr"));
}

/* All steps of the next epoch. *steps counts them; after `stop` the epoch is incomplete and worth nothing. */
static moire_status train_epoch(trainer *t, double *mean_loss, int64_t *steps, moire_error *error) {
  int64_t n = t->job->dataset->n_samples, n_steps = n / t->batch + (n % t->batch != 0);
  moire__permutation(t->seed, (uint64_t)t->done.epochs, n, t->order);
  char label[40];
  snprintf(label, sizeof label, "epoch %" PRId64, t->done.epochs);
  moire__progress bar = moire__progress_start(label, "step", n_steps);
  double sum = 0;
  moire_status status = MOIRE_OK;
  for (*steps = 0; *steps < n_steps && !status && !must_stop(t); ++*steps) {
    int64_t first = *steps * t->batch, left = n - first;
    double loss = 0;
    status = train_step(t, t->order + first, left < t->batch ? left : t->batch, t->done.steps + *steps, &loss,
                        error);
    sum += loss;
    moire__progress_update(&bar, *steps + 1, "loss %.4f", sum / (double)(*steps + 1));
  }
  moire__progress_finish(&bar);
  *mean_loss = sum / (double)n_steps;
  return status;
}

static moire_status measure(trainer *t, moire__split split, moire__metrics *metrics, moire_error *error) {
  moire__scoring scoring = {.runner = t->scores,
                            .threads = t->job->threads,
                            .dataset = t->job->dataset,
                            .item_size = t->job->item_size,
                            .batch = moire_config_int(t->job->training, "eval_batch_size"),
                            .label = split == MOIRE__SPLIT_VALID ? "validation" : "test"};
  moire_status status = moire__scoring_ranks(&scoring, split, t->ranks, error);
  if (!status) *metrics = moire__scoring_metrics(t->ranks, t->job->dataset->n_users);
  return status;
}

/* ---- Epochs -----------------------------------------------------------------------------------------------
 */

static void say(const trainer *t, const moire__epoch_record *record, bool best) {
  const char *metric = moire_config_string(t->job->training, "stop_metric");
  fprintf(stderr, "epoch %" PRId64 ": loss %.4f (%.1f s), validation %s %.4f (%.1f s)%s\n", record->epoch,
          record->train_loss, record->train_seconds, metric,
          moire__metrics_mean(&record->valid, moire__metrics_index(metric)), record->valid_seconds,
          best ? ", best so far" : "");
}

/* Best, metrics, last: in this order, since a run is resumed from the last. */
static moire_status finish_epoch(trainer *t, const moire__epoch_record *record, int64_t steps,
                                 moire_error *error) {
  int metric = moire__metrics_index(moire_config_string(t->job->training, "stop_metric"));
  double value = moire__metrics_mean(&record->valid, metric);
  bool best = t->done.best_epoch < 0 || value > t->done.best_value;
  moire_status status = MOIRE_OK;
  if (best) {
    t->done.best_epoch = record->epoch;
    t->done.best_value = value;
    status = moire__trainer_files_save_best(&t->files, t->store, record->epoch, error);
  }
  t->done.epochs++;
  t->done.steps += steps;
  if (!status) status = moire__trainer_files_add_epoch(&t->files, record, error);
  if (!status) status = moire__trainer_files_save_last(&t->files, t->store, &t->done, error);
  if (!status) say(t, record, best);
  return status;
}

static moire_status run_epoch(trainer *t, moire_error *error) {
  moire__epoch_record record = {.epoch = t->done.epochs};
  int64_t steps = 0;
  double start = now();
  moire_status status = train_epoch(t, &record.train_loss, &steps, error);
  double trained = now();
  record.train_seconds = trained - start;
  if (status || must_stop(t)) return status;
  status = measure(t, MOIRE__SPLIT_VALID, &record.valid, error);
  record.valid_seconds = now() - trained;
  if (status || must_stop(t)) return status;
  return finish_epoch(t, &record, steps, error);
}

static bool is_over(const trainer *t) {
  const moire_config *config = t->job->training;
  return t->done.epochs >= moire_config_int(config, "epochs") ||
         (t->done.epochs && t->done.epochs - 1 - t->done.best_epoch >= moire_config_int(config, "patience"));
}

/* Which file is about to be tested: a test of a stale checkpoint has fooled people before. */
static void say_what_is_tested(const trainer *t) {
  struct stat file;
  struct tm local;
  char time[40] = "?";
  if (stat(t->files.best, &file)) return;
  if (localtime_r(&file.st_mtime, &local)) strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &local);
  fprintf(stderr, "testing %s, epoch %" PRId64 ": %jd bytes, written %s\n", t->files.best, t->done.best_epoch,
          (intmax_t)file.st_size, time);
}

static moire_status test_best(trainer *t, moire__trainer_result *result, moire_error *error) {
  say_what_is_tested(t);
  moire_status status = moire__trainer_files_load_best(&t->files, t->store, error);
  if (!status) status = measure(t, MOIRE__SPLIT_TEST, &result->test, error);
  if (!status) {
    status = moire__scoring_write_ranks(t->files.ranks, t->ranks, t->job->dataset->n_users, error);
  }
  if (!status) status = moire__trainer_files_add_test(&t->files, &result->test, &t->done, error);
  if (status) return status;
  moire__popularity_evaluate(t->job->dataset, MOIRE__SPLIT_TEST, &result->popularity);
  result->epochs = t->done.epochs;
  result->best_epoch = t->done.best_epoch;
  return MOIRE_OK;
}

static moire_status run(trainer *t, moire__trainer_result *result, moire_error *error) {
  moire_status status = MOIRE_OK;
  while (!status && !is_over(t) && !must_stop(t)) status = run_epoch(t, error);
  if (!status && !must_stop(t)) return test_best(t, result, error);
  result->stopped = !status;
  if (result->stopped) {
    fprintf(stderr, "stopped in epoch %" PRId64 "; --resume continues from its start\n", t->done.epochs);
  }
  return status;
}

/* ---- Setting up -------------------------------------------------------------------------------------------
 */

static int64_t count_parameters(const moire_store *store) {
  int64_t sum = 0, n = 0;
  for (int i = 0; i < moire_store_count(store); i++) {
    moire_plan_state state = moire_store_at(store, i);
    if (state.trained && moire_store_data(store, state.name, &n)) sum += n;
  }
  return sum;
}

static moire_status make_runners(trainer *t, moire_error *error) {
  const moire__trainer_job *job = t->job;
  moire_status status = moire_store_declare(t->store, job->step, t->seed, error);
  if (!status) status = moire_store_declare(t->store, job->scores, t->seed, error);
  if (status) return status;
  t->runner = moire_runner_create(job->step, t->store, job->threads, error);
  t->scores = moire_runner_create(job->scores, t->store, job->threads, error);
  if (!t->runner || !t->scores) return MOIRE_ERROR_ARGUMENT;
  return moire__train_step_open(&t->step, t->runner, job->dataset, job->training, error);
}

/* Where the run begins: at the end of the last whole epoch, or at the start. */
static moire_status find_start(trainer *t, moire_error *error) {
  t->done = (moire__trained){.best_epoch = -1};
  bool found = false;
  if (t->job->resume) {
    moire_status status = moire__trainer_files_resume(&t->files, t->store, &t->done, &found, error);
    if (status) return status;
    if (found) fprintf(stderr, "resuming %s after %" PRId64 " epochs\n", t->files.last, t->done.epochs);
    if (!found) fprintf(stderr, "%s is not there: starting anew\n", t->files.last);
  }
  return found ? MOIRE_OK : moire__trainer_files_start_anew(&t->files, error);
}

static void free_trainer(trainer *t) {
  moire_runner_destroy(t->runner);
  moire__train_step_free(&t->step);
  moire_runner_destroy(t->scores);
  moire_store_destroy(t->store);
  moire__release(t->order);
  moire__release(t->ranks);
  moire__trainer_files_close(&t->files);
}

moire_status moire__trainer_run(const moire__trainer_job *job, moire__trainer_result *result,
                                moire_error *error) {
  uint64_t seed = (uint64_t)moire_config_int(job->training, "seed");
  trainer t = {.job = job,
               .store = moire_store_create(),
               .seed = seed,
               .batch = moire_config_int(job->training, "batch_size")};
  t.order = moire__allocate_array((size_t)job->dataset->n_samples, sizeof *t.order);
  t.ranks = moire__allocate_array((size_t)job->dataset->n_users, sizeof *t.ranks);
  *result = (moire__trainer_result){0};
  moire_status status = make_runners(&t, error);
  result->parameters = count_parameters(t.store);
  if (!status) status = moire__trainer_files_open(&t.files, job, error);
  if (!status) status = find_start(&t, error);
  if (!status) status = run(&t, result, error);
  free_trainer(&t);
  return status;
}
