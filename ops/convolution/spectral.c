/* A convolution of complex numbers along one axis by overlapping windows (overlap-save).
 *
 *   X_f = sum_t x[t] exp(-2 pi i f t / n),   W_f = sum_r w[r] exp(2 pi i f r / n),   Y_f = X_f W_f
 *
 * gives y[t] = sum_r w[r] x[t + r] for the t of a window whose t + r do not run over its end: n - taps + 1 of
 * n. Instead of `taps` products of channels a place takes n / (n - taps + 1); they are one batched product over
 * f. An error is of the size of the largest numbers of a window, as one of a product is of those of a row.
 */
#include "ops/convolution/convolution.h"
#include "ops/convolution/windows.h"
#include "ops/sequence/fft.h"

#include <math.h>

/* Multiply-adds that the transform of a number takes beside the instructions of its passes: memory and turning;
 * and one of x and y themselves. Estimated by 64 to 64 channels of 9 taps with AVX-512. */
static const double PER_NUMBER = 140, DIRECT_PER_NUMBER = 60, MARGIN = 1.2;

static int64_t windows_for(const moire__conv_axis *a, int64_t points) {
  int64_t step = points - a->taps + 1;
  return (a->places + step - 1) / step;
}

/* For a place of the result. */
static double cost_of(const moire__conv *k, int64_t points) {
  const moire__conv_axis *a = &k->axis[0];
  double overlap = (double)(points * windows_for(a, points)) / (double)a->places;
  double numbers = (double)(k->in + k->out);
  return overlap * (3.0 * (double)(k->in * k->out) + (PER_NUMBER + moire__fft_cost(points)) * numbers);
}

static int64_t best_points(const moire__conv *k) {
  enum { MOST = 256 };
  const moire__conv_axis *a = &k->axis[0];
  int64_t least = 2 * (a->taps - 1), best = 0;
  if (least <= a->padding) least = a->padding + 1;
  for (int64_t n = least > 4 ? least : 4; n <= MOST; n++)
    if (moire__fft_cost(n) > 0 && (!best || cost_of(k, n) < cost_of(k, best))) best = n;
  return best;
}

double moire__conv_spectral_cost(const moire__conv *k, moire_dim batch) {
  enum { FEW_ROWS = 16 };
  const moire__conv_axis *a = &k->axis[0];
  if (k->axes != 1 || k->groups != 1 || k->transposed || a->stride != 1 || a->dilation != 1 || a->taps < 2)
    return 0;
  int64_t points = best_points(k);
  if (!points) return 0;
  if (moire__dim_is_static(batch) && batch * windows_for(a, points) < FEW_ROWS) return 0;
  double direct = 3.0 * (double)(k->in * k->out * a->taps) + DIRECT_PER_NUMBER * (double)(k->in + k->out);
  double cost = MARGIN * cost_of(k, points);
  return cost < direct ? cost / direct : 0;
}

/* exp(2 pi i f r / n) as [n, taps] */
static moire_value roots(moire_graph *g, int64_t n, int64_t taps) {
  moire_shape shape = MOIRE_SHAPE(n, taps);
  moire_value k = moire_mul(moire_iota(g, shape, 0), moire_iota(g, shape, 1));
  moire__attr attr = moire__attr_make_int("n", n);
  return moire_complex(moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_cos_turn, &k, 1, &attr, 1),
                       moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_sin_turn, &k, 1, &attr, 1));
}

/* w [out, in, taps] as [n, in, out] */
static moire_value spectrum(const moire__conv *k, moire_value w, int64_t n) {
  static const int reversed[] = {2, 1, 0};
  int64_t taps = k->axis[0].taps;
  moire_value flat = moire_reshape(moire_permute(w, 3, reversed), MOIRE_SHAPE(taps, k->in * k->out));
  return moire_reshape(moire_matmul(roots(w.graph, n, taps), flat), MOIRE_SHAPE(n, k->in, k->out));
}

moire_value moire__conv_spectral(const moire__conv *k, moire_value x, moire_value w) {
  const moire__conv_axis *a = &k->axis[0];
  int64_t n = best_points(k), step = n - a->taps + 1, count = windows_for(a, n);
  moire__windows in = {n, step, n, a->padding, count, k->in, a->size, 1};
  moire__windows out = {n, step, step, 0, count, k->out, a->places, 1.0 / (double)n};
  moire_value planes[2];
  moire__windows_transform(moire_real(x), moire_imag(x), &in, planes);
  moire_dim rows = 0, batch = moire_value_dim(x, 0);
  moire__dim_multiply(batch, count, &rows);
  moire_value all = moire_reshape(moire_complex(planes[0], planes[1]), MOIRE_SHAPE(n, rows, k->in));
  moire_value y = moire_reshape(moire_matmul(all, spectrum(k, w, n)), MOIRE_SHAPE(n, batch, count, k->out));
  moire__windows_join(moire_real(y), moire_imag(y), &out, planes);
  return moire_complex(planes[0], planes[1]);
}
