/* Attention on tiles, backward: as in ops/attention/lower_attend_backward.c, with what
 * ops/attention/attend_tiles.h packs.
 *
 * One piece is a head of a sample. For a block of queries and one of keys, part by part: scores and the
 * gradients of weights; weights and slopes, rounded as they are made, by keys for the gradients of k and v and
 * in pairs of keys for that of q; the gradient of q. Then, for all parts, those of k and v, along the block's
 * queries.
 */
#include "ops/attention/attend_tiles.h"

enum { SIDE = MOIRE__ATTEND_SIDE, PART = MOIRE__ATTEND_PART, QUERY_BLOCK = 256 };

typedef struct backward {
  moire__attend_kernel k;
  moire__loop_buffer q[3], g[3], q_pairs[3], g_pairs[3]; /* of the block's queries */
  moire__loop_buffer keys[2], values[2], turned_keys;    /* of its keys */
  moire__loop_buffer turned[2], s[2], dp;                /* room to turn a part; of a part's pairs */
  moire__loop_buffer kept, ds[2], words[3]; /* kept: p drop, [part][key][32]; words of ds, the last of -ds */
  moire__attend_rows_of rows;
  moire__attend_sums dq;
  moire__loop_buffer product; /* f32 [32][32] */
} backward;

static moire__loop_value line(const backward *f, moire__loop_value row, moire__loop_value lane) {
  moire__lowering *l = f->k.l;
  return moire__lower_add(l, moire__lower_mul(l, row, moire__loop_index(&l->builder, PART)), lane);
}

/* Of an array [part][key][32]. */
static moire__loop_value part_at(const backward *f, moire__loop_value part) {
  return moire__lower_mul(f->k.l, part, moire__loop_index(&f->k.l->builder, f->k.key_block));
}

/* ---- weights and slopes of a part ---- */

/* dp = Re(g conj v) */
static void weight_gradients(const backward *f) {
  const moire__attend_kernel *k = &f->k;
  moire__attend_product p = moire__attend_open_products(k, k->e);
  p.to = f->dp;
  for (int i = 0; i < p.n_terms; i++) {
    p.terms[i].a = f->values[i];
    p.terms[i].b = f->g[i];
  }
  moire__attend_multiply(k, &p);
  moire__loop_end(&k->l->builder);
}

/* What the lanes of the part have in common for all keys. */
typedef struct row_values {
  moire__loop_value m, lane, largest, per_sum, dot;
} row_values;

/* Slopes of a key; stores them and the weight, rounded. */
static void slopes_of_key(const backward *f, const row_values *row, moire__loop_value key,
                          moire__loop_value ds[2]) {
  const moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  int planes = k->layout.planes;
  moire__loop_value at = line(f, key, row->lane), to = moire__lower_add(l, part_at(f, k->part), at),
                    s[2] = {0, 0};
  for (int i = 0; i < planes; i++) s[i] = moire__loop_load(b, f->s[i], at);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_score(k, key, s), row->largest);
  moire__loop_value p = moire__loop_binary(b, MOIRE__LOOP_mul, moire__attend_power(k, less), row->per_sum);
  moire__loop_value dp = moire__loop_load(b, f->dp, at), kept = p;
  if (k->layout.rng >= 0) {
    moire__loop_value drop = moire__attend_drop(k, key);
    dp = moire__loop_binary(b, MOIRE__LOOP_mul, dp, drop);
    kept = moire__loop_binary(b, MOIRE__LOOP_mul, p, drop);
  }
  moire__loop_store(b, f->kept, to, kept);
  moire__loop_value slope = moire__loop_binary(b, MOIRE__LOOP_sub, dp, row->dot);
  slope = moire__loop_binary(b, MOIRE__LOOP_mul, slope, p);
  slope =
      moire__loop_binary(b, MOIRE__LOOP_mul, slope, moire__loop_const(b, MOIRE__LOOP_F32, planes * k->scale));
  for (int i = 0; i < planes; i++) {
    ds[i] = planes == 2 ? moire__loop_binary(b, MOIRE__LOOP_mul, slope, s[i]) : slope;
    moire__loop_store(b, f->ds[i], to, ds[i]);
  }
}

/* Keys 2 r and 2 r + 1, as far as they exist; what does not is 0. */
static void slopes_of_pair(const backward *f, const row_values *row, moire__loop_value r, int exist) {
  const moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_F32, 0), ds[2][2] = {{none, none}, {none, none}};
  for (int i = 0; i < 2; i++) {
    moire__loop_value key =
        moire__lower_add(l, moire__lower_mul(l, r, moire__loop_index(b, 2)), moire__loop_index(b, i));
    if (i < exist) {
      slopes_of_key(f, row, key, ds[i]);
      continue;
    }
    moire__loop_value to = moire__lower_add(l, part_at(f, k->part), line(f, key, row->lane));
    moire__loop_store(b, f->kept, to, none);
    for (int p = 0; p < k->layout.planes; p++) moire__loop_store(b, f->ds[p], to, none);
  }
  moire__loop_value at = line(f, r, row->lane);
  for (int p = 0; p < k->layout.planes; p++)
    moire__loop_store(b, f->words[p], at, moire__loop_binary(b, MOIRE__LOOP_pair, ds[0][p], ds[1][p]));
  if (k->layout.planes == 1) return;
  for (int i = 0; i < 2; i++) ds[i][1] = moire__loop_unary(b, MOIRE__LOOP_neg, ds[i][1]);
  moire__loop_store(b, f->words[2], at, moire__loop_binary(b, MOIRE__LOOP_pair, ds[0][1], ds[1][1]));
}

static void slopes(backward *f, moire__loop_value whole) {
  moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value two = moire__loop_index(b, 2), zero = moire__loop_index(b, 0);
  moire__loop_value pairs = moire__loop_binary(b, MOIRE__LOOP_div, k->part_keys, two);
  moire__loop_value rest = moire__loop_binary(b, MOIRE__LOOP_mod, k->part_keys, two);
  row_values row = {.m = moire__attend_open_lanes(k)};
  row.lane = moire__loop_binary(b, MOIRE__LOOP_sub, row.m, k->part);
  row.largest = moire__loop_load(b, f->rows.largest, row.m);
  row.per_sum = moire__loop_load(b, f->rows.per_sum, row.m);
  row.dot = moire__loop_load(b, f->rows.dot, row.m);
  slopes_of_pair(f, &row, moire__loop_for(b, zero, pairs, 1, 1), 2);
  moire__loop_end(b);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, zero, rest));
  slopes_of_pair(f, &row, pairs, 1);
  moire__loop_end(b);
  moire__loop_value end = moire__loop_binary(b, MOIRE__LOOP_div, whole, two);
  slopes_of_pair(f, &row, moire__loop_for(b, moire__lower_add(l, pairs, rest), end, 1, 1), 0);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* ---- products with slopes ---- */

/* re = kr dr - ki di, im = ki dr + kr di, of the part and the block of keys. */
static void query_gradients(const backward *f, moire__loop_value whole) {
  const moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  int planes = k->layout.planes;
  int64_t channels = f->dq.channels / planes;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__attend_product p = {.n_terms = planes,
                             .columns = 2,
                             .a_pitch = k->key_block,
                             .b_pitch = PART,
                             .to_pitch = PART,
                             .to = f->dq.sums};
  p.steps = moire__loop_binary(b, MOIRE__LOOP_div, whole, moire__loop_index(b, PART));
  for (int plane = 0; plane < planes; plane++) {
    for (int64_t channel = 0; channel < channels; channel += PART) {
      for (int i = 0; i < planes; i++) {
        int of_k = plane ? 1 - i : i, of_ds = plane || !i ? i : 2; /* dr, di; dr, -di */
        moire__loop_value row = moire__loop_index(b, (of_k * channels + channel) * k->key_block);
        p.terms[i] = (moire__attend_term){f->turned_keys, f->words[of_ds], row, zero};
      }
      p.rows = channels - channel >= PART ? 2 : 1;
      p.to_at = moire__loop_index(b, (plane * channels + channel) * PART);
      moire__attend_multiply(k, &p);
    }
  }
  moire__attend_add_up(k, &f->dq, 0);
}

/* Adds f->product to the rows of a result from key `key` of the block on, as far as they exist, and to `n`
 * columns from `column` on. */
static void add_product(const backward *f, int result, int64_t width, moire__loop_value key, int64_t column) {
  const moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  int64_t n = width - column < PART ? width - column : PART;
  moire__loop_value i = moire__loop_for(b, zero, moire__attend_block(k, k->n_keys, key, PART), 1, 1);
  moire__loop_value row = moire__lower_add(l, k->first_key, moire__lower_add(l, key, i));
  row = moire__attend_result_row(k, result, row);
  moire__loop_value to = moire__lower_mul(l, row, moire__loop_index(b, width));
  to = moire__lower_add(l, to, moire__loop_index(b, column));
  moire__loop_value c = moire__loop_for(b, zero, moire__loop_index(b, n), 1, PART);
  moire__loop_value at = moire__lower_add(l, to, c);
  moire__loop_buffer buffer = moire__lower_buffer(l, l->node->first_result + result);
  moire__loop_value more = moire__loop_load(b, f->product, line(f, i, c));
  moire__loop_store(b, buffer, at, moire__lower_add(l, moire__loop_load(b, buffer, at), more));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* Of the keys `key` to key + 32, along the queries from the part at hand on: the terms' b begin with column 0.
 */
static void key_product(const backward *f, const moire__attend_term *terms, int n_terms, int result,
                        int64_t width, moire__loop_value key) {
  const moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value part = moire__loop_index(b, PART), zero = moire__loop_index(b, 0);
  int64_t columns = moire__lower_round_up(width, SIDE);
  moire__attend_product p = {.n_terms = n_terms,
                             .rows = 2,
                             .a_pitch = PART,
                             .b_pitch = columns,
                             .to_pitch = PART,
                             .a_step = k->key_block * PART,
                             .to = f->product,
                             .to_at = zero};
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, k->n_queries, k->part);
  p.steps = moire__loop_binary(b, MOIRE__LOOP_div, moire__attend_whole_parts(k, left), part);
  moire__loop_value a = moire__lower_add(l, part_at(f, k->part), line(f, key, zero));
  moire__loop_value first = moire__lower_mul(l, k->part, moire__loop_index(b, columns / 2));
  for (int64_t column = 0; column < columns; column += PART) {
    p.columns = columns - column >= PART ? 2 : 1;
    for (int i = 0; i < n_terms; i++)
      p.terms[i] = (moire__attend_term){terms[i].a, terms[i].b, a,
                                        moire__lower_add(l, first, moire__loop_index(b, column))};
    moire__attend_multiply(k, &p);
    add_product(f, result, width, key, column);
  }
}

/* dv = kept g; dk: re = dr qr + di qi, im = dr qi - di qr; of the keys from `low` on that the part looks at and
 * none before does. */
static void key_gradients(const backward *f, moire__loop_value low, moire__loop_value high) {
  const moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  int planes = k->layout.planes;
  moire__loop_value key = moire__loop_for(b, low, high, PART, 1);
  for (int plane = 0; plane < planes; plane++) {
    moire__attend_term value = {.a = f->kept, .b = f->g_pairs[plane]}, terms[2];
    key_product(f, &value, 1, k->layout.v + plane, k->e, key);
    for (int i = 0; i < planes; i++)
      terms[i] = (moire__attend_term){.a = f->ds[i], .b = f->q_pairs[plane ? 1 + i : i]}; /* qr, qi; qi, -qr */
    key_product(f, terms, planes, k->layout.k + plane, k->d, key);
  }
  moire__loop_end(b);
}

/* ---- the steps of a piece ---- */

static void block_of_keys(backward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  const moire__attend_layout *at = &k->layout;
  moire__attend_pack_rows(k, at->k, k->d, k->first_key, k->n_keys, f->keys);
  moire__attend_pack_rows(k, at->v, k->e, k->first_key, k->n_keys, f->values);
  moire__attend_pack_turned(k, at->k, k->d, k->first_key, k->n_keys, f->turned, f->turned_keys, k->key_block);
  moire__attend_open_part(k);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, moire__loop_index(b, 0), k->part_keys));
  moire__loop_value whole = moire__attend_whole_parts(k, k->part_keys);
  moire__attend_tile_scores(k, f->keys, f->q, f->s);
  weight_gradients(f);
  slopes(f, whole);
  query_gradients(f, whole);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_var done = moire__loop_declare(b, moire__loop_index(b, 0));
  moire__attend_open_part(k);
  whole = moire__attend_whole_parts(k, k->part_keys);
  key_gradients(f, moire__loop_get(b, done), whole);
  moire__loop_set(b, done, whole);
  moire__loop_end(b);
}

static void block_of_queries(backward *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  k->n_queries = moire__attend_block(k, k->all_queries, k->first_query, k->query_block);
  moire__attend_pack_words(k, 0, k->d, k->first_query, k->n_queries, f->turned, f->q);
  moire__attend_pack_words(k, k->layout.g, k->e, k->first_query, k->n_queries, f->turned, f->g);
  moire__attend_pack_pairs(k, 0, k->d, k->first_query, k->n_queries, f->q_pairs);
  moire__attend_pack_pairs(k, k->layout.g, k->e, k->first_query, k->n_queries, f->g_pairs);
  moire__attend_load_rows(k, &f->rows);
  moire__attend_start_sums(k, &f->dq);
  moire__attend_open_keys(k);
  block_of_keys(f);
  moire__loop_end(b);
  moire__attend_store_sums(k, &f->dq, 0, 0);
}

static moire__loop_buffer local(const backward *f, const char *name, moire__loop_type type, int64_t elements) {
  return moire__loop_add_local(f->k.l->kernel, name, type, elements);
}

static void add_buffers(backward *f) {
  moire__lowering *l = f->k.l;
  const moire__attend_kernel *k = &f->k;
  int planes = k->layout.planes;
  int64_t depth = moire__lower_round_up(k->d, PART), depth_e = moire__lower_round_up(k->e, PART);
  int64_t pairs = k->key_block * PART, all = k->key_block * k->query_block, half = k->query_block / 2;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < k->layout.y; i++) moire__lower_add_write(l, l->node->first_result + i);
  for (int p = 0; p < (planes == 2 ? 3 : 1); p++) {
    f->q[p] = local(f, "q", MOIRE__LOOP_I32, half * depth);
    f->g[p] = local(f, "g", MOIRE__LOOP_I32, half * depth_e);
    f->q_pairs[p] = local(f, "q_pairs", MOIRE__LOOP_I32, half * moire__lower_round_up(k->d, SIDE));
    f->g_pairs[p] = local(f, "g_pairs", MOIRE__LOOP_I32, half * moire__lower_round_up(k->e, SIDE));
    f->words[p] = local(f, "words", MOIRE__LOOP_I32, pairs / 2);
  }
  for (int p = 0; p < planes; p++) {
    f->keys[p] = local(f, "k", MOIRE__LOOP_BF16, k->key_block * depth);
    f->values[p] = local(f, "v", MOIRE__LOOP_BF16, k->key_block * depth_e);
    f->turned[p] = local(f, "turned", MOIRE__LOOP_F32, (k->d > k->e ? k->d : k->e) * PART);
    f->s[p] = local(f, "s", MOIRE__LOOP_F32, pairs);
    f->ds[p] = local(f, "ds", MOIRE__LOOP_BF16, all);
  }
  f->dp = local(f, "dp", MOIRE__LOOP_F32, pairs);
  f->kept = local(f, "kept", MOIRE__LOOP_BF16, all);
  f->product = local(f, "product", MOIRE__LOOP_F32, PART * PART);
  f->rows = moire__attend_add_rows(k);
  f->dq = moire__attend_add_sums(k, k->d);
  f->turned_keys = local(f, "turned_k", MOIRE__LOOP_BF16, f->dq.channels * k->key_block);
}

void moire__attend_lower_tiled_backward(const moire__attend_kernel *whole) {
  backward f = {.k = moire__attend_tiled(whole, QUERY_BLOCK)};
  moire__attend_kernel *k = &f.k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire_dim count = 0;
  add_buffers(&f);
  l->kernel->way = "bf16, tiles of AMX";
  moire__dim_multiply(moire__attend_samples(k), k->heads, &count);
  moire__lower_body(l, count, 1);
  moire__attend_place(k, l->kernel->parallel);
  moire__attend_zero_results(k);
  k->first_query = moire__loop_for(b, moire__loop_index(b, 0), k->all_queries, k->query_block, 1);
  block_of_queries(&f);
  moire__loop_end(b);
  moire__lower_finish(l);
}
