/* Graphs as libraries. See aot_graph.h. */
#include "tests/support/aot/aot_graph.h"

#include "compiler/codegen/codegen.h"
#include "runtime/base/memory.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Declares the states that a program for these outputs has. */
static void declare(aot_graph *m, const moire_graph *graph, const char *const *outputs, int n, uint64_t seed) {
  moire_error error = {0};
  moire_compile_options wanted = moire_compile_defaults();
  wanted.outputs = outputs;
  wanted.n_outputs = n;
  moire_oracle *oracle = moire_oracle_create(graph, &wanted, &error);
  if (!oracle) aot_need(MOIRE_ERROR_INTERNAL, &error);
  int count = moire_oracle_state_count(oracle);
  moire_plan_state *states = moire__allocate_array((size_t)count + 1, sizeof *states);
  for (int i = 0; i < count; i++) states[i] = moire_oracle_state(oracle, i);
  moire_plan plan = {.name = "test", .states = states, .n_states = count};
  aot_need(moire_store_declare(m->store, &plan, seed, &error), &error);
  moire__release(states);
  moire_oracle_destroy(oracle);
}

static void declare_all(aot_graph *m, const moire_graph *graph, uint64_t seed) {
  const char **outputs = moire__allocate_array((size_t)graph->n_outputs + 1, sizeof *outputs);
  for (int i = 0; i < graph->n_outputs; i++) outputs[i] = graph->outputs[i].name;
  declare(m, graph, outputs, graph->n_outputs, seed);
  moire__release(outputs);
}

void aot_graph_take(aot_graph *m, moire_graph *inference, uint64_t seed) {
  moire_error error = {0};
  m->inference = inference;
  aot_need(moire_graph_status(m->inference, &error), &error);
  m->store = moire_store_create();
  m->optimizer = moire_compile_defaults();
  declare_all(m, m->inference, seed);
}

void aot_graph_make(aot_graph *m, void (*build)(moire_graph *g), bool training, uint64_t seed) {
  static const char *const loss[] = {"loss"};
  moire_error error = {0};
  moire_graph *inference = moire_graph_create("net", MOIRE_INFERENCE);
  build(inference);
  aot_graph_take(m, inference, seed);
  if (!training) return;
  m->optimizer.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  m->training = moire_graph_create("net", MOIRE_TRAINING);
  build(m->training);
  aot_need(moire_graph_status(m->training, &error), &error);
  declare(m, m->training, loss, 1, seed);
}

void aot_graph_free(aot_graph *m) {
  moire_store_destroy(m->store);
  moire_graph_destroy(m->inference);
  moire_graph_destroy(m->training);
  *m = (aot_graph){0};
}

/* ---- The library ------------------------------------------------------------------------------------ */

moire_status aot_graph_write(const aot_graph *m, const aot_wish *wish, const char *directory,
                             moire_error *error) {
  int n = moire_store_count(m->store);
  moire_ahead_weight *weights = moire__allocate_array((size_t)n + 1, sizeof *weights);
  for (int i = 0; i < n; i++) {
    weights[i].name = moire_store_at(m->store, i).name;
    weights[i].data = moire_store_data(m->store, weights[i].name, &weights[i].elements);
  }
  moire_ahead_model model = {.name = "net",
                             .interface = "run",
                             .outputs = m->outputs,
                             .n_outputs = m->n_outputs,
                             .config = "{}",
                             .inference = m->inference,
                             .training = wish->training ? m->training : NULL,
                             .optimizer = &m->optimizer,
                             .weights = wish->no_weights ? NULL : weights,
                             .n_weights = wish->no_weights ? 0 : n};
  moire_status status = aot_write_model(&model, wish, directory, error);
  moire__release(weights);
  return status;
}

static void find(const aot_graph_library *library, const char *prefix, const char *name, void *function) {
  char symbol[96];
  snprintf(symbol, sizeof symbol, "%s_%s", prefix, name);
  void *found = dlsym(library->base.handle, symbol);
  memcpy(function, &found, sizeof found);
}

aot_graph_library aot_graph_open(const char *path, const char *prefix) {
  aot_graph_library library = {.base = aot_load(path, prefix)};
  find(&library, prefix, "run", &library.run);
  find(&library, prefix, "step", &library.step);
  find(&library, prefix, "loss", &library.loss);
  return library;
}

aot_graph_library aot_graph_load(const aot_graph *m, const aot_wish *wish, const char *directory) {
  moire_error error = {0};
  char path[700];
  aot_need(aot_graph_write(m, wish, directory, &error), &error);
  snprintf(path, sizeof path, "%s/%s.so", directory, wish->name);
  return aot_graph_open(path, wish->name);
}

/* ---- The JIT ---------------------------------------------------------------------------------------- */

aot_graph_jit aot_graph_jit_start(aot_graph *m, const char *const *outputs, int n, bool training,
                                  const char *cpu) {
  moire_error error = {0};
  moire_compile_options wanted = m->optimizer;
  if (!training) wanted.training.optimizer = MOIRE_OPTIMIZER_NONE;
  wanted.outputs = outputs;
  wanted.n_outputs = n;
  wanted.loss = training ? "loss" : NULL;
  wanted.target = cpu;
  aot_graph_jit jit = {.program = moire_compile(training ? m->training : m->inference, &wanted, &error)};
  if (!jit.program) aot_need(MOIRE_ERROR_INTERNAL, &error);
  const moire_plan *plan = moire_program_plan(jit.program);
  aot_need(moire_store_declare(m->store, plan, 0, &error), &error);
  jit.threads = moire_threads_create(2, &error);
  jit.runner = moire_runner_create(plan, m->store, jit.threads, &error);
  if (!jit.threads || !jit.runner) aot_need(MOIRE_ERROR_INTERNAL, &error);
  return jit;
}

void aot_graph_jit_stop(aot_graph_jit *jit) {
  moire_runner_destroy(jit->runner);
  moire_program_destroy(jit->program);
  moire_threads_destroy(jit->threads);
}

void aot_graph_jit_set(aot_graph_jit *jit, const char *name, const void *data, int64_t elements) {
  moire_error error = {0};
  if (moire_runner_has_input(jit->runner, name))
    aot_need(moire_runner_set_input(jit->runner, name, data, elements, &error), &error);
}

void aot_graph_jit_run(aot_graph_jit *jit, int64_t n) {
  moire_error error = {0};
  aot_need(moire_runner_set_extent(jit->runner, "B", n, &error), &error);
  aot_need(moire_runner_run(jit->runner, &error), &error);
}

bool aot_runs(const char *cpu) {
  moire_error error = {0};
  moire__target target;
  return !moire__target_named(cpu, &target, &error) && !moire__target_runs_here(&target, &error);
}
