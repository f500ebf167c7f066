/* sum_lookups: what the look-ups of a row give, added up in the place of the first. See lookup.h.
 *
 * Operands claimed i32[N] of claim_rows, its n lists of rows, and for each list f32 values u, a row of them for
 * each look-up; attributes padding, and `of`: whose places the result has, as its u. In the place of a look-up
 * that is the first of its row is the sum of all look-ups of the row, in the order of their numbers; else
 * zeros.
 */
#include "ops/lookup/lookup.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__sum_lookups_infer(moire__infer *c) {
  int n = (c->n_operands - 1) / 2;
  int64_t of = 0;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, 1));
  if (c->n_operands != 1 + 2 * n)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "wanted as many values as lists of rows");
  MOIRE__TRY(moire__infer_lookups(c, 1, n, true));
  MOIRE__TRY(moire__infer_int(c, "of", 0, n - 1, &of));
  const moire_shape *u = &c->operands[1 + n]->shape;
  moire_dim width = u->rank ? u->dims[u->rank - 1] : 1;
  if (!moire__dim_is_static(width))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "rows of fixed size are wanted, but u is %s",
                      moire__operand_type(c, 1 + n).text);
  for (int i = 0; i < n; i++) MOIRE__TRY(moire__infer_looked_up(c, 1 + i, 1 + n + i, width));
  return moire__infer_as_operand(c, 1 + n + (int)of);
}

void moire__sum_lookups_reference(moire__reference *c) {
  const moire__tensor *claimed = c->operands[0];
  int n = (c->n_operands - 1) / 2, of = (int)moire__node_int(c->node, "of");
  moire__tensor *y = c->results[0];
  int64_t width = y->dims[y->rank - 1], first = 0, count = width ? y->elements / width : 0;
  for (int i = 0; i < of; i++) first += c->operands[1 + i]->elements;
  moire__lookup_walk w = {.c = c, .first = 1, .n = n, .rows = claimed->elements};
  while (moire__lookup_next(&w)) {
    int64_t to = -1 - (int64_t)claimed->re[w.row] - first;
    if (to < 0 || to >= count) continue;
    for (int64_t j = 0; j < width; j++)
      y->re[to * width + j] += c->operands[1 + n + w.list]->re[w.index * width + j];
  }
}

bool moire__sum_lookups_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype; /* of u */
    moire_shape rows, more, u, more_u;
    moire_dim table;
    int64_t padding[2], of;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(b, 7), S(9), S(b, 7, 16), S(9, 16), 20, {0, -1}, 0, ACCEPTED},
      {GOOD, F32, S(b, 7), S(9), S(b, 7, 16), S(9, 16), 20, {0, -1}, 1, ACCEPTED},
      {HARD, F32, S(33), S(b), S(33, 3), S(b, 3), 2, {-1, -1}, 0, ACCEPTED},
      {HARD, F32, S(33), S(b), S(33, 1), S(b, 1), 70, {-1, 5}, 1, ACCEPTED},
      {HARD, F32, SCALAR, S(0), S(67), S(0, 67), 1, {-1, -1}, 0, ACCEPTED},
      {HARD, F32, S(40), S(0), S(40, 33), S(0, 33), 4, {3, -1}, 0, ACCEPTED},
      {WRONG, I32, S(9), S(4), S(9, 4), S(4, 4), 9, {-1, -1}, 0, BAD_TYPE},
      {WRONG, F32, S(9), S(4), S(9, 4), S(4, 5), 9, {-1, -1}, 0, BAD_SHAPE},
      {WRONG, F32, S(9), S(4), S(8, 4), S(4, 4), 9, {-1, -1}, 0, BAD_SHAPE},
      {WRONG, F32, S(9), S(4), S(9, 4), S(4, 4), 9, {-1, -1}, 2, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value rows = moire__sample_input(s, I32, cases[i].rows, 0, (double)cases[i].table);
  moire_value more = moire__sample_input(s, I32, cases[i].more, 0, (double)cases[i].table);
  moire_value since = moire__sample_input(s, I32, S(cases[i].table), 0, 5);
  moire__attr attrs[] = {moire__attr_make_ints("padding", cases[i].padding, 2),
                         moire__attr_make_int("of", cases[i].of)};
  moire_value claimed =
      moire__sample_emit(s, MOIRE__OP_claim_rows, (moire_value[]){since, rows, more}, 3, attrs, 1);
  moire_value operands[] = {claimed, rows, more, moire__sample_input(s, cases[i].dtype, cases[i].u, -1, 1),
                            moire__sample_input(s, cases[i].dtype, cases[i].more_u, -1, 1)};
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, MOIRE__OP_sum_lookups, operands, 5, attrs, 2);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}

/* ---- lowering ----------------------------------------------------------------------------------------------
 */

/* Zeros for all look-ups of the list that are this piece's, also those that do not count. */
static void clear(const moire__lookups *k, int list, moire__loop_buffer out, int64_t width) {
  moire__loop_builder *b = k->b;
  moire__loop_value all = moire__loop_extent(b, moire__lookup_count(k, list));
  moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), all, 1, 1);
  moire__loop_value row = moire__loop_cast(b, moire__lookup_load(k, k->first + list, i), MOIRE__LOOP_I64);
  moire__loop_value last = moire__loop_index(b, MOIRE__LOOKUP_PIECES - 1);
  moire__loop_value piece = moire__loop_binary(b, MOIRE__LOOP_and, row, last);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_eq, piece, k->l->kernel->parallel));
  moire__loop_value j = moire__lookup_columns(k, width);
  moire__loop_store(b, out, moire__lookup_place(k, i, width, j), moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
  moire__lookup_close(k);
}

void moire__sum_lookups_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  moire__lower_body(l, MOIRE__LOOKUP_PIECES, 1);
  int n = (node->n_operands - 1) / 2, of = (int)moire__node_int(node, "of");
  const moire_shape *shape = &l->g->values[node->first_result].shape;
  int64_t width = moire__dim_factor(shape->dims[shape->rank - 1]);
  moire__lookups k = {l, &l->builder, 1, n, l->g->values[node->operands[0]].shape.dims[0], true};
  moire__loop_builder *b = k.b;
  clear(&k, of, out, width);
  for (int list = 0; list < n; list++) {
    moire__loop_value i = 0, row = moire__lookup_open(&k, list, &i);
    moire__loop_value claim = moire__loop_cast(b, moire__lookup_load(&k, 0, row), MOIRE__LOOP_I64);
    moire__loop_value number = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_index(b, -1), claim);
    moire__loop_value to = moire__loop_binary(b, MOIRE__LOOP_sub, number, moire__lookup_before(&k, of));
    moire__loop_value all = moire__loop_extent(b, moire__lookup_count(&k, of));
    moire__loop_value low = moire__loop_binary(b, MOIRE__LOOP_le, moire__loop_index(b, 0), to);
    moire__loop_value high = moire__loop_binary(b, MOIRE__LOOP_lt, to, all);
    moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_and, low, high));
    moire__loop_value j = moire__lookup_columns(&k, width), at = moire__lookup_place(&k, to, width, j);
    moire__loop_value u = moire__lookup_load(&k, 1 + n + list, moire__lookup_place(&k, i, width, j));
    moire__loop_value sum = moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_load(b, out, at), u);
    moire__loop_store(b, out, at, sum);
    moire__loop_end(b);
    moire__loop_end(b);
    moire__lookup_close(&k);
  }
  moire__lower_finish(l);
}
