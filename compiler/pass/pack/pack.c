/* pack: tokens that are padding are left out, where nothing that is read can depend on them.
 *
 * Histories are padded in front, and their last position is read: this file. Rows of text are padded behind,
 * and all of their positions are read: rows.c, which is tried where there are no histories.
 *
 * In a batch ids[B, L] of histories padded to L positions, attention lets no query see a padded key, and the
 * last position is all that is read of a sample. So between the values that mix positions in other ways
 * (convolutions) and the slice of the last position, only tokens are computed: a value [B, L, ..] becomes [T,
 * ..], T tokens standing one after the other (take), and attention runs over the tokens of each sample (attend,
 * packed).
 *
 * Tokens are the positions with ids > 0, the last position of every sample, and all positions of a sample
 * without any: its queries see no key and attend to all (ops/attention/attend.h). What is left out meets the
 * others only through weights exp(mask_value + s) of masked keys, which are 0 in float32 unless scores of one
 * row differ by thousands; that is the rule's one assumption, and mask_value must be -1000 or less for it.
 * Random masks are those of the padded batch.
 *
 * Where what is left of the packed values is a filter or a bank of them, it is computed at tokens alone, from
 * all positions of its operand.
 *
 * Requires: attention as a composite (before expand), slices moved up (after demand). Ensures: same outputs and
 * gradients. The runtime computes the inputs "<ids>.tokens", ... that the pass adds (runtime/base/packing.h).
 */
#include "compiler/ir/graph/view.h"
#include "compiler/pass/pack/pack_private.h"
#include "compiler/pass/pass.h"
#include "compiler/pass/walk.h"

#include <string.h>

/* ---- what can be packed ---- */

static bool is_tokens_shape(const moire__pack *p, const moire_shape *shape) {
  return shape->rank >= 3 && shape->dims[0] == p->samples && shape->dims[1] == p->length;
}

static const moire_shape *shape_of(const moire__pack *p, int32_t value) { return &p->g->values[value].shape; }

/* A value that is not packed itself but can be where it is read: [B, L, ..]. */
static bool is_leaf(const moire__pack *p, int32_t value) {
  return !p->packed[value] && is_tokens_shape(p, shape_of(p, value));
}

/* An element-wise operand that does not vary over samples and positions. */
static bool is_same_for_all(const moire__pack *p, int32_t value) {
  const moire__node *node = moire__node_of(p->g, value);
  if (node->op == MOIRE__OP_constant) return true;
  if (node->op != MOIRE__OP_broadcast) return false;
  const moire_shape *from = shape_of(p, node->operands[0]), *to = shape_of(p, value);
  for (int d = 0; d < from->rank; d++) {
    int axis = to->rank - from->rank + d;
    if (axis < 2 && from->dims[d] != 1) return false;
  }
  return true;
}

static bool pack_elementwise(moire__pack *p, const moire__node *node, int n_operands) {
  if (!is_tokens_shape(p, shape_of(p, node->first_result))) return false;
  for (int i = 0; i < n_operands; i++) {
    int32_t x = node->operands[i];
    bool tokens = p->packed[x] ? p->axis[x] == 1 : is_leaf(p, x) && !is_same_for_all(p, x);
    if (!tokens && !is_same_for_all(p, x)) return false;
  }
  p->axis[node->first_result] = 1;
  return true;
}

static bool pack_shape(moire__pack *p, const moire__node *node) {
  int32_t x = node->operands[0];
  if (!p->packed[x]) return false;
  if (node->op == MOIRE__OP_reshape) {
    if (p->axis[x] != 1 || !is_tokens_shape(p, shape_of(p, node->first_result))) return false;
    p->axis[node->first_result] = 1;
    return true;
  }
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  if (axes[0] != 0) return false;
  for (int i = 1; i < n; i++) {
    if (axes[i] == p->axis[x]) p->axis[node->first_result] = i;
  }
  return true;
}

/* A broadcast over axes behind the positions. */
static bool pack_broadcast(moire__pack *p, const moire__node *node) {
  int32_t x = node->operands[0];
  bool tokens = is_tokens_shape(p, shape_of(p, x)) && is_tokens_shape(p, shape_of(p, node->first_result));
  if (!tokens || shape_of(p, x)->rank != shape_of(p, node->first_result)->rank) return false;
  if (p->packed[x] ? p->axis[x] != 1 : !is_leaf(p, x)) return false;
  p->axis[node->first_result] = 1;
  return true;
}

static bool pack_concat(moire__pack *p, const moire__node *node) {
  return moire__node_int(node, "axis") >= 2 && pack_elementwise(p, node, node->n_operands);
}

static bool is_ids_type(moire_dtype dtype) { return dtype == MOIRE_I32 || dtype == MOIRE_I64; }

/* Whether one of the operands of a comparison is this number everywhere. */
static bool compares_with(const moire_graph *g, const moire__node *node, int operand, double wanted) {
  int32_t value = node->operands[operand];
  if (moire__node_of(g, value)->op == MOIRE__OP_broadcast) value = moire__node_of(g, value)->operands[0];
  double number = wanted + 1;
  return moire__constant_number(g, value, &number) && number == wanted;
}

/* Rows of a table are not negative. */
static bool is_looked_up(const moire_graph *g, int32_t ids) {
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op == MOIRE__OP_gather && g->nodes[i].operands[1] == ids) return true;
  }
  return false;
}

/* The ids of which a key_valid operand says that they are more than 0, in one of its spellings:
 *
 *   0 < ids     1 <= ids     not(ids <= 0)     not(ids < 1)     not(ids = 0), where they are rows of a table
 *
 * 0 if it is anything else. */
static int32_t ids_of_valid(const moire_graph *g, int32_t valid) {
  const moire__node *node = moire__node_of(g, valid);
  bool negated = false;
  for (; node->op == MOIRE__OP_not; negated = !negated) node = moire__node_of(g, node->operands[0]);
  int ids = negated ? 0 : 1; /* which operand they are */
  bool fits = false;
  if (node->op == MOIRE__OP_less) fits = compares_with(g, node, 1 - ids, negated ? 1 : 0);
  if (node->op == MOIRE__OP_less_equal) fits = compares_with(g, node, 1 - ids, negated ? 0 : 1);
  if (node->op == MOIRE__OP_equal && negated) {
    ids = compares_with(g, node, 0, 0) ? 1 : 0;
    fits = compares_with(g, node, 1 - ids, 0) && is_looked_up(g, node->operands[ids]);
  }
  fits = fits && is_ids_type(g->values[node->operands[ids]].dtype);
  return fits && moire__node_of(g, node->operands[ids])->op == MOIRE__OP_input ? node->operands[ids] : 0;
}

static bool is_packable_attention(const moire__pack *p, const moire__node *node) {
  if (node->op != MOIRE__OP_attention) return false;
  moire_dtype dtype = moire__node_int(node, "score") == 1 ? MOIRE_C64 : MOIRE_F32;
  for (int i = 0; i < 3; i++) {
    if (p->g->values[node->operands[i]].dtype != dtype) return false;
  }
  bool usual = moire__node_int(node, "causal") && moire__node_int(node, "has_valid") &&
               !moire__node_int(node, "has_bias") && moire__node_real(node, "mask_value") <= -1000;
  return usual && ids_of_valid(p->g, node->operands[3]) == p->ids;
}

static bool pack_attention(moire__pack *p, int index) {
  const moire__node *node = &p->g->nodes[index];
  if (!is_packable_attention(p, node)) return false;
  for (int i = 1; i < 3; i++) {
    if (!p->packed[node->operands[i]] || p->axis[node->operands[i]] != 2) return false;
  }
  int32_t q = node->operands[0];
  bool all = p->packed[q] && p->axis[q] == 2;
  if (!all && (p->packed[q] || shape_of(p, q)->dims[2] != 1)) return false;
  p->attention[index] = true;
  p->axis[node->first_result] = 2;
  return all;
}

/* Is the node's result a value of tokens, given that its operands are as marked? */
static bool is_packable(moire__pack *p, int index) {
  const moire__node *node = &p->g->nodes[index];
  moire__op_class class = moire__op_get(node->op)->op_class;
  if (node->op == MOIRE__OP_attention) return pack_attention(p, index);
  if (node->op == MOIRE__OP_linear || node->op == MOIRE__OP_layer_norm) return pack_elementwise(p, node, 1);
  if (node->op == MOIRE__OP_dropout)
    return !moire__node_attr(node, "mask_shape") && pack_elementwise(p, node, 1);
  if (node->op == MOIRE__OP_reshape || node->op == MOIRE__OP_permute) return pack_shape(p, node);
  if (node->op == MOIRE__OP_broadcast) return pack_broadcast(p, node);
  if (node->op == MOIRE__OP_concat) return pack_concat(p, node);
  bool elementwise = class == MOIRE__CLASS_POINTWISE || class == MOIRE__CLASS_COMPLEX_PART;
  return elementwise && pack_elementwise(p, node, node->n_operands);
}

/* ---- what is worth it: every use of a packed value knows tokens ---- */

static bool is_last_position(const moire__pack *p, const moire__node *node) {
  return node->op == MOIRE__OP_slice && p->axis[node->operands[0]] == 1 && moire__node_int(node, "axis") == 1 &&
         moire__node_int(node, "start") == p->length - 1 && moire__node_int(node, "length") == 1;
}

static bool use_is_fine(const moire__pack *p, int user, int operand) {
  const moire__node *node = &p->g->nodes[user];
  if (p->attention[user]) return operand < 3;
  if (p->packed[node->first_result]) return true;
  return is_last_position(p, node);
}

/* Unmarks values with a use that wants all positions, until none is left. */
static void mark(moire__pack *p) {
  const moire_graph *g = p->g;
  for (bool changed = true; changed;) {
    changed = false;
    memset(p->attention, 0, (size_t)g->n_nodes * sizeof *p->attention);
    for (int i = 0; i < g->n_nodes; i++) {
      int32_t v = g->nodes[i].first_result;
      p->packed[v] = !p->refused[v] && is_packable(p, i);
    }
    for (int i = 0; i < g->n_nodes; i++) {
      for (int o = 0; o < g->nodes[i].n_operands; o++) {
        int32_t v = g->nodes[i].operands[o];
        if (!p->packed[v] || use_is_fine(p, i, o)) continue;
        p->refused[v] = changed = true;
      }
    }
    for (int i = 0; i < g->n_outputs + g->n_updates; i++) {
      int32_t v = i < g->n_outputs ? g->outputs[i].value : g->updates[i - g->n_outputs].value;
      if (!p->packed[v]) continue;
      p->refused[v] = changed = true;
    }
  }
}

static bool find_batch(moire__pack *p) {
  for (int i = 0; i < p->g->n_nodes; i++) {
    const moire__node *node = &p->g->nodes[i];
    if (node->op != MOIRE__OP_attention || !moire__node_int(node, "has_valid")) continue;
    p->ids = ids_of_valid(p->g, node->operands[3]);
    if (!p->ids) continue;
    const moire_shape *shape = shape_of(p, p->ids);
    p->samples = shape->dims[0];
    p->length = shape->dims[1];
    bool fits = shape->rank == 2 && moire__dim_is_static(p->length) && !moire__dim_is_static(p->samples) &&
                moire__dim_factor(p->samples) == 1;
    if (fits && is_packable_attention(p, node)) return true;
  }
  return false;
}

/* Looked up by ids[B, L], as histories are: what may have padding. */
static bool has_histories(const moire_graph *g) {
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (!moire__is_lookup(node)) continue;
    const moire__node *ids = moire__node_of(g, node->operands[1]);
    const moire_shape *shape = &g->values[node->operands[1]].shape;
    if (ids->op == MOIRE__OP_input && shape->rank == 2 && !moire__dim_is_static(shape->dims[0])) return true;
  }
  return false;
}

/* Why padding is computed. */
static void say_why(const moire_graph *g, const moire__goal *goal, bool found, moire__text *out) {
  if (!out || !has_histories(g)) return;
  const char *why = "the attention that hides it stands between operations that mix positions";
  if (!found)
    why = "no causal attention with a mask ids > 0 of -1000 or less hides it, and what is read of rows is not "
          "masked by their lengths, or by targets that do not count";
  if (!goal->pack) why = "no input is one that the runtime may compute";
  moire__text_add(out, "padding is computed, too: %s\n", why);
}

moire_graph *moire__pass_pack(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__rewrite all = {0};
  moire__pack p = {.g = g, .filters = !(goal->off >> MOIRE_OPTIMIZATION_taps & 1)};
  bool found = goal->pack && find_batch(&p);
  if (found) {
    size_t n = (size_t)g->n_values;
    p.packed = moire__arena_array(&p.arena, n, sizeof *p.packed);
    p.refused = moire__arena_array(&p.arena, n, sizeof *p.refused);
    p.axis = moire__arena_array(&p.arena, n, sizeof *p.axis);
    p.attention = moire__arena_array(&p.arena, (size_t)g->n_nodes + 1, sizeof *p.attention);
    mark(&p);
    found = false;
    for (int i = 0; i < g->n_nodes; i++) found = found || p.attention[i];
  }
  if (found) {
    moire_graph *packed = moire__pack_emit(&p, error);
    moire__arena_free(&p.arena);
    return packed;
  }
  moire__arena_free(&p.arena);
  moire_graph *rows = NULL;
  if (goal->pack && moire__pack_rows(g, goal, &rows, error)) return rows;
  say_why(g, goal, p.packed != NULL, goal->remarks);
  all = moire__rewrite_all(g);
  return moire__rewrite_finish(&all, error);
}
