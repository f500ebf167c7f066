/* The language: functions of one value, real or complex, and those that are written in terms of others.
 *
 * Where a condition chooses, it is written so that a NaN is not chosen away, and so that the gradient of what
 * is not chosen stays finite.
 */
#include "compiler/ir/language/language.h"

static moire_value like(moire_source at, moire_value x, double value) {
  return moire_constant_at(at, x.graph, moire_value_dtype(x), moire_value_shape(x), value);
}

/* ---- functions ------------------------------------------------------------------------------------------- */

moire_value moire_exp_at(moire_source at, moire_value x) {
  if (!moire__is_complex(x)) return moire__emit_unary(at, MOIRE__OP_exp, x);
  return moire_polar_at(at, moire_exp_at(at, moire_real_at(at, x)), moire_imag_at(at, x));
}

moire_value moire_log_at(moire_source at, moire_value x) {
  if (!moire__is_complex(x)) return moire__emit_unary(at, MOIRE__OP_log, x);
  return moire_complex_at(at, moire_log_at(at, moire_abs_at(at, x)), moire_angle_at(at, x));
}

moire_value moire_sqrt_at(moire_source at, moire_value x) {
  return moire__emit_unary(at, moire__is_complex(x) ? MOIRE__OP_complex_sqrt : MOIRE__OP_sqrt, x);
}

moire_value moire_tanh_at(moire_source at, moire_value x) {
  return moire__emit_unary(at, moire__is_complex(x) ? MOIRE__OP_complex_tanh : MOIRE__OP_tanh, x);
}

moire_value moire_clamp_at(moire_source at, moire_value x, double low, double high) {
  if (moire_value_is_null(x)) return x;
  if (!(low <= high)) {
    moire__graph_fail_at(x.graph, at, "clamp", MOIRE_ERROR_ARGUMENT, "from %g to %g is no interval", low, high);
    return moire__null_like(x, x);
  }
  moire_value least = like(at, x, low), most = like(at, x, high);
  moire_value y = x;
  if (low > -__builtin_inf()) y = moire_where_at(at, moire_less_at(at, x, least), least, y);
  return high < __builtin_inf() ? moire_where_at(at, moire_less_at(at, most, x), most, y) : y;
}

moire_value moire_masked_fill_at(moire_source at, moire_value x, moire_value mask, double value) {
  if (moire_value_is_null(x)) return moire__null_like(x, mask);
  moire_dtype dtype = moire__is_complex(x) ? MOIRE_F32 : moire_value_dtype(x);
  return moire_where_at(at, mask, moire_constant_at(at, x.graph, dtype, MOIRE_SCALAR, value), x);
}

moire_value moire_sign_at(moire_source at, moire_value x) {
  if (moire_value_is_null(x)) return x;
  moire_value zero = like(at, x, 0),
              negative = moire_where_at(at, moire_less_at(at, x, zero), like(at, x, -1), zero);
  return moire_where_at(at, moire_less_at(at, zero, x), like(at, x, 1), negative);
}

/* ---- activations ----------------------------------------------------------------------------------------- */

moire_value moire_relu_at(moire_source at, moire_value x) {
  if (!moire__is_complex(x)) return moire__emit_unary(at, MOIRE__OP_relu, x);
  return moire_complex_at(at, moire_relu_at(at, moire_real_at(at, x)), moire_relu_at(at, moire_imag_at(at, x)));
}

moire_value moire_leaky_relu_at(moire_source at, moire_value x, double slope) {
  if (moire_value_is_null(x)) return x;
  return moire_where_at(at, moire_less_at(at, like(at, x, 0), x), x, moire_scale_at(at, x, slope));
}

/* Where x is positive the other branch is that of 0, since that of a large x is infinite. */
moire_value moire_elu_at(moire_source at, moire_value x, double alpha) {
  if (moire_value_is_null(x)) return x;
  moire_value zero = like(at, x, 0), positive = moire_less_at(at, zero, x);
  moire_value below = moire_expm1_at(at, moire_where_at(at, positive, zero, x));
  return moire_where_at(at, positive, x, moire_scale_at(at, below, alpha));
}

moire_value moire_log_sigmoid_at(moire_source at, moire_value x) {
  return moire_neg_at(at, moire_softplus_at(at, moire_neg_at(at, x)));
}

/* z / |z| times relu(|z| + bias). At 0, which has no direction, neither has a gradient. */
moire_value moire_modrelu_at(moire_source at, moire_value z, moire_value bias) {
  if (moire_value_is_null(z) || moire_value_is_null(bias)) return moire__null_like(z, bias);
  moire_value length = moire_abs_at(at, z), zero = like(at, length, 0);
  moire_value is_zero = moire_equal_at(at, length, zero);
  moire_value over = moire_where_at(at, is_zero, like(at, length, 1), length);
  moire_value re = moire_where_at(at, is_zero, zero, moire_real_at(at, z));
  moire_value im = moire_where_at(at, is_zero, zero, moire_imag_at(at, z));
  moire_value size = moire_relu_at(at, moire_add_at(at, length, bias));
  return moire_complex_at(at, moire_mul_at(at, moire_div_at(at, re, over), size),
                          moire_mul_at(at, moire_div_at(at, im, over), size));
}

moire_value moire_magnitude_softmax_at(moire_source at, moire_value z) {
  return moire__emit_unary(at, MOIRE__OP_softmax, moire_abs_at(at, z));
}
