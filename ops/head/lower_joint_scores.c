/* linear_log_softmax_joint: the rows of a chunk, their scores, and what a softmax makes of them
 * (ops/head/joint.h).
 *
 * Rows are the vector lanes. For a block of words and a block of rows
 *
 *   z[v, n] = x_n . w_v + bias_v                                   tiles, into local memory and from there on
 *   peak = ceil(max_v z scale),  sum = sum_v 2^(z scale - peak)    for each softmax
 *
 * and of a row at the end, over the blocks of words in order,
 *
 *   power = max peak,  sum = sum of sum 2^(peak - power),  y = z scale ln 2 - power ln 2 - ln sum at its ids
 */
#include "ops/head/joint.h"

static moire__loop_builder *builder(const moire__joint *f) { return &f->h.l->builder; }

static moire__loop_value binary(const moire__joint *f, moire__loop_op op, moire__loop_value x,
                                moire__loop_value y) {
  return moire__loop_binary(builder(f), op, x, y);
}

static moire__loop_value negative(const moire__joint *f, moire__loop_value x) {
  return moire__loop_unary(builder(f), MOIRE__LOOP_neg, x);
}

static moire__loop_value real(const moire__joint *f, double x) {
  return moire__loop_const(builder(f), MOIRE__LOOP_F32, x);
}

static moire__loop_value index_of(const moire__joint *f, int64_t i) { return moire__head_index(&f->h, i); }

/* How many rows the chunk has from row `first` of it on, of at most a block. */
static moire__loop_value rows_from(const moire__joint *f, moire__loop_value first) {
  moire__loop_value all = binary(f, MOIRE__LOOP_sub, f->end, f->begin);
  return moire__head_left(&f->h, all, first, f->h.row_block);
}

/* Opens a kernel whose pieces are blocks of rows of the chunk; `if` there are rows. Gives the first, in the
 * chunk, and sets how many they are. */
static moire__loop_value begin_blocks(moire__joint *f, moire__loop_buffer bounds, moire__loop_value *n) {
  moire__head *h = &f->h;
  moire__lower_body(h->l, h->rows, h->row_block * f->chunks);
  moire__joint_read_bounds(f, bounds);
  moire__loop_value first = moire__lower_mul(h->l, h->l->kernel->parallel, index_of(f, h->row_block));
  *n = rows_from(f, first);
  moire__loop_if(builder(f), binary(f, MOIRE__LOOP_lt, index_of(f, 0), *n));
  return first;
}

static void end_blocks(moire__joint *f) {
  moire__loop_end(builder(f));
  moire__lower_finish(f->h.l);
}

/* The row that stands at place `at` of the chunk. */
static moire__loop_value row_of(const moire__joint *f, moire__loop_value at) {
  return moire__head_row(&f->h, moire__lower_add(f->h.l, f->begin, at));
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* Element (j, lane) of block `block` of x. */
static moire__loop_value across_at(const moire__joint *f, moire__loop_value block, moire__loop_value j,
                                   moire__loop_value lane) {
  moire__loop_value line = moire__head_at(&f->h, block, f->h.width, j);
  return moire__head_at(&f->h, line, f->h.row_stride, lane);
}

static void clear_block(const moire__joint *f, moire__loop_buffer across, moire__loop_value block) {
  moire__loop_builder *b = builder(f);
  moire__loop_value lane = moire__head_vectors(&f->h, f->h.row_block);
  moire__loop_value j = moire__loop_for(b, index_of(f, 0), index_of(f, f->h.width), 1, 1);
  moire__loop_store(b, across, across_at(f, block, j, lane), real(f, 0));
  moire__loop_end(b);
  moire__loop_end(b);
}

void moire__joint_rows(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  moire__lower_begin(l, name);
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_X]);
  moire__head_add_order(h);
  moire__loop_buffer bounds = moire__joint_add_bounds(f);
  moire__loop_buffer across = moire__joint_extra(f, f->across, MOIRE__BUFFER_OUT);
  moire__loop_buffer along = moire__joint_extra(f, f->along, MOIRE__BUFFER_OUT);
  moire__loop_value n = 0, first = begin_blocks(f, bounds, &n), block = l->kernel->parallel;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = index_of(f, 0), width = index_of(f, h->width);
  clear_block(f, across, block);
  moire__loop_value i = moire__loop_for(b, zero, n, 1, 1), at = moire__lower_add(l, first, i);
  moire__loop_value row = row_of(f, at), j = moire__loop_for(b, zero, width, 1, l->target.lanes);
  moire__loop_value from = moire__lower_address(l, &h->x, (const moire__loop_value[MOIRE_MAX_RANK]){row, j});
  moire__loop_value x = moire__loop_load(b, moire__lower_buffer(l, h->x.base), from);
  moire__loop_store(b, along, moire__head_at(h, at, f->width_pitch, j), x);
  moire__loop_end(b);
  j = moire__loop_for(b, zero, width, 1, 1);
  from = moire__lower_address(l, &h->x, (const moire__loop_value[MOIRE_MAX_RANK]){row, j});
  x = moire__loop_load(b, moire__lower_buffer(l, h->x.base), from);
  moire__loop_store(b, across, across_at(f, block, j, i), x);
  moire__loop_end(b);
  moire__loop_end(b);
  end_blocks(f);
}

/* ---- scores ---------------------------------------------------------------------------------------------- */

typedef struct scores {
  moire__joint *f;
  moire__loop_buffer local, all, peaks, sums; /* [words, rows]; the extra buffers */
  moire__loop_value block, first_word, n_words;
} scores;

static moire__loop_value local_at(const scores *s, moire__loop_value m, moire__loop_value lane) {
  return moire__head_at(&s->f->h, m, s->f->h.row_stride, lane);
}

static void store_score(void *context, moire__loop_value m, moire__loop_value n,
                        const moire__loop_value sum[2]) {
  scores *s = context;
  moire__loop_store(builder(s->f), s->local, local_at(s, m, n), sum[0]);
}

static moire__loop_value load_score(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  scores *s = context;
  (void)plane;
  return moire__loop_load(builder(s->f), s->local, local_at(s, m, n));
}

static void multiply(scores *s, moire__loop_buffer across, moire__loop_value rows) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__tiles t = {.finish = store_score, .resume = load_score, .context = s};
  t.a = moire__head_words(h, s->first_word);
  t.b = moire__head_matrix(h, across, h->row_stride, 1);
  t.b.base[0] = across_at(f, rows, index_of(f, 0), index_of(f, 0));
  moire__head_multiply(h, &t, s->n_words, h->word_block, h->row_block, index_of(f, h->width), h->width);
}

/* The unit's scores with their bias: to memory, and the largest of each row. */
static moire__loop_var keep(scores *s, moire__loop_value unit, moire__loop_value lane, moire__loop_value here) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_var top = moire__loop_declare(b, real(f, MOIRE__HEAD_LEAST));
  moire__loop_value m = moire__loop_for(b, index_of(f, 0), s->n_words, 1, 1);
  moire__loop_value word = moire__lower_add(h->l, s->first_word, m);
  moire__loop_value z = moire__loop_load(b, s->local, local_at(s, m, here));
  if (h->bias >= 0) z = binary(f, MOIRE__LOOP_add, z, moire__head_load(h, h->bias, word));
  moire__loop_set(b, top, binary(f, MOIRE__LOOP_max, moire__loop_get(b, top), z));
  if (h->bias >= 0) moire__loop_store(b, s->local, local_at(s, m, here), z);
  moire__loop_store(b, s->all, moire__joint_at(f, unit, h->words, word, lane), z);
  moire__loop_end(b);
  return top;
}

/* The smallest whole number that is not below x. */
static moire__loop_value ceiling(const moire__joint *f, moire__loop_value x) {
  return negative(f, moire__loop_unary(builder(f), MOIRE__LOOP_floor, negative(f, x)));
}

static void soften(scores *s, int softmax, moire__loop_value unit, moire__loop_value lane,
                   moire__loop_value here, moire__loop_value top) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value scale = real(f, h->scale[softmax]);
  moire__loop_value least = real(f, MOIRE__HEAD_LEAST);
  moire__loop_value peak = ceiling(f, binary(f, MOIRE__LOOP_mul, top, scale));
  peak = binary(f, MOIRE__LOOP_max, peak, least);
  moire__loop_value less = negative(f, peak);
  moire__loop_var sum = moire__loop_declare(b, real(f, 0));
  moire__loop_value m = moire__loop_for(b, index_of(f, 0), s->n_words, 1, 1);
  moire__loop_value z = moire__loop_load(b, s->local, local_at(s, m, here));
  moire__loop_value e =
      moire__loop_unary(b, MOIRE__LOOP_exp2, moire__loop_ternary(b, MOIRE__LOOP_fma, z, scale, less));
  moire__loop_set(b, sum, binary(f, MOIRE__LOOP_add, moire__loop_get(b, sum), e));
  moire__loop_end(b);
  moire__loop_value middle = moire__lower_add(h->l, index_of(f, softmax * f->blocks), s->block);
  moire__loop_value at = moire__joint_at(f, unit, h->softmaxes.n * f->blocks, middle, lane);
  moire__loop_store(b, s->peaks, at, peak);
  moire__loop_store(b, s->sums, at, moire__loop_get(b, sum));
}

/* `first` of the rows that the scores in local memory are of, and how many they are. */
static void keep_block(scores *s, moire__loop_value first, moire__loop_value n) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = index_of(f, 0), unit_rows = index_of(f, MOIRE__HEAD_UNIT);
  moire__loop_value u = moire__loop_for(b, zero, moire__joint_units(f, n), 1, 1);
  moire__loop_value unit = moire__lower_add(h->l, binary(f, MOIRE__LOOP_div, first, unit_rows), u);
  moire__loop_value lane = moire__joint_lanes(f);
  moire__loop_value here = moire__lower_add(h->l, moire__lower_mul(h->l, u, unit_rows), lane);
  moire__loop_value top = moire__loop_get(b, keep(s, unit, lane, here));
  for (int i = 0; i < h->softmaxes.n; i++) soften(s, i, unit, lane, here, top);
  moire__loop_end(b);
  moire__loop_end(b);
}

void moire__joint_scores(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  scores s = {.f = f};
  moire__lower_begin(l, name);
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_W]);
  if (h->bias >= 0) moire__lower_add_reads(l, h->node->operands[h->bias]);
  moire__loop_buffer bounds = moire__joint_add_bounds(f);
  moire__loop_buffer across = moire__joint_extra(f, f->across, MOIRE__BUFFER_IN);
  s.all = moire__joint_extra(f, f->scores, MOIRE__BUFFER_OUT);
  s.peaks = moire__joint_extra(f, f->peaks, MOIRE__BUFFER_OUT);
  s.sums = moire__joint_extra(f, f->sums, MOIRE__BUFFER_OUT);
  s.local = moire__loop_add_local(l->kernel, "z", MOIRE__LOOP_F32, h->word_block * h->row_stride);
  moire__lower_body(l, h->words, h->word_block);
  moire__joint_read_bounds(f, bounds);
  moire__loop_builder *b = builder(f);
  s.block = l->kernel->parallel;
  s.first_word = moire__lower_mul(l, s.block, index_of(f, h->word_block));
  s.n_words = moire__head_left(h, index_of(f, h->words), s.first_word, h->word_block);
  moire__loop_value all = binary(f, MOIRE__LOOP_sub, f->end, f->begin);
  moire__loop_value first = moire__loop_for(b, index_of(f, 0), all, h->row_block, 1);
  multiply(&s, across, binary(f, MOIRE__LOOP_div, first, index_of(f, h->row_block)));
  keep_block(&s, first, rows_from(f, first));
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* ---- what is of whole rows ------------------------------------------------------------------------------- */

typedef struct finish {
  moire__joint *f;
  moire__loop_buffer scores, peaks, sums, powers, factors;
} finish;

/* Power and sum of 16 rows. The sum stands where its factor will be. */
static void combine(finish *s, int softmax, moire__loop_value unit) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value zero = index_of(f, 0), end = index_of(f, f->blocks);
  moire__loop_value lane = moire__joint_lanes(f);
  moire__loop_var power = moire__loop_declare(b, real(f, MOIRE__HEAD_LEAST));
  moire__loop_value base = index_of(f, softmax * f->blocks);
  int64_t middle = h->softmaxes.n * f->blocks;
  moire__loop_value i = moire__loop_for(b, zero, end, 1, 1);
  moire__loop_value at = moire__joint_at(f, unit, middle, moire__lower_add(h->l, base, i), lane);
  moire__loop_set(b, power,
                  binary(f, MOIRE__LOOP_max, moire__loop_get(b, power), moire__loop_load(b, s->peaks, at)));
  moire__loop_end(b);
  moire__loop_value all = moire__loop_get(b, power);
  moire__loop_var sum = moire__loop_declare(b, real(f, 0));
  i = moire__loop_for(b, zero, end, 1, 1);
  at = moire__joint_at(f, unit, middle, moire__lower_add(h->l, base, i), lane);
  moire__loop_value off = binary(f, MOIRE__LOOP_sub, moire__loop_load(b, s->peaks, at), all);
  moire__loop_value scale = moire__loop_unary(b, MOIRE__LOOP_exp2, off);
  moire__loop_set(b, sum,
                  moire__loop_ternary(b, MOIRE__LOOP_fma, moire__loop_load(b, s->sums, at), scale,
                                      moire__loop_get(b, sum)));
  moire__loop_end(b);
  at = moire__joint_at(f, unit, h->softmaxes.n, index_of(f, softmax), lane);
  moire__loop_store(b, s->powers, at, all);
  moire__loop_store(b, s->factors, at, moire__loop_get(b, sum));
  moire__loop_end(b);
}

/* y of the ids of softmax `softmax`. */
static void write_ids(finish *s, int softmax, moire__loop_value unit, moire__loop_value lane,
                      moire__loop_value row, moire__loop_value power, moire__loop_value log_sum) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  int64_t first = softmax ? h->softmaxes.first : 0, end = softmax ? h->ids : h->softmaxes.first;
  moire__loop_value zero = index_of(f, 0), last = index_of(f, h->words - 1);
  moire__loop_value k = moire__loop_for(b, index_of(f, first), index_of(f, end), 1, 1);
  moire__loop_value id = moire__head_id(h, row, k);
  moire__loop_value word = binary(f, MOIRE__LOOP_min, binary(f, MOIRE__LOOP_max, id, zero), last);
  moire__loop_value z = moire__loop_load(b, s->scores, moire__joint_at(f, unit, h->words, word, lane));
  moire__loop_value y =
      moire__loop_ternary(b, MOIRE__LOOP_fma, z, real(f, h->scale[softmax]), negative(f, power));
  y = moire__loop_ternary(b, MOIRE__LOOP_fma, y, real(f, MOIRE__HEAD_LN_2), negative(f, log_sum));
  y = moire__loop_ternary(b, MOIRE__LOOP_select, binary(f, MOIRE__LOOP_lt, id, zero), real(f, 0), y);
  moire__lower_write(h->l, h->node->first_result + MOIRE__HEAD_Y, moire__head_at(h, row, h->ids, k), y);
  moire__loop_end(b);
}

static void finish_row(finish *s, int softmax, moire__loop_value unit, moire__loop_value lane,
                       moire__loop_value row) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(f);
  moire__loop_value at = moire__joint_at(f, unit, h->softmaxes.n, index_of(f, softmax), lane);
  moire__loop_value power = moire__loop_load(b, s->powers, at), sum = moire__loop_load(b, s->factors, at);
  moire__loop_value log_sum = moire__loop_unary(b, MOIRE__LOOP_log, sum);
  moire__loop_value own = moire__head_at(h, row, h->softmaxes.n, index_of(f, softmax));
  write_ids(s, softmax, unit, lane, row, power, log_sum);
  moire__lower_write(h->l, h->node->first_result + MOIRE__HEAD_LSE, own,
                     moire__loop_ternary(b, MOIRE__LOOP_fma, power, real(f, MOIRE__HEAD_LN_2), log_sum));
  moire__loop_value share = moire__head_load(h, MOIRE__HEAD_JOINT_SHARE, own);
  share = binary(f, MOIRE__LOOP_mul, share, real(f, -f->per_temperature[softmax]));
  moire__loop_store(b, s->factors, at, binary(f, MOIRE__LOOP_div, share, sum));
}

/* Rows of the unit from the first that is none on have no part in the gradients. */
static void clear_factors(finish *s, moire__loop_value unit, moire__loop_value from) {
  moire__joint *f = s->f;
  moire__loop_builder *b = builder(f);
  moire__loop_value lane = moire__loop_for(b, from, index_of(f, MOIRE__HEAD_UNIT), 1, 1);
  for (int i = 0; i < f->h.softmaxes.n; i++)
    moire__loop_store(b, s->factors, moire__joint_at(f, unit, f->h.softmaxes.n, index_of(f, i), lane),
                      real(f, 0));
  moire__loop_end(b);
}

void moire__joint_finish(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  finish s = {.f = f};
  moire__lower_begin(l, name);
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_IDS]);
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_JOINT_SHARE]);
  moire__head_add_order(h);
  moire__loop_buffer bounds = moire__joint_add_bounds(f);
  s.scores = moire__joint_extra(f, f->scores, MOIRE__BUFFER_IN);
  s.peaks = moire__joint_extra(f, f->peaks, MOIRE__BUFFER_IN);
  s.sums = moire__joint_extra(f, f->sums, MOIRE__BUFFER_IN);
  s.powers = moire__joint_extra(f, f->powers, MOIRE__BUFFER_OUT);
  s.factors = moire__joint_extra(f, f->factors, MOIRE__BUFFER_OUT);
  moire__lower_add_write(l, h->node->first_result + MOIRE__HEAD_Y);
  moire__lower_add_write(l, h->node->first_result + MOIRE__HEAD_LSE);
  moire__loop_value n = 0, first = begin_blocks(f, bounds, &n), zero = index_of(f, 0);
  moire__loop_builder *b = builder(f);
  moire__loop_value unit_rows = index_of(f, MOIRE__HEAD_UNIT);
  moire__loop_value u = moire__loop_for(b, zero, moire__joint_units(f, n), 1, 1);
  moire__loop_value unit = moire__lower_add(l, binary(f, MOIRE__LOOP_div, first, unit_rows), u);
  moire__loop_value before = moire__lower_mul(l, u, unit_rows);
  for (int i = 0; i < h->softmaxes.n; i++) combine(&s, i, unit);
  moire__loop_value left = binary(f, MOIRE__LOOP_min, binary(f, MOIRE__LOOP_sub, n, before), unit_rows);
  moire__loop_value lane = moire__loop_for(b, zero, left, 1, 1);
  moire__loop_value row = row_of(f, moire__lower_add(l, moire__lower_add(l, first, before), lane));
  for (int i = 0; i < h->softmaxes.n; i++) finish_row(&s, i, unit, lane, row);
  moire__loop_end(b);
  clear_factors(&s, unit, left);
  moire__loop_end(b);
  end_blocks(f);
}
