/* Attention, backward: scores are recomputed block by block (ops/attention/attend.h).
 *
 *   p = exp(score - largest) / sum                dv_j += sum_i p_ij drop_ij g_i
 *   dp_ij = Re(g_i conj v_j) drop_ij              D_i = Re(g_i conj y_i) = sum_j p_ij dp_ij
 *   ds_ij = 2 scale p_ij (dp_ij - D_i) s_ij       dq_i += sum_j ds_ij k_j,   dk_j += sum_i conj(ds_ij) q_i
 *
 * and ds_ij = scale p_ij (dp_ij - D_i) of real scores. One piece is a head of a sample, so that its sums over
 * queries and over keys have one writer and a fixed order. Arrays of pairs are [key][query]. Short sequences
 * and single queries have forms of their own.
 */
#include "ops/attention/attend.h"
#include "ops/attention/attend_tiles.h"
#include "ops/parts.h"

typedef struct backward {
  moire__attend_kernel k;
  moire__loop_buffer q[2], g[2], s[2], p, dp, kept; /* s becomes ds; kept: p drop */
  moire__attend_rows_of rows;
} backward;

static moire__loop_value in_block(const backward *f, moire__loop_value key, moire__loop_value m) {
  moire__loop_value row = moire__lower_mul(f->k.l, key, moire__loop_index(&f->k.l->builder, f->k.stride));
  return moire__lower_add(f->k.l, row, m);
}

/* ---- weights and slopes of a part ---- */

static void store_weight(void *context, moire__loop_value key, moire__loop_value m,
                         const moire__loop_value sum[2]) {
  backward *f = context;
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value at = in_block(f, key, m), score = moire__attend_score(&f->k, key, sum);
  moire__loop_value less =
      moire__loop_binary(b, MOIRE__LOOP_sub, score, moire__loop_load(b, f->rows.largest, m));
  moire__loop_value p = moire__attend_power(&f->k, less);
  p = moire__loop_binary(b, MOIRE__LOOP_mul, p, moire__loop_load(b, f->rows.per_sum, m));
  moire__loop_store(b, f->p, at, p);
  for (int i = 0; i < f->k.layout.planes && f->k.layout.planes == 2; i++)
    moire__loop_store(b, f->s[i], at, sum[i]);
}

static void store_slope(void *context, moire__loop_value key, moire__loop_value m,
                        const moire__loop_value sum[2]) {
  backward *f = context;
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value at = in_block(f, key, m), p = moire__loop_load(b, f->p, at), dp = sum[0];
  if (f->k.layout.rng >= 0) {
    moire__loop_value drop = moire__attend_drop(&f->k, key);
    dp = moire__loop_binary(b, MOIRE__LOOP_mul, dp, drop);
    moire__loop_store(b, f->kept, at, moire__loop_binary(b, MOIRE__LOOP_mul, p, drop));
  }
  moire__loop_store(b, f->dp, at, dp);
}

/* s becomes ds. */
static void finish_slopes(backward *f, moire__loop_value m, moire__loop_value dot) {
  moire__loop_builder *b = &f->k.l->builder;
  int planes = f->k.layout.planes;
  moire__loop_value key = moire__loop_for(b, moire__loop_index(b, 0), f->k.part_keys, 1, 1);
  moire__loop_value at = in_block(f, key, m);
  moire__loop_value slope = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->dp, at), dot);
  slope = moire__loop_binary(b, MOIRE__LOOP_mul, slope, moire__loop_load(b, f->p, at));
  slope =
      moire__loop_binary(b, MOIRE__LOOP_mul, slope, moire__loop_const(b, MOIRE__LOOP_F32, planes * f->k.scale));
  for (int i = 0; i < planes; i++) {
    moire__loop_value ds = slope;
    if (planes == 2) ds = moire__loop_binary(b, MOIRE__LOOP_mul, slope, moire__loop_load(b, f->s[i], at));
    moire__loop_store(b, f->s[i], at, ds);
  }
  moire__loop_end(b);
}

static void weights_and_slopes(backward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value m = moire__attend_open_lanes(k);
  moire__tiles t = moire__attend_tiles(k, k->layout.k, k->d, f->q, store_weight, f);
  moire__tiles_emit_rows(k->l, &t, m);
  t = moire__attend_tiles(k, k->layout.v, k->e, f->g, store_slope, f);
  t.skip[1] = true;
  t.apart = k->layout.planes == 2;
  moire__tiles_emit_rows(k->l, &t, m);
  finish_slopes(f, m, moire__loop_load(b, f->rows.dot, m));
  moire__loop_end(b);
}

/* ---- products with slopes ---- */

/* A result whose rows are those of the operand of the same number. */
typedef struct target {
  backward *f;
  int result;
  moire__loop_value first_row;
  int64_t width;
} target;

static void add_to_result(void *context, moire__loop_value m, moire__loop_value n,
                          const moire__loop_value sum[2]) {
  target *t = context;
  moire__lowering *l = t->f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value row = moire__attend_result_row(&t->f->k, t->result, moire__lower_add(l, t->first_row, m));
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, row, moire__loop_index(b, t->width)), n);
  for (int i = 0; i < t->f->k.layout.planes; i++) {
    moire__loop_buffer to = moire__lower_buffer(l, l->node->first_result + t->result + i);
    moire__loop_store(b, to, at, moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_load(b, to, at), sum[i]));
  }
}

/* Arrays of pairs as the left factor: rows are queries, or keys. */
static moire__tile_matrix pairs(const backward *f, int planes, const moire__loop_buffer *buffers,
                                bool by_query) {
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value wide = moire__loop_index(b, f->k.stride), one = moire__loop_index(b, 1);
  moire__tile_matrix x = {.planes = planes, .narrow = f->k.layout.bf16};
  for (int p = 0; p < planes; p++) {
    x.buffer[p] = buffers[p];
    x.base[p] = moire__loop_index(b, 0);
    x.row[p] = by_query ? one : wide;
    x.column[p] = by_query ? wide : one;
  }
  return x;
}

static moire__tiles product(const target *to, moire__tile_matrix a, moire__tile_matrix right) {
  moire__lowering *l = to->f->k.l;
  int width = to->width > l->target.lanes ? 2 : 1;
  return (moire__tiles){.a = a,
                        .b = right,
                        .n_low = moire__loop_index(&l->builder, 0),
                        .n_high = moire__loop_index(&l->builder, to->width),
                        .n_extent = to->width,
                        .rows = moire__tiles_even_rows(l, a.planes, right.planes, width),
                        .type = MOIRE__LOOP_F32,
                        .finish = add_to_result};
}

/* dq of the part. */
static void query_gradients(backward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_value zero = moire__loop_index(&k->l->builder, 0);
  target dq = {f, 0, moire__lower_add(k->l, k->first_query, k->part), k->d};
  moire__tiles t =
      product(&dq, pairs(f, k->layout.planes, f->s, true), moire__attend_rows(k, k->layout.k, k->first_key));
  for (int p = 0; p < t.a.planes; p++) t.a.base[p] = k->part;
  t.m_low = t.k_low = zero;
  t.m_high = k->n_part;
  t.k_high = k->part_keys;
  t.context = &dq;
  moire__tiles_emit(k->l, &t);
}

/* dv and dk of the keys `low` to the part's last, which the queries from the part's first on look at. */
static void key_gradients(backward *f, moire__loop_value low) {
  moire__attend_kernel *k = &f->k;
  const moire__attend_layout *at = &k->layout;
  target to[] = {{f, at->v, k->first_key, k->e}, {f, at->k, k->first_key, k->d}};
  moire__tiles t[] = {
      product(&to[0], pairs(f, 1, at->rng >= 0 ? &f->kept : &f->p, false),
              moire__attend_rows(k, at->g, k->first_query)),
      product(&to[1], pairs(f, at->planes, f->s, false), moire__attend_rows(k, 0, k->first_query))};
  t[1].a.conjugate = at->planes == 2;
  for (int i = 0; i < 2; i++) {
    t[i].m_low = low;
    t[i].m_high = k->part_keys;
    t[i].k_low = k->part;
    t[i].k_high = k->n_queries;
    t[i].context = &to[i];
    moire__tiles_emit(k->l, &t[i]);
  }
}

/* ---- the steps of a piece ---- */

static void add_buffers(backward *f) {
  moire__lowering *l = f->k.l;
  const moire__attend_kernel *k = &f->k;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < k->layout.y; i++) moire__lower_add_write(l, l->node->first_result + i);
  int64_t block = k->stride * k->key_block;
  for (int p = 0; p < k->layout.planes; p++) {
    f->q[p] = moire__loop_add_local(l->kernel, "q", MOIRE__LOOP_F32, k->d * k->stride);
    f->g[p] = moire__loop_add_local(l->kernel, "g", MOIRE__LOOP_F32, k->e * k->stride);
    f->s[p] = moire__loop_add_local(l->kernel, "s", MOIRE__LOOP_F32, block);
  }
  f->p = moire__loop_add_local(l->kernel, "p", MOIRE__LOOP_F32, block);
  f->dp = moire__loop_add_local(l->kernel, "dp", MOIRE__LOOP_F32, block);
  if (k->layout.rng >= 0) f->kept = moire__loop_add_local(l->kernel, "kept", MOIRE__LOOP_F32, block);
  f->rows = moire__attend_add_rows(k);
}

static void block_of_keys(backward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__attend_open_part(k);
  weights_and_slopes(f);
  query_gradients(f);
  moire__loop_end(b);
  moire__loop_var done = moire__loop_declare(b, moire__loop_index(b, 0));
  moire__attend_open_part(k);
  key_gradients(f, moire__loop_get(b, done));
  moire__loop_set(b, done, k->part_keys);
  moire__loop_end(b);
}

static void lower(moire__lowering *l) {
  backward f = {.k = moire__attend_describe(l)};
  moire__attend_kernel *k = &f.k;
  if (moire__attend_is_single(k)) {
    moire__attend_lower_single_backward(k);
    return;
  }
  if (moire__attend_is_short(k)) {
    moire__attend_lower_short_backward(k);
    return;
  }
  if (moire__attend_is_tiled(k)) {
    moire__attend_lower_tiled_backward(k);
    return;
  }
  add_buffers(&f);
  moire_dim count = 0;
  moire__dim_multiply(moire__attend_samples(k), k->heads, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__attend_place(k, l->kernel->parallel);
  moire__attend_zero_results(k);
  k->first_query = moire__loop_for(b, moire__loop_index(b, 0), k->all_queries, k->query_block, 1);
  k->n_queries = moire__attend_block(k, k->all_queries, k->first_query, k->query_block);
  moire__attend_transpose(k, 0, k->d, k->first_query, k->n_queries, f.q);
  moire__attend_transpose(k, k->layout.g, k->e, k->first_query, k->n_queries, f.g);
  moire__attend_load_rows(k, &f.rows);
  moire__attend_open_keys(k);
  block_of_keys(&f);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__attend_backward_lower(moire__lowering *l) { lower(l); }
void moire__attend_real_backward_lower(moire__lowering *l) { lower(l); }
