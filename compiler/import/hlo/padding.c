/* Padding as StableHLO has it: before, behind and between the elements of an axis. See rows.h. */
#include "compiler/import/hlo/rows.h"

static moire_value missing(moire__hlo_call *c, const char *why) {
  moire__refuse(&c->call, "%s", why);
  return moire__null(&c->call);
}

/* n elements of the value along the axis of a tensor like x. */
static moire_value filler(moire__hlo_call *c, moire_value x, moire_value value, int axis, int64_t n) {
  moire_shape shape = moire_value_shape(x);
  shape.dims[axis] = n;
  return moire_broadcast_at(c->call.at, value, shape);
}

static moire_value join(moire__hlo_call *c, const moire_value *parts, int n, int axis) {
  return n == 1 ? parts[0] : moire_concat_at(c->call.at, parts, n, axis);
}

/* Before and behind. */
static moire_value pad_ends(moire__hlo_call *c, moire_value x, moire_value value, bool zero, int axis,
                            int64_t low, int64_t high) {
  if (zero) return low || high ? moire_pad_at(c->call.at, x, axis, low, high) : x;
  moire_value parts[3];
  int n = 0;
  if (low) parts[n++] = filler(c, x, value, axis, low);
  parts[n++] = x;
  if (high) parts[n++] = filler(c, x, value, axis, high);
  return join(c, parts, n, axis);
}

/* Each element and what follows it become a row of an axis of their own; behind the last nothing follows. */
static moire_value pad_inside(moire__hlo_call *c, moire_value x, moire_value value, bool zero, int axis,
                              int64_t inside) {
  int64_t size = moire__fixed(&c->call, x, axis);
  if (size < 2) return x;
  if (moire_value_shape(x).rank == MOIRE_MAX_RANK) return missing(c, "inside of 8 axes is not imported");
  moire_value rows = moire__unsqueeze(&c->call, x, axis + 1);
  rows = pad_ends(c, rows, value, zero, axis + 1, 0, inside);
  rows = moire__merge_axes(&c->call, rows, axis, axis + 1);
  return moire_slice_at(c->call.at, rows, axis, 0, size + (size - 1) * inside);
}

moire_value moire__hlo_pad(moire__hlo_call *c, moire_value x, moire_value value, bool zero, int axis,
                           moire__hlo_padding by) {
  const int64_t most = (int64_t)1 << 40;
  if (moire_value_is_null(x) || moire_value_is_null(value)) return moire__null(&c->call);
  if (by.inside < 0 || by.inside > most || by.low > most || by.high > most || by.low < -most || by.high < -most)
    return missing(c, "sizes of a padding are too large, or negative inside");
  if (by.inside) x = pad_inside(c, x, value, zero, axis, by.inside);
  x = pad_ends(c, x, value, zero, axis, by.low > 0 ? by.low : 0, by.high > 0 ? by.high : 0);
  if (moire_value_is_null(x) || (by.low >= 0 && by.high >= 0)) return x;
  int64_t start = by.low < 0 ? -by.low : 0, cut = start + (by.high < 0 ? -by.high : 0);
  int64_t size = moire__fixed(&c->call, x, axis);
  if (cut > size) return missing(c, "a padding cuts more than there is");
  return moire_slice_at(c->call.at, x, axis, start, size - cut);
}
