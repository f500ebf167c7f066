/* quantise_rows, linear_rows8: linear maps whose weights are whole numbers of 8 bits.
 *
 *   scale[o] = max_i |w[o,i]| / 127,   q[o,i] = floor(w[o,i] / scale[o] + 1/2), 0 where the scale is
 *   y[m,o] = scale[o] sum_i x[m,i] q[o,i]          added up in float32
 *
 * Four numbers lie in a word: byte b of word 16 g + l of a row is q[64 g + 16 b + l], so that a vector of words
 * holds four vectors of neighbours; what is behind the row's end is 0, and not read. */
#include "ops/parts.h"
#include "ops/product/rows8.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

static int64_t word_of(int64_t i) {
  return i / MOIRE__ROWS8_GROUP * MOIRE__ROWS8_LANES + i % MOIRE__ROWS8_LANES;
}
static int byte_of(int64_t i) { return (int)(i % MOIRE__ROWS8_GROUP / MOIRE__ROWS8_LANES); }

/* ---- quantise_rows ---- */

moire_status moire__quantise_rows_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 0, 2, 2));
  moire_shape w = c->operands[0]->shape;
  if (!moire__dim_is_static(w.dims[0]) || !moire__dim_is_static(w.dims[1]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s, wanted fixed rows and columns",
                      moire__operand_type(c, 0).text);
  MOIRE__TRY(moire__infer_result(c, 0, MOIRE_I32, MOIRE_SHAPE(w.dims[0], moire__rows8_words(w.dims[1]))));
  return moire__infer_result(c, 1, MOIRE_F32, MOIRE_SHAPE(w.dims[0]));
}

void moire__quantise_rows_reference(moire__reference *c) {
  const moire__tensor *w = c->operands[0];
  int64_t n = w->dims[0], k = w->dims[1], words = moire__rows8_words(k);
  for (int64_t o = 0; o < n; o++) {
    const double *row = w->re + o * k;
    double most = 0, *to = c->results[0]->re + o * words;
    for (int64_t i = 0; i < k; i++) most = fmax(most, fabs(row[i]));
    double scale = most / 127;
    c->results[1]->re[o] = scale;
    for (int64_t i = 0; i < words; i++) to[i] = 0;
    for (int64_t i = 0; i < k; i++) {
      int64_t q = scale > 0 ? (int64_t)floor((double)(float)((float)row[i] / (float)scale) + 0.5) : 0;
      int b = byte_of(i);
      if (b < 3 && q < 0) q += 256;
      to[word_of(i)] += (double)q * (double)(1 << 8 * b);
    }
  }
}

bool moire__quantise_rows_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape w;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(4, 64), ACCEPTED},  {GOOD, F32, S(3, 100), ACCEPTED}, {HARD, F32, S(1, 1), ACCEPTED},
      {HARD, F32, S(33, 17), ACCEPTED}, {HARD, F32, S(0, 5), ACCEPTED},   {WRONG, I32, S(4, 8), BAD_TYPE},
      {WRONG, F32, S(b, 8), BAD_SHAPE}, {WRONG, F32, S(8), BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value w = moire__sample_input(s, cases[i].dtype, cases[i].w, -1, 1);
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, MOIRE__OP_quantise_rows, &w, 1, NULL, 0);
  if (s->kind == WRONG) return moire__sample_refuse(s, cases[i].expected);
  if (!moire_value_is_null(y)) moire_output(s->g, "scale", moire__value(s->g, y.id + 1));
  return moire__sample_finish(s, y);
}

/* ---- linear_rows8 ---- */

moire_status moire__linear_rows8_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_dtype(c, 1, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_dtype(c, 2, 1u << MOIRE_F32));
  for (int i = 0; i < 3; i++) MOIRE__TRY(moire__infer_rank(c, i, i < 2 ? 2 : 1, i < 2 ? 2 : 1));
  const moire_dim *x = c->operands[0]->shape.dims, *w = c->operands[1]->shape.dims,
                  *s = c->operands[2]->shape.dims;
  bool fit = moire__dim_is_static(x[1]) && moire__dim_is_static(w[0]) && x[1] >= 1 && s[0] == w[0] &&
             w[1] == moire__rows8_words(x[1]);
  if (!fit)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "x, weight and scale do not fit: %s, %s, %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text,
                      moire__operand_type(c, 2).text);
  return moire__infer_result(c, 0, MOIRE_F32, MOIRE_SHAPE(x[0], w[0]));
}

void moire__linear_rows8_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *w = c->operands[1];
  int64_t k = x->dims[1], n = w->dims[0], words = w->dims[1];
  for (int64_t m = 0; m < x->dims[0]; m++) {
    for (int64_t o = 0; o < n; o++) {
      double sum = 0;
      for (int64_t i = 0; i < k; i++) {
        uint32_t word = (uint32_t)(int64_t)w->re[o * words + word_of(i)];
        sum += x->re[m * k + i] * (double)(int8_t)(uint8_t)(word >> 8 * byte_of(i));
      }
      c->results[0]->re[m * n + o] = sum * c->operands[2]->re[o];
    }
  }
}

bool moire__linear_rows8_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const struct {
    moire__sample_kind kind;
    moire_dim m, k, n, words;
    moire_status expected;
  } cases[] = {
      {GOOD, 1, 64, 5, 16, ACCEPTED},
      {GOOD, b, 100, 7, 32, ACCEPTED},
      {GOOD, moire_dim_times(b, t), 17, 3, 16, ACCEPTED},
      {HARD, 1, 1, 1, 16, ACCEPTED},
      {HARD, 7, 200, 70, 64, ACCEPTED},
      {HARD, 0, 8, 4, 16, ACCEPTED},
      {HARD, 4, 8, 0, 16, ACCEPTED},
      {WRONG, 2, 64, 5, 17, BAD_SHAPE},
      {WRONG, 2, b, 5, 16, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x[] = {moire__sample_input(s, MOIRE_F32, S(cases[i].m, cases[i].k), -1, 1),
                     moire__sample_input(s, MOIRE_I32, S(cases[i].n, cases[i].words), -2e9, 2e9),
                     moire__sample_input(s, MOIRE_F32, S(cases[i].n), 0.001, 0.01)};
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, MOIRE__OP_linear_rows8, x, 3, NULL, 0);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
