/* Sources: values that come from outside the graph or from nothing.
 *
 * input and state are filled before the graph runs, so their references do nothing. constant, iota and
 * random_mask are functions of the element's index alone and cost no memory: the lowering computes them where
 * they are read.
 *
 * A constant's optional attribute `per` is a list of one extent: every element is value / size(per), which is
 * how a mean over a named extent is spelt.
 *
 * random_mask element e is 0 with probability p, rounded to a multiple of 2^-16, and elsewhere the inverse of
 * the part that is kept (moire__mask_threshold). Its operand is the input "rng", i32[3]: seed low, seed high,
 * step.
 */
#include "ops/parts.h"
#include "ops/source/mask.h"
#include "ops/support.h"
#include "runtime/base/philox.h"

#include <math.h>

/* ---- input ----------------------------------------------------------------------------------------------- */

moire_status moire__input_infer(moire__infer *c) {
  moire_dtype dtype;
  moire_shape shape;
  const char *name;
  MOIRE__TRY(moire__infer_text(c, "name", &name));
  MOIRE__TRY(moire__infer_element_type(c, "dtype", MOIRE__SET_ANY, &dtype));
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  return moire__infer_result(c, 0, dtype, shape);
}

void moire__input_reference(moire__reference *c) { (void)c; }

bool moire__input_sample(moire__sampler *s) {
  static const moire_dtype dtypes[] = {MOIRE_F32, MOIRE_C64, MOIRE_F64, MOIRE_I32, MOIRE_I64, MOIRE_BOOL};
  moire_dim batch = moire__sample_batch(s);
  s->no_gradient_check = s->index > 2;
  switch (s->kind) {
    case MOIRE__SAMPLE_GOOD:
      if (s->index >= 6) return false;
      return moire__sample_finish(s, moire__sample_input(s, dtypes[s->index], MOIRE_SHAPE(batch, 5), -2, 2));
    case MOIRE__SAMPLE_HARD:
      if (s->index >= 2) return false;
      return moire__sample_finish(
          s, moire__sample_input(s, MOIRE_F32, s->index ? MOIRE_SHAPE(2, 0, 3) : MOIRE_SCALAR, -1e30, 1e30));
    case MOIRE__SAMPLE_WRONG:
      if (s->index >= 2) return false;
      moire_input(s->g, "x", s->index ? (moire_dtype)99 : MOIRE_F32,
                  s->index ? MOIRE_SHAPE(3) : MOIRE_SHAPE(-3));
      return moire__sample_refuse(s, s->index ? MOIRE_ERROR_ARGUMENT : MOIRE_ERROR_SHAPE);
  }
  return false;
}

/* ---- state ----------------------------------------------------------------------------------------------- */

moire_status moire__state_infer(moire__infer *c) {
  const char *name;
  MOIRE__TRY(moire__infer_text(c, "name", &name));
  int state = moire__graph_find_state(c->g, name);
  if (state < 0) return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "the graph has no state \"%s\"", name);
  return moire__infer_result(c, 0, c->g->states[state].dtype, c->g->states[state].shape);
}

void moire__state_reference(moire__reference *c) { (void)c; }

bool moire__state_sample(moire__sampler *s) {
  s->no_gradient_check = true;
  switch (s->kind) {
    case MOIRE__SAMPLE_GOOD:
      if (s->index >= 2) return false;
      return moire__sample_finish(
          s, s->index ? moire_state(s->g, "counts", MOIRE_I32, MOIRE_SHAPE(4), moire_init_constant(3))
                      : moire_parameter(s->g, "weight", MOIRE_SHAPE(3, 4), moire_init_normal(0, 1)));
    case MOIRE__SAMPLE_HARD:
      if (s->index >= 2) return false;
      return moire__sample_finish(s, moire_state(s->g, "moment", MOIRE_F32,
                                                 s->index ? MOIRE_SHAPE(3, 0) : MOIRE_SCALAR,
                                                 moire_init_uniform(-1, 1)));
    case MOIRE__SAMPLE_WRONG: {
      if (s->index >= 1) return false;
      moire__attr name = moire__attr_make_text("name", "nowhere");
      moire__sample_emit(s, MOIRE__OP_state, NULL, 0, &name, 1);
      return moire__sample_refuse(s, MOIRE_ERROR_ARGUMENT);
    }
  }
  return false;
}

/* ---- constant -------------------------------------------------------------------------------------------- */

moire_status moire__constant_infer(moire__infer *c) {
  moire_dtype dtype;
  moire_shape shape;
  MOIRE__TRY(moire__infer_element_type(c, "dtype", MOIRE__SET_ANY & ~(unsigned)MOIRE__SET_COMPLEX, &dtype));
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  double value;
  MOIRE__TRY(moire__infer_real(c, "value", &value));
  double limit = dtype == MOIRE_BOOL ? 1 : dtype == MOIRE_I32 ? 0x1p31 - 1 : 0x1p53;
  if (!moire__dtype_is_float(dtype) && !(value == floor(value) && fabs(value) <= limit))
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%g is no value of type %s", value,
                      moire__dtype_name(dtype));
  if (moire__node_attr(c->node, "per")) {
    moire_shape per;
    MOIRE__TRY(moire__infer_shape(c, "per", &per));
    if (per.rank != 1 || !moire__dtype_is_float(dtype))
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "per is for one extent and float types");
  }
  return moire__infer_result(c, 0, dtype, shape);
}

void moire__constant_reference(moire__reference *c) {
  moire__tensor *y = c->results[0];
  double value = moire__node_real(c->node, "value");
  if (moire__node_attr(c->node, "per"))
    value /= (double)moire__dim_size(moire__node_shape(c->node, "per").dims[0], c->extents);
  if (y->dtype == MOIRE_BOOL) value = value != 0;
  for (int64_t i = 0; i < y->elements; i++) y->re[i] = value;
}

bool moire__constant_sample(moire__sampler *s) {
  moire_dim batch = moire__sample_batch(s);
  s->no_gradient_check = true;
  moire_shape per = MOIRE_SHAPE(batch), shape = MOIRE_SHAPE(batch, 7);
  moire__attr attrs[] = {moire__attr_make_real("value", 2.5), moire__attr_make_dims("per", &per),
                         moire__attr_make_int("dtype", s->kind == MOIRE__SAMPLE_WRONG ? MOIRE_I32 : MOIRE_F32),
                         moire__attr_make_dims("shape", &shape)};
  switch (s->kind) {
    case MOIRE__SAMPLE_GOOD:
      if (s->index >= 4) return false;
      if (s->index == 3)
        return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_constant, NULL, 0, attrs, 4));
      return moire__sample_finish(
          s, moire_constant(s->g, ((const moire_dtype[]){MOIRE_F32, MOIRE_I32, MOIRE_BOOL})[s->index],
                            MOIRE_SHAPE(3, batch), s->index ? 1 : -0.375));
    case MOIRE__SAMPLE_HARD:
      if (s->index >= 3) return false;
      return moire__sample_finish(
          s, moire_constant(s->g, MOIRE_F32,
                            ((const moire_shape[]){MOIRE_SCALAR, MOIRE_SHAPE(0), MOIRE_SHAPE(1, 33)})[s->index],
                            1e30));
    case MOIRE__SAMPLE_WRONG:
      if (s->index >= 2) return false;
      attrs[0].real = s->index ? 2 : 2.5; /* no integer; then an integer type with `per` */
      moire__sample_emit(s, MOIRE__OP_constant, NULL, 0, attrs, 4);
      return moire__sample_refuse(s, MOIRE_ERROR_ARGUMENT);
  }
  return false;
}

/* ---- iota ------------------------------------------------------------------------------------------------ */

moire_status moire__iota_infer(moire__infer *c) {
  moire_shape shape;
  int axis;
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  MOIRE__TRY(moire__infer_axis(c, "axis", shape.rank, &axis));
  return moire__infer_result(c, 0, MOIRE_I32, shape);
}

void moire__iota_reference(moire__reference *c) {
  moire__tensor *y = c->results[0];
  int64_t outer, n, inner;
  moire__tensor_around(y, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  for (int64_t i = 0; i < y->elements; i++) y->re[i] = (double)(i / inner % n);
}

bool moire__iota_sample(moire__sampler *s) {
  moire_dim batch = moire__sample_batch(s);
  s->no_gradient_check = true;
  switch (s->kind) {
    case MOIRE__SAMPLE_GOOD:
      if (s->index >= 3) return false;
      return moire__sample_finish(s, moire_iota(s->g, MOIRE_SHAPE(batch, 5, 7), s->index));
    case MOIRE__SAMPLE_HARD:
      if (s->index >= 2) return false;
      return moire__sample_finish(s, moire_iota(s->g, s->index ? MOIRE_SHAPE(4, 0) : MOIRE_SHAPE(1, 1), 0));
    case MOIRE__SAMPLE_WRONG: {
      if (s->index >= 2) return false;
      moire_shape shape = s->index ? MOIRE_SHAPE(3) : MOIRE_SCALAR;
      moire__attr attrs[] = {moire__attr_make_int("axis", s->index), moire__attr_make_dims("shape", &shape)};
      moire__sample_emit(s, MOIRE__OP_iota, NULL, 0, attrs, 2);
      return moire__sample_refuse(s, s->index ? MOIRE_ERROR_ARGUMENT : MOIRE_ERROR_SHAPE);
    }
  }
  return false;
}

/* ---- random_mask ----------------------------------------------------------------------------------------- */

moire_status moire__random_mask_infer(moire__infer *c) {
  const moire_shape *rng = &c->operands[0]->shape;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1 << MOIRE_I32));
  if (rng->rank != 1 || rng->dims[0] != 3)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the counters are %s, wanted i32[3]",
                      moire__operand_type(c, 0).text);
  double p;
  MOIRE__TRY(moire__infer_real(c, "p", &p));
  if (!(p >= 0 && p < 1)) return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "p is %g, wanted 0 <= p < 1", p);
  int64_t stream;
  MOIRE__TRY(moire__infer_int(c, "stream", 0, UINT32_MAX, &stream));
  moire_shape shape;
  MOIRE__TRY(moire__mask_infer_first(c));
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  return moire__infer_result(c, 0, MOIRE_F32, shape);
}

void moire__random_mask_reference(moire__reference *c) {
  const double *rng = c->operands[0]->re;
  moire__tensor *y = c->results[0];
  double p = moire__node_real(c->node, "p");
  uint32_t stream = (uint32_t)moire__node_int(c->node, "stream");
  int32_t threshold = moire__mask_threshold(p);
  uint32_t seed_lo = (uint32_t)(int32_t)rng[0], seed_hi = (uint32_t)(int32_t)rng[1];
  uint32_t step = (uint32_t)(int32_t)rng[2];
  int64_t first = moire__mask_first(c);
  for (int64_t i = 0; i < y->elements; i++) {
    uint32_t bits = moire__philox_bits(seed_lo, seed_hi, step, stream, (uint64_t)(first + i));
    y->re[i] = (int32_t)bits >= threshold ? moire__mask_kept(p) : 0;
  }
}

bool moire__random_mask_sample(moire__sampler *s) {
  moire_dim batch = moire__sample_batch(s);
  s->no_gradient_check = true;
  static const double p[3][3] = {{0.5, 0.1, 0.9}, {0, 0.999999, 0.25}, {1, -0.5, 0.5}};
  if (s->index >= 3) return false;
  bool bad_counters = s->kind == MOIRE__SAMPLE_WRONG && s->index == 2;
  moire_shape shape = s->kind == MOIRE__SAMPLE_GOOD ? MOIRE_SHAPE(batch, 50)
                      : s->index == 0               ? MOIRE_SCALAR
                                                    : MOIRE_SHAPE(s->index, 5, 31);
  moire_value rng = moire__sample_input(s, MOIRE_I32, MOIRE_SHAPE(bad_counters ? 2 : 3), -1000, 1000);
  moire__attr attrs[] = {moire__attr_make_real("p", p[s->kind][s->index]),
                         moire__attr_make_int("stream", s->index), moire__attr_make_dims("shape", &shape)};
  moire_value y = moire__sample_emit(s, MOIRE__OP_random_mask, &rng, 1, attrs, 3);
  if (s->kind == MOIRE__SAMPLE_WRONG)
    return moire__sample_refuse(s, bad_counters ? MOIRE_ERROR_SHAPE : MOIRE_ERROR_ARGUMENT);
  return moire__sample_finish(s, y);
}
