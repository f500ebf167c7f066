/* Lowering, the shared part: kernels are begun and ended, values are read and written.
 *
 * moire__lower_read is a recursion over the graph at one index. It ends at a register (the value was computed
 * for the current element), at a buffer (an input, a state, or a value that another kernel has stored), or at a
 * source that is computed on the spot. Views between are index arithmetic: as strides where that is possible,
 * otherwise by the op's own map.
 *
 * Requires: fusion has given kernel numbers. Ensures: every buffer that the body reads is a parameter, added by
 * moire__lower_add_reads before the body (the same recursion without an index).
 */
#include "compiler/ir/loop/lower.h"

#include <string.h>

moire__loop_value moire__lower_add(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_add, a, b);
}

moire__loop_value moire__lower_mul(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_mul, a, b);
}

int64_t moire__lower_block(const moire__lowering *l, int64_t usual) {
  if (!l->target.small_blocks) return usual;
  int64_t size = 1;
  while (size * size <= usual) size += 2;
  return size;
}

/* ---- starting and ending a kernel ---- */

void moire__lower_begin(moire__lowering *l, const char *suffix) {
  l->kernel = moire__loop_kernel_create(l->arena, moire__arena_printf(l->arena, "%s", suffix), l->g);
  l->parameters = NULL;
  l->n_parameters = l->parameter_capacity = 0;
  l->needs_axes = false;
  ++*l->visit;
}

static int find_parameter(const moire__lowering *l, int32_t value) {
  for (int i = 0; i < l->n_parameters; i++) {
    if (l->parameters[i] == value) return i;
  }
  return -1;
}

static moire_dim elements_of(const moire_graph *g, int32_t value) {
  moire_dim elements = 0;
  moire__shape_elements(&g->values[value].shape, &elements);
  return elements;
}

static moire__loop_buffer add_parameter(moire__lowering *l, int32_t value, moire__buffer_role role) {
  int known = find_parameter(l, value);
  if (known >= 0) return known + 1;
  const moire__value_info *info = &l->g->values[value];
  const char *name = moire__arena_printf(l->arena, "v%d", l->n_parameters);
  moire__loop_buffer buffer = moire__loop_add_parameter(
      l->kernel, name, role, moire__loop_type_from_dtype(info->dtype), elements_of(l->g, value));
  MOIRE__PUSH(l->arena, l->parameters, l->n_parameters, l->parameter_capacity, value);
  return buffer;
}

/* Is the value computed where it is read (in this kernel), rather than loaded? */
static bool is_computed_here(const moire__lowering *l, const moire__node *node) {
  if (node->kernel >= 0) return node->kernel == l->group;
  return moire__is_view(node) || moire__op_get(node->op)->source;
}

void moire__lower_add_reads(moire__lowering *l, int32_t value) {
  if (l->visited[value] == *l->visit) return;
  l->visited[value] = *l->visit;
  const moire__node *node = moire__node_of(l->g, value);
  if (is_computed_here(l, node)) {
    moire__lower_add_reads_of(l, node);
  } else {
    add_parameter(l, value, MOIRE__BUFFER_IN);
  }
}

/* A copy's own element is read through it, any other operand view is inline. */
void moire__lower_add_reads_of(moire__lowering *l, const moire__node *node) {
  moire__view view = {0};
  if (moire__is_view(node)) {
    bool strided = moire__view_through(l->g, node->first_result, &view) && moire__view_is_contiguous(&view);
    l->needs_axes = l->needs_axes || !strided;
  }
  l->needs_axes = l->needs_axes || node->op == MOIRE__OP_iota;
  for (int i = 0; i < node->n_operands; i++) moire__lower_add_reads(l, node->operands[i]);
}

moire__loop_buffer moire__lower_add_write(moire__lowering *l, int32_t value) {
  return add_parameter(l, value, MOIRE__BUFFER_OUT);
}

void moire__lower_add_in_place(moire__lowering *l, int32_t value, int32_t in_place) {
  int known = find_parameter(l, in_place);
  if (known < 0) {
    add_parameter(l, in_place, MOIRE__BUFFER_INOUT);
  } else {
    l->kernel->buffers[known + 1].role = MOIRE__BUFFER_INOUT;
  }
  (void)value;
}

int moire__lower_new_extra_of(moire__lowering *l, moire_dtype dtype, moire_dim elements) {
  moire__lowered *out = l->lowered;
  struct moire__lowered_extra extra = {elements, dtype};
  MOIRE__PUSH(l->arena, out->extras, out->n_extras, out->extra_capacity, extra);
  return out->n_extras - 1;
}

int moire__lower_new_extra(moire__lowering *l, moire_dim elements) {
  return moire__lower_new_extra_of(l, MOIRE_F32, elements);
}

moire__loop_buffer moire__lower_add_extra(moire__lowering *l, int extra, moire__buffer_role role) {
  const char *name = moire__arena_printf(l->arena, "part%d", extra);
  struct moire__lowered_extra as = l->lowered->extras[extra];
  moire__loop_buffer buffer =
      moire__loop_add_parameter(l->kernel, name, role, moire__loop_type_from_dtype(as.dtype), as.elements);
  MOIRE__PUSH(l->arena, l->parameters, l->n_parameters, l->parameter_capacity, -1 - extra);
  return buffer;
}

void moire__lower_body(moire__lowering *l, moire_dim count, int64_t block) {
  l->builder = moire__loop_begin(l->kernel, count, block);
  moire__lower_serve(l, l->node);
}

void moire__lower_finish(moire__lowering *l) {
  moire__lowered *out = l->lowered;
  moire__lowered_kernel done = {l->kernel, l->parameters, l->n_parameters};
  MOIRE__PUSH(l->arena, out->kernels, out->n_kernels, out->kernel_capacity, done);
}

/* ---- indices ---- */

moire__index moire__lower_index(const moire_graph *g, int32_t value) {
  const moire_shape *shape = &g->values[value].shape;
  moire__index index = {.rank = shape->rank};
  memcpy(index.dims, shape->dims, sizeof index.dims);
  return index;
}

static moire_dim inner_elements(const moire__index *index, int axis) {
  moire_dim stride = 1;
  for (int d = index->rank - 1; d > axis; d--) {
    if (!moire__dim_multiply(stride, index->dims[d], &stride)) return 0;
  }
  return stride;
}

moire__loop_value moire__lower_index_at(moire__lowering *l, moire__index *index, int axis) {
  if (index->at[axis]) return index->at[axis];
  if (index->dims[axis] == 1 || !index->linear) return index->at[axis] = moire__loop_index(&l->builder, 0);
  moire__loop_value stride = moire__loop_extent(&l->builder, inner_elements(index, axis));
  moire__loop_value at = moire__loop_binary(&l->builder, MOIRE__LOOP_div, index->linear, stride);
  bool outermost = true;
  for (int d = 0; d < axis; d++) outermost = outermost && index->dims[d] == 1;
  if (!outermost) {
    at = moire__loop_binary(&l->builder, MOIRE__LOOP_mod, at,
                            moire__loop_extent(&l->builder, index->dims[axis]));
  }
  return index->at[axis] = at;
}

moire__loop_value moire__lower_index_linear(moire__lowering *l, moire__index *index) {
  if (index->linear) return index->linear;
  moire__loop_value sum = moire__loop_index(&l->builder, 0);
  for (int d = 0; d < index->rank; d++) {
    if (index->dims[d] == 1 || !index->at[d]) continue;
    moire__loop_value stride = moire__loop_extent(&l->builder, inner_elements(index, d));
    sum = moire__lower_add(l, sum, moire__lower_mul(l, index->at[d], stride));
  }
  return index->linear = sum;
}

moire__loop_value moire__lower_address(moire__lowering *l, const moire__view *view,
                                       const moire__loop_value *at) {
  moire__loop_value sum = moire__loop_extent(&l->builder, view->offset);
  for (int d = 0; d < view->rank; d++) {
    if (view->strides[d] == 0 || view->dims[d] == 1 || !at[d]) continue;
    moire__loop_value stride = moire__loop_extent(&l->builder, view->strides[d]);
    sum = moire__lower_add(l, sum, moire__lower_mul(l, at[d], stride));
  }
  return sum;
}

moire__view moire__lower_view(const moire__lowering *l, int32_t value) {
  moire__view view = {0};
  bool strided = moire__view_of(l->g, value, &view);
  (void)strided;
  return view;
}

/* ---- reading ---- */

moire__loop_buffer moire__lower_buffer(const moire__lowering *l, int32_t value) {
  return find_parameter(l, value) + 1;
}

static moire__loop_value read_buffer(moire__lowering *l, const moire__view *view, moire__index *index) {
  moire__loop_value address = 0;
  if (moire__view_is_contiguous(view)) {
    address = moire__lower_index_linear(l, index);
  } else {
    moire__loop_value at[MOIRE_MAX_RANK] = {0};
    for (int d = 0; d < view->rank; d++) {
      if (view->strides[d] != 0 && view->dims[d] != 1) at[d] = moire__lower_index_at(l, index, d);
    }
    address = moire__lower_address(l, view, at);
  }
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view->base), address);
}

static moire__loop_value read_mapped(moire__lowering *l, const moire__node *node, moire__index *index) {
  moire__index_map map = {.b = &l->builder, .g = l->g, .node = node};
  for (int d = 0; d < index->rank; d++) map.result[d] = moire__lower_index_at(l, index, d);
  if (moire__is_lookup(node)) {
    moire__index rows = moire__lower_index(l->g, node->operands[1]);
    for (int d = 0; d < rows.rank; d++) rows.at[d] = map.result[d];
    map.row = moire__loop_cast(&l->builder, moire__lower_read(l, node->operands[1], &rows), MOIRE__LOOP_I64);
  }
  moire__op_get(node->op)->map(&map);
  moire__index operand = moire__lower_index(l->g, node->operands[0]);
  for (int d = 0; d < operand.rank; d++) operand.at[d] = map.operand[d];
  moire__loop_value element = moire__lower_read(l, node->operands[0], &operand);
  if (!map.valid) return element;
  moire__loop_value zero = moire__loop_const(&l->builder, moire__loop_type_of(&l->builder, element), 0);
  return moire__loop_ternary(&l->builder, MOIRE__LOOP_select, map.valid, element, zero);
}

static moire__loop_value read_element(moire__lowering *l, const moire__node *node, moire__index *index) {
  moire__loop_value operands[MOIRE__MAX_OPERANDS] = {0};
  for (int i = 0; i < node->n_operands; i++) operands[i] = moire__lower_read(l, node->operands[i], index);
  return moire__op_get(node->op)->element(&l->builder, l->g, node, operands);
}

/* The value below a chain of inline views. A register below a view is a row's scalar that the view repeats
 * along the row: fusion lets no other view stand between two nodes of one kernel. */
static int32_t below_views(const moire_graph *g, int32_t value) {
  const moire__node *node = moire__node_of(g, value);
  while (moire__is_view(node) && node->kernel < 0 && !moire__is_lookup(node)) {
    value = node->operands[0];
    node = moire__node_of(g, value);
  }
  return value;
}

static moire__loop_value compute(moire__lowering *l, int32_t value, const moire__node *node,
                                 moire__index *index) {
  const moire__op_info *op = moire__op_get(node->op);
  if (op->source) return op->source(l, node, index);
  if (!moire__is_view(node)) return read_element(l, node, index);
  int32_t below = moire__is_lookup(node) ? value : below_views(l->g, node->operands[0]);
  moire__view view = {0};
  bool in_buffer = below != value && !is_computed_here(l, moire__node_of(l->g, below));
  if (in_buffer && moire__view_through(l->g, value, &view)) return read_buffer(l, &view, index);
  return read_mapped(l, node, index);
}

moire_source moire__lower_serve(moire__lowering *l, const moire__node *node) {
  moire_source before = l->builder.at;
  l->builder.origin = 1 + (int)(node - l->g->nodes);
  if (node->source.file) l->builder.at = node->source;
  return before;
}

moire__loop_value moire__lower_compute(moire__lowering *l, int32_t value, moire__index *index) {
  const moire__node *node = moire__node_of(l->g, value);
  int origin = l->builder.origin;
  moire_source before = moire__lower_serve(l, node);
  moire__loop_value element = compute(l, value, node, index);
  l->builder.at = before;
  l->builder.origin = origin;
  return element;
}

moire__loop_value moire__lower_read(moire__lowering *l, int32_t value, moire__index *index) {
  if (index->is_current) {
    if (l->registers[value]) return l->registers[value];
    int32_t source = below_views(l->g, value);
    if (source != value && l->registers[source]) return l->registers[source];
  }
  if (is_computed_here(l, moire__node_of(l->g, value))) return moire__lower_compute(l, value, index);
  moire__view whole = {0};
  moire__view_of(l->g, value, &whole);
  return read_buffer(l, &whole, index);
}

void moire__lower_write(moire__lowering *l, int32_t value, moire__loop_value offset,
                        moire__loop_value element) {
  moire__loop_store(&l->builder, moire__lower_buffer(l, value), offset, element);
}

void moire__lower_add_epilogue(moire__lowering *l) {
  for (int i = 0; i < l->n_epilogue; i++) {
    const moire__node *node = &l->g->nodes[l->epilogue[i]];
    moire__lower_add_reads_of(l, node);
    if (l->stored[node->first_result]) moire__lower_add_write(l, node->first_result);
  }
}

void moire__lower_epilogue(moire__lowering *l, int n_results, moire__index *index) {
  int32_t result = l->node->first_result;
  for (int i = 0; i < l->n_epilogue; i++) {
    int32_t v = l->g->nodes[l->epilogue[i]].first_result;
    l->registers[v] = moire__lower_compute(l, v, index);
  }
  for (int32_t v = result; v < result + n_results; v++) {
    if (!l->n_epilogue || l->stored[v]) moire__lower_write(l, v, index->linear, l->registers[v]);
    l->registers[v] = 0;
  }
  for (int i = 0; i < l->n_epilogue; i++) {
    int32_t v = l->g->nodes[l->epilogue[i]].first_result;
    if (l->stored[v]) moire__lower_write(l, v, index->linear, l->registers[v]);
    l->registers[v] = 0;
  }
}

/* ---- reductions in pieces ---- */

int64_t moire__lower_pieces(const moire__lowering *l) {
  return l->target.pieces ? l->target.pieces : MOIRE__REDUCTION_PIECES;
}

void moire__lower_piece(moire__lowering *l, moire_dim extent, moire__loop_value p, moire__loop_value *low,
                        moire__loop_value *high) {
  moire__lower_piece_of(l, extent, moire__lower_pieces(l), p, low, high);
}

void moire__lower_piece_of(moire__lowering *l, moire_dim extent, int64_t n, moire__loop_value p,
                           moire__loop_value *low, moire__loop_value *high) {
  moire__lower_cut_bounds(l, &(moire__lower_cut){extent, n, 1, 1}, p, low, high);
}

static moire__loop_value quotient_up(moire__lowering *l, moire__loop_value x, moire__loop_value by) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, by, moire__loop_index(b, 1));
  return moire__loop_binary(b, MOIRE__LOOP_div, moire__lower_add(l, x, less), by);
}

static moire__loop_value size_of_cut(moire__lowering *l, const moire__lower_cut *cut) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value size =
      quotient_up(l, moire__loop_extent(b, cut->extent), moire__loop_index(b, cut->n * cut->unit));
  size = moire__lower_mul(l, size, moire__loop_index(b, cut->unit));
  return cut->least > 1 ? moire__loop_binary(b, MOIRE__LOOP_max, size, moire__loop_index(b, cut->least)) : size;
}

void moire__lower_cut_bounds(moire__lowering *l, const moire__lower_cut *cut, moire__loop_value p,
                             moire__loop_value *low, moire__loop_value *high) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value whole = moire__loop_extent(b, cut->extent), size = size_of_cut(l, cut);
  *low = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_mul(l, p, size), whole);
  *high = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, *low, size), whole);
}

moire__loop_value moire__lower_cut_count(moire__lowering *l, const moire__lower_cut *cut) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value one = moire__loop_index(b, 1);
  moire__loop_value size = size_of_cut(l, cut);
  if (cut->least <= 1) size = moire__loop_binary(b, MOIRE__LOOP_max, size, one);
  return moire__loop_binary(b, MOIRE__LOOP_max, quotient_up(l, moire__loop_extent(b, cut->extent), size), one);
}

void moire__lower_sum_pieces(moire__lowering *l, int extra, int32_t value) {
  moire__lower_sum_cut(l, extra, value, NULL);
}

void moire__lower_sum_cut(moire__lowering *l, int extra, int32_t value, const moire__lower_cut *cut) {
  static const char partial[] = ", partial sums";
  int64_t block = moire__lower_block(l, 1024);
  moire_dim elements = elements_of(l->g, value);
  bool again = strstr(l->kernel->name, partial) != NULL; /* of another result of the same node */
  moire__lower_begin(l,
                     again ? l->kernel->name : moire__arena_printf(l->arena, "%s%s", l->kernel->name, partial));
  moire__loop_buffer parts = moire__lower_add_extra(l, extra, MOIRE__BUFFER_IN);
  moire__lower_add_write(l, value);
  moire__lower_body(l, elements, block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, block));
  moire__loop_value whole = moire__loop_extent(b, elements);
  moire__loop_value high =
      moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, low, moire__loop_index(b, block)), whole);
  moire__loop_value pieces =
      cut ? moire__lower_cut_count(l, cut) : moire__loop_index(b, moire__lower_pieces(l));
  moire__loop_value i = moire__loop_for(b, low, high, 1, l->target.lanes * 2);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value p = moire__loop_for(b, moire__loop_index(b, 0), pieces, 1, 1);
  moire__loop_value address = moire__lower_add(l, moire__lower_mul(l, p, whole), i);
  moire__loop_value part = moire__loop_load(b, parts, address);
  moire__loop_set(b, sum, moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_get(b, sum), part));
  moire__loop_end(b);
  moire__lower_write(l, value, i, moire__loop_get(b, sum));
  moire__loop_end(b);
  moire__lower_finish(l);
}
