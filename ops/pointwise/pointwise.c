/* What the rows of pointwise ops stand on: see ops/pointwise/pointwise.h. */
#include "ops/pointwise/pointwise.h"

#include <math.h>

/* ---- infer ----------------------------------------------------------------------------------------------- */

static moire_status infer_alike(moire__infer *c, unsigned types) {
  MOIRE__TRY(moire__infer_dtype(c, 0, types));
  for (int i = 1; i < c->n_operands; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  return MOIRE_OK;
}

moire_status moire__infer_pointwise(moire__infer *c, unsigned types) {
  MOIRE__TRY(infer_alike(c, types));
  return moire__infer_as_operand(c, 0);
}

moire_status moire__infer_compare(moire__infer *c, unsigned types) {
  MOIRE__TRY(infer_alike(c, types));
  return moire__infer_result(c, 0, MOIRE_BOOL, c->operands[0]->shape);
}

/* ---- gradient -------------------------------------------------------------------------------------------- */

moire_value moire__conjugate(moire_value x) { return moire_value_dtype(x) == MOIRE_C64 ? moire_conj(x) : x; }

static moire_value keep_real_where(moire_value condition, moire_value x) {
  moire_value zero = moire_constant(x.graph, moire_value_dtype(x), moire_value_shape(x), 0);
  return moire_where(condition, x, zero);
}

moire_value moire__keep_where(moire_value condition, moire_value x) {
  if (moire_value_dtype(x) != MOIRE_C64) return keep_real_where(condition, x);
  return moire_complex(keep_real_where(condition, moire_real(x)), keep_real_where(condition, moire_imag(x)));
}

/* ---- reference ------------------------------------------------------------------------------------------- */

double moire__wrap(moire_dtype dtype, double x) {
  return dtype == MOIRE_I32 && fabs(x) < 0x1p62 ? (double)(int32_t)(uint32_t)(int64_t)x : x;
}

void moire__reference_unary(moire__reference *c, double (*f)(double x)) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  for (int64_t i = 0; i < y->elements; i++) {
    y->re[i] = moire__wrap(y->dtype, f(x->re[i]));
    if (y->im) y->im[i] = f(x->im[i]);
  }
}

void moire__reference_binary(moire__reference *c, double (*f)(double a, double b)) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  moire__tensor *y = c->results[0];
  for (int64_t i = 0; i < y->elements; i++) {
    y->re[i] = moire__wrap(y->dtype, f(a->re[i], b->re[i]));
    if (y->im) y->im[i] = f(a->im[i], b->im[i]);
  }
}

/* ---- sample ---------------------------------------------------------------------------------------------- */

/* The types that samples try, the usual ones first. */
static const moire_dtype sampled[] = {MOIRE_F32, MOIRE_C64, MOIRE_F64, MOIRE_I32, MOIRE_I64, MOIRE_BOOL};
enum { N_SAMPLED = sizeof sampled / sizeof *sampled };

/* The i-th sampled type that is in the set, or 0. */
static moire_dtype nth_type(unsigned types, int i) {
  for (int k = 0; k < N_SAMPLED; k++)
    if ((types >> sampled[k] & 1) && i-- == 0) return sampled[k];
  return (moire_dtype)0;
}

static bool sample_one(moire__sampler *s, moire__op op, int n, moire_dtype dtype, moire_shape shape,
                       moire__range range, bool repeated) {
  moire_value x[2];
  for (int i = 0; i < n; i++)
    x[i] = repeated && i > 0 ? x[0] : moire__sample_input(s, dtype, shape, range.low, range.high);
  moire_value y = moire__sample_emit(s, op, x, n, NULL, 0);
  if (!moire__dtype_is_float(dtype) && dtype != MOIRE_C64) s->no_gradient_check = true;
  return moire__sample_finish(s, y);
}

/* A type outside the set; operands of different shapes; of different types. */
static bool sample_wrong(moire__sampler *s, moire__op op, int n, unsigned types, moire__range range) {
  moire_dtype inside = nth_type(types, 0), outside = nth_type(~types, 0);
  bool bad_shape = s->index == 1, bad_type = s->index == 0;
  if (s->index >= (n == 1 ? 1 : 3)) return false;
  moire_value x[2];
  for (int i = 0; i < n; i++)
    x[i] = moire__sample_input(s, bad_type || (i == 1 && !bad_shape) ? outside : inside,
                               MOIRE_SHAPE(3 + (bad_shape ? i : 0)), range.low, range.high);
  moire__sample_emit(s, op, x, n, NULL, 0);
  return moire__sample_refuse(s, bad_shape ? MOIRE_ERROR_SHAPE : MOIRE_ERROR_TYPE);
}

bool moire__sample_pointwise(moire__sampler *s, moire__op op, int n_operands, unsigned types, moire__range good,
                             moire__range hard) {
  moire_dim batch = moire__sample_batch(s);
  moire_dtype usual = nth_type(types, 0);
  switch (s->kind) {
    case MOIRE__SAMPLE_GOOD: {
      moire_dtype dtype = nth_type(types, s->index);
      if (!dtype) return false;
      return sample_one(s, op, n_operands, dtype, s->index % 2 ? MOIRE_SHAPE(2, 3, 4) : MOIRE_SHAPE(batch, 5),
                        good, false);
    }
    case MOIRE__SAMPLE_HARD:
      switch (s->index) {
        case 0:
          s->no_gradient_check = true;
          return sample_one(s, op, n_operands, usual, MOIRE_SHAPE(67), hard, false);
        case 1: return sample_one(s, op, n_operands, usual, MOIRE_SCALAR, good, false);
        case 2: return sample_one(s, op, n_operands, usual, MOIRE_SHAPE(batch, 0, 2), good, false);
        case 3: return sample_one(s, op, n_operands, usual, MOIRE_SHAPE(1, 1, 17), good, true);
        case 4: return sample_one(s, op, n_operands, usual, MOIRE_SHAPE(batch, 1, 33), good, false);
        default: return false;
      }
    case MOIRE__SAMPLE_WRONG: return sample_wrong(s, op, n_operands, types, good);
  }
  return false;
}
