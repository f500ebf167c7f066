/* The gradient of the selective scan; see lower_scan.h.
 *
 * A chunk's states run forwards, keeping exp(dt a) and what goes in of that chunk for one block of channels,
 * and then back. With G_t = sum_n g_t[n] b_t[n] and H_t = sum_n a[n,d] g_t[n] p_t[n] (g as in
 * selective_scan.c), which all states add to,
 *
 *   dx_t = dt_t G_t,   ddt_t = H_t + x_t G_t.
 *
 * Where a sequence has several chunks, a pass ahead notes the states at their starts. So memory grows with the
 * number of chunks, and an exponential is computed once more for it. Samples are divided into pieces; da is
 * summed piece by piece.
 */
#include "ops/sequence/lower_scan.h"
#include "ops/parts.h"

enum { X = MOIRE__SCAN_X, DT, A, B, C, DY };
/* Four states share more of what is loaded; of short vectors their arrays fit into the first-level cache, too.
 */
enum { REGISTERS = 1, TOGETHER = 2, TOGETHER_SHORT = 4 };
enum { ROW_DT, ROW_U, ROW_DY, SHARED, SUM_G = 0, SUM_H, SUMS };

typedef struct backward {
  scan s;
  moire__loop_buffer shared, sums; /* of the chunk: [blocks, rows, SHARED or SUMS, lanes] at their bases */
  moire__loop_buffer da;           /* sums of this piece, [N, D] at `da_base` */
  moire__loop_buffer starts; /* states at the starts of chunks, [chunks, N, D] at `starts_base`; 0: one chunk */
  moire__loop_buffer carried;       /* gradients of states behind the chunk, [N, D] at `carried_base` */
  moire__loop_buffer decay, before; /* of one block, [together, rows, lanes]; the state before a position */
  moire__loop_buffer db, dc;        /* the same: to be summed over the lanes */
  moire__loop_buffer result[5];
  value shared_base, sums_base, da_base, starts_base, carried_base;
  value chunk, block, lane, d;
  bool decays_apart;
} backward;

static value state_at(backward *k, value base, value n) {
  scan *s = &k->s;
  return plus(s, plus(s, base, times(s, n, number(s, s->channels))), k->d);
}

static value start_at(backward *k, value chunk, value n) {
  scan *s = &k->s;
  return state_at(k, plus(s, k->starts_base, times(s, chunk, number(s, s->states * s->channels))), n);
}

/* Of position t in `shared` or `sums`, whose rows hold `n` kinds. */
static value packed_at(backward *k, value base, int64_t n, int kind, value t) {
  scan *s = &k->s;
  value row = plus(s, times(s, k->block, number(s, s->rows)), minus(s, t, s->start));
  value place = plus(s, times(s, row, number(s, n)), number(s, kind));
  return plus(s, plus(s, base, times(s, place, number(s, s->lanes))), k->lane);
}
static value shared_at(backward *k, int kind, value t) { return packed_at(k, k->shared_base, SHARED, kind, t); }
static value sum_at(backward *k, int kind, value t) { return packed_at(k, k->sums_base, SUMS, kind, t); }

/* Opens loops over the blocks and their lanes; close with end_channels. */
static void each_channel(backward *k) {
  scan *s = &k->s;
  k->block = each(s, number(s, 0), number(s, s->blocks));
  value low = times(s, k->block, number(s, s->lanes));
  k->lane = each_lane(s, lanes_from(s, low));
  k->d = plus(s, low, k->lane);
}

static void end_channels(backward *k) {
  end(&k->s);
  end(&k->s);
}

/* decay[i] of the chunk. */
static void note_decays(backward *k, int i, value rate) {
  scan *s = &k->s;
  value t = each(s, s->start, s->stop), decay = decay_of(s, load(s, k->shared, shared_at(k, ROW_DT, t)), rate);
  store(s, k->decay, moire__scan_slot(s, i, t, k->lane), decay);
  end(s);
}

static value decay_at(backward *k, int i, value t, value dt, value rate) {
  scan *s = &k->s;
  return k->decays_apart ? load(s, k->decay, moire__scan_slot(s, i, t, k->lane)) : decay_of(s, dt, rate);
}

/* ---- the states at the starts of chunks ---------------------------------------------------------------------
 */

static void run_to_next(void *context, value n, int together) {
  backward *k = context;
  scan *s = &k->s;
  value state[MOIRE__SCAN_MOST_TOGETHER], rate[MOIRE__SCAN_MOST_TOGETHER];
  moire__loop_var h[MOIRE__SCAN_MOST_TOGETHER];
  for (int i = 0; i < together; i++) {
    state[i] = plus(s, n, number(s, i));
    rate[i] = moire__scan_rate(s, state[i], k->d);
    h[i] = moire__loop_declare(s->b, load(s, k->starts, start_at(k, k->chunk, state[i])));
    if (k->decays_apart) note_decays(k, i, rate[i]);
  }
  value t = each(s, s->start, s->stop);
  value dt = load(s, k->shared, shared_at(k, ROW_DT, t)), u = load(s, k->shared, shared_at(k, ROW_U, t));
  for (int i = 0; i < together; i++) {
    value into = times(s, u, moire__scan_operand(s, B, t, state[i]));
    set(s, h[i], fma3(s, decay_at(k, i, t, dt, rate[i]), get(s, h[i]), into));
  }
  end(s);
  value next = plus(s, k->chunk, number(s, 1));
  for (int i = 0; i < together; i++) store(s, k->starts, start_at(k, next, state[i]), get(s, h[i]));
}

/* Packs what the states share in a block and chunk. */
static void pack(backward *k) {
  scan *s = &k->s;
  value t = each(s, s->start, s->stop), dt = moire__scan_operand(s, DT, t, k->d);
  store(s, k->shared, shared_at(k, ROW_DT, t), dt);
  store(s, k->shared, shared_at(k, ROW_U, t), times(s, dt, moire__scan_operand(s, X, t, k->d)));
  store(s, k->shared, shared_at(k, ROW_DY, t), moire__scan_operand(s, DY, t, k->d));
  end(s);
}

static void note_starts(backward *k) {
  scan *s = &k->s;
  moire__scan_clear(s, k->starts, k->starts_base, s->states * s->channels);
  each_channel(k);
  k->chunk = each(s, number(s, 0), number(s, s->chunks - 1));
  moire__scan_chunk(s, k->chunk);
  pack(k);
  moire__scan_each_state(s, run_to_next, k);
  end(s);
  end_channels(k);
}

/* ---- a chunk ------------------------------------------------------------------------------------------------
 */

/* States that run together, in one block of channels. */
typedef struct states_at_once {
  int n;
  value state[MOIRE__SCAN_MOST_TOGETHER], rate[MOIRE__SCAN_MOST_TOGETHER];
  moire__loop_var h[MOIRE__SCAN_MOST_TOGETHER], da[MOIRE__SCAN_MOST_TOGETHER];
  moire__loop_var next[MOIRE__SCAN_MOST_TOGETHER]; /* gradient from the position behind */
} states_at_once;

static states_at_once begin_states(backward *k, value n, int count) {
  scan *s = &k->s;
  states_at_once now = {.n = count};
  for (int i = 0; i < count; i++) {
    value state = now.state[i] = plus(s, n, number(s, i));
    bool alone = s->chunks <= 1;
    now.rate[i] = moire__scan_rate(s, state, k->d);
    now.h[i] = moire__loop_declare(s->b, alone ? real(s, 0) : load(s, k->starts, start_at(k, k->chunk, state)));
    now.next[i] = moire__loop_declare(s->b, alone ? real(s, 0)
                                                  : load(s, k->carried, state_at(k, k->carried_base, state)));
    now.da[i] = moire__loop_declare(s->b, real(s, 0));
  }
  return now;
}

static void step_forth(backward *k, const states_at_once *now, value t) {
  scan *s = &k->s;
  value dt = load(s, k->shared, shared_at(k, ROW_DT, t)), u = load(s, k->shared, shared_at(k, ROW_U, t));
  value dy = load(s, k->shared, shared_at(k, ROW_DY, t));
  for (int i = 0; i < now->n; i++) {
    value slot = moire__scan_slot(s, i, t, k->lane), decay = decay_at(k, i, t, dt, now->rate[i]);
    value before = get(s, now->h[i]);
    value h = fma3(s, decay, before, times(s, u, moire__scan_operand(s, B, t, now->state[i])));
    if (!k->decays_apart) store(s, k->decay, slot, decay);
    store(s, k->before, slot, before);
    store(s, k->dc, slot, fma3(s, dy, h, load(s, k->dc, slot)));
    set(s, now->h[i], h);
  }
}

static void step_back(backward *k, const states_at_once *now, value t) {
  scan *s = &k->s;
  value dt = load(s, k->shared, shared_at(k, ROW_DT, t)), u = load(s, k->shared, shared_at(k, ROW_U, t));
  value dy = load(s, k->shared, shared_at(k, ROW_DY, t));
  value sum_g = load(s, k->sums, sum_at(k, SUM_G, t)), sum_h = load(s, k->sums, sum_at(k, SUM_H, t));
  for (int i = 0; i < now->n; i++) {
    value slot = moire__scan_slot(s, i, t, k->lane);
    value g = fma3(s, moire__scan_operand(s, C, t, now->state[i]), dy, get(s, now->next[i]));
    value next = times(s, g, load(s, k->decay, slot)), gp = times(s, next, load(s, k->before, slot));
    sum_g = fma3(s, g, moire__scan_operand(s, B, t, now->state[i]), sum_g);
    sum_h = fma3(s, now->rate[i], gp, sum_h);
    store(s, k->db, slot, fma3(s, g, u, load(s, k->db, slot)));
    set(s, now->da[i], fma3(s, dt, gp, get(s, now->da[i])));
    set(s, now->next[i], next);
  }
  store(s, k->sums, sum_at(k, SUM_G, t), sum_g);
  store(s, k->sums, sum_at(k, SUM_H, t), sum_h);
}

static void end_states(backward *k, const states_at_once *now) {
  scan *s = &k->s;
  for (int i = 0; i < now->n; i++) {
    value at = state_at(k, k->da_base, now->state[i]);
    store(s, k->da, at, plus(s, load(s, k->da, at), get(s, now->da[i])));
    if (s->chunks > 1) store(s, k->carried, state_at(k, k->carried_base, now->state[i]), get(s, now->next[i]));
  }
}

/* result[t, n] = sum over the lanes of sums[i, t - start]. */
static void sum_lanes(backward *k, int result, moire__loop_buffer sums, int i, value n) {
  scan *s = &k->s;
  value t = each(s, s->start, s->stop);
  moire__loop_var sum = moire__loop_declare(s->b, real(s, 0));
  value lane = each_lane(s, number(s, s->lanes));
  moire__loop_reduce(s->b, sum, MOIRE__LOOP_add, load(s, sums, moire__scan_slot(s, i, t, lane)));
  end(s);
  store(s, k->result[result], moire__scan_offset(s, t, n, s->states), get(s, sum));
  end(s);
}

static void run_gradient(void *context, value n, int together) {
  backward *k = context;
  scan *s = &k->s;
  moire__scan_clear(s, k->db, number(s, 0), together * s->rows * s->lanes);
  moire__scan_clear(s, k->dc, number(s, 0), together * s->rows * s->lanes);
  each_channel(k);
  states_at_once now = begin_states(k, n, together);
  for (int i = 0; i < together && k->decays_apart; i++) note_decays(k, i, now.rate[i]);
  step_forth(k, &now, each(s, s->start, s->stop));
  end(s);
  value i = each(s, s->start, s->stop), last = plus(s, plus(s, s->start, s->stop), number(s, -1));
  step_back(k, &now, minus(s, last, i));
  end(s);
  end_states(k, &now);
  end_channels(k);
  for (int j = 0; j < together; j++) {
    sum_lanes(k, B, k->db, j, plus(s, n, number(s, j)));
    sum_lanes(k, C, k->dc, j, plus(s, n, number(s, j)));
  }
}

/* dx and ddt, when all states have added to G and H (which holds a / ln 2 for a). */
static void finish_chunk(backward *k) {
  const double ln2 = 0.6931471805599453;
  scan *s = &k->s;
  each_channel(k);
  value t = each(s, s->start, s->stop), to = moire__scan_offset(s, t, k->d, s->channels);
  value g = load(s, k->sums, sum_at(k, SUM_G, t)), h = load(s, k->sums, sum_at(k, SUM_H, t));
  store(s, k->result[X], to, times(s, load(s, k->shared, shared_at(k, ROW_DT, t)), g));
  store(s, k->result[DT], to, fma3(s, moire__scan_operand(s, X, t, k->d), g, times(s, h, real(s, ln2))));
  end(s);
  end_channels(k);
}

static void run_sample(backward *k) {
  scan *s = &k->s;
  if (s->chunks > 1) {
    note_starts(k);
    moire__scan_clear(s, k->carried, k->carried_base, s->states * s->channels);
  }
  value i = each(s, number(s, 0), number(s, s->chunks));
  k->chunk = minus(s, number(s, s->chunks - 1), i);
  moire__scan_chunk(s, k->chunk);
  each_channel(k);
  pack(k);
  end_channels(k);
  moire__scan_clear(s, k->sums, k->sums_base, s->blocks * s->rows * SUMS * s->lanes);
  moire__scan_each_state(s, run_gradient, k);
  finish_chunk(k);
  end(s);
}

/* ---- the kernel ---------------------------------------------------------------------------------------------
 */

/* An extra buffer of `elements` for each piece of the batch. */
static moire__loop_buffer add_pieces(scan *s, int64_t elements, int *extra) {
  *extra = moire__lower_new_extra(s->l, elements * moire__lower_pieces(s->l));
  return moire__lower_add_extra(s->l, *extra, MOIRE__BUFFER_OUT);
}

void moire__selective_scan_gradient_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  int together = moire__lower_few_registers(l) ? TOGETHER_SHORT : TOGETHER;
  backward k = {.s = moire__scan_describe(l, REGISTERS, together), .decays_apart = moire__scan_decays_apart(l)};
  scan *s = &k.s;
  int64_t states = s->states * s->channels, rows = s->blocks * s->rows * s->lanes;
  int da = 0, unused = 0;
  for (int i = 0; i < 5; i++)
    if (i != A) k.result[i] = moire__lower_add_write(l, node->first_result + i);
  k.da = add_pieces(s, states, &da);
  k.shared = add_pieces(s, rows * SHARED, &unused);
  k.sums = add_pieces(s, rows * SUMS, &unused);
  if (s->chunks > 1) {
    k.starts = add_pieces(s, states * s->chunks, &unused);
    k.carried = add_pieces(s, states, &unused);
  }
  moire__loop_buffer *const blocks[] = {&k.decay, &k.before, &k.db, &k.dc};
  static const char *const names[] = {"decay", "before", "db", "dc"};
  for (int i = 0; i < 4; i++)
    *blocks[i] = moire__loop_add_local(l->kernel, names[i], MOIRE__LOOP_F32, s->together * s->rows * s->lanes);
  moire__lower_body(l, moire__lower_pieces(l), 1);
  value piece = l->kernel->parallel, low = 0, high = 0;
  k.da_base = k.carried_base = times(s, piece, number(s, states));
  k.starts_base = times(s, piece, number(s, states * s->chunks));
  k.shared_base = times(s, piece, number(s, rows * SHARED));
  k.sums_base = times(s, piece, number(s, rows * SUMS));
  moire__scan_clear(s, k.da, k.da_base, states);
  moire__lower_piece(l, s->batch, piece, &low, &high);
  s->sample = each(s, low, high);
  run_sample(&k);
  end(s);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, da, node->first_result + A);
}
