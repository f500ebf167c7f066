/* segment_softmax: the softmax over the edges that arrive at a row, each head by itself.
 *
 * Operands s [E, H], order, starts, ends (edges.h): y[e, h] = exp(s[e, h] - top) / sum over the edges of e's
 * row of exp(s - top), top being the largest there; 0 for edges of no row. The gradient is
 *
 *   ds[e] = y[e] (dy[e] - sum over the edges f of e's row of y[f] dy[f])
 *
 * as one kernel, segment_softmax_gradient, operands y, dy, order, starts, ends.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/segment/edges.h"
#include "ops/support.h"

#include <math.h>

/* ---- inference and gradient ------------------------------------------------------------------------------ */

static moire_status softmax_infer(moire__infer *c, int first) {
  moire_dim edges, rows;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 0, 2, 2));
  if (first == 2) MOIRE__TRY(moire__infer_alike(c, 0, 1));
  MOIRE__TRY(moire__infer_order(c, first, &edges, &rows));
  const moire_shape *shape = &c->operands[0]->shape;
  if (shape->dims[0] != edges || !moire__dim_is_static(shape->dims[1]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "scores are %s, wanted [edges, a fixed number of heads]; order is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, first).text);
  return moire__infer_as_operand(c, 0);
}

moire_status moire__segment_softmax_infer(moire__infer *c) { return softmax_infer(c, 1); }
moire_status moire__segment_softmax_gradient_infer(moire__infer *c) { return softmax_infer(c, 2); }

void moire__segment_softmax_gradient(moire__gradient *c) {
  if (!c->wanted[0]) return;
  moire_value operands[] = {c->results[0], c->result_gradients[0], c->operands[1], c->operands[2],
                            c->operands[3]};
  c->operand_gradients[0] =
      moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_segment_softmax_gradient, operands, 5, NULL, 0);
}

/* ---- reference ------------------------------------------------------------------------------------------- */

/* One row and one head: y of scores, or, where there are gradients dy, ds of y. */
static void row_reference(const moire__reference *c, int first, int64_t row, int64_t head) {
  const double *x = c->operands[0]->re, *dy = first == 2 ? c->operands[1]->re : NULL;
  const double *order = c->operands[first]->re;
  int64_t heads = c->operands[0]->dims[1], low = (int64_t)c->operands[first + 1]->re[row];
  int64_t high = (int64_t)c->operands[first + 2]->re[row];
  double top = -INFINITY, sum = 0;
  for (int64_t i = low; i < high; i++) top = fmax(top, x[(int64_t)order[i] * heads + head]);
  for (int64_t i = low; i < high; i++) {
    int64_t at = (int64_t)order[i] * heads + head;
    sum += dy ? x[at] * dy[at] : exp(x[at] - top);
  }
  for (int64_t i = low; i < high; i++) {
    int64_t at = (int64_t)order[i] * heads + head;
    c->results[0]->re[at] = dy ? x[at] * (dy[at] - sum) : exp(x[at] - top) / sum;
  }
}

static void softmax_reference(moire__reference *c, int first) {
  for (int64_t row = 0; row < c->operands[first + 1]->elements; row++)
    for (int64_t head = 0; head < c->operands[0]->dims[1]; head++) row_reference(c, first, row, head);
}

void moire__segment_softmax_reference(moire__reference *c) { softmax_reference(c, 1); }
void moire__segment_softmax_gradient_reference(moire__reference *c) { softmax_reference(c, 2); }

/* ---- samples --------------------------------------------------------------------------------------------- */

static bool softmax_sample(moire__sampler *s, moire__op op, int n) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape scores, rows;
    moire_dim size;
    double low, high; /* of rows */
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(11, 2), S(11), 4, 0, 4, ACCEPTED},
      {GOOD, F32, S(moire_dim_times(b, 6), 1), S(moire_dim_times(b, 6)), b, -1, 3, ACCEPTED},
      {HARD, F32, S(70, 4), S(70), 33, -2, 20, ACCEPTED},
      {HARD, F32, S(5, 3), S(5), 1, 0, 1, ACCEPTED},
      {HARD, F32, S(4, 1), S(4), 3, -4, 0, ACCEPTED},
      {HARD, F32, S(0, 2), S(0), 3, 0, 3, ACCEPTED},
      {HARD, F32, S(7, 0), S(7), 3, 0, 3, ACCEPTED},
      {WRONG, F64, S(11, 2), S(11), 4, 0, 4, BAD_TYPE},
      {WRONG, F32, S(11), S(11), 4, 0, 4, BAD_SHAPE},
      {WRONG, F32, S(10, 2), S(11), 4, 0, 4, BAD_SHAPE},
      {WRONG, F32, S(11, b), S(11), 4, 0, 4, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x[5];
  for (int j = 0; j < n; j++) x[j] = moire__sample_input(s, cases[i].dtype, cases[i].scores, -4, 4);
  moire_value rows = moire__sample_input(s, MOIRE_I32, cases[i].rows, cases[i].low, cases[i].high);
  moire__order_emit(s->g, rows, cases[i].size, x + n);
  moire_value y = moire__sample_emit(s, op, x, n + 3, NULL, 0);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}

bool moire__segment_softmax_sample(moire__sampler *s) {
  return softmax_sample(s, MOIRE__OP_segment_softmax, 1);
}
bool moire__segment_softmax_gradient_sample(moire__sampler *s) {
  return softmax_sample(s, MOIRE__OP_segment_softmax_gradient, 2);
}

/* ---- lowering -------------------------------------------------------------------------------------------- */

typedef struct softmax_loops {
  moire__edge_loops k;
  int first; /* operand that order is: 1, or 2 where there are gradients */
  int64_t heads;
  moire__loop_buffer out;
} softmax_loops;

static moire__loop_value place(const softmax_loops *s, moire__loop_value edge, moire__loop_value head) {
  return moire__lower_add(s->k.l, moire__lower_mul(s->k.l, edge, moire__edge_index(&s->k, s->heads)), head);
}

/* sum over the row's edges of y dy */
static moire__loop_value inner(const softmax_loops *s, moire__loop_value row, moire__loop_value head) {
  moire__loop_builder *b = s->k.b;
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value e = moire__edge_loop(&s->k, s->first, row);
  moire__loop_value y = moire__edge_load(&s->k, 0, e, head, 0), dy = moire__edge_load(&s->k, 1, e, head, 0);
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, y, dy, moire__loop_get(b, sum)));
  moire__loop_end(b);
  return moire__loop_get(b, sum);
}

static void lower_gradient_row(const softmax_loops *s, moire__loop_value row, moire__loop_value head) {
  moire__loop_builder *b = s->k.b;
  moire__loop_value sum = inner(s, row, head), e = moire__edge_loop(&s->k, s->first, row);
  moire__loop_value y = moire__edge_load(&s->k, 0, e, head, 0), dy = moire__edge_load(&s->k, 1, e, head, 0);
  moire__loop_value off = moire__edge_binary(&s->k, MOIRE__LOOP_sub, dy, sum);
  moire__loop_store(b, s->out, place(s, e, head), moire__lower_mul(s->k.l, y, off));
  moire__loop_end(b);
}

static void lower_row(const softmax_loops *s, moire__loop_value row, moire__loop_value head) {
  moire__loop_builder *b = s->k.b;
  moire__loop_var top = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, -INFINITY));
  moire__loop_value e = moire__edge_loop(&s->k, s->first, row), x = moire__edge_load(&s->k, 0, e, head, 0);
  moire__loop_set(b, top, moire__edge_binary(&s->k, MOIRE__LOOP_max, moire__loop_get(b, top), x));
  moire__loop_end(b);
  moire__loop_value most = moire__loop_get(b, top);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  e = moire__edge_loop(&s->k, s->first, row);
  x = moire__edge_load(&s->k, 0, e, head, 0);
  moire__loop_value part =
      moire__loop_unary(b, MOIRE__LOOP_exp, moire__edge_binary(&s->k, MOIRE__LOOP_sub, x, most));
  moire__loop_store(b, s->out, place(s, e, head), part);
  moire__loop_set(b, sum, moire__lower_add(s->k.l, moire__loop_get(b, sum), part));
  moire__loop_end(b);
  moire__loop_value whole = moire__loop_get(b, sum);
  e = moire__edge_loop(&s->k, s->first, row);
  moire__loop_value at = place(s, e, head);
  moire__loop_store(b, s->out, at,
                    moire__edge_binary(&s->k, MOIRE__LOOP_div, moire__loop_load(b, s->out, at), whole));
  moire__loop_end(b);
}

/* The last row's piece also writes the zeros of the edges behind all rows. */
static void lower_rest(const softmax_loops *s, moire__loop_value row, moire_dim rows, moire_dim edges) {
  moire__loop_builder *b = s->k.b;
  moire__loop_value last =
      moire__edge_binary(&s->k, MOIRE__LOOP_sub, moire__loop_extent(b, rows), moire__edge_index(&s->k, 1));
  moire__loop_if(b, moire__edge_binary(&s->k, MOIRE__LOOP_eq, row, last));
  moire__loop_value low = moire__edge_row(&s->k, s->first + 2, row);
  moire__loop_value i = moire__loop_for(b, low, moire__loop_extent(b, edges), 1, 1);
  moire__loop_value e = moire__edge_row(&s->k, s->first, i);
  moire__loop_value head =
      moire__loop_for(b, moire__edge_index(&s->k, 0), moire__edge_index(&s->k, s->heads), 1, 1);
  moire__loop_store(b, s->out, place(s, e, head), moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
}

static void softmax_lower(moire__lowering *l, int first) {
  enum { BLOCK = 32 };
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  softmax_loops s = {.k = {l, &l->builder}, .first = first};
  s.out = moire__lower_add_write(l, node->first_result);
  const moire_shape *shape = &l->g->values[node->first_result].shape;
  s.heads = shape->dims[1];
  moire_dim rows = l->g->values[node->operands[first + 1]].shape.dims[0];
  int64_t block = moire__lower_block(l, BLOCK);
  moire__lower_body(l, rows, block);
  moire__loop_builder *b = s.k.b;
  moire__loop_value row = moire__edge_rows_of_piece(&s.k, rows, block);
  moire__loop_value head =
      moire__loop_for(b, moire__edge_index(&s.k, 0), moire__edge_index(&s.k, s.heads), 1, 1);
  if (first == 2)
    lower_gradient_row(&s, row, head);
  else
    lower_row(&s, row, head);
  moire__loop_end(b);
  lower_rest(&s, row, rows, shape->dims[0]);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__segment_softmax_lower(moire__lowering *l) { softmax_lower(l, 1); }
void moire__segment_softmax_gradient_lower(moire__lowering *l) { softmax_lower(l, 2); }
