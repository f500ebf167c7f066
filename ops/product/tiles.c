/* Register tiles of real and complex products.
 *
 *   re = sum_k ar br - sa sb ai bi,   im = sum_k sb ar bi + sa ai br        sa, sb = -1 where conjugated
 *
 * A complex product is one loop over k that loads each plane of both operands once. Rows of a tile: as many as
 * the registers hold beside the stretch of b and the scalars of a; rows left over make a lower tile, or are
 * taken one by one.
 */
#include "ops/product/tiles.h"

enum { MAX_ROWS = 16 };

static int planes_of(const moire__tiles *t) { return t->a.planes > t->b.planes ? t->a.planes : t->b.planes; }

static int rows_beside(const moire__lowering *l, int planes_a, int planes_b, int width) {
  int planes = planes_a > planes_b ? planes_a : planes_b;
  int rows = (l->target.registers - planes_b * width - planes_a) / (planes * width);
  if (rows > MAX_ROWS) rows = MAX_ROWS;
  return rows < 1 ? 1 : rows;
}

int moire__tiles_even_rows(const moire__lowering *l, int planes_a, int planes_b, int width) {
  int most = rows_beside(l, planes_a, planes_b, width), rows = 1;
  while (2 * rows <= most && rows < 8) rows *= 2;
  return rows;
}

int moire__tiles_fit_rows(const moire__lowering *l, int planes, int64_t count) {
  enum { SUMS = 12 }; /* sums that 16 registers hold beside two vectors of b and a scalar of a */
  if (!moire__lower_few_registers(l)) return moire__tiles_even_rows(l, planes, planes, 1);
  int most = SUMS / 2;
  for (int rows = most; count > 0 && rows > most / 2; rows--) {
    if (count % rows == 0) return rows;
  }
  return most;
}

moire__loop_value moire__tile_address(moire__lowering *l, const moire__tile_matrix *x, int plane,
                                      moire__loop_value i, moire__loop_value j) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value base = x->base[plane];
  if (x->group) {
    moire__loop_value size = moire__loop_index(b, x->group),
                      from = moire__loop_binary(b, MOIRE__LOOP_sub, i, x->first);
    moire__loop_value number = moire__loop_binary(b, MOIRE__LOOP_div, from, size);
    base = moire__lower_add(l, base, moire__lower_mul(l, number, moire__loop_index(b, x->group_step)));
    i = moire__loop_binary(b, MOIRE__LOOP_mod, from, size);
  }
  moire__loop_value at =
      moire__lower_add(l, moire__lower_mul(l, i, x->row[plane]), moire__lower_mul(l, j, x->column[plane]));
  return moire__lower_add(l, base, at);
}

moire__loop_value moire__tile_number(moire__lowering *l, const moire__tile_matrix *x,
                                     moire__loop_value number) {
  return x->narrow ? moire__loop_unary(&l->builder, MOIRE__LOOP_narrow, number) : number;
}

static moire__loop_value element_at(moire__lowering *l, const moire__tile_matrix *x, int plane,
                                    moire__loop_value at) {
  return moire__tile_number(l, x, moire__loop_load(&l->builder, x->buffer[plane], at));
}

moire__loop_value moire__tile_element(moire__lowering *l, const moire__tile_matrix *x, int plane,
                                      moire__loop_value i, moire__loop_value j) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value value = element_at(l, x, plane, moire__tile_address(l, x, plane, i, j));
  return plane == 1 && x->conjugate ? moire__loop_unary(b, MOIRE__LOOP_neg, value) : value;
}

/* The number `rows` below the one at `at`. */
static moire__loop_value load(moire__lowering *l, const moire__tile_matrix *x, int plane, moire__loop_value at,
                              int rows) {
  moire__loop_value down = moire__lower_mul(l, moire__loop_index(&l->builder, rows), x->row[plane]);
  return element_at(l, x, plane, moire__lower_add(l, at, down));
}

static void accumulate(moire__loop_builder *b, moire__loop_var sum, bool negative, moire__loop_value x,
                       moire__loop_value y) {
  if (negative) y = moire__loop_unary(b, MOIRE__LOOP_neg, y); /* of a vector: part of the instruction */
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, moire__loop_get(b, sum)));
}

/* Row r of the tile, whose planes of a begin at `at`. */
static void accumulate_row(moire__lowering *l, const moire__tiles *t, const moire__loop_var *sum, int r,
                           const moire__loop_value *at, const moire__loop_value *y) {
  moire__loop_builder *b = &l->builder;
  bool a_minus = t->a.conjugate, b_minus = t->b.conjugate;
  moire__loop_value re = load(l, &t->a, 0, at[0], r);
  if (!t->skip[0]) accumulate(b, sum[0], false, re, y[0]);
  if (t->b.planes == 2 && !t->skip[1]) accumulate(b, sum[1], b_minus, re, y[1]);
  if (t->a.planes == 1) return;
  moire__loop_value im = load(l, &t->a, 1, at[1], r);
  if (t->b.planes == 2 && !t->skip[0]) accumulate(b, sum[t->apart], a_minus == b_minus, im, y[1]);
  if (!t->skip[1]) accumulate(b, sum[1], a_minus, im, y[0]);
}

/* What a sum starts with. */
static moire__loop_value start(moire__lowering *l, const moire__tiles *t, int plane, moire__loop_value m,
                               moire__loop_value n) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_const(b, t->type, 0);
  if (!t->is_first || t->skip[plane]) return zero;
  return moire__loop_ternary(b, MOIRE__LOOP_select, t->is_first, zero, t->resume(t->context, plane, m, n));
}

static void tile(moire__lowering *l, const moire__tiles *t, moire__loop_value m, int rows,
                 moire__loop_value n) {
  moire__loop_builder *b = &l->builder;
  int planes = planes_of(t);
  moire__loop_var sum[MAX_ROWS][2];
  for (int r = 0; r < rows; r++) {
    moire__loop_value row = moire__lower_add(l, m, moire__loop_index(b, r));
    for (int i = 0; i < planes; i++) sum[r][i] = moire__loop_declare(b, start(l, t, i, row, n));
  }
  moire__loop_value k = moire__loop_for(b, t->k_low, t->k_high, 1, 1);
  moire__loop_value at[2] = {moire__tile_address(l, &t->a, 0, m, k), 0}, y[2] = {0, 0};
  if (t->a.planes == 2) at[1] = moire__tile_address(l, &t->a, 1, m, k);
  for (int i = 0; i < t->b.planes; i++) y[i] = load(l, &t->b, i, moire__tile_address(l, &t->b, i, k, n), 0);
  if (t->ahead) {
    moire__loop_value later = moire__lower_add(l, k, moire__loop_index(b, t->ahead));
    moire__loop_fetch(b, t->b.buffer[0], moire__tile_address(l, &t->b, 0, later, n));
  }
  for (int r = 0; r < rows; r++) accumulate_row(l, t, sum[r], r, at, y);
  moire__loop_end(b);
  for (int r = 0; r < rows; r++) {
    moire__loop_value sums[2] = {0, 0};
    for (int i = 0; i < planes; i++) {
      if (!t->skip[i]) sums[i] = moire__loop_get(b, sum[r][i]);
    }
    if (t->apart) sums[0] = moire__loop_binary(b, MOIRE__LOOP_add, sums[0], moire__loop_get(b, sum[r][1]));
    t->finish(t->context, moire__lower_add(l, m, moire__loop_index(b, r)), n, sums);
  }
}

/* Tiles of `rows` from row `low` on, as many as fit; returns the row after them. */
static moire__loop_value tiles_of(moire__lowering *l, const moire__tiles *t, moire__loop_value low, int rows,
                                  moire__loop_value n) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value size = moire__loop_index(b, rows);
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, t->m_high, low);
  moire__loop_value fit = moire__loop_binary(b, MOIRE__LOOP_div, left, size);
  moire__loop_value end = moire__lower_add(l, low, moire__lower_mul(l, fit, size));
  tile(l, t, moire__loop_for(b, low, end, rows, 1), rows, n);
  moire__loop_end(b);
  return end;
}

/* Half as many rows, of a few one less. */
static int smaller_rest(int rows) { return rows > 3 ? rows / 2 : rows - 1; }

void moire__tiles_emit_rows(moire__lowering *l, const moire__tiles *t, moire__loop_value n) {
  moire__loop_value next = tiles_of(l, t, t->m_low, t->rows, n);
  for (int rows = smaller_rest(t->rows); t->all_rests && rows; rows = smaller_rest(rows))
    next = tiles_of(l, t, next, rows, n);
  if (t->all_rests) return;
  if (t->rows > 3 && !t->single_rest) next = tiles_of(l, t, next, t->rest ? t->rest : t->rows / 2, n);
  if (t->rows > 1) tiles_of(l, t, next, 1, n);
}

/* Vectors of a row. */
static int width_of(const moire__lowering *l, const moire__tiles *t) {
  return t->n_extent > 0 && moire__dim_is_static(t->n_extent) && t->n_extent <= l->target.lanes ? 1 : 2;
}

int moire__tiles_rows(const moire__lowering *l, const moire__tiles *t) {
  return t->rows ? t->rows : rows_beside(l, t->a.planes, t->b.planes, width_of(l, t));
}

void moire__tiles_emit(moire__lowering *l, const moire__tiles *t) {
  moire__tiles sized = *t;
  sized.rows = moire__tiles_rows(l, t);
  int lanes = t->lanes ? t->lanes : l->target.lanes * width_of(l, t);
  moire__loop_value n = moire__loop_for(&l->builder, t->n_low, t->n_high, 1, lanes);
  moire__tiles_emit_rows(l, &sized, n);
  moire__loop_end(&l->builder);
}

void moire__tiles_emit_side_by_side(moire__lowering *l, const moire__tiles *t, int stretches,
                                    moire__loop_value distance) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value m = moire__loop_for(b, t->m_low, t->m_high, 1, 1);
  moire__loop_value end = moire__lower_add(l, t->n_low, moire__loop_index(b, t->lanes));
  moire__loop_value n[MAX_ROWS] = {moire__loop_for(b, t->n_low, end, 1, t->lanes)};
  moire__loop_var sum[MAX_ROWS];
  for (int i = 0; i < stretches; i++) {
    n[i] = moire__lower_add(l, n[0], moire__loop_index(b, (int64_t)i * t->lanes));
    sum[i] = moire__loop_declare(b, start(l, t, 0, m, n[i]));
  }
  moire__loop_value k = moire__loop_for(b, t->k_low, t->k_high, 1, 1);
  moire__loop_value x = moire__tile_element(l, &t->a, 0, m, k), at = moire__tile_address(l, &t->b, 0, k, n[0]);
  for (int i = 0; i < stretches; i++) {
    moire__loop_value y = moire__loop_load(b, t->b.buffer[0], at);
    accumulate(b, sum[i], false, x, y);
    at = moire__lower_add(l, at, distance);
  }
  moire__loop_end(b);
  for (int i = 0; i < stretches; i++)
    t->finish(t->context, m, n[i], (const moire__loop_value[2]){moire__loop_get(b, sum[i]), 0});
  moire__loop_end(b);
  moire__loop_end(b);
}
