/* correlate_weight: lanes are channels of y, rows of a tile are channels of x and taps next to each other; sums
 * go over the places of a band in registers, and from band to band in memory.
 *
 * Where the result is small, 32 pieces take a part of the samples' bands each, which a second kernel adds up in
 * order; else a piece takes some channels of x, and all bands.
 */
#include "ops/convolution/correlate.h"
#include "ops/parts.h"

typedef moire__loop_value value;

enum { MOST_ROWS = 16, CUT_RESULT = 1 << 16, CHANNELS = 16 };

typedef struct nest {
  moire__lowering *l;
  moire__loop_builder *b;
  moire__correlation k;
  moire__band band;
  int lanes, width, most; /* channels of a panel; vectors of them; rows of a tile at most */
  int64_t channels;       /* of x, that a piece takes */
  int64_t elements;       /* of the result */
  bool cut;
  moire__loop_buffer x, y, turned, sums; /* turned: y as [place][lanes] */
  value group, base;                     /* base: element of `sums` where the piece's begin */
  value c_low, c_high, n_low, n_high;
} nest;

static value index_of(nest *s, int64_t i) { return moire__loop_index(s->b, i); }
static value add(nest *s, value x, value y) { return moire__lower_add(s->l, x, y); }
static value plus(nest *s, value x, int64_t y) { return add(s, x, index_of(s, y)); }
static value times(nest *s, value x, int64_t y) { return moire__lower_mul(s->l, x, index_of(s, y)); }
static value minus(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_sub, x, y); }
static value smaller(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_min, x, y); }
static value divided(nest *s, value x, int64_t y) {
  return moire__loop_binary(s->b, MOIRE__LOOP_div, x, index_of(s, y));
}
static value rest(nest *s, value x, int64_t y) {
  return moire__loop_binary(s->b, MOIRE__LOOP_mod, x, index_of(s, y));
}
static value open(nest *s, value n) { return moire__loop_for(s->b, index_of(s, 0), n, 1, 1); }
static void close(nest *s) { moire__loop_end(s->b); }

static nest describe(moire__lowering *l) {
  nest s = {.l = l, .b = &l->builder, .k = moire__correlate_in(l->g, l->node)};
  int vector = l->target.lanes;
  int64_t over = s.k.out % (2 * vector);
  s.width = over > 0 && over <= vector ? 1 : 2;
  s.lanes = s.width * vector;
  s.most = (l->target.registers - s.width - 1) / s.width;
  if (s.most > MOST_ROWS) s.most = MOST_ROWS;
  int64_t of_group = s.k.in * s.k.axis[0].taps * s.k.axis[1].taps * s.k.out;
  s.elements = s.k.groups * of_group;
  s.cut = s.elements <= CUT_RESULT;
  s.channels = s.cut || s.k.in < CHANNELS ? s.k.in : CHANNELS;
  s.band = moire__band_choose(l, &s.k, s.channels, s.lanes);
  return s;
}

/* ---- y, turned ------------------------------------------------------------------------------------------- */

/* Numbers of places [low, high) of the band's, channels [from, to) of the panel. */
static void move_numbers(nest *s, value first, value low, value high, value from, value to) {
  int64_t plane = s->k.axis[0].places * s->k.axis[1].places;
  value p = moire__loop_for(s->b, low, high, 1, 1), n = moire__loop_for(s->b, from, to, 1, s->lanes);
  value source = add(s, add(s, first, p), times(s, n, plane));
  moire__loop_store(s->b, s->turned, add(s, times(s, p, s->lanes), n), moire__loop_load(s->b, s->y, source));
  close(s);
  close(s);
}

/* The panel's channels of the band, whose first number is at `first` of y. */
static void turn_panel(nest *s, value first) {
  int side = s->l->target.lanes;
  int64_t plane = s->k.axis[0].places * s->k.axis[1].places;
  value all = s->band.n_columns > 1 ? s->band.columns_here : times(s, s->band.rows_here, s->band.columns);
  value width = minus(s, s->n_high, s->n_low), zero = index_of(s, 0);
  value whole[2] = {times(s, divided(s, all, side), side), times(s, divided(s, width, side), side)};
  value n = moire__loop_for(s->b, zero, whole[1], side, 1), p = moire__loop_for(s->b, zero, whole[0], side, 1);
  moire__loop_turn(s->b, s->turned, add(s, times(s, p, s->lanes), n), s->lanes, s->y,
                   add(s, add(s, first, p), times(s, n, plane)), index_of(s, plane), side);
  close(s);
  close(s);
  move_numbers(s, first, whole[0], all, zero, width);
  if (s->k.out % side) move_numbers(s, first, zero, whole[0], whole[1], width);
}

/* ---- tiles ----------------------------------------------------------------------------------------------- */

/* Channels of x and taps of a row that a tile has. */
typedef struct tile_size {
  int channels, taps;
} tile_size;

static value sum_address(nest *s, value c, value r, value t, value lane) {
  const moire__correlate_axis *down = &s->k.axis[0], *across = &s->k.axis[1];
  value row = add(s, times(s, add(s, times(s, c, down->taps), r), across->taps), t);
  return add(s, s->base, add(s, times(s, row, s->k.out), add(s, s->n_low, lane)));
}

/* Channels from c, row r of taps, taps from t on. */
static void tile(nest *s, value c, value r, value t, tile_size size, value lane) {
  const moire__correlate_axis *across = &s->k.axis[1];
  moire__loop_var sums[MOST_ROWS];
  int rows = size.channels * size.taps;
  for (int q = 0; q < rows; q++) {
    value at = sum_address(s, plus(s, c, q / size.taps), r, plus(s, t, q % size.taps), lane);
    sums[q] = moire__loop_declare(s->b, moire__loop_load(s->b, s->sums, at));
  }
  value i = open(s, s->band.rows_here), j = open(s, s->band.columns_here);
  value p = add(s, times(s, i, s->band.columns), j);
  value y = moire__loop_load(s->b, s->turned, add(s, times(s, p, s->lanes), lane));
  value first =
      moire__band_address(s->l, &s->k, &s->band, minus(s, c, s->c_low), (value[]){i, j}, (value[]){r, t});
  for (int q = 0; q < rows; q++) {
    int64_t beyond = q / size.taps * s->band.plane + q % size.taps * across->dilation;
    value x = moire__loop_load(s->b, s->band.x, plus(s, first, beyond));
    moire__loop_set(s->b, sums[q],
                    moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, moire__loop_get(s->b, sums[q])));
  }
  close(s);
  close(s);
  for (int q = 0; q < rows; q++) {
    value at = sum_address(s, plus(s, c, q / size.taps), r, plus(s, t, q % size.taps), lane);
    moire__loop_store(s->b, s->sums, at, moire__loop_get(s->b, sums[q]));
  }
}

/* Channels of all tiles with `taps` taps from t on, in row r. */
static void tiles_of_taps(nest *s, value r, value t, int taps, value lane) {
  int channels = s->most / taps;
  if (channels > s->channels) channels = (int)s->channels;
  if (channels < 1) channels = 1;
  while (channels > 2 && s->channels % channels && 2 * channels * taps > s->most) channels--;
  value size = index_of(s, channels);
  value fit = moire__loop_binary(s->b, MOIRE__LOOP_div, minus(s, s->c_high, s->c_low), size);
  value end = add(s, s->c_low, moire__lower_mul(s->l, fit, size));
  tile(s, moire__loop_for(s->b, s->c_low, end, channels, 1), r, t, (tile_size){channels, taps}, lane);
  close(s);
  if (channels == 1 || (s->k.in % s->channels == 0 && s->channels % channels == 0)) return;
  tile(s, moire__loop_for(s->b, end, s->c_high, 1, 1), r, t, (tile_size){1, taps}, lane);
  close(s);
}

static void multiply_panel(nest *s) {
  const moire__correlate_axis *across = &s->k.axis[1];
  int64_t parts = (across->taps + s->most - 1) / s->most, taps = (across->taps + parts - 1) / parts;
  int64_t full = across->taps / taps * taps;
  value lane = moire__loop_for(s->b, index_of(s, 0), minus(s, s->n_high, s->n_low), 1, s->lanes);
  value r = open(s, index_of(s, s->k.axis[0].taps));
  tiles_of_taps(s, r, moire__loop_for(s->b, index_of(s, 0), index_of(s, full), taps, 1), (int)taps, lane);
  close(s);
  if (full < across->taps) tiles_of_taps(s, r, index_of(s, full), (int)(across->taps - full), lane);
  close(s);
  close(s);
}

/* ---- pieces ---------------------------------------------------------------------------------------------- */

/* Band `item` of all samples' bands, in the piece's group. */
static void take_band(nest *s, value item) {
  moire__lowering *l = s->l;
  const moire__correlate_axis *down = &s->k.axis[0], *across = &s->k.axis[1];
  int64_t bands = s->band.n_rows * s->band.n_columns;
  value sample = divided(s, item, bands), of_group = add(s, times(s, sample, s->k.groups), s->group);
  moire__band_place(l, &s->k, &s->band, rest(s, item, bands));
  moire__band_copy(l, &s->k, &s->band, s->x, times(s, of_group, s->k.in * down->size * across->size), s->c_low,
                   s->c_high);
  s->n_low = moire__loop_for(s->b, index_of(s, 0), index_of(s, s->k.out), s->lanes, 1);
  s->n_high = plus(s, s->n_low, s->lanes);
  if (s->k.out % s->lanes) s->n_high = smaller(s, s->n_high, index_of(s, s->k.out));
  value plane = add(s, times(s, of_group, s->k.out), s->n_low);
  value first = add(s, times(s, plane, down->places), s->band.row);
  turn_panel(s, add(s, times(s, first, across->places), s->band.column));
  multiply_panel(s);
  close(s);
}

static void clear_sums(nest *s, value low, value high) {
  value i = moire__loop_for(s->b, low, high, 1, 2 * s->l->target.lanes);
  moire__loop_store(s->b, s->sums, i, moire__loop_const(s->b, MOIRE__LOOP_F32, 0));
  close(s);
}

/* Items [low, high) of the group at hand. */
static void take_items(nest *s, value low, value high) {
  int64_t of_channel = s->k.axis[0].taps * s->k.axis[1].taps * s->k.out;
  clear_sums(s, add(s, s->base, times(s, s->c_low, of_channel)),
             add(s, s->base, times(s, s->c_high, of_channel)));
  take_band(s, moire__loop_for(s->b, low, high, 1, 1));
  close(s);
}

static void add_locals(nest *s) {
  moire__loop_kernel *kernel = s->l->kernel;
  s->band.x = moire__loop_add_local(kernel, "window", MOIRE__LOOP_F32, s->channels * s->band.plane);
  s->turned =
      moire__loop_add_local(kernel, "turned", MOIRE__LOOP_F32, s->band.rows * s->band.columns * s->lanes);
}

static void lower_cut(nest *s, moire_dim items) {
  moire__lowering *l = s->l;
  int extra = moire__lower_new_extra(l, s->elements * moire__lower_pieces(l));
  s->sums = moire__lower_add_extra(l, extra, MOIRE__BUFFER_OUT);
  add_locals(s);
  moire__lower_body(l, moire__lower_pieces(l), 1);
  value low, high, first = times(s, l->kernel->parallel, s->elements);
  moire__lower_piece(l, items, l->kernel->parallel, &low, &high);
  s->c_low = index_of(s, 0);
  s->c_high = index_of(s, s->k.in);
  s->group = open(s, index_of(s, s->k.groups));
  s->base = add(s, first, times(s, s->group, s->elements / s->k.groups));
  take_items(s, low, high);
  close(s);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, extra, l->node->first_result);
}

static void lower_whole(nest *s, moire_dim items) {
  moire__lowering *l = s->l;
  int64_t blocks = (s->k.in + s->channels - 1) / s->channels;
  s->sums = moire__lower_add_write(l, l->node->first_result);
  add_locals(s);
  moire__lower_body(l, s->k.groups * blocks, 1);
  s->group = divided(s, l->kernel->parallel, blocks);
  s->base = times(s, s->group, s->elements / s->k.groups);
  s->c_low = times(s, rest(s, l->kernel->parallel, blocks), s->channels);
  s->c_high = plus(s, s->c_low, s->channels);
  if (s->k.in % s->channels) s->c_high = smaller(s, s->c_high, index_of(s, s->k.in));
  take_items(s, index_of(s, 0), moire__loop_extent(s->b, items));
  moire__lower_finish(l);
}

void moire__correlate_weight_lower(moire__lowering *l) {
  nest s = describe(l);
  moire__lower_add_reads_of(l, l->node);
  s.x = moire__lower_buffer(l, moire__lower_view(l, l->node->operands[0]).base);
  s.y = moire__lower_buffer(l, moire__lower_view(l, l->node->operands[1]).base);
  l->kernel->way =
      moire__arena_printf(l->arena, "window copied by bands of %lld x %lld, %s", (long long)s.band.rows,
                          (long long)s.band.columns, s.cut ? "samples in 32 pieces" : "all samples");
  moire_dim items = 0;
  moire__dim_multiply(s.k.batch, s.band.n_rows * s.band.n_columns, &items);
  if (s.cut)
    lower_cut(&s, items);
  else
    lower_whole(&s, items);
}
