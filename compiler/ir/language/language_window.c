/* The language: windows along an axis, by padding and strided slices. */
#include "compiler/ir/language/language_window.h"

#include <inttypes.h>
#include <stdio.h>

static bool refuse(moire_source at, const char *what, moire_value x, const char *why) {
  moire_shape shape = moire_value_shape(x);
  moire__text text = {0};
  moire__text_add_type(&text, x.graph, moire_value_dtype(x), &shape);
  moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "%s: x is %s", why, moire__text_string(&text));
  moire__text_free(&text);
  return false;
}

bool moire__window_fit(moire_source at, const char *what, moire_value x, int axis, moire__window *w) {
  char why[160];
  moire_dim extent = moire_value_dim(x, axis);
  if (!moire__dim_is_static(extent)) {
    snprintf(why, sizeof why, "axis %d has a named extent", axis);
    return refuse(at, what, x, why);
  }
  if (w->stride < 1 || w->stride > INT32_MAX || w->dilation < 1 || w->dilation > INT32_MAX || w->padding < 0 ||
      w->padding > INT32_MAX || w->taps < 1 || w->taps > INT32_MAX) {
    snprintf(why, sizeof why,
             "kernel %" PRId64 ", stride %" PRId64 ", padding %" PRId64 ", dilation %" PRId64
             ", wanted at least 1, 1, 0, 1 and no more than %d",
             w->taps, w->stride, w->padding, w->dilation, INT32_MAX);
    return refuse(at, what, x, why);
  }
  int64_t padded = extent + 2 * w->padding, reach = (w->taps - 1) * w->dilation + 1;
  if (reach > padded) {
    snprintf(why, sizeof why,
             "the kernel reaches over %" PRId64 " of axis %d, which is %" PRId64 " with padding", reach, axis,
             padded);
    return refuse(at, what, x, why);
  }
  w->places = (padded - reach) / w->stride + 1;
  return true;
}

/* What every place needs, the first `padding` included. A place of one has no step to the next. */
static int64_t step_of(const moire__window *w) { return w->places == 1 ? 1 : w->stride; }
static int64_t needed(const moire__window *w) {
  if (moire__window_is_tiling(w)) return w->places * w->taps;
  return (w->taps - 1) * w->dilation + w->places * step_of(w);
}

bool moire__window_is_tiling(const moire__window *w) {
  return (w->dilation == 1 || w->taps == 1) && (w->places == 1 || w->stride == w->taps);
}

static moire_value extended(moire_source at, moire_value x, int axis, int64_t before, int64_t after,
                            double filler) {
  if (before == 0 && after == 0) return x;
  if (filler == 0) return moire_pad_at(at, x, axis, before, after);
  moire_value parts[3];
  int n = 0;
  moire_shape shape = moire_value_shape(x);
  moire_dtype dtype = moire_value_dtype(x);
  shape.dims[axis] = before;
  if (before) parts[n++] = moire_constant_at(at, x.graph, dtype, shape, filler);
  parts[n++] = x;
  shape.dims[axis] = after;
  if (after) parts[n++] = moire_constant_at(at, x.graph, dtype, shape, filler);
  return moire_concat_at(at, parts, n, axis);
}

moire_value moire__window_pad(moire_source at, moire_value x, int axis, const moire__window *w, double filler) {
  if (moire_value_is_null(x)) return x;
  int64_t after = needed(w) - w->padding - moire_value_dim(x, axis);
  return extended(at, x, axis, w->padding, after > 0 ? after : 0, filler);
}

moire_value moire__window_tap(moire_source at, moire_value padded, int axis, const moire__window *w,
                              int64_t r) {
  return moire_slice_by_at(at, padded, axis, r * w->dilation, w->places, step_of(w));
}

moire_value moire__window_tile(moire_source at, moire_value x, int axis, const moire__window *w) {
  x = moire__window_pad(at, x, axis, w, 0);
  if (moire_value_is_null(x)) return x;
  if (moire_value_dim(x, axis) > needed(w)) x = moire_slice_at(at, x, axis, 0, needed(w));
  moire_shape shape = moire_value_shape(x), tiles = {.rank = shape.rank + 1};
  for (int i = 0; i < tiles.rank; i++) {
    tiles.dims[i] = i < axis        ? shape.dims[i]
                    : i == axis     ? w->places
                    : i == axis + 1 ? w->taps
                                    : shape.dims[i - 1];
  }
  return moire_reshape_at(at, x, tiles);
}
