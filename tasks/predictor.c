/* Trained models. See predictor.h. */
#include "tasks/predictor.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/weights.h"
#include "tasks/imported.h"
#include "tasks/task.h"

#include <stdio.h>
#include <string.h>

static const char *model_of(const moire__sources *s, const char *stored, moire_error *error) {
  if (s->model) return s->model;
  if (!stored) {
    moire_fail(error, MOIRE_ERROR_FORMAT,
               "%s: does not say which model it holds: wanted --model NAME and --config FILE", s->checkpoint);
    return NULL;
  }
  moire_error ignored = {0};
  if (!moire__setup_is_path(stored) && moire_model_find(stored, &ignored)) return stored;
  moire_fail(error, MOIRE_ERROR_ARGUMENT,
             "%s: holds the model %.80s, which is not of the library: wanted --model PATH of its shared object "
             "or .pt2",
             s->checkpoint, stored);
  return NULL;
}

/* A configuration beside the weights, where they hold none: *model is what it says, in the table's keeping. */
static moire_status read_beside(moire__predictor *t, const char **model, bool *found, moire_error *error) {
  moire_status status = MOIRE_OK;
  char *text = moire__safetensors_metadata(t->file, "config") || t->sources->config
                   ? NULL
                   : moire__weights_config(t->sources->checkpoint, &t->config_path);
  *found = text != NULL;
  if (text) status = moire__config_table_add_json(&t->setup.table, t->config_path, text, error);
  if (text && !*model) *model = moire__config_table_text(&t->setup.table, "model_type");
  moire__release(text);
  return status;
}

static moire_status read_config(const moire__safetensors *file, moire__setup *setup, const moire__sources *s,
                                bool beside, moire_error *error) {
  const char *stored = moire__safetensors_metadata(file, "config");
  moire_status status = MOIRE_OK;
  if (!stored && !s->config && !beside && !setup->imported && !(s->model && moire_import_is(s->model)))
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: holds no configuration: wanted --config FILE",
                      s->checkpoint);
  if (stored) status = moire__config_table_add_json(&setup->table, s->checkpoint, stored, error);
  if (!status && s->config) status = moire__config_table_add_yaml(&setup->table, s->config, error);
  char precision[32];
  snprintf(precision, sizeof precision, "precision=%s", s->precision ? s->precision : "");
  if (!status && s->precision) status = moire__config_table_set(&setup->table, "--precision", precision, error);
  for (int i = 0; i < s->n_assignments && !status; i++)
    status = moire__config_table_set(&setup->table, "--set", s->assignments[i], error);
  return status;
}

/* A program of torch.export is its own model, with its own weights. */
static moire_status open_imported(moire__predictor *t, const moire__sources *s, moire_error *error) {
  moire_status status = moire__setup_find(&t->setup, s->checkpoint, s->checkpoint, error);
  if (!status) status = moire__setup_own_weights(&t->setup, &t->file, error);
  t->setup.weights = t->file;
  return status ? status : read_config(t->file, &t->setup, s, false, error);
}

moire_status moire__predictor_open(moire__predictor *t, const moire__sources *s, moire_error *error) {
  t->sources = s;
  if (moire_import_is(s->checkpoint)) return open_imported(t, s, error);
  moire_status status = moire__weights_open(s->checkpoint, &t->file, error);
  if (status) return status;
  bool beside = false;
  const char *stored = moire__safetensors_metadata(t->file, "model");
  status = read_beside(t, &stored, &beside, error);
  const char *model = status ? NULL : model_of(s, stored, error);
  if (!model) return MOIRE_ERROR_ARGUMENT;
  t->setup.weights = t->file;
  status = read_config(t->file, &t->setup, s, beside, error);
  if (!status) status = moire__setup_find(&t->setup, model, moire__predictor_where(t), error);
  if (!status && t->setup.task->complete) status = t->setup.task->complete(&t->setup, t->file, error);
  return status;
}

const char *moire__predictor_where(const moire__predictor *t) {
  return t->sources->config ? t->sources->config : t->sources->checkpoint;
}

static bool has_state(const moire_graph *graph, const char *name) {
  for (int i = 0; i < moire_graph_state_count(graph); i++) {
    if (!strcmp(moire_graph_state(graph, i).name, name)) return true;
  }
  return false;
}

/* Tensors that the task knows to be of no use are passed over. */
static void forget_useless(const moire__predictor *t, const moire_graph *graph) {
  for (int i = moire__safetensors_count(t->file) - 1; t->setup.task->ignores && i >= 0; i--) {
    const char *name = moire__safetensors_at(t->file, i)->name;
    if (t->setup.task->ignores(name) && !has_state(graph, name)) moire__safetensors_forget(t->file, name);
  }
}

moire_status moire__predictor_check(const moire__predictor *t, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&t->setup, MOIRE_INFERENCE, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  int n = moire_graph_state_count(graph);
  forget_useless(t, graph);
  moire_port *states = moire__allocate_array((size_t)n + 1, sizeof *states);
  for (int i = 0; i < n; i++) states[i] = moire_graph_state(graph, i);
  moire_status status = moire__checkpoint_check(t->file, states, n, error);
  moire__release(states);
  moire_graph_destroy(graph);
  return status;
}

moire_status moire__predictor_compile(moire__predictor *t, const char *const *outputs, int n,
                                      moire_error *error) {
  moire_status status = moire__predictor_check(t, error);
  if (status) return status;
  t->program = moire__setup_compile(&t->setup, outputs, n, t->sources->threads, error);
  t->threads = t->program ? moire_threads_create(t->sources->threads, error) : NULL;
  if (!t->threads) return MOIRE_ERROR_ARGUMENT;
  const moire_plan *plan = moire_program_plan(t->program);
  t->store = moire_store_create();
  status = moire_store_declare(t->store, plan, 0, error);
  if (!status) status = moire__setup_fill(&t->setup, t->store, error);
  if (!status) status = moire__checkpoint_load(t->file, t->store, MOIRE__CHECKPOINT_MODEL, error);
  if (status) return status;
  moire__safetensors_close(t->file);
  t->setup.weights = t->file = NULL;
  t->runner = moire_runner_create(plan, t->store, t->threads, error);
  return t->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

void moire__predictor_free(moire__predictor *t) {
  moire_runner_destroy(t->runner);
  moire_store_destroy(t->store);
  moire_threads_destroy(t->threads);
  moire_program_destroy(t->program);
  moire__safetensors_close(t->file);
  moire__setup_free(&t->setup);
  moire__release(t->config_path);
  *t = (moire__predictor){0};
}
