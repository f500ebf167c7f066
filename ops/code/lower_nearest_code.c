/* nearest_code: a matrix product whose results are compared as they come and never stored.
 *
 * |x - c|^2 = |x|^2 + 2 (|c|^2 / 2 - x . c), so the nearest code has the least |c|^2 / 2 - x . c. Two kernels:
 *
 *   panels  copies the codes, transposed, into panels of as many codes as a register tile is wide, [D, wide]
 *           each, and |c|^2 / 2 beside them: infinity behind the last code. It depends on the codes alone.
 *   search  one piece is a block of rows. For every panel, register tiles give x . c; each row keeps the least
 *           value and its panel for every lane, which only a smaller value replaces. At the end the lowest code
 *           among the lanes with the least value is the lowest of all.
 *
 * Every product is summed in the order of D, whatever the tile: what a row gets does not depend on the batch. A
 * panel stays in the first cache while the rows of a block pass by. Memory beside the operands: the panels.
 *
 * Where operands in bf16 serve (lower_nearest_narrow.c), both kernels come after, for blocks with rows of which
 * these did not find the code; as a rule there are none.
 */
#include "ops/code/nearest_narrow.h"
#include "ops/parts.h"
#include "ops/product/tiles.h"

#include <math.h>

/* Most rows of a block, which is of whole tiles. Fewer read all panels more often: with 48 rows, 16,384 codes
 * of 256 numbers took 1.12 times as long. More are too few pieces for many threads. */
enum { ROWS = 112 };

typedef struct search {
  moire__lowering *l;
  moire_dim rows;               /* B */
  int64_t codes, depth;         /* K, D */
  int64_t wide, panels, block;  /* codes of a panel, rows of a block */
  int panel_extra, half_extra;  /* numbers of the extra buffers */
  int found_extra;              /* of what bf16 found, or -1 for nothing; -1: all is searched here */
  moire__loop_buffer half;      /* [panels, wide]: |c|^2 / 2 */
  moire__loop_buffer best, who; /* [block, wide]: the least value of a lane, and its panel */
  moire__loop_value panel;      /* the one at hand */
  moire__tiles tiles;
} search;

static moire__loop_value index_of(const search *s, int64_t value) {
  return moire__loop_index(&s->l->builder, value);
}

/* Opens `if` a row of [low, high) has not been found yet. */
static void open_if_missing(const search *s, moire__loop_buffer found, moire__loop_value low,
                            moire__loop_value high) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_I32, 0);
  moire__loop_var least = moire__loop_declare(b, none);
  moire__loop_value i = moire__loop_for(b, low, high, 1, s->l->target.lanes);
  moire__loop_reduce(b, least, MOIRE__LOOP_min, moire__loop_load(b, found, i));
  moire__loop_end(b);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, moire__loop_get(b, least), none));
}

/* [panel, j, n] -> codes[panel * wide + n, j], 0 behind the last code. */
static void lower_panels(search *s) {
  moire__lowering *l = s->l;
  int32_t codes = l->node->operands[1];
  moire__lower_add_reads(l, codes);
  moire__loop_buffer panels = moire__lower_add_extra(l, s->panel_extra, MOIRE__BUFFER_OUT);
  moire__loop_buffer half = moire__lower_add_extra(l, s->half_extra, MOIRE__BUFFER_OUT);
  moire__loop_buffer found = 0;
  if (s->found_extra >= 0) found = moire__lower_add_extra(l, s->found_extra, MOIRE__BUFFER_IN);
  moire__lower_body(l, s->panels, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = index_of(s, 0), wide = index_of(s, s->wide), panel = l->kernel->parallel;
  if (found) open_if_missing(s, found, zero, moire__loop_extent(b, s->rows));
  moire__loop_value n = moire__loop_for(b, zero, wide, 1, (int)s->wide);
  moire__loop_value place = moire__lower_add(l, moire__lower_mul(l, panel, wide), n);
  moire__loop_value last = index_of(s, s->codes - 1), none = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  moire__loop_value there = moire__loop_binary(b, MOIRE__LOOP_le, place, last);
  moire__loop_value code = moire__loop_binary(b, MOIRE__LOOP_min, place, last);
  moire__loop_var squares = moire__loop_declare(b, none);
  moire__loop_value j = moire__loop_for(b, zero, index_of(s, s->depth), 1, 1);
  moire__view view = moire__lower_view(l, codes);
  moire__loop_value from = moire__lower_address(l, &view, (const moire__loop_value[]){code, j});
  moire__loop_value element = moire__loop_load(b, moire__lower_buffer(l, view.base), from);
  element = moire__loop_ternary(b, MOIRE__LOOP_select, there, element, none);
  moire__loop_value row = moire__lower_add(l, moire__lower_mul(l, panel, index_of(s, s->depth)), j);
  moire__loop_store(b, panels, moire__lower_add(l, moire__lower_mul(l, row, wide), n), element);
  moire__loop_set(b, squares,
                  moire__loop_ternary(b, MOIRE__LOOP_fma, element, element, moire__loop_get(b, squares)));
  moire__loop_end(b);
  moire__loop_value sum = moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_get(b, squares),
                                             moire__loop_const(b, MOIRE__LOOP_F32, 0.5));
  moire__loop_value far = moire__loop_const(b, MOIRE__LOOP_F32, INFINITY);
  moire__loop_store(b, half, place, moire__loop_ternary(b, MOIRE__LOOP_select, there, sum, far));
  moire__loop_end(b);
  if (found) moire__loop_end(b);
  moire__lower_finish(l);
}

/* The dot product of row m of the block with lane n of the panel takes part. */
static void compare(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  search *s = context;
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value wide = index_of(s, s->wide);
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, m, wide), n);
  moire__loop_value half =
      moire__loop_load(b, s->half, moire__lower_add(l, moire__lower_mul(l, s->panel, wide), n));
  moire__loop_value value = moire__loop_binary(b, MOIRE__LOOP_sub, half, sum[0]);
  moire__loop_value best = moire__loop_load(b, s->best, at), who = moire__loop_load(b, s->who, at);
  moire__loop_value less = moire__loop_binary(b, MOIRE__LOOP_lt, value, best);
  moire__loop_value panel = moire__loop_cast(b, s->panel, MOIRE__LOOP_I32);
  moire__loop_store(b, s->best, at, moire__loop_ternary(b, MOIRE__LOOP_select, less, value, best));
  moire__loop_store(b, s->who, at, moire__loop_ternary(b, MOIRE__LOOP_select, less, panel, who));
}

static void start_rows(const search *s, moire__loop_value n_rows) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value end = moire__lower_mul(s->l, n_rows, index_of(s, s->wide));
  moire__loop_value at = moire__loop_for(b, index_of(s, 0), end, 1, (int)s->wide);
  moire__loop_store(b, s->best, at, moire__loop_const(b, MOIRE__LOOP_F32, INFINITY));
  moire__loop_store(b, s->who, at, moire__loop_const(b, MOIRE__LOOP_I32, 0));
  moire__loop_end(b);
}

/* Of each row's lanes, the lowest code with the least value. */
static void store_rows(const search *s, moire__loop_value first, moire__loop_value n_rows) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = index_of(s, 0), wide = index_of(s, s->wide);
  moire__loop_value m = moire__loop_for(b, zero, n_rows, 1, 1), base = moire__lower_mul(l, m, wide);
  moire__loop_var least = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, INFINITY));
  moire__loop_value n = moire__loop_for(b, zero, wide, 1, (int)s->wide);
  moire__loop_reduce(b, least, MOIRE__LOOP_min, moire__loop_load(b, s->best, moire__lower_add(l, base, n)));
  moire__loop_end(b);
  moire__loop_value value = moire__loop_get(b, least);
  moire__loop_value last = moire__loop_const(b, MOIRE__LOOP_I32, (double)(s->codes - 1));
  moire__loop_var code = moire__loop_declare(b, last);
  n = moire__loop_for(b, zero, wide, 1, (int)s->wide);
  moire__loop_value at = moire__lower_add(l, base, n);
  moire__loop_value equal = moire__loop_binary(b, MOIRE__LOOP_eq, moire__loop_load(b, s->best, at), value);
  moire__loop_value lanes = moire__loop_const(b, MOIRE__LOOP_I32, (double)s->wide);
  moire__loop_value place = moire__lower_mul(l, moire__loop_load(b, s->who, at), lanes);
  place = moire__lower_add(l, place, moire__loop_cast(b, n, MOIRE__LOOP_I32));
  moire__loop_reduce(b, code, MOIRE__LOOP_min, moire__loop_ternary(b, MOIRE__LOOP_select, equal, place, last));
  moire__loop_end(b);
  moire__lower_write(l, l->node->first_result, moire__lower_add(l, first, m), moire__loop_get(b, code));
  moire__loop_end(b);
}

/* What the register tiles multiply: a block of x, and the panel at hand. */
static void place_tiles(search *s, moire__loop_value first, moire__loop_value n_rows,
                        moire__loop_buffer panels) {
  moire__lowering *l = s->l;
  moire__loop_builder *b = &l->builder;
  moire__view x = moire__lower_view(l, l->node->operands[0]);
  moire__tiles *t = &s->tiles;
  t->m_low = t->n_low = t->k_low = index_of(s, 0);
  t->m_high = n_rows;
  t->n_high = index_of(s, s->wide);
  t->k_high = index_of(s, s->depth);
  t->a.buffer[0] = moire__lower_buffer(l, x.base);
  t->a.base[0] = moire__lower_address(l, &x, (const moire__loop_value[]){first, 0});
  t->a.row[0] = moire__loop_extent(b, x.strides[0]);
  t->a.column[0] = moire__loop_extent(b, x.strides[1]);
  t->b.buffer[0] = panels;
  t->b.base[0] = moire__lower_mul(l, s->panel, index_of(s, s->depth * s->wide));
  t->b.row[0] = index_of(s, s->wide);
  t->b.column[0] = index_of(s, 1);
}

static void copy_rows(const search *s, moire__loop_buffer found, moire__loop_value low,
                      moire__loop_value high) {
  moire__loop_builder *b = &s->l->builder;
  moire__loop_value i = moire__loop_for(b, low, high, 1, s->l->target.lanes);
  moire__lower_write(s->l, s->l->node->first_result, i, moire__loop_load(b, found, i));
  moire__loop_end(b);
}

static void lower_search(search *s) {
  moire__lowering *l = s->l;
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.search", l->kernel->name));
  moire__lower_add_reads(l, l->node->operands[0]);
  moire__loop_buffer panels = moire__lower_add_extra(l, s->panel_extra, MOIRE__BUFFER_IN);
  s->half = moire__lower_add_extra(l, s->half_extra, MOIRE__BUFFER_IN);
  moire__loop_buffer found = 0;
  if (s->found_extra >= 0) found = moire__lower_add_extra(l, s->found_extra, MOIRE__BUFFER_IN);
  moire__lower_add_write(l, l->node->first_result);
  s->best = moire__loop_add_local(l->kernel, "best", MOIRE__LOOP_F32, s->block * s->wide);
  s->who = moire__loop_add_local(l->kernel, "who", MOIRE__LOOP_I32, s->block * s->wide);
  moire__lower_body(l, s->rows, s->block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value block = index_of(s, s->block), first = moire__lower_mul(l, l->kernel->parallel, block);
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_extent(b, s->rows), first);
  moire__loop_value n_rows = moire__loop_binary(b, MOIRE__LOOP_min, left, block);
  if (found) {
    moire__loop_value end = moire__lower_add(l, first, n_rows);
    copy_rows(s, found, first, end);
    open_if_missing(s, found, first, end);
  }
  start_rows(s, n_rows);
  s->panel = moire__loop_for(b, index_of(s, 0), index_of(s, s->panels), 1, 1);
  place_tiles(s, first, n_rows, panels);
  moire__tiles_emit(l, &s->tiles);
  moire__loop_end(b);
  store_rows(s, first, n_rows);
  if (found) moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__nearest_code_lower(moire__lowering *l) {
  const moire_shape *x = &l->g->values[l->node->operands[0]].shape;
  const moire_shape *codes = &l->g->values[l->node->operands[1]].shape;
  search s = {.l = l, .rows = x->dims[0], .codes = codes->dims[0], .depth = codes->dims[1], .found_extra = -1};
  s.wide = l->target.lanes * 2;
  s.panels = (s.codes + s.wide - 1) / s.wide;
  s.tiles = (moire__tiles){.n_extent = s.wide, .type = MOIRE__LOOP_F32, .finish = compare, .context = &s};
  s.tiles.a.planes = s.tiles.b.planes = 1;
  int tile = moire__tiles_rows(l, &s.tiles);
  s.block = l->target.small_blocks ? tile + 1 : ROWS / tile * tile;
  s.panel_extra = moire__lower_new_extra(l, s.panels * s.depth * s.wide);
  s.half_extra = moire__lower_new_extra(l, s.panels * s.wide);
  if (moire__nearest_narrow_pays(l)) {
    const char *name = l->kernel->name;
    s.found_extra = moire__nearest_narrow_lower(l);
    moire__lower_begin(l, name);
  }
  lower_panels(&s);
  lower_search(&s);
}
