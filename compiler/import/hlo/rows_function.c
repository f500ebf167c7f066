/* Rows of the table: functions of one operand. */
#include "compiler/import/hlo/rows.h"

#include <math.h>

static moire_value x_of(moire__hlo_call *c) {
  moire_value x = moire__hlo_operand(c, 0);
  if (!moire__hlo_is_whole(x)) return x;
  moire__refuse(&c->call, "is of floats or complex numbers");
  return moire__null(&c->call);
}

static moire_value real_of(moire__hlo_call *c) { return moire__need_real(&c->call, x_of(c)); }

static void give(moire__hlo_call *c, moire_value x) { moire__give(&c->call, x); }

static moire_value plus(moire__hlo_call *c, moire_value x, double term) {
  return moire_add_scalar_at(c->call.at, x, term);
}

typedef moire_value function_at(moire_source at, moire_value x);
typedef moire_value function_of(moire__call *call, moire_value x);

static void by(moire__hlo_call *c, function_at *f, moire_value x) {
  moire__pass_over(&c->call, "result_accuracy");
  give(c, f(c->call.at, x));
}

static void of(moire__hlo_call *c, function_of *f, moire_value x) {
  moire__pass_over(&c->call, "result_accuracy");
  give(c, f(&c->call, x));
}

static void exponential(moire__hlo_call *c) { by(c, moire_exp_at, x_of(c)); }
static void logarithm(moire__hlo_call *c) { by(c, moire_log_at, x_of(c)); }
static void square_root(moire__hlo_call *c) { by(c, moire_sqrt_at, x_of(c)); }
static void tanh_of(moire__hlo_call *c) { by(c, moire_tanh_at, x_of(c)); }
static void erf_of(moire__hlo_call *c) { by(c, moire_erf_at, real_of(c)); }
static void floor_of(moire__hlo_call *c) { by(c, moire_floor_at, real_of(c)); }
static void round_even(moire__hlo_call *c) { by(c, moire_round_at, real_of(c)); }
static void ceil_of(moire__hlo_call *c) { of(c, moire__ceiling, real_of(c)); }
static void expm1_of(moire__hlo_call *c) { of(c, moire__exponential_minus_one, x_of(c)); }
static void log1p_of(moire__hlo_call *c) { of(c, moire__log_plus_one, x_of(c)); }
static void logistic(moire__hlo_call *c) { of(c, moire__logistic, x_of(c)); }
static void sine(moire__hlo_call *c) { of(c, moire__sine, x_of(c)); }
static void cosine(moire__hlo_call *c) { of(c, moire__cosine, x_of(c)); }
static void tangent(moire__hlo_call *c) { of(c, moire__tangent, x_of(c)); }
static void sinh_of(moire__hlo_call *c) { of(c, moire__hyperbolic_sine, x_of(c)); }
static void cosh_of(moire__hlo_call *c) { of(c, moire__hyperbolic_cosine, x_of(c)); }
static void atan_of(moire__hlo_call *c) { of(c, moire__arc_tangent, x_of(c)); }
static void is_finite(moire__hlo_call *c) { of(c, moire__is_finite, x_of(c)); }

static void rsqrt_of(moire__hlo_call *c) {
  moire_value x = x_of(c);
  moire__pass_over(&c->call, "result_accuracy");
  give(c, moire__is_complex_value(x) ? moire__reciprocal(&c->call, moire_sqrt_at(c->call.at, x))
                                     : moire_rsqrt_at(c->call.at, x));
}

static void atan2_of(moire__hlo_call *c) {
  moire_value y = real_of(c), x = moire__need_real(&c->call, moire__hlo_operand(c, 1));
  give(c, moire_atan2_at(c->call.at, y, x));
}

/* Halves away from zero. */
static void round_away(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x = real_of(c), size = moire_abs_at(at, x), low = moire_floor_at(at, size);
  moire_value up = moire_less_equal_at(at, moire__hlo_scalar(c, x, 0.5), moire_sub_at(at, size, low));
  moire_value whole = moire_where_at(at, up, plus(c, low, 1), low);
  whole = moire_where_at(at, moire_less_at(at, x, moire__hlo_scalar(c, x, 0)), moire_neg_at(at, whole), whole);
  moire_value away =
      moire_less_at(at, size, moire__hlo_scalar(c, x, 0x1p52)); /* a NaN and what is whole stay */
  give(c, moire_where_at(at, away, whole, x));
}

/* sign(x) y, y = |x|^(1/3) by logarithms and a step of Newton's method. */
static void cube_root(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x = real_of(c), size = moire_abs_at(at, x), one = moire__hlo_scalar(c, x, 1);
  moire_value zero = moire__hlo_scalar(c, x, 0);
  moire_value usual = moire_and_at(at, moire_less_at(at, zero, size), moire__is_finite(&c->call, x));
  moire_value base = moire_where_at(at, usual, size, one);
  moire_value y = moire_exp_at(at, moire_scale_at(at, moire_log_at(at, base), 1.0 / 3));
  moire_value over = moire_sub_at(at, y, moire_div_at(at, moire_div_at(at, base, y), y));
  y = moire_sub_at(at, y, moire_scale_at(at, over, 1.0 / 3));
  y = moire_where_at(at, moire_less_at(at, x, zero), moire_neg_at(at, y), y);
  give(c, moire_where_at(at, usual, y, x));
}

/* Of x above 1/2 with all digits: t e^(-x^2) p(s), t = 2 / (2 + x), s = t / 0.4 - 1 in (-1, 1], where p
 * interpolates erfc(x) e^(x^2) / t at Chebyshev's points to 6e-16. */
static moire_value erfc_tail(moire__hlo_call *c, moire_value x) {
  static const double p[] = {
      0.44750287795347471,     0.232150372136186,       0.080969575266149105,   0.012959473081065712,
      -0.0027611910818869322,  -0.0015084503226547002,  0.00016394602863366577, 0.00017817860201019411,
      -2.6823351141930339e-05, -2.2987149102760871e-05, 6.8773163945165293e-06, 2.6212515431543784e-06,
      -1.7029144167924121e-06, -8.0991245397665772e-08, 3.4889349629597928e-07, -8.4254474776425532e-08,
      -5.0630510914984162e-08, 3.3057189073289083e-08,  3.3740106718469958e-09, -6.8637133831565256e-09,
      1.5331545345715806e-10,  6.8683651149601181e-10};
  moire_source at = c->call.at;
  moire_value t = moire_div_at(at, moire__hlo_scalar(c, x, 2), plus(c, x, 2));
  moire_value s = plus(c, moire_scale_at(at, t, 2.5), -1);
  int n = (int)(sizeof p / sizeof *p);
  moire_value sum = moire_constant_at(at, c->call.graph, moire_value_dtype(x), moire_value_shape(x), p[n - 1]);
  for (int k = n - 2; k >= 0; k--) sum = plus(c, moire_mul_at(at, sum, s), p[k]);
  return moire_mul_at(at, moire_mul_at(at, t, moire_exp_at(at, moire_neg_at(at, moire_mul_at(at, x, x)))), sum);
}

static void erfc_of(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x = real_of(c), border = moire__hlo_scalar(c, x, 0.5);
  if (moire_value_is_null(x)) return;
  moire_value far = moire_less_at(at, border, x);
  moire_value near = plus(c, moire_neg_at(at, moire_erf_at(at, x)), 1);
  give(c, moire_where_at(at, far, erfc_tail(c, moire_where_at(at, far, x, border)), near));
}

/* ---- inverse functions ------------------------------------------------------------------------------------
 */

/* sign(x) log1p(|x| + x^2 / (1 + sqrt(1 + x^2))); of large x log 2|x|. */
static moire_value area_sine(moire__call *c, moire_value x) {
  moire_source at = c->at;
  moire_value size = moire_abs_at(at, x);
  moire_value large = moire_less_at(at, moire__number_like(c, x, 1e8), size);
  moire_value s = moire_where_at(at, large, moire__number_like(c, x, 1), size), square = moire_mul_at(at, s, s);
  moire_value root = moire_sqrt_at(at, moire_add_scalar_at(at, square, 1));
  moire_value small =
      moire__log_plus_one(c, moire_add_at(at, s, moire_div_at(at, square, moire_add_scalar_at(at, root, 1))));
  moire_value y = moire_where_at(at, large, moire_add_scalar_at(at, moire_log_at(at, size), log(2)), small);
  return moire_where_at(at, moire_less_at(at, x, moire__number_like(c, x, 0)), moire_neg_at(at, y), y);
}

/* log1p(t + r), t = x - 1, r = sqrt(2 t + t^2), or log(x + r) where that has the digits; of large x log 2x. */
static moire_value area_cosine(moire__call *c, moire_value x) {
  moire_source at = c->at;
  moire_value large = moire_less_at(at, moire__number_like(c, x, 1e8), x);
  moire_value t = moire_add_scalar_at(at, moire_where_at(at, large, moire__number_like(c, x, 1), x), -1);
  moire_value root = moire_sqrt_at(at, moire_mul_at(at, t, moire_add_scalar_at(at, t, 2)));
  moire_value small = moire__log_plus_one(c, moire_add_at(at, t, root));
  moire_value middle = moire_log_at(at, moire_add_at(at, moire_add_scalar_at(at, t, 1), root));
  small = moire_where_at(at, moire_less_at(at, t, moire__number_like(c, x, 0.5)), small, middle);
  return moire_where_at(at, large, moire_add_scalar_at(at, moire_log_at(at, x), log(2)), small);
}

/* log1p(2x / (1 - x)) / 2 */
static moire_value area_tangent(moire__call *c, moire_value x) {
  moire_source at = c->at;
  moire_value size = moire_abs_at(at, x);
  moire_value ratio =
      moire_div_at(at, moire_scale_at(at, size, 2), moire_add_scalar_at(at, moire_neg_at(at, size), 1));
  moire_value y = moire_scale_at(at, moire__log_plus_one(c, ratio), 0.5);
  return moire_where_at(at, moire_less_at(at, x, moire__number_like(c, x, 0)), moire_neg_at(at, y), y);
}

/* ---- of complex numbers: W. Kahan, Branch cuts for complex elementary functions, 1987
 * ------------------------
 */

/* sqrt(z - 1) or sqrt(1 - z), and sqrt(1 + z) */
typedef struct roots {
  moire_value minus, plus;
} roots;

static roots roots_of(moire__call *c, moire_value z, bool one_less) {
  moire_source at = c->at;
  moire_value minus =
      one_less ? moire_add_scalar_at(at, z, -1) : moire_add_scalar_at(at, moire_neg_at(at, z), 1);
  return (roots){moire_sqrt_at(at, minus), moire_sqrt_at(at, moire_add_scalar_at(at, z, 1))};
}

/* conj(a) b */
static moire_value turned_back(moire__call *c, moire_value a, moire_value b) {
  return moire_mul_at(c->at, moire_conj_at(c->at, a), b);
}

/* atan(x / Re(sqrt(1 - z) sqrt(1 + z))) + i asinh(Im(conj(sqrt(1 - z)) sqrt(1 + z))) */
static moire_value arc_sine(moire__call *c, moire_value z) {
  moire_source at = c->at;
  if (!moire__is_complex_value(z)) return moire__arc_sine(c, z);
  roots r = roots_of(c, z, false);
  moire_value below = moire_real_at(at, moire_mul_at(at, r.minus, r.plus));
  moire_value im = area_sine(c, moire_imag_at(at, turned_back(c, r.minus, r.plus)));
  return moire_complex_at(at, moire_atan2_at(at, moire_real_at(at, z), below), im);
}

/* 2 atan(Re sqrt(1 - z) / Re sqrt(1 + z)) + i asinh(Im(conj(sqrt(1 + z)) sqrt(1 - z))) */
static moire_value arc_cosine(moire__call *c, moire_value z) {
  moire_source at = c->at;
  if (!moire__is_complex_value(z)) return moire__arc_cosine(c, z);
  roots r = roots_of(c, z, false);
  moire_value half = moire_atan2_at(at, moire_real_at(at, r.minus), moire_real_at(at, r.plus));
  moire_value im = area_sine(c, moire_imag_at(at, turned_back(c, r.plus, r.minus)));
  return moire_complex_at(at, moire_scale_at(at, half, 2), im);
}

/* asinh z = i asin(-i z) */
static moire_value any_area_sine(moire__call *c, moire_value z) {
  if (!moire__is_complex_value(z)) return area_sine(c, z);
  return moire__turned(c, arc_sine(c, moire__turned(c, z, true)), false);
}

/* asinh(Re(conj(sqrt(z - 1)) sqrt(z + 1))) + 2 i atan(Im sqrt(z - 1) / Re sqrt(z + 1)) */
static moire_value any_area_cosine(moire__call *c, moire_value z) {
  moire_source at = c->at;
  if (!moire__is_complex_value(z)) return area_cosine(c, z);
  roots r = roots_of(c, z, true);
  moire_value half = moire_atan2_at(at, moire_imag_at(at, r.minus), moire_real_at(at, r.plus));
  moire_value re = area_sine(c, moire_real_at(at, turned_back(c, r.minus, r.plus)));
  return moire_complex_at(at, re, moire_scale_at(at, half, 2));
}

/* log1p(4 x / ((1 - x)^2 + y^2)) / 4 + i atan(2 y / ((1 - x)(1 + x) - y^2)) / 2, of x >= 0; odd. */
static moire_value any_area_tangent(moire__call *c, moire_value z) {
  moire_source at = c->at;
  if (!moire__is_complex_value(z)) return area_tangent(c, z);
  moire_value x = moire_real_at(at, z), y = moire_imag_at(at, z);
  moire_value below = moire_less_at(at, x, moire__number_like(c, x, 0));
  x = moire_abs_at(at, x);
  y = moire_where_at(at, below, moire_neg_at(at, y), y);
  moire_value less = moire_add_scalar_at(at, moire_neg_at(at, x), 1), more = moire_add_scalar_at(at, x, 1);
  moire_value square = moire_mul_at(at, y, y), size = moire_add_at(at, moire_mul_at(at, less, less), square);
  moire_value ratio = moire_div_at(at, moire_scale_at(at, x, 4), size);
  moire_value re = moire_scale_at(at, moire__log_plus_one(c, ratio), 0.25);
  moire_value turn = moire_sub_at(at, moire_mul_at(at, less, more), square);
  moire_value im = moire_scale_at(at, moire_atan2_at(at, moire_scale_at(at, y, 2), turn), 0.5);
  return moire_complex_at(at, moire_where_at(at, below, moire_neg_at(at, re), re),
                          moire_where_at(at, below, moire_neg_at(at, im), im));
}

static void asin_of(moire__hlo_call *c) { of(c, arc_sine, x_of(c)); }
static void acos_of(moire__hlo_call *c) { of(c, arc_cosine, x_of(c)); }
static void asinh_of(moire__hlo_call *c) { of(c, any_area_sine, x_of(c)); }
static void acosh_of(moire__hlo_call *c) { of(c, any_area_cosine, x_of(c)); }
static void atanh_of(moire__hlo_call *c) { of(c, any_area_tangent, x_of(c)); }

/* ---- what is infinite -------------------------------------------------------------------------------------
 */

static moire_value is_number(moire__hlo_call *c, moire_value x, double number) {
  return moire_equal_at(c->call.at, x, moire__hlo_scalar(c, x, number));
}

static void is_inf(moire__hlo_call *c) {
  give(c, is_number(c, moire_abs_at(c->call.at, real_of(c)), INFINITY));
}
static void is_pos_inf(moire__hlo_call *c) { give(c, is_number(c, real_of(c), INFINITY)); }
static void is_neg_inf(moire__hlo_call *c) { give(c, is_number(c, real_of(c), -INFINITY)); }

const moire__hlo_row moire__hlo_rows_function[] = {{"stablehlo.exponential", exponential},
                                                   {"stablehlo.exponential_minus_one", expm1_of},
                                                   {"stablehlo.log", logarithm},
                                                   {"stablehlo.log_plus_one", log1p_of},
                                                   {"stablehlo.logistic", logistic},
                                                   {"stablehlo.sqrt", square_root},
                                                   {"stablehlo.rsqrt", rsqrt_of},
                                                   {"stablehlo.cbrt", cube_root},
                                                   {"stablehlo.sine", sine},
                                                   {"stablehlo.cosine", cosine},
                                                   {"stablehlo.tan", tangent},
                                                   {"chlo.tan", tangent},
                                                   {"chlo.sinh", sinh_of},
                                                   {"chlo.cosh", cosh_of},
                                                   {"stablehlo.tanh", tanh_of},
                                                   {"chlo.asin", asin_of},
                                                   {"chlo.acos", acos_of},
                                                   {"chlo.atan", atan_of},
                                                   {"chlo.asinh", asinh_of},
                                                   {"chlo.acosh", acosh_of},
                                                   {"chlo.atanh", atanh_of},
                                                   {"stablehlo.atan2", atan2_of},
                                                   {"chlo.erf", erf_of},
                                                   {"chlo.erfc", erfc_of},
                                                   {"stablehlo.floor", floor_of},
                                                   {"stablehlo.ceil", ceil_of},
                                                   {"stablehlo.round_nearest_even", round_even},
                                                   {"stablehlo.round_nearest_afz", round_away},
                                                   {"stablehlo.is_finite", is_finite},
                                                   {"chlo.is_inf", is_inf},
                                                   {"chlo.is_pos_inf", is_pos_inf},
                                                   {"chlo.is_neg_inf", is_neg_inf},
                                                   {NULL, NULL}};
