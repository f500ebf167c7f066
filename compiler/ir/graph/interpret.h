/* The graph interpreter: what a graph means, node by node, by the references of its ops, in double.
 *
 * It is the oracle of everything that is compiled: no fusion, no float32, no shared memory. It runs any graph
 * that verifies, before and after every graph pass. Only what the wanted outputs and updates need is evaluated,
 * and a value is freed after its last use.
 */
#ifndef MOIRE_COMPILER_IR_GRAPH_INTERPRET_H
#define MOIRE_COMPILER_IR_GRAPH_INTERPRET_H

#include "compiler/ir/op.h"

/* ---- tensors on the heap --------------------------------------------------------------------------------- */

/* Zeroed. `extents[i]` is the size of named extent i, from 1; it may be NULL where the shape is static. */
moire__tensor *moire__tensor_create(moire_dtype dtype, const moire_shape *shape,
                                    const int64_t *extents); /* owned */
void moire__tensor_destroy(moire__tensor *t);                /* NULL is fine */

typedef struct moire__named_tensor {
  const char *name;
  moire__tensor *tensor;
} moire__named_tensor;

/* ---- running --------------------------------------------------------------------------------------------- */

/* What a run reads; everything is borrowed for the call. */
typedef struct moire__graph_feed {
  const int64_t *extents;            /* [1 .. n_extents]; NULL where there are none */
  const moire__named_tensor *inputs; /* more than the graph has is fine */
  int n_inputs;
  const moire__named_tensor *states; /* values before the step */
  int n_states;
  const char *const *only; /* outputs to compute, no updates; NULL: all outputs and all updates */
  int n_only;
} moire__graph_feed;

/* What a run gives, in the order of the graph's tables (of `only`, where given). Names and tensors are owned by
 * the results: free with moire__graph_results_free, or take a tensor and leave NULL in its place. */
typedef struct moire__graph_results {
  moire__named_tensor *outputs;
  int n_outputs;
  moire__named_tensor *updates; /* name is the state's: the caller stores them as the states of the next step */
  int n_updates;
} moire__graph_results;

/* Fails with a sentence where an input or state that is needed is missing or is of another type or shape, an
 * output in `only` does not exist, or the data have no meaning for an op; then `results` is empty. */
moire_status moire__graph_interpret(const moire_graph *g, const moire__graph_feed *feed,
                                    moire__graph_results *results, moire_error *error);
void moire__graph_results_free(moire__graph_results *results);

/* The tensor of a name, NULL if there is none. */
moire__tensor *moire__named_tensor_find(const moire__named_tensor *table, int n, const char *name);

#endif
