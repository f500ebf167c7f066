/* linear_log_softmax: blocks of words pass by a block of rows (ops/head/head.h).
 *
 * Rows are the vector lanes: x of the block is transposed once, words are read where they are, an element for
 * all lanes, and maxima and sums of rows are vectors. For every block of words
 *
 *   e[v, n] = x_n . w_v                                   tiles, into local memory
 *   power' = max(power, ceil(max_v a log2 e)),  fade = 2^(power - power')
 *   for each softmax: power', fade as above;  e[v, n] = 2^(a log2 e - power'),  sum = sum fade + sum_v e[v, n]
 *   mean[j, n] = mean[j, n] fade + sum_v w[v, j] e[v, n]  tiles; not where nobody wants the gradient
 *
 * and at the end y = a log2 e ln 2 - power ln 2 - ln sum. The score of the one id of a row is picked as its
 * block passes by; where a row has several, they are computed again at the end.
 */
#include "ops/head/head.h"
#include "ops/parts.h"

typedef struct forward {
  moire__head h;
  bool wants_mean;
  int softmax;                /* at hand */
  moire__loop_buffer x, z, e; /* [D, rows], [words, rows] twice: one buffer if there is one softmax */
  moire__loop_buffer mean;    /* [S D, rows] */
  moire__loop_buffer power, sum, fade, score; /* [S, rows]; score: of the only id */
  moire__loop_value first_row, n_rows;        /* of the block, in the order; n_rows: that count */
  moire__loop_value first_word, n_words;
} forward;

static moire__loop_builder *builder(forward *f) { return &f->h.l->builder; }

static moire__loop_value binary(forward *f, moire__loop_op op, moire__loop_value x, moire__loop_value y) {
  return moire__loop_binary(builder(f), op, x, y);
}

static moire__loop_value real(forward *f, double x) {
  return moire__loop_const(builder(f), MOIRE__LOOP_F32, x);
}

static moire__loop_value in_rows(forward *f, moire__loop_value line, moire__loop_value lane) {
  return moire__head_at(&f->h, line, f->h.row_stride, lane);
}

/* Lane `lane` of what softmax s has of each row, and line j of its means. */
static moire__loop_value of_softmax(forward *f, int s, moire__loop_value lane) {
  return in_rows(f, moire__head_index(&f->h, s), lane);
}

static moire__loop_value mean_line(forward *f, int s, moire__loop_value j) {
  return moire__lower_add(f->h.l, moire__head_index(&f->h, s * f->h.width), j);
}

/* ---- a block of words ------------------------------------------------------------------------------------ */

static void store_score(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  forward *f = context;
  moire__loop_store(builder(f), f->z, in_rows(f, m, n), sum[0]);
}

static moire__loop_value load_score(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  forward *f = context;
  (void)plane;
  return moire__loop_load(builder(f), f->z, in_rows(f, m, n));
}

static void scores(forward *f) {
  moire__head *h = &f->h;
  moire__tiles t = {.finish = store_score, .resume = load_score, .context = f};
  t.a = moire__head_words(h, f->first_word);
  t.b = moire__head_matrix(h, f->x, h->row_stride, 1);
  moire__head_multiply(h, &t, f->n_words, h->word_block, h->row_block, moire__head_index(h, h->width),
                       h->width);
}

/* x . w + bias of word m of the block. */
static moire__loop_value biased(forward *f, moire__loop_value m, moire__loop_value lane) {
  moire__head *h = &f->h;
  moire__loop_value dot = moire__loop_load(builder(f), f->z, in_rows(f, m, lane));
  if (h->bias < 0) return dot;
  return binary(f, MOIRE__LOOP_add, dot,
                moire__head_load(h, h->bias, moire__lower_add(h->l, f->first_word, m)));
}

/* Keeps the score of the rows' id if it is among the words of the block. */
static void pick(forward *f) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value lane = moire__loop_for(b, zero, f->n_rows, 1, 1);
  moire__loop_value row = moire__head_row(h, moire__lower_add(h->l, f->first_row, lane));
  moire__loop_value m = binary(f, MOIRE__LOOP_sub, moire__head_id(h, row, zero), f->first_word);
  moire__loop_value inside =
      binary(f, MOIRE__LOOP_and, binary(f, MOIRE__LOOP_le, zero, m), binary(f, MOIRE__LOOP_lt, m, f->n_words));
  moire__loop_if(b, inside);
  moire__loop_store(b, f->score, lane, biased(f, m, lane));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* The smallest whole number that is not below x. */
static moire__loop_value ceiling(forward *f, moire__loop_value x) {
  moire__loop_builder *b = builder(f);
  moire__loop_value down = moire__loop_unary(b, MOIRE__LOOP_floor, moire__loop_unary(b, MOIRE__LOOP_neg, x));
  return moire__loop_unary(b, MOIRE__LOOP_neg, down);
}

/* Scores become powers of two; power and sum are brought up to date. */
static void soften(forward *f) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0), scale = real(f, h->scale[f->softmax]);
  moire__loop_value lane = moire__head_vectors(h, h->row_block), own = of_softmax(f, f->softmax, lane);
  moire__loop_var top = moire__loop_declare(b, real(f, MOIRE__HEAD_LEAST));
  moire__loop_value m = moire__loop_for(b, zero, f->n_words, 1, 1);
  moire__loop_set(b, top, binary(f, MOIRE__LOOP_max, moire__loop_get(b, top), biased(f, m, lane)));
  moire__loop_end(b);
  moire__loop_value before = moire__loop_load(b, f->power, own);
  moire__loop_value now = ceiling(f, binary(f, MOIRE__LOOP_mul, moire__loop_get(b, top), scale));
  now = binary(f, MOIRE__LOOP_max, now, before);
  moire__loop_value fade = moire__loop_unary(b, MOIRE__LOOP_exp2, binary(f, MOIRE__LOOP_sub, before, now));
  moire__loop_value less = moire__loop_unary(b, MOIRE__LOOP_neg, now);
  moire__loop_var sum =
      moire__loop_declare(b, binary(f, MOIRE__LOOP_mul, moire__loop_load(b, f->sum, own), fade));
  m = moire__loop_for(b, zero, f->n_words, 1, 1);
  moire__loop_value exponent = moire__loop_ternary(b, MOIRE__LOOP_fma, biased(f, m, lane), scale, less);
  moire__loop_value e = moire__loop_unary(b, MOIRE__LOOP_exp2, exponent);
  moire__loop_set(b, sum, binary(f, MOIRE__LOOP_add, moire__loop_get(b, sum), e));
  moire__loop_store(b, f->e, in_rows(f, m, lane), e);
  moire__loop_end(b);
  moire__loop_store(b, f->power, own, now);
  moire__loop_store(b, f->sum, own, moire__loop_get(b, sum));
  moire__loop_store(b, f->fade, own, fade);
  moire__loop_end(b);
}

static void add_mean(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  forward *f = context;
  moire__loop_builder *b = builder(f);
  moire__loop_value at = in_rows(f, mean_line(f, f->softmax, m), n);
  moire__loop_value fade = moire__loop_load(b, f->fade, of_softmax(f, f->softmax, n));
  moire__loop_value before = moire__loop_load(b, f->mean, at);
  moire__loop_store(b, f->mean, at, moire__loop_ternary(b, MOIRE__LOOP_fma, before, fade, sum[0]));
}

static moire__loop_value no_mean(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  (void)plane, (void)m, (void)n;
  return real(context, 0);
}

/* A block of words is one part along what is summed over, so there is nothing to resume. */
static void means(forward *f) {
  moire__head *h = &f->h;
  moire__tiles t = {.finish = add_mean, .resume = no_mean, .context = f};
  moire__tile_matrix w = moire__head_words(h, f->first_word);
  t.a = w;
  t.a.row[0] = w.column[0];
  t.a.column[0] = w.row[0];
  t.b = moire__head_matrix(h, f->e, h->row_stride, 1);
  moire__head_multiply(h, &t, moire__head_index(h, h->width), h->width, h->row_block, f->n_words,
                       h->word_block);
}

/* ---- a block of rows ------------------------------------------------------------------------------------- */

/* x of the rows, transposed; zeros in lanes behind the last. Everything else starts. */
static void start_rows(forward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0), width = moire__head_index(h, h->width);
  moire__loop_value lane = moire__head_vectors(h, h->row_block);
  for (int s = 0; s < h->softmaxes.n; s++) {
    moire__loop_store(b, f->power, of_softmax(f, s, lane), real(f, MOIRE__HEAD_LEAST));
    moire__loop_store(b, f->sum, of_softmax(f, s, lane), real(f, 0));
  }
  if (f->score) moire__loop_store(b, f->score, lane, real(f, 0));
  moire__loop_value j = moire__loop_for(b, zero, width, 1, 1);
  moire__loop_store(b, f->x, in_rows(f, j, lane), real(f, 0));
  for (int s = 0; s < h->softmaxes.n && f->wants_mean; s++)
    moire__loop_store(b, f->mean, in_rows(f, mean_line(f, s, j), lane), real(f, 0));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_value i = moire__loop_for(b, zero, f->n_rows, 1, 1);
  moire__loop_value row = moire__head_row(h, moire__lower_add(l, f->first_row, i));
  j = moire__loop_for(b, zero, width, 1, 1);
  moire__loop_value from = moire__lower_address(l, &h->x, (const moire__loop_value[MOIRE_MAX_RANK]){row, j});
  moire__loop_store(b, f->x, in_rows(f, j, i), moire__loop_load(b, moire__lower_buffer(l, h->x.base), from));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* x . w + bias of row i of the block and a word. */
static moire__loop_value score_of(forward *f, moire__loop_value i, moire__loop_value word) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__tile_matrix w = moire__head_words(h, word);
  moire__loop_var sum = moire__loop_declare(b, real(f, 0));
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value j = moire__loop_for(b, zero, moire__head_index(h, h->width), 1, 1);
  moire__loop_value x = moire__loop_load(b, f->x, in_rows(f, j, i)),
                    y = moire__tile_element(h->l, &w, 0, zero, j);
  if (h->bf16) {
    x = moire__loop_unary(b, MOIRE__LOOP_narrow, x);
    y = moire__loop_unary(b, MOIRE__LOOP_narrow, y);
  }
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, moire__loop_get(b, sum)));
  moire__loop_end(b);
  moire__loop_value dot = moire__loop_get(b, sum);
  if (h->bias >= 0) dot = binary(f, MOIRE__LOOP_add, dot, moire__head_load(h, h->bias, word));
  return dot;
}

/* ln softmax of a score: (score scale - power) ln 2 - ln sum. */
static moire__loop_value logarithm(forward *f, int s, moire__loop_value score, moire__loop_value i,
                                   moire__loop_value log_sum) {
  moire__loop_builder *b = builder(f);
  moire__loop_value less =
      moire__loop_unary(b, MOIRE__LOOP_neg, moire__loop_load(b, f->power, of_softmax(f, s, i)));
  moire__loop_value exponent = moire__loop_ternary(b, MOIRE__LOOP_fma, score, real(f, f->h.scale[s]), less);
  return moire__loop_ternary(b, MOIRE__LOOP_fma, exponent, real(f, MOIRE__HEAD_LN_2),
                             moire__loop_unary(b, MOIRE__LOOP_neg, log_sum));
}

/* The ids of softmax s. */
static void finish_ids(forward *f, int s, moire__loop_value i, moire__loop_value row,
                       moire__loop_value log_sum) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  int64_t first = h->softmaxes.first;
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value k = moire__loop_for(b, s ? moire__head_index(h, first) : zero,
                                        moire__head_index(h, s ? h->ids : first), 1, 1);
  moire__loop_value id = moire__head_id(h, row, k), last = moire__head_index(h, h->words - 1);
  moire__loop_value score = 0;
  if (f->score) {
    score = moire__loop_load(b, f->score, i);
  } else {
    score = score_of(f, i, binary(f, MOIRE__LOOP_min, binary(f, MOIRE__LOOP_max, id, zero), last));
  }
  moire__loop_value y = logarithm(f, s, score, i, log_sum);
  y = moire__loop_ternary(b, MOIRE__LOOP_select, binary(f, MOIRE__LOOP_lt, id, zero), real(f, 0), y);
  moire__lower_write(h->l, h->node->first_result + MOIRE__HEAD_Y, moire__head_at(h, row, h->ids, k), y);
  moire__loop_end(b);
}

static void store_mean(forward *f, int s, moire__loop_value row, moire__loop_value i,
                       moire__loop_value factor) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value j = moire__loop_for(b, zero, moire__head_index(h, h->width), 1, i ? 1 : h->l->target.lanes);
  moire__loop_value mean =
      i ? binary(f, MOIRE__LOOP_mul, moire__loop_load(b, f->mean, in_rows(f, mean_line(f, s, j), i)), factor)
        : factor;
  moire__lower_write(h->l, h->node->first_result + MOIRE__HEAD_OF_MEAN,
                     moire__head_at(h, row, h->softmaxes.n * h->width, mean_line(f, s, j)), mean);
  moire__loop_end(b);
}

static void write_row(forward *f, int result, int s, moire__loop_value row, moire__loop_value x) {
  moire__loop_value at = moire__head_at(&f->h, row, f->h.softmaxes.n, moire__head_index(&f->h, s));
  moire__lower_write(f->h.l, f->h.node->first_result + result, at, x);
}

static void finish_softmax(forward *f, int s, moire__loop_value i, moire__loop_value row) {
  moire__loop_builder *b = builder(f);
  moire__loop_value own = of_softmax(f, s, i);
  moire__loop_value sum = moire__loop_load(b, f->sum, own), power = moire__loop_load(b, f->power, own);
  moire__loop_value log_sum = moire__loop_unary(b, MOIRE__LOOP_log, sum);
  finish_ids(f, s, i, row, log_sum);
  write_row(f, MOIRE__HEAD_LSE, s, row,
            moire__loop_ternary(b, MOIRE__LOOP_fma, power, real(f, MOIRE__HEAD_LN_2), log_sum));
  write_row(f, MOIRE__HEAD_OF_POWER, s, row, power);
  write_row(f, MOIRE__HEAD_OF_SUM, s, row, sum);
  if (f->wants_mean) store_mean(f, s, row, i, binary(f, MOIRE__LOOP_div, real(f, 1), sum));
}

static void finish_rows(forward *f) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value i = moire__loop_for(b, moire__head_index(h, 0), f->n_rows, 1, 1);
  moire__loop_value row = moire__head_row(h, moire__lower_add(h->l, f->first_row, i));
  for (int s = 0; s < h->softmaxes.n; s++) finish_softmax(f, s, i, row);
  moire__loop_end(b);
}

/* Rows of the block that do not count: those from place n_rows on. */
static void clear_rows(forward *f, moire__loop_value all) {
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  if (!h->ignores) return;
  moire__loop_value zero = moire__head_index(h, 0);
  moire__loop_value i = moire__loop_for(b, binary(f, MOIRE__LOOP_max, f->n_rows, zero), all, 1, 1);
  moire__loop_value row = moire__head_row(h, moire__lower_add(h->l, f->first_row, i));
  moire__loop_value k = moire__loop_for(b, zero, moire__head_index(h, h->ids), 1, 1);
  moire__lower_write(h->l, h->node->first_result + MOIRE__HEAD_Y, moire__head_at(h, row, h->ids, k),
                     real(f, 0));
  moire__loop_end(b);
  for (int s = 0; s < h->softmaxes.n; s++) {
    write_row(f, MOIRE__HEAD_LSE, s, row, real(f, 0));
    write_row(f, MOIRE__HEAD_OF_POWER, s, row, real(f, 0));
    write_row(f, MOIRE__HEAD_OF_SUM, s, row, real(f, 1));
    if (f->wants_mean) store_mean(f, s, row, 0, real(f, 0));
  }
  moire__loop_end(b);
}

static moire__loop_buffer local(forward *f, const char *name, int64_t lines) {
  return moire__loop_add_local(f->h.l->kernel, name, MOIRE__LOOP_F32, lines * f->h.row_stride);
}

static void add_buffers(forward *f) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  for (int i = 0; i < h->node->n_operands; i++) moire__lower_add_reads(l, h->node->operands[i]);
  moire__head_add_order(h);
  int results = f->wants_mean ? MOIRE__HEAD_OF_MEAN + 1 : MOIRE__HEAD_OF_MEAN;
  for (int i = 0; i < results; i++) moire__lower_add_write(l, h->node->first_result + i);
  f->x = local(f, "x", h->width > 0 ? h->width : 1);
  int n = h->softmaxes.n;
  f->z = f->e = local(f, "e", h->word_block);
  if (n > 1) f->z = local(f, "z", h->word_block);
  if (f->wants_mean) f->mean = local(f, "mean", h->width > 0 ? n * h->width : 1);
  f->power = local(f, "power", n);
  f->sum = local(f, "sum", n);
  f->fade = local(f, "fade", n);
  if (h->ids == 1) f->score = local(f, "score", 1);
}

void moire__linear_log_softmax_lower(moire__lowering *l) {
  forward f = {.h = moire__head_describe(l, moire__head_bias(l->node, MOIRE__HEAD_OPERANDS))};
  moire__head *h = &f.h;
  f.wants_mean = l->uses[l->node->first_result + MOIRE__HEAD_OF_MEAN] > 0;
  moire__head_order(h);
  add_buffers(&f);
  moire__lower_body(l, h->rows, h->row_block);
  moire__loop_builder *b = &l->builder;
  f.first_row = moire__lower_mul(l, l->kernel->parallel, moire__head_index(h, h->row_block));
  f.n_rows = moire__head_left(h, moire__head_count(h), f.first_row, h->row_block);
  moire__loop_value all = moire__head_left(h, moire__loop_extent(b, h->rows), f.first_row, h->row_block);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, moire__head_index(h, 0), f.n_rows));
  start_rows(&f);
  f.first_word = moire__loop_for(b, moire__head_index(h, 0), moire__head_index(h, h->words), h->word_block, 1);
  f.n_words = moire__head_left(h, moire__head_index(h, h->words), f.first_word, h->word_block);
  scores(&f);
  if (f.score) pick(&f);
  for (f.softmax = 0; f.softmax < h->softmaxes.n; f.softmax++) {
    soften(&f);
    if (f.wants_mean) means(&f);
  }
  moire__loop_end(b);
  finish_rows(&f);
  moire__loop_end(b);
  clear_rows(&f, all);
  moire__lower_finish(l);
}
