/* rfft and irfft: the Fourier transform of a real sequence along an axis, orthonormal, for any length n.
 *
 *   rfft    y[f] = 1/sqrt(n) sum_t x[t] exp(-2 pi i f t / n)        f = 0 .. floor(n / 2)
 *   irfft   x[t] = 1/sqrt(n) (Re z[0] + 2 sum_{0 < f < n/2} Re(z[f] exp(2 pi i f t / n)) + [n even] (-1)^t Re
 * z[n/2])
 *
 * irfft inverts rfft; the imaginary parts of its bins 0 and n/2, which a real sequence does not have, are not
 * looked at. Short ones become products with tables of cosines and sines, n^2 / 2 multiplications of each
 * plane: at the lengths of item sequences that is little work, and products are what the compiler is good at.
 * The tables are functions of their index, so gradients are products again. Longer ones are half of the
 * transform of complex numbers, which was measured to be faster from 48 points on, and three times at 256.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/sequence/fft.h"
#include "ops/support.h"

#include <math.h>

enum { MOST_POINTS = 46340 };     /* f t stays an i32 */
enum { SHORT = 64, CHIRP = 256 }; /* products up to there; and for lengths that are convolutions */

static int64_t bins_of(int64_t n) { return n / 2 + 1; }

/* ---- tables ------------------------------------------------------------------------------------------------
 */

/* f t for f on axis 0, parts of a turn that has n: i32[bins, n]. cos_turn and sin_turn reduce it as an integer,
 * so that the last bin is as exact as the first, and the sines of bins 0 and n/2 are 0. */
static moire_value turns(moire_graph *g, int64_t n) {
  moire_shape shape = MOIRE_SHAPE(bins_of(n), n);
  return moire_mul(moire_iota(g, shape, 0), moire_iota(g, shape, 1));
}

static moire_value cosines(moire_value k, int64_t n) { return moire__fft_turn(MOIRE__OP_cos_turn, k, n); }
static moire_value sines(moire_value k, int64_t n) { return moire__fft_turn(MOIRE__OP_sin_turn, k, n); }

/* How often bin f counts in the whole spectrum: 2, or 1 for the bins that are their own mirror image. */
static moire_value mirrors(moire_graph *g, int64_t n) {
  moire_shape shape = MOIRE_SHAPE(bins_of(n), n);
  moire_value f = moire_iota(g, shape, 0);
  moire_value own = moire_equal(f, moire_constant(g, MOIRE_I32, shape, 0));
  moire_value one = moire_constant(g, MOIRE_F32, shape, 1), two = moire_constant(g, MOIRE_F32, shape, 2);
  moire_value count = moire_where(own, one, two);
  if (n % 2) return count;
  own = moire_equal(f, moire_constant(g, MOIRE_I32, shape, (double)(n / 2)));
  return moire_where(own, one, count);
}

/* matrix [m, k] on the axis of x that has k elements. */
static moire_value apply(moire_value matrix, moire_value x, int axis) {
  int rank = moire_value_shape(x).rank;
  if (rank == 1) {
    moire_value column = moire_reshape(x, MOIRE_SHAPE(moire_value_dim(x, 0), 1));
    return moire_reshape(moire_matmul(matrix, column), MOIRE_SHAPE(moire_value_dim(matrix, 0)));
  }
  if (axis == rank - 1) return moire_matmul(x, moire_swap_axes(matrix, 0, 1));
  return moire_swap_axes(moire_matmul(matrix, moire_swap_axes(x, axis, -2)), axis, -2);
}

/* ---- what both share ---------------------------------------------------------------------------------------
 */

/* The axis, which has a fixed extent from `low`. */
static moire_status axis_infer(moire__infer *c, int *axis, int64_t low) {
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_axis(c, "axis", c->operands[0]->shape.rank, axis));
  moire_dim points = c->operands[0]->shape.dims[*axis];
  if (moire__dim_is_static(points) && points >= low && points <= MOST_POINTS) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "axis %d of %s: wanted a fixed extent from %lld to %d", *axis,
                    moire__operand_type(c, 0).text, (long long)low, MOST_POINTS);
}

static bool fourier_demand(moire__demand *c) {
  if (c->axis == (int)moire__node_int(c->node, "axis")) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

static bool fourier_sample(moire__sampler *s, moire__op op, moire_dtype dtype) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape shape; /* of the sequence; irfft gets its bins */
    int axis;
    moire_status expected;
  } cases[] = {
      {GOOD, S(b, 2, 12, 8), 2, ACCEPTED}, {GOOD, S(3, 50, 4), 1, ACCEPTED},
      {GOOD, S(b, 7), 1, ACCEPTED},        {GOOD, S(6, 2, b), 0, ACCEPTED},
      {HARD, S(1), 0, ACCEPTED},           {HARD, S(13), 0, ACCEPTED},
      {HARD, S(5, 1, 3), 1, ACCEPTED},     {HARD, S(2, 3, 33), 2, ACCEPTED},
      {HARD, S(2, 131, 3), 1, ACCEPTED},   {HARD, S(0, 4, 3), 1, ACCEPTED},
      {HARD, S(2, 4, 0), 1, ACCEPTED},     {HARD, S(3, 2, 2, 2), 0, ACCEPTED},
      {HARD, S(2, 65, 2), 1, ACCEPTED},    {HARD, S(b, 72), 1, ACCEPTED},
      {WRONG, SCALAR, 0, BAD_SHAPE},       {WRONG, S(3, b), 1, BAD_SHAPE},
      {WRONG, S(3, 4), 2, BAD_ARGUMENT},   {WRONG, S(2, 46341), 1, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_shape shape = cases[i].shape;
  int64_t n = cases[i].axis < shape.rank ? shape.dims[cases[i].axis] : 4;
  if (op == MOIRE__OP_irfft && shape.rank && moire__dim_is_static(n) && cases[i].axis < shape.rank)
    shape.dims[cases[i].axis] = n > MOST_POINTS ? n : bins_of(n);
  moire__attr attrs[] = {moire__attr_make_int("axis", cases[i].axis),
                         moire__attr_make_int("length", moire__dim_is_static(n) ? n : 4)};
  moire_value x = moire__sample_input(s, dtype, shape, -1, 1);
  moire_value y = moire__sample_emit(s, op, &x, 1, attrs, op == MOIRE__OP_irfft ? 2 : 1);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}

/* ---- rfft --------------------------------------------------------------------------------------------------
 */

moire_status moire__rfft_infer(moire__infer *c) {
  int axis = 0;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(axis_infer(c, &axis, 1));
  moire_shape shape = c->operands[0]->shape;
  shape.dims[axis] = bins_of(shape.dims[axis]);
  return moire__infer_result(c, 0, MOIRE_C64, shape);
}

static bool is_long(int64_t n) { return n > (moire__fft_cost(n) > 0 ? SHORT : CHIRP); }

void moire__rfft_expand(moire__expand *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t n = moire_value_dim(c->operands[0], axis);
  if (is_long(n)) {
    c->results[0] = moire_slice(moire_fft(c->operands[0], axis, MOIRE_NORM_ORTHO), axis, 0, bins_of(n));
    return;
  }
  moire_value k = turns(c->g, n);
  double norm = 1 / sqrt((double)n);
  c->results[0] = moire_complex(apply(moire_scale(cosines(k, n), norm), c->operands[0], axis),
                                apply(moire_scale(sines(k, n), -norm), c->operands[0], axis));
}

bool moire__rfft_demand(moire__demand *c) { return fourier_demand(c); }

void moire__rfft_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int64_t outer, n, inner;
  moire__tensor_around(x, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t f = 0; f < bins_of(n); f++)
      for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < inner; i++) {
          double cosine, sine, value = x->re[(o * n + t) * inner + i];
          int64_t to = (o * bins_of(n) + f) * inner + i;
          moire__turn(f * t, n, &cosine, &sine);
          y->re[to] += value * cosine / sqrt((double)n);
          y->im[to] -= value * sine / sqrt((double)n);
        }
}

bool moire__rfft_sample(moire__sampler *s) { return fourier_sample(s, MOIRE__OP_rfft, MOIRE_F32); }

/* ---- irfft -------------------------------------------------------------------------------------------------
 */

moire_status moire__irfft_infer(moire__infer *c) {
  int axis = 0;
  int64_t n = 0;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_COMPLEX));
  MOIRE__TRY(axis_infer(c, &axis, 1));
  MOIRE__TRY(moire__infer_int(c, "length", 1, MOST_POINTS, &n));
  moire_shape shape = c->operands[0]->shape;
  if (shape.dims[axis] != bins_of(n))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "z is %s, but length %lld has %lld bins",
                      moire__operand_type(c, 0).text, (long long)n, (long long)bins_of(n));
  shape.dims[axis] = n;
  return moire__infer_result(c, 0, MOIRE_F32, shape);
}

void moire__irfft_expand(moire__expand *c) {
  int axis = (int)moire__node_int(c->node, "axis");
  int64_t n = moire__node_int(c->node, "length");
  if (is_long(n)) {
    moire_value mirrored = moire_slice(c->operands[0], axis, 1, (n - 1) / 2);
    moire_value halves[] = {c->operands[0], moire_conj(moire_flip(mirrored, axis))};
    c->results[0] = moire_real(moire_ifft(moire_concat(halves, 2, axis), axis, MOIRE_NORM_ORTHO));
    return;
  }
  moire_value k = turns(c->g, n), count = moire_scale(mirrors(c->g, n), 1 / sqrt((double)n));
  moire_value by_cos = moire_swap_axes(moire_mul(count, cosines(k, n)), 0, 1);
  moire_value by_sin = moire_swap_axes(moire_mul(count, sines(k, n)), 0, 1);
  c->results[0] = moire_sub(apply(by_cos, moire_real(c->operands[0]), axis),
                            apply(by_sin, moire_imag(c->operands[0]), axis));
}

bool moire__irfft_demand(moire__demand *c) { return fourier_demand(c); }

void moire__irfft_reference(moire__reference *c) {
  const moire__tensor *z = c->operands[0];
  moire__tensor *x = c->results[0];
  int64_t outer, bins, inner, n = moire__node_int(c->node, "length");
  moire__tensor_around(z, (int)moire__node_int(c->node, "axis"), &outer, &bins, &inner);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t t = 0; t < n; t++)
      for (int64_t f = 0; f < bins; f++)
        for (int64_t i = 0; i < inner; i++) {
          double cosine, sine;
          moire__turn(f * t, n, &cosine, &sine);
          int64_t from = (o * bins + f) * inner + i;
          bool own = f == 0 || 2 * f == n;
          double value = own ? z->re[from] * cosine : 2 * (z->re[from] * cosine - z->im[from] * sine);
          x->re[(o * n + t) * inner + i] += value / sqrt((double)n);
        }
}

bool moire__irfft_sample(moire__sampler *s) { return fourier_sample(s, MOIRE__OP_irfft, MOIRE_C64); }
