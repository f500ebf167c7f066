/* nearest_code with operands in bf16: the code that float32 finds, by a bound of what rounding can do.
 *
 * lower_nearest_code.c picks the least s(c) = |c|^2 / 2 - x . c, computed in float32. Around any u, |c - u|^2 /
 * 2 - (x - u) . (c - u) differs from it by what is the same for all codes. So let y and d be x - u and c - u,
 * as float32 rounds them, y' and d' the same in bf16, and t(c) = |d|^2 / 2 - y' . d'. But for a number that all
 * codes share, t differs from s by less than m g + w and a small share of |d|^2 / 2:
 *
 *   |y . (d - d')| + |(y - y') . d'|    g = max(|d|, 2^9 |d - d'|),   m = (|y| 2^-9 + |y - y'| + ..) (1 + 2^-7)
 *   sum of y' . d', y and d             |y| |d| (2 D + 16) 2^-24, in m; share of |d|^2: moire__nearest_share
 *   sums of s                           (|x| |c| + |c|^2 / 2) (D + 4) 2^-24, by |c| <= |d| + |u|: |x| in m,
 *                                       |d|^2 in the share, and w = |u| (|x| + |u|) (D + 4) 2^-24
 *
 * Products of pairs are exact, and |d'| <= (1 + 2^-8) |d|. So a code whose t - m g is above some code's t + m g
 * + 2 w is not the nearest. Kernels:
 *
 *   mean, pack   (nearest_pack.c) u; panels of codes d', and of each code |c|^2 / 2, |d|^2 / 2 and g
 *   narrow       one piece is a block of rows. For every panel, register tiles give t - m g. Where a row's
 * least one is not above its limit, the least t + m g + 2 w so far, the panel's codes that are not go to the
 * row's list. In the end, as a rule, one code of the list is not above the limit; else float32 computes s for
 * those that are left, with the sums of lower_nearest_code.c in their order
 *
 * With tiles of AMX the sums of 32 rows and a panel's 32 codes are left in the first cache and met there by a
 * row at a time: t - m g goes no further than registers unless some code is not above the limit.
 *
 * A row whose list had no room gets -1, and lower_nearest_code.c then searches its block. So does a row with a
 * NaN, or with |x| from 2^60 on, whose sums may overflow: its m is infinite, and all codes are listed. Where
 * squares are below the range of float32, constants far below all that matters stand in for what is lost.
 */
#include "ops/code/nearest_narrow.h"
#include "ops/product/narrow.h"
#include "ops/parts.h"

#include <math.h>

enum { ROWS = 96, ROOM = 32, MOST_DEPTH = 2048, AT_ONCE = 4 };

/* Rows of a block by tiles. A panel is read from the last cache for as many, at some 25 GB/s, and 256 keep the
 * tiles busy four times as long; what is packed of them shall stay in the second cache. */
enum { TILE_ROWS = 256, TILE_DEPTH = 512 };

typedef struct search {
  moire__lowering *l;
  moire_dim rows; /* B */
  moire__nearest_codes codes;
  moire__tiles tiles;                     /* b is packed: its matrix is not used */
  int64_t room;                           /* of a row's list */
  moire__loop_buffer score;               /* [rows, lanes]: t - m g of a panel; by tiles [lanes], of a row */
  moire__loop_buffer margin, wide, limit; /* [rows]: m; w; the least t + m g + 2 w */
  moire__loop_buffer count, list, scores; /* of the list: [rows], [rows, room] */
  moire__loop_value panel;                /* the one at hand */
  moire__loop_value first;                /* row of the block */
} search;

static moire__loop_value index_of(const search *s, int64_t value) {
  return moire__loop_index(&s->l->builder, value);
}

static moire__loop_value real(const search *s, double value) {
  return moire__loop_const(&s->l->builder, MOIRE__LOOP_F32, value);
}

static moire__loop_value add(const search *s, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&s->l->builder, MOIRE__LOOP_add, a, b);
}

static moire__loop_value mul(const search *s, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&s->l->builder, MOIRE__LOOP_mul, a, b);
}

static moire__loop_value fma_of(const search *s, moire__loop_value a, moire__loop_value b,
                                moire__loop_value c) {
  return moire__loop_ternary(&s->l->builder, MOIRE__LOOP_fma, a, b, c);
}

static moire__loop_value pick(const search *s, moire__loop_value a, moire__loop_value b, moire__loop_value c) {
  return moire__loop_ternary(&s->l->builder, MOIRE__LOOP_select, a, b, c);
}

/* A NaN becomes infinite. */
static moire__loop_value number(const search *s, moire__loop_value a) {
  return moire__loop_binary(&s->l->builder, MOIRE__LOOP_min, a, real(s, INFINITY));
}

/* ---- a panel ----------------------------------------------------------------------------------------------
 */

/* Every row is packed, its list empty. */
static void start_rows(const search *s, moire__loop_value n_rows) {
  moire__loop_builder *b = &s->l->builder;
  moire__nearest_pack_rows(s->l, &s->codes, &s->tiles.a, n_rows, s->margin, s->wide);
  moire__loop_value m = moire__loop_for(b, index_of(s, 0), n_rows, 1, s->l->target.lanes);
  moire__loop_store(b, s->limit, m, real(s, INFINITY));
  moire__loop_store(b, s->count, m, moire__loop_const(b, MOIRE__LOOP_I32, 0));
  moire__loop_end(b);
}

static moire__loop_value in_panel(const search *s, moire__loop_value n) {
  return moire__lower_add(s->l, moire__lower_mul(s->l, s->panel, index_of(s, s->codes.narrow.lanes)), n);
}

static moire__loop_value in_scores(const search *s, moire__loop_value m, moire__loop_value n) {
  if (s->codes.narrow.tiles) return n;
  return moire__lower_add(s->l, moire__lower_mul(s->l, m, index_of(s, s->codes.narrow.lanes)), n);
}

/* t - m g of row m and lane n of the panel, whose dot product is `sum`. */
static moire__loop_value score_of(const search *s, moire__loop_value m, moire__loop_value n,
                                  moire__loop_value sum) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value at = in_panel(s, n);
  moire__loop_value low = moire__loop_load(b, s->codes.low, at),
                    reach = moire__loop_load(b, s->codes.reach, at);
  moire__loop_value minus = moire__loop_unary(b, MOIRE__LOOP_neg, moire__loop_load(b, s->margin, m));
  return moire__loop_binary(b, MOIRE__LOOP_sub, fma_of(s, minus, reach, low), sum);
}

static void score(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  search *s = context;
  moire__loop_store(&s->l->builder, s->score, in_scores(s, m, n), number(s, score_of(s, m, n, sum[0])));
}

/* The least of row m's scores of the panel; `above`: of t + m g + 2 w instead. */
static moire__loop_value least_of(const search *s, moire__loop_value m, bool above) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value lanes = index_of(s, s->codes.narrow.lanes), twice = 0, wide = 0;
  if (above) {
    twice = mul(s, moire__loop_load(b, s->margin, m), real(s, 2 + 0x1p-7));
    wide = fma_of(s, moire__loop_load(b, s->wide, m), real(s, 2 + 0x1p-7),
                  real(s, (double)s->codes.depth * 0x1p-118));
  }
  moire__loop_var least = moire__loop_declare(b, real(s, INFINITY));
  moire__loop_value n = moire__loop_for(b, index_of(s, 0), lanes, 1, s->codes.narrow.lanes);
  moire__loop_value value = moire__loop_load(b, s->score, in_scores(s, m, n));
  if (above) {
    moire__loop_value at = in_panel(s, n), low = moire__loop_load(b, s->codes.low, at);
    moire__loop_value slack = fma_of(s, low, real(s, 3 * moire__nearest_share(&s->codes)), wide);
    value = number(s, add(s, value, fma_of(s, twice, moire__loop_load(b, s->codes.reach, at), slack)));
  }
  moire__loop_reduce(b, least, MOIRE__LOOP_min, value);
  moire__loop_end(b);
  return moire__loop_get(b, least);
}

/* Appends `code` to the list of row m, which has `count`. */
static void append(const search *s, moire__loop_value m, moire__loop_value count, moire__loop_value code,
                   moire__loop_value score) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value base = moire__lower_mul(l, m, index_of(s, s->room));
  moire__loop_value at = moire__lower_add(l, base, moire__loop_cast(b, count, MOIRE__LOOP_I64));
  moire__loop_store(b, s->list, at, code);
  moire__loop_store(b, s->scores, at, score);
}

/* Codes of the panel that are not above the limit go to the list of row m, which has `known` so far. A code
 * that is above is written, too, and the next one takes its place. */
static moire__loop_value append_all(const search *s, moire__loop_value m, moire__loop_value limit,
                                    moire__loop_value known) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value lanes = index_of(s, s->codes.narrow.lanes), none = moire__loop_const(b, MOIRE__LOOP_I32, 0);
  moire__loop_var count = moire__loop_declare(b, known);
  moire__loop_value left =
      moire__loop_binary(b, MOIRE__LOOP_sub, index_of(s, s->codes.n), moire__lower_mul(l, s->panel, lanes));
  moire__loop_value end = moire__loop_binary(b, MOIRE__LOOP_min, lanes, left);
  moire__loop_value n = moire__loop_for(b, index_of(s, 0), end, 1, 1);
  moire__loop_value value = moire__loop_load(b, s->score, in_scores(s, m, n)),
                    so_far = moire__loop_get(b, count);
  append(s, m, so_far, moire__loop_cast(b, in_panel(s, n), MOIRE__LOOP_I32), value);
  moire__loop_value is_above = moire__loop_binary(b, MOIRE__LOOP_lt, limit, value);
  moire__loop_set(b, count, add(s, so_far, pick(s, is_above, none, moire__loop_const(b, MOIRE__LOOP_I32, 1))));
  moire__loop_end(b);
  return moire__loop_get(b, count);
}

/* As a rule there is one such code: that with the panel's `least` score. */
static void list_codes(const search *s, moire__loop_value m, moire__loop_value limit, moire__loop_value least,
                       moire__loop_value known) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_I32, 0),
                    one = moire__loop_const(b, MOIRE__LOOP_I32, 1);
  moire__loop_var below_it = moire__loop_declare(b, none), lane = moire__loop_declare(b, none);
  moire__loop_value n =
      moire__loop_for(b, index_of(s, 0), index_of(s, s->codes.narrow.lanes), 1, s->codes.narrow.lanes);
  moire__loop_value value = moire__loop_load(b, s->score, in_scores(s, m, n));
  moire__loop_value is_above = moire__loop_binary(b, MOIRE__LOOP_lt, limit, value);
  moire__loop_reduce(b, below_it, MOIRE__LOOP_add, pick(s, is_above, none, one));
  moire__loop_reduce(b, lane, MOIRE__LOOP_max,
                     pick(s, is_above, none, moire__loop_cast(b, n, MOIRE__LOOP_I32)));
  moire__loop_end(b);
  moire__loop_var count = moire__loop_declare(b, add(s, known, one));
  moire__loop_value code = in_panel(s, moire__loop_cast(b, moire__loop_get(b, lane), MOIRE__LOOP_I64));
  append(s, m, known, moire__loop_cast(b, code, MOIRE__LOOP_I32), least);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, one, moire__loop_get(b, below_it)));
  moire__loop_set(b, count, append_all(s, m, limit, known));
  moire__loop_end(b);
  moire__loop_store(b, s->count, m, moire__loop_get(b, count));
}

/* What the panel has for the list of row m. */
static void look_at_row(const search *s, moire__loop_value m) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value limit = moire__loop_load(b, s->limit, m);
  moire__loop_value least = least_of(s, m, false);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_le, least, limit));
  limit = moire__loop_binary(b, MOIRE__LOOP_min, least_of(s, m, true), limit);
  moire__loop_store(b, s->limit, m, limit);
  moire__loop_value count = moire__loop_load(b, s->count, m);
  moire__loop_value most = moire__loop_const(b, MOIRE__LOOP_I32, ROOM);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_le, count, most));
  list_codes(s, m, limit, least, count);
  moire__loop_end(b);
  moire__loop_end(b);
}

static void look_at_panel(search *s, moire__loop_value n_rows) {
  moire__loop_builder *b = &s->l->builder;
  moire__narrow_emit_panel(s->l, &s->tiles, &s->codes.narrow, s->panel);
  look_at_row(s, moire__loop_for(b, index_of(s, 0), n_rows, 1, 1));
  moire__loop_end(b);
}

/* The same for sums that tiles have left, of row m from element `line` on. A score that is no number counts as
 * infinite, which is above no limit but an infinite one: look_at_row sees to that. */
static void look_at_sums(const search *s, moire__loop_value m, moire__loop_value line) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value zero = index_of(s, 0), lanes = index_of(s, s->codes.narrow.lanes);
  moire__loop_value limit = moire__loop_load(b, s->limit, m);
  moire__loop_var is_near = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_BOOL, 0));
  for (int stores = 0; stores < 2; stores++) {
    moire__loop_value n = moire__loop_for(b, zero, lanes, 1, s->codes.narrow.lanes);
    moire__loop_value sum = moire__loop_load(b, s->codes.narrow.sums[0], moire__lower_add(s->l, line, n));
    moire__loop_value value = score_of(s, m, n, sum);
    if (stores) {
      moire__loop_store(b, s->score, n, number(s, value));
    } else {
      moire__loop_value above = moire__loop_binary(b, MOIRE__LOOP_lt, limit, value);
      moire__loop_reduce(b, is_near, MOIRE__LOOP_or, moire__loop_unary(b, MOIRE__LOOP_not, above));
    }
    moire__loop_end(b);
    if (!stores) moire__loop_if(b, moire__loop_get(b, is_near));
  }
  look_at_row(s, m);
  moire__loop_end(b);
}

static void look_by_tiles(const search *s, moire__loop_value n_rows) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  const moire__narrow *n = &s->codes.narrow;
  moire__loop_value first = moire__loop_for(b, index_of(s, 0), n_rows, n->tile, 1);
  moire__loop_value high =
      moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, first, index_of(s, n->tile)), n_rows);
  moire__narrow_emit_sums(l, &s->tiles, n, s->panel, first, high);
  moire__loop_value m = moire__loop_for(b, first, high, 1, 1);
  moire__loop_value row = moire__loop_binary(b, MOIRE__LOOP_sub, m, first);
  look_at_sums(s, m, moire__lower_mul(l, row, index_of(s, n->lanes)));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* ---- the nearest of a list --------------------------------------------------------------------------------
 */

/* Leaves at the list's head, which begins at `base`, what is not above the limit; returns how many. */
static moire__loop_value sift(const search *s, moire__loop_value m, moire__loop_value base,
                              moire__loop_value count) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value limit = moire__loop_load(b, s->limit, m);
  moire__loop_var kept = moire__loop_declare(b, index_of(s, 0));
  moire__loop_value i = moire__loop_for(b, index_of(s, 0), count, 1, 1);
  moire__loop_value from = moire__lower_add(l, base, i), so_far = moire__loop_get(b, kept);
  moire__loop_store(b, s->list, moire__lower_add(l, base, so_far), moire__loop_load(b, s->list, from));
  moire__loop_value is_above =
      moire__loop_binary(b, MOIRE__LOOP_lt, limit, moire__loop_load(b, s->scores, from));
  moire__loop_set(b, kept, add(s, so_far, pick(s, is_above, index_of(s, 0), index_of(s, 1))));
  moire__loop_end(b);
  return moire__loop_get(b, kept);
}

/* s of codes in row m, as lower_nearest_code.c computes it. Several at once, since each sum waits for itself.
 */
static void exact(const search *s, moire__loop_value m, const moire__loop_value *codes, moire__loop_value *to) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__view x = moire__lower_view(l, l->node->operands[0]), y = moire__lower_view(l, l->node->operands[1]);
  moire__loop_value row = moire__lower_add(l, s->first, m);
  moire__loop_var dot[AT_ONCE];
  for (int i = 0; i < AT_ONCE; i++) dot[i] = moire__loop_declare(b, real(s, 0));
  moire__loop_value j = moire__loop_for(b, index_of(s, 0), index_of(s, s->codes.depth), 1, 1);
  moire__loop_value from = moire__lower_address(l, &x, (const moire__loop_value[]){row, j});
  moire__loop_value a = moire__loop_load(b, moire__lower_buffer(l, x.base), from);
  for (int i = 0; i < AT_ONCE; i++) {
    from = moire__lower_address(l, &y, (const moire__loop_value[]){codes[i], j});
    moire__loop_value c = moire__loop_load(b, moire__lower_buffer(l, y.base), from);
    moire__loop_set(b, dot[i], fma_of(s, a, c, moire__loop_get(b, dot[i])));
  }
  moire__loop_end(b);
  for (int i = 0; i < AT_ONCE; i++)
    to[i] = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_load(b, s->codes.half, codes[i]),
                               moire__loop_get(b, dot[i]));
}

/* Sets `found` to the nearest of `count` codes from `base` on, the lowest of equals. Behind the last code it
 * stands again, which changes nothing. */
static void compare(const search *s, moire__loop_value m, moire__loop_value base, moire__loop_value count,
                    moire__loop_var found) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value last = moire__loop_binary(b, MOIRE__LOOP_sub, count, index_of(s, 1));
  moire__loop_var best = moire__loop_declare(b, real(s, INFINITY));
  moire__loop_set(b, found, moire__loop_const(b, MOIRE__LOOP_I32, 0));
  moire__loop_value codes[AT_ONCE], values[AT_ONCE], narrow[AT_ONCE];
  moire__loop_value i = moire__loop_for(b, index_of(s, 0), count, AT_ONCE, 1);
  for (int c = 0; c < AT_ONCE; c++) {
    moire__loop_value at =
        moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(s->l, i, index_of(s, c)), last);
    narrow[c] = moire__loop_load(b, s->list, moire__lower_add(s->l, base, at));
    codes[c] = moire__loop_cast(b, narrow[c], MOIRE__LOOP_I64);
  }
  exact(s, m, codes, values);
  for (int c = 0; c < AT_ONCE; c++) {
    moire__loop_value old = moire__loop_get(b, best);
    moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_lt, values[c], old);
    moire__loop_set(b, best, pick(s, less, values[c], old));
    moire__loop_set(b, found, pick(s, less, narrow[c], moire__loop_get(b, found)));
  }
  moire__loop_end(b);
}

static void store_rows(const search *s, moire__loop_value n_rows, moire__loop_buffer to) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value most = moire__loop_const(b, MOIRE__LOOP_I32, ROOM), one = index_of(s, 1);
  moire__loop_value m = moire__loop_for(b, index_of(s, 0), n_rows, 1, 1);
  moire__loop_value base = moire__lower_mul(l, m, index_of(s, s->room));
  moire__loop_var found = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_I32, -1));
  moire__loop_value count = moire__loop_load(b, s->count, m);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_le, count, most));
  moire__loop_value kept = sift(s, m, base, moire__loop_cast(b, count, MOIRE__LOOP_I64));
  moire__loop_set(b, found, moire__loop_load(b, s->list, base));
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, one, kept));
  compare(s, m, base, kept, found);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_store(b, to, moire__lower_add(l, s->first, m), moire__loop_get(b, found));
  moire__loop_end(b);
}

/* ---- both kernels -----------------------------------------------------------------------------------------
 */

static void add_locals(search *s) {
  moire__loop_kernel *k = s->l->kernel;
  int64_t rows = s->codes.narrow.rows;
  moire__narrow_add_locals(s->l, &s->codes.narrow);
  s->score = moire__loop_add_local(k, "score", MOIRE__LOOP_F32,
                                   (s->codes.narrow.tiles ? 1 : rows) * s->codes.narrow.lanes);
  s->margin = moire__loop_add_local(k, "margin", MOIRE__LOOP_F32, rows);
  s->wide = moire__loop_add_local(k, "wide", MOIRE__LOOP_F32, rows);
  s->limit = moire__loop_add_local(k, "limit", MOIRE__LOOP_F32, rows);
  s->count = moire__loop_add_local(k, "count", MOIRE__LOOP_I32, rows);
  s->list = moire__loop_add_local(k, "list", MOIRE__LOOP_I32, rows * s->room);
  s->scores = moire__loop_add_local(k, "scores", MOIRE__LOOP_F32, rows * s->room);
}

static void place_rows(search *s, moire__loop_value n_rows) {
  moire__lowering *l = s->l;
  moire__view x = moire__lower_view(l, l->node->operands[0]);
  moire__tiles *t = &s->tiles;
  t->m_low = t->k_low = index_of(s, 0);
  t->m_high = n_rows;
  t->k_high = index_of(s, s->codes.depth);
  t->a.buffer[0] = moire__lower_buffer(l, x.base);
  t->a.base[0] = moire__lower_address(l, &x, (const moire__loop_value[]){s->first, 0});
  t->a.row[0] = moire__loop_extent(&l->builder, x.strides[0]);
  t->a.column[0] = moire__loop_extent(&l->builder, x.strides[1]);
}

static int lower_narrow(search *s, const char *name) {
  moire__lowering *l = s->l;
  int64_t rows = s->codes.narrow.rows, codes = s->codes.n, lanes = s->codes.narrow.lanes;
  int found = moire__lower_new_extra_of(l, MOIRE_I32, s->rows);
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.narrow", name));
  moire__lower_add_reads_of(l, l->node);
  moire__nearest_add_codes(l, &s->codes, MOIRE__BUFFER_IN);
  moire__loop_buffer to = moire__lower_add_extra(l, found, MOIRE__BUFFER_OUT);
  add_locals(s);
  moire__lower_body(l, s->rows, rows);
  moire__loop_builder *b = &l->builder;
  s->first = moire__lower_mul(l, l->kernel->parallel, index_of(s, rows));
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_extent(b, s->rows), s->first);
  moire__loop_value n_rows = moire__loop_binary(b, MOIRE__LOOP_min, left, index_of(s, rows));
  place_rows(s, n_rows);
  start_rows(s, n_rows);
  s->panel = moire__loop_for(b, index_of(s, 0), index_of(s, (codes + lanes - 1) / lanes), 1, 1);
  if (s->codes.narrow.tiles)
    look_by_tiles(s, n_rows);
  else
    look_at_panel(s, n_rows);
  moire__loop_end(b);
  store_rows(s, n_rows, to);
  moire__lower_finish(l);
  return found;
}

static search start(moire__lowering *l) {
  const moire_shape *x = &l->g->values[l->node->operands[0]].shape;
  const moire_shape *codes = &l->g->values[l->node->operands[1]].shape;
  search s = {.l = l, .rows = x->dims[0], .codes.n = codes->dims[0], .codes.depth = codes->dims[1]};
  int64_t depth = s.codes.depth;
  s.tiles = (moire__tiles){.n_extent = s.codes.n, .type = MOIRE__LOOP_F32, .finish = score};
  s.tiles.a.planes = s.tiles.b.planes = 1;
  int64_t rows = !l->target.tiles ? ROWS : depth <= TILE_DEPTH ? TILE_ROWS : TILE_ROWS / 2;
  moire__narrow *n = &s.codes.narrow;
  *n = moire__narrow_choose(l, &s.tiles, s.rows, depth, moire__lower_block(l, rows), true);
  moire__narrow_pack_first(n, &s.tiles, depth);
  n->lines = n->tiles;
  n->depth = n->elements * n->step;
  n->resumes = false;
  s.room = ROOM + n->lanes;
  return s;
}

/* Measured at D from 16 to 2,048 on the machine of docs/decisions/0020: a row costs what 192 codes do, and each
 * code as much as 8 numbers more. By tiles nothing has been measured. */
bool moire__nearest_narrow_pays(moire__lowering *l) {
  const moire_shape *codes = &l->g->values[l->node->operands[1]].shape;
  int64_t n = codes->dims[0], depth = codes->dims[1];
  if (!moire__node_int_or(l->node, "bf16", 0) || depth < 1 || depth > MOST_DEPTH) return false;
  if (l->target.tiles ? !start(l).codes.narrow.tiles : !l->target.pairs) return false;
  return l->target.small_blocks || (n >= 192 && n * (depth - 8) >= 12800);
}

int moire__nearest_narrow_lower(moire__lowering *l) {
  const char *name = l->kernel->name;
  search s = start(l);
  s.tiles.context = &s;
  moire__nearest_pack(l, &s.codes, name);
  return lower_narrow(&s, name);
}
