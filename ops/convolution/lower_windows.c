/* windows_fft and windows_ifft as loop nests: lanes are channels, a piece is a vector of them of one sample.
 *
 * Rows of x are turned into a local block [points][lanes], a window at a time, and transformed there in the
 * passes of Stockham's (ops/sequence/lower_cfft.c has the equation), of which the last writes to the result, or
 * the first reads the operand. The inverse is the forward transform of exchanged planes. On the way back the
 * part of a window that the next one shares waits in a local tail.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/convolution/windows.h"
#include "ops/parts.h"
#include "ops/sequence/fft.h"

typedef moire__loop_value value;
typedef moire__complex_value number;

/* Planes of vectors: point t at base + t * step, its lanes behind it. */
typedef struct place {
  moire__loop_buffer plane[2];
  value base, step;
} place;

typedef struct nest {
  moire__lowering *l;
  moire__loop_builder *b;
  moire__windows w;
  int lanes, passes, radices[MOIRE__FFT_MOST_RADICES];
  moire__loop_buffer x[2], y[2], cos, sin, work[2][2], tail[2], turned[2];
  int64_t line;          /* of `turned`, which is [lanes][points] */
  value sample, channel; /* of the piece: its first channel */
  value width;           /* channels of the piece, at most `lanes` */
  value row;             /* element of x where its first channel begins */
  value first;           /* element of y where point 0 of its window 0 begins */
  value far;             /* from a point of y to the next */
} nest;

/* ---- shorthand ------------------------------------------------------------------------------------------- */

static value index_of(nest *s, int64_t i) { return moire__loop_index(s->b, i); }
static value add(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_add, x, y); }
static value sub(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_sub, x, y); }
static value mul(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_mul, x, y); }
static value times(nest *s, value x, int64_t y) { return mul(s, x, index_of(s, y)); }
static value plus(nest *s, value x, int64_t y) { return add(s, x, index_of(s, y)); }
static value smaller(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_min, x, y); }
static value larger(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_max, x, y); }
static value both(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_and, x, y); }
static value at_most(nest *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_le, x, y); }
static value fma3(nest *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}
static value negative(nest *s, value x) { return moire__loop_unary(s->b, MOIRE__LOOP_neg, x); }
static value zero(nest *s) { return moire__loop_const(s->b, MOIRE__LOOP_F32, 0); }

static value open(nest *s, int64_t n) { return moire__loop_for(s->b, index_of(s, 0), index_of(s, n), 1, 1); }
static value open_lanes(nest *s) { return moire__loop_for(s->b, index_of(s, 0), s->width, 1, s->lanes); }
static void close(nest *s) { moire__loop_end(s->b); }

static value address(nest *s, const place *p, value t, value lane) {
  return add(s, add(s, p->base, mul(s, t, p->step)), lane);
}
static number load(nest *s, const place *p, value t, value lane) {
  value at = address(s, p, t, lane);
  return (number){moire__loop_load(s->b, p->plane[0], at), moire__loop_load(s->b, p->plane[1], at)};
}
static void store(nest *s, const place *p, value t, value lane, number x) {
  value at = address(s, p, t, lane);
  moire__loop_store(s->b, p->plane[0], at, x.re);
  moire__loop_store(s->b, p->plane[1], at, x.im);
}

static place local(nest *s, int i) {
  return (place){{s->work[i][0], s->work[i][1]}, index_of(s, 0), index_of(s, s->lanes)};
}
/* Window i of y. */
static place outer(nest *s, value i) {
  return (place){{s->y[0], s->y[1]}, add(s, s->first, times(s, i, s->w.channels)), s->far};
}
static place exchanged(place p) { return (place){{p.plane[1], p.plane[0]}, p.base, p.step}; }

/* ---- passes ---------------------------------------------------------------------------------------------- */

static number rotated(nest *s, number x, value j) {
  value c = moire__loop_load(s->b, s->cos, j), minus = negative(s, moire__loop_load(s->b, s->sin, j));
  return (number){fma3(s, x.re, c, negative(s, mul(s, x.im, minus))), fma3(s, x.im, c, mul(s, x.re, minus))};
}

typedef struct pass {
  int r;
  int64_t d, m;
  bool last;
} pass;

static void run_pass(nest *s, pass p, const place *from, const place *to) {
  value j = open(s, p.m), k = open(s, p.d), lane = open_lanes(s);
  number x[MOIRE__FFT_MOST_RADIX];
  value at = add(s, times(s, j, p.d), k), into = add(s, times(s, j, p.r * p.d), k);
  for (int q = 0; q < p.r; q++) x[q] = load(s, from, plus(s, at, q * p.m * p.d), lane);
  moire__fft_short(s->b, x, p.r);
  for (int q = 0; q < p.r; q++) {
    if (q > 0 && p.m > 1) x[q] = rotated(s, x[q], times(s, j, q * p.d));
    if (p.last && s->w.scale != 1) {
      value scale = moire__loop_const(s->b, MOIRE__LOOP_F32, s->w.scale);
      x[q] = (number){mul(s, x[q].re, scale), mul(s, x[q].im, scale)};
    }
    store(s, to, plus(s, into, q * p.d), lane, x[q]);
  }
  close(s);
  close(s);
  close(s);
}

/* From a place to another one by way of the local ones; `next` is the first that may be written. */
static void run_passes(nest *s, place from, place to, int next) {
  int64_t d = 1;
  for (int i = 0; i < s->passes; i++) {
    int r = s->radices[i];
    bool last = i == s->passes - 1;
    place into = last ? to : local(s, next);
    run_pass(s, (pass){r, d, s->w.points / d / r, last}, &from, &into);
    from = into;
    next = 1 - next;
    d *= r;
  }
}

/* ---- between rows of x and a local block ----------------------------------------------------------------- */

/* The points of [0, n) that x has of a window whose point 0 is at place `origin` of x. */
static void inside(nest *s, value origin, int64_t n, value *low, value *high) {
  value none = index_of(s, 0), all = index_of(s, n);
  *low = smaller(s, larger(s, none, sub(s, none, origin)), all);
  *high = larger(s, *low, smaller(s, all, sub(s, index_of(s, s->w.length), origin)));
}

static void read_numbers(nest *s, value origin, value low, value high) {
  place block = local(s, 0);
  value t = moire__loop_for(s->b, low, high, 1, 1), lane = open_lanes(s);
  value at = add(s, add(s, s->row, add(s, origin, t)), times(s, lane, s->w.length));
  store(s, &block, t, lane, (number){moire__loop_load(s->b, s->x[0], at), moire__loop_load(s->b, s->x[1], at)});
  close(s);
  close(s);
}

/* The first `n` points, by squares of which the last one may overlap the one before. */
static void read_squares(nest *s, value origin, int64_t n) {
  int64_t squares = (n + s->lanes - 1) / s->lanes;
  value t = smaller(s, times(s, open(s, squares), s->lanes), index_of(s, n - s->lanes));
  value at = add(s, s->row, add(s, origin, t));
  for (int i = 0; i < 2; i++)
    moire__loop_turn(s->b, s->work[0][i], times(s, t, s->lanes), s->lanes, s->x[i], at,
                     index_of(s, s->w.length), s->lanes);
  close(s);
}

/* What x has of a window, into the block. */
static void read_window(nest *s, value origin) {
  int64_t n = s->w.kept;
  value low, high, end = plus(s, origin, n);
  inside(s, origin, n, &low, &high);
  if (n < s->lanes || s->w.channels < s->lanes) {
    read_numbers(s, origin, low, high);
    return;
  }
  value whole = both(s, both(s, at_most(s, index_of(s, 0), origin), at_most(s, end, index_of(s, s->w.length))),
                     at_most(s, index_of(s, s->lanes), s->width));
  moire__loop_if(s->b, whole);
  read_squares(s, origin, n);
  close(s);
  moire__loop_if(s->b, moire__loop_unary(s->b, MOIRE__LOOP_not, whole));
  read_numbers(s, origin, low, high);
  close(s);
}

/* Element `linear` of everything that the kernel computes. */
static void finish_element(nest *s, number x, value linear, value channel) {
  moire__lowering *l = s->l;
  int32_t result = l->node->first_result;
  moire__index index = moire__lower_index(l->g, result);
  index.at[0] = s->sample;
  index.at[1] = channel;
  index.linear = linear;
  index.is_current = true;
  l->registers[result] = x.re;
  l->registers[result + 1] = x.im;
  moire__lower_epilogue(l, 2, &index);
}

/* The first `n` points of the block are elements of x from `origin` on, as far as x has them: turned, so that
 * they lie along memory. */
static void write_points(nest *s, value origin, int64_t n) {
  value low, high, square = times(s, open(s, (n + s->lanes - 1) / s->lanes), s->lanes);
  for (int i = 0; i < 2; i++)
    moire__loop_turn(s->b, s->turned[i], square, s->line, s->work[0][i], times(s, square, s->lanes),
                     index_of(s, s->lanes), s->lanes);
  close(s);
  inside(s, origin, n, &low, &high);
  value lane = moire__loop_for(s->b, index_of(s, 0), s->width, 1, 1);
  value first = add(s, add(s, s->row, origin), times(s, lane, s->w.length));
  value t = moire__loop_for(s->b, low, high, 1, s->lanes), at = add(s, times(s, lane, s->line), t);
  finish_element(s,
                 (number){moire__loop_load(s->b, s->turned[0], at), moire__loop_load(s->b, s->turned[1], at)},
                 add(s, first, t), add(s, s->channel, lane));
  close(s);
  close(s);
}

static void clear(nest *s, const moire__loop_buffer planes[2], int64_t from, int64_t to) {
  value t = moire__loop_for(s->b, index_of(s, from), index_of(s, to), 1, 1), lane = open_lanes(s);
  for (int i = 0; i < 2; i++) moire__loop_store(s->b, planes[i], add(s, times(s, t, s->lanes), lane), zero(s));
  close(s);
  close(s);
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

/* What is read and written. On the way back, a result that only the kernel itself reads is not stored. */
static void add_parameters(nest *s, bool back) {
  moire__lowering *l = s->l;
  const moire__node *node = l->node;
  moire__loop_buffer in[4], out[2] = {0, 0};
  moire__lower_add_reads_of(l, node);
  for (int i = 0; i < 2; i++)
    if (!l->n_epilogue || l->stored[node->first_result + i])
      out[i] = moire__lower_add_write(l, node->first_result + i);
  for (int i = 0; i < 4; i++) in[i] = moire__lower_buffer(l, moire__lower_view(l, node->operands[i]).base);
  moire__lower_add_epilogue(l);
  for (int i = 0; i < 2; i++) {
    s->x[i] = back ? out[i] : in[i];
    s->y[i] = back ? in[i] : out[i];
  }
  s->cos = in[2];
  s->sin = in[3];
}

static void add_locals(nest *s, bool back) {
  moire__loop_kernel *kernel = s->l->kernel;
  int64_t shared = s->w.kept - s->w.step, rounded = s->w.points + s->lanes - 1;
  for (int i = 0; i < 4; i++)
    s->work[i / 2][i % 2] =
        moire__loop_add_local(kernel, i % 2 ? "im" : "re", MOIRE__LOOP_F32, rounded * s->lanes);
  if (!back) return;
  s->line = (s->w.step + s->lanes - 1) / s->lanes * s->lanes;
  for (int i = 0; i < 2; i++) {
    s->turned[i] = moire__loop_add_local(kernel, "turned", MOIRE__LOOP_F32, s->line * s->lanes);
    s->tail[i] = moire__loop_add_local(kernel, "tail", MOIRE__LOOP_F32, (shared + 1) * s->lanes);
  }
}

static nest begin(moire__lowering *l, bool back) {
  const moire__node *node = l->node;
  nest s = {.l = l, .b = &l->builder, .w = moire__windows_in(l->g, node), .lanes = l->target.lanes};
  s.passes = moire__fft_radices(s.w.points, s.radices);
  add_parameters(&s, back);
  add_locals(&s, back);
  moire_dim batch = l->g->values[node->operands[0]].shape.dims[back ? 1 : 0], count = 0, between = 0;
  int64_t groups = (s.w.channels + s.lanes - 1) / s.lanes;
  moire__dim_multiply(batch, groups, &count);
  moire__dim_multiply(batch, s.w.n * s.w.channels, &between);
  moire__lower_body(l, count, 1);
  value piece = l->kernel->parallel, per = index_of(&s, groups);
  s.sample = moire__loop_binary(s.b, MOIRE__LOOP_div, piece, per);
  s.channel = times(&s, moire__loop_binary(s.b, MOIRE__LOOP_mod, piece, per), s.lanes);
  s.width = index_of(&s, s.lanes);
  if (s.w.channels % s.lanes) s.width = smaller(&s, s.width, sub(&s, index_of(&s, s.w.channels), s.channel));
  s.row = times(&s, add(&s, times(&s, s.sample, s.w.channels), s.channel), s.w.length);
  s.first = add(&s, times(&s, s.sample, s.w.n * s.w.channels), s.channel);
  s.far = moire__loop_extent(s.b, between);
  return s;
}

void moire__windows_fft_lower(moire__lowering *l) {
  nest s = begin(l, false);
  value i = open(&s, s.w.n), origin = plus(&s, times(&s, i, s.w.step), -s.w.start);
  value inside = both(&s, at_most(&s, index_of(&s, 0), origin),
                      at_most(&s, plus(&s, origin, s.w.kept), index_of(&s, s.w.length)));
  moire__loop_if(s.b, moire__loop_unary(s.b, MOIRE__LOOP_not, inside));
  clear(&s, s.work[0], 0, s.w.kept);
  close(&s);
  clear(&s, s.work[0], s.w.kept, s.w.points);
  read_window(&s, origin);
  run_passes(&s, local(&s, 0), outer(&s, i), 1);
  close(&s);
  moire__lower_finish(l);
}

/* Adds the tail of the window before to the first points of the block, and keeps the block's own. */
static void exchange_tails(nest *s) {
  int64_t shared = s->w.kept - s->w.step;
  if (!shared) return;
  place block = local(s, 0), tail = {{s->tail[0], s->tail[1]}, index_of(s, 0), index_of(s, s->lanes)};
  value t = open(s, shared), lane = open_lanes(s);
  number x = load(s, &block, t, lane), before = load(s, &tail, t, lane);
  store(s, &tail, t, lane, load(s, &block, plus(s, t, s->w.step), lane));
  store(s, &block, t, lane, (number){add(s, before.re, x.re), add(s, before.im, x.im)});
  close(s);
  close(s);
}

void moire__windows_ifft_lower(moire__lowering *l) {
  nest s = begin(l, true);
  clear(&s, s.tail, 0, s.w.kept - s.w.step);
  value i = open(&s, s.w.n), origin = plus(&s, times(&s, i, s.w.step), -s.w.start);
  run_passes(&s, exchanged(outer(&s, i)), exchanged(local(&s, 0)), 1 - s.passes % 2);
  exchange_tails(&s);
  write_points(&s, origin, s.w.step);
  moire__loop_if(s.b, at_most(&s, index_of(&s, s.w.n - 1), i));
  if (s.w.kept > s.w.step) {
    place block = local(&s, 0), tail = {{s.tail[0], s.tail[1]}, index_of(&s, 0), index_of(&s, s.lanes)};
    value t = open(&s, s.w.kept - s.w.step), lane = open_lanes(&s);
    store(&s, &block, t, lane, load(&s, &tail, t, lane));
    close(&s);
    close(&s);
    write_points(&s, plus(&s, origin, s.w.step), s.w.kept - s.w.step);
  }
  close(&s);
  close(&s);
  moire__lower_finish(l);
}
