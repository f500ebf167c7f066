/* Rows of the table: reductions of windows, axis by axis: a window's slices are combined one after the other.
 */
#include "compiler/import/hlo/rows.h"

#include <math.h>
#include <string.h>

typedef struct windows {
  int64_t size[MOIRE_MAX_RANK], stride[MOIRE_MAX_RANK], spread[MOIRE_MAX_RANK], dilation[MOIRE_MAX_RANK],
      pad[2 * MOIRE_MAX_RANK];
} windows;

/* Running sums or products: windows that begin, or end, with the axis. */
static moire_value running(moire__hlo_call *c, const char *op, moire_value x, int axis, const windows *w) {
  moire_source at = c->call.at;
  int64_t n = moire__fixed(&c->call, x, axis), low = w->pad[2 * axis], high = w->pad[2 * axis + 1];
  moire_dtype dtype = moire_value_dtype(x);
  bool forward = low == n - 1 && high == 0, back = low == 0 && high == n - 1,
       plain = w->size[axis] == n && w->stride[axis] == 1 && w->spread[axis] == 1 && w->dilation[axis] == 1;
  bool sum = !strcmp(op, "stablehlo.add") && dtype != MOIRE_BOOL;
  bool product = !strcmp(op, "stablehlo.multiply") && (dtype == MOIRE_F32 || dtype == MOIRE_C64);
  if (!plain || n < 2 || (!forward && !back) || (!sum && !product)) return moire__null(&c->call);
  if (back) x = moire_flip_at(at, x, axis);
  x = sum ? moire_cumsum_at(at, x, axis) : moire_cumprod_at(at, x, axis);
  return back ? moire_flip_at(at, x, axis) : x;
}

static moire_value combined(moire__hlo_call *c, const char *op, moire_value x, int axis, const windows *w) {
  enum { MOST = 1024 };
  moire_source at = c->call.at;
  int64_t size = moire__fixed(&c->call, x, axis), reach = (w->size[axis] - 1) * w->dilation[axis] + 1;
  if (w->size[axis] > MOST || reach > size) {
    moire__refuse(&c->call, "with windows of %lld over axis %d is not imported", (long long)w->size[axis],
                  axis);
    return moire__null(&c->call);
  }
  int64_t n = (size - reach) / w->stride[axis] + 1;
  moire_value y = moire__null(&c->call);
  for (int64_t k = 0; k < w->size[axis] && !c->call.why; k++) {
    int64_t start = k * w->dilation[axis];
    moire_value part = w->stride[axis] == 1 ? moire_slice_at(at, x, axis, start, n)
                                            : moire_slice_by_at(at, x, axis, start, n, w->stride[axis]);
    y = k ? moire__hlo_combine(c, op, y, part) : part;
  }
  return y;
}

static bool read_windows(moire__hlo_call *c, int rank, windows *w) {
  moire__hlo_numbers(c, "window_dimensions", NULL, rank, 1, w->size);
  moire__hlo_numbers(c, "window_strides", NULL, rank, 1, w->stride);
  moire__hlo_numbers(c, "base_dilations", NULL, rank, 1, w->spread);
  moire__hlo_numbers(c, "window_dilations", NULL, rank, 1, w->dilation);
  moire__hlo_numbers(c, "padding", NULL, 2 * rank, 0, w->pad);
  for (int i = 0; i < rank; i++) {
    bool good = w->size[i] >= 1 && w->stride[i] >= 1 && w->spread[i] >= 1 && w->dilation[i] >= 1 &&
                w->dilation[i] < (int64_t)1 << 31;
    if (!good) moire__refuse(&c->call, "wanted windows, steps and dilations of at least 1");
  }
  return !c->call.why;
}

/* What changes nothing by the operation. */
static double neutral(const char *op, moire_dtype dtype) {
  bool whole = dtype == MOIRE_I32, boolean = dtype == MOIRE_BOOL;
  if (!strcmp(op, "stablehlo.add") || !strcmp(op, "stablehlo.or")) return 0;
  if (!strcmp(op, "stablehlo.multiply") || !strcmp(op, "stablehlo.and")) return 1;
  if (!strcmp(op, "stablehlo.maximum")) return whole ? -0x1p31 : boolean ? 0 : -INFINITY;
  return whole ? 0x1p31 - 1 : boolean ? 1 : INFINITY;
}

static void reduce_window(moire__hlo_call *c) {
  windows w;
  moire_value x = moire__hlo_operand(c, 0), init = moire__hlo_operand(c, 1);
  double number = (double)NAN;
  if (c->n_operands != 2) moire__refuse(&c->call, "of several operands at once is not imported");
  const char *op = c->op->n_regions == 1 ? moire__hlo_combiner(c, &c->op->regions[0]) : NULL;
  if (!op)
    moire__refuse(&c->call, "by this body is not imported; by add, multiply, maximum, minimum, and, or it is");
  if (c->call.why) return;
  moire_dtype dtype = moire_value_dtype(x);
  int rank = moire_value_shape(x).rank;
  bool known = moire__hlo_is_uniform(c, 1, &number) && number == neutral(op, dtype);
  if (!known) moire__refuse(&c->call, "from an initial value that changes the result is not imported");
  if (c->call.why || !read_windows(c, rank, &w)) return;
  for (int i = 0; i < rank && !c->call.why; i++) {
    if (w.size[i] == 1 && w.stride[i] == 1 && !w.pad[2 * i] && !w.pad[2 * i + 1] && w.spread[i] == 1) continue;
    moire_value y = running(c, op, x, i, &w);
    if (moire_value_is_null(y) && !c->call.why) {
      y = moire__hlo_pad(c, x, init, number == 0, i,
                         (moire__hlo_padding){w.pad[2 * i], w.pad[2 * i + 1], w.spread[i] - 1});
      y = c->call.why ? y : combined(c, op, y, i, &w);
    }
    if (moire_value_is_null(y)) moire__refuse(&c->call, "by %s of this type is not imported", op);
    x = y;
  }
  moire__give(&c->call, x);
}

const moire__hlo_row moire__hlo_rows_window[] = {{"stablehlo.reduce_window", reduce_window}, {NULL, NULL}};
