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

static moire__loop_value make(moire__loop_kernel *k, moire__loop_type type, int64_t value) {
  return moire__loop_share(k,
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
  } else if (op == MOIRE__LOOP_and) {
    *r = a & b;
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

/* What a rule makes of an operation. */
typedef enum outcome {
  KEPT,      /* no rule applies */
  REWRITTEN, /* it is another one now, which is looked at again */
  FOLDED,    /* it is `value` */
} outcome;

typedef struct operation {
  moire__loop_kernel *k;
  moire__loop_op op;
  moire__loop_type type;       /* of the operands */
  moire__loop_value *operands; /* 2 */
  moire__loop_value value;
} operation;

static outcome fold_to(operation *o, moire__loop_value value) {
  o->value = value;
  return FOLDED;
}

static outcome rewrite(operation *o, moire__loop_op op, moire__loop_value x, moire__loop_value y) {
  o->op = op;
  o->operands[0] = x;
  o->operands[1] = y;
  return REWRITTEN;
}

/* x op c with c on the right. */
static outcome fold_right(operation *o, moire__loop_value x, int64_t c) {
  moire__loop_type type = o->type;
  bool add = o->op == MOIRE__LOOP_add, sub = o->op == MOIRE__LOOP_sub, mul = o->op == MOIRE__LOOP_mul;
  if (c == 0 && (add || sub)) return fold_to(o, x);
  if (c == 1 && (mul || o->op == MOIRE__LOOP_div)) return fold_to(o, x);
  if ((c == 0 && mul) || (c == 1 && o->op == MOIRE__LOOP_mod)) return fold_to(o, make(o->k, type, 0));
  if (sub && fits(type, c) && c != INT64_MIN && fits(type, -c))
    return rewrite(o, MOIRE__LOOP_add, x, make(o->k, type, -c));
  const moire__loop_value_info *inner = &o->k->values[x];
  int64_t first, both;
  if ((add || mul) && inner->op == o->op && is_constant(o->k, inner->operands[1], &first) &&
      compute(o->op, type, first, c, &both)) {
    moire__loop_value kept = inner->operands[0]; /* `make` may move the table */
    return rewrite(o, o->op, kept, make(o->k, type, both));
  }
  return KEPT;
}

static outcome fold_integers(operation *o) {
  moire__loop_op op = o->op;
  moire__loop_value x = o->operands[0], y = o->operands[1];
  bool compares = op == MOIRE__LOOP_eq || op == MOIRE__LOOP_lt || op == MOIRE__LOOP_le;
  bool commutes = op == MOIRE__LOOP_add || op == MOIRE__LOOP_mul || op == MOIRE__LOOP_min ||
                  op == MOIRE__LOOP_max || op == MOIRE__LOOP_eq;
  int64_t cx, cy, result;
  bool x_constant = is_constant(o->k, x, &cx), y_constant = is_constant(o->k, y, &cy);
  if (x_constant && y_constant) {
    if (!compute(op, o->type, cx, cy, &result)) return KEPT;
    return fold_to(o, make(o->k, compares ? MOIRE__LOOP_BOOL : o->type, result));
  }
  if (x_constant && commutes) return rewrite(o, op, y, x);
  if (x == y && op == MOIRE__LOOP_sub) return fold_to(o, make(o->k, o->type, 0));
  if (x == y && (op == MOIRE__LOOP_min || op == MOIRE__LOOP_max)) return fold_to(o, x);
  return y_constant ? fold_right(o, x, cy) : KEPT;
}

static moire__loop_value fold_bools(moire__loop_kernel *k, moire__loop_op op, const moire__loop_value *o) {
  int64_t x = 0, y = 0;
  bool x_constant = is_constant(k, o[0], &x);
  if (op == MOIRE__LOOP_not) return x_constant ? make(k, MOIRE__LOOP_BOOL, !x) : 0;
  if (op == MOIRE__LOOP_select) return x_constant ? o[x ? 1 : 2] : 0;
  if (op != MOIRE__LOOP_and && op != MOIRE__LOOP_or) return 0;
  bool neutral = op == MOIRE__LOOP_and; /* true and x = x, false or x = x; the other constant decides */
  if (x_constant) return (x != 0) == neutral ? o[1] : o[0];
  if (is_constant(k, o[1], &y)) return (y != 0) == neutral ? o[0] : o[1];
  return 0;
}

moire__loop_value moire__loop_fold(moire__loop_kernel *k, moire__loop_op *op, moire__loop_value *operands) {
  int n = moire__loop_op_arity(*op);
  moire__loop_type type = n > 0 ? k->values[operands[0]].type : MOIRE__LOOP_VOID;
  if (type == MOIRE__LOOP_BOOL) return fold_bools(k, *op, operands);
  if (!moire__loop_type_is_int(type)) return 0;
  int64_t c;
  if (*op == MOIRE__LOOP_neg && is_constant(k, operands[0], &c) && c != INT64_MIN && fits(type, -c))
    return make(k, type, -c);
  if (n != 2) return 0;
  operation o = {.k = k, .op = *op, .type = type, .operands = operands};
  while (fold_integers(&o) == REWRITTEN) continue;
  *op = o.op;
  return o.value;
}
