/* Rows of the table: functions of one operand, element by element. */
#include "compiler/import/functions.h"
#include "compiler/import/torch/rows.h"

#include <math.h>
#include <string.h>

typedef moire_value function_at(moire_source at, moire_value x);

/* The operand; whole numbers and bools count as float32. */
static moire_value operand(moire__call *c) { return moire__to_float(c, moire__tensor(c, "self")); }

static bool is_complex(moire_value x) { return moire__is_complex_value(x); }

static void real_function(moire__call *c, function_at *f) {
  moire__give(c, f(c->at, moire__need_real(c, operand(c))));
}

static moire_value plus(moire__call *c, moire_value x, double term) {
  return moire_add_scalar_at(c->at, x, term);
}

static void exp_of(moire__call *c) { moire__give(c, moire_exp_at(c->at, operand(c))); }
static void log_of(moire__call *c) { moire__give(c, moire_log_at(c->at, operand(c))); }
static void sqrt_of(moire__call *c) { moire__give(c, moire_sqrt_at(c->at, operand(c))); }
static void tanh_of(moire__call *c) { moire__give(c, moire_tanh_at(c->at, operand(c))); }
static void erf_of(moire__call *c) { real_function(c, moire_erf_at); }
static void relu_of(moire__call *c) { real_function(c, moire_relu_at); }
static void silu_of(moire__call *c) {
  moire_value x = operand(c);
  if (!is_complex(x)) moire__give(c, moire_silu_at(c->at, x));
  if (is_complex(x))
    moire__give(c, moire_div_at(c->at, x, plus(c, moire_exp_at(c->at, moire_neg_at(c->at, x)), 1)));
}
static void log_sigmoid_of(moire__call *c) { real_function(c, moire_log_sigmoid_at); }

static void neg(moire__call *c) { moire__give(c, moire_neg_at(c->at, moire__tensor(c, "self"))); }

static void absolute(moire__call *c) { moire__give(c, moire_abs_at(c->at, moire__tensor(c, "self"))); }

static void square(moire__call *c) { moire__give(c, moire__power_by_number(c, moire__tensor(c, "self"), 2)); }

static void reciprocal(moire__call *c) { moire__give(c, moire__reciprocal(c, operand(c))); }

static void rsqrt_of(moire__call *c) {
  moire_value x = operand(c);
  moire__give(c, is_complex(x) ? moire__reciprocal(c, moire_sqrt_at(c->at, x)) : moire_rsqrt_at(c->at, x));
}

static void sigmoid_of(moire__call *c) { moire__give(c, moire__logistic(c, operand(c))); }

static void by(moire__call *c, moire_value (*f)(moire__call *c, moire_value x)) {
  moire__give(c, f(c, operand(c)));
}

static void sin_of(moire__call *c) { by(c, moire__sine); }
static void cos_of(moire__call *c) { by(c, moire__cosine); }
static void tan_of(moire__call *c) { by(c, moire__tangent); }
static void sinh_of(moire__call *c) { by(c, moire__hyperbolic_sine); }
static void cosh_of(moire__call *c) { by(c, moire__hyperbolic_cosine); }
static void atan_of(moire__call *c) { by(c, moire__arc_tangent); }
static void asin_of(moire__call *c) { by(c, moire__arc_sine); }
static void acos_of(moire__call *c) { by(c, moire__arc_cosine); }
static void expm1_of(moire__call *c) { by(c, moire__exponential_minus_one); }
static void log1p_of(moire__call *c) { by(c, moire__log_plus_one); }

static void log_of_base(moire__call *c, double base) {
  moire__give(c, moire_scale_at(c->at, moire_log_at(c->at, operand(c)), 1 / log(base)));
}

static void log2_of(moire__call *c) { log_of_base(c, 2); }
static void log10_of(moire__call *c) { log_of_base(c, 10); }

static void exp2_of(moire__call *c) {
  moire__give(c, moire_exp_at(c->at, moire_scale_at(c->at, operand(c), log(2))));
}

static void erfc_of(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c));
  moire__give(c, plus(c, moire_neg_at(c->at, moire_erf_at(c->at, x)), 1));
}

/* ---- rounding ---------------------------------------------------------------------------------------------
 */

static bool is_whole(moire_value x) {
  moire__torch_type type = moire__type_of(x);
  return type == MOIRE__TORCH_I64 || type == MOIRE__TORCH_I32 || type == MOIRE__TORCH_BOOL;
}

static void rounded(moire__call *c, function_at *f) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__give(c, is_whole(x) ? x : f(c->at, x));
}

static void floor_of(moire__call *c) { rounded(c, moire_floor_at); }
static void round_of(moire__call *c) { rounded(c, moire_round_at); }

static void rounded_by(moire__call *c, moire_value (*f)(moire__call *c, moire_value x)) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__give(c, is_whole(x) ? x : f(c, x));
}

static void ceil_of(moire__call *c) { rounded_by(c, moire__ceiling); }
static void trunc_of(moire__call *c) { rounded_by(c, moire__towards_zero); }

static void sign_of(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__give(c, moire__type_of(x) == MOIRE__TORCH_BOOL ? x : moire_sign_at(c->at, x));
}

/* ---- what a number is -------------------------------------------------------------------------------------
 */

static void all_true(moire__call *c, moire_value x) {
  moire_value no = moire_not_at(c->at, moire_equal_at(c->at, x, x));
  moire__give(c, moire_not_at(c->at, no));
}

static void isfinite_of(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  if (is_whole(x)) {
    all_true(c, x);
  } else {
    moire__give(c, moire__is_finite(c, x));
  }
}

static void isnan_of(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__give(c, moire_not_at(c->at, moire_equal_at(c->at, x, x)));
}

static void isinf_of(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c));
  moire__give(c, moire_equal_at(c->at, moire_abs_at(c->at, x), moire__number_like(c, x, INFINITY)));
}

static void nan_to_num(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c));
  double largest = 3.4028234663852886e38, nan = moire__real_or(c, "nan", 0);
  double high = moire__real_or(c, "posinf", largest), low = moire__real_or(c, "neginf", -largest);
  moire_source at = c->at;
  moire_value there = moire_equal_at(at, x, x);
  moire_value y = moire_where_at(at, moire_equal_at(at, x, moire__number_like(c, x, INFINITY)),
                                 moire__number_like(c, x, high), x);
  y = moire_where_at(at, moire_equal_at(at, x, moire__number_like(c, x, -INFINITY)),
                     moire__number_like(c, x, low), y);
  moire__give(c, moire_where_at(at, there, y, moire__number_like(c, x, nan)));
}

/* ---- activations ------------------------------------------------------------------------------------------
 */

/* sqrt(2/pi) (x + 0.044715 x^3), of which the half of 1 + tanh is taken */
static void gelu_of(moire__call *c) {
  const char *form = moire__text_or(c, "approximate", "none");
  moire_value x = moire__need_real(c, operand(c));
  if (strcmp(form, "tanh") != 0) {
    moire__give(c, moire_gelu_at(c->at, x));
    return;
  }
  moire_source at = c->at;
  moire_value cube = moire_mul_at(at, moire_mul_at(at, x, x), x);
  moire_value inner =
      moire_scale_at(at, moire_add_at(at, x, moire_scale_at(at, cube, 0.044715)), 0.7978845608028654);
  moire_value share = plus(c, moire_tanh_at(at, inner), 1);
  moire__give(c, moire_mul_at(at, moire_scale_at(at, x, 0.5), share));
}

static void leaky_relu_of(moire__call *c) {
  double slope = moire__real_or(c, "negative_slope", 0.01);
  moire__give(c, moire_leaky_relu_at(c->at, moire__need_real(c, operand(c)), slope));
}

static void elu_of(moire__call *c) {
  double alpha = moire__real_or(c, "alpha", 1), scale = moire__real_or(c, "scale", 1);
  if (moire__real_or(c, "input_scale", 1) != 1) moire__refuse(c, "with an input_scale is not imported");
  moire_value y = moire_elu_at(c->at, moire__need_real(c, operand(c)), alpha);
  moire__give(c, scale == 1 ? y : moire_scale_at(c->at, y, scale));
}

static void selu_of(moire__call *c) {
  moire_value y = moire_elu_at(c->at, moire__need_real(c, operand(c)), 1.6732632423543772);
  moire__give(c, moire_scale_at(c->at, y, 1.0507009873554805));
}

/* log(1 + e^(beta x)) / beta; x itself where beta x is above the threshold. */
static void softplus_of(moire__call *c) {
  double beta = moire__real_or(c, "beta", 1), threshold = moire__real_or(c, "threshold", 20);
  moire_value x = moire__need_real(c, operand(c));
  moire_value scaled = beta == 1 ? x : moire_scale_at(c->at, x, beta);
  moire_value y = moire_softplus_at(c->at, scaled);
  if (beta != 1) y = moire_scale_at(c->at, y, 1 / beta);
  if (threshold >= 20) { /* the difference is below the digits of a float */
    moire__give(c, y);
    return;
  }
  moire_value above = moire_less_at(c->at, moire__number_like(c, x, threshold), scaled);
  moire__give(c, moire_where_at(c->at, above, x, y));
}

static void hard_tanh(moire__call *c) {
  double low = moire__real_or(c, "min_val", -1), high = moire__real_or(c, "max_val", 1);
  moire__give(c, moire_clamp_at(c->at, moire__need_real(c, operand(c)), low, high));
}

static moire_value hard_gate(moire__call *c, moire_value x) {
  return moire_scale_at(c->at, moire_clamp_at(c->at, plus(c, x, 3), 0, 6), 1.0 / 6);
}

static void hard_sigmoid(moire__call *c) { moire__give(c, hard_gate(c, moire__need_real(c, operand(c)))); }

static void hard_swish(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c));
  moire__give(c, moire_mul_at(c->at, x, hard_gate(c, x)));
}

static void relu6_of(moire__call *c) {
  moire__give(c, moire_clamp_at(c->at, moire__need_real(c, operand(c)), 0, 6));
}

static void mish_of(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c));
  moire__give(c, moire_mul_at(c->at, x, moire_tanh_at(c->at, moire_softplus_at(c->at, x))));
}

/* x where it is above 0, else weight x; weight of one element, or one a channel. */
static void prelu_of(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c)), weight = moire__tensor(c, "weight");
  if (moire_value_is_null(x) || moire_value_is_null(weight)) return;
  moire_shape shape = moire_value_shape(x), by_channel = {.rank = shape.rank};
  for (int i = 0; i < shape.rank; i++) by_channel.dims[i] = 1;
  if (shape.rank > 1) by_channel.dims[1] = moire_value_dim(weight, 0);
  weight = moire_reshape_at(c->at, weight, by_channel);
  moire_value below = moire_min_of_at(c->at, x, moire__number_like(c, x, 0));
  moire__give(c, moire_add_at(c->at, moire_relu_at(c->at, x), moire_mul_at(c->at, weight, below)));
}

/* ---- types and copies -------------------------------------------------------------------------------------
 */

static void same(moire__call *c) {
  static const char *const without_meaning[] = {"memory_format", "copy", "non_blocking", "implicit"};
  for (int i = 0; i < 4; i++) moire__pass_over(c, without_meaning[i]);
  moire__give(c, moire__tensor(c, "self"));
  const moire__argument *x = moire__find(c, "self");
  if (!x) return;
  c->result.uniform = x->uniform;
  c->result.real = x->real;
}

static void detach(moire__call *c) { moire__give(c, moire_stop_gradient_at(c->at, moire__tensor(c, "self"))); }

static void to_dtype(moire__call *c) {
  static const char *const without_meaning[] = {"memory_format", "copy",   "non_blocking",
                                                "device",        "layout", "pin_memory"};
  for (int i = 0; i < 6; i++) moire__pass_over(c, without_meaning[i]);
  moire_value x = moire__tensor(c, "self");
  moire__torch_type type = moire__type_or(c, "dtype", moire__type_of(x));
  moire__give(c, moire__to_type(c, x, type));
}

static void to_other(moire__call *c) {
  const moire__argument *x = moire__find(c, "self");
  static const char *const without_meaning[] = {"memory_format", "copy", "non_blocking"};
  for (int i = 0; i < 3; i++) moire__pass_over(c, without_meaning[i]);
  moire_value other = moire__tensor(c, "other");
  moire__give(c, moire__as(c, x, moire__type_of(other), (moire_value){0}));
}

const moire__aten_row moire__rows_function[] = {{"aten.neg.default", neg, false},
                                                {"aten.negative.default", neg, false},
                                                {"aten.abs.default", absolute, false},
                                                {"aten.absolute.default", absolute, false},
                                                {"aten.square.default", square, false},
                                                {"aten.reciprocal.default", reciprocal, false},
                                                {"aten.sqrt.default", sqrt_of, false},
                                                {"aten.rsqrt.default", rsqrt_of, false},
                                                {"aten.exp.default", exp_of, false},
                                                {"aten.exp2.default", exp2_of, false},
                                                {"aten.expm1.default", expm1_of, false},
                                                {"aten.log.default", log_of, false},
                                                {"aten.log2.default", log2_of, false},
                                                {"aten.log10.default", log10_of, false},
                                                {"aten.log1p.default", log1p_of, false},
                                                {"aten.sin.default", sin_of, false},
                                                {"aten.cos.default", cos_of, false},
                                                {"aten.tan.default", tan_of, false},
                                                {"aten.sinh.default", sinh_of, false},
                                                {"aten.cosh.default", cosh_of, false},
                                                {"aten.tanh.default", tanh_of, false},
                                                {"aten.atan.default", atan_of, false},
                                                {"aten.arctan.default", atan_of, false},
                                                {"aten.asin.default", asin_of, false},
                                                {"aten.acos.default", acos_of, false},
                                                {"aten.erf.default", erf_of, false},
                                                {"aten.erfc.default", erfc_of, false},
                                                {"aten.floor.default", floor_of, false},
                                                {"aten.ceil.default", ceil_of, false},
                                                {"aten.round.default", round_of, false},
                                                {"aten.trunc.default", trunc_of, false},
                                                {"aten.sign.default", sign_of, false},
                                                {"aten.isfinite.default", isfinite_of, false},
                                                {"aten.isnan.default", isnan_of, false},
                                                {"aten.isinf.default", isinf_of, false},
                                                {"aten.nan_to_num.default", nan_to_num, false},
                                                {"aten.relu.default", relu_of, false},
                                                {"aten.relu6.default", relu6_of, false},
                                                {"aten.gelu.default", gelu_of, false},
                                                {"aten.silu.default", silu_of, false},
                                                {"aten.sigmoid.default", sigmoid_of, false},
                                                {"aten.log_sigmoid.default", log_sigmoid_of, false},
                                                {"aten.leaky_relu.default", leaky_relu_of, false},
                                                {"aten.elu.default", elu_of, false},
                                                {"aten.selu.default", selu_of, false},
                                                {"aten.softplus.default", softplus_of, false},
                                                {"aten.hardtanh.default", hard_tanh, false},
                                                {"aten.hardsigmoid.default", hard_sigmoid, false},
                                                {"aten.hardswish.default", hard_swish, false},
                                                {"aten.mish.default", mish_of, false},
                                                {"aten.prelu.default", prelu_of, false},
                                                {"aten.clone.default", same, false},
                                                {"aten.contiguous.default", same, false},
                                                {"aten.positive.default", same, false},
                                                {"aten.alias.default", same, true},
                                                {"aten.lift_fresh_copy.default", same, false},
                                                {"aten.resolve_conj.default", same, true},
                                                {"aten.resolve_neg.default", same, true},
                                                {"aten.detach.default", detach, true},
                                                {"aten.detach_copy.default", detach, false},
                                                {"aten._to_copy.default", to_dtype, false},
                                                {"aten.to.dtype", to_dtype, false},
                                                {"aten.to.dtype_layout", to_dtype, false},
                                                {"aten.to.device", to_dtype, false},
                                                {"aten.to.other", to_other, false},
                                                {"aten.type_as.default", to_other, false},
                                                {NULL, NULL, false}};
