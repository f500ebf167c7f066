/* Attention of short sequences, backward: as ops/attention/lower_attend_backward.c says, with keys as the lanes
 * (ops/attention/lower_attend_short.c).
 *
 * Keys and values are transposed once for a head of a sample. A part of queries gives its rows of ds and of
 * p drop, which are kept, and its dq; afterwards each key's dk and dv are sums over the queries from the first
 * that looks at it on: parts bring new keys in order, so every result is written once.
 */
#include "ops/attention/attend.h"

typedef struct backward {
  moire__attend_short s;
  moire__loop_buffer keys[2], values[2]; /* transposed */
  moire__loop_buffer ds[2], kept;        /* of all queries: s, which becomes ds, and p drop */
  moire__loop_buffer p, dp, dot;         /* of a part */
  moire__loop_buffer largest, per_sum;   /* of all queries; per_sum: 1 / sum */
} backward;

/* ---- weights and slopes of a part ---- */

/* Element (m, n) of an array that holds all queries. */
static moire__loop_value at_query(const backward *f, moire__loop_value m, moire__loop_value n) {
  return moire__attend_short_at(&f->s, moire__lower_add(f->s.k.l, f->s.first, m), n);
}

static moire__loop_value times(const backward *f, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&f->s.k.l->builder, MOIRE__LOOP_mul, a, b);
}

static void store_scores(void *context, moire__loop_value m, moire__loop_value n,
                         const moire__loop_value sum[2]) {
  const backward *f = context;
  for (int i = 0; i < f->s.k.layout.planes; i++)
    moire__loop_store(&f->s.k.l->builder, f->ds[i], at_query(f, m, n), sum[i]);
}

static void store_slope(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  const backward *f = context;
  moire__loop_store(&f->s.k.l->builder, f->dp, moire__attend_short_at(&f->s, m, n), sum[0]);
}

/* p of row m, and D, from p and dp themselves: rounded alike, the slopes of a row sum to zero. */
static void weigh(backward *f, moire__loop_value m) {
  moire__loop_builder *b = &f->s.k.l->builder;
  moire__loop_value query = moire__lower_add(f->s.k.l, f->s.first, m), s[2] = {0, 0};
  moire__loop_value largest = moire__loop_load(b, f->largest, query),
                    per = moire__loop_load(b, f->per_sum, query);
  moire__loop_var total = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value n = moire__attend_short_keys(&f->s), at = moire__attend_short_at(&f->s, m, n);
  for (int i = 0; i < f->s.k.layout.planes; i++) s[i] = moire__loop_load(b, f->ds[i], at_query(f, m, n));
  moire__loop_value less =
      moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_short_score(&f->s, m, n, s), largest);
  moire__loop_value p = times(f, moire__loop_unary(b, MOIRE__LOOP_exp, less), per), kept = p;
  moire__loop_value dp = moire__loop_load(b, f->dp, at);
  moire__loop_store(b, f->p, at, p);
  if (f->s.k.layout.rng >= 0) {
    moire__loop_value drop = moire__attend_short_drop(&f->s, m, n);
    dp = times(f, dp, drop);
    kept = times(f, p, drop);
    moire__loop_store(b, f->dp, at, dp);
  }
  moire__loop_store(b, f->kept, at_query(f, m, n), kept);
  moire__loop_reduce(b, total, MOIRE__LOOP_add, times(f, p, dp));
  moire__loop_end(b);
  moire__loop_store(b, f->dot, m, moire__loop_get(b, total));
}

/* s of row m becomes ds. */
static void finish_slopes(const backward *f, moire__loop_value m) {
  moire__loop_builder *b = &f->s.k.l->builder;
  int planes = f->s.k.layout.planes;
  moire__loop_value dot = moire__loop_load(b, f->dot, m);
  moire__loop_value n = moire__attend_short_keys(&f->s), at = moire__attend_short_at(&f->s, m, n);
  moire__loop_value slope = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->dp, at), dot);
  slope = times(f, slope, moire__loop_load(b, f->p, at));
  slope = times(f, slope, moire__loop_const(b, MOIRE__LOOP_F32, planes * f->s.k.scale));
  at = at_query(f, m, n);
  for (int i = 0; i < planes; i++) {
    moire__loop_value ds = planes == 2 ? times(f, slope, moire__loop_load(b, f->ds[i], at)) : slope;
    moire__loop_store(b, f->ds[i], at, ds);
  }
  moire__loop_end(b);
}

/* ---- products with slopes ---- */

typedef struct target {
  backward *f;
  int result; /* whose rows are those of the operand of the same number */
  moire__loop_value first_row;
  int64_t width;
} target;

static void store_result(void *context, moire__loop_value m, moire__loop_value n,
                         const moire__loop_value sum[2]) {
  const target *t = context;
  const moire__attend_kernel *k = &t->f->s.k;
  moire__lowering *l = k->l;
  moire__loop_value row = moire__attend_result_row(k, t->result, moire__lower_add(l, t->first_row, m));
  moire__loop_value at = moire__lower_mul(l, row, moire__loop_index(&l->builder, t->width));
  for (int i = 0; i < k->layout.planes; i++)
    moire__lower_write(l, l->node->first_result + t->result + i, moire__lower_add(l, at, n), sum[i]);
}

/* An array of rows of keys as the left factor, from row `first` on: rows are its rows, or its keys. */
static moire__tile_matrix pairs(const backward *f, int planes, const moire__loop_buffer *buffers,
                                moire__loop_value first, bool by_key) {
  moire__loop_builder *b = &f->s.k.l->builder;
  moire__loop_value wide = moire__loop_index(b, f->s.width), one = moire__loop_index(b, 1);
  moire__tile_matrix x = {.planes = planes};
  for (int p = 0; p < planes; p++) {
    x.buffer[p] = buffers[p];
    x.base[p] = moire__attend_short_at(&f->s, first, moire__loop_index(b, 0));
    x.row[p] = by_key ? one : wide;
    x.column[p] = by_key ? wide : one;
  }
  return x;
}

static moire__tiles product(const target *to, moire__tile_matrix a, moire__tile_matrix right) {
  moire__lowering *l = to->f->s.k.l;
  moire__tiles t = {.a = a,
                    .b = right,
                    .m_low = moire__loop_index(&l->builder, 0),
                    .n_low = moire__loop_index(&l->builder, 0),
                    .n_high = moire__loop_index(&l->builder, to->width),
                    .n_extent = to->width,
                    .type = MOIRE__LOOP_F32,
                    .finish = store_result};
  moire__attend_short_size(&to->f->s, &t);
  return t;
}

/* dq of the part. */
static void query_gradients(backward *f) {
  moire__attend_kernel *k = &f->s.k;
  moire__loop_value zero = moire__loop_index(&k->l->builder, 0);
  target dq = {f, 0, f->s.first, k->d};
  moire__tiles t = product(&dq, pairs(f, k->layout.planes, f->ds, f->s.first, false),
                           moire__attend_rows(k, k->layout.k, zero));
  t.m_high = f->s.rows;
  t.k_low = f->s.low;
  t.k_high = f->s.end;
  t.context = &dq;
  moire__tiles_emit(k->l, &t);
}

/* dv and dk of the keys `low` to the part's last, which the queries from the part's first on look at. */
static void key_gradients(backward *f, moire__loop_value low) {
  moire__attend_kernel *k = &f->s.k;
  const moire__attend_layout *at = &k->layout;
  moire__loop_value zero = moire__loop_index(&k->l->builder, 0);
  target to[] = {{f, at->v, zero, k->e}, {f, at->k, zero, k->d}};
  moire__tiles t[] = {product(&to[0], pairs(f, 1, &f->kept, zero, true), moire__attend_rows(k, at->g, zero)),
                      product(&to[1], pairs(f, at->planes, f->ds, zero, true), moire__attend_rows(k, 0, zero))};
  t[1].a.conjugate = at->planes == 2;
  for (int i = 0; i < 2; i++) {
    t[i].m_low = low;
    t[i].m_high = f->s.end;
    t[i].k_low = f->s.first;
    t[i].k_high = k->all_queries;
    t[i].context = &to[i];
    moire__tiles_emit(k->l, &t[i]);
  }
}

/* ---- the steps of a piece ---- */

/* dk and dv of keys that nobody looks at. */
static void zero_gradients(const backward *f, moire__loop_value low, moire__loop_value high) {
  moire__lowering *l = f->s.k.l;
  moire__loop_builder *b = &l->builder;
  const moire__attend_layout *at = &f->s.k.layout;
  moire__loop_value key = moire__loop_for(b, low, high, 1, 1);
  for (int r = at->k; r < at->y; r++) {
    moire__loop_value width = moire__loop_index(b, r < at->v ? f->s.k.d : f->s.k.e);
    moire__loop_value row = moire__lower_mul(l, moire__attend_result_row(&f->s.k, r, key), width);
    moire__loop_value n = moire__loop_for(b, moire__loop_index(b, 0), width, 1, l->target.lanes);
    moire__lower_write(l, l->node->first_result + r, moire__lower_add(l, row, n),
                       moire__loop_const(b, MOIRE__LOOP_F32, 0));
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

static moire__loop_value load_row_scalar(const backward *f, int operand, moire__loop_value row) {
  moire__lowering *l = f->s.k.l;
  moire__loop_buffer from = moire__lower_buffer(l, moire__lower_view(l, l->node->operands[operand]).base);
  return moire__loop_load(&l->builder, from, row);
}

/* What the forward pass left. */
static void load_statistics(const backward *f) {
  const moire__attend_kernel *k = &f->s.k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), first = moire__attend_row(k, 0, zero);
  moire__loop_value m = moire__loop_for(b, zero, k->all_queries, 1, k->lanes);
  moire__loop_value row = moire__lower_add(k->l, first, m), one = moire__loop_const(b, MOIRE__LOOP_F32, 1);
  moire__loop_store(b, f->largest, m, load_row_scalar(f, k->layout.largest, row));
  moire__loop_value sum = load_row_scalar(f, k->layout.sum, row);
  moire__loop_store(b, f->per_sum, m, moire__loop_binary(b, MOIRE__LOOP_div, one, sum));
  moire__loop_end(b);
}

static void add_buffers(backward *f) {
  const moire__attend_kernel *k = &f->s.k;
  moire__loop_kernel *kernel = k->l->kernel;
  int64_t rows = k->queries > 0 ? k->queries : 1;
  for (int p = 0; p < k->layout.planes; p++) {
    f->keys[p] = moire__loop_add_local(kernel, "keys", MOIRE__LOOP_F32, k->d * f->s.width);
    f->values[p] = moire__loop_add_local(kernel, "values", MOIRE__LOOP_F32, k->e * f->s.width);
    f->ds[p] = moire__loop_add_local(kernel, "ds", MOIRE__LOOP_F32, rows * f->s.width);
  }
  f->kept = moire__loop_add_local(kernel, "kept", MOIRE__LOOP_F32, rows * f->s.width);
  f->p = moire__loop_add_local(kernel, "p", MOIRE__LOOP_F32, f->s.height * f->s.width);
  f->dp = moire__loop_add_local(kernel, "dp", MOIRE__LOOP_F32, f->s.height * f->s.width);
  f->dot = moire__loop_add_local(kernel, "dot", MOIRE__LOOP_F32, f->s.height);
  f->largest = moire__loop_add_local(kernel, "largest", MOIRE__LOOP_F32, rows);
  f->per_sum = moire__loop_add_local(kernel, "per_sum", MOIRE__LOOP_F32, rows);
}

static void parts(backward *f) {
  moire__attend_kernel *k = &f->s.k;
  moire__loop_builder *b = &k->l->builder;
  moire__attend_short_part(&f->s);
  moire__attend_short_pairs(&f->s, 0, k->d, f->keys, false, store_scores, f);
  moire__attend_short_pairs(&f->s, k->layout.g, k->e, f->values, true, store_slope, f);
  moire__attend_short_fetch(&f->s, true);
  weigh(f, moire__loop_for(b, moire__loop_index(b, 0), f->s.rows, 1, 1));
  moire__loop_end(b);
  finish_slopes(f, moire__loop_for(b, moire__loop_index(b, 0), f->s.rows, 1, 1));
  moire__loop_end(b);
  query_gradients(f);
  moire__loop_end(b);
  moire__loop_var done = moire__loop_declare(b, f->s.low);
  moire__attend_short_part(&f->s);
  key_gradients(f, moire__loop_get(b, done));
  moire__loop_set(b, done, f->s.end);
  moire__loop_end(b);
  zero_gradients(f, moire__loop_index(b, 0), f->s.low);
  zero_gradients(f, moire__loop_get(b, done), k->all_keys);
}

void moire__attend_lower_short_backward(const moire__attend_kernel *k) {
  moire__lowering *l = k->l;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < k->layout.y; i++) moire__lower_add_write(l, l->node->first_result + i);
  backward f = {.s = moire__attend_short_begin(k)};
  add_buffers(&f);
  moire__attend_short_open(&f.s);
  moire__loop_value zero = moire__loop_index(&l->builder, 0);
  moire__attend_transpose(&f.s.k, k->layout.k, k->d, zero, f.s.k.all_keys, f.keys);
  moire__attend_transpose(&f.s.k, k->layout.v, k->e, zero, f.s.k.all_keys, f.values);
  load_statistics(&f);
  parts(&f);
  moire__lower_finish(l);
}
