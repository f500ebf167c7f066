/* Products of bf16 by tiles of 16 rows and 16 columns, for targets that multiply whole ones: see
 * ops/product/narrow.h. Operands were packed by ops/product/narrow_tile_pack.c.
 *
 *   real      2 x 2 sums, 2 tiles of a, 2 of b: a step along k loads 4 tiles for 4 products
 *   complex   2 x 1 sums of each plane, 2 tiles of a and 2 of b at a time: 7 loads for 8 products
 *
 * so all eight tiles are in use. Of a complex b three planes are packed, b_re, b_im and the opposite of one:
 *
 *   re += a_re b_re + a_im (-b_im)    im += a_re b_im + a_im b_re
 *   re += a_re b_re + a_im b_im       im += a_re b_im + a_im (-b_re)      where a is conjugated
 *
 * Why these: a product of tiles takes 16 cycles, in a row into one tile as well, a load 8 from the first cache
 * and 21 from the second, and one load a product is free. (Measured on Emerald Rapids: decision 19.)
 *
 * Blocks of all rows whose results are stored as they are go on from what was stored, and are stored, by tiles.
 * Else sums go through a local block, from which the rows that exist are finished. What tiles hold of rows and
 * columns that do not exist is multiplied too, and read by nobody. k ends in zeros.
 */
#include "ops/product/narrow.h"

enum { SIDE = MOIRE__LOOP_TILE_SIDE, WORDS = SIDE * SIDE };

/* ---- which tile holds what ---------------------------------------------------------------------------------
 */

static int sum_tile(const moire__narrow *n, int plane, int row, int column) {
  return n->planes == 2 ? 2 * row + plane : 2 * row + column;
}

enum { FIRST_A = 4, FIRST_B = 6 };

/* ---- along k -----------------------------------------------------------------------------------------------
 */

/* The first words of the tiles of a block of rows and a panel, at a step along k. */
typedef struct place {
  moire__loop_value a, b;
} place;

/* Words from a tile to the next: along k, and of rows or columns; and from a line of a tile to the next. */
typedef struct steps {
  int64_t along, next, line;
} steps;

static steps steps_of(const moire__narrow *n, bool is_a) {
  if (!n->lines)
    return (steps){WORDS * moire__narrow_tile_planes(n, is_a), moire__narrow_tile_pitch(n, is_a), SIDE};
  return is_a ? (steps){SIDE, SIDE * n->depth / 2, n->depth / 2}
              : (steps){(int64_t)SIDE * n->lanes, SIDE, n->lanes};
}

static void load_a(moire__lowering *l, const moire__narrow *n, int plane, const place *at, int row) {
  moire__loop_builder *b = &l->builder;
  int64_t unit = n->along_k ? 2 : 1; /* elements of a word */
  const steps s = steps_of(n, true);
  moire__loop_value from = moire__loop_index(b, row * s.next + plane * WORDS);
  from = moire__lower_mul(l, moire__lower_add(l, at->a, from), moire__loop_index(b, unit));
  moire__loop_tile_load(b, FIRST_A + row, n->a[0], from, s.line * unit);
}

static void load_b(moire__lowering *l, const moire__narrow *n, int tile, int plane, const place *at,
                   int column) {
  moire__loop_builder *b = &l->builder;
  const steps s = steps_of(n, false);
  moire__loop_value from = moire__loop_index(b, column * s.next + plane * WORDS);
  moire__loop_tile_load(b, FIRST_B + tile, n->b[0], moire__lower_add(l, at->b, from), s.line);
}

static void step_of_real(moire__lowering *l, const moire__narrow *n, int rows, const place *at) {
  int columns = n->lanes / SIDE;
  for (int c = 0; c < columns; c++) load_b(l, n, c, 0, at, c);
  for (int r = 0; r < rows; r++) {
    load_a(l, n, 0, at, r);
    for (int c = 0; c < columns; c++)
      moire__loop_tile_dot(&l->builder, sum_tile(n, 0, r, c), FIRST_A + r, FIRST_B + c);
  }
}

/* The sums of a plane of the result, of row tile `row`, as far as they are wanted. */
static void add_to(moire__lowering *l, const moire__narrow_part *p, int plane, int row, int b) {
  if (p->t->skip[plane]) return;
  moire__loop_tile_dot(&l->builder, sum_tile(p->n, plane, row, 0), FIRST_A + row, FIRST_B + b);
}

static void step_of_complex(moire__lowering *l, const moire__narrow_part *p, int rows, const place *at) {
  const moire__narrow *n = p->n;
  int subtracted = moire__narrow_subtracted(p->t), other = 1 - subtracted;
  for (int r = 0; r < rows; r++) { /* a_re: b_re and b_im */
    load_a(l, n, 0, at, r);
    for (int plane = 0; plane < 2; plane++) {
      if (r == 0) load_b(l, n, plane, plane, at, 0);
      add_to(l, p, plane, r, plane);
    }
  }
  for (int r = 0; r < rows; r++) { /* a_im: the plane that is not subtracted, then the opposite of the other */
    load_a(l, n, 1, at, r);
    add_to(l, p, subtracted, r, other);
    if (r == 0 && !p->t->skip[other]) load_b(l, n, subtracted, 2, at, 0);
    add_to(l, p, other, r, subtracted);
  }
}

/* ---- a block of rows ---------------------------------------------------------------------------------------
 */

typedef void each_sum(moire__lowering *l, const moire__narrow_part *p, int plane, int row, int column,
                      const void *context);

static void all_sums(moire__lowering *l, const moire__narrow_part *p, int rows, each_sum *each,
                     const void *context) {
  for (int plane = 0; plane < p->n->planes; plane++) {
    for (int i = 0; i < rows * (p->n->lanes / SIDE) && !p->t->skip[plane]; i++)
      each(l, p, plane, i / (p->n->lanes / SIDE), i % (p->n->lanes / SIDE), context);
  }
}

static void zero_sum(moire__lowering *l, const moire__narrow_part *p, int plane, int row, int column,
                     const void *context) {
  (void)context;
  moire__loop_tile_zero(&l->builder, sum_tile(p->n, plane, row, column));
}

static void keep_sum(moire__lowering *l, const moire__narrow_part *p, int plane, int row, int column,
                     const void *context) {
  (void)context;
  int64_t at = (int64_t)row * SIDE * p->n->lanes + column * SIDE;
  moire__loop_tile_store(&l->builder, sum_tile(p->n, plane, row, column), p->n->sums[plane],
                         moire__loop_index(&l->builder, at), p->n->lanes);
}

/* From element (m, column) of the result on. */
typedef struct corner {
  moire__loop_value m, column;
} corner;

static moire__loop_value in_result(moire__lowering *l, const moire__narrow_part *p, int plane, int row,
                                   int column, const corner *at) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value m = moire__lower_add(l, at->m, moire__loop_index(b, (int64_t)row * SIDE));
  moire__loop_value n = moire__lower_add(l, at->column, moire__loop_index(b, (int64_t)column * SIDE));
  return moire__tile_address(l, p->n->result, plane, m, n);
}

static void resume_sum(moire__lowering *l, const moire__narrow_part *p, int plane, int row, int column,
                       const void *context) {
  moire__loop_tile_load(&l->builder, sum_tile(p->n, plane, row, column), p->n->result->buffer[plane],
                        in_result(l, p, plane, row, column, context), p->n->columns);
}

static void store_sum(moire__lowering *l, const moire__narrow_part *p, int plane, int row, int column,
                      const void *context) {
  moire__loop_tile_store(&l->builder, sum_tile(p->n, plane, row, column), p->n->result->buffer[plane],
                         in_result(l, p, plane, row, column, context), p->n->columns);
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

/* The sums of `rows` tiles of rows from packed row m on grow by what is packed of k. */
static void along_k(moire__lowering *l, const moire__narrow_part *p, int rows, moire__loop_value m,
                    moire__loop_value panel) {
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = p->n;
  const steps rows_of = steps_of(n, true), columns_of = steps_of(n, false);
  moire__loop_value first = moire__loop_binary(b, MOIRE__LOOP_sub, m, p->m0);
  first = moire__lower_mul(l, first, moire__loop_index(b, rows_of.next / SIDE));
  moire__loop_value k = moire__loop_for(b, moire__loop_index(b, 0), p->steps, 1, 1);
  place at = {.a = moire__lower_add(l, first, moire__lower_mul(l, k, moire__loop_index(b, rows_of.along)))};
  at.b = moire__lower_add(l, panel, moire__lower_mul(l, k, moire__loop_index(b, columns_of.along)));
  if (n->planes == 2)
    step_of_complex(l, p, rows, &at);
  else
    step_of_real(l, n, rows, &at);
  moire__loop_end(b);
}

void moire__narrow_tile_sums(moire__lowering *l, const moire__narrow_part *p, int rows, moire__loop_value m,
                             moire__loop_value at) {
  all_sums(l, p, rows, zero_sum, NULL);
  along_k(l, p, rows, m, at);
  all_sums(l, p, rows, keep_sum, NULL);
}

/* All of a block exists, and its place in the result is all that is wanted. */
static void block_in_place(moire__lowering *l, const moire__narrow_part *p, int rows, const corner *at,
                           moire__loop_value panel) {
  moire__loop_builder *b = &l->builder;
  if (p->is_first) {
    moire__loop_if(b, p->is_first);
    all_sums(l, p, rows, zero_sum, NULL);
    moire__loop_end(b);
    moire__loop_if(b, moire__loop_unary(b, MOIRE__LOOP_not, p->is_first));
    all_sums(l, p, rows, resume_sum, at);
    moire__loop_end(b);
  } else {
    all_sums(l, p, rows, zero_sum, NULL);
  }
  along_k(l, p, rows, at->m, panel);
  all_sums(l, p, rows, store_sum, at);
}

bool moire__narrow_is_in_place(const moire__narrow *n) {
  return n->result && n->columns && n->columns % n->lanes == 0;
}

void moire__narrow_tile_panel(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m1,
                              moire__loop_value n0, moire__loop_value n1, moire__loop_value at) {
  moire__loop_builder *b = &l->builder;
  int tall = p->n->tile / SIDE;
  moire__loop_value size = moire__loop_index(b, p->n->tile);
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, m1, p->m0);
  moire__loop_value next = moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_div, left, size), size);
  next = moire__lower_add(l, p->m0, next);
  moire__loop_value m = moire__loop_for(b, p->m0, next, p->n->tile, 1);
  if (moire__narrow_is_in_place(p->n)) {
    block_in_place(l, p, tall, &(corner){m, n0}, at);
  } else {
    moire__narrow_tile_sums(l, p, tall, m, at);
    finish_rows(l, p, m, moire__lower_add(l, m, size), n0, n1);
  }
  moire__loop_end(b);
  if (next == m1) return;
  m = moire__loop_for(b, next, m1, SIDE, 1);
  moire__loop_value high = moire__lower_add(l, m, moire__loop_index(b, SIDE));
  moire__narrow_tile_sums(l, p, 1, m, at);
  finish_rows(l, p, m, moire__loop_binary(b, MOIRE__LOOP_min, high, m1), n0, n1);
  moire__loop_end(b);
}
