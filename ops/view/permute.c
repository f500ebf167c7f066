/* permute: axes in another order; result axis i is operand axis axes[i]. */
#include "ops/parts.h"
#include "ops/support.h"

moire_status moire__permute_infer(moire__infer *c) {
  const moire__value_info *x = c->operands[0];
  const int64_t *axes;
  int n;
  MOIRE__TRY(moire__infer_ints(c, "axes", &axes, &n));
  if (n != x->shape.rank)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%d axes for operand %s", n, moire__operand_type(c, 0).text);
  moire_shape shape = {.rank = n};
  unsigned seen = 0;
  for (int i = 0; i < n; i++) {
    if (axes[i] < 0 || axes[i] >= n || (seen >> axes[i] & 1))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "axes is no permutation of the axes of %s",
                        moire__operand_type(c, 0).text);
    seen |= 1U << axes[i];
    shape.dims[i] = x->shape.dims[axes[i]];
  }
  return moire__infer_result(c, 0, x->dtype, shape);
}

void moire__permute_gradient(moire__gradient *c) {
  int n, inverse[MOIRE_MAX_RANK];
  const int64_t *axes = moire__node_ints(c->node, "axes", &n);
  for (int i = 0; i < n; i++) inverse[axes[i]] = i;
  c->operand_gradients[0] = moire_permute(c->result_gradients[0], n, inverse);
}

void moire__permute_map(moire__index_map *m) {
  int n;
  const int64_t *axes = moire__node_ints(m->node, "axes", &n);
  for (int i = 0; i < n; i++) m->operand[axes[i]] = m->result[i];
}

bool moire__permute_demand(moire__demand *c) {
  int n;
  const int64_t *axes = moire__node_ints(c->node, "axes", &n);
  moire__demand_slice(c, 0, (int)axes[c->axis], c->start, c->length);
  return true;
}

void moire__permute_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int n;
  const int64_t *axes = moire__node_ints(c->node, "axes", &n);
  int64_t at[MOIRE_MAX_RANK] = {0}, from[MOIRE_MAX_RANK];
  for (int64_t i = 0; i < y->elements; i++, moire__index_next(n, y->dims, at)) {
    for (int d = 0; d < n; d++) from[axes[d]] = at[d];
    moire__tensor_copy(y, i, x, moire__tensor_offset(x, from));
  }
}

bool moire__permute_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape shape;
    int axes[4];
  } rows[][3] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(b, 4, 5), {0, 2, 1}},
                              {MOIRE_SHAPE(2, 3), {1, 0}},
                              {MOIRE_SHAPE(2, b, 3, 4), {3, 0, 2, 1}}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SCALAR, {0}},
                              {MOIRE_SHAPE(0, 3, 2), {2, 0, 1}},
                              {MOIRE_SHAPE(1, 17, 1), {1, 2, 0}}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SHAPE(2, 3), {0, 0}},
                               {MOIRE_SHAPE(2, 3), {0, 2}},
                               {MOIRE_SHAPE(2, 3), {-3, 0}}},
  };
  if (s->index >= 3) return false;
  moire_shape shape = rows[s->kind][s->index].shape;
  moire_value x = moire__sample_input(s, s->index == 1 ? MOIRE_C64 : MOIRE_F32, shape, -3, 3);
  moire_value y = moire_permute(x, shape.rank, rows[s->kind][s->index].axes);
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, MOIRE_ERROR_SHAPE);
  return moire__sample_finish(s, y);
}
