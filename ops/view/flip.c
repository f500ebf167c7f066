/* flip: the elements of one axis from the last to the first. */
#include "ops/parts.h"
#include "ops/support.h"

moire_status moire__flip_infer(moire__infer *c) {
  int axis;
  MOIRE__TRY(moire__infer_axis(c, "axis", c->operands[0]->shape.rank, &axis));
  return moire__infer_as_operand(c, 0);
}

void moire__flip_gradient(moire__gradient *c) {
  c->operand_gradients[0] = moire_flip(c->result_gradients[0], (int)moire__node_int(c->node, "axis"));
}

void moire__flip_map(moire__index_map *m) {
  const moire_shape *shape = &m->g->values[m->node->first_result].shape;
  int axis = (int)moire__node_int(m->node, "axis");
  for (int i = 0; i < shape->rank; i++) m->operand[i] = m->result[i];
  moire__loop_value end = moire__loop_extent(m->b, shape->dims[axis]), one = moire__loop_index(m->b, 1);
  moire__loop_value last = moire__loop_binary(m->b, MOIRE__LOOP_sub, end, one);
  m->operand[axis] = moire__loop_binary(m->b, MOIRE__LOOP_sub, last, m->result[axis]);
}

/* A slice on the axis is that of the other end. */
bool moire__flip_demand(moire__demand *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t start = c->start;
  if (c->axis == axis) start = moire_value_dim(c->operands[0], axis) - c->start - c->length;
  moire__demand_slice(c, 0, c->axis, start, c->length);
  return true;
}

void moire__flip_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  int64_t outer, n, inner;
  moire__tensor_around(x, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < inner; k++)
        moire__tensor_copy(c->results[0], (o * n + i) * inner + k, x, (o * n + n - 1 - i) * inner + k);
}

bool moire__flip_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape shape;
    int axis;
  } rows[][3] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(b, 5, 4), 1}, {MOIRE_SHAPE(b, 6), 0}, {MOIRE_SHAPE(7, 33), 1}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SHAPE(b, 1), 1}, {MOIRE_SHAPE(0, 3), 0}, {MOIRE_SHAPE(1, 67), 1}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SHAPE(b, 5), 2}, {MOIRE_SHAPE(b, 5), -1}, {MOIRE_SCALAR, 0}},
  };
  if (s->index >= 3) return false;
  moire_dtype dtype = s->index == 1 ? MOIRE_C64 : MOIRE_F32;
  moire_value x = moire__sample_input(s, dtype, rows[s->kind][s->index].shape, -3, 3);
  moire__attr axis = moire__attr_make_int("axis", rows[s->kind][s->index].axis);
  moire_value y = moire__sample_emit(s, MOIRE__OP_flip, &x, 1, &axis, 1);
  return s->kind == MOIRE__SAMPLE_WRONG
             ? moire__sample_refuse(s, s->index == 2 ? MOIRE_ERROR_SHAPE : MOIRE_ERROR_ARGUMENT)
             : moire__sample_finish(s, y);
}
