/* adam_rows: one step of Adam or AdamW for the rows of a table that have a gradient. See lookup.h.
 *
 * Operands p, m, v f32[N, D], claimed i32[N] of claim_rows, step i32[], the scalars s, c and d of adam, the
 * lists of rows, and for each list g, the sums of its look-ups as sum_lookups gives them. Results, in the
 * places of p, m, v and claimed: for each row that is claimed
 *
 *   p = d p;  g = g + weight_decay p
 *   m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g^2,  p' = p - s m' / (sqrt(v') / c + eps),  since' = step +
 * 1
 *
 * as ops/pointwise/adam.c has it; all others stay. step: those that the optimizer has done before.
 */
#include "ops/lookup/lookup.h"
#include "ops/parts.h"
#include "ops/pointwise/adam.h"
#include "ops/sample_row.h"
#include "ops/support.h"

enum { P, M, V, CLAIMED, STEP, RATE, INVERSE, DECAY, LISTS };

moire_status moire__adam_rows_infer(moire__infer *c) {
  int n = (c->n_operands - LISTS) / 2;
  MOIRE__TRY(moire__infer_moments(c));
  MOIRE__TRY(moire__infer_scalar(c, STEP, MOIRE_I32));
  for (int i = RATE; i < LISTS; i++) MOIRE__TRY(moire__infer_scalar(c, i, MOIRE_F32));
  if (c->n_operands != LISTS + 2 * n)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "wanted as many gradients as lists of rows");
  MOIRE__TRY(moire__infer_lookups(c, LISTS, n, true));
  for (int i = 0; i < n; i++)
    MOIRE__TRY(moire__infer_looked_up(c, LISTS + i, LISTS + n + i, c->operands[P]->shape.dims[1]));
  MOIRE__TRY(moire__infer_adam_numbers(c));
  for (int i = P; i <= CLAIMED; i++) moire__infer_result(c, i, c->operands[i]->dtype, c->operands[i]->shape);
  return MOIRE_OK;
}

static void step_row(moire__reference *c, int64_t row, const double *gradient) {
  moire__adam_numbers numbers = moire__adam_numbers_of(c, RATE, INVERSE, DECAY);
  int64_t width = c->results[P]->dims[1];
  for (int64_t j = row * width; j < (row + 1) * width; j++)
    moire__adam_element(&numbers, *gradient++, &c->results[P]->re[j], &c->results[M]->re[j],
                        &c->results[V]->re[j]);
}

void moire__adam_rows_reference(moire__reference *c) {
  int n = (c->n_operands - LISTS) / 2;
  for (int r = P; r <= CLAIMED; r++) {
    for (int64_t i = 0; i < c->results[r]->elements; i++) c->results[r]->re[i] = c->operands[r]->re[i];
  }
  moire__lookup_walk w = {.c = c, .first = LISTS, .n = n, .rows = c->results[CLAIMED]->elements};
  int64_t width = c->results[P]->dims[1];
  while (moire__lookup_next(&w)) {
    if (c->operands[CLAIMED]->re[w.row] != -1 - (double)w.number) continue;
    step_row(c, w.row, c->operands[LISTS + n + w.list]->re + w.index * width);
    c->results[CLAIMED]->re[w.row] = c->operands[STEP]->re[0] + 1;
  }
}

bool moire__adam_rows_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape table, moments, rows, more, g, more_g;
    int64_t padding[2];
    double b1, eps, decay;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(20, 16), S(20, 16), S(b, 7), S(9), S(b, 7, 16), S(9, 16), {0, -1}, 0.9, 1e-8, 0, ACCEPTED},
      {GOOD, F32, S(50, 33), S(50, 33), S(b), S(4), S(b, 33), S(4, 33), {-1, -1}, 0.9, 1e-8, 0.1, ACCEPTED},
      {HARD, F32, S(1, 3), S(1, 3), S(40), SCALAR, S(40, 3), S(3), {-1, -1}, 0, 1e-8, 0, ACCEPTED},
      {HARD, F32, S(70, 1), S(70, 1), S(0), S(b), S(0, 1), S(b, 1), {-1, 2}, 0.99, 1, 1, ACCEPTED},
      {WRONG, C64, S(9, 4), S(9, 4), S(4), S(4), S(4, 4), S(4, 4), {-1, -1}, 0.9, 0, 0, BAD_TYPE},
      {WRONG, F32, S(9, 4), S(4, 9), S(4), S(4), S(4, 4), S(4, 4), {-1, -1}, 0.9, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(9, 4), S(9, 4), S(4), S(4), S(4, 3), S(4, 4), {-1, -1}, 0.9, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(9, 4), S(9, 4), S(4), S(4), S(4, 4), S(4, 4), {-1, -1}, 1, 0, 0, BAD_ARGUMENT},
      {WRONG, F32, S(9, 4), S(9, 4), S(4), S(4), S(4, 4), S(4, 4), {-1, -1}, 0.9, -1, 0, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  double rows = (double)cases[i].table.dims[0];
  moire_value lists[] = {moire__sample_input(s, I32, cases[i].rows, 0, rows),
                         moire__sample_input(s, I32, cases[i].more, 0, rows)};
  moire_value since = moire__sample_input(s, I32, S(cases[i].table.dims[0]), 0, 5);
  moire__attr attrs[] = {moire__attr_make_ints("padding", cases[i].padding, 2),
                         moire__attr_make_real("b1", cases[i].b1), moire__attr_make_real("b2", 0.999),
                         moire__attr_make_real("eps", cases[i].eps),
                         moire__attr_make_real("weight_decay", cases[i].decay)};
  moire_value claimed =
      moire__sample_emit(s, MOIRE__OP_claim_rows, (moire_value[]){since, lists[0], lists[1]}, 3, attrs, 1);
  moire_value operands[] = {moire__sample_input(s, cases[i].dtype, cases[i].table, -1, 1),
                            moire__sample_input(s, cases[i].dtype, cases[i].moments, -1, 1),
                            moire__sample_input(s, cases[i].dtype, cases[i].table, 0.01, 1),
                            claimed,
                            moire__sample_input(s, I32, SCALAR, 5, 9),
                            moire__sample_input(s, F32, SCALAR, 0.001, 0.01),
                            moire__sample_input(s, F32, SCALAR, 0.1, 1),
                            moire__sample_input(s, F32, SCALAR, 0.5, 1),
                            lists[0],
                            lists[1],
                            moire__sample_input(s, F32, cases[i].g, -1, 1),
                            moire__sample_input(s, F32, cases[i].more_g, -1, 1)};
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, MOIRE__OP_adam_rows, operands, 12, attrs, 5);
  if (s->kind == WRONG) return moire__sample_refuse(s, cases[i].expected);
  for (int r = 1; r < 4 && !moire_value_is_null(y); r++) {
    static const char *const names[] = {"", "y1", "y2", "y3"};
    moire_output(s->g, names[r], moire__value(s->g, y.id + r));
  }
  return moire__sample_finish(s, y);
}

/* ---- lowering ----------------------------------------------------------------------------------------------
 */

static moire__loop_value number(moire__loop_builder *b, double x) {
  return moire__loop_const(b, MOIRE__LOOP_F32, x);
}

/* The step of one element. */
static void lower_element(const moire__lookups *k, const moire__loop_buffer *buffers, moire__loop_value at,
                          moire__loop_value g) {
  moire__loop_builder *b = k->b;
  const moire__node *node = k->l->node;
  double b1 = moire__node_real(node, "b1"), b2 = moire__node_real(node, "b2");
  double decay = moire__node_real(node, "weight_decay");
  moire__loop_value zero = moire__loop_index(b, 0), s = moire__lookup_load(k, RATE, zero);
  moire__loop_value c = moire__lookup_load(k, INVERSE, zero), d = moire__lookup_load(k, DECAY, zero);
  moire__loop_value p = moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, buffers[P], at), d);
  if (decay > 0)
    g = moire__loop_binary(b, MOIRE__LOOP_add, g, moire__loop_binary(b, MOIRE__LOOP_mul, p, number(b, decay)));
  moire__loop_value m =
      moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, buffers[M], at), number(b, b1));
  m = moire__loop_binary(b, MOIRE__LOOP_add, m, moire__loop_binary(b, MOIRE__LOOP_mul, g, number(b, 1 - b1)));
  moire__loop_value square = moire__loop_binary(b, MOIRE__LOOP_mul, g, number(b, 1 - b2));
  square = moire__loop_binary(b, MOIRE__LOOP_mul, square, g);
  moire__loop_value v =
      moire__loop_binary(b, MOIRE__LOOP_mul, moire__loop_load(b, buffers[V], at), number(b, b2));
  v = moire__loop_binary(b, MOIRE__LOOP_add, v, square);
  moire__loop_value root = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_unary(b, MOIRE__LOOP_sqrt, v), c);
  root = moire__loop_binary(b, MOIRE__LOOP_add, root, number(b, moire__node_real(node, "eps")));
  moire__loop_value move = moire__loop_binary(b, MOIRE__LOOP_mul, s, m);
  move = moire__loop_binary(b, MOIRE__LOOP_div, move, root);
  moire__loop_store(b, buffers[P], at, moire__loop_binary(b, MOIRE__LOOP_sub, p, move));
  moire__loop_store(b, buffers[M], at, m);
  moire__loop_store(b, buffers[V], at, v);
}

void moire__adam_rows_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__loop_buffer buffers[CLAIMED + 1];
  moire__lower_add_reads_of(l, node);
  for (int i = P; i <= CLAIMED; i++) {
    moire__lower_add_in_place(l, node->first_result + i, node->operands[i]);
    buffers[i] = moire__lower_buffer(l, node->operands[i]);
  }
  moire__lower_body(l, MOIRE__LOOKUP_PIECES, 1);
  const moire_shape *table = &l->g->values[node->operands[P]].shape;
  int n = (node->n_operands - LISTS) / 2;
  int64_t width = moire__dim_factor(table->dims[1]);
  moire__lookups k = {l, &l->builder, LISTS, n, table->dims[0], true};
  moire__loop_builder *b = k.b;
  for (int list = 0; list < n; list++) {
    moire__loop_value i = 0, row = moire__lookup_open(&k, list, &i);
    moire__loop_value claim = moire__loop_cast(b, moire__loop_load(b, buffers[CLAIMED], row), MOIRE__LOOP_I64);
    moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_eq, claim, moire__lookup_claim(&k, list, i)));
    moire__loop_value j = moire__lookup_columns(&k, width);
    moire__loop_value g = moire__lookup_load(&k, LISTS + n + list, moire__lookup_place(&k, i, width, j));
    lower_element(&k, buffers, moire__lookup_place(&k, row, width, j), g);
    moire__loop_end(b);
    moire__loop_value step = moire__lookup_load(&k, STEP, moire__loop_index(b, 0));
    moire__loop_value done = moire__lower_add(l, step, moire__loop_const(b, MOIRE__LOOP_I32, 1));
    moire__loop_store(b, buffers[CLAIMED], row, done);
    moire__loop_end(b);
    moire__lookup_close(&k);
  }
  moire__lower_finish(l);
}
