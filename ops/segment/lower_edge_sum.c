/* edge_sum and edge_dot as loop nests. Features are the vector lanes.
 *
 * A row of edge_sum's result is summed up in registers over the edges that arrive, block of features by block,
 * up to four heads at once, so that a row of x that all heads see is loaded once for them, and each result is
 * written once. A piece of edge_dot is a block of edges.
 */
#include "ops/parts.h"
#include "ops/segment/edges.h"

typedef moire__loop_value value;

enum { REGISTERS = 4, TARGETS = 8, EDGES = 64 };

typedef struct sums {
  moire__edge_loops k;
  int64_t heads, x_heads, y_heads, width;
  moire_dim n; /* rows of x */
  moire__loop_buffer out;
  value target, c;
} sums;

static value fma3(const moire__edge_loops *k, value x, value y, value z) {
  return moire__loop_ternary(k->b, MOIRE__LOOP_fma, x, y, z);
}

/* The heads first .. first + n - 1, each into a sum of its own. */
static void sum_heads(const sums *s, int64_t first, int n) {
  const moire__edge_loops *k = &s->k;
  moire__loop_var sum[MOIRE__HEADS_AT_ONCE];
  for (int i = 0; i < n; i++) sum[i] = moire__loop_declare(k->b, moire__loop_const(k->b, MOIRE__LOOP_F32, 0));
  value e = moire__edge_loop(k, 3, s->target), row = moire__edge_row(k, 2, e);
  moire__loop_if(k->b, moire__edge_inside(k, row, s->n));
  for (int i = 0; i < n; i++) {
    value head = moire__edge_index(k, first + i), from = s->x_heads == 1 ? moire__edge_index(k, 0) : head;
    value x = moire__edge_load(k, 1, row, from, s->c), w = moire__edge_load(k, 0, e, head, 0);
    moire__loop_set(k->b, sum[i], fma3(k, w, x, moire__loop_get(k->b, sum[i])));
  }
  moire__loop_end(k->b);
  moire__loop_end(k->b);
  for (int i = 0; i < n; i++) {
    value at = moire__lower_mul(k->l, s->target, moire__edge_index(k, s->y_heads));
    at = moire__lower_mul(k->l, moire__lower_add(k->l, at, moire__edge_index(k, first + i)),
                          moire__edge_index(k, s->width));
    moire__loop_store(k->b, s->out, moire__lower_add(k->l, at, s->c), moire__loop_get(k->b, sum[i]));
  }
}

/* All heads into one sum. */
static void sum_over_heads(const sums *s) {
  const moire__edge_loops *k = &s->k;
  moire__loop_var sum = moire__loop_declare(k->b, moire__loop_const(k->b, MOIRE__LOOP_F32, 0));
  value e = moire__edge_loop(k, 3, s->target), row = moire__edge_row(k, 2, e);
  moire__loop_if(k->b, moire__edge_inside(k, row, s->n));
  value head = moire__loop_for(k->b, moire__edge_index(k, 0), moire__edge_index(k, s->heads), 1, 1);
  value x = moire__edge_load(k, 1, row, s->x_heads == 1 ? moire__edge_index(k, 0) : head, s->c);
  moire__loop_set(k->b, sum, fma3(k, moire__edge_load(k, 0, e, head, 0), x, moire__loop_get(k->b, sum)));
  moire__loop_end(k->b);
  moire__loop_end(k->b);
  moire__loop_end(k->b);
  value at = moire__lower_mul(k->l, s->target, moire__edge_index(k, s->width));
  moire__loop_store(k->b, s->out, moire__lower_add(k->l, at, s->c), moire__loop_get(k->b, sum));
}

/* Opens the loop over the features from `low` on, as many as registers hold. */
static value open_features(const moire__edge_loops *k, int64_t width, int lanes) {
  value low = moire__loop_for(k->b, moire__edge_index(k, 0), moire__edge_index(k, width), lanes, 1);
  value left = moire__edge_binary(k, MOIRE__LOOP_sub, moire__edge_index(k, width), low);
  value most = moire__edge_binary(k, MOIRE__LOOP_min, left, moire__edge_index(k, lanes));
  value lane = moire__loop_for(k->b, moire__edge_index(k, 0), most, 1, lanes);
  return moire__lower_add(k->l, low, lane);
}

void moire__edge_sum_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  for (int i = 0; i < 6; i++) moire__lower_add_reads(l, node->operands[i]);
  const moire_shape *x = &l->g->values[node->operands[1]].shape, *y = &l->g->values[node->first_result].shape;
  sums s = {.k = {l, &l->builder}, .x_heads = x->dims[1], .y_heads = y->dims[1], .width = x->dims[2]};
  s.out = moire__lower_add_write(l, node->first_result);
  s.heads = l->g->values[node->operands[0]].shape.dims[1];
  s.n = x->dims[0];
  int64_t block = moire__lower_block(l, TARGETS);
  int lanes = l->target.lanes * REGISTERS;
  moire__lower_body(l, y->dims[0], block);
  s.target = moire__edge_rows_of_piece(&s.k, y->dims[0], block);
  s.c = open_features(&s.k, s.width, lanes);
  if (s.y_heads < s.heads) {
    sum_over_heads(&s);
  } else {
    for (int64_t first = 0; first < s.heads; first += MOIRE__HEADS_AT_ONCE) {
      int64_t left = s.heads - first;
      sum_heads(&s, first, (int)(left < MOIRE__HEADS_AT_ONCE ? left : MOIRE__HEADS_AT_ONCE));
    }
  }
  for (int i = 0; i < 3; i++) moire__loop_end(s.k.b);
  moire__lower_finish(l);
}

/* The heads first .. first + n - 1 of an edge; a row of x or y that all heads see is loaded once for them. */
static void dot_heads(const sums *s, value e, value from, value to, value inside, int64_t first, int n) {
  const moire__edge_loops *k = &s->k;
  moire__loop_var sum[MOIRE__HEADS_AT_ONCE];
  value zero = moire__edge_index(k, 0);
  for (int i = 0; i < n; i++) sum[i] = moire__loop_declare(k->b, moire__loop_const(k->b, MOIRE__LOOP_F32, 0));
  moire__loop_if(k->b, inside);
  value c = moire__loop_for(k->b, zero, moire__edge_index(k, s->width), 1, k->l->target.lanes * REGISTERS);
  for (int i = 0; i < n; i++) {
    value head = moire__edge_index(k, first + i);
    value p = moire__edge_load(k, 0, from, s->x_heads == 1 ? zero : head, c);
    value q = moire__edge_load(k, 1, to, s->y_heads == 1 ? zero : head, c);
    moire__loop_reduce(k->b, sum[i], MOIRE__LOOP_add, moire__lower_mul(k->l, p, q));
  }
  moire__loop_end(k->b);
  moire__loop_end(k->b);
  for (int i = 0; i < n; i++) {
    value at = moire__lower_mul(k->l, e, moire__edge_index(k, s->heads));
    moire__loop_store(k->b, s->out, moire__lower_add(k->l, at, moire__edge_index(k, first + i)),
                      moire__loop_get(k->b, sum[i]));
  }
}

void moire__edge_dot_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  const moire_shape *x = &l->g->values[node->operands[0]].shape, *y = &l->g->values[node->operands[1]].shape;
  const moire_shape *w = &l->g->values[node->first_result].shape;
  sums s = {.k = {l, &l->builder}, .x_heads = x->dims[1], .y_heads = y->dims[1], .width = x->dims[2]};
  s.out = moire__lower_add_write(l, node->first_result);
  s.heads = w->dims[1];
  int64_t block = moire__lower_block(l, EDGES);
  moire__lower_body(l, w->dims[0], block);
  value e = moire__edge_rows_of_piece(&s.k, w->dims[0], block);
  value from = moire__edge_row(&s.k, 2, e), to = moire__edge_row(&s.k, 3, e);
  value inside = moire__edge_binary(&s.k, MOIRE__LOOP_and, moire__edge_inside(&s.k, from, x->dims[0]),
                                    moire__edge_inside(&s.k, to, y->dims[0]));
  for (int64_t first = 0; first < s.heads; first += MOIRE__HEADS_AT_ONCE) {
    int64_t left = s.heads - first;
    dot_heads(&s, e, from, to, inside, first, (int)(left < MOIRE__HEADS_AT_ONCE ? left : MOIRE__HEADS_AT_ONCE));
  }
  moire__loop_end(s.k.b);
  moire__lower_finish(l);
}
