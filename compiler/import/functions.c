/* Functions that several systems have. See functions.h. */
#include "compiler/import/functions.h"

#include <math.h>

bool moire__is_complex_value(moire_value x) { return moire__type_of(x) == MOIRE__TORCH_C64; }

static bool is_complex(moire_value x) { return moire__is_complex_value(x); }

static moire_value plus(moire__call *c, moire_value x, double term) {
  return moire_add_scalar_at(c->at, x, term);
}

moire_value moire__reciprocal(moire__call *c, moire_value x) {
  return moire_div_at(c->at, moire__number_like(c, x, 1), x);
}

/* ---- circular and hyperbolic functions --------------------------------------------------------------------
 */

static moire_value sinh_real(moire__call *c, moire_value x) {
  moire_value up = moire_expm1_at(c->at, x), down = moire_expm1_at(c->at, moire_neg_at(c->at, x));
  return moire_scale_at(c->at, moire_sub_at(c->at, up, down), 0.5);
}

static moire_value cosh_real(moire__call *c, moire_value x) {
  moire_value up = moire_exp_at(c->at, x), down = moire_exp_at(c->at, moire_neg_at(c->at, x));
  return moire_scale_at(c->at, moire_add_at(c->at, up, down), 0.5);
}

/* sin(x + iy) = sin x cosh y + i cos x sinh y; cos(x + iy) = cos x cosh y - i sin x sinh y */
static moire_value circular(moire__call *c, moire_value z, bool cosine) {
  moire_source at = c->at;
  moire_value x = moire_real_at(at, z), y = moire_imag_at(at, z);
  moire_value s = moire_sin_at(at, x), k = moire_cos_at(at, x);
  moire_value re = moire_mul_at(at, cosine ? k : s, cosh_real(c, y));
  moire_value im = moire_mul_at(at, cosine ? s : k, sinh_real(c, y));
  return moire_complex_at(at, re, cosine ? moire_neg_at(at, im) : im);
}

moire_value moire__turned(moire__call *c, moire_value z, bool back) {
  moire_value re = moire_real_at(c->at, z), im = moire_imag_at(c->at, z);
  return back ? moire_complex_at(c->at, im, moire_neg_at(c->at, re))
              : moire_complex_at(c->at, moire_neg_at(c->at, im), re);
}

moire_value moire__sine(moire__call *c, moire_value x) {
  return is_complex(x) ? circular(c, x, false) : moire_sin_at(c->at, x);
}

moire_value moire__cosine(moire__call *c, moire_value x) {
  return is_complex(x) ? circular(c, x, true) : moire_cos_at(c->at, x);
}

/* tan z = -i tanh(iz) */
moire_value moire__tangent(moire__call *c, moire_value x) {
  if (is_complex(x)) return moire__turned(c, moire_tanh_at(c->at, moire__turned(c, x, false)), true);
  return moire_div_at(c->at, moire_sin_at(c->at, x), moire_cos_at(c->at, x));
}

/* sinh z = -i sin(iz), cosh z = cos(iz) */
moire_value moire__hyperbolic_sine(moire__call *c, moire_value x) {
  if (is_complex(x)) return moire__turned(c, circular(c, moire__turned(c, x, false), false), true);
  return sinh_real(c, x);
}

moire_value moire__hyperbolic_cosine(moire__call *c, moire_value x) {
  return is_complex(x) ? circular(c, moire__turned(c, x, false), true) : cosh_real(c, x);
}

/* atan z = i/2 (log(1 - iz) - log(1 + iz)) */
moire_value moire__arc_tangent(moire__call *c, moire_value x) {
  if (!is_complex(x)) return moire_atan2_at(c->at, x, moire__number_like(c, x, 1));
  moire_value iz = moire__turned(c, x, false);
  moire_value away = moire_sub_at(c->at, moire_log_at(c->at, plus(c, moire_neg_at(c->at, iz), 1)),
                                  moire_log_at(c->at, plus(c, iz, 1)));
  return moire_scale_at(c->at, moire__turned(c, away, false), 0.5);
}

/* asin x = atan2(x, sqrt((1 - x)(1 + x))), acos x = atan2(sqrt((1 - x)(1 + x)), x) */
static moire_value arc(moire__call *c, moire_value x, bool cosine) {
  x = moire__need_real(c, x);
  moire_value rest =
      moire_sqrt_at(c->at, moire_mul_at(c->at, plus(c, moire_neg_at(c->at, x), 1), plus(c, x, 1)));
  return cosine ? moire_atan2_at(c->at, rest, x) : moire_atan2_at(c->at, x, rest);
}

moire_value moire__arc_sine(moire__call *c, moire_value x) { return arc(c, x, false); }
moire_value moire__arc_cosine(moire__call *c, moire_value x) { return arc(c, x, true); }

/* ---- with the digits of small arguments --------------------------------------------------------------------
 */

/* e^z - 1: of x + iy, expm1(x) cos y - 2 sin^2(y/2) and e^x sin y. */
moire_value moire__exponential_minus_one(moire__call *c, moire_value z) {
  moire_source at = c->at;
  if (!is_complex(z)) return moire_expm1_at(at, z);
  moire_value x = moire_real_at(at, z), y = moire_imag_at(at, z);
  moire_value half = moire_sin_at(at, moire_scale_at(at, y, 0.5));
  moire_value re = moire_sub_at(at, moire_mul_at(at, moire_expm1_at(at, x), moire_cos_at(at, y)),
                                moire_scale_at(at, moire_mul_at(at, half, half), 2));
  return moire_complex_at(at, re, moire_mul_at(at, moire_exp_at(at, x), moire_sin_at(at, y)));
}

/* Where x is small: 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + ..) of s = x / (2 + x), to the digits of a double.
 * Elsewhere log u, u = 1 + x, and what the rounding of u lost, over u. */
static moire_value real_log_plus_one(moire__call *c, moire_value x) {
  enum { TERMS = 11 };
  moire_source at = c->at;
  moire_value s = moire_div_at(at, x, plus(c, x, 2)), square = moire_mul_at(at, s, s);
  moire_value series = moire__number_like(c, x, 2.0 / (2 * TERMS - 1));
  for (int k = TERMS - 2; k >= 0; k--) series = plus(c, moire_mul_at(at, series, square), 2.0 / (2 * k + 1));
  moire_value size = moire_abs_at(at, x), small = moire_less_at(at, size, moire__number_like(c, x, 0.3));
  moire_value u = plus(c, x, 1), lost = moire_sub_at(at, x, plus(c, u, -1));
  moire_value some =
      moire_less_at(at, size, moire__number_like(c, x, 4)); /* a -1 or an infinity loses nothing */
  some = moire_and_at(at, some, moire_less_at(at, moire__number_like(c, x, -0.9), x));
  moire_value by = moire_where_at(at, some, u, moire__number_like(c, x, 1));
  moire_value mend = moire_where_at(at, some, moire_div_at(at, lost, by), moire__number_like(c, x, 0));
  moire_value whole = moire_add_at(at, moire_log_at(at, u), mend);
  return moire_where_at(at, small, moire_mul_at(at, series, s), whole);
}

/* Of x + iy: log(1 + x (2 + x) + y^2) / 2 and atan2(y, 1 + x). */
moire_value moire__log_plus_one(moire__call *c, moire_value z) {
  moire_source at = c->at;
  if (!is_complex(z)) return real_log_plus_one(c, z);
  moire_value x = moire_real_at(at, z), y = moire_imag_at(at, z);
  moire_value over = moire_add_at(at, moire_mul_at(at, x, plus(c, x, 2)), moire_mul_at(at, y, y));
  return moire_complex_at(at, moire_scale_at(at, real_log_plus_one(c, over), 0.5),
                          moire_atan2_at(at, y, plus(c, x, 1)));
}

moire_value moire__logistic(moire__call *c, moire_value x) {
  if (!is_complex(x)) return moire_sigmoid_at(c->at, x);
  return moire__reciprocal(c, plus(c, moire_exp_at(c->at, moire_neg_at(c->at, x)), 1));
}

/* ---- rounding ---------------------------------------------------------------------------------------------
 */

moire_value moire__ceiling(moire__call *c, moire_value x) {
  return moire_neg_at(c->at, moire_floor_at(c->at, moire_neg_at(c->at, x)));
}

moire_value moire__towards_zero(moire__call *c, moire_value x) {
  return moire_mul_at(c->at, moire_sign_at(c->at, x), moire_floor_at(c->at, moire_abs_at(c->at, x)));
}

static moire_value is_finite_real(moire__call *c, moire_value x) {
  return moire_less_at(c->at, moire_abs_at(c->at, x), moire__number_like(c, x, INFINITY));
}

moire_value moire__is_finite(moire__call *c, moire_value x) {
  if (!is_complex(x)) return is_finite_real(c, x);
  return moire_and_at(c->at, is_finite_real(c, moire_real_at(c->at, x)),
                      is_finite_real(c, moire_imag_at(c->at, x)));
}

/* ---- of two operands --------------------------------------------------------------------------------------
 */

static moire_value is_number(moire__call *c, moire_value x, double number) {
  return moire_equal_at(c->at, x, moire__number_like(c, x, number));
}

static moire_value real_power(moire__call *c, moire_value a, moire_value b) {
  moire_source at = c->at;
  moire_value size = moire_pow_at(at, moire_abs_at(at, a), b);
  moire_value half = moire_scale_at(at, b, 0.5);
  moire_value whole = moire_equal_at(at, moire_floor_at(at, b), b);
  moire_value even = moire_equal_at(at, moire_floor_at(at, half), half);
  moire_value no_number = moire__number_like(c, size, (double)NAN);
  moire_value negative =
      moire_where_at(at, whole, moire_where_at(at, even, size, moire_neg_at(at, size)), no_number);
  moire_value below = moire_less_at(at, a, moire__number_like(c, a, 0));
  moire_value power = moire_where_at(at, below, negative, size);
  return moire_where_at(at, is_number(c, b, 0), moire__number_like(c, power, 1), power);
}

/* exp(b log a); 0 where a is 0 and b is not. */
static moire_value complex_power(moire__call *c, moire_value a, moire_value b) {
  moire_source at = c->at;
  moire_value power = moire_exp_at(at, moire_mul_at(at, b, moire_log_at(at, a)));
  moire_value zero = moire__to_type(c, a, MOIRE__TORCH_BOOL), raised = moire__to_type(c, b, MOIRE__TORCH_BOOL);
  power = moire_where_at(at, zero, power, moire__number_like(c, power, 0));
  return moire_where_at(at, raised, power, moire__number_like(c, power, 1));
}

moire_value moire__power(moire__call *c, moire_value a, moire_value b) {
  return is_complex(a) || is_complex(b) ? complex_power(c, a, b) : real_power(c, a, b);
}

moire_value moire__larger(moire__call *c, moire_value a, moire_value b, bool smaller) {
  moire_value best = smaller ? moire_min_of_at(c->at, a, b) : moire_max_of_at(c->at, a, b);
  moire__torch_type type = moire__type_of(a);
  if (type != MOIRE__TORCH_F32 && type != MOIRE__TORCH_F64) return best;
  return moire_where_at(c->at, moire_equal_at(c->at, a, a), best, a);
}

moire_value moire__equal(moire__call *c, moire_value a, moire_value b) {
  if (!is_complex(a)) return moire_equal_at(c->at, a, b);
  return moire_and_at(c->at, moire_equal_at(c->at, moire_real_at(c->at, a), moire_real_at(c->at, b)),
                      moire_equal_at(c->at, moire_imag_at(c->at, a), moire_imag_at(c->at, b)));
}

static bool is_bool(moire_value x) { return moire__type_of(x) == MOIRE__TORCH_BOOL; }

/* Of whole numbers a + b - (a and b), which wraps around as it should. */
moire_value moire__either(moire__call *c, moire_value a, moire_value b) {
  moire_source at = c->at;
  if (is_bool(a)) return moire_not_at(at, moire_and_at(at, moire_not_at(at, a), moire_not_at(at, b)));
  return moire_sub_at(at, moire_add_at(at, a, b), moire_and_at(at, a, b));
}

/* Of whole numbers a + b - 2 (a and b). */
moire_value moire__one_of_two(moire__call *c, moire_value a, moire_value b) {
  moire_source at = c->at;
  if (is_bool(a)) return moire_not_at(at, moire_equal_at(at, a, b));
  moire_value both = moire_and_at(at, a, b);
  return moire_sub_at(at, moire_sub_at(at, moire_add_at(at, a, b), both), both);
}

/* Of whole numbers -1 - x. */
moire_value moire__inverted(moire__call *c, moire_value x) {
  if (moire_value_is_null(x) || is_bool(x)) return moire_not_at(c->at, x);
  return moire_sub_at(c->at, moire__number_like(c, x, -1), x);
}
