/* Complex values from planes and back: complex real imag conj abs2.
 *
 * These are the only ops that mix the two planes, beside products. The split pass replaces them, so that they
 * cost nothing but the arithmetic of abs2. The gradient of a complex value is dL/dRe + i dL/dIm.
 */
#include "ops/parts.h"
#include "ops/support.h"

/* ---- shared ---------------------------------------------------------------------------------------------- */

/* The real part op(z): f32 of the shape of z. */
static moire_status infer_real_part(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_COMPLEX));
  return moire__infer_result(c, 0, MOIRE_F32, c->operands[0]->shape);
}

static moire_value zero_like(moire_value x) {
  return moire_constant(x.graph, MOIRE_F32, moire_value_shape(x), 0);
}

/* `n` operands of type `dtype`; the wrong ones are of `wrong`, and then of two shapes. */
static bool sample_part(moire__sampler *s, moire__op op, int n, moire_dtype dtype, moire_dtype wrong) {
  moire_dim batch = moire__sample_batch(s);
  moire_shape good[] = {MOIRE_SHAPE(batch, 5), MOIRE_SHAPE(2, 3, 4)};
  moire_shape hard[] = {MOIRE_SCALAR, MOIRE_SHAPE(batch, 0), MOIRE_SHAPE(1, 1, 33), MOIRE_SHAPE(19)};
  bool is_wrong = s->kind == MOIRE__SAMPLE_WRONG;
  if (s->index >= (is_wrong ? n : s->kind == MOIRE__SAMPLE_GOOD ? 2 : 4)) return false;
  moire_shape shape = is_wrong                        ? MOIRE_SHAPE(4)
                      : s->kind == MOIRE__SAMPLE_GOOD ? good[s->index]
                                                      : hard[s->index];
  bool extreme = s->kind == MOIRE__SAMPLE_HARD && s->index == 3;
  s->no_gradient_check = extreme;
  double range = extreme ? 1e18 : 3;
  moire_value x[2];
  for (int i = 0; i < n; i++) {
    if (is_wrong && s->index == 1) shape = MOIRE_SHAPE(4 + i);
    x[i] = moire__sample_input(s, is_wrong && s->index == 0 ? wrong : dtype, shape, -range, range);
  }
  moire_value y = moire__sample_emit(s, op, x, n, NULL, 0);
  if (is_wrong) return moire__sample_refuse(s, s->index == 0 ? MOIRE_ERROR_TYPE : MOIRE_ERROR_SHAPE);
  return moire__sample_finish(s, y);
}

/* ---- complex --------------------------------------------------------------------------------------------- */

moire_status moire__complex_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1 << MOIRE_F32));
  MOIRE__TRY(moire__infer_alike(c, 0, 1));
  return moire__infer_result(c, 0, MOIRE_C64, c->operands[0]->shape);
}

void moire__complex_gradient(moire__gradient *c) {
  if (c->wanted[0]) c->operand_gradients[0] = moire_real(c->result_gradients[0]);
  if (c->wanted[1]) c->operand_gradients[1] = moire_imag(c->result_gradients[0]);
}

void moire__complex_split(moire__split *c) {
  c->results[0] = (moire__planes){c->operands[0].re, c->operands[1].re};
}

void moire__complex_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    c->results[0]->re[i] = c->operands[0]->re[i];
    c->results[0]->im[i] = c->operands[1]->re[i];
  }
}

bool moire__complex_sample(moire__sampler *s) {
  return sample_part(s, MOIRE__OP_complex, 2, MOIRE_F32, MOIRE_F64);
}

/* ---- real ------------------------------------------------------------------------------------------------ */

moire_status moire__real_infer(moire__infer *c) { return infer_real_part(c); }

void moire__real_gradient(moire__gradient *c) {
  moire_value dy = c->result_gradients[0];
  c->operand_gradients[0] = moire_complex(dy, zero_like(dy));
}

void moire__real_split(moire__split *c) { c->results[0].re = c->operands[0].re; }

void moire__real_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++) c->results[0]->re[i] = c->operands[0]->re[i];
}

bool moire__real_sample(moire__sampler *s) { return sample_part(s, MOIRE__OP_real, 1, MOIRE_C64, MOIRE_F32); }

/* ---- imag ------------------------------------------------------------------------------------------------ */

moire_status moire__imag_infer(moire__infer *c) { return infer_real_part(c); }

void moire__imag_gradient(moire__gradient *c) {
  moire_value dy = c->result_gradients[0];
  c->operand_gradients[0] = moire_complex(zero_like(dy), dy);
}

void moire__imag_split(moire__split *c) { c->results[0].re = c->operands[0].im; }

void moire__imag_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++) c->results[0]->re[i] = c->operands[0]->im[i];
}

bool moire__imag_sample(moire__sampler *s) { return sample_part(s, MOIRE__OP_imag, 1, MOIRE_C64, MOIRE_F32); }

/* ---- conj ------------------------------------------------------------------------------------------------ */

moire_status moire__conj_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_COMPLEX));
  return moire__infer_as_operand(c, 0);
}

void moire__conj_gradient(moire__gradient *c) { c->operand_gradients[0] = moire_conj(c->result_gradients[0]); }

void moire__conj_split(moire__split *c) {
  c->results[0] = (moire__planes){c->operands[0].re, moire_neg(c->operands[0].im)};
}

void moire__conj_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    c->results[0]->re[i] = c->operands[0]->re[i];
    c->results[0]->im[i] = -c->operands[0]->im[i];
  }
}

bool moire__conj_sample(moire__sampler *s) { return sample_part(s, MOIRE__OP_conj, 1, MOIRE_C64, MOIRE_F32); }

/* ---- abs2 ------------------------------------------------------------------------------------------------ */

moire_status moire__abs2_infer(moire__infer *c) { return infer_real_part(c); }

void moire__abs2_gradient(moire__gradient *c) {
  c->operand_gradients[0] = moire_mul(c->operands[0], moire_scale(c->result_gradients[0], 2));
}

void moire__abs2_split(moire__split *c) {
  moire__planes z = c->operands[0];
  c->results[0].re = moire_add(moire_mul(z.re, z.re), moire_mul(z.im, z.im));
}

void moire__abs2_reference(moire__reference *c) {
  const moire__tensor *z = c->operands[0];
  for (int64_t i = 0; i < c->results[0]->elements; i++)
    c->results[0]->re[i] = z->re[i] * z->re[i] + z->im[i] * z->im[i];
}

bool moire__abs2_sample(moire__sampler *s) { return sample_part(s, MOIRE__OP_abs2, 1, MOIRE_C64, MOIRE_F32); }
