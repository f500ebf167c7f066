/* Bands of a correlation: see correlate.h. */
#include "ops/convolution/correlate.h"

typedef moire__loop_value value;

enum { MOST_NUMBERS = 1 << 16, PLACES = 400, WIDE = 256, SEGMENT = 224 };

static int64_t reach(const moire__correlate_axis *a, int64_t places) {
  return (places - 1) * a->stride + (a->taps - 1) * a->dilation + 1;
}

static int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* As few parts of about the same size as there must be. */
static int64_t balanced(int64_t n, int64_t most) {
  if (most < 1) most = 1;
  return n < 1 ? 1 : parts_of(n, parts_of(n, most));
}

static int64_t numbers(const moire__correlation *k, int64_t channels, int64_t width, int64_t rows,
                       int64_t columns) {
  return channels * reach(&k->axis[0], rows) * reach(&k->axis[1], columns) + width * rows * columns;
}

moire__band moire__band_choose(const moire__lowering *l, const moire__correlation *k, int64_t channels,
                               int64_t width) {
  const int64_t all[2] = {k->axis[0].places, k->axis[1].places};
  moire__band band = {.rows = 1, .columns = all[1]};
  if (all[0] <= 1 || all[1] >= WIDE) {
    band.columns = balanced(all[1], l->target.small_blocks ? moire__lower_block(l, SEGMENT) : SEGMENT);
  } else {
    int64_t most = l->target.small_blocks ? 2 : PLACES / (all[1] < 1 ? 1 : all[1]);
    while (most > 1 && numbers(k, channels, width, most, all[1]) > MOST_NUMBERS) most--;
    band.rows = balanced(all[0], most);
  }
  band.n_rows = parts_of(all[0], band.rows);
  band.n_columns = parts_of(all[1], band.columns);
  band.x_rows = reach(&k->axis[0], band.rows);
  band.x_columns = reach(&k->axis[1], band.columns);
  /* An odd number of cache lines, so that channels do not share sets. */
  band.plane = ((band.x_rows * band.x_columns + 15) / 16 | 1) * 16;
  return band;
}

static value minimum(moire__lowering *l, value a, value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_min, a, b);
}
static value minus(moire__lowering *l, value a, value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_sub, a, b);
}
static value times(moire__lowering *l, value a, int64_t b) {
  return moire__lower_mul(l, a, moire__loop_index(&l->builder, b));
}

/* Places of an axis from `at` on, at most `most`. */
static value places_here(moire__lowering *l, const moire__correlate_axis *a, value at, int64_t most) {
  value size = moire__loop_index(&l->builder, most);
  if (a->places % most == 0) return size;
  return minimum(l, size, minus(l, moire__loop_index(&l->builder, a->places), at));
}

void moire__band_place(moire__lowering *l, const moire__correlation *k, moire__band *band, value number) {
  moire__loop_builder *b = &l->builder;
  value across = moire__loop_index(b, band->n_columns), zero = moire__loop_index(b, 0);
  band->row = band->column = zero;
  if (band->n_rows > 1) {
    value row = band->n_columns > 1 ? moire__loop_binary(b, MOIRE__LOOP_div, number, across) : number;
    band->row = times(l, row, band->rows);
  }
  if (band->n_columns > 1) {
    value column = band->n_rows > 1 ? moire__loop_binary(b, MOIRE__LOOP_mod, number, across) : number;
    band->column = times(l, column, band->columns);
  }
  band->rows_here = places_here(l, &k->axis[0], band->row, band->rows);
  band->columns_here = places_here(l, &k->axis[1], band->column, band->columns);
}

/* The part of [0, n) that x has of an axis of the copy, which begins at place `first` of x. */
static void inside(moire__lowering *l, int64_t size, value first, int64_t n, value *low, value *high) {
  moire__loop_builder *b = &l->builder;
  value zero = moire__loop_index(b, 0), all = moire__loop_index(b, n);
  *low = moire__loop_binary(b, MOIRE__LOOP_max, minus(l, zero, first), zero);
  *low = minimum(l, *low, all);
  *high = minimum(l, minus(l, moire__loop_index(b, size), first), all);
  *high = moire__loop_binary(b, MOIRE__LOOP_max, *high, *low);
}

static void clear(moire__lowering *l, moire__loop_buffer to, value at, value low, value high) {
  moire__loop_builder *b = &l->builder;
  value i = moire__loop_for(b, low, high, 1, l->target.lanes);
  moire__loop_store(b, to, moire__lower_add(l, at, i), moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
}

void moire__band_copy(moire__lowering *l, const moire__correlation *k, const moire__band *band,
                      moire__loop_buffer x, value base, value low, value high) {
  moire__loop_builder *b = &l->builder;
  const moire__correlate_axis *rows = &k->axis[0], *columns = &k->axis[1];
  value zero = moire__loop_index(b, 0), first[2], there[2], end[2];
  first[0] = minus(l, times(l, band->row, rows->stride), moire__loop_index(b, rows->start));
  first[1] = minus(l, times(l, band->column, columns->stride), moire__loop_index(b, columns->start));
  inside(l, rows->size, first[0], band->x_rows, &there[0], &end[0]);
  inside(l, columns->size, first[1], band->x_columns, &there[1], &end[1]);
  value c = moire__loop_for(b, low, high, 1, 1);
  value to = times(l, minus(l, c, low), band->plane);
  value from = moire__lower_add(l, base, times(l, c, rows->size * columns->size));
  value wide = moire__loop_index(b, band->x_columns);
  clear(l, band->x, to, zero, moire__lower_mul(l, there[0], wide));
  value r = moire__loop_for(b, there[0], end[0], 1, 1);
  value row = moire__lower_add(l, to, moire__lower_mul(l, r, wide));
  value source = moire__lower_add(l, from, times(l, moire__lower_add(l, first[0], r), columns->size));
  source = moire__lower_add(l, source, first[1]);
  clear(l, band->x, row, zero, there[1]);
  value i = moire__loop_for(b, there[1], end[1], 1, l->target.lanes);
  moire__loop_store(b, band->x, moire__lower_add(l, row, i),
                    moire__loop_load(b, x, moire__lower_add(l, source, i)));
  moire__loop_end(b);
  clear(l, band->x, row, end[1], wide);
  moire__loop_end(b);
  clear(l, band->x, to, moire__lower_mul(l, end[0], wide),
        moire__loop_index(b, band->x_rows * band->x_columns));
  moire__loop_end(b);
}

value moire__band_address(moire__lowering *l, const moire__correlation *k, const moire__band *band,
                          value channel, const value place[2], const value tap[2]) {
  value at = channel ? times(l, channel, band->plane) : moire__loop_index(&l->builder, 0);
  for (int d = 0; d < 2; d++) {
    int64_t step = d == 0 ? band->x_columns : 1;
    if (place[d]) at = moire__lower_add(l, at, times(l, place[d], k->axis[d].stride * step));
    if (tap[d]) at = moire__lower_add(l, at, times(l, tap[d], k->axis[d].dilation * step));
  }
  return at;
}
