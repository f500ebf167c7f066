/* pack, rows: which values become values of tokens where rows are padded behind.
 *
 * In a batch of rows [B, L] whose attention is causal, what a position computes depends on it and on those
 * before it alone. So positions behind the last that anything reads need not be computed: tokens are those up
 * to it, at least one of each row. That nothing else is read is proven here: a value of tokens may be used by
 * what is of tokens, too, be added up over all of them, or be put back among the others as 0, if it is 0 there
 * (rows_masks.c). Values that are not of tokens, but of all positions, are made so where they are read.
 *
 *   axis a of a value [B, .., L, ..]    packed [.., T, ..]
 *   axis 0 of a value [B L, ..]         packed [T, ..]
 */
#include "compiler/pass/pack/pack_private.h"
#include "compiler/pass/walk.h"

#include <string.h>

static const moire_shape *shape_of(const moire__rows *p, int32_t value) { return &p->g->values[value].shape; }

static moire_dim all_positions(const moire__rows *p) {
  moire_dim all = 0;
  moire__dim_multiply(p->samples, p->length, &all);
  return all;
}

static bool is_by_position(const moire__rows *p, const moire_shape *shape) {
  return shape->rank >= 2 && shape->dims[0] == p->samples && shape->dims[1] == p->length;
}

static bool is_flat(const moire__rows *p, const moire_shape *shape) {
  return shape->rank >= 1 && shape->dims[0] == all_positions(p);
}

/* The axis of positions of a value that is packed, or can be where it is read; -1: it cannot. */
static int axis_of(const moire__rows *p, int32_t value) {
  if (p->packed[value]) return p->axis[value];
  return is_by_position(p, shape_of(p, value)) ? 1 : -1;
}

/* ---- what is of tokens if its operands are ------------------------------------------------------------------
 */

/* The result has the positions of its operands on `axis`. */
static bool take_axis(moire__rows *p, const moire__node *node, int axis) {
  const moire_shape *shape = shape_of(p, node->first_result);
  bool fits = axis >= 0 && axis < shape->rank && node->n_results == 1;
  if (fits && axis == 0) fits = is_flat(p, shape);
  if (fits && axis > 0) fits = shape->dims[0] == p->samples && shape->dims[axis] == p->length;
  if (fits) p->axis[node->first_result] = axis;
  return fits;
}

static bool fits_elementwise(const moire__rows *p, int32_t x, int axis) {
  if (p->packed[x]) return p->axis[x] == axis;
  return moire__rows_is_same_for_all(p, x, axis) || moire__rows_is_positional(p, x, axis) ||
         (axis == 1 && axis_of(p, x) == 1);
}

static bool pack_elementwise(moire__rows *p, const moire__node *node) {
  int axis = -1;
  for (int i = 0; i < node->n_operands && axis < 0; i++) {
    if (p->packed[node->operands[i]]) axis = p->axis[node->operands[i]];
  }
  if (axis < 0 && is_by_position(p, shape_of(p, node->first_result))) axis = 1;
  for (int i = 0; i < node->n_operands && axis >= 0; i++) {
    if (!fits_elementwise(p, node->operands[i], axis)) return false;
  }
  return take_axis(p, node, axis);
}

/* A row op: what is behind the positions is worked on, by operands that are not of tokens. */
static bool pack_rows_alone(moire__rows *p, const moire__node *node) {
  int axis = axis_of(p, node->operands[0]);
  for (int i = 1; i < node->n_operands; i++) {
    if (p->packed[node->operands[i]]) return false;
  }
  return axis < shape_of(p, node->operands[0])->rank - 1 && take_axis(p, node, axis);
}

static bool pack_cross_entropy(moire__rows *p, const moire__node *node) {
  for (int i = 0; i < 2; i++) {
    if (!p->packed[node->operands[i]] || p->axis[node->operands[i]] != 0) return false;
  }
  return take_axis(p, node, 0);
}

/* Elements between samples and positions; -1: not fixed. */
static int64_t extent_between(const moire_shape *shape, int axis) {
  int64_t n = 1;
  for (int d = 1; d < axis; d++) {
    if (!moire__dim_is_static(shape->dims[d])) return -1;
    n *= shape->dims[d];
  }
  return n;
}

/* Positions and samples stay axes of their own, with as many elements between them; or they become one axis, or
 * are no longer one. */
static bool pack_reshape(moire__rows *p, const moire__node *node) {
  int axis = axis_of(p, node->operands[0]);
  const moire_shape *from = shape_of(p, node->operands[0]), *to = shape_of(p, node->first_result);
  if (axis < 0) return false;
  if (axis <= 1 && is_flat(p, to)) return take_axis(p, node, 0);
  if (axis == 0) return is_by_position(p, to) && take_axis(p, node, 1);
  int64_t between = extent_between(from, axis);
  for (int d = 1; d < to->rank; d++) {
    if (between >= 0 && extent_between(to, d) == between && take_axis(p, node, d)) return true;
  }
  return false;
}

static bool pack_permute(moire__rows *p, const moire__node *node) {
  int n = 0, axis = axis_of(p, node->operands[0]);
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  if (axis < 0 || axes[0] != 0) return false;
  for (int i = 0; i < n; i++) {
    if (axes[i] == axis) return take_axis(p, node, i);
  }
  return false;
}

static bool pack_broadcast(moire__rows *p, const moire__node *node) {
  int axis = axis_of(p, node->operands[0]);
  bool alike = shape_of(p, node->operands[0])->rank == shape_of(p, node->first_result)->rank;
  return axis >= 0 && alike && take_axis(p, node, axis);
}

/* Slices, sums: on axes that are not of samples or positions. */
static bool pack_other_axes(moire__rows *p, const moire__node *node) {
  int n = 1, axis = axis_of(p, node->operands[0]);
  int64_t one = moire__node_int_or(node, "axis", 0);
  const int64_t *axes = moire__node_attr(node, "axes") ? moire__node_ints(node, "axes", &n) : &one;
  for (int i = 0; i < n; i++) {
    if (axes[i] == 0 || axes[i] == axis) return false;
  }
  return take_axis(p, node, axis);
}

static bool pack_concat(moire__rows *p, const moire__node *node) {
  int64_t axis = moire__node_int(node, "axis");
  return axis != 0 && pack_elementwise(p, node) && p->axis[node->first_result] != axis;
}

static bool pack_gather(moire__rows *p, const moire__node *node) {
  int axis = axis_of(p, node->operands[1]);
  return !p->packed[node->operands[0]] && take_axis(p, node, axis);
}

static bool pack_take_rows(moire__rows *p, const moire__node *node) {
  int axis = axis_of(p, node->operands[0]);
  bool alike = axis >= 0 && axis_of(p, node->operands[1]) == axis;
  return alike && moire__node_int(node, "lead") > axis && take_axis(p, node, axis);
}

static bool pack_matmul(moire__rows *p, const moire__node *node) {
  bool flat = p->packed[node->operands[0]] && p->axis[node->operands[0]] == 0 && !p->packed[node->operands[1]];
  flat = flat && shape_of(p, node->first_result)->rank == 2 && !moire__node_int_or(node, "transpose_a", 0);
  return flat && take_axis(p, node, 0);
}

static bool is_attention_of_rows(const moire_graph *g, const moire__node *node) {
  if (node->op != MOIRE__OP_attention) return false;
  const moire_shape *q = &g->values[node->operands[0]].shape, *k = &g->values[node->operands[1]].shape;
  bool fits =
      moire__dim_factor(q->dims[0]) == 1 && !moire__dim_is_static(q->dims[0]) && q->dims[2] == k->dims[2];
  for (int d = 1; d < 4; d++) fits = fits && moire__dim_is_static(q->dims[d]);
  for (int i = 0; i < 3 && moire__node_int(node, "score") == 1; i++)
    fits = fits && g->values[node->operands[i]].dtype == MOIRE_C64;
  return fits && q->dims[2] >= 2 && moire__node_int(node, "causal") && !moire__node_int(node, "has_valid") &&
         !moire__node_int(node, "has_bias") && !moire__node_attr(node, "mask_shape") &&
         moire__node_real(node, "mask_value") <= -1000;
}

static bool pack_attention(moire__rows *p, int index) {
  const moire__node *node = &p->g->nodes[index];
  if (!is_attention_of_rows(p->g, node)) return false;
  for (int i = 0; i < 3; i++) {
    if (!p->packed[node->operands[i]] || p->axis[node->operands[i]] != 2) return false;
  }
  return p->attention[index] = take_axis(p, node, 2);
}

static bool pack_dropout(moire__rows *p, const moire__node *node) {
  return !moire__node_attr(node, "mask_shape") && axis_of(p, node->operands[0]) == 1 && take_axis(p, node, 1);
}

static bool is_packable(moire__rows *p, int index) {
  const moire__node *node = &p->g->nodes[index];
  switch ((int)node->op) {
    case MOIRE__OP_linear:
    case MOIRE__OP_layer_norm:
    case MOIRE__OP_softmax:
    case MOIRE__OP_log_softmax: return pack_rows_alone(p, node);
    case MOIRE__OP_cross_entropy: return pack_cross_entropy(p, node);
    case MOIRE__OP_reshape: return pack_reshape(p, node);
    case MOIRE__OP_permute: return pack_permute(p, node);
    case MOIRE__OP_broadcast: return pack_broadcast(p, node);
    case MOIRE__OP_slice:
    case MOIRE__OP_sum:
    case MOIRE__OP_reduce_max:
    case MOIRE__OP_reduce_prod: return pack_other_axes(p, node);
    case MOIRE__OP_concat: return pack_concat(p, node);
    case MOIRE__OP_gather: return pack_gather(p, node);
    case MOIRE__OP_take_rows: return pack_take_rows(p, node);
    case MOIRE__OP_matmul: return pack_matmul(p, node);
    case MOIRE__OP_dropout: return pack_dropout(p, node);
    case MOIRE__OP_attention: return pack_attention(p, index);
    default: break;
  }
  moire__op_class class = moire__op_get(node->op)->op_class;
  bool elementwise = class == MOIRE__CLASS_POINTWISE || class == MOIRE__CLASS_COMPLEX_PART;
  return elementwise && pack_elementwise(p, node);
}

/* ---- every use of a packed value knows tokens ---------------------------------------------------------------
 */

/* Masks are known where they are not packed, too. */
static bool is_mask(const moire__rows *p, const moire__node *node) {
  if (moire__op_get(node->op)->op_class != MOIRE__CLASS_POINTWISE) return false;
  const moire_shape *shape = shape_of(p, node->first_result);
  return (shape->rank == 2 && is_by_position(p, shape)) || (shape->rank == 1 && is_flat(p, shape));
}

static bool can_be_put_back(const moire__rows *p, int32_t value) {
  return p->rest[value] == MOIRE__REST_ZERO && p->axis[value] <= 1;
}

static bool use_is_fine(const moire__rows *p, int user, int32_t value) {
  const moire__node *node = &p->g->nodes[user];
  if (p->packed[node->first_result]) return true;
  if (moire__rows_is_total(p, node)) return p->rest[value] == MOIRE__REST_ZERO;
  return can_be_put_back(p, value);
}

static void mark_once(moire__rows *p) {
  const moire_graph *g = p->g;
  memset(p->attention, 0, (size_t)g->n_nodes * sizeof *p->attention);
  memset(p->rest, 0, (size_t)g->n_values * sizeof *p->rest);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    int32_t v = node->first_result;
    p->packed[v] = node->n_operands > 0 && node->n_results == 1 && !p->refused[v] && is_packable(p, i);
    if (p->packed[v] || is_mask(p, node)) p->rest[v] = moire__rows_rest_of(p, node);
  }
}

/* Unmarks values with a use that wants all positions, until none is left. */
static void mark(moire__rows *p) {
  const moire_graph *g = p->g;
  for (bool changed = true; changed;) {
    changed = false;
    mark_once(p);
    for (int i = 0; i < g->n_nodes; i++) {
      for (int o = 0; o < g->nodes[i].n_operands; o++) {
        int32_t v = g->nodes[i].operands[o];
        if (!p->packed[v] || use_is_fine(p, i, v)) continue;
        p->refused[v] = changed = true;
      }
    }
    for (int i = 0; i < g->n_outputs + g->n_updates; i++) {
      int32_t v = i < g->n_outputs ? g->outputs[i].value : g->updates[i - g->n_outputs].value;
      if (!p->packed[v] || can_be_put_back(p, v)) continue;
      p->refused[v] = changed = true;
    }
  }
}

static bool find_batch(moire__rows *p) {
  for (int i = 0; i < p->g->n_nodes; i++) {
    const moire__node *node = &p->g->nodes[i];
    if (!is_attention_of_rows(p->g, node)) continue;
    p->samples = shape_of(p, node->operands[0])->dims[0];
    p->length = shape_of(p, node->operands[0])->dims[2];
    return true;
  }
  return false;
}

bool moire__pack_rows(const moire_graph *g, const moire__goal *goal, moire_graph **out, moire_error *error) {
  moire__rows p = {.g = g};
  if (goal->off >> MOIRE_OPTIMIZATION_attend & 1 || !find_batch(&p)) return false;
  size_t n = (size_t)g->n_values;
  p.packed = moire__arena_array(&p.arena, n, sizeof *p.packed);
  p.refused = moire__arena_array(&p.arena, n, sizeof *p.refused);
  p.axis = moire__arena_array(&p.arena, n, sizeof *p.axis);
  p.rest = moire__arena_array(&p.arena, n, sizeof *p.rest);
  p.attention = moire__arena_array(&p.arena, (size_t)g->n_nodes + 1, sizeof *p.attention);
  mark(&p);
  bool found = false;
  for (int i = 0; i < g->n_nodes; i++) found = found || p.attention[i];
  found = found && (p.lengths || p.knows_ignored);
  if (found) *out = moire__rows_emit(&p, error);
  moire__arena_free(&p.arena);
  return found;
}
