/* Steps of training over the first epoch's batches, or of inference over the users of the test, or over all
 * items; past the end they begin again. Everything that does not change from step to step is done before the
 * first. */
#include "tools/profile/profile_run.h"
#include "tasks/sequences/samples.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/checkpoint.h"

#include <time.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- Opening ----------------------------------------------------------------------------------------------
 */

/* `data` is features for a model that codes items, else a data set. */
static moire_status read_data(tool_profile_run *r, const char *model, const char *where, const char *data,
                              moire_error *error) {
  moire_error ignored = {0};
  if (tool_setup_need(&r->setup, model, MOIRE_MODEL_ITEM_CODER, &ignored))
    return tool_setup_data(&r->setup, model, where, data, error);
  moire_status status = moire__features_load(data, r->job->tensor, NULL, &r->features, error);
  return status ? status : tool_setup_items(&r->setup, model, where, r->features, error);
}

static moire_status read_sources(tool_profile_run *r, moire_error *error) {
  const tool_profile_job *job = r->job;
  const char *data = NULL, *model = NULL, *where = job->config;
  moire_status status = MOIRE_OK;
  if (job->checkpoint) {
    tool_sources sources = {.checkpoint = job->checkpoint,
                            .model = job->model,
                            .config = job->config,
                            .data = job->data,
                            .threads = job->threads};
    status = tool_read_checkpoint(&sources, &r->file, &r->setup, &model, error);
    for (int i = 0; i < job->n_assignments && !status; i++) {
      status = moire__config_table_set(&r->setup.table, "--set", job->assignments[i], error);
    }
    if (!where) where = job->checkpoint;
    data = job->data ? job->data : moire__config_table_text(&r->setup.table, "data");
    if (!status && !data) {
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: names no data: wanted --data FILE", where);
    }
  } else {
    status = tool_read_configuration(job->config, job->data, job->assignments, job->n_assignments, &r->setup,
                                     &data, error);
    if (!status) model = moire__config_table_text(&r->setup.table, "model");
  }
  return status ? status : read_data(r, model, where, data, error);
}

static moire_program *compile(tool_profile_run *r, moire_error *error) {
  const char *served = tool_served_output(r->setup.model);
  r->setup.keep_kernels = true;
  return r->job->infer ? tool_compile_inference(&r->setup, &served, 1, r->job->threads, error)
                       : tool_compile_step(&r->setup, r->job->threads, error);
}

static moire_status make_runner(tool_profile_run *r, moire_error *error) {
  moire__counters_open(&r->counters, &r->no_counters);
  r->threads = moire_threads_create(r->job->threads, error);
  if (!r->threads) return MOIRE_ERROR_ARGUMENT;
  r->program = compile(r, error);
  if (!r->program) return MOIRE_ERROR_ARGUMENT;
  const moire_plan *plan = moire_program_plan(r->program);
  r->store = moire_store_create();
  uint64_t seed = (uint64_t)moire_config_int(r->setup.training, "seed");
  moire_status status = moire_store_declare(r->store, plan, seed, error);
  if (!status && r->file) {
    status = moire__checkpoint_load(r->file, r->store, MOIRE__CHECKPOINT_MODEL, error);
  }
  if (status) return status;
  r->runner = moire_runner_create(plan, r->store, r->threads, error);
  return r->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

/* Users, items, or samples of training. */
static int64_t count_samples(const tool_profile_run *r) {
  if (r->features) return r->features->n;
  return r->job->infer ? r->setup.dataset->n_users : r->setup.dataset->n_samples;
}

static moire__samples make_samples(const tool_profile_run *r) {
  const moire__features *f = r->features;
  return f ? moire__samples_of_rows("features", f->values, f->n, f->width, r->batch)
           : moire__samples_of_sequences(r->setup.dataset, r->batch);
}

static moire_status make_batches(tool_profile_run *r, moire_error *error) {
  const moire__dataset *data = r->setup.dataset;
  const moire_config *training = r->setup.training;
  int64_t wanted = moire_config_int(training, r->job->infer ? "eval_batch_size" : "batch_size");
  int64_t there = count_samples(r);
  if (!there) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no training samples", data->path);
  }
  r->batch = wanted < there ? wanted : there;
  r->batches = moire__allocate_array((size_t)r->job->steps + 1, sizeof *r->batches);
  if (r->job->infer && data) {
    r->ids = moire__allocate_array((size_t)(r->batch * data->max_length), sizeof *r->ids);
    return MOIRE_OK;
  }
  r->order = moire__allocate_array((size_t)there, sizeof *r->order);
  if (r->job->infer) {
    for (int64_t i = 0; i < there; i++) r->order[i] = i;
    r->rows = make_samples(r);
    return MOIRE_OK;
  }
  moire__permutation((uint64_t)moire_config_int(training, "seed"), 0, there, r->order);
  return moire__train_step_open(&r->step, r->runner, make_samples(r), training, error);
}

moire_status tool_profile_open(tool_profile_run *r, const tool_profile_job *job, moire_error *error) {
  r->job = job;
  moire_status status = read_sources(r, error);
  if (!status) status = make_runner(r, error);
  if (!status) status = make_batches(r, error);
  if (status) return status;
  r->recording =
      moire__recording_create(moire_program_plan(r->program)->n_steps, job->threads, job->steps, job->sampled);
  return MOIRE_OK;
}

void tool_profile_run_free(tool_profile_run *r) {
  moire_runner_destroy(r->runner);
  moire__recording_destroy(r->recording);
  tool_profile_counter_destroy(r->counter);
  moire__train_step_free(&r->step);
  moire__samples_free(&r->rows);
  moire_store_destroy(r->store);
  moire_threads_destroy(r->threads);
  moire__counters_close(&r->counters);
  moire_program_destroy(r->program);
  moire__safetensors_close(r->file);
  tool_setup_free(&r->setup);
  moire__features_free(r->features);
  moire__release(r->order);
  moire__release(r->ids);
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
  const moire__dataset *data = r->setup.dataset;
  int64_t n = 0, first = batch_at(number, count_samples(r), r->batch, &n);
  if (!r->job->infer) return moire__train_step_prepare(&r->step, r->order + first, n, number, error);
  moire_status status = moire_runner_set_extent(r->runner, "B", n, error);
  if (!status && !data) status = r->rows.give(r->rows.context, r->runner, r->order + first, n, error);
  if (status || !data) return status;
  moire__dataset_eval_batch(data, MOIRE__SPLIT_TEST, first, n, r->ids, NULL);
  return moire_runner_set_input(r->runner, "input_ids", r->ids, n * data->max_length, error);
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

moire_status tool_profile_count(tool_profile_run *r, int64_t cache_bytes, moire_error *error) {
  enum { MOST = 4 }; /* beside the first, which fills the caches */
  int n = r->job->steps < MOST ? r->job->steps : MOST;
  moire_status status = MOIRE_OK;
  r->counter = tool_profile_counter_create(r->program, cache_bytes);
  moire__runner_watch(r->runner, tool_profile_watch, r->counter);
  for (int i = 0; i <= n && !status; i++) {
    status = tool_profile_step(r, r->job->warmup + (i ? i - 1 : 0), NULL, error);
  }
  moire__runner_watch(r->runner, NULL, NULL);
  return status;
}
