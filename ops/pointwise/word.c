/* What is made of random words w, i32 that count as unsigned: numbers in [0, 1) and whole numbers below n. Both
 * are exact, so that every engine draws the same.
 *
 *   word_unit(w)      floor(w / 2^8) 2^-24, f32
 *   word_below(w, n)  floor(w n / 2^32), 0 where n <= 0: each of n numbers for 2^32 / n words, give or take one
 */
#include "ops/pointwise/pointwise.h"
#include "ops/sample_row.h"

#include <math.h>

static double as_unsigned(double word) { return word < 0 ? word + 0x1p32 : word; }

/* ---- word_unit ------------------------------------------------------------------------------------------- */

moire_status moire__word_unit_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_I32));
  return moire__infer_result(c, 0, MOIRE_F32, c->operands[0]->shape);
}

/* The sign bit is taken apart, since division is of what is not negative. */
moire__loop_value moire__word_unit_element(moire__loop_builder *to, const moire_graph *g,
                                           const moire__node *node, const moire__loop_value *operands) {
  (void)g, (void)node;
  moire__loop_value x = operands[0], zero = MOIRE__NUMBER(x, 0), negative = MOIRE__EMIT2(lt, x, zero);
  moire__loop_value low = MOIRE__EMIT3(select, negative, MOIRE__EMIT2(add, x, MOIRE__NUMBER(x, -0x1p31)), x);
  moire__loop_value high = MOIRE__EMIT3(select, negative, MOIRE__NUMBER(x, 0x1p23), zero);
  moire__loop_value bits = MOIRE__EMIT2(add, MOIRE__EMIT2(div, low, MOIRE__NUMBER(x, 256)), high);
  moire__loop_value real = moire__loop_cast(to, bits, MOIRE__LOOP_F32);
  return MOIRE__EMIT2(mul, real, MOIRE__NUMBER(real, 0x1p-24));
}

void moire__word_unit_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  for (int64_t i = 0; i < x->elements; i++) c->results[0]->re[i] = floor(as_unsigned(x->re[i]) / 256) * 0x1p-24;
}

bool moire__word_unit_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape x;
    double low, high;
    moire_status expected;
  } cases[] = {
      {GOOD, I32, S(b, 33), -0x1p31, 0x1p31, ACCEPTED},
      {HARD, I32, S(7), 0x1p31 - 3, 0x1p31, ACCEPTED},
      {HARD, I32, S(7), -0x1p31, -0x1p31 + 3, ACCEPTED},
      {HARD, I32, S(9), -2, 2, ACCEPTED},
      {WRONG, F32, S(7), 0, 1, BAD_TYPE},
      {WRONG, I64, S(7), 0, 1, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  s->no_gradient_check = true;
  moire_value x = moire__sample_input(s, cases[i].dtype, cases[i].x, cases[i].low, cases[i].high);
  moire_value y = moire__sample_emit(s, MOIRE__OP_word_unit, &x, 1, NULL, 0);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}

/* ---- word_below ------------------------------------------------------------------------------------------ */

static moire__loop_value emit_below(moire__loop_builder *to, moire__loop_value word, moire__loop_value n) {
  moire__loop_value w = moire__loop_cast(to, word, MOIRE__LOOP_I64),
                    below = moire__loop_cast(to, n, MOIRE__LOOP_I64);
  moire__loop_value zero = MOIRE__NUMBER(w, 0), range = moire__loop_index(to, (int64_t)1 << 32);
  w = MOIRE__EMIT3(select, MOIRE__EMIT2(lt, w, zero), MOIRE__EMIT2(add, w, range), w);
  moire__loop_value product = MOIRE__EMIT2(mul, w, MOIRE__EMIT2(max, below, zero));
  return moire__loop_cast(to, MOIRE__EMIT2(div, product, range), MOIRE__LOOP_I32);
}

static double word_below(double word, double n) {
  return n <= 0 ? 0 : (double)((uint64_t)as_unsigned(word) * (uint64_t)n >> 32);
}

MOIRE__BINARY_FIXED(word_below, 1u << MOIRE_I32, MOIRE__RANGE(-0x1p31, 0x1p31), MOIRE__RANGE(-3, 3),
                    moire__infer_pointwise, word_below(a, b), emit_below(to, a, b))
