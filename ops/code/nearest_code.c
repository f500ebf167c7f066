/* nearest_code: y[b] = the code k that makes |x[b] - codes[k]| least, the lowest such k; x [B, D], codes [K,
 * D].
 *
 * An index has no gradient: a model that quantises goes on with the row that it picks (gather), and sends
 * gradients past it (straight_through). A row of x that holds a NaN, or lies infinitely far from all codes,
 * gets code 0. The reference compares sums of squared differences; compiled code (lower_nearest_code.c) drops
 * what is the same for all codes, so that the two may differ where two codes are equally far to within
 * rounding.
 *
 * The attribute bf16 says that the search may go over operands in bf16 first. It changes no result: compiled
 * code then gives the bits that it gives without.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

moire_status moire__nearest_code_infer(moire__infer *c) {
  int64_t bf16 = 0;
  MOIRE__TRY(moire__infer_int_or(c, "bf16", 0, 0, 1, &bf16));
  for (int i = 0; i < 2; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 2, 2));
  }
  const moire_shape *x = &c->operands[0]->shape, *codes = &c->operands[1]->shape;
  if (!moire__dim_is_static(codes->dims[0]) || codes->dims[0] < 1 || codes->dims[0] > INT32_MAX)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "codes are %s, wanted a static number of them, not 0",
                      moire__operand_type(c, 1).text);
  if (x->dims[1] != codes->dims[1] || !moire__dim_is_static(x->dims[1]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "widths differ or are not static: x is %s, codes are %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  return moire__infer_result(c, 0, MOIRE_I32, MOIRE_SHAPE(x->dims[0]));
}

void moire__nearest_code_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *codes = c->operands[1];
  int64_t width = x->dims[1];
  for (int64_t i = 0; i < x->dims[0]; i++) {
    double best = INFINITY;
    for (int64_t k = 0; k < codes->dims[0]; k++) {
      double far = 0;
      for (int64_t j = 0; j < width; j++) {
        double step = x->re[i * width + j] - codes->re[k * width + j];
        far += step * step;
      }
      if (!(far < best)) continue;
      best = far;
      c->results[0]->re[i] = (double)k;
    }
  }
}

bool moire__nearest_code_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype x_type, codes_type;
    moire_shape x, codes;
    bool twice; /* every code stands there twice: ties */
    moire_status expected;
  } cases[] = {
      {GOOD, F32, F32, S(b, 8), S(16, 8), false, ACCEPTED},
      {GOOD, F32, F32, S(40, 3), S(100, 3), false, ACCEPTED},
      {GOOD, F32, F32, S(b, 33), S(7, 33), true, ACCEPTED},
      {HARD, F32, F32, S(b, 1), S(1, 1), false, ACCEPTED},
      {HARD, F32, F32, S(1, 17), S(63, 17), true, ACCEPTED},
      {HARD, F32, F32, S(33, 65), S(65, 65), false, ACCEPTED},
      {HARD, F32, F32, S(0, 4), S(3, 4), false, ACCEPTED},
      {HARD, F32, F32, S(13, 0), S(3, 0), false, ACCEPTED},
      {WRONG, F32, F32, S(b, 8), S(16, 7), false, BAD_SHAPE},
      {WRONG, F32, F32, S(8), S(16, 8), false, BAD_SHAPE},
      {WRONG, F32, F32, S(b, 8), S(0, 8), false, BAD_SHAPE},
      {WRONG, F32, F32, S(4, 8), S(b, 8), false, BAD_SHAPE},
      {WRONG, I32, F32, S(b, 8), S(16, 8), false, BAD_TYPE},
      {WRONG, C64, C64, S(b, 8), S(16, 8), false, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x = moire__sample_input(s, cases[i].x_type, cases[i].x, -1, 1);
  moire_value codes = moire__sample_input(s, cases[i].codes_type, cases[i].codes, -1, 1);
  if (cases[i].twice) codes = moire_concat(((moire_value[]){codes, codes}), 2, 0);
  s->no_gradient_check = true;
  moire_value y = moire_nearest_code(x, codes);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
