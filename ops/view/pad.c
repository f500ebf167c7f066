/* pad: zeros before and after on one axis, which has a static extent and is not empty.
 *
 * Compiled code reads the operand also where the result is zero, and throws away what it read: an element of
 * the operand must be there to be read, so an empty axis is refused.
 */
#include "ops/parts.h"
#include "ops/support.h"

enum { LONGEST = INT32_MAX }; /* of the zeros on either side */

moire_status moire__pad_infer(moire__infer *c) {
  const moire__value_info *x = c->operands[0];
  int axis;
  int64_t before, after;
  MOIRE__TRY(moire__infer_axis(c, "axis", x->shape.rank, &axis));
  MOIRE__TRY(moire__infer_int(c, "before", 0, LONGEST, &before));
  MOIRE__TRY(moire__infer_int(c, "after", 0, LONGEST, &after));
  if (!moire__dim_is_static(x->shape.dims[axis]) || x->shape.dims[axis] == 0)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "axis %d of %s has a named extent, or none", axis,
                      moire__operand_type(c, 0).text);
  moire_shape shape = x->shape;
  shape.dims[axis] += before + after;
  return moire__infer_result(c, 0, x->dtype, shape);
}

void moire__pad_gradient(moire__gradient *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  c->operand_gradients[0] = moire_slice(c->result_gradients[0], axis, moire__node_int(c->node, "before"),
                                        moire_value_dim(c->operands[0], axis));
}

/* at - before, but never outside of the operand. */
void moire__pad_map(moire__index_map *m) {
  const moire_shape *x = &m->g->values[m->node->operands[0]].shape;
  int axis = (int)moire__node_int(m->node, "axis");
  int64_t before = moire__node_int(m->node, "before"), after = moire__node_int(m->node, "after");
  for (int i = 0; i < x->rank; i++) m->operand[i] = m->result[i];
  moire__loop_value at = m->result[axis];
  if (before > 0) {
    moire__loop_value first = moire__loop_index(m->b, before);
    m->valid = moire__loop_binary(m->b, MOIRE__LOOP_le, first, at);
    at = moire__loop_binary(m->b, MOIRE__LOOP_max, at, first);
    m->operand[axis] = moire__loop_binary(m->b, MOIRE__LOOP_sub, at, first);
  }
  if (after == 0) return;
  moire__loop_value last = moire__loop_index(m->b, x->dims[axis] - 1);
  moire__loop_value inside = moire__loop_binary(m->b, MOIRE__LOOP_le, m->operand[axis], last);
  m->operand[axis] = moire__loop_binary(m->b, MOIRE__LOOP_min, m->operand[axis], last);
  m->valid = m->valid ? moire__loop_binary(m->b, MOIRE__LOOP_and, m->valid, inside) : inside;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
  return value < low ? low : value > high ? high : value;
}

/* A slice on the padded axis keeps the part of the operand that it meets, if any, and has fewer zeros. */
bool moire__pad_demand(moire__demand *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  if (c->axis != axis) {
    moire__demand_slice(c, 0, c->axis, c->start, c->length);
    return true;
  }
  int64_t before = moire__node_int(c->node, "before"), n = moire_value_dim(c->operands[0], axis);
  int64_t low = clamp(c->start - before, 0, n), high = clamp(c->start + c->length - before, 0, n);
  if (low == high) return false;
  moire__demand_slice(c, 0, axis, low, high - low);
  before = clamp(before - c->start, 0, c->length);
  moire__demand_set_int(c, "before", before);
  moire__demand_set_int(c, "after", c->length - before - (high - low));
  return true;
}

void moire__pad_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int64_t before = moire__node_int(c->node, "before"), outer, n, inner, padded, same;
  moire__tensor_around(x, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  moire__tensor_around(y, (int)moire__node_int(c->node, "axis"), &same, &padded, &same);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < n * inner; i++)
      moire__tensor_copy(y, (o * padded + before) * inner + i, x, o * n * inner + i);
}

bool moire__pad_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape shape;
    int axis;
    int64_t before, after;
  } rows[][4] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(b, 4), 1, 2, 0},
                              {MOIRE_SHAPE(b, 3, 5), 1, 1, 2},
                              {MOIRE_SHAPE(4, b), 0, 0, 3}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SHAPE(b, 5), 1, 0, 0},
                              {MOIRE_SHAPE(0, 3), 1, 2, 1},
                              {MOIRE_SHAPE(1, 0), 0, 1, 1}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SHAPE(b, 5), 1, -1, 0},
                               {MOIRE_SHAPE(b, 5), 1, 0, -2},
                               {MOIRE_SHAPE(b, 5), 0, 1, 1},
                               {MOIRE_SHAPE(0, 3), 0, 1, 1}},
  };
  if (s->index >= (s->kind == MOIRE__SAMPLE_WRONG ? 4 : 3)) return false;
  int axis = rows[s->kind][s->index].axis;
  moire_dtype dtype = s->index == 1 ? MOIRE_C64 : MOIRE_F32;
  moire_value x = moire__sample_input(s, dtype, rows[s->kind][s->index].shape, -3, 3);
  moire_value y = moire_pad(x, axis, rows[s->kind][s->index].before, rows[s->kind][s->index].after);
  if (s->kind != MOIRE__SAMPLE_WRONG) return moire__sample_finish(s, y);
  return moire__sample_refuse(s, s->index >= 2 ? MOIRE_ERROR_SHAPE : MOIRE_ERROR_ARGUMENT);
}
