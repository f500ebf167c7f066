/* attend_tiles: attention of long sequences multiplies bf16, where the target multiplies whole tiles of it.
 *
 *   attend(..)  ->  attend(..) {bf16 = 1}          and attend_real, and the backward op of either
 *
 * A marked node rounds what its products multiply (ops/attention/attend.h). Short sequences, narrow heads and
 * single queries stay in float32: their products are too little of the whole
 * (docs/decisions/0015-bf16-operands.md), and so does all attention of other targets, where bf16 would save no
 * time. A length that is not known counts as long.
 *
 * Requires: autodiff, so that both passes are marked alike: the backward one makes the weights of the forward
 * one again. Breaks: results differ from float32's by the rounding of what is multiplied, a relative 2^-9 each
 * at most.
 */
#include "compiler/pass/walk.h"

enum { LEAST_LENGTH = 128, LEAST_WIDTH = 16 };

static bool is_attention(moire__op op) {
  return op == MOIRE__OP_attend || op == MOIRE__OP_attend_real || op == MOIRE__OP_attend_backward ||
         op == MOIRE__OP_attend_real_backward;
}

static bool pays(const moire_graph *g, const moire__node *node) {
  int planes = node->op == MOIRE__OP_attend || node->op == MOIRE__OP_attend_backward ? 2 : 1;
  const moire_dim *q = g->values[node->operands[0]].shape.dims,
                  *k = g->values[node->operands[planes]].shape.dims,
                  *v = g->values[node->operands[2 * planes]].shape.dims;
  moire_dim queries = q[2], keys = k[2];
  if (moire__node_int_or(node, "packed", 0)) {
    keys = moire__node_int(node, "length");
    if (!moire__node_int_or(node, "last", 0)) queries = keys;
  }
  return moire__dim_is_at_least(queries, LEAST_LENGTH) && moire__dim_is_at_least(keys, LEAST_LENGTH) &&
         moire__dim_is_at_least(q[3], LEAST_WIDTH) && moire__dim_is_at_least(v[3], LEAST_WIDTH);
}

moire_graph *moire__pass_attend_tiles(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (goal->bf16 && goal->tiles && is_attention(node->op) && !moire__node_int_or(node, "bf16", 0) &&
        pays(g, node))
      moire__rewrite_mark(&r, node, "bf16");
    else
      moire__rewrite_clone(&r, node);
  }
  return moire__rewrite_finish(&r, error);
}
