/* argsort: where the elements of a row stand in order. y[l.., k] is the index in x[l.., :] of the k-th
 * smallest, or largest with attribute descending; attribute count, one dim, says how many of them, the first
 * ones. A fixed count of a named extent may be more than there are: the others are -1.
 *
 * Stable: of equal elements the one with the lower index comes first, in either direction. A NaN is larger than
 * everything, and equal to another one.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>
#include <stdlib.h>

moire_status moire__argsort_infer(moire__infer *c) {
  int64_t descending;
  moire_shape count, shape = c->operands[0]->shape;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_NUMBER));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_int(c, "descending", 0, 1, &descending));
  MOIRE__TRY(moire__infer_shape(c, "count", &count));
  moire_dim *last = &shape.dims[shape.rank - 1];
  bool fewer = count.rank == 1 && moire__dim_is_static(count.dims[0]) &&
               (!moire__dim_is_static(*last) || count.dims[0] <= *last);
  if (count.rank != 1 || (count.dims[0] != *last && !fewer))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "the first of %s, wanted as many as the last axis has, or fewer "
                      "of a fixed extent",
                      moire__operand_type(c, 0).text);
  *last = count.dims[0];
  return moire__infer_result(c, 0, MOIRE_I32, shape);
}

typedef struct place {
  double x;
  int64_t index;
} place;

/* -1, 0 or 1, as qsort wants it: of x alone. */
static int ascending(double a, double b) {
  if (isnan(a) || isnan(b)) return (isnan(a) != 0) - (isnan(b) != 0);
  return (a > b) - (a < b);
}

static int by_value(const void *p, const void *q) {
  const place *a = p, *b = q;
  int order = ascending(a->x, b->x);
  return order ? order : (a->index > b->index) - (a->index < b->index);
}

static int by_falling_value(const void *p, const void *q) {
  const place *a = p, *b = q;
  int order = ascending(b->x, a->x);
  return order ? order : (a->index > b->index) - (a->index < b->index);
}

void moire__argsort_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int64_t n = x->dims[x->rank - 1], count = y->dims[y->rank - 1], rows = count ? y->elements / count : 0;
  place *row = moire__arena_array(c->scratch, (size_t)n + 1, sizeof *row);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t i = 0; i < n; i++) row[i] = (place){x->re[r * n + i], i};
    qsort(row, (size_t)n, sizeof *row, moire__node_int(c->node, "descending") ? by_falling_value : by_value);
    for (int64_t k = 0; k < count; k++) y->re[r * count + k] = k < n ? (double)row[k].index : -1;
  }
}

/* Floats in [-3, 3) have no ties; integers have many. */
bool moire__argsort_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape x, count;
    int64_t descending;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(4, 17), S(17), 0, ACCEPTED}, {GOOD, F32, S(b, 3, 40), S(5), 1, ACCEPTED},
      {GOOD, I32, S(b, 33), S(33), 1, ACCEPTED}, {GOOD, F32, S(b, t), S(t), 0, ACCEPTED},
      {HARD, I32, S(3, 50), S(4), 0, ACCEPTED},  {HARD, I64, S(3, 50), S(4), 1, ACCEPTED},
      {HARD, I32, S(2, 70), S(66), 0, ACCEPTED}, {HARD, F32, S(3, 1), S(1), 0, ACCEPTED},
      {HARD, F32, S(2), S(2), 1, ACCEPTED},      {HARD, F32, S(1, 257), S(257), 1, ACCEPTED},
      {HARD, F32, S(0, 5), S(5), 0, ACCEPTED},   {HARD, F32, S(4, 0), S(0), 0, ACCEPTED},
      {HARD, F32, S(4, 5), S(0), 0, ACCEPTED},   {WRONG, C64, S(4, 5), S(5), 0, BAD_TYPE},
      {WRONG, F32, SCALAR, S(1), 0, BAD_SHAPE},  {WRONG, F32, S(4, 5), S(6), 0, BAD_SHAPE},
      {GOOD, F32, S(4, t), S(2), 1, ACCEPTED},   {HARD, I32, S(b, t), S(5), 0, ACCEPTED},
      {HARD, F32, S(2, t), S(70), 1, ACCEPTED},  {HARD, F32, S(3, b), S(3), 1, ACCEPTED},
      {WRONG, F32, S(4, 5), S(t), 1, BAD_SHAPE}, {WRONG, F32, S(4, 5), S(5), 2, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x = moire__sample_input(s, cases[i].dtype, cases[i].x, -3, 3);
  moire__attr attrs[] = {moire__attr_make_int("descending", cases[i].descending),
                         moire__attr_make_dims("count", &cases[i].count)};
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, MOIRE__OP_argsort, &x, 1, attrs, 2);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
