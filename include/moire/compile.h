/* Compiling: from a model's graph to a program, native code for this machine behind a plan.
 *
 *   moire_graph *g = moire_graph_create("qia", MOIRE_TRAINING);
 *   model->build(g, config);
 *   moire_compile_options options = moire_compile_defaults();
 *   options.outputs = (const char *[]){"loss"}; options.n_outputs = 1;
 *   options.loss = "loss"; options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
 *   moire_program *program = moire_compile(g, &options, &error);
 *
 * With MOIRE_DEBUG in the environment, a list of "gdb", "perf" and "map", debuggers and perf are told of the
 * code that is loaded, which then knows the model's lines (docs/perf_gdb_valgrind.md).
 */
#ifndef MOIRE_COMPILE_H
#define MOIRE_COMPILE_H

#include "moire/graph.h"
#include "moire/optimizer.h"
#include "moire/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the compiler does to make programs fast, and what can be turned off to find out whether it is at fault:
 * results are the same with and without, but for rounding. `--set NAME=false` does so in the command. */
#define MOIRE_OPTIMIZATIONS(X)                                                                                 \
  X(banks, "filters along one sequence that are added up become one")                                          \
  X(unite, "complex products that are spelled by planes become complex ones")                                  \
  X(recognise, "attention that is spelled in primitives becomes one operation")                                \
  X(wide_loss, "scores of many words that only a loss reads are never stored")                                 \
  X(joint, "scores of many words are computed once for a loss and its gradients")                              \
  X(demand, "rows that nothing reads are not computed")                                                        \
  X(tables, "linear maps of rows that are looked up are made of the tables")                                   \
  X(pack, "padding is left out")                                                                               \
  X(attend, "attention stores no scores")                                                                      \
  X(attend_tiles, "attention of long sequences multiplies bf16 by tiles, with precision bf16")                 \
  X(taps, "filter taps that only meet the zeros before a sequence are skipped")                                \
  X(cse, "what is computed twice is computed once")                                                            \
  X(flatten, "reshapes move out of the way of fusion")                                                         \
  X(windows, "convolutions copy no window for each place")                                                     \
  X(coarse, "the nearest codes are looked for in bf16 first, where products are of bf16")                      \
  X(triple, "complex products are made of three real ones")                                                    \
  X(blocking, "real products are made by blocks that stay in caches")                                          \
  X(halve, "what products round to bf16 is stored so")                                                         \
  X(fuse, "operations share kernels")                                                                          \
  X(epilogue, "what is done to each element of a product is done in its kernel")                               \
  X(flush, "numbers below the normal range, 1.2e-38, count as zero")

typedef enum moire_optimization {
#define MOIRE_OPTIMIZATION_ENUM(name, purpose) MOIRE_OPTIMIZATION_##name,
  MOIRE_OPTIMIZATIONS(MOIRE_OPTIMIZATION_ENUM)
#undef MOIRE_OPTIMIZATION_ENUM
      MOIRE_OPTIMIZATION_COUNT
} moire_optimization;

const char *moire_optimization_name(moire_optimization which); /* "fuse" */

/* What operands of matrix products are rounded to before they are multiplied. Sums, weights, moments and all
 * else are f32 in every case. INT8 is of inference: operands that depend on states alone, the rows of a linear
 * map's weight, become whole numbers from -127 to 127 times the row's scale, its largest magnitude / 127. */
typedef enum moire_precision {
  MOIRE_PRECISION_F32,
  MOIRE_PRECISION_BF16,
  MOIRE_PRECISION_INT8
} moire_precision;

/* A named extent that is always so large in a program. */
typedef struct moire_fixed_extent {
  const char *name;
  int64_t size;
} moire_fixed_extent;

/* A step of training may be made of two programs, so that parts of a batch can be run one by one, by whoever
 * adds up what they give (docs/mpi.md). SUMS runs for a part: it gives the outputs, the gradients as
 * "grad.<parameter>", and "group.sum.<i>" of what the model sums over the batch for states of its own; it
 * changes no state. The extent "B_first" says how many samples of the whole batch stand before the part's. STEP
 * runs once: its inputs are those gradients and sums, of the whole batch, and it changes the states.
 *
 * CATCH_UP is for training with `sparse: exact`: it has all rows of its tables make the steps that they have
 * missed, and does nothing else. */
typedef enum moire_part { MOIRE_PART_WHOLE, MOIRE_PART_SUMS, MOIRE_PART_STEP, MOIRE_PART_CATCH_UP } moire_part;

typedef struct moire_compile_options {
  const char *const *outputs; /* outputs of the graph that are wanted (borrowed during the call) */
  int n_outputs;
  const char *loss;    /* the output to differentiate, or NULL */
  bool keep_gradients; /* gradients become outputs "grad.<parameter>" */
  moire_part part;     /* of a step of training: WHOLE unless it is divided … */
  int parts;           /* … into so many parts of a batch; 0: unknown. SUMS adds up in fewer pieces by it */
  /* The optimizer's step is part of the program. It reads the input "optimizer.scalars", which
   * moire_optimizer_scalars computes for each batch. What is frozen has no gradient, with or without a step. */
  moire_training_options training;
  moire_precision precision;
  const moire_fixed_extent *fixed; /* borrowed during the call; those that nothing has are passed over */
  int n_fixed;
  /* "host" (default, NULL), "x86-64-v4-amx", "x86-64-v4-bf16", "x86-64-v4", "x86-64-v3", "x86-64", "aarch64",
   * "generic" */
  const char *target;
  int threads; /* threads that compile, at least 1 */
  /* Folder where compiled kernels are kept and found again. NULL: $MOIRE_CACHE ("" and "off": none), else
   * moire/ in $XDG_CACHE_HOME or ~/.cache. "": none. */
  const char *cache;
  unsigned off;      /* optimizations that are not made: 1u << MOIRE_OPTIMIZATION_fuse | ... */
  bool keep_kernels; /* graph and loop nests stay in the program, for a profiler: some 20 MB */
} moire_compile_options;

/* No outputs, no loss, precision f32; moire_training_defaults(); host; one thread. */
moire_compile_options moire_compile_defaults(void);

typedef struct moire_program moire_program;

/* Returns owned, NULL with a sentence on failure. The graph is only read and may be destroyed afterwards. */
moire_program *moire_compile(const moire_graph *graph, const moire_compile_options *options,
                             moire_error *error);
void moire_program_destroy(moire_program *program); /* NULL is fine; no runner of it may exist any more */
/* Borrowed from the program. */
const moire_plan *moire_program_plan(const moire_program *program);

/* The graph, kernels or plan after pass `after` (a name of the pipeline; NULL: the last) as text, owned by the
 * caller (free()). NULL with a sentence; an unknown pass is answered with the list of passes. */
char *moire_compile_print(const moire_graph *graph, const moire_compile_options *options, const char *after,
                          moire_error *error);
/* The name of pass i in order, NULL past the last. */
const char *moire_compile_pass_name(int i);

/* Runs the graph in double by the reference meaning of every op: the oracle. Every state, input and output is
 * an array of doubles; complex inputs and outputs "x" are two, "x.real" and "x.imag". Same options as
 * moire_compile (threads are ignored; of the target counts what it rounds). */
typedef struct moire_oracle moire_oracle;
moire_oracle *moire_oracle_create(const moire_graph *graph, const moire_compile_options *options,
                                  moire_error *error);
void moire_oracle_destroy(moire_oracle *oracle);
/* The graph's states, zero until their data is written. */
int moire_oracle_state_count(const moire_oracle *oracle);
moire_plan_state moire_oracle_state(const moire_oracle *oracle, int i);
double *moire_oracle_state_data(moire_oracle *oracle, const char *name,
                                int64_t *elements); /* NULL: no such state */
moire_status moire_oracle_set_extent(moire_oracle *oracle, const char *name, int64_t size, moire_error *error);
moire_status moire_oracle_set_input(moire_oracle *oracle, const char *name, const double *data,
                                    int64_t elements, moire_error *error); /* copies; set the extents first */
bool moire_oracle_has_input(const moire_oracle *oracle, const char *name);
moire_status moire_oracle_run(moire_oracle *oracle, moire_error *error); /* updates are stored in the states */
/* The output of the last run: borrowed until the next; NULL if there is none of that name. */
const double *moire_oracle_output(const moire_oracle *oracle, const char *name, int64_t *elements);

#ifdef __cplusplus
}
#endif
#endif
