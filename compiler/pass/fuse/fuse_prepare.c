/* Fusion, first half: which views must be copied, and which nodes are computed inside the kernel of their only
 * user.
 *
 * forced   A view or a source of constants gets a kernel of its own (a copy) if it is an output or an update,
 * or if a product, convolution, scatter or concatenation reads it and it is not strided as that needs. sink An
 * element-wise node whose only use is a reduction over leading axes, a copy, or another sunk node is computed
 * there, element by element, and never stored.
 */
#include "compiler/pass/fuse/fuse_private.h"

#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/walk.h"
#include "compiler/ir/graph/view.h"

static bool is_class(const moire__node *node, moire__op_class wanted) {
  return moire__op_get(node->op)->op_class == wanted;
}

bool moire__fuse_is_row_reduction(const moire_graph *g, const moire__node *node) {
  if (!is_class(node, MOIRE__CLASS_REDUCE)) return false;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  const moire_shape *shape = &g->values[node->operands[0]].shape;
  return n == 1 && axes[0] == shape->rank - 1 && moire__dim_is_static(shape->dims[shape->rank - 1]);
}

/* How an op's loop nest reads an operand. */
typedef enum need { NEED_STRIDES, NEED_UNIT_STRIDE, NEED_CONTIGUOUS } need;

/* A matrix of fixed size that a product has packed, however it lies (ops/product/triple.h). */
static bool is_packed(const moire_graph *g, const moire__node *node, int operand) {
  const moire_shape *shape = &g->values[node->operands[operand]].shape;
  return moire__node_int_or(node, "triple", 0) && shape->rank == 2 && moire__dim_is_static(shape->dims[0]) &&
         moire__dim_is_static(shape->dims[1]);
}

/* Rows of the parts follow one another: each is read as a run. */
static bool is_along_rows(const moire_graph *g, const moire__node *node) {
  return moire__node_int(node, "axis") == g->values[node->first_result].shape.rank - 1;
}

static need operand_need(const moire_graph *g, const moire__node *node, int operand) {
  switch ((int)node->op) {
    case MOIRE__OP_matmul:
      return operand == 0 || moire__node_int_or(node, "blocks", 0) ? NEED_STRIDES : NEED_UNIT_STRIDE;
    case MOIRE__OP_cmatmul: return operand < 2 || is_packed(g, node, operand) ? NEED_STRIDES : NEED_UNIT_STRIDE;
    case MOIRE__OP_attend: return operand < 6 ? NEED_UNIT_STRIDE : NEED_CONTIGUOUS; /* all but valid, rng, .. */
    case MOIRE__OP_attend_real: return operand < 3 ? NEED_UNIT_STRIDE : NEED_CONTIGUOUS;
    case MOIRE__OP_attend_backward: /* nor the rows' scalars */
      return operand < 12 && operand != 8 && operand != 9 ? NEED_UNIT_STRIDE : NEED_CONTIGUOUS;
    case MOIRE__OP_attend_real_backward:
      return operand < 7 && operand != 4 && operand != 5 ? NEED_UNIT_STRIDE : NEED_CONTIGUOUS;
    case MOIRE__OP_linear_log_softmax:
    case MOIRE__OP_linear_log_softmax_backward:
    case MOIRE__OP_linear_log_softmax_joint:
      return operand == 0 ? NEED_UNIT_STRIDE : operand == 1 ? NEED_STRIDES : NEED_CONTIGUOUS;
    case MOIRE__OP_concat: return is_along_rows(g, node) ? NEED_UNIT_STRIDE : NEED_CONTIGUOUS;
    case MOIRE__OP_selective_scan:
    case MOIRE__OP_selective_scan_gradient:
    case MOIRE__OP_linear_scan:
    case MOIRE__OP_linear_scan_gradient:
    case MOIRE__OP_clinear_scan_gradient:
    case MOIRE__OP_clinear_scan: return NEED_UNIT_STRIDE;
    case MOIRE__OP_depthwise_conv:
    case MOIRE__OP_depthwise_conv_weight: return operand < 2 ? NEED_UNIT_STRIDE : NEED_CONTIGUOUS;
    default: return NEED_CONTIGUOUS;
  }
}

/* Whether the value can be read as is wanted. If not, `culprit` is the view that stands in the way, or 0. */
static bool is_met(const moire__fuse *f, int32_t value, need wanted, int32_t *culprit) {
  const moire_graph *g = f->g;
  moire__view view = {0};
  const moire__node *node = moire__node_of(g, value);
  *culprit = 0;
  if (moire__op_get(node->op)->source) return false;
  if (!moire__is_view(node)) return true;
  if (!moire__view_where(g, value, f->forced, &view)) {
    *culprit = view.base;
    return false;
  }
  if (moire__op_get(moire__node_of(g, view.base)->op)->source) return false;
  if (wanted == NEED_CONTIGUOUS) return moire__view_is_contiguous(&view);
  int last = view.rank - 1;
  return wanted == NEED_STRIDES || last < 0 || view.dims[last] == 1 || view.strides[last] == 1;
}

static moire_dim elements_of(const moire_graph *g, int32_t value) {
  moire_dim n = 0;
  moire__shape_elements(&g->values[value].shape, &n);
  return n;
}

/* Whether a copy of what `value` is a view of costs about as much. What is padded has other slices as well: the
 * taps of a window. */
static bool costs_alike(const moire_graph *g, int32_t value, int32_t culprit) {
  enum { SLICES = 3 };
  moire_dim all = elements_of(g, culprit), some = elements_of(g, value);
  if (all == some) return true;
  return moire__node_of(g, culprit)->op == MOIRE__OP_pad &&
         moire__dim_extents(all) == moire__dim_extents(some) &&
         moire__dim_factor(all) / SLICES <= moire__dim_factor(some);
}

static bool is_wide(moire_dim d) {
  enum { VECTOR = 16 };
  return moire__dim_is_static(d) && moire__dim_factor(d) >= VECTOR;
}

/* Another axis becomes the last, and both are wide: a copy of that alone is made by squares
 * (compiler/pass/plan/lower_turned.c), and what it copies is computed along its own rows. */
static bool moves_last_axis(const moire_graph *g, const moire__node *node) {
  if (node->op != MOIRE__OP_permute) return false;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  const moire_shape *x = &g->values[node->operands[0]].shape, *y = &g->values[node->first_result].shape;
  return n > 0 && axes[n - 1] != n - 1 && is_wide(x->dims[n - 1]) && is_wide(y->dims[n - 1]);
}

/* What is padded and has its axes exchanged is copied in two steps, since padding is no square. */
static void force_below(moire__fuse *f, const moire__node *pad) {
  const moire__node *below = pad;
  while (below->op == MOIRE__OP_pad) below = moire__node_of(f->g, below->operands[0]);
  if (moves_last_axis(f->g, below)) f->forced[below - f->g->nodes] = true;
}

/* Has the value copied if it cannot be read as is wanted; or, at about the same price, what it is a view of,
 * since other views of that may then be read as well. */
static void force(moire__fuse *f, int32_t value, need wanted) {
  const moire_graph *g = f->g;
  int32_t culprit = 0;
  if (is_met(f, value, wanted, &culprit)) return;
  if (culprit && culprit != value && costs_alike(g, value, culprit)) {
    f->forced[g->values[culprit].node] = true;
    if (moire__node_of(g, culprit)->op == MOIRE__OP_pad) force_below(f, moire__node_of(g, culprit));
    if (is_met(f, value, wanted, &culprit)) return;
  }
  f->forced[g->values[value].node] = true;
}

/* A view in a place that is taken is there to be a copy. */
static void force_replaced(moire__fuse *f, const moire__node *node) {
  for (int i = 0; i < node->n_results; i++) {
    int from = f->g->values[node->operands[i]].node;
    f->replaced[node->operands[i]] = true;
    if (moire__is_view(&f->g->nodes[from])) f->forced[from] = true;
  }
}

/* Outputs and updates are marked first, since a view that is copied anyway is a buffer for what reads it. */
static void find_forced(moire__fuse *f) {
  const moire_graph *g = f->g;
  for (int pass = 0; pass < 2; pass++) {
    const moire__named_value *list = pass ? g->updates : g->outputs;
    int n = pass ? g->n_updates : g->n_outputs;
    for (int i = 0; i < n; i++) {
      const moire__node *node = moire__node_of(g, list[i].value);
      if (moire__is_view(node) || moire__op_get(node->op)->source)
        f->forced[g->values[list[i].value].node] = true;
    }
  }
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (f->separate && (moire__is_view(node) || moire__op_get(node->op)->source)) f->forced[i] = true;
    if (!is_class(node, MOIRE__CLASS_KERNEL)) continue;
    for (int o = 0; o < node->n_operands; o++) force(f, node->operands[o], operand_need(g, node, o));
    if (moire__takes_places(node)) force_replaced(f, node);
  }
}

/* Reads the node a value whose place is taken? It then has to run before that, and not where it is used. */
static bool reads_replaced(const moire__fuse *f, const moire__node *node) {
  const moire_graph *g = f->g;
  for (int o = 0; o < node->n_operands; o++) {
    int32_t value = node->operands[o];
    const moire__node *from = moire__node_of(g, value);
    bool inlined = moire__is_view(from) && !f->forced[g->values[value].node];
    if (f->replaced[value] || (inlined && reads_replaced(f, from))) return true;
  }
  return false;
}

static void find_users(moire__fuse *f) {
  const moire_graph *g = f->g;
  f->uses = moire__graph_count_uses(g, &f->arena);
  f->only_user = moire__arena_array(&f->arena, (size_t)g->n_values, sizeof *f->only_user);
  for (int v = 0; v < g->n_values; v++) f->only_user[v] = -1;
  for (int i = 0; i < g->n_nodes; i++) {
    for (int o = 0; o < g->nodes[i].n_operands; o++) {
      int32_t value = g->nodes[i].operands[o];
      if (f->uses[value] == 1) f->only_user[value] = i;
    }
  }
}

/* The node in whose kernel node i is computed, following inline views from its only use; -1: none. */
static int find_sink(const moire__fuse *f, int i) {
  const moire_graph *g = f->g;
  int32_t value = g->nodes[i].first_result;
  if (g->values[value].dtype == MOIRE_BF16) return -1; /* rounded by being stored */
  bool through_view = false, turns = false;
  for (;;) {
    int user = f->only_user[value];
    if (user < 0) return -1;
    const moire__node *node = &g->nodes[user];
    if (moire__is_view(node)) {
      bool repeats = node->op == MOIRE__OP_broadcast || node->op == MOIRE__OP_gather;
      if (repeats) return -1;
      turns = turns || moves_last_axis(g, node);
      if (f->forced[user]) return turns ? -1 : user;
      value = node->first_result;
      through_view = true;
      continue;
    }
    if (is_class(node, MOIRE__CLASS_REDUCE)) return moire__fuse_is_row_reduction(g, node) ? -1 : user;
    if (is_class(node, MOIRE__CLASS_POINTWISE) && !through_view) return f->sink[user];
    return -1;
  }
}

/* From users to operands: a row reduction wants the element-wise nodes before it in its own kernel. */
static void find_in_rows(moire__fuse *f) {
  const moire_graph *g = f->g;
  for (int i = g->n_nodes - 1; i >= 0; i--) {
    const moire__node *node = &g->nodes[i];
    if (!f->in_rows[i] && !moire__fuse_is_row_reduction(g, node)) continue;
    for (int o = 0; o < node->n_operands; o++) {
      int from = g->values[node->operands[o]].node;
      if (is_class(&g->nodes[from], MOIRE__CLASS_POINTWISE)) f->in_rows[from] = true;
    }
  }
}

void moire__fuse_prepare(moire__fuse *f) {
  const moire_graph *g = f->g;
  f->in_rows = moire__arena_array(&f->arena, (size_t)g->n_nodes, sizeof *f->in_rows);
  f->forced = moire__arena_array(&f->arena, (size_t)g->n_nodes, sizeof *f->forced);
  f->sink = moire__arena_array(&f->arena, (size_t)g->n_nodes, sizeof *f->sink);
  f->replaced = moire__arena_array(&f->arena, (size_t)g->n_values, sizeof *f->replaced);
  find_users(f);
  find_forced(f);
  find_in_rows(f);
  for (int i = g->n_nodes - 1; i >= 0; i--) {
    const moire__node *node = &g->nodes[i];
    bool sinks = is_class(node, MOIRE__CLASS_POINTWISE) && !f->separate && !reads_replaced(f, node);
    f->sink[i] = sinks ? find_sink(f, i) : -1;
  }
}
