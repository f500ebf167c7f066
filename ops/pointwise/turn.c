/* cos_turn and sin_turn: cosine and sine of k parts of a turn that has n, 2 pi k / n; attribute n. FIXED.
 *
 * The tables of Fourier transforms. k is an integer, and reduced as one: 2 pi k / n as a float of large k has
 * lost the digits that matter. What is left is an eighth of a turn at most, and its angle has a second float
 * for what the first one lacks: results are within two units in the last place of 1/2 for any k below 2^24 n.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

static const double pi = 3.14159265358979323846;
enum { MOST_PARTS = 1 << 24 };

typedef moire__loop_value value;

/* ---- shared ---------------------------------------------------------------------------------------------- */

static moire_status turn_infer(moire__infer *c) {
  int64_t n;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_INT));
  MOIRE__TRY(moire__infer_int(c, "n", 1, MOST_PARTS, &n));
  return moire__infer_result(c, 0, MOIRE_F32, c->operands[0]->shape);
}

static void turn_reference(moire__reference *c, bool sine) {
  int64_t n = moire__node_int(c->node, "n");
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    double other, *to = &c->results[0]->re[i];
    moire__turn((int64_t)c->operands[0]->re[i], n, sine ? &other : to, sine ? to : &other);
  }
}

static bool turn_sample(moire__sampler *s, moire__op op) {
  moire_dim batch = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape shape;
    int64_t n;
    double range;
    moire_status expected;
  } cases[] = {
      {GOOD, I32, S(67), 16, 33, ACCEPTED},         {GOOD, I64, S(batch, 33), 1021, 5000, ACCEPTED},
      {GOOD, I32, S(2, 3, 4), 1, 9, ACCEPTED},      {HARD, I32, S(131), 7, 2e9, ACCEPTED},
      {HARD, I32, SCALAR, 3, 4, ACCEPTED},          {HARD, I32, S(batch, 0), 4, 4, ACCEPTED},
      {HARD, I64, S(131), 1 << 24, 1e12, ACCEPTED}, {WRONG, F32, S(3), 4, 4, BAD_TYPE},
      {WRONG, I32, S(3), 0, 4, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value k = moire__sample_input(s, cases[i].dtype, cases[i].shape, -cases[i].range, cases[i].range);
  moire__attr n = moire__attr_make_int("n", cases[i].n);
  moire_value y = moire__sample_emit(s, op, &k, 1, &n, 1);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}

/* ---- elements ---------------------------------------------------------------------------------------------
 */

static value binary(moire__loop_builder *to, moire__loop_op op, value a, value b) {
  return moire__loop_binary(to, op, a, b);
}

/* Cosine and sine of pi / 4 a / n for 0 <= a <= n: of p, which is the angle to a float, and by the first term
 * of the series of what p lacks. */
static void of_eighth(moire__loop_builder *to, value a, int64_t n, value *cosine, value *sine) {
  double step = pi / 4 / (double)n, high = (double)(float)step;
  value x = moire__loop_cast(to, a, MOIRE__LOOP_F32);
  value first = moire__loop_const(to, MOIRE__LOOP_F32, high);
  value rest = moire__loop_const(to, MOIRE__LOOP_F32, step - high);
  value p = binary(to, MOIRE__LOOP_mul, x, first);
  value lost = moire__loop_ternary(to, MOIRE__LOOP_fma, x, first, moire__loop_unary(to, MOIRE__LOOP_neg, p));
  lost = moire__loop_ternary(to, MOIRE__LOOP_fma, x, rest, lost);
  value c = moire__loop_unary(to, MOIRE__LOOP_cos, p), s = moire__loop_unary(to, MOIRE__LOOP_sin, p);
  *cosine = moire__loop_ternary(to, MOIRE__LOOP_fma, moire__loop_unary(to, MOIRE__LOOP_neg, lost), s, c);
  *sine = moire__loop_ternary(to, MOIRE__LOOP_fma, lost, c, s);
}

static value negative_if(moire__loop_builder *to, value condition, value x) {
  return moire__loop_ternary(to, MOIRE__LOOP_select, condition, moire__loop_unary(to, MOIRE__LOOP_neg, x), x);
}

/* Bit `bit` of (number + more). */
static value bit_of(moire__loop_builder *to, value number, int64_t more, int64_t bit) {
  value sum = binary(to, MOIRE__LOOP_add, number, moire__loop_index(to, more));
  value half = binary(to, MOIRE__LOOP_div, sum, moire__loop_index(to, 1 << bit));
  value odd = binary(to, MOIRE__LOOP_mod, half, moire__loop_index(to, 2));
  return binary(to, MOIRE__LOOP_eq, odd, moire__loop_index(to, 1));
}

static value turn_element(moire__loop_builder *to, const moire__node *node, value k, bool sine) {
  int64_t n = moire__node_int(node, "n");
  value parts = moire__loop_index(to, n), zero = moire__loop_index(to, 0);
  value wide = moire__loop_cast(to, k, MOIRE__LOOP_I64);
  value t = binary(to, MOIRE__LOOP_mod, moire__loop_unary(to, MOIRE__LOOP_abs, wide), parts);
  value eight = binary(to, MOIRE__LOOP_mul, t, moire__loop_index(to, 8));
  value octant = binary(to, MOIRE__LOOP_div, eight, parts);
  value after = binary(to, MOIRE__LOOP_sub, eight, binary(to, MOIRE__LOOP_mul, octant, parts));
  value before = binary(to, MOIRE__LOOP_sub, parts, after);
  value a = moire__loop_ternary(to, MOIRE__LOOP_select, bit_of(to, octant, 0, 0), before, after);
  value c, s;
  of_eighth(to, a, n, &c, &s);
  value swap = bit_of(to, octant, 1, 1);
  value size = moire__loop_ternary(to, MOIRE__LOOP_select, swap, sine ? c : s, sine ? s : c);
  if (!sine) return negative_if(to, bit_of(to, octant, 2, 2), size);
  value forward = negative_if(to, bit_of(to, octant, 0, 2), size);
  return negative_if(to, binary(to, MOIRE__LOOP_lt, wide, zero), forward);
}

/* ---- cos_turn ---------------------------------------------------------------------------------------------
 */

moire_status moire__cos_turn_infer(moire__infer *c) { return turn_infer(c); }

moire__loop_value moire__cos_turn_element(moire__loop_builder *to, const moire_graph *g,
                                          const moire__node *node, const moire__loop_value *operands) {
  (void)g;
  return turn_element(to, node, operands[0], false);
}

void moire__cos_turn_reference(moire__reference *c) { turn_reference(c, false); }

bool moire__cos_turn_sample(moire__sampler *s) { return turn_sample(s, MOIRE__OP_cos_turn); }

/* ---- sin_turn ---------------------------------------------------------------------------------------------
 */

moire_status moire__sin_turn_infer(moire__infer *c) { return turn_infer(c); }

moire__loop_value moire__sin_turn_element(moire__loop_builder *to, const moire_graph *g,
                                          const moire__node *node, const moire__loop_value *operands) {
  (void)g;
  return turn_element(to, node, operands[0], true);
}

void moire__sin_turn_reference(moire__reference *c) { turn_reference(c, true); }

bool moire__sin_turn_sample(moire__sampler *s) { return turn_sample(s, MOIRE__OP_sin_turn); }
