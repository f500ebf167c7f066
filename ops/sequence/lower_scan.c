/* The selective scan, forwards; see lower_scan.h. Samples and blocks of channels are independent. */
#include "ops/sequence/lower_scan.h"
#include "ops/parts.h"

#include <math.h>

enum { X = MOIRE__SCAN_X, DT, A, B, C };

scan moire__scan_describe(moire__lowering *l, int registers, int together) {
  const moire__node *node = l->node;
  scan s = {.l = l, .b = &l->builder, .lanes = l->target.lanes * registers, .together = together};
  for (int i = 0; i < node->n_operands; i++) s.view[i] = moire__lower_view(l, node->operands[i]);
  s.batch = s.view[X].dims[0];
  s.length = s.view[X].dims[1];
  s.channels = s.view[X].dims[2];
  s.states = s.view[B].dims[2];
  s.rows = s.length < MOIRE__SCAN_MOST_ROWS ? s.length : MOIRE__SCAN_MOST_ROWS;
  s.chunks = (s.length + MOIRE__SCAN_MOST_ROWS - 1) / MOIRE__SCAN_MOST_ROWS;
  s.blocks = (s.channels + s.lanes - 1) / s.lanes;
  return s;
}

value moire__scan_operand(scan *s, int i, value t, value j) {
  value at[MOIRE_MAX_RANK] = {0};
  int d = 0;
  if (i != A) at[d++] = s->sample;
  at[d++] = t;
  at[d] = j;
  value address = moire__lower_address(s->l, &s->view[i], at);
  return load(s, moire__lower_buffer(s->l, s->view[i].base), address);
}

value moire__scan_offset(scan *s, value t, value j, int64_t width) {
  value row = plus(s, times(s, s->sample, number(s, s->length)), t);
  return plus(s, times(s, row, number(s, width)), j);
}

value moire__scan_rate(scan *s, value n, value d) {
  return times(s, moire__scan_operand(s, A, n, d), real(s, M_LOG2E));
}

value moire__scan_slot(scan *s, int i, value t, value lane) {
  value row = plus(s, minus(s, t, s->start), number(s, (int64_t)i * s->rows));
  return plus(s, times(s, row, number(s, s->lanes)), lane);
}

void moire__scan_each_state(scan *s, moire__scan_run *run, void *context) {
  int64_t middle = s->states / s->together * s->together;
  if (middle) {
    value n = moire__loop_for(s->b, number(s, 0), number(s, middle), s->together, 1);
    run(context, n, s->together);
    end(s);
  }
  if (middle == s->states) return;
  value n = each(s, number(s, middle), number(s, s->states));
  run(context, n, 1);
  end(s);
}

void moire__scan_chunk(scan *s, value chunk) {
  s->start = times(s, chunk, number(s, s->rows));
  s->stop = smaller(s, plus(s, s->start, number(s, s->rows)), number(s, s->length));
}

void moire__scan_clear(scan *s, moire__loop_buffer buffer, value base, int64_t elements) {
  value i = each_lane(s, number(s, elements));
  store(s, buffer, plus(s, base, i), real(s, 0));
  end(s);
}

/* ---- selective_scan ---------------------------------------------------------------------------------------
 */

enum { REGISTERS = 2, TOGETHER = 2, REGISTERS_APART = 1, TOGETHER_APART = 4 };

typedef struct forward {
  scan s;
  moire__loop_buffer dt, u, y; /* of a chunk, u = dt x: [rows, lanes] */
  moire__loop_buffer decay; /* of states that run together, [together, rows, lanes]; 0: computed as they run */
  moire__loop_buffer carried; /* states between chunks, [N, lanes]; 0: one chunk */
  value d, lane;
} forward;

static value slot(forward *f, value t) { return moire__scan_slot(&f->s, 0, t, f->lane); }

/* decay[i] of the chunk. */
static void note_decays(forward *f, int i, value rate) {
  scan *s = &f->s;
  value t = each(s, s->start, s->stop), decay = decay_of(s, load(s, f->dt, slot(f, t)), rate);
  store(s, f->decay, moire__scan_slot(s, i, t, f->lane), decay);
  end(s);
}

static void run_states(void *context, value n, int together) {
  forward *f = context;
  scan *s = &f->s;
  value state[MOIRE__SCAN_MOST_TOGETHER], rate[MOIRE__SCAN_MOST_TOGETHER], kept[MOIRE__SCAN_MOST_TOGETHER];
  moire__loop_var h[MOIRE__SCAN_MOST_TOGETHER];
  for (int i = 0; i < together; i++) {
    state[i] = plus(s, n, number(s, i));
    rate[i] = moire__scan_rate(s, state[i], f->d);
    kept[i] = plus(s, times(s, state[i], number(s, s->lanes)), f->lane);
    h[i] = moire__loop_declare(s->b, f->carried ? load(s, f->carried, kept[i]) : real(s, 0));
    if (f->decay) note_decays(f, i, rate[i]);
  }
  value t = each(s, s->start, s->stop), at = slot(f, t);
  value dt = load(s, f->dt, at), u = load(s, f->u, at), y = load(s, f->y, at);
  for (int i = 0; i < together; i++) {
    value into = times(s, u, moire__scan_operand(s, B, t, state[i]));
    value decay = f->decay ? load(s, f->decay, moire__scan_slot(s, i, t, f->lane)) : decay_of(s, dt, rate[i]);
    value now = fma3(s, decay, get(s, h[i]), into);
    set(s, h[i], now);
    y = fma3(s, moire__scan_operand(s, C, t, state[i]), now, y);
  }
  store(s, f->y, at, y);
  end(s);
  for (int i = 0; i < together && f->carried; i++) store(s, f->carried, kept[i], get(s, h[i]));
}

/* Channels from `low` on, of a sample. */
static void run_block(forward *f, value low) {
  scan *s = &f->s;
  moire__loop_buffer y = moire__lower_buffer(s->l, s->l->node->first_result);
  moire__scan_chunk(s, each(s, number(s, 0), number(s, s->chunks)));
  f->lane = each_lane(s, lanes_from(s, low));
  f->d = plus(s, low, f->lane);
  value t = each(s, s->start, s->stop), at = slot(f, t), dt = moire__scan_operand(s, DT, t, f->d);
  store(s, f->dt, at, dt);
  store(s, f->u, at, times(s, dt, moire__scan_operand(s, X, t, f->d)));
  store(s, f->y, at, real(s, 0));
  end(s);
  moire__scan_each_state(s, run_states, f);
  t = each(s, s->start, s->stop);
  store(s, y, moire__scan_offset(s, t, f->d, s->channels), load(s, f->y, slot(f, t)));
  end(s);
  end(s);
  end(s);
}

void moire__selective_scan_lower(moire__lowering *l) {
  moire__lower_add_reads_of(l, l->node);
  moire__lower_add_write(l, l->node->first_result);
  bool apart = moire__scan_decays_apart(l);
  forward f = {
      .s = moire__scan_describe(l, apart ? REGISTERS_APART : REGISTERS, apart ? TOGETHER_APART : TOGETHER)};
  scan *s = &f.s;
  moire_dim count = 0;
  moire__dim_multiply(s->batch, s->blocks, &count);
  moire__loop_buffer *const rows[] = {&f.dt, &f.u, &f.y};
  static const char *const names[] = {"dt", "u", "y"};
  for (int i = 0; i < 3; i++)
    *rows[i] = moire__loop_add_local(l->kernel, names[i], MOIRE__LOOP_F32, s->rows * s->lanes);
  if (apart)
    f.decay = moire__loop_add_local(l->kernel, "decay", MOIRE__LOOP_F32, s->together * s->rows * s->lanes);
  if (s->chunks > 1)
    f.carried = moire__loop_add_local(l->kernel, "state", MOIRE__LOOP_F32, s->states * s->lanes);
  moire__lower_body(l, count, 1);
  value piece = l->kernel->parallel, per_sample = number(s, s->blocks);
  s->sample = moire__loop_binary(s->b, MOIRE__LOOP_div, piece, per_sample);
  value block = moire__loop_binary(s->b, MOIRE__LOOP_mod, piece, per_sample);
  if (f.carried) moire__scan_clear(s, f.carried, number(s, 0), s->states * s->lanes);
  run_block(&f, times(s, block, number(s, s->lanes)));
  moire__lower_finish(l);
}
