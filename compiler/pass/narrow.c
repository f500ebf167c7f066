/* narrow: operands of products become bf16, or weights numbers of 8 bits, where the goal says so.
 *
 *   matmul(a, b)  ->  matmul(a, b) {bf16 = 1}          of f32 and c64 operands
 *
 * The product then rounds each number of its operands (each plane of a complex one) to the nearest bf16 as it
 * reads it, and adds up in float32. Everything else stays as it is: sums, gradients as they are handed on,
 * weights, their moments, and what is no product of matrices (attention by `attend`, convolutions, scans).
 * Gradients are products like others, so they are narrowed, too.
 *
 * The head of a language model, products whose results are never stored, is marked as they are. A search for
 * the nearest code is marked likewise, nearest_code(x, codes) {bf16 = 1}; it compares in bf16 first (which the
 * switch `coarse` turns off), and finds the same codes.
 *
 *   matmul(x, w) {transpose_b = 1}  ->  linear_rows8(x, quantise_rows(w))      of f32 x and w, w of states
 * alone
 *
 * is what inference does instead where the goal asks for numbers of 8 bits. Products that it does not know stay
 * as they are.
 *
 * Requires: autodiff, so that the gradients are there; composites are expanded. Ensures: no product in float32
 * is left. Breaks: results differ from float32's by the rounding of operands, a relative 2^-8 each
 * at most.
 */
#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/pass.h"

static bool is_wide(const moire_graph *g, const moire__goal *goal, const moire__node *node) {
  bool is_search = node->op == MOIRE__OP_nearest_code && !(goal->off >> MOIRE_OPTIMIZATION_coarse & 1);
  bool is_product = node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_cmatmul ||
                    node->op == MOIRE__OP_linear_log_softmax ||
                    node->op == MOIRE__OP_linear_log_softmax_backward ||
                    node->op == MOIRE__OP_linear_log_softmax_joint;
  if ((!is_product && !is_search) || moire__node_int_or(node, "bf16", 0)) return false;
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

/* Which values depend on states, and on nothing else. */
static bool *find_weights(const moire_graph *g, moire__arena *arena) {
  bool *fixed = moire__arena_array(arena, (size_t)g->n_values + 1, sizeof *fixed);
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    bool all = node->op == MOIRE__OP_state || node->n_operands > 0;
    for (int i = 0; i < node->n_operands; i++) all = all && fixed[node->operands[i]];
    for (int i = 0; i < node->n_results; i++)
      fixed[node->first_result + i] = all || node->op == MOIRE__OP_constant;
  }
  return fixed;
}

static bool has_weight(const moire_graph *g, const moire__node *node, const bool *fixed) {
  if (node->op != MOIRE__OP_matmul || !moire__node_int_or(node, "transpose_b", 0)) return false;
  if (moire__node_int_or(node, "transpose_a", 0) || !fixed[node->operands[1]] || fixed[node->operands[0]])
    return false;
  const moire__value_info *x = &g->values[node->operands[0]], *w = &g->values[node->operands[1]];
  return x->dtype == MOIRE_F32 && w->dtype == MOIRE_F32 && w->shape.rank == 2 &&
         moire__dim_is_static(w->shape.dims[0]) && moire__dim_is_static(w->shape.dims[1]) &&
         w->shape.dims[1] > 0;
}

static void quantise(moire__rewrite *r, const moire__node *node) {
  moire_value x[3] = {moire__rewrite_value(r, node->operands[0])},
              w = moire__rewrite_value(r, node->operands[1]);
  moire__graph_pin(r->to, node);
  x[1] = moire__graph_emit(r->to, node->source, MOIRE__OP_quantise_rows, &w, 1, NULL, 0);
  if (!moire_value_is_null(x[1])) x[2] = moire__value(r->to, x[1].id + 1);
  moire_value y = moire__graph_emit(r->to, node->source, MOIRE__OP_linear_rows8, x, 3, NULL, 0);
  moire__graph_unpin(r->to);
  moire__rewrite_set(r, node->first_result, y);
}

moire_graph *moire__pass_narrow(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  if (goal->int8 && goal->loss) {
    moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "weights of 8 bits have no gradient: int8 is for inference");
    return NULL;
  }
  moire__rewrite r = moire__rewrite_begin(g);
  moire__arena arena = {0};
  const bool *fixed = goal->int8 ? find_weights(g, &arena) : NULL;
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (goal->bf16 && is_wide(g, goal, node))
      narrow(&r, node);
    else if (fixed && has_weight(g, node, fixed))
      quantise(&r, node);
    else
      moire__rewrite_clone(&r, node);
  }
  moire__arena_free(&arena);
  return moire__rewrite_finish(&r, error);
}
