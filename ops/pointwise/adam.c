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
#include "ops/pointwise/adam.h"

#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

moire_status moire__infer_adam_numbers(moire__infer *c) {
  MOIRE__TRY(moire__infer_below_one(c, "b1", 0));
  MOIRE__TRY(moire__infer_below_one(c, "b2", 0));
  MOIRE__TRY(moire__infer_not_negative(c, "eps"));
  return moire__infer_not_negative(c, "weight_decay");
}

moire_status moire__adam_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  for (int i = 1; i < 4; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  for (int i = 4; i < c->n_operands; i++) MOIRE__TRY(moire__infer_scalar(c, i, MOIRE_F32));
  MOIRE__TRY(moire__infer_adam_numbers(c));
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

moire__adam_numbers moire__adam_numbers_of(const moire__reference *c, int rate, int inverse, int decay) {
  return (moire__adam_numbers){.b1 = moire__node_real(c->node, "b1"),
                               .b2 = moire__node_real(c->node, "b2"),
                               .eps = moire__node_real(c->node, "eps"),
                               .weight_decay = moire__node_real(c->node, "weight_decay"),
                               .s = c->operands[rate]->re[0],
                               .c = c->operands[inverse]->re[0],
                               .d = decay < c->n_operands ? c->operands[decay]->re[0] : 1};
}

void moire__adam_element(const moire__adam_numbers *n, double g, double *p, double *m, double *v) {
  double shrunk = *p * n->d;
  g += n->weight_decay * shrunk;
  *m = n->b1 * *m + (1 - n->b1) * g;
  *v = n->b2 * *v + (1 - n->b2) * g * g;
  *p = shrunk - n->s * *m / (sqrt(*v) / n->c + n->eps);
}

void moire__adam_reference(moire__reference *c) {
  moire__adam_numbers numbers = moire__adam_numbers_of(c, 4, 5, 6);
  for (int64_t i = 0; i < c->operands[0]->elements; i++) {
    double p = c->operands[0]->re[i], m = c->operands[2]->re[i], v = c->operands[3]->re[i];
    moire__adam_element(&numbers, c->operands[1]->re[i], &p, &m, &v);
    c->results[0]->re[i] = m;
    c->results[1]->re[i] = v;
    c->results[2]->re[i] = p;
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
