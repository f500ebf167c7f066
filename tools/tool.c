/* What the subcommands share: arguments, failures, and models with their configurations. */
#include "tools/tool.h"

#include "runtime/base/memory.h"
#include "runtime/train/trainer.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments --------------------------------------------------------------------------------------------
 */

int64_t tool_int_argument(const struct argp_state *state, const char *option, const char *text, int64_t low,
                          int64_t high) {
  char *end = NULL;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (end == text || *end || errno || value < low || value > high) {
    argp_error(state, "%s: wanted a whole number from %" PRId64 " to %" PRId64 ", but '%s' came", option, low,
               high, text);
  }
  return value;
}

const char *tool_precision_argument(const struct argp_state *state, const char *text) {
  if (strcmp(text, "f32") != 0 && strcmp(text, "bf16") != 0)
    argp_error(state, "--precision: wanted f32 or bf16, but '%s' came", text);
  return text;
}

double tool_real_argument(const struct argp_state *state, const char *option, const char *text, double low,
                          double high) {
  char *end = NULL;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= low && value <= high)) {
    argp_error(state, "%s: wanted a number from %g to %g, but '%s' came", option, low, high, text);
  }
  return value;
}

int tool_default_threads(void) {
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

/* ---- Failures ---------------------------------------------------------------------------------------------
 */

int tool_fail(const char *name, const moire_error *error) {
  fprintf(stderr, "moire %s: %s\n", name, error->message);
  return TOOL_FAILURE;
}

int tool_refuse(const char *name, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "moire %s: ", name);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  return TOOL_USAGE;
}

/* ---- Setups -----------------------------------------------------------------------------------------------
 */

static void free_configs(tool_setup *setup) {
  moire__config_free(setup->config);
  moire__config_free(setup->training);
  setup->config = setup->training = NULL;
}

void tool_setup_free(tool_setup *setup) {
  free_configs(setup);
  moire__config_table_free(&setup->table);
  moire__dataset_free(setup->dataset);
  *setup = (tool_setup){0};
}

/* Adds one key to the table, whatever characters the value has. Takes `value`. */
static moire_status add_value(tool_setup *setup, const char *origin, const char *key, json_t *value,
                              moire_error *error) {
  json_t *object = json_pack("{s:o}", key, value);
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  moire_status status = text ? moire__config_table_add_json(&setup->table, origin, text, error)
                             : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: wanted UTF-8", origin, key);
  free(text);
  json_decref(object);
  return status;
}

/* A name that stands in the table is blamed on its place there. */
static moire_status find_model(tool_setup *setup, const char *model, moire_error *error) {
  moire_error reason = {0};
  setup->model = moire_model_find(model, &reason);
  if (setup->model) return MOIRE_OK;
  const moire__config_entry *entry = moire__config_table_find(&setup->table, "model");
  if (!entry) return moire_fail(error, reason.status, "%s", reason.message);
  if (!entry->line) return moire_fail(error, reason.status, "%s: model: %s", entry->origin, reason.message);
  return moire_fail(error, reason.status, "%s:%d: model: %s", entry->origin, entry->line, reason.message);
}

moire_status tool_read_configuration(const char *config, const char *data, const char *const *assignments,
                                     int n, tool_setup *setup, const char **found, moire_error *error) {
  moire_status status = moire__config_table_add_yaml(&setup->table, config, error);
  for (int i = 0; i < n && !status; i++) {
    status = moire__config_table_set(&setup->table, "--set", assignments[i], error);
  }
  if (status) return status;
  *found = data ? data : moire__config_table_text(&setup->table, "data");
  if (!moire__config_table_text(&setup->table, "model"))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: model: wanted the name of a model", config);
  if (!*found) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: names no data: wanted --data FILE", config);
  return MOIRE_OK;
}

char *tool_default_directory(const char *config) {
  const char *name = strrchr(config, '/') ? strrchr(config, '/') + 1 : config;
  const char *dot = strrchr(name, '.');
  moire__text out = {0};
  moire__text_add(&out, "out/%.*s", (int)(dot && dot > name ? dot - name : (ptrdiff_t)strlen(name)), name);
  return out.data;
}

static const char *size_key(const moire_model *model) {
  return model->kind == MOIRE_MODEL_ITEM_CODER ? "feature_dim" : "item_size";
}

moire_status tool_setup_assume(tool_setup *setup, const char *model, const char *origin, int64_t size,
                               moire_error *error) {
  moire_status status = find_model(setup, model, error);
  if (status || moire__config_table_find(&setup->table, size_key(setup->model))) return status;
  return add_value(setup, origin, size_key(setup->model), json_integer(size), error);
}

const char *tool_served_output(const moire_model *model) {
  return model->kind == MOIRE_MODEL_ITEM_CODER ? "codes" : "logits";
}

moire_status tool_setup_build(tool_setup *setup, const char *model, const char *where, moire_error *error) {
  moire_status status = find_model(setup, model, error);
  if (!status) status = add_value(setup, where, "model", json_string(model), error);
  if (status) return status;
  moire__config_fields sets[2] = {{setup->model->fields, setup->model->n_fields},
                                  moire__trainer_fields(setup->model->kind)};
  moire_config *configs[2] = {NULL, NULL};
  free_configs(setup);
  status = moire__config_build(&setup->table, where, sets, 2, configs, error);
  if (status) return status;
  setup->config = configs[0];
  setup->training = configs[1];
  if (!setup->model->check) return MOIRE_OK;
  moire_error reason = {0};
  status = setup->model->check(setup->config, &reason);
  return status ? moire_fail(error, status, "%s: %s", where, reason.message) : MOIRE_OK;
}

moire_status tool_setup_need(tool_setup *setup, const char *model, moire_model_kind kind, moire_error *error) {
  moire_status status = find_model(setup, model, error);
  if (status || setup->model->kind == kind) return status;
  return moire_fail(
      error, MOIRE_ERROR_ARGUMENT,
      kind == MOIRE_MODEL_SEQUENTIAL
          ? "%s codes items and knows no sequences: it is for `moire train`, `encode` and `decode`"
          : "%s is a sequential model, wanted one that codes items, such as semantic_id",
      setup->model->name);
}

moire_status tool_setup_items(tool_setup *setup, const char *model, const char *where,
                              const moire__features *features, moire_error *error) {
  moire_status status = tool_setup_need(setup, model, MOIRE_MODEL_ITEM_CODER, error);
  if (!status) status = tool_setup_assume(setup, model, features->path, features->width, error);
  if (!status) status = tool_setup_build(setup, model, where, error);
  if (status) return status;
  int64_t known = moire_config_int(setup->config, "feature_dim");
  if (known == features->width) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE,
                    "%s: has %" PRId64 " features an item, but %s says feature_dim %" PRId64, features->path,
                    features->width, where, known);
}

/* The length of the inputs is needed to read the data, and the data to know how many items there are: where
 * nobody says, a first configuration is made with the fewest. */
moire_status tool_setup_data(tool_setup *setup, const char *model, const char *where, const char *data,
                             moire_error *error) {
  bool from_data = !moire__config_table_find(&setup->table, "item_size");
  moire_status status = tool_setup_need(setup, model, MOIRE_MODEL_SEQUENTIAL, error);
  if (!status && from_data) status = add_value(setup, data, "item_size", json_integer(2), error);
  if (!status) status = tool_setup_build(setup, model, where, error);
  if (status) return status;
  int length = (int)moire_config_int(setup->config, "max_seq_length");
  status = moire__dataset_load(data, length, &setup->dataset, error);
  if (status) return status;
  int64_t known = moire_config_int(setup->config, "item_size"), there = setup->dataset->item_size;
  if (from_data) {
    status = add_value(setup, data, "item_size", json_integer(there), error);
    return status ? status : tool_setup_build(setup, model, where, error);
  }
  if (there <= known) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "%s: has item %" PRId64 ", but %s says item_size %" PRId64 ": items up to %" PRId64, data,
                    there - 1, where, known, known - 1);
}

moire_graph *tool_build_graph(const tool_setup *setup, moire_mode mode, moire_error *error) {
  moire_graph *graph = moire_graph_create(setup->model->name, mode);
  setup->model->build(graph, setup->config);
  if (!moire_graph_status(graph, error)) return graph;
  moire_graph_destroy(graph);
  return NULL;
}

static moire_precision precision_of(const moire_config *training) {
  return strcmp(moire_config_string(training, "precision"), "bf16") ? MOIRE_PRECISION_F32
                                                                    : MOIRE_PRECISION_BF16;
}

static unsigned switched_off(const moire_config *training) {
  unsigned off = 0;
  for (int i = 0; i < MOIRE_OPTIMIZATION_COUNT; i++) {
    bool on = moire_config_bool(training, moire_optimization_name((moire_optimization)i));
    if (!on) off |= 1u << i;
  }
  return off;
}

moire_compile_options tool_compile_options(const moire_config *training) {
  bool adamw = !strcmp(moire_config_string(training, "optimizer"), "adamw");
  moire_compile_options o = moire_compile_defaults();
  o.optimizer = adamw ? MOIRE_OPTIMIZER_ADAMW : MOIRE_OPTIMIZER_ADAM;
  o.lr = moire_config_real(training, "lr");
  o.beta1 = moire_config_real(training, "beta1");
  o.beta2 = moire_config_real(training, "beta2");
  o.eps = moire_config_real(training, "eps");
  o.weight_decay = moire_config_real(training, "weight_decay");
  o.precision = precision_of(training);
  o.off = switched_off(training);
  return o;
}

static moire_program *compile_outputs(const tool_setup *setup, moire_mode mode, const char *const *outputs,
                                      int n, moire_compile_options options, int threads, moire_error *error) {
  moire_graph *graph = tool_build_graph(setup, mode, error);
  if (!graph) return NULL;
  options.outputs = outputs;
  options.n_outputs = n;
  options.threads = threads;
  options.keep_kernels = setup->keep_kernels;
  moire_program *program = moire_compile(graph, &options, error);
  moire_graph_destroy(graph);
  return program;
}

moire_program *tool_compile_inference(const tool_setup *setup, const char *const *outputs, int n, int threads,
                                      moire_error *error) {
  moire_compile_options options = moire_compile_defaults();
  options.off = switched_off(setup->training);
  options.precision = precision_of(setup->training);
  return compile_outputs(setup, MOIRE_INFERENCE, outputs, n, options, threads, error);
}

moire_program *tool_compile_scores(const tool_setup *setup, int threads, moire_error *error) {
  static const char *const outputs[] = {"logits"};
  return tool_compile_inference(setup, outputs, 1, threads, error);
}

/* What the trainer reads of a step: the loss, and of an item coder what dead codes are put onto. */
static const char *const *step_outputs(const tool_setup *setup, moire__arena *arena, int *n) {
  const int64_t *sizes = NULL;
  bool restarts =
      setup->model->kind == MOIRE_MODEL_ITEM_CODER && moire_config_int(setup->config, "restart_after") > 0;
  int levels = restarts ? moire_config_ints(setup->config, "codebook_sizes", &sizes) : 0;
  const char **outputs = moire__arena_array(arena, (size_t)levels + 1, sizeof *outputs);
  outputs[0] = "loss";
  for (int l = 0; l < levels; l++) outputs[l + 1] = moire__arena_printf(arena, "residuals.%d", l);
  *n = levels + 1;
  return outputs;
}

moire_program *tool_compile_step(const tool_setup *setup, int threads, moire_error *error) {
  moire__arena arena = {0};
  int n = 0;
  const char *const *outputs = step_outputs(setup, &arena, &n);
  moire_compile_options options = tool_compile_options(setup->training);
  options.loss = "loss";
  moire_program *program = compile_outputs(setup, MOIRE_TRAINING, outputs, n, options, threads, error);
  moire__arena_free(&arena);
  return program;
}

/* ---- Results ----------------------------------------------------------------------------------------------
 */

void tool_print_measures(const char *const *names, const moire__measures *columns, int n) {
  printf("%-14s", "");
  for (int j = 0; j < n; j++) printf(" %12s", names[j]);
  printf("\n");
  for (int i = 0; i < columns[0].n; i++) {
    printf("%-14s", columns[0].at[i].name);
    for (int j = 0; j < n; j++) printf(" %12.4f", columns[j].at[i].value);
    printf("\n");
  }
}
