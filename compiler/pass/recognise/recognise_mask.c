/* recognise, the mask: which terms say "causal" and "these keys are padding".
 *
 * Added to the scores:
 *   where(allowed, 0, c), where(blocked, c, 0), c (1 - allowed) with allowed a bool or one cast to a number;
 *   in the first two c may be -infinity, which is read as -1e9
 *
 * In place of scores, around any of their terms:
 *   where(allowed, x, c), where(blocked, c, x)
 *   with c -infinity; or -1e9 and less where the mask is causal, since every row has a key that is allowed then
 *
 *   allowed   and(allowed, allowed), or a product where it is a number; not(blocked);
 *             less_equal(key, query [+ keys - queries]) from iotas; bool[B, keys] reshaped to [B,1,1,keys]
 *   blocked   not(allowed); less(query [+ keys - queries], key); bool[B, keys] reshaped likewise
 *
 * all of them broadcast as the language does.
 */
#include "compiler/ir/language/language.h"
#include "compiler/pass/recognise/recognise_private.h"
#include "compiler/pass/walk.h"

#include <math.h>

static const moire__node *through_broadcast(const moire_graph *g, int32_t value) {
  const moire__node *node = moire__node_of(g, value);
  while (node->op == MOIRE__OP_broadcast) node = moire__node_of(g, node->operands[0]);
  return node;
}

bool moire__recognise_number(const moire_graph *g, int32_t value, double *number) {
  return moire__constant_number(g, through_broadcast(g, value)->first_result, number);
}

static bool is_number(const moire_graph *g, int32_t value, double wanted) {
  double number = 0;
  return moire__recognise_number(g, value, &number) && number == wanted;
}

/* ---- causality ---- */

/* The only axis with more than one element, counted from the last, which is 1; 0 if there is not one. */
static int only_axis(const moire_shape *shape) {
  int found = 0;
  for (int d = 0; d < shape->rank; d++) {
    if (shape->dims[d] == 1) continue;
    if (found) return 0;
    found = shape->rank - d;
  }
  return found;
}

/* Of which axis of the scores, counted from the last, the value is the index; 0 if it is not one. */
static int index_axis(const moire_graph *g, int32_t value) {
  const moire__node *node = through_broadcast(g, value);
  if (node->op == MOIRE__OP_iota)
    return g->values[node->first_result].shape.rank - (int)moire__node_int(node, "axis");
  if (node->op != MOIRE__OP_reshape) return 0;
  const moire__node *inner = moire__node_of(g, node->operands[0]);
  bool fits = inner->op == MOIRE__OP_iota &&
              only_axis(&g->values[inner->first_result].shape) ==
                  g->values[inner->first_result].shape.rank - (int)moire__node_int(inner, "axis");
  return fits ? only_axis(&g->values[node->first_result].shape) : 0;
}

/* query + offset, where the offset is a constant; false if it is not that. */
static bool read_query(const moire_graph *g, int32_t value, double *offset) {
  *offset = 0;
  if (index_axis(g, value) == 2) return true;
  const moire__node *sum = through_broadcast(g, value);
  if (sum->op != MOIRE__OP_add) return false;
  for (int i = 0; i < 2; i++) {
    if (index_axis(g, sum->operands[i]) == 2 && moire__recognise_number(g, sum->operands[1 - i], offset))
      return true;
  }
  return false;
}

/* key <= query + offset, or, `blocked`, query + offset < key */
static bool is_causal(const moire_graph *g, const moire__node *node, const moire_shape *scores, bool blocked) {
  double offset = 0;
  if (node->op != (blocked ? MOIRE__OP_less : MOIRE__OP_less_equal)) return false;
  if (index_axis(g, node->operands[blocked]) != 1) return false;
  if (!read_query(g, node->operands[!blocked], &offset)) return false;
  bool fixed = moire__dim_is_static(scores->dims[2]) && moire__dim_is_static(scores->dims[3]);
  return fixed && offset == (double)scores->dims[3] - (double)scores->dims[2];
}

/* ---- what is allowed ---- */

/* bool[B, keys] seen as [B,1,1,keys]; 0 if it is not that. */
static int32_t valid_keys(const moire_graph *g, const moire__node *node, const moire_shape *scores) {
  if (node->op != MOIRE__OP_reshape) return 0;
  moire_shape from = g->values[node->operands[0]].shape, to = g->values[node->first_result].shape;
  const moire_shape keys = MOIRE_SHAPE(scores->dims[0], scores->dims[3]),
                    wide = MOIRE_SHAPE(scores->dims[0], 1, 1, scores->dims[3]);
  if (!moire__shape_equal(&from, &keys) || !moire__shape_equal(&to, &wide)) return 0;
  const moire__node *inner = moire__node_of(g, node->operands[0]);
  if (inner->op == MOIRE__OP_cast) inner = moire__node_of(g, inner->operands[0]);
  return g->values[inner->first_result].dtype == MOIRE_BOOL ? inner->first_result : 0;
}

/* What is allowed, or what is blocked. */
static bool read_condition(const moire_graph *g, int32_t value, bool blocked, moire__recognised_mask *mask) {
  const moire__node *node = through_broadcast(g, value);
  if (!blocked && (node->op == MOIRE__OP_and || node->op == MOIRE__OP_mul))
    return read_condition(g, node->operands[0], false, mask) &&
           read_condition(g, node->operands[1], false, mask);
  if (node->op == MOIRE__OP_not) return read_condition(g, node->operands[0], !blocked, mask);
  if (!blocked && node->op == MOIRE__OP_cast && g->values[node->operands[0]].dtype == MOIRE_BOOL)
    return read_condition(g, node->operands[0], false, mask);
  if (is_causal(g, node, &mask->scores, blocked)) return mask->causal = true;
  int32_t valid = valid_keys(g, node, &mask->scores);
  if (!valid || (mask->valid && (mask->valid != valid || mask->is_blocked != blocked))) return false;
  mask->valid = valid;
  mask->is_blocked = blocked;
  return true;
}

/* where(allowed, x, c) or where(blocked, c, x): x, and the rest into `mask`; 0 if it is neither. */
static int32_t read_choice(const moire_graph *g, const moire__node *node, moire__recognised_mask *mask) {
  for (int blocked = 0; blocked < 2 && node->op == MOIRE__OP_where; blocked++) {
    moire__recognised_mask read = *mask;
    int32_t x = node->operands[blocked ? 2 : 1], c = node->operands[blocked ? 1 : 2];
    double number = 0;
    if (moire__recognise_number(g, x, &number) && number != 0) continue; /* that is c */
    if (!moire__recognise_number(g, c, &read.value) || !read_condition(g, node->operands[0], blocked, &read))
      continue;
    *mask = read;
    return x;
  }
  return 0;
}

static bool read_mask(const moire_graph *g, const moire__node *node, moire__recognised_mask *mask) {
  mask->is_there = true;
  if (node->op == MOIRE__OP_where) {
    int32_t x = read_choice(g, node, mask);
    mask->value = moire__mask_value(mask->value);
    return x && is_number(g, x, 0) && isfinite(mask->value);
  }
  if (node->op != MOIRE__OP_mul) return false;
  int constant = moire__recognise_number(g, node->operands[0], &mask->value) ? 0 : 1;
  if (!moire__recognise_number(g, node->operands[constant], &mask->value)) return false;
  const moire__node *rest = through_broadcast(g, node->operands[1 - constant]);
  return isfinite(mask->value) && rest->op == MOIRE__OP_sub && is_number(g, rest->operands[0], 1) &&
         read_condition(g, rest->operands[1], false, mask);
}

bool moire__recognise_mask(const moire_graph *g, int32_t value, moire__recognised_mask *mask) {
  moire__recognised_mask read = *mask;
  if (mask->is_there || !read_mask(g, through_broadcast(g, value), &read)) return false;
  *mask = read;
  return true;
}

int32_t moire__recognise_fill(const moire_graph *g, int32_t value, moire__recognised_mask *mask) {
  moire__recognised_mask read = *mask;
  if (mask->is_there && !mask->fills) return 0;
  int32_t x = read_choice(g, moire__node_of(g, value), &read);
  bool infinite = read.value == (double)-INFINITY, causal = read.causal && !read.valid;
  if (!x || !(infinite || (causal && read.value <= -1e9))) return 0;
  read.value = -1e9;
  if (mask->is_there && mask->of_infinity != infinite) return 0;
  read.is_there = read.fills = true;
  read.of_infinity = infinite;
  *mask = read;
  return x;
}
