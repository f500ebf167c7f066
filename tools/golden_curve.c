/* Goldens of kind `curve`: what some hundred steps on a file of data give, by native code. See golden.h.
 *
 * Batch s is the rows s n ... s n + n - 1 of the data in the file's order, from the start again after the last.
 * What is asked for is the loss of each step with and without the teacher, within 1e-3 of itself. */
#include "tools/golden.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_COLUMNS = 4 };

typedef struct curve {
  tool_golden *g;
  moire__setup setup;
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
  moire__samples samples;
  int64_t steps, batch;
} curve;

/* A file that the metadata name, from the folder of the golden's folder. NULL: there is no such key. */
static const char *named_file(tool_golden *g, const char *key) {
  const char *name = moire__safetensors_metadata(g->file, key), *slash = strrchr(g->path, '/');
  if (!name) return NULL;
  return moire__arena_printf(&g->arena, "%.*s/../%s", slash ? (int)(slash - g->path) : 1, slash ? g->path : ".",
                             name);
}

static moire_status read_count(const tool_golden *g, const char *key, int64_t *out, moire_error *error) {
  const char *text = moire__safetensors_metadata(g->file, key);
  *out = text ? strtoll(text, NULL, 10) : 0;
  if (*out >= 1 && *out <= 100000) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata %s: wanted a number from 1 to 100000", g->path,
                    key);
}

static moire_status read_setup(curve *c, const char *teacher, moire_error *error) {
  tool_golden *g = c->g;
  moire__data_files files = {.data = named_file(g, "tokens")};
  const char *config = moire__safetensors_metadata(g->file, "config");
  if (!files.data || !config)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted metadata config and tokens", g->path);
  moire_status status = moire__config_table_add_json(&c->setup.table, g->path, config, error);
  if (!status) status = moire__setup_find(&c->setup, g->setup.model->name, g->path, error);
  if (!status && c->setup.task->complete) status = c->setup.task->complete(&c->setup, g->file, error);
  const char *assignment = teacher ? moire__arena_printf(&g->arena, "teacher=%s", teacher) : NULL;
  if (!status && teacher) status = moire__config_table_set(&c->setup.table, g->path, assignment, error);
  return status ? status : moire__setup_read(&c->setup, NULL, g->path, &files, error);
}

static moire_status fill(curve *c, moire_error *error) {
  for (int i = 0; i < moire_store_count(c->store); i++) {
    moire_plan_state state = moire_store_at(c->store, i);
    if (moire_optimizer_owns(state.name)) continue;
    const char *name = moire__arena_printf(&c->g->arena, "param/%s", state.name);
    const moire__st_tensor *t = NULL;
    moire_status status = moire__safetensors_need(c->g->file, name, &t, error);
    int64_t n = 0;
    float *data = moire_store_data(c->store, state.name, &n);
    if (status) return status;
    if (t->count != n || state.dtype != MOIRE_F32)
      return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has another shape than the model's", c->g->path,
                        name);
    double *values = moire__allocate_array((size_t)n + 1, sizeof *values);
    moire__st_to_double(t, values);
    tool_golden_shift(c->g, &state, values, n);
    for (int64_t k = 0; k < n; k++) data[k] = (float)values[k];
    moire__release(values);
  }
  return MOIRE_OK;
}

static moire_status compile(curve *c, moire_threads *threads, moire_error *error) {
  int n = 0;
  const char *const *outputs = c->setup.task->step(&c->setup, &c->g->arena, &n, error);
  moire_graph *graph = outputs ? moire__setup_graph(&c->setup, MOIRE_TRAINING, error) : NULL;
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  moire_compile_options options = c->g->optimizer;
  options.outputs = outputs;
  options.n_outputs = n;
  options.loss = "loss";
  options.precision = c->g->precision;
  options.off = c->g->off;
  options.threads = moire_threads_count(threads);
  c->program = moire_compile(graph, &options, error);
  moire_graph_destroy(graph);
  if (!c->program) return MOIRE_ERROR_ARGUMENT;
  const moire_plan *plan = moire_program_plan(c->program);
  c->store = moire_store_create();
  moire_status status = moire_store_declare(c->store, plan, 0, error);
  if (!status) status = fill(c, error);
  if (status) return status;
  c->runner = moire_runner_create(plan, c->store, threads, error);
  c->samples = c->setup.task->samples(&c->setup, c->batch);
  return c->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

static moire_status run_step(curve *c, int64_t step, int64_t *rows, moire_error *error) {
  const moire_training_options *o = &c->g->optimizer.training;
  static float scalars[MOIRE_MOST_OPTIMIZER_SCALARS], progress; /* the runner reads them where they are */
  moire_batch_place place = moire_batch_place_at(step, 1);
  moire_optimizer_scalars_f32(o, &place, scalars);
  progress = (float)((double)step / (double)(o->schedule.total_steps ? o->schedule.total_steps : c->steps));
  for (int64_t i = 0; i < c->batch; i++) rows[i] = (step * c->batch + i) % c->samples.n;
  int n = moire_optimizer_scalar_count(o);
  moire_status status = moire_runner_set_extent(c->runner, "B", c->batch, error);
  if (!status) status = moire_runner_set_input(c->runner, "optimizer.scalars", scalars, n, error);
  if (!status && moire_runner_has_input(c->runner, "progress"))
    status = moire_runner_set_input(c->runner, "progress", &progress, 1, error);
  if (!status) status = c->samples.give(c->samples.context, c->runner, rows, c->batch, error);
  return status ? status : moire_runner_run(c->runner, error);
}

/* The largest difference of a step, in parts of what is wanted but at least of 1. */
static void judge(tool_golden *g, const moire__st_tensor *t, const double *got) {
  double *want = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *want), worst = 0;
  moire__st_to_double(t, want);
  const double *origin = tool_golden_origin(g, want, got, t->count);
  for (int64_t i = 0; i < t->count; i++) {
    double off = fabs(got[i] - origin[i]) / fmax(1, fabs(want[i]));
    worst = off <= worst ? worst : off;
  }
  tool_golden_find(g, (tool_finding){.class = TOOL_LOSSES, .name = t->name, .error = worst, .limit = 1e-3});
}

static moire_status run_curve(curve *c, const char *tensor, moire_error *error) {
  tool_golden *g = c->g;
  const moire__st_tensor *want = NULL;
  double *got = moire__arena_array(&g->arena, (size_t)c->steps, sizeof *got);
  int64_t *rows = moire__arena_array(&g->arena, (size_t)c->batch, sizeof *rows);
  moire_status status = moire__safetensors_need(g->file, tensor, &want, error);
  if (!status && want->count != c->steps)
    status = moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: wanted one for each of the %" PRId64 " steps",
                        g->path, tensor, c->steps);
  for (int64_t step = 0; step < c->steps && !status; step++) {
    status = run_step(c, step, rows, error);
    const float *loss = status ? NULL : moire_runner_output(c->runner, "loss", NULL);
    got[step] = loss ? (double)*loss : NAN;
  }
  if (!status) judge(g, want, got);
  return status;
}

static moire_status check(tool_golden *g, const char *teacher, moire_threads *threads, moire_error *error) {
  curve c = {.g = g};
  moire_status status = read_count(g, "steps", &c.steps, error);
  if (!status) status = read_count(g, "batch_size", &c.batch, error);
  if (!status) status = read_setup(&c, teacher, error);
  if (!status) status = compile(&c, threads, error);
  if (!status) status = run_curve(&c, teacher ? "unified_losses" : "ce_losses", error);
  moire__samples_free(&c.samples);
  moire_runner_destroy(c.runner);
  moire_store_destroy(c.store);
  moire_program_destroy(c.program);
  moire__setup_free(&c.setup);
  return status;
}

moire_status tool_golden_curve(tool_golden *g, tool_engine engine, moire_threads *threads, moire_error *error) {
  if (engine != TOOL_ENGINE_JIT)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: is of kind curve, which native code alone runs",
                      g->path);
  const char *teacher = named_file(g, "teacher");
  moire_status status = check(g, NULL, threads, error);
  return status || !teacher ? status : check(g, teacher, threads, error);
}
