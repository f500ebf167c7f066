/* Rows of the table: logic, and the bits of whole numbers.
 *
 * A shift is a product with a power of two, of which the number's bits make the factors: to the left in the
 * type itself, which wraps around, to the right in double, where a product with a power of two is exact; of i64
 * in two halves.
 */
#include "compiler/import/hlo/rows.h"

#include <math.h>

static moire_value a_of(moire__hlo_call *c) { return moire__hlo_operand(c, 0); }
static moire_value b_of(moire__hlo_call *c) { return moire__hlo_operand(c, 1); }

static void give(moire__hlo_call *c, moire_value x) { moire__give(&c->call, x); }

static void and_of(moire__hlo_call *c) { give(c, moire_and_at(c->call.at, a_of(c), b_of(c))); }

static void or_of(moire__hlo_call *c) { give(c, moire__either(&c->call, a_of(c), b_of(c))); }

static void xor_of(moire__hlo_call *c) { give(c, moire__one_of_two(&c->call, a_of(c), b_of(c))); }

static void not_of(moire__hlo_call *c) { give(c, moire__inverted(&c->call, a_of(c))); }

/* ---- shifts -----------------------------------------------------------------------------------------------
 */

static bool is_wide(moire_value x) { return !moire_value_is_null(x) && moire_value_dtype(x) == MOIRE_I64; }

/* Both operands as whole numbers; false with a refusal. */
static bool wholes(moire__hlo_call *c, moire_value *x, moire_value *y) {
  *x = a_of(c);
  *y = b_of(c);
  bool good = moire__hlo_is_whole(*x) && moire__hlo_is_whole(*y);
  if (!good) moire__refuse(&c->call, "is of whole numbers, i32 or i64");
  return good;
}

static moire_value number(moire__hlo_call *c, moire_value like, double x) {
  return moire__hlo_scalar(c, like, x);
}

/* base^y of 0 <= y < 64, in the type of `like`, by the bits of y. */
static moire_value power(moire__hlo_call *c, moire_value like, double base, moire_value y) {
  moire_source at = c->call.at;
  moire_value product = number(c, like, 1);
  for (int k = 0; k < (is_wide(y) ? 6 : 5); k++) {
    moire_value bit = moire_and_at(at, y, number(c, y, (double)(1 << k)));
    moire_value none = moire_equal_at(at, bit, number(c, y, 0));
    moire_value factor =
        moire_where_at(at, none, number(c, like, 1), number(c, like, pow(base, (double)(1 << k))));
    product = moire_mul_at(at, product, factor);
  }
  return product;
}

/* Are there so many bits? */
static moire_value within(moire__hlo_call *c, moire_value y) {
  moire_value some = moire_less_equal_at(c->call.at, number(c, y, 0), y);
  return moire_and_at(c->call.at, some, moire_less_at(c->call.at, y, number(c, y, is_wide(y) ? 64 : 32)));
}

static void shift_left(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x, y;
  if (!wholes(c, &x, &y)) return;
  moire_value shifted = moire_mul_at(at, x, power(c, x, 2, y));
  give(c, moire_where_at(at, within(c, y), shifted, number(c, x, 0)));
}

/* floor(x 2^-y) of doubles. */
static moire_value floor_shift(moire__hlo_call *c, moire_value x, moire_value y) {
  moire_value by = power(c, x, 0.5, y);
  return moire_floor_at(c->call.at, moire_mul_at(c->call.at, x, by));
}

static moire_value right(moire__hlo_call *c, moire_value x, moire_value y) {
  moire_source at = c->call.at;
  if (!is_wide(x)) return moire_cast_at(at, floor_shift(c, moire_cast_at(at, x, MOIRE_F64), y), MOIRE_I32);
  moire_value low = moire_remainder_at(at, x, number(c, x, 0x1p32));
  moire_value high = floor_shift(c, moire_cast_at(at, moire_sub_at(at, x, low), MOIRE_F64), y);
  low = floor_shift(c, moire_cast_at(at, low, MOIRE_F64), y);
  return moire_add_at(at, moire_cast_at(at, high, MOIRE_I64), moire_cast_at(at, low, MOIRE_I64));
}

/* By too many bits the sign is left. */
static void shift_right_arithmetic(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x, y;
  if (!wholes(c, &x, &y)) return;
  y = moire_where_at(at, within(c, y), y, number(c, y, is_wide(y) ? 63 : 31));
  give(c, right(c, x, y));
}

/* What a negative number lacks to count as one without a sign, 2^bits, is shifted as well. */
static void shift_right_logical(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x, y;
  if (!wholes(c, &x, &y)) return;
  moire_value none = moire_equal_at(at, y, number(c, y, 0)), zero = number(c, x, 0);
  moire_value rest = moire_sub_at(at, number(c, y, is_wide(y) ? 64 : 32), y);
  moire_value more = moire_where_at(at, moire_less_at(at, x, zero), power(c, x, 2, rest), zero);
  moire_value shifted = moire_add_at(at, right(c, x, y), more);
  give(c, moire_where_at(at, none, x, moire_where_at(at, within(c, y), shifted, zero)));
}

/* How many of the bits 0 to 31 of x are set. */
static moire_value count_bits(moire__hlo_call *c, moire_value x) {
  moire_source at = c->call.at;
  moire_value zero = number(c, x, 0), one = number(c, x, 1);
  moire_value sum = moire_where_at(at, moire_less_at(at, x, zero), one, zero); /* the sign is bit 31 */
  for (int k = 0; k < 31; k++) {
    moire_value bit = moire_and_at(at, x, number(c, x, (double)(1ll << k)));
    sum = moire_add_at(at, sum, moire_where_at(at, moire_equal_at(at, bit, zero), zero, one));
  }
  return sum;
}

/* Of i64: the upper half with the sign, and the lower one as if it had one. */
static void popcnt(moire__hlo_call *c) {
  moire_source at = c->call.at;
  moire_value x = a_of(c);
  if (!moire__hlo_is_whole(x)) moire__refuse(&c->call, "is of whole numbers, i32 or i64");
  if (c->call.why) return;
  if (!is_wide(x)) {
    give(c, count_bits(c, x));
    return;
  }
  moire_value low = moire_remainder_at(at, x, number(c, x, 0x1p32)), high = right(c, x, number(c, x, 32));
  moire_value top = moire_less_equal_at(at, number(c, low, 0x1p31), low);
  low = moire_where_at(at, top, moire_sub_at(at, low, number(c, low, 0x1p32)), low);
  give(c, moire_add_at(at, count_bits(c, low), count_bits(c, high)));
}

const moire__hlo_row moire__hlo_rows_bits[] = {{"stablehlo.and", and_of},
                                               {"stablehlo.or", or_of},
                                               {"stablehlo.xor", xor_of},
                                               {"stablehlo.not", not_of},
                                               {"stablehlo.shift_left", shift_left},
                                               {"stablehlo.shift_right_arithmetic", shift_right_arithmetic},
                                               {"stablehlo.shift_right_logical", shift_right_logical},
                                               {"stablehlo.popcnt", popcnt},
                                               {NULL, NULL}};
