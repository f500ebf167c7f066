/* Interference attention, forward: one pass over the keys with a running softmax.
 *
 * One piece is a block of queries of one head of one sample. For each block of keys: k^T is packed so that keys
 * are the vector lanes; register tiles give |q k^H|^2; each row's maximum and sum are brought up to date,
 *
 *   m' = max(m, max_j s_j),  l' = l exp(m - m') + sum_j exp(s_j - m'),  y' = y exp(m - m') + sum_j exp(s_j -
 * m') v_j
 *
 * and at the end y / l, m and l are stored. Memory beside the operands: a block of scores.
 */
#include "ops/attend.h"
#include "ops/parts.h"
#include "ops/tiles.h"

enum { BLOCK = 64 };

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

moire__attend_kernel moire__attend_describe(moire__lowering *l, int first_optional) {
  const moire__node *node = l->node;
  const moire_dim *q = l->g->values[node->operands[MOIRE__ATTEND_QR]].shape.dims;
  const moire_dim *v = l->g->values[node->operands[MOIRE__ATTEND_VR]].shape.dims;
  moire__attend_kernel k = {.l = l, .layout = moire__attend_layout_of(node, first_optional)};
  k.packed = k.layout.tokens >= 0;
  k.heads = q[1];
  k.queries = k.packed && q[2] != 1 ? moire__node_int(node, "length") : q[2];
  k.d = q[3];
  k.keys = k.packed ? moire__node_int(node, "length") : v[2];
  k.e = v[3];
  int64_t block = moire__lower_block(l, BLOCK);
  k.query_block = smaller(block, k.queries > 0 ? k.queries : 1);
  k.key_block = smaller(block, k.keys);
  k.scale = moire__node_real(node, "scale");
  k.mask_value = moire__node_real(node, "mask_value");
  k.dropout = moire__node_real(node, "dropout");
  k.causal = moire__node_int(node, "causal") != 0;
  return k;
}

moire_dim moire__attend_samples(const moire__attend_kernel *k) {
  int operand = k->packed ? k->layout.starts : MOIRE__ATTEND_QR;
  return k->l->g->values[k->l->node->operands[operand]].shape.dims[0];
}

static moire__loop_value load_i32(const moire__attend_kernel *k, int operand, moire__loop_value at) {
  moire__view view = moire__lower_view(k->l, k->l->node->operands[operand]);
  moire__loop_value word = moire__loop_load(&k->l->builder, moire__lower_buffer(k->l, view.base), at);
  return moire__loop_cast(&k->l->builder, word, MOIRE__LOOP_I64);
}

void moire__attend_place(moire__attend_kernel *k, moire__loop_value number) {
  moire__loop_builder *b = &k->l->builder;
  k->sample = moire__loop_binary(b, MOIRE__LOOP_div, number, moire__loop_index(b, k->heads));
  k->head = moire__loop_binary(b, MOIRE__LOOP_mod, number, moire__loop_index(b, k->heads));
  k->all_queries = moire__loop_index(b, k->queries);
  k->all_keys = moire__loop_index(b, k->keys);
  if (!k->packed) return;
  k->first_token = load_i32(k, k->layout.starts, k->sample);
  k->all_keys = load_i32(k, k->layout.counts, k->sample);
  if (!moire__node_int_or(k->l->node, "last", 0)) k->all_queries = k->all_keys;
}

moire__loop_value moire__attend_block(const moire__attend_kernel *k, moire__loop_value all,
                                      moire__loop_value first, int64_t block) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, all, first);
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

moire__loop_value moire__attend_base(const moire__attend_kernel *k, const moire__view *view,
                                     moire__loop_value row) {
  moire__loop_value at[MOIRE_MAX_RANK] = {k->sample, k->head, row, 0};
  if (holds_tokens(k, view->dims[2])) at[2] = moire__lower_add(k->l, k->first_token, row);
  return moire__lower_address(k->l, view, at);
}

void moire__attend_pack(const moire__attend_kernel *k, int32_t value, int64_t width,
                        moire__loop_buffer packed) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__view view = moire__lower_view(l, value);
  moire__loop_value base = moire__attend_base(k, &view, k->first_key);
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__loop_value c = moire__loop_for(b, zero, moire__loop_index(b, width), 1, 1);
  moire__loop_value j = moire__loop_for(b, zero, k->n_keys, 1, l->target.lanes);
  moire__loop_value from = moire__lower_add(l, moire__lower_mul(l, j, moire__loop_extent(b, view.strides[2])),
                                            moire__lower_mul(l, c, moire__loop_extent(b, view.strides[3])));
  moire__loop_value element =
      moire__loop_load(b, moire__lower_buffer(l, view.base), moire__lower_add(l, base, from));
  moire__loop_value to = moire__lower_add(l, moire__lower_mul(l, c, moire__loop_index(b, k->key_block)), j);
  moire__loop_store(b, packed, to, element);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* bool: may query m of the block see key n of the block? 0 where nothing is masked. */
static moire__loop_value allowed(const moire__attend_kernel *k, moire__loop_value m, moire__loop_value n) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value key = moire__lower_add(l, k->first_key, n), result = 0;
  if (k->layout.valid >= 0) {
    int32_t valid = l->node->operands[k->layout.valid];
    moire__loop_value row = k->first_token;
    if (!k->packed) row = moire__lower_mul(l, k->sample, moire__loop_index(b, k->keys));
    moire__view view = moire__lower_view(l, valid);
    result = moire__loop_load(b, moire__lower_buffer(l, view.base), moire__lower_add(l, row, key));
  }
  if (!k->causal) return result;
  moire__loop_value offset = moire__loop_binary(b, MOIRE__LOOP_sub, k->all_keys, k->all_queries);
  moire__loop_value last = moire__lower_add(l, moire__lower_add(l, k->first_query, m), offset);
  moire__loop_value before = moire__loop_binary(b, MOIRE__LOOP_le, key, last);
  return result ? moire__loop_binary(b, MOIRE__LOOP_and, result, before) : before;
}

void moire__attend_add_shift(moire__attend_kernel *k) {
  k->shift = moire__loop_add_local(k->l->kernel, "shift", MOIRE__LOOP_F32, k->query_block);
}

void moire__attend_find_shifts(const moire__attend_kernel *k) {
  if (k->layout.valid < 0 && !k->causal) return;
  moire__loop_builder *b = &k->l->builder;
  moire__attend_kernel whole = *k;
  moire__loop_value zero = moire__loop_index(b, 0), none = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  whole.first_key = zero;
  moire__loop_value m = moire__loop_for(b, zero, k->n_queries, 1, 1);
  moire__loop_var any = moire__loop_declare(b, none);
  moire__loop_value n = moire__loop_for(b, zero, k->all_keys, 1, k->l->target.lanes);
  moire__loop_value one = moire__loop_const(b, MOIRE__LOOP_F32, 1);
  moire__loop_value seen = moire__loop_ternary(b, MOIRE__LOOP_select, allowed(&whole, m, n), one, none);
  moire__loop_reduce(b, any, MOIRE__LOOP_max, seen);
  moire__loop_end(b);
  moire__loop_value some = moire__loop_binary(b, MOIRE__LOOP_lt, none, moire__loop_get(b, any));
  moire__loop_value mask = moire__loop_const(b, MOIRE__LOOP_F32, k->mask_value);
  moire__loop_store(b, k->shift, m, moire__loop_ternary(b, MOIRE__LOOP_select, some, mask, none));
  moire__loop_end(b);
}

moire__loop_value moire__attend_score(const moire__attend_kernel *k, moire__loop_value m, moire__loop_value n,
                                      moire__loop_value re, moire__loop_value im) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value square = moire__loop_binary(b, MOIRE__LOOP_mul, im, im);
  square = moire__loop_ternary(b, MOIRE__LOOP_fma, re, re, square);
  moire__loop_value score =
      moire__loop_binary(b, MOIRE__LOOP_mul, square, moire__loop_const(b, MOIRE__LOOP_F32, k->scale));
  moire__loop_value seen = allowed(k, m, n);
  if (!seen) return score;
  moire__loop_value masked = moire__loop_binary(b, MOIRE__LOOP_add, score, moire__loop_load(b, k->shift, m));
  return moire__loop_ternary(b, MOIRE__LOOP_select, seen, score, masked);
}

/* Position of token `row` of the sample, which stands at tokens[first_token + row]. */
static moire__loop_value position(const moire__attend_kernel *k, moire__loop_value row) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value token = load_i32(k, k->layout.tokens, moire__lower_add(l, k->first_token, row));
  return moire__loop_binary(b, MOIRE__LOOP_sub, token,
                            moire__lower_mul(l, k->sample, moire__loop_index(b, k->keys)));
}

/* The element's offset in the whole mask: of a packed batch by where the tokens stood; otherwise the scores may
 * be a part of it (attributes mask_shape, mask_start). */
moire__loop_value moire__attend_drop(const moire__attend_kernel *k, moire__loop_value m, moire__loop_value n) {
  moire__lowering *l = k->l;
  const moire__node *node = l->node;
  moire__loop_value query = moire__lower_add(l, k->first_query, m), key = moire__lower_add(l, k->first_key, n);
  moire_dim dims[] = {0, k->heads, k->packed ? k->keys : k->queries, k->keys};
  moire__loop_value at[] = {k->sample, k->head, query, key};
  if (k->packed) {
    moire__loop_value offset = moire__loop_binary(&l->builder, MOIRE__LOOP_sub, k->all_keys, k->all_queries);
    at[2] = position(k, moire__lower_add(l, query, offset));
    at[3] = position(k, key);
  } else if (moire__node_attr(node, "mask_shape")) {
    moire_shape whole = moire__node_shape(node, "mask_shape");
    int n_axes = 0;
    const int64_t *from = moire__node_ints(node, "mask_start", &n_axes);
    for (int i = 0; i < 4; i++) {
      dims[i] = whole.dims[i];
      at[i] = moire__lower_add(l, at[i], moire__loop_index(&l->builder, from[i]));
    }
  }
  moire__loop_value element = at[0];
  for (int i = 1; i < 4; i++) {
    element =
        moire__lower_add(l, moire__lower_mul(l, element, moire__loop_extent(&l->builder, dims[i])), at[i]);
  }
  return moire__lower_mask_element(l, node->operands[k->layout.rng], k->dropout,
                                   moire__node_int(node, "stream"), element);
}

/* ---- the forward kernel ---- */

typedef struct forward {
  moire__attend_kernel k;
  moire__loop_buffer scores, largest, sum, y[2];
} forward;

static moire__loop_value row_offset(const forward *f, moire__loop_value m, int64_t width) {
  return moire__lower_mul(f->k.l, m, moire__loop_index(&f->k.l->builder, width));
}

static void store_score(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  forward *f = context;
  moire__loop_value score = moire__attend_score(&f->k, m, n, sum[0], sum[1]);
  moire__loop_value at = moire__lower_add(f->k.l, row_offset(f, m, f->k.key_block), n);
  moire__loop_store(&f->k.l->builder, f->scores, at, score);
}

static void add_to_y(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  forward *f = context;
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value at = moire__lower_add(f->k.l, row_offset(f, m, f->k.e), n);
  for (int i = 0; i < 2; i++) {
    moire__loop_value before = moire__loop_load(b, f->y[i], at);
    moire__loop_store(b, f->y[i], at, moire__loop_binary(b, MOIRE__LOOP_add, before, sum[i]));
  }
}

static void start_rows(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__loop_value m = moire__loop_for(b, zero, f->k.n_queries, 1, l->target.lanes);
  moire__loop_store(b, f->largest, m, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__loop_store(b, f->sum, m, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
  moire__loop_value all = moire__lower_mul(l, f->k.n_queries, moire__loop_index(b, f->k.e));
  moire__loop_value i = moire__loop_for(b, zero, all, 1, l->target.lanes);
  for (int p = 0; p < 2; p++) moire__loop_store(b, f->y[p], i, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
}

static void score_tiles(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value one = moire__loop_index(b, 1), zero = moire__loop_index(b, 0);
  moire__tiles t = {.m_low = zero,
                    .m_high = f->k.n_queries,
                    .n_low = zero,
                    .n_high = f->k.n_keys,
                    .k_low = zero,
                    .k_high = moire__loop_index(b, f->k.d),
                    .n_extent = f->k.key_block,
                    .type = MOIRE__LOOP_F32,
                    .finish = store_score,
                    .context = f};
  t.a.planes = t.b.planes = 2;
  t.b.conjugate = true;
  for (int p = 0; p < 2; p++) {
    moire__view q = moire__lower_view(l, l->node->operands[MOIRE__ATTEND_QR + p]);
    t.a.buffer[p] = moire__lower_buffer(l, q.base);
    t.a.base[p] = moire__attend_base(&f->k, &q, f->k.first_query);
    t.a.row[p] = moire__loop_extent(b, q.strides[2]);
    t.a.column[p] = moire__loop_extent(b, q.strides[3]);
    t.b.buffer[p] = f->k.packed_k[p];
    t.b.base[p] = zero;
    t.b.row[p] = moire__loop_index(b, f->k.key_block);
    t.b.column[p] = one;
  }
  moire__tiles_emit(l, &t);
}

/* Rows of scores become weights; m, l and y are brought up to date. */
static void soften_rows(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  int lanes = l->target.lanes * 2;
  moire__loop_value m = moire__loop_for(b, zero, f->k.n_queries, 1, 1);
  moire__loop_value row = row_offset(f, m, f->k.key_block), before = moire__loop_load(b, f->largest, m);
  moire__loop_var top = moire__loop_declare(b, before);
  moire__loop_value n = moire__loop_for(b, zero, f->k.n_keys, 1, lanes);
  moire__loop_reduce(b, top, MOIRE__LOOP_max, moire__loop_load(b, f->scores, moire__lower_add(l, row, n)));
  moire__loop_end(b);
  moire__loop_value now = moire__loop_get(b, top);
  moire__loop_value fade =
      moire__loop_unary(b, MOIRE__LOOP_exp, moire__loop_binary(b, MOIRE__LOOP_sub, before, now));
  moire__loop_value faded = moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, f->sum, m), fade);
  moire__loop_var sum = moire__loop_declare(b, faded);
  n = moire__loop_for(b, zero, f->k.n_keys, 1, lanes);
  moire__loop_value at = moire__lower_add(l, row, n);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->scores, at), now);
  moire__loop_value weight = moire__loop_unary(b, MOIRE__LOOP_exp, less);
  moire__loop_reduce(b, sum, MOIRE__LOOP_add, weight);
  if (f->k.layout.rng >= 0)
    weight = moire__loop_binary(b, MOIRE__LOOP_mul, weight, moire__attend_drop(&f->k, m, n));
  moire__loop_store(b, f->scores, at, weight);
  moire__loop_end(b);
  moire__loop_store(b, f->largest, m, now);
  moire__loop_store(b, f->sum, m, moire__loop_get(b, sum));
  if (f->k.keys > f->k.key_block) {
    moire__loop_value i = moire__loop_for(b, zero, moire__loop_index(b, f->k.e), 1, l->target.lanes);
    moire__loop_value to = moire__lower_add(l, row_offset(f, m, f->k.e), i);
    for (int p = 0; p < 2; p++) {
      moire__loop_store(b, f->y[p], to,
                        moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, f->y[p], to), fade));
    }
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

static void value_tiles(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), one = moire__loop_index(b, 1);
  moire__tiles t = {.m_low = zero,
                    .m_high = f->k.n_queries,
                    .n_low = zero,
                    .n_high = moire__loop_index(b, f->k.e),
                    .k_low = zero,
                    .k_high = f->k.n_keys,
                    .n_extent = f->k.e,
                    .type = MOIRE__LOOP_F32,
                    .finish = add_to_y,
                    .context = f};
  t.a = (moire__tile_matrix){.planes = 1,
                             .buffer = {f->scores},
                             .base = {zero},
                             .row = {moire__loop_index(b, f->k.key_block)},
                             .column = {one}};
  t.b.planes = 2;
  for (int p = 0; p < 2; p++) {
    moire__view v = moire__lower_view(l, l->node->operands[MOIRE__ATTEND_VR + p]);
    t.b.buffer[p] = moire__lower_buffer(l, v.base);
    t.b.base[p] = moire__attend_base(&f->k, &v, f->k.first_key);
    t.b.row[p] = moire__loop_extent(b, v.strides[2]);
    t.b.column[p] = one;
  }
  moire__tiles_emit(l, &t);
}

static void store_rows(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value m = moire__loop_for(b, moire__loop_index(b, 0), f->k.n_queries, 1, 1);
  moire__loop_value sum = moire__loop_load(b, f->sum, m),
                    row = moire__attend_row(&f->k, MOIRE__ATTEND_QR, moire__lower_add(l, f->k.first_query, m));
  moire__loop_value i =
      moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, f->k.e), 1, l->target.lanes);
  moire__loop_value from = moire__lower_add(l, row_offset(f, m, f->k.e), i);
  moire__loop_value to = moire__lower_add(l, row_offset(f, row, f->k.e), i);
  for (int p = 0; p < 2; p++) {
    moire__loop_value y = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_load(b, f->y[p], from), sum);
    moire__lower_write(l, l->node->first_result + p, to, y);
  }
  moire__loop_end(b);
  moire__lower_write(l, l->node->first_result + 2, row, moire__loop_load(b, f->largest, m));
  moire__lower_write(l, l->node->first_result + 3, row, sum);
  moire__loop_end(b);
}

static void add_buffers(forward *f) {
  moire__lowering *l = f->k.l;
  const moire__attend_kernel *k = &f->k;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < 4; i++) moire__lower_add_write(l, l->node->first_result + i);
  for (int p = 0; p < 2; p++) {
    f->k.packed_k[p] = moire__loop_add_local(l->kernel, "packed_k", MOIRE__LOOP_F32, k->d * k->key_block);
    f->y[p] = moire__loop_add_local(l->kernel, "y", MOIRE__LOOP_F32, k->query_block * k->e);
  }
  moire__attend_add_shift(&f->k);
  f->scores = moire__loop_add_local(l->kernel, "scores", MOIRE__LOOP_F32, k->query_block * k->key_block);
  f->largest = moire__loop_add_local(l->kernel, "largest", MOIRE__LOOP_F32, k->query_block);
  f->sum = moire__loop_add_local(l->kernel, "sum", MOIRE__LOOP_F32, k->query_block);
}

/* The block of queries at hand against all keys. */
static void block_of_queries(forward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  k->n_queries = moire__attend_block(k, k->all_queries, k->first_query, k->query_block);
  start_rows(f);
  moire__attend_find_shifts(k);
  k->first_key = moire__loop_for(b, moire__loop_index(b, 0), k->all_keys, k->key_block, 1);
  k->n_keys = moire__attend_block(k, k->all_keys, k->first_key, k->key_block);
  for (int p = 0; p < 2; p++)
    moire__attend_pack(k, k->l->node->operands[MOIRE__ATTEND_KR + p], k->d, k->packed_k[p]);
  score_tiles(f);
  soften_rows(f);
  value_tiles(f);
  moire__loop_end(b);
  store_rows(f);
}

void moire__attend_lower(moire__lowering *l) {
  forward f = {.k = moire__attend_describe(l, MOIRE__ATTEND_FORWARD)};
  add_buffers(&f);
  moire__attend_kernel *k = &f.k;
  int64_t blocks = k->packed ? 1 : (k->queries + k->query_block - 1) / k->query_block;
  moire_dim count = 0;
  moire__dim_multiply(moire__attend_samples(k), k->heads * blocks, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value piece = l->kernel->parallel, per_head = moire__loop_index(b, blocks);
  moire__attend_place(k, moire__loop_binary(b, MOIRE__LOOP_div, piece, per_head));
  if (k->packed) {
    k->first_query = moire__loop_for(b, moire__loop_index(b, 0), k->all_queries, k->query_block, 1);
    block_of_queries(&f);
    moire__loop_end(b);
  } else {
    moire__loop_value block = moire__loop_binary(b, MOIRE__LOOP_mod, piece, per_head);
    k->first_query = moire__lower_mul(l, block, moire__loop_index(b, k->query_block));
    block_of_queries(&f);
  }
  moire__lower_finish(l);
}
