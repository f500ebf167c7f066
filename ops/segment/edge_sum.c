/* edge_sum and edge_dot: messages along edges, and how two ends of an edge agree. Nothing is stored per edge
 * and feature.
 *
 * Edges have heads k = 0 .. H-1; features of rows are [N, H, C], or [N, 1, C] where all heads see the same.
 *
 *   edge_sum   w [E,H], x [N,H|1,C], source, order, starts, ends, target; attribute heads: H or 1
 *              y[t, k, c] = sum over the edges e that arrive at t of w[e, k] x[source[e], k, c]
 *              with heads = 1 summed over k, too
 *   edge_dot   x [N,H|1,C], y [T,H|1,C], source, target; attribute heads: H
 *              w[e, k] = sum over c of x[source[e], k, c] y[target[e], k, c]
 *
 * Each is the other's gradient: dw is an edge_dot of x and dy, dx an edge_sum of dy along the edges turned
 * around. An edge whose source or target is no row takes no part (edges.h): it adds nothing, and its dot is 0.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/segment/edges.h"
#include "ops/support.h"

enum { MOST_HEADS = 64 };

static int64_t heads_of(moire_value x) { return moire_value_dim(x, 1); }

/* y of edge_sum: `size` rows of `heads` heads. */
static moire_value emit_sum(moire_graph *g, moire_value w, moire_value x, moire_value source,
                            moire_value target, moire_dim size, int64_t heads) {
  moire_value operands[7] = {w, x, source};
  const moire__attr attr = moire__attr_make_int("heads", heads);
  moire__order_emit(g, target, size, operands + 3);
  operands[6] = target;
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_edge_sum, operands, 7, &attr, 1);
}

/* ---- edge_sum -------------------------------------------------------------------------------------------- */

/* Operand 6, the targets that the order is of, is for the gradient alone. */
moire_status moire__edge_sum_infer(moire__infer *c) {
  moire_dim edges, rows;
  int64_t heads;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 0, 2, 2));
  MOIRE__TRY(moire__infer_int(c, "heads", 1, MOST_HEADS, &heads));
  const moire_shape *w = &c->operands[0]->shape;
  if (heads != w->dims[1] && heads != 1)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "weights are %s, wanted [edges, %lld heads]",
                      moire__operand_type(c, 0).text, (long long)heads);
  if (!moire__dim_is_static(w->dims[1]) || w->dims[1] < 1)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "weights are %s, wanted a fixed number of heads, not 0",
                      moire__operand_type(c, 0).text);
  MOIRE__TRY(moire__infer_heads(c, 1, w->dims[1]));
  MOIRE__TRY(moire__infer_rows(c, 2, w->dims[0]));
  MOIRE__TRY(moire__infer_order(c, 3, &edges, &rows));
  MOIRE__TRY(moire__infer_rows(c, 3, w->dims[0]));
  MOIRE__TRY(moire__infer_rows(c, 6, w->dims[0]));
  return moire__infer_result(c, 0, MOIRE_F32, MOIRE_SHAPE(rows, heads, c->operands[1]->shape.dims[2]));
}

void moire__edge_sum_gradient(moire__gradient *c) {
  moire_value x = c->operands[1], source = c->operands[2], target = c->operands[6];
  moire_value dy = c->result_gradients[0];
  if (c->wanted[1])
    c->operand_gradients[1] =
        emit_sum(c->g, c->operands[0], dy, target, source, moire_value_dim(x, 0), heads_of(x));
  if (!c->wanted[0]) return;
  const moire__attr attr = moire__attr_make_int("heads", heads_of(c->operands[0]));
  c->operand_gradients[0] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_edge_dot,
                                              (moire_value[]){x, dy, source, target}, 4, &attr, 1);
}

/* Offset of row `row` and head `head`, which is 0 where the rows have one. */
static int64_t row_at(const moire__tensor *x, int64_t row, int64_t head) {
  return (row * x->dims[1] + (x->dims[1] == 1 ? 0 : head)) * x->dims[2];
}

void moire__edge_sum_reference(moire__reference *c) {
  const moire__tensor *w = c->operands[0], *x = c->operands[1];
  moire__tensor *y = c->results[0];
  for (int64_t t = 0; t < y->dims[0]; t++)
    for (int64_t i = (int64_t)c->operands[4]->re[t]; i < (int64_t)c->operands[5]->re[t]; i++) {
      int64_t e = (int64_t)c->operands[3]->re[i], row = (int64_t)c->operands[2]->re[e];
      if (row < 0 || row >= x->dims[0]) continue;
      for (int64_t k = 0; k < w->dims[1]; k++)
        for (int64_t j = 0; j < x->dims[2]; j++)
          y->re[row_at(y, t, k) + j] += w->re[e * w->dims[1] + k] * x->re[row_at(x, row, k) + j];
    }
}

/* ---- edge_dot -------------------------------------------------------------------------------------------- */

moire_status moire__edge_dot_infer(moire__infer *c) {
  int64_t heads;
  MOIRE__TRY(moire__infer_int(c, "heads", 1, MOST_HEADS, &heads));
  MOIRE__TRY(moire__infer_heads(c, 0, heads));
  MOIRE__TRY(moire__infer_heads(c, 1, heads));
  if (c->operands[0]->shape.dims[2] != c->operands[1]->shape.dims[2])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "x is %s and y %s, wanted as many features of both",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  MOIRE__TRY(moire__infer_rank(c, 2, 1, 1));
  moire_dim edges = c->operands[2]->shape.dims[0];
  for (int i = 2; i < 4; i++) MOIRE__TRY(moire__infer_rows(c, i, edges));
  return moire__infer_result(c, 0, MOIRE_F32, MOIRE_SHAPE(edges, heads));
}

void moire__edge_dot_gradient(moire__gradient *c) {
  moire_value dw = c->result_gradients[0], source = c->operands[2], target = c->operands[3];
  for (int i = 0; i < 2; i++) {
    moire_value from = i ? source : target, to = i ? target : source, x = c->operands[i];
    if (c->wanted[i])
      c->operand_gradients[i] =
          emit_sum(c->g, dw, c->operands[1 - i], from, to, moire_value_dim(x, 0), heads_of(x));
  }
}

void moire__edge_dot_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *y = c->operands[1];
  moire__tensor *w = c->results[0];
  for (int64_t e = 0; e < w->dims[0]; e++) {
    int64_t row = (int64_t)c->operands[2]->re[e], to = (int64_t)c->operands[3]->re[e];
    if (row < 0 || row >= x->dims[0] || to < 0 || to >= y->dims[0]) continue;
    for (int64_t k = 0; k < w->dims[1]; k++)
      for (int64_t j = 0; j < x->dims[2]; j++)
        w->re[e * w->dims[1] + k] += x->re[row_at(x, row, k) + j] * y->re[row_at(y, to, k) + j];
  }
}

/* ---- samples --------------------------------------------------------------------------------------------- */

typedef struct graph_case {
  moire__sample_kind kind;
  moire_dim edges, n, t; /* edges, rows of x, rows of y */
  int64_t heads, x_heads, y_heads, width;
  double low;  /* least row: below 0 edges take no part */
  int spoiled; /* operand that is of another type, or -1 */
  moire_status expected;
} graph_case;

static int pick_case(moire__sampler *s, graph_case *out) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const graph_case cases[] = {
      {GOOD, 12, 5, 4, 2, 2, 2, 3, 0, -1, ACCEPTED},
      {GOOD, moire_dim_times(b, 4), 6, b, 1, 1, 1, 5, -1, -1, ACCEPTED},
      {GOOD, 20, 7, 3, 4, 1, 4, 8, 0, -1, ACCEPTED},
      {HARD, 40, 9, 3, 6, 6, 1, 20, -2, -1, ACCEPTED},
      {HARD, 15, 4, 33, 5, 1, 1, 65, 0, -1, ACCEPTED},
      {HARD, 3, 1, 1, 1, 1, 1, 1, 0, -1, ACCEPTED},
      {HARD, 0, 4, 5, 2, 2, 2, 3, 0, -1, ACCEPTED},
      {HARD, 9, 4, 5, 2, 1, 2, 0, 0, -1, ACCEPTED},
      {HARD, t, b, 40, 3, 3, 3, 130, -1, -1, ACCEPTED},
      {HARD, 30, 8, 8, 9, 9, 9, 17, 0, -1, ACCEPTED},
      {WRONG, 12, 5, 4, 2, 3, 2, 3, 0, -1, BAD_SHAPE},
      {WRONG, 12, 5, 4, 2, 2, 2, b, 0, -1, BAD_SHAPE},
      {WRONG, 12, 5, 4, 2, 2, 2, 3, 0, 0, BAD_TYPE},
      {WRONG, 12, 5, 4, 2, 2, 2, 3, 0, 2, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *out = cases[i];
  return i;
}

static double highest(moire_dim n) { return moire__dim_is_static(n) ? (double)n : 3; }

bool moire__edge_sum_sample(moire__sampler *s) {
  graph_case x;
  if (pick_case(s, &x) < 0) return false;
  moire_value operands[7] = {
      moire__sample_input(s, x.spoiled == 0 ? F64 : F32, S(x.edges, x.heads), -1, 1),
      moire__sample_input(s, F32, S(x.n, x.x_heads, x.width), -1, 1),
      moire__sample_input(s, x.spoiled == 2 ? F32 : I32, S(x.edges), x.low, highest(x.n))};
  operands[6] = moire__sample_input(s, I32, S(x.edges), x.low, highest(x.t));
  moire__order_emit(s->g, operands[6], x.t, operands + 3);
  const moire__attr attr = moire__attr_make_int("heads", x.y_heads);
  moire_value y = moire__sample_emit(s, MOIRE__OP_edge_sum, operands, 7, &attr, 1);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, x.expected) : moire__sample_finish(s, y);
}

bool moire__edge_dot_sample(moire__sampler *s) {
  graph_case x;
  if (pick_case(s, &x) < 0) return false;
  moire_value operands[] = {
      moire__sample_input(s, x.spoiled == 0 ? F64 : F32, S(x.n, x.x_heads, x.width), -1, 1),
      moire__sample_input(s, F32, S(x.t, x.y_heads, x.width), -1, 1),
      moire__sample_input(s, x.spoiled == 2 ? F32 : I32, S(x.edges), x.low, highest(x.n)),
      moire__sample_input(s, I64, S(x.edges), x.low, highest(x.t))};
  const moire__attr attr = moire__attr_make_int("heads", x.heads);
  moire_value y = moire__sample_emit(s, MOIRE__OP_edge_dot, operands, 4, &attr, 1);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, x.expected) : moire__sample_finish(s, y);
}
