/* Whether the samples of a batch are computed apart. See rows.h.
 *
 * On a copy of the graph with five samples, each op is asked (by its `demand` part) what the second sample of
 * its result needs: it must be the second sample of every operand that has samples, and all of those that have
 * none. The second of five is not the middle, which stays in its place where a batch is turned around. Values
 * along whose axis B the samples lie one after the other, factor by factor, are known by that axis in the graph
 * as it was. */
#include "compiler/driver/ahead/rows.h"

#include "compiler/ir/graph/rewrite.h"
#include "compiler/ir/op.h"

#include <string.h>

enum { SAMPLES = 5, NONE = -1 };

typedef struct rows {
  const moire_graph *g;
  moire__rewrite r; /* the copy, with SAMPLES for B */
  moire__arena arena;
  int batch;    /* number of the extent B */
  bool *needed; /* by value of g */
} rows;

/* Whether B is in the shape at most once, and by itself: nothing is made of pairs of samples. */
static bool has_one_batch(const rows *s, int32_t value) {
  const moire_shape *shape = &s->g->values[value].shape;
  int found = 0;
  for (int i = 0; i < shape->rank; i++) {
    for (int j = 0; moire__dim_extent(shape->dims[i], j); j++) {
      if (moire__dim_extent(shape->dims[i], j) != s->batch) continue;
      if (moire__dim_extents(shape->dims[i]) != s->batch) return false;
      found++;
    }
  }
  return found < 2;
}

/* The axis of B; NONE if the shape has none. */
static int batch_axis(const rows *s, int32_t value) {
  const moire_shape *shape = &s->g->values[value].shape;
  for (int i = 0; i < shape->rank; i++) {
    if (moire__dim_extents(shape->dims[i]) == s->batch) return i;
  }
  return NONE;
}

/* Elements of one sample along that axis. */
static int64_t factor_of(const rows *s, int32_t value) {
  return moire__dim_factor(s->g->values[value].shape.dims[batch_axis(s, value)]);
}

static moire__attr with_samples(rows *s, moire__attr attr) {
  if (attr.kind != MOIRE__ATTR_DIMS) return attr;
  int64_t *dims = moire__arena_array(&s->arena, (size_t)attr.n_ints + 1, sizeof *dims);
  for (int i = 0; i < attr.n_ints; i++) {
    bool is_batch = moire__dim_extents(attr.ints[i]) == s->batch;
    dims[i] = is_batch ? SAMPLES * moire__dim_factor(attr.ints[i]) : attr.ints[i];
  }
  attr.ints = dims;
  return attr;
}

static bool clone(rows *s, const moire__node *node) {
  moire__attr *attrs = moire__arena_array(&s->arena, (size_t)node->n_attrs + 1, sizeof *attrs);
  moire_value operands[MOIRE__MAX_OPERANDS];
  for (int i = 0; i < node->n_attrs; i++) attrs[i] = with_samples(s, node->attrs[i]);
  for (int i = 0; i < node->n_operands; i++) operands[i] = moire__rewrite_value(&s->r, node->operands[i]);
  moire_value first =
      moire__graph_emit(s->r.to, node->source, node->op, operands, node->n_operands, attrs, node->n_attrs);
  for (int i = 0; i < node->n_results && first.id; i++) s->r.map[node->first_result + i] = first.id + i;
  return first.id != 0;
}

/* ---- One node --------------------------------------------------------------------------------------- */

/* Samples lie one after the other: nothing but extents of 1 stands before B. */
static bool is_outermost(const rows *s, int32_t value) {
  for (int i = 0; i < batch_axis(s, value); i++) {
    if (s->g->values[value].shape.dims[i] != 1) return false;
  }
  return true;
}

/* Whether `part` is the second sample of the operand. */
static bool is_second_sample(const rows *s, int32_t operand, moire_value part) {
  const moire__node *node = moire__node_of(s->r.to, part.id);
  int64_t factor = factor_of(s, operand);
  return node->op == MOIRE__OP_slice && node->operands[0] == s->r.map[operand] &&
         moire__node_int(node, "axis") == batch_axis(s, operand) && moire__node_int(node, "start") == factor &&
         moire__node_int(node, "length") == factor;
}

static bool asks_for_one_sample(const rows *s, const moire__node *node) {
  const moire__op_info *op = moire__op_get(node->op);
  const moire__node copy = *moire__node_of(s->r.to, s->r.map[node->first_result]);
  int axis = batch_axis(s, node->first_result);
  int64_t factor = factor_of(s, node->first_result);
  moire__demand c = {.g = s->r.to,
                     .node = &copy,
                     .n_operands = copy.n_operands,
                     .axis = axis,
                     .start = factor,
                     .length = factor,
                     .extent = SAMPLES * factor,
                     .n_attrs = copy.n_attrs};
  if (!op->demand || copy.n_results != 1 || copy.n_attrs > (int)(sizeof c.attrs / sizeof *c.attrs))
    return false;
  for (int i = 0; i < copy.n_attrs; i++) c.attrs[i] = copy.attrs[i];
  for (int i = 0; i < copy.n_operands; i++) c.operands[i] = moire__value(s->r.to, copy.operands[i]);
  if (!op->demand(&c)) return false;
  for (int i = 0; i < c.n_operands; i++) {
    if (moire_value_is_null(c.operands[i])) return false;
    bool good = batch_axis(s, node->operands[i]) == NONE
                    ? c.operands[i].id == copy.operands[i]
                    : is_second_sample(s, node->operands[i], c.operands[i]);
    if (!good) return false;
  }
  return true;
}

/* Operands with samples have them on the axis of the result, as many elements each. */
static bool keeps_axis(const rows *s, const moire__node *node) {
  for (int i = 0; i < node->n_operands; i++) {
    int32_t v = node->operands[i];
    if (batch_axis(s, v) == NONE) continue;
    if (batch_axis(s, v) != batch_axis(s, node->first_result)) return false;
    if (factor_of(s, v) != factor_of(s, node->first_result)) return false;
  }
  return true;
}

static bool is_apart(const rows *s, const moire__node *node) {
  const moire__op_info *op = moire__op_get(node->op);
  int32_t result = node->first_result;
  bool has_samples = batch_axis(s, result) != NONE;
  for (int i = 0; i < node->n_operands && !has_samples; i++) {
    if (batch_axis(s, node->operands[i]) != NONE) return false; /* samples come together */
  }
  if (!has_samples) return node->op != MOIRE__OP_random_mask && node->op != MOIRE__OP_random_word;
  if (node->op == MOIRE__OP_input) return batch_axis(s, result) == 0;
  if (node->op == MOIRE__OP_constant) return true;
  if (node->op == MOIRE__OP_iota) return moire__node_int(node, "axis") != batch_axis(s, result);
  if (op->op_class == MOIRE__CLASS_SOURCE) return false;
  if (op->op_class == MOIRE__CLASS_POINTWISE || op->op_class == MOIRE__CLASS_COMPLEX_PART)
    return keeps_axis(s, node);
  if (node->op == MOIRE__OP_slice) return keeps_axis(s, node);
  if (node->op == MOIRE__OP_reshape && is_outermost(s, node->operands[0]) && is_outermost(s, result))
    return true;
  return asks_for_one_sample(s, node);
}

/* ---- The graph -------------------------------------------------------------------------------------- */

static void find_needed(rows *s, const char *const *outputs, int n_outputs) {
  for (int i = 0; i < n_outputs; i++) s->needed[moire__graph_find_output(s->g, outputs[i])] = true;
  for (int n = s->g->n_nodes - 1; n >= 0; n--) {
    const moire__node *node = &s->g->nodes[n];
    bool needed = false;
    for (int i = 0; i < node->n_results; i++) needed = needed || s->needed[node->first_result + i];
    for (int i = 0; i < node->n_operands && needed; i++) s->needed[node->operands[i]] = true;
  }
}

bool moire__ahead_rows_are_apart(const moire_graph *g, const char *const *outputs, int n_outputs) {
  rows s = {.g = g, .r = moire__rewrite_begin(g), .batch = moire__graph_find_extent(g, "B", 1)};
  s.needed = moire__arena_array(&s.arena, (size_t)g->n_values + 1, sizeof *s.needed);
  find_needed(&s, outputs, n_outputs);
  bool apart = s.batch > 0;
  for (int n = 0; n < g->n_nodes && apart; n++) {
    const moire__node *node = &g->nodes[n];
    bool needed = false;
    for (int i = 0; i < node->n_results; i++) needed = needed || s.needed[node->first_result + i];
    for (int i = 0; i < node->n_results && needed; i++)
      apart = apart && has_one_batch(&s, node->first_result + i);
    if (needed && apart) apart = clone(&s, node) && is_apart(&s, node);
  }
  moire__rewrite_abandon(&s.r);
  moire__arena_free(&s.arena);
  return apart;
}
