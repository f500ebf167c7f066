/* linear_log_softmax_joint: the gradients of a chunk, whose scores are known (ops/head/joint.h).
 *
 * A piece is some blocks of words. Of each block w is copied, its columns apart; then blocks of rows pass by:
 *
 *   g[v, n] = sum_s factor_s[n] 2^(z scale_s - power_s[n]),  at the ids plus gradient / temperature
 *   dw[v, j] += sum_n g[v, n] x[n, j],   dbias[v] += sum_n g[v, n],   dx[n, j] += sum_v g[v, n] w[v, j]
 *
 * dw and dbias are added to what the chunks before have left, dx to the piece's own part.
 */
#include "ops/head/joint.h"

typedef struct gradients {
  moire__joint *f;
  moire__loop_buffer along, scores, powers, factors, parts; /* extra buffers */
  moire__loop_buffer w, dw, dbias, g;                       /* [words, D] twice, [words], [words, rows] */
  moire__loop_value first_word, n_words;
  moire__loop_value first_row, n_rows; /* in the chunk */
} gradients;

static moire__loop_builder *builder(const gradients *s) { return &s->f->h.l->builder; }

static moire__loop_value binary(const gradients *s, moire__loop_op op, moire__loop_value x,
                                moire__loop_value y) {
  return moire__loop_binary(builder(s), op, x, y);
}

static moire__loop_value real(const gradients *s, double x) {
  return moire__loop_const(builder(s), MOIRE__LOOP_F32, x);
}

static moire__loop_value index_of(const gradients *s, int64_t i) { return moire__head_index(&s->f->h, i); }

static moire__loop_value in_words(const gradients *s, moire__loop_value m, moire__loop_value j) {
  return moire__head_at(&s->f->h, m, s->f->width_pitch, j);
}

static moire__loop_value in_scores(const gradients *s, moire__loop_value m, moire__loop_value n) {
  return moire__head_at(&s->f->h, m, s->f->h.row_stride, n);
}

static moire__loop_value columns(const gradients *s) {
  return moire__loop_for(builder(s), index_of(s, 0), index_of(s, s->f->h.width), 1, s->f->h.l->target.lanes);
}

/* ---- scores become their gradients ----------------------------------------------------------------------- */

static void differentiate_unit(gradients *s, moire__loop_value u) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(s);
  moire__loop_value unit_rows = index_of(s, MOIRE__HEAD_UNIT);
  moire__loop_value unit = moire__lower_add(h->l, binary(s, MOIRE__LOOP_div, s->first_row, unit_rows), u);
  moire__loop_value lane = moire__joint_lanes(f);
  moire__loop_value here = moire__lower_add(h->l, moire__lower_mul(h->l, u, unit_rows), lane);
  moire__loop_value less[MOIRE__HEAD_SOFTMAXES], factor[MOIRE__HEAD_SOFTMAXES], g = 0;
  for (int i = 0; i < h->softmaxes.n; i++) {
    moire__loop_value at = moire__joint_at(f, unit, h->softmaxes.n, index_of(s, i), lane);
    less[i] = moire__loop_unary(b, MOIRE__LOOP_neg, moire__loop_load(b, s->powers, at));
    factor[i] = moire__loop_load(b, s->factors, at);
  }
  moire__loop_value m = moire__loop_for(b, index_of(s, 0), s->n_words, 1, 1);
  moire__loop_value word = moire__lower_add(h->l, s->first_word, m);
  moire__loop_value z = moire__loop_load(b, s->scores, moire__joint_at(f, unit, h->words, word, lane));
  for (int i = 0; i < h->softmaxes.n; i++) {
    moire__loop_value e = moire__loop_ternary(b, MOIRE__LOOP_fma, z, real(s, h->scale[i]), less[i]);
    e = moire__loop_unary(b, MOIRE__LOOP_exp2, e);
    g = i ? moire__loop_ternary(b, MOIRE__LOOP_fma, e, factor[i], g) : binary(s, MOIRE__LOOP_mul, e, factor[i]);
  }
  moire__loop_store(b, s->g, in_scores(s, m, here), g);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* 1 / temperature of the softmax that id k is of. */
static moire__loop_value per_temperature(const gradients *s, moire__loop_value k) {
  const moire__joint *f = s->f;
  if (f->h.softmaxes.n == 1) return real(s, f->per_temperature[0]);
  moire__loop_value is_first = binary(s, MOIRE__LOOP_lt, k, index_of(s, f->h.softmaxes.first));
  return moire__loop_ternary(builder(s), MOIRE__LOOP_select, is_first, real(s, f->per_temperature[0]),
                             real(s, f->per_temperature[1]));
}

/* Adds the gradient of id k of row i of the block, which stands at `row`, if the id is among the words. */
static void add_at_id(gradients *s, moire__loop_value i, moire__loop_value row, moire__loop_value k) {
  moire__head *h = &s->f->h;
  moire__loop_builder *b = builder(s);
  moire__loop_value word = binary(s, MOIRE__LOOP_sub, moire__head_id(h, row, k), s->first_word);
  moire__loop_if(b, binary(s, MOIRE__LOOP_and, binary(s, MOIRE__LOOP_le, index_of(s, 0), word),
                           binary(s, MOIRE__LOOP_lt, word, s->n_words)));
  moire__loop_value y = moire__head_load(h, MOIRE__HEAD_JOINT_GRADIENT, moire__head_at(h, row, h->ids, k));
  moire__loop_value at = in_scores(s, word, i), before = moire__loop_load(b, s->g, at);
  moire__loop_store(b, s->g, at, moire__loop_ternary(b, MOIRE__LOOP_fma, y, per_temperature(s, k), before));
  moire__loop_end(b);
}

static void add_at_ids(gradients *s) {
  moire__head *h = &s->f->h;
  moire__loop_builder *b = builder(s);
  moire__loop_value i = moire__loop_for(b, index_of(s, 0), s->n_rows, 1, 1);
  moire__loop_value place = moire__lower_add(h->l, moire__lower_add(h->l, s->f->begin, s->first_row), i);
  moire__loop_value row = moire__head_row(h, place);
  if (h->ids == 1) {
    add_at_id(s, i, row, index_of(s, 0));
  } else {
    moire__loop_if(b, moire__head_some_inside(h, row, s->first_word, s->n_words));
    add_at_id(s, i, row, moire__loop_for(b, index_of(s, 0), index_of(s, h->ids), 1, 1));
    moire__loop_end(b);
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

static void add_bias(gradients *s) {
  moire__loop_builder *b = builder(s);
  moire__loop_value m = moire__loop_for(b, index_of(s, 0), s->n_words, 1, 1);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_load(b, s->dbias, m));
  moire__loop_value n = moire__loop_for(b, index_of(s, 0), s->n_rows, 1, s->f->h.l->target.lanes);
  moire__loop_reduce(b, sum, MOIRE__LOOP_add, moire__loop_load(b, s->g, in_scores(s, m, n)));
  moire__loop_end(b);
  moire__loop_store(b, s->dbias, m, moire__loop_get(b, sum));
  moire__loop_end(b);
}

/* ---- products -------------------------------------------------------------------------------------------- */

/* What was added up before is added here: a block of rows or words is one part along what is summed over. */
static moire__loop_value nothing(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  (void)plane, (void)m, (void)n;
  return real(context, 0);
}

static void add_weight(void *context, moire__loop_value m, moire__loop_value n,
                       const moire__loop_value sum[2]) {
  gradients *s = context;
  moire__loop_value at = in_words(s, m, n), before = moire__loop_load(builder(s), s->dw, at);
  moire__loop_store(builder(s), s->dw, at, binary(s, MOIRE__LOOP_add, before, sum[0]));
}

static void weights(gradients *s) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__tiles t = {.finish = add_weight, .resume = nothing, .context = s};
  t.a = moire__head_matrix(h, s->g, h->row_stride, 1);
  t.b = moire__head_matrix(h, s->along, f->width_pitch, 1);
  t.b.base[0] = moire__lower_mul(h->l, s->first_row, index_of(s, f->width_pitch));
  moire__head_multiply(h, &t, s->n_words, h->word_block, h->width, s->n_rows, h->row_block);
}

/* Column j of row `row` of the chunk in the piece's part. */
static moire__loop_value in_parts(const gradients *s, moire__loop_value row, moire__loop_value j) {
  moire__lowering *l = s->f->h.l;
  moire__loop_value line = moire__lower_add(l, moire__lower_mul(l, l->kernel->parallel, s->f->most), row);
  return moire__head_at(&s->f->h, line, s->f->width_pitch, j);
}

static void add_row(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  gradients *s = context;
  moire__loop_value at = in_parts(s, moire__lower_add(s->f->h.l, s->first_row, m), n);
  moire__loop_value before = moire__loop_load(builder(s), s->parts, at);
  moire__loop_store(builder(s), s->parts, at, binary(s, MOIRE__LOOP_add, before, sum[0]));
}

static void rows(gradients *s) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__tiles t = {.finish = add_row, .resume = nothing, .context = s};
  t.a = moire__head_matrix(h, s->g, 1, h->row_stride);
  t.b = moire__head_matrix(h, s->w, f->width_pitch, 1);
  moire__head_multiply(h, &t, s->n_rows, h->row_block, h->width, s->n_words, h->word_block);
}

/* ---- a block of words ------------------------------------------------------------------------------------ */

static void start_words(gradients *s) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(s);
  moire__tile_matrix words = moire__head_words(h, s->first_word);
  moire__loop_value m = moire__loop_for(b, index_of(s, 0), s->n_words, 1, 1);
  if (f->wants_dbias) moire__loop_store(b, s->dbias, m, real(s, 0));
  moire__loop_value j = columns(s);
  if (f->wants_dx) moire__loop_store(b, s->w, in_words(s, m, j), moire__tile_element(h->l, &words, 0, m, j));
  if (f->wants_dw) moire__loop_store(b, s->dw, in_words(s, m, j), real(s, 0));
  moire__loop_end(b);
  moire__loop_end(b);
}

static void pass_rows(gradients *s) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(s);
  moire__loop_value all = binary(s, MOIRE__LOOP_sub, f->end, f->begin);
  s->first_row = moire__loop_for(b, index_of(s, 0), all, h->row_block, 1);
  s->n_rows = moire__head_left(h, all, s->first_row, h->row_block);
  moire__loop_value u = moire__loop_for(b, index_of(s, 0), moire__joint_units(f, s->n_rows), 1, 1);
  differentiate_unit(s, u);
  moire__loop_end(b);
  add_at_ids(s);
  if (f->wants_dbias) add_bias(s);
  if (f->wants_dw) weights(s);
  if (f->wants_dx) rows(s);
  moire__loop_end(b);
}

/* What the chunks before have left, 0 in the first. */
static moire__loop_value add_before(gradients *s, int32_t value, moire__loop_value at, moire__loop_value x,
                                    bool first) {
  if (first) return x;
  return binary(s, MOIRE__LOOP_add, moire__loop_load(builder(s), moire__lower_buffer(s->f->h.l, value), at), x);
}

static void write_words(gradients *s, bool first) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__loop_builder *b = builder(s);
  int32_t dw = h->node->first_result + MOIRE__HEAD_JOINT_DW, dbias = dw + 1;
  moire__loop_value begins = binary(s, MOIRE__LOOP_lt, f->begin, index_of(s, 1));
  moire__loop_if(b, first ? begins : moire__loop_unary(b, MOIRE__LOOP_not, begins));
  moire__loop_value m = moire__loop_for(b, index_of(s, 0), s->n_words, 1, 1);
  moire__loop_value word = moire__lower_add(h->l, s->first_word, m);
  if (f->wants_dbias)
    moire__lower_write(h->l, dbias, word, add_before(s, dbias, word, moire__loop_load(b, s->dbias, m), first));
  if (f->wants_dw) {
    moire__loop_value j = columns(s), at = moire__head_at(h, word, h->width, j);
    moire__lower_write(h->l, dw, at,
                       add_before(s, dw, at, moire__loop_load(b, s->dw, in_words(s, m, j)), first));
    moire__loop_end(b);
  }
  moire__loop_end(b);
  moire__loop_end(b);
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

static void clear_part(gradients *s) {
  moire__joint *f = s->f;
  moire__loop_builder *b = builder(s);
  moire__loop_value all = binary(s, MOIRE__LOOP_sub, f->end, f->begin);
  moire__loop_value row = moire__loop_for(b, index_of(s, 0), all, 1, 1), j = columns(s);
  moire__loop_store(b, s->parts, in_parts(s, row, j), real(s, 0));
  moire__loop_end(b);
  moire__loop_end(b);
}

static moire__loop_buffer local(const gradients *s, const char *name, int64_t elements) {
  return moire__loop_add_local(s->f->h.l->kernel, name, MOIRE__LOOP_F32, elements > 0 ? elements : 1);
}

/* What is written is added to what stands there. */
static void add_sum(moire__lowering *l, int32_t value) {
  moire__loop_buffer buffer = moire__lower_add_write(l, value);
  l->kernel->buffers[buffer].role = MOIRE__BUFFER_INOUT;
}

static void add_buffers(gradients *s) {
  moire__joint *f = s->f;
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  int32_t dw = h->node->first_result + MOIRE__HEAD_JOINT_DW;
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_W]);
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_IDS]);
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_JOINT_GRADIENT]);
  moire__head_add_order(h);
  s->along = moire__joint_extra(f, f->along, MOIRE__BUFFER_IN);
  s->scores = moire__joint_extra(f, f->scores, MOIRE__BUFFER_IN);
  s->powers = moire__joint_extra(f, f->powers, MOIRE__BUFFER_IN);
  s->factors = moire__joint_extra(f, f->factors, MOIRE__BUFFER_IN);
  if (f->wants_dx) s->parts = moire__joint_extra(f, f->parts, MOIRE__BUFFER_OUT);
  if (f->wants_dw) add_sum(l, dw);
  if (f->wants_dbias) add_sum(l, dw + 1);
}

static void add_locals(gradients *s) {
  const moire__joint *f = s->f;
  const moire__head *h = &f->h;
  if (f->wants_dx) s->w = local(s, "w", h->word_block * f->width_pitch);
  if (f->wants_dw) s->dw = local(s, "dw", h->word_block * f->width_pitch);
  if (f->wants_dbias) s->dbias = local(s, "dbias", h->word_block);
  s->g = local(s, "g", h->word_block * h->row_stride);
}

/* A chunk without rows has nothing to add, but the first, which may be one, starts dw and dbias. */
void moire__joint_gradients(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  gradients s = {.f = f};
  moire__lower_begin(l, name);
  add_buffers(&s);
  moire__loop_buffer bounds = moire__joint_add_bounds(f);
  add_locals(&s);
  moire__lower_body(l, f->blocks, f->piece);
  moire__joint_read_bounds(f, bounds);
  moire__loop_builder *b = builder(&s);
  moire__loop_value one = index_of(&s, 1);
  moire__loop_if(b, binary(&s, MOIRE__LOOP_or, binary(&s, MOIRE__LOOP_lt, f->begin, f->end),
                           binary(&s, MOIRE__LOOP_lt, f->begin, one)));
  if (f->wants_dx) clear_part(&s);
  moire__loop_value first = moire__lower_mul(l, l->kernel->parallel, index_of(&s, f->piece));
  moire__loop_value last = moire__lower_add(l, first, index_of(&s, f->piece));
  last = binary(&s, MOIRE__LOOP_min, last, index_of(&s, f->blocks));
  moire__loop_value block = moire__loop_for(b, first, last, 1, 1);
  s.first_word = moire__lower_mul(l, block, index_of(&s, h->word_block));
  s.n_words = moire__head_left(h, index_of(&s, h->words), s.first_word, h->word_block);
  start_words(&s);
  pass_rows(&s);
  write_words(&s, true);
  write_words(&s, false);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__joint_sum(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  int32_t dx = h->node->first_result + MOIRE__HEAD_JOINT_DX;
  gradients s = {.f = f};
  moire__lower_begin(l, name);
  moire__head_add_order(h);
  moire__loop_buffer bounds = moire__joint_add_bounds(f);
  moire__loop_buffer parts = moire__joint_extra(f, f->parts, MOIRE__BUFFER_IN);
  moire__lower_add_write(l, dx);
  moire__lower_body(l, h->rows, h->row_block * f->chunks);
  moire__joint_read_bounds(f, bounds);
  moire__loop_builder *b = builder(&s);
  moire__loop_value zero = index_of(&s, 0);
  moire__loop_value first = moire__lower_mul(l, l->kernel->parallel, index_of(&s, h->row_block));
  moire__loop_value n = moire__head_left(h, binary(&s, MOIRE__LOOP_sub, f->end, f->begin), first, h->row_block);
  moire__loop_value at = moire__lower_add(l, first, moire__loop_for(b, zero, n, 1, 1));
  moire__loop_value row = moire__head_row(h, moire__lower_add(l, f->begin, at)), j = columns(&s);
  moire__loop_var sum = moire__loop_declare(b, real(&s, 0));
  moire__loop_value p = moire__loop_for(b, zero, index_of(&s, f->pieces), 1, 1);
  moire__loop_value line = moire__lower_add(l, moire__lower_mul(l, p, f->most), at);
  moire__loop_value part = moire__loop_load(b, parts, moire__head_at(h, line, f->width_pitch, j));
  moire__loop_set(b, sum, binary(&s, MOIRE__LOOP_add, moire__loop_get(b, sum), part));
  moire__loop_end(b);
  moire__lower_write(l, dx, moire__head_at(h, row, h->width, j), moire__loop_get(b, sum));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}
