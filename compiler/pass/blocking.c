/* blocking: real products may be made by blocks that stay in caches.
 *
 *   matmul(a, b)  ->  matmul(a, b) {blocks = 1}
 *
 * The mark says that the loop nest may copy rows of a and pack panels of b (ops/product/blocked.h), and so
 * reads either however it lies: no permutation is copied before. Whether it does, shapes and strides decide
 * there.
 *
 * A product of bf16 is marked where the target makes it as float32's, of rounded numbers.
 *
 * Requires: split. Ensures: a marked product is of float32. Breaks: nothing, sums are made in the same order.
 */
#include "compiler/pass/walk.h"

static bool can_be(const moire_graph *g, const moire__node *node, bool by_fma) {
  return node->op == MOIRE__OP_matmul && moire__reads_floats(g, node) &&
         (by_fma || !moire__node_int_or(node, "bf16", 0)) && !moire__node_int_or(node, "blocks", 0);
}

moire_graph *moire__pass_blocking(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    if (can_be(g, &g->nodes[i], goal->by_fma))
      moire__rewrite_mark(&r, &g->nodes[i], "blocks");
    else
      moire__rewrite_clone(&r, &g->nodes[i]);
  }
  return moire__rewrite_finish(&r, error);
}
