/* cfft and chirp_fft: Fourier transforms of planes along an axis, as kernels; written when fft is expanded.
 *
 *   cfft       y[f] = scale sum_t x[t] exp(-2 pi i f t / n)
 *              operands xr, xi, cos, sin; attributes axis, scale; n as moire__fft_radices takes it apart
 *   chirp_fft  y = c idft(k dft(c x)), sums without a factor, of m >= n points: c x is filled up with zeros,
 * and n are kept. With c[t] = exp(-pi i t^2 / n) and k the transform of its conjugate, y is that of x (L. I.
 * Bluestein, 1970). operands xr, xi, cr, ci [n], kr, ki [m], cos, sin; attribute axis
 *
 * cos and sin are tables of 2 pi j / n (of m), j = 0 .. n - 1: what cos_turn gives. The inner axes are fixed.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/sequence/fft.h"
#include "ops/support.h"

/* ---- infer ------------------------------------------------------------------------------------------------
 */

/* operand and the one behind it: vectors of n numbers. */
static moire_status tables_infer(moire__infer *c, int operand, int64_t n) {
  for (int i = operand; i < operand + 2; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 1, 1));
    if (c->operands[i]->shape.dims[0] != n)
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted a table of %lld", i,
                        moire__operand_type(c, i).text, (long long)n);
  }
  return MOIRE_OK;
}

/* The points of the axis of planes 0 and 1, and that inner axes are fixed. */
static moire_status planes_infer(moire__infer *c, int64_t *n) {
  int axis = 0;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_alike(c, 0, 1));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_axis(c, "axis", c->operands[0]->shape.rank, &axis));
  const moire_shape *shape = &c->operands[0]->shape;
  for (int d = axis; d < shape->rank; d++)
    if (!moire__dim_is_static(shape->dims[d]))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "axes from %d on of %s are fixed", axis,
                        moire__operand_type(c, 0).text);
  *n = shape->dims[axis];
  return MOIRE_OK;
}

static moire_status points_infer(moire__infer *c, int64_t n) {
  int radices[MOIRE__FFT_MOST_RADICES];
  if (moire__fft_radices(n, radices) >= 0) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%lld points: wanted 1 to %d, without prime factors above 13",
                    (long long)n, MOIRE__FFT_MOST_POINTS);
}

static moire_status results_infer(moire__infer *c) {
  for (int r = 0; r < 2; r++) moire__infer_result(c, r, MOIRE_F32, c->operands[0]->shape);
  return MOIRE_OK;
}

/* ---- reference --------------------------------------------------------------------------------------------
 */

/* One sequence in double: n numbers, the next `stride` apart. */
typedef struct sequence {
  double *re, *im;
  int64_t n, stride;
} sequence;

/* y = scale sum x exp(sign 2 pi i f t / m), f below y.n, t below x.n. */
static void transform(sequence x, sequence y, int64_t m, double sign, double scale) {
  for (int64_t f = 0; f < y.n; f++) {
    double re = 0, im = 0;
    for (int64_t t = 0; t < x.n; t++) {
      double c, s;
      moire__turn(f * t, m, &c, &s);
      s *= sign;
      re += x.re[t * x.stride] * c - x.im[t * x.stride] * s;
      im += x.re[t * x.stride] * s + x.im[t * x.stride] * c;
    }
    y.re[f * y.stride] = scale * re;
    y.im[f * y.stride] = scale * im;
  }
}

/* y = y (c + i s), elementwise. */
static void multiply(sequence y, const moire__tensor *c, const moire__tensor *s) {
  for (int64_t t = 0; t < y.n; t++) {
    double re = y.re[t * y.stride], im = y.im[t * y.stride];
    y.re[t * y.stride] = re * c->re[t] - im * s->re[t];
    y.im[t * y.stride] = re * s->re[t] + im * c->re[t];
  }
}

/* ---- samples ----------------------------------------------------------------------------------------------
 */

static moire_value turns(moire_graph *g, moire__op op, int64_t n) {
  moire_value k = moire_iota(g, MOIRE_SHAPE(n), 0);
  moire__attr attr = moire__attr_make_int("n", n);
  return moire__graph_emit(g, MOIRE_HERE, op, &k, 1, &attr, 1);
}

static bool finish_planes(moire__sampler *s, moire_value y, moire_status expected) {
  if (s->kind == WRONG) return moire__sample_refuse(s, expected);
  if (!moire_value_is_null(y)) moire_output(s->g, "y1", moire__value(s->g, y.id + 1));
  return moire__sample_finish(s, y);
}

/* ---- cfft -------------------------------------------------------------------------------------------------
 */

moire_status moire__cfft_infer(moire__infer *c) {
  int64_t n = 0;
  double scale = 0;
  MOIRE__TRY(planes_infer(c, &n));
  MOIRE__TRY(points_infer(c, n));
  MOIRE__TRY(tables_infer(c, 2, n));
  MOIRE__TRY(moire__infer_real(c, "scale", &scale));
  return results_infer(c);
}

void moire__cfft_reference(moire__reference *c) {
  int64_t outer, n, inner;
  moire__tensor_around(c->operands[0], (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  for (int64_t i = 0; i < outer * inner; i++) {
    int64_t at = i / inner * n * inner + i % inner;
    transform((sequence){c->operands[0]->re + at, c->operands[1]->re + at, n, inner},
              (sequence){c->results[0]->re + at, c->results[1]->re + at, n, inner}, n, -1,
              moire__node_real(c->node, "scale"));
  }
}

bool moire__cfft_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape shape;
    int axis;
    double scale;
    int64_t table;
    moire_status expected;
  } cases[] = {
      {GOOD, S(b, 12), 1, 1, 12, ACCEPTED},
      {GOOD, S(3, 16, 16), 1, 0.25, 16, ACCEPTED},
      {GOOD, S(17, 256), 1, 1.0 / 16, 256, ACCEPTED},
      {GOOD, S(b, 60, 33), 1, 1, 60, ACCEPTED},
      {HARD, S(1), 0, 3, 1, ACCEPTED},
      {HARD, S(2, 13), 1, 1, 13, ACCEPTED},
      {HARD, S(b, 1, 3), 1, 1, 1, ACCEPTED},
      {HARD, S(7, 11, 1), 1, 1, 11, ACCEPTED},
      {HARD, S(19, 105), 1, 1, 105, ACCEPTED},

      {HARD, S(3, 512), 1, 1, 512, ACCEPTED},
      {HARD, S(2, 90, 5), 1, 0.1, 90, ACCEPTED},
      {HARD, S(0, 4), 1, 1, 4, ACCEPTED},
      {HARD, S(2, 4, 0), 1, 1, 4, ACCEPTED},
      {WRONG, S(3, 17), 1, 1, 17, BAD_SHAPE},
      {WRONG, S(3, 4096), 1, 1, 4096, BAD_SHAPE},
      {WRONG, S(3, 4), 1, 1, 5, BAD_SHAPE},
      {WRONG, S(4, b), 0, 1, 4, BAD_SHAPE},
      {WRONG, S(4, 4), 2, 1, 4, BAD_ARGUMENT},
      {WRONG, S(2, 0), 1, 1, 1, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x[4];
  for (int p = 0; p < 2; p++) x[p] = moire__sample_input(s, F32, cases[i].shape, -1, 1);
  x[2] = turns(s->g, MOIRE__OP_cos_turn, cases[i].table);
  x[3] = turns(s->g, MOIRE__OP_sin_turn, cases[i].table);
  moire__attr attrs[] = {moire__attr_make_int("axis", cases[i].axis),
                         moire__attr_make_real("scale", cases[i].scale)};
  return finish_planes(s, moire__sample_emit(s, MOIRE__OP_cfft, x, 4, attrs, 2), cases[i].expected);
}

/* ---- chirp_fft --------------------------------------------------------------------------------------------
 */

moire_status moire__chirp_fft_infer(moire__infer *c) {
  int64_t n = 0, m = 0;
  MOIRE__TRY(planes_infer(c, &n));
  MOIRE__TRY(tables_infer(c, 2, n));
  MOIRE__TRY(moire__infer_rank(c, 4, 1, 1));
  m = c->operands[4]->shape.dims[0];
  MOIRE__TRY(points_infer(c, m));
  MOIRE__TRY(tables_infer(c, 4, m));
  MOIRE__TRY(tables_infer(c, 6, m));
  if (n < 1 || m < n)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "a transform of %lld points by one of %lld", (long long)n,
                      (long long)m);
  return results_infer(c);
}

void moire__chirp_fft_reference(moire__reference *c) {
  const moire__tensor *const *x = c->operands;
  int64_t outer, n, inner, m = x[4]->elements;
  moire__tensor_around(x[0], (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  double *planes[4];
  for (int i = 0; i < 4; i++) planes[i] = moire__arena_array(c->scratch, (size_t)m, sizeof(double));
  for (int64_t i = 0; i < outer * inner; i++) {
    int64_t at = i / inner * n * inner + i % inner;
    sequence a = {planes[0], planes[1], n, 1}, spectrum = {planes[2], planes[3], m, 1};
    sequence y = {c->results[0]->re + at, c->results[1]->re + at, n, inner};
    for (int64_t t = 0; t < n; t++) {
      a.re[t] = x[0]->re[at + t * inner];
      a.im[t] = x[1]->re[at + t * inner];
    }
    multiply(a, x[2], x[3]);
    transform(a, spectrum, m, -1, 1);
    multiply(spectrum, x[4], x[5]);
    transform(spectrum, y, m, 1, 1);
    multiply(y, x[2], x[3]);
  }
}

bool moire__chirp_fft_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape shape;
    int axis;
    int64_t n, m, table;
    moire_status expected;
  } cases[] = {
      {GOOD, S(b, 17), 1, 17, 36, 36, ACCEPTED},      {GOOD, S(3, 19, 16), 1, 19, 40, 40, ACCEPTED},
      {GOOD, S(18, 131), 1, 131, 264, 264, ACCEPTED}, {HARD, S(1), 0, 1, 1, 1, ACCEPTED},
      {HARD, S(5, 3), 1, 3, 5, 5, ACCEPTED},          {HARD, S(b, 16), 1, 16, 16, 16, ACCEPTED},
      {HARD, S(2, 7, 5), 1, 7, 14, 14, ACCEPTED},     {HARD, S(0, 3), 1, 3, 5, 5, ACCEPTED},
      {HARD, S(2, 23, 35), 1, 23, 48, 48, ACCEPTED},  {WRONG, S(2, 3), 1, 3, 17, 17, BAD_SHAPE},
      {WRONG, S(2, 3), 1, 4, 8, 8, BAD_SHAPE},        {WRONG, S(2, 3), 1, 3, 2, 2, BAD_SHAPE},
      {WRONG, S(2, 3), 1, 3, 6, 5, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x[8];
  for (int p = 0; p < 6; p++)
    x[p] = moire__sample_input(s, F32, p < 2 ? cases[i].shape : p < 4 ? S(cases[i].n) : S(cases[i].m), -1, 1);
  x[6] = turns(s->g, MOIRE__OP_cos_turn, cases[i].table);
  x[7] = turns(s->g, MOIRE__OP_sin_turn, cases[i].table);
  moire__attr axis = moire__attr_make_int("axis", cases[i].axis);
  return finish_planes(s, moire__sample_emit(s, MOIRE__OP_chirp_fft, x, 8, &axis, 1), cases[i].expected);
}
