/* simplify: views, reductions over nothing, transposed factors, and broadcasts that move outwards.
 *
 * The last one keeps work on weights and rows as small as they are: where all operands of an element-wise op
 * are broadcasts (or constants), the op is done on the smallest shape that holds them all, and its result is
 * broadcast.
 */
#include "compiler/pass/simplify/simplify.h"

static moire_value shaped(const moire__simplify *s, moire__op op, moire_value x, const moire_shape *shape) {
  moire__attr attr = moire__attr_make_dims("shape", shape);
  return moire__graph_emit(s->g, s->node->source, op, &x, 1, &attr, 1);
}

static moire_value same_type(const moire__simplify *s) {
  moire_shape shape = moire_value_shape(s->operands[0]);
  return moire__shape_equal(&shape, &s->shape) ? s->operands[0] : moire__simplify_no(s);
}

/* The op is the same as that of its operand, and the outer shape says it all. */
static moire_value skip_operand(const moire__simplify *s) {
  const moire__node *inner = moire__simplify_made_by(s, 0, s->node->op);
  if (!inner) return moire__simplify_no(s);
  return shaped(s, s->node->op, moire__simplify_operand(s, inner, 0), &s->shape);
}

/* ---- permute ----------------------------------------------------------------------------------------------
 */

static moire_value permute_permuted(const moire__simplify *s) {
  const moire__node *inner = moire__simplify_made_by(s, 0, MOIRE__OP_permute);
  if (!inner) return moire__simplify_no(s);
  int n = 0;
  const int64_t *outer_axes = moire__node_ints(s->node, "axes", &n);
  const int64_t *inner_axes = moire__node_ints(inner, "axes", &n);
  int64_t axes[MOIRE_MAX_RANK] = {0};
  for (int i = 0; i < n; i++) axes[i] = inner_axes[outer_axes[i]];
  moire_value x = moire__simplify_operand(s, inner, 0);
  moire__attr attr = moire__attr_make_ints("axes", axes, n);
  return moire__graph_emit(s->g, s->node->source, MOIRE__OP_permute, &x, 1, &attr, 1);
}

/* Axes of extent 1 may stand anywhere: if the others keep their order, no element moves. */
static moire_value permute_in_order(const moire__simplify *s) {
  int n = 0;
  int64_t last = -1;
  bool identity = true;
  const int64_t *axes = moire__node_ints(s->node, "axes", &n);
  for (int i = 0; i < n; i++) {
    identity = identity && axes[i] == i;
    if (s->shape.dims[i] == 1) continue;
    if (axes[i] < last) return moire__simplify_no(s);
    last = axes[i];
  }
  return identity ? s->operands[0] : shaped(s, MOIRE__OP_reshape, s->operands[0], &s->shape);
}

/* ---- look-ups of rows in order ----------------------------------------------------------------------------
 */

/* How many rows operand i names, if they are 0, 1, 2, .. of one axis; else 0. */
static int64_t rows_in_order(const moire__simplify *s, int i) {
  const moire__node *node = moire__node_of(s->g, s->operands[i].id);
  while (node->op == MOIRE__OP_cast && moire__dtype_is_int(s->g->values[node->operands[0]].dtype))
    node = moire__node_of(s->g, node->operands[0]);
  const moire_shape *shape = &s->g->values[node->first_result].shape;
  bool fits = node->op == MOIRE__OP_iota && shape->rank == 1 && moire__dim_is_static(shape->dims[0]);
  return fits ? shape->dims[0] : 0;
}

static moire_value gather_in_order(const moire__simplify *s) {
  int64_t n = rows_in_order(s, 1);
  bool fits = n > 0 && n <= moire_value_dim(s->operands[0], 0);
  return fits ? moire_slice_at(s->node->source, s->operands[0], 0, 0, n) : moire__simplify_no(s);
}

static moire_value scatter_in_order(const moire__simplify *s) {
  int64_t n = rows_in_order(s, 0), size = s->shape.dims[0];
  bool fits =
      n > 0 && moire__dim_is_static(size) && n <= size && moire__node_int_or(s->node, "padding", -1) < 0;
  return fits ? moire_pad_at(s->node->source, s->operands[1], 0, 0, size - n) : moire__simplify_no(s);
}

/* ---- slice, pad, concat, reductions ------------------------------------------------------------------------
 */

static moire_value slice_sliced(const moire__simplify *s) {
  const moire__node *inner = moire__simplify_made_by(s, 0, MOIRE__OP_slice);
  int64_t axis = moire__node_int(s->node, "axis");
  if (!inner || moire__node_int(inner, "axis") != axis) return moire__simplify_no(s);
  int64_t start = moire__node_int(inner, "start") + moire__node_int(s->node, "start");
  return moire_slice_at(s->node->source, moire__simplify_operand(s, inner, 0), (int)axis, start,
                        moire__node_int(s->node, "length"));
}

static moire_value concat_one(const moire__simplify *s) {
  return s->node->n_operands == 1 ? s->operands[0] : moire__simplify_no(s);
}

/* Appends x to parts: itself, or what it is a concat of on this axis. */
static int add_parts(const moire__simplify *s, moire_value x, int64_t axis, moire_value *parts, int n) {
  const moire__node *node = moire__node_of(s->g, x.id);
  bool several = node->op == MOIRE__OP_concat && moire__node_int(node, "axis") == axis;
  for (int i = 0; several && i < node->n_operands; i++) parts[n + i] = moire__simplify_operand(s, node, i);
  if (!several) parts[n] = x;
  return n + (several ? node->n_operands : 1);
}

/* So the gradients of slices that lie side by side become one array. */
static moire_value add_padded(const moire__simplify *s) {
  for (int first = 0; first < 2; first++) {
    const moire__node *low = moire__simplify_made_by(s, first, MOIRE__OP_pad);
    const moire__node *high = moire__simplify_made_by(s, 1 - first, MOIRE__OP_pad);
    if (!low || !high) return moire__simplify_no(s);
    moire_value x = moire__simplify_operand(s, low, 0), y = moire__simplify_operand(s, high, 0);
    int64_t axis = moire__node_int(low, "axis"), before = moire__node_int(low, "before");
    bool adjacent = moire__node_int(high, "axis") == axis &&
                    before + moire_value_dim(x, (int)axis) == moire__node_int(high, "before");
    if (!adjacent) continue;
    moire_value parts[2 * MOIRE__MAX_OPERANDS];
    int n = add_parts(s, y, axis, parts, add_parts(s, x, axis, parts, 0));
    moire_value all = moire_concat_at(s->node->source, parts, n, (int)axis);
    return moire_pad_at(s->node->source, all, (int)axis, before, moire__node_int(high, "after"));
  }
  return moire__simplify_no(s);
}

/* Axes of extent 1 are taken out of the list. */
static moire_value reduce_less(const moire__simplify *s) {
  int n = 0, kept = 0;
  int64_t axes[MOIRE_MAX_RANK] = {0};
  const int64_t *all = moire__node_ints(s->node, "axes", &n);
  moire_shape shape = moire_value_shape(s->operands[0]);
  for (int i = 0; i < n; i++) {
    if (shape.dims[all[i]] != 1) axes[kept++] = all[i];
  }
  if (kept == n && n > 0) return moire__simplify_no(s);
  if (kept == 0) return s->operands[0];
  moire__attr attr = moire__attr_make_ints("axes", axes, kept);
  return moire__graph_emit(s->g, s->node->source, s->node->op, s->operands, 1, &attr, 1);
}

/* ---- products ---------------------------------------------------------------------------------------------
 */

/* x, if operand i is x with its last two axes exchanged. */
static moire_value transposed(const moire__simplify *s, int i) {
  const moire__node *permute = moire__simplify_made_by(s, i, MOIRE__OP_permute);
  if (!permute) return moire__simplify_no(s);
  int n = 0;
  const int64_t *axes = moire__node_ints(permute, "axes", &n);
  for (int axis = 0; axis < n - 2; axis++) {
    if (axes[axis] != axis) return moire__simplify_no(s);
  }
  return n >= 2 && axes[n - 1] == n - 2 ? moire__simplify_operand(s, permute, 0) : moire__simplify_no(s);
}

/* The flags of products, those of operands in pairs. */
static const char *const flags[] = {"transpose_a", "transpose_b", "conj_a", "conj_b",
                                    "bf16",        "triple",      "blocks"};
enum { FLAGS = sizeof flags / sizeof *flags };

/* The product again, with other operands and flag `turned` (an index of `flags`) turned. */
static moire_value turn_flag(const moire__simplify *s, const moire_value *operands, int turned) {
  moire__attr attrs[FLAGS];
  int n = 0;
  for (int i = 0; i < FLAGS; i++) {
    bool on = (moire__node_int_or(s->node, flags[i], 0) != 0) != (i == turned);
    if (on) attrs[n++] = moire__attr_make_int(flags[i], 1);
  }
  return moire__graph_emit(s->g, s->node->source, s->node->op, operands, s->node->n_operands, attrs, n);
}

static moire_value matmul_transposed(const moire__simplify *s) {
  for (int side = 0; side < 2; side++) {
    moire_value operands[2] = {s->operands[0], s->operands[1]};
    operands[side] = transposed(s, side);
    if (operands[side].id) return turn_flag(s, operands, side);
  }
  return moire__simplify_no(s);
}

static moire_value cmatmul_transposed(const moire__simplify *s) {
  for (int side = 0; side < 2; side++) {
    moire_value operands[4] = {s->operands[0], s->operands[1], s->operands[2], s->operands[3]};
    operands[2 * side] = transposed(s, 2 * side);
    operands[2 * side + 1] = transposed(s, 2 * side + 1);
    if (operands[2 * side].id && operands[2 * side + 1].id) return turn_flag(s, operands, side);
  }
  return moire__simplify_no(s);
}

static moire_value cmatmul_conjugated(const moire__simplify *s) {
  for (int side = 0; side < 2; side++) {
    moire_value operands[4] = {s->operands[0], s->operands[1], s->operands[2], s->operands[3]};
    const moire__node *neg = moire__simplify_made_by(s, 2 * side + 1, MOIRE__OP_neg);
    if (!neg) continue;
    operands[2 * side + 1] = moire__simplify_operand(s, neg, 0);
    return turn_flag(s, operands, 2 + side);
  }
  return moire__simplify_no(s);
}

/* ---- broadcasts outwards ----------------------------------------------------------------------------------
 */

/* The smallest shape to which all broadcast operands can be broadcast; false if an operand is neither a
 * broadcast nor a constant, or that shape is the result's. */
static bool find_small_shape(const moire__simplify *s, moire_shape *small) {
  bool any = false;
  *small = (moire_shape){0};
  moire_dim from_last[MOIRE_MAX_RANK]; /* extents, the last axis first */
  for (int i = 0; i < MOIRE_MAX_RANK; i++) from_last[i] = 1;
  for (int i = 0; i < s->node->n_operands; i++) {
    const moire__node *broadcast = moire__simplify_made_by(s, i, MOIRE__OP_broadcast);
    if (!broadcast && !moire__simplify_made_by(s, i, MOIRE__OP_constant)) return false;
    if (!broadcast) continue;
    any = true;
    moire_shape shape = moire_value_shape(moire__simplify_operand(s, broadcast, 0));
    if (shape.rank > small->rank) small->rank = shape.rank;
    for (int axis = 0; axis < shape.rank; axis++) {
      if (shape.dims[axis] != 1) from_last[shape.rank - 1 - axis] = shape.dims[axis];
    }
  }
  for (int axis = 0; axis < small->rank; axis++) small->dims[axis] = from_last[small->rank - 1 - axis];
  return any && !moire__shape_equal(small, &s->shape);
}

static moire_value broadcast_outwards(const moire__simplify *s) {
  moire_shape small = {0};
  moire_value operands[3] = {0};
  int n = s->node->n_operands;
  if (n > 3 || !find_small_shape(s, &small)) return moire__simplify_no(s);
  for (int i = 0; i < n; i++) {
    const moire__node *broadcast = moire__simplify_made_by(s, i, MOIRE__OP_broadcast);
    if (broadcast) {
      operands[i] = moire__simplify_operand(s, broadcast, 0);
      moire_shape shape = moire_value_shape(operands[i]);
      if (!moire__shape_equal(&shape, &small))
        operands[i] = shaped(s, MOIRE__OP_broadcast, operands[i], &small);
    } else {
      const moire__node *constant = moire__simplify_made_by(s, i, MOIRE__OP_constant);
      moire__simplify of_operand = *s;
      of_operand.dtype = moire_value_dtype(s->operands[i]);
      of_operand.shape = small;
      operands[i] = moire__simplify_make(&of_operand, constant, moire__node_real(constant, "value"));
    }
  }
  moire_value done =
      moire__graph_emit(s->g, s->node->source, s->node->op, operands, n, s->node->attrs, s->node->n_attrs);
  return shaped(s, MOIRE__OP_broadcast, done, &s->shape);
}

static const moire__simplify_rule rules[] = {
    {MOIRE__OP_reshape, "reshape(x) = x, to the shape that it has", same_type},
    {MOIRE__OP_reshape, "reshape(reshape(x)) = reshape(x)", skip_operand},
    {MOIRE__OP_permute, "permute(x) = reshape(x) or x, where only axes of extent 1 move", permute_in_order},
    {MOIRE__OP_permute, "permute(permute(x)) = permute(x)", permute_permuted},
    {MOIRE__OP_broadcast, "broadcast(x) = x, to the shape that it has", same_type},
    {MOIRE__OP_broadcast, "broadcast(broadcast(x)) = broadcast(x)", skip_operand},
    {MOIRE__OP_gather, "gather(x, 0 1 2 ..) = slice(x)", gather_in_order},
    {MOIRE__OP_scatter_add, "scatter_add(0 1 2 .., x) = pad(x)", scatter_in_order},
    {MOIRE__OP_slice, "slice(x) = x, of all of it", same_type},
    {MOIRE__OP_slice, "slice(slice(x)) = slice(x), on one axis", slice_sliced},
    {MOIRE__OP_pad, "pad(x) = x, by nothing", same_type},
    {MOIRE__OP_concat, "concat(x) = x", concat_one},
    {MOIRE__OP_add, "pad(x) + pad(y) = pad(concat(x, y)), where y begins at the end of x", add_padded},
    {MOIRE__OP_sum, "sum(x) = x, over extents of 1", reduce_less},
    {MOIRE__OP_reduce_max, "reduce_max(x) = x, over extents of 1", reduce_less},
    {MOIRE__OP_reduce_prod, "reduce_prod(x) = x, over extents of 1", reduce_less},
    {MOIRE__OP_matmul, "matmul(a^T, b) = matmul(a, b; transpose_a)", matmul_transposed},
    {MOIRE__OP_cmatmul, "cmatmul(ar^T, ai^T, ..) = cmatmul(ar, ai, ..; transpose_a)", cmatmul_transposed},
    {MOIRE__OP_cmatmul, "cmatmul(ar, -ai, ..) = cmatmul(ar, ai, ..; conj_a)", cmatmul_conjugated},
    {MOIRE__OP_none, "f(broadcast(x), broadcast(y)) = broadcast(f(x, y))", broadcast_outwards},
    {0},
};

const moire__simplify_rule *moire__simplify_shapes(void) { return rules; }
