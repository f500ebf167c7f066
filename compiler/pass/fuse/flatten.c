/* flatten: reshapes move down below element-wise ops and rows, so that kernels between products are not cut by
 * them.
 *
 *   op(reshape a, reshape b)            ->  reshape op(a, b)            element-wise, a and b of one shape
 *   sum(reshape a) over the last axis   ->  reshape sum(a)              where the last extents agree
 *   broadcast(reshape a) along a row    ->  reshape broadcast(a)
 *   reshape to s (reshape a of shape s) ->  a
 *
 * each where a has fewer axes than its reshape, so that all agree on the flatter form, and a named extent:
 * weights stay as they are, so that their updates are done in place.
 *
 * A linear layer multiplies [B L, D] while the model speaks of [B, L, D]: with this pass bias, activation,
 * dropout, residual and norm after a product all walk over the product's own shape. An operand that is no
 * reshape is reshaped where it is read, which costs nothing, since the elements stay in order.
 *
 * Ensures: same values, same order of elements. Breaks: nothing; nodes that lost their users are left for dce.
 */
#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/pass.h"

#include <string.h>

typedef struct flatten {
  moire__rewrite r;
  int32_t *root; /* of every new value: the value that it is a reshape of, or 0 */
  int capacity;
} flatten;

static int32_t root_of(const flatten *f, moire_value v) { return v.id < f->capacity ? f->root[v.id] : 0; }

static void set_root(flatten *f, moire_value v, int32_t root) {
  if (v.id >= f->capacity) {
    int larger = v.id * 2 + 64;
    f->root = moire__resize(f->root, (size_t)larger * sizeof *f->root);
    memset(f->root + f->capacity, 0, (size_t)(larger - f->capacity) * sizeof *f->root);
    f->capacity = larger;
  }
  if (v.id > 0) f->root[v.id] = root;
}

static moire_value reshape(moire_value x, const moire_shape *shape) {
  if (moire__shape_equal(&moire__info(x)->shape, shape)) return x;
  moire__attr attr = moire__attr_make_dims("shape", shape);
  return moire__graph_emit(x.graph, MOIRE_HERE, MOIRE__OP_reshape, &x, 1, &attr, 1);
}

static bool is_flat_source(moire__op op) {
  return op == MOIRE__OP_constant || op == MOIRE__OP_random_mask || op == MOIRE__OP_random_word;
}

/* The same source over another shape of as many elements: its values depend on the row-major offset alone. */
static moire_value source_of_shape(moire_value x, const moire_shape *shape) {
  const moire__node *node = moire__node_of(x.graph, x.id);
  moire_value operands[2];
  moire__attr attrs[8];
  for (int i = 0; i < node->n_operands; i++) operands[i] = moire__value(x.graph, node->operands[i]);
  for (int i = 0; i < node->n_attrs; i++) {
    attrs[i] = node->attrs[i];
    if (strcmp(attrs[i].name, "shape") == 0) attrs[i] = moire__attr_make_dims("shape", shape);
  }
  return moire__graph_emit(x.graph, MOIRE_HERE, node->op, operands, node->n_operands, attrs, node->n_attrs);
}

/* broadcast(v) whose operand spans only the last axis: repeated along any leading axes. */
static bool is_row_broadcast(const moire__node *node, const moire_graph *g) {
  if (node->op != MOIRE__OP_broadcast) return false;
  const moire_shape *from = &g->values[node->operands[0]].shape;
  for (int d = 0; d < from->rank - 1; d++) {
    if (from->dims[d] != 1) return false;
  }
  return true;
}

static moire_value as_shape(flatten *f, moire_value x, const moire_shape *shape) {
  int32_t root = root_of(f, x);
  if (root && moire__shape_equal(&x.graph->values[root].shape, shape)) return moire__value(x.graph, root);
  const moire__node *node = moire__node_of(x.graph, x.id);
  if (is_flat_source(node->op)) return source_of_shape(x, shape);
  const moire_shape *own = &moire__info(x)->shape;
  bool same_last = own->rank && shape->rank && own->dims[own->rank - 1] == shape->dims[shape->rank - 1];
  if (is_row_broadcast(node, x.graph) && same_last) {
    moire_value small = moire__value(x.graph, node->operands[0]);
    const moire_shape *from = &moire__info(small)->shape;
    moire_shape last = {from->rank ? 1 : 0, {from->rank ? from->dims[from->rank - 1] : 0}};
    moire_value row = reshape(small, &last);
    moire__attr attr = moire__attr_make_dims("shape", shape);
    return moire__graph_emit(x.graph, MOIRE_HERE, MOIRE__OP_broadcast, &row, 1, &attr, 1);
  }
  return reshape(x, shape);
}

/* The shape that an element-wise node takes over: that of the first operand's root. */
static int32_t leading_root(const flatten *f, const moire__node *node) {
  for (int i = 0; i < node->n_operands; i++) {
    int32_t root = root_of(f, moire__rewrite_value(&f->r, node->operands[i]));
    if (root) return root;
  }
  return 0;
}

static void finish(flatten *f, const moire__node *node, moire_value flat) {
  if (moire_value_is_null(flat)) return;
  const moire_shape *shape = &f->r.from->values[node->first_result].shape;
  moire_value result = reshape(flat, shape);
  moire__rewrite_set(&f->r, node->first_result, result);
  const moire_shape *from = &moire__info(flat)->shape;
  bool named = false;
  for (int d = 0; d < from->rank; d++) named = named || !moire__dim_is_static(from->dims[d]);
  if (result.id != flat.id && named && from->rank < shape->rank) set_root(f, result, flat.id);
}

static bool flatten_pointwise(flatten *f, const moire__node *node) {
  int32_t root = leading_root(f, node);
  if (!root) return false;
  moire_shape shape = f->r.to->values[root].shape;
  moire_value operands[4];
  for (int i = 0; i < node->n_operands; i++) {
    operands[i] = as_shape(f, moire__rewrite_value(&f->r, node->operands[i]), &shape);
  }
  finish(f, node,
         moire__graph_emit(f->r.to, node->source, node->op, operands, node->n_operands, node->attrs,
                           node->n_attrs));
  return true;
}

static bool flatten_reduction(flatten *f, const moire__node *node) {
  int32_t root = leading_root(f, node);
  if (!root) return false;
  const moire_shape *own = &f->r.from->values[node->operands[0]].shape, *flat = &f->r.to->values[root].shape;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  bool last_only = n == 1 && axes[0] == own->rank - 1;
  if (!last_only || flat->rank == 0 || flat->dims[flat->rank - 1] != own->dims[own->rank - 1]) return false;
  int64_t axis = flat->rank - 1;
  moire__attr attr = moire__attr_make_ints("axes", &axis, 1);
  moire_value x = moire__value(f->r.to, root);
  finish(f, node, moire__graph_emit(f->r.to, node->source, node->op, &x, 1, &attr, 1));
  return true;
}

static bool flatten_broadcast(flatten *f, const moire__node *node) {
  int32_t root = leading_root(f, node);
  if (!root) return false;
  const moire_shape *from = &f->r.from->values[node->operands[0]].shape,
                    *to = &f->r.from->values[node->first_result].shape;
  moire_shape flat = f->r.to->values[root].shape;
  bool along_row = from->rank == to->rank && from->rank > 0 && flat.rank > 0 &&
                   from->dims[from->rank - 1] == 1 && flat.dims[flat.rank - 1] == 1 &&
                   memcmp(from->dims, to->dims, (size_t)(from->rank - 1) * sizeof *from->dims) == 0;
  if (!along_row) return false;
  flat.dims[flat.rank - 1] = to->dims[to->rank - 1];
  moire__attr attr = moire__attr_make_dims("shape", &flat);
  moire_value x = moire__value(f->r.to, root);
  finish(f, node, moire__graph_emit(f->r.to, node->source, node->op, &x, 1, &attr, 1));
  return true;
}

static bool flatten_reshape(flatten *f, const moire__node *node) {
  moire_value x = moire__rewrite_value(&f->r, node->operands[0]);
  int32_t root = root_of(f, x);
  finish(f, node, root ? moire__value(f->r.to, root) : x);
  return true;
}

static bool flatten_node(flatten *f, const moire__node *node) {
  if (node->op == MOIRE__OP_reshape) return flatten_reshape(f, node);
  if (node->op == MOIRE__OP_broadcast) return flatten_broadcast(f, node);
  moire__op_class class = moire__op_get(node->op)->op_class;
  if (class == MOIRE__CLASS_POINTWISE) return flatten_pointwise(f, node);
  return class == MOIRE__CLASS_REDUCE && flatten_reduction(f, node);
}

moire_graph *moire__pass_flatten(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  flatten f = {.r = moire__rewrite_begin(g)};
  set_root(&f, (moire_value){f.r.to, g->n_values}, 0);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    moire__graph_pin(f.r.to, node);
    bool done = flatten_node(&f, node);
    moire__graph_unpin(f.r.to);
    if (!done) moire__rewrite_clone(&f.r, node);
  }
  moire__release(f.root);
  return moire__rewrite_finish(&f.r, error);
}
