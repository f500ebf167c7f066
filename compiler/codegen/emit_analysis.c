/* What can be known about a vector loop before it is emitted.
 *
 * Variance: a value differs over the lanes if it is the loop's index or depends on something that does. A
 * variable differs if anything put into it does; since a variable may be read before the statement that makes
 * it differ (in a serial loop), the walk is repeated until nothing changes.
 *
 * Trip count: low and high are written as sums of products of a constant and an unknown; if the unknowns
 * cancel, the difference is constant, and in any case it is a multiple of the greatest common divisor of what
 * remains. An index in the same form shows what its value in the first lane is a multiple of.
 */
#include "compiler/codegen/emit.h"

#include <string.h>

/* ---- variance -------------------------------------------------------------------------------------------- */

static bool value_varies(const moire__loop_kernel *k, const moire__emit_variance *at, moire__loop_value v) {
  const moire__loop_value_info *info = &k->values[v];
  if (info->op == MOIRE__LOOP_get && !info->is_index && at->var[info->var]) return true;
  for (int i = 0; i < info->n_operands; i++)
    if (at->value[info->operands[i]]) return true;
  return false;
}

/* Marks what varies in a list; true if a variable came to vary that did not before. */
static bool mark(const moire__loop_kernel *k, const moire__loop_statement *s, moire__emit_variance *at) {
  bool changed = false;
  for (; s; s = s->next) {
    bool varies = false;
    switch (s->kind) {
      case MOIRE__LOOP_LET: at->value[s->value] = value_varies(k, at, s->value); break;
      case MOIRE__LOOP_DECLARE:
        at->inner[s->var] = true;
        varies = at->value[k->vars[s->var].init];
        break;
      case MOIRE__LOOP_SET: varies = at->value[s->value]; break;
      case MOIRE__LOOP_REDUCE: varies = at->inner[s->var] && at->value[s->value]; break;
      case MOIRE__LOOP_FOR:
      case MOIRE__LOOP_IF: changed |= mark(k, s->body, at); break;
      case MOIRE__LOOP_FETCH:
      case MOIRE__LOOP_TURN:
      case MOIRE__LOOP_TILE:
      case MOIRE__LOOP_STORE: break;
    }
    if (varies && !at->var[s->var]) changed = at->var[s->var] = true;
  }
  return changed;
}

void moire__emit_analyse(const moire__loop_kernel *k, const moire__loop_statement *loop,
                         moire__emit_variance *out) {
  memset(out->value, 0, (size_t)k->n_values * sizeof *out->value);
  memset(out->var, 0, (size_t)k->n_vars * sizeof *out->var);
  memset(out->inner, 0, (size_t)k->n_vars * sizeof *out->inner);
  out->value[loop->value] = true;
  while (mark(k, loop->body, out)) {
  }
}

/* ---- trip count -------------------------------------------------------------------------------------------
 */

enum { MAX_TERMS = 16 };

/* constant + sum of factor[i] * unknown[i]. An unknown is a value, or the named
 * extents of a dim as their negated number. */
typedef struct linear {
  int64_t constant;
  int n;
  int64_t unknown[MAX_TERMS], factor[MAX_TERMS];
  bool overflow; /* not representable here: nothing is known */
} linear;

static void add_term(linear *sum, int64_t unknown, int64_t factor) {
  for (int i = 0; i < sum->n; i++) {
    if (sum->unknown[i] != unknown) continue;
    sum->overflow |= __builtin_add_overflow(sum->factor[i], factor, &sum->factor[i]);
    return;
  }
  if (sum->n == MAX_TERMS) {
    sum->overflow = true;
    return;
  }
  sum->unknown[sum->n] = unknown;
  sum->factor[sum->n++] = factor;
}

static bool constant_of(const moire__loop_kernel *k, moire__loop_value v, int64_t *constant) {
  if (k->values[v].is_index || k->values[v].op != MOIRE__LOOP_const) return false;
  *constant = k->values[v].integer;
  return true;
}

/* sum += scale * v. */
static void add_value(const moire__loop_kernel *k, linear *sum, moire__loop_value v, int64_t scale, int depth) {
  const moire__loop_value_info *info = &k->values[v];
  int64_t c = 0, product = 0;
  if (constant_of(k, v, &c)) {
    sum->overflow |= __builtin_mul_overflow(c, scale, &product);
    sum->overflow |= __builtin_add_overflow(sum->constant, product, &sum->constant);
    return;
  }
  bool opaque = info->is_index || depth > 8;
  if (!opaque && info->op == MOIRE__LOOP_extent) {
    sum->overflow |= __builtin_mul_overflow(moire__dim_factor(info->integer), scale, &product);
    if (moire__dim_is_static(info->integer))
      sum->overflow |= __builtin_add_overflow(sum->constant, product, &sum->constant);
    else
      add_term(sum, -(int64_t)moire__dim_extents(info->integer), product);
    return;
  }
  if (!opaque && (info->op == MOIRE__LOOP_add || info->op == MOIRE__LOOP_sub)) {
    add_value(k, sum, info->operands[0], scale, depth + 1);
    add_value(k, sum, info->operands[1], info->op == MOIRE__LOOP_add ? scale : -scale, depth + 1);
    return;
  }
  if (!opaque && info->op == MOIRE__LOOP_mul) {
    for (int side = 0; side < 2; side++) {
      if (!constant_of(k, info->operands[side], &c)) continue;
      sum->overflow |= __builtin_mul_overflow(c, scale, &product);
      add_value(k, sum, info->operands[1 - side], product, depth + 1);
      return;
    }
  }
  add_term(sum, v, scale);
}

static int64_t common_divisor(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a < 0 ? -a : a;
}

moire__emit_trip moire__emit_trip_of(const moire__loop_kernel *k, moire__loop_value low,
                                     moire__loop_value high) {
  linear sum = {0};
  add_value(k, &sum, high, 1, 0);
  add_value(k, &sum, low, -1, 0);
  if (sum.overflow) return (moire__emit_trip){.multiple = 1};
  moire__emit_trip trip = {.is_constant = true, .constant = sum.constant, .multiple = sum.constant};
  for (int i = 0; i < sum.n; i++) {
    if (!sum.factor[i]) continue;
    trip.is_constant = false;
    trip.multiple = common_divisor(trip.multiple, sum.factor[i]);
  }
  return trip;
}

int64_t moire__emit_multiple_of(const moire__loop_kernel *k, const moire__loop_statement *loop,
                                moire__loop_value v) {
  linear sum = {0};
  add_value(k, &sum, v, 1, 0);
  int64_t divisor = 0;
  for (int i = 0; i < sum.n; i++) {
    if (sum.unknown[i] != loop->value || !sum.factor[i]) continue;
    int64_t factor = sum.factor[i]; /* the index is low + a multiple of lanes */
    sum.factor[i] = 0;
    divisor = factor * loop->lanes;
    add_value(k, &sum, loop->low, factor, 0);
    break;
  }
  if (sum.overflow) return 1;
  divisor = common_divisor(divisor, sum.constant);
  for (int i = 0; i < sum.n; i++) divisor = common_divisor(divisor, sum.factor[i]);
  return divisor;
}
