/* simplify: equations of arithmetic. See simplify.c for what they take no notice of. */
#include "compiler/pass/simplify/simplify.h"

#include <math.h>
#include <string.h>

/* A product of constants outside of these bounds might leave the range of f32 where two steps did not. */
static const double smallest_product = 1e-30, largest_product = 1e30;

static moire_value binary(const moire__simplify *s, moire__op op, moire_value a, moire_value b) {
  return moire__graph_emit(s->g, s->node->source, op, (moire_value[]){a, b}, 2, NULL, 0);
}

static moire_value negate(const moire__simplify *s, moire_value x) {
  return moire__graph_emit(s->g, s->node->source, MOIRE__OP_neg, &x, 1, NULL, 0);
}

/* For a commutative op: the operand that is not the constant, the constant being `number`; or null. */
static moire_value beside(const moire__simplify *s, double number) {
  double value = 0;
  for (int i = 1; i >= 0; i--) {
    if (moire__simplify_number(s, i, &value) && value == number) return s->operands[1 - i];
  }
  return moire__simplify_no(s);
}

static bool is_number(const moire__simplify *s, int i, double number) {
  double value = 0;
  return moire__simplify_number(s, i, &value) && value == number;
}

static moire_value first_of_pair(const moire__simplify *s, bool applies) {
  return applies ? s->operands[0] : moire__simplify_no(s);
}

/* x, if operand i is neg(x). */
static moire_value negated(const moire__simplify *s, int i) {
  const moire__node *neg = moire__simplify_made_by(s, i, MOIRE__OP_neg);
  return neg ? moire__simplify_operand(s, neg, 0) : moire__simplify_no(s);
}

/* ---- sums -------------------------------------------------------------------------------------------------
 */

static moire_value add_zero(const moire__simplify *s) { return beside(s, 0); }

static moire_value add_negated(const moire__simplify *s) {
  for (int i = 1; i >= 0; i--) {
    moire_value y = negated(s, i);
    if (y.id) return binary(s, MOIRE__OP_sub, s->operands[1 - i], y);
  }
  return moire__simplify_no(s);
}

static moire_value sub_zero(const moire__simplify *s) { return first_of_pair(s, is_number(s, 1, 0)); }

static moire_value sub_from_zero(const moire__simplify *s) {
  return is_number(s, 0, 0) ? negate(s, s->operands[1]) : moire__simplify_no(s);
}

static moire_value sub_negated(const moire__simplify *s) {
  moire_value y = negated(s, 1);
  return y.id ? binary(s, MOIRE__OP_add, s->operands[0], y) : y;
}

static moire_value neg_negated(const moire__simplify *s) { return negated(s, 0); }

static moire_value neg_difference(const moire__simplify *s) {
  const moire__node *sub = moire__simplify_made_by(s, 0, MOIRE__OP_sub);
  if (!sub) return moire__simplify_no(s);
  return binary(s, MOIRE__OP_sub, moire__simplify_operand(s, sub, 1), moire__simplify_operand(s, sub, 0));
}

/* ---- products ---------------------------------------------------------------------------------------------
 */

static moire_value mul_one(const moire__simplify *s) { return beside(s, 1); }

static moire_value mul_zero(const moire__simplify *s) {
  return beside(s, 0).id ? moire__simplify_make(s, NULL, 0) : moire__simplify_no(s);
}

static moire_value mul_minus_one(const moire__simplify *s) {
  moire_value x = beside(s, -1);
  return x.id ? negate(s, x) : x;
}

static moire_value mul_negated_twice(const moire__simplify *s) {
  moire_value x = negated(s, 0), y = negated(s, 1);
  return x.id && y.id ? binary(s, MOIRE__OP_mul, x, y) : moire__simplify_no(s);
}

static moire_value mul_negated_once(const moire__simplify *s) {
  for (int i = 1; i >= 0; i--) {
    moire_value y = negated(s, i);
    if (y.id) return negate(s, binary(s, MOIRE__OP_mul, s->operands[1 - i], y));
  }
  return moire__simplify_no(s);
}

/* For real products of tensors, which are linear in both operands. */
static moire_value product_negated(const moire__simplify *s) {
  for (int i = 1; i >= 0; i--) {
    moire_value operands[MOIRE__MAX_OPERANDS];
    int n = s->node->n_operands;
    memcpy(operands, s->operands, (size_t)n * sizeof *operands);
    operands[i] = negated(s, i);
    if (!operands[i].id) continue;
    return negate(s, moire__graph_emit(s->g, s->node->source, s->node->op, operands, n, s->node->attrs,
                                       s->node->n_attrs));
  }
  return moire__simplify_no(s);
}

/* Splits a product into x and a constant: node = x * c. */
static bool scaled(const moire__simplify *s, const moire__node *node, moire_value *x, const moire__node **c) {
  if (node->op != MOIRE__OP_mul) return false;
  for (int i = 1; i >= 0; i--) {
    const moire__node *factor = moire__node_of(s->g, node->operands[i]);
    if (factor->op != MOIRE__OP_constant) continue;
    *c = factor;
    *x = moire__value(s->g, node->operands[1 - i]);
    return true;
  }
  return false;
}

/* x * (value), divided as `like` is. */
static moire_value scale_by(const moire__simplify *s, moire_value x, const moire__node *like, double value) {
  bool in_range = fabs(value) >= smallest_product && fabs(value) <= largest_product;
  if (!in_range || !moire__dtype_is_float(s->dtype)) return moire__simplify_no(s);
  return binary(s, MOIRE__OP_mul, x, moire__simplify_make(s, like, value));
}

static moire_value mul_scaled(const moire__simplify *s) {
  for (int i = 1; i >= 0; i--) {
    const moire__node *outer = moire__simplify_made_by(s, i, MOIRE__OP_constant), *inner = NULL;
    moire_value x = {0};
    if (!outer || !scaled(s, moire__node_of(s->g, s->operands[1 - i].id), &x, &inner)) continue;
    bool outer_divided = moire__node_attr(outer, "per"), inner_divided = moire__node_attr(inner, "per");
    if (outer_divided && inner_divided) continue;
    return scale_by(s, x, outer_divided ? outer : inner,
                    moire__node_real(outer, "value") * moire__node_real(inner, "value"));
  }
  return moire__simplify_no(s);
}

static moire_value mul_negated(const moire__simplify *s) {
  for (int i = 1; i >= 0; i--) {
    const moire__node *c = moire__simplify_made_by(s, i, MOIRE__OP_constant);
    moire_value x = negated(s, 1 - i);
    if (c && x.id) return scale_by(s, x, c, -moire__node_real(c, "value"));
  }
  return moire__simplify_no(s);
}

static moire_value neg_scaled(const moire__simplify *s) {
  const moire__node *c = NULL;
  moire_value x = {0};
  if (!scaled(s, moire__node_of(s->g, s->operands[0].id), &x, &c)) return moire__simplify_no(s);
  return scale_by(s, x, c, -moire__node_real(c, "value"));
}

static moire_value div_one(const moire__simplify *s) { return first_of_pair(s, is_number(s, 1, 1)); }

/* Exact: dividing by a power of two is multiplying by its inverse. */
static moire_value div_power_of_two(const moire__simplify *s) {
  double value = 0;
  int exponent = 0;
  if (!moire__simplify_number(s, 1, &value) || fabs(frexp(value, &exponent)) != 0.5)
    return moire__simplify_no(s);
  return scale_by(s, s->operands[0], NULL, 1 / value);
}

static moire_value pow_one(const moire__simplify *s) { return first_of_pair(s, is_number(s, 1, 1)); }

static moire_value pow_two(const moire__simplify *s) {
  if (!is_number(s, 1, 2)) return moire__simplify_no(s);
  return binary(s, MOIRE__OP_mul, s->operands[0], s->operands[0]);
}

/* ---- choices and copies -----------------------------------------------------------------------------------
 */

static moire_value where_same(const moire__simplify *s) {
  return s->operands[1].id == s->operands[2].id ? s->operands[1] : moire__simplify_no(s);
}

static moire_value where_not(const moire__simplify *s) {
  const moire__node *not = moire__simplify_made_by(s, 0, MOIRE__OP_not);
  if (!not) return moire__simplify_no(s);
  moire_value operands[3] = {moire__simplify_operand(s, not, 0), s->operands[2], s->operands[1]};
  return moire__graph_emit(s->g, s->node->source, MOIRE__OP_where, operands, 3, NULL, 0);
}

static moire_value and_same(const moire__simplify *s) {
  return first_of_pair(s, s->operands[0].id == s->operands[1].id);
}

static moire_value not_not(const moire__simplify *s) {
  const moire__node *not = moire__simplify_made_by(s, 0, MOIRE__OP_not);
  return not ? moire__simplify_operand(s, not, 0) : moire__simplify_no(s);
}

static moire_value cast_same(const moire__simplify *s) {
  return first_of_pair(s, moire_value_dtype(s->operands[0]) == s->dtype);
}

static moire_value copy(const moire__simplify *s) { return s->operands[0]; }

static const moire__simplify_rule rules[] = {
    {MOIRE__OP_add, "x + 0 = x", add_zero},
    {MOIRE__OP_add, "x + (-y) = x - y", add_negated},
    {MOIRE__OP_sub, "x - 0 = x", sub_zero},
    {MOIRE__OP_sub, "0 - x = -x", sub_from_zero},
    {MOIRE__OP_sub, "x - (-y) = x + y", sub_negated},
    {MOIRE__OP_neg, "-(-x) = x", neg_negated},
    {MOIRE__OP_neg, "-(x - y) = y - x", neg_difference},
    {MOIRE__OP_neg, "-(x * c) = x * (-c)", neg_scaled},
    {MOIRE__OP_mul, "x * 1 = x", mul_one},
    {MOIRE__OP_mul, "x * 0 = 0", mul_zero},
    {MOIRE__OP_mul, "x * (-1) = -x", mul_minus_one},
    {MOIRE__OP_mul, "(-x) * (-y) = x * y", mul_negated_twice},
    {MOIRE__OP_mul, "(x * c1) * c2 = x * (c1 c2)", mul_scaled},
    {MOIRE__OP_mul, "(-x) * c = x * (-c)", mul_negated},
    {MOIRE__OP_mul, "x * (-y) = -(x * y)", mul_negated_once},
    {MOIRE__OP_matmul, "matmul(x, -y) = -matmul(x, y)", product_negated},
    {MOIRE__OP_depthwise_conv, "depthwise_conv(x, -w) = -depthwise_conv(x, w)", product_negated},
    {MOIRE__OP_depthwise_conv_weight, "the same for the gradient of w", product_negated},
    {MOIRE__OP_div, "x / 1 = x", div_one},
    {MOIRE__OP_div, "x / 2^n = x * 2^-n", div_power_of_two},
    {MOIRE__OP_pow, "x^1 = x", pow_one},
    {MOIRE__OP_pow, "x^2 = x * x", pow_two},
    {MOIRE__OP_where, "where(p, x, x) = x", where_same},
    {MOIRE__OP_where, "where(not p, x, y) = where(p, y, x)", where_not},
    {MOIRE__OP_and, "and(p, p) = p", and_same},
    {MOIRE__OP_not, "not(not p) = p", not_not},
    {MOIRE__OP_cast, "cast(x) = x, to the type that it has", cast_same},
    {MOIRE__OP_stop_gradient, "stop_gradient(x) = x", copy},
    {0},
};

const moire__simplify_rule *moire__simplify_arithmetic(void) { return rules; }
