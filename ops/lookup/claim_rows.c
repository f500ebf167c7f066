/* claim_rows: which look-up of a step is the first of its row. See lookup.h.
 *
 * Operands since i32[N], not negative, and lists of rows; attribute padding. Result, in the place of since:
 * -1 - number of the first look-up for a row that has one, else what it was.
 */
#include "ops/lookup/lookup.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__claim_rows_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, 1));
  MOIRE__TRY(moire__infer_lookups(c, 1, c->n_operands - 1, true));
  return moire__infer_as_operand(c, 0);
}

void moire__claim_rows_reference(moire__reference *c) {
  const moire__tensor *since = c->operands[0];
  double *claimed = c->results[0]->re;
  for (int64_t r = 0; r < since->elements; r++) claimed[r] = since->re[r];
  moire__lookup_walk w = {.c = c, .first = 1, .n = c->n_operands - 1, .rows = since->elements};
  while (moire__lookup_next(&w)) {
    if (claimed[w.row] >= 0) claimed[w.row] = -1 - (double)w.number;
  }
}

bool moire__claim_rows_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape since, rows, more;
    double drawn;
    int64_t padding[2];
    int paddings;
    moire_status expected;
  } cases[] = {
      {GOOD, I32, S(40), S(b, 7), S(9), 40, {0, -1}, 2, ACCEPTED},
      {GOOD, I64, S(9), S(b), S(b, 2, 3), 9, {-1, -1}, 2, ACCEPTED},
      {HARD, I32, S(1), S(b, 5), SCALAR, 1, {-1, -1}, 2, ACCEPTED},
      {HARD, I32, S(100), S(0), S(33), 100, {-1, 3}, 2, ACCEPTED},
      {WRONG, F32, S(9), S(4), S(4), 9, {-1, -1}, 2, BAD_TYPE},
      {WRONG, I32, S(9, 9), S(4), S(4), 9, {-1, -1}, 2, BAD_SHAPE},
      {WRONG, I32, S(9), S(4), S(4), 9, {-1, -1}, 1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {moire__sample_input(s, I32, cases[i].since, 0, 5),
                            moire__sample_input(s, cases[i].dtype, cases[i].rows, 0, cases[i].drawn),
                            moire__sample_input(s, cases[i].dtype, cases[i].more, 0, cases[i].drawn)};
  moire__attr padding = moire__attr_make_ints("padding", cases[i].padding, cases[i].paddings);
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, MOIRE__OP_claim_rows, operands, 3, &padding, 1);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}

void moire__claim_rows_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  moire__lower_add_in_place(l, node->first_result, node->operands[0]);
  moire__loop_buffer since = moire__lower_buffer(l, node->operands[0]);
  moire__lower_body(l, MOIRE__LOOKUP_PIECES, 1);
  moire__lookups k = {l,   &l->builder, 1, node->n_operands - 1, l->g->values[node->operands[0]].shape.dims[0],
                      true};
  moire__loop_builder *b = k.b;
  for (int list = 0; list < k.n; list++) {
    moire__loop_value i = 0, row = moire__lookup_open(&k, list, &i);
    moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_I32, 0);
    moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_le, none, moire__loop_load(b, since, row)));
    moire__loop_store(b, since, row, moire__loop_cast(b, moire__lookup_claim(&k, list, i), MOIRE__LOOP_I32));
    moire__loop_end(b);
    moire__lookup_close(&k);
  }
  moire__lower_finish(l);
}
