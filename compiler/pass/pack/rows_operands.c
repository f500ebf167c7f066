/* pack, rows: operands of element-wise ops that are the same for many positions, and sums over all of them. */
#include "compiler/pass/pack/pack_private.h"

static const moire_shape *shape_of(const moire__rows *p, int32_t value) { return &p->g->values[value].shape; }

/* The axis of the operand of a broadcast that becomes the result's axis `axis`; below 0: there is none. */
static int source_axis(const moire__rows *p, const moire__node *broadcast, int axis) {
  return axis - (shape_of(p, broadcast->first_result)->rank - shape_of(p, broadcast->operands[0])->rank);
}

static moire_dim source_dim(const moire__rows *p, const moire__node *broadcast, int axis) {
  int own = source_axis(p, broadcast, axis);
  return own < 0 ? 1 : shape_of(p, broadcast->operands[0])->dims[own];
}

bool moire__rows_is_same_for_all(const moire__rows *p, int32_t value, int axis) {
  const moire__node *node = moire__node_of(p->g, value);
  if (node->op == MOIRE__OP_constant) return true;
  if (node->op == MOIRE__OP_iota) {
    int own = (int)moire__node_int(node, "axis");
    return own != 0 && own != axis;
  }
  if (node->op != MOIRE__OP_broadcast || p->packed[node->operands[0]]) return false;
  return source_dim(p, node, 0) == 1 && source_dim(p, node, axis) == 1;
}

bool moire__rows_is_positional(const moire__rows *p, int32_t value, int axis) {
  const moire__node *node = moire__node_of(p->g, value);
  if (node->op != MOIRE__OP_broadcast || axis < 1 || p->packed[node->operands[0]]) return false;
  for (int d = 0; d < axis; d++) {
    if (source_dim(p, node, d) != 1) return false;
  }
  return source_dim(p, node, axis) == p->length;
}

bool moire__rows_is_total(const moire__rows *p, const moire__node *node) {
  if (node->op != MOIRE__OP_sum || !p->packed[node->operands[0]]) return false;
  int n = 0, axis = p->axis[node->operands[0]];
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  bool samples = false, positions = false;
  for (int i = 0; i < n; i++) {
    samples = samples || axes[i] == 0;
    positions = positions || axes[i] == axis;
  }
  return samples && positions;
}
