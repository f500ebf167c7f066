/* pack, rows, second half: writes the graph of tokens.
 *
 *   [B, L, ..] -> [T, ..]      [B, H, L, d] -> [H, T, d], and [1, H, T, d] for attention      [B L, ..] -> [T,
 * ..]
 */
#include "compiler/ir/language/language_attend.h"
#include "compiler/pass/pack/pack_private.h"

#include <string.h>

typedef struct emit {
  moire__rows *p;
  moire__rewrite r;
  moire__pack_tokens t;
  moire_value position; /* i32[T]; null until it is wanted */
  int32_t *map;         /* of every old value: its packed form in the new graph, or 0 */
} emit;

enum {
  MOST_ATTRS = 16,
  WHOLE = 64 /* rows that a loss over many words wants at least (moire__head_joint_fits) */
};

static int64_t greatest_divisor(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static void declare_inputs(emit *e) {
  const moire__rows *p = e->p;
  const moire__node *lengths = p->lengths ? moire__node_of(p->g, p->lengths) : NULL;
  const moire__node *targets = p->knows_ignored ? moire__node_of(p->g, p->targets) : NULL;
  moire__attr attrs[5];
  int n = 0;
  int64_t block = greatest_divisor(p->length, WHOLE);
  attrs[n++] = moire__attr_make_int("length", p->length);
  attrs[n++] = moire__attr_make_int("block", block);
  if (lengths) attrs[n++] = moire__attr_make_text("lengths", moire__node_text(lengths, "name"));
  if (targets) attrs[n++] = moire__attr_make_text("targets", moire__node_text(targets, "name"));
  if (targets) attrs[n++] = moire__attr_make_int("ignored", p->ignored);
  const moire__node *named = lengths ? lengths : targets;
  e->t = (moire__pack_tokens){.g = e->r.to, .samples = p->samples, .length = p->length};
  moire__graph_pin(e->r.to, named);
  moire__pack_declare(&e->t, moire__node_text(named, "name"), block, attrs, n);
  moire__graph_unpin(e->r.to);
}

/* How many axes are gone before the positions of a packed value: its samples, or none. */
static int shift_of(int axis) { return axis > 0; }

static moire_shape packed_shape_at(const emit *e, int32_t old, int axis) {
  moire_shape shape = e->p->g->values[old].shape, packed = {.rank = shape.rank - shift_of(axis)};
  for (int d = shift_of(axis); d < shape.rank; d++)
    packed.dims[d - shift_of(axis)] = d == axis ? e->t.n : shape.dims[d];
  return packed;
}

static moire_shape packed_shape(const emit *e, int32_t old) { return packed_shape_at(e, old, e->p->axis[old]); }

/* ---- all positions, where tokens are wanted, and the other way
 * -----------------------------------------------
 */

static moire_value packed(emit *e, int32_t old) {
  if (!e->map[old]) e->map[old] = moire__pack_take_tokens(&e->t, moire__rewrite_value(&e->r, old)).id;
  return moire__value(e->r.to, e->map[old]);
}

static void put_back(emit *e, int32_t old) {
  if (!e->p->packed[old] || e->r.map[old]) return;
  moire_value all = moire__pack_put_back(&e->t, packed(e, old), e->p->g->values[old].shape);
  moire__rewrite_set(&e->r, old, all);
}

/* Where in its row each token stands. */
static moire_value position(emit *e) {
  if (moire_value_is_null(e->position)) {
    moire_value all = moire_iota(e->r.to, MOIRE_SHAPE(e->p->samples, e->p->length), 1);
    e->position = moire__pack_take_tokens(&e->t, all);
  }
  return e->position;
}

/* ---- operands of element-wise ops --------------------------------------------------------------------------
 */

static moire_value with_shape(emit *e, const moire__node *node, moire_shape shape, int shift) {
  moire__attr attrs[MOST_ATTRS];
  for (int i = 0; i < node->n_attrs; i++) {
    attrs[i] = node->attrs[i];
    if (strcmp(attrs[i].name, "shape") == 0) attrs[i] = moire__attr_make_dims("shape", &shape);
    if (strcmp(attrs[i].name, "axis") == 0) attrs[i].integer -= shift;
  }
  return moire__graph_emit(e->r.to, MOIRE_HERE, node->op, NULL, 0, attrs, node->n_attrs);
}

/* The operand of a broadcast without the axes in front of the result's axis `kept`, which are of extent 1. */
static moire_value without_front(emit *e, const moire__node *broadcast, int kept) {
  moire_value x = moire__rewrite_value(&e->r, broadcast->operands[0]);
  moire_shape from = moire__info(x)->shape, inner = {0};
  int behind = e->p->g->values[broadcast->first_result].shape.rank - kept;
  for (int d = from.rank > behind ? from.rank - behind : 0; d < from.rank; d++)
    inner.dims[inner.rank++] = from.dims[d];
  return inner.rank == from.rank ? x : moire__pack_reshape(x, inner);
}

/* [.., L, ..] at the tokens' positions. */
static moire_value at_positions(emit *e, const moire__node *broadcast, int axis) {
  moire_value operands[] = {without_front(e, broadcast, axis), position(e)};
  moire__attr padding = moire__attr_make_int("padding", -1);
  return moire__graph_emit(e->r.to, MOIRE_HERE, MOIRE__OP_gather, operands, 2, &padding, 1);
}

static moire_value operand(emit *e, int32_t old, int axis) {
  const moire__node *node = moire__node_of(e->p->g, old);
  moire_shape shape = packed_shape_at(e, old, axis);
  if (e->p->packed[old]) return packed(e, old);
  if (moire__rows_is_same_for_all(e->p, old, axis)) {
    if (node->op != MOIRE__OP_broadcast) return with_shape(e, node, shape, shift_of(axis));
    moire_value same = without_front(e, node, shift_of(axis));
    return moire__pack_node1(e->r.to, MOIRE__OP_broadcast, same, moire__attr_make_dims("shape", &shape));
  }
  if (!moire__rows_is_positional(e->p, old, axis)) return packed(e, old);
  moire_value there = at_positions(e, node, axis);
  if (moire__shape_equal(&moire__info(there)->shape, &shape)) return there;
  return moire__pack_node1(e->r.to, MOIRE__OP_broadcast, there, moire__attr_make_dims("shape", &shape));
}

/* ---- nodes -------------------------------------------------------------------------------------------------
 */

static moire_value emit_attention(emit *e, const moire__node *node) {
  moire_value qkv[3], x[11], rng = {0}, none = {0};
  bool waves = moire__node_int(node, "score") == 1;
  for (int i = 0; i < 3; i++) {
    qkv[i] = packed(e, node->operands[i]);
    moire_shape shape = moire__info(qkv[i])->shape;
    qkv[i] = moire__pack_reshape(qkv[i], MOIRE_SHAPE(1, shape.dims[0], shape.dims[1], shape.dims[2]));
  }
  int n = moire__attend_planes(qkv, waves, x);
  if (moire__node_int(node, "has_rng")) rng = moire__rewrite_value(&e->r, node->operands[3]);
  moire_value y = moire__pack_attend(&e->t, node, x, n, none, rng, false);
  if (moire_value_is_null(y)) return y;
  y = moire__attend_by_head(qkv[2], waves, y, waves ? moire__value(e->r.to, y.id + 1) : y);
  return moire__pack_reshape(y, packed_shape(e, node->first_result));
}

/* Sums over all samples and positions; the result is no value of tokens. */
static moire_value emit_total(emit *e, const moire__node *node) {
  int n = 0, left = 0, shift = shift_of(e->p->axis[node->operands[0]]);
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  int64_t own[MOIRE_MAX_RANK];
  for (int i = 0; i < n; i++) {
    if (axes[i] >= shift) own[left++] = axes[i] - shift;
  }
  moire_value sum = moire__pack_node1(e->r.to, node->op, packed(e, node->operands[0]),
                                      moire__attr_make_ints("axes", own, left));
  return shift ? moire__pack_reshape(sum, e->p->g->values[node->first_result].shape) : sum;
}

/* Attributes that number axes, or say the shape. */
static int packed_attrs(const emit *e, const moire__node *node, const moire_shape *shape, int64_t *axes,
                        moire__attr *attrs) {
  int shift = shift_of(e->p->axis[node->first_result]);
  for (int i = 0; i < node->n_attrs; i++) {
    moire__attr a = node->attrs[i];
    if (strcmp(a.name, "shape") == 0) a = moire__attr_make_dims("shape", shape);
    if (strcmp(a.name, "axis") == 0 || strcmp(a.name, "lead") == 0) a.integer -= shift;
    if (strcmp(a.name, "axes") == 0) {
      int skipped = node->op == MOIRE__OP_permute ? shift : 0; /* the samples stay in front */
      for (int k = skipped; k < a.n_ints; k++) axes[k - skipped] = a.ints[k] - shift;
      a = moire__attr_make_ints("axes", axes, a.n_ints - skipped);
    }
    attrs[i] = a;
  }
  return node->n_attrs;
}

/* Is the operand of the node a value of tokens, wherever it is one? Others are tables and weights. */
static bool is_of_tokens(const moire__node *node, int o) {
  switch ((int)node->op) {
    case MOIRE__OP_linear:
    case MOIRE__OP_layer_norm:
    case MOIRE__OP_matmul: return o == 0;
    case MOIRE__OP_gather: return o == 1;
    default: return true;
  }
}

static moire_value emit_node(emit *e, const moire__node *node) {
  int axis = e->p->axis[node->first_result];
  moire_shape shape = packed_shape(e, node->first_result);
  moire__op_class class = moire__op_get(node->op)->op_class;
  bool alike =
      class == MOIRE__CLASS_POINTWISE || class == MOIRE__CLASS_COMPLEX_PART || node->op == MOIRE__OP_concat;
  if (node->op == MOIRE__OP_dropout)
    return moire__pack_dropout(&e->t, node, &e->r, packed(e, node->operands[0]));
  if (node->op == MOIRE__OP_attention) return emit_attention(e, node);
  moire_value x[MOIRE__MAX_OPERANDS];
  for (int i = 0; i < node->n_operands; i++) {
    int32_t old = node->operands[i];
    x[i] = alike                   ? operand(e, old, axis)
           : is_of_tokens(node, i) ? packed(e, old)
                                   : moire__rewrite_value(&e->r, old);
  }
  moire__attr attrs[MOST_ATTRS];
  int64_t axes[MOIRE_MAX_RANK];
  int n = packed_attrs(e, node, &shape, axes, attrs);
  return moire__graph_emit(e->r.to, node->source, node->op, x, node->n_operands, attrs, n);
}

moire_graph *moire__rows_emit(moire__rows *p, moire_error *error) {
  const moire_graph *g = p->g;
  emit e = {.p = p, .r = moire__rewrite_begin(g)};
  e.map = moire__arena_array(&p->arena, (size_t)g->n_values, sizeof *e.map);
  declare_inputs(&e);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    bool total = moire__rows_is_total(p, node);
    moire__graph_pin(e.r.to, node);
    for (int o = 0; o < node->n_operands && !total && !p->packed[node->first_result]; o++)
      put_back(&e, node->operands[o]);
    if (p->packed[node->first_result])
      e.map[node->first_result] = emit_node(&e, node).id;
    else if (total)
      moire__rewrite_set(&e.r, node->first_result, emit_total(&e, node));
    moire__graph_unpin(e.r.to);
    if (!total && !p->packed[node->first_result]) moire__rewrite_clone(&e.r, node);
  }
  for (int i = 0; i < g->n_outputs + g->n_updates; i++) {
    int32_t v = i < g->n_outputs ? g->outputs[i].value : g->updates[i - g->n_outputs].value;
    moire__graph_pin(e.r.to, moire__node_of(g, v));
    put_back(&e, v);
    moire__graph_unpin(e.r.to);
  }
  return moire__rewrite_finish(&e.r, error);
}
