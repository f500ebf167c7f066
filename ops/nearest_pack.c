/* Codes for a search in bf16 (ops/nearest_narrow.h): one kernel packs panels of pairs, and bounds what rounding
 * takes from each code.
 *
 * It depends on the codes alone, so a compiled library does it while it is made. Lanes behind the last code
 * repeat it, infinitely far away; so is a code with a NaN or an infinite |c|^2, which is nearest to nothing.
 * From 2^60 on, where sums may overflow, nothing is known of a code: its g is infinite.
 */
#include "ops/nearest_narrow.h"

#include <math.h>

typedef struct packing {
  moire__lowering *l;
  const moire__nearest_codes *c;
  moire__view codes;
  moire__loop_value code, n, line; /* of this lane; first element of the panel */
  moire__loop_var squares, lost;
} packing;

static moire__loop_value index_of(const packing *p, int64_t value) {
  return moire__loop_index(&p->l->builder, value);
}

static moire__loop_value real(moire__lowering *l, double value) {
  return moire__loop_const(&l->builder, MOIRE__LOOP_F32, value);
}

static moire__loop_value fma_of(moire__lowering *l, moire__loop_value a, moire__loop_value b,
                                moire__loop_value c) {
  return moire__loop_ternary(&l->builder, MOIRE__LOOP_fma, a, b, c);
}

static moire__loop_value pick(moire__lowering *l, moire__loop_value a, moire__loop_value b,
                              moire__loop_value c) {
  return moire__loop_ternary(&l->builder, MOIRE__LOOP_select, a, b, c);
}

/* Not by a subtraction: with products beside it, the kernel would not be prepared ahead of time (pass prepare).
 */
moire__loop_value moire__nearest_lost(moire__lowering *l, moire__loop_value x) {
  return fma_of(l, moire__loop_unary(&l->builder, MOIRE__LOOP_narrow, x), real(l, -1), x);
}

moire__loop_value moire__nearest_norm(moire__lowering *l, moire__loop_value squares, int64_t depth) {
  moire__loop_value root = moire__loop_unary(&l->builder, MOIRE__LOOP_sqrt, squares);
  return fma_of(l, root, real(l, 1 + 0x1p-12), real(l, (double)depth * 0x1p-70));
}

/* Number j of the code, which is counted in. */
static moire__loop_value take(const packing *p, moire__loop_value j) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value from = moire__lower_address(l, &p->codes, (const moire__loop_value[]){p->code, j});
  moire__loop_value x = moire__loop_load(b, moire__lower_buffer(l, p->codes.base), from);
  moire__loop_value lost = moire__nearest_lost(l, x);
  moire__loop_set(b, p->squares, fma_of(l, x, x, moire__loop_get(b, p->squares)));
  moire__loop_set(b, p->lost, fma_of(l, lost, lost, moire__loop_get(b, p->lost)));
  return x;
}

static void store_pair(const packing *p, moire__loop_value i, moire__loop_value x, moire__loop_value y) {
  moire__lowering *l = p->l;
  moire__loop_value at = moire__lower_mul(l, i, index_of(p, p->c->narrow.lanes));
  at = moire__lower_add(l, moire__lower_add(l, p->line, at), p->n);
  moire__loop_value both = moire__loop_binary(&l->builder, MOIRE__LOOP_pair, x, y);
  moire__loop_store(&l->builder, p->c->narrow.b[0], at, both);
}

static void pack_code(const packing *p) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  int64_t depth = p->c->depth;
  moire__loop_value i = moire__loop_for(b, index_of(p, 0), index_of(p, depth / 2), 1, 1);
  moire__loop_value j = moire__lower_mul(l, i, index_of(p, 2));
  moire__loop_value x = take(p, j), y = take(p, moire__lower_add(l, j, index_of(p, 1)));
  store_pair(p, i, x, y);
  moire__loop_end(b);
  if (depth % 2) store_pair(p, index_of(p, depth / 2), take(p, index_of(p, depth - 1)), real(l, 0));
}

/* Of a code whose squares have been added up, in the order of lower_nearest_code.c. */
static void store_bounds(const packing *p, moire__loop_value place, moire__loop_value there) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  double depth = (double)p->c->depth;
  moire__loop_value squares = moire__loop_get(b, p->squares), far = real(l, INFINITY);
  moire__loop_value half = moire__loop_binary(b, MOIRE__LOOP_mul, squares, real(l, 0.5));
  moire__loop_value finite = moire__loop_binary(b, MOIRE__LOOP_lt, half, far);
  moire__loop_value can_be = moire__loop_binary(b, MOIRE__LOOP_and, there, finite);
  moire__loop_value low = fma_of(l, half, real(l, 1 - 0x1p-21), real(l, depth * -0x1p-120));
  moire__loop_value lost = moire__nearest_norm(l, moire__loop_get(b, p->lost), p->c->depth);
  lost = moire__loop_binary(b, MOIRE__LOOP_mul, lost, real(l, 0x1p9));
  moire__loop_value reach =
      moire__loop_binary(b, MOIRE__LOOP_max, moire__nearest_norm(l, squares, p->c->depth), lost);
  reach = pick(l, moire__loop_binary(b, MOIRE__LOOP_lt, half, real(l, 0x1p120)), reach, far);
  moire__loop_store(b, p->c->half, place, half);
  moire__loop_store(b, p->c->low, place, pick(l, can_be, low, far));
  moire__loop_store(b, p->c->reach, place, pick(l, can_be, reach, real(l, 0)));
}

void moire__nearest_add_codes(moire__lowering *l, moire__nearest_codes *c, moire__buffer_role role) {
  c->narrow.b[0] = moire__lower_add_extra(l, c->extra[0], role);
  c->half = moire__lower_add_extra(l, c->extra[1], role);
  c->low = moire__lower_add_extra(l, c->extra[2], role);
  c->reach = moire__lower_add_extra(l, c->extra[3], role);
}

void moire__nearest_pack(moire__lowering *l, moire__nearest_codes *c, const char *name) {
  int64_t panels = moire__narrow_panels(&c->narrow);
  int32_t codes = l->node->operands[1];
  c->extra[0] =
      moire__lower_new_extra_of(l, moire__narrow_dtype(&c->narrow), moire__narrow_elements(&c->narrow));
  for (int i = 1; i < 4; i++) c->extra[i] = moire__lower_new_extra(l, panels * c->narrow.lanes);
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.pack", name));
  moire__lower_add_reads(l, codes);
  moire__nearest_add_codes(l, c, MOIRE__BUFFER_OUT);
  moire__lower_body(l, panels, 1);
  moire__loop_builder *b = &l->builder;
  packing p = {.l = l, .c = c, .codes = moire__lower_view(l, codes)};
  moire__loop_value panel = l->kernel->parallel, lanes = index_of(&p, c->narrow.lanes);
  moire__loop_value last = index_of(&p, c->n - 1);
  p.line = moire__lower_mul(l, panel, index_of(&p, c->narrow.elements * c->narrow.lanes));
  p.n = moire__loop_for(b, index_of(&p, 0), lanes, 1, c->narrow.lanes);
  moire__loop_value place = moire__lower_add(l, moire__lower_mul(l, panel, lanes), p.n);
  p.code = moire__loop_binary(b, MOIRE__LOOP_min, place, last);
  p.squares = moire__loop_declare(b, real(l, 0));
  p.lost = moire__loop_declare(b, real(l, 0));
  pack_code(&p);
  store_bounds(&p, place, moire__loop_binary(b, MOIRE__LOOP_le, place, last));
  moire__loop_end(b);
  moire__lower_finish(l);
}
