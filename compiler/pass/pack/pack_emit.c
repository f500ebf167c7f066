/* pack, second half: writes the graph of tokens. The samples' axis goes, the axis of positions becomes T:
 *
 *   [B, L, ..] -> [T, ..]      [B, H, L, d] -> [H, T, d], and [1, H, T, d] for attend
 */
#include "compiler/pass/pack/pack_private.h"

#include <string.h>

typedef struct emit {
  moire__pack *p;
  moire__rewrite r;
  moire__pack_tokens t;
  int32_t *map; /* of every old value: its packed form in the new graph, or 0 */
} emit;

static moire_shape packed_shape(const emit *e, int32_t old) {
  moire_shape shape = e->p->g->values[old].shape, packed = {.rank = shape.rank - 1};
  for (int d = 1; d < shape.rank; d++) packed.dims[d - 1] = d == e->p->axis[old] ? e->t.n : shape.dims[d];
  return packed;
}

static void declare_inputs(emit *e) {
  const moire__node *ids = moire__node_of(e->p->g, e->p->ids);
  e->t = (moire__pack_tokens){.g = e->r.to, .samples = e->p->samples, .length = e->p->length};
  moire__graph_pin(e->r.to, ids);
  moire__pack_declare(&e->t, moire__node_text(ids, "name"), 1, NULL, 0);
  moire__graph_unpin(e->r.to);
}

static moire_value packed(emit *e, int32_t old) {
  if (!e->map[old]) e->map[old] = moire__pack_take_tokens(&e->t, moire__rewrite_value(&e->r, old)).id;
  return moire__value(e->r.to, e->map[old]);
}

/* An element-wise operand: tokens, or the same for all of them. */
static moire_value operand(emit *e, int32_t old, moire_shape shape) {
  const moire__node *node = moire__node_of(e->p->g, old);
  if (e->p->packed[old]) return packed(e, old);
  if (node->op == MOIRE__OP_constant) {
    moire__attr attrs[8];
    for (int i = 0; i < node->n_attrs; i++) {
      attrs[i] = node->attrs[i];
      if (strcmp(attrs[i].name, "shape") == 0) attrs[i] = moire__attr_make_dims("shape", &shape);
    }
    return moire__graph_emit(e->r.to, MOIRE_HERE, node->op, NULL, 0, attrs, node->n_attrs);
  }
  if (node->op != MOIRE__OP_broadcast) return packed(e, old);
  moire_value small = moire__rewrite_value(&e->r, node->operands[0]);
  moire_shape from = moire__info(small)->shape, inner = {0};
  int rank = e->p->g->values[old].shape.rank;
  for (int d = 0; d < from.rank; d++) {
    int axis = rank - from.rank + d;
    if (axis >= 2) inner.dims[inner.rank++] = from.dims[d];
    if (axis < 2 && from.dims[d] != 1) return packed(e, old);
  }
  if (!moire__shape_equal(&from, &inner)) small = moire__pack_reshape(small, inner);
  return moire__pack_node1(e->r.to, MOIRE__OP_broadcast, small, moire__attr_make_dims("shape", &shape));
}

static moire_value emit_permute(emit *e, const moire__node *node) {
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  int64_t without[MOIRE_MAX_RANK];
  for (int i = 1; i < n; i++) without[i - 1] = axes[i] - 1;
  return moire__pack_node1(e->r.to, MOIRE__OP_permute, packed(e, node->operands[0]),
                           moire__attr_make_ints("axes", without, n - 1));
}

static moire_value emit_node(emit *e, const moire__node *node) {
  moire_shape shape = packed_shape(e, node->first_result);
  if (node->op == MOIRE__OP_dropout)
    return moire__pack_dropout(&e->t, node, &e->r, packed(e, node->operands[0]));
  if (node->op == MOIRE__OP_permute) return emit_permute(e, node);
  if (node->op == MOIRE__OP_reshape) return moire__pack_reshape(packed(e, node->operands[0]), shape);
  if (node->op == MOIRE__OP_broadcast)
    return moire__pack_node1(e->r.to, MOIRE__OP_broadcast, packed(e, node->operands[0]),
                             moire__attr_make_dims("shape", &shape));
  bool row = node->op == MOIRE__OP_linear || node->op == MOIRE__OP_layer_norm;
  moire_value operands[MOIRE__MAX_OPERANDS];
  for (int i = 0; i < node->n_operands; i++) {
    if (row) {
      operands[i] = i ? moire__rewrite_value(&e->r, node->operands[i]) : packed(e, node->operands[i]);
    } else {
      operands[i] = operand(e, node->operands[i], shape);
    }
  }
  moire__attr axis = moire__attr_make_int("axis", moire__node_int_or(node, "axis", 1) - 1);
  bool concat = node->op == MOIRE__OP_concat;
  return moire__graph_emit(e->r.to, node->source, node->op, operands, node->n_operands,
                           concat ? &axis : node->attrs, concat ? 1 : node->n_attrs);
}

/* Of ids that nothing but masks reads nothing would be left to find the tokens of. */
static bool only_masks_read_ids(const moire__pack *p) {
  for (int i = 0; i < p->g->n_nodes; i++) {
    const moire__node *node = &p->g->nodes[i];
    bool compares =
        node->op == MOIRE__OP_less || node->op == MOIRE__OP_less_equal || node->op == MOIRE__OP_equal;
    for (int o = 0; o < node->n_operands && !compares; o++) {
      if (node->operands[o] == p->ids) return false;
    }
  }
  return true;
}

/* Which tokens are keys: what the runtime found, or the mask itself where that keeps the ids. */
static moire_value emit_valid(emit *e, const moire__node *node) {
  if (!only_masks_read_ids(e->p)) return e->t.valid;
  moire_value mask = moire__rewrite_value(&e->r, node->operands[3]);
  moire_shape all = {.rank = 1};
  moire__dim_multiply(e->p->samples, e->p->length, &all.dims[0]);
  return moire__pack_take(moire__pack_reshape(mask, all), e->t.tokens, e->t.slots);
}

static moire_value emit_attention(emit *e, const moire__node *node) {
  moire_value x[11];
  int n = 0;
  bool all = e->p->packed[node->operands[0]], waves = moire__node_int(node, "score") == 1;
  for (int i = 0; i < 3; i++) {
    moire_value wave = moire__rewrite_value(&e->r, node->operands[i]);
    if (i > 0 || all) {
      wave = packed(e, node->operands[i]);
      moire_shape shape = moire__info(wave)->shape;
      wave = moire__pack_reshape(wave, MOIRE_SHAPE(1, shape.dims[0], shape.dims[1], shape.dims[2]));
    }
    x[n++] = waves ? moire_real(wave) : wave;
    if (waves) x[n++] = moire_imag(wave);
  }
  moire_value valid = emit_valid(e, node), rng = {0};
  if (moire__node_int(node, "has_rng")) rng = moire__rewrite_value(&e->r, node->operands[node->n_operands - 1]);
  moire_value y = moire__pack_attend(&e->t, node, x, n, valid, rng, !all);
  if (moire_value_is_null(y)) return y;
  if (waves) y = moire_complex(y, moire__value(e->r.to, y.id + 1));
  y = moire_swap_axes(y, 1, 2); /* by head again */
  return all ? moire__pack_reshape(y, packed_shape(e, node->first_result)) : y;
}

static moire_value emit_last(emit *e, const moire__node *node) {
  return moire__pack_reshape(moire__pack_take(packed(e, node->operands[0]), e->t.last, e->t.ends),
                             e->p->g->values[node->first_result].shape);
}

/* Causal filters that are read at tokens alone. */
static bool is_filter_of_tokens(const moire__pack *p, const moire__node *node) {
  const moire_graph *g = p->g;
  bool filter =
      node->op == MOIRE__OP_depthwise_conv && node->n_operands == 2 && !moire__node_int_or(node, "reverse", 0);
  if (!p->filters || !(filter || node->op == MOIRE__OP_filter_bank)) return false;
  int32_t v = node->first_result;
  const moire_dim *dims = g->values[v].shape.dims;
  if (dims[0] != p->samples || dims[1] != p->length || !moire__packed_filter_fits(dims[1], dims[2]))
    return false;
  bool used = false;
  for (int i = 0; i < g->n_nodes; i++) {
    for (int o = 0; o < g->nodes[i].n_operands; o++) {
      if (g->nodes[i].operands[o] != v) continue;
      if (!p->packed[g->nodes[i].first_result]) return false;
      used = true;
    }
  }
  for (int i = 0; i < g->n_outputs + g->n_updates; i++) {
    if (v == (i < g->n_outputs ? g->outputs[i].value : g->updates[i - g->n_outputs].value)) return false;
  }
  return used;
}

static moire_value emit_filter(emit *e, const moire__node *node) {
  moire_value x[MOIRE__MAX_OPERANDS];
  int n = 0;
  for (; n < node->n_operands; n++) x[n] = moire__rewrite_value(&e->r, node->operands[n]);
  x[n++] = e->t.tokens;
  x[n++] = e->t.slots;
  x[n++] = e->t.starts;
  x[n++] = e->t.counts;
  bool bank = node->op == MOIRE__OP_filter_bank;
  moire__attr attrs[] = {*moire__node_attr(node, bank ? "dilations" : "shifts"),
                         moire__attr_make_int("packed", 1)};
  return moire__graph_emit(e->r.to, node->source, node->op, x, n, attrs, bank ? 2 : 1);
}

static void emit_one(emit *e, int index) {
  const moire__node *node = &e->p->g->nodes[index];
  int32_t v = node->first_result;
  bool sliced = node->op == MOIRE__OP_slice && e->p->packed[node->operands[0]];
  if (e->p->attention[index] && !e->p->packed[v]) {
    moire__rewrite_set(&e->r, v, emit_attention(e, node));
  } else if (e->p->attention[index]) {
    e->map[v] = emit_attention(e, node).id;
  } else if (e->p->packed[v]) {
    e->map[v] = emit_node(e, node).id;
  } else if (sliced) {
    moire__rewrite_set(&e->r, v, emit_last(e, node));
  } else {
    e->map[v] = emit_filter(e, node).id;
  }
}

moire_graph *moire__pack_emit(moire__pack *p, moire_error *error) {
  emit e = {.p = p, .r = moire__rewrite_begin(p->g)};
  e.map = moire__arena_array(&p->arena, (size_t)p->g->n_values, sizeof *e.map);
  declare_inputs(&e);
  for (int i = 0; i < p->g->n_nodes; i++) {
    const moire__node *node = &p->g->nodes[i];
    bool sliced = node->op == MOIRE__OP_slice && p->packed[node->operands[0]];
    bool filter = !p->packed[node->first_result] && is_filter_of_tokens(p, node);
    if (!p->attention[i] && !p->packed[node->first_result] && !sliced && !filter) {
      moire__rewrite_clone(&e.r, node);
      continue;
    }
    moire__graph_pin(e.r.to, node);
    emit_one(&e, i);
    moire__graph_unpin(e.r.to);
  }
  return moire__rewrite_finish(&e.r, error);
}
