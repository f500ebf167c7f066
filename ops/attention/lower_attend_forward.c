/* Attention, forward: one pass over the keys with a running softmax (ops/attention/attend.h).
 *
 * One piece is a block of queries of one head of one sample. For each block of keys and each part of the
 * queries, register tiles give the scores; each query's maximum and sum are brought up to date,
 *
 *   m' = max(m, max_j s_j),  l' = l exp(m - m') + sum_j exp(s_j - m'),  y' = y exp(m - m') + sum_j exp(s_j -
 * m') v_j
 *
 * and at the end y / l, m and l are stored. Memory beside the operands: the scores of a part, and y of a block.
 * Short sequences and single queries have forms of their own.
 */
#include "ops/attention/attend.h"
#include "ops/attention/attend_tiles.h"
#include "ops/parts.h"

typedef struct forward {
  moire__attend_kernel k;
  moire__loop_buffer q[2], scores, largest, sum, fade, y[2];
  moire__loop_var top;
} forward;

static moire__loop_value row_offset(const forward *f, moire__loop_value m, int64_t width) {
  return moire__lower_mul(f->k.l, m, moire__loop_index(&f->k.l->builder, width));
}

static moire__loop_value in_scores(const forward *f, moire__loop_value key, moire__loop_value lane) {
  return moire__lower_add(f->k.l, row_offset(f, key, f->k.lanes), lane);
}

/* The lane of the block's query m. */
static moire__loop_value lane_of(const forward *f, moire__loop_value m) {
  return moire__loop_binary(&f->k.l->builder, MOIRE__LOOP_sub, m, f->k.part);
}

static void store_score(void *context, moire__loop_value key, moire__loop_value m,
                        const moire__loop_value sum[2]) {
  forward *f = context;
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value score = moire__attend_score(&f->k, key, sum);
  moire__loop_store(b, f->scores, in_scores(f, key, lane_of(f, m)), score);
  moire__loop_set(b, f->top, moire__loop_binary(b, MOIRE__LOOP_max, score, moire__loop_get(b, f->top)));
}

/* Scores become weights; m and l are brought up to date. */
static void soften(forward *f, moire__loop_value m) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value lane = lane_of(f, m), before = moire__loop_load(b, f->largest, m);
  moire__loop_value now = moire__loop_binary(b, MOIRE__LOOP_max, moire__loop_get(b, f->top), before);
  moire__loop_value base = moire__attend_base(k, now);
  moire__loop_value fade =
      moire__attend_power(k, moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_base(k, before), base));
  moire__loop_value faded = moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, f->sum, m), fade);
  moire__loop_var sum = moire__loop_declare(b, faded);
  moire__loop_value key = moire__loop_for(b, moire__loop_index(b, 0), k->part_keys, 1, 1);
  moire__loop_value at = in_scores(f, key, lane);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->scores, at), base);
  moire__loop_value weight = moire__attend_power(k, less);
  moire__loop_set(b, sum, moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_get(b, sum), weight));
  if (k->layout.rng >= 0) weight = moire__loop_binary(b, MOIRE__LOOP_mul, weight, moire__attend_drop(k, key));
  moire__loop_store(b, f->scores, at, weight);
  moire__loop_end(b);
  moire__loop_store(b, f->largest, m, now);
  moire__loop_store(b, f->sum, m, moire__loop_get(b, sum));
  moire__loop_store(b, f->fade, m, fade);
}

static void weights(forward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value m = moire__attend_open_lanes(k);
  f->top = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__tiles t = moire__attend_tiles(k, k->layout.k, k->d, f->q, store_score, f);
  moire__tiles_emit_rows(k->l, &t, m);
  soften(f, m);
  moire__loop_end(b);
}

/* Row m of the part, columns n of v: y of the block. */
static void take_values(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  forward *f = context;
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  m = moire__lower_add(l, f->k.part, m);
  moire__loop_value factor = moire__loop_load(b, f->fade, m);
  moire__loop_value at = moire__lower_add(l, row_offset(f, m, f->k.e), n);
  for (int p = 0; p < f->k.layout.planes; p++) {
    moire__loop_value before = moire__loop_load(b, f->y[p], at);
    moire__loop_store(b, f->y[p], at, moire__loop_ternary(b, MOIRE__LOOP_fma, before, factor, sum[p]));
  }
}

static void value_tiles(forward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  int planes = k->layout.planes;
  moire__tiles t = {.a = {.planes = 1,
                          .narrow = k->layout.bf16,
                          .buffer = {f->scores},
                          .base = {zero},
                          .row = {moire__loop_index(b, 1)},
                          .column = {moire__loop_index(b, k->lanes)}},
                    .b = moire__attend_rows(k, k->layout.v, k->first_key),
                    .m_low = zero,
                    .m_high = k->n_part,
                    .n_low = zero,
                    .n_high = moire__loop_index(b, k->e),
                    .n_extent = k->e,
                    .k_low = zero,
                    .k_high = k->part_keys,
                    .rows = moire__tiles_even_rows(k->l, 1, planes, k->e > k->lanes ? 2 : 1),
                    .type = MOIRE__LOOP_F32,
                    .finish = take_values,
                    .context = f};
  moire__tiles_emit(k->l, &t);
}

static void start_rows(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__loop_value m = moire__loop_for(b, zero, moire__loop_index(b, f->k.query_block), 1, f->k.lanes);
  moire__loop_store(b, f->largest, m, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__loop_store(b, f->sum, m, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
  moire__loop_value all = row_offset(f, f->k.n_queries, f->k.e);
  moire__loop_value i = moire__loop_for(b, zero, all, 1, l->target.lanes);
  for (int p = 0; p < f->k.layout.planes; p++)
    moire__loop_store(b, f->y[p], i, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
}

/* y / l */
static void store_values(forward *f) {
  moire__lowering *l = f->k.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__loop_value m = moire__loop_for(b, zero, f->k.n_queries, 1, 1);
  moire__loop_value per = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_const(b, MOIRE__LOOP_F32, 1),
                                             moire__loop_load(b, f->sum, m));
  moire__loop_value row = moire__attend_result_row(&f->k, 0, moire__lower_add(l, f->k.first_query, m));
  moire__loop_value i = moire__loop_for(b, zero, moire__loop_index(b, f->k.e), 1, l->target.lanes);
  moire__loop_value from = moire__lower_add(l, row_offset(f, m, f->k.e), i);
  moire__loop_value to = moire__lower_add(l, row_offset(f, row, f->k.e), i);
  for (int p = 0; p < f->k.layout.planes; p++) {
    moire__loop_value y = moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, f->y[p], from), per);
    moire__lower_write(l, l->node->first_result + p, to, y);
  }
  moire__loop_end(b);
  moire__loop_end(b);
}

static void add_buffers(forward *f) {
  moire__lowering *l = f->k.l;
  const moire__attend_kernel *k = &f->k;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < k->layout.planes + 2; i++) moire__lower_add_write(l, l->node->first_result + i);
  for (int p = 0; p < k->layout.planes; p++) {
    f->q[p] = moire__loop_add_local(l->kernel, "q", MOIRE__LOOP_F32, k->d * k->stride);
    f->y[p] = moire__loop_add_local(l->kernel, "y", MOIRE__LOOP_F32, k->query_block * k->e);
  }
  f->scores = moire__loop_add_local(l->kernel, "scores", MOIRE__LOOP_F32, k->key_block * k->lanes);
  f->largest = moire__loop_add_local(l->kernel, "largest", MOIRE__LOOP_F32, k->query_block);
  f->sum = moire__loop_add_local(l->kernel, "sum", MOIRE__LOOP_F32, k->query_block);
  f->fade = moire__loop_add_local(l->kernel, "fade", MOIRE__LOOP_F32, k->query_block);
}

/* The block of queries at hand against all keys. */
static void block_of_queries(forward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  k->n_queries = moire__attend_block(k, k->all_queries, k->first_query, k->query_block);
  moire__attend_transpose(k, 0, k->d, k->first_query, k->n_queries, f->q);
  start_rows(f);
  moire__attend_open_keys(k);
  moire__attend_open_part(k);
  weights(f);
  value_tiles(f);
  moire__loop_end(b);
  moire__loop_end(b);
  store_values(f);
  moire__attend_store_statistics(k, f->largest, f->sum);
}

static void lower(moire__lowering *l) {
  forward f = {.k = moire__attend_describe(l)};
  moire__attend_kernel *k = &f.k;
  if (moire__attend_is_single(k)) {
    moire__attend_lower_single(k);
    return;
  }
  if (moire__attend_is_short(k)) {
    moire__attend_lower_short(k);
    return;
  }
  if (moire__attend_is_tiled(k)) {
    moire__attend_lower_tiled(k);
    return;
  }
  add_buffers(&f);
  moire__attend_open_queries(k);
  block_of_queries(&f);
  moire__attend_close_queries(k);
}

void moire__attend_lower(moire__lowering *l) { lower(l); }
void moire__attend_real_lower(moire__lowering *l) { lower(l); }
