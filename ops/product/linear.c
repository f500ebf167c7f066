/* linear: y = x w^T + b; operands x [..., in], weight [out, in], perhaps bias [out]; real or complex in any
 * mix.
 *
 * All leading axes of x are one axis of rows, so that a batch of sequences is a single product.
 */
#include "ops/parts.h"
#include "ops/product/product.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__linear_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_rank(c, 1, 2, 2));
  moire_dtype dtype = c->operands[0]->dtype;
  for (int i = 0; i < c->n_operands; i++) {
    moire_dtype other = c->operands[i]->dtype;
    MOIRE__TRY(moire__infer_dtype(c, i, MOIRE__SET_REAL | MOIRE__SET_COMPLEX));
    if (other != dtype && (other == MOIRE_F64 || dtype == MOIRE_F64))
      return moire_fail(c->error, MOIRE_ERROR_TYPE, "element types differ: operand 0 is %s, operand %d is %s",
                        moire__operand_type(c, 0).text, i, moire__operand_type(c, i).text);
    if (other == MOIRE_C64) dtype = other;
  }
  moire_shape shape = c->operands[0]->shape, rows = shape;
  const moire_shape *w = &c->operands[1]->shape;
  if (shape.dims[shape.rank - 1] != w->dims[1])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "inner extents differ: x is %s, weight is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  if (c->n_operands == 3 && (c->operands[2]->shape.rank != 1 || c->operands[2]->shape.dims[0] != w->dims[0]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "outer extents differ: weight is %s, bias is %s",
                      moire__operand_type(c, 1).text, moire__operand_type(c, 2).text);
  moire_dim n;
  rows.rank = shape.rank - 1;
  moire_shape result = shape;
  result.dims[shape.rank - 1] = w->dims[0];
  bool counted = moire__shape_elements(&rows, &n);
  if (shape.rank != 2) /* the expansion reshapes both */
    counted = counted && moire__shape_elements(&shape, &n) && moire__shape_elements(&result, &n);
  if (!counted)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "the rows of %s are too many, or have more than 3 named extents",
                      moire__operand_type(c, 0).text);
  return moire__infer_result(c, 0, dtype, result);
}

void moire__linear_expand(moire__expand *c) {
  moire_value x = c->operands[0], weight = c->operands[1];
  moire_shape shape = moire_value_shape(x), lead = shape;
  moire_dim rows = 0, in = shape.dims[shape.rank - 1], out = moire_value_shape(weight).dims[0];
  lead.rank = shape.rank - 1;
  moire__shape_elements(&lead, &rows); /* inference has seen that it can be done */
  if (shape.rank != 2) x = moire_reshape(x, MOIRE_SHAPE(rows, in));
  moire_value y = moire__product(c->g, x, weight, (moire__product_flags){.transpose_b = true});
  if (c->n_operands == 3) {
    y = moire_add(y, moire_broadcast(c->operands[2], MOIRE_SHAPE(rows, out)));
    moire__graph_name(y, "bias");
  }
  shape.dims[shape.rank - 1] = out;
  c->results[0] = shape.rank == 2 ? y : moire_reshape(y, shape);
}

bool moire__linear_demand(moire__demand *c) {
  if (c->axis == moire_value_shape(c->operands[0]).rank - 1) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

void moire__linear_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *w = c->operands[1], *b = c->n_operands == 3 ? c->operands[2] : NULL;
  moire__tensor *y = c->results[0];
  int64_t in = w->dims[1], out = w->dims[0];
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t row = i / out, o = i % out;
    double re = b ? b->re[o] : 0, im = b && b->im ? b->im[o] : 0;
    for (int64_t k = 0; k < in; k++) {
      double xr = x->re[row * in + k], xi = x->im ? x->im[row * in + k] : 0;
      double wr = w->re[o * in + k], wi = w->im ? w->im[o * in + k] : 0;
      re += xr * wr - xi * wi;
      im += xr * wi + xi * wr;
    }
    y->re[i] = re;
    if (y->im) y->im[i] = im;
  }
}

bool moire__linear_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype types[3]; /* the last is 0 where there is no bias */
    moire_shape x;
    moire_dim out, in, bias;
    moire_status expected;
  } cases[] = {
      {GOOD, {F32, F32, F32}, S(4, 8), 5, 8, 5, ACCEPTED},
      {GOOD, {C64, C64, C64}, S(b, 3, 8), 16, 8, 16, ACCEPTED},
      {GOOD, {F32, C64, C64}, S(b, 4), 3, 4, 3, ACCEPTED},
      {GOOD, {C64, F32, F32}, S(b, 4), 3, 4, 3, ACCEPTED},
      {GOOD, {C64, C64, 0}, S(2, b, 2, 4), 3, 4, 3, ACCEPTED},
      {GOOD, {F32, F32, 0}, S(b, 5, 16), 16, 16, 16, ACCEPTED},
      {HARD, {F32, F32, F32}, S(7), 3, 7, 3, ACCEPTED},
      {HARD, {F32, F32, C64}, S(13, 17), 33, 17, 33, ACCEPTED},
      {HARD, {F32, F32, F32}, S(1, 1, 1), 1, 1, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, S(0, 3), 2, 3, 2, ACCEPTED},
      {HARD, {C64, C64, C64}, S(3, 0), 2, 0, 2, ACCEPTED},
      {HARD, {F32, F32, F32}, S(3, 2), 0, 2, 0, ACCEPTED},
      {HARD, {F32, F32, F32}, S(b, t, 8), 5, 8, 5, ACCEPTED},
      {HARD, {C64, F32, 0}, S(t, 2, b, t, 3), 4, 3, 4, ACCEPTED},
      {WRONG, {F32, F32, 0}, S(4, 8), 8, 5, 8, BAD_SHAPE},
      {WRONG, {F32, F32, F32}, S(4, 8), 5, 8, 8, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, SCALAR, 5, 8, 5, BAD_SHAPE},
      {WRONG, {F32, I32, 0}, S(4, 8), 5, 8, 5, BAD_TYPE},
      {WRONG, {F64, F32, 0}, S(4, 8), 5, 8, 5, BAD_TYPE},
      {WRONG, {C64, C64, F64}, S(4, 8), 5, 8, 5, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  const moire_shape shapes[] = {cases[i].x, MOIRE_SHAPE(cases[i].out, cases[i].in), MOIRE_SHAPE(cases[i].bias)};
  moire_value operands[3];
  int n = cases[i].types[2] ? 3 : 2;
  for (int j = 0; j < n; j++) operands[j] = moire__sample_input(s, cases[i].types[j], shapes[j], -1, 1);
  moire_value y = moire__sample_emit(s, MOIRE__OP_linear, operands, n, NULL, 0);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}
