/* slice: x[.., start : start + length, ..] on one axis of static extent. Slices of slices are joined, and moved
 * up to operands, by the demand pass. */
#include "ops/parts.h"
#include "ops/support.h"

moire_status moire__slice_infer(moire__infer *c) {
  const moire__value_info *x = c->operands[0];
  int axis;
  int64_t start, length;
  MOIRE__TRY(moire__infer_axis(c, "axis", x->shape.rank, &axis));
  if (!moire__dim_is_static(x->shape.dims[axis]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "axis %d of %s has a named extent", axis,
                      moire__operand_type(c, 0).text);
  MOIRE__TRY(moire__infer_int(c, "start", 0, x->shape.dims[axis], &start));
  MOIRE__TRY(moire__infer_int(c, "length", 0, x->shape.dims[axis] - start, &length));
  moire_shape shape = x->shape;
  shape.dims[axis] = length;
  return moire__infer_result(c, 0, x->dtype, shape);
}

void moire__slice_gradient(moire__gradient *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t start = moire__node_int(c->node, "start"), length = moire__node_int(c->node, "length");
  int64_t extent = moire_value_dim(c->operands[0], axis);
  if (length == 0) return; /* nothing flows back, and pad takes no empty axis */
  c->operand_gradients[0] = moire_pad(c->result_gradients[0], axis, start, extent - start - length);
}

void moire__slice_map(moire__index_map *m) {
  int axis = (int)moire__node_int(m->node, "axis");
  int rank = m->g->values[m->node->first_result].shape.rank;
  for (int i = 0; i < rank; i++) m->operand[i] = m->result[i];
  moire__loop_value start = moire__loop_index(m->b, moire__node_int(m->node, "start"));
  m->operand[axis] = moire__loop_binary(m->b, MOIRE__LOOP_add, m->result[axis], start);
}

void moire__slice_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int64_t start = moire__node_int(c->node, "start"), outer, n, inner, length, same;
  moire__tensor_around(x, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  moire__tensor_around(y, (int)moire__node_int(c->node, "axis"), &same, &length, &same);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < length * inner; i++)
      moire__tensor_copy(y, o * length * inner + i, x, (o * n + start) * inner + i);
}

bool moire__slice_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape shape;
    int axis;
    int64_t start, length;
  } rows[][3] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(b, 5, 4), 1, 4, 1},
                              {MOIRE_SHAPE(b, 6), 1, 1, 3},
                              {MOIRE_SHAPE(7, b), 0, 2, 5}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SHAPE(b, 5), 1, 0, 5},
                              {MOIRE_SHAPE(4, 3), 0, 4, 0},
                              {MOIRE_SHAPE(1), 0, 0, 1}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SHAPE(b, 5), 1, 3, 3},
                               {MOIRE_SHAPE(b, 5), 1, -1, 2},
                               {MOIRE_SHAPE(b, 5), 0, 0, 1}},
  };
  if (s->index >= 3) return false;
  int axis = rows[s->kind][s->index].axis;
  moire_dtype dtype = s->index == 1 ? MOIRE_C64 : MOIRE_F32;
  moire_value x = moire__sample_input(s, dtype, rows[s->kind][s->index].shape, -3, 3);
  moire_value y = moire_slice(x, axis, rows[s->kind][s->index].start, rows[s->kind][s->index].length);
  if (s->kind != MOIRE__SAMPLE_WRONG) return moire__sample_finish(s, y);
  return moire__sample_refuse(s, s->index == 2 ? MOIRE_ERROR_SHAPE : MOIRE_ERROR_ARGUMENT);
}
