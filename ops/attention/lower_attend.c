/* Attention as one kernel: what the forward and the backward loop nest share (ops/attention/attend.h).
 *
 * Of the masked keys only those are looked at that may have a weight. Where every query of a block sees some
 * key, a masked key's weight is exp(mask_value + ..), which is 0 in float32 unless scores of one row differ by
 * thousands (decision 11): keys after the last that causality allows, and before the first that is valid, are
 * left out then if mask_value is -1000 or less.
 */
#include "ops/attention/attend.h"

#include <math.h>

enum { QUERY_BLOCK = 128, KEY_BLOCK = 64, NO_KEY = 1 << 30, COPIED_AT_ONCE = 16 };
enum { LEAST_SIDE = 4, MOST_SIDE = 16 }; /* of squares that are turned */

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

moire__attend_kernel moire__attend_describe(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__attend_kernel k = {.l = l, .layout = moire__attend_layout_of(node), .lanes = l->target.lanes};
  const moire_dim *q = l->g->values[node->operands[0]].shape.dims;
  const moire_dim *v = l->g->values[node->operands[k.layout.v]].shape.dims;
  k.packed = k.layout.tokens >= 0;
  k.heads = q[1];
  k.queries = k.packed && q[2] != 1 ? moire__node_int(node, "length") : q[2];
  k.d = q[3];
  k.keys = k.packed ? moire__node_int(node, "length") : v[2];
  k.e = v[3];
  k.query_block = smaller(moire__lower_block(l, QUERY_BLOCK), k.queries > 0 ? k.queries : 1) + k.lanes - 1;
  k.query_block -= k.query_block % k.lanes;
  k.stride = k.query_block / k.lanes % 2 ? k.query_block : k.query_block + k.lanes;
  k.key_block = smaller(moire__lower_block(l, KEY_BLOCK), k.keys);
  k.scale = moire__node_real(node, "scale");
  k.mask_value = moire__node_real(node, "mask_value");
  k.dropout = moire__node_real(node, "dropout");
  k.causal = moire__node_int(node, "causal") != 0;
  k.per_unit = k.layout.bf16 ? M_LOG2E : 1;
  return k;
}

moire_dim moire__attend_samples(const moire__attend_kernel *k) {
  int operand = k->packed ? k->layout.starts : 0;
  return k->l->g->values[k->l->node->operands[operand]].shape.dims[0];
}

static moire__loop_value load_i32(const moire__attend_kernel *k, int operand, moire__loop_value at) {
  moire__view view = moire__lower_view(k->l, k->l->node->operands[operand]);
  moire__loop_value word = moire__loop_load(&k->l->builder, moire__lower_buffer(k->l, view.base), at);
  return moire__loop_cast(&k->l->builder, word, MOIRE__LOOP_I64);
}

moire__loop_value moire__attend_is_valid(const moire__attend_kernel *k, moire__loop_value key) {
  moire__lowering *l = k->l;
  moire__loop_value row = k->first_token;
  if (!k->packed) row = moire__lower_mul(l, k->sample, moire__loop_index(&l->builder, k->keys));
  moire__view view = moire__lower_view(l, l->node->operands[k->layout.valid]);
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view.base), moire__lower_add(l, row, key));
}

static void find_first_seen(moire__attend_kernel *k) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), none = moire__loop_const(b, MOIRE__LOOP_I32, NO_KEY);
  k->first_seen = zero;
  if (k->layout.valid < 0) return;
  moire__loop_var first = moire__loop_declare(b, none);
  moire__loop_value key = moire__loop_for(b, zero, k->all_keys, 1, k->l->target.lanes);
  moire__loop_value number = moire__loop_cast(b, key, MOIRE__LOOP_I32);
  moire__loop_reduce(b, first, MOIRE__LOOP_min,
                     moire__loop_ternary(b, MOIRE__LOOP_select, moire__attend_is_valid(k, key), number, none));
  moire__loop_end(b);
  k->first_seen = moire__loop_cast(b, moire__loop_get(b, first), MOIRE__LOOP_I64);
}

void moire__attend_place(moire__attend_kernel *k, moire__loop_value number) {
  moire__loop_builder *b = &k->l->builder;
  k->sample = moire__loop_binary(b, MOIRE__LOOP_div, number, moire__loop_index(b, k->heads));
  k->head = moire__loop_binary(b, MOIRE__LOOP_mod, number, moire__loop_index(b, k->heads));
  k->all_queries = moire__loop_index(b, k->queries);
  k->all_keys = moire__loop_index(b, k->keys);
  if (k->packed) {
    k->first_token = load_i32(k, k->layout.starts, k->sample);
    k->all_keys = load_i32(k, k->layout.counts, k->sample);
    if (!moire__node_int_or(k->l->node, "last", 0)) k->all_queries = k->all_keys;
  }
  find_first_seen(k);
}

void moire__attend_open_queries(moire__attend_kernel *k) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  int64_t blocks = k->packed ? 1 : (k->queries + k->query_block - 1) / k->query_block;
  moire_dim count = 0;
  moire__dim_multiply(moire__attend_samples(k), k->heads * blocks, &count);
  moire__lower_body(l, count, 1);
  moire__loop_value piece = l->kernel->parallel, per_head = moire__loop_index(b, blocks);
  moire__attend_place(k, moire__loop_binary(b, MOIRE__LOOP_div, piece, per_head));
  if (k->packed) {
    k->first_query = moire__loop_for(b, moire__loop_index(b, 0), k->all_queries, k->query_block, 1);
  } else {
    moire__loop_value block = moire__loop_binary(b, MOIRE__LOOP_mod, piece, per_head);
    k->first_query = moire__lower_mul(l, block, moire__loop_index(b, k->query_block));
  }
}

void moire__attend_close_queries(moire__attend_kernel *k) {
  if (k->packed) moire__loop_end(&k->l->builder);
  moire__lower_finish(k->l);
}

moire__loop_value moire__attend_block(const moire__attend_kernel *k, moire__loop_value end,
                                      moire__loop_value first, int64_t block) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, end, first);
  return moire__loop_binary(b, MOIRE__LOOP_min, left, moire__loop_index(b, block));
}

/* Does the operand hold tokens rather than rows of samples? */
static bool holds_tokens(const moire__attend_kernel *k, moire_dim rows) { return k->packed && rows != 1; }

moire__loop_value moire__attend_row(const moire__attend_kernel *k, int operand, moire__loop_value row) {
  moire__lowering *l = k->l;
  const moire_dim *dims = l->g->values[l->node->operands[operand]].shape.dims;
  moire__loop_value rows = moire__loop_extent(&l->builder, dims[2]),
                    heads = moire__loop_index(&l->builder, k->heads);
  if (holds_tokens(k, dims[2])) {
    return moire__lower_add(l, moire__lower_mul(l, k->head, rows), moire__lower_add(l, k->first_token, row));
  }
  moire__loop_value head = moire__lower_add(l, moire__lower_mul(l, k->sample, heads), k->head);
  return moire__lower_add(l, moire__lower_mul(l, head, rows), row);
}

moire__loop_value moire__attend_result_row(const moire__attend_kernel *k, int operand, moire__loop_value row) {
  moire__lowering *l = k->l;
  const moire_dim *dims = l->g->values[l->node->operands[operand]].shape.dims;
  moire__loop_value first = k->first_token;
  if (!holds_tokens(k, dims[2]))
    first = moire__lower_mul(l, k->sample, moire__loop_extent(&l->builder, dims[2]));
  moire__loop_value position = moire__lower_add(l, first, row);
  return moire__lower_add(l, moire__lower_mul(l, position, moire__loop_index(&l->builder, k->heads)), k->head);
}

/* Element offset of (sample, head, row, 0) in an operand's view. */
static moire__loop_value base_of(const moire__attend_kernel *k, const moire__view *view,
                                 moire__loop_value row) {
  moire__loop_value at[MOIRE_MAX_RANK] = {k->sample, k->head, row, 0};
  if (holds_tokens(k, view->dims[2])) at[2] = moire__lower_add(k->l, k->first_token, row);
  return moire__lower_address(k->l, view, at);
}

moire__tile_matrix moire__attend_rows(const moire__attend_kernel *k, int operand, moire__loop_value row) {
  moire__lowering *l = k->l;
  moire__tile_matrix x = {.planes = k->layout.planes, .narrow = k->layout.bf16};
  for (int p = 0; p < x.planes; p++) {
    moire__view view = moire__lower_view(l, l->node->operands[operand + p]);
    x.buffer[p] = moire__lower_buffer(l, view.base);
    x.base[p] = base_of(k, &view, row);
    x.row[p] = moire__loop_extent(&l->builder, view.strides[2]);
    x.column[p] = moire__loop_extent(&l->builder, view.strides[3]);
  }
  return x;
}

/* The largest side of squares that can be turned in registers; 0: rows do not lie along memory, or are no whole
 * squares. */
static int side_of_squares(const moire__attend_kernel *k, int operand, int64_t width) {
  moire__lowering *l = k->l;
  int side = k->lanes < MOST_SIDE ? k->lanes : MOST_SIDE;
  while (side >= LEAST_SIDE && width % side) side /= 2;
  for (int p = 0; p < k->layout.planes; p++) {
    if (moire__lower_view(l, l->node->operands[operand + p]).strides[3] != 1) return 0;
  }
  return side >= LEAST_SIDE ? side : 0;
}

/* Turns squares of rows from `low` on, as many as there are before `high`; returns the row after them. */
static moire__loop_value turn_rows(const moire__attend_kernel *k, const moire__tile_matrix *x, int64_t width,
                                   const moire__loop_buffer *to, moire__loop_value low, moire__loop_value high,
                                   int side) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value size = moire__loop_index(b, side);
  moire__loop_value fit = moire__loop_binary(b, MOIRE__LOOP_sub, high, low);
  fit = moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_div, fit, size), size);
  moire__loop_value end = moire__lower_add(l, low, fit);
  moire__loop_value i = moire__loop_for(b, low, end, side, 1);
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, width), side, 1);
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, c, moire__loop_index(b, k->stride)), i);
  for (int p = 0; p < x->planes; p++)
    moire__loop_turn(b, to[p], at, k->stride, x->buffer[p], moire__tile_address(l, x, p, i, c), x->row[p],
                     side);
  moire__loop_end(b);
  moire__loop_end(b);
  return end;
}

/* One row of x becomes a column, some of its elements at once. */
static void transpose_row(const moire__attend_kernel *k, const moire__tile_matrix *x, int plane, int64_t width,
                          moire__loop_buffer to, moire__loop_value i) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  int64_t middle = width - width % COPIED_AT_ONCE;
  moire__loop_value row = moire__lower_add(l, x->base[plane], moire__lower_mul(l, i, x->row[plane]));
  for (int part = 0; part < 2; part++) {
    int64_t low = part ? middle : 0, high = part ? width : middle, step = part ? 1 : COPIED_AT_ONCE;
    if (low == high) continue;
    moire__loop_value first =
        moire__loop_for(b, moire__loop_index(b, low), moire__loop_index(b, high), step, 1);
    for (int64_t more = 0; more < step; more++) {
      moire__loop_value c = moire__lower_add(l, first, moire__loop_index(b, more));
      moire__loop_value from = moire__lower_add(l, row, moire__lower_mul(l, c, x->column[plane]));
      moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, c, moire__loop_index(b, k->stride)), i);
      moire__loop_store(b, to, at, moire__loop_load(b, x->buffer[plane], from));
    }
    moire__loop_end(b);
  }
}

void moire__attend_transpose(const moire__attend_kernel *k, int operand, int64_t width, moire__loop_value first,
                             moire__loop_value n, const moire__loop_buffer *transposed) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__tile_matrix x = moire__attend_rows(k, operand, first);
  moire__loop_value zero = moire__loop_index(b, 0), lanes = moire__loop_index(b, k->lanes);
  moire__loop_value rest = moire__loop_binary(b, MOIRE__LOOP_mod, n, lanes);
  moire__loop_value full = moire__loop_binary(b, MOIRE__LOOP_sub, n, rest);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, zero, rest));
  moire__loop_value c = moire__loop_for(b, zero, moire__loop_index(b, width), 1, 1);
  moire__loop_value i = moire__loop_for(b, zero, lanes, 1, k->lanes);
  moire__loop_value at = moire__lower_mul(l, c, moire__loop_index(b, k->stride));
  at = moire__lower_add(l, moire__lower_add(l, at, full), i);
  for (int p = 0; p < x.planes; p++)
    moire__loop_store(b, transposed[p], at, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_value next = zero;
  for (int side = side_of_squares(k, operand, width); side; side = side > LEAST_SIDE ? LEAST_SIDE : 0)
    next = turn_rows(k, &x, width, transposed, next, n, side);
  i = moire__loop_for(b, next, n, 1, 1);
  for (int p = 0; p < x.planes; p++) transpose_row(k, &x, p, width, transposed[p], i);
  moire__loop_end(b);
}

/* ---- which keys a query sees ---- */

moire__loop_value moire__attend_last_key(const moire__attend_kernel *k, moire__loop_value m) {
  moire__loop_value offset = moire__loop_binary(&k->l->builder, MOIRE__LOOP_sub, k->all_keys, k->all_queries);
  return moire__lower_add(k->l, moire__lower_add(k->l, k->first_query, m), offset);
}

/* bool: does every query of the block see a key, so that masked ones have no weight? 0: that does not matter.
 */
static moire__loop_value sees(const moire__attend_kernel *k) {
  moire__loop_builder *b = &k->l->builder;
  if (k->mask_value > -1000 || (k->layout.valid < 0 && !k->causal)) return 0;
  moire__loop_value last =
      k->causal ? moire__attend_last_key(k, moire__loop_index(b, 0)) : moire__loop_index(b, NO_KEY - 1);
  return moire__loop_binary(b, MOIRE__LOOP_le, k->first_seen, last);
}

moire__loop_value moire__attend_end(const moire__attend_kernel *k, moire__loop_value end) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value all_see = sees(k);
  if (!all_see || !k->causal) return k->all_keys;
  moire__loop_value high = moire__loop_binary(b, MOIRE__LOOP_min, moire__attend_last_key(k, end), k->all_keys);
  return moire__loop_ternary(b, MOIRE__LOOP_select, all_see, high, k->all_keys);
}

void moire__attend_range(const moire__attend_kernel *k, moire__loop_value *low, moire__loop_value *high) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value all_see = sees(k), zero = moire__loop_index(b, 0);
  *low = all_see ? moire__loop_ternary(b, MOIRE__LOOP_select, all_see, k->first_seen, zero) : zero;
  *high = moire__attend_end(k, k->n_queries);
}

void moire__attend_open_keys(moire__attend_kernel *k) {
  moire__loop_value low = 0, high = 0;
  moire__attend_range(k, &low, &high);
  k->first_key = moire__loop_for(&k->l->builder, low, high, k->key_block, 1);
  k->n_keys = moire__attend_block(k, high, k->first_key, k->key_block);
}

void moire__attend_open_part(moire__attend_kernel *k) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), lanes = moire__loop_index(b, k->lanes);
  k->part = moire__loop_for(b, zero, k->n_queries, k->lanes, 1);
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, k->n_queries, k->part);
  k->n_part = moire__loop_binary(b, MOIRE__LOOP_min, left, lanes);
  moire__loop_value end = moire__attend_end(k, moire__lower_add(l, k->part, k->n_part));
  end = moire__loop_binary(b, MOIRE__LOOP_sub, end, k->first_key);
  end = moire__loop_binary(b, MOIRE__LOOP_min, end, k->n_keys);
  k->part_keys = moire__loop_binary(b, MOIRE__LOOP_max, end, zero);
}

/* ---- the random mask ---- */

moire__loop_value moire__attend_position(const moire__attend_kernel *k, moire__loop_value row) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value token = load_i32(k, k->layout.tokens, moire__lower_add(l, k->first_token, row));
  return moire__loop_binary(b, MOIRE__LOOP_sub, token,
                            moire__lower_mul(l, k->sample, moire__loop_index(b, k->keys)));
}

/* The whole mask's extents but for samples, and where the part of it begins that is used (attributes
 * mask_shape, mask_start). */
static void mask_part(const moire__attend_kernel *k, moire_dim dims[4], int64_t from[4]) {
  const moire__node *node = k->l->node;
  const moire_dim own[] = {0, k->heads, k->packed ? k->keys : k->queries, k->keys};
  bool is_part = !k->packed && moire__node_attr(node, "mask_shape");
  int n = 0;
  for (int i = 0; i < 4; i++) {
    dims[i] = is_part ? moire__node_shape(node, "mask_shape").dims[i] : own[i];
    from[i] = is_part ? moire__node_ints(node, "mask_start", &n)[i] : 0;
  }
}

/* Of a packed batch by where the tokens stood. Lanes after the last query take its place. */
moire__loop_value moire__attend_mask_row(const moire__attend_kernel *k, moire__loop_value m) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value query = moire__lower_add(l, k->first_query, m);
  if (k->packed) {
    moire__loop_value offset = moire__loop_binary(b, MOIRE__LOOP_sub, k->all_keys, k->all_queries);
    moire__loop_value last = moire__loop_binary(b, MOIRE__LOOP_sub, k->all_queries, moire__loop_index(b, 1));
    query = moire__attend_position(
        k, moire__lower_add(l, moire__loop_binary(b, MOIRE__LOOP_min, query, last), offset));
  }
  moire_dim dims[4];
  int64_t from[4];
  mask_part(k, dims, from);
  moire__loop_value sample = moire__lower_add(l, k->sample, moire__lower_mask_first(l, l->node));
  moire__loop_value at[] = {sample, k->head, query}, row = 0;
  for (int i = 0; i < 3; i++) {
    at[i] = moire__lower_add(l, at[i], moire__loop_index(b, from[i]));
    row = i ? moire__lower_add(l, moire__lower_mul(l, row, moire__loop_extent(b, dims[i])), at[i]) : at[i];
  }
  return moire__lower_mul(l, row, moire__loop_extent(b, dims[3]));
}

moire__loop_value moire__attend_mask_column(const moire__attend_kernel *k, moire__loop_value key) {
  moire_dim dims[4];
  int64_t from[4];
  mask_part(k, dims, from);
  if (k->packed) return moire__attend_position(k, key);
  return moire__lower_add(k->l, key, moire__loop_index(&k->l->builder, from[3]));
}

moire_dim moire__attend_mask_width(const moire__attend_kernel *k) {
  moire_dim dims[4];
  int64_t from[4];
  mask_part(k, dims, from);
  return dims[3];
}

moire__loop_value moire__attend_mask_element(const moire__attend_kernel *k, moire__loop_value element) {
  const moire__node *node = k->l->node;
  return moire__lower_mask_element(k->l, node->operands[k->layout.rng], k->dropout,
                                   moire__node_int(node, "stream"), element);
}

moire__loop_value moire__attend_drop(const moire__attend_kernel *k, moire__loop_value n) {
  moire__loop_value column = moire__attend_mask_column(k, moire__lower_add(k->l, k->first_key, n));
  return moire__attend_mask_element(k, moire__lower_add(k->l, k->mask_row, column));
}

/* ---- scores ---- */

void moire__attend_of_query(moire__attend_kernel *k, moire__loop_value m) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  moire__loop_value last = moire__loop_const(b, MOIRE__LOOP_I32, NO_KEY - 1);
  k->last = last;
  if (k->causal) k->last = last = moire__loop_cast(b, moire__attend_last_key(k, m), MOIRE__LOOP_I32);
  moire__loop_value some =
      moire__loop_binary(b, MOIRE__LOOP_le, moire__loop_cast(b, k->first_seen, MOIRE__LOOP_I32), last);
  moire__loop_value mask = moire__loop_const(b, MOIRE__LOOP_F32, k->mask_value * k->per_unit);
  k->shift = moire__loop_ternary(b, MOIRE__LOOP_select, some, mask, none);
}

moire__loop_value moire__attend_open_lanes(moire__attend_kernel *k) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value lane =
      moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, k->lanes), 1, k->lanes);
  moire__loop_value m = moire__lower_add(k->l, k->part, lane);
  moire__attend_of_query(k, m);
  if (k->layout.rng >= 0) k->mask_row = moire__attend_mask_row(k, m);
  return m;
}

moire__tiles moire__attend_tiles(const moire__attend_kernel *k, int operand, int64_t width,
                                 const moire__loop_buffer *transposed, moire__tile_finish *finish,
                                 void *context) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__tiles t = {.a = moire__attend_rows(k, operand, k->first_key),
                    .b = {.planes = k->layout.planes, .narrow = k->layout.bf16},
                    .m_low = zero,
                    .m_high = k->part_keys,
                    .k_low = zero,
                    .k_high = moire__loop_index(b, width),
                    .rows = moire__tiles_even_rows(k->l, k->layout.planes, k->layout.planes, 1),
                    .type = MOIRE__LOOP_F32,
                    .finish = finish,
                    .context = context};
  t.a.conjugate = k->layout.planes == 2;
  for (int p = 0; p < t.b.planes; p++) {
    t.b.buffer[p] = transposed[p];
    t.b.base[p] = zero;
    t.b.row[p] = moire__loop_index(b, k->stride);
    t.b.column[p] = moire__loop_index(b, 1);
  }
  return t;
}

moire__loop_value moire__attend_power(const moire__attend_kernel *k, moire__loop_value x) {
  return moire__loop_unary(&k->l->builder, k->layout.bf16 ? MOIRE__LOOP_exp2 : MOIRE__LOOP_exp, x);
}

moire__loop_value moire__attend_base(const moire__attend_kernel *k, moire__loop_value largest) {
  moire__loop_builder *b = &k->l->builder;
  if (!k->layout.bf16) return largest;
  moire__loop_value below = moire__loop_unary(b, MOIRE__LOOP_neg, largest);
  return moire__loop_unary(b, MOIRE__LOOP_neg, moire__loop_unary(b, MOIRE__LOOP_floor, below));
}

moire__loop_value moire__attend_strength(const moire__attend_kernel *k, const moire__loop_value s[2]) {
  moire__loop_builder *b = &k->l->builder;
  if (k->layout.planes == 1) return s[0];
  return moire__loop_ternary(b, MOIRE__LOOP_fma, s[0], s[0],
                             moire__loop_binary(b, MOIRE__LOOP_mul, s[1], s[1]));
}

moire__loop_value moire__attend_scaled(const moire__attend_kernel *k, const moire__loop_value s[2]) {
  moire__loop_builder *b = &k->l->builder;
  return moire__loop_binary(b, MOIRE__LOOP_mul, moire__attend_strength(k, s),
                            moire__loop_const(b, MOIRE__LOOP_F32, k->scale * k->per_unit));
}

moire__loop_value moire__attend_score(const moire__attend_kernel *k, moire__loop_value n,
                                      const moire__loop_value s[2]) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value score = moire__attend_scaled(k, s), seen = 0;
  moire__loop_value key = moire__lower_add(k->l, k->first_key, n);
  if (k->layout.valid >= 0) seen = moire__attend_is_valid(k, key);
  if (k->causal) {
    moire__loop_value before =
        moire__loop_binary(b, MOIRE__LOOP_le, moire__loop_cast(b, key, MOIRE__LOOP_I32), k->last);
    seen = seen ? moire__loop_binary(b, MOIRE__LOOP_and, seen, before) : before;
  }
  if (!seen) return score;
  moire__loop_value masked = moire__loop_binary(b, MOIRE__LOOP_add, score, k->shift);
  return moire__loop_ternary(b, MOIRE__LOOP_select, seen, score, masked);
}
