/* The selective scan and its gradient: channels are the vector lanes, and each state runs along the sequence by
 * itself, so that it stays in registers and the exponentials of a whole stretch do not wait for each other.
 *
 * Sequences are walked in chunks of CHUNK positions: in a chunk every state is run in turn, and what the states
 * share (x, dt, y and their gradients) stays in the first-level cache. The gradient runs a chunk's states
 * forwards, keeps exp(dt a) and p of that chunk for one state and one block of channels, and runs back; where a
 * sequence has several chunks, a pass ahead of it notes the states at their starts. So memory grows with the
 * number of chunks, L / CHUNK, and an exponential is computed once more for it.
 *
 * The decay differs from channel to channel and from state to state, which is why a chunk is no product of
 * matrices (docs/decisions).
 */
#include "compiler/ir/lower.h"
#include "ops/parts.h"

enum { CHUNK = 64, X = 0, DT, A, B, C, DY };

typedef moire__loop_value value;

typedef struct scan {
  moire__lowering *l;
  moire__loop_builder *b; /* after moire__lower_body */
  moire__view view[6];
  int64_t length, channels, states, chunks;
  moire_dim batch;
  int lanes;
  value sample;
} scan;

static scan describe(moire__lowering *l) {
  const moire__node *node = l->node;
  scan s = {.l = l, .b = &l->builder, .lanes = l->target.lanes * 2};
  for (int i = 0; i < node->n_operands; i++) s.view[i] = moire__lower_view(l, node->operands[i]);
  s.batch = s.view[X].dims[0];
  s.length = s.view[X].dims[1];
  s.channels = s.view[X].dims[2];
  s.states = s.view[B].dims[2];
  s.chunks = (s.length + CHUNK - 1) / CHUNK;
  return s;
}

/* ---- shorthand --------------------------------------------------------------------------------------------
 */

static value number(scan *s, int64_t x) { return moire__loop_index(s->b, x); }
static value plus(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_add, x, y); }
static value minus(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_sub, x, y); }
static value times(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_mul, x, y); }
static value fma3(scan *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}
static value smaller(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_min, x, y); }
static value each(scan *s, value low, value high) { return moire__loop_for(s->b, low, high, 1, 1); }
static void end(scan *s) { moire__loop_end(s->b); }

/* Operand i at [sample, t, j]; a at [t = channel, j = state]. */
static value operand(scan *s, int i, value t, value j) {
  value at[MOIRE_MAX_RANK] = {0};
  int d = 0;
  if (i != A) at[d++] = s->sample;
  at[d++] = t;
  at[d] = j;
  value address = moire__lower_address(s->l, &s->view[i], at);
  return moire__loop_load(s->b, moire__lower_buffer(s->l, s->view[i].base), address);
}

/* Row-major offset of [sample, t, j], the last extent being `width`. */
static value offset(scan *s, value t, value j, int64_t width) {
  value row = plus(s, times(s, s->sample, number(s, s->length)), t);
  return plus(s, times(s, row, number(s, width)), j);
}

static void add_to(scan *s, moire__loop_buffer buffer, value at, value term) {
  moire__loop_store(s->b, buffer, at,
                    moire__loop_binary(s->b, MOIRE__LOOP_add, moire__loop_load(s->b, buffer, at), term));
}

static value zero(scan *s) { return moire__loop_const(s->b, MOIRE__LOOP_F32, 0); }

/* One step of a state: decay exp(dt a), p = decay h, then h = p + dt x b. */
typedef struct step {
  value dt, x, b, decay, p, h;
} step;

static step forward(scan *s, value t, value d, value n, value a, value h) {
  step now = {.dt = operand(s, DT, t, d), .x = operand(s, X, t, d), .b = operand(s, B, t, n)};
  now.decay = moire__loop_unary(s->b, MOIRE__LOOP_exp, times(s, now.dt, a));
  now.p = times(s, now.decay, h);
  now.h = fma3(s, times(s, now.dt, now.x), now.b, now.p);
  return now;
}

static value chunk_end(scan *s, value start) {
  return smaller(s, plus(s, start, number(s, CHUNK)), number(s, s->length));
}

/* ---- selective_scan ---------------------------------------------------------------------------------------
 */

/* Channels low .. low + lanes - 1 of a sample. `carried` holds their states between chunks. */
static void run_block(scan *s, value low, value lanes, moire__loop_buffer carried) {
  moire__loop_buffer y = moire__lower_buffer(s->l, s->l->node->first_result);
  value chunk = each(s, number(s, 0), number(s, s->chunks));
  value start = times(s, chunk, number(s, CHUNK)), stop = chunk_end(s, start);
  value lane = moire__loop_for(s->b, number(s, 0), lanes, 1, s->lanes);
  value d = plus(s, low, lane);
  value t = each(s, start, stop);
  moire__loop_store(s->b, y, offset(s, t, d, s->channels), zero(s));
  end(s);
  value n = each(s, number(s, 0), number(s, s->states));
  value a = operand(s, A, d, n), slot = plus(s, times(s, n, number(s, s->lanes)), lane);
  value first = zero(s);
  if (s->chunks > 1) first = moire__loop_load(s->b, carried, slot);
  moire__loop_var h = moire__loop_declare(s->b, first);
  t = each(s, start, stop);
  step now = forward(s, t, d, n, a, moire__loop_get(s->b, h));
  moire__loop_set(s->b, h, now.h);
  value at = offset(s, t, d, s->channels);
  moire__loop_store(s->b, y, at, fma3(s, operand(s, C, t, n), now.h, moire__loop_load(s->b, y, at)));
  end(s);
  if (s->chunks > 1) moire__loop_store(s->b, carried, slot, moire__loop_get(s->b, h));
  end(s);
  end(s);
  end(s);
}

void moire__selective_scan_lower(moire__lowering *l) {
  moire__lower_add_reads_of(l, l->node);
  moire__lower_add_write(l, l->node->first_result);
  scan s = describe(l);
  int64_t blocks = (s.channels + s.lanes - 1) / s.lanes;
  moire_dim count = 0;
  moire__dim_multiply(s.batch, blocks, &count);
  moire__loop_buffer carried = 0;
  if (s.chunks > 1) carried = moire__loop_add_local(l->kernel, "state", MOIRE__LOOP_F32, s.states * s.lanes);
  moire__lower_body(l, count, 1);
  value piece = l->kernel->parallel, per_sample = number(&s, blocks);
  s.sample = moire__loop_binary(s.b, MOIRE__LOOP_div, piece, per_sample);
  value block = moire__loop_binary(s.b, MOIRE__LOOP_mod, piece, per_sample);
  value low = times(&s, block, number(&s, s.lanes));
  value lanes = smaller(&s, number(&s, s.lanes), minus(&s, number(&s, s.channels), low));
  if (s.chunks > 1) {
    value i = moire__loop_for(s.b, number(&s, 0), number(&s, s.states * s.lanes), 1, s.lanes);
    moire__loop_store(s.b, carried, i, zero(&s));
    end(&s);
  }
  run_block(&s, low, lanes, carried);
  moire__lower_finish(l);
}

/* ---- selective_scan_gradient ------------------------------------------------------------------------------
 */

typedef struct backward {
  scan s;
  moire__loop_buffer da;     /* sums of this piece, [D, N] at `da_base` */
  moire__loop_buffer starts; /* states at the starts of chunks, [chunks, N, D] at `starts_base`; 0: one chunk */
  moire__loop_buffer carried;  /* gradients of states behind the chunk, [N, D] at `carried_base` */
  moire__loop_buffer decay, p; /* of one state and block, [CHUNK, lanes] */
  moire__loop_buffer db, dc;   /* of one state, [CHUNK, lanes]: to be summed over the lanes */
  moire__loop_buffer result[5];
  value da_base, starts_base, carried_base;
} backward;

static value state_at(backward *k, value base, value n, value d) {
  scan *s = &k->s;
  return plus(s, plus(s, base, times(s, n, number(s, s->channels))), d);
}

static value start_at(backward *k, value chunk, value n, value d) {
  scan *s = &k->s;
  value skip = times(s, chunk, number(s, s->states * s->channels));
  return state_at(k, plus(s, k->starts_base, skip), n, d);
}

/* The states at the starts of all chunks. */
static void note_starts(backward *k) {
  scan *s = &k->s;
  value n = each(s, number(s, 0), number(s, s->states));
  value d = moire__loop_for(s->b, number(s, 0), number(s, s->channels), 1, s->lanes);
  value a = operand(s, A, d, n);
  moire__loop_var h = moire__loop_declare(s->b, zero(s));
  value chunk = each(s, number(s, 0), number(s, s->chunks)), start = times(s, chunk, number(s, CHUNK));
  moire__loop_store(s->b, k->starts, start_at(k, chunk, n, d), moire__loop_get(s->b, h));
  value t = each(s, start, chunk_end(s, start));
  moire__loop_set(s->b, h, forward(s, t, d, n, a, moire__loop_get(s->b, h)).h);
  end(s);
  end(s);
  end(s);
  end(s);
}

/* One position, backwards: g from the position behind in `next`, which becomes that of the position before. */
static void step_back(backward *k, value t, value d, value n, value a, value slot, moire__loop_var next,
                      moire__loop_var da) {
  scan *s = &k->s;
  value dt = operand(s, DT, t, d), x = operand(s, X, t, d), b = operand(s, B, t, n), dy = operand(s, DY, t, d);
  value u = times(s, dt, x), p = moire__loop_load(s->b, k->p, slot);
  value h = fma3(s, u, b, p);
  value g = fma3(s, operand(s, C, t, n), dy, moire__loop_get(s->b, next));
  value gp = times(s, g, p), gb = times(s, g, b), at = offset(s, t, d, s->channels);
  moire__loop_store(s->b, k->dc, slot, fma3(s, dy, h, moire__loop_load(s->b, k->dc, slot)));
  moire__loop_store(s->b, k->db, slot, fma3(s, g, u, moire__loop_load(s->b, k->db, slot)));
  value dx = moire__loop_load(s->b, k->result[X], at), ddt = moire__loop_load(s->b, k->result[DT], at);
  moire__loop_store(s->b, k->result[X], at, fma3(s, gb, dt, dx));
  moire__loop_store(s->b, k->result[DT], at, fma3(s, a, gp, fma3(s, gb, x, ddt)));
  moire__loop_set(s->b, da, fma3(s, dt, gp, moire__loop_get(s->b, da)));
  moire__loop_set(s->b, next, times(s, g, moire__loop_load(s->b, k->decay, slot)));
}

/* One state in one block of channels and one chunk: forwards, then back. */
static void run_state(backward *k, value chunk, value start, value stop, value n) {
  scan *s = &k->s;
  value block = moire__loop_for(s->b, number(s, 0), number(s, s->channels), s->lanes, 1);
  value lanes = smaller(s, number(s, s->lanes), minus(s, number(s, s->channels), block));
  value lane = moire__loop_for(s->b, number(s, 0), lanes, 1, s->lanes), d = plus(s, block, lane);
  value a = operand(s, A, d, n), first = zero(s), behind = zero(s);
  if (s->chunks > 1) {
    first = moire__loop_load(s->b, k->starts, start_at(k, chunk, n, d));
    behind = moire__loop_load(s->b, k->carried, state_at(k, k->carried_base, n, d));
  }
  moire__loop_var h = moire__loop_declare(s->b, first), next = moire__loop_declare(s->b, behind);
  moire__loop_var da = moire__loop_declare(s->b, zero(s));
  value t = each(s, start, stop);
  value slot = plus(s, times(s, minus(s, t, start), number(s, s->lanes)), lane);
  step now = forward(s, t, d, n, a, moire__loop_get(s->b, h));
  moire__loop_store(s->b, k->decay, slot, now.decay);
  moire__loop_store(s->b, k->p, slot, now.p);
  moire__loop_set(s->b, h, now.h);
  end(s);
  value i = each(s, start, stop), last = plus(s, plus(s, start, stop), number(s, -1));
  t = minus(s, last, i);
  slot = plus(s, times(s, minus(s, t, start), number(s, s->lanes)), lane);
  step_back(k, t, d, n, a, slot, next, da);
  end(s);
  int64_t row =
      s->states ? s->states : 1; /* without states nothing is stored, but addresses still have to differ */
  value to = plus(s, k->da_base, plus(s, times(s, d, number(s, row)), n));
  add_to(s, k->da, to, moire__loop_get(s->b, da));
  if (s->chunks > 1)
    moire__loop_store(s->b, k->carried, state_at(k, k->carried_base, n, d), moire__loop_get(s->b, next));
  end(s);
  end(s);
}

static void clear(scan *s, moire__loop_buffer buffer, value base, int64_t elements) {
  value i = moire__loop_for(s->b, number(s, 0), number(s, elements), 1, s->lanes);
  moire__loop_store(s->b, buffer, plus(s, base, i), zero(s));
  end(s);
}

/* result[t, n] = sum over the lanes of sums[t - start]. */
static void sum_lanes(backward *k, int result, moire__loop_buffer sums, value start, value stop, value n) {
  scan *s = &k->s;
  value t = each(s, start, stop);
  moire__loop_var sum = moire__loop_declare(s->b, zero(s));
  value lane = moire__loop_for(s->b, number(s, 0), number(s, s->lanes), 1, s->lanes);
  value slot = plus(s, times(s, minus(s, t, start), number(s, s->lanes)), lane);
  moire__loop_reduce(s->b, sum, MOIRE__LOOP_add, moire__loop_load(s->b, sums, slot));
  end(s);
  moire__loop_store(s->b, k->result[result], offset(s, t, n, s->states), moire__loop_get(s->b, sum));
  end(s);
}

static void run_sample(backward *k) {
  scan *s = &k->s;
  if (s->chunks > 1) {
    note_starts(k);
    clear(s, k->carried, k->carried_base, s->states * s->channels);
  }
  value i = each(s, number(s, 0), number(s, s->chunks)), chunk = minus(s, number(s, s->chunks - 1), i);
  value start = times(s, chunk, number(s, CHUNK)), stop = chunk_end(s, start);
  value rows = minus(s, stop, start), from = offset(s, start, number(s, 0), s->channels);
  value e = moire__loop_for(s->b, number(s, 0), times(s, rows, number(s, s->channels)), 1, s->lanes);
  for (int r = X; r <= DT; r++) moire__loop_store(s->b, k->result[r], plus(s, from, e), zero(s));
  end(s);
  value n = each(s, number(s, 0), number(s, s->states));
  clear(s, k->db, number(s, 0), CHUNK * s->lanes);
  clear(s, k->dc, number(s, 0), CHUNK * s->lanes);
  run_state(k, chunk, start, stop, n);
  sum_lanes(k, B, k->db, start, stop, n);
  sum_lanes(k, C, k->dc, start, stop, n);
  end(s);
  end(s);
}

/* An extra buffer of `elements` for each piece of the batch. */
static moire__loop_buffer add_pieces(scan *s, int64_t elements, int *extra) {
  *extra = moire__lower_new_extra(s->l, elements * MOIRE__REDUCTION_PIECES);
  return moire__lower_add_extra(s->l, *extra, MOIRE__BUFFER_OUT);
}

void moire__selective_scan_gradient_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  backward k = {.s = describe(l)};
  scan *s = &k.s;
  int64_t states = s->states * s->channels, lanes = s->lanes;
  int da = 0, unused = 0;
  for (int i = 0; i < 5; i++)
    if (i != A) k.result[i] = moire__lower_add_write(l, node->first_result + i);
  k.da = add_pieces(s, states, &da);
  if (s->chunks > 1) {
    k.starts = add_pieces(s, states * s->chunks, &unused);
    k.carried = add_pieces(s, states, &unused);
  }
  moire__loop_buffer *const blocks[] = {&k.decay, &k.p, &k.db, &k.dc};
  static const char *const names[] = {"decay", "p", "db", "dc"};
  for (int i = 0; i < 4; i++)
    *blocks[i] = moire__loop_add_local(l->kernel, names[i], MOIRE__LOOP_F32, CHUNK * lanes);
  moire__lower_body(l, MOIRE__REDUCTION_PIECES, 1);
  value piece = l->kernel->parallel, low = 0, high = 0;
  k.da_base = k.carried_base = times(s, piece, number(s, states));
  k.starts_base = times(s, piece, number(s, states * s->chunks));
  clear(s, k.da, k.da_base, states);
  moire__lower_piece(l, s->batch, piece, &low, &high);
  s->sample = each(s, low, high);
  run_sample(&k);
  end(s);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, da, node->first_result + A);
}
