/* narrow: operands of products become bf16, where the goal says so.
 *
 *   matmul(a, b)  ->  matmul(a, b) {bf16 = 1}          of f32 and c64 operands
 *
 * The product then rounds each number of its operands (each plane of a complex one) to the nearest bf16 as it
 * reads it, and adds up in float32. Everything else stays as it is: sums, gradients as they are handed on,
 * weights, their moments, and what is no product of matrices (attention by `attend`, convolutions, scans).
 * Gradients are products like others, so they are narrowed, too.
 *
 * The head of a language model, products whose results are never stored, is marked as they are. A search for
 * the nearest code is marked likewise, nearest_code(x, codes) {bf16 = 1}; it compares in bf16 first, and finds
 * the same codes.
 *
 * Requires: autodiff, so that the gradients are there; composites are expanded. Ensures: no product in float32
 * is left. Breaks: results differ from float32's by the rounding of operands, a relative 2^-8 each
 * at most.
 */
#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/pass.h"

static bool is_wide(const moire_graph *g, const moire__node *node) {
  bool is_product = node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_cmatmul ||
                    node->op == MOIRE__OP_linear_log_softmax ||
                    node->op == MOIRE__OP_linear_log_softmax_backward;
  if ((!is_product && node->op != MOIRE__OP_nearest_code) || moire__node_int_or(node, "bf16", 0)) return false;
  return g->values[node->first_result].dtype != MOIRE_F64;
}

static void narrow(moire__rewrite *r, const moire__node *node) {
  enum { MOST = 8 };
  moire_value operands[MOIRE__MAX_OPERANDS];
  moire__attr attrs[MOST];
  int n = 0;
  for (int i = 0; i < node->n_operands; i++) operands[i] = moire__rewrite_value(r, node->operands[i]);
  for (int i = 0; i < node->n_attrs && n < MOST - 1; i++) attrs[n++] = node->attrs[i];
  attrs[n++] = moire__attr_make_int("bf16", 1);
  moire__graph_pin(r->to, node);
  moire_value first = moire__graph_emit(r->to, node->source, node->op, operands, node->n_operands, attrs, n);
  moire__graph_unpin(r->to);
  for (int i = 0; i < node->n_results; i++) {
    moire__rewrite_set(r, node->first_result + i,
                       moire_value_is_null(first) ? first : (moire_value){r->to, first.id + i});
  }
}

moire_graph *moire__pass_narrow(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (goal->bf16 && is_wide(g, node))
      narrow(&r, node);
    else
      moire__rewrite_clone(&r, node);
  }
  return moire__rewrite_finish(&r, error);
}
