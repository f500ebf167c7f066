/* search_sorted: how many elements of an ascending row [n] are below each value, or not above it with attribute
 * right: the places where the values would be put in. Operands row, values of the same type.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__search_sorted_infer(moire__infer *c) {
  int64_t right;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_NUMBER));
  MOIRE__TRY(moire__infer_dtype(c, 1, 1u << c->operands[0]->dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, 1));
  MOIRE__TRY(moire__infer_int(c, "right", 0, 1, &right));
  moire_dim n = c->operands[0]->shape.dims[0];
  if (!moire__dim_is_static(n) || n < 1 || n > INT32_MAX)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the row is %s, wanted a fixed extent, 1 or more",
                      moire__operand_type(c, 0).text);
  return moire__infer_result(c, 0, MOIRE_I32, c->operands[1]->shape);
}

void moire__search_sorted_reference(moire__reference *c) {
  const moire__tensor *row = c->operands[0], *x = c->operands[1];
  bool right = moire__node_int(c->node, "right") != 0;
  for (int64_t i = 0; i < x->elements; i++) {
    int64_t low = 0, left = row->elements;
    while (left > 0) {
      int64_t half = left / 2;
      double at = row->re[low + half];
      bool below = right ? at <= x->re[i] : at < x->re[i];
      low = below ? low + half + 1 : low;
      left = below ? left - half - 1 : half;
    }
    c->results[0]->re[i] = (double)low;
  }
}

/* Values are the lanes; each halves what is left of the row, as many times as the longest search takes. */
void moire__search_sorted_lower(moire__lowering *l) {
  typedef moire__loop_value value;
  enum { BLOCK = 256 };
  const moire__node *node = l->node;
  int32_t row = node->operands[0], x = node->operands[1];
  moire__lower_add_reads_of(l, node);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  moire__loop_buffer of_row = moire__lower_buffer(l, moire__lower_view(l, row).base),
                     of_x = moire__lower_buffer(l, moire__lower_view(l, x).base);
  moire_dim count = 0, n = l->g->values[row].shape.dims[0];
  moire__shape_elements(&l->g->values[x].shape, &count);
  moire__loop_op below = moire__node_int(node, "right") ? MOIRE__LOOP_le : MOIRE__LOOP_lt;
  moire__lower_body(l, count, BLOCK);
  moire__loop_builder *b = &l->builder;
  value zero = moire__loop_index(b, 0), one = moire__loop_index(b, 1), last = moire__loop_index(b, n - 1);
  value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, BLOCK));
  value past = moire__lower_add(l, low, moire__loop_index(b, BLOCK));
  value high = moire__loop_binary(b, MOIRE__LOOP_min, past, moire__loop_extent(b, count));
  value i = moire__loop_for(b, low, high, 1, l->target.lanes), wanted = moire__loop_load(b, of_x, i);
  moire__loop_var place = moire__loop_declare(b, zero), rest = moire__loop_declare(b, moire__loop_index(b, n));
  int passes = 1;
  while (((int64_t)1 << passes) <= n) passes++;
  moire__loop_for(b, zero, moire__loop_index(b, passes), 1, 1);
  value at = moire__loop_get(b, place), left = moire__loop_get(b, rest);
  value half = moire__loop_binary(b, MOIRE__LOOP_div, left, moire__loop_index(b, 2));
  value middle = moire__lower_add(l, at, half);
  value there = moire__loop_load(b, of_row, moire__loop_binary(b, MOIRE__LOOP_min, middle, last));
  value is_below = moire__loop_binary(b, MOIRE__LOOP_and, moire__loop_binary(b, MOIRE__LOOP_lt, zero, left),
                                      moire__loop_binary(b, below, there, wanted));
  value behind =
      moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_binary(b, MOIRE__LOOP_sub, left, half), one);
  moire__loop_set(b, place,
                  moire__loop_ternary(b, MOIRE__LOOP_select, is_below, moire__lower_add(l, middle, one), at));
  moire__loop_set(b, rest, moire__loop_ternary(b, MOIRE__LOOP_select, is_below, behind, half));
  moire__loop_end(b);
  moire__loop_store(b, out, i, moire__loop_cast(b, moire__loop_get(b, place), MOIRE__LOOP_I32));
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* The row is an iota: both are whole numbers, so there are ties. */
bool moire__search_sorted_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    int64_t right;
    moire_shape row, x;
    double low, high;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, 0, S(7), S(40), -2, 9, ACCEPTED},      {GOOD, I32, 1, S(33), S(b, 17), -2, 40, ACCEPTED},
      {GOOD, I32, 0, S(64), S(3, 90), 0, 64, ACCEPTED},  {HARD, F32, 1, S(1), S(5), -1, 2, ACCEPTED},
      {HARD, I64, 1, S(2), SCALAR, 0, 2, ACCEPTED},      {HARD, F32, 0, S(5), S(0), 0, 2, ACCEPTED},
      {HARD, I32, 1, S(255), S(300), -3, 259, ACCEPTED}, {WRONG, C64, 0, S(5), S(4), 0, 2, BAD_TYPE},
      {WRONG, F32, 0, S(2, 3), S(4), 0, 2, BAD_SHAPE},   {WRONG, F32, 0, S(b), S(4), 0, 2, BAD_SHAPE},
      {WRONG, F32, 0, S(0), S(4), 0, 2, BAD_SHAPE},      {WRONG, F32, 3, S(5), S(4), 0, 2, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  s->no_gradient_check = true;
  moire_value row = s->kind == WRONG ? moire__sample_input(s, cases[i].dtype, cases[i].row, 0, 1)
                                     : moire_cast(moire_iota(s->g, cases[i].row, 0), cases[i].dtype);
  moire_value operands[] = {row,
                            moire__sample_input(s, cases[i].dtype, cases[i].x, cases[i].low, cases[i].high)};
  moire__attr right = moire__attr_make_int("right", cases[i].right);
  moire_value y = moire__sample_emit(s, MOIRE__OP_search_sorted, operands, 2, &right, 1);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
