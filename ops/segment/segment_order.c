/* segment_order: edges sorted by row, by counting. See edges.h.
 *
 * Operand rows [E], integers; attribute shape, [N]. Results order [E], starts [N] and ends [N], i32. It is one
 * piece of work: three passes over E numbers, which is little beside what is summed by it, and equal orders of
 * a step are made once.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/segment/edges.h"
#include "ops/support.h"

moire_status moire__segment_order_infer(moire__infer *c) {
  moire_shape shape;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_INT));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, 1));
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  if (shape.rank != 1 || shape.dims[0] == 0)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "shape has %d axes, wanted one, of at least one row",
                      shape.rank);
  moire__infer_result(c, 0, MOIRE_I32, c->operands[0]->shape);
  moire__infer_result(c, 1, MOIRE_I32, shape);
  return moire__infer_result(c, 2, MOIRE_I32, shape);
}

void moire__segment_order_reference(moire__reference *c) {
  const moire__tensor *rows = c->operands[0];
  double *order = c->results[0]->re, *starts = c->results[1]->re, *ends = c->results[2]->re;
  int64_t n = c->results[1]->elements, placed = 0;
  for (int64_t row = 0; row < n; row++) {
    starts[row] = (double)placed;
    for (int64_t e = 0; e < rows->elements; e++)
      if (rows->re[e] == (double)row) order[placed++] = (double)e;
    ends[row] = (double)placed;
  }
  for (int64_t e = 0; e < rows->elements; e++)
    if (!(rows->re[e] >= 0 && rows->re[e] < (double)n)) order[placed++] = (double)e;
}

bool moire__segment_order_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape rows, shape;
    double low, high;
    moire_status expected;
  } cases[] = {
      {GOOD, I32, S(9), S(4), 0, 4, ACCEPTED},
      {GOOD, I64, S(moire_dim_times(b, 5)), S(b), -2, 5, ACCEPTED},
      {HARD, I32, S(33), S(7), -3, 12, ACCEPTED},
      {HARD, I32, S(0), S(3), 0, 3, ACCEPTED},
      {HARD, I32, S(1), S(1), 0, 1, ACCEPTED},
      {HARD, I32, S(200), S(65), 0, 30, ACCEPTED},
      {HARD, I64, S(t), S(b), 0, 3, ACCEPTED},
      {WRONG, F32, S(9), S(4), 0, 4, BAD_TYPE},
      {WRONG, I32, S(3, 3), S(4), 0, 4, BAD_SHAPE},
      {WRONG, I32, S(3), S(4, 4), 0, 4, BAD_SHAPE},
      {WRONG, I32, S(3), S(0), 0, 4, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value rows = moire__sample_input(s, cases[i].dtype, cases[i].rows, cases[i].low, cases[i].high);
  const moire__attr attr = moire__attr_make_dims("shape", &cases[i].shape);
  moire_value order = moire__sample_emit(s, MOIRE__OP_segment_order, &rows, 1, &attr, 1);
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, cases[i].expected);
  s->no_gradient_check = true;
  if (!moire_value_is_null(order)) {
    moire_output(s->g, "y1", moire__value(s->g, order.id + 1));
    moire_output(s->g, "y2", moire__value(s->g, order.id + 2));
  }
  return moire__sample_finish(s, order);
}

/* ends[row] is first how many edges the row has, then where its next edge goes, and so at last its end. */
void moire__segment_order_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads(l, node->operands[0]);
  moire__loop_buffer out[3];
  for (int i = 0; i < 3; i++) out[i] = moire__lower_add_write(l, node->first_result + i);
  moire_dim edges = l->g->values[node->operands[0]].shape.dims[0];
  moire_dim n = l->g->values[node->first_result + 1].shape.dims[0];
  moire__lower_body(l, 1, 1);
  moire__edge_loops k = {l, &l->builder};
  moire__loop_builder *b = k.b;
  moire__loop_value zero = moire__edge_index(&k, 0), one = moire__loop_const(b, MOIRE__LOOP_I32, 1);
  moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_I32, 0);
  moire__loop_value rows = moire__loop_extent(b, n), all = moire__loop_extent(b, edges);
  moire__loop_value i = moire__loop_for(b, zero, rows, 1, l->target.lanes);
  moire__loop_store(b, out[2], i, none);
  moire__loop_end(b);
  moire__loop_value e = moire__loop_for(b, zero, all, 1, 1), row = moire__edge_row(&k, 0, e);
  moire__loop_if(b, moire__edge_inside(&k, row, n));
  moire__loop_store(b, out[2], row, moire__lower_add(l, moire__loop_load(b, out[2], row), one));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_var placed = moire__loop_declare(b, none);
  i = moire__loop_for(b, zero, rows, 1, 1);
  moire__loop_value start = moire__loop_get(b, placed);
  moire__loop_set(b, placed, moire__lower_add(l, start, moire__loop_load(b, out[2], i)));
  moire__loop_store(b, out[1], i, start);
  moire__loop_store(b, out[2], i, start);
  moire__loop_end(b);
  e = moire__loop_for(b, zero, all, 1, 1);
  row = moire__edge_row(&k, 0, e);
  moire__loop_value inside = moire__edge_inside(&k, row, n), number = moire__loop_cast(b, e, MOIRE__LOOP_I32);
  moire__loop_if(b, inside);
  moire__loop_value at = moire__loop_load(b, out[2], row);
  moire__loop_store(b, out[0], moire__loop_cast(b, at, MOIRE__LOOP_I64), number);
  moire__loop_store(b, out[2], row, moire__lower_add(l, at, one));
  moire__loop_end(b);
  moire__loop_if(b, moire__loop_unary(b, MOIRE__LOOP_not, inside));
  at = moire__loop_get(b, placed);
  moire__loop_store(b, out[0], moire__loop_cast(b, at, MOIRE__LOOP_I64), number);
  moire__loop_set(b, placed, moire__lower_add(l, at, one));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}
