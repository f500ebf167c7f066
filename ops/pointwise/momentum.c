/* momentum: one step of stochastic gradient descent with momentum for one parameter.
 *
 * Operands p, g and the moving sum b of one shape, and scalars that the runtime computes in double: s = lr, and
 * c = 1 in the first step, else 1 - dampening. Results b' and p', in the order of operations of PyTorch's SGD:
 *
 *   h = g + weight_decay p,  b' = momentum b + c h,  p' = p - s b';  nesterov: p' = p - s (h + momentum b')
 *
 * Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, with the
 * rate applied to the sum, so that a schedule changes whole steps.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__momentum_infer(moire__infer *c) {
  int64_t nesterov;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  for (int i = 1; i < 3; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  for (int i = 3; i < 5; i++) MOIRE__TRY(moire__infer_scalar(c, i, MOIRE_F32));
  MOIRE__TRY(moire__infer_not_negative(c, "momentum"));
  MOIRE__TRY(moire__infer_not_negative(c, "weight_decay"));
  MOIRE__TRY(moire__infer_int(c, "nesterov", 0, 1, &nesterov));
  for (int i = 0; i < 2; i++) moire__infer_result(c, i, MOIRE_F32, c->operands[0]->shape);
  return MOIRE_OK;
}

void moire__momentum_expand(moire__expand *c) {
  moire_value p = c->operands[0], h = c->operands[1];
  double momentum = moire__node_real(c->node, "momentum"), decay = moire__node_real(c->node, "weight_decay");
  moire_shape shape = moire_value_shape(p);
  if (decay != 0) h = moire_add(h, moire_scale(p, decay));
  moire_value factor = moire_broadcast(c->operands[4], shape);
  moire_value sum = moire_add(moire_scale(c->operands[2], momentum), moire_mul(factor, h));
  moire_value along = sum;
  if (moire__node_int(c->node, "nesterov")) along = moire_add(h, moire_scale(sum, momentum));
  c->results[0] = sum;
  c->results[1] = moire_sub(p, moire_mul(moire_broadcast(c->operands[3], shape), along));
}

void moire__momentum_reference(moire__reference *c) {
  double momentum = moire__node_real(c->node, "momentum"), decay = moire__node_real(c->node, "weight_decay");
  double s = c->operands[3]->re[0], factor = c->operands[4]->re[0];
  bool nesterov = moire__node_int(c->node, "nesterov") != 0;
  for (int64_t i = 0; i < c->operands[0]->elements; i++) {
    double p = c->operands[0]->re[i], h = c->operands[1]->re[i] + decay * p;
    double sum = momentum * c->operands[2]->re[i] + factor * h;
    c->results[0]->re[i] = sum;
    c->results[1]->re[i] = p - s * (nesterov ? h + momentum * sum : sum);
  }
}

bool moire__momentum_sample(moire__sampler *s) {
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape p, b, scalar;
    double momentum, decay;
    int nesterov;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(4, 8), S(4, 8), SCALAR, 0.9, 0, 0, ACCEPTED},
      {GOOD, F32, S(33), S(33), SCALAR, 0.9, 0.1, 0, ACCEPTED},
      {GOOD, F32, S(5, 16), S(5, 16), SCALAR, 0.5, 0.1, 1, ACCEPTED},
      {HARD, F32, SCALAR, SCALAR, SCALAR, 0, 0, 1, ACCEPTED},
      {HARD, F32, S(0, 3), S(0, 3), SCALAR, 0.9, 0, 0, ACCEPTED},
      {HARD, F32, S(1, 257), S(1, 257), SCALAR, 2, 1, 1, ACCEPTED},
      {WRONG, F32, S(4, 8), S(8, 4), SCALAR, 0.9, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(4), S(4), S(1), 0.9, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(4), S(4), SCALAR, -1, 0, 0, BAD_ARGUMENT},
      {WRONG, F32, S(4), S(4), SCALAR, 0.9, -1, 0, BAD_ARGUMENT},
      {WRONG, F32, S(4), S(4), SCALAR, 0.9, 0, 2, BAD_ARGUMENT},
      {WRONG, C64, S(4), S(4), SCALAR, 0.9, 0, 0, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {
      moire__sample_input(s, cases[i].dtype, cases[i].p, -1, 1),
      moire__sample_input(s, cases[i].dtype, cases[i].p, -1, 1),
      moire__sample_input(s, cases[i].dtype, cases[i].b, -1, 1),
      moire__sample_input(s, MOIRE_F32, cases[i].scalar, 0.001, 0.01),
      moire__sample_input(s, MOIRE_F32, cases[i].scalar, 0.1, 1),
  };
  s->no_gradient_check = true;
  moire__attr attrs[] = {
      moire__attr_make_real("momentum", cases[i].momentum),
      moire__attr_make_real("weight_decay", cases[i].decay),
      moire__attr_make_int("nesterov", cases[i].nesterov),
  };
  moire_value y = moire__sample_emit(s, MOIRE__OP_momentum, operands, 5, attrs, 3);
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, cases[i].expected);
  if (!moire_value_is_null(y)) moire_output(s->g, "y1", moire__value(s->g, y.id + 1));
  return moire__sample_finish(s, y);
}
