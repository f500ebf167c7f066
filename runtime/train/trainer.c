/* The training loop. See trainer.h for what it promises; trainer_files.c keeps those promises on disk. */
#include "runtime/train/trainer.h"

#include "runtime/base/layout.h"
#include "runtime/base/printable.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/checkpoint.h"
#include "runtime/train/average.h"
#include "runtime/run/store.h"
#include "runtime/train/log.h"
#include "runtime/train/nonfinite.h"
#include "runtime/train/progress.h"
#include "runtime/train/train_step.h"
#include "runtime/train/trainer_files.h"
#include "runtime/train/trainer_memory.h"
#include "runtime/train/trainer_tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef struct trainer {
  const moire__trainer_job *job;
  moire_store *store;
  moire_runner *runner;
  moire__train_step step;
  moire__trainer_files files;
  moire__trained done;
  uint64_t seed;
  int64_t batch;
  int64_t *order; /* [n_samples] */
  int64_t steps;  /* in this run */
  int n_states;   /* of the store, that every rank has */
  bool searching; /* the runner is another than the job's */
  double began;   /* the part of an epoch that this run trains: its moment … */
  double saved;   /* … and that of the last checkpoint */
  bool stopped;   /* the team has agreed to end */
} trainer;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool is_signalled(const trainer *t) { return t->job->stop && *t->job->stop; }

static bool must_stop(const trainer *t) { return t->job->division.team ? t->stopped : is_signalled(t); }

/* Rank 0 of a team, and whoever is alone. */
static bool is_main(const trainer *t) { return moire__team_rank(t->job->division.team) == 0; }

/* ---- Steps ------------------------------------------------------------------------------------------------
 */

/* Trains on samples[0..n) as step number `step`, from 0. */
static moire_status train_step(trainer *t, const int64_t *samples, int64_t n, int64_t step, double *loss,
                               moire_error *error) {
  if (t->job->watch && !t->searching) t->job->watch(t->job->watch_context, t->runner, t->steps++);
  moire_status status = moire__train_step_prepare(&t->step, samples, n, step, error);
  t->step.stop = is_signalled(t);
  if (!status) status = moire__train_step_run(&t->step, loss, error);
  if (status) return status;
  if (t->step.groups) t->stopped = moire__groups_stopped(t->step.groups);
  const moire__trainer_task *task = t->job->task;
  bool on = isfinite(*loss) && task->after_step;
  return on ? task->after_step(task->context, &t->step, step, n, error) : MOIRE_OK;
}

/* Step `i` of the epoch. */
static moire_status train_on_batch(trainer *t, int64_t i, double *loss, moire_error *error) {
  int64_t first = i * t->batch, left = t->job->task->samples.n - first;
  return train_step(t, t->order + first, left < t->batch ? left : t->batch, t->done.steps + i, loss, error);
}

/* ---- A loss that is no number -----------------------------------------------------------------------------
 *
 * Every number is a function of (seed, epoch, step), so the epoch is run again, from the states that it began
 * with, under watch.
 */

static moire_status begin_anew(trainer *t, moire_error *error);

/* The states as they were before the first step of this epoch. */
static moire_status return_to_start(trainer *t, moire_error *error) {
  if (t->done.epochs) {
    moire__trained done;
    bool found = false;
    return moire__trainer_files_resume(&t->files, t->store, false, &done, &found, error);
  }
  moire__store_restart(t->store, t->seed);
  if (t->job->fill) {
    moire_status status = t->job->fill(t->job->fill_context, t->store, error);
    if (status) return status;
  }
  return begin_anew(t, error);
}

/* From now on steps are run by `plan`; who watched the job's own steps is told that there are no more. */
static moire_status change_runner(trainer *t, const moire_plan *plan, moire_error *error) {
  const moire__trainer_job *job = t->job;
  if (job->watch) job->watch(job->watch_context, t->runner, -1);
  t->searching = true;
  moire__samples samples = t->step.samples;
  moire_runner *runner = moire_runner_create(plan, t->store, job->threads, error);
  if (!runner) return MOIRE_ERROR_ARGUMENT;
  t->step.samples = (moire__samples){0};
  moire__train_step_free(&t->step);
  moire_runner_destroy(t->runner);
  t->runner = runner;
  return moire__train_step_open(&t->step, runner, samples, job->training, error);
}

static void add_place(const trainer *t, const moire_plan *plan, const moire__nonfinite_place *place,
                      moire__text *out) {
  const moire_plan_buffer *buffer = &plan->buffers[place->buffer];
  const char *kind = place->nan ? "NaN" : "infinity";
  int64_t number = place->number - t->done.steps;
  if (place->step < 0) {
    moire__text_add(out, "; %s held the first %s, before step %" PRId64, buffer->name, kind, number);
    return;
  }
  moire__text_add(out, "; the first %s came out of %s", kind, plan->steps[place->step].name);
  t->job->locate(t->job->plain_context, place->step, out);
  moire__text_add(out, " in step %" PRId64, number);
  if (buffer->role != MOIRE_PLAN_TEMPORARY) moire__text_add(out, ", as %s", buffer->name);
  if (place->infinite < 0) return;
  moire__text_add(out, ", after infinities out of %s", plan->steps[place->infinite].name);
  t->job->locate(t->job->plain_context, place->infinite, out);
}

/* Runs steps 0 … last of the epoch by `plan`, until something is found. */
static moire_status search(trainer *t, const moire_plan *plan, int64_t last, moire__text *out,
                           moire_error *error) {
  moire_status status = return_to_start(t, error);
  moire__nonfinite *watch = moire__nonfinite_create(plan);
  moire__nonfinite_place place;
  moire__progress bar = moire__progress_start("searching", "step", last + 1);
  bool found = false;
  for (int64_t i = 0; i <= last && !status && !found && !must_stop(t); i++) {
    double loss = 0;
    moire__nonfinite_begin(watch, t->runner, t->done.steps + i);
    status = train_on_batch(t, i, &loss, error);
    moire__nonfinite_end(watch, t->runner, isfinite(loss));
    found = moire__nonfinite_found(watch, &place);
    moire__progress_update(&bar, i + 1, "loss %.4g", loss);
  }
  moire__progress_finish(&bar);
  if (!status && found) add_place(t, plan, &place, out);
  if (!status && !found && !must_stop(t))
    moire__text_add(out, "; in the second run, with an operation a kernel, it did not");
  moire__nonfinite_destroy(watch);
  return status;
}

/* Until rank 0 has found what to say: its failure ends this process. */
static moire_status await_main(const trainer *t, moire_error *error) {
  char nothing = 0;
  moire_status status = moire__team_share(t->job->division.team, &nothing, 1, error);
  return status ? status : moire_fail(error, MOIRE_ERROR_INTERNAL, "rank 0 went on without this one");
}

/* The loss of step `i` of this epoch is no number: says so, and where it began. */
static moire_status explain(trainer *t, double loss, int64_t i, moire_error *error) {
  if (!is_main(t)) return await_main(t, error);
  const char *what = isnan(loss) ? "NaN" : "infinite";
  moire__text where = {0};
  moire_status status = MOIRE_OK;
  if (t->job->plain) {
    moire__log("searching", NULL,
               "the loss became %s in epoch %" PRId64 ", step %" PRId64
               "; the epoch runs again up to there, to find what was not a number first",
               what, t->done.epochs, i);
    const moire_plan *plan = t->job->plain(t->job->plain_context, error);
    status = plan ? change_runner(t, plan, error) : MOIRE_ERROR_ARGUMENT;
    if (!status) status = search(t, plan, i, &where, error);
  }
  moire_error why = {0};
  if (status && error) why = *error;
  if (status) moire__text_add(&where, "; what was not a number first could not be found: %s", why.message);
  bool trained = t->done.steps + i > 0; /* the first step has the weights that it was given */
  double lr = moire_config_real(t->job->training, "lr");
  if (trained) moire__text_add(&where, "; a smaller lr than %g may help, or clip_norm", lr);
  status =
      moire_fail(error, MOIRE_ERROR_ARGUMENT, "the loss became %s in epoch %" PRId64 ", step %" PRId64 "%s",
                 what, t->done.epochs, i, moire__text_string(&where));
  moire__text_free(&where);
  return status;
}

/* ---- Parts of an epoch ------------------------------------------------------------------------------------
 */

static int64_t steps_of_epoch(const trainer *t) {
  int64_t n = t->job->task->samples.n;
  return n / t->batch + (n % t->batch != 0);
}

/* What there is of this epoch. */
static moire_status save_part(trainer *t, moire_error *error) {
  double time = now();
  if (!t->done.part) return MOIRE_OK;
  t->done.part_seconds += time - t->began;
  t->began = t->saved = time;
  if (!is_main(t)) return MOIRE_OK;
  return moire__trainer_files_save_part(&t->files, t->store, &t->done, error);
}

static bool is_due(const trainer *t) {
  double minutes = moire_config_real(t->job->training, "save_minutes");
  return is_main(t) && minutes > 0 && now() - t->saved >= 60 * minutes && t->done.part < steps_of_epoch(t);
}

/* The steps of the epoch that are left, until `stop`. */
static moire_status train_epoch(trainer *t, moire_error *error) {
  int64_t n_steps = steps_of_epoch(t);
  moire__permutation(t->seed, (uint64_t)t->done.epochs, t->job->task->samples.n, t->order);
  char label[40];
  snprintf(label, sizeof label, "epoch %" PRId64, t->done.epochs);
  moire__progress bar = moire__progress_start(label, "step", n_steps);
  moire_status status = MOIRE_OK;
  while (t->done.part < n_steps && !status && !must_stop(t)) {
    double loss = 0;
    status = train_on_batch(t, t->done.part, &loss, error);
    if (!status && !isfinite(loss)) {
      moire__progress_finish(&bar);
      return explain(t, loss, t->done.part, error);
    }
    if (status) break;
    t->done.part_loss += loss;
    t->done.part++;
    moire__progress_update(&bar, t->done.part, "loss %.4f", t->done.part_loss / (double)t->done.part);
    if (is_due(t)) status = save_part(t, error);
  }
  moire__progress_finish(&bar);
  return status;
}

/* ---- Epochs -----------------------------------------------------------------------------------------------
 */

static void say_start(const trainer *t, int64_t parameters) {
  moire__text fields = {0};
  moire__text_add(&fields, "\"model\":");
  moire__log_add_string(&fields, t->job->model);
  moire__text_add(&fields, ",\"directory\":");
  moire__log_add_string(&fields, t->job->directory);
  moire__text_add(&fields,
                  ",\"parameters\":%" PRId64 ",\"samples\":%" PRId64 ",\"batch\":%" PRId64
                  ",\"epochs_done\":%" PRId64,
                  parameters, t->job->task->samples.n, t->batch, t->done.epochs);
  moire__log("start", moire__text_string(&fields), NULL);
  moire__text_free(&fields);
}

static void say_epoch(const trainer *t, const moire__epoch_record *record, bool best) {
  const moire__trainer_task *task = t->job->task;
  moire__text more = {0}, fields = {0};
  if (task->describe) task->describe(&record->valid, task->monitored, &more);
  moire__trainer_files_add_record(record, &fields);
  moire__text_add(&fields, ",\"best\":%s", best ? "true" : "false");
  moire__log("epoch", moire__text_string(&fields),
             "epoch %" PRId64 ": loss %.4f (%.1f s), validation %s %.4f%s (%.1f s)%s", record->epoch,
             record->train_loss, record->train_seconds, task->monitored,
             moire__measures_value(&record->valid, task->monitored), moire__text_string(&more),
             record->valid_seconds, best ? ", best so far" : "");
  moire__text_free(&more);
  moire__text_free(&fields);
}

static void say_test(const trainer *t, const moire__trainer_result *result) {
  moire__text fields = {0};
  moire__text_add(&fields, "\"best_epoch\":%" PRId64 ",\"test\":", t->done.best_epoch);
  moire__measures_to_json(&result->test, &fields);
  if (result->baseline.n) {
    moire__text_add(&fields, ",\"%s\":", t->job->task->baseline);
    moire__measures_to_json(&result->baseline, &fields);
  }
  moire__log("test", moire__text_string(&fields), NULL);
  moire__text_free(&fields);
}

/* Best, metrics, last: in this order, since a run is resumed from the last. */
static moire_status save_epoch(trainer *t, const moire__epoch_record *record, bool best, moire_error *error) {
  moire_status status = MOIRE_OK;
  if (best) status = moire__trainer_files_save_best(&t->files, t->store, record->epoch, error);
  if (!status) status = moire__trainer_files_add_epoch(&t->files, record, error);
  return status ? status : moire__trainer_files_save_last(&t->files, t->store, &t->done, error);
}

/* Of a team, rank 0 writes. */
static moire_status save(trainer *t, const moire__epoch_record *record, bool best, moire_error *error) {
  if (!is_main(t)) return MOIRE_OK;
  return t->files.fresh ? moire__trainer_files_save_first(&t->files, t->store, record, &t->done, error)
                        : save_epoch(t, record, best, error);
}

static moire_status finish_epoch(trainer *t, const moire__epoch_record *record, moire_error *error) {
  const moire__trainer_task *task = t->job->task;
  double value = moire__measures_value(&record->valid, task->monitored), least = t->done.best_value;
  bool best = t->done.best_epoch < 0 || (task->least ? value < least : value > least);
  if (best) {
    t->done.best_epoch = record->epoch;
    t->done.best_value = value;
  }
  t->done.epochs++;
  t->done.steps += t->done.part;
  t->done.part = 0;
  t->done.part_loss = t->done.part_seconds = 0;
  moire_status status = save(t, record, best, error);
  t->saved = now();
  if (!status) say_epoch(t, record, best);
  return status;
}

/* All rows of tables are as if every step had stepped them. An epoch ends with it, so that what is saved within
 * one changes nothing. */
static moire_status catch_up(trainer *t, moire_error *error) {
  const moire_plan *plan = t->job->catch_up;
  if (!plan) return MOIRE_OK;
  moire_runner *runner = moire_runner_create(plan, t->store, t->job->threads, error);
  if (!runner) return MOIRE_ERROR_ARGUMENT;
  moire_status status = moire__history_give(&t->step.history, &t->step.optimizer.options,
                                            t->done.steps + t->done.part, runner, error);
  if (!status) status = moire_runner_run(runner, error);
  moire_runner_destroy(runner);
  return status;
}

/* What rank 0 makes of all ranks' parts is everybody's, and whether it is to end. */
static moire_status validate(trainer *t, moire__measures *measures, moire_error *error) {
  const moire__trainer_task *task = t->job->task;
  moire__team *team = t->job->division.team;
  moire_status status = task->validate(task->context, team, measures, error);
  if (!team || status) return status;
  t->stopped = is_signalled(t);
  status = moire__team_share(team, measures, sizeof *measures, error);
  return status ? status : moire__team_share(team, &t->stopped, sizeof t->stopped, error);
}

static moire_status run_epoch(trainer *t, moire_error *error) {
  moire__epoch_record record = {.epoch = t->done.epochs};
  t->began = now();
  moire_status status = train_epoch(t, error);
  if (!status && must_stop(t)) return save_part(t, error);
  if (status) return status;
  double trained = now();
  record.train_loss = t->done.part_loss / (double)steps_of_epoch(t);
  record.train_seconds = t->done.part_seconds + trained - t->began;
  moire_runner_rest(t->runner); /* so that training and validation do not take memory at the same time */
  status = catch_up(t, error);
  if (status) return status;
  moire__average_swap(t->store);
  status = validate(t, &record.valid, error);
  moire__average_swap(t->store);
  record.valid_seconds = now() - trained;
  if (!status && must_stop(t)) return save_part(t, error);
  return status ? status : finish_epoch(t, &record, error);
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
  moire__log("testing", NULL, "testing %s, epoch %" PRId64 ": %jd bytes, written %s", t->files.best,
             t->done.best_epoch, (intmax_t)file.st_size, time);
}

/* Rank 0's states, of all that the run began with. */
static moire_status share_states(trainer *t, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < t->n_states && !status; i++) {
    int64_t n = 0;
    moire_plan_state state = moire_store_at(t->store, i);
    void *data = moire_store_data(t->store, state.name, &n);
    status = moire__team_share(t->job->division.team, data, (size_t)n * moire__dtype_bytes(state.dtype), error);
  }
  return status;
}

/* The best states, which rank 0 alone reads, are measured by all ranks. */
static moire_status measure_best(trainer *t, moire__trainer_result *result, moire_error *error) {
  const moire__trainer_task *task = t->job->task;
  moire_status status = MOIRE_OK;
  if (is_main(t)) {
    say_what_is_tested(t);
    status = moire__trainer_files_load_best(&t->files, t->store, error);
  }
  if (!status) status = share_states(t, error);
  return status ? status
                : task->test(task->context, t->job->division.team, is_main(t) ? t->job->directory : NULL,
                             &result->test, &result->baseline, error);
}

static moire_status test_best(trainer *t, moire__trainer_result *result, moire_error *error) {
  const moire__trainer_task *task = t->job->task;
  moire_status status = measure_best(t, result, error);
  if (!status && is_main(t)) status = moire__trainer_files_add_test(&t->files, &result->test, &t->done, error);
  if (status || !is_main(t)) return status;
  result->epochs = t->done.epochs;
  result->best_epoch = t->done.best_epoch;
  result->baseline_name = task->baseline;
  snprintf(result->monitored, sizeof result->monitored, "%s", task->monitored);
  result->least = task->least;
  result->samples = task->n_tested;
  result->fingerprint = task->fingerprint;
  say_test(t, result);
  return MOIRE_OK;
}

static moire_status run(trainer *t, moire__trainer_result *result, moire_error *error) {
  moire_status status = MOIRE_OK;
  while (!status && !is_over(t) && !must_stop(t)) status = run_epoch(t, error);
  if (!status && !must_stop(t)) return test_best(t, result, error);
  result->stopped = !status;
  if (result->stopped) {
    moire__log("stopped", NULL,
               "stopped in epoch %" PRId64 ", after %" PRId64 " of %" PRId64 " steps; --resume goes on there",
               t->done.epochs, t->done.part, steps_of_epoch(t));
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

/* The program that changes states. */
static const moire_plan *stepped_plan(const moire__trainer_job *job) {
  return job->division.step ? job->division.step : job->step;
}

static bool in_files(const moire__trainer_job *job) {
  return moire__trainer_tables_folder(job->training, job->directory) != NULL;
}

static moire_status make_runners(trainer *t, moire_error *error) {
  const moire__trainer_job *job = t->job;
  moire_status status = moire__trainer_check_states(stepped_plan(job), in_files(job), error);
  if (!status)
    status = moire__trainer_place_tables(t->store, stepped_plan(job), job->training, job->directory, error);
  if (!status) status = moire_store_declare(t->store, stepped_plan(job), t->seed, error);
  if (!status) status = moire_store_declare(t->store, job->step, t->seed, error);
  if (!status) status = job->task->open(job->task->context, t->store, job->threads, error);
  if (!status && job->fill) status = job->fill(job->fill_context, t->store, error);
  if (status) return status;
  t->n_states = moire_store_count(t->store);
  t->runner = moire_runner_create(job->step, t->store, job->threads, error);
  if (!t->runner) return MOIRE_ERROR_ARGUMENT;
  status = moire__train_step_open(&t->step, t->runner, job->task->samples, job->training, error);
  if (status || !job->division.step) return status;
  return moire__train_step_divide(&t->step, &job->division, job->step, t->store, job->threads, error);
}

/* A loss whose samples depend on each other is another by groups than of the whole batch. */
static moire_status check_groups(trainer *t, int64_t n, moire_error *error) {
  const double most_loss = 1e-3, most_gradient = 0.05; /* rounding stays far below, coupling far above */
  double off[2] = {0, 0};
  moire_status status = MOIRE_OK;
  if (is_main(t))
    status = moire__groups_compare(t->step.groups, &t->step.samples, t->order, n, &off[0], &off[1], error);
  if (!status && (off[0] > most_loss || off[1] > most_gradient))
    status =
        moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                   "batch_groups: samples of a batch depend on each other in this model (a contrast between "
                   "samples, or statistics of the batch): its loss is another by %.2g %% in two groups than in "
                   "one, its gradient by %.2g %%; wanted batch_groups: 0 and one process",
                   100 * off[0], 100 * off[1]);
  return status;
}

/* By the first batch of the data, as they lie. */
static moire_status check_memory(trainer *t, moire_error *error) {
  int64_t n = t->job->task->samples.n < t->batch ? t->job->task->samples.n : t->batch;
  for (int64_t i = 0; i < n; i++) t->order[i] = i;
  moire_status status = moire__train_step_prepare(&t->step, t->order, n, 0, error);
  size_t beside = t->step.groups ? moire__groups_bytes(t->step.groups) : 0;
  if (!status)
    status =
        moire__trainer_check_step(stepped_plan(t->job), in_files(t->job), t->runner, t->batch, beside, error);
  return status || !t->step.groups ? status : check_groups(t, n, error);
}

/* An event a line. */
static void log_lines(const char *event, const char *text) {
  for (size_t n = 0; *text; text += n + (text[n] == '\n')) {
    n = strcspn(text, "\n");
    moire__log(event, NULL, "%.*s", (int)n, text);
  }
}

/* The weights of a checkpoint, and a line for each that does not fit. */
static moire_status start_from(trainer *t, moire_error *error) {
  moire__safetensors *file = NULL;
  moire__text report = {0};
  int fitted = 0;
  moire_status status = moire__safetensors_open(t->job->from, &file, error);
  if (!status) status = moire__checkpoint_load_fitting(file, t->store, &report, &fitted, error);
  if (!status) moire__log("from", NULL, "starting with %d weights of %s", fitted, t->job->from);
  if (report.data) moire__make_printable(report.data);
  log_lines("misfit", moire__text_string(&report)); /* where nothing fits, too: it says why */
  moire__safetensors_close(file);
  moire__text_free(&report);
  return status;
}

/* What a new run does to states that start out as they were declared. */
static moire_status begin_anew(trainer *t, moire_error *error) {
  const moire__trainer_task *task = t->job->task;
  moire_status status = task->begin ? task->begin(task->context, t->job->stop, error) : MOIRE_OK;
  return status || !t->job->from ? status : start_from(t, error);
}

/* What rank 0 begins with is what all do. */
static moire_status share_start(trainer *t, moire_error *error) {
  moire_status status = moire__team_share(t->job->division.team, &t->done, sizeof t->done, error);
  return status ? status : share_states(t, error);
}

/* Where the run begins: after the last checkpoint, or at the start. */
static moire_status find_start(trainer *t, moire_error *error) {
  t->done = (moire__trained){.best_epoch = -1};
  bool found = false;
  if (t->job->resume) {
    moire_status status = moire__trainer_files_resume(&t->files, t->store, true, &t->done, &found, error);
    if (status) return status;
    if (found && t->done.part)
      moire__log("resume", NULL, "resuming %s after %" PRId64 " epochs and %" PRId64 " steps", t->files.part,
                 t->done.epochs, t->done.part);
    if (found && !t->done.part)
      moire__log("resume", NULL, "resuming %s after %" PRId64 " epochs", t->files.last, t->done.epochs);
    if (!found) moire__log("anew", NULL, "%s is not there: starting anew", t->files.last);
  }
  if (found) return t->job->claim ? t->job->claim(t->job->claim_context, error) : MOIRE_OK;
  t->files.fresh = true;
  return begin_anew(t, error);
}

void moire__trainer_task_free(const moire__trainer_task *task) {
  moire__samples samples = task->samples;
  moire__samples_free(&samples);
  task->close(task->context);
}

static void free_trainer(trainer *t) {
  moire__trainer_task task = *t->job->task;
  if (t->step.runner) task.samples = (moire__samples){0}; /* the step has taken them */
  moire__trainer_task_free(&task);
  moire_runner_destroy(t->runner);
  moire__train_step_free(&t->step);
  moire_store_destroy(t->store);
  moire__release(t->order);
  moire__trainer_files_close(&t->files);
}

moire_status moire__trainer_run(const moire__trainer_job *job, moire__trainer_result *result,
                                moire_error *error) {
  uint64_t seed = (uint64_t)moire_config_int(job->training, "seed");
  trainer t = {.job = job,
               .store = moire_store_create(),
               .seed = seed,
               .batch = moire_config_int(job->training, "batch_size"),
               .saved = now()};
  t.order = moire__allocate_array((size_t)job->task->samples.n + 1, sizeof *t.order);
  *result = (moire__trainer_result){0};
  moire_status status = make_runners(&t, error);
  result->parameters = count_parameters(t.store);
  if (!status && is_main(&t)) status = moire__trainer_files_open(&t.files, job, error);
  if (!status && is_main(&t)) status = find_start(&t, error);
  if (!status && job->division.team) status = share_start(&t, error);
  if (!status) say_start(&t, result->parameters);
  if (!status) status = check_memory(&t, error);
  if (!status) status = run(&t, result, error);
  if (job->watch && t.runner && !t.searching) job->watch(job->watch_context, t.runner, -1);
  free_trainer(&t);
  return status;
}
