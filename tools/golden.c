/* Reading a golden, running its model, comparing. See golden.h.
 *
 * Four graphs are run, since they are compiled in four ways: inference with all outputs, inference of the
 * logits alone (only the last position of the last layer is computed), the loss with its gradients, and steps
 * of training. */
#include "tools/golden.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

static moire_status need_metadata(const tool_golden *g, const char *key, const char **out, moire_error *error) {
  *out = moire__safetensors_metadata(g->file, key);
  if (*out) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no metadata %s", g->path, key);
}

static moire_status read_number(const tool_golden *g, const json_t *object, const char *key, double low,
                                double high, double *out, moire_error *error) {
  const json_t *value = json_object_get(object, key);
  *out = json_number_value(value);
  if (json_is_number(value) && *out >= low && *out <= high) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: %s: wanted a number from %g to %g",
                    g->path, key, low, high);
}

static moire_status read_optimizer(tool_golden *g, moire_error *error) {
  const char *text = NULL;
  moire_status status = need_metadata(g, "optimizer", &text, error);
  if (status) return status;
  json_t *root = json_loads(text, 0, NULL);
  const char *name = json_string_value(json_object_get(root, "name"));
  moire_compile_options *o = &g->optimizer;
  *o = moire_compile_defaults();
  bool adam = name && !strcmp(name, "adam"), adamw = name && !strcmp(name, "adamw");
  o->optimizer = adamw ? MOIRE_OPTIMIZER_ADAMW : MOIRE_OPTIMIZER_ADAM;
  if (!adam && !adamw) {
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: name: wanted adam or adamw", g->path);
  }
  if (!status) status = read_number(g, root, "lr", 0, 100, &o->lr, error);
  if (!status) status = read_number(g, root, "beta1", 0, 0.999999999, &o->beta1, error);
  if (!status) status = read_number(g, root, "beta2", 0, 0.999999999, &o->beta2, error);
  if (!status) status = read_number(g, root, "eps", 0, 1, &o->eps, error);
  if (!status) status = read_number(g, root, "weight_decay", 0, 100, &o->weight_decay, error);
  json_decref(root);
  return status;
}

static moire_status read_ids(tool_golden *g, const char *name, int rank, double **out, moire_error *error) {
  const moire__st_tensor *t = NULL;
  moire_status status = moire__safetensors_need(g->file, name, &t, error);
  if (status) return status;
  if (t->rank != rank || t->shape[0] != (rank == 2 ? t->shape[0] : g->batch) ||
      (rank == 2 && t->shape[1] != g->length)) {
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: wanted shape [%s%s], as the configuration says",
                      g->path, name, "B", rank == 2 ? ", max_seq_length" : "");
  }
  int32_t *ids = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *ids);
  status = moire__st_to_int32(t, ids, error);
  if (status) return status;
  int64_t item_size = moire_config_int(g->setup.config, "item_size");
  *out = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof **out);
  for (int64_t i = 0; i < t->count; i++) {
    if (ids[i] < 0 || ids[i] >= item_size) {
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "%s: %s: holds item %" PRId32 ", but item_size is %" PRId64, g->path, name, ids[i],
                        item_size);
    }
    (*out)[i] = ids[i];
  }
  if (rank == 2) g->batch = t->shape[0];
  return MOIRE_OK;
}

/* Every name must be of a kind that is compared or given. */
static moire_status check_names(const tool_golden *g, moire_error *error) {
  static const char *const kinds[] = {"param/", "output/", "grad/", "trained/"};
  static const char *const whole[] = {"input/input_ids", "input/answers", "loss", "train_losses"};
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    bool known = false;
    for (size_t k = 0; k < 4; k++) known = known || begins(name, kinds[k]) || !strcmp(name, whole[k]);
    if (!known)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: is nothing that a golden holds", g->path, name);
  }
  return MOIRE_OK;
}

moire_status tool_golden_open(tool_golden *g, const char *path, moire_error *error) {
  g->path = path;
  const char *format = NULL, *model = NULL, *config = NULL, *steps = NULL;
  moire_status status = moire__safetensors_open(path, &g->file, error);
  if (!status) status = need_metadata(g, "format", &format, error);
  if (!status && strcmp(format, "golden/1") != 0) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata format: wanted golden/1, but %.80s came", path,
                        format);
  }
  if (!status) status = need_metadata(g, "model", &model, error);
  if (!status) status = need_metadata(g, "config", &config, error);
  if (!status) status = need_metadata(g, "steps", &steps, error);
  if (!status) status = check_names(g, error);
  if (!status) status = moire__config_table_add_json(&g->setup.table, path, config, error);
  if (!status) status = tool_setup_build(&g->setup, model, path, error);
  if (!status) status = read_optimizer(g, error);
  if (status) return status;
  char *end = NULL;
  g->steps = strtol(steps, &end, 10);
  if (end == steps || *end || g->steps < 1 || g->steps > 1000) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata steps: wanted a whole number from 1 to 1000",
                      path);
  }
  g->length = moire_config_int(g->setup.config, "max_seq_length");
  status = read_ids(g, "input/input_ids", 2, &g->ids, error);
  return status ? status : read_ids(g, "input/answers", 1, &g->answers, error);
}

void tool_golden_free(tool_golden *g) {
  moire__safetensors_close(g->file);
  tool_setup_free(&g->setup);
  moire__arena_free(&g->arena);
}

/* ---- Comparing --------------------------------------------------------------------------------------------
 */

double tool_class_limit(tool_class class, tool_engine engine) {
  static const double single[] = {
      [TOOL_OUTPUTS] = 2e-4, [TOOL_LOSSES] = 2e-4, [TOOL_GRADIENTS] = 5e-4, [TOOL_TRAINED] = 8e-3};
  return engine == TOOL_ENGINE_INTERPRETER ? 1e-9 : single[class];
}

/* Gradients below this part of the largest carry no information, and must stay below `small_enough` of it. */
static const double noise_floor = 1e-6, small_enough = 1e-4;

static double norm(const double *x, const double *y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (x[i] - (y ? y[i] : 0)) * (x[i] - (y ? y[i] : 0));
  return sqrt(sum);
}

static double *golden_values(tool_golden *g, const moire__st_tensor *t) {
  double *values = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *values);
  moire__st_to_double(t, values);
  return values;
}

static void compare(tool_golden *g, tool_class class, tool_engine engine, const moire__st_tensor *want_tensor,
                    const double *got) {
  const double *want = golden_values(g, want_tensor);
  double size = norm(want, NULL, want_tensor->count), off = norm(got, want, want_tensor->count);
  tool_finding f = {.class = class,
                    .name = want_tensor->name,
                    .error = size > 0 ? off / size : off,
                    .limit = tool_class_limit(class, engine)};
  if (class == TOOL_GRADIENTS && size < noise_floor * g->largest_gradient) {
    f.noise = true;
    f.error = norm(got, NULL, want_tensor->count) / g->largest_gradient;
    f.limit = small_enough;
  }
  f.good = f.error <= f.limit;
  MOIRE__PUSH(&g->arena, g->findings, g->n, g->capacity, f);
}

static bool is_noise(const tool_golden *g, const char *parameter) {
  for (int i = 0; i < g->n; i++) {
    const tool_finding *f = &g->findings[i];
    if (f->class == TOOL_GRADIENTS && !strcmp(f->name + strlen("grad/"), parameter)) return f->noise;
  }
  return false;
}

/* ---- Sessions ---------------------------------------------------------------------------------------------
 */

static const moire__st_tensor *find(const tool_golden *g, const char *prefix, const char *name) {
  char full[512];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return moire__safetensors_find(g->file, full);
}

/* The tensor of a parameter, with the parameter's shape. */
static moire_status need_like(const tool_golden *g, const char *prefix, const moire_plan_state *state,
                              const moire__st_tensor **out, moire_error *error) {
  const moire__st_tensor *t = *out = find(g, prefix, state->name);
  if (!t) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s%s: is missing", g->path, prefix, state->name);
  bool same = t->rank == state->shape.rank;
  for (int i = 0; same && i < t->rank; i++) same = t->shape[i] == state->shape.dims[i];
  if (same) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has another shape than the model's parameter", g->path,
                    t->name);
}

static moire_status set_states(tool_golden *g, tool_session *s, moire_error *error) {
  for (int i = 0; i < tool_session_state_count(s); i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!state.trained) continue;
    const moire__st_tensor *t = NULL;
    moire_status status = need_like(g, "param/", &state, &t, error);
    if (status) return status;
    tool_session_set_state(s, state.name, golden_values(g, t));
  }
  return MOIRE_OK;
}

static moire_status set_inputs(tool_golden *g, tool_session *s, int64_t step, moire_error *error) {
  double step_size = 0, bias2 = 0;
  const moire_compile_options *o = &g->optimizer;
  moire_optimizer_scalars(o->lr, o->beta1, o->beta2, step + 1, &step_size, &bias2);
  moire_status status = tool_session_set_extent(s, "B", g->batch, error);
  if (!status) status = tool_session_set_input(s, "input_ids", g->ids, g->batch * g->length, error);
  if (!status) status = tool_session_set_input(s, "answers", g->answers, g->batch, error);
  if (!status) status = tool_session_set_input(s, "rng", (const double[]){0, 0, (double)step}, 3, error);
  if (!status) status = tool_session_set_input(s, "adam.step_size", &step_size, 1, error);
  if (!status) status = tool_session_set_input(s, "adam.bias2", &bias2, 1, error);
  return status;
}

/* The outputs `names`, run once: a session whose states and inputs are the golden's. NULL with a sentence. */
static tool_session *start(tool_golden *g, tool_engine engine, moire_mode mode, moire_compile_options options,
                           moire_threads *threads, moire_error *error) {
  moire_graph *graph = tool_build_graph(&g->setup, mode, error);
  if (!graph) return NULL;
  options.threads = moire_threads_count(threads);
  tool_session *s = tool_session_create(engine, graph, &options, threads, error);
  moire_graph_destroy(graph);
  if (s && !set_states(g, s, error) && !set_inputs(g, s, 0, error)) return s;
  tool_session_destroy(s);
  return NULL;
}

static moire_status compare_output(tool_golden *g, tool_class class, tool_engine engine, const tool_session *s,
                                   const char *output, const moire__st_tensor *want, moire_error *error) {
  double *got = moire__arena_array(&g->arena, (size_t)want->count + 1, sizeof *got);
  moire_error reason = {0};
  moire_status status = tool_session_output(s, output, got, want->count, &reason);
  if (status) return moire_fail(error, status, "%s: %s: %s", g->path, want->name, reason.message);
  compare(g, class, engine, want, got);
  return MOIRE_OK;
}

static moire_status check_outputs(tool_golden *g, tool_engine engine, moire_threads *threads, const char *only,
                                  moire_error *error) {
  const char **names =
      moire__arena_array(&g->arena, (size_t)moire__safetensors_count(g->file) + 1, sizeof *names);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = names;
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    if (!begins(name, "output/")) continue;
    name += strlen("output/");
    if (!only || !strcmp(name, only)) names[options.n_outputs++] = name;
  }
  if (!options.n_outputs) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: output/%s: is missing", g->path, only ? only : "*");
  }
  tool_session *s = start(g, engine, MOIRE_INFERENCE, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  moire_status status = tool_session_run(s, error);
  for (int i = 0; i < options.n_outputs && !status; i++) {
    status = compare_output(g, TOOL_OUTPUTS, engine, s, names[i], find(g, "output/", names[i]), error);
  }
  tool_session_destroy(s);
  return status;
}

static moire_compile_options loss_options(void) {
  static const char *const outputs[] = {"loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = "loss";
  return options;
}

static moire_status compare_gradients(tool_golden *g, tool_engine engine, const tool_session *s,
                                      moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < tool_session_state_count(s) && !status; i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!state.trained) continue;
    const moire__st_tensor *want = NULL;
    status = need_like(g, "grad/", &state, &want, error);
    char output[512];
    snprintf(output, sizeof output, "grad.%s", state.name);
    if (!status) status = compare_output(g, TOOL_GRADIENTS, engine, s, output, want, error);
  }
  return status;
}

static moire_status check_gradients(tool_golden *g, tool_engine engine, moire_threads *threads,
                                    moire_error *error) {
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    if (!begins(t->name, "grad/")) continue;
    double size = norm(golden_values(g, t), NULL, t->count);
    if (!(size <= g->largest_gradient)) g->largest_gradient = size;
  }
  const moire__st_tensor *loss = NULL;
  moire_status status = moire__safetensors_need(g->file, "loss", &loss, error);
  if (status) return status;
  moire_compile_options options = loss_options();
  options.keep_gradients = true;
  tool_session *s = start(g, engine, MOIRE_TRAINING, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  status = tool_session_run(s, error);
  if (!status) status = compare_output(g, TOOL_LOSSES, engine, s, "loss", loss, error);
  if (!status) status = compare_gradients(g, engine, s, error);
  tool_session_destroy(s);
  return status;
}

static moire_status compare_trained(tool_golden *g, tool_engine engine, const tool_session *s,
                                    moire_error *error) {
  for (int i = 0; i < tool_session_state_count(s); i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!state.trained) continue;
    const moire__st_tensor *want = NULL;
    moire_status status = need_like(g, "trained/", &state, &want, error);
    if (status) return status;
    double *got = moire__arena_array(&g->arena, (size_t)want->count + 1, sizeof *got);
    tool_session_get_state(s, state.name, got);
    if (!is_noise(g, state.name)) compare(g, TOOL_TRAINED, engine, want, got);
  }
  return MOIRE_OK;
}

/* Every tensor that stands for a parameter is one's. */
static moire_status check_parameters(const tool_golden *g, const tool_session *s, moire_error *error) {
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    const char *slash = strchr(name, '/');
    if (!slash || begins(name, "input/") || begins(name, "output/")) continue;
    if (tool_session_state_elements(s, slash + 1) >= 0) continue;
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: the model has no such parameter", g->path, name);
  }
  return MOIRE_OK;
}

static moire_status check_training(tool_golden *g, tool_engine engine, moire_threads *threads,
                                   moire_error *error) {
  const moire__st_tensor *want = NULL;
  moire_status status = moire__safetensors_need(g->file, "train_losses", &want, error);
  if (status) return status;
  if (want->count != g->steps + 1) {
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "%s: train_losses: wanted %" PRId64 " of them, one more than steps", g->path,
                      g->steps + 1);
  }
  moire_compile_options options = g->optimizer, loss = loss_options();
  options.outputs = loss.outputs;
  options.n_outputs = loss.n_outputs;
  options.loss = loss.loss;
  tool_session *s = start(g, engine, MOIRE_TRAINING, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  double *losses = moire__arena_array(&g->arena, (size_t)g->steps + 1, sizeof *losses);
  status = check_parameters(g, s, error);
  for (int64_t step = 0; step <= g->steps && !status; step++) {
    if (step == g->steps) status = compare_trained(g, engine, s, error);
    if (!status) status = set_inputs(g, s, step, error);
    if (!status) status = tool_session_run(s, error);
    if (!status) status = tool_session_output(s, "loss", &losses[step], 1, error);
  }
  if (!status) compare(g, TOOL_LOSSES, engine, want, losses);
  tool_session_destroy(s);
  return status;
}

moire_status tool_golden_check(tool_golden *g, tool_engine engine, moire_threads *threads, moire_error *error) {
  moire_status status = check_outputs(g, engine, threads, NULL, error);
  if (!status) status = check_outputs(g, engine, threads, "logits", error);
  if (!status) status = check_gradients(g, engine, threads, error);
  if (!status) status = check_training(g, engine, threads, error);
  return status;
}
