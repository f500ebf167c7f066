/* Libraries for tests. See aot.h. */
#include "tests/support/aot/aot.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void aot_need(moire_status status, const moire_error *error) {
  if (!status) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

/* ---- Loading ---------------------------------------------------------------------------------------- */

static void find(const aot_library *library, const char *prefix, const char *name, bool always,
                 void *function) {
  char symbol[96];
  snprintf(symbol, sizeof symbol, "%s_%s", prefix, name);
  void *found = dlsym(library->handle, symbol);
  if (!found && always) {
    fprintf(stderr, "%s is missing\n", symbol);
    exit(1);
  }
  memcpy(function, &found, sizeof found);
}

aot_library aot_load(const char *path, const char *prefix) {
  aot_library library = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
  if (!library.handle) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
#define AOT_FUNCTION(name, always) find(&library, prefix, #name, always, &library.name);
  AOT_FUNCTIONS(AOT_FUNCTION)
#undef AOT_FUNCTION
  return library;
}

void aot_unload(aot_library *library) {
  dlclose(library->handle);
  *library = (aot_library){0};
}

/* ---- Models ----------------------------------------------------------------------------------------- */

static moire_graph *build(const aot_model *m, moire_mode mode) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create(m->model->name, mode);
  m->model->build(g, m->config);
  aot_need(moire_graph_status(g, &error), &error);
  return g;
}

static void declare(aot_model *m, const moire_graph *graph, const char *output, uint64_t seed) {
  moire_error error = {0};
  moire_compile_options wanted = moire_compile_defaults();
  wanted.outputs = &output;
  wanted.n_outputs = 1;
  moire_oracle *oracle = moire_oracle_create(graph, &wanted, &error);
  if (!oracle) aot_need(MOIRE_ERROR_INTERNAL, &error);
  int n = moire_oracle_state_count(oracle);
  moire_plan_state *states = moire__allocate_array((size_t)n + 1, sizeof *states);
  for (int i = 0; i < n; i++) states[i] = moire_oracle_state(oracle, i);
  moire_plan plan = {.name = "test", .states = states, .n_states = n};
  aot_need(moire_store_declare(m->store, &plan, seed, &error), &error);
  moire__release(states);
  moire_oracle_destroy(oracle);
}

void aot_model_make(aot_model *m, const char *model, const char *config, uint64_t seed) {
  moire_error error = {0};
  m->model = moire_model_find(model, &error);
  if (!m->model) aot_need(MOIRE_ERROR_ARGUMENT, &error);
  moire__config_table table = {0};
  moire__config_fields fields = {m->model->fields, m->model->n_fields};
  aot_need(moire__config_table_add_json(&table, "test", config, &error), &error);
  aot_need(moire__config_build(&table, "test", &fields, 1, &m->config, &error), &error);
  moire__config_table_free(&table);
  m->inference = build(m, MOIRE_INFERENCE);
  m->training = build(m, MOIRE_TRAINING);
  m->optimizer = moire_compile_defaults();
  m->optimizer.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  m->store = moire_store_create();
  declare(m, m->inference, "logits", seed);
  declare(m, m->training, "loss", seed);
}

void aot_model_free(aot_model *m) {
  moire_store_destroy(m->store);
  moire_graph_destroy(m->inference);
  moire_graph_destroy(m->training);
  moire__config_free(m->config);
  *m = (aot_model){0};
}

/* ---- Making ----------------------------------------------------------------------------------------- */

static void choose_compiler(char *cc, size_t room) {
  const char *sanitize = getenv("MOIRE_SANITIZE");
  bool some = sanitize && *sanitize;
  snprintf(cc, room, "cc%s%s%s", some ? " -g -fno-sanitize-recover=all -fsanitize=" : "", some ? sanitize : "",
           " -Wall -Wextra -Werror -Wno-unused-function");
}

moire_status aot_write_model(const moire_ahead_model *model, const aot_wish *wish, const char *directory,
                             moire_error *error) {
  char cc[256];
  choose_compiler(cc, sizeof cc);
  moire_ahead_options options = moire_ahead_defaults();
  options.name = wish->name;
  options.directory = directory;
  options.cc = wish->cc ? wish->cc : cc;
  options.external_weights = wish->external;
  const char *cpus[] = {wish->cpu, wish->below};
  if (wish->cpu) {
    options.cpus = cpus;
    options.n_cpus = wish->below ? 2 : 1;
  }
  return moire_ahead_write(model, &options, error);
}

moire_status aot_write(const aot_model *m, const aot_wish *wish, const char *directory, moire_error *error) {
  int n = moire_store_count(m->store);
  moire_ahead_weight *weights = moire__allocate_array((size_t)n + 1, sizeof *weights);
  for (int i = 0; i < n; i++) {
    weights[i].name = moire_store_at(m->store, i).name;
    weights[i].data = moire_store_data(m->store, weights[i].name, &weights[i].elements);
  }
  moire__text config = {0};
  moire__config_to_json(m->config, &config);
  moire_ahead_model model = {.name = m->model->name,
                             .config = config.data,
                             .inference = m->inference,
                             .training = wish->training ? m->training : NULL,
                             .optimizer = &m->optimizer,
                             .weights = wish->no_weights ? NULL : weights,
                             .n_weights = wish->no_weights ? 0 : n};
  moire_status status = aot_write_model(&model, wish, directory, error);
  moire__text_free(&config);
  moire__release(weights);
  return status;
}

aot_library aot_make(const aot_model *m, const aot_wish *wish, const char *directory) {
  moire_error error = {0};
  char path[512];
  aot_need(aot_write(m, wish, directory, &error), &error);
  snprintf(path, sizeof path, "%s/%s.so", directory, wish->name);
  return aot_load(path, wish->name);
}

moire_program *aot_jit(const aot_model *m, const char *output, bool training, const char *cpu) {
  moire_error error = {0};
  moire_compile_options wanted = training ? m->optimizer : moire_compile_defaults();
  wanted.outputs = &output;
  wanted.n_outputs = 1;
  wanted.loss = training ? output : NULL;
  wanted.precision = m->optimizer.precision;
  wanted.target = cpu;
  moire_program *program = moire_compile(training ? m->training : m->inference, &wanted, &error);
  if (!program) aot_need(MOIRE_ERROR_INTERNAL, &error);
  return program;
}

/* ---- Histories -------------------------------------------------------------------------------------- */

library_lists aot_histories(int64_t n, int64_t length, int64_t item_size, uint64_t seed) {
  moire__random random = moire__random_start(seed, 1);
  int64_t *offsets = moire__allocate_array((size_t)n + 1, sizeof *offsets);
  int32_t *items = moire__allocate_array((size_t)(n * length * 2), sizeof *items);
  for (int64_t i = 0; i < n; i++) {
    int64_t count = i ? (int64_t)moire__random_below(&random, (uint64_t)(length + length / 2) + 1) : 0;
    offsets[i + 1] = offsets[i] + count;
    for (int64_t j = offsets[i]; j < offsets[i + 1]; j++)
      items[j] = 1 + (int32_t)moire__random_below(&random, (uint64_t)item_size - 1);
  }
  return (library_lists){offsets, items};
}

void aot_histories_free(library_lists *lists) {
  moire__release((void *)(uintptr_t)lists->offsets);
  moire__release((void *)(uintptr_t)lists->items);
}

int32_t *aot_pad(const library_lists *lists, int64_t n, int64_t length) {
  int32_t *ids = moire__allocate_array((size_t)(n * length), sizeof *ids);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = lists->offsets[i + 1];
    for (int64_t j = length - 1; j >= 0 && at > lists->offsets[i]; j--)
      ids[i * length + j] = lists->items[--at];
  }
  return ids;
}
