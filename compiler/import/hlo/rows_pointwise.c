/* Rows of the table: arithmetic, comparisons, choice and changes of type, element by element. */
#include "compiler/import/hlo/rows.h"

#include <math.h>
#include <string.h>

static moire_value a_of(moire__hlo_call *c) { return moire__hlo_operand(c, 0); }
static moire_value b_of(moire__hlo_call *c) { return moire__hlo_operand(c, 1); }

static void give(moire__hlo_call *c, moire_value x) { moire__give(&c->call, x); }

static moire_dtype dtype_of(moire_value x) {
  return moire_value_is_null(x) ? (moire_dtype)0 : moire_value_dtype(x);
}

static bool is_bool(moire_value x) { return dtype_of(x) == MOIRE_BOOL; }

bool moire__hlo_is_whole(moire_value x) { return dtype_of(x) == MOIRE_I32 || dtype_of(x) == MOIRE_I64; }

moire_value moire__hlo_scalar(moire__hlo_call *c, moire_value x, double number) {
  if (moire_value_is_null(x)) return x;
  if (dtype_of(x) == MOIRE_C64) {
    moire_value zero = moire_constant_at(c->call.at, c->call.graph, MOIRE_F32, MOIRE_SCALAR, 0);
    return moire_complex_at(
        c->call.at, moire_constant_at(c->call.at, c->call.graph, MOIRE_F32, MOIRE_SCALAR, number), zero);
  }
  return moire_constant_at(c->call.at, c->call.graph, dtype_of(x), MOIRE_SCALAR, number);
}

/* ---- arithmetic -------------------------------------------------------------------------------------------
 */

static moire_value sum_of(moire__hlo_call *c, moire_value a, moire_value b) {
  return is_bool(a) ? moire__either(&c->call, a, b) : moire_add_at(c->call.at, a, b);
}

static moire_value product_of(moire__hlo_call *c, moire_value a, moire_value b) {
  return is_bool(a) ? moire_and_at(c->call.at, a, b) : moire_mul_at(c->call.at, a, b);
}

/* Of complex numbers the real parts are compared, and the imaginary ones where these are equal. */
static moire_value complex_larger(moire__hlo_call *c, moire_value a, moire_value b, bool smaller) {
  moire_source at = c->call.at;
  moire_value first = smaller ? a : b, second = smaller ? b : a;
  moire_value x = moire_real_at(at, first), y = moire_real_at(at, second);
  moire_value below = moire_less_at(at, moire_imag_at(at, first), moire_imag_at(at, second));
  moire_value tie = moire_and_at(at, moire_equal_at(at, x, y), below);
  moire_value a_wins = moire__either(&c->call, moire_less_at(at, x, y), tie);
  return moire_where_at(at, a_wins, a, b);
}

static moire_value larger(moire__hlo_call *c, moire_value a, moire_value b, bool smaller) {
  if (is_bool(a)) return smaller ? moire_and_at(c->call.at, a, b) : moire__either(&c->call, a, b);
  if (dtype_of(a) == MOIRE_C64) return complex_larger(c, a, b, smaller);
  return moire__larger(&c->call, a, b, smaller);
}

static void add(moire__hlo_call *c) { give(c, sum_of(c, a_of(c), b_of(c))); }
static void subtract(moire__hlo_call *c) { give(c, moire_sub_at(c->call.at, a_of(c), b_of(c))); }
static void multiply(moire__hlo_call *c) { give(c, product_of(c, a_of(c), b_of(c))); }
static void maximum(moire__hlo_call *c) { give(c, larger(c, a_of(c), b_of(c), false)); }
static void minimum(moire__hlo_call *c) { give(c, larger(c, a_of(c), b_of(c), true)); }

/* sign(a) floor(|a| / |b|), exact where both are below 2^53. */
static moire_value whole_quotient(moire__hlo_call *c, moire_value a, moire_value b) {
  moire_source at = c->call.at;
  moire_value x = moire_cast_at(at, a, MOIRE_F64), y = moire_cast_at(at, b, MOIRE_F64);
  return moire_cast_at(at, moire__towards_zero(&c->call, moire_div_at(at, x, y)), dtype_of(a));
}

/* Towards zero; by 0 it is -1. What the quotient of doubles lacks, of i64, is found from what is left. */
static moire_value whole_division(moire__hlo_call *c, moire_value a, moire_value b) {
  moire_source at = c->call.at;
  moire_value none = moire_equal_at(at, b, moire__hlo_scalar(c, b, 0));
  moire_value by = moire_where_at(at, none, moire__hlo_scalar(c, b, 1), b);
  moire_value q = whole_quotient(c, a, by);
  for (int i = 0; i < 2 && dtype_of(a) == MOIRE_I64; i++)
    q = moire_add_at(at, q, whole_quotient(c, moire_sub_at(at, a, moire_mul_at(at, q, by)), by));
  return moire_where_at(at, none, moire__hlo_scalar(c, b, -1), q);
}

static void divide(moire__hlo_call *c) {
  moire_value a = a_of(c), b = b_of(c);
  give(c, moire__hlo_is_whole(a) ? whole_division(c, a, b) : moire_div_at(c->call.at, a, b));
}

/* With the sign of a; of whole numbers by 0 it is a. */
static void remainder_of(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value a = moire__need_real(&c->call, a_of(c)), b = b_of(c);
  moire_value size = moire_remainder_at(at, moire_abs_at(at, a), moire_abs_at(at, b));
  moire_value below = moire_less_at(at, a, moire__hlo_scalar(c, a, 0));
  moire_value rest = moire_where_at(at, below, moire_neg_at(at, size), size);
  if (moire__hlo_is_whole(a))
    rest = moire_where_at(at, moire_equal_at(at, b, moire__hlo_scalar(c, b, 0)), a, rest);
  give(c, rest);
}

/* a^b of whole numbers, by the bits of b: six of them, since beyond 63 only 0, 1 and -1 are left. */
static moire_value whole_power(moire__hlo_call *c, moire_value a, moire_value b) {
  moire_source at = c->call.at;
  moire_value zero = moire__hlo_scalar(c, b, 0), one = moire__hlo_scalar(c, a, 1),
              two = moire__hlo_scalar(c, b, 2);
  moire_value odd = moire_equal_at(at, moire_remainder_at(at, b, two), moire__hlo_scalar(c, b, 1));
  moire_value sign = moire_where_at(at, odd, a, moire_mul_at(at, a, a)); /* of 1 and -1 */
  moire_value unit = moire_equal_at(at, moire_mul_at(at, a, a), one);
  moire_value size = moire_abs_at(at, a), small = moire_less_equal_at(at, size, one);
  moire_value left = moire_max_of_at(at, b, zero), power = one, square = a;
  for (int i = 0; i < 6; i++) {
    moire_value bit = moire_remainder_at(at, left, two);
    power = moire_where_at(at, moire_equal_at(at, bit, zero), power, moire_mul_at(at, power, square));
    left = whole_quotient(c, moire_sub_at(at, left, bit), two);
    square = moire_mul_at(at, square, square);
  }
  moire_value few = moire_equal_at(at, left, zero);
  power = moire_where_at(at, moire__either(&c->call, few, small), power, moire__hlo_scalar(c, a, 0));
  power = moire_where_at(at, unit, sign, power);
  moire_value none = moire_and_at(at, moire_less_at(at, b, zero), moire_not_at(at, unit));
  power = moire_where_at(at, none, moire__hlo_scalar(c, a, 0), power);
  return moire_where_at(at, moire_equal_at(at, b, zero), one, power);
}

static void power(moire__hlo_call *c) {
  moire_value a = a_of(c), b = b_of(c);
  double exponent = 0;
  bool known = moire__hlo_is_uniform(c, 1, &exponent) && exponent == floor(exponent) && fabs(exponent) <= 4;
  if (moire__hlo_is_whole(a)) {
    give(c, whole_power(c, a, b));
  } else if (known && exponent > 0) {
    moire_value y = a;
    for (int i = 1; i < (int)exponent; i++) y = moire_mul_at(c->call.at, y, a);
    give(c, y);
  } else {
    give(c, moire__power(&c->call, a, b));
  }
}

static void negate(moire__hlo_call *c) { give(c, moire_neg_at(c->call.at, a_of(c))); }
static void absolute(moire__hlo_call *c) { give(c, moire_abs_at(c->call.at, a_of(c))); }

static void square(moire__hlo_call *c) {
  moire_value x = a_of(c);
  give(c, moire_mul_at(c->call.at, x, x));
}

/* z / |z|, 0 of 0; of a real NaN a NaN. */
static void sign(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x = a_of(c);
  if (dtype_of(x) != MOIRE_C64) {
    moire_value y = moire_sign_at(at, x);
    give(c, moire__hlo_is_whole(x) ? y : moire_where_at(at, moire_equal_at(at, x, x), y, x));
    return;
  }
  moire_value size = moire_abs_at(at, x), none = moire_equal_at(at, size, moire__hlo_scalar(c, size, 0));
  moire_value by = moire_where_at(at, none, moire__hlo_scalar(c, size, 1), size);
  give(c, moire_div_at(at, x, by));
}

/* ---- comparisons and choice -------------------------------------------------------------------------------
 */

static void compare(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value v[2] = {a_of(c), b_of(c)};
  const char *direction = moire__hlo_direction(c);
  bool equality = *direction == 'E' || *direction == 'N';
  if (c->call.why) return;
  if (equality) {
    moire_value equal = moire__equal(&c->call, v[0], v[1]);
    give(c, *direction == 'E' ? equal : moire_not_at(at, equal));
    return;
  }
  for (int i = 0; i < 2; i++) {
    v[i] = moire__need_real(&c->call, v[i]);
    if (is_bool(v[i])) v[i] = moire_cast_at(at, v[i], MOIRE_I32);
  }
  bool swapped = *direction == 'G';
  moire_value a = v[swapped], b = v[!swapped];
  give(c, direction[1] == 'E' ? moire_less_equal_at(at, a, b) : moire_less_at(at, a, b));
}

/* Where the predicate is known the other branch is not looked at. */
static void select(moire__hlo_call *c) {
  double yes = 0;
  moire_value a = moire__hlo_operand(c, 1), b = moire__hlo_operand(c, 2);
  bool known = moire__hlo_is_uniform(c, 0, &yes) && c->n_operands == 3 && !c->builder->elementwise;
  if (known && dtype_of(a) == dtype_of(b))
    c->call.result = c->operands[yes != 0 ? 1 : 2];
  else
    give(c, moire_where_at(c->call.at, moire__hlo_operand(c, 0), a, b));
}

static void clamp(moire__hlo_call *c) {
  moire_value x = moire__need_real(&c->call, moire__hlo_operand(c, 1));
  x = larger(c, x, moire__hlo_operand(c, 0), false);
  give(c, larger(c, x, moire__hlo_operand(c, 2), true));
}

moire_value moire__hlo_combine(moire__hlo_call *c, const char *op, moire_value a, moire_value b) {
  if (!strcmp(op, "stablehlo.add")) return sum_of(c, a, b);
  if (!strcmp(op, "stablehlo.multiply")) return product_of(c, a, b);
  if (!strcmp(op, "stablehlo.maximum")) return larger(c, a, b, false);
  if (!strcmp(op, "stablehlo.minimum")) return larger(c, a, b, true);
  if (!strcmp(op, "stablehlo.and")) return moire_and_at(c->call.at, a, b);
  if (!strcmp(op, "stablehlo.or")) return moire__either(&c->call, a, b);
  return moire__null(&c->call);
}

/* ---- types ------------------------------------------------------------------------------------------------
 */

static void convert(moire__hlo_call *c) {
  moire_value x = a_of(c);
  moire__hlo_type type = moire__hlo_result(c, 0);
  if (c->call.why) return;
  if (type.dtype == MOIRE_C64 && c->builder->wide && dtype_of(x) != MOIRE_C64)
    x = moire_cast_at(c->call.at, x, MOIRE_F32);
  give(c, moire__to_type(&c->call, x, moire__torch_type_of(type.dtype)));
}

static void complex_of(moire__hlo_call *c) { give(c, moire_complex_at(c->call.at, a_of(c), b_of(c))); }

static bool is_complex(moire_value x) { return dtype_of(x) == MOIRE_C64; }

static void real_of(moire__hlo_call *c) {
  moire_value x = a_of(c);
  give(c, is_complex(x) ? moire_real_at(c->call.at, x) : x);
}

static void imag_of(moire__hlo_call *c) {
  moire_value x = a_of(c);
  give(c, is_complex(x) ? moire_imag_at(c->call.at, x) : moire__number_like(&c->call, x, 0));
}

static void conj_of(moire__hlo_call *c) {
  moire_value x = a_of(c);
  give(c, is_complex(x) ? moire_conj_at(c->call.at, x) : x);
}

const moire__hlo_row moire__hlo_rows_pointwise[] = {{"stablehlo.add", add},
                                                    {"stablehlo.subtract", subtract},
                                                    {"stablehlo.multiply", multiply},
                                                    {"stablehlo.divide", divide},
                                                    {"stablehlo.remainder", remainder_of},
                                                    {"stablehlo.power", power},
                                                    {"stablehlo.maximum", maximum},
                                                    {"stablehlo.minimum", minimum},
                                                    {"stablehlo.negate", negate},
                                                    {"stablehlo.abs", absolute},
                                                    {"stablehlo.sign", sign},
                                                    {"chlo.square", square},
                                                    {"stablehlo.compare", compare},
                                                    {"stablehlo.select", select},
                                                    {"stablehlo.clamp", clamp},
                                                    {"stablehlo.convert", convert},
                                                    {"stablehlo.complex", complex_of},
                                                    {"stablehlo.real", real_of},
                                                    {"stablehlo.imag", imag_of},
                                                    {"chlo.conj", conj_of},
                                                    {NULL, NULL}};
