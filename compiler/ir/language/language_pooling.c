/* The language: pooling over the last one or two axes, one after the other, from the last to the first: what a
 * window of two axes gives is what windows of its rows give, seen by a window of its columns.
 */
#include "compiler/ir/language/language_window.h"

#include <math.h>

enum { MOST_AXES = 2 };

typedef struct pooling {
  moire_source at;
  const char *what;
  int axes;
  moire__window windows[MOST_AXES];
} pooling;

static pooling pooling_of(moire_source at, const char *what, int axes, const int64_t *kernel,
                          const int64_t *stride, const int64_t *padding) {
  pooling p = {.at = at, .what = what, .axes = axes};
  for (int i = 0; i < axes; i++) {
    p.windows[i] = (moire__window){.taps = kernel[i],
                                   .stride = stride ? stride[i] : kernel[i],
                                   .padding = padding ? padding[i] : 0,
                                   .dilation = 1};
  }
  return p;
}

/* [B, C, S..] with windows of which none lies in the padding alone. */
static bool fits(pooling *p, moire_value x) {
  if (moire_value_is_null(x)) return false;
  if (moire_value_shape(x).rank != p->axes + 2) {
    moire__graph_fail_at(x.graph, p->at, p->what, MOIRE_ERROR_SHAPE, "x has %d axes, wanted %d",
                         moire_value_shape(x).rank, p->axes + 2);
    return false;
  }
  for (int i = 0; i < p->axes; i++) {
    moire__window *w = &p->windows[i];
    if (!moire__window_fit(p->at, p->what, x, i + 2, w)) return false;
    if (w->padding > w->taps / 2) {
      moire__graph_fail_at(x.graph, p->at, p->what, MOIRE_ERROR_ARGUMENT,
                           "a padding of %lld is more than half of a kernel of %lld", (long long)w->padding,
                           (long long)w->taps);
      return false;
    }
  }
  return true;
}

/* ---- averages -------------------------------------------------------------------------------------------- */

static moire_value window_sum(moire_source at, moire_value x, int axis, const moire__window *w) {
  if (moire__window_is_tiling(w)) return moire_sum_at(at, moire__window_tile(at, x, axis, w), axis + 1, false);
  moire_value padded = moire__window_pad(at, x, axis, w, 0), y = moire__window_tap(at, padded, axis, w, 0);
  for (int64_t r = 1; r < w->taps; r++) y = moire_add_at(at, y, moire__window_tap(at, padded, axis, w, r));
  return y;
}

static moire_value average(pooling p, moire_value x) {
  if (!fits(&p, x)) return moire__null_like(x, x);
  double taps = 1;
  for (int i = p.axes - 1; i >= 0; i--) {
    x = window_sum(p.at, x, i + 2, &p.windows[i]);
    taps *= (double)p.windows[i].taps;
  }
  return moire_scale_at(p.at, x, 1 / taps);
}

moire_value moire_avg_pool1d_at(moire_source at, moire_value x, int64_t kernel, int64_t stride,
                                int64_t padding) {
  return average(pooling_of(at, "avg_pool1d", 1, &kernel, &stride, &padding), x);
}

moire_value moire_avg_pool2d_at(moire_source at, moire_value x, const int64_t *kernel, const int64_t *stride,
                                const int64_t *padding) {
  return average(pooling_of(at, "avg_pool2d", 2, kernel, stride, padding), x);
}

/* ---- maxima ---------------------------------------------------------------------------------------------- */

/* The gradient goes to the first of equals: max_of sends it to its first operand. */
static moire_value window_max(moire_source at, moire_value x, int axis, const moire__window *w) {
  moire_value padded = moire__window_pad(at, x, axis, w, -INFINITY),
              y = moire__window_tap(at, padded, axis, w, 0);
  for (int64_t r = 1; r < w->taps; r++) y = moire_max_of_at(at, y, moire__window_tap(at, padded, axis, w, r));
  return y;
}

static moire_value maximum(pooling p, moire_value x) {
  if (!fits(&p, x)) return moire__null_like(x, x);
  if (!moire__dtype_is_float(moire_value_dtype(x))) {
    moire__graph_fail_at(x.graph, p.at, p.what, MOIRE_ERROR_TYPE, "wanted f32 or f64");
    return moire__null_like(x, x);
  }
  for (int i = p.axes - 1; i >= 0; i--) x = window_max(p.at, x, i + 2, &p.windows[i]);
  return x;
}

moire_value moire_max_pool1d_at(moire_source at, moire_value x, int64_t kernel, int64_t stride,
                                int64_t padding) {
  return maximum(pooling_of(at, "max_pool1d", 1, &kernel, &stride, &padding), x);
}

moire_value moire_max_pool2d_at(moire_source at, moire_value x, const int64_t *kernel, const int64_t *stride,
                                const int64_t *padding) {
  return maximum(pooling_of(at, "max_pool2d", 2, kernel, stride, padding), x);
}
