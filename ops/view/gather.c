/* gather: rows of a table, y[i.., j..] = table[rows[i..], j..].
 *
 * The gradient is a scatter_add, which leaves out the row `padding` (it is read like any other). A row outside
 * of the table is a mistake in the data, which the reference reports; compiled code reads the nearest row
 * instead of other memory.
 */
#include "ops/parts.h"
#include "ops/support.h"

#include <inttypes.h>

moire_status moire__gather_infer(moire__infer *c) {
  const moire__value_info *table = c->operands[0], *rows = c->operands[1];
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_dtype(c, 1, MOIRE__SET_INT));
  if (!moire__dim_is_static(table->shape.dims[0]) || table->shape.dims[0] == 0)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the table is %s, wanted a static number of rows, not 0",
                      moire__operand_type(c, 0).text);
  int64_t padding;
  MOIRE__TRY(moire__infer_int_or(c, "padding", -1, -1, table->shape.dims[0] - 1, &padding));
  moire_shape shape = rows->shape;
  shape.rank += table->shape.rank - 1;
  if (shape.rank > MOIRE_MAX_RANK)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "rows %s of table %s have %d axes, wanted at most %d",
                      moire__operand_type(c, 1).text, moire__operand_type(c, 0).text, shape.rank,
                      MOIRE_MAX_RANK);
  for (int i = 1; i < table->shape.rank; i++) shape.dims[rows->shape.rank + i - 1] = table->shape.dims[i];
  return moire__infer_result(c, 0, table->dtype, shape);
}

void moire__gather_gradient(moire__gradient *c) {
  if (!c->wanted[0]) return;
  moire_value operands[] = {c->operands[1], c->result_gradients[0]};
  moire_shape size = MOIRE_SHAPE(moire_value_dim(c->operands[0], 0));
  moire__attr attrs[] = {moire__attr_make_dims("size", &size),
                         moire__attr_make_int("padding", moire__node_int_or(c->node, "padding", -1))};
  c->operand_gradients[0] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_scatter_add, operands, 2, attrs, 2);
}

void moire__gather_map(moire__index_map *m) {
  const moire_shape *table = &m->g->values[m->node->operands[0]].shape;
  int n = m->g->values[m->node->operands[1]].shape.rank;
  moire__loop_value last = moire__loop_index(m->b, table->dims[0] - 1), first = moire__loop_index(m->b, 0);
  moire__loop_value row = moire__loop_binary(m->b, MOIRE__LOOP_min, m->row, last);
  m->operand[0] = moire__loop_binary(m->b, MOIRE__LOOP_max, row, first);
  for (int i = 1; i < table->rank; i++) m->operand[i] = m->result[n + i - 1];
}

bool moire__gather_demand(moire__demand *c) {
  int n = moire_value_shape(c->operands[1]).rank;
  if (c->axis < n)
    moire__demand_slice(c, 1, c->axis, c->start, c->length);
  else
    moire__demand_slice(c, 0, c->axis - n + 1, c->start, c->length);
  return true;
}

void moire__gather_reference(moire__reference *c) {
  const moire__tensor *table = c->operands[0], *rows = c->operands[1];
  int64_t one, size, width;
  moire__tensor_around(table, 0, &one, &size, &width);
  for (int64_t i = 0; i < rows->elements; i++) {
    int64_t row = (int64_t)rows->re[i];
    if (row < 0 || row >= size) {
      moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "row %" PRId64 " is not in a table of %" PRId64 " rows", row,
                 size);
      return;
    }
    for (int64_t j = 0; j < width; j++)
      moire__tensor_copy(c->results[0], i * width + j, table, row * width + j);
  }
}

bool moire__gather_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape table, rows;
    moire_dtype dtype, index;
  } rows[][4] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(5, 4), MOIRE_SHAPE(b, 3), MOIRE_F32, MOIRE_I32},
                              {MOIRE_SHAPE(7), MOIRE_SHAPE(b), MOIRE_F32, MOIRE_I64},
                              {MOIRE_SHAPE(4, 2, 3), MOIRE_SHAPE(6), MOIRE_C64, MOIRE_I32},
                              {MOIRE_SHAPE(9, 2), MOIRE_SHAPE(b, 2), MOIRE_I32, MOIRE_I32}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SHAPE(1, 33), MOIRE_SCALAR, MOIRE_F32, MOIRE_I32},
                              {MOIRE_SHAPE(3, 4), MOIRE_SHAPE(0), MOIRE_F32, MOIRE_I32},
                              {MOIRE_SHAPE(3, 0), MOIRE_SHAPE(b), MOIRE_F32, MOIRE_I32},
                              {MOIRE_SHAPE(2, 5), MOIRE_SHAPE(b, 7, 3), MOIRE_F32, MOIRE_I32}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SCALAR, MOIRE_SHAPE(3), MOIRE_F32, MOIRE_I32},
                               {MOIRE_SHAPE(3, 4), MOIRE_SHAPE(3), MOIRE_F32, MOIRE_F32},
                               {MOIRE_SHAPE(b, 4), MOIRE_SHAPE(3), MOIRE_F32, MOIRE_I32},
                               {MOIRE_SHAPE(1, 1, 1, 1, 1), MOIRE_SHAPE(1, 1, 1, 1, 1), MOIRE_F32, MOIRE_I32}},
  };
  if (s->index >= 4) return false;
  moire_shape shape = rows[s->kind][s->index].table;
  moire_value table = moire__sample_input(s, rows[s->kind][s->index].dtype, shape, -3, 3);
  moire_value at = moire__sample_input(s, rows[s->kind][s->index].index, rows[s->kind][s->index].rows, 0,
                                       s->kind == MOIRE__SAMPLE_WRONG ? 1 : (double)shape.dims[0]);
  s->no_gradient_check = rows[s->kind][s->index].dtype == MOIRE_I32;
  moire__attr padding = moire__attr_make_int("padding", -1);
  moire_value y = moire__sample_emit(s, MOIRE__OP_gather, (moire_value[]){table, at}, 2, &padding, 1);
  if (s->kind != MOIRE__SAMPLE_WRONG) return moire__sample_finish(s, y);
  return moire__sample_refuse(s, s->index == 1 ? MOIRE_ERROR_TYPE : MOIRE_ERROR_SHAPE);
}
