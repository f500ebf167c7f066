/* Programs of a model. See setup.h. */
#include "runtime/base/memory.h"
#include "tasks/task.h"

#include <string.h>

moire_graph *moire__setup_graph(const moire__setup *setup, moire_mode mode, moire_error *error) {
  moire_graph *graph = moire_graph_create(setup->model->name, mode);
  moire_model_build(setup->model, graph, setup->config);
  if (!moire_graph_status(graph, error)) return graph;
  moire_graph_destroy(graph);
  return NULL;
}

static moire_precision precision_of(const moire_config *training) {
  const char *name = moire_config_string(training, "precision");
  if (!strcmp(name, "int8")) return MOIRE_PRECISION_INT8;
  return strcmp(name, "bf16") ? MOIRE_PRECISION_F32 : MOIRE_PRECISION_BF16;
}

static unsigned switched_off(const moire_config *training) {
  unsigned off = 0;
  for (int i = 0; i < MOIRE_OPTIMIZATION_COUNT; i++) {
    bool on = moire_config_bool(training, moire_optimization_name((moire_optimization)i));
    if (!on) off |= 1u << i;
  }
  return off;
}

moire_compile_options moire__setup_inference_options(const moire_config *training) {
  moire_compile_options o = moire_compile_defaults();
  o.precision = precision_of(training);
  o.off = switched_off(training);
  return o;
}

moire_status moire__setup_options(const moire_config *training, int64_t steps, moire__training *room,
                                  moire_compile_options *options, moire_error *error) {
  *options = moire__setup_inference_options(training);
  moire_status status = moire__training_read(room, training, steps, error);
  options->training = room->options;
  return status;
}

static moire_program *compile_outputs(const moire__setup *setup, moire_mode mode, const char *const *outputs,
                                      int n, moire_compile_options options, int threads, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, mode, error);
  if (!graph) return NULL;
  options.outputs = outputs;
  options.n_outputs = n;
  options.threads = threads;
  options.keep_kernels = setup->keep_kernels || setup->plain;
  moire_program *program = moire_compile(graph, &options, error);
  moire_graph_destroy(graph);
  return program;
}

moire_program *moire__setup_compile(const moire__setup *setup, const char *const *outputs, int n, int threads,
                                    moire_error *error) {
  return compile_outputs(setup, MOIRE_INFERENCE, outputs, n, moire__setup_inference_options(setup->training),
                         threads, error);
}

moire_program *moire__setup_compile_fixed(const moire__setup *setup, const char *const *outputs, int n,
                                          const moire_fixed_extent *fixed, int n_fixed, int threads,
                                          moire_error *error) {
  moire_compile_options options = moire__setup_inference_options(setup->training);
  options.fixed = fixed;
  options.n_fixed = n_fixed;
  return compile_outputs(setup, MOIRE_INFERENCE, outputs, n, options, threads, error);
}

moire_program *moire__setup_compile_served(const moire__setup *setup, int threads, moire_error *error) {
  moire__arena arena = {0};
  int n = 0;
  const char *const *outputs = setup->task->served(setup, &arena, &n, error);
  moire_program *program = outputs ? moire__setup_compile(setup, outputs, n, threads, error) : NULL;
  moire__arena_free(&arena);
  return program;
}

moire_program *moire__setup_compile_step(const moire__setup *setup, int threads, moire_error *error) {
  moire__arena arena = {0};
  int n = 0;
  const char *const *outputs = setup->task->step(setup, &arena, &n, error);
  moire__training room;
  moire_compile_options options;
  moire_program *program = NULL;
  if (outputs && !moire__setup_options(setup->training, -1, &room, &options, error)) {
    options.loss = "loss";
    options.part = setup->part;
    options.parts = (int)moire_config_int(setup->training, "batch_groups");
    if (setup->plain) options.off |= 1u << MOIRE_OPTIMIZATION_fuse | 1u << MOIRE_OPTIMIZATION_epilogue;
    program = compile_outputs(setup, MOIRE_TRAINING, outputs, n, options, threads, error);
  }
  moire__arena_free(&arena);
  return program;
}
