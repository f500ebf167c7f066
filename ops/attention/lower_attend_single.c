/* Attention of a single query: the last layer of a recommender, and what it answers with
 * (ops/attention/attend.h).
 *
 * A block of queries as lanes would hold one of them, so here the lanes are channels where scores are summed
 * and where values are added up, and keys in between:
 *
 *   s_j = q conj k_j     channels, summed over the lanes, a key after the other
 *   p_j                  keys, with their masks
 *   y = sum_j p_j v_j    channels; likewise dq, and a row of dk and dv for each key
 *
 * Nothing is transposed, and of random masks one row is drawn. Causality hides nothing from the last position.
 * Requires: queries of extent 1, and keys whose scalars fit the locals below (moire__attend_is_single).
 */
#include "ops/attention/attend.h"

enum { MOST_KEYS = 4096 };

typedef struct single {
  moire__attend_kernel k;
  moire__loop_value count;                 /* keys to look at, from k.first_key on */
  moire__loop_buffer s[2], p, slope, kept; /* of these keys; slope: dp, then what s is multiplied by for ds */
} single;

bool moire__attend_is_single(const moire__attend_kernel *k) {
  return k->queries == 1 && k->keys <= MOST_KEYS && !k->layout.bf16;
}

/* ---- words ---- */

static moire__loop_value zero_of(const single *f) {
  return moire__loop_const(&f->k.l->builder, MOIRE__LOOP_F32, 0);
}

static moire__loop_value times(const single *f, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&f->k.l->builder, MOIRE__LOOP_mul, a, b);
}

static moire__loop_value plus_product(const single *f, moire__loop_value sum, moire__loop_value a,
                                      moire__loop_value b) {
  return moire__loop_ternary(&f->k.l->builder, MOIRE__LOOP_fma, a, b, sum);
}

static moire__loop_value minus(const single *f, moire__loop_value a) {
  return moire__loop_unary(&f->k.l->builder, MOIRE__LOOP_neg, a);
}

static moire__loop_value element(const single *f, const moire__tile_matrix *x, int plane, moire__loop_value row,
                                 moire__loop_value column) {
  moire__lowering *l = f->k.l;
  moire__loop_value at = moire__lower_mul(l, row, x->row[plane]);
  at = moire__lower_add(l, at, moire__lower_mul(l, column, x->column[plane]));
  return moire__loop_load(&l->builder, x->buffer[plane], moire__lower_add(l, x->base[plane], at));
}

/* The query's row of an operand, or the rows of the keys that are looked at. */
static moire__tile_matrix rows(const single *f, int operand) {
  bool by_key = operand >= f->k.layout.k && operand < f->k.layout.y;
  return moire__attend_rows(&f->k, operand, by_key ? f->k.first_key : moire__loop_index(&f->k.l->builder, 0));
}

static moire__loop_value channels(const single *f, int64_t width) {
  moire__loop_builder *b = &f->k.l->builder;
  return moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, width), 1, f->k.l->target.lanes);
}

static moire__loop_value keys(const single *f, int lanes) {
  moire__loop_builder *b = &f->k.l->builder;
  return moire__loop_for(b, moire__loop_index(b, 0), f->count, 1, lanes);
}

/* Element offset of row `row`, column 0, of the result that belongs to an operand. */
static moire__loop_value result_row(const single *f, int operand, moire__loop_value row, int64_t width) {
  moire__lowering *l = f->k.l;
  return moire__lower_mul(l, moire__attend_result_row(&f->k, operand, row),
                          moire__loop_index(&l->builder, width));
}

static void store_result(const single *f, int result, moire__loop_value row, moire__loop_value column,
                         moire__loop_value x) {
  moire__lower_write(f->k.l, f->k.l->node->first_result + result, moire__lower_add(f->k.l, row, column), x);
}

/* ---- sums over channels ---- */

/* to[p][j] = plane p of x conj y_j, for the planes that there is a buffer for. */
static void dots(const single *f, int x_operand, int y_operand, int64_t width, const moire__loop_buffer *to,
                 int n_to) {
  moire__loop_builder *b = &f->k.l->builder;
  moire__tile_matrix x = rows(f, x_operand), y = rows(f, y_operand);
  moire__loop_value none = moire__loop_index(b, 0), key = keys(f, 1);
  moire__loop_var sum[2] = {0};
  for (int p = 0; p < n_to; p++) sum[p] = moire__loop_declare(b, zero_of(f));
  moire__loop_value c = channels(f, width), xs[2] = {0}, ys[2] = {0};
  for (int p = 0; p < x.planes; p++) {
    xs[p] = element(f, &x, p, none, c);
    ys[p] = element(f, &y, p, key, c);
  }
  for (int p = 0; p < n_to; p++) {
    moire__loop_value product = times(f, xs[p], ys[0]);
    if (x.planes == 2) product = plus_product(f, product, p ? minus(f, xs[0]) : xs[1], ys[1]);
    moire__loop_reduce(b, sum[p], MOIRE__LOOP_add, product);
  }
  moire__loop_end(b);
  for (int p = 0; p < n_to; p++) moire__loop_store(b, to[p], key, moire__loop_get(b, sum[p]));
  moire__loop_end(b);
}

/* sum[p] += plane p of w y, where w are the scalars w[.][key] of `planes` planes. */
static void add_products(const single *f, const moire__loop_var sum[2], const moire__loop_buffer *w, int planes,
                         moire__loop_value key, const moire__loop_value y[2]) {
  moire__loop_builder *b = &f->k.l->builder;
  for (int p = 0; p < f->k.layout.planes; p++) {
    moire__loop_value to = plus_product(f, moire__loop_get(b, sum[p]), moire__loop_load(b, w[0], key), y[p]);
    if (planes == 2) {
      moire__loop_value im = moire__loop_load(b, w[1], key);
      to = plus_product(f, to, p ? im : minus(f, im), y[1 - p]);
    }
    moire__loop_set(b, sum[p], to);
  }
}

/* ---- forward ---- */

/* Returns the sum of the weights, which are left in p, masked. */
static moire__loop_value forward_weights(single *f, moire__loop_value statistics) {
  moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_var top = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, -__builtin_inf()));
  moire__loop_value key = keys(f, l->target.lanes), s[2] = {0};
  for (int p = 0; p < k->layout.planes; p++) s[p] = moire__loop_load(b, f->s[p], key);
  moire__loop_value score = moire__attend_score(k, key, s);
  moire__loop_store(b, f->p, key, score);
  moire__loop_reduce(b, top, MOIRE__LOOP_max, score);
  moire__loop_end(b);
  moire__loop_value largest = moire__loop_get(b, top);
  moire__loop_var sum = moire__loop_declare(b, zero_of(f));
  key = keys(f, l->target.lanes);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->p, key), largest);
  moire__loop_value weight = moire__loop_unary(b, MOIRE__LOOP_exp, less);
  moire__loop_reduce(b, sum, MOIRE__LOOP_add, weight);
  if (k->layout.rng >= 0) weight = times(f, weight, moire__attend_drop(k, key));
  moire__loop_store(b, f->p, key, weight);
  moire__loop_end(b);
  int32_t result = l->node->first_result + k->layout.planes;
  moire__lower_write(l, result, statistics, largest);
  moire__loop_value total = moire__loop_get(b, sum);
  moire__lower_write(l, result + 1, statistics, total);
  return total;
}

static void forward_values(single *f, moire__loop_value sum) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value per = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_const(b, MOIRE__LOOP_F32, 1), sum);
  moire__loop_value row = result_row(f, 0, moire__loop_index(b, 0), k->e);
  moire__tile_matrix v = rows(f, k->layout.v);
  moire__loop_value c = channels(f, k->e), y[2] = {0};
  moire__loop_var to[2] = {0};
  for (int p = 0; p < k->layout.planes; p++) to[p] = moire__loop_declare(b, zero_of(f));
  moire__loop_value key = keys(f, 1);
  for (int p = 0; p < k->layout.planes; p++) y[p] = element(f, &v, p, key, c);
  add_products(f, to, &f->p, 1, key, y);
  moire__loop_end(b);
  for (int p = 0; p < k->layout.planes; p++)
    store_result(f, p, row, c, times(f, moire__loop_get(b, to[p]), per));
  moire__loop_end(b);
}

/* ---- backward ---- */

static moire__loop_value load_statistic(const single *f, int operand, moire__loop_value row) {
  moire__lowering *l = f->k.l;
  moire__loop_buffer from = moire__lower_buffer(l, moire__lower_view(l, l->node->operands[operand]).base);
  return moire__loop_load(&l->builder, from, row);
}

/* p, kept and D; dp becomes the slope. */
static void backward_weights(single *f, moire__loop_value statistics) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  int planes = k->layout.planes;
  moire__loop_value largest = load_statistic(f, k->layout.largest, statistics);
  moire__loop_value per = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_const(b, MOIRE__LOOP_F32, 1),
                                             load_statistic(f, k->layout.sum, statistics));
  moire__loop_var total = moire__loop_declare(b, zero_of(f));
  moire__loop_value key = keys(f, k->l->target.lanes), s[2] = {0};
  for (int i = 0; i < planes; i++) s[i] = moire__loop_load(b, f->s[i], key);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_score(k, key, s), largest);
  moire__loop_value p = times(f, moire__loop_unary(b, MOIRE__LOOP_exp, less), per);
  moire__loop_value dp = moire__loop_load(b, f->slope, key);
  if (k->layout.rng >= 0) {
    moire__loop_value drop = moire__attend_drop(k, key);
    dp = times(f, dp, drop);
    moire__loop_store(b, f->kept, key, times(f, p, drop));
  }
  moire__loop_store(b, f->p, key, p);
  moire__loop_store(b, f->slope, key, dp);
  moire__loop_reduce(b, total, MOIRE__LOOP_add, times(f, p, dp));
  moire__loop_end(b);
  moire__loop_value dot = moire__loop_get(b, total);
  key = keys(f, k->l->target.lanes);
  moire__loop_value slope = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, f->slope, key), dot);
  slope = times(f, slope, moire__loop_load(b, f->p, key));
  slope = times(f, slope, moire__loop_const(b, MOIRE__LOOP_F32, planes * k->scale));
  for (int i = 0; i < planes; i++) {
    moire__loop_value ds = planes == 2 ? times(f, slope, moire__loop_load(b, f->s[i], key)) : slope;
    moire__loop_store(b, f->s[i], key, ds);
  }
  moire__loop_end(b);
}

/* dq = sum_j ds_j k_j, and dk_j = conj(ds_j) q. */
static void slope_gradients(single *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  int planes = k->layout.planes;
  moire__loop_value none = moire__loop_index(b, 0), row = result_row(f, 0, none, k->d);
  moire__tile_matrix q = rows(f, 0), x = rows(f, k->layout.k);
  moire__loop_value c = channels(f, k->d), qs[2] = {0}, ks[2] = {0};
  moire__loop_var dq[2] = {0};
  for (int p = 0; p < planes; p++) {
    dq[p] = moire__loop_declare(b, zero_of(f));
    qs[p] = element(f, &q, p, none, c);
  }
  moire__loop_value key = keys(f, 1);
  for (int p = 0; p < planes; p++) ks[p] = element(f, &x, p, key, c);
  add_products(f, dq, f->s, planes, key, ks);
  moire__loop_value to = result_row(f, k->layout.k, moire__lower_add(k->l, k->first_key, key), k->d);
  for (int p = 0; p < planes; p++) {
    moire__loop_value dk = times(f, moire__loop_load(b, f->s[0], key), qs[p]);
    if (planes == 2) dk = plus_product(f, dk, moire__loop_load(b, f->s[1], key), p ? minus(f, qs[0]) : qs[1]);
    store_result(f, k->layout.k + p, to, c, dk);
  }
  moire__loop_end(b);
  for (int p = 0; p < planes; p++) store_result(f, p, row, c, moire__loop_get(b, dq[p]));
  moire__loop_end(b);
}

/* dv_j = p_j drop_j g */
static void value_gradients(single *f) {
  moire__attend_kernel *k = &f->k;
  moire__loop_builder *b = &k->l->builder;
  moire__tile_matrix g = rows(f, k->layout.g);
  moire__loop_value c = channels(f, k->e), gs[2] = {0};
  for (int p = 0; p < k->layout.planes; p++) gs[p] = element(f, &g, p, moire__loop_index(b, 0), c);
  moire__loop_value key = keys(f, 1);
  moire__loop_value to = result_row(f, k->layout.v, moire__lower_add(k->l, k->first_key, key), k->e);
  moire__loop_value weight = moire__loop_load(b, f->kept, key);
  for (int p = 0; p < k->layout.planes; p++) store_result(f, k->layout.v + p, to, c, times(f, weight, gs[p]));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* dk and dv of the keys that nobody looks at. */
static void zero_gradients(const single *f, moire__loop_value low, moire__loop_value high) {
  const moire__attend_layout *at = &f->k.layout;
  moire__loop_builder *b = &f->k.l->builder;
  moire__loop_value key = moire__loop_for(b, low, high, 1, 1);
  for (int r = at->k; r < at->y; r++) {
    int64_t width = r < at->v ? f->k.d : f->k.e;
    moire__loop_value row = result_row(f, r, key, width);
    store_result(f, r, row, channels(f, width), zero_of(f));
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

/* ---- the kernel ---- */

static void add_buffers(single *f, int n_results) {
  moire__attend_kernel *k = &f->k;
  moire__lowering *l = k->l;
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int i = 0; i < n_results; i++) moire__lower_add_write(l, l->node->first_result + i);
  for (int p = 0; p < k->layout.planes; p++)
    f->s[p] = moire__loop_add_local(l->kernel, "s", MOIRE__LOOP_F32, k->keys);
  f->p = moire__loop_add_local(l->kernel, "p", MOIRE__LOOP_F32, k->keys);
}

/* Opens the body: the query of a head of a sample, and its keys; fetches what is of the next. */
static void begin(single *f, bool backward, moire__loop_value *low, moire__loop_value *high) {
  moire__attend_kernel *k = &f->k;
  moire_dim count = 0;
  moire__dim_multiply(moire__attend_samples(k), k->heads, &count);
  moire__lower_body(k->l, count, 1);
  moire__loop_builder *b = &k->l->builder;
  k->causal = false;
  moire__attend_place(k, k->l->kernel->parallel);
  k->first_query = moire__loop_index(b, 0);
  k->n_queries = moire__loop_index(b, 1);
  moire__attend_fetch_next(k, backward, moire__loop_index(b, 0), k->n_queries, k->all_keys);
  moire__attend_range(k, low, high);
  moire__attend_of_query(k, k->first_query);
  if (k->layout.rng >= 0) k->mask_row = moire__attend_mask_row(k, k->first_query);
  k->first_key = *low;
  f->count = moire__loop_binary(b, MOIRE__LOOP_sub, *high, *low);
}

void moire__attend_lower_single(const moire__attend_kernel *k) {
  single f = {.k = *k};
  moire__loop_value low = 0, high = 0;
  add_buffers(&f, k->layout.planes + 2);
  begin(&f, false, &low, &high);
  moire__loop_value statistics = moire__attend_row(&f.k, 0, f.k.first_query);
  dots(&f, 0, k->layout.k, k->d, f.s, k->layout.planes);
  moire__loop_value sum = forward_weights(&f, statistics);
  forward_values(&f, sum);
  moire__lower_finish(k->l);
}

void moire__attend_lower_single_backward(const moire__attend_kernel *k) {
  single f = {.k = *k};
  moire__loop_value low = 0, high = 0;
  add_buffers(&f, k->layout.y);
  f.slope = moire__loop_add_local(k->l->kernel, "slope", MOIRE__LOOP_F32, k->keys);
  f.kept = f.p;
  if (k->layout.rng >= 0) f.kept = moire__loop_add_local(k->l->kernel, "kept", MOIRE__LOOP_F32, k->keys);
  begin(&f, true, &low, &high);
  zero_gradients(&f, moire__loop_index(&k->l->builder, 0), low);
  zero_gradients(&f, high, f.k.all_keys);
  dots(&f, 0, k->layout.k, k->d, f.s, k->layout.planes);
  dots(&f, k->layout.g, k->layout.v, k->e, &f.slope, 1);
  backward_weights(&f, moire__attend_row(&f.k, 0, f.k.first_query));
  slope_gradients(&f);
  value_gradients(&f);
  moire__lower_finish(k->l);
}
