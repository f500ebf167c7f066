/* Whole numbers: floor round remainder. No gradient passes the first two.
 *
 *   round(x)        to the nearest, halves to the even one
 *   remainder(a, b) = a - floor(a / b) b, with the sign of b; its gradient is that of this formula
 *
 * The remainder of floats is exact where |a / b| is below 2^24 (2^53 in f64). That of integers by 0 is 0.
 */
#include "ops/pointwise/pointwise.h"

#include <math.h>

enum { REAL = MOIRE__SET_REAL, NUMBER = MOIRE__SET_NUMBER };

/* Infinities and NaNs stay what they are. */
MOIRE__UNARY_FIXED(floor, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-1e38, 1e38), floor(x),
                   MOIRE__EMIT1(floor, x))

/* ---- round ----------------------------------------------------------------------------------------------- */

/* floor(x) or the number above it: x - floor(x) is exact, and NaN, so never more, where x is infinite. */
static moire__loop_value round_element(moire__loop_builder *to, moire__loop_value x) {
  moire__loop_value low = MOIRE__EMIT1(floor, x), part = MOIRE__EMIT2(sub, x, low),
                    half = MOIRE__NUMBER(x, 0.5);
  moire__loop_value pairs = MOIRE__EMIT1(floor, MOIRE__EMIT2(mul, low, half));
  moire__loop_value odd = MOIRE__EMIT2(lt, MOIRE__EMIT2(add, pairs, pairs), low);
  moire__loop_value tie = MOIRE__EMIT2(and, MOIRE__EMIT2(eq, part, half), odd);
  moire__loop_value up = MOIRE__EMIT2(or, MOIRE__EMIT2(lt, half, part), tie);
  return MOIRE__EMIT3(select, up, MOIRE__EMIT2(add, low, MOIRE__NUMBER(x, 1)), low);
}

static double half_to_even(double x) {
  double low = floor(x), part = x - low;
  bool odd = low != 2 * floor(low / 2);
  return part > 0.5 || (part == 0.5 && odd) ? low + 1 : low;
}

MOIRE__UNARY_FIXED(round, REAL, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-1e38, 1e38), half_to_even(x),
                   round_element(to, x))

/* ---- remainder ------------------------------------------------------------------------------------------- */

/* What |a| leaves, or |b| less that where the signs differ; with the sign of b. */
static moire__loop_value whole_remainder(moire__loop_builder *to, moire__loop_value a, moire__loop_value b) {
  moire__loop_value zero = MOIRE__NUMBER(a, 0), divisor = MOIRE__EMIT1(abs, b);
  moire__loop_value least = MOIRE__EMIT2(max, divisor, MOIRE__NUMBER(a, 1));
  moire__loop_value rest = MOIRE__EMIT2(mod, MOIRE__EMIT1(abs, a), least);
  moire__loop_value other = MOIRE__EMIT2(sub, divisor, rest);
  moire__loop_value below = MOIRE__EMIT2(lt, a, zero), negative = MOIRE__EMIT2(lt, b, zero);
  moire__loop_value size = MOIRE__EMIT3(select, negative, MOIRE__EMIT3(select, below, rest, other),
                                        MOIRE__EMIT3(select, below, other, rest));
  size = MOIRE__EMIT3(select, MOIRE__EMIT2(eq, rest, zero), zero, size);
  return MOIRE__EMIT3(select, negative, MOIRE__EMIT1(neg, size), size);
}

/* a - floor(a / b) b in one rounding; the quotient may have been rounded to the next whole number. */
static moire__loop_value float_remainder(moire__loop_builder *to, moire__loop_value a, moire__loop_value b) {
  moire__loop_value zero = MOIRE__NUMBER(a, 0), quotient = MOIRE__EMIT1(floor, MOIRE__EMIT2(div, a, b));
  moire__loop_value rest = MOIRE__EMIT3(fma, MOIRE__EMIT1(neg, quotient), b, a);
  moire__loop_value negative = MOIRE__EMIT2(lt, b, zero);
  moire__loop_value missed =
      MOIRE__EMIT3(select, negative, MOIRE__EMIT2(lt, zero, rest), MOIRE__EMIT2(lt, rest, zero));
  rest = MOIRE__EMIT3(select, missed, MOIRE__EMIT2(add, rest, b), rest);
  moire__loop_value whole = MOIRE__EMIT2(le, MOIRE__EMIT1(abs, b), MOIRE__EMIT1(abs, rest));
  return MOIRE__EMIT3(select, whole, MOIRE__EMIT2(sub, rest, b), rest);
}

static moire__loop_value remainder_element(moire__loop_builder *to, moire__loop_value a, moire__loop_value b) {
  bool whole = moire__loop_type_is_int(moire__loop_type_of(to, a));
  return whole ? whole_remainder(to, a, b) : float_remainder(to, a, b);
}

static double remainder_double(double a, double b) {
  double rest = fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

moire_status moire__remainder_infer(moire__infer *c) { return moire__infer_pointwise(c, NUMBER); }

moire__loop_value moire__remainder_element(moire__loop_builder *to, const moire_graph *g,
                                           const moire__node *node, const moire__loop_value *operands) {
  (void)g, (void)node;
  return remainder_element(to, operands[0], operands[1]);
}

void moire__remainder_reference(moire__reference *c) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  bool whole = moire__dtype_is_int(a->dtype);
  for (int64_t i = 0; i < c->results[0]->elements; i++)
    c->results[0]->re[i] = whole && b->re[i] == 0 ? 0 : remainder_double(a->re[i], b->re[i]);
}

MOIRE__BINARY_GRADIENT(remainder, dy, moire_neg(moire_mul(dy, moire_floor(moire_div(a, b)))))

bool moire__remainder_sample(moire__sampler *s) {
  return moire__sample_pointwise(s, MOIRE__OP_remainder, 2, NUMBER, MOIRE__RANGE(1, 9),
                                 MOIRE__RANGE(-1e4, 1e4));
}
