/* Packing operands of products of bf16: see ops/product/narrow.h.
 *
 * Rows that run along k are rounded as they are copied, and read as words of two; whatever lies otherwise is
 * packed by pairs of two loads along vectors of the other axis. Where k has an odd number of elements, the last
 * one meets a zero. A conjugation is a sign of the packed imaginary plane.
 */
#include "ops/product/narrow.h"

static moire__loop_value zero(moire__lowering *l) { return moire__loop_const(&l->builder, MOIRE__LOOP_F32, 0); }

static moire__loop_value count(moire__lowering *l, moire__loop_value low, moire__loop_value high) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_sub, high, low);
}

moire__loop_value moire__narrow_steps(moire__lowering *l, const moire__narrow *n, moire__loop_value k0,
                                      moire__loop_value k1) {
  int step = n->tiles ? MOIRE__NARROW_TILE_DEPTH : n->step;
  moire__loop_value all = moire__lower_add(l, count(l, k0, k1), moire__loop_index(&l->builder, step - 1));
  return moire__loop_binary(&l->builder, MOIRE__LOOP_div, all, moire__loop_index(&l->builder, step));
}

/* Opens `if` the numbers of k are odd; false if they are known not to be. What stands there fills a pair. */
static bool open_rest(moire__lowering *l, const moire__narrow *n, moire__loop_value k0, moire__loop_value k1) {
  moire__loop_builder *b = &l->builder;
  if (n->step == 1) return false;
  moire__loop_value rest =
      moire__loop_binary(b, MOIRE__LOOP_mod, count(l, k0, k1), moire__loop_index(b, n->step));
  if (rest == moire__loop_index(b, 0)) return false;
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_eq, rest, moire__loop_index(b, 1)));
  return true;
}

/* ---- a along k --------------------------------------------------------------------------------------------
 */

static void copy_number(moire__lowering *l, const moire__narrow *n, int plane, moire__loop_value at,
                        moire__loop_value x) {
  moire__loop_builder *b = &l->builder;
  bool rounds = n->step == 2; /* by storing it in a buffer of bf16 */
  moire__loop_store(b, n->a[plane], at, rounds ? x : moire__loop_unary(b, MOIRE__LOOP_narrow, x));
}

static void copy_numbers(moire__lowering *l, const moire__narrow *n, moire__loop_value at,
                         const moire__loop_value x[2]) {
  for (int p = 0; p < n->planes; p++) copy_number(l, n, p, at, x[p]);
  if (n->planes == 2) copy_number(l, n, 2, at, moire__loop_unary(&l->builder, MOIRE__LOOP_neg, x[1]));
}

static void copy_rows(moire__lowering *l, const moire__tiles *t, const moire__narrow *n, moire__loop_value m0,
                      moire__loop_value m1, moire__loop_value k0, moire__loop_value k1) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value m = moire__loop_for(b, m0, m1, 1, 1);
  moire__loop_value row = moire__lower_mul(l, count(l, m0, m), moire__loop_index(b, n->depth));
  moire__loop_value k = moire__loop_for(b, k0, k1, 1, l->target.lanes * 2);
  moire__loop_value x[2] = {moire__tile_element(l, &t->a, 0, m, k), 0};
  if (n->planes == 2) x[1] = moire__tile_element(l, &t->a, 1, m, k);
  copy_numbers(l, n, moire__lower_add(l, row, count(l, k0, k)), x);
  moire__loop_end(b);
  const moire__loop_value zeros[2] = {zero(l), zero(l)};
  if (open_rest(l, n, k0, k1)) {
    copy_numbers(l, n, moire__lower_add(l, row, count(l, k0, k1)), zeros);
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

/* ---- anything along the other axis ------------------------------------------------------------------------
 */

static moire__loop_value packed(moire__lowering *l, const moire__narrow *n, moire__loop_buffer to,
                                moire__loop_value first, moire__loop_value second) {
  if (n->step == 2) return moire__loop_binary(&l->builder, MOIRE__LOOP_pair, first, second);
  bool rounds = l->kernel->buffers[to].type == MOIRE__LOOP_BF16; /* a store does */
  return rounds ? first : moire__loop_unary(&l->builder, MOIRE__LOOP_narrow, first);
}

static moire__loop_value minus(moire__lowering *l, moire__loop_value x) {
  return moire__loop_unary(&l->builder, MOIRE__LOOP_neg, x);
}

/* One packed element of each plane of x at [row + k][column] or, where x is a, [row][column + k]; `both`: the
 * second number of the pair exists. */
static void pack_element(moire__lowering *l, const moire__tiles *t, const moire__narrow *n, bool is_a,
                         moire__loop_value at, moire__loop_value k, moire__loop_value other, bool both) {
  moire__loop_builder *b = &l->builder;
  const moire__tile_matrix *x = is_a ? &t->a : &t->b;
  const moire__loop_buffer *to = is_a ? n->a : n->b;
  moire__loop_value next = moire__lower_add(l, k, moire__loop_index(b, 1));
  for (int p = 0; p < n->planes; p++) {
    moire__loop_value first = is_a ? moire__tile_element(l, x, p, other, k)
                                   : moire__tile_element(l, x, p, k, other),
                      second = zero(l);
    if (both)
      second = is_a ? moire__tile_element(l, x, p, other, next) : moire__tile_element(l, x, p, next, other);
    moire__loop_store(b, to[p], at, packed(l, n, to[p], first, second));
    if (is_a && p == 1) moire__loop_store(b, to[2], at, packed(l, n, to[2], minus(l, first), minus(l, second)));
  }
}

/* Where pairs of what lies across go: of element i of k and number j of the other axis to at + i * k_pitch +
 * j * pitch. */
typedef struct across {
  bool is_a;
  moire__loop_value low, high; /* of the other axis */
  moire__loop_value at;
  int64_t k_pitch, pitch;
} across;

/* Of element i of k. */
static moire__loop_value line_of(moire__lowering *l, const across *x, moire__loop_value i) {
  moire__loop_builder *b = &l->builder;
  return moire__lower_add(l, x->at, moire__lower_mul(l, i, moire__loop_index(b, x->k_pitch)));
}

static moire__loop_value in_line(moire__lowering *l, const across *x, moire__loop_value line,
                                 moire__loop_value j) {
  moire__loop_value pitch = moire__loop_index(&l->builder, x->pitch);
  return moire__lower_add(l, line, moire__lower_mul(l, count(l, x->low, j), pitch));
}

/* For every packed element of k all of [low, high). */
static void pack_across(moire__lowering *l, const moire__tiles *t, const moire__narrow *n, const across *x,
                        moire__loop_value k0, moire__loop_value k1) {
  moire__loop_builder *b = &l->builder;
  int lanes = x->is_a ? l->target.lanes * 2 : n->lanes;
  moire__loop_value step = moire__loop_index(b, n->step);
  moire__loop_value whole = moire__loop_binary(b, MOIRE__LOOP_div, count(l, k0, k1), step);
  moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), whole, 1, 1);
  moire__loop_value line = line_of(l, x, i);
  moire__loop_value k = moire__lower_add(l, k0, moire__lower_mul(l, i, step));
  moire__loop_value j = moire__loop_for(b, x->low, x->high, 1, lanes);
  pack_element(l, t, n, x->is_a, in_line(l, x, line, j), k, j, n->step == 2);
  moire__loop_end(b);
  moire__loop_end(b);
  if (!open_rest(l, n, k0, k1)) return;
  line = line_of(l, x, whole);
  k = moire__lower_add(l, k0, moire__lower_mul(l, whole, step));
  j = moire__loop_for(b, x->low, x->high, 1, lanes);
  pack_element(l, t, n, x->is_a, in_line(l, x, line, j), k, j, false);
  moire__loop_end(b);
  moire__loop_end(b);
}

void moire__narrow_pack_a(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                          moire__loop_value m0, moire__loop_value m1, moire__loop_value k0,
                          moire__loop_value k1) {
  if (n->tiles) {
    moire__narrow_tile_pack_a(l, t, n, m0, m1, k0, k1);
    return;
  }
  if (n->along_k) {
    copy_rows(l, t, n, m0, m1, k0, k1);
    return;
  }
  across x = {.is_a = true, .low = m0, .high = m1, .at = moire__loop_index(&l->builder, 0)};
  x.k_pitch = n->rows;
  x.pitch = 1;
  pack_across(l, t, n, &x, k0, k1);
}

void moire__narrow_pack_b(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                          moire__loop_value n0, moire__loop_value n1, moire__loop_value k0,
                          moire__loop_value k1, moire__loop_value at) {
  if (n->tiles) {
    moire__narrow_tile_pack_b(l, t, n, n0, n1, k0, k1, at);
    return;
  }
  const across x = {.low = n0, .high = n1, .at = at, .k_pitch = n->lanes, .pitch = 1};
  pack_across(l, t, n, &x, k0, k1);
}
