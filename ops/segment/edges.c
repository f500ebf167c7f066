/* What the ops over edges share: inference, and emitting an order. */
#include "ops/segment/edges.h"

#include "ops/support.h"

moire_status moire__infer_order(moire__infer *c, int first, moire_dim *edges, moire_dim *rows) {
  for (int i = first; i < first + 3; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_I32));
    MOIRE__TRY(moire__infer_rank(c, i, 1, 1));
  }
  MOIRE__TRY(moire__infer_alike(c, first + 1, first + 2));
  *edges = c->operands[first]->shape.dims[0];
  *rows = c->operands[first + 1]->shape.dims[0];
  return MOIRE_OK;
}

moire_status moire__infer_rows(moire__infer *c, int operand, moire_dim edges) {
  MOIRE__TRY(moire__infer_dtype(c, operand, MOIRE__SET_INT));
  MOIRE__TRY(moire__infer_rank(c, operand, 1, 1));
  if (c->operands[operand]->shape.dims[0] == edges) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                    "operand %d is %s, wanted a row for each edge of operand 0, %s", operand,
                    moire__operand_type(c, operand).text, moire__operand_type(c, 0).text);
}

moire_status moire__infer_heads(moire__infer *c, int operand, int64_t heads) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, operand, 3, 3));
  const moire_shape *shape = &c->operands[operand]->shape;
  if ((shape->dims[1] == heads || shape->dims[1] == 1) && moire__dim_is_static(shape->dims[2])) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                    "operand %d is %s, wanted [rows, %lld or 1 heads, a fixed number of features]", operand,
                    moire__operand_type(c, operand).text, (long long)heads);
}

void moire__order_emit(moire_graph *g, moire_value rows, moire_dim n, moire_value out[3]) {
  moire_shape shape = MOIRE_SHAPE(n);
  const moire__attr attr = moire__attr_make_dims("shape", &shape);
  moire_value first = moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_segment_order, &rows, 1, &attr, 1);
  for (int i = 0; i < 3; i++) out[i] = moire_value_is_null(first) ? first : moire__value(g, first.id + i);
}
