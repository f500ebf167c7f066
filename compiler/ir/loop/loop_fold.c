/* Folding of integer and bool operations while a kernel is built.
 *
 * Address arithmetic is sums and products of loop variables, constants and extents; lowering writes it without
 * care, and this keeps it short: constants are computed, neutral elements drop out, a constant moves to the
 * right and constants of a chain are added up:
 *
 *   2 + 3 = 5    x + 0 = x    x * 1 = x    x * 0 = 0    x / 1 = x    x mod 1 = 0    x - c = x + -c
 *   (x + c1) + c2 = x + (c1 + c2)    (x * c1) * c2 = x * (c1 * c2)
 *
 * Requires well-typed operands (others are left for the verifier). A fold whose result does not fit in the type
 * is not made.
 */
#include "compiler/ir/loop/loop_private.h"

static bool is_constant(const moire__loop_kernel *k, moire__loop_value v, int64_t *value) {
  const moire__loop_value_info *info = &k->values[v];
  *value = info->integer;
  return info->op == MOIRE__LOOP_const &&
         (moire__loop_type_is_int(info->type) || info->type == MOIRE__LOOP_BOOL);
}

static moire__loop_value make(moire__loop_builder *b, moire__loop_type type, int64_t value) {
  return moire__loop_share(b->kernel,
                           (moire__loop_value_info){.op = MOIRE__LOOP_const, .type = type, .integer = value});
}

static bool fits(moire__loop_type type, int64_t value) {
  return type == MOIRE__LOOP_I64 || (value >= INT32_MIN && value <= INT32_MAX);
}

/* r = op(a, b); false where the result does not exist, does not fit, or op is not for integers. */
static bool compute(moire__loop_op op, moire__loop_type type, int64_t a, int64_t b, int64_t *r) {
  bool overflow = false;
  if (op == MOIRE__LOOP_add) {
    overflow = __builtin_add_overflow(a, b, r);
  } else if (op == MOIRE__LOOP_sub) {
    overflow = __builtin_sub_overflow(a, b, r);
  } else if (op == MOIRE__LOOP_mul) {
    overflow = __builtin_mul_overflow(a, b, r);
  } else if (op == MOIRE__LOOP_div || op == MOIRE__LOOP_mod) {
    if (a < 0 || b <= 0) return false;
    *r = op == MOIRE__LOOP_div ? a / b : a % b;
  } else if (op == MOIRE__LOOP_min) {
    *r = a < b ? a : b;
  } else if (op == MOIRE__LOOP_max) {
    *r = a > b ? a : b;
  } else if (op == MOIRE__LOOP_eq) {
    *r = a == b;
  } else if (op == MOIRE__LOOP_lt) {
    *r = a < b;
  } else if (op == MOIRE__LOOP_le) {
    *r = a <= b;
  } else {
    return false;
  }
  return !overflow && fits(type, *r);
}

/* x op c with c on the right. */
static moire__loop_value fold_right(moire__loop_builder *b, moire__loop_op op, moire__loop_type type,
                                    moire__loop_value x, int64_t c) {
  bool add = op == MOIRE__LOOP_add, mul = op == MOIRE__LOOP_mul;
  if (c == 0 && (add || op == MOIRE__LOOP_sub)) return x;
  if (c == 1 && (mul || op == MOIRE__LOOP_div)) return x;
  if ((c == 0 && mul) || (c == 1 && op == MOIRE__LOOP_mod)) return make(b, type, 0);
  if (op == MOIRE__LOOP_sub && fits(type, c) && c != INT64_MIN && fits(type, -c)) {
    return moire__loop_binary(b, MOIRE__LOOP_add, x, make(b, type, -c));
  }
  const moire__loop_value_info *inner = &b->kernel->values[x];
  int64_t first, both;
  if ((add || mul) && inner->op == op && is_constant(b->kernel, inner->operands[1], &first) &&
      compute(op, type, first, c, &both)) {
    return moire__loop_binary(b, op, inner->operands[0], make(b, type, both));
  }
  return 0;
}

static moire__loop_value fold_integers(moire__loop_builder *b, moire__loop_op op, moire__loop_type type,
                                       moire__loop_value x, moire__loop_value y) {
  bool compares = op == MOIRE__LOOP_eq || op == MOIRE__LOOP_lt || op == MOIRE__LOOP_le;
  bool commutes = op == MOIRE__LOOP_add || op == MOIRE__LOOP_mul || op == MOIRE__LOOP_min ||
                  op == MOIRE__LOOP_max || op == MOIRE__LOOP_eq;
  int64_t cx, cy, result;
  bool x_constant = is_constant(b->kernel, x, &cx), y_constant = is_constant(b->kernel, y, &cy);
  if (x_constant && y_constant) {
    if (!compute(op, type, cx, cy, &result)) return 0;
    return make(b, compares ? MOIRE__LOOP_BOOL : type, result);
  }
  if (x_constant && commutes) return moire__loop_binary(b, op, y, x);
  if (x == y && op == MOIRE__LOOP_sub) return make(b, type, 0);
  if (x == y && (op == MOIRE__LOOP_min || op == MOIRE__LOOP_max)) return x;
  return y_constant ? fold_right(b, op, type, x, cy) : 0;
}

static moire__loop_value fold_bools(moire__loop_builder *b, moire__loop_op op, const moire__loop_value *o) {
  int64_t x = 0, y = 0;
  bool x_constant = is_constant(b->kernel, o[0], &x);
  if (op == MOIRE__LOOP_not) return x_constant ? make(b, MOIRE__LOOP_BOOL, !x) : 0;
  if (op == MOIRE__LOOP_select) return x_constant ? o[x ? 1 : 2] : 0;
  if (op != MOIRE__LOOP_and && op != MOIRE__LOOP_or) return 0;
  bool neutral = op == MOIRE__LOOP_and; /* true and x = x, false or x = x; the other constant decides */
  if (x_constant) return (x != 0) == neutral ? o[1] : o[0];
  if (is_constant(b->kernel, o[1], &y)) return (y != 0) == neutral ? o[0] : o[1];
  return 0;
}

moire__loop_value moire__loop_fold(moire__loop_builder *b, moire__loop_op op,
                                   const moire__loop_value *operands) {
  int n = moire__loop_op_arity(op);
  moire__loop_type type = n > 0 ? moire__loop_type_of(b, operands[0]) : MOIRE__LOOP_VOID;
  if (type == MOIRE__LOOP_BOOL) return fold_bools(b, op, operands);
  if (!moire__loop_type_is_int(type)) return 0;
  int64_t c;
  if (op == MOIRE__LOOP_neg && is_constant(b->kernel, operands[0], &c) && c != INT64_MIN && fits(type, -c)) {
    return make(b, type, -c);
  }
  return n == 2 ? fold_integers(b, op, type, operands[0], operands[1]) : 0;
}
