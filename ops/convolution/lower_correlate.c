/* correlate: a piece is a band of places of one sample and group.
 *
 * Its window of x is copied into local memory once, with the zeros around. For a panel of channels of y, which
 * are the lanes, tiles of places next to each other in a row keep their sums in registers; each tap and channel
 * of x is a scalar of the copy for each place, at any stride, and a vector of weights, which a kernel before
 * has packed [group][panel][r, s, c][lanes]. Channels of x are the innermost loop: taps next to each other
 * would share scalars, and of these are more than registers. A band of a panel is then turned, so that places
 * lie along memory as they do in y, and what is done to each element of the result goes on from there.
 */
#include "ops/convolution/correlate.h"
#include "ops/parts.h"

typedef moire__loop_value value;

enum { MOST_ROWS = 16, NEAR = 1 << 12, FEW = 16 }; /* weights of a part; channels that are worth one */

typedef struct nest {
  moire__lowering *l;
  moire__loop_builder *b;
  moire__correlation k;
  moire__band band;
  int lanes, width, tile; /* columns of a panel; vectors of them; places of a tile */
  int64_t panels, depth;  /* of a group; weights of a channel of y */
  int64_t line;           /* places of a band, in whole squares */
  moire__loop_buffer x, w, sums, turned;
  int64_t part;                              /* channels of x that are summed up at once */
  value r, c_low, c_high, is_first;          /* the part: row of taps, channels; 0: there is one */
  value sample, group, panel, n_low, n_high; /* channels of the group */
} nest;

static value index_of(nest *s, int64_t i) { return moire__loop_index(s->b, i); }
static value add(nest *s, value x, value y) { return moire__lower_add(s->l, x, y); }
static value times(nest *s, value x, int64_t y) { return moire__lower_mul(s->l, x, index_of(s, y)); }
static value minus(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_sub, x, y); }
static value divided(nest *s, value x, int64_t y) {
  return moire__loop_binary(s->b, MOIRE__LOOP_div, x, index_of(s, y));
}
static value rest(nest *s, value x, int64_t y) {
  return moire__loop_binary(s->b, MOIRE__LOOP_mod, x, index_of(s, y));
}
static value open(nest *s, value n) { return moire__loop_for(s->b, index_of(s, 0), n, 1, 1); }
static void close(nest *s) { moire__loop_end(s->b); }

/* ---- sizes ----------------------------------------------------------------------------------------------- */

/* Cycles for a row of n places by tiles of `rows`, of half as many, and of one. */
static int64_t cycles_of(int64_t n, int rows, int width) {
  enum { LATENCY = 8 };
  const int heights[] = {rows, rows > 3 ? rows / 2 : 0, 1};
  int64_t cycles = 0;
  for (int i = 0; i < 3; i++) {
    if (!heights[i]) continue;
    int64_t sums = (int64_t)heights[i] * width;
    cycles += n / heights[i] * (sums > LATENCY ? sums : LATENCY);
    n %= heights[i];
  }
  return cycles;
}

static int tile_of(const moire__lowering *l, int64_t places, int width) {
  int most = (l->target.registers - width - 1) / width, best;
  if (most > MOST_ROWS) most = MOST_ROWS;
  if (most < 1) most = 1;
  if (places <= most) return places < 1 ? 1 : (int)places;
  best = most;
  for (int rows = most - 1; 2 * rows > most; rows--)
    if (cycles_of(places, rows, width) < cycles_of(places, best, width)) best = rows;
  return best;
}

static nest describe(moire__lowering *l) {
  nest s = {.l = l, .b = &l->builder, .k = moire__correlate_in(l->g, l->node)};
  int vector = l->target.lanes;
  int64_t over = s.k.out % (2 * vector);
  s.width = over > 0 && over <= vector ? 1 : 2;
  s.lanes = s.width * vector;
  s.panels = (s.k.out + s.lanes - 1) / s.lanes;
  s.depth = s.k.in * s.k.axis[0].taps * s.k.axis[1].taps;
  s.band = moire__band_choose(l, &s.k, s.k.in, 2 * s.lanes);
  s.tile = tile_of(l, s.band.columns, s.width);
  int64_t most = NEAR / (s.k.axis[1].taps * s.lanes);
  s.part = most < FEW ? FEW : most;
  if (s.part > s.k.in) s.part = s.k.in;
  int64_t parts = (s.k.in + s.part - 1) / s.part;
  s.part = (s.k.in + parts - 1) / parts;
  s.line = (s.band.rows * s.band.columns + vector - 1) / vector * vector;
  return s;
}

/* ---- weights --------------------------------------------------------------------------------------------- */

/* Of channel n of y, at tap and channel c of x. */
static value weight_address(nest *s, value group, value n, value tap, value c) {
  const moire__correlation *k = &s->k;
  int64_t taps = k->axis[0].taps * k->axis[1].taps;
  value row = add(s, times(s, add(s, times(s, group, k->out), n), k->in), c);
  if (k->flipped) {
    row = add(s, times(s, add(s, times(s, group, k->in), c), k->out), n);
    tap = minus(s, index_of(s, taps - 1), tap);
  }
  return add(s, times(s, row, taps), tap);
}

/* The kernel that packs them, one piece a panel. Returns the number of the extra buffer. */
static int pack_weights(nest *s) {
  moire__lowering *l = s->l;
  const char *name = l->kernel->name;
  int32_t w = l->node->operands[1];
  int extra = moire__lower_new_extra(l, s->k.groups * s->panels * s->depth * s->lanes);
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s, packed operand", name));
  moire__lower_add_reads(l, w);
  moire__loop_buffer to = moire__lower_add_extra(l, extra, MOIRE__BUFFER_OUT);
  moire__loop_buffer from = moire__lower_buffer(l, moire__lower_view(l, w).base);
  moire__lower_body(l, s->k.groups * s->panels, 1);
  value piece = l->kernel->parallel, group = divided(s, piece, s->panels), panel = rest(s, piece, s->panels);
  value low = times(s, panel, s->lanes), width = index_of(s, s->lanes);
  if (s->k.out % s->lanes)
    width = moire__loop_binary(s->b, MOIRE__LOOP_min, width, minus(s, index_of(s, s->k.out), low));
  value tap = open(s, index_of(s, s->depth / s->k.in)), c = open(s, index_of(s, s->k.in));
  value lane = moire__loop_for(s->b, index_of(s, 0), width, 1, s->lanes);
  value line = add(s, add(s, times(s, piece, s->depth), times(s, tap, s->k.in)), c);
  moire__loop_store(s->b, to, add(s, times(s, line, s->lanes), lane),
                    moire__loop_load(s->b, from, weight_address(s, group, add(s, low, lane), tap, c)));
  close(s);
  close(s);
  close(s);
  moire__lower_finish(l);
  moire__lower_begin(l, name);
  return extra;
}

/* ---- tiles ----------------------------------------------------------------------------------------------- */

/* One tap of one channel: `x_at` of the copy at the tile's first place, `w_at` of the packed weights. */
static void multiply(nest *s, const moire__loop_var *sums, int rows, value x_at, value w_at) {
  value y = moire__loop_load(s->b, s->w, w_at);
  for (int r = 0; r < rows; r++) {
    value x = moire__loop_load(s->b, s->band.x, add(s, x_at, index_of(s, r * s->k.axis[1].stride)));
    moire__loop_set(s->b, sums[r],
                    moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, moire__loop_get(s->b, sums[r])));
  }
}

static value sum_address(nest *s, value place, int n, value lane) {
  return add(s, times(s, add(s, place, index_of(s, n)), s->lanes), lane);
}

/* What the parts before have summed up. */
static value start(nest *s, value place, int n, value lane) {
  value zero = moire__loop_const(s->b, MOIRE__LOOP_F32, 0);
  if (!s->is_first) return zero;
  value before = moire__loop_load(s->b, s->sums, sum_address(s, place, n, lane));
  return moire__loop_ternary(s->b, MOIRE__LOOP_select, s->is_first, zero, before);
}

/* The part of the sums of `rows` places next to each other. */
static void tile(nest *s, value i, value j, int rows, value lane) {
  const moire__correlate_axis *across = &s->k.axis[1];
  moire__loop_var sums[MOST_ROWS];
  value place = add(s, times(s, i, s->band.columns), j);
  for (int n = 0; n < rows; n++) sums[n] = moire__loop_declare(s->b, start(s, place, n, lane));
  value first = add(s, times(s, add(s, times(s, s->group, s->panels), s->panel), s->depth * s->lanes), lane);
  value t = open(s, index_of(s, across->taps)), c = moire__loop_for(s->b, s->c_low, s->c_high, 1, 1);
  value k = add(s, times(s, add(s, times(s, s->r, across->taps), t), s->k.in), c);
  value x_at = moire__band_address(s->l, &s->k, &s->band, c, (value[]){i, j}, (value[]){s->r, t});
  multiply(s, sums, rows, x_at, add(s, first, times(s, k, s->lanes)));
  close(s);
  close(s);
  for (int n = 0; n < rows; n++)
    moire__loop_store(s->b, s->sums, sum_address(s, place, n, lane), moire__loop_get(s->b, sums[n]));
}

/* Tiles of `rows` places from `low` on, as many as fit; returns the place after them. */
static value tiles_of(nest *s, value i, value low, int rows, value lane) {
  value fit = divided(s, minus(s, s->band.columns_here, low), rows);
  value end = add(s, low, times(s, fit, rows));
  tile(s, i, moire__loop_for(s->b, low, end, rows, 1), rows, lane);
  close(s);
  return end;
}

/* Parts are a row of taps and some channels of x, whose weights stay in the first cache for all tiles. */
static void multiply_panel(nest *s) {
  value lane = moire__loop_for(s->b, index_of(s, 0), minus(s, s->n_high, s->n_low), 1, s->lanes);
  bool rows = s->k.axis[0].taps > 1, blocks = s->part < s->k.in;
  s->r = open(s, index_of(s, s->k.axis[0].taps));
  s->c_low = moire__loop_for(s->b, index_of(s, 0), index_of(s, s->k.in), s->part, 1);
  s->c_high = add(s, s->c_low, index_of(s, s->part));
  if (s->k.in % s->part) s->c_high = moire__loop_binary(s->b, MOIRE__LOOP_min, s->c_high, index_of(s, s->k.in));
  if (rows || blocks)
    s->is_first = moire__loop_binary(s->b, MOIRE__LOOP_lt, add(s, s->r, s->c_low), index_of(s, 1));
  value i = open(s, s->band.rows_here);
  bool whole = s->k.axis[1].places % s->band.columns == 0;
  int64_t left = whole ? s->band.columns % s->tile : s->tile - 1;
  value next = tiles_of(s, i, index_of(s, 0), s->tile, lane);
  if (s->tile > 3 && left >= s->tile / 2) next = tiles_of(s, i, next, s->tile / 2, lane);
  if (s->tile > 1 && left) tiles_of(s, i, next, 1, lane);
  close(s);
  close(s);
  close(s);
  close(s);
}

/* ---- results --------------------------------------------------------------------------------------------- */

/* The sums [place][lanes] as [lanes][place]. */
static void turn_sums(nest *s) {
  int side = s->l->target.lanes;
  value squares = divided(
      s, add(s, moire__lower_mul(s->l, s->band.rows_here, index_of(s, s->band.columns)), index_of(s, side - 1)),
      side);
  value p = times(s, open(s, squares), side);
  for (int n = 0; n < s->lanes; n += side)
    moire__loop_turn(s->b, s->turned, add(s, p, index_of(s, n * s->line)), s->line, s->sums,
                     add(s, times(s, p, s->lanes), index_of(s, n)), index_of(s, s->lanes), side);
  close(s);
}

/* Element p of the band in channel n of everything that the kernel computes. */
static void finish_element(nest *s, value sum, value linear, value channel) {
  moire__lowering *l = s->l;
  int32_t result = l->node->first_result;
  moire__index index = moire__lower_index(l->g, result);
  index.at[0] = s->sample;
  index.at[1] = channel;
  index.linear = linear;
  index.is_current = true;
  l->registers[result] = sum;
  moire__lower_epilogue(l, 1, &index);
}

static void finish_panel(nest *s) {
  const moire__correlate_axis *down = &s->k.axis[0], *across = &s->k.axis[1];
  value n = moire__loop_for(s->b, s->n_low, s->n_high, 1, 1);
  value channel = add(s, times(s, s->group, s->k.out), n);
  value plane = add(s, times(s, s->sample, s->k.groups * s->k.out), channel);
  value first = add(s, times(s, plane, down->places), s->band.row);
  first = add(s, times(s, first, across->places), s->band.column);
  /* Whole rows follow one another in y; a part of a row is one. */
  value all = s->band.n_columns > 1 ? s->band.columns_here : times(s, s->band.rows_here, s->band.columns);
  value p = moire__loop_for(s->b, index_of(s, 0), all, 1, 2 * s->l->target.lanes);
  value at = add(s, times(s, minus(s, n, s->n_low), s->line), p);
  finish_element(s, moire__loop_load(s->b, s->turned, at), add(s, first, p), channel);
  close(s);
  close(s);
}

/* ---- kernel ---------------------------------------------------------------------------------------------- */

static void add_parameters(nest *s, int extra) {
  moire__lowering *l = s->l;
  int32_t x = l->node->operands[0], y = l->node->first_result;
  moire__lower_add_reads(l, x);
  s->x = moire__lower_buffer(l, moire__lower_view(l, x).base);
  s->w = moire__lower_add_extra(l, extra, MOIRE__BUFFER_IN);
  if (!l->n_epilogue || l->stored[y]) moire__lower_add_write(l, y);
  moire__lower_add_epilogue(l);
  s->band.x = moire__loop_add_local(l->kernel, "window", MOIRE__LOOP_F32, s->k.in * s->band.plane);
  s->sums = moire__loop_add_local(l->kernel, "sums", MOIRE__LOOP_F32, s->line * s->lanes);
  s->turned = moire__loop_add_local(l->kernel, "turned", MOIRE__LOOP_F32, s->line * s->lanes);
}

void moire__correlate_lower(moire__lowering *l) {
  nest s = describe(l);
  int extra = pack_weights(&s);
  add_parameters(&s, extra);
  l->kernel->way = moire__arena_printf(
      l->arena, "window copied by bands of %lld x %lld, weights packed before, tiles of %d x %d",
      (long long)s.band.rows, (long long)s.band.columns, s.tile, s.lanes);
  int64_t bands = s.band.n_rows * s.band.n_columns;
  moire_dim count = 0;
  moire__dim_multiply(s.k.batch, s.k.groups * bands, &count);
  moire__lower_body(l, count, 1);
  value piece = l->kernel->parallel, of_sample = divided(&s, piece, bands);
  moire__band_place(l, &s.k, &s.band, rest(&s, piece, bands));
  s.sample = divided(&s, of_sample, s.k.groups);
  s.group = rest(&s, of_sample, s.k.groups);
  value base = times(&s, of_sample, s.k.in * s.k.axis[0].size * s.k.axis[1].size);
  moire__band_copy(l, &s.k, &s.band, s.x, base, index_of(&s, 0), index_of(&s, s.k.in));
  s.panel = open(&s, index_of(&s, s.panels));
  s.n_low = times(&s, s.panel, s.lanes);
  s.n_high = add(&s, s.n_low, index_of(&s, s.lanes));
  if (s.k.out % s.lanes) s.n_high = moire__loop_binary(s.b, MOIRE__LOOP_min, s.n_high, index_of(&s, s.k.out));
  multiply_panel(&s);
  turn_sums(&s);
  finish_panel(&s);
  close(&s);
  moire__lower_finish(l);
}
