/* Interference attention, backward: scores are recomputed block by block.
 *
 *   p = exp(|s|^2 scale + mask - largest) / sum  dv_j += sum_i p_ij drop_ij g_i
 *   dp_ij = Re(g_i conj v_j) drop_ij          D_i = Re(g_i conj y_i) = sum_j p_ij dp_ij
 *   ds_ij = 2 scale p_ij (dp_ij - D_i) s_ij   dq_i += sum_j ds_ij k_j,   dk_j += sum_i conj(ds_ij) q_i
 *
 * One piece is a head of a sample, so that its sums over queries and over keys have one writer and a fixed
 * order. For a block of queries and a block of keys, k^T and v^T are packed so that keys are the vector lanes
 * of s and dp.
 */
#include "ops/attend.h"
#include "ops/parts.h"
#include "ops/tiles.h"

typedef struct backward {
  moire__attend_kernel k;
  moire__loop_buffer packed_v[2], s[2], p, dp, kept, dot; /* kept: p drop */
  moire__loop_value first_row;                            /* offset of the block's first row among all rows */
} backward;

static moire__loop_value in_block(const backward *f, moire__loop_value m, moire__loop_value n) {
  moire__loop_value row = moire__lower_mul(f->k.l, m, moire__loop_index(&f->k.l->builder, f->k.key_block));
  return moire__lower_add(f->k.l, row, n);
}

/* ---- matrices of the tiles ---- */

/* Rows from `row` on of an operand, both planes. */
static moire__tile_matrix operand_rows(const backward *f, int operand, moire__loop_value row) {
  moire__lowering *l = f->k.l;
  moire__tile_matrix x = {.planes = 2};
  for (int p = 0; p < 2; p++) {
    moire__view view = moire__lower_view(l, l->node->operands[operand + p]);
    x.buffer[p] = moire__lower_buffer(l, view.base);
    x.base[p] = moire__attend_base(&f->k, &view, row);
    x.row[p] = moire__loop_extent(&l->builder, view.strides[2]);
    x.column[p] = moire__loop_extent(&l->builder, view.strides[3]);
  }
  return x;
}

static moire__tile_matrix local_matrix(const backward *f, int planes, const moire__loop_buffer *buffers,
                                       bool transposed) {
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value wide = moire__loop_index(b, f->k.key_block), one = moire__loop_index(b, 1);
  moire__tile_matrix x = {.planes = planes};
  for (int p = 0; p < planes; p++) {
    x.buffer[p] = buffers[p];
    x.base[p] = moire__loop_index(b, 0);
    x.row[p] = transposed ? one : wide;
    x.column[p] = transposed ? wide : one;
  }
  return x;
}

static moire__tiles tiles(backward *f, moire__loop_value m, moire_dim n_extent, moire__loop_value n,
                          moire__loop_value k, moire__tile_finish *finish, void *context) {
  moire__loop_value zero = moire__loop_index(&f->k.l->builder, 0);
  return (moire__tiles){.m_low = zero,
                        .m_high = m,
                        .n_low = zero,
                        .n_high = n,
                        .k_low = zero,
                        .k_high = k,
                        .n_extent = n_extent,
                        .type = MOIRE__LOOP_F32,
                        .finish = finish,
                        .context = context};
}

/* ---- what is done with a tile's rows ---- */

static moire__loop_value load_row_scalar(const backward *f, int operand, moire__loop_value m) {
  moire__lowering *l = f->k.l;
  moire__loop_buffer from = moire__lower_buffer(l, moire__lower_view(l, l->node->operands[operand]).base);
  return moire__loop_load(&l->builder, from, moire__lower_add(l, f->first_row, m));
}

static void store_weight(void *context, moire__loop_value m, moire__loop_value n,
                         const moire__loop_value sum[2]) {
  backward *f = context;
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value at = in_block(f, m, n), score = moire__attend_score(&f->k, m, n, sum[0], sum[1]);
  moire__loop_value less =
      moire__loop_binary(b, MOIRE__LOOP_sub, score, load_row_scalar(f, MOIRE__ATTEND_LARGEST, m));
  moire__loop_value p = moire__loop_unary(b, MOIRE__LOOP_exp, less);
  p = moire__loop_binary(b, MOIRE__LOOP_div, p, load_row_scalar(f, MOIRE__ATTEND_SUM, m));
  moire__loop_store(b, f->p, at, p);
  for (int i = 0; i < 2; i++) moire__loop_store(b, f->s[i], at, sum[i]);
}

static void store_slope(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  backward *f = context;
  moire__loop_store(&f->k.l->builder, f->dp, in_block(f, m, n), sum[0]);
}

/* dp becomes dp drop; returns D = sum p dp of the row. */
static moire__loop_value drop_and_sum(backward *f, moire__loop_value m) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value n = moire__loop_for(b, moire__loop_index(b, 0), f->k.n_keys, 1, l->target.lanes * 2);
  moire__loop_value at = in_block(f, m, n), p = moire__loop_load(b, f->p, at),
                    dp = moire__loop_load(b, f->dp, at);
  if (f->k.layout.rng >= 0) {
    moire__loop_value drop = moire__attend_drop(&f->k, m, n);
    dp = moire__loop_binary(b, MOIRE__LOOP_mul, dp, drop);
    moire__loop_store(b, f->dp, at, dp);
    moire__loop_store(b, f->kept, at, moire__loop_binary(b, MOIRE__LOOP_mul, p, drop));
  }
  moire__loop_reduce(b, sum, MOIRE__LOOP_add, moire__loop_binary(b, MOIRE__LOOP_mul, p, dp));
  moire__loop_end(b);
  return moire__loop_get(b, sum);
}

/* s becomes ds. Where one block holds all keys, D is summed from p and dp themselves: rounded alike, the slopes
 * of a row sum to zero. */
static void finish_rows(backward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value m = moire__loop_for(b, moire__loop_index(b, 0), f->k.n_queries, 1, 1),
                    dot = drop_and_sum(f, m);
  if (f->k.keys > f->k.key_block) dot = moire__loop_load(b, f->dot, m);
  moire__loop_value n = moire__loop_for(b, moire__loop_index(b, 0), f->k.n_keys, 1, l->target.lanes * 2);
  moire__loop_value at = in_block(f, m, n);
  moire__loop_value slope = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->dp, at), dot);
  slope = moire__loop_binary(b, MOIRE__LOOP_mul, slope, moire__loop_load(b, f->p, at));
  slope = moire__loop_binary(b, MOIRE__LOOP_mul, slope, moire__loop_const(b, MOIRE__LOOP_F32, 2 * f->k.scale));
  for (int i = 0; i < 2; i++) {
    moire__loop_value s = moire__loop_load(b, f->s[i], at);
    moire__loop_store(b, f->s[i], at, moire__loop_binary(b, MOIRE__LOOP_mul, slope, s));
  }
  moire__loop_end(b);
  moire__loop_end(b);
}

/* Adds to rows of a result, which start at zero. */
typedef struct target {
  backward *f;
  int result; /* of the two planes; its rows are those of the operand of the same number */
  moire__loop_value first_row;
  int64_t width;
} target;

static void add_to_result(void *context, moire__loop_value m, moire__loop_value n,
                          const moire__loop_value sum[2]) {
  target *t = context;
  moire__lowering *l = t->f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value row = moire__attend_row(&t->f->k, t->result, moire__lower_add(l, t->first_row, m));
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, row, moire__loop_index(b, t->width)), n);
  for (int i = 0; i < 2; i++) {
    moire__loop_buffer to = moire__lower_buffer(l, l->node->first_result + t->result + i);
    moire__loop_store(b, to, at, moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_load(b, to, at), sum[i]));
  }
}

/* ---- the steps of a piece ---- */

static void zero_results(backward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  for (int r = 0; r < 6; r++) {
    moire__loop_value width = moire__loop_index(b, r < 4 ? f->k.d : f->k.e);
    moire__loop_value rows = r < 2 ? f->k.all_queries : f->k.all_keys, zero = moire__loop_index(b, 0);
    moire__loop_value base = moire__lower_mul(l, moire__attend_row(&f->k, r, zero), width);
    moire__loop_value i = moire__loop_for(b, zero, moire__lower_mul(l, rows, width), 1, l->target.lanes * 2);
    moire__lower_write(l, l->node->first_result + r, moire__lower_add(l, base, i),
                       moire__loop_const(b, MOIRE__LOOP_F32, 0));
    moire__loop_end(b);
  }
}

/* dot[m] = Re(g conj y) of the block's rows */
static void row_dots(backward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__tile_matrix g = operand_rows(f, MOIRE__ATTEND_GR, f->k.first_query),
                     y = operand_rows(f, MOIRE__ATTEND_YR, f->k.first_query);
  moire__loop_value m = moire__loop_for(b, moire__loop_index(b, 0), f->k.n_queries, 1, 1);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value i =
      moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, f->k.e), 1, l->target.lanes);
  for (int p = 0; p < 2; p++) {
    moire__loop_value gi =
        moire__lower_add(l, moire__lower_mul(l, m, g.row[p]), moire__lower_mul(l, i, g.column[p]));
    moire__loop_value yi =
        moire__lower_add(l, moire__lower_mul(l, m, y.row[p]), moire__lower_mul(l, i, y.column[p]));
    moire__loop_value a = moire__loop_load(b, g.buffer[p], moire__lower_add(l, g.base[p], gi));
    moire__loop_value c = moire__loop_load(b, y.buffer[p], moire__lower_add(l, y.base[p], yi));
    moire__loop_reduce(b, sum, MOIRE__LOOP_add, moire__loop_binary(b, MOIRE__LOOP_mul, a, c));
  }
  moire__loop_end(b);
  moire__loop_store(b, f->dot, m, moire__loop_get(b, sum));
  moire__loop_end(b);
}

static void weights_and_slopes(backward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__tiles t =
      tiles(f, f->k.n_queries, f->k.key_block, f->k.n_keys, moire__loop_index(b, f->k.d), store_weight, f);
  t.a = operand_rows(f, MOIRE__ATTEND_QR, f->k.first_query);
  t.b = local_matrix(f, 2, f->k.packed_k, false);
  t.b.conjugate = true;
  moire__tiles_emit(l, &t);
  t = tiles(f, f->k.n_queries, f->k.key_block, f->k.n_keys, moire__loop_index(b, f->k.e), store_slope, f);
  t.a = operand_rows(f, MOIRE__ATTEND_GR, f->k.first_query);
  t.b = local_matrix(f, 2, f->packed_v, false);
  t.b.conjugate = true;
  t.skip[1] = true;
  moire__tiles_emit(l, &t);
  finish_rows(f);
}

static void gradients(backward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value d = moire__loop_index(b, f->k.d), e = moire__loop_index(b, f->k.e);
  target dv = {f, 4, f->k.first_key, f->k.e};
  moire__tiles t = tiles(f, f->k.n_keys, f->k.e, e, f->k.n_queries, add_to_result, &dv);
  t.a = local_matrix(f, 1, f->k.layout.rng >= 0 ? &f->kept : &f->p, true);
  t.b = operand_rows(f, MOIRE__ATTEND_GR, f->k.first_query);
  moire__tiles_emit(l, &t);
  target dq = {f, 0, f->k.first_query, f->k.d};
  t = tiles(f, f->k.n_queries, f->k.d, d, f->k.n_keys, add_to_result, &dq);
  t.a = local_matrix(f, 2, f->s, false);
  t.b = operand_rows(f, MOIRE__ATTEND_KR, f->k.first_key);
  moire__tiles_emit(l, &t);
  target dk = {f, 2, f->k.first_key, f->k.d};
  t = tiles(f, f->k.n_keys, f->k.d, d, f->k.n_queries, add_to_result, &dk);
  t.a = local_matrix(f, 2, f->s, true);
  t.a.conjugate = true;
  t.b = operand_rows(f, MOIRE__ATTEND_QR, f->k.first_query);
  moire__tiles_emit(l, &t);
}

static void add_buffers(backward *f) {
  moire__lowering *l = f->k.l;
  const moire__attend_kernel *k = &f->k;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < 6; i++) moire__lower_add_write(l, l->node->first_result + i);
  int64_t block = k->query_block * k->key_block;
  for (int p = 0; p < 2; p++) {
    f->k.packed_k[p] = moire__loop_add_local(l->kernel, "packed_k", MOIRE__LOOP_F32, k->d * k->key_block);
    f->packed_v[p] = moire__loop_add_local(l->kernel, "packed_v", MOIRE__LOOP_F32, k->e * k->key_block);
    f->s[p] = moire__loop_add_local(l->kernel, "s", MOIRE__LOOP_F32, block);
  }
  moire__attend_add_shift(&f->k);
  f->p = moire__loop_add_local(l->kernel, "p", MOIRE__LOOP_F32, block);
  f->dp = moire__loop_add_local(l->kernel, "dp", MOIRE__LOOP_F32, block);
  if (k->layout.rng >= 0) f->kept = moire__loop_add_local(l->kernel, "kept", MOIRE__LOOP_F32, block);
  f->dot = moire__loop_add_local(l->kernel, "dot", MOIRE__LOOP_F32, k->query_block);
}

void moire__attend_backward_lower(moire__lowering *l) {
  backward f = {.k = moire__attend_describe(l, MOIRE__ATTEND_BACKWARD)};
  add_buffers(&f);
  moire__attend_kernel *k = &f.k;
  moire_dim count = 0;
  moire__dim_multiply(moire__attend_samples(k), k->heads, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__attend_place(k, l->kernel->parallel);
  zero_results(&f);
  k->first_query = moire__loop_for(b, moire__loop_index(b, 0), k->all_queries, k->query_block, 1);
  k->n_queries = moire__attend_block(k, k->all_queries, k->first_query, k->query_block);
  f.first_row = moire__attend_row(k, MOIRE__ATTEND_QR, k->first_query);
  moire__attend_find_shifts(k);
  if (k->keys > k->key_block) row_dots(&f);
  k->first_key = moire__loop_for(b, moire__loop_index(b, 0), k->all_keys, k->key_block, 1);
  k->n_keys = moire__attend_block(k, k->all_keys, k->first_key, k->key_block);
  for (int p = 0; p < 2; p++) {
    moire__attend_pack(k, l->node->operands[MOIRE__ATTEND_KR + p], k->d, k->packed_k[p]);
    moire__attend_pack(k, l->node->operands[MOIRE__ATTEND_VR + p], k->e, f.packed_v[p]);
  }
  weights_and_slopes(&f);
  gradients(&f);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}
