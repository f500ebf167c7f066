/* fft: the Fourier transform of complex numbers along an axis, of any length; attributes axis, inverse, scale.
 *
 *   y[f] = scale sum_t x[t] exp(-+ 2 pi i f t / n)        - ; + if inverse
 *
 * It is linear, and its matrix symmetric: the gradient is the transform in the other direction, of the same
 * scale. Before complex values become planes it is written in terms of the kernels of cfft.c, one of four ways:
 *
 *   a length that short transforms make up                     cfft
 *   any other up to MOST_CHIRP                                 chirp_fft, a convolution by a longer transform
 *   n = a b, too long for a kernel, or too few rows for one    as [a, b]: along a, by roots of unity, along b
 *   a long one that neither is                                 the convolution, of longer transforms in turn
 *
 * Few inner elements, or a number of them that is not fixed, would leave lanes empty: the axis is made the
 * last.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/sequence/fft.h"
#include "ops/support.h"

#include <math.h>

enum {
  MOST_POINTS = 1 << 23,
  MOST_CHIRP = MOIRE__FFT_MOST_POINTS / 2,
  FEW = 8,         /* lanes that are worth a vector */
  MANY_POINTS = 64 /* worth to be taken apart for lanes */
};

/* Planes [outer, n, inner]. */
typedef struct planes {
  moire_value re, im;
} planes;

/* ---- building blocks --------------------------------------------------------------------------------------
 */

moire_value moire__fft_turn(moire__op op, moire_value k, int64_t n) {
  moire__attr attr = moire__attr_make_int("n", n);
  return moire__graph_emit(k.graph, MOIRE_HERE, op, &k, 1, &attr, 1);
}

/* exp(2 pi i k / n) */
static planes roots(moire_value k, int64_t n) {
  return (planes){moire__fft_turn(MOIRE__OP_cos_turn, k, n), moire__fft_turn(MOIRE__OP_sin_turn, k, n)};
}

static planes swapped(planes x) { return (planes){x.im, x.re}; }
static planes conjugate(planes x) { return (planes){x.re, moire_neg(x.im)}; }

static planes product(planes x, planes y) {
  return (planes){moire_sub(moire_mul(x.re, y.re), moire_mul(x.im, y.im)),
                  moire_add(moire_mul(x.im, y.re), moire_mul(x.re, y.im))};
}

static planes scaled(planes x, double scale) {
  return (planes){moire_scale(x.re, scale), moire_scale(x.im, scale)};
}

static planes reshaped(planes x, moire_shape shape) {
  return (planes){moire_reshape(x.re, shape), moire_reshape(x.im, shape)};
}

static planes permuted(planes x, int rank, const int *axes) {
  return (planes){moire_permute(x.re, rank, axes), moire_permute(x.im, rank, axes)};
}

/* Along axis 1 of three. */
static planes sliced(planes x, int64_t n) {
  return (planes){moire_slice(x.re, 1, 0, n), moire_slice(x.im, 1, 0, n)};
}
static planes padded(planes x, int64_t more) {
  return (planes){moire_pad(x.re, 1, 0, more), moire_pad(x.im, 1, 0, more)};
}

static planes kernel(moire__op op, const moire_value *operands, int n, double scale) {
  moire__attr attrs[] = {moire__attr_make_int("axis", 1), moire__attr_make_real("scale", scale)};
  moire_value re =
      moire__graph_emit(operands[0].graph, MOIRE_HERE, op, operands, n, attrs, op == MOIRE__OP_cfft ? 2 : 1);
  if (moire_value_is_null(re)) return (planes){re, re};
  return (planes){re, moire__value(re.graph, re.id + 1)};
}

/* ---- ways -------------------------------------------------------------------------------------------------
 */

static planes transform(planes x, double scale);

static planes by_passes(planes x, int64_t n, double scale) {
  planes table = roots(moire_iota(x.re.graph, MOIRE_SHAPE(n), 0), n);
  moire_value operands[] = {x.re, x.im, table.re, table.im};
  return kernel(MOIRE__OP_cfft, operands, 4, scale);
}

/* [outer, a b, inner] as [outer, a, b, inner]: t = t_a b + t_b, f = f_a + a f_b. */
static planes by_two(planes x, int64_t a, int64_t b, double scale) {
  moire_graph *g = x.re.graph;
  moire_shape shape = moire_value_shape(x.re);
  moire_dim outer = shape.dims[0], inner = shape.dims[2];
  planes y = transform(reshaped(x, MOIRE_SHAPE(outer, a, b * inner)), 1);
  y = reshaped(y, MOIRE_SHAPE(outer, a, b, inner));
  moire_shape table = MOIRE_SHAPE(1, a, b, 1);
  planes root = roots(moire_mul(moire_iota(g, table, 1), moire_iota(g, table, 2)), a * b);
  y = product(y, conjugate(root));
  moire_dim rows = 0;
  moire__dim_multiply(outer, a, &rows);
  y = transform(reshaped(y, MOIRE_SHAPE(rows, b, inner)), scale);
  static const int exchange[] = {0, 2, 1, 3};
  y = permuted(reshaped(y, MOIRE_SHAPE(outer, a, b, inner)), 4, exchange);
  return reshaped(y, shape);
}

/* t^2 mod 2 n, where t runs to n and back to 1 from the end of m points: f t = (f^2 + t^2 - (f - t)^2) / 2, so
 * that exp(-2 pi i f t / n) is c[f] c[t] / c[f - t] with c[t] = exp(-pi i t^2 / n). */
static planes chirp(moire_graph *g, int64_t m, int64_t n) {
  moire_value t = moire_cast(moire_iota(g, MOIRE_SHAPE(m), 0), MOIRE_I64);
  moire_value back = moire_sub(moire_constant(g, MOIRE_I64, MOIRE_SHAPE(m), (double)m), t);
  if (m > n) t = moire_where(moire_less(t, moire_constant(g, MOIRE_I64, MOIRE_SHAPE(m), (double)n)), t, back);
  moire_value square = moire_mul(t, t);
  planes c = conjugate(roots(square, 2 * n));
  if (m == n) return c;
  moire_value near = moire_less(t, moire_constant(g, MOIRE_I64, MOIRE_SHAPE(m), (double)n));
  moire_value none = moire_constant(g, MOIRE_F32, MOIRE_SHAPE(m), 0);
  return (planes){moire_where(near, c.re, none), moire_where(near, c.im, none)};
}

/* The points of the convolution: at least 2 n - 1. */
static int64_t convolution_points(int64_t n) {
  int64_t power = 1, best = 0;
  while (power < 2 * n - 1) power *= 2;
  if (power > MOIRE__FFT_MOST_POINTS) return power;
  double least = INFINITY;
  for (int64_t m = 2 * n - 1; m <= power; m++) {
    double cost = moire__fft_cost(m) * (double)m;
    if (cost > 0 && cost < least) {
      least = cost;
      best = m;
    }
  }
  return best;
}

static planes by_convolution(planes x, int64_t n, double scale) {
  moire_graph *g = x.re.graph;
  int64_t m = convolution_points(n);
  planes c = chirp(g, n, n);
  planes around = reshaped(conjugate(chirp(g, m, n)), MOIRE_SHAPE(1, m, 1));
  planes factors = scaled(transform(around, 1), scale / (double)m);
  if (n <= MOST_CHIRP) {
    planes table = roots(moire_iota(g, MOIRE_SHAPE(m), 0), m);
    factors = reshaped(factors, MOIRE_SHAPE(m));
    moire_value operands[] = {x.re, x.im, c.re, c.im, factors.re, factors.im, table.re, table.im};
    return kernel(MOIRE__OP_chirp_fft, operands, 8, 1);
  }
  c = reshaped(c, MOIRE_SHAPE(1, n, 1));
  planes y = product(transform(padded(product(x, c), m - n), 1), factors);
  y = swapped(transform(swapped(y), 1));
  return product(sliced(y, n), c);
}

/* The divisor of n next to its root, from below; 1 for a prime. */
static int64_t middle_divisor(int64_t n) {
  int64_t best = 1;
  for (int64_t d = 2; d * d <= n; d++)
    if (n % d == 0) best = d;
  return best;
}

static bool is_few(moire_dim count) { return moire__dim_is_static(count) && count < FEW; }

static planes transform_along(planes x, double scale) {
  moire_shape shape = moire_value_shape(x.re);
  int64_t n = shape.dims[1], divisor = middle_divisor(n);
  if (n == 1) return scaled(x, scale);
  bool passes = moire__fft_cost(n) > 0;
  bool few = shape.dims[2] == 1 && is_few(shape.dims[0]) && n >= MANY_POINTS && divisor >= FEW;
  if (passes && !few) return by_passes(x, n, scale);
  if (divisor > 1 && (few || n > MOST_CHIRP)) return by_two(x, divisor, n / divisor, scale);
  return by_convolution(x, n, scale);
}

/* Forward, along axis 1 of [outer, n, inner]. */
static planes transform(planes x, double scale) {
  if (moire_value_is_null(x.re) || moire_value_is_null(x.im)) return x;
  moire_shape shape = moire_value_shape(x.re);
  moire_dim inner = shape.dims[2], outer = 0;
  if (moire__dim_is_static(inner) && (inner == 1 || inner >= FEW)) return transform_along(x, scale);
  static const int exchange[] = {0, 2, 1};
  if (!moire__dim_multiply(shape.dims[0], inner, &outer)) outer = 0;
  planes y = reshaped(permuted(x, 3, exchange), MOIRE_SHAPE(outer, shape.dims[1], 1));
  y = reshaped(transform_along(y, scale), MOIRE_SHAPE(shape.dims[0], inner, shape.dims[1]));
  return permuted(y, 3, exchange);
}

/* ---- fft --------------------------------------------------------------------------------------------------
 */

moire_status moire__fft_infer(moire__infer *c) {
  int axis = 0;
  int64_t inverse = 0;
  double scale = 0;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_axis(c, "axis", c->operands[0]->shape.rank, &axis));
  moire_dim n = c->operands[0]->shape.dims[axis];
  if (!moire__dim_is_static(n) || n < 1 || n > MOST_POINTS)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "axis %d of %s: wanted a fixed extent from 1 to %d", axis,
                      moire__operand_type(c, 0).text, MOST_POINTS);
  MOIRE__TRY(moire__infer_int(c, "inverse", 0, 1, &inverse));
  MOIRE__TRY(moire__infer_real(c, "scale", &scale));
  return moire__infer_as_operand(c, 0);
}

void moire__fft_gradient(moire__gradient *c) {
  moire__attr attrs[] = {moire__attr_make_int("axis", moire__node_int(c->node, "axis")),
                         moire__attr_make_int("inverse", !moire__node_int(c->node, "inverse")),
                         moire__attr_make_real("scale", moire__node_real(c->node, "scale"))};
  c->operand_gradients[0] =
      moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_fft, &c->result_gradients[0], 1, attrs, 3);
}

void moire__fft_expand(moire__expand *c) {
  moire_value x = c->operands[0];
  int axis = (int)moire__node_int(c->node, "axis");
  bool inverse = moire__node_int(c->node, "inverse") != 0;
  moire_shape shape = moire_value_shape(x);
  moire_dim outer = 1, inner = 1;
  bool good = true;
  for (int d = 0; d < shape.rank; d++) {
    moire_dim *count = d < axis ? &outer : &inner;
    if (d != axis) good = moire__dim_multiply(*count, shape.dims[d], count) && good;
  }
  if (!good) {
    moire__graph_fail_at(c->g, c->node->source, "fft", MOIRE_ERROR_SHAPE,
                         "more than three named extents before or behind its axis");
    return;
  }
  planes z = reshaped((planes){moire_real(x), moire_imag(x)}, MOIRE_SHAPE(outer, shape.dims[axis], inner));
  double scale = moire__node_real(c->node, "scale");
  planes y = inverse ? swapped(transform(swapped(z), scale)) : transform(z, scale);
  y = reshaped(y, shape);
  c->results[0] = moire_complex(y.re, y.im);
}

bool moire__fft_demand(moire__demand *c) {
  if (c->axis == (int)moire__node_int(c->node, "axis")) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

void moire__fft_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  double sign = moire__node_int(c->node, "inverse") ? 1 : -1, scale = moire__node_real(c->node, "scale");
  int64_t outer, n, inner;
  moire__tensor_around(x, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  double *cosine = moire__arena_array(c->scratch, (size_t)n, sizeof *cosine);
  double *sine = moire__arena_array(c->scratch, (size_t)n, sizeof *sine);
  for (int64_t j = 0; j < n; j++) {
    moire__turn(j, n, &cosine[j], &sine[j]);
    sine[j] *= sign;
  }
  for (int64_t i = 0; i < outer * n * inner; i++) {
    int64_t f = i / inner % n, first = i - f * inner;
    for (int64_t t = 0; t < n; t++) {
      double re = x->re[first + t * inner], im = x->im[first + t * inner];
      y->re[i] += scale * (re * cosine[f * t % n] - im * sine[f * t % n]);
      y->im[i] += scale * (re * sine[f * t % n] + im * cosine[f * t % n]);
    }
  }
}

/* One row forward, the next one back. */
bool moire__fft_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape shape;
    int axis;
    moire_status expected;
  } cases[] = {
      {GOOD, C64, S(b, 2, 12, 8), 2, ACCEPTED}, {GOOD, C64, S(3, 50, 4), 1, ACCEPTED},
      {GOOD, C64, S(b, 7), 1, ACCEPTED},        {GOOD, C64, S(6, 2, b), 0, ACCEPTED},
      {GOOD, C64, S(b, 34), 1, ACCEPTED},       {HARD, C64, S(1), 0, ACCEPTED},
      {HARD, C64, S(13), 0, ACCEPTED},          {HARD, C64, S(144), 0, ACCEPTED},
      {HARD, C64, S(2, 323), 1, ACCEPTED},      {HARD, C64, S(5, 1, 3), 1, ACCEPTED},
      {HARD, C64, S(2, 131, 3), 1, ACCEPTED},   {HARD, C64, S(0, 4, 3), 1, ACCEPTED},
      {HARD, C64, S(2, 4, 0), 1, ACCEPTED},     {HARD, C64, S(t, 3, b, 2), 1, ACCEPTED},
      {HARD, C64, S(2, 37, 17), 1, ACCEPTED},   {WRONG, C64, SCALAR, 0, BAD_SHAPE},
      {WRONG, C64, S(3, b), 1, BAD_SHAPE},      {WRONG, C64, S(3, 4), 2, BAD_ARGUMENT},
      {WRONG, C64, S(2, 0), 1, BAD_SHAPE},      {WRONG, F32, S(2, 4), 1, BAD_TYPE},
  };
  bool wrong = s->kind == WRONG;
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x = moire__sample_input(s, cases[i].dtype, cases[i].shape, -1, 1);
  moire__attr attrs[] = {moire__attr_make_int("axis", cases[i].axis),
                         moire__attr_make_int("inverse", wrong ? 0 : s->index % 2),
                         moire__attr_make_real("scale", s->index % 2 ? 0.25 : 1)};
  moire_value y = moire__sample_emit(s, MOIRE__OP_fft, &x, 1, attrs, 3);
  return wrong ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
