/* linear_log_softmax_backward: two kernels (ops/head/head.h).
 *
 *   words   dw and dbias. One piece is a block of words, which are the vector lanes: w of the block is
 * transposed once, and blocks of rows pass by. For each g[n, v] = -share_n / temperature 2^(a log2 e - power_n)
 * / sum_n,  at the ids plus gradient / temperature dw[v, j] += sum_n g[n, v] x[n, j],  dbias[v] += sum_n g[n,
 * v] rows    dx_n = sum_s (sum_k gradient[n, k] w[id_k] - share_n mean_n) / temperature; no product of matrices
 * is left for it to do, since the forward pass has summed up the mean of all words
 */
#include "ops/head/head.h"
#include "ops/parts.h"

typedef struct backward {
  moire__head h;
  double per_temperature[MOIRE__HEAD_SOFTMAXES];
  bool wants_dw, wants_dbias;
  moire__loop_buffer w, x, g;              /* [D, words], [rows, D], [rows, words] */
  moire__loop_buffer power, factor, dbias; /* [rows, S] twice, [words] */
  moire__loop_value first_word, n_words;
  moire__loop_value first_row, n_rows;
} backward;

static moire__loop_builder *builder(backward *f) { return &f->h.l->builder; }

static moire__loop_value binary(backward *f, moire__loop_op op, moire__loop_value x, moire__loop_value y) {
  return moire__loop_binary(builder(f), op, x, y);
}

static moire__loop_value real(backward *f, double x) {
  return moire__loop_const(builder(f), MOIRE__LOOP_F32, x);
}

static moire__loop_value in_words(backward *f, moire__loop_value line, moire__loop_value lane) {
  return moire__head_at(&f->h, line, f->h.word_stride, lane);
}

/* Softmax s among those of row `row`. */
static moire__loop_value of_softmax(backward *f, moire__loop_value row, int s) {
  return moire__head_at(&f->h, row, f->h.softmaxes.n, moire__head_index(&f->h, s));
}

static int64_t whole_vectors(const moire__head *h) {
  int64_t lanes = h->l->target.lanes;
  return (h->word_block + lanes - 1) / lanes * lanes;
}

/* ---- the block of words ---------------------------------------------------------------------------------- */

static moire__loop_value weight_row(backward *f, moire__loop_value m) {
  return moire__lower_mul(f->h.l, moire__lower_add(f->h.l, f->first_word, m),
                          moire__head_index(&f->h, f->h.width));
}

/* w of the block, transposed, zeros in lanes behind the last; dw and dbias start at 0. */
static void start_words(backward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0), width = moire__head_index(h, h->width);
  moire__loop_value lane = moire__head_vectors(h, whole_vectors(h));
  moire__loop_store(b, f->dbias, lane, real(f, 0));
  moire__loop_value j = moire__loop_for(b, zero, width, 1, 1);
  moire__loop_store(b, f->w, in_words(f, j, lane), real(f, 0));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__tile_matrix words = moire__head_words(h, f->first_word);
  moire__loop_value m = moire__loop_for(b, zero, f->n_words, 1, 1);
  j = moire__loop_for(b, zero, width, 1, 1);
  moire__loop_store(b, f->w, in_words(f, j, m), moire__tile_element(l, &words, 0, m, j));
  moire__loop_end(b);
  if (f->wants_dw) {
    j = moire__loop_for(b, zero, width, 1, l->target.lanes);
    moire__lower_write(l, h->node->first_result + MOIRE__HEAD_DW, moire__lower_add(l, weight_row(f, m), j),
                       real(f, 0));
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

/* ---- a block of rows ------------------------------------------------------------------------------------- */

static moire__loop_value row_of(backward *f, moire__loop_value i) {
  return moire__head_row(&f->h, moire__lower_add(f->h.l, f->first_row, i));
}

/* x of the rows, and what is the same for all words. */
static void take_rows(backward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value i = moire__loop_for(b, zero, f->n_rows, 1, 1), row = row_of(f, i);
  for (int s = 0; s < h->softmaxes.n; s++) {
    moire__loop_value to = of_softmax(f, i, s), from = of_softmax(f, row, s);
    moire__loop_value share = moire__head_load(h, MOIRE__HEAD_SHARE, from);
    share = binary(f, MOIRE__LOOP_mul, share, real(f, -f->per_temperature[s]));
    moire__loop_store(b, f->factor, to,
                      binary(f, MOIRE__LOOP_div, share, moire__head_load(h, MOIRE__HEAD_SUM, from)));
    moire__loop_store(b, f->power, to, moire__head_load(h, MOIRE__HEAD_POWER, from));
  }
  moire__loop_value j = moire__loop_for(b, zero, moire__head_index(h, h->width), 1, l->target.lanes);
  moire__loop_value from = moire__lower_address(l, &h->x, (const moire__loop_value[MOIRE_MAX_RANK]){row, j});
  moire__loop_store(b, f->x, moire__head_at(h, i, h->width, j),
                    moire__loop_load(b, moire__lower_buffer(l, h->x.base), from));
  moire__loop_end(b);
  moire__loop_end(b);
}

static void store_score(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  backward *f = context;
  moire__loop_store(builder(f), f->g, in_words(f, m, n), sum[0]);
}

static moire__loop_value load_score(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  backward *f = context;
  (void)plane;
  return moire__loop_load(builder(f), f->g, in_words(f, m, n));
}

static void scores(backward *f) {
  moire__head *h = &f->h;
  moire__tiles t = {.finish = store_score, .resume = load_score, .context = f};
  t.a = moire__head_matrix(h, f->x, h->width, 1);
  t.b = moire__head_matrix(h, f->w, h->word_stride, 1);
  moire__head_multiply(h, &t, f->n_rows, h->row_block, whole_vectors(h), moire__head_index(h, h->width),
                       h->width);
}

/* Scores become gradients of them, but for those at the ids. */
static void differentiate(backward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0), bias = 0, g = 0;
  moire__loop_value lane = moire__head_vectors(h, whole_vectors(h));
  if (h->bias >= 0) { /* lanes behind the last word take its bias: nobody reads them */
    moire__loop_value last = moire__head_index(h, h->words - 1);
    moire__loop_value word = binary(f, MOIRE__LOOP_min, moire__lower_add(l, f->first_word, lane), last);
    bias = moire__head_load(h, h->bias, word);
  }
  moire__loop_var all = moire__loop_declare(b, moire__loop_load(b, f->dbias, lane));
  moire__loop_value i = moire__loop_for(b, zero, f->n_rows, 1, 1);
  moire__loop_value score = moire__loop_load(b, f->g, in_words(f, i, lane));
  if (bias) score = binary(f, MOIRE__LOOP_add, score, bias);
  for (int s = 0; s < h->softmaxes.n; s++) {
    moire__loop_value at = of_softmax(f, i, s), factor = moire__loop_load(b, f->factor, at);
    moire__loop_value less = moire__loop_unary(b, MOIRE__LOOP_neg, moire__loop_load(b, f->power, at));
    moire__loop_value e = moire__loop_ternary(b, MOIRE__LOOP_fma, score, real(f, h->scale[s]), less);
    e = moire__loop_unary(b, MOIRE__LOOP_exp2, e);
    g = s ? moire__loop_ternary(b, MOIRE__LOOP_fma, e, factor, g) : binary(f, MOIRE__LOOP_mul, e, factor);
  }
  moire__loop_set(b, all, binary(f, MOIRE__LOOP_add, moire__loop_get(b, all), g));
  moire__loop_store(b, f->g, in_words(f, i, lane), g);
  moire__loop_end(b);
  moire__loop_store(b, f->dbias, lane, moire__loop_get(b, all));
  moire__loop_end(b);
}

/* 1 / temperature of the softmax that id k is of. */
static moire__loop_value per_temperature(backward *f, moire__loop_value k) {
  if (f->h.softmaxes.n == 1) return real(f, f->per_temperature[0]);
  moire__loop_value is_first = binary(f, MOIRE__LOOP_lt, k, moire__head_index(&f->h, f->h.softmaxes.first));
  return moire__loop_ternary(builder(f), MOIRE__LOOP_select, is_first, real(f, f->per_temperature[0]),
                             real(f, f->per_temperature[1]));
}

/* Adds the gradient of id k of row i, which stands at `row`, if the id is among the words of the block. */
static void add_at_id(backward *f, moire__loop_value i, moire__loop_value row, moire__loop_value k) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value lane = binary(f, MOIRE__LOOP_sub, moire__head_id(h, row, k), f->first_word);
  moire__loop_if(b, binary(f, MOIRE__LOOP_and, binary(f, MOIRE__LOOP_le, zero, lane),
                           binary(f, MOIRE__LOOP_lt, lane, f->n_words)));
  moire__loop_value y = moire__head_load(h, MOIRE__HEAD_GRADIENT, moire__head_at(h, row, h->ids, k));
  y = binary(f, MOIRE__LOOP_mul, y, per_temperature(f, k));
  moire__loop_value at = in_words(f, i, lane);
  moire__loop_store(b, f->g, at, binary(f, MOIRE__LOOP_add, moire__loop_load(b, f->g, at), y));
  moire__loop_store(b, f->dbias, lane, binary(f, MOIRE__LOOP_add, moire__loop_load(b, f->dbias, lane), y));
  moire__loop_end(b);
}

static void add_at_ids(backward *f) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value i = moire__loop_for(b, zero, f->n_rows, 1, 1), row = row_of(f, i);
  if (h->ids == 1) {
    add_at_id(f, i, row, zero);
  } else {
    moire__loop_if(b, moire__head_some_inside(h, row, f->first_word, f->n_words));
    add_at_id(f, i, row, moire__loop_for(b, zero, moire__head_index(h, h->ids), 1, 1));
    moire__loop_end(b);
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

static void add_weight(void *context, moire__loop_value m, moire__loop_value n,
                       const moire__loop_value sum[2]) {
  backward *f = context;
  moire__head *h = &f->h;
  int32_t dw = h->node->first_result + MOIRE__HEAD_DW;
  moire__loop_value at = moire__lower_add(h->l, weight_row(f, m), n);
  moire__loop_value before = moire__loop_load(builder(f), moire__lower_buffer(h->l, dw), at);
  moire__lower_write(h->l, dw, at, binary(f, MOIRE__LOOP_add, before, sum[0]));
}

static moire__loop_value no_weight(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  (void)plane, (void)m, (void)n;
  return real(context, 0);
}

/* A block of rows is one part along what is summed over, so there is nothing to resume. */
static void weights(backward *f) {
  moire__head *h = &f->h;
  moire__tiles t = {.finish = add_weight, .resume = no_weight, .context = f};
  t.a = moire__head_matrix(h, f->g, 1, h->word_stride);
  t.b = moire__head_matrix(h, f->x, h->width, 1);
  moire__head_multiply(h, &t, f->n_words, h->word_block, h->width, f->n_rows, h->row_block);
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

static moire__loop_buffer local(backward *f, const char *name, int64_t elements) {
  return moire__loop_add_local(f->h.l->kernel, name, MOIRE__LOOP_F32, elements > 0 ? elements : 1);
}

static void add_word_buffers(backward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  for (int i = 0; i < h->node->n_operands; i++) {
    if (i != MOIRE__HEAD_MEAN) moire__lower_add_reads(l, h->node->operands[i]);
  }
  moire__head_add_order(h);
  if (f->wants_dw) moire__lower_add_write(l, h->node->first_result + MOIRE__HEAD_DW);
  if (f->wants_dbias) moire__lower_add_write(l, h->node->first_result + MOIRE__HEAD_DBIAS);
  f->w = local(f, "w", h->width * h->word_stride);
  f->x = local(f, "x", h->row_block * h->width);
  f->g = local(f, "g", h->row_block * h->word_stride);
  f->power = local(f, "power", h->row_block * h->softmaxes.n);
  f->factor = local(f, "factor", h->row_block * h->softmaxes.n);
  f->dbias = local(f, "dbias", h->word_stride);
}

static void lower_words(backward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  moire__head_order(h);
  add_word_buffers(f);
  moire__lower_body(l, h->words, h->word_block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__head_index(h, 0);
  f->first_word = moire__lower_mul(l, l->kernel->parallel, moire__head_index(h, h->word_block));
  f->n_words = moire__head_left(h, moire__head_index(h, h->words), f->first_word, h->word_block);
  start_words(f);
  moire__loop_value count = moire__head_count(h);
  f->first_row = moire__loop_for(b, zero, count, h->row_block, 1);
  f->n_rows = moire__head_left(h, count, f->first_row, h->row_block);
  take_rows(f);
  scores(f);
  differentiate(f);
  add_at_ids(f);
  if (f->wants_dw) weights(f);
  moire__loop_end(b);
  if (f->wants_dbias) {
    moire__loop_value n = moire__loop_for(b, zero, f->n_words, 1, l->target.lanes);
    moire__lower_write(l, h->node->first_result + MOIRE__HEAD_DBIAS, moire__lower_add(l, f->first_word, n),
                       moire__loop_load(b, f->dbias, n));
    moire__loop_end(b);
  }
  moire__lower_finish(l);
}

static void lower_rows(backward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  static const int read[] = {MOIRE__HEAD_W, MOIRE__HEAD_IDS, MOIRE__HEAD_MEAN, MOIRE__HEAD_GRADIENT,
                             MOIRE__HEAD_SHARE};
  int32_t dx = h->node->first_result + MOIRE__HEAD_DX;
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.rows", l->kernel->name));
  for (size_t i = 0; i < sizeof read / sizeof *read; i++) moire__lower_add_reads(l, h->node->operands[read[i]]);
  moire__lower_add_write(l, dx);
  moire__lower_body(l, h->rows, h->row_block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__head_index(h, 0), width = moire__head_index(h, h->width);
  moire__loop_value first = moire__lower_mul(l, l->kernel->parallel, moire__head_index(h, h->row_block));
  moire__loop_value n = moire__head_left(h, moire__loop_extent(b, h->rows), first, h->row_block);
  moire__loop_value row = moire__lower_add(l, first, moire__loop_for(b, zero, n, 1, 1));
  moire__loop_value factor[MOIRE__HEAD_SOFTMAXES];
  for (int s = 0; s < h->softmaxes.n; s++)
    factor[s] = binary(f, MOIRE__LOOP_mul, moire__head_load(h, MOIRE__HEAD_SHARE, of_softmax(f, row, s)),
                       real(f, -f->per_temperature[s]));
  moire__loop_value j = moire__loop_for(b, zero, width, 1, 2 * l->target.lanes), all = real(f, 0);
  for (int s = 0; s < h->softmaxes.n; s++) {
    moire__loop_value line = moire__lower_add(l, moire__head_index(h, s * h->width), j);
    moire__loop_value from = moire__head_at(h, row, h->softmaxes.n * h->width, line);
    all = moire__loop_ternary(b, MOIRE__LOOP_fma, factor[s], moire__head_load(h, MOIRE__HEAD_MEAN, from), all);
  }
  moire__loop_var sum = moire__loop_declare(b, all);
  moire__loop_value k = moire__loop_for(b, zero, moire__head_index(h, h->ids), 1, 1);
  moire__loop_value id = moire__head_id(h, row, k), last = moire__head_index(h, h->words - 1);
  moire__loop_value g = moire__head_load(h, MOIRE__HEAD_GRADIENT, moire__head_at(h, row, h->ids, k));
  g = binary(f, MOIRE__LOOP_mul, g, per_temperature(f, k));
  moire__tile_matrix w =
      moire__head_words(h, binary(f, MOIRE__LOOP_min, binary(f, MOIRE__LOOP_max, id, zero), last));
  moire__loop_value word = moire__tile_element(l, &w, 0, zero, j);
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, g, word, moire__loop_get(b, sum)));
  moire__loop_end(b);
  moire__lower_write(l, dx, moire__head_at(h, row, h->width, j), moire__loop_get(b, sum));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__linear_log_softmax_backward_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  backward f = {.h = moire__head_describe(l, moire__head_bias(node, MOIRE__HEAD_BACKWARD_OPERANDS))};
  for (int s = 0; s < f.h.softmaxes.n; s++) f.per_temperature[s] = 1 / f.h.softmaxes.temperature[s];
  f.wants_dw = l->uses[node->first_result + MOIRE__HEAD_DW] > 0;
  f.wants_dbias = l->uses[node->first_result + MOIRE__HEAD_DBIAS] > 0;
  const char *name = l->kernel->name;
  bool words = f.wants_dw || f.wants_dbias;
  if (words) lower_words(&f);
  if (l->uses[node->first_result + MOIRE__HEAD_DX] == 0) return;
  if (words) moire__lower_begin(l, name);
  lower_rows(&f);
}
