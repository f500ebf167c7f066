/* The linear scans and their gradient as loop nests: channels are the vector lanes, and the states of a block
 * of them run along the sequence in registers. Each operand is read and each result written once or, where
 * positions run in parallel, b and a twice; nothing of their size is stored.
 *
 * Long sequences are walked in chunks of 64 2^j positions, at most 32 of them, by their length alone:
 *
 *   ends      of every chunk but the last: its state at the end, e, from 0 at its start, and P, the product of
 *             its coefficients
 *   carries   what goes into chunk q + 1 is P_q times what goes into chunk q, plus e_q; into chunk 1 goes e_0
 *   walk      every chunk from what goes into it
 *
 * Where samples and blocks of channels are enough for all threads, the walk alone runs, over all chunks of a
 * sequence in order, and makes e and P on the way: the numbers are the same, whichever it was. A batch of fixed
 * size that is enough is walked without chunks.
 *
 * The first position of a sequence is the piece's own: there the state is b, whatever a is.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"

typedef moire__loop_value value;

enum { REGISTERS = 4, MOST_PLANES = 2, MOST_CHUNKS = 32, SHORTEST = 64, ENOUGH = 32 };

typedef struct state {
  moire__loop_var of[MOST_PLANES];
} state;

typedef struct number {
  value of[MOST_PLANES];
} number;

typedef struct scan {
  moire__lowering *l;
  moire__loop_builder *b;       /* after moire__lower_body */
  const char *name;             /* of the walk */
  int planes;                   /* of a, of b and of the result */
  bool gradient, reverse, conj; /* of the walk */
  bool conj_a;                  /* of the scan whose gradient it is */
  moire__view a[MOST_PLANES], x[MOST_PLANES], y[MOST_PLANES];
  moire_dim batch, length, units; /* units: samples times blocks */
  bool fixed, summed;             /* a is the same at all positions; its gradient is summed up over all */
  bool chunked;
  int64_t channels, lanes, blocks, chunks, shortest, enough; /* chunks: the most of a sequence */
  int ends[MOST_PLANES], products[MOST_PLANES], carries[MOST_PLANES], sums[MOST_PLANES]; /* extra buffers */
  moire__loop_buffer end[MOST_PLANES], product[MOST_PLANES], carry[MOST_PLANES], sum[MOST_PLANES];
  value positions, chunk, n_chunks, doublings; /* of the sequence; of a chunk; see measure_chunks */
  value in_order;                              /* bool: units are enough */
  value sample, block, q, low, d;
  number coefficient; /* where it is fixed */
} scan;

static value index_of(scan *s, int64_t x) { return moire__loop_index(s->b, x); }
static value two(scan *s, moire__loop_op op, value x, value y) { return moire__loop_binary(s->b, op, x, y); }
static value plus(scan *s, value x, value y) { return two(s, MOIRE__LOOP_add, x, y); }
static value minus(scan *s, value x, value y) { return two(s, MOIRE__LOOP_sub, x, y); }
static value times(scan *s, value x, value y) { return two(s, MOIRE__LOOP_mul, x, y); }
static value negative(scan *s, value x) { return moire__loop_unary(s->b, MOIRE__LOOP_neg, x); }
static value choose(scan *s, value c, value x, value y) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_select, c, x, y);
}
static value fma3(scan *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}

static state declare(scan *s, number init) {
  state h = {{0}};
  for (int i = 0; i < s->planes; i++) h.of[i] = moire__loop_declare(s->b, init.of[i]);
  return h;
}

static number get(scan *s, state h) {
  number x = {{0}};
  for (int i = 0; i < s->planes; i++) x.of[i] = moire__loop_get(s->b, h.of[i]);
  return x;
}

static void set(scan *s, state h, number x) {
  for (int i = 0; i < s->planes; i++) moire__loop_set(s->b, h.of[i], x.of[i]);
}

static number zero(scan *s) {
  value x = moire__loop_const(s->b, MOIRE__LOOP_F32, 0);
  return (number){{x, x}};
}

static number choose_number(scan *s, value c, number x, number y) {
  for (int i = 0; i < s->planes; i++) x.of[i] = choose(s, c, x.of[i], y.of[i]);
  return x;
}

/* a h + b */
static number multiply_add(scan *s, number a, number h, number b) {
  if (s->planes == 2) {
    b.of[0] = fma3(s, negative(s, a.of[1]), h.of[1], b.of[0]);
    b.of[1] = fma3(s, a.of[1], h.of[0], b.of[1]);
  }
  for (int i = 0; i < s->planes; i++) b.of[i] = fma3(s, a.of[0], h.of[i], b.of[i]);
  return b;
}

static number multiply(scan *s, number a, number h) {
  number y = {{times(s, a.of[0], h.of[0])}};
  if (s->planes == 1) return y;
  y.of[0] = fma3(s, negative(s, a.of[1]), h.of[1], y.of[0]);
  y.of[1] = fma3(s, a.of[1], h.of[0], times(s, a.of[0], h.of[1]));
  return y;
}

/* x conj(y), or its conjugate, plus `to`, which may be absent */
static number multiply_conjugate(scan *s, number x, number y, const number *to) {
  bool one = s->planes == 1;
  number z = {{to ? fma3(s, x.of[0], y.of[0], to->of[0]) : times(s, x.of[0], y.of[0])}};
  if (one) return z;
  z.of[0] = fma3(s, x.of[1], y.of[1], z.of[0]);
  value re = s->conj_a ? negative(s, x.of[1]) : x.of[1], im = s->conj_a ? x.of[0] : negative(s, x.of[0]);
  z.of[1] = fma3(s, im, y.of[1], to ? fma3(s, re, y.of[0], to->of[1]) : times(s, re, y.of[0]));
  return z;
}

/* ---- operands and results at positions ---------------------------------------------------------------------
 */

static value read(scan *s, const moire__view *view, value t) {
  value at[MOIRE_MAX_RANK] = {s->sample, t, s->d};
  for (int i = 0; i < 2; i++)
    if (view->dims[i] == 1) at[i] = 0;
  value address = moire__lower_address(s->l, view, at);
  return moire__loop_load(s->b, moire__lower_buffer(s->l, view->base), address);
}

static number read_all(scan *s, const moire__view *views, value t) {
  number x = {{0}};
  for (int i = 0; i < s->planes; i++) x.of[i] = read(s, &views[i], t);
  return x;
}

/* The position of step i of the walk, and that of the a which leads to it. */
static value position(scan *s, value i) {
  return s->reverse ? minus(s, plus(s, s->positions, index_of(s, -1)), i) : i;
}
static value joint_of(scan *s, value t) { return s->reverse ? plus(s, t, index_of(s, 1)) : t; }

static number conjugate(scan *s, number a) {
  if (s->conj && s->planes == 2) a.of[1] = negative(s, a.of[1]);
  return a;
}

static number coefficient(scan *s, value joint) {
  return s->fixed ? s->coefficient : conjugate(s, read_all(s, s->a, joint));
}

/* Row-major offset of [sample, t, d]. */
static value place(scan *s, value t) {
  value row = plus(s, times(s, s->sample, s->positions), t);
  return plus(s, times(s, row, index_of(s, s->channels)), s->d);
}

static void write(scan *s, int result, value at, number x) {
  for (int i = 0; i < s->planes; i++)
    moire__loop_store(s->b, moire__lower_buffer(s->l, s->l->node->first_result + result * s->planes + i), at,
                      x.of[i]);
}

static void write_state(scan *s, value t, number h) { write(s, s->gradient ? 1 : 0, place(s, t), h); }

/* Of [sample, chunk, d] in extra buffers. */
static value slot(scan *s, value q) {
  value row = plus(s, times(s, s->sample, index_of(s, s->chunks)), q);
  return plus(s, times(s, row, index_of(s, s->channels)), s->d);
}

static void put(scan *s, const moire__loop_buffer *buffers, value q, number x) {
  for (int i = 0; i < s->planes; i++) moire__loop_store(s->b, buffers[i], slot(s, q), x.of[i]);
}

static number take(scan *s, const moire__loop_buffer *buffers, value q) {
  number x = {{0}};
  for (int i = 0; i < s->planes; i++) x.of[i] = moire__loop_load(s->b, buffers[i], slot(s, q));
  return x;
}

/* ---- chunks ------------------------------------------------------------------------------------------------
 */

/* The product of a chunk's coefficients where they are fixed: squared as often as a chunk is doubled. */
static number power(scan *s) {
  state p = declare(s, s->coefficient);
  moire__loop_for(s->b, index_of(s, 0), s->doublings, 1, 1);
  number x = get(s, p);
  set(s, p, multiply(s, x, x));
  moire__loop_end(s->b);
  return get(s, p);
}

/* What goes into the next chunk. Nothing that went in stays nothing, also if the product has overflowed. */
static number carry_on(scan *s, number into, number product, number end) {
  value nothing = moire__loop_const(s->b, MOIRE__LOOP_BOOL, 1),
        none = moire__loop_const(s->b, MOIRE__LOOP_F32, 0);
  for (int i = 0; i < s->planes; i++) {
    value is = two(s, MOIRE__LOOP_eq, into.of[i], none);
    nothing = i ? two(s, MOIRE__LOOP_and, nothing, is) : is;
  }
  return choose_number(s, nothing, end, multiply_add(s, product, into, end));
}

/* Positions of chunk q: [low, high) of the walk. */
static value low_of(scan *s, value q) { return times(s, q, s->chunk); }
static value high_of(scan *s, value q) {
  return two(s, MOIRE__LOOP_min, plus(s, low_of(s, q), s->chunk), s->positions);
}

/* The coefficient that leads to step i, or any where i is 0. */
static number first_coefficient(scan *s, value i) {
  value last = plus(s, s->positions, index_of(s, -1));
  return coefficient(s, two(s, MOIRE__LOOP_min, joint_of(s, position(s, i)), last));
}

typedef struct walk {
  state h, e, p, da; /* e and p: with the ends of chunks */
  bool ends;
} walk;

/* The first step of a chunk from what goes into it; `begins` (0: it does) is whether the sequence begins. */
static void first_step(scan *s, walk *w, value i, value begins, number into) {
  value t = position(s, i), joint = joint_of(s, t);
  number b = read_all(s, s->x, t), h = b, da = zero(s);
  if (begins) {
    number a = first_coefficient(s, i);
    h = choose_number(s, begins, b, multiply_add(s, a, into, b));
    if (w->ends) w->p = s->fixed ? w->p : declare(s, a);
    if (s->gradient) da = choose_number(s, begins, da, multiply_conjugate(s, into, read_all(s, s->y, t), NULL));
    joint = choose(s, begins, index_of(s, 0), joint);
  } else {
    joint = index_of(s, 0);
  }
  w->h = declare(s, h);
  if (w->ends) w->e = declare(s, b);
  write_state(s, t, h);
  if (s->summed) w->da = declare(s, da);
  if (s->gradient && !s->summed) write(s, 0, place(s, joint), da);
}

static void step(scan *s, walk *w, value i) {
  value t = position(s, i), joint = joint_of(s, t);
  number before = get(s, w->h), a = coefficient(s, joint), b = read_all(s, s->x, t);
  number h = multiply_add(s, a, before, b);
  set(s, w->h, h);
  write_state(s, t, h);
  if (w->ends) {
    set(s, w->e, multiply_add(s, a, get(s, w->e), b));
    if (!s->fixed) set(s, w->p, multiply(s, a, get(s, w->p)));
  }
  if (!s->gradient) return;
  number y = read_all(s, s->y, t), sum = s->summed ? get(s, w->da) : zero(s);
  number da = multiply_conjugate(s, before, y, s->summed ? &sum : NULL);
  if (s->summed)
    set(s, w->da, da);
  else
    write(s, 0, place(s, joint), da);
}

/* A chunk from what goes into it. */
static walk run_chunk(scan *s, value q, number into, bool ends) {
  walk w = {.ends = ends};
  value low = low_of(s, q), begins = s->chunked ? two(s, MOIRE__LOOP_eq, q, index_of(s, 0)) : 0;
  first_step(s, &w, low, begins, into);
  value i = moire__loop_for(s->b, plus(s, low, index_of(s, 1)), high_of(s, q), 1, 1);
  step(s, &w, i);
  moire__loop_end(s->b);
  if (s->summed) put(s, s->sum, q, get(s, w.da));
  return w;
}

/* ---- kernels -----------------------------------------------------------------------------------------------
 */

/* positions, chunk, n_chunks: a chunk is the shortest, doubled until MOST_CHUNKS reach, and doublings says how
 * often 1 has been doubled. */
static void measure_chunks(scan *s) {
  s->positions = moire__loop_extent(s->b, s->length);
  if (!s->chunked) {
    s->chunk = s->positions;
    s->n_chunks = index_of(s, 1);
    return;
  }
  int shortest = 0;
  while (1 << shortest < s->shortest) shortest++;
  if (moire__dim_is_static(s->length)) {
    int64_t chunk = s->shortest, n = shortest;
    for (; chunk * MOST_CHUNKS < s->length; chunk *= 2) n++;
    s->chunk = index_of(s, chunk);
    s->doublings = index_of(s, n);
  } else {
    enum { MOST_DOUBLINGS = 48 };
    moire__loop_var chunk = moire__loop_declare(s->b, index_of(s, s->shortest));
    moire__loop_var n = moire__loop_declare(s->b, index_of(s, shortest));
    moire__loop_for(s->b, index_of(s, 0), index_of(s, MOST_DOUBLINGS), 1, 1);
    value now = moire__loop_get(s->b, chunk), so_far = moire__loop_get(s->b, n);
    value more = two(s, MOIRE__LOOP_lt, times(s, now, index_of(s, MOST_CHUNKS)), s->positions);
    moire__loop_set(s->b, chunk, choose(s, more, plus(s, now, now), now));
    moire__loop_set(s->b, n, choose(s, more, plus(s, so_far, index_of(s, 1)), so_far));
    moire__loop_end(s->b);
    s->chunk = moire__loop_get(s->b, chunk);
    s->doublings = moire__loop_get(s->b, n);
  }
  value rounded = plus(s, plus(s, s->positions, s->chunk), index_of(s, -1));
  s->n_chunks = two(s, MOIRE__LOOP_div, rounded, s->chunk);
  s->in_order = two(s, MOIRE__LOOP_le, index_of(s, s->enough), moire__loop_extent(s->b, s->units));
}

/* Opens the body, a piece for each of `parts` of every unit, and what it is about but for the channels. */
static void begin(scan *s, int64_t parts) {
  moire_dim count = 0;
  moire__dim_multiply(s->units, parts, &count);
  moire__lower_body(s->l, count, 1);
  s->b = &s->l->builder;
  value piece = s->l->kernel->parallel, unit = piece;
  s->q = index_of(s, 0);
  if (parts > 1) {
    s->q = two(s, MOIRE__LOOP_mod, piece, index_of(s, parts));
    unit = two(s, MOIRE__LOOP_div, piece, index_of(s, parts));
  }
  s->sample = two(s, MOIRE__LOOP_div, unit, index_of(s, s->blocks));
  s->block = two(s, MOIRE__LOOP_mod, unit, index_of(s, s->blocks));
  s->low = times(s, s->block, index_of(s, s->lanes));
  measure_chunks(s);
}

/* Opens the loop over a block's channels. */
static void begin_lanes(scan *s) {
  value high = two(s, MOIRE__LOOP_min, minus(s, index_of(s, s->channels), s->low), index_of(s, s->lanes));
  value lane = moire__loop_for(s->b, index_of(s, 0), high, 1, (int)s->lanes);
  s->d = plus(s, s->low, lane);
  if (s->fixed) s->coefficient = conjugate(s, read_all(s, s->a, index_of(s, 0)));
}

static void finish(scan *s) {
  moire__loop_end(s->b);
  moire__loop_end(s->b);
  moire__lower_finish(s->l);
}

static void add_extras(scan *s, const int *extras, moire__loop_buffer *buffers, moire__buffer_role role) {
  for (int i = 0; i < s->planes; i++) buffers[i] = moire__lower_add_extra(s->l, extras[i], role);
}

static void new_extras(scan *s, int *extras) {
  moire_dim elements = 0;
  moire__dim_multiply(s->batch, s->chunks * s->channels, &elements);
  for (int i = 0; i < s->planes; i++) extras[i] = moire__lower_new_extra(s->l, elements);
}

static void add_reads(scan *s, bool of_y) {
  const moire__node *node = s->l->node;
  for (int i = 0; i < (of_y ? node->n_operands : 2 * s->planes); i++)
    moire__lower_add_reads(s->l, node->operands[i]);
}

static void begin_kernel(scan *s, const char *suffix) {
  moire__lower_begin(s->l, moire__arena_printf(s->l->arena, "%s%s", s->name, suffix));
}

static void lower_ends(scan *s) {
  add_reads(s, false);
  add_extras(s, s->ends, s->end, MOIRE__BUFFER_OUT);
  if (!s->fixed) add_extras(s, s->products, s->product, MOIRE__BUFFER_OUT);
  begin(s, s->chunks);
  value before_last = two(s, MOIRE__LOOP_lt, plus(s, s->q, index_of(s, 1)), s->n_chunks);
  value in_parts = moire__loop_unary(s->b, MOIRE__LOOP_not, s->in_order);
  moire__loop_if(s->b, two(s, MOIRE__LOOP_and, in_parts, before_last));
  begin_lanes(s);
  value low = low_of(s, s->q);
  state e = declare(s, read_all(s, s->x, position(s, low))), p = {{0}};
  if (!s->fixed) p = declare(s, first_coefficient(s, low));
  value i = moire__loop_for(s->b, plus(s, low, index_of(s, 1)), high_of(s, s->q), 1, 1), t = position(s, i);
  number a = coefficient(s, joint_of(s, t));
  set(s, e, multiply_add(s, a, get(s, e), read_all(s, s->x, t)));
  if (!s->fixed) set(s, p, multiply(s, a, get(s, p)));
  moire__loop_end(s->b);
  put(s, s->end, s->q, get(s, e));
  if (!s->fixed) put(s, s->product, s->q, get(s, p));
  finish(s);
}

static void lower_carries(scan *s) {
  if (s->fixed)
    add_reads(s, false);
  else
    add_extras(s, s->products, s->product, MOIRE__BUFFER_IN);
  add_extras(s, s->ends, s->end, MOIRE__BUFFER_IN);
  add_extras(s, s->carries, s->carry, MOIRE__BUFFER_OUT);
  begin(s, 1);
  moire__loop_if(s->b, moire__loop_unary(s->b, MOIRE__LOOP_not, s->in_order));
  begin_lanes(s);
  number fixed = s->fixed ? power(s) : zero(s);
  state carry = declare(s, zero(s));
  value q = moire__loop_for(s->b, index_of(s, 0), plus(s, s->n_chunks, index_of(s, -1)), 1, 1);
  number product = s->fixed ? fixed : take(s, s->product, q);
  number next = carry_on(s, get(s, carry), product, take(s, s->end, q));
  set(s, carry, next);
  put(s, s->carry, plus(s, q, index_of(s, 1)), next);
  moire__loop_end(s->b);
  finish(s);
}

static void lower_walk(scan *s) {
  const moire__node *node = s->l->node;
  add_reads(s, true);
  for (int i = 0; i < (s->gradient ? 2 : 1) * s->planes; i++)
    if (!s->summed || i >= s->planes) moire__lower_add_write(s->l, node->first_result + i);
  if (s->summed) add_extras(s, s->sums, s->sum, MOIRE__BUFFER_OUT);
  if (s->chunked) add_extras(s, s->carries, s->carry, MOIRE__BUFFER_IN);
  begin(s, s->chunks);
  value q = s->q, one = index_of(s, 1), first = index_of(s, 0), some = two(s, MOIRE__LOOP_lt, q, s->n_chunks);
  if (s->chunked)
    some = two(
        s, MOIRE__LOOP_and, some,
        choose(s, s->in_order, two(s, MOIRE__LOOP_eq, q, first), moire__loop_const(s->b, MOIRE__LOOP_BOOL, 1)));
  else
    some = two(s, MOIRE__LOOP_lt, first, s->positions);
  moire__loop_if(s->b, some);
  begin_lanes(s);
  if (!s->chunked) {
    run_chunk(s, q, zero(s), false);
    finish(s);
    return;
  }
  value last = choose(s, s->in_order, minus(s, s->n_chunks, one), q);
  state carry = declare(s, take(s, s->carry, q));
  number fixed = s->fixed ? power(s) : zero(s);
  value each = moire__loop_for(s->b, q, last, 1, 1);
  number into = get(s, carry);
  into = choose_number(s, two(s, MOIRE__LOOP_eq, each, first), zero(s), into);
  walk w = run_chunk(s, each, into, true);
  set(s, carry, carry_on(s, into, s->fixed ? fixed : get(s, w.p), get(s, w.e)));
  moire__loop_end(s->b);
  run_chunk(s, last, get(s, carry), false);
  finish(s);
}

/* Sums of chunks, for pieces of the batch: sums of these follow. */
static void lower_sums(scan *s) {
  int parts[MOST_PLANES];
  moire__loop_buffer part[MOST_PLANES];
  for (int i = 0; i < s->planes; i++)
    parts[i] = moire__lower_new_extra(s->l, moire__lower_pieces(s->l) * s->channels);
  add_extras(s, s->sums, s->sum, MOIRE__BUFFER_IN);
  add_extras(s, parts, part, MOIRE__BUFFER_OUT);
  moire__lower_body(s->l, moire__lower_pieces(s->l), 1);
  s->b = &s->l->builder;
  measure_chunks(s);
  value piece = s->l->kernel->parallel, low = 0, high = 0;
  moire__lower_piece(s->l, s->batch, piece, &low, &high);
  s->d = moire__loop_for(s->b, index_of(s, 0), index_of(s, s->channels), 1, (int)s->lanes);
  state sum = declare(s, zero(s));
  s->sample = moire__loop_for(s->b, low, high, 1, 1);
  value q = moire__loop_for(s->b, index_of(s, 0), s->n_chunks, 1, 1);
  number so_far = get(s, sum), next = take(s, s->sum, q);
  for (int i = 0; i < s->planes; i++) next.of[i] = plus(s, so_far.of[i], next.of[i]);
  set(s, sum, next);
  moire__loop_end(s->b);
  moire__loop_end(s->b);
  value at = plus(s, times(s, piece, index_of(s, s->channels)), s->d);
  for (int i = 0; i < s->planes; i++) moire__loop_store(s->b, part[i], at, moire__loop_get(s->b, sum.of[i]));
  moire__loop_end(s->b);
  moire__lower_finish(s->l);
  for (int i = 0; i < s->planes; i++) moire__lower_sum_pieces(s->l, parts[i], s->l->node->first_result + i);
}

/* The widest vectors that waste least of the last one. Wide ones read whole lines of memory in order, which is
 * worth more than that all of their states fit the registers. */
static int64_t choose_lanes(const moire__lowering *l, int64_t channels) {
  int64_t best = l->target.lanes, waste = INT64_MAX;
  if (channels == 1) return 1;
  for (int64_t lanes = REGISTERS * l->target.lanes; lanes >= l->target.lanes; lanes /= 2) {
    int64_t wasted = (channels + lanes - 1) / lanes * lanes - channels;
    if (wasted < waste) best = lanes, waste = wasted;
  }
  return best;
}

static scan describe(moire__lowering *l, int planes, bool gradient) {
  const moire__node *node = l->node;
  scan s = {.l = l, .name = l->kernel->name, .planes = planes, .gradient = gradient};
  s.conj_a = moire__node_int(node, "conj") != 0;
  s.reverse = (moire__node_int(node, "reverse") != 0) != gradient;
  s.conj = s.conj_a != gradient;
  for (int i = 0; i < planes; i++) {
    s.a[i] = moire__lower_view(l, node->operands[i]);
    s.x[i] = moire__lower_view(l, node->operands[planes + i]);
    if (gradient) s.y[i] = moire__lower_view(l, node->operands[2 * planes + i]);
  }
  const moire_shape *a = &l->g->values[node->operands[0]].shape;
  s.batch = s.x[0].dims[0];
  s.length = s.x[0].dims[1];
  s.channels = s.x[0].dims[2];
  s.fixed = true;
  for (int i = 0; i < planes; i++) s.fixed = s.fixed && (s.a[i].dims[1] == 1 || s.a[i].strides[1] == 0);
  s.summed = gradient && a->dims[0] == 1 && a->dims[1] == 1;
  s.shortest = l->target.small_blocks ? 4 : SHORTEST;
  s.enough = l->target.small_blocks ? 4 : ENOUGH;
  s.chunks = 1;
  bool fixed_length = moire__dim_is_static(s.length);
  s.chunked = !fixed_length || s.length > s.shortest;
  s.lanes = choose_lanes(l, s.channels);
  s.blocks = (s.channels + s.lanes - 1) / s.lanes;
  moire__dim_multiply(s.batch, s.blocks, &s.units);
  if (moire__dim_is_static(s.units) && s.units >= s.enough) s.chunked = false;
  if (!s.chunked) return s;
  int64_t chunk = s.shortest;
  while (fixed_length && chunk * MOST_CHUNKS < s.length) chunk *= 2;
  s.chunks = fixed_length ? (s.length + chunk - 1) / chunk : MOST_CHUNKS;
  return s;
}

static void lower(moire__lowering *l, int planes, bool gradient) {
  scan s = describe(l, planes, gradient);
  if (s.chunked) {
    new_extras(&s, s.ends);
    if (!s.fixed) new_extras(&s, s.products);
    new_extras(&s, s.carries);
  }
  if (s.summed) new_extras(&s, s.sums);
  if (s.chunked) {
    begin_kernel(&s, ", ends of chunks");
    lower_ends(&s);
    begin_kernel(&s, ", carries");
    lower_carries(&s);
  }
  begin_kernel(&s, "");
  lower_walk(&s);
  if (!s.summed) return;
  begin_kernel(&s, ", sums");
  lower_sums(&s);
}

void moire__linear_scan_lower(moire__lowering *l) { lower(l, 1, false); }

void moire__clinear_scan_lower(moire__lowering *l) { lower(l, 2, false); }

void moire__linear_scan_gradient_lower(moire__lowering *l) { lower(l, 1, true); }

void moire__clinear_scan_gradient_lower(moire__lowering *l) { lower(l, 2, true); }
