/* The linear scans as one loop nest: channels are the vector lanes, a block of them and a sample is a piece,
 * and the state of the block runs along the sequence in registers. Each operand is read once and each result
 * written once; nothing else is stored. A coefficient that is the same at every position is read once for the
 * sequence.
 *
 * The first position is the piece's own: there the state is b, whatever a is.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"

typedef moire__loop_value value;

enum { REGISTERS = 4, MOST_PLANES = 2 };

typedef struct scan {
  moire__lowering *l;
  moire__loop_builder *b; /* after moire__lower_body */
  int planes;             /* of a, of b and of the result */
  moire__view a[MOST_PLANES], x[MOST_PLANES];
  bool reverse, conj;
  value sample, d;
  value fixed[MOST_PLANES]; /* of a, where it is fixed; else 0 */
  moire__loop_var state[MOST_PLANES];
} scan;

static value number(scan *s, int64_t x) { return moire__loop_index(s->b, x); }
static value two(scan *s, moire__loop_op op, value x, value y) { return moire__loop_binary(s->b, op, x, y); }
static value fma3(scan *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}

static value read(scan *s, const moire__view *view, value t) {
  const value at[MOIRE_MAX_RANK] = {s->sample, t, s->d};
  value address = moire__lower_address(s->l, view, at);
  return moire__loop_load(s->b, moire__lower_buffer(s->l, view->base), address);
}

static value coefficient(scan *s, int plane, value t) {
  if (s->fixed[plane]) return s->fixed[plane];
  if (s->reverse) t = two(s, MOIRE__LOOP_add, t, number(s, 1));
  value a = read(s, &s->a[plane], t);
  return plane && s->conj ? moire__loop_unary(s->b, MOIRE__LOOP_neg, a) : a;
}

/* state = a state + b */
static void step(scan *s, value t) {
  value h[MOST_PLANES], a[MOST_PLANES], b[MOST_PLANES];
  for (int i = 0; i < s->planes; i++) {
    h[i] = moire__loop_get(s->b, s->state[i]);
    a[i] = coefficient(s, i, t);
    b[i] = read(s, &s->x[i], t);
  }
  if (s->planes == 2) {
    b[0] = fma3(s, moire__loop_unary(s->b, MOIRE__LOOP_neg, a[1]), h[1], b[0]);
    b[1] = fma3(s, a[1], h[0], b[1]);
  }
  for (int i = 0; i < s->planes; i++) moire__loop_set(s->b, s->state[i], fma3(s, a[0], h[i], b[i]));
}

static void write(scan *s, value t) {
  const moire_dim *dims = s->x[0].dims;
  value row = two(s, MOIRE__LOOP_add, two(s, MOIRE__LOOP_mul, s->sample, number(s, dims[1])), t);
  value at = two(s, MOIRE__LOOP_add, two(s, MOIRE__LOOP_mul, row, number(s, dims[2])), s->d);
  for (int i = 0; i < s->planes; i++)
    moire__loop_store(s->b, moire__lower_buffer(s->l, s->l->node->first_result + i), at,
                      moire__loop_get(s->b, s->state[i]));
}

static void run_channel(scan *s) {
  int64_t length = s->x[0].dims[1];
  if (!length) return;
  value first = number(s, s->reverse ? length - 1 : 0);
  for (int i = 0; i < s->planes; i++) {
    s->state[i] = moire__loop_declare(s->b, read(s, &s->x[i], first));
    if (s->a[i].strides[1]) continue;
    value a = read(s, &s->a[i], number(s, 0));
    s->fixed[i] = i && s->conj ? moire__loop_unary(s->b, MOIRE__LOOP_neg, a) : a;
  }
  write(s, first);
  value i = moire__loop_for(s->b, number(s, 1), number(s, length), 1, 1);
  value t = s->reverse ? two(s, MOIRE__LOOP_sub, number(s, length - 1), i) : i;
  step(s, t);
  write(s, t);
  moire__loop_end(s->b);
}

static void scan_lower(moire__lowering *l, int planes) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  for (int i = 0; i < planes; i++) moire__lower_add_write(l, node->first_result + i);
  scan s = {.l = l, .b = &l->builder, .planes = planes};
  s.reverse = moire__node_int(node, "reverse") != 0;
  s.conj = moire__node_int(node, "conj") != 0;
  for (int i = 0; i < planes; i++) {
    s.a[i] = moire__lower_view(l, node->operands[i]);
    s.x[i] = moire__lower_view(l, node->operands[planes + i]);
  }
  int lanes = l->target.lanes * REGISTERS;
  int64_t channels = s.x[0].dims[2], blocks = (channels + lanes - 1) / lanes;
  moire_dim count = 0;
  moire__dim_multiply(s.x[0].dims[0], blocks, &count);
  moire__lower_body(l, count, 1);
  value piece = l->kernel->parallel, per_sample = number(&s, blocks);
  s.sample = two(&s, MOIRE__LOOP_div, piece, per_sample);
  value low = two(&s, MOIRE__LOOP_mul, two(&s, MOIRE__LOOP_mod, piece, per_sample), number(&s, lanes));
  value high = two(&s, MOIRE__LOOP_sub, number(&s, channels), low);
  value lane = moire__loop_for(s.b, number(&s, 0), two(&s, MOIRE__LOOP_min, high, number(&s, lanes)), 1, lanes);
  s.d = two(&s, MOIRE__LOOP_add, low, lane);
  run_channel(&s);
  moire__loop_end(s.b);
  moire__lower_finish(l);
}

void moire__linear_scan_lower(moire__lowering *l) { scan_lower(l, 1); }

void moire__clinear_scan_lower(moire__lowering *l) { scan_lower(l, 2); }
