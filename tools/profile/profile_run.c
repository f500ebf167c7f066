/* Steps of training over the first epoch's batches, or of inference over the users of the test, or over all
 * items; past the end they begin again. Everything that does not change from step to step is done before the
 * first. */
#include "tools/profile/profile_run.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/checkpoint.h"
#include "tasks/imported.h"

#include <time.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- Opening ----------------------------------------------------------------------------------------------
 */

static moire_status read_sources(tool_profile_run *r, moire_error *error) {
  const tool_profile_job *job = r->job;
  moire__setup *setup = &r->predictor.setup;
  if (!job->sources.checkpoint) {
    moire_status status = moire__setup_read_yaml(setup, job->sources.config, job->sources.assignments,
                                                 job->sources.n_assignments, error);
    const char *model = status ? NULL : moire__setup_model_name(setup, job->sources.config, error);
    return model ? moire__setup_read(setup, model, job->sources.config, &job->files, error)
                 : MOIRE_ERROR_ARGUMENT;
  }
  moire_status status = moire__predictor_open(&r->predictor, &job->sources, error);
  if (status) return status;
  return moire__setup_read(setup, NULL, moire__predictor_where(&r->predictor), &job->files, error);
}

static moire_program *compile(tool_profile_run *r, moire_error *error) {
  r->predictor.setup.keep_kernels = true;
  return r->job->infer ? moire__setup_compile_served(&r->predictor.setup, r->job->sources.threads, error)
                       : moire__setup_compile_step(&r->predictor.setup, r->job->sources.threads, error);
}

static moire_status make_runner(tool_profile_run *r, moire_error *error) {
  moire__counters_open(&r->counters, &r->no_counters);
  r->threads = moire_threads_create(r->job->sources.threads, error);
  if (!r->threads) return MOIRE_ERROR_ARGUMENT;
  if (r->predictor.file && moire__predictor_check(&r->predictor, error)) return MOIRE_ERROR_SHAPE;
  r->program = compile(r, error);
  if (!r->program) return MOIRE_ERROR_ARGUMENT;
  const moire_plan *plan = moire_program_plan(r->program);
  r->store = moire_store_create();
  uint64_t seed = (uint64_t)moire_config_int(r->predictor.setup.training, "seed");
  moire_status status = moire_store_declare(r->store, plan, seed, error);
  if (!status) status = moire__setup_fill(&r->predictor.setup, r->store, error);
  if (!status && r->predictor.file) {
    status = moire__checkpoint_load(r->predictor.file, r->store, MOIRE__CHECKPOINT_MODEL, error);
  }
  if (status) return status;
  r->runner = moire_runner_create(plan, r->store, r->threads, error);
  return r->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

static moire_status make_batches(tool_profile_run *r, moire_error *error) {
  const moire__setup *setup = &r->predictor.setup;
  int64_t wanted = moire_config_int(setup->training, r->job->infer ? "eval_batch_size" : "batch_size");
  moire__samples samples =
      r->job->infer ? setup->task->queries(setup, wanted) : setup->task->samples(setup, wanted);
  r->n = samples.n;
  if (!r->n) {
    moire__samples_free(&samples);
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: the data have no training samples",
                      moire__config_table_text(&setup->table, "data"));
  }
  r->batch = wanted < r->n ? wanted : r->n;
  r->batches = moire__allocate_array((size_t)r->job->steps + 1, sizeof *r->batches);
  r->order = moire__allocate_array((size_t)r->n, sizeof *r->order);
  for (int64_t i = 0; i < r->n; i++) r->order[i] = i;
  if (r->job->infer) {
    r->queries = samples;
    return MOIRE_OK;
  }
  moire__permutation((uint64_t)moire_config_int(setup->training, "seed"), 0, r->n, r->order);
  return moire__train_step_open(&r->step, r->runner, samples, setup->training, error);
}

moire_status tool_profile_open(tool_profile_run *r, const tool_profile_job *job, moire_error *error) {
  r->job = job;
  moire_status status = read_sources(r, error);
  if (!status) status = make_runner(r, error);
  if (!status) status = make_batches(r, error);
  if (status) return status;
  r->recording = moire__recording_create(moire_program_plan(r->program)->n_steps, job->sources.threads,
                                         job->steps, job->sampled);
  return MOIRE_OK;
}

void tool_profile_run_free(tool_profile_run *r) {
  moire_runner_destroy(r->runner);
  moire__recording_destroy(r->recording);
  moire__profile_counter_destroy(r->counter);
  moire__train_step_free(&r->step);
  moire__samples_free(&r->queries);
  moire_store_destroy(r->store);
  moire_threads_destroy(r->threads);
  moire__counters_close(&r->counters);
  moire_program_destroy(r->program);
  moire__predictor_free(&r->predictor);
  moire__release(r->order);
  moire__release(r->batches);
  *r = (tool_profile_run){0};
}

/* ---- Steps ------------------------------------------------------------------------------------------------
 */

/* Batch `number` of whole passes over `n` things: its first, and how many. */
static int64_t batch_at(int64_t number, int64_t n, int64_t batch, int64_t *count) {
  int64_t in_pass = n / batch + (n % batch != 0), first = number % in_pass * batch;
  *count = n - first < batch ? n - first : batch;
  return first;
}

static moire_status prepare(tool_profile_run *r, int64_t number, moire_error *error) {
  int64_t n = 0, first = batch_at(number, r->n, r->batch, &n);
  if (!r->job->infer) return moire__train_step_prepare(&r->step, r->order + first, n, number, error);
  moire_status status = moire_runner_set_extent(r->runner, "B", n, error);
  return status ? status : r->queries.give(r->queries.context, r->runner, r->order + first, n, error);
}

moire_status tool_profile_step(tool_profile_run *r, int64_t number, int64_t *batch_ns, moire_error *error) {
  double loss = 0;
  int64_t start = now();
  moire_status status = prepare(r, number, error);
  if (batch_ns) *batch_ns = now() - start;
  if (status) return status;
  return r->job->infer ? moire_runner_run(r->runner, error) : moire__train_step_run(&r->step, &loss, error);
}

moire_status tool_profile_record(tool_profile_run *r, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < r->job->warmup && !status; i++) status = tool_profile_step(r, i, NULL, error);
  moire__runner_record(r->runner, r->recording);
  moire__counters_run(&r->counters, true);
  for (int i = 0; i < r->job->steps && !status; i++) {
    status = tool_profile_step(r, r->job->warmup + i, &r->batches[i], error);
  }
  moire__counters_run(&r->counters, false);
  moire__runner_record(r->runner, NULL);
  return status;
}

moire_status tool_profile_count(tool_profile_run *r, const moire__peaks *peaks, moire_error *error) {
  enum { MOST = 4 }; /* beside the first, which fills the caches */
  int n = r->job->steps < MOST ? r->job->steps : MOST;
  moire_status status = MOIRE_OK;
  r->counter = moire__profile_counter_create(r->program, peaks);
  moire__runner_watch(r->runner, moire__profile_watch, r->counter);
  for (int i = 0; i <= n && !status; i++) {
    status = tool_profile_step(r, r->job->warmup + (i ? i - 1 : 0), NULL, error);
  }
  moire__runner_watch(r->runner, NULL, NULL);
  return status;
}
