/* The geometry of correlate and correlate_weight, and nodes of them: see correlate.h. */
#include "ops/convolution/correlate.h"

static bool is_weight(const moire__node *node) { return node->op == MOIRE__OP_correlate_weight; }

static const int64_t *numbers_of(const moire__node *node, const char *name) {
  int n = 0;
  return moire__node_ints(node, name, &n);
}

moire__correlation moire__correlate_in(const moire_graph *g, const moire__node *node) {
  return moire__correlate_of(node, &g->values[node->operands[0]].shape, &g->values[node->operands[1]].shape);
}

moire__correlation moire__correlate_of(const moire__node *node, const moire_shape *x,
                                       const moire_shape *other) {
  moire__correlation k = {.axes = x->rank - 2, .batch = x->dims[0]};
  k.axis[0] = (moire__correlate_axis){1, 1, 1, 1, 0, 1};
  k.groups = moire__node_int(node, "groups");
  k.flipped = moire__node_int_or(node, "flipped", 0) != 0;
  k.in = x->dims[1] / k.groups;
  k.out = k.flipped ? other->dims[1] : other->dims[is_weight(node) ? 1 : 0] / k.groups;
  const int64_t *stride = numbers_of(node, "stride"), *dilation = numbers_of(node, "dilation"),
                *start = numbers_of(node, "start"),
                *last = numbers_of(node, is_weight(node) ? "taps" : "places");
  for (int i = 0; i < k.axes; i++) {
    moire__correlate_axis *a = &k.axis[2 - k.axes + i];
    int64_t there = other->dims[i + 2];
    *a = (moire__correlate_axis){x->dims[i + 2], there, stride[i], dilation[i], start[i], last[i]};
    if (is_weight(node)) {
      a->taps = last[i];
      a->places = there;
    }
  }
  return k;
}

/* ---- making nodes ---------------------------------------------------------------------------------------- */

static moire_value emit(moire__op op, const moire__correlation *k, moire_value a, moire_value b) {
  int64_t of[5][2];
  bool weight = op == MOIRE__OP_correlate_weight;
  for (int i = 0; i < k->axes; i++) {
    const moire__correlate_axis *axis = &k->axis[2 - k->axes + i];
    of[0][i] = axis->stride;
    of[1][i] = axis->dilation;
    of[2][i] = axis->start;
    of[3][i] = weight ? axis->taps : axis->places;
  }
  moire__attr attrs[] = {moire__attr_make_ints("stride", of[0], k->axes),
                         moire__attr_make_ints("dilation", of[1], k->axes),
                         moire__attr_make_ints("start", of[2], k->axes),
                         moire__attr_make_ints(weight ? "taps" : "places", of[3], k->axes),
                         moire__attr_make_int("groups", k->groups),
                         moire__attr_make_int("flipped", 1)};
  moire_value operands[] = {a, b};
  return moire__graph_emit(a.graph, MOIRE_HERE, op, operands, 2, attrs, !weight && k->flipped ? 6 : 5);
}

moire_value moire__emit_correlate(const moire__correlation *k, moire_value x, moire_value w) {
  return emit(MOIRE__OP_correlate, k, x, w);
}

moire_value moire__emit_correlate_weight(const moire__correlation *k, moire_value x, moire_value y) {
  return emit(MOIRE__OP_correlate_weight, k, x, y);
}
