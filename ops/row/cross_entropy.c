/* cross_entropy: y[b] = -log softmax(x[b])[t[b]]; operands logits x [B, C] and targets t i32[B].
 *
 * The target is picked by comparing an iota over the classes with it, so that a row is read in order by one
 * kernel. A target outside 0 .. C-1 has no meaning: the reference refuses it.
 */
#include <math.h>

#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__cross_entropy_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_REAL));
  MOIRE__TRY(moire__infer_dtype(c, 1, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_rank(c, 0, 2, 2));
  MOIRE__TRY(moire__infer_rank(c, 1, 1, 1));
  if (c->operands[0]->shape.dims[0] != c->operands[1]->shape.dims[0])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "rows differ: logits are %s, targets are %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  return moire__infer_result(c, 0, c->operands[0]->dtype, c->operands[1]->shape);
}

/* bool[B, C]: whether the class is the row's target. */
static moire_value is_target(moire_graph *g, moire_value targets, moire_shape shape) {
  moire_value column = moire_reshape(targets, MOIRE_SHAPE(shape.dims[0], 1));
  return moire_equal(moire_iota(g, shape, 1), moire_broadcast(column, shape));
}

/* dx = (softmax(x) - onehot(t)) dy */
void moire__cross_entropy_gradient(moire__gradient *c) {
  if (!c->wanted[0]) return;
  moire_value x = c->operands[0];
  moire_shape shape = moire_value_shape(x);
  moire_value hot = moire_cast(is_target(c->g, c->operands[1], shape), moire_value_dtype(x));
  moire_value dy = moire_reshape(c->result_gradients[0], MOIRE_SHAPE(shape.dims[0], 1));
  c->operand_gradients[0] = moire_mul(moire_sub(moire_softmax(x), hot), moire_broadcast(dy, shape));
}

/* z = x - max; y = log sum exp(z) - z[t] */
void moire__cross_entropy_expand(moire__expand *c) {
  moire_value x = c->operands[0];
  moire_shape shape = moire_value_shape(x);
  moire_value z = moire_sub(x, moire_broadcast(moire_max(x, 1, true), shape));
  moire_value zero = moire_constant(c->g, moire_value_dtype(x), shape, 0);
  moire_value picked = moire_sum(moire_where(is_target(c->g, c->operands[1], shape), z, zero), 1, true);
  moire_value loss = moire_sub(moire_log(moire_sum(moire_exp(z), 1, true)), picked);
  c->results[0] = moire_reshape(loss, MOIRE_SHAPE(shape.dims[0]));
}

bool moire__cross_entropy_demand(moire__demand *c) {
  for (int i = 0; i < 2; i++) moire__demand_slice(c, i, 0, c->start, c->length);
  return true;
}

void moire__cross_entropy_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *t = c->operands[1];
  for (int64_t b = 0; b < x->dims[0]; b++) {
    const double *row = x->re + b * x->dims[1];
    if (!(t->re[b] >= 0 && t->re[b] < (double)x->dims[1])) {
      moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "target %.0f of row %lld is not among the %lld classes",
                 t->re[b], (long long)b, (long long)x->dims[1]);
      return;
    }
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < x->dims[1]; i++) largest = fmax(largest, row[i]);
    for (int64_t i = 0; i < x->dims[1]; i++) sum += exp(row[i] - largest);
    c->results[0]->re[b] = log(sum) + largest - row[(int64_t)t->re[b]];
  }
}

bool moire__cross_entropy_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype target_type;
    moire_shape logits, targets;
    double low, high, classes;
    moire_status expected;
  } cases[] = {
      {GOOD, I32, S(4, 8), S(4), -2, 2, 8, ACCEPTED},
      {GOOD, I32, S(b, 50), S(b), -1, 1, 50, ACCEPTED},
      {HARD, I32, S(7, 1), S(7), -1, 1, 1, ACCEPTED},
      {HARD, I32, S(1, 257), S(1), -1, 1, 257, ACCEPTED},
      {HARD, I32, S(0, 5), S(0), -1, 1, 5, ACCEPTED},
      {HARD, I32, S(13, 17), S(13), -300, 300, 17, ACCEPTED},
      {HARD, I32, S(3, 33), S(3), 9990, 10000, 33, ACCEPTED},
      {WRONG, F32, S(4, 8), S(4), 0, 1, 8, BAD_TYPE},
      {WRONG, I32, S(4, 8), S(8), 0, 1, 8, BAD_SHAPE},
      {WRONG, I32, S(4, 8), S(b), 0, 1, 8, BAD_SHAPE},
      {WRONG, I32, S(8), S(8), 0, 1, 8, BAD_SHAPE},
      {WRONG, I32, S(4, 8), S(4, 1), 0, 1, 8, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {
      moire__sample_input(s, MOIRE_F32, cases[i].logits, cases[i].low, cases[i].high),
      moire__sample_input(s, cases[i].target_type, cases[i].targets, 0, cases[i].classes),
  };
  moire_value y = moire__sample_emit(s, MOIRE__OP_cross_entropy, operands, 2, NULL, 0);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}
