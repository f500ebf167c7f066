/* Activations: relu sigmoid softplus silu gelu.
 *
 * The element formulas work in the type of x (f32, or double in the interpreter), to a few units in the last
 * place unless stated, and reach the limits at infinite x without a NaN; a NaN stays one. With e = exp(-|x|),
 * which never overflows:
 *
 *   sigmoid(x)  = (x < 0 ? e : 1) / (1 + e)
 *   softplus(x) = max(x, 0) + ln(1 + e)
 *   silu(x)     = max(x, -1000) sigmoid(x)      as 0 times infinity has no value; sigmoid(-1000) is 0
 *   gelu(x)     = max(x, -40)/2 (1 + erf(x / sqrt 2))      likewise
 *
 * 1 + erf cancels for x < -1: there gelu is exact to 2^-24 |x| absolutely, not relatively.
 */
#include "ops/pointwise/pointwise.h"

#include <math.h>

enum { REAL = MOIRE__SET_REAL };

#define SQRT_HALF 0.70710678118654752440
#define ONE_OVER_SQRT_TWO_PI 0.39894228040143267794

/* max and min give their second operand where either is a NaN, so x comes second. */
static moire__loop_value at_least(moire__loop_builder *to, moire__loop_value x, double low) {
  return MOIRE__EMIT2(max, MOIRE__NUMBER(x, low), x);
}

/* The same in a reference: a NaN stays one. */
static double not_below(double low, double x) { return x < low ? low : x; }

/* exp(-|x|) */
static moire__loop_value decay(moire__loop_builder *to, moire__loop_value x) {
  return MOIRE__EMIT1(exp, MOIRE__EMIT1(neg, MOIRE__EMIT1(abs, x)));
}

/* ---- relu ------------------------------------------------------------------------------------------------ */

static moire_value relu_gradient(moire_value x, moire_value dy) {
  moire_value zero = moire_constant(x.graph, moire_value_dtype(x), moire_value_shape(x), 0);
  return moire_where(moire_less(zero, x), dy, zero);
}

MOIRE__UNARY(relu, REAL, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e38, 1e38), /**/
             x < 0 ? 0 : x, at_least(to, x, 0),                          /**/
             relu_gradient(x, dy))

/* ---- sigmoid --------------------------------------------------------------------------------------------- */

static moire__loop_value sigmoid_element(moire__loop_builder *to, moire__loop_value x) {
  moire__loop_value e = decay(to, x), one = MOIRE__NUMBER(x, 1);
  moire__loop_value negative = MOIRE__EMIT2(lt, x, MOIRE__NUMBER(x, 0));
  return MOIRE__EMIT2(div, MOIRE__EMIT3(select, negative, e, one), MOIRE__EMIT2(add, one, e));
}

MOIRE__UNARY(sigmoid, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-80, 200), /**/
             1 / (1 + exp(-x)), sigmoid_element(to, x),                  /**/
             moire_mul(dy, moire_sub(y, moire_mul(y, y))))

/* ---- softplus -------------------------------------------------------------------------------------------- */

/* ln(1 + e) to full relative precision for small e: with u = 1 + e as rounded, ln(u) e / (u - 1) makes good
 * what the rounding of u lost (W. Kahan; see Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1).
 */
static moire__loop_value softplus_element(moire__loop_builder *to, moire__loop_value x) {
  moire__loop_value e = decay(to, x), one = MOIRE__NUMBER(x, 1), zero = MOIRE__NUMBER(x, 0);
  moire__loop_value u = MOIRE__EMIT2(add, one, e), rounded = MOIRE__EMIT2(sub, u, one);
  moire__loop_value corrected = MOIRE__EMIT2(mul, MOIRE__EMIT1(log, u), MOIRE__EMIT2(div, e, rounded));
  moire__loop_value log1p_e = MOIRE__EMIT3(select, MOIRE__EMIT2(eq, rounded, zero), e, corrected);
  return MOIRE__EMIT2(add, at_least(to, x, 0), log1p_e);
}

MOIRE__UNARY(softplus, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-80, 1e4), /**/
             fmax(x, 0) + log1p(exp(-fabs(x))), softplus_element(to, x),  /**/
             moire_mul(dy, moire_sigmoid(x)))

/* ---- silu ------------------------------------------------------------------------------------------------ */

/* With s = sigmoid(x), y = x s: dx = s + y (1 - s). */
static moire_value silu_gradient(moire_value x, moire_value y, moire_value dy) {
  moire_value s = moire_sigmoid(x);
  return moire_mul(dy, moire_add(s, moire_sub(y, moire_mul(y, s))));
}

MOIRE__UNARY(silu, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-80, 1e4), /**/
             not_below(-1000, x) / (1 + exp(-x)),
             MOIRE__EMIT2(mul, at_least(to, x, -1000), sigmoid_element(to, x)), /**/
             silu_gradient(x, y, dy))

/* ---- gelu ------------------------------------------------------------------------------------------------ */

/* erf takes x as it is, as in the gradient, so that a kernel that computes both has one of them. */
static moire__loop_value gelu_element(moire__loop_builder *to, moire__loop_value x) {
  moire__loop_value low = at_least(to, x, -40);
  moire__loop_value erf_part = MOIRE__EMIT1(erf, MOIRE__EMIT2(mul, x, MOIRE__NUMBER(x, SQRT_HALF)));
  return MOIRE__EMIT2(mul, MOIRE__EMIT2(mul, low, MOIRE__NUMBER(x, 0.5)),
                      MOIRE__EMIT2(add, MOIRE__NUMBER(x, 1), erf_part));
}

/* dx = (1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi) */
static moire_value gelu_gradient(moire_value x, moire_value dy) {
  moire_value below = moire_scale(moire_add_scalar(moire_erf(moire_scale(x, SQRT_HALF)), 1), 0.5);
  moire_value density = moire_scale(moire_exp(moire_scale(moire_mul(x, x), -0.5)), ONE_OVER_SQRT_TWO_PI);
  return moire_mul(dy, moire_add(below, moire_mul(x, density)));
}

MOIRE__UNARY(gelu, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-1e3, 1e3),            /**/
             0.5 * not_below(-40, x) * erfc(-x * SQRT_HALF), gelu_element(to, x), /**/
             gelu_gradient(x, dy))
