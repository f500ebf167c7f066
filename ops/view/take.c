/* take: some rows of a value, each at most once; y[m, j..] = x[rows[m], j..], or 0 where rows[m] is negative.
 *
 * rows and inverse belong together: inverse[n] is the m that takes row n, or -1. So the gradient is a take as
 * well, with the two exchanged, and nothing is added up. Padding is left out of a batch, and put back, in this
 * way (compiler/pass/pack/pack.c). That the two fit is the caller's promise; a row past the end is read as
 * the last, and neither side may be empty while the other is not, since a row is read before it is chosen.
 */
#include "ops/parts.h"
#include "ops/support.h"

#include <string.h>

static moire_status infer_index(moire__infer *c, int operand) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << MOIRE_I32));
  return moire__infer_rank(c, operand, 1, 1);
}

moire_status moire__take_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(infer_index(c, 1));
  MOIRE__TRY(infer_index(c, 2));
  moire_shape shape = c->operands[0]->shape;
  if (shape.dims[0] == 0 || c->operands[1]->shape.dims[0] == 0) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "x is %s and rows is %s, wanted some rows of both",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  }
  if (c->operands[2]->shape.dims[0] != shape.dims[0]) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "x is %s, but inverse is %s", moire__operand_type(c, 0).text,
                      moire__operand_type(c, 2).text);
  }
  shape.dims[0] = c->operands[1]->shape.dims[0];
  return moire__infer_result(c, 0, c->operands[0]->dtype, shape);
}

void moire__take_gradient(moire__gradient *c) {
  moire_value operands[] = {c->result_gradients[0], c->operands[2], c->operands[1]};
  c->operand_gradients[0] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_take, operands, 3, NULL, 0);
}

void moire__take_map(moire__index_map *m) {
  const moire_shape *x = &m->g->values[m->node->operands[0]].shape;
  moire__loop_value zero = moire__loop_index(m->b, 0);
  moire__loop_value last = moire__loop_binary(m->b, MOIRE__LOOP_add, moire__loop_extent(m->b, x->dims[0]),
                                              moire__loop_index(m->b, -1));
  m->valid = moire__loop_binary(m->b, MOIRE__LOOP_le, zero, m->row);
  moire__loop_value row = moire__loop_binary(m->b, MOIRE__LOOP_min, m->row, last);
  m->operand[0] = moire__loop_binary(m->b, MOIRE__LOOP_max, row, zero);
  for (int i = 1; i < x->rank; i++) m->operand[i] = m->result[i];
}

void moire__take_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *rows = c->operands[1];
  int64_t one, size, width;
  moire__tensor_around(x, 0, &one, &size, &width);
  for (int64_t m = 0; m < rows->elements; m++) {
    int64_t row = (int64_t)rows->re[m];
    if (row >= size) {
      moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "row %lld of %lld is taken", (long long)row, (long long)size);
      return;
    }
    for (int64_t j = 0; j < width && row >= 0; j++)
      moire__tensor_copy(c->results[0], m * width + j, x, row * width + j);
  }
}

/* rows[m] = m + shift, of which the ends are negative or never taken; its inverse[n] = n - shift where that is
 * one of the m, else -1. */
static moire_value shifted(moire__sampler *s, moire_dim n, moire_dim limit, int64_t shift) {
  moire_value at = moire_iota(s->g, MOIRE_SHAPE(n), 0);
  moire_value moved = moire_add(at, moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, (double)shift));
  moire_value inside = moire_less(moved, moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, (double)limit));
  return moire_where(inside, moved, moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, -1));
}

bool moire__take_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire_shape x;
    moire_dim m;
    int64_t shift;
    moire_dtype dtype;
  } rows[][4] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(7, 4), 5, 1, MOIRE_F32},
                              {MOIRE_SHAPE(6, 2, 3), 6, -2, MOIRE_C64},
                              {MOIRE_SHAPE(5, 17), 9, 0, MOIRE_F32},
                              {MOIRE_SHAPE(4, 3), 4, 2, MOIRE_I32}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SHAPE(1), 1, 0, MOIRE_F32},
                              {MOIRE_SHAPE(3, 4), 1, 0, MOIRE_F32},
                              {MOIRE_SHAPE(3, 0), 2, 1, MOIRE_F32},
                              {MOIRE_SHAPE(5, 33), 3, 9, MOIRE_F32}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SCALAR, 3, 0, MOIRE_F32},
                               {MOIRE_SHAPE(b, 4), 3, 0, MOIRE_F32},
                               {MOIRE_SHAPE(3, 4), b, 0, MOIRE_F32},
                               {MOIRE_SHAPE(7, 3), 0, 0, MOIRE_F32}},
  };
  if (s->index >= 4) return false;
  moire_shape shape = rows[s->kind][s->index].x;
  moire_dim m = rows[s->kind][s->index].m;
  moire_value operands[3] = {moire__sample_input(s, rows[s->kind][s->index].dtype, shape, -3, 3)};
  s->no_gradient_check = rows[s->kind][s->index].dtype == MOIRE_I32;
  if (s->kind == MOIRE__SAMPLE_WRONG) { /* inverse has 7 entries, whatever x has */
    operands[1] = moire__sample_input(s, MOIRE_I32, MOIRE_SHAPE(m), 0, 1);
    operands[2] = moire__sample_input(s, MOIRE_I32, MOIRE_SHAPE(7), 0, 1);
    moire__sample_emit(s, MOIRE__OP_take, operands, 3, NULL, 0);
    return moire__sample_refuse(s, MOIRE_ERROR_SHAPE);
  }
  operands[1] = shifted(s, m, shape.dims[0], rows[s->kind][s->index].shift);
  operands[2] = shifted(s, shape.dims[0], m, -rows[s->kind][s->index].shift);
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_take, operands, 3, NULL, 0));
}
