/* Complex products as three real ones: see ops/product/triple.h.
 *
 *   p = x u,   q = y v,   r = (x + y)(u + v):   re = p - q,   im = r - (p + q)
 *
 * Each is a product of its own and not a third of one loop over k: three sums at once would need three times
 * the registers, so that a tile had a third of the rows, and every number that it loads would meet a third of
 * the others.
 */
#include "ops/product/triple.h"

#include "ops/product/blocked.h"
#include "ops/product/panels.h"

/* Numbers of a row that are copied, and rows of such; the same by tiles. */
enum { MOST_ROWS = 128, DEPTH = 256, LONG = 512, LONG_ROWS = 32, TILES_DEPTH = 128, TILES_ROWS = 96 };

/* ---- sizes ------------------------------------------------------------------------------------------------
 */

/* Rows of a tile. A tile of 4 by 2 vectors loads three numbers for four multiply-adds, and has as many sums as
 * hide their latency and none to spare: where another thread shares the core, 6 rows are a tenth faster. */
static int rows_of_tile(const moire__lowering *l, int width) {
  return width == 2 && moire__lower_few_registers(l) ? 6 : moire__tiles_even_rows(l, 1, 1, width);
}

moire__triple moire__triple_choose(const moire__lowering *l, const moire__tiles *t, moire_dim k,
                                   int64_t most_rows, bool along_k, moire_dim pitch) {
  moire__triple n = {.lanes = 2 * l->target.lanes, .along_k = along_k};
  if (moire__dim_is_static(t->n_extent)) n.columns = moire__dim_factor(t->n_extent);
  if (n.columns && n.columns <= l->target.lanes) n.lanes = l->target.lanes;
  n.tile = rows_of_tile(l, n.lanes / l->target.lanes);
  n.rows = most_rows < MOST_ROWS ? most_rows : MOST_ROWS;
  if (n.rows < 1) n.rows = 1;
  if (!l->target.small_blocks) n.rows = moire__lower_round_up(n.rows, n.tile);
  n.resumes = !moire__dim_is_static(k) || moire__dim_factor(k) > MOIRE__PRODUCT_WHOLE;
  n.by_tile = !along_k && moire__panel_ahead(l);
  n.depth = n.resumes ? moire__lower_block(l, n.by_tile ? TILES_DEPTH : DEPTH) : moire__dim_factor(k);
  if (n.depth < 1) n.depth = 1;
  bool share = along_k && n.depth >= LONG && !moire__blocked_stays(n.tile, pitch, l->target.lanes);
  n.copies = share || t->a.narrow || n.by_tile;
  if (n.copies && n.depth >= LONG && n.rows > LONG_ROWS && !l->target.small_blocks)
    n.rows = moire__lower_round_up(LONG_ROWS, n.tile);
  if (n.by_tile && n.depth <= TILES_DEPTH && n.rows > TILES_ROWS / 2 && !l->target.small_blocks)
    n.rows = TILES_ROWS;
  return n;
}

bool moire__triple_pack_first(moire__triple *n, moire_dim k) {
  if (!moire__dim_is_static(k) || !n->columns) return false;
  n->elements = moire__dim_factor(k);
  return n->elements > 0;
}

int64_t moire__triple_panels(const moire__triple *n) { return (n->columns + n->lanes - 1) / n->lanes; }

int64_t moire__triple_elements(const moire__triple *n) {
  return moire__triple_panels(n) * 3 * n->elements * n->lanes;
}

/* Elements from one of the matrices of a panel to the next. */
static int64_t distance(const moire__triple *n) { return (n->elements ? n->elements : n->depth) * n->lanes; }

static moire__panel_copy copy_of(const moire__triple *n) {
  return (moire__panel_copy){n->along_k, n->by_tile, n->tile, n->rows, n->depth};
}

static moire__tile_matrix plane_of(const moire__tile_matrix *x, int plane) {
  return (moire__tile_matrix){.planes = 1,
                              .buffer = {x->buffer[plane]},
                              .base = {x->base[plane]},
                              .row = {x->row[plane]},
                              .column = {x->column[plane]},
                              .narrow = x->narrow};
}

/* ---- packing ----------------------------------------------------------------------------------------------
 */

static void pack_element(moire__lowering *l, const moire__tiles *t, const moire__triple *n,
                         moire__loop_value at, moire__loop_value k, moire__loop_value column) {
  moire__loop_value to = moire__panel_place(l, t, n->lanes, at, k, column);
  moire__loop_value u = moire__tile_element(l, &t->b, 0, k, column),
                    v = moire__tile_element(l, &t->b, 1, k, column);
  const moire__loop_value matrices[] = {u, v, moire__lower_add(l, u, v)};
  for (int i = 0; i < 3; i++) {
    moire__loop_value of_matrix = moire__loop_index(&l->builder, i * distance(n));
    moire__loop_store(&l->builder, n->b, moire__lower_add(l, to, of_matrix), matrices[i]);
  }
}

/* Numbers of k and columns: those of memory's order inside. */
static void pack_numbers(moire__lowering *l, const moire__tiles *t, const moire__triple *n,
                         moire__loop_value at, moire__panel_range k, moire__panel_range columns) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value i = moire__loop_for(b, k.low, k.high, 1, 1);
  moire__loop_value j = moire__loop_for(b, columns.low, columns.high, 1, n->lanes);
  pack_element(l, t, n, at, i, j);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* u and v of a square from (k, column) on, turned; then, where they are packed, the sign of v and u + v. */
static void turn_square(moire__lowering *l, const moire__tiles *t, const moire__triple *n, moire__loop_value at,
                        moire__loop_value k, moire__loop_value column, int side) {
  moire__loop_builder *b = &l->builder;
  at = moire__panel_place(l, t, n->lanes, at, k, column);
  for (int i = 0; i < 2; i++) {
    moire__loop_value to = moire__lower_add(l, at, moire__loop_index(b, i * distance(n)));
    moire__loop_turn(b, n->b, to, n->lanes, t->b.buffer[i], moire__tile_address(l, &t->b, i, k, column),
                     t->b.column[i], side);
  }
  moire__loop_value row = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, side), 1, 1);
  moire__loop_value lane = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, side), 1, side);
  moire__loop_value of_u =
      moire__lower_add(l, moire__lower_add(l, at, moire__panel_times(l, row, n->lanes)), lane);
  moire__loop_value of_v = moire__lower_add(l, of_u, moire__loop_index(b, distance(n)));
  moire__loop_value u = moire__tile_number(l, &t->b, moire__loop_load(b, n->b, of_u)),
                    v = moire__tile_number(l, &t->b, moire__loop_load(b, n->b, of_v));
  if (t->b.narrow) moire__loop_store(b, n->b, of_u, u);
  if (t->b.conjugate) v = moire__loop_unary(b, MOIRE__LOOP_neg, v);
  if (t->b.conjugate || t->b.narrow) moire__loop_store(b, n->b, of_v, v);
  moire__loop_store(b, n->b, moire__lower_add(l, of_u, moire__loop_index(b, 2 * distance(n))),
                    moire__lower_add(l, u, v));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* Where memory runs along k, squares of one vector a side are turned in registers; what is left is gathered. */
static void turn_numbers(moire__lowering *l, const moire__tiles *t, const moire__triple *n,
                         moire__loop_value at, moire__panel_range k, moire__panel_range columns) {
  moire__loop_builder *b = &l->builder;
  int side = l->target.lanes;
  moire__panel_range whole[2];
  moire__panel_squares(l, side, k, columns, whole);
  moire__loop_value j = moire__loop_for(b, whole[1].low, whole[1].high, side, 1);
  moire__loop_value i = moire__loop_for(b, whole[0].low, whole[0].high, side, 1);
  turn_square(l, t, n, at, i, j, side);
  moire__loop_end(b);
  moire__loop_end(b);
  if (!n->depth || n->depth % side || n->resumes)
    pack_numbers(l, t, n, at, (moire__panel_range){whole[0].high, k.high}, columns);
  if (!n->columns || n->columns % side)
    pack_numbers(l, t, n, at, (moire__panel_range){k.low, whole[0].high},
                 (moire__panel_range){whole[1].high, columns.high});
}

/* The panel of t's columns, from element `at` of n->b on. */
static void pack_panel(moire__lowering *l, const moire__tiles *t, const moire__triple *n,
                       moire__loop_value at) {
  moire__loop_value one = moire__loop_index(&l->builder, 1);
  moire__panel_range k = {t->k_low, t->k_high}, columns = {t->n_low, t->n_high};
  bool across = t->b.row[0] == one && t->b.row[1] == one && t->b.column[0] != one && t->b.column[1] != one;
  if (across && t->type == MOIRE__LOOP_F32)
    turn_numbers(l, t, n, at, k, columns);
  else
    pack_numbers(l, t, n, at, k, columns);
}

void moire__triple_emit_packing(moire__lowering *l, const moire__tiles *t, const moire__triple *n) {
  moire__tiles one = moire__panel_of_piece(l, t, n->columns, n->lanes);
  pack_panel(l, &one, n, moire__panel_times(l, l->kernel->parallel, 3 * distance(n)));
}

static void add_locals(moire__lowering *l, const moire__tiles *t, moire__triple *n) {
  const moire__panel_copy copy = copy_of(n);
  int64_t elements = moire__panel_copy_elements(l, &copy);
  n->sum = moire__loop_add_local(l->kernel, "sum", t->type, elements);
  n->p = moire__loop_add_local(l->kernel, "p", t->type, n->rows * n->lanes);
  for (int i = 0; i < 2 && n->copies; i++)
    n->rows_of[i] = moire__loop_add_local(l->kernel, i ? "y" : "x", t->type, elements);
  if (!n->elements) n->b = moire__loop_add_local(l->kernel, "b", t->type, 3 * distance(n));
}

typedef struct summing {
  const moire__tiles *t;
  const moire__triple *n;
} summing;

/* x + y, and x and y, if they are copied. */
static void put_sum(moire__lowering *l, void *context, moire__loop_value m, moire__loop_value k,
                    moire__loop_value to) {
  const summing *s = context;
  moire__loop_builder *b = &l->builder;
  const moire__tile_matrix plane = plane_of(&s->t->a, 1); /* without the sign of a conjugate */
  moire__loop_value x = moire__tile_element(l, &s->t->a, 0, m, k), y = moire__tile_element(l, &plane, 0, m, k);
  moire__loop_op both = s->t->a.conjugate ? MOIRE__LOOP_sub : MOIRE__LOOP_add;
  moire__loop_store(b, s->n->sum, to, moire__loop_binary(b, both, x, y));
  if (!s->n->copies) return;
  moire__loop_store(b, s->n->rows_of[0], to, x);
  moire__loop_store(b, s->n->rows_of[1], to, y);
}

/* Of all of t's rows and k. */
static void sum_rows(moire__lowering *l, const moire__tiles *t, const moire__triple *n) {
  const moire__panel_copy copy = copy_of(n);
  const moire__tile_matrix sum = moire__panel_copy_matrix(l, t, &copy, n->sum);
  moire__panel_copy_emit(l, t, &copy, &sum, put_sum, &(summing){t, n});
}

/* ---- three products ---------------------------------------------------------------------------------------
 */

typedef struct panel {
  moire__lowering *l;
  const moire__tiles *t;
  const moire__triple *n;
  moire__loop_value origin; /* m_low * lanes + n_low: where p begins */
} panel;

static moire__loop_value place_in_p(const panel *p, moire__loop_value m, moire__loop_value n) {
  return moire__panel_minus(p->l, moire__lower_add(p->l, moire__panel_times(p->l, m, p->n->lanes), n),
                            p->origin);
}

static void keep_p(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  const panel *p = context;
  moire__loop_store(&p->l->builder, p->n->p, place_in_p(p, m, n), sum[0]);
}

/* A plane of the result: `sum` and what the parts of k before have given. */
static moire__loop_value with_before(const panel *p, int plane, moire__loop_value m, moire__loop_value n,
                                     moire__loop_value sum) {
  moire__loop_builder *b = &p->l->builder;
  if (!p->n->is_first) return sum;
  moire__loop_value zero = moire__loop_const(b, p->t->type, 0);
  moire__loop_value before = p->t->resume(p->t->context, plane, m, n);
  return moire__lower_add(p->l, moire__loop_ternary(b, MOIRE__LOOP_select, p->n->is_first, zero, before), sum);
}

static void finish_re(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  const panel *p = context;
  moire__loop_builder *b = &p->l->builder;
  bool minus = p->t->a.conjugate;
  moire__loop_value at = place_in_p(p, m, n), first = moire__loop_load(b, p->n->p, at);
  moire__loop_store(b, p->n->p, at,
                    moire__loop_binary(b, minus ? MOIRE__LOOP_sub : MOIRE__LOOP_add, first, sum[0]));
  moire__loop_value re = moire__loop_binary(b, minus ? MOIRE__LOOP_add : MOIRE__LOOP_sub, first, sum[0]);
  p->t->finish(p->t->context, m, n, (const moire__loop_value[2]){with_before(p, 0, m, n, re), 0});
}

static void finish_im(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  const panel *p = context;
  moire__loop_value both = moire__loop_load(&p->l->builder, p->n->p, place_in_p(p, m, n));
  moire__loop_value im = moire__panel_minus(p->l, sum[0], both);
  p->t->finish(p->t->context, m, n, (const moire__loop_value[2]){0, with_before(p, 1, m, n, im)});
}

/* Matrix `which` of the panel of t's columns. */
static moire__tile_matrix panel_matrix(moire__lowering *l, const moire__tiles *t, const moire__triple *n,
                                       int which) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value at = moire__loop_index(b, which * distance(n));
  if (n->elements) {
    moire__loop_value number = moire__loop_binary(b, MOIRE__LOOP_div, t->n_low, moire__loop_index(b, n->lanes));
    at = moire__lower_add(l, at, moire__panel_times(l, number, 3 * distance(n)));
  } else {
    at = moire__panel_minus(l, at, moire__panel_times(l, t->k_low, n->lanes));
  }
  return moire__panel_matrix(l, t, n->b, n->lanes, at);
}

void moire__triple_panel(moire__lowering *l, const moire__tiles *t, const moire__triple *n) {
  if (!n->elements) pack_panel(l, t, n, moire__loop_index(&l->builder, 0));
  const moire__panel_copy copy = copy_of(n);
  panel context = {l, t, n, moire__lower_add(l, moire__panel_times(l, t->m_low, n->lanes), t->n_low)};
  moire__tiles one = *t;
  one.rows = n->tile;
  if (n->elements) one.ahead = moire__panel_ahead(l);
  one.rest = n->tile == 6 ? 2 : 0;                /* of 64 or 50 rows, 4 or 2 are left */
  one.single_rest = l->g->mode == MOIRE_TRAINING; /* whose batches are large, and whose kernels many */
  one.context = &context;
  one.skip[0] = one.skip[1] = false;
  static moire__tile_finish *const finish[] = {keep_p, finish_re, finish_im};
  for (int i = 0; i < 3; i++) {
    bool is_copy = i == 2 || n->copies;
    one.a =
        is_copy ? moire__panel_copy_matrix(l, t, &copy, i == 2 ? n->sum : n->rows_of[i]) : plane_of(&t->a, i);
    one.b = panel_matrix(l, t, n, i);
    one.finish = finish[i];
    moire__tiles_emit(l, &one);
  }
}

void moire__triple_begin(moire__lowering *l, const moire__tiles *t, moire__triple *n) {
  add_locals(l, t, n);
  sum_rows(l, t, n);
}

void moire__triple_emit(moire__lowering *l, const moire__tiles *whole, moire__triple *n) {
  moire__loop_builder *b = &l->builder;
  moire__tiles t = *whole;
  add_locals(l, &t, n);
  if (n->resumes) n->is_first = moire__panel_open_parts(l, &t, n->depth);
  t.m_low = moire__loop_for(b, whole->m_low, whole->m_high, n->rows, 1);
  t.m_high = moire__lower_add(l, t.m_low, moire__loop_index(b, n->rows));
  t.m_high = moire__loop_binary(b, MOIRE__LOOP_min, t.m_high, whole->m_high);
  sum_rows(l, &t, n);
  t.n_low = moire__loop_for(b, whole->n_low, whole->n_high, n->lanes, 1);
  t.n_high = moire__lower_add(l, t.n_low, moire__loop_index(b, n->lanes));
  if (!n->columns || n->columns % n->lanes)
    t.n_high = moire__loop_binary(b, MOIRE__LOOP_min, t.n_high, whole->n_high);
  moire__triple_panel(l, &t, n);
  moire__loop_end(b);
  moire__loop_end(b);
  if (n->resumes) moire__loop_end(b);
}
