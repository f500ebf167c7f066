/* Attention of short sequences, whose keys are one block: what forward and backward share, and forward
 * (ops/attention/attend.h).
 *
 * Keys are the lanes; they are transposed once for a head of a sample, and queries come in parts of a few rows,
 * so that causality leaves out what lies after a part's last key. For a row
 *
 *   m = max_j s_j,   p_j = exp(s_j - m),   y = (sum_j p_j drop_j v_j) / sum_j p_j
 *
 * A part is a tile of the products with keys. Where registers are few, those of one plane take two vectors of
 * keys at a time, so that their sums are as many.
 *
 * Keys before the first that is looked at, in its vector, are masked like others; lanes after the last key have
 * the score -inf, thus the weight 0.
 *
 * The random mask of a head is drawn before, from the first row's first element to the last row's last: where
 * the sample's positions are consecutive, which those of a padded batch and of ids without gaps are, that is
 * one run of elements, of which Philox makes eight a block. Otherwise it is drawn element by element, in the
 * same places.
 */
#include "ops/attention/attend.h"

enum {
  RUN = 64,
  MOST_QUERIES = 128,
  MOST_DRAWN = 1 << 14,
  NO_KEY = 1 << 30,
  LEAST_WIDE_ROWS = 4 /* of tiles of two vectors */
};

/* ---- what is shared ---- */

static int64_t drawn_elements(const moire__attend_kernel *k, int64_t width) {
  return k->queries * width + k->lanes + 2 * RUN;
}

bool moire__attend_is_short(const moire__attend_kernel *k) {
  if (k->keys > k->key_block || k->queries > MOST_QUERIES || k->layout.bf16) return false;
  if (k->layout.rng < 0) return true;
  moire_dim width = moire__attend_mask_width(k);
  return moire__dim_is_static(width) && drawn_elements(k, moire__dim_factor(width)) <= MOST_DRAWN;
}

/* May a query not see a key that is there? */
static bool hides_keys(const moire__attend_kernel *k) { return k->causal || k->layout.valid >= 0; }

moire__attend_short moire__attend_short_begin(const moire__attend_kernel *k) {
  moire__attend_short f = {.k = *k};
  int64_t vectors = (k->keys + k->lanes - 1) / k->lanes;
  f.width = f.k.stride = (vectors + 1 - vectors % 2) * k->lanes;
  f.height = moire__tiles_fit_rows(k->l, k->layout.planes, k->packed ? 0 : k->queries);
  f.two_vectors = moire__lower_few_registers(k->l);
  if (hides_keys(k)) f.ordinal = moire__loop_add_local(k->l->kernel, "ordinal", MOIRE__LOOP_I32, f.width);
  f.beyond = moire__loop_add_local(k->l->kernel, "beyond", MOIRE__LOOP_F32, f.width);
  if (k->layout.rng < 0) return f;
  f.drawn_width = moire__dim_factor(moire__attend_mask_width(k));
  f.drawn = moire__loop_add_local(k->l->kernel, "drawn", MOIRE__LOOP_F32, drawn_elements(k, f.drawn_width));
  return f;
}

moire__loop_value moire__attend_short_at(const moire__attend_short *f, moire__loop_value m,
                                         moire__loop_value n) {
  moire__lowering *l = f->k.l;
  return moire__lower_add(l, moire__lower_mul(l, m, moire__loop_index(&l->builder, f->width)), n);
}

static moire__loop_value less_one(const moire__attend_short *f, moire__loop_value n) {
  moire__loop_builder *b = &f->k.l->builder;
  return moire__loop_binary(b, MOIRE__LOOP_sub, n, moire__loop_index(b, 1));
}

/* n rounded up to whole vectors. */
static moire__loop_value vectors_of(const moire__attend_short *f, moire__loop_value n) {
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value lanes = moire__loop_index(b, f->k.lanes);
  n = moire__lower_add(f->k.l, n, moire__loop_index(b, f->k.lanes - 1));
  return moire__lower_mul(f->k.l, moire__loop_binary(b, MOIRE__LOOP_div, n, lanes), lanes);
}

static void number_keys(moire__attend_short *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), none = moire__loop_const(b, MOIRE__LOOP_I32, NO_KEY);
  moire__loop_value n = moire__loop_for(b, zero, moire__loop_index(b, f->width), 1, k->lanes);
  moire__loop_store(b, f->beyond, n, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  if (hides_keys(k)) moire__loop_store(b, f->ordinal, n, none);
  moire__loop_end(b);
  moire__loop_value key = moire__loop_for(b, zero, k->all_keys, 1, k->lanes);
  moire__loop_store(b, f->beyond, key, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  if (!hides_keys(k)) {
    moire__loop_end(b);
    return;
  }
  moire__loop_value number = moire__loop_cast(b, key, MOIRE__LOOP_I32);
  if (k->layout.valid >= 0)
    number = moire__loop_ternary(b, MOIRE__LOOP_select, moire__attend_is_valid(k, key), number, none);
  moire__loop_store(b, f->ordinal, key, number);
  moire__loop_end(b);
}

/* ---- the random mask ---- */

/* bool: do the sample's tokens stand side by side? 0: they do. */
static moire__loop_value has_gaps(const moire__attend_short *f) {
  const moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  if (!k->packed) return 0;
  moire__loop_value last = less_one(f, k->all_keys);
  moire__loop_value between = moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_position(k, last),
                                                 moire__attend_position(k, moire__loop_index(b, 0)));
  return moire__loop_binary(b, MOIRE__LOOP_lt, last, between);
}

/* Whole runs that begin where a run of Philox's blocks does. */
static void draw_runs(moire__attend_short *f, moire__loop_value element) {
  moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), run = moire__loop_index(b, RUN);
  moire__loop_value rows =
      moire__lower_mul(l, less_one(f, k->all_queries), moire__loop_index(b, f->drawn_width));
  moire__loop_value end =
      moire__lower_add(l, moire__lower_add(l, f->drawn_at, rows), vectors_of(f, k->all_keys));
  moire__loop_value from = moire__loop_binary(b, MOIRE__LOOP_sub, element, f->drawn_at);
  from = moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_div, from, run), run);
  moire__loop_value runs = moire__lower_add(l, end, moire__loop_index(b, RUN - 1));
  moire__loop_value number = moire__loop_for(b, zero, moire__loop_binary(b, MOIRE__LOOP_div, runs, run), 1, 1);
  moire__loop_value at = moire__loop_for(b, zero, run, 1, RUN);
  at = moire__lower_add(l, moire__lower_mul(l, number, run), at);
  moire__loop_store(b, f->drawn, at, moire__attend_mask_element(k, moire__lower_add(l, from, at)));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* The same places, each element by itself. A row's last lanes are the next row's first. */
static void draw_elements(moire__attend_short *f) {
  moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), m = moire__loop_for(b, zero, k->all_queries, 1, 1);
  moire__loop_value row = moire__attend_mask_row(k, m);
  moire__loop_value to = moire__lower_mul(l, m, moire__loop_index(b, f->drawn_width));
  to = moire__lower_add(l, f->drawn_at, to);
  moire__loop_value n = moire__loop_for(b, zero, vectors_of(f, k->all_keys), 1, k->lanes);
  moire__loop_value key = moire__loop_binary(b, MOIRE__LOOP_min, n, less_one(f, k->all_keys));
  moire__loop_value element = moire__lower_add(l, row, moire__attend_mask_column(k, key));
  moire__loop_store(b, f->drawn, moire__lower_add(l, to, n), moire__attend_mask_element(k, element));
  moire__loop_end(b);
  moire__loop_end(b);
}

static void draw(moire__attend_short *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  if (k->layout.rng < 0) return;
  moire__loop_value element =
      moire__lower_add(k->l, moire__attend_mask_row(k, zero), moire__attend_mask_column(k, zero));
  f->drawn_at = moire__loop_binary(b, MOIRE__LOOP_mod, element, moire__loop_index(b, RUN));
  moire__loop_value gaps = has_gaps(f);
  if (gaps) moire__loop_if(b, moire__loop_unary(b, MOIRE__LOOP_not, gaps));
  draw_runs(f, element);
  if (!gaps) return;
  moire__loop_end(b);
  moire__loop_if(b, gaps);
  draw_elements(f);
  moire__loop_end(b);
}

moire__loop_value moire__attend_short_drop(const moire__attend_short *f, moire__loop_value m,
                                           moire__loop_value n) {
  moire__lowering *l = f->k.l;
  moire__loop_value row = moire__lower_add(l, f->first, m);
  row = moire__lower_mul(l, row, moire__loop_index(&l->builder, f->drawn_width));
  row = moire__lower_add(l, f->drawn_at, row);
  return moire__loop_load(&l->builder, f->drawn, moire__lower_add(l, row, n));
}

/* ---- parts ---- */

void moire__attend_short_open(moire__attend_short *f) {
  moire__attend_kernel *k = &f->k;
  moire_dim count = 0;
  moire__dim_multiply(moire__attend_samples(k), k->heads, &count);
  moire__lower_body(k->l, count, 1);
  moire__loop_builder *b = &k->l->builder;
  moire__attend_place(k, k->l->kernel->parallel);
  k->first_query = k->first_key = moire__loop_index(b, 0);
  k->n_queries = k->all_queries;
  moire__attend_range(k, &f->low, &f->high);
  moire__loop_value before = moire__loop_binary(b, MOIRE__LOOP_mod, f->low, moire__loop_index(b, k->lanes));
  f->low = moire__loop_binary(b, MOIRE__LOOP_sub, f->low, before);
  number_keys(f);
  draw(f);
}

void moire__attend_short_part(moire__attend_short *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  f->first = moire__loop_for(b, moire__loop_index(b, 0), k->all_queries, f->height, 1);
  f->rows = moire__attend_block(k, k->all_queries, f->first, f->height);
  f->end = moire__attend_end(k, moire__lower_add(k->l, f->first, f->rows));
  moire__loop_value keys = moire__loop_binary(b, MOIRE__LOOP_sub, f->end, f->low);
  f->lanes = moire__lower_add(k->l, f->low, vectors_of(f, keys));
}

void moire__attend_short_fetch(const moire__attend_short *f, bool backward) {
  moire__loop_value end = moire__lower_add(f->k.l, f->first, f->rows);
  moire__attend_fetch_next(&f->k, backward, f->first, end, end);
}

moire__loop_value moire__attend_short_keys(const moire__attend_short *f) {
  return moire__loop_for(&f->k.l->builder, f->low, f->lanes, 1, f->k.lanes);
}

void moire__attend_short_pairs(const moire__attend_short *f, int operand, int64_t width,
                               const moire__loop_buffer *transposed, bool real_only, moire__tile_finish *finish,
                               void *context) {
  const moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__tiles t = {.a = moire__attend_rows(k, operand, f->first),
                    .b = {.planes = k->layout.planes, .conjugate = k->layout.planes == 2},
                    .m_low = zero,
                    .m_high = f->rows,
                    .k_low = zero,
                    .k_high = moire__loop_index(b, width),
                    .rows = f->height,
                    .all_rests = true,
                    .type = MOIRE__LOOP_F32,
                    .skip = {false, real_only},
                    .finish = finish,
                    .context = context};
  for (int p = 0; p < t.b.planes; p++) {
    t.b.buffer[p] = transposed[p];
    t.b.base[p] = zero;
    t.b.row[p] = moire__loop_index(b, f->width);
    t.b.column[p] = moire__loop_index(b, 1);
  }
  moire__loop_value begin = f->low;
  if (f->two_vectors && (real_only || t.b.planes == 1)) {
    moire__loop_value step = moire__loop_index(b, 2 * k->lanes);
    moire__loop_value keys = moire__loop_binary(b, MOIRE__LOOP_sub, f->lanes, f->low);
    keys = moire__lower_mul(k->l, moire__loop_binary(b, MOIRE__LOOP_div, keys, step), step);
    begin = moire__lower_add(k->l, f->low, keys);
    moire__tiles_emit_rows(k->l, &t, moire__loop_for(b, f->low, begin, 1, 2 * k->lanes));
    moire__loop_end(b);
  }
  t.apart = real_only && t.b.planes == 2;
  moire__loop_value rest = moire__loop_binary(b, MOIRE__LOOP_sub, f->lanes, begin),
                    lanes = moire__loop_index(b, k->lanes);
  rest = moire__lower_mul(k->l, moire__loop_binary(b, MOIRE__LOOP_div, rest, lanes), lanes);
  moire__tiles_emit_rows(k->l, &t, moire__loop_for(b, begin, moire__lower_add(k->l, begin, rest), 1, k->lanes));
  moire__loop_end(b);
}

void moire__attend_short_size(const moire__attend_short *f, moire__tiles *t) {
  const moire__lowering *l = f->k.l;
  int planes_a = t->a.planes, planes_b = t->b.planes, lanes = l->target.lanes;
  int wide_rows = moire__tiles_even_rows(l, planes_a, planes_b, 2);
  bool wide = t->n_extent > lanes && wide_rows >= LEAST_WIDE_ROWS;
  t->lanes = wide ? 2 * lanes : lanes;
  t->rows = wide && !f->two_vectors ? wide_rows : f->height;
  t->all_rests = true;
}

moire__loop_value moire__attend_short_score(moire__attend_short *f, moire__loop_value m, moire__loop_value n,
                                            const moire__loop_value s[2]) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value score =
      moire__loop_ternary(b, MOIRE__LOOP_fma, moire__attend_strength(k, s),
                          moire__loop_const(b, MOIRE__LOOP_F32, k->scale), moire__loop_load(b, f->beyond, n));
  if (!hides_keys(k)) return score;
  moire__attend_of_query(k, moire__lower_add(k->l, f->first, m));
  moire__loop_value seen = moire__loop_binary(b, MOIRE__LOOP_le, moire__loop_load(b, f->ordinal, n), k->last);
  moire__loop_value masked = moire__loop_binary(b, MOIRE__LOOP_add, score, k->shift);
  return moire__loop_ternary(b, MOIRE__LOOP_select, seen, score, masked);
}

/* ---- forward ---- */

typedef struct forward {
  moire__attend_short s;
  moire__loop_buffer keys[2], p, top, per; /* of a part: p, the largest score, and 1 / sum */
} forward;

static void store_score(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  forward *f = context;
  moire__loop_value score = moire__attend_short_score(&f->s, m, n, sum);
  moire__loop_store(&f->s.k.l->builder, f->p, moire__attend_short_at(&f->s, m, n), score);
}

static void find_top(const forward *f, moire__loop_value m) {
  moire__loop_builder *b = &f->s.k.l->builder;
  moire__loop_var top = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__loop_value n = moire__attend_short_keys(&f->s);
  moire__loop_reduce(b, top, MOIRE__LOOP_max, moire__loop_load(b, f->p, moire__attend_short_at(&f->s, m, n)));
  moire__loop_end(b);
  moire__loop_store(b, f->top, m, moire__loop_get(b, top));
}

/* A row of scores becomes one of weights. */
static void soften(forward *f, moire__loop_value m) {
  moire__attend_kernel *k = &f->s.k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value largest = moire__loop_load(b, f->top, m);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value n = moire__attend_short_keys(&f->s);
  moire__loop_value at = moire__attend_short_at(&f->s, m, n);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->p, at), largest);
  moire__loop_value weight = moire__loop_unary(b, MOIRE__LOOP_exp, less);
  moire__loop_reduce(b, sum, MOIRE__LOOP_add, weight);
  if (k->layout.rng >= 0)
    weight = moire__loop_binary(b, MOIRE__LOOP_mul, weight, moire__attend_short_drop(&f->s, m, n));
  moire__loop_store(b, f->p, at, weight);
  moire__loop_end(b);
  moire__loop_value total = moire__loop_get(b, sum), one = moire__loop_const(b, MOIRE__LOOP_F32, 1);
  moire__loop_store(b, f->per, m, moire__loop_binary(b, MOIRE__LOOP_div, one, total));
  int32_t result = l->node->first_result + k->layout.planes;
  moire__loop_value row = moire__attend_row(k, 0, moire__lower_add(l, f->s.first, m));
  moire__lower_write(l, result, row, largest);
  moire__lower_write(l, result + 1, row, total);
}

static void store_values(void *context, moire__loop_value m, moire__loop_value n,
                         const moire__loop_value sum[2]) {
  forward *f = context;
  moire__attend_kernel *k = &f->s.k;
  moire__lowering *l = k->l;
  moire__loop_value per = moire__loop_load(&l->builder, f->per, m);
  moire__loop_value row = moire__attend_result_row(k, 0, moire__lower_add(l, f->s.first, m));
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, row, moire__loop_index(&l->builder, k->e)), n);
  for (int p = 0; p < k->layout.planes; p++)
    moire__lower_write(l, l->node->first_result + p, at,
                       moire__loop_binary(&l->builder, MOIRE__LOOP_mul, sum[p], per));
}

static void values(forward *f) {
  moire__attend_kernel *k = &f->s.k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__tiles t = {.a = {.planes = 1,
                          .buffer = {f->p},
                          .base = {zero},
                          .row = {moire__loop_index(b, f->s.width)},
                          .column = {moire__loop_index(b, 1)}},
                    .b = moire__attend_rows(k, k->layout.v, zero),
                    .m_low = zero,
                    .m_high = f->s.rows,
                    .n_low = zero,
                    .n_high = moire__loop_index(b, k->e),
                    .n_extent = k->e,
                    .k_low = f->s.low,
                    .k_high = f->s.end,
                    .type = MOIRE__LOOP_F32,
                    .finish = store_values,
                    .context = f};
  moire__attend_short_size(&f->s, &t);
  moire__tiles_emit(k->l, &t);
}

void moire__attend_lower_short(const moire__attend_kernel *k) {
  moire__lowering *l = k->l;
  int planes = k->layout.planes;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < planes + 2; i++) moire__lower_add_write(l, l->node->first_result + i);
  forward f = {.s = moire__attend_short_begin(k)};
  for (int p = 0; p < planes; p++)
    f.keys[p] = moire__loop_add_local(l->kernel, "keys", MOIRE__LOOP_F32, k->d * f.s.width);
  f.p = moire__loop_add_local(l->kernel, "p", MOIRE__LOOP_F32, f.s.height * f.s.width);
  f.top = moire__loop_add_local(l->kernel, "top", MOIRE__LOOP_F32, f.s.height);
  f.per = moire__loop_add_local(l->kernel, "per_sum", MOIRE__LOOP_F32, f.s.height);
  moire__attend_short_open(&f.s);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__attend_transpose(&f.s.k, k->layout.k, k->d, zero, f.s.k.all_keys, f.keys);
  moire__attend_short_part(&f.s);
  moire__attend_short_pairs(&f.s, 0, k->d, f.keys, false, store_score, &f);
  find_top(&f, moire__loop_for(b, zero, f.s.rows, 1, 1));
  moire__loop_end(b);
  moire__attend_short_fetch(&f.s, false);
  soften(&f, moire__loop_for(b, zero, f.s.rows, 1, 1));
  moire__loop_end(b);
  values(&f);
  moire__loop_end(b);
  moire__lower_finish(l);
}
