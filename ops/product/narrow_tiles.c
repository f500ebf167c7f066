/* Products of bf16 by tiles of 16 rows and 16 columns, for targets that multiply whole ones: see
 * ops/product/narrow.h.
 *
 *   real      2 x 2 sums, 2 tiles of a, 2 of b: a step along k loads 4 tiles for 4 products
 *   complex   1 x 2 sums of each plane, a_re, a_im and a_minus, 1 tile of b at a time: 7 loads for 8 products
 *
 * so all eight tiles are in use. Why these: by Intel's figures a product of tiles (TDPBF16PS) begins every 16
 * cycles and is done after 52, and a load takes 8 cycles, so up to two loads a product leave it at full rate,
 * and four sums, none added to twice in four products, hide its latency. Source: Intel 64 and IA-32
 * Architectures Optimization Reference Manual, chapter 20.
 *
 * Rows of a block that do not exist were not packed, nor were columns of a panel: what tiles hold of them is
 * multiplied too, and read by nobody. k ends in zeros. Sums go through a local block, from which the rows that
 * exist are finished.
 */
#include "ops/product/narrow.h"

enum { SIDE = MOIRE__LOOP_TILE_SIDE };

/* ---- which tile holds what ---------------------------------------------------------------------------------
 */

static int sum_tile(const moire__narrow *n, int plane, int row, int column) {
  return n->planes == 2 ? 2 * column + plane : 2 * row + column;
}

enum { FIRST_A = 4, FIRST_B = 6, ONLY_B = 7 }; /* a_re, a_im, a_minus; or the rows of a */

/* ---- along k -----------------------------------------------------------------------------------------------
 */

/* The first packed element of a block of rows and a panel, at tile `step` along k. */
typedef struct place {
  moire__loop_value a, b;
} place;

static void load_a(moire__lowering *l, const moire__narrow *n, int tile, int plane, const place *at, int row) {
  moire__loop_builder *b = &l->builder;
  int64_t pitch = n->along_k ? n->depth : n->depth / n->step;
  moire__loop_value from = moire__lower_add(l, at->a, moire__loop_index(b, row * SIDE * pitch));
  moire__loop_tile_load(b, tile, n->a[plane], from, pitch);
}

static void load_b(moire__lowering *l, const moire__narrow *n, int tile, int plane, const place *at,
                   int column) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value from = moire__lower_add(l, at->b, moire__loop_index(b, column * SIDE));
  moire__loop_tile_load(b, tile, n->b[plane], from, n->lanes);
}

static void step_of_real(moire__lowering *l, const moire__narrow *n, int rows, const place *at) {
  int columns = n->lanes / SIDE;
  for (int c = 0; c < columns; c++) load_b(l, n, FIRST_B + c, 0, at, c);
  for (int r = 0; r < rows; r++) {
    load_a(l, n, FIRST_A + r, 0, at, r);
    for (int c = 0; c < columns; c++)
      moire__loop_tile_dot(&l->builder, sum_tile(n, 0, r, c), FIRST_A + r, FIRST_B + c);
  }
}

/* re += a_re b_re + a_minus b_im, im += a_im b_re + a_re b_im, as far as they are wanted. */
static void step_of_complex(moire__lowering *l, const moire__narrow_part *p, const place *at) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  const bool *skip = p->t->skip;
  load_a(l, n, FIRST_A, 0, at, 0);
  if (!skip[1]) load_a(l, n, FIRST_A + 1, 1, at, 0);
  if (!skip[0]) load_a(l, n, FIRST_A + 2, 2, at, 0);
  for (int plane = 0; plane < 2; plane++) {
    for (int c = 0; c < n->lanes / SIDE; c++) {
      load_b(l, n, ONLY_B, plane, at, c);
      if (!skip[0]) moire__loop_tile_dot(b, sum_tile(n, 0, 0, c), plane ? FIRST_A + 2 : FIRST_A, ONLY_B);
      if (!skip[1]) moire__loop_tile_dot(b, sum_tile(n, 1, 0, c), plane ? FIRST_A : FIRST_A + 1, ONLY_B);
    }
  }
}

/* ---- a block of rows ---------------------------------------------------------------------------------------
 */

static void store_sums(moire__lowering *l, const moire__narrow_part *p, int rows) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  for (int plane = 0; plane < n->planes; plane++) {
    for (int i = 0; i < rows * (n->lanes / SIDE) && !p->t->skip[plane]; i++) {
      int r = i / (n->lanes / SIDE), c = i % (n->lanes / SIDE);
      moire__loop_value to = moire__loop_index(b, r * SIDE * n->lanes + c * SIDE);
      moire__loop_tile_store(b, sum_tile(n, plane, r, c), n->sums[plane], to, n->lanes);
    }
  }
}

/* Rows [m, high) of columns [n0, n1), from the local block. */
static void finish_rows(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m,
                        moire__loop_value high, moire__loop_value n0, moire__loop_value n1) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  moire__loop_value row = moire__loop_for(b, m, high, 1, 1);
  moire__loop_value line = moire__loop_binary(b, MOIRE__LOOP_sub, row, m);
  line = moire__lower_mul(l, line, moire__loop_index(b, n->lanes));
  moire__loop_value column = moire__loop_for(b, n0, n1, 1, n->lanes);
  moire__loop_value at = moire__lower_add(l, line, moire__loop_binary(b, MOIRE__LOOP_sub, column, n0));
  moire__loop_value sums[2] = {0, 0}, zero = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  for (int i = 0; i < n->planes; i++) {
    if (p->t->skip[i]) continue;
    sums[i] = moire__loop_load(b, n->sums[i], at);
    if (!p->is_first) continue;
    moire__loop_value before = p->t->resume(p->t->context, i, row, column);
    before = moire__loop_ternary(b, MOIRE__LOOP_select, p->is_first, zero, before);
    sums[i] = moire__lower_add(l, before, sums[i]);
  }
  p->t->finish(p->t->context, row, column, sums);
  moire__loop_end(b);
  moire__loop_end(b);
}

void moire__narrow_tile_sums(moire__lowering *l, const moire__narrow_part *p, int rows, moire__loop_value m,
                             moire__loop_value panel) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  for (int plane = 0; plane < n->planes; plane++) {
    for (int i = 0; i < rows * (n->lanes / SIDE) && !p->t->skip[plane]; i++)
      moire__loop_tile_zero(b, sum_tile(n, plane, i / (n->lanes / SIDE), i % (n->lanes / SIDE)));
  }
  int64_t pitch = n->along_k ? n->depth : n->depth / n->step;
  moire__loop_value first = moire__loop_binary(b, MOIRE__LOOP_sub, m, p->m0);
  first = moire__lower_mul(l, first, moire__loop_index(b, pitch));
  moire__loop_value k = moire__loop_for(b, moire__loop_index(b, 0), p->steps, 1, 1);
  moire__loop_value along = moire__loop_index(b, n->along_k ? MOIRE__NARROW_TILE_DEPTH : SIDE);
  place at = {.a = moire__lower_add(l, first, moire__lower_mul(l, k, along))};
  at.b = moire__lower_add(l, panel, moire__lower_mul(l, k, moire__loop_index(b, SIDE * n->lanes)));
  if (n->planes == 2)
    step_of_complex(l, p, &at);
  else
    step_of_real(l, n, rows, &at);
  moire__loop_end(b);
  store_sums(l, p, rows);
}

typedef struct range {
  moire__loop_value low, high;
} range;

/* `rows` tiles of rows from m on, of which those before `high` exist. */
static void block(moire__lowering *l, const moire__narrow_part *p, int rows, range m, range columns,
                  moire__loop_value panel) {
  moire__narrow_tile_sums(l, p, rows, m.low, panel);
  finish_rows(l, p, m.low, m.high, columns.low, columns.high);
}

void moire__narrow_tile_panel(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m1,
                              moire__loop_value n0, moire__loop_value n1, moire__loop_value at) {
  moire__loop_builder *b = &l->builder;
  const range columns = {n0, n1};
  moire__loop_value next = p->m0;
  if (p->n->tile > SIDE) {
    moire__loop_value size = moire__loop_index(b, p->n->tile);
    moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, m1, p->m0);
    next = moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_div, left, size), size);
    next = moire__lower_add(l, p->m0, next);
    range m = {moire__loop_for(b, p->m0, next, p->n->tile, 1), 0};
    m.high = moire__lower_add(l, m.low, size);
    block(l, p, p->n->tile / SIDE, m, columns, at);
    moire__loop_end(b);
  }
  range m = {moire__loop_for(b, next, m1, SIDE, 1), 0};
  m.high = moire__lower_add(l, m.low, moire__loop_index(b, SIDE));
  m.high = moire__loop_binary(b, MOIRE__LOOP_min, m.high, m1);
  block(l, p, 1, m, columns, at);
  moire__loop_end(b);
}
