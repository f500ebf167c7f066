/* Functions of complex numbers that are more than the formula by planes: complex_div complex_sqrt complex_tanh.
 *
 * The formulas keep away from numbers that the type does not hold. The gradient of an analytic w(z) is
 * dL/dw conj(w'(z)).
 */
#include <math.h>

#include "ops/parts.h"
#include "ops/support.h"

static moire_value constant_like(moire_value x, double value) {
  return moire_constant(x.graph, MOIRE_F32, moire_value_shape(x), value);
}

static moire_value divide(moire_value a, moire_value b) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return (moire_value){a.graph, 0};
  return moire__graph_emit(a.graph, MOIRE_HERE, MOIRE__OP_complex_div, (moire_value[]){a, b}, 2, NULL, 0);
}

static moire_status infer_function(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_COMPLEX));
  return moire__infer_as_operand(c, 0);
}

/* `n` complex operands away from 0; the wrong ones are real, and then of two shapes. */
static bool sample_function(moire__sampler *s, moire__op op, int n, double low, double high) {
  moire_dim batch = moire__sample_batch(s);
  moire_shape good[] = {MOIRE_SHAPE(batch, 5), MOIRE_SHAPE(2, 3, 4)};
  moire_shape hard[] = {MOIRE_SCALAR, MOIRE_SHAPE(batch, 0), MOIRE_SHAPE(1, 1, 33), MOIRE_SHAPE(19)};
  bool is_wrong = s->kind == MOIRE__SAMPLE_WRONG, is_good = s->kind == MOIRE__SAMPLE_GOOD;
  if (s->index >= (is_wrong ? n : is_good ? 2 : 4)) return false;
  moire_shape shape = is_wrong ? MOIRE_SHAPE(4) : is_good ? good[s->index] : hard[s->index];
  moire_value x[2];
  for (int i = 0; i < n; i++) {
    if (is_wrong && s->index == 1) shape = MOIRE_SHAPE(4 + i);
    x[i] = moire__sample_input(s, is_wrong && s->index == 0 ? MOIRE_F32 : MOIRE_C64, shape, low, high);
  }
  moire_value y = moire__sample_emit(s, op, x, n, NULL, 0);
  if (is_wrong) return moire__sample_refuse(s, s->index == 0 ? MOIRE_ERROR_TYPE : MOIRE_ERROR_SHAPE);
  return moire__sample_finish(s, y);
}

/* ---- complex_div ----------------------------------------------------------------------------------------- */

moire_status moire__complex_div_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__infer_alike(c, 0, 1));
  return moire__infer_as_operand(c, 0);
}

/* y = a / b:  da = dy / conj(b),  db = -da conj(y) */
void moire__complex_div_gradient(moire__gradient *c) {
  moire_value da = divide(c->result_gradients[0], moire_conj(c->operands[1]));
  if (c->wanted[0]) c->operand_gradients[0] = da;
  if (c->wanted[1]) c->operand_gradients[1] = moire_neg(moire_mul(da, moire_conj(c->results[0])));
}

/* With m the larger part of b: a conj(b / m) / |b / m|^2 / m. */
void moire__complex_div_split(moire__split *c) {
  moire__planes a = c->operands[0], b = c->operands[1];
  moire_value m = moire_max_of(moire_abs(b.re), moire_abs(b.im));
  moire_value re = moire_div(b.re, m), im = moire_div(b.im, m);
  moire_value square = moire_add(moire_mul(re, re), moire_mul(im, im));
  c->results[0].re = moire_div(moire_div(moire_add(moire_mul(a.re, re), moire_mul(a.im, im)), square), m);
  c->results[0].im = moire_div(moire_div(moire_sub(moire_mul(a.im, re), moire_mul(a.re, im)), square), m);
}

void moire__complex_div_reference(moire__reference *c) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    double square = b->re[i] * b->re[i] + b->im[i] * b->im[i];
    c->results[0]->re[i] = (a->re[i] * b->re[i] + a->im[i] * b->im[i]) / square;
    c->results[0]->im[i] = (a->im[i] * b->re[i] - a->re[i] * b->im[i]) / square;
  }
}

bool moire__complex_div_sample(moire__sampler *s) {
  bool extreme = s->kind == MOIRE__SAMPLE_HARD && s->index == 3;
  if (extreme) s->no_gradient_check = true;
  return sample_function(s, MOIRE__OP_complex_div, 2, extreme ? 1e34 : 0.25, extreme ? 1e37 : 3);
}

/* ---- complex_sqrt ---------------------------------------------------------------------------------------- */

moire_status moire__complex_sqrt_infer(moire__infer *c) { return infer_function(c); }

/* dz = dw / (2 conj(w)) */
void moire__complex_sqrt_gradient(moire__gradient *c) {
  c->operand_gradients[0] = divide(moire_scale(c->result_gradients[0], 0.5), moire_conj(c->results[0]));
}

/* With t = sqrt(|Re z|/2 + |z|/2) and u = Im z / (2 t): t + i u on the right, |u| +- i t on the left. t of a
 * number that is not 0 is above 1e-23. */
void moire__complex_sqrt_split(moire__split *c) {
  moire__planes z = c->operands[0];
  moire_value zero = constant_like(z.re, 0), left = moire_less(z.re, zero), below = moire_less(z.im, zero);
  moire_value length = moire_hypot(z.re, z.im);
  moire_value t = moire_sqrt(moire_add(moire_scale(moire_abs(z.re), 0.5), moire_scale(length, 0.5)));
  moire_value least = moire_max_of(constant_like(t, 1e-25), t);
  moire_value u = moire_div(z.im, moire_add(least, least));
  c->results[0].re = moire_where(left, moire_abs(u), t);
  c->results[0].im = moire_where(left, moire_where(below, moire_neg(t), t), u);
}

void moire__complex_sqrt_reference(moire__reference *c) {
  const moire__tensor *z = c->operands[0];
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    double re = z->re[i], im = z->im[i], t = sqrt((fabs(re) + hypot(re, im)) / 2), u = t > 0 ? im / (2 * t) : 0;
    c->results[0]->re[i] = re < 0 ? fabs(u) : t;
    c->results[0]->im[i] = re < 0 ? (im < 0 ? -t : t) : u;
  }
}

bool moire__complex_sqrt_sample(moire__sampler *s) {
  bool extreme = s->kind == MOIRE__SAMPLE_HARD && s->index == 3;
  if (extreme) s->no_gradient_check = true;
  return sample_function(s, MOIRE__OP_complex_sqrt, 1, extreme ? -1e38 : 0.25, extreme ? 1e38 : 3);
}

/* ---- complex_tanh ---------------------------------------------------------------------------------------- */

moire_status moire__complex_tanh_infer(moire__infer *c) { return infer_function(c); }

/* dz = dw conj(1 - w^2) */
void moire__complex_tanh_gradient(moire__gradient *c) {
  moire_value dw = c->result_gradients[0], w = c->results[0];
  c->operand_gradients[0] = moire_sub(dw, moire_mul(dw, moire_conj(moire_mul(w, w))));
}

/* tanh(x + i y) = (sinh 2x + i sin 2y) / (cosh 2x + cos 2y), times 2 e^-2|x| above and below: with q = 1 -
 * e^-2|x|,
 * (+-q (2 - q) + 4i (1 - q) sin y cos y) / (q^2 + 4 (1 - q) cos^2 y). Nothing grows, nothing small cancels. */
void moire__complex_tanh_split(moire__split *c) {
  moire__planes z = c->operands[0];
  moire_value q = moire_neg(moire_expm1(moire_scale(moire_abs(z.re), -2)));
  moire_value e = moire_scale(moire_sub(constant_like(q, 1), q), 4), cosine = moire_cos(z.im);
  moire_value below = moire_add(moire_mul(q, q), moire_mul(e, moire_mul(cosine, cosine)));
  moire_value re = moire_div(moire_mul(q, moire_sub(constant_like(q, 2), q)), below);
  c->results[0].re = moire_where(moire_less(z.re, constant_like(q, 0)), moire_neg(re), re);
  c->results[0].im = moire_div(moire_mul(e, moire_mul(moire_sin(z.im), cosine)), below);
}

void moire__complex_tanh_reference(moire__reference *c) {
  const moire__tensor *z = c->operands[0];
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    double t = tanh(z->re[i]), s = sin(z->im[i]), k = cos(z->im[i]), sech2 = (1 - t) * (1 + t);
    double below = k * k + t * t * s * s;
    c->results[0]->re[i] = t / below;
    c->results[0]->im[i] = sech2 * s * k / below;
  }
}

bool moire__complex_tanh_sample(moire__sampler *s) {
  bool extreme = s->kind == MOIRE__SAMPLE_HARD && s->index == 3;
  if (extreme) s->no_gradient_check = true;
  return sample_function(s, MOIRE__OP_complex_tanh, 1, extreme ? -100 : -1.2, extreme ? 100 : 1.2);
}
