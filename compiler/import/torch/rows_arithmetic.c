/* Rows of the table: arithmetic and comparisons of two operands. */
#include "compiler/import/functions.h"
#include "compiler/import/torch/rows.h"

#include <math.h>

static moire_value scaled(moire__call *c, moire_value x, const char *name) {
  const moire__argument *a = moire__find(c, name);
  if (!a || (a->kind == MOIRE__ARGUMENT_INT && !a->symbolic && a->integer == 1)) return x;
  return moire_mul_at(c->at, x, moire__as(c, a, moire__type_of(x), x));
}

static void add(moire__call *c) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_add_at(c->at, v[0], scaled(c, v[1], "alpha")));
}

static void sub(moire__call *c) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_sub_at(c->at, v[0], scaled(c, v[1], "alpha")));
}

static void rsub(moire__call *c) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_sub_at(c->at, v[1], scaled(c, v[0], "alpha")));
}

/* A product with a real operand stays one of planes: it is not made complex before. */
static bool is_real_beside_complex(const moire__argument *a, moire__torch_type type) {
  return type == MOIRE__TORCH_C64 && a->kind == MOIRE__ARGUMENT_TENSOR && !moire_value_is_null(a->value) &&
         moire_value_dtype(a->value) == MOIRE_F32;
}

static void product_or_quotient(moire__call *c, bool quotient) {
  moire_value v[2];
  const moire__argument *a = moire__find(c, "self"), *b = moire__find(c, "other");
  moire__torch_type type = moire__pair(c, "self", "other", v);
  if (!type) return;
  if (!quotient && is_real_beside_complex(a, type)) v[0] = a->value;
  if (is_real_beside_complex(b, type)) v[1] = b->value;
  if (!quotient && type == MOIRE__TORCH_BOOL) {
    moire__give(c, moire_and_at(c->at, v[0], v[1]));
  } else if (!quotient) {
    moire__give(c, moire_mul_at(c->at, v[0], v[1]));
  } else {
    for (int i = 0; i < 2; i++) v[i] = moire__to_float(c, v[i]);
    moire__give(c, moire_div_at(c->at, v[0], v[1]));
  }
}

static void mul(moire__call *c) { product_or_quotient(c, false); }
static void divide(moire__call *c) { product_or_quotient(c, true); }

/* a / b cut to a whole number by the mode. Of whole numbers the quotient is made exactly: (a - a mod b) / b. */
static void divide_mode(moire__call *c) {
  const char *mode = moire__text_or(c, "rounding_mode", "");
  if (!*mode) {
    divide(c);
    return;
  }
  moire_value v[2];
  moire__torch_type type = moire__pair(c, "self", "other", v);
  if (!type) return;
  moire__need_real(c, v[0]);
  if (type != MOIRE__TORCH_F32 && type != MOIRE__TORCH_F64) {
    moire__refuse(c, "is of floats here, but %s came: divide by // on sizes, or convert to float before",
                  moire__torch_type_name(type));
    return;
  }
  moire_value q = moire_div_at(c->at, v[0], v[1]);
  moire__give(c, *mode == 'f' ? moire_floor_at(c->at, q) : moire__towards_zero(c, q));
}

static void floor_divide(moire__call *c) {
  moire_value v[2];
  moire__torch_type type = moire__pair(c, "self", "other", v);
  if (type == MOIRE__TORCH_F32 || type == MOIRE__TORCH_F64) {
    moire__give(c, moire_floor_at(c->at, moire_div_at(c->at, v[0], v[1])));
    return;
  }
  moire__refuse(c, "of whole numbers is not imported: convert to float before");
}

static void remainder_of(moire__call *c) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_remainder_at(c->at, moire__need_real(c, v[0]), v[1]));
}

/* ---- powers -----------------------------------------------------------------------------------------------
 */

/* x^n by squaring. */
static moire_value whole_power(moire__call *c, moire_value x, int n) {
  moire_value result = {0};
  for (moire_value square = x; n; n >>= 1) {
    if (n & 1) result = result.graph ? moire_mul_at(c->at, result, square) : square;
    if (n > 1) square = moire_mul_at(c->at, square, square);
  }
  return result;
}

moire_value moire__power_by_number(moire__call *c, moire_value x, double exponent) {
  enum { MOST = 64 };
  moire_value z = moire__is_size_of(c, x);
  if (exponent == 2 && !moire_value_is_null(z)) return moire_abs2_at(c->at, z);
  double size = fabs(exponent);
  if (exponent == 0) return moire__number_like(c, x, 1);
  if (size == floor(size) && size <= MOST) {
    moire_value power = whole_power(c, x, (int)size);
    return exponent > 0 ? power : moire_div_at(c->at, moire__number_like(c, x, 1), power);
  }
  if (exponent == 0.5) return moire_sqrt_at(c->at, x);
  if (moire__type_of(x) == MOIRE__TORCH_C64)
    return moire_exp_at(c->at, moire_scale_at(c->at, moire_log_at(c->at, x), exponent));
  if (exponent == -0.5) return moire_rsqrt_at(c->at, x);
  return moire_pow_at(c->at, x, moire__number_like(c, x, exponent));
}

static void power_by_scalar(moire__call *c) {
  moire_value v[2];
  const moire__argument *exponent = moire__find(c, "exponent");
  moire__torch_type type = moire__pair(c, "self", "exponent", v);
  if (!type || !exponent) return;
  if (exponent->kind == MOIRE__ARGUMENT_COMPLEX) {
    moire__give(c, moire_exp_at(c->at, moire_mul_at(c->at, v[1], moire_log_at(c->at, v[0]))));
    return;
  }
  bool whole = type == MOIRE__TORCH_I64 || type == MOIRE__TORCH_I32;
  if (whole && (exponent->real < 0 || exponent->real > 62)) {
    moire__refuse(c, "of whole numbers to this power is not imported");
    return;
  }
  moire__give(c, moire__power_by_number(c, v[0], moire__real_or(c, "exponent", 1)));
}

static void power(moire__call *c) {
  moire_value v[2];
  moire__torch_type type = moire__pair(c, "self", "exponent", v);
  if (type == MOIRE__TORCH_I64 || type == MOIRE__TORCH_I32 || type == MOIRE__TORCH_BOOL) {
    moire__refuse(c, "of whole numbers is not imported: convert to float before");
  } else if (type) {
    moire__give(c, moire__power(c, v[0], v[1]));
  }
}

/* ---- the larger and the smaller ---------------------------------------------------------------------------
 */

static void pick(moire__call *c, bool smaller) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  v[0] = moire__need_real(c, v[0]);
  moire__give(c, moire__larger(c, v[0], v[1], smaller));
}

static void maximum(moire__call *c) { pick(c, false); }
static void minimum(moire__call *c) { pick(c, true); }

static void clamp(moire__call *c) {
  const moire__argument *low = moire__find(c, "min"), *high = moire__find(c, "max"),
                        *x = moire__find(c, "self");
  const moire__argument *all[3] = {x, low, high};
  moire__torch_type type = moire__promoted(all, 3);
  moire_value y = moire__need_real(c, moire__as(c, x, type, (moire_value){0}));
  if (low) y = moire__larger(c, y, moire__as(c, low, type, y), false);
  if (high) y = moire__larger(c, y, moire__as(c, high, type, y), true);
  moire__give(c, y);
}

static void clamp_scalar(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  if (moire__type_of(x) != MOIRE__TORCH_F32) {
    clamp(c);
    return;
  }
  moire__give(
      c, moire_clamp_at(c->at, x, moire__real_or(c, "min", -INFINITY), moire__real_or(c, "max", INFINITY)));
}

static void atan2_of(moire__call *c) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_atan2_at(c->at, moire__to_float(c, v[0]), moire__to_float(c, v[1])));
}

static void hypot_of(moire__call *c) {
  moire_value v[2];
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_hypot_at(c->at, v[0], v[1]));
}

static void lerp(moire__call *c) {
  const moire__argument *all[2] = {moire__find(c, "self"), moire__find(c, "end")};
  moire__torch_type type = all[0] && all[1] ? moire__promoted(all, 2) : MOIRE__TORCH_NONE;
  moire_value a = moire__tensor(c, "self"), b = moire__tensor(c, "end");
  moire_value away = moire_sub_at(c->at, b, a);
  moire__give(
      c, moire_add_at(c->at, a, moire_mul_at(c->at, away, moire__as(c, moire__find(c, "weight"), type, away))));
}

/* self + value a b, or self + value a / b */
static void add_combined(moire__call *c, bool quotient) {
  moire_value x = moire__tensor(c, "self"), a = moire__tensor(c, "tensor1"), b = moire__tensor(c, "tensor2");
  moire_value term = quotient ? moire_div_at(c->at, a, b) : moire_mul_at(c->at, a, b);
  moire__give(c, moire_add_at(c->at, x, scaled(c, term, "value")));
}

static void addcmul(moire__call *c) { add_combined(c, false); }
static void addcdiv(moire__call *c) { add_combined(c, true); }

/* ---- comparisons ------------------------------------------------------------------------------------------
 */

static void equal(moire__call *c) {
  moire_value v[2];
  if (moire__pair(c, "self", "other", v)) moire__give(c, moire__equal(c, v[0], v[1]));
}

static void not_equal(moire__call *c) {
  moire_value v[2];
  if (moire__pair(c, "self", "other", v)) moire__give(c, moire_not_at(c->at, moire__equal(c, v[0], v[1])));
}

/* Bools are compared as numbers. */
static void compare(moire__call *c, bool swapped, bool or_equal) {
  moire_value v[2];
  if (moire__pair(c, "self", "other", v) == MOIRE__TORCH_BOOL) {
    for (int i = 0; i < 2; i++) v[i] = moire__to_type(c, v[i], MOIRE__TORCH_I32);
  }
  moire_value a = v[swapped], b = v[!swapped];
  moire__give(c, or_equal ? moire_less_equal_at(c->at, a, b) : moire_less_at(c->at, a, b));
}

static void less(moire__call *c) { compare(c, false, false); }
static void less_equal(moire__call *c) { compare(c, false, true); }
static void greater(moire__call *c) { compare(c, true, false); }
static void greater_equal(moire__call *c) { compare(c, true, true); }

/* ---- logic ------------------------------------------------------------------------------------------------
 */

static bool bools(moire__call *c, moire_value v[2], bool bitwise) {
  moire__torch_type type = moire__pair(c, "self", "other", v);
  bool whole = type == MOIRE__TORCH_I32 || type == MOIRE__TORCH_I64;
  if (bitwise && type && !whole && type != MOIRE__TORCH_BOOL)
    moire__refuse(c, "of %s is not imported; of bools and whole numbers it is", moire__torch_type_name(type));
  for (int i = 0; i < 2 && !(bitwise && whole); i++) v[i] = moire__to_type(c, v[i], MOIRE__TORCH_BOOL);
  return !c->why;
}

static void bitwise_and(moire__call *c) {
  moire_value v[2];
  if (bools(c, v, true)) moire__give(c, moire_and_at(c->at, v[0], v[1]));
}

static void bitwise_or(moire__call *c) {
  moire_value v[2];
  if (bools(c, v, true)) moire__give(c, moire__either(c, v[0], v[1]));
}

static void bitwise_xor(moire__call *c) {
  moire_value v[2];
  if (bools(c, v, true)) moire__give(c, moire__one_of_two(c, v[0], v[1]));
}

static void logical_and(moire__call *c) {
  moire_value v[2];
  if (bools(c, v, false)) moire__give(c, moire_and_at(c->at, v[0], v[1]));
}

static void logical_or(moire__call *c) {
  moire_value v[2];
  if (bools(c, v, false)) moire__give(c, moire__either(c, v[0], v[1]));
}

static void logical_xor(moire__call *c) {
  moire_value v[2];
  if (bools(c, v, false)) moire__give(c, moire__one_of_two(c, v[0], v[1]));
}

static void bitwise_not(moire__call *c) { moire__give(c, moire__inverted(c, moire__tensor(c, "self"))); }

static void logical_not(moire__call *c) {
  moire__give(c, moire_not_at(c->at, moire__to_type(c, moire__tensor(c, "self"), MOIRE__TORCH_BOOL)));
}

const moire__aten_row moire__rows_arithmetic[] = {{"aten.add.Tensor", add, false},
                                                  {"aten.add.Scalar", add, false},
                                                  {"aten.sub.Tensor", sub, false},
                                                  {"aten.sub.Scalar", sub, false},
                                                  {"aten.subtract.Tensor", sub, false},
                                                  {"aten.rsub.Tensor", rsub, false},
                                                  {"aten.rsub.Scalar", rsub, false},
                                                  {"aten.mul.Tensor", mul, false},
                                                  {"aten.mul.Scalar", mul, false},
                                                  {"aten.multiply.Tensor", mul, false},
                                                  {"aten.div.Tensor", divide, false},
                                                  {"aten.div.Scalar", divide, false},
                                                  {"aten.divide.Tensor", divide, false},
                                                  {"aten.true_divide.Tensor", divide, false},
                                                  {"aten.div.Tensor_mode", divide_mode, false},
                                                  {"aten.div.Scalar_mode", divide_mode, false},
                                                  {"aten.floor_divide.default", floor_divide, false},
                                                  {"aten.floor_divide.Scalar", floor_divide, false},
                                                  {"aten.remainder.Tensor", remainder_of, false},
                                                  {"aten.remainder.Scalar", remainder_of, false},
                                                  {"aten.pow.Tensor_Scalar", power_by_scalar, false},
                                                  {"aten.pow.Tensor_Tensor", power, false},
                                                  {"aten.pow.Scalar", power, false},
                                                  {"aten.maximum.default", maximum, false},
                                                  {"aten.minimum.default", minimum, false},
                                                  {"aten.max.other", maximum, false},
                                                  {"aten.min.other", minimum, false},
                                                  {"aten.clamp.default", clamp_scalar, false},
                                                  {"aten.clamp.Tensor", clamp, false},
                                                  {"aten.clamp_min.default", clamp_scalar, false},
                                                  {"aten.clamp_max.default", clamp_scalar, false},
                                                  {"aten.clamp_min.Tensor", clamp, false},
                                                  {"aten.clamp_max.Tensor", clamp, false},
                                                  {"aten.clip.default", clamp_scalar, false},
                                                  {"aten.atan2.default", atan2_of, false},
                                                  {"aten.arctan2.default", atan2_of, false},
                                                  {"aten.hypot.default", hypot_of, false},
                                                  {"aten.lerp.Scalar", lerp, false},
                                                  {"aten.lerp.Tensor", lerp, false},
                                                  {"aten.addcmul.default", addcmul, false},
                                                  {"aten.addcdiv.default", addcdiv, false},
                                                  {"aten.eq.Tensor", equal, false},
                                                  {"aten.eq.Scalar", equal, false},
                                                  {"aten.ne.Tensor", not_equal, false},
                                                  {"aten.ne.Scalar", not_equal, false},
                                                  {"aten.lt.Tensor", less, false},
                                                  {"aten.lt.Scalar", less, false},
                                                  {"aten.le.Tensor", less_equal, false},
                                                  {"aten.le.Scalar", less_equal, false},
                                                  {"aten.gt.Tensor", greater, false},
                                                  {"aten.gt.Scalar", greater, false},
                                                  {"aten.ge.Tensor", greater_equal, false},
                                                  {"aten.ge.Scalar", greater_equal, false},
                                                  {"aten.__and__.Tensor", bitwise_and, false},
                                                  {"aten.__or__.Tensor", bitwise_or, false},
                                                  {"aten.__xor__.Tensor", bitwise_xor, false},
                                                  {"aten.bitwise_and.Tensor", bitwise_and, false},
                                                  {"aten.bitwise_or.Tensor", bitwise_or, false},
                                                  {"aten.bitwise_xor.Tensor", bitwise_xor, false},
                                                  {"aten.bitwise_not.default", bitwise_not, false},
                                                  {"aten.logical_and.default", logical_and, false},
                                                  {"aten.logical_or.default", logical_or, false},
                                                  {"aten.logical_xor.default", logical_xor, false},
                                                  {"aten.logical_not.default", logical_not, false},
                                                  {NULL, NULL, false}};
