/* The selective scan as loop nests: what the scan and its gradient share.
 *
 * Channels are the vector lanes, a block of them at a time, and each state runs along the sequence by itself,
 * so that it stays in registers and the exponentials of a whole stretch do not wait for each other. Sequences
 * are walked in chunks of at most MOST_ROWS positions: in a chunk the states are run in turn, TOGETHER at a
 * time, and what they share is packed row by row beforehand. (In place, the rows of a block lie so far apart
 * that they would fall on the same few lines of the cache.) The decay exp(dt a) is 2^(dt a / ln 2), for which a
 * is divided once.
 *
 * The decay differs from channel to channel and from state to state, which is why a chunk is no product of
 * matrices (docs/decisions).
 */
#ifndef MOIRE_OPS_SEQUENCE_LOWER_SCAN_H
#define MOIRE_OPS_SEQUENCE_LOWER_SCAN_H

#include "compiler/ir/loop/lower.h"

enum { MOIRE__SCAN_MOST_ROWS = 64, MOIRE__SCAN_MOST_TOGETHER = 4 };
enum { MOIRE__SCAN_X, MOIRE__SCAN_DT, MOIRE__SCAN_A, MOIRE__SCAN_B, MOIRE__SCAN_C, MOIRE__SCAN_DY };

typedef moire__loop_value value;

typedef struct scan {
  moire__lowering *l;
  moire__loop_builder *b; /* after moire__lower_body */
  moire__view view[6];
  int64_t length, channels, states;
  int64_t rows, chunks;  /* of a chunk; of a sequence */
  int64_t lanes, blocks; /* of a block; of all channels */
  int together;          /* states that are run at once */
  moire_dim batch;
  value sample;
  value start, stop; /* positions of the chunk at hand */
} scan;

/* Whether decays are computed by loops of their own, a state at a time, before the states run: where registers
 * are few, they just hold the constants of one exponential, which would else be loaded anew for each. */
static inline bool moire__scan_decays_apart(const moire__lowering *l) { return moire__lower_few_registers(l); }

/* Blocks of `registers` vectors. */
scan moire__scan_describe(moire__lowering *l, int registers, int together);

/* Operand i at [sample, t, j]; a at [t = state, j = channel]. */
value moire__scan_operand(scan *s, int i, value t, value j);
/* Row-major offset of [sample, t, j], the last extent being `width`. */
value moire__scan_offset(scan *s, value t, value j, int64_t width);
/* Place of state i of those that run together at position t in an array [together, rows, lanes] of a chunk. */
value moire__scan_slot(scan *s, int i, value t, value lane);
/* a / ln 2. */
value moire__scan_rate(scan *s, value n, value d);

/* Opens loops over the states, `together` at a time, then one by one, and calls `run` in each of them with the
 * number of the first state. */
typedef void moire__scan_run(void *context, value n, int together);
void moire__scan_each_state(scan *s, moire__scan_run *run, void *context);

/* Sets start and stop. */
void moire__scan_chunk(scan *s, value chunk);
/* buffer[base .. base + elements) = 0 */
void moire__scan_clear(scan *s, moire__loop_buffer buffer, value base, int64_t elements);

static inline value number(scan *s, int64_t x) { return moire__loop_index(s->b, x); }
static inline value plus(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_add, x, y); }
static inline value minus(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_sub, x, y); }
static inline value times(scan *s, value x, value y) { return moire__loop_binary(s->b, MOIRE__LOOP_mul, x, y); }
static inline value smaller(scan *s, value x, value y) {
  return moire__loop_binary(s->b, MOIRE__LOOP_min, x, y);
}
static inline value fma3(scan *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}
static inline value real(scan *s, double x) { return moire__loop_const(s->b, MOIRE__LOOP_F32, x); }
static inline value get(scan *s, moire__loop_var var) { return moire__loop_get(s->b, var); }
static inline void set(scan *s, moire__loop_var var, value x) { moire__loop_set(s->b, var, x); }
static inline value load(scan *s, moire__loop_buffer buffer, value at) {
  return moire__loop_load(s->b, buffer, at);
}
static inline void store(scan *s, moire__loop_buffer buffer, value at, value x) {
  moire__loop_store(s->b, buffer, at, x);
}
/* Loops: serial ones over [low, high), and over [0, high) in vectors. */
static inline value each(scan *s, value low, value high) { return moire__loop_for(s->b, low, high, 1, 1); }
static inline value each_lane(scan *s, value high) {
  return moire__loop_for(s->b, number(s, 0), high, 1, (int)s->lanes);
}
static inline void end(scan *s) { moire__loop_end(s->b); }

/* Channels of a block from `low` on. */
static inline value lanes_from(scan *s, value low) {
  return smaller(s, number(s, s->lanes), minus(s, number(s, s->channels), low));
}
/* e^(dt a) */
static inline value decay_of(scan *s, value dt, value rate) {
  return moire__loop_unary(s->b, MOIRE__LOOP_exp2, times(s, dt, rate));
}

#endif
