/* Attention on tiles, forward: one pass over blocks of keys with a running softmax
 * (ops/attention/attend_tiles.h).
 *
 * One piece is a block of queries of one head of one sample, or all of a packed sample's. For a part and a
 * block of keys
 *
 *   t = scores,   n' = ceil(max(m, max_j t_j)),   w_j = 2^(t_j - n'),   y' = y 2^(n - n') + sum_j w_j drop_j
 * v_j
 *
 * weights of two neighbouring keys are rounded and paired as they are made. y is kept turned, [channel][query].
 */
#include "ops/attention/attend_tiles.h"

enum { PART = MOIRE__ATTEND_PART, QUERY_BLOCK = 512 };

typedef struct forward {
  moire__attend_kernel k;
  moire__loop_buffer q[3], rows[2], v, turned[2]; /* packed; and room to turn a part */
  moire__loop_buffer scores[2], p, largest, sum, fade;
  moire__attend_sums y;
} forward;

static moire__loop_value line(const forward *f, moire__loop_value row, moire__loop_value lane) {
  moire__lowering *l = f->k.l;
  return moire__lower_add(l, moire__lower_mul(l, row, moire__loop_index(&l->builder, PART)), lane);
}

/* ---- a part and a block of keys ---- */

/* Scores, scaled and masked, in place; returns the largest of them and of what was before. */
static moire__loop_value finish_scores(const forward *f, moire__loop_value lane, moire__loop_value before) {
  const moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_var top = moire__loop_declare(b, before);
  moire__loop_value key = moire__loop_for(b, moire__loop_index(b, 0), k->part_keys, 1, 1);
  moire__loop_value at = line(f, key, lane), s[2] = {moire__loop_load(b, f->scores[0], at), 0};
  if (k->layout.planes == 2) s[1] = moire__loop_load(b, f->scores[1], at);
  moire__loop_value score = moire__attend_score(k, key, s);
  moire__loop_store(b, f->scores[0], at, score);
  moire__loop_set(b, top, moire__loop_binary(b, MOIRE__LOOP_max, score, moire__loop_get(b, top)));
  moire__loop_end(b);
  return moire__loop_get(b, top);
}

/* No weight for what fills the last tile. */
static void fill_scores(const forward *f, moire__loop_value lane, moire__loop_value whole) {
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value key = moire__loop_for(b, f->k.part_keys, whole, 1, 1);
  moire__loop_store(b, f->scores[0], line(f, key, lane),
                    moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__loop_end(b);
}

/* Words of weights; returns their sum. */
static moire__loop_value weigh(const forward *f, moire__loop_value lane, moire__loop_value base,
                               moire__loop_value faded, moire__loop_value whole) {
  const moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value two = moire__loop_index(b, 2), w[2];
  moire__loop_value last = moire__loop_binary(b, MOIRE__LOOP_sub, k->part_keys, moire__loop_index(b, 1));
  moire__loop_var sums[2] = {moire__loop_declare(b, faded),
                             moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0))};
  moire__loop_value number =
      moire__loop_for(b, moire__loop_index(b, 0), moire__loop_binary(b, MOIRE__LOOP_div, whole, two), 1, 1);
  for (int i = 0; i < 2; i++) {
    moire__loop_value key = moire__lower_add(l, moire__lower_mul(l, number, two), moire__loop_index(b, i));
    moire__loop_value score = moire__loop_load(b, f->scores[0], line(f, key, lane));
    w[i] = moire__attend_power(k, moire__loop_binary(b, MOIRE__LOOP_sub, score, base));
    moire__loop_set(b, sums[i], moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_get(b, sums[i]), w[i]));
    if (k->layout.rng < 0) continue;
    moire__loop_value there = moire__loop_binary(b, MOIRE__LOOP_min, key, last);
    w[i] = moire__loop_binary(b, MOIRE__LOOP_mul, w[i], moire__attend_drop(k, there));
  }
  moire__loop_store(b, f->p, line(f, number, lane), moire__loop_binary(b, MOIRE__LOOP_pair, w[0], w[1]));
  moire__loop_end(b);
  return moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_get(b, sums[0]), moire__loop_get(b, sums[1]));
}

/* Scores become weights; the largest and the sum of each query are brought up to date. */
static void soften(forward *f, moire__loop_value whole) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value m = moire__attend_open_lanes(k);
  moire__loop_value lane = moire__loop_binary(b, MOIRE__LOOP_sub, m, k->part);
  moire__loop_value before = moire__loop_load(b, f->largest, m), now = finish_scores(f, lane, before);
  fill_scores(f, lane, whole);
  moire__loop_value base = moire__attend_base(k, now);
  moire__loop_value fade =
      moire__attend_power(k, moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_base(k, before), base));
  moire__loop_value faded = moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, f->sum, m), fade);
  moire__loop_store(b, f->sum, m, weigh(f, lane, base, faded, whole));
  moire__loop_store(b, f->largest, m, now);
  moire__loop_store(b, f->fade, m, fade);
  moire__loop_end(b);
}

static void take_values(const forward *f, moire__loop_value whole) {
  const moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__attend_product p = {
      .n_terms = 1, .columns = 2, .a_pitch = k->key_block, .b_pitch = PART, .to_pitch = PART, .to = f->y.sums};
  p.steps = moire__loop_binary(b, MOIRE__LOOP_div, whole, moire__loop_index(b, PART));
  for (int64_t channel = 0; channel < f->y.channels; channel += PART) {
    moire__loop_value row = moire__loop_index(b, channel * k->key_block);
    p.rows = f->y.channels - channel >= PART ? 2 : 1;
    p.terms[0] = (moire__attend_term){f->v, f->p, row, moire__loop_index(b, 0)};
    p.to_at = moire__loop_index(b, channel * PART);
    moire__attend_multiply(k, &p);
  }
  moire__attend_add_up(k, &f->y, f->fade);
}

static void block_of_keys(forward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__attend_pack_rows(k, k->layout.k, k->d, k->first_key, k->n_keys, f->rows);
  moire__attend_pack_turned(k, k->layout.v, k->e, k->first_key, k->n_keys, f->turned, f->v, k->key_block);
  moire__attend_open_part(k);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, moire__loop_index(b, 0), k->part_keys));
  moire__loop_value whole = moire__attend_whole_parts(k, k->part_keys);
  moire__attend_tile_scores(k, f->rows, f->q, f->scores);
  soften(f, whole);
  take_values(f, whole);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* ---- a block of queries ---- */

static void start_rows(const forward *f) {
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), none = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  moire__loop_value all = moire__attend_whole_parts(&f->k, f->k.n_queries);
  moire__loop_value m = moire__loop_for(b, zero, all, 1, PART);
  moire__loop_store(b, f->largest, m, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__loop_store(b, f->sum, m, none);
  moire__loop_end(b);
}

static void block_of_queries(forward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  k->n_queries = moire__attend_block(k, k->all_queries, k->first_query, k->query_block);
  moire__attend_pack_words(k, 0, k->d, k->first_query, k->n_queries, f->turned, f->q);
  start_rows(f);
  moire__attend_start_sums(k, &f->y);
  moire__attend_open_keys(k);
  block_of_keys(f);
  moire__loop_end(b);
  moire__attend_store_sums(k, &f->y, 0, f->sum);
  moire__attend_store_statistics(k, f->largest, f->sum);
}

static void add_buffers(forward *f) {
  moire__lowering *l = f->k.l;
  const moire__attend_kernel *k = &f->k;
  int64_t depth = moire__lower_round_up(k->d, PART), widest = k->d > k->e ? k->d : k->e;
  int planes = k->layout.planes;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < planes + 2; i++) moire__lower_add_write(l, l->node->first_result + i);
  for (int p = 0; p < (planes == 2 ? 3 : 1); p++)
    f->q[p] = moire__loop_add_local(l->kernel, "q", MOIRE__LOOP_I32, k->query_block * depth / 2);
  for (int p = 0; p < planes; p++) {
    f->rows[p] = moire__loop_add_local(l->kernel, "k", MOIRE__LOOP_BF16, k->key_block * depth);
    f->turned[p] = moire__loop_add_local(l->kernel, "turned", MOIRE__LOOP_F32, widest * PART);
    f->scores[p] = moire__loop_add_local(l->kernel, "scores", MOIRE__LOOP_F32, k->key_block * PART);
  }
  f->y = moire__attend_add_sums(k, k->e);
  f->v = moire__loop_add_local(l->kernel, "v", MOIRE__LOOP_BF16, f->y.channels * k->key_block);
  f->p = moire__loop_add_local(l->kernel, "p", MOIRE__LOOP_I32, k->key_block / 2 * PART);
  f->largest = moire__loop_add_local(l->kernel, "largest", MOIRE__LOOP_F32, k->query_block);
  f->sum = moire__loop_add_local(l->kernel, "sum", MOIRE__LOOP_F32, k->query_block);
  f->fade = moire__loop_add_local(l->kernel, "fade", MOIRE__LOOP_F32, k->query_block);
}

void moire__attend_lower_tiled(const moire__attend_kernel *whole) {
  forward f = {.k = moire__attend_tiled(whole, QUERY_BLOCK)};
  moire__attend_kernel *k = &f.k;
  moire__lowering *l = k->l;
  add_buffers(&f);
  l->kernel->way = "bf16, tiles of AMX";
  moire__attend_open_queries(k);
  block_of_queries(&f);
  moire__attend_close_queries(k);
}
