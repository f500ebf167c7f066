/* Real products by blocks: see ops/product/blocked.h. */
#include "ops/product/blocked.h"

#include "ops/product/panels.h"
#include "ops/product/thin.h"

/* Rows of a block, in tiles of at least a dozen rows, and in the low ones of 16 registers; elements of k in a
 * part. A block of rows and a part of k shall leave half of a second cache of 1 MiB to the panels, and two
 * fifths of one of 512 KiB beside low tiles. */
enum {
  TILES = 8,
  FEW_TILES = 4,
  LOW_TILES = 12,
  FEW_LOW_TILES = 8,
  DEPTH = MOIRE__PRODUCT_WHOLE,
  MANY_ROWS = 1024
};
/* With low tiles, of a product that is cut along k, and whose b, read as it lies, shall stay in the first
 * cache. */
enum { CUT_TILES = 16, CUT_DEPTH = 64 };
/* Rows of b that are read beside each other where a has few rows. */
enum { STREAMS = 8 };

/* ---- what pays --------------------------------------------------------------------------------------------
 */

bool moire__blocked_stays(moire_dim lines, moire_dim stride, int64_t run) {
  enum { LINE = 16, SETS = 64, WAYS = 6, PAGES = 48, PAGE = 1024 };
  if (!moire__dim_is_static(lines) || !moire__dim_is_static(stride)) return false;
  int64_t n = moire__dim_factor(lines), apart = moire__dim_factor(stride);
  if (n * apart <= SETS * WAYS * LINE) return true;
  if (n > PAGES && apart >= PAGE) return false;
  int64_t distance = apart % LINE ? 1 : apart / LINE, sets = SETS;
  while (distance % 2 == 0 && sets > 1) distance /= 2, sets /= 2;
  int64_t per_run = (run + LINE - 1) / LINE, used = sets * per_run < SETS ? sets * per_run : SETS;
  return n * per_run <= used * WAYS;
}

static moire__blocked_form form_of_b(const moire__blocked *n, const moire__blocked_shape *s) {
  enum { FAR = 512 }; /* rows of which a page holds two */
  bool unit = s->b_column == 1 || s->n == 1;
  moire_dim depth = moire__dim_is_at_least(s->k, DEPTH) ? DEPTH : s->k;
  bool far = s->cut && moire__dim_is_at_least(s->b_row, FAR);
  if (s->rounds) return s->batched || s->cut || !n->columns ? MOIRE__BLOCKED_BY_PANEL : MOIRE__BLOCKED_FIRST;
  if (unit && !far &&
      (s->cut || !moire__dim_is_at_least(s->m, 2 * n->tile) || moire__blocked_stays(depth, s->b_row, n->lanes)))
    return MOIRE__BLOCKED_AS_IT_LIES;
  bool shared = !s->batched && !s->cut && n->columns && moire__dim_is_at_least(s->m, n->rows + 1);
  return shared ? MOIRE__BLOCKED_FIRST : MOIRE__BLOCKED_BY_PANEL;
}

static bool is_few(moire_dim d, int64_t most) { return moire__dim_is_static(d) && d > 0 && d <= most; }

/* Copying rows takes two accesses for a vector of numbers, each of which every panel reads. A product that is
 * cut has some hundred lines of a transposed a in a piece. */
static bool copies_rows(const moire__lowering *l, const moire__blocked *n, const moire__blocked_shape *s) {
  enum { PANELS = 4, MANY_PANELS = 16, LONG = 512, CUT_LINES = 256, FEW = 3 };
  if (s->rounds) return true;
  if (!moire__dim_is_at_least(s->n, PANELS * n->lanes) || is_few(s->m, FEW)) return false;
  if (s->cut)
    return moire__panel_ahead(l) && !n->along_k && !moire__blocked_stays(CUT_LINES, s->a_column, n->tile);
  if (moire__dim_is_at_least(s->n, MANY_PANELS * n->lanes) && moire__dim_is_at_least(s->k, LONG)) return true;
  if (n->along_k) return !moire__blocked_stays(n->tile, s->a_row, 16);
  return !moire__blocked_stays(moire__dim_is_at_least(s->k, DEPTH) ? DEPTH : s->k, s->a_column, n->tile);
}

/* Where little is added up, storing takes most of the time: rows of one tile then, since each row of the result
 * is a page of its own, if the panels that they all read anew stay near. */
static int tiles_of_block(const moire__lowering *l, const moire__blocked_shape *s) {
  enum { SHALLOW = 64, WIDE = 1024, NEAR = 1 << 20 };
  bool fixed = moire__dim_is_static(s->k) && moire__dim_is_static(s->n), low = moire__lower_few_registers(l);
  if (s->cut && low) return CUT_TILES;
  if (fixed && s->k <= SHALLOW && s->n >= WIDE && s->k * s->n <= NEAR) return 1;
  if (moire__dim_is_at_least(s->m, MANY_ROWS)) return low ? LOW_TILES : TILES;
  return low ? FEW_LOW_TILES : FEW_TILES;
}

static bool b_lies_along_k(const moire__blocked_shape *s) { return s->b_row == 1 || s->k == 1; }

/* The nest for `columns` of b: tiles, unless there are few of them, or of rows. Where columns are copied for
 * dots, k must be known. */
static moire__blocked_nest nest_of(const moire__blocked *n, const moire__blocked_shape *s, moire_dim columns) {
  enum { SHORT = 32, LONG = 1 << 14, MANY = 32 };
  if (s->rounds) return MOIRE__BLOCKED_TILES;
  bool many = moire__dim_is_at_least(s->m, MANY), b_along = b_lies_along_k(s);
  bool dots = n->along_k && (s->cut || moire__dim_is_at_least(s->k, SHORT)) && !s->batched;
  bool can_be_copied = moire__dim_is_static(s->k) && s->k * moire__dim_factor(columns) <= LONG;
  if (dots && is_few(s->m, MOIRE__THIN_DOTS) && b_along) return MOIRE__BLOCKED_DOTS;
  if (dots && is_few(columns, MOIRE__THIN_DOTS) && many && (b_along || can_be_copied))
    return MOIRE__BLOCKED_DOTS;
  bool across = s->a_row == 1 && is_few(columns, MOIRE__THIN_ACROSS) && many;
  return across ? MOIRE__BLOCKED_ACROSS : MOIRE__BLOCKED_TILES;
}

/* Columns of a tile: two vectors; less where there are fewer columns; more of few rows, whose sums would wait
 * for each other. */
static int lanes_of(const moire__lowering *l, const moire__blocked_shape *s) {
  int vector = l->target.lanes, lanes = 2 * vector;
  if (is_few(s->m, 3) && moire__dim_is_at_least(s->n, 2 * lanes) && 5 * (s->m + 1) < l->target.registers)
    return 2 * lanes;
  while (lanes > 4 && is_few(s->n, lanes / 2)) lanes /= 2;
  return lanes;
}

/* For an element of k of m rows by tiles of `rows`, of half as many, and of one: multiply-adds that a processor
 * starts meanwhile, `least` of them before a sum is there again. */
static int64_t starts_of(int64_t m, int rows, int width, int64_t least) {
  const int heights[] = {rows, rows > 3 ? rows / 2 : 0, 1};
  int64_t starts = 0;
  for (int i = 0; i < 3; i++) {
    if (!heights[i]) continue;
    int64_t sums = (int64_t)heights[i] * width;
    starts += m / heights[i] * (sums > least ? sums : least);
    m %= heights[i];
  }
  return starts;
}

/* Rows of a tile: as many as the registers hold, or fewer, where less is left over then. A sum takes four
 * cycles, of one multiply-add each with 32 registers (on some processors of two) and of two with 16; there four
 * rows have just enough sums, and must gain a twentieth. */
static int rows_of(const moire__lowering *l, const moire__blocked_shape *s, int lanes) {
  enum { MANY = 256, FEWEST = 6, FEWEST_LOW = 4, MOST = 16, LATENCY = 4 };
  bool low = moire__lower_few_registers(l);
  int64_t least = low ? 2 * LATENCY : LATENCY;
  int width = (lanes + l->target.lanes - 1) / l->target.lanes;
  int most = (l->target.registers - width - 1) / width, best;
  if (most > MOST) most = MOST;
  if (most < 1) most = 1;
  if (!is_few(s->m, MANY)) return most;
  if (s->m <= most) return (int)s->m;
  best = most;
  for (int rows = most - 1; rows >= (low ? FEWEST_LOW : FEWEST); rows--) {
    int64_t starts = starts_of(s->m, rows, width, least), before = starts_of(s->m, best, width, least);
    if (low ? 20 * starts < 19 * before : starts < before) best = rows;
  }
  return best;
}

static void choose_nests(moire__blocked *n, const moire__blocked_shape *s) {
  int64_t left = n->columns % n->lanes;
  n->nest = nest_of(n, s, s->n);
  bool has_rest = n->nest == MOIRE__BLOCKED_TILES && n->columns > n->lanes && left &&
                  n->b_form == MOIRE__BLOCKED_AS_IT_LIES && !n->copies_a;
  if (has_rest) n->rest = nest_of(n, s, left);
  if (n->rest != MOIRE__BLOCKED_TILES) n->left = (int)left;
  if (n->nest == MOIRE__BLOCKED_TILES && !n->left) return;
  n->b_form = MOIRE__BLOCKED_AS_IT_LIES;
  n->copies_a = false;
  bool dots = n->nest == MOIRE__BLOCKED_DOTS || n->rest == MOIRE__BLOCKED_DOTS;
  if (dots && is_few(s->m, MOIRE__THIN_DOTS) && b_lies_along_k(s))
    n->few_rows = (int)s->m;
  else
    n->few_columns = n->left ? n->left : (int)n->columns;
  n->copies_columns = dots && !n->few_rows && !b_lies_along_k(s);
}

/* A matrix that a few rows meet once is read from memory: a few of its rows at a time, each from end to end. A
 * column of tiles would read a page for every line. */
static bool streams(const moire__lowering *l, const moire__blocked *n, const moire__blocked_shape *s) {
  enum { ROWS = 3, PAGE = 1024, LARGE = 1 << 18 };
  bool tiles =
      n->nest == MOIRE__BLOCKED_TILES && !n->left && n->b_form == MOIRE__BLOCKED_AS_IT_LIES && !n->copies_a;
  bool fixed = moire__dim_is_static(s->k) && moire__dim_is_static(s->n) && moire__dim_is_static(s->b_row);
  return tiles && fixed && is_few(s->m, ROWS) && s->b_row >= PAGE && s->k * s->n >= LARGE && !l->n_epilogue;
}

moire__blocked moire__blocked_choose(const moire__lowering *l, const moire__blocked_shape *s) {
  moire__blocked n = {.along_k = s->a_column == 1 || s->k == 1, .k = s->k};
  if (moire__dim_is_static(s->n)) n.columns = moire__dim_factor(s->n);
  n.lanes = lanes_of(l, s);
  n.tile = rows_of(l, s, n.lanes);
  n.rows = n.tile * tiles_of_block(l, s);
  if (!moire__dim_is_at_least(s->m, n.rows)) n.rows = moire__lower_round_up(moire__dim_factor(s->m), n.tile);
  if (n.rows < 1) n.rows = 1;
  if (l->target.small_blocks) n.rows = moire__lower_block(l, n.rows);
  n.b_form = form_of_b(&n, s);
  n.copies_a = copies_rows(l, &n, s);
  n.halves = s->rounds && n.b_form == MOIRE__BLOCKED_FIRST && l->g->mode != MOIRE_TRAINING;
  choose_nests(&n, s);
  if (n.nest == MOIRE__BLOCKED_DOTS && is_few(s->m, MANY_ROWS)) n.rows = s->m; /* copies columns once */
  n.by_tile = n.copies_a && !n.along_k && moire__panel_ahead(l);
  n.depth = moire__lower_block(l, n.by_tile && s->cut ? CUT_DEPTH : DEPTH);
  bool moves = n.copies_a || n.b_form != MOIRE__BLOCKED_AS_IT_LIES;
  n.resumes = moves && moire__dim_is_at_least(s->k, MOIRE__PRODUCT_WHOLE + 1); /* fuse relies on it */
  if (streams(l, &n, s)) {
    n.depth = moire__lower_block(l, STREAMS);
    n.resumes = true;
  }
  if (!n.resumes && moire__dim_is_static(s->k)) n.depth = moire__dim_factor(s->k);
  if (n.depth < 1) n.depth = 1;
  return n;
}

static const char *words_of_nest(moire__blocked_nest nest) {
  static const char *const words[] = {[MOIRE__BLOCKED_TILES] = "",
                                      [MOIRE__BLOCKED_DOTS] = "dots along k",
                                      [MOIRE__BLOCKED_ACROSS] = "lanes along rows"};
  return words[nest];
}

const char *moire__blocked_say(const moire__lowering *l, const moire__blocked *n) {
  static const char *const forms[] = {[MOIRE__BLOCKED_AS_IT_LIES] = "b as it lies",
                                      [MOIRE__BLOCKED_BY_PANEL] = "b packed by the piece",
                                      [MOIRE__BLOCKED_FIRST] = "b packed before"};
  if (n->nest != MOIRE__BLOCKED_TILES) return words_of_nest(n->nest);
  const char *parts = "", *left = "";
  if (n->resumes) parts = moire__arena_printf(l->arena, ", k in parts of %lld", (long long)n->depth);
  if (n->left)
    left = moire__arena_printf(l->arena, ", %d columns that are left by %s", n->left, words_of_nest(n->rest));
  return moire__arena_printf(l->arena, "%s%s%s%s, tiles of %d x %d%s", forms[n->b_form],
                             n->halves ? " as bf16" : "", n->copies_a ? ", rows copied" : "", parts, n->tile,
                             n->lanes, left);
}

int64_t moire__blocked_panels(const moire__blocked *n) { return (n->columns + n->lanes - 1) / n->lanes; }

moire_dim moire__blocked_elements(const moire__blocked *n) {
  moire_dim elements = 0;
  moire__dim_multiply(n->k, moire__blocked_panels(n) * n->lanes, &elements);
  return elements;
}

/* ---- packing b --------------------------------------------------------------------------------------------
 */

/* Rows of k and columns, vectors of columns. */
static void copy_numbers(moire__lowering *l, const moire__tiles *t, const moire__blocked *n,
                         moire__loop_value at, moire__panel_range k, moire__panel_range columns) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value i = moire__loop_for(b, k.low, k.high, 1, 1);
  if (moire__panel_ahead(l)) moire__panel_fetch(l, &t->b, i, columns.low, true);
  moire__loop_value j = moire__loop_for(b, columns.low, columns.high, 1, n->lanes);
  moire__loop_store(b, n->b, moire__panel_place(l, t, n->lanes, at, i, j),
                    moire__tile_element(l, &t->b, 0, i, j));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* The same of a square that is turned first, by way of a local one. */
static void round_square(moire__lowering *l, const moire__tiles *t, const moire__blocked *n,
                         moire__loop_buffer square, moire__loop_value place, int side) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value row = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, side), 1, 1);
  moire__loop_value lane = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, side), 1, side);
  moire__loop_value from = moire__lower_add(l, moire__panel_times(l, row, side), lane);
  moire__loop_value to =
      moire__lower_add(l, place, moire__lower_add(l, moire__panel_times(l, row, n->lanes), lane));
  moire__loop_store(b, n->b, to, moire__tile_number(l, &t->b, moire__loop_load(b, square, from)));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* Where memory runs along k, squares of one vector a side are turned in registers; what is left is gathered. */
static void turn_numbers(moire__lowering *l, const moire__tiles *t, const moire__blocked *n,
                         moire__loop_value at, moire__panel_range k, moire__panel_range columns) {
  moire__loop_builder *b = &l->builder;
  int side = l->target.lanes < n->lanes ? l->target.lanes : n->lanes;
  moire__loop_buffer square = 0;
  bool rounds = n->halves || t->b.narrow;
  if (rounds) square = moire__loop_add_local(l->kernel, "square", t->type, (int64_t)side * side);
  moire__panel_range whole[2];
  moire__panel_squares(l, side, k, columns, whole);
  moire__loop_value j = moire__loop_for(b, whole[1].low, whole[1].high, side, 1);
  moire__loop_value i = moire__loop_for(b, whole[0].low, whole[0].high, side, 1);
  moire__loop_value place = moire__panel_place(l, t, n->lanes, at, i, j);
  moire__loop_turn(b, rounds ? square : n->b, rounds ? moire__loop_index(b, 0) : place,
                   rounds ? side : n->lanes, t->b.buffer[0], moire__tile_address(l, &t->b, 0, i, j),
                   t->b.column[0], side);
  if (rounds) round_square(l, t, n, square, place, side);
  moire__loop_end(b);
  moire__loop_end(b);
  copy_numbers(l, t, n, at, (moire__panel_range){whole[0].high, k.high}, columns);
  if (!n->columns || n->columns % side)
    copy_numbers(l, t, n, at, (moire__panel_range){k.low, whole[0].high},
                 (moire__panel_range){whole[1].high, columns.high});
}

/* The panel of t's columns, from element `at` of n->b on. */
static void pack_panel(moire__lowering *l, const moire__tiles *t, const moire__blocked *n,
                       moire__loop_value at) {
  moire__loop_value one = moire__loop_index(&l->builder, 1);
  moire__panel_range k = {t->k_low, t->k_high}, columns = {t->n_low, t->n_high};
  if (t->b.column[0] != one && t->b.row[0] == one)
    turn_numbers(l, t, n, at, k, columns);
  else
    copy_numbers(l, t, n, at, k, columns);
}

void moire__blocked_emit_packing(moire__lowering *l, const moire__tiles *t, const moire__blocked *n) {
  moire__tiles one = moire__panel_of_piece(l, t, n->columns, n->lanes);
  if (n->halves) one.b.narrow = false; /* a store into a buffer of bf16 rounds by itself */
  moire__loop_value of_panel = moire__panel_times(l, moire__loop_extent(&l->builder, n->k), n->lanes);
  pack_panel(l, &one, n, moire__lower_mul(l, l->kernel->parallel, of_panel));
}

/* ---- rows of a --------------------------------------------------------------------------------------------
 */

static moire__panel_copy copy_of(const moire__blocked *n) {
  return (moire__panel_copy){n->along_k, n->by_tile, n->tile, n->rows, n->depth};
}

static void add_locals(moire__lowering *l, const moire__tiles *t, moire__blocked *n) {
  const moire__panel_copy copy = copy_of(n);
  if (n->copies_a)
    n->a = moire__loop_add_local(l->kernel, "rows", t->type, moire__panel_copy_elements(l, &copy));
  if (n->b_form == MOIRE__BLOCKED_BY_PANEL)
    n->b = moire__loop_add_local(l->kernel, "panel", t->type, n->depth * n->lanes);
  if (n->copies_columns)
    n->few = moire__loop_add_local(l->kernel, "columns", t->type, n->depth * n->few_columns);
}

typedef struct copying {
  const moire__tiles *t;
  const moire__blocked *n;
} copying;

static void put_number(moire__lowering *l, void *context, moire__loop_value m, moire__loop_value k,
                       moire__loop_value to) {
  const copying *c = context;
  moire__loop_store(&l->builder, c->n->a, to, moire__tile_element(l, &c->t->a, 0, m, k));
}

/* Copies t's rows and k, and has t read the copy. */
static void copy_rows(moire__lowering *l, moire__tiles *t, const moire__blocked *n) {
  const moire__panel_copy copy = copy_of(n);
  const moire__tile_matrix rows = moire__panel_copy_matrix(l, t, &copy, n->a);
  moire__panel_copy_emit(l, t, &copy, &rows, put_number, &(copying){t, n});
  t->a = rows;
}

/* ---- few rows or columns ----------------------------------------------------------------------------------
 */

/* Copies the few columns from t->n_low on so that they lie along k, and has t read the copy. */
static void copy_columns(moire__lowering *l, moire__tiles *t, const moire__blocked *n) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value line = moire__loop_index(b, n->depth), one = moire__loop_index(b, 1);
  moire__tile_matrix copy = {.planes = 1, .buffer = {n->few}, .row = {one}, .column = {line}};
  copy.base[0] = moire__panel_minus(l, moire__loop_index(b, 0), moire__lower_mul(l, t->n_low, line));
  moire__loop_value k = moire__loop_for(b, t->k_low, t->k_high, 1, 1);
  for (int c = 0; c < n->few_columns; c++) {
    moire__loop_value column = moire__lower_add(l, t->n_low, moire__loop_index(b, c));
    moire__loop_store(b, n->few, moire__tile_address(l, &copy, 0, k, column),
                      moire__tile_element(l, &t->b, 0, k, column));
  }
  moire__loop_end(b);
  t->b = copy;
}

static void thin(moire__lowering *l, const moire__tiles *t, const moire__blocked *n, moire__blocked_nest nest) {
  if (nest == MOIRE__BLOCKED_DOTS)
    moire__thin_dots(l, t, n->few_rows, n->few_columns);
  else
    moire__thin_across(l, t, n->few_columns);
}

/* Panels as they lie, and then the columns that fill none. */
static void as_it_lies(moire__lowering *l, const moire__tiles *whole, const moire__blocked *n) {
  moire__loop_builder *b = &l->builder;
  moire__tiles t = *whole, rest = *whole;
  if (n->left) t.n_high = rest.n_low = moire__panel_minus(l, whole->n_high, moire__loop_index(b, n->left));
  moire__tiles_emit(l, &t);
  if (!n->left) return;
  if (n->copies_columns) copy_columns(l, &rest, n);
  thin(l, &rest, n, n->rest);
}

/* ---- products ---------------------------------------------------------------------------------------------
 */

void moire__blocked_panel(moire__lowering *l, const moire__tiles *t, const moire__blocked *n) {
  moire__loop_builder *b = &l->builder;
  moire__tiles one = *t;
  if (n->nest != MOIRE__BLOCKED_TILES) {
    thin(l, t, n, n->nest);
    return;
  }
  if (n->b_form == MOIRE__BLOCKED_BY_PANEL) pack_panel(l, t, n, moire__loop_index(b, 0));
  if (n->b_form != MOIRE__BLOCKED_AS_IT_LIES) {
    moire__loop_value at;
    if (n->b_form == MOIRE__BLOCKED_FIRST) {
      moire__loop_value number =
          moire__loop_binary(b, MOIRE__LOOP_div, t->n_low, moire__loop_index(b, n->lanes));
      at = moire__lower_mul(l, number, moire__panel_times(l, moire__loop_extent(b, n->k), n->lanes));
    } else {
      at = moire__panel_minus(l, moire__loop_index(b, 0), moire__panel_times(l, t->k_low, n->lanes));
    }
    one.b = moire__panel_matrix(l, t, n->b, n->lanes, at);
  }
  if (n->b_form == MOIRE__BLOCKED_FIRST) one.ahead = moire__panel_ahead(l);
  one.is_first = n->is_first;
  moire__tiles_emit(l, &one);
}

moire__tiles moire__blocked_begin(moire__lowering *l, const moire__tiles *t, moire__blocked *n) {
  moire__tiles block = *t;
  add_locals(l, t, n);
  if (n->copies_a) copy_rows(l, &block, n);
  if (n->copies_columns && !n->left) copy_columns(l, &block, n);
  return block;
}

/* Where a block has only a few rows, several panels at once. Returns the column from which on they are taken
 * one by one: of more rows the first. */
static moire__loop_value panels_of_few_rows(moire__lowering *l, const moire__tiles *t,
                                            const moire__blocked *n) {
  enum { PANELS = 4, FEW = 3 };
  moire__loop_builder *b = &l->builder;
  bool packed = n->b_form == MOIRE__BLOCKED_FIRST && n->columns >= (int64_t)PANELS * n->lanes;
  if (!packed || n->tile <= FEW || l->g->mode == MOIRE_TRAINING) return t->n_low;
  moire__loop_value rows = moire__panel_minus(l, t->m_high, t->m_low);
  moire__loop_value few = moire__loop_binary(b, MOIRE__LOOP_le, rows, moire__loop_index(b, FEW));
  int64_t wide = (int64_t)PANELS * n->lanes;
  moire__loop_value all = moire__lower_add(l, t->n_low, moire__loop_index(b, n->columns / wide * wide));
  moire__loop_value end = moire__loop_ternary(b, MOIRE__LOOP_select, few, all, t->n_low);
  moire__tiles group = *t;
  group.n_low = moire__loop_for(b, t->n_low, end, wide, 1);
  group.lanes = n->lanes;
  group.is_first = n->is_first;
  moire__loop_value number =
      moire__loop_binary(b, MOIRE__LOOP_div, group.n_low, moire__loop_index(b, n->lanes));
  moire__loop_value panel = moire__panel_times(l, moire__loop_extent(b, n->k), n->lanes);
  group.b = moire__panel_matrix(l, &group, n->b, n->lanes, moire__lower_mul(l, number, panel));
  moire__tiles_emit_side_by_side(l, &group, PANELS, panel);
  moire__loop_end(b);
  return end;
}

void moire__blocked_emit(moire__lowering *l, const moire__tiles *whole, moire__blocked *n) {
  moire__loop_builder *b = &l->builder;
  moire__tiles t = *whole;
  add_locals(l, &t, n);
  if (n->nest != MOIRE__BLOCKED_TILES) {
    if (n->copies_columns) copy_columns(l, &t, n);
    thin(l, &t, n, n->nest);
    return;
  }
  if (!n->copies_a && n->b_form == MOIRE__BLOCKED_AS_IT_LIES && !n->resumes) {
    as_it_lies(l, &t, n);
    return;
  }
  if (n->resumes) n->is_first = moire__panel_open_parts(l, &t, n->depth);
  t.m_low = moire__loop_for(b, whole->m_low, whole->m_high, n->rows, 1);
  t.m_high = moire__lower_add(l, t.m_low, moire__loop_index(b, n->rows));
  t.m_high = moire__loop_binary(b, MOIRE__LOOP_min, t.m_high, whole->m_high);
  if (n->copies_a) copy_rows(l, &t, n);
  t.n_low = moire__loop_for(b, panels_of_few_rows(l, &t, n), whole->n_high, n->lanes, 1);
  t.n_high = moire__lower_add(l, t.n_low, moire__loop_index(b, n->lanes));
  if (!n->columns || n->columns % n->lanes)
    t.n_high = moire__loop_binary(b, MOIRE__LOOP_min, t.n_high, whole->n_high);
  moire__blocked_panel(l, &t, n);
  moire__loop_end(b);
  moire__loop_end(b);
  if (n->resumes) moire__loop_end(b);
}
