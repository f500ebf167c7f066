/* Arithmetic, element by element: add sub mul div neg pow max_of min_of abs.
 *
 * Integers wrap around. Products are of two reals or two complex values, never mixed: the language promotes.
 * Where a and b are equal, max_of and min_of are a, and so the gradient goes to a.
 */
#include "ops/pointwise/pointwise.h"

#include <math.h>

enum {
  REAL = MOIRE__SET_REAL,
  NUMBER = MOIRE__SET_NUMBER,
  FIELD = MOIRE__SET_NUMBER | MOIRE__SET_COMPLEX,
};

MOIRE__BINARY(add, FIELD, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e30, 1e30), /**/
              a + b, MOIRE__EMIT2(add, a, b),                             /**/
              dy, dy)

MOIRE__BINARY(sub, FIELD, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e30, 1e30), /**/
              a - b, MOIRE__EMIT2(sub, a, b),                             /**/
              dy, moire_neg(dy))

MOIRE__BINARY(div, REAL, MOIRE__RANGE(0.5, 3), MOIRE__RANGE(1e-15, 1e15), /**/
              a / b, MOIRE__EMIT2(div, a, b),                             /**/
              moire_div(dy, b), moire_neg(moire_div(moire_mul(dy, y), b)))

MOIRE__BINARY(pow, REAL, MOIRE__RANGE(0.25, 3), MOIRE__RANGE(1e-3, 12), /**/
              pow(a, b), MOIRE__EMIT2(pow, a, b),                       /**/
              moire_mul(dy, moire_div(moire_mul(b, y), a)), moire_mul(dy, moire_mul(y, moire_log(a))))

MOIRE__BINARY(max_of, NUMBER, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e38, 1e38), /**/
              a >= b ? a : b, MOIRE__EMIT2(max, a, b),                        /**/
              moire__keep_where(moire_less_equal(b, a), dy),
              moire__keep_where(moire_not(moire_less_equal(b, a)), dy))

MOIRE__BINARY(min_of, NUMBER, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e38, 1e38), /**/
              a <= b ? a : b, MOIRE__EMIT2(min, a, b),                        /**/
              moire__keep_where(moire_less_equal(a, b), dy),
              moire__keep_where(moire_not(moire_less_equal(a, b)), dy))

MOIRE__UNARY(neg, FIELD, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e38, 1e38), -x, MOIRE__EMIT1(neg, x),
             moire_neg(dy))

static moire_value abs_gradient(moire_value x, moire_value dy) {
  moire_value zero = moire_constant(x.graph, moire_value_dtype(x), moire_value_shape(x), 0);
  moire_value negative = moire__keep_where(moire_less(x, zero), moire_neg(dy));
  return moire_where(moire_less(zero, x), dy, negative);
}

MOIRE__UNARY(abs, NUMBER, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e38, 1e38), fabs(x), MOIRE__EMIT1(abs, x),
             abs_gradient(x, dy))

/* ---- mul: the one product of complex values that is pointwise -------------------------------------------- */

MOIRE__BINARY_GRADIENT(mul, moire_mul(dy, moire__conjugate(b)), moire_mul(dy, moire__conjugate(a)))

moire_status moire__mul_infer(moire__infer *c) { return moire__infer_pointwise(c, FIELD); }

void moire__mul_split(moire__split *c) {
  moire__planes a = c->operands[0], b = c->operands[1];
  c->results[0].re = moire_sub(moire_mul(a.re, b.re), moire_mul(a.im, b.im));
  c->results[0].im = moire_add(moire_mul(a.re, b.im), moire_mul(a.im, b.re));
}

moire__loop_value moire__mul_element(moire__loop_builder *to, const moire_graph *g, const moire__node *node,
                                     const moire__loop_value *operands) {
  (void)g, (void)node;
  return MOIRE__EMIT2(mul, operands[0], operands[1]);
}

void moire__mul_reference(moire__reference *c) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  moire__tensor *y = c->results[0];
  for (int64_t i = 0; i < y->elements; i++) {
    y->re[i] = a->re[i] * b->re[i];
    if (y->dtype == MOIRE_I32) /* which has more digits than a double */
      y->re[i] = (double)(int32_t)(uint32_t)((int64_t)a->re[i] * (int64_t)b->re[i]);
    if (!y->im) continue;
    y->re[i] -= a->im[i] * b->im[i];
    y->im[i] = a->re[i] * b->im[i] + a->im[i] * b->re[i];
  }
}

bool moire__mul_sample(moire__sampler *s) {
  return moire__sample_pointwise(s, MOIRE__OP_mul, 2, FIELD, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e15, 1e15));
}
