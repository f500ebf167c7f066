/* dropout: x times random_mask(rng); attributes p, stream, and where demand left a part of a larger result,
 * mask_shape and mask_start (ops/source/mask.h). Operands x and rng. */
#include "ops/source/mask.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__dropout_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__mask_infer(c, 1, "p", &c->operands[0]->shape));
  return moire__infer_as_operand(c, 0);
}

void moire__dropout_expand(moire__expand *c) {
  moire_shape shape = moire_value_shape(c->operands[0]);
  c->results[0] = moire_mul(c->operands[0], moire__mask_expand(c, c->operands[1], "p", &shape));
}

bool moire__dropout_demand(moire__demand *c) {
  moire_shape shape = moire_value_shape(c->operands[0]);
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  moire__mask_demand(c, &shape, c->axis, c->start);
  return true;
}

void moire__dropout_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  int64_t index[MOIRE_MAX_RANK] = {0};
  for (int64_t i = 0; i < x->elements; i++, moire__index_next(x->rank, x->dims, index))
    c->results[0]->re[i] = x->re[i] * moire__mask_element(c, c->operands[1], "p", x->rank, x->dims, index);
}

bool moire__dropout_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape x, rng;
    double p;
    moire_shape whole; /* of rank 0: the mask is not a part */
    int64_t start[3];
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(4, 33), S(3), 0.5, SCALAR, {0}, ACCEPTED},
      {GOOD, F32, S(b, 5, 16), S(3), 0.1, SCALAR, {0}, ACCEPTED},
      {GOOD, F32, S(b, 1, 16), S(3), 0.5, S(b, 5, 16), {0, 4}, ACCEPTED},
      {HARD, F32, SCALAR, S(3), 0.5, SCALAR, {0}, ACCEPTED},
      {HARD, F32, S(0, 4), S(3), 0.5, SCALAR, {0}, ACCEPTED},
      {HARD, F32, S(7, 13), S(3), 0, SCALAR, {0}, ACCEPTED},
      {HARD, F32, S(257), S(3), 0.999, SCALAR, {0}, ACCEPTED},
      {HARD, F32, S(2, 3, 7), S(3), 0.5, S(5, 3, 17), {3, 0, 9}, ACCEPTED},
      {WRONG, F32, S(4), S(3), 1, SCALAR, {0}, BAD_ARGUMENT},
      {WRONG, F32, S(4), S(3), -0.5, SCALAR, {0}, BAD_ARGUMENT},
      {WRONG, F32, S(4), S(2), 0.5, SCALAR, {0}, BAD_SHAPE},
      {WRONG, F32, S(4), S(3), 0.5, S(5), {2}, BAD_SHAPE},
      {WRONG, F32, S(4), S(3), 0.5, S(5, 4), {0}, BAD_SHAPE},
      {WRONG, F32, S(4), S(3), 0.5, S(b), {0}, BAD_SHAPE},
      {WRONG, C64, S(4), S(3), 0.5, SCALAR, {0}, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {moire__sample_input(s, cases[i].dtype, cases[i].x, -2, 2),
                            moire__sample_input(s, MOIRE_I32, cases[i].rng, -1000, 1000)};
  moire__attr attrs[] = {moire__attr_make_real("p", cases[i].p), moire__attr_make_int("stream", s->index),
                         moire__attr_make_dims("mask_shape", &cases[i].whole),
                         moire__attr_make_ints("mask_start", cases[i].start, cases[i].whole.rank)};
  moire_value y = moire__sample_emit(s, MOIRE__OP_dropout, operands, 2, attrs, cases[i].whole.rank ? 4 : 2);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}
