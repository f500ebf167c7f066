/* Packing whole tiles: see ops/product/narrow.h and ops/product/narrow_tiles.c.
 *
 *   a tile of a   16 rows of 32 numbers of k          [row tile][k tile][plane]
 *   a tile of b   16 pairs of k of 16 columns         [column tile][k tile][plane, and of a complex b a third]
 *
 * A line of 64 bytes is made by one rounding of two vectors and stored whole. What lies along memory as the
 * tile has it (a along k, b across) is stored so; else (a across, b along k) a square of 16 x 16 pairs is
 * turned in registers. Nothing is scattered or gathered. Tiles at the end of k are filled up with zeros; rows
 * and columns that do not exist are left as they were.
 *
 * b is stored as it is multiplied: the imaginary plane negated where one is conjugated, and the third plane the
 * opposite of the one that a product has to subtract. So nothing is done to a.
 */
#include "ops/product/narrow.h"

enum { SIDE = MOIRE__LOOP_TILE_SIDE, DEPTH = MOIRE__NARROW_TILE_DEPTH };

static moire__loop_value index_of(moire__lowering *l, int64_t n) { return moire__loop_index(&l->builder, n); }

static moire__loop_value add(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__lower_add(l, a, b);
}

static moire__loop_value times(moire__lowering *l, moire__loop_value a, int64_t n) {
  return moire__lower_mul(l, a, index_of(l, n));
}

static moire__loop_value minus(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_sub, a, b);
}

static moire__loop_value over(moire__lowering *l, moire__loop_value a, int64_t n) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_div, a, index_of(l, n));
}

static moire__loop_value open(moire__lowering *l, moire__loop_value low, moire__loop_value high, int lanes) {
  return moire__loop_for(&l->builder, low, high, 1, lanes);
}

static void close(moire__lowering *l) { moire__loop_end(&l->builder); }

/* Of one operand: `count` rows of a or columns of b from `low` on, and k. */
typedef struct pack {
  moire__lowering *l;
  const moire__narrow *n;
  moire__tile_matrix x; /* not conjugated: signs are given by `flips` and `third` */
  bool is_a, flips;
  int third; /* the plane whose opposite is stored too, or -1 */
  moire__loop_value low, count, k0, depth;
  moire__loop_value at;        /* the first word */
  moire__loop_buffer pairs[2]; /* of a square that is turned: of a whole tile, of any other */
} pack;

/* Element k of number j of the other axis. */
static moire__loop_value element(const pack *p, int plane, moire__loop_value j, moire__loop_value k) {
  moire__loop_value other = add(p->l, p->low, j), at = add(p->l, p->k0, k);
  return p->is_a ? moire__tile_element(p->l, &p->x, plane, other, at)
                 : moire__tile_element(p->l, &p->x, plane, at, other);
}

/* The first word of a plane of the tile. */
static moire__loop_value tile_at(const pack *p, moire__loop_value tile, moire__loop_value along, int plane) {
  moire__loop_value at = add(p->l, p->at, times(p->l, tile, moire__narrow_tile_pitch(p->n, p->is_a)));
  at = add(p->l, at, times(p->l, along, moire__narrow_tile_planes(p->n, p->is_a) * SIDE * SIDE));
  return add(p->l, at, index_of(p->l, (int64_t)plane * SIDE * SIDE));
}

/* ---- as memory has it, b across k; or turned ---------------------------------------------------------------
 */

/* Both numbers of each pair negated: x xor s = (x + s - (x & s)) - (x & s), which becomes one instruction. */
static moire__loop_value opposite_of(moire__loop_builder *b, moire__loop_value x) {
  moire__loop_value signs = moire__loop_const(b, MOIRE__LOOP_I32, -2147450880.0); /* 0x80008000 */
  moire__loop_value both = moire__loop_binary(b, MOIRE__LOOP_and, x, signs);
  moire__loop_value either = moire__loop_binary(b, MOIRE__LOOP_add, x, signs);
  either = moire__loop_binary(b, MOIRE__LOOP_sub, either, both);
  return moire__loop_binary(b, MOIRE__LOOP_sub, either, both);
}

/* A line of pairs, or what goes into the third plane as well. */
static void store_line(const pack *p, moire__loop_value at, int plane, moire__loop_value line) {
  moire__loop_builder *b = &p->l->builder;
  moire__loop_value opposite = 0;
  bool flips = p->flips && plane == 1;
  if (flips || p->third == plane) opposite = opposite_of(b, line);
  moire__loop_store(b, p->n->b[0], at, flips ? opposite : line);
  if (p->third != plane) return;
  at = add(p->l, at, index_of(p->l, (int64_t)(2 - plane) * SIDE * SIDE));
  moire__loop_store(b, p->n->b[0], at, flips ? line : opposite);
}

/* Pairs k and k + 1 of 16 numbers of the other axis from j on, of which `exist`; `both`: k + 1 exists. */
static void pair_line(const pack *p, int plane, moire__loop_value j, moire__loop_value k, bool both,
                      moire__loop_value exist, moire__loop_buffer to, moire__loop_value line) {
  moire__loop_builder *b = &p->l->builder;
  moire__loop_value v = open(p->l, index_of(p->l, 0), exist, SIDE), at = add(p->l, line, v);
  moire__loop_value first = element(p, plane, add(p->l, j, v), k),
                    second = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  if (both) second = element(p, plane, add(p->l, j, v), add(p->l, k, index_of(p->l, 1)));
  moire__loop_value pair = moire__loop_binary(b, MOIRE__LOOP_pair, first, second);
  if (to == p->n->b[0])
    store_line(p, at, plane, pair);
  else
    moire__loop_store(b, to, at, pair);
  close(p->l);
}

static void zero_line(const pack *p, int plane, moire__loop_buffer to, moire__loop_value line) {
  moire__loop_builder *b = &p->l->builder;
  moire__loop_value at = add(p->l, line, open(p->l, index_of(p->l, 0), index_of(p->l, SIDE), SIDE));
  moire__loop_value zero = moire__loop_const(b, MOIRE__LOOP_I32, 0);
  if (to == p->n->b[0])
    store_line(p, at, plane, zero);
  else
    moire__loop_store(b, to, at, zero);
  close(p->l);
}

/* The turned square of `from` as a plane of the tile at `to`. */
static void turn(const pack *p, int plane, moire__loop_buffer from, int pitch, moire__loop_value to) {
  moire__loop_builder *b = &p->l->builder;
  moire__loop_value zero = index_of(p->l, 0);
  moire__loop_buffer into = p->is_a ? p->n->a[0] : p->n->b[0];
  moire__loop_turn(b, into, to, SIDE, from, zero, index_of(p->l, pitch), SIDE);
  if (p->is_a || (p->third != plane && !(p->flips && plane == 1))) return;
  for (int i = 0; i < SIDE; i++) {
    moire__loop_value line = add(p->l, to, index_of(p->l, (int64_t)i * SIDE));
    moire__loop_value at = add(p->l, line, open(p->l, zero, index_of(p->l, SIDE), SIDE));
    store_line(p, at, plane, moire__loop_load(b, into, at));
    close(p->l);
  }
}

/* Of memory across k. */
static void whole_across(const pack *p, moire__loop_value tile, moire__loop_value along) {
  moire__lowering *l = p->l;
  moire__loop_value j = times(l, tile, SIDE), k = times(l, along, DEPTH), side = index_of(l, SIDE);
  for (int plane = 0; plane < p->n->planes; plane++) {
    moire__loop_value at = tile_at(p, tile, along, plane);
    if (!p->is_a) {
      moire__loop_value i = open(l, index_of(l, 0), side, 1);
      pair_line(p, plane, j, add(l, k, times(l, i, 2)), true, side, p->n->b[0], add(l, at, times(l, i, SIDE)));
      close(l);
      continue;
    }
    for (int i = 0; i < SIDE; i++)
      pair_line(p, plane, j, add(l, k, index_of(l, 2 * (int64_t)i)), true, side, p->pairs[0],
                index_of(l, (int64_t)i * SIDE));
    turn(p, plane, p->pairs[0], SIDE, at);
  }
}

static void if_less(const pack *p, moire__loop_value a, moire__loop_value b) {
  moire__loop_if(&p->l->builder, moire__loop_binary(&p->l->builder, MOIRE__LOOP_lt, a, b));
}

static void part_across(const pack *p, moire__loop_value tile, moire__loop_value along) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value j = times(l, tile, SIDE), one = index_of(l, 1);
  moire__loop_value exist = moire__loop_binary(b, MOIRE__LOOP_min, minus(l, p->count, j), index_of(l, SIDE));
  for (int plane = 0; plane < p->n->planes; plane++) {
    moire__loop_value at = tile_at(p, tile, along, plane), i = open(l, index_of(l, 0), index_of(l, SIDE), 1);
    moire__loop_value k = add(l, times(l, along, DEPTH), times(l, i, 2)), next = add(l, k, one);
    moire__loop_value line = times(l, i, SIDE);
    moire__loop_buffer to = p->is_a ? p->pairs[1] : p->n->b[0];
    if (!p->is_a) line = add(l, at, line);
    if_less(p, next, p->depth);
    pair_line(p, plane, j, k, true, exist, to, line);
    close(l);
    moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_eq, next, p->depth));
    pair_line(p, plane, j, k, false, exist, to, line);
    close(l);
    if_less(p, p->depth, next);
    zero_line(p, plane, to, line);
    close(l);
    close(l);
    if (p->is_a) turn(p, plane, to, SIDE, at);
  }
}

/* Of memory along k: rows of the square are columns of b. */
static void whole_along(const pack *p, moire__loop_value tile, moire__loop_value along) {
  moire__lowering *l = p->l;
  moire__loop_value j = times(l, tile, SIDE), k = times(l, along, DEPTH), depth = index_of(l, DEPTH);
  for (int plane = 0; plane < p->n->planes; plane++) {
    for (int i = 0; i < SIDE; i++) {
      moire__loop_value v = open(l, index_of(l, 0), depth, DEPTH);
      moire__loop_value x = element(p, plane, add(l, j, index_of(l, i)), add(l, k, v));
      moire__loop_store(&l->builder, p->pairs[0], add(l, index_of(l, (int64_t)i * DEPTH), v), x);
      close(l);
    }
    turn(p, plane, p->pairs[0], DEPTH, tile_at(p, tile, along, plane));
  }
}

/* Numbers k to the end of the part, and zeros up to the end of the tile, from element `line` of bf16 on. */
static void part_line(const pack *p, int plane, moire__loop_value j, moire__loop_value k, moire__loop_buffer to,
                      moire__loop_value line) {
  moire__lowering *l = p->l;
  moire__loop_value depth = index_of(l, DEPTH), left = minus(l, p->depth, k);
  moire__loop_value v = open(l, index_of(l, 0), left, DEPTH);
  moire__loop_store(&l->builder, to, add(l, line, v), element(p, plane, j, add(l, k, v)));
  close(l);
  v = open(l, left, depth, DEPTH);
  moire__loop_store(&l->builder, to, add(l, line, v), moire__loop_const(&l->builder, MOIRE__LOOP_F32, 0));
  close(l);
}

static void part_along(const pack *p, moire__loop_value tile, moire__loop_value along) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value j = times(l, tile, SIDE), k = times(l, along, DEPTH), depth = index_of(l, DEPTH);
  moire__loop_value exist = moire__loop_binary(b, MOIRE__LOOP_min, minus(l, p->count, j), index_of(l, SIDE));
  for (int plane = 0; plane < p->n->planes; plane++) {
    moire__loop_value i = open(l, index_of(l, 0), exist, 1), line = times(l, i, DEPTH), row = add(l, j, i);
    moire__loop_value end = add(l, k, depth);
    if_less(p, p->depth, end);
    part_line(p, plane, row, k, p->pairs[1], line);
    close(l);
    moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_le, end, p->depth));
    moire__loop_value v = open(l, index_of(l, 0), depth, DEPTH);
    moire__loop_store(b, p->pairs[1], add(l, line, v), element(p, plane, row, add(l, k, v)));
    close(l);
    close(l);
    close(l);
    turn(p, plane, p->pairs[1], DEPTH, tile_at(p, tile, along, plane));
  }
}

typedef void pack_tile(const pack *p, moire__loop_value tile, moire__loop_value along);

/* All tiles, in the order of memory that runs across k: those that are full by `whole`, others by `part`. */
static void all_tiles(const pack *p, pack_tile *whole, pack_tile *part) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value full = over(l, p->count, SIDE), zero = index_of(l, 0);
  moire__loop_value all = over(l, add(l, p->count, index_of(l, SIDE - 1)), SIDE);
  moire__loop_value full_depth = over(l, p->depth, DEPTH);
  moire__loop_value all_depth = over(l, add(l, p->depth, index_of(l, DEPTH - 1)), DEPTH);
  moire__loop_value along = open(l, zero, all_depth, 1);
  moire__loop_value end = full;
  if (full_depth != all_depth)
    end = moire__loop_ternary(b, MOIRE__LOOP_select, moire__loop_binary(b, MOIRE__LOOP_lt, along, full_depth),
                              full, zero);
  whole(p, open(l, zero, end, 1), along);
  close(l);
  if (end != all) {
    part(p, open(l, end, all, 1), along);
    close(l);
  }
  close(l);
}

/* ---- a along k ---------------------------------------------------------------------------------------------
 */

static void rows_along(const pack *p) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  const int64_t line = DEPTH, words = (int64_t)SIDE * SIDE, halves = 2; /* of a word */
  moire__loop_value full = over(l, p->depth, DEPTH), zero = index_of(l, 0);
  moire__loop_value row = open(l, zero, p->count, 1);
  moire__loop_value first = times(l, over(l, row, SIDE), halves * moire__narrow_tile_pitch(p->n, true));
  moire__loop_value in_tile = moire__loop_binary(b, MOIRE__LOOP_mod, row, index_of(l, SIDE));
  first = add(l, first, times(l, in_tile, line));
  moire__loop_value along = open(l, zero, full, 1);
  for (int plane = 0; plane < p->n->planes; plane++) {
    moire__loop_value to = add(l, first, times(l, along, halves * words * p->n->planes));
    to = add(l, to, index_of(l, halves * words * plane));
    moire__loop_value v = open(l, zero, index_of(l, DEPTH), DEPTH);
    moire__loop_store(b, p->n->a[0], add(l, to, v), element(p, plane, row, add(l, times(l, along, DEPTH), v)));
    close(l);
  }
  close(l);
  moire__loop_value k = times(l, full, DEPTH);
  if (k != p->depth) {
    if_less(p, k, p->depth);
    for (int plane = 0; plane < p->n->planes; plane++) {
      moire__loop_value to = add(l, first, times(l, full, halves * words * p->n->planes));
      part_line(p, plane, row, k, p->n->a[0], add(l, to, index_of(l, halves * words * plane)));
    }
    close(l);
  }
  close(l);
}

/* ---- both operands -----------------------------------------------------------------------------------------
 */

static void add_squares(pack *p, moire__loop_type type, int64_t elements) {
  for (int i = 0; i < 2; i++) p->pairs[i] = moire__loop_add_local(p->l->kernel, "pairs", type, elements);
}

void moire__narrow_tile_pack_a(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                               moire__loop_value m0, moire__loop_value m1, moire__loop_value k0,
                               moire__loop_value k1) {
  pack p = {.l = l, .n = n, .x = t->a, .is_a = true, .third = -1, .low = m0, .count = minus(l, m1, m0)};
  p.x.conjugate = false;
  p.k0 = k0;
  p.depth = minus(l, k1, k0);
  p.at = index_of(l, 0);
  if (n->along_k) {
    rows_along(&p);
    return;
  }
  add_squares(&p, MOIRE__LOOP_I32, (int64_t)SIDE * SIDE);
  all_tiles(&p, whole_across, part_across);
}

void moire__narrow_tile_pack_b(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                               moire__loop_value n0, moire__loop_value n1, moire__loop_value k0,
                               moire__loop_value k1, moire__loop_value at) {
  pack p = {.l = l, .n = n, .x = t->b, .third = -1, .low = n0, .count = minus(l, n1, n0), .at = at};
  p.flips = n->planes == 2 && t->b.conjugate;
  if (n->planes == 2) p.third = moire__narrow_subtracted(t);
  p.x.conjugate = false;
  p.k0 = k0;
  p.depth = minus(l, k1, k0);
  moire__loop_value one = index_of(l, 1);
  if (t->b.row[0] == one && t->b.column[0] != one) {
    add_squares(&p, MOIRE__LOOP_BF16, (int64_t)SIDE * DEPTH);
    all_tiles(&p, whole_along, part_along);
  } else {
    all_tiles(&p, whole_across, part_across);
  }
}
