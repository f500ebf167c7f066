/* linear_log_softmax_joint: its extra buffers, the chunks, and the order of kernels (ops/head/joint.h). */
#include "ops/head/joint.h"
#include "ops/parts.h"

enum { LOCAL_BYTES = 600 << 10 };

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t odd_vectors(int64_t n, int lanes) {
  n = ceil_div(n, lanes) * lanes;
  return n / lanes % 2 ? n : n + lanes;
}

/* ---- chunks ---------------------------------------------------------------------------------------------- */

/* The kernel that finds where chunks begin: at whole units. */
static void find_bounds(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  f->bounds = moire__lower_new_extra_of(l, MOIRE_I32, f->chunks + 2);
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.chunks", name));
  moire__head_add_order(h);
  moire__loop_buffer bounds = moire__joint_extra(f, f->bounds, MOIRE__BUFFER_OUT);
  moire__lower_body(l, 1, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value count = moire__head_count(h), chunks = moire__head_index(h, f->chunks);
  moire__loop_value units = moire__joint_units(f, count);
  units = moire__lower_add(l, units, moire__head_index(h, f->chunks - 1));
  units = moire__loop_binary(b, MOIRE__LOOP_div, units, chunks);
  moire__loop_value most = moire__lower_mul(l, units, moire__head_index(h, MOIRE__HEAD_UNIT));
  moire__loop_value end = moire__head_index(h, f->chunks + 1);
  moire__loop_value i = moire__loop_for(b, moire__head_index(h, 0), end, 1, 1);
  moire__loop_value first = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_mul(l, i, most), count);
  moire__loop_store(b, bounds, i, moire__loop_cast(b, first, MOIRE__LOOP_I32));
  moire__loop_end(b);
  moire__loop_store(b, bounds, end, moire__loop_cast(b, most, MOIRE__LOOP_I32));
  moire__lower_finish(l);
}

static void choose_sizes(moire__joint *f) {
  moire__head *h = &f->h;
  int lanes = h->l->target.lanes;
  int64_t rows = moire__dim_factor(h->rows);
  f->width_pitch = odd_vectors(h->width, lanes);
  h->row_block = ceil_div(h->row_block, MOIRE__HEAD_UNIT) * MOIRE__HEAD_UNIT;
  h->row_stride = odd_vectors(h->row_block, lanes);
  while (h->word_block > 1 && h->word_block * (2 * f->width_pitch + h->row_stride) * 4 > LOCAL_BYTES)
    h->word_block /= 2;
  f->chunks = MOIRE__HEAD_CHUNKS;
  if (moire__dim_is_static(h->rows) && ceil_div(rows, h->row_block) < f->chunks)
    f->chunks = rows > 0 ? ceil_div(rows, h->row_block) : 1;
  f->blocks = ceil_div(h->words, h->word_block);
  f->piece = ceil_div(f->blocks, MOIRE__REDUCTION_PIECES);
  f->pieces = ceil_div(f->blocks, f->piece);
  for (int s = 0; s < h->softmaxes.n; s++) f->per_temperature[s] = 1 / h->softmaxes.temperature[s];
}

static void add_extras(moire__joint *f) {
  const moire__head *h = &f->h;
  moire__lowering *l = h->l;
  int64_t unit = MOIRE__HEAD_UNIT, softmaxes = h->softmaxes.n;
  int64_t block_units = h->row_block / unit;
  /* blocks of rows: those that are not whole take as much as whole ones */
  int64_t blocks = ceil_div(ceil_div(moire__dim_factor(h->rows), f->chunks * unit), block_units);
  f->across = moire__lower_new_extra(
      l, moire__dim_make((blocks ? blocks : 1) * h->width * h->row_stride, moire__dim_extents(h->rows)));
  f->along = moire__lower_new_extra(l, moire__joint_capacity(f, unit * f->width_pitch));
  f->scores = moire__lower_new_extra(l, moire__joint_capacity(f, unit * h->words));
  f->peaks = moire__lower_new_extra(l, moire__joint_capacity(f, unit * softmaxes * f->blocks));
  f->sums = moire__lower_new_extra(l, moire__joint_capacity(f, unit * softmaxes * f->blocks));
  f->powers = moire__lower_new_extra(l, moire__joint_capacity(f, unit * softmaxes));
  f->factors = moire__lower_new_extra(l, moire__joint_capacity(f, unit * softmaxes));
  if (f->wants_dx)
    f->parts = moire__lower_new_extra(l, moire__joint_capacity(f, f->pieces * unit * f->width_pitch));
}

/* ---- rows that do not count ------------------------------------------------------------------------------ */

static void clear(const moire__joint *f, int32_t value, moire__loop_value row, int64_t width) {
  moire__lowering *l = f->h.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value j =
      moire__loop_for(b, moire__head_index(&f->h, 0), moire__head_index(&f->h, width), 1, l->target.lanes);
  moire__lower_write(l, value, moire__head_at(&f->h, row, width, j), moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
}

static void clear_rows(moire__joint *f, const char *name) {
  moire__head *h = &f->h;
  moire__lowering *l = h->l;
  int32_t first = h->node->first_result;
  if (!h->ignores) return;
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.ignored", name));
  moire__head_add_order(h);
  moire__lower_add_write(l, first + MOIRE__HEAD_Y);
  moire__lower_add_write(l, first + MOIRE__HEAD_LSE);
  if (f->wants_dx) moire__lower_add_write(l, first + MOIRE__HEAD_JOINT_DX);
  moire__lower_body(l, h->rows, h->row_block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__head_index(h, h->row_block));
  moire__loop_value high = moire__lower_add(l, low, moire__head_index(h, h->row_block));
  high = moire__loop_binary(b, MOIRE__LOOP_min, high, moire__loop_extent(b, h->rows));
  low = moire__loop_binary(b, MOIRE__LOOP_max, low, moire__head_count(h));
  moire__loop_value row = moire__head_row(h, moire__loop_for(b, low, high, 1, 1));
  clear(f, first + MOIRE__HEAD_Y, row, h->ids);
  clear(f, first + MOIRE__HEAD_LSE, row, h->softmaxes.n);
  if (f->wants_dx) clear(f, first + MOIRE__HEAD_JOINT_DX, row, h->width);
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* ---- the kernels ----------------------------------------------------------------------------------------- */

void moire__linear_log_softmax_joint_lower(moire__lowering *l) {
  moire__joint f = {.h = moire__head_describe(l, moire__head_bias(l->node, MOIRE__HEAD_JOINT_OPERANDS))};
  const char *name = l->kernel->name;
  int32_t first = l->node->first_result;
  f.wants_dx = l->uses[first + MOIRE__HEAD_JOINT_DX] > 0;
  f.wants_dw = l->uses[first + MOIRE__HEAD_JOINT_DW] > 0;
  f.wants_dbias = l->uses[first + MOIRE__HEAD_JOINT_DBIAS] > 0;
  choose_sizes(&f);
  add_extras(&f);
  moire__head_order(&f.h);
  find_bounds(&f, name);
  for (f.chunk = 0; f.chunk < f.chunks; f.chunk++) {
    moire__joint_rows(&f, moire__arena_printf(l->arena, "%s.rows", name));
    moire__joint_scores(&f, moire__arena_printf(l->arena, "%s.scores", name));
    moire__joint_finish(&f, moire__arena_printf(l->arena, "%s.finish", name));
    if (f.wants_dx || f.wants_dw || f.wants_dbias) moire__joint_gradients(&f, name);
    if (f.wants_dx) moire__joint_sum(&f, moire__arena_printf(l->arena, "%s.sum", name));
  }
  clear_rows(&f, name);
}
