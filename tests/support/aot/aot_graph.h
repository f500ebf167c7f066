/* Graphs of a test's own as libraries with the interface "run", and the JIT beside them.
 *
 * Structs of inputs and outputs are arrays of pointers here, in the order of the graph's inputs and outputs. */
#ifndef MOIRE_TESTS_SUPPORT_AOT_AOT_GRAPH_H
#define MOIRE_TESTS_SUPPORT_AOT_AOT_GRAPH_H

#include "tests/support/aot/aot.h"

typedef struct aot_graph {
  moire_graph *inference, *training; /* owned; training NULL: there is none */
  const char *const *outputs;        /* that the library gives; NULL: as it chooses */
  int n_outputs;
  moire_compile_options optimizer;
  moire_store *store;
} aot_graph;

/* `build` adds to the graph what the model does in its mode. Draws the states of both graphs by `seed`. Ends
 * the program with a sentence on failure. */
void aot_graph_make(aot_graph *m, void (*build)(moire_graph *g), bool training, uint64_t seed);
/* The same of a graph that is there already, which `m` owns from then on. */
void aot_graph_take(aot_graph *m, moire_graph *inference, uint64_t seed);
void aot_graph_free(aot_graph *m);

typedef struct aot_graph_library {
  aot_library base;
  library_status (*run)(const library_model *model, library_workspace *workspace, int64_t n, const void *inputs,
                        const void *outputs);
  library_status (*step)(library_state *state, library_workspace *workspace, int64_t n, const void *examples,
                         uint64_t seed, int64_t step, float *loss);
  library_status (*loss)(library_state *state, library_workspace *workspace, int64_t n, const void *examples,
                         float *loss);
} aot_graph_library;

moire_status aot_graph_write(const aot_graph *m, const aot_wish *wish, const char *directory,
                             moire_error *error);
aot_graph_library aot_graph_open(const char *path, const char *prefix);
/* Writes it and loads it; ends the program with a sentence on failure. */
aot_graph_library aot_graph_load(const aot_graph *m, const aot_wish *wish, const char *directory);

/* What the JIT runs with: the program and a runner on the graph's store. */
typedef struct aot_graph_jit {
  moire_program *program;
  moire_threads *threads;
  moire_runner *runner;
} aot_graph_jit;

/* For the outputs, or the optimizer's step if `training`. */
aot_graph_jit aot_graph_jit_start(aot_graph *m, const char *const *outputs, int n, bool training,
                                  const char *cpu);
void aot_graph_jit_stop(aot_graph_jit *jit);
/* Inputs that the program does not read are passed over. `elements` of all n samples. */
void aot_graph_jit_set(aot_graph_jit *jit, const char *name, const void *data, int64_t elements);
void aot_graph_jit_run(aot_graph_jit *jit, int64_t n);

/* Whether this machine runs code for it. */
bool aot_runs(const char *cpu);

#endif
