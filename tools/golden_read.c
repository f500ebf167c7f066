/* Reading a golden: everything in it is checked before anything is computed. See golden.h. */
#include "tools/golden.h"

#include "compiler/ir/graph/graph.h"
#include "runtime/base/planes.h"
#include "runtime/files/array.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

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

/* The same for a key that may be absent: then *out stays as it is. */
static moire_status read_some(const tool_golden *g, const json_t *object, const char *key, double low,
                              double high, double *out, moire_error *error) {
  return json_object_get(object, key) ? read_number(g, object, key, low, high, out, error) : MOIRE_OK;
}

static moire_status read_steps(const tool_golden *g, const json_t *object, const char *key, int64_t *out,
                               moire_error *error) {
  double number = (double)*out;
  moire_status status = read_some(g, object, key, 0, 1e12, &number, error);
  *out = (int64_t)number;
  return status;
}

static moire_status read_schedule(const tool_golden *g, const json_t *root, moire_schedule *s,
                                  moire_error *error) {
  const json_t *kind = json_object_get(root, "schedule");
  const char *name = json_string_value(kind);
  if (kind && (!name || !moire_schedule_find(name, &s->kind)))
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: metadata optimizer: schedule: wanted constant, linear, cosine, step or inverse_sqrt",
                      g->path);
  moire_status status = read_steps(g, root, "warmup_steps", &s->warmup_steps, error);
  if (!status) status = read_steps(g, root, "total_steps", &s->total_steps, error);
  if (!status) status = read_steps(g, root, "step_size", &s->step_size, error);
  if (!status) status = read_some(g, root, "lr_min", 0, 100, &s->lr_min, error);
  if (!status) status = read_some(g, root, "gamma", 0, 1, &s->gamma, error);
  moire_error reason = {0};
  if (!status && moire_schedule_check(s, &reason))
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: %s", g->path, reason.message);
  return status;
}

static moire_status read_kind(const tool_golden *g, const json_t *root, moire_optimizer *kind,
                              moire_error *error) {
  static const char *const names[] = {
      [MOIRE_OPTIMIZER_ADAM] = "adam", [MOIRE_OPTIMIZER_ADAMW] = "adamw", [MOIRE_OPTIMIZER_SGD] = "sgd"};
  const char *name = json_string_value(json_object_get(root, "name"));
  for (size_t i = MOIRE_OPTIMIZER_ADAM; name && i < sizeof names / sizeof *names; i++) {
    if (strcmp(names[i], name) != 0) continue;
    *kind = (moire_optimizer)i;
    return MOIRE_OK;
  }
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: name: wanted adam, adamw or sgd",
                    g->path);
}

static moire_status read_adam(const tool_golden *g, const json_t *root, moire_training_options *o,
                              moire_error *error) {
  moire_status status = read_number(g, root, "beta1", 0, 0.999999999, &o->beta1, error);
  if (!status) status = read_number(g, root, "beta2", 0, 0.999999999, &o->beta2, error);
  return status ? status : read_number(g, root, "eps", 0, 1, &o->eps, error);
}

static moire_status read_sgd(const tool_golden *g, const json_t *root, moire_training_options *o,
                             moire_error *error) {
  o->nesterov = json_is_true(json_object_get(root, "nesterov"));
  moire_status status = read_some(g, root, "momentum", 0, 1, &o->momentum, error);
  return status ? status : read_some(g, root, "dampening", 0, 1, &o->dampening, error);
}

static moire_status read_optimizer(tool_golden *g, moire_error *error) {
  const char *text = NULL;
  moire_status status = need_metadata(g, "optimizer", &text, error);
  if (status) return status;
  json_t *root = json_loads(text, 0, NULL);
  moire_training_options *o = &g->optimizer.training;
  g->optimizer = moire_compile_defaults();
  status = read_kind(g, root, &o->optimizer, error);
  bool sgd = o->optimizer == MOIRE_OPTIMIZER_SGD;
  if (!status) status = sgd ? read_sgd(g, root, o, error) : read_adam(g, root, o, error);
  if (!status) status = read_number(g, root, "lr", 0, 100, &o->lr, error);
  if (!status) status = read_number(g, root, "weight_decay", 0, 100, &o->weight_decay, error);
  if (!status) status = read_some(g, root, "clip_norm", 0, 1e30, &o->clip_norm, error);
  if (!status) status = read_some(g, root, "clip_value", 0, 1e30, &o->clip_value, error);
  if (!status) status = read_schedule(g, root, &o->schedule, error);
  json_decref(root);
  return status;
}

/* What the shape [B, ...] of an input looks like, for messages. */
static const char *shape_text(tool_golden *g, const moire_graph *graph, const moire_shape *shape) {
  const char *text = "";
  for (int i = 0; i < shape->rank; i++) {
    int extent = moire__dim_extents(shape->dims[i]);
    const char *comma = i ? ", " : "";
    text = extent
               ? moire__arena_printf(&g->arena, "%s%s%s", text, comma, graph->extents[extent])
               : moire__arena_printf(&g->arena, "%s%s%" PRId64, text, comma, moire__dim_factor(shape->dims[i]));
  }
  return text;
}

/* The size of a named extent, which the first tensor that has it says. */
static int64_t extent_size(tool_golden *g, const char *name, int64_t size) {
  for (int i = 0; i < g->n_extents; i++) {
    if (!strcmp(g->extents[i].name, name)) return g->extents[i].size;
  }
  g->extents[g->n_extents++] = (tool_golden_extent){moire__arena_copy_string(&g->arena, name), size};
  return size;
}

/* Does the tensor, whose first `skipped` axes are set aside, have the input's shape? */
static bool fits(tool_golden *g, const moire_graph *graph, const moire__st_tensor *t, int skipped,
                 const moire_shape *shape) {
  if (t->rank != shape->rank + skipped) return false;
  for (int i = 0; i < shape->rank; i++) {
    const char *name = moire_dim_extent_name(graph, shape->dims[i], 0);
    int64_t size = t->shape[i + skipped];
    if (size != (name ? extent_size(g, name, size) : moire__dim_factor(shape->dims[i]))) return false;
  }
  return true;
}

/* Adds values for the input that programs call `name`. */
static void add_input(tool_golden *g, const char *name, double *values, const moire__st_tensor *t, bool each) {
  tool_golden_input input = {
      .name = name, .values = values, .n = each ? t->count / t->shape[0] : t->count, .each_step = each};
  MOIRE__PUSH(&g->arena, g->inputs, g->n_inputs, g->input_capacity, input);
}

/* A tensor of complex numbers is both planes of an input. */
static moire_status add_planes(tool_golden *g, const char *name, const moire__st_tensor *t, bool each,
                               moire_error *error) {
  moire__array array = moire__array_of_tensor(g->path, t);
  float *planes[2];
  for (int p = 0; p < 2; p++) planes[p] = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof **planes);
  moire_status status = moire__array_copy(&array, MOIRE_C64, planes[0], planes[1], error);
  for (int p = 0; p < 2; p++) {
    double *values = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *values);
    for (int64_t i = 0; i < t->count; i++) values[i] = (double)planes[p][i];
    add_input(g, moire__arena_printf(&g->arena, "%s%s", name, moire__plane_suffix(p)), values, t, each);
  }
  return status;
}

/* `input/NAME`, or, of a complex input, `input/NAME.real` and `input/NAME.imag`. */
static moire_status read_input(tool_golden *g, const moire_graph *graph, const moire__st_tensor *t,
                               moire_error *error) {
  const char *name = t->name + strlen("input/");
  moire_port port = moire_graph_find_input(graph, name);
  for (int p = 0; p < 2 && !port.name; p++) {
    size_t n = strlen(name), suffix = strlen(moire__plane_suffix(p));
    if (n <= suffix || strcmp(name + n - suffix, moire__plane_suffix(p)) != 0) continue;
    port = moire_graph_find_input(graph, moire__arena_printf(&g->arena, "%.*s", (int)(n - suffix), name));
    if (port.name && port.dtype != MOIRE_C64) port.name = NULL;
  }
  if (!port.name)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: the model has no such input", g->path, t->name);
  bool each = t->rank == port.shape.rank + 1 && t->shape[0] == g->steps + 1;
  if (!fits(g, graph, t, each, &port.shape)) {
    const char *shape = shape_text(g, graph, &port.shape);
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "%s: %s: wanted shape [%s], or [%" PRId64 ", %s] with a batch for each of the steps",
                      g->path, t->name, shape, g->steps + 1, shape);
  }
  if (t->dtype == MOIRE__ST_C64) return add_planes(g, name, t, each, error);
  double *values = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *values);
  moire__st_to_double(t, values);
  add_input(g, name, values, t, each);
  const moire__task *task = g->setup.task;
  return task->check_input ? task->check_input(&g->setup, g->path, t->name, values, t->count, error) : MOIRE_OK;
}

static moire_status read_inputs(tool_golden *g, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&g->setup, MOIRE_TRAINING, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  moire_status status = MOIRE_OK;
  for (int i = 0; i < moire__safetensors_count(g->file) && !status; i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    if (begins(t->name, "input/")) status = read_input(g, graph, t, error);
  }
  moire_graph_destroy(graph);
  return status;
}

/* `NAME_losses` is the output NAME of every step, and of the last. */
static bool is_series(const char *name) {
  size_t n = strlen(name), suffix = strlen("_losses");
  return n > suffix && !strcmp(name + n - suffix, "_losses") && !strchr(name, '/');
}

/* Every name must be of a kind that is compared or given. */
static moire_status check_names(const tool_golden *g, moire_error *error) {
  static const char *const kinds[] = {"param/", "input/", "output/", "grad/", "trained/"};
  static const char *const of_steps[] = {"grad_norms", "learning_rates", "train_terms", "train_weights"};
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    bool known = !strcmp(name, "loss") || is_series(name);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) known = known || begins(name, kinds[k]);
    for (size_t k = 0; k < sizeof of_steps / sizeof *of_steps; k++) known = known || !strcmp(name, of_steps[k]);
    if (!known)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: is nothing that a golden holds", g->path, name);
  }
  return MOIRE_OK;
}

/* Steps and the optimizer: needed where the file holds what training gives. */
static moire_status read_training(tool_golden *g, moire_error *error) {
  bool trains = moire__safetensors_find(g->file, "train_losses") != NULL;
  for (int i = 0; i < moire__safetensors_count(g->file); i++)
    trains = trains || begins(moire__safetensors_at(g->file, i)->name, "trained/");
  if (!trains) return MOIRE_OK;
  const char *steps = NULL;
  moire_status status = need_metadata(g, "steps", &steps, error);
  if (!status) status = read_optimizer(g, error);
  if (status) return status;
  char *end = NULL;
  g->steps = strtol(steps, &end, 10);
  if (end != steps && !*end && g->steps >= 1 && g->steps <= 1000) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata steps: wanted a whole number from 1 to 1000",
                    g->path);
}

/* Is it a golden of a task's own? Then it is compared. */
static moire_status compare_own(tool_golden *g, const char *kind, const char *data, moire_error *error) {
  const moire__golden_report report = {g, tool_golden_add};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < moire__task_count() && !status && !g->compared; i++) {
    const moire__task *task = moire__task_at(i);
    if (task->golden) status = task->golden(kind, g->file, &g->setup.table, data, &report, &g->compared, error);
  }
  return status;
}

moire_status tool_golden_open(tool_golden *g, const char *path, const char *model, const char *data,
                              moire_error *error) {
  g->path = path;
  const char *format = NULL, *stored = NULL, *config = NULL, *kind = NULL;
  moire_status status = moire__safetensors_open(path, &g->file, error);
  if (!status) status = need_metadata(g, "format", &format, error);
  if (!status && strcmp(format, "golden/1") != 0) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata format: wanted golden/1, but %.80s came", path,
                        format);
  }
  kind = status ? NULL : moire__safetensors_metadata(g->file, "kind");
  g->generates = kind && !strcmp(kind, "generate");
  g->is_curve = kind && !strcmp(kind, "curve");
  if (kind && !g->generates && !g->is_curve)
    status = moire_fail(error, MOIRE_ERROR_FORMAT,
                        "%s: metadata kind: wanted generate or curve, but %.40s came", path, kind);
  if (!status && !model) status = need_metadata(g, "model", &stored, error);
  if (!status && !model && moire__setup_is_path(stored))
    status =
        moire_fail(error, MOIRE_ERROR_ARGUMENT,
                   "%s: metadata model: %.80s is no model of the library: wanted --model PATH", path, stored);
  if (!status) status = need_metadata(g, "config", &config, error);
  if (!status) status = moire__config_table_add_json(&g->setup.table, path, config, error);
  if (!status) status = tool_golden_assign(g, error);
  if (!status && !model) status = compare_own(g, stored, data, error);
  if (status || g->compared) return status;
  moire_error reason = {0};
  if (!status && moire__setup_find(&g->setup, model ? model : stored, path, &reason))
    status = moire_fail(error, reason.status, "%s: %s; --model gives another", path, reason.message);
  if (!status && g->setup.task->complete) status = g->setup.task->complete(&g->setup, g->file, error);
  if (!status) status = moire__setup_build(&g->setup, path, error);
  if (!status && g->is_curve) status = read_optimizer(g, error);
  if (status || g->generates || g->is_curve) return status;
  status = check_names(g, error);
  if (!status) status = read_training(g, error);
  return status ? status : read_inputs(g, error);
}

void tool_golden_free(tool_golden *g) {
  moire__safetensors_close(g->file);
  moire__setup_free(&g->setup);
  moire__arena_free(&g->arena);
}
