/* triple: complex products are made of three real ones where that is less work.
 *
 *   cmatmul(x, y, u, v)  ->  cmatmul(x, y, u, v) {triple = 1}
 *
 * Instead of four multiply-adds the product [M,K] x [K,N] takes three (ops/product/triple.h) for each of M N K.
 * Against the one that is saved stand, counted in multiply-adds: PACK for each number of b in every block of
 * rows, or once if b is of fixed size; SUM for each number of a; KEEP for each of the result. It pays if
 *
 *   1 > PACK / rows + SUM / N + KEEP / K
 *
 * The weights were fitted to measurements with AVX-512 (docs/decisions/0021-three-products.md); SUM also says
 * that a tile of one vector of columns has too few sums to fill the pipeline. With shorter vectors the form
 * pays a little earlier than that. Named extents, of which batches are made, count as large.
 *
 * A product of bf16 is marked where the target makes it as float32's, of rounded numbers.
 *
 * Requires: split. Ensures: a marked product is of float32, and both of its results are needed. Breaks: results
 * differ by rounding, the imaginary part by some that is of the size of both planes.
 */
#include "compiler/pass/walk.h"

static const double PACK = 10, SUM = 16, KEEP = 4;
enum { ROWS = 64 };

/* 1 / d; 0 for what is large. */
static double inverse(moire_dim d, int64_t most) {
  if (!moire__dim_is_static(d) || moire__dim_factor(d) > most)
    return most == INT64_MAX ? 0 : 1.0 / (double)most;
  return 1.0 / (double)(moire__dim_factor(d) > 0 ? moire__dim_factor(d) : 1);
}

static bool pays(const moire_graph *g, const moire__node *node) {
  const moire_shape *y = &g->values[node->first_result].shape, *a = &g->values[node->operands[0]].shape;
  bool transposed = moire__node_int_or(node, "transpose_a", 0) != 0;
  moire_dim m = y->dims[y->rank - 2], n = y->dims[y->rank - 1], k = a->dims[a->rank - (transposed ? 2 : 1)];
  bool packed_once = y->rank == 2 && moire__dim_is_static(k) && moire__dim_is_static(n);
  double extra = PACK * inverse(m, packed_once ? INT64_MAX : ROWS) + SUM * inverse(n, INT64_MAX) +
                 KEEP * inverse(k, INT64_MAX);
  return extra < 1;
}

static bool can_be(const moire_graph *g, const moire__node *node, const int *uses, bool by_fma) {
  return node->op == MOIRE__OP_cmatmul && moire__reads_floats(g, node) && uses[node->first_result] &&
         uses[node->first_result + 1] && (by_fma || !moire__node_int_or(node, "bf16", 0)) &&
         !moire__node_int_or(node, "triple", 0);
}

moire_graph *moire__pass_triple(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__arena arena = {0};
  const int *uses = moire__graph_count_uses(g, &arena);
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    if (can_be(g, &g->nodes[i], uses, goal->by_fma) && pays(g, &g->nodes[i]))
      moire__rewrite_mark(&r, &g->nodes[i], "triple");
    else
      moire__rewrite_clone(&r, &g->nodes[i]);
  }
  moire__arena_free(&arena);
  return moire__rewrite_finish(&r, error);
}
