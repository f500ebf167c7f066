/* simplify: what is known when the graph is compiled.
 *
 * A constant is one number everywhere, so an element-wise op of constants is computed on one element, by the
 * op's reference, and a view of a constant is a constant of another shape. A result that the type cannot hold
 * exactly (integers) or that is not finite is left for the run.
 */
#include "compiler/pass/simplify/simplify.h"

#include <math.h>

static bool fits(moire_dtype dtype, double value) {
  if (!isfinite(value)) return false;
  if (dtype == MOIRE_I32) return fabs(value) <= 2147483647.0;
  if (dtype == MOIRE_I64) return fabs(value) <= 9007199254740992.0; /* 2^53 */
  if (dtype == MOIRE_F32 || dtype == MOIRE_BF16)
    return value == 0 || (fabs(value) >= 0x1p-126 && fabs(value) <= 0x1.fffffep127);
  return dtype != MOIRE_C64;
}

static moire_value fold_pointwise(const moire__simplify *s) {
  moire__tensor tensors[3] = {0}, result = {.dtype = s->dtype, .elements = 1};
  double numbers[3] = {0}, value = 0;
  moire__arena scratch = {0};
  int n = s->node->n_operands;
  if (n > 3 || s->node->n_results != 1) return moire__simplify_no(s);
  moire__reference c = {.g = s->from, .node = s->node, .n_operands = n, .scratch = &scratch};
  for (int i = 0; i < n; i++) {
    if (!moire__simplify_number(s, i, &numbers[i])) return moire__simplify_no(s);
    tensors[i] = (moire__tensor){.dtype = moire_value_dtype(s->operands[i]), .elements = 1, .re = &numbers[i]};
    if (tensors[i].dtype == MOIRE_C64) return moire__simplify_no(s);
    c.operands[i] = &tensors[i];
  }
  moire_error error = {0};
  result.re = &value;
  c.results[0] = &result;
  c.error = &error;
  moire__op_get(s->node->op)->reference(&c);
  moire__arena_free(&scratch);
  if (error.status != MOIRE_OK || !fits(s->dtype, value)) return moire__simplify_no(s);
  return moire__simplify_make(s, NULL, value);
}

/* The product of two constants of which at most one is divided by named extents. */
static moire_value multiply_constants(const moire__simplify *s) {
  const moire__node *a = moire__simplify_made_by(s, 0, MOIRE__OP_constant);
  const moire__node *b = moire__simplify_made_by(s, 1, MOIRE__OP_constant);
  if (!a || !b || (moire__node_attr(a, "per") && moire__node_attr(b, "per"))) return moire__simplify_no(s);
  double value = moire__node_real(a, "value") * moire__node_real(b, "value");
  if (!fits(s->dtype, value)) return moire__simplify_no(s);
  return moire__simplify_make(s, moire__node_attr(a, "per") ? a : b, value);
}

static moire_value view_constant(const moire__simplify *s) {
  const moire__node *x = moire__simplify_made_by(s, 0, MOIRE__OP_constant);
  return x ? moire__simplify_make(s, x, moire__node_real(x, "value")) : moire__simplify_no(s);
}

/* The only index of an axis of extent 1. */
static moire_value iota_one(const moire__simplify *s) {
  if (s->shape.dims[moire__node_int(s->node, "axis")] != 1) return moire__simplify_no(s);
  return moire__simplify_make(s, NULL, 0);
}

static moire_value pad_zero(const moire__simplify *s) {
  double value = 0;
  if (!moire__simplify_number(s, 0, &value) || value != 0) return moire__simplify_no(s);
  return moire__simplify_make(s, NULL, 0);
}

/* The number of elements that are added must be known. */
static moire_value sum_constant(const moire__simplify *s) {
  const moire__node *x = moire__simplify_made_by(s, 0, MOIRE__OP_constant);
  if (!x) return moire__simplify_no(s);
  moire_shape from = moire_value_shape(s->operands[0]);
  double value = moire__node_real(x, "value");
  int n = 0;
  const int64_t *axes = moire__node_ints(s->node, "axes", &n);
  for (int i = 0; i < n; i++) {
    if (!moire__dim_is_static(from.dims[axes[i]]) && value != 0) return moire__simplify_no(s);
    value *= (double)moire__dim_factor(from.dims[axes[i]]);
  }
  return fits(s->dtype, value) ? moire__simplify_make(s, x, value) : moire__simplify_no(s);
}

static moire_value where_constant(const moire__simplify *s) {
  double condition = 0;
  if (!moire__simplify_number(s, 0, &condition)) return moire__simplify_no(s);
  return s->operands[condition != 0 ? 1 : 2];
}

static moire_value and_constant(const moire__simplify *s) {
  bool boolean =
      moire_value_dtype(s->operands[0]) == MOIRE_BOOL; /* else bit by bit: all of them are set in -1 */
  double value = 0;
  for (int i = 0; i < 2; i++) {
    if (moire__simplify_number(s, i, &value) && (boolean || value == 0 || value == -1))
      return s->operands[value != 0 ? 1 - i : i];
  }
  return moire__simplify_no(s);
}

static const moire__simplify_rule rules[] = {
    {MOIRE__OP_none, "f(c1, c2, ..) = c", fold_pointwise},
    {MOIRE__OP_mul, "c1 * (c2 / B) = (c1 c2) / B", multiply_constants},
    {MOIRE__OP_iota, "iota = 0, over an extent of 1", iota_one},
    {MOIRE__OP_reshape, "reshape(c) = c", view_constant},
    {MOIRE__OP_permute, "permute(c) = c", view_constant},
    {MOIRE__OP_broadcast, "broadcast(c) = c", view_constant},
    {MOIRE__OP_slice, "slice(c) = c", view_constant},
    {MOIRE__OP_gather, "gather(c, rows) = c", view_constant},
    {MOIRE__OP_pad, "pad(0) = 0", pad_zero},
    {MOIRE__OP_sum, "sum(c) = n c", sum_constant},
    {MOIRE__OP_reduce_max, "reduce_max(c) = c", view_constant},
    {MOIRE__OP_where, "where(c, x, y) = x or y", where_constant},
    {MOIRE__OP_and, "and(x, true) = x, and(x, false) = false", and_constant},
    {0},
};

const moire__simplify_rule *moire__simplify_constants(void) { return rules; }
