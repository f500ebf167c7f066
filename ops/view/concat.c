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
      {GOOD, F32, 0, 2, {S(2, 3), S(4, 3)}, ACCEPTED},
      {GOOD, C64, 1, 2, {S(b, 3, 2), S(b, 4, 2)}, ACCEPTED},
      {GOOD, F32, 2, 3, {S(b, 2, 3), S(b, 2, 1), S(b, 2, 4)}, ACCEPTED},
      {HARD, F32, 0, 1, {S(7)}, ACCEPTED},
      {HARD, F32, 0, 3, {S(13), S(0), S(33)}, ACCEPTED},
      {HARD, F32, 1, 2, {S(17, 0), S(17, 0)}, ACCEPTED},
      {HARD, C64, 1, 2, {S(0, 3), S(0, 2)}, ACCEPTED},
      {HARD, I32, 1, 2, {S(3, 7), S(3, 13)}, ACCEPTED},
      {WRONG, F32, 0, 2, {S(2, 3), S(4, 4)}, BAD_SHAPE},
      {WRONG, F32, 0, 2, {S(2, 3), S(4)}, BAD_SHAPE},
      {WRONG, F32, 0, 2, {S(b, 3), S(4, 3)}, BAD_SHAPE},
      {WRONG, F32, 2, 2, {S(2, 3), S(4, 3)}, BAD_ARGUMENT},
      {WRONG, F32, 0, 2, {SCALAR, SCALAR}, BAD_SHAPE},
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
