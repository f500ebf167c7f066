/* The language: element-wise calls.
 *
 * Two operands are broadcast to one shape. Where a real and a complex one meet, add and sub read the real one
 * as complex; mul and div by a real one act on the planes, which is the same number with half of the work.
 */
#include "compiler/ir/language/language.h"

/* ---- two operands ---------------------------------------------------------------------------------------- */

static moire_value binary(moire_source at, moire__op op, moire_value a, moire_value b, bool promote) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return moire__null_like(a, b);
  moire_value pair[] = {a, b};
  if (promote) moire__promote(at, pair, 2);
  moire__broadcast_together(at, moire__op_get(op)->name, pair, 2);
  return moire__emit_binary(at, op, pair[0], pair[1]);
}

/* op on the planes of z with the real r. */
static moire_value by_planes(moire_source at, moire__op op, moire_value z, moire_value r) {
  return moire_complex_at(at, binary(at, op, moire_real_at(at, z), r, false),
                          binary(at, op, moire_imag_at(at, z), r, false));
}

moire_value moire_add_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_add, a, b, true);
}

moire_value moire_sub_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_sub, a, b, true);
}

moire_value moire_mul_at(moire_source at, moire_value a, moire_value b) {
  if (moire__is_complex(a) && moire_value_dtype(b) == MOIRE_F32) return by_planes(at, MOIRE__OP_mul, a, b);
  if (moire__is_complex(b) && moire_value_dtype(a) == MOIRE_F32) return by_planes(at, MOIRE__OP_mul, b, a);
  return binary(at, MOIRE__OP_mul, a, b, false);
}

moire_value moire_div_at(moire_source at, moire_value a, moire_value b) {
  if (moire__is_complex(a) && moire_value_dtype(b) == MOIRE_F32) return by_planes(at, MOIRE__OP_div, a, b);
  if (moire__is_complex(b)) return binary(at, MOIRE__OP_complex_div, a, b, true);
  return binary(at, MOIRE__OP_div, a, b, false);
}

moire_value moire_pow_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_pow, a, b, false);
}

moire_value moire_max_of_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_max_of, a, b, false);
}

moire_value moire_min_of_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_min_of, a, b, false);
}

moire_value moire_remainder_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_remainder, a, b, false);
}

moire_value moire_atan2_at(moire_source at, moire_value y, moire_value x) {
  return binary(at, MOIRE__OP_atan2, y, x, false);
}

moire_value moire_hypot_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_hypot, a, b, false);
}

moire_value moire_equal_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_equal, a, b, false);
}

moire_value moire_less_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_less, a, b, false);
}

moire_value moire_less_equal_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_less_equal, a, b, false);
}

moire_value moire_and_at(moire_source at, moire_value a, moire_value b) {
  return binary(at, MOIRE__OP_and, a, b, false);
}

moire_value moire_where_at(moire_source at, moire_value condition, moire_value yes, moire_value no) {
  if (moire_value_is_null(condition)) return moire__null_like(condition, yes);
  if (moire_value_is_null(yes) || moire_value_is_null(no)) return moire__null_like(yes, no);
  moire_value v[] = {condition, yes, no};
  moire__promote(at, v + 1, 2);
  moire__broadcast_together(at, "where", v, 3);
  return moire__graph_emit(condition.graph, at, MOIRE__OP_where, v, 3, NULL, 0);
}

/* ---- one operand ----------------------------------------------------------------------------------------- */

#define UNARY(name)                                                                                            \
  moire_value moire_##name##_at(moire_source at, moire_value x) {                                              \
    return moire__emit_unary(at, MOIRE__OP_##name, x);                                                         \
  }

UNARY(neg)
UNARY(expm1)
UNARY(floor)
UNARY(round)
UNARY(single_exp)
UNARY(rsqrt)
UNARY(sin)
UNARY(cos)
UNARY(erf)
UNARY(sigmoid)
UNARY(softplus)
UNARY(silu)
UNARY(stop_gradient)
UNARY(not)

moire_value moire_gelu_at(moire_source at, moire_value x) {
  if (!moire__is_complex(x)) return moire__emit_unary(at, MOIRE__OP_gelu, x);
  return moire_complex_at(at, moire_gelu_at(at, moire_real_at(at, x)), moire_gelu_at(at, moire_imag_at(at, x)));
}

moire_value moire_scale_at(moire_source at, moire_value x, double factor) {
  if (moire_value_is_null(x)) return x;
  moire_dtype dtype = moire__is_complex(x) ? MOIRE_F32 : moire_value_dtype(x);
  return moire_mul_at(at, x, moire_constant_at(at, x.graph, dtype, moire_value_shape(x), factor));
}

moire_value moire_add_scalar_at(moire_source at, moire_value x, double term) {
  if (moire_value_is_null(x)) return x;
  moire_dtype dtype = moire__is_complex(x) ? MOIRE_F32 : moire_value_dtype(x);
  return moire_add_at(at, x, moire_constant_at(at, x.graph, dtype, moire_value_shape(x), term));
}

moire_value moire_cast_at(moire_source at, moire_value x, moire_dtype dtype) {
  if (moire_value_is_null(x) || moire_value_dtype(x) == dtype) return x;
  if (dtype == MOIRE_C64) return moire__to_complex(at, moire_cast_at(at, x, MOIRE_F32));
  const moire__attr attr = moire__attr_make_int("dtype", dtype);
  return moire__graph_emit(x.graph, at, MOIRE__OP_cast, &x, 1, &attr, 1);
}
