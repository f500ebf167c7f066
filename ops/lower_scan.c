/* The selective scan and its gradient: channels are the vector lanes, and each state runs along the sequence by
 * itself, so that it stays in registers and the exponentials of a whole stretch do not wait for each other.
 *
 * Sequences are walked in chunks of CHUNK positions: in a chunk the states are run in turn, TOGETHER at a time,
 * and what they share (x, dt, y and their gradients) stays in cache and is loaded once for those that run
 * together. The gradient runs a chunk's states forwards, keeps exp(dt a) and p of that chunk for one block of
 * channels, and runs back; where a sequence has several chunks, a pass ahead of it notes the states at their
 * starts. So memory grows with the number of chunks, L / CHUNK, and an exponential is computed once more for
 * it.
 *
 * The decay differs from channel to channel and from state to state, which is why a chunk is no product of
 * matrices (docs/decisions).
 */
#include "compiler/ir/lower.h"
#include "ops/parts.h"

enum { CHUNK = 64, TOGETHER = 2, X = 0, DT, A, B, C, DY };

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

/* What the states of a channel share at a position. */
typedef struct place {
  value t, dt, x, u; /* u = dt x */
} place;

static place place_at(scan *s, value t, value d) {
  place at = {.t = t, .dt = operand(s, DT, t, d), .x = operand(s, X, t, d)};
  at.u = times(s, at.dt, at.x);
  return at;
}

/* One step of a state: decay = exp(dt a), p = decay h, then h = p + dt x b. */
typedef struct step {
  value decay, p, h;
} step;

static step forward(scan *s, const place *at, value n, value a, value h) {
  step now = {.decay = moire__loop_unary(s->b, MOIRE__LOOP_exp, times(s, at->dt, a))};
  now.p = times(s, now.decay, h);
  now.h = fma3(s, at->u, operand(s, B, at->t, n), now.p);
  return now;
}

/* Opens loops over the states, TOGETHER at a time, then one by one, and calls `run` in each of them with the
 * number of the first state. States that run together load what they share once. */
typedef void run_states(void *context, value n, int together);

static void each_state(scan *s, run_states *run, void *context) {
  int64_t middle = s->states / TOGETHER * TOGETHER;
  if (middle) {
    value n = moire__loop_for(s->b, number(s, 0), number(s, middle), TOGETHER, 1);
    run(context, n, TOGETHER);
    end(s);
  }
  if (middle == s->states) return;
  value n = each(s, number(s, middle), number(s, s->states));
  run(context, n, 1);
  end(s);
}

static value after(scan *s, value n, int i) { return plus(s, n, number(s, i)); }

static value chunk_end(scan *s, value start) {
  return smaller(s, plus(s, start, number(s, CHUNK)), number(s, s->length));
}

/* ---- selective_scan ---------------------------------------------------------------------------------------
 */

typedef struct channels_block {
  scan *s;
  moire__loop_buffer y, carried; /* states between chunks, [N, lanes]; 0: one chunk */
  value d, lane, start, stop;
} channels_block;

static void run_forward(void *context, value n, int together) {
  channels_block *k = context;
  scan *s = k->s;
  value a[TOGETHER], slot[TOGETHER];
  moire__loop_var h[TOGETHER];
  for (int i = 0; i < together; i++) {
    a[i] = operand(s, A, k->d, after(s, n, i));
    slot[i] = plus(s, times(s, after(s, n, i), number(s, s->lanes)), k->lane);
    h[i] = moire__loop_declare(s->b, k->carried ? moire__loop_load(s->b, k->carried, slot[i]) : zero(s));
  }
  value t = each(s, k->start, k->stop), to = offset(s, t, k->d, s->channels);
  place at = place_at(s, t, k->d);
  value y = moire__loop_load(s->b, k->y, to);
  for (int i = 0; i < together; i++) {
    step now = forward(s, &at, after(s, n, i), a[i], moire__loop_get(s->b, h[i]));
    moire__loop_set(s->b, h[i], now.h);
    y = fma3(s, operand(s, C, t, after(s, n, i)), now.h, y);
  }
  moire__loop_store(s->b, k->y, to, y);
  end(s);
  for (int i = 0; i < together && k->carried; i++)
    moire__loop_store(s->b, k->carried, slot[i], moire__loop_get(s->b, h[i]));
}

/* Channels low .. low + lanes - 1 of a sample. */
static void run_block(scan *s, value low, value lanes, moire__loop_buffer carried) {
  channels_block k = {.s = s, .y = moire__lower_buffer(s->l, s->l->node->first_result), .carried = carried};
  value chunk = each(s, number(s, 0), number(s, s->chunks));
  k.start = times(s, chunk, number(s, CHUNK));
  k.stop = chunk_end(s, k.start);
  k.lane = moire__loop_for(s->b, number(s, 0), lanes, 1, s->lanes);
  k.d = plus(s, low, k.lane);
  value t = each(s, k.start, k.stop);
  moire__loop_store(s->b, k.y, offset(s, t, k.d, s->channels), zero(s));
  end(s);
  each_state(s, run_forward, &k);
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
  moire__loop_buffer decay, p; /* of one block, [TOGETHER, CHUNK, lanes] */
  moire__loop_buffer db, dc;   /* the same: to be summed over the lanes */
  moire__loop_buffer result[5];
  value da_base, starts_base, carried_base;
  value chunk, start, stop; /* the chunk that is walked, and its positions */
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
  place at = place_at(s, t, d);
  moire__loop_set(s->b, h, forward(s, &at, n, a, moire__loop_get(s->b, h)).h);
  end(s);
  end(s);
  end(s);
  end(s);
}

/* States that run together, in one block of channels and one chunk. */
typedef struct states_at_once {
  int n;
  value state[TOGETHER], a[TOGETHER];
  moire__loop_var h[TOGETHER], next[TOGETHER], da[TOGETHER]; /* next: gradient from the position behind */
} states_at_once;

/* Slot of state i at position t in the arrays of a chunk, [TOGETHER, CHUNK, lanes]. */
static value slot_of(scan *s, int i, value t, value start, value lane) {
  value row = plus(s, minus(s, t, start), number(s, (int64_t)i * CHUNK));
  return plus(s, times(s, row, number(s, s->lanes)), lane);
}

/* One position, backwards. */
static void step_back(backward *k, states_at_once *now, value t, value d, value start, value lane) {
  scan *s = &k->s;
  place at = place_at(s, t, d);
  value dy = operand(s, DY, t, d), to = offset(s, t, d, s->channels);
  value dx = moire__loop_load(s->b, k->result[X], to), ddt = moire__loop_load(s->b, k->result[DT], to);
  for (int i = 0; i < now->n; i++) {
    value slot = slot_of(s, i, t, start, lane), b = operand(s, B, t, now->state[i]);
    value p = moire__loop_load(s->b, k->p, slot), h = fma3(s, at.u, b, p);
    value g = fma3(s, operand(s, C, t, now->state[i]), dy, moire__loop_get(s->b, now->next[i]));
    value gp = times(s, g, p), gb = times(s, g, b);
    moire__loop_store(s->b, k->dc, slot, fma3(s, dy, h, moire__loop_load(s->b, k->dc, slot)));
    moire__loop_store(s->b, k->db, slot, fma3(s, g, at.u, moire__loop_load(s->b, k->db, slot)));
    dx = fma3(s, gb, at.dt, dx);
    ddt = fma3(s, now->a[i], gp, fma3(s, gb, at.x, ddt));
    moire__loop_set(s->b, now->da[i], fma3(s, at.dt, gp, moire__loop_get(s->b, now->da[i])));
    moire__loop_set(s->b, now->next[i], times(s, g, moire__loop_load(s->b, k->decay, slot)));
  }
  moire__loop_store(s->b, k->result[X], to, dx);
  moire__loop_store(s->b, k->result[DT], to, ddt);
}

static states_at_once begin_states(backward *k, value n, int count, value chunk, value d) {
  scan *s = &k->s;
  states_at_once now = {.n = count};
  for (int i = 0; i < count; i++) {
    now.state[i] = after(s, n, i);
    now.a[i] = operand(s, A, d, now.state[i]);
    value first = zero(s), behind = zero(s);
    if (s->chunks > 1) {
      first = moire__loop_load(s->b, k->starts, start_at(k, chunk, now.state[i], d));
      behind = moire__loop_load(s->b, k->carried, state_at(k, k->carried_base, now.state[i], d));
    }
    now.h[i] = moire__loop_declare(s->b, first);
    now.next[i] = moire__loop_declare(s->b, behind);
    now.da[i] = moire__loop_declare(s->b, zero(s));
  }
  return now;
}

static void end_states(backward *k, const states_at_once *now, value d) {
  scan *s = &k->s;
  int64_t row =
      s->states ? s->states : 1; /* without states nothing is stored, but addresses still have to differ */
  for (int i = 0; i < now->n; i++) {
    value to = plus(s, k->da_base, plus(s, times(s, d, number(s, row)), now->state[i]));
    add_to(s, k->da, to, moire__loop_get(s->b, now->da[i]));
    if (s->chunks > 1)
      moire__loop_store(s->b, k->carried, state_at(k, k->carried_base, now->state[i], d),
                        moire__loop_get(s->b, now->next[i]));
  }
}

/* `count` states from n in one block of channels and one chunk: forwards, then back. */
static void run_back(backward *k, value n, int count) {
  scan *s = &k->s;
  value start = k->start, stop = k->stop;
  value block = moire__loop_for(s->b, number(s, 0), number(s, s->channels), s->lanes, 1);
  value lanes = smaller(s, number(s, s->lanes), minus(s, number(s, s->channels), block));
  value lane = moire__loop_for(s->b, number(s, 0), lanes, 1, s->lanes), d = plus(s, block, lane);
  states_at_once now = begin_states(k, n, count, k->chunk, d);
  value t = each(s, start, stop);
  place at = place_at(s, t, d);
  for (int i = 0; i < count; i++) {
    value slot = slot_of(s, i, t, start, lane);
    step one = forward(s, &at, now.state[i], now.a[i], moire__loop_get(s->b, now.h[i]));
    moire__loop_store(s->b, k->decay, slot, one.decay);
    moire__loop_store(s->b, k->p, slot, one.p);
    moire__loop_set(s->b, now.h[i], one.h);
  }
  end(s);
  value i = each(s, start, stop), last = plus(s, plus(s, start, stop), number(s, -1));
  step_back(k, &now, minus(s, last, i), d, start, lane);
  end(s);
  end_states(k, &now, d);
  end(s);
  end(s);
}

static void clear(scan *s, moire__loop_buffer buffer, value base, int64_t elements) {
  value i = moire__loop_for(s->b, number(s, 0), number(s, elements), 1, s->lanes);
  moire__loop_store(s->b, buffer, plus(s, base, i), zero(s));
  end(s);
}

/* result[t, n] = sum over the lanes of sums[i, t - start]. */
static void sum_lanes(backward *k, int result, moire__loop_buffer sums, int i, value n) {
  scan *s = &k->s;
  value t = each(s, k->start, k->stop);
  moire__loop_var sum = moire__loop_declare(s->b, zero(s));
  value lane = moire__loop_for(s->b, number(s, 0), number(s, s->lanes), 1, s->lanes);
  moire__loop_reduce(s->b, sum, MOIRE__LOOP_add,
                     moire__loop_load(s->b, sums, slot_of(s, i, t, k->start, lane)));
  end(s);
  moire__loop_store(s->b, k->result[result], offset(s, t, n, s->states), moire__loop_get(s->b, sum));
  end(s);
}

static void run_gradient(void *context, value n, int together) {
  backward *k = context;
  clear(&k->s, k->db, number(&k->s, 0), (int64_t)together * CHUNK * k->s.lanes);
  clear(&k->s, k->dc, number(&k->s, 0), (int64_t)together * CHUNK * k->s.lanes);
  run_back(k, n, together);
  for (int i = 0; i < together; i++) {
    sum_lanes(k, B, k->db, i, after(&k->s, n, i));
    sum_lanes(k, C, k->dc, i, after(&k->s, n, i));
  }
}

static void run_sample(backward *k) {
  scan *s = &k->s;
  if (s->chunks > 1) {
    note_starts(k);
    clear(s, k->carried, k->carried_base, s->states * s->channels);
  }
  value i = each(s, number(s, 0), number(s, s->chunks));
  k->chunk = minus(s, number(s, s->chunks - 1), i);
  k->start = times(s, k->chunk, number(s, CHUNK));
  k->stop = chunk_end(s, k->start);
  value rows = minus(s, k->stop, k->start), from = offset(s, k->start, number(s, 0), s->channels);
  value e = moire__loop_for(s->b, number(s, 0), times(s, rows, number(s, s->channels)), 1, s->lanes);
  for (int r = X; r <= DT; r++) moire__loop_store(s->b, k->result[r], plus(s, from, e), zero(s));
  end(s);
  each_state(s, run_gradient, k);
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
    *blocks[i] = moire__loop_add_local(l->kernel, names[i], MOIRE__LOOP_F32, TOGETHER * CHUNK * lanes);
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
