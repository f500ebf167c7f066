/* scatter_max: t[r, j..] = the largest of x[r, j..] and the u[i.., j..] where rows[i..] = r; operands x, rows,
 * u.
 *
 * As torch's scatter_reduce "amax" with include_self. The gradient of an element is shared equally among all
 * that are as large, x included. A row outside of x has no meaning: the reference refuses it, compiled code
 * skips it.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

moire_status moire__scatter_max_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_NUMBER));
  MOIRE__TRY(moire__infer_dtype(c, 1, MOIRE__SET_INT));
  MOIRE__TRY(moire__infer_dtype(c, 2, 1u << c->operands[0]->dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  const moire_shape *x = &c->operands[0]->shape, *rows = &c->operands[1]->shape, *u = &c->operands[2]->shape;
  bool fits = u->rank == rows->rank + x->rank - 1;
  for (int i = 0; i < u->rank && fits; i++)
    fits = u->dims[i] == (i < rows->rank ? rows->dims[i] : x->dims[i - rows->rank + 1]);
  if (!fits)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "u must have the extents of rows and those of a row of x: x is %s, rows are %s, u is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text,
                      moire__operand_type(c, 2).text);
  return moire__infer_as_operand(c, 0);
}

static moire_value ones_where(moire_value condition, moire_value like) {
  return moire_cast(condition, moire_value_dtype(like));
}

void moire__scatter_max_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], rows = c->operands[1], u = c->operands[2], y = c->results[0];
  if (moire_value_dim(x, 0) == 0) return;
  moire_value of_x = ones_where(moire_equal(x, y), x),
              of_u = ones_where(moire_equal(u, moire_gather(y, rows)), u);
  moire_value share = moire_div(c->result_gradients[0], moire_scatter_add(of_x, rows, of_u));
  c->operand_gradients[0] = moire_mul(share, of_x);
  c->operand_gradients[2] = moire_mul(moire_gather(share, rows), of_u);
}

void moire__scatter_max_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *rows = c->operands[1], *u = c->operands[2];
  moire__tensor *y = c->results[0];
  int64_t one, size, width;
  moire__tensor_around(x, 0, &one, &size, &width);
  for (int64_t i = 0; i < x->elements; i++) y->re[i] = x->re[i];
  for (int64_t i = 0; i < rows->elements; i++) {
    int64_t row = (int64_t)rows->re[i];
    if (row < 0 || row >= size) {
      moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "row %lld is not among the %lld rows", (long long)row,
                 (long long)size);
      return;
    }
    for (int64_t j = 0; j < width; j++) {
      double *most = &y->re[row * width + j], next = u->re[i * width + j];
      if (!(next <= *most) && !isnan(*most)) *most = next;
    }
  }
}

bool moire__scatter_max_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype, row_type;
    moire_shape x, rows, u;
    double low, high;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, I32, S(5, 4), S(6), S(6, 4), -2, 2, ACCEPTED},
      {GOOD, F32, I64, S(3, 16), S(b, 7), S(b, 7, 16), -2, 2, ACCEPTED},
      {GOOD, F32, I32, S(moire_dim_times(b, 3), 2, 3), S(b), S(b, 2, 3), -2, 2, ACCEPTED},
      {HARD, F32, I32, S(2, 17), S(33), S(33, 17), -2, 2, ACCEPTED},
      {HARD, F32, I32, S(3), SCALAR, SCALAR, -2, 2, ACCEPTED},
      {HARD, I32, I32, S(3), S(9), S(9), -2, 3, ACCEPTED},
      {HARD, F32, I32, S(3, 4), S(0), S(0, 4), -2, 2, ACCEPTED},
      {HARD, F32, I32, S(3, 0), S(4), S(4, 0), -2, 2, ACCEPTED},
      {HARD, F32, I32, S(0, 3), S(0), S(0, 3), -2, 2, ACCEPTED},
      {WRONG, C64, I32, S(5, 4), S(6), S(6, 4), -2, 2, BAD_TYPE},
      {WRONG, F32, F32, S(5, 4), S(6), S(6, 4), -2, 2, BAD_TYPE},
      {WRONG, F32, I32, S(5, 4), S(6), S(5, 4), -2, 2, BAD_SHAPE},
      {WRONG, F32, I32, S(5, 4), S(6), S(6, 3), -2, 2, BAD_SHAPE},
      {WRONG, F32, I32, S(5, 4), S(6), S(6), -2, 2, BAD_SHAPE},
      {WRONG, F32, I32, SCALAR, S(6), S(6), -2, 2, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  bool named = cases[i].x.rank && !moire__dim_is_static(cases[i].x.dims[0]);
  double drawn = named ? 3 : cases[i].x.rank ? (double)cases[i].x.dims[0] : 1;
  moire_value operands[] = {moire__sample_input(s, cases[i].dtype, cases[i].x, cases[i].low, cases[i].high),
                            moire__sample_input(s, cases[i].row_type, cases[i].rows, 0, drawn > 0 ? drawn : 1),
                            moire__sample_input(s, cases[i].dtype, cases[i].u, cases[i].low, cases[i].high)};
  s->no_gradient_check = cases[i].dtype == I32;
  moire_value y = moire__sample_emit(s, MOIRE__OP_scatter_max, operands, 3, NULL, 0);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
