/* broadcast: axes are aligned at the last; an extent of 1 is repeated, and new axes come in front. */
#include "ops/parts.h"
#include "ops/support.h"

/* Whether result axis `axis` repeats one element of an operand with `rank` axes fewer or as many. */
static bool repeats(const moire_shape *x, const moire_shape *y, int axis) {
  int from = axis - (y->rank - x->rank);
  return from < 0 || (x->dims[from] == 1 && y->dims[axis] != 1);
}

moire_status moire__broadcast_infer(moire__infer *c) {
  const moire__value_info *x = c->operands[0];
  moire_shape shape;
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  bool fits = shape.rank >= x->shape.rank;
  for (int i = 0; fits && i < shape.rank; i++)
    fits = repeats(&x->shape, &shape, i) || x->shape.dims[i - (shape.rank - x->shape.rank)] == shape.dims[i];
  if (fits) return moire__infer_result(c, 0, x->dtype, shape);
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s cannot be repeated to %s", moire__operand_type(c, 0).text,
                    moire__type_print(c->g, x->dtype, &shape).text);
}

/* The sum over all repeated axes, which stay with extent 1; those in front are then dropped. */
void moire__broadcast_gradient(moire__gradient *c) {
  moire_value dx = c->result_gradients[0];
  moire_shape x = moire_value_shape(c->operands[0]), y = moire_value_shape(dx);
  int64_t axes[MOIRE_MAX_RANK];
  int n = 0;
  for (int i = 0; i < y.rank; i++)
    if (repeats(&x, &y, i) && y.dims[i] != 1) axes[n++] = i;
  moire__attr attr = moire__attr_make_ints("axes", axes, n);
  if (n) dx = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_sum, &dx, 1, &attr, 1);
  c->operand_gradients[0] = moire_reshape(dx, x);
}

void moire__broadcast_map(moire__index_map *m) {
  const moire_shape *x = &m->g->values[m->node->operands[0]].shape;
  const moire_shape *y = &m->g->values[m->node->first_result].shape;
  int added = y->rank - x->rank;
  for (int i = 0; i < x->rank; i++)
    m->operand[i] = x->dims[i] == 1 ? moire__loop_index(m->b, 0) : m->result[i + added];
}

bool moire__broadcast_demand(moire__demand *c) {
  moire_shape x = moire_value_shape(c->operands[0]), y = moire__node_shape(c->node, "shape");
  if (!repeats(&x, &y, c->axis)) moire__demand_slice(c, 0, c->axis - (y.rank - x.rank), c->start, c->length);
  moire__demand_set_dim(c, "shape", c->axis, c->length);
  return true;
}

void moire__broadcast_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int added = y->rank - x->rank;
  int64_t at[MOIRE_MAX_RANK] = {0}, from[MOIRE_MAX_RANK];
  for (int64_t i = 0; i < y->elements; i++, moire__index_next(y->rank, y->dims, at)) {
    for (int d = 0; d < x->rank; d++) from[d] = x->dims[d] == 1 ? 0 : at[d + added];
    moire__tensor_copy(y, i, x, moire__tensor_offset(x, from));
  }
}

bool moire__broadcast_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape from, to;
  } rows[][4] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(5), MOIRE_SHAPE(b, 4, 5)},
                              {MOIRE_SHAPE(b, 1, 5), MOIRE_SHAPE(b, 4, 5)},
                              {MOIRE_SHAPE(1, 3, 1), MOIRE_SHAPE(2, 3, 4)},
                              {MOIRE_SHAPE(b, 1), MOIRE_SHAPE(2, b, 7)}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SCALAR, MOIRE_SHAPE(b, 33)},
                              {MOIRE_SHAPE(1), MOIRE_SHAPE(0)},
                              {MOIRE_SHAPE(1, 0), MOIRE_SHAPE(3, 0)},
                              {MOIRE_SHAPE(1), MOIRE_SHAPE(1, 1, 1)}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SHAPE(3), MOIRE_SHAPE(2, 4)},
                               {MOIRE_SHAPE(2, 3), MOIRE_SHAPE(3)},
                               {MOIRE_SHAPE(b), MOIRE_SHAPE(3)},
                               {MOIRE_SHAPE(3), MOIRE_SHAPE(3, 1)}},
  };
  if (s->index >= 4) return false;
  moire_dtype dtype = s->index == 1 ? MOIRE_C64 : MOIRE_F32;
  moire_value x = moire__sample_input(s, dtype, rows[s->kind][s->index].from, -3, 3);
  moire_value y = moire_broadcast(x, rows[s->kind][s->index].to);
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, MOIRE_ERROR_SHAPE);
  return moire__sample_finish(s, y);
}
