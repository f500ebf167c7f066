/* softmax and log_softmax over the last axis.
 *
 * Both subtract the row's largest element first, so no exponential overflows. Gradients are closed forms of the
 * result y, which is all that they need from the forward pass.
 */
#include <math.h>

#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

static moire_status softmax_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_REAL));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  return moire__infer_as_operand(c, 0);
}

static bool softmax_demand(moire__demand *c) {
  if (c->axis == moire_value_shape(c->operands[0]).rank - 1) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

/* x - max(x), with extents kept, as primitives. */
static moire_value softmax_shift(moire_value x) {
  return moire_sub(x, moire_broadcast(moire_max(x, -1, true), moire_value_shape(x)));
}

/* Largest element of a row, and the sum of exp(x - largest). */
static double softmax_row(const double *x, int64_t n, double *largest) {
  double sum = 0;
  *largest = -INFINITY;
  for (int64_t i = 0; i < n; i++) *largest = fmax(*largest, x[i]);
  for (int64_t i = 0; i < n; i++) sum += exp(x[i] - *largest);
  return sum;
}

static bool softmax_sample(moire__sampler *s, moire__op op) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape shape;
    double low, high;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(4, 8), -2, 2, ACCEPTED},           {GOOD, F32, S(b, 2, 5, 5), -3, 3, ACCEPTED},
      {GOOD, F32, S(b, 50), -1, 1, ACCEPTED},          {HARD, F32, S(33), -1, 1, ACCEPTED},
      {HARD, F32, S(3, 1), -1, 1, ACCEPTED},           {HARD, F32, S(3, 0), -1, 1, ACCEPTED},
      {HARD, F32, S(0, 3), -1, 1, ACCEPTED},           {HARD, F32, S(7, 17), 9990, 10000, ACCEPTED},
      {HARD, F32, S(7, 13), -10010, -10000, ACCEPTED}, {HARD, F32, S(5, 13), -300, 300, ACCEPTED},
      {WRONG, F32, SCALAR, 0, 1, BAD_SHAPE},           {WRONG, I32, S(3, 4), 0, 1, BAD_TYPE},
      {WRONG, C64, S(3, 4), 0, 1, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x = moire__sample_input(s, cases[i].dtype, cases[i].shape, cases[i].low, cases[i].high);
  moire_value y = moire__sample_emit(s, op, &x, 1, NULL, 0);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}

/* ---- softmax --------------------------------------------------------------------------------------------- */

moire_status moire__softmax_infer(moire__infer *c) { return softmax_infer(c); }

/* dx = y (dy - sum(dy y)) */
void moire__softmax_gradient(moire__gradient *c) {
  moire_value y = c->results[0], dy = c->result_gradients[0];
  moire_value dot = moire_sum(moire_mul(dy, y), -1, true);
  c->operand_gradients[0] = moire_mul(y, moire_sub(dy, moire_broadcast(dot, moire_value_shape(y))));
}

void moire__softmax_expand(moire__expand *c) {
  moire_value e = moire_exp(softmax_shift(c->operands[0]));
  c->results[0] = moire_div(e, moire_broadcast(moire_sum(e, -1, true), moire_value_shape(e)));
}

bool moire__softmax_demand(moire__demand *c) { return softmax_demand(c); }

void moire__softmax_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  int64_t n = x->dims[x->rank - 1];
  for (int64_t row = 0; row < x->elements; row += n) {
    double largest, sum = softmax_row(x->re + row, n, &largest);
    for (int64_t i = row; i < row + n; i++) c->results[0]->re[i] = exp(x->re[i] - largest) / sum;
  }
}

bool moire__softmax_sample(moire__sampler *s) { return softmax_sample(s, MOIRE__OP_softmax); }

/* ---- log_softmax ----------------------------------------------------------------------------------------- */

moire_status moire__log_softmax_infer(moire__infer *c) { return softmax_infer(c); }

/* dx = dy - exp(y) sum(dy) */
void moire__log_softmax_gradient(moire__gradient *c) {
  moire_value y = c->results[0], dy = c->result_gradients[0];
  moire_value sum = moire_broadcast(moire_sum(dy, -1, true), moire_value_shape(y));
  c->operand_gradients[0] = moire_sub(dy, moire_mul(moire_exp(y), sum));
}

void moire__log_softmax_expand(moire__expand *c) {
  moire_value z = softmax_shift(c->operands[0]);
  moire_value log_sum = moire_log(moire_sum(moire_exp(z), -1, true));
  c->results[0] = moire_sub(z, moire_broadcast(log_sum, moire_value_shape(z)));
}

bool moire__log_softmax_demand(moire__demand *c) { return softmax_demand(c); }

void moire__log_softmax_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  int64_t n = x->dims[x->rank - 1];
  for (int64_t row = 0; row < x->elements; row += n) {
    double largest, sum = softmax_row(x->re + row, n, &largest);
    for (int64_t i = row; i < row + n; i++) c->results[0]->re[i] = x->re[i] - largest - log(sum);
  }
}

bool moire__log_softmax_sample(moire__sampler *s) { return softmax_sample(s, MOIRE__OP_log_softmax); }
