/* Fourier transforms of planes: the lanes of a vector are as many transforms, so that nothing is shuffled
 * within one. A piece is a vector of them.
 *
 * Inner axes lie along the lanes as they are. Where the axis is the last one, rows are turned in blocks on
 * their way into local memory, and back on their way out. There a length n = r_1 r_2 .. is gone through in
 * passes (Stockham's, which leave the order natural): with d = r_1 .. r_(i-1) and m = n / (d r_i), pass i makes
 * of x[q m + j, k], q < r_i, j < m, k < d,
 *
 *   y[j r_i + p, k] = exp(-2 pi i p j / (r_i m)) sum_q x[q m + j, k] exp(-2 pi i p q / r_i)
 *
 * The first pass reads the operand and the last one writes the result, if they are long enough to be turned in
 * whole blocks between the two.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"
#include "ops/sequence/fft.h"

typedef moire__loop_value value;
typedef moire__complex_value number;

/* Planes of vectors: element t is at base + t * step, its lanes behind it. */
typedef struct place {
  moire__loop_buffer plane[2];
  value base; /* 0: no more than t * step */
  int64_t step;
  value lanes; /* how many there are */
} place;

typedef struct fft {
  moire__lowering *l;
  moire__loop_builder *b; /* after moire__lower_body */
  int lanes;
  int64_t n, points; /* on the axis, and of the transforms that are made: the same, or m of chirp_fft */
  int radices[MOIRE__FFT_MOST_RADICES], passes;
  double scale;
  bool rows;     /* the axis is the last one */
  bool fused;    /* rows are turned between the first pass, or the last, and the operand or result */
  int64_t inner; /* elements behind the axis */
  moire__loop_buffer cos, sin, in[2], out[2];
  moire__loop_buffer work[2][2], block[2]; /* local: whole transforms, and what is turned */
  value first;                             /* element of the operand that the piece begins with */
  value width;                             /* transforms of the piece, at most `lanes` */
} fft;

/* ---- shorthand --------------------------------------------------------------------------------------------
 */

static value index_of(fft *s, int64_t x) { return moire__loop_index(s->b, x); }
static value add(fft *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_add, x, y); }
static value mul(fft *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_mul, x, y); }
static value times(fft *s, value x, int64_t y) { return mul(s, x, index_of(s, y)); }
static value least(fft *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_min, x, y); }
static value fma3(fft *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}
static value negative(fft *s, value x) { return moire__loop_unary(s->b, MOIRE__LOOP_neg, x); }

static value open(fft *s, int64_t high) {
  return moire__loop_for(s->b, index_of(s, 0), index_of(s, high), 1, 1);
}
static void close(fft *s) { moire__loop_end(s->b); }

static number product(fft *s, number x, number y) {
  return (number){fma3(s, x.re, y.re, negative(s, mul(s, x.im, y.im))),
                  fma3(s, x.im, y.re, mul(s, x.re, y.im))};
}

static number scaled(fft *s, number x) {
  if (s->scale == 1) return x;
  value scale = moire__loop_const(s->b, MOIRE__LOOP_F32, s->scale);
  return (number){mul(s, x.re, scale), mul(s, x.im, scale)};
}

static number load_pair(fft *s, const moire__loop_buffer buffers[2], value at) {
  return (number){moire__loop_load(s->b, buffers[0], at), moire__loop_load(s->b, buffers[1], at)};
}

/* exp(-2 pi i j / points) */
static number root(fft *s, value j) {
  return (number){moire__loop_load(s->b, s->cos, j), negative(s, moire__loop_load(s->b, s->sin, j))};
}

/* ---- places -----------------------------------------------------------------------------------------------
 */

static place local_place(fft *s, const moire__loop_buffer planes[2]) {
  return (place){{planes[0], planes[1]}, 0, s->lanes, index_of(s, s->lanes)};
}

static place outer_place(fft *s, const moire__loop_buffer planes[2]) {
  return (place){{planes[0], planes[1]}, s->first, s->inner, s->width};
}

static place exchanged(place x) { return (place){{x.plane[1], x.plane[0]}, x.base, x.step, x.lanes}; }

static value address(fft *s, const place *x, value t, value lane) {
  value at = add(s, times(s, t, x->step), lane);
  return x->base ? add(s, x->base, at) : at;
}

static number load(fft *s, const place *x, value t, value lane) {
  return load_pair(s, x->plane, address(s, x, t, lane));
}

static void store(fft *s, const place *x, value t, value lane, number y) {
  value at = address(s, x, t, lane);
  moire__loop_store(s->b, x->plane[0], at, y.re);
  moire__loop_store(s->b, x->plane[1], at, y.im);
}

static value open_lanes(fft *s, const place *x, const place *y) {
  bool all = y->lanes == index_of(s, s->lanes);
  return moire__loop_for(s->b, index_of(s, 0), all ? x->lanes : y->lanes, 1, s->lanes);
}

/* ---- rows, turned -----------------------------------------------------------------------------------------
 */

/* One of the two ways between rows of the operand or result and a block. */
typedef struct turning {
  const moire__loop_buffer *rows, *block;
  value row_at, block_at; /* of the first row; of the first point */
  bool out;
} turning;

/* Rows and points that make no square, element by element. */
static void turn_some(fft *s, const turning *w, int64_t points) {
  value i = open(s, points), lane = moire__loop_for(s->b, index_of(s, 0), s->width, 1, s->lanes);
  value row = add(s, add(s, w->row_at, i), times(s, lane, s->n));
  value at = add(s, w->block_at, add(s, times(s, i, s->lanes), lane));
  for (int p = 0; p < 2; p++) {
    if (w->out)
      moire__loop_store(s->b, w->rows[p], row, moire__loop_load(s->b, w->block[p], at));
    else
      moire__loop_store(s->b, w->block[p], at, moire__loop_load(s->b, w->rows[p], row));
  }
  close(s);
  close(s);
}

static void turn_square(fft *s, const turning *w) {
  value pitch = index_of(s, w->out ? s->lanes : s->n);
  for (int p = 0; p < 2; p++) {
    if (w->out)
      moire__loop_turn(s->b, w->rows[p], w->row_at, s->n, w->block[p], w->block_at, pitch, s->lanes);
    else
      moire__loop_turn(s->b, w->block[p], w->block_at, s->lanes, w->rows[p], w->row_at, pitch, s->lanes);
  }
}

/* `points` (at most `lanes`) of every row from t on, into the block from `at` on, or back. */
static void turn(fft *s, value t, value at, int64_t points, bool out) {
  turning w = {out ? s->out : s->in, s->block, add(s, s->first, t), times(s, at, s->lanes), out};
  value all = index_of(s, s->lanes);
  if (points < s->lanes) {
    turn_some(s, &w, points);
    return;
  }
  if (s->width == all) {
    turn_square(s, &w);
    return;
  }
  value full = moire__loop_binary(s->b, MOIRE__LOOP_eq, s->width, all);
  moire__loop_if(s->b, full);
  turn_square(s, &w);
  close(s);
  moire__loop_if(s->b, moire__loop_unary(s->b, MOIRE__LOOP_not, full));
  turn_some(s, &w, points);
  close(s);
}

/* Block `i` of n points begins here: the last one where n ends, so that blocks are whole but may overlap. */
static value block_start(fft *s, value i, int64_t n) {
  int64_t last = n > s->lanes ? n - s->lanes : 0;
  return least(s, times(s, i, s->lanes), index_of(s, last));
}

static int64_t blocks_of(const fft *s, int64_t n) { return (n + s->lanes - 1) / s->lanes; }
static int64_t block_points(const fft *s, int64_t n) { return n < s->lanes ? n : s->lanes; }

/* ---- passes -----------------------------------------------------------------------------------------------
 */

typedef struct pass {
  int r;
  int64_t d, m;
  place from, to;
  bool last;
  const moire__loop_buffer *factors; /* of the results of the last pass, or NULL */
} pass;

/* Points x[q] at j and k become the results of the pass, apart from where they go. */
static void transform(fft *s, const pass *p, value j, number *x) {
  moire__fft_short(s->b, x, p->r);
  for (int i = 1; i < p->r && p->m > 1; i++) x[i] = product(s, x[i], root(s, times(s, j, i * p->d)));
  for (int i = 0; i < p->r && p->last; i++) x[i] = scaled(s, x[i]);
}

/* A pass from place to place. */
static void run_pass(fft *s, const pass *p) {
  value j = open(s, p->m), k = open(s, p->d);
  value lane = open_lanes(s, &p->from, &p->to);
  number x[MOIRE__FFT_MOST_RADIX];
  value at = add(s, times(s, j, p->d), k);
  for (int q = 0; q < p->r; q++) x[q] = load(s, &p->from, add(s, at, index_of(s, q * p->m * p->d)), lane);
  transform(s, p, j, x);
  value to = add(s, times(s, j, p->r * p->d), k);
  for (int i = 0; i < p->r; i++) {
    value f = add(s, to, index_of(s, i * p->d));
    if (p->factors) x[i] = product(s, x[i], load_pair(s, p->factors, f));
    store(s, &p->to, f, lane, x[i]);
  }
  close(s);
  close(s);
  close(s);
}

/* The first pass, from rows: blocks of j are turned. */
static void run_first(fft *s, const pass *p) {
  value j0 = block_start(s, open(s, blocks_of(s, p->m)), p->m);
  value part = open(s, p->r);
  turn(s, add(s, j0, times(s, part, p->m)), times(s, part, s->lanes), s->lanes, false);
  close(s);
  place block = local_place(s, s->block);
  value i = open(s, s->lanes), j = add(s, j0, i);
  value lane = open_lanes(s, &block, &p->to);
  number x[MOIRE__FFT_MOST_RADIX];
  for (int q = 0; q < p->r; q++) x[q] = load(s, &block, add(s, i, index_of(s, (int64_t)q * s->lanes)), lane);
  transform(s, p, j, x);
  for (int q = 0; q < p->r; q++) store(s, &p->to, add(s, times(s, j, p->r), index_of(s, q)), lane, x[q]);
  close(s);
  close(s);
  close(s);
}

/* The last pass, to rows: blocks of k are turned. */
static void run_last(fft *s, const pass *p) {
  value k0 = block_start(s, open(s, blocks_of(s, p->d)), p->d);
  place block = local_place(s, s->block);
  value i = open(s, s->lanes), k = add(s, k0, i);
  value lane = open_lanes(s, &p->from, &block);
  number x[MOIRE__FFT_MOST_RADIX];
  for (int q = 0; q < p->r; q++) x[q] = load(s, &p->from, add(s, k, index_of(s, q * p->d)), lane);
  transform(s, p, index_of(s, 0), x);
  for (int q = 0; q < p->r; q++) store(s, &block, add(s, i, index_of(s, (int64_t)q * s->lanes)), lane, x[q]);
  close(s);
  close(s);
  value part = open(s, p->r);
  turn(s, add(s, k0, times(s, part, p->d)), times(s, part, s->lanes), s->lanes, true);
  close(s);
  close(s);
}

/* All passes of a transform from one place to another, by way of the local ones; `busy` (0, 1, or -1) is the
 * local place that `from` is, and which the second pass may write. */
static void run_passes(fft *s, place from, place to, int busy, const moire__loop_buffer *factors) {
  int64_t d = 1;
  int next = busy == 0 ? 1 : 0;
  for (int i = 0; i < s->passes; i++) {
    int r = s->radices[i];
    bool last = i == s->passes - 1;
    pass p = {
        r, d, s->points / d / r, from, last ? to : local_place(s, s->work[next]), last, last ? factors : NULL};
    if (s->fused && i == 0)
      run_first(s, &p);
    else if (s->fused && last)
      run_last(s, &p);
    else
      run_pass(s, &p);
    from = p.to;
    next = 1 - next;
    d *= r;
  }
}

/* ---- whole rows -------------------------------------------------------------------------------------------
 */

/* Points t of the block, which is `lanes` long, between a loop over them and its end. */
typedef struct walk {
  value i, t, lane;
} walk;

static walk open_block(fft *s, value t0, int64_t points, const place *x, const place *y) {
  walk w = {.i = open(s, points)};
  w.t = add(s, t0, w.i);
  w.lane = open_lanes(s, x, y);
  return w;
}

/* Rows into a local place, times factors (NULL: none), zeros behind; or columns. */
static void read_all(fft *s, const moire__loop_buffer local[2], const moire__loop_buffer *factors) {
  place to = local_place(s, local), block = local_place(s, s->block), from = outer_place(s, s->in);
  if (s->rows) from = block;
  int64_t points = block_points(s, s->n);
  value t0 = block_start(s, open(s, blocks_of(s, s->n)), s->n);
  if (s->rows) turn(s, t0, index_of(s, 0), points, false);
  walk w = open_block(s, t0, points, &from, &to);
  number x = load(s, &from, s->rows ? w.i : w.t, w.lane);
  if (factors) x = product(s, x, load_pair(s, factors, w.t));
  store(s, &to, w.t, w.lane, x);
  close(s);
  close(s);
  close(s);
  if (s->points == s->n) return;
  value zero = moire__loop_const(s->b, MOIRE__LOOP_F32, 0);
  value t = moire__loop_for(s->b, index_of(s, s->n), index_of(s, s->points), 1, 1);
  value lane = open_lanes(s, &to, &to);
  store(s, &to, t, lane, (number){zero, zero});
  close(s);
  close(s);
}

/* The first n points of a place, times factors (NULL: none), into rows or columns of the results. */
static void write_all(fft *s, place from, const moire__loop_buffer *factors) {
  place block = local_place(s, s->block), to = outer_place(s, s->out);
  if (s->rows) to = block;
  int64_t points = block_points(s, s->n);
  value t0 = block_start(s, open(s, blocks_of(s, s->n)), s->n);
  walk w = open_block(s, t0, points, &from, &to);
  number x = load(s, &from, w.t, w.lane);
  if (factors) x = product(s, x, load_pair(s, factors, w.t));
  if (!s->passes) x = scaled(s, x);
  store(s, &to, s->rows ? w.i : w.t, w.lane, x);
  close(s);
  close(s);
  if (s->rows) turn(s, t0, index_of(s, 0), points, true);
  close(s);
}

/* ---- kernels ----------------------------------------------------------------------------------------------
 */

static moire__loop_buffer operand(const fft *s, int i) {
  return moire__lower_buffer(s->l, moire__lower_view(s->l, s->l->node->operands[i]).base);
}

/* A transform of one point, times its factor, with its planes exchanged: what no pass does. */
static void multiply_only(fft *s, const moire__loop_buffer *factors) {
  place at = local_place(s, s->work[0]), to = exchanged(at);
  value lane = open_lanes(s, &at, &to), zero = index_of(s, 0);
  store(s, &to, zero, lane, product(s, load(s, &at, zero, lane), load_pair(s, factors, zero)));
  close(s);
}

/* Buffers, extents and the plan; the body is still to be opened. */
static fft begin(moire__lowering *l, int table, int64_t points) {
  const moire__node *node = l->node;
  const moire_shape *shape = &l->g->values[node->operands[0]].shape;
  int axis = (int)moire__node_int(node, "axis");
  moire__lower_add_reads_of(l, node);
  for (int i = 0; i < 2; i++) moire__lower_add_write(l, node->first_result + i);
  fft s = {.l = l, .b = &l->builder, .lanes = l->target.lanes, .n = shape->dims[axis], .inner = 1, .scale = 1};
  for (int d = axis + 1; d < shape->rank; d++) s.inner *= shape->dims[d];
  s.points = points ? points : s.n;
  s.passes = moire__fft_radices(s.points, s.radices);
  s.rows = s.inner == 1;
  s.cos = operand(&s, table);
  s.sin = operand(&s, table + 1);
  for (int i = 0; i < 2; i++) {
    s.in[i] = operand(&s, i);
    s.out[i] = moire__lower_buffer(l, node->first_result + i);
  }
  return s;
}

static void add_local(fft *s, moire__loop_buffer planes[2], const char *name, int64_t points) {
  for (int i = 0; i < 2; i++)
    planes[i] = moire__loop_add_local(s->l->kernel, name, MOIRE__LOOP_F32, points * s->lanes);
}

/* Opens the body: pieces of rows, or of columns of each outer index. */
static void begin_body(fft *s) {
  moire__lowering *l = s->l;
  const moire_shape *shape = &l->g->values[l->node->operands[0]].shape;
  int axis = (int)moire__node_int(l->node, "axis");
  moire_dim outer = 1, count = 0;
  for (int d = 0; d < axis; d++) moire__dim_multiply(outer, shape->dims[d], &outer);
  int64_t blocks = (s->inner + s->lanes - 1) / s->lanes;
  moire__dim_multiply(outer, s->rows ? 1 : blocks, &count);
  moire__lower_body(l, count, s->rows ? s->lanes : 1);
  value piece = l->kernel->parallel, most = index_of(s, s->lanes);
  if (s->rows) {
    value row = times(s, piece, s->lanes);
    s->first = times(s, row, s->n);
    bool whole = moire__dim_is_static(count) && count % s->lanes == 0;
    value left = moire__loop_binary(s->b, MOIRE__LOOP_sub, moire__loop_extent(s->b, count), row);
    s->width = whole ? most : least(s, left, most);
    return;
  }
  value o = moire__loop_binary(s->b, MOIRE__LOOP_div, piece, index_of(s, blocks));
  value low = times(s, moire__loop_binary(s->b, MOIRE__LOOP_mod, piece, index_of(s, blocks)), s->lanes);
  s->first = add(s, times(s, o, s->n * s->inner), low);
  s->width = s->inner % s->lanes == 0
                 ? most
                 : least(s, moire__loop_binary(s->b, MOIRE__LOOP_sub, index_of(s, s->inner), low), most);
}

void moire__cfft_lower(moire__lowering *l) {
  fft s = begin(l, 2, 0);
  s.scale = moire__node_real(l->node, "scale");
  s.fused = s.rows && s.passes > 1 && s.n / s.radices[0] >= s.lanes && s.n / s.radices[s.passes - 1] >= s.lanes;
  bool whole = s.passes == 0 || (s.rows && !s.fused); /* in local memory before the first pass */
  int places = whole || s.passes > 2 ? 2 : s.passes - 1;
  for (int i = 0; i < places; i++) add_local(&s, s.work[i], "work", s.n);
  int64_t turned = s.fused ? (int64_t)MOIRE__FFT_MOST_RADIX * s.lanes : s.lanes;
  if (s.rows) add_local(&s, s.block, "block", turned);
  begin_body(&s);
  if (whole) {
    int end = s.passes % 2;
    read_all(&s, s.work[0], NULL);
    run_passes(&s, local_place(&s, s.work[0]), local_place(&s, s.work[end]), 0, NULL);
    write_all(&s, local_place(&s, s.work[end]), NULL);
  } else {
    run_passes(&s, outer_place(&s, s.in), outer_place(&s, s.out), -1, NULL);
  }
  moire__lower_finish(l);
}

void moire__chirp_fft_lower(moire__lowering *l) {
  fft s = begin(l, 6, l->g->values[l->node->operands[4]].shape.dims[0]);
  moire__loop_buffer chirp[2], factors[2];
  for (int i = 0; i < 2; i++) {
    chirp[i] = operand(&s, 2 + i);
    factors[i] = operand(&s, 4 + i);
    add_local(&s, s.work[i], "work", s.points);
  }
  if (s.rows) add_local(&s, s.block, "block", s.lanes);
  begin_body(&s);
  read_all(&s, s.work[0], chirp);
  int middle = s.passes % 2;
  place spectrum = local_place(&s, s.work[middle]), last = local_place(&s, s.work[0]);
  run_passes(&s, local_place(&s, s.work[0]), exchanged(spectrum), 0, factors);
  if (!s.passes) multiply_only(&s, factors);
  run_passes(&s, spectrum, last, middle, NULL);
  write_all(&s, exchanged(last), chirp);
  moire__lower_finish(l);
}
