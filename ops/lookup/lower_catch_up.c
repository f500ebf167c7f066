/* adam_catch_up as a loop nest. A row's moves are added up step by step, with the numbers of a step in double
 * and rounded once; its elements are the vector lanes. */
#include "ops/lookup/lookup.h"
#include "ops/parts.h"

#include <math.h>

typedef moire__loop_value value;

enum { P, M, V, SINCE, HISTORY, STEP, LISTS, BLOCK = 1024 };

typedef struct nest {
  moire__lookups k;
  moire__loop_builder *b;
  moire__loop_buffer buffers[SINCE + 1], move, root;
  int64_t width, group, columns; /* of the table; of history */
  double b1, b2, eps;
  bool decays;
} nest;

static value two(const nest *n, moire__loop_op op, value x, value y) {
  return moire__loop_binary(n->b, op, x, y);
}
static value mul(const nest *n, value x, value y) { return two(n, MOIRE__LOOP_mul, x, y); }
static value add(const nest *n, value x, value y) { return two(n, MOIRE__LOOP_add, x, y); }
static value sub(const nest *n, value x, value y) { return two(n, MOIRE__LOOP_sub, x, y); }
static value index_of(const nest *n, int64_t x) { return moire__loop_index(n->b, x); }
static value single(const nest *n, double x) { return moire__loop_const(n->b, MOIRE__LOOP_F32, x); }
static value wide(const nest *n, double x) { return moire__loop_const(n->b, MOIRE__LOOP_F64, x); }
static value rounded(const nest *n, value x) { return moire__loop_cast(n->b, x, MOIRE__LOOP_F32); }

static value past(const nest *n, value step, int column) {
  value at = mul(n, step, index_of(n, n->columns));
  return moire__lookup_load(&n->k, HISTORY,
                            add(n, at, index_of(n, n->group * MOIRE_OPTIMIZER_HISTORY_COLUMNS + column)));
}

/* e^(log at `to` - log at `from`), in double. */
static value decay_between(const nest *n, value from, value to) {
  value logs = sub(n, past(n, to, MOIRE_OPTIMIZER_HISTORY_LOG), past(n, from, MOIRE_OPTIMIZER_HISTORY_LOG));
  return moire__loop_unary(n->b, MOIRE__LOOP_exp, logs);
}

static value place(const nest *n, value row, value column) {
  return moire__lookup_place(&n->k, row, n->width, column);
}

/* move[j] of steps [first, past_last); returns b1 to the power of how many they are, in double. */
static value add_moves(const nest *n, value row, value first, value past_last) {
  moire__loop_builder *b = n->b;
  value j = moire__lookup_columns(&n->k, n->width);
  moire__loop_store(b, n->move, j, single(n, 0));
  value v = moire__loop_load(b, n->buffers[V], place(n, row, j));
  moire__loop_store(b, n->root, j, moire__loop_unary(b, MOIRE__LOOP_sqrt, v));
  moire__loop_end(b);
  moire__loop_var power1 = moire__loop_declare(b, wide(n, 1)), power2 = moire__loop_declare(b, wide(n, 1));
  value step = moire__loop_for(b, first, past_last, 1, 1);
  value of_m = mul(n, moire__loop_get(b, power1), wide(n, n->b1));
  value of_root = mul(n, moire__loop_get(b, power2), wide(n, sqrt(n->b2)));
  moire__loop_set(b, power1, of_m);
  moire__loop_set(b, power2, of_root);
  value rate = rounded(n, mul(n, past(n, step, MOIRE_OPTIMIZER_HISTORY_RATE), of_m));
  value scale = rounded(n, mul(n, past(n, step, MOIRE_OPTIMIZER_HISTORY_INVERSE), of_root));
  value decay = n->decays ? rounded(n, past(n, step, MOIRE_OPTIMIZER_HISTORY_DECAY)) : 0;
  j = moire__lookup_columns(&n->k, n->width);
  value below = add(n, mul(n, moire__loop_load(b, n->root, j), scale), single(n, n->eps));
  value above = mul(n, rate, moire__loop_load(b, n->buffers[M], place(n, row, j)));
  value move = moire__loop_load(b, n->move, j);
  if (n->decays) move = mul(n, move, decay);
  moire__loop_store(b, n->move, j, add(n, move, two(n, MOIRE__LOOP_div, above, below)));
  moire__loop_end(b);
  moire__loop_end(b);
  return moire__loop_get(b, power1);
}

/* From step `since` on, which is past; `moved` in i64: steps that have moves. */
static void catch_up_moved(const nest *n, value row, value since, value now, value moved) {
  moire__loop_builder *b = n->b;
  value one = index_of(n, 1), end = add(n, since, moved);
  value power = add_moves(n, row, add(n, since, one), add(n, end, one));
  value gone = moire__loop_unary(b, MOIRE__LOOP_not, two(n, MOIRE__LOOP_eq, end, now));
  value of_m = moire__loop_ternary(b, MOIRE__LOOP_select, gone, single(n, 0), rounded(n, power));
  value missed = moire__loop_cast(b, sub(n, now, since), MOIRE__LOOP_F64);
  value of_v = rounded(n, moire__loop_unary(b, MOIRE__LOOP_exp, mul(n, missed, wide(n, log(n->b2)))));
  value all = n->decays ? rounded(n, decay_between(n, since, now)) : 0;
  value later = n->decays ? rounded(n, decay_between(n, end, now)) : 0;
  value j = moire__lookup_columns(&n->k, n->width), at = place(n, row, j);
  value p = moire__loop_load(b, n->buffers[P], at), move = moire__loop_load(b, n->move, j);
  if (n->decays) p = mul(n, p, all), move = mul(n, move, later);
  moire__loop_store(b, n->buffers[P], at, sub(n, p, move));
  moire__loop_store(b, n->buffers[M], at, mul(n, moire__loop_load(b, n->buffers[M], at), of_m));
  moire__loop_store(b, n->buffers[V], at, mul(n, moire__loop_load(b, n->buffers[V], at), of_v));
  moire__loop_end(b);
}

/* A row without moments. */
static void catch_up_still(const nest *n, value row, value since, value now) {
  moire__loop_builder *b = n->b;
  if (!n->decays) return;
  value all = rounded(n, decay_between(n, since, now)), j = moire__lookup_columns(&n->k, n->width);
  value at = place(n, row, j);
  moire__loop_store(b, n->buffers[P], at, mul(n, moire__loop_load(b, n->buffers[P], at), all));
  moire__loop_end(b);
}

/* The largest magnitude of a row. */
static value largest(const nest *n, moire__loop_buffer buffer, value row) {
  moire__loop_builder *b = n->b;
  moire__loop_var most = moire__loop_declare(b, single(n, 0));
  value j = moire__lookup_columns(&n->k, n->width), x = moire__loop_load(b, buffer, place(n, row, j));
  moire__loop_reduce(b, most, MOIRE__LOOP_max, moire__loop_unary(b, MOIRE__LOOP_abs, x));
  moire__loop_end(b);
  return moire__loop_get(b, most);
}

static void catch_up_row(const nest *n, value row) {
  moire__loop_builder *b = n->b;
  value since = moire__loop_cast(b, moire__loop_load(b, n->buffers[SINCE], row), MOIRE__LOOP_I64);
  value step = moire__lookup_load(&n->k, STEP, index_of(n, 0));
  value now = moire__loop_cast(b, step, MOIRE__LOOP_I64);
  moire__loop_if(b, two(n, MOIRE__LOOP_lt, since, now));
  value zero = single(n, 0), m = largest(n, n->buffers[M], row), v = largest(n, n->buffers[V], row);
  value has_moments = two(n, MOIRE__LOOP_or, two(n, MOIRE__LOOP_lt, zero, m), two(n, MOIRE__LOOP_lt, zero, v));
  moire__loop_if(b, has_moments);
  value lasts = index_of(n, moire__moment_lasts(n->b1, n->b2)), missed = sub(n, now, since);
  value moves = two(n, MOIRE__LOOP_lt, zero, m), most = two(n, MOIRE__LOOP_min, missed, lasts);
  value moved = moire__loop_ternary(b, MOIRE__LOOP_select, moves, most, index_of(n, 0));
  catch_up_moved(n, row, since, now, moved);
  moire__loop_end(b);
  moire__loop_if(b, moire__loop_unary(b, MOIRE__LOOP_not, has_moments));
  catch_up_still(n, row, since, now);
  moire__loop_end(b);
  moire__loop_store(b, n->buffers[SINCE], row, step);
  moire__loop_end(b);
}

static void catch_up_all(const nest *n) {
  moire__loop_builder *b = n->b;
  value low = mul(n, n->k.l->kernel->parallel, index_of(n, BLOCK)), past_last = add(n, low, index_of(n, BLOCK));
  value high = two(n, MOIRE__LOOP_min, past_last, moire__loop_extent(b, n->k.rows));
  catch_up_row(n, moire__loop_for(b, low, high, 1, 1));
  moire__loop_end(b);
}

void moire__adam_catch_up_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  const moire_shape *table = &l->g->values[node->operands[P]].shape;
  nest n = {.b = &l->builder,
            .width = moire__dim_factor(table->dims[1]),
            .group = moire__node_int(node, "group"),
            .columns = moire__dim_factor(l->g->values[node->operands[HISTORY]].shape.dims[1]),
            .b1 = moire__node_real(node, "b1"),
            .b2 = moire__node_real(node, "b2"),
            .eps = moire__node_real(node, "eps"),
            .decays = moire__node_int(node, "decays") != 0};
  n.k = (moire__lookups){l, &l->builder, LISTS, node->n_operands - LISTS, table->dims[0], false};
  moire__lower_add_reads_of(l, node);
  for (int i = P; i <= SINCE; i++) {
    moire__lower_add_in_place(l, node->first_result + i, node->operands[i]);
    n.buffers[i] = moire__lower_buffer(l, node->operands[i]);
  }
  n.move = moire__loop_add_local(l->kernel, "move", MOIRE__LOOP_F32, n.width);
  n.root = moire__loop_add_local(l->kernel, "root", MOIRE__LOOP_F32, n.width);
  moire__lower_body(l, n.k.n ? MOIRE__LOOKUP_PIECES : table->dims[0], n.k.n ? 1 : BLOCK);
  if (!n.k.n) catch_up_all(&n);
  for (int list = 0; list < n.k.n; list++) {
    value i = 0, row = moire__lookup_open(&n.k, list, &i);
    catch_up_row(&n, row);
    moire__lookup_close(&n.k);
  }
  moire__lower_finish(l);
}
