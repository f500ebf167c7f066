/* adam: one step of Adam or AdamW for one parameter.
 *
 * Operands p, g, m, v of one shape, and scalars that the runtime computes in double: s = lr / (1 - b1^t),
 * c = sqrt(1 - b2^t), and for decoupled decay d = 1 - lr weight_decay. Results, in the order of operations of
 * PyTorch's single-tensor Adam:
 *
 *   p = d p, where there is d;  g = g + weight_decay p
 *   m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g^2,  p' = p - s m' / (sqrt(v') / c + eps)
 *
 * Source: Kingma and Ba, "Adam", 2015; Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

moire_status moire__adam_infer(moire__infer *c) {
  static const char *const factors[] = {"b1", "b2"}, *const positive[] = {"eps", "weight_decay"};
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  for (int i = 1; i < 4; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  for (int i = 4; i < c->n_operands; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 0, 0));
  }
  for (int i = 0; i < 2; i++) {
    double value;
    MOIRE__TRY(moire__infer_real(c, factors[i], &value));
    if (!(value >= 0 && value < 1))
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted 0 or more and below 1", factors[i],
                        value);
  }
  for (int i = 0; i < 2; i++) {
    double value;
    MOIRE__TRY(moire__infer_real(c, positive[i], &value));
    if (!(value >= 0))
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted 0 or more", positive[i], value);
  }
  for (int i = 0; i < 3; i++) moire__infer_result(c, i, MOIRE_F32, c->operands[0]->shape);
  return MOIRE_OK;
}

void moire__adam_expand(moire__expand *c) {
  moire_value p = c->operands[0], g = c->operands[1];
  double b1 = moire__node_real(c->node, "b1"), b2 = moire__node_real(c->node, "b2");
  double decay = moire__node_real(c->node, "weight_decay");
  moire_shape shape = moire_value_shape(p);
  if (c->node->n_operands == 7) p = moire_mul(p, moire_broadcast(c->operands[6], shape));
  if (decay != 0) g = moire_add(g, moire_scale(p, decay));
  moire_value m = moire_add(moire_scale(c->operands[2], b1), moire_scale(g, 1 - b1));
  moire_value v = moire_add(moire_scale(c->operands[3], b2), moire_mul(moire_scale(g, 1 - b2), g));
  moire_value root = moire_div(moire_sqrt(v), moire_broadcast(c->operands[5], shape));
  moire_value denominator = moire_add_scalar(root, moire__node_real(c->node, "eps"));
  moire_value step = moire_div(moire_mul(moire_broadcast(c->operands[4], shape), m), denominator);
  c->results[0] = m;
  c->results[1] = v;
  c->results[2] = moire_sub(p, step);
}

void moire__adam_reference(moire__reference *c) {
  double b1 = moire__node_real(c->node, "b1"), b2 = moire__node_real(c->node, "b2");
  double eps = moire__node_real(c->node, "eps"), decay = moire__node_real(c->node, "weight_decay");
  double s = c->operands[4]->re[0], b = c->operands[5]->re[0];
  double factor = c->node->n_operands == 7 ? c->operands[6]->re[0] : 1;
  for (int64_t i = 0; i < c->operands[0]->elements; i++) {
    double p = c->operands[0]->re[i] * factor, g = c->operands[1]->re[i] + decay * p;
    double m = b1 * c->operands[2]->re[i] + (1 - b1) * g;
    double v = b2 * c->operands[3]->re[i] + (1 - b2) * g * g;
    c->results[0]->re[i] = m;
    c->results[1]->re[i] = v;
    c->results[2]->re[i] = p - s * m / (sqrt(v) / b + eps);
  }
}

bool moire__adam_sample(moire__sampler *s) {
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape p, m, scalar;
    double b1, eps, decay;
    int decoupled; /* there is d */
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(4, 8), S(4, 8), SCALAR, 0.9, 1e-8, 0, 0, ACCEPTED},
      {GOOD, F32, S(33), S(33), SCALAR, 0.9, 1e-8, 0.1, 0, ACCEPTED},
      {GOOD, F32, S(5, 16), S(5, 16), SCALAR, 0.9, 1e-8, 0.1, 1, ACCEPTED},
      {HARD, F32, SCALAR, SCALAR, SCALAR, 0, 1e-8, 0, 1, ACCEPTED},
      {HARD, F32, S(0, 3), S(0, 3), SCALAR, 0.9, 0, 0, 0, ACCEPTED},
      {HARD, F32, S(1, 257), S(1, 257), SCALAR, 0.99, 1, 1, 1, ACCEPTED},
      {WRONG, F32, S(4, 8), S(8, 4), SCALAR, 0.9, 1e-8, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(4), S(4), S(1), 0.9, 1e-8, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(4), S(4), SCALAR, 1, 1e-8, 0, 0, BAD_ARGUMENT},
      {WRONG, F32, S(4), S(4), SCALAR, 0.9, -1, 0, 0, BAD_ARGUMENT},
      {WRONG, F32, S(4), S(4), SCALAR, 0.9, 0, -1, 0, BAD_ARGUMENT},
      {WRONG, C64, S(4), S(4), SCALAR, 0.9, 1e-8, 0, 0, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {
      moire__sample_input(s, cases[i].dtype, cases[i].p, -1, 1),
      moire__sample_input(s, cases[i].dtype, cases[i].p, -1, 1),
      moire__sample_input(s, cases[i].dtype, cases[i].m, -1, 1),
      moire__sample_input(s, cases[i].dtype, cases[i].p, 0.01, 1),
      moire__sample_input(s, MOIRE_F32, cases[i].scalar, 0.001, 0.01),
      moire__sample_input(s, MOIRE_F32, cases[i].scalar, 0.1, 1),
      {s->g, 0},
  };
  if (cases[i].decoupled) operands[6] = moire__sample_input(s, MOIRE_F32, cases[i].scalar, 0.5, 1);
  s->no_gradient_check = true;
  moire__attr attrs[] = {
      moire__attr_make_real("b1", cases[i].b1),
      moire__attr_make_real("b2", 0.999),
      moire__attr_make_real("eps", cases[i].eps),
      moire__attr_make_real("weight_decay", cases[i].decay),
  };
  moire_value y = moire__sample_emit(s, MOIRE__OP_adam, operands, cases[i].decoupled ? 7 : 6, attrs, 4);
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, cases[i].expected);
  for (int r = 1; r < 3 && !moire_value_is_null(y); r++)
    moire_output(s->g, r == 1 ? "y1" : "y2", moire__value(s->g, y.id + r));
  return moire__sample_finish(s, y);
}
