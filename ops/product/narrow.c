/* Register tiles of products of bf16: see ops/product/narrow.h.
 *
 *   re = sum_k ar br - ai bi,   im = sum_k ar bi + ai br          signs of conjugates are in what was packed
 *
 * For a part of k: `rows` rows of a are packed; then, panel by panel, b, unless it was packed beforehand, and
 * the tiles of that panel. A tile loads one vector of b for each packed element of k, which meets `tile`
 * scalars of a; where k comes in several parts, it goes on from what it has stored.
 */
#include "ops/product/narrow.h"

enum { MAX_TILE = 16, MOST_ROWS = 256, DEPTH = 256, PACKED = 1 << 15 };
enum { TILES_DEPTH = 1024, TILES_PACKED = 1 << 16, TILES_OF_B = 1 << 19 }; /* with tiles; the last in bytes */

/* ---- sizes ------------------------------------------------------------------------------------------------
 */

/* Whether a product takes up enough of a tile to be worth the rest. */
static bool fills_tiles(const moire__lowering *l, const moire__tiles *t, moire_dim m, moire_dim k) {
  enum { LEAST_ROWS = 4, LEAST_COLUMNS = 8, LEAST_DEPTH = 16 };
  return l->target.tiles && moire__dim_is_at_least(m, LEAST_ROWS) &&
         moire__dim_is_at_least(t->n_extent, LEAST_COLUMNS) && moire__dim_is_at_least(k, LEAST_DEPTH);
}

/* As many accumulators as there are tiles beside the operands: see ops/product/narrow_tiles.c. */
static void choose_tiles(moire__narrow *n) {
  bool one = n->planes == 2 || (n->columns && n->columns <= MOIRE__LOOP_TILE_SIDE);
  n->lanes = MOIRE__LOOP_TILE_SIDE * (one ? 1 : 2);
  n->tile = MOIRE__LOOP_TILE_SIDE * 2;
}

/* Two vectors of each plane, four of a real product: as many accumulators as the registers hold. */
static void choose_tile(const moire__lowering *l, moire__narrow *n) {
  int width = n->planes == 2 ? 2 : 4;
  while (width > 1 && n->columns && n->columns <= (int64_t)l->target.lanes * width / 2) width /= 2;
  n->lanes = l->target.lanes * width;
  int left = l->target.registers - n->planes * width - 1;
  n->tile = left / (n->planes * width);
  if (n->tile > MAX_TILE) n->tile = MAX_TILE;
  if (n->tile < 1) n->tile = 1;
}

moire__narrow moire__narrow_choose(const moire__lowering *l, const moire__tiles *t, moire_dim m, moire_dim k,
                                   int64_t most_rows, bool along_k) {
  moire__narrow n = {.planes = t->b.planes, .along_k = along_k};
  bool fixed = moire__dim_is_static(k);
  if (moire__dim_is_static(t->n_extent)) n.columns = moire__dim_factor(t->n_extent);
  n.tiles = fills_tiles(l, t, m, k);
  n.step = n.tiles || l->target.pairs ? 2 : 1;
  if (n.tiles)
    choose_tiles(&n);
  else
    choose_tile(l, &n);
  n.rows = most_rows > 0 && most_rows < MOST_ROWS ? most_rows : moire__lower_block(l, MOST_ROWS);
  if (!l->target.small_blocks) n.rows = moire__lower_round_up(n.rows, n.tile);
  int64_t unit = n.tiles ? MOIRE__NARROW_TILE_DEPTH : 2;
  int64_t most = n.tiles ? TILES_PACKED : PACKED, deep = n.tiles && fixed ? TILES_DEPTH : DEPTH;
  n.depth = most / n.rows < deep ? most / n.rows : deep;
  n.depth = moire__lower_round_up(moire__lower_block(l, n.depth), unit);
  if (fixed && moire__dim_factor(k) <= n.depth) n.depth = moire__lower_round_up(moire__dim_factor(k), unit);
  if (n.depth < unit) n.depth = unit;
  n.resumes = !fixed || moire__dim_factor(k) > n.depth;
  int64_t bytes = n.columns * n.depth * 2 * moire__narrow_tile_planes(&n, false);
  n.whole = n.tiles && n.columns && bytes <= TILES_OF_B;
  return n;
}

bool moire__narrow_pack_first(moire__narrow *n, const moire__tiles *t, moire_dim k) {
  if (!moire__dim_is_static(k) || !moire__dim_is_static(t->n_extent) || !n->columns) return false;
  n->elements = (moire__dim_factor(k) + n->step - 1) / n->step;
  if (n->tiles) n->elements = moire__lower_round_up(n->elements, MOIRE__LOOP_TILE_SIDE);
  return n->elements > 0;
}

int64_t moire__narrow_panels(const moire__narrow *n) { return (n->columns + n->lanes - 1) / n->lanes; }

/* Words of a panel, of a plane or, of tiles, of all planes. */
static int64_t panel_pitch(const moire__narrow *n) {
  int64_t tiles = n->lanes / MOIRE__LOOP_TILE_SIDE;
  return n->tiles ? tiles * moire__narrow_tile_pitch(n, false) : n->elements * n->lanes;
}

int64_t moire__narrow_elements(const moire__narrow *n) { return moire__narrow_panels(n) * panel_pitch(n); }

moire_dtype moire__narrow_dtype(const moire__narrow *n) { return n->step == 2 ? MOIRE_I32 : MOIRE_BF16; }

/* ---- a tile -----------------------------------------------------------------------------------------------
 */

static void accumulate(moire__lowering *l, const moire__narrow *n, moire__loop_var sum, moire__loop_value x,
                       moire__loop_value y) {
  moire__loop_builder *b = &l->builder;
  moire__loop_op op = n->step == 2 ? MOIRE__LOOP_dot : MOIRE__LOOP_fma;
  moire__loop_set(b, sum, moire__loop_ternary(b, op, x, y, moire__loop_get(b, sum)));
}

static void accumulate_row(moire__lowering *l, const moire__narrow_part *p, const moire__loop_var *sum,
                           moire__loop_value m, moire__loop_value k, const moire__loop_value *y) {
  const moire__narrow *n = p->n;
  const bool *skip = p->t->skip;
  moire__loop_value re = moire__narrow_load_a(l, n, 0, m, k);
  if (!skip[0]) accumulate(l, n, sum[0], re, y[0]);
  if (n->planes == 1) return;
  if (!skip[1]) accumulate(l, n, sum[1], re, y[1]);
  if (!skip[0]) accumulate(l, n, sum[0], moire__narrow_load_a(l, n, 2, m, k), y[1]);
  if (!skip[1]) accumulate(l, n, sum[1], moire__narrow_load_a(l, n, 1, m, k), y[0]);
}

static moire__loop_value start(moire__lowering *l, const moire__narrow_part *p, int plane, moire__loop_value m,
                               moire__loop_value column) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  if (!p->is_first || p->t->skip[plane]) return zero;
  return moire__loop_ternary(b, MOIRE__LOOP_select, p->is_first, zero,
                             p->t->resume(p->t->context, plane, m, column));
}

/* Rows m .. m + rows, the vector of columns at `column`, `at` of the panel. */
static void tile(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m, int rows,
                 moire__loop_value column, moire__loop_value at) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  moire__loop_var sum[MAX_TILE][2];
  for (int r = 0; r < rows; r++) {
    moire__loop_value row = moire__lower_add(l, m, moire__loop_index(b, r));
    for (int i = 0; i < n->planes; i++) sum[r][i] = moire__loop_declare(b, start(l, p, i, row, column));
  }
  moire__loop_value first = moire__loop_binary(b, MOIRE__LOOP_sub, m, p->m0);
  moire__loop_value k = moire__loop_for(b, moire__loop_index(b, 0), p->steps, 1, 1);
  moire__loop_value from = moire__lower_add(l, at, moire__lower_mul(l, k, moire__loop_index(b, n->lanes)));
  moire__loop_value y[2] = {moire__loop_load(b, n->b[0], from), 0};
  if (n->planes == 2) y[1] = moire__loop_load(b, n->b[1], from);
  for (int r = 0; r < rows; r++)
    accumulate_row(l, p, sum[r], moire__lower_add(l, first, moire__loop_index(b, r)), k, y);
  moire__loop_end(b);
  for (int r = 0; r < rows; r++) {
    moire__loop_value sums[2] = {0, 0};
    for (int i = 0; i < n->planes; i++) {
      if (!p->t->skip[i]) sums[i] = moire__loop_get(b, sum[r][i]);
    }
    p->t->finish(p->t->context, moire__lower_add(l, m, moire__loop_index(b, r)), column, sums);
  }
}

/* ---- panels, rows, parts of k -----------------------------------------------------------------------------
 */

/* Tiles of `rows` from row `low` on, as many as fit before m1; returns the row after them. */
static moire__loop_value tiles_of(moire__lowering *l, const moire__narrow_part *p, moire__loop_value low,
                                  moire__loop_value m1, int rows, moire__loop_value column,
                                  moire__loop_value at) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value size = moire__loop_index(b, rows);
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, m1, low);
  moire__loop_value fit = moire__loop_binary(b, MOIRE__LOOP_div, left, size);
  moire__loop_value end = moire__lower_add(l, low, moire__lower_mul(l, fit, size));
  tile(l, p, moire__loop_for(b, low, end, rows, 1), rows, column, at);
  moire__loop_end(b);
  return end;
}

/* Rows m0 .. m1 of columns n0 .. n1, whose packed b begins at element `at`. */
static void tiles_of_panel(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m1,
                           moire__loop_value n0, moire__loop_value n1, moire__loop_value at) {
  moire__loop_builder *b = &l->builder;
  int rows = p->n->tile;
  moire__loop_value column = moire__loop_for(b, n0, n1, 1, p->n->lanes);
  moire__loop_value here = moire__lower_add(l, at, moire__loop_binary(b, MOIRE__LOOP_sub, column, n0));
  moire__loop_value next = tiles_of(l, p, p->m0, m1, rows, column, here);
  if (rows > 3) next = tiles_of(l, p, next, m1, rows / 2, column, here);
  if (rows > 1) tiles_of(l, p, next, m1, 1, column, here);
  moire__loop_end(b);
}

typedef struct range {
  moire__loop_value low, high;
} range;

static void one_panel(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m1, range columns,
                      range k, moire__loop_value panel) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  moire__loop_value at = moire__loop_index(b, 0);
  if (n->elements) {
    int64_t lanes = n->tiles ? MOIRE__LOOP_TILE_SIDE * moire__narrow_tile_planes(n, false) : n->lanes;
    moire__loop_value before = moire__loop_binary(b, MOIRE__LOOP_div, k.low, moire__loop_index(b, n->step));
    at = moire__lower_mul(l, panel, moire__loop_index(b, panel_pitch(n)));
    at = moire__lower_add(l, at, moire__lower_mul(l, before, moire__loop_index(b, lanes)));
  } else if (n->whole) {
    at = moire__lower_mul(l, panel, moire__loop_index(b, panel_pitch(n)));
  } else {
    moire__narrow_pack_b(l, p->t, n, columns.low, columns.high, k.low, k.high, at);
  }
  if (n->tiles)
    moire__narrow_tile_panel(l, p, m1, columns.low, columns.high, at);
  else
    tiles_of_panel(l, p, m1, columns.low, columns.high, at);
}

/* All panels: those that are full, and the rest. Where the columns are not fixed, any may be the last. */
static void panels(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m1, range k) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  moire__loop_value lanes = moire__loop_index(b, n->lanes), one = moire__loop_index(b, 1);
  moire__loop_value all = moire__loop_binary(b, MOIRE__LOOP_sub, p->t->n_high, p->t->n_low);
  if (!n->columns) all = moire__lower_add(l, all, moire__loop_index(b, n->lanes - 1));
  moire__loop_value full = moire__loop_binary(b, MOIRE__LOOP_div, all, lanes);
  moire__loop_value panel = moire__loop_for(b, moire__loop_index(b, 0), full, 1, 1);
  range columns = {moire__lower_add(l, p->t->n_low, moire__lower_mul(l, panel, lanes)), 0};
  columns.high = moire__lower_add(l, columns.low, lanes);
  if (!n->columns) columns.high = moire__loop_binary(b, MOIRE__LOOP_min, columns.high, p->t->n_high);
  one_panel(l, p, m1, columns, k, panel);
  moire__loop_end(b);
  if (!n->columns || n->columns % n->lanes == 0) return;
  panel = moire__loop_for(b, full, moire__lower_add(l, full, one), 1, 1);
  columns = (range){moire__lower_add(l, p->t->n_low, moire__lower_mul(l, full, lanes)), p->t->n_high};
  one_panel(l, p, m1, columns, k, panel);
  moire__loop_end(b);
}

static void add_tile_locals(moire__lowering *l, moire__narrow *n) {
  int64_t rows = moire__lower_round_up(n->rows, MOIRE__LOOP_TILE_SIDE) / MOIRE__LOOP_TILE_SIDE;
  int64_t words = rows * moire__narrow_tile_pitch(n, true);
  n->a[0] = moire__loop_add_local(l->kernel, "a_tiles", n->along_k ? MOIRE__LOOP_BF16 : MOIRE__LOOP_I32,
                                  n->along_k ? 2 * words : words);
  int64_t panels = n->whole ? moire__narrow_panels(n) : 1;
  if (!n->elements)
    n->b[0] = moire__loop_add_local(l->kernel, "b_tiles", MOIRE__LOOP_I32, panels * panel_pitch(n));
  for (int p = 0; p < n->planes; p++)
    n->sums[p] = moire__loop_add_local(l->kernel, "tile_sums", MOIRE__LOOP_F32, n->tile * n->lanes);
}

void moire__narrow_add_locals(moire__lowering *l, moire__narrow *n) {
  if (n->tiles) {
    add_tile_locals(l, n);
    return;
  }
  static const char *const a[] = {"a_re", "a_im", "a_minus"}, *const b[] = {"b_re", "b_im"};
  moire__loop_type packed = n->step == 2 ? MOIRE__LOOP_I32 : MOIRE__LOOP_F32;
  int64_t elements = n->rows * n->depth;
  for (int p = 0; p < (n->planes == 2 ? 3 : 1); p++) {
    bool halves = n->along_k && n->step == 2;
    n->a[p] = moire__loop_add_local(l->kernel, a[p], halves ? MOIRE__LOOP_BF16 : packed,
                                    halves ? elements : elements / n->step);
  }
  for (int p = 0; p < n->planes && !n->elements; p++)
    n->b[p] = moire__loop_add_local(l->kernel, b[p], packed, n->depth / n->step * n->lanes);
}

void moire__narrow_emit(moire__lowering *l, const moire__tiles *t, moire__narrow *n) {
  moire__loop_builder *b = &l->builder;
  moire__narrow_add_locals(l, n);
  moire__narrow_part p = {.t = t, .n = n};
  range k = {t->k_low, t->k_high};
  if (n->resumes) { /* at least one part, which stores zeros if k is empty */
    moire__loop_value depth = moire__loop_index(b, n->depth), one = moire__loop_index(b, 1);
    moire__loop_value all = moire__loop_binary(b, MOIRE__LOOP_sub, t->k_high, t->k_low);
    all = moire__lower_add(l, all, moire__loop_index(b, n->depth - 1));
    moire__loop_value parts = moire__loop_binary(b, MOIRE__LOOP_div, all, depth);
    parts = moire__loop_binary(b, MOIRE__LOOP_max, parts, one);
    moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), parts, 1, 1);
    p.is_first = moire__loop_binary(b, MOIRE__LOOP_lt, i, one);
    k.low = moire__lower_add(l, t->k_low, moire__lower_mul(l, i, depth));
    k.high = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, k.low, depth), t->k_high);
  }
  p.steps = moire__narrow_steps(l, n, k.low, k.high);
  if (n->whole && !n->elements)
    moire__narrow_tile_pack_b(l, t, n, t->n_low, t->n_high, k.low, k.high, moire__loop_index(b, 0));
  moire__loop_value rows = moire__loop_index(b, n->rows);
  p.m0 = moire__loop_for(b, t->m_low, t->m_high, n->rows, 1);
  moire__loop_value m1 = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, p.m0, rows), t->m_high);
  moire__narrow_pack_a(l, t, n, p.m0, m1, k.low, k.high);
  panels(l, &p, m1, k);
  moire__loop_end(b);
  if (n->resumes) moire__loop_end(b);
}

/* A product whose b was packed beforehand; *at: where the panel's begins. */
static moire__narrow_part of_panel(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                                   moire__loop_value panel, moire__loop_value *at) {
  moire__narrow_part p = {.t = t, .n = n, .m0 = t->m_low};
  p.steps = moire__narrow_steps(l, n, t->k_low, t->k_high);
  *at = moire__lower_mul(l, panel, moire__loop_index(&l->builder, n->elements * n->lanes));
  return p;
}

void moire__narrow_emit_panel(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                              moire__loop_value panel) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value at = 0;
  moire__narrow_part p = of_panel(l, t, n, panel, &at);
  tiles_of_panel(l, &p, t->m_high, moire__loop_index(b, 0), moire__loop_index(b, n->lanes), at);
}

void moire__narrow_emit_sums(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                             moire__loop_value panel, moire__loop_value m, moire__loop_value high) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value at = 0, side = moire__loop_index(b, MOIRE__LOOP_TILE_SIDE);
  moire__narrow_part p = of_panel(l, t, n, panel, &at);
  moire__loop_value rows = moire__loop_binary(b, MOIRE__LOOP_sub, high, m);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, side, rows));
  moire__narrow_tile_sums(l, &p, n->tile / MOIRE__LOOP_TILE_SIDE, m, at);
  moire__loop_end(b);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_le, rows, side));
  moire__narrow_tile_sums(l, &p, 1, m, at);
  moire__loop_end(b);
}

void moire__narrow_emit_packing(moire__lowering *l, const moire__tiles *t, const moire__narrow *n) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value panel = l->kernel->parallel, lanes = moire__loop_index(b, n->lanes);
  moire__loop_value low = moire__lower_add(l, t->n_low, moire__lower_mul(l, panel, lanes));
  moire__loop_value high = moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, low, lanes), t->n_high);
  moire__loop_value at = moire__lower_mul(l, panel, moire__loop_index(b, panel_pitch(n)));
  moire__narrow_pack_b(l, t, n, low, high, t->k_low, t->k_high, at);
}
