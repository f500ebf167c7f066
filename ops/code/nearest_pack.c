/* Codes and rows for a search in bf16 (ops/code/nearest_narrow.h): rounded around a mean, and what rounding
 * takes from each.
 *
 *   mean   u, of at most SAMPLES codes: any vector near them will do. Rounding is relative to what is rounded,
 * so that data far from the origin would be lost in it; of c - u and x - u less is pack   panels of pairs; of
 * each code the terms of the bound
 *
 * Both depend on the codes alone, so a compiled library has the result in it. Lanes behind the last code repeat
 * it, infinitely far away; so is a code with a NaN or an infinite |c|^2, which is nearest to nothing. From 2^60
 * on, where sums may overflow, nothing is known of a code: its g is infinite. Rows are packed by the search
 * itself.
 */
#include "ops/code/nearest_narrow.h"

#include <math.h>

enum { SAMPLES = 256 };

typedef struct packing {
  moire__lowering *l;
  const moire__nearest_codes *c;
  moire__view codes;
  moire__loop_value code, n, line; /* of this lane; first element of the panel */
  moire__loop_var squares, centred, lost;
} packing;

static moire__loop_value index_of(moire__lowering *l, int64_t value) {
  return moire__loop_index(&l->builder, value);
}

static moire__loop_value real(moire__lowering *l, double value) {
  return moire__loop_const(&l->builder, MOIRE__LOOP_F32, value);
}

static moire__loop_value mul(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_mul, a, b);
}

static moire__loop_value fma_of(moire__lowering *l, moire__loop_value a, moire__loop_value b,
                                moire__loop_value c) {
  return moire__loop_ternary(&l->builder, MOIRE__LOOP_fma, a, b, c);
}

static moire__loop_value pick(moire__lowering *l, moire__loop_value a, moire__loop_value b,
                              moire__loop_value c) {
  return moire__loop_ternary(&l->builder, MOIRE__LOOP_select, a, b, c);
}

static moire__loop_value below(moire__lowering *l, moire__loop_value a, double limit) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_lt, a, real(l, limit));
}

/* a - b, rounded once. A kernel with subtractions beside products would not be prepared ahead of time. */
static moire__loop_value minus(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return fma_of(l, b, real(l, -1), a);
}

/* What bf16 takes from x: exact in float32. */
static moire__loop_value lost_of(moire__lowering *l, moire__loop_value x) {
  return minus(l, x, moire__loop_unary(&l->builder, MOIRE__LOOP_narrow, x));
}

/* No less than the root of what `squares` is the sum of, in any order. */
static moire__loop_value norm_of(moire__lowering *l, moire__loop_value squares, int64_t depth) {
  moire__loop_value root = moire__loop_unary(&l->builder, MOIRE__LOOP_sqrt, squares);
  return fma_of(l, root, real(l, 1 + 0x1p-12), real(l, (double)depth * 0x1p-70));
}

static void add_square(moire__lowering *l, moire__loop_var to, moire__loop_value x) {
  moire__loop_set(&l->builder, to, fma_of(l, x, x, moire__loop_get(&l->builder, to)));
}

/* ---- codes ------------------------------------------------------------------------------------------------
 */

static void lower_mean(moire__lowering *l, moire__nearest_codes *c, const char *name) {
  int64_t step = (c->n + SAMPLES - 1) / SAMPLES, samples = (c->n + step - 1) / step;
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.mean", name));
  moire__lower_add_reads(l, l->node->operands[1]);
  moire__loop_buffer mean = moire__lower_add_extra(l, c->extra[0], MOIRE__BUFFER_OUT);
  moire__lower_body(l, 1, 1);
  moire__loop_builder *b = &l->builder;
  moire__view view = moire__lower_view(l, l->node->operands[1]);
  moire__loop_value j = moire__loop_for(b, index_of(l, 0), index_of(l, c->depth), 1, l->target.lanes * 2);
  moire__loop_var sum = moire__loop_declare(b, real(l, 0));
  moire__loop_value i = moire__loop_for(b, index_of(l, 0), index_of(l, samples), 1, 1);
  moire__loop_value code = moire__lower_mul(l, i, index_of(l, step));
  moire__loop_value from = moire__lower_address(l, &view, (const moire__loop_value[]){code, j});
  moire__loop_value x = moire__loop_load(b, moire__lower_buffer(l, view.base), from);
  moire__loop_set(b, sum, fma_of(l, x, real(l, 1.0 / (double)samples), moire__loop_get(b, sum)));
  moire__loop_end(b);
  moire__loop_value value = moire__loop_get(b, sum), size = moire__loop_unary(b, MOIRE__LOOP_abs, value);
  moire__loop_store(b, mean, j, pick(l, below(l, size, 0x1p50), value, real(l, 0))); /* nor a NaN */
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* Number j of the code around the mean, which is counted in. */
static moire__loop_value take(const packing *p, moire__loop_value j) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value from = moire__lower_address(l, &p->codes, (const moire__loop_value[]){p->code, j});
  moire__loop_value x = moire__loop_load(b, moire__lower_buffer(l, p->codes.base), from);
  add_square(l, p->squares, x);
  x = minus(l, x, moire__loop_load(b, p->c->mean, j));
  add_square(l, p->centred, x);
  add_square(l, p->lost, lost_of(l, x));
  return x;
}

static void store_pair(const packing *p, moire__loop_value i, moire__loop_value x, moire__loop_value y) {
  moire__lowering *l = p->l;
  moire__loop_value at = moire__lower_mul(l, i, index_of(l, p->c->narrow.lanes));
  at = moire__lower_add(l, moire__lower_add(l, p->line, at), p->n);
  moire__loop_value both = moire__loop_binary(&l->builder, MOIRE__LOOP_pair, x, y);
  moire__loop_store(&l->builder, p->c->narrow.b[0], at, both);
}

static void pack_code(const packing *p) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  int64_t depth = p->c->depth;
  moire__loop_value i = moire__loop_for(b, index_of(l, 0), index_of(l, depth / 2), 1, 1);
  moire__loop_value j = moire__lower_mul(l, i, index_of(l, 2));
  moire__loop_value x = take(p, j), y = take(p, moire__lower_add(l, j, index_of(l, 1)));
  store_pair(p, i, x, y);
  moire__loop_end(b);
  if (depth % 2) store_pair(p, index_of(l, depth / 2), take(p, index_of(l, depth - 1)), real(l, 0));
  if (p->c->narrow.elements == (depth + 1) / 2) return; /* else zeros fill a tile */
  i = moire__loop_for(b, index_of(l, (depth + 1) / 2), index_of(l, p->c->narrow.elements), 1, 1);
  store_pair(p, i, real(l, 0), real(l, 0));
  moire__loop_end(b);
}

double moire__nearest_share(const moire__nearest_codes *c) { return (double)(2 * c->depth + 16) * 0x1p-23; }

/* Of a code whose squares have been added up, those of |c|^2 in the order of lower_nearest_code.c. */
static void store_bounds(const packing *p, moire__loop_value place, moire__loop_value there) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  int64_t depth = p->c->depth;
  moire__loop_value half = mul(l, moire__loop_get(b, p->squares), real(l, 0.5)), far = real(l, INFINITY);
  moire__loop_value can_be = moire__loop_binary(b, MOIRE__LOOP_and, there, below(l, half, INFINITY));
  moire__loop_value known = below(l, half, 0x1p120), centred = moire__loop_get(b, p->centred);
  moire__loop_value low =
      fma_of(l, centred, real(l, 0.5 * (1 - moire__nearest_share(p->c))), real(l, (double)depth * -0x1p-120));
  moire__loop_value lost = mul(l, norm_of(l, moire__loop_get(b, p->lost), depth), real(l, 0x1p9));
  moire__loop_value reach = moire__loop_binary(b, MOIRE__LOOP_max, norm_of(l, centred, depth), lost);
  low = pick(l, known, low, real(l, 0));
  reach = pick(l, known, reach, far);
  moire__loop_store(b, p->c->half, place, half);
  moire__loop_store(b, p->c->low, place, pick(l, can_be, low, far));
  moire__loop_store(b, p->c->reach, place, pick(l, can_be, reach, real(l, 0)));
}

void moire__nearest_add_codes(moire__lowering *l, moire__nearest_codes *c, moire__buffer_role role) {
  c->mean = moire__lower_add_extra(l, c->extra[0], MOIRE__BUFFER_IN);
  c->narrow.b[0] = moire__lower_add_extra(l, c->extra[1], role);
  c->half = moire__lower_add_extra(l, c->extra[2], role);
  c->low = moire__lower_add_extra(l, c->extra[3], role);
  c->reach = moire__lower_add_extra(l, c->extra[4], role);
}

static void lower_codes(moire__lowering *l, moire__nearest_codes *c, const char *name) {
  int32_t codes = l->node->operands[1];
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.pack", name));
  moire__lower_add_reads(l, codes);
  moire__nearest_add_codes(l, c, MOIRE__BUFFER_OUT);
  moire__lower_body(l, moire__narrow_panels(&c->narrow), 1);
  moire__loop_builder *b = &l->builder;
  packing p = {.l = l, .c = c, .codes = moire__lower_view(l, codes)};
  moire__loop_value panel = l->kernel->parallel, lanes = index_of(l, c->narrow.lanes);
  moire__loop_value last = index_of(l, c->n - 1);
  p.line = moire__lower_mul(l, panel, index_of(l, c->narrow.elements * c->narrow.lanes));
  p.n = moire__loop_for(b, index_of(l, 0), lanes, 1, c->narrow.lanes);
  moire__loop_value place = moire__lower_add(l, moire__lower_mul(l, panel, lanes), p.n);
  p.code = moire__loop_binary(b, MOIRE__LOOP_min, place, last);
  p.squares = moire__loop_declare(b, real(l, 0));
  p.centred = moire__loop_declare(b, real(l, 0));
  p.lost = moire__loop_declare(b, real(l, 0));
  pack_code(&p);
  store_bounds(&p, place, moire__loop_binary(b, MOIRE__LOOP_le, place, last));
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__nearest_pack(moire__lowering *l, moire__nearest_codes *c, const char *name) {
  int64_t lanes = moire__narrow_panels(&c->narrow) * c->narrow.lanes;
  c->extra[0] = moire__lower_new_extra(l, c->depth);
  c->extra[1] =
      moire__lower_new_extra_of(l, moire__narrow_dtype(&c->narrow), moire__narrow_elements(&c->narrow));
  for (int i = 2; i < 5; i++) c->extra[i] = moire__lower_new_extra(l, lanes);
  lower_mean(l, c, name);
  lower_codes(l, c, name);
}

/* ---- rows -------------------------------------------------------------------------------------------------
 */

/* Rounds a row; the sums of squares are x's, those of x - u, and of what is lost of it. */
static void pack_row(moire__lowering *l, const moire__nearest_codes *c, const moire__tile_matrix *x,
                     moire__loop_value m, const moire__loop_var squares[3]) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value end = index_of(l, c->depth);
  moire__loop_value to = moire__lower_mul(l, m, index_of(l, c->narrow.depth));
  moire__loop_value k = moire__loop_for(b, index_of(l, 0), end, 1, l->target.lanes * 2);
  moire__loop_value value = moire__tile_element(l, x, 0, m, k);
  moire__loop_value around = minus(l, value, moire__loop_load(b, c->mean, k)), lost = lost_of(l, around);
  moire__loop_store(b, c->narrow.a[0], moire__lower_add(l, to, k), around);
  moire__loop_reduce(b, squares[0], MOIRE__LOOP_add, mul(l, value, value));
  moire__loop_reduce(b, squares[1], MOIRE__LOOP_add, mul(l, around, around));
  moire__loop_reduce(b, squares[2], MOIRE__LOOP_add, mul(l, lost, lost));
  moire__loop_end(b);
  if (c->narrow.depth == c->depth) return; /* else zeros fill a pair, or a tile */
  k = moire__loop_for(b, end, index_of(l, c->narrow.depth), 1, l->target.lanes * 2);
  moire__loop_store(b, c->narrow.a[0], moire__lower_add(l, to, k), real(l, 0));
  moire__loop_end(b);
}

/* m and w of a row from the three sums. */
static void store_row(moire__lowering *l, const moire__nearest_codes *c, moire__loop_value row,
                      moire__loop_value mean, const moire__loop_value squares[3], moire__loop_buffer m,
                      moire__loop_buffer w) {
  moire__loop_builder *b = &l->builder;
  double depth = (double)c->depth;
  moire__loop_value x = norm_of(l, squares[0], c->depth), wide = real(l, (depth + 4) * 0x1p-24 * 1.05);
  moire__loop_value narrow =
      fma_of(l, norm_of(l, squares[1], c->depth), real(l, 0x1p-9 + (2 * depth + 16) * 0x1p-24 * 1.05),
             norm_of(l, squares[2], c->depth));
  moire__loop_value margin = mul(l, fma_of(l, x, wide, narrow), real(l, 1 + 0x1p-7));
  moire__loop_value both = mul(l, moire__loop_binary(b, MOIRE__LOOP_add, x, mean), mean);
  moire__loop_store(b, m, row, pick(l, below(l, squares[0], 0x1p120), margin, real(l, INFINITY)));
  moire__loop_store(b, w, row, mul(l, both, wide));
}

void moire__nearest_pack_rows(moire__lowering *l, const moire__nearest_codes *c, const moire__tile_matrix *x,
                              moire__loop_value n_rows, moire__loop_buffer m, moire__loop_buffer w) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = index_of(l, 0), nothing = real(l, 0);
  moire__loop_var total = moire__loop_declare(b, nothing);
  moire__loop_value k = moire__loop_for(b, zero, index_of(l, c->depth), 1, l->target.lanes * 2);
  moire__loop_value u = moire__loop_load(b, c->mean, k);
  moire__loop_reduce(b, total, MOIRE__LOOP_add, mul(l, u, u));
  moire__loop_end(b);
  moire__loop_value mean = norm_of(l, moire__loop_get(b, total), c->depth);
  moire__loop_value row = moire__loop_for(b, zero, n_rows, 1, 1);
  moire__loop_var squares[3];
  for (int i = 0; i < 3; i++) squares[i] = moire__loop_declare(b, nothing);
  pack_row(l, c, x, row, squares);
  moire__loop_value sums[3];
  for (int i = 0; i < 3; i++) sums[i] = moire__loop_get(b, squares[i]);
  store_row(l, c, row, mean, sums, m, w);
  moire__loop_end(b);
}
