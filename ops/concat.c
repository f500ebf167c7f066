/* concat: parts of equal extents one after the other on attribute axis, where their extents are fixed. */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__concat_infer(moire__infer *c) {
  int axis;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_ANY));
  MOIRE__TRY(moire__infer_axis(c, "axis", c->operands[0]->shape.rank, &axis));
  moire_shape shape = c->operands[0]->shape;
  int64_t total = 0;
  for (int i = 0; i < c->n_operands; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << c->operands[0]->dtype));
    moire_shape part = c->operands[i]->shape;
    moire_dim extent = axis < part.rank ? part.dims[axis] : 0;
    if (axis < part.rank) part.dims[axis] = shape.dims[axis];
    if (!moire__shape_equal(&part, &shape))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "parts differ off axis %d: part 0 is %s, part %d is %s",
                        axis, moire__operand_type(c, 0).text, i, moire__operand_type(c, i).text);
    if (!moire__dim_is_static(extent))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "part %d is %s, wanted a fixed extent on axis %d", i,
                        moire__operand_type(c, i).text, axis);
    total += extent; /* 64 extents below 2^48 cannot overflow */
  }
  shape.dims[axis] = total;
  MOIRE__TRY(moire__shape_check(c->g, &shape, c->error));
  return moire__infer_result(c, 0, c->operands[0]->dtype, shape);
}

void moire__concat_gradient(moire__gradient *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t start = 0;
  for (int i = 0; i < c->node->n_operands; i++) {
    int64_t length = moire_value_dim(c->operands[i], axis);
    if (c->wanted[i]) c->operand_gradients[i] = moire_slice(c->result_gradients[0], axis, start, length);
    start += length;
  }
}

/* On the axis itself, each part gives what the slice covers of it, which may be nothing. */
bool moire__concat_demand(moire__demand *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t begin = 0;
  for (int i = 0; i < c->n_operands; i++) {
    if (c->axis != axis) {
      moire__demand_slice(c, i, c->axis, c->start, c->length);
      continue;
    }
    int64_t extent = moire_value_dim(c->operands[i], axis);
    int64_t from = c->start - begin, to = c->start + c->length - begin;
    begin += extent;
    from = from < 0 ? 0 : from > extent ? extent : from;
    to = to < from ? from : to > extent ? extent : to;
    moire__demand_slice(c, i, axis, from, to - from);
  }
  return true;
}

void moire__concat_reference(moire__reference *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t begin = 0, outer, total, extent, inner;
  moire__tensor_around(c->results[0], axis, &outer, &total, &inner);
  for (int p = 0; p < c->n_operands; p++) {
    moire__tensor_around(c->operands[p], axis, &outer, &extent, &inner);
    for (int64_t o = 0; o < outer; o++)
      for (int64_t i = 0; i < extent * inner; i++)
        moire__tensor_copy(c->results[0], (o * total + begin) * inner + i, c->operands[p],
                           o * extent * inner + i);
    begin += extent;
  }
}

bool moire__concat_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    int axis, n;
    moire_shape parts[3];
    moire_status expected;
  } cases[] = {
      {MOIRE__SAMPLE_GOOD, MOIRE_F32, 0, 2, {MOIRE_SHAPE(2, 3), MOIRE_SHAPE(4, 3)}, MOIRE_OK},
      {MOIRE__SAMPLE_GOOD, MOIRE_C64, 1, 2, {MOIRE_SHAPE(b, 3, 2), MOIRE_SHAPE(b, 4, 2)}, MOIRE_OK},
      {MOIRE__SAMPLE_GOOD,
       MOIRE_F32,
       2,
       3,
       {MOIRE_SHAPE(b, 2, 3), MOIRE_SHAPE(b, 2, 1), MOIRE_SHAPE(b, 2, 4)},
       MOIRE_OK},
      {MOIRE__SAMPLE_HARD, MOIRE_F32, 0, 1, {MOIRE_SHAPE(7)}, MOIRE_OK},
      {MOIRE__SAMPLE_HARD, MOIRE_F32, 0, 3, {MOIRE_SHAPE(13), MOIRE_SHAPE(0), MOIRE_SHAPE(33)}, MOIRE_OK},
      {MOIRE__SAMPLE_HARD, MOIRE_F32, 1, 2, {MOIRE_SHAPE(17, 0), MOIRE_SHAPE(17, 0)}, MOIRE_OK},
      {MOIRE__SAMPLE_HARD, MOIRE_C64, 1, 2, {MOIRE_SHAPE(0, 3), MOIRE_SHAPE(0, 2)}, MOIRE_OK},
      {MOIRE__SAMPLE_HARD, MOIRE_I32, 1, 2, {MOIRE_SHAPE(3, 7), MOIRE_SHAPE(3, 13)}, MOIRE_OK},
      {MOIRE__SAMPLE_WRONG, MOIRE_F32, 0, 2, {MOIRE_SHAPE(2, 3), MOIRE_SHAPE(4, 4)}, MOIRE_ERROR_SHAPE},
      {MOIRE__SAMPLE_WRONG, MOIRE_F32, 0, 2, {MOIRE_SHAPE(2, 3), MOIRE_SHAPE(4)}, MOIRE_ERROR_SHAPE},
      {MOIRE__SAMPLE_WRONG, MOIRE_F32, 0, 2, {MOIRE_SHAPE(b, 3), MOIRE_SHAPE(4, 3)}, MOIRE_ERROR_SHAPE},
      {MOIRE__SAMPLE_WRONG, MOIRE_F32, 2, 2, {MOIRE_SHAPE(2, 3), MOIRE_SHAPE(4, 3)}, MOIRE_ERROR_ARGUMENT},
      {MOIRE__SAMPLE_WRONG, MOIRE_F32, 0, 2, {MOIRE_SCALAR, MOIRE_SCALAR}, MOIRE_ERROR_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value parts[3];
  for (int p = 0; p < cases[i].n; p++)
    parts[p] = moire__sample_input(s, cases[i].dtype, cases[i].parts[p], -2, 2);
  moire__attr axis = moire__attr_make_int("axis", cases[i].axis);
  moire_value y = moire__sample_emit(s, MOIRE__OP_concat, parts, cases[i].n, &axis, 1);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}
