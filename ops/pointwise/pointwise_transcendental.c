/* Elementary functions: exp expm1 log sqrt rsqrt sin cos tanh erf atan2. Gradients are the plain formulas,
 * infinite where the derivative is. */
#include "ops/pointwise/pointwise.h"

#include <math.h>

enum { REAL = MOIRE__SET_REAL };

#define TWO_OVER_SQRT_PI 1.12837916709551257390

MOIRE__UNARY(exp, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-85, 85), /**/
             exp(x), MOIRE__EMIT1(exp, x),                          /**/
             moire_mul(dy, y))

/* With u = e^x as rounded, (u - 1) x / ln(u) makes good what the rounding of u lost near 0 (W. Kahan). */
static moire__loop_value expm1_element(moire__loop_builder *to, moire__loop_value x) {
  moire__loop_value one = MOIRE__NUMBER(x, 1), u = MOIRE__EMIT1(exp, x), step = MOIRE__EMIT2(sub, u, one);
  moire__loop_value near = MOIRE__EMIT2(mul, step, MOIRE__EMIT2(div, x, MOIRE__EMIT1(log, u)));
  near = MOIRE__EMIT3(select, MOIRE__EMIT2(eq, u, one), x, near);
  return MOIRE__EMIT3(select, MOIRE__EMIT2(lt, one, MOIRE__EMIT1(abs, x)), step, near);
}

MOIRE__UNARY(expm1, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-1e-3, 1e-3), /**/
             expm1(x), expm1_element(to, x),                              /**/
             moire_mul(dy, moire_add_scalar(y, 1)))

MOIRE__UNARY(log, REAL, MOIRE__RANGE(0.25, 8), MOIRE__RANGE(1e-37, 1e-30), /**/
             log(x), MOIRE__EMIT1(log, x),                                 /**/
             moire_div(dy, x))

MOIRE__UNARY(sqrt, REAL, MOIRE__RANGE(0.25, 8), MOIRE__RANGE(0, 1e38), /**/
             sqrt(x), MOIRE__EMIT1(sqrt, x),                           /**/
             moire_div(moire_scale(dy, 0.5), y))

/* d x^(-1/2) = -1/2 y^3 dx */
MOIRE__UNARY(rsqrt, REAL, MOIRE__RANGE(0.25, 8), MOIRE__RANGE(1e-30, 1e-20),             /**/
             1 / sqrt(x), MOIRE__EMIT2(div, MOIRE__NUMBER(x, 1), MOIRE__EMIT1(sqrt, x)), /**/
             moire_mul(moire_scale(dy, -0.5), moire_mul(y, moire_mul(y, y))))

MOIRE__UNARY(sin, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-1e4, 1e4), /**/
             sin(x), MOIRE__EMIT1(sin, x),                            /**/
             moire_mul(dy, moire_cos(x)))

MOIRE__UNARY(cos, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-1e4, 1e4), /**/
             cos(x), MOIRE__EMIT1(cos, x),                            /**/
             moire_neg(moire_mul(dy, moire_sin(x))))

/* d tanh = 1 - tanh^2 */
MOIRE__UNARY(tanh, REAL, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e3, 1e3), /**/
             tanh(x), MOIRE__EMIT1(tanh, x),                           /**/
             moire_sub(dy, moire_mul(dy, moire_mul(y, y))))

/* d erf = 2/sqrt(pi) exp(-x^2) */
MOIRE__UNARY(erf, REAL, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e3, 1e3), /**/
             erf(x), MOIRE__EMIT1(erf, x),                            /**/
             moire_mul(moire_scale(dy, TWO_OVER_SQRT_PI), moire_exp(moire_neg(moire_mul(x, x)))))

/* The angle of (b, a): with r = a^2 + b^2, da = b / r and db = -a / r. The squares are those of s a and s b,
 * which fit the type; s is 1 but at its ends. Where both are 0, so are the gradients. */
static moire_value atan2_slope(moire_value dy, moire_value a, moire_value b, moire_value along) {
  moire_value s = moire__range_scale(a, b), sa = moire_mul(a, s), sb = moire_mul(b, s);
  double least = moire__least_scaled(moire_value_dtype(a));
  moire_value r = moire__at_least(moire_add(moire_mul(sa, sa), moire_mul(sb, sb)), least * least);
  moire_value one = moire_constant(a.graph, moire_value_dtype(a), moire_value_shape(a), 1);
  return moire_mul(moire_mul(dy, moire_mul(moire_mul(along, s), moire_div(one, r))), s);
}

MOIRE__BINARY(atan2, REAL, MOIRE__RANGE(0.5, 3), MOIRE__RANGE(-1e10, 1e10), /**/
              atan2(a, b), MOIRE__EMIT2(atan2, a, b),                       /**/
              atan2_slope(dy, a, b, b), moire_neg(atan2_slope(dy, a, b, a)))
