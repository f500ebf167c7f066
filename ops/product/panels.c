/* See panels.h. */
#include "ops/product/panels.h"

moire__loop_value moire__panel_open_parts(moire__lowering *l, moire__tiles *t, int64_t depth) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value size = moire__loop_index(b, depth), one = moire__loop_index(b, 1);
  moire__loop_value all = moire__panel_minus(l, t->k_high, t->k_low);
  all = moire__lower_add(l, all, moire__loop_index(b, depth - 1));
  moire__loop_value parts = moire__loop_binary(b, MOIRE__LOOP_div, all, size);
  parts = moire__loop_binary(b, MOIRE__LOOP_max, parts, one);
  moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), parts, 1, 1);
  moire__loop_value is_first = moire__loop_binary(b, MOIRE__LOOP_lt, i, one);
  t->k_low = moire__lower_add(l, t->k_low, moire__lower_mul(l, i, size));
  t->k_high = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, t->k_low, size), t->k_high);
  return is_first;
}

moire__tiles moire__panel_of_piece(moire__lowering *l, const moire__tiles *t, int64_t columns, int lanes) {
  moire__loop_builder *b = &l->builder;
  moire__tiles one = *t;
  one.n_low = moire__lower_add(l, t->n_low, moire__panel_times(l, l->kernel->parallel, lanes));
  one.n_high = moire__lower_add(l, one.n_low, moire__loop_index(b, lanes));
  if (columns % lanes) one.n_high = moire__loop_binary(b, MOIRE__LOOP_min, one.n_high, t->n_high);
  return one;
}

moire__loop_value moire__panel_place(moire__lowering *l, const moire__tiles *t, int lanes, moire__loop_value at,
                                     moire__loop_value k, moire__loop_value column) {
  at = moire__lower_add(l, at, moire__panel_times(l, moire__panel_minus(l, k, t->k_low), lanes));
  return moire__lower_add(l, at, moire__panel_minus(l, column, t->n_low));
}

void moire__panel_squares(moire__lowering *l, int side, moire__panel_range k, moire__panel_range columns,
                          moire__panel_range whole[2]) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value size = moire__loop_index(b, side);
  whole[0] = k;
  whole[1] = columns;
  for (int d = 0; d < 2; d++) {
    moire__loop_value fit = moire__panel_minus(l, whole[d].high, whole[d].low);
    fit = moire__loop_binary(b, MOIRE__LOOP_div, fit, size);
    whole[d].high = moire__lower_add(l, whole[d].low, moire__lower_mul(l, fit, size));
  }
}

moire__tile_matrix moire__panel_matrix(moire__lowering *l, const moire__tiles *t, moire__loop_buffer buffer,
                                       int lanes, moire__loop_value at) {
  moire__tile_matrix m = {.planes = 1, .buffer = {buffer}, .base = {moire__panel_minus(l, at, t->n_low)}};
  m.row[0] = moire__loop_index(&l->builder, lanes);
  m.column[0] = moire__loop_index(&l->builder, 1);
  return m;
}

/* From a row of a copy to the next, and from a tile to the next: no power of two of bytes, of which rows would
 * share few lines of the cache. */
static int64_t pitch(const moire__lowering *l, const moire__panel_copy *c) {
  return c->along_k ? c->depth + l->target.lanes : c->rows;
}

static int64_t tile_step(const moire__lowering *l, const moire__panel_copy *c) {
  return c->depth * c->tile + 2 * l->target.lanes;
}

int64_t moire__panel_copy_elements(const moire__lowering *l, const moire__panel_copy *c) {
  if (c->by_tile) return (c->rows + c->tile - 1) / c->tile * tile_step(l, c);
  return (c->along_k ? c->rows : c->depth) * pitch(l, c);
}

moire__tile_matrix moire__panel_copy_matrix(moire__lowering *l, const moire__tiles *t,
                                            const moire__panel_copy *c, moire__loop_buffer buffer) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value line = moire__loop_index(b, pitch(l, c)), one = moire__loop_index(b, 1);
  moire__tile_matrix copy = {.planes = 1, .buffer = {buffer}};
  if (c->by_tile) {
    copy.group = c->tile;
    copy.group_step = tile_step(l, c);
    copy.first = t->m_low;
    line = moire__loop_index(b, c->tile);
  }
  copy.row[0] = c->along_k ? line : one;
  copy.column[0] = c->along_k ? one : line;
  moire__loop_value first = moire__lower_mul(l, t->k_low, copy.column[0]);
  if (!c->by_tile) first = moire__lower_add(l, moire__lower_mul(l, t->m_low, copy.row[0]), first);
  copy.base[0] = moire__panel_minus(l, moire__loop_index(b, 0), first);
  return copy;
}

void moire__panel_fetch(moire__lowering *l, const moire__tile_matrix *x, moire__loop_value i,
                        moire__loop_value j, bool rows) {
  moire__loop_value *k = rows ? &i : &j;
  *k = moire__lower_add(l, *k, moire__loop_index(&l->builder, moire__panel_ahead(l) / 2));
  for (int p = 0; p < x->planes; p++)
    moire__loop_fetch(&l->builder, x->buffer[p], moire__tile_address(l, x, p, i, j));
}

/* Rows [m, m + copy->group) at k: vectors of powers of two of them. */
static void copy_tile(moire__lowering *l, const moire__tiles *t, const moire__tile_matrix *copy,
                      moire__loop_value m, moire__loop_value k, moire__panel_put *put, void *context) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value to = moire__tile_address(l, copy, 0, m, k);
  moire__panel_fetch(l, &t->a, m, k, false);
  for (int64_t done = 0, width; done < copy->group; done += width) {
    for (width = l->target.lanes; width > copy->group - done;) width /= 2;
    moire__loop_value r =
        moire__loop_for(b, moire__loop_index(b, done), moire__loop_index(b, done + width), 1, (int)width);
    put(l, context, moire__lower_add(l, m, r), k, moire__lower_add(l, to, r));
    moire__loop_end(b);
  }
}

static void copy_tiles(moire__lowering *l, const moire__tiles *t, const moire__tile_matrix *copy,
                       moire__panel_put *put, void *context) {
  moire__loop_builder *b = &l->builder;
  moire__panel_range rows = {t->m_low, t->m_high}, k = {t->k_low, t->k_high}, whole[2];
  moire__panel_squares(l, (int)copy->group, rows, k, whole);
  moire__loop_value i = moire__loop_for(b, k.low, k.high, 1, 1);
  copy_tile(l, t, copy, moire__loop_for(b, rows.low, whole[0].high, copy->group, 1), i, put, context);
  moire__loop_end(b);
  moire__loop_value m = moire__loop_for(b, whole[0].high, rows.high, 1, 1);
  put(l, context, m, i, moire__tile_address(l, copy, 0, m, i));
  moire__loop_end(b);
  moire__loop_end(b);
}

void moire__panel_copy_emit(moire__lowering *l, const moire__tiles *t, const moire__panel_copy *c,
                            const moire__tile_matrix *to, moire__panel_put *put, void *context) {
  moire__loop_builder *b = &l->builder;
  if (c->by_tile) {
    copy_tiles(l, t, to, put, context);
    return;
  }
  moire__loop_value low[2] = {t->m_low, t->k_low}, high[2] = {t->m_high, t->k_high}, at[2];
  int inner = c->along_k ? 1 : 0, outer = 1 - inner;
  at[outer] = moire__loop_for(b, low[outer], high[outer], 1, 1);
  at[inner] = moire__loop_for(b, low[inner], high[inner], 1, 2 * l->target.lanes);
  put(l, context, at[0], at[1], moire__tile_address(l, to, 0, at[0], at[1]));
  moire__loop_end(b);
  moire__loop_end(b);
}
