/* Samples of ops, made and filled: what tests of ops share. */
#ifndef MOIRE_TESTS_SUPPORT_OP_SAMPLES_H
#define MOIRE_TESTS_SUPPORT_OP_SAMPLES_H

#include "compiler/ir/graph/interpret.h"

/* One sample of one op. `single`: the graph has one node of the op, which `node` is a copy of. */
typedef struct op_sample {
  moire__sampler s;
  const moire__op_info *op;
  moire__node node;
  bool single;
} op_sample;

enum { OP_SAMPLE_MAX_INPUTS = 3 * MOIRE__MAX_OPERANDS + 4, OP_SAMPLE_EXTENT = 3 };

/* Sizes of named extents in samples: all OP_SAMPLE_EXTENT. */
extern const int64_t op_sample_extents[MOIRE_MAX_EXTENTS + 1];

/* "mul hard 3" as arguments of "%s %s %d". */
#define OP_SAMPLE_NAME(t) (t)->op->name, op_sample_kind((t)->s.kind), (t)->s.index
const char *op_sample_kind(moire__sample_kind kind);

/* False where there are no more samples. The graph is t->s.g, owned by the caller. */
bool op_sample_make(moire__op op, moire__sample_kind kind, int index, op_sample *t);
/* Every sample of every op; `each` destroys the graph. */
void op_sample_each(void (*each)(op_sample *t));

/* Values for all inputs (of complex ones also the planes), or states, of the graph: drawn from the sample's
 * ranges, or from [-1, 1) where it has none. Returns how many; tensors are owned by the caller. The same sample
 * always gets the same values. */
int op_sample_inputs(const op_sample *t, moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS]);
int op_sample_states(const op_sample *t, moire__named_tensor states[OP_SAMPLE_MAX_INPUTS]);
void op_sample_release(moire__named_tensor *tensors, int n);

#endif
