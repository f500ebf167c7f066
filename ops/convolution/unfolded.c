/* Convolutions as one product each, whose operand has the taps of a place one after the other.
 *
 * x [B, C, S..] becomes rows [B, O.., taps C]: channels innermost, so that every tap is a slice of whole rows
 * of C. The axes are unfolded one at a time, from the last to the first: kh + kw slices instead of kh kw. A
 * `linear` with the weights in the same order is the convolution, and its gradients are those of the pieces.
 * With groups, these are the first axis of a batched product. A transposed one is the product with all taps,
 * which are then folded: what falls on the same place is added up.
 */
#include "ops/convolution/convolution.h"

#include "compiler/ir/language/language_window.h"

/* ---- layouts --------------------------------------------------------------------------------------------- */

/* x [B, C, S..] as [groups, B, S.., C / groups]; of one group as [B, S.., C]. */
static moire_value channels_last(const moire__conv *c, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  int axes[MOIRE_MAX_RANK], n = 0;
  bool grouped = c->groups > 1;
  if (grouped) {
    moire_shape split = {.rank = shape.rank + 1};
    for (int i = 0; i < split.rank; i++)
      split.dims[i] = i == 0 ? shape.dims[0] : i == 1 ? c->groups : i == 2 ? c->in : shape.dims[i - 1];
    x = moire_reshape(x, split);
    axes[n++] = 1;
  }
  axes[n++] = 0;
  for (int i = 0; i < c->axes; i++) axes[n++] = i + 2 + grouped;
  axes[n++] = 1 + grouped;
  return moire_permute(x, n, axes);
}

/* [groups, B, S.., out] (of one group [B, S.., out]) as [B, groups out, S..] */
static moire_value channels_first(const moire__conv *c, moire_value y) {
  int axes[MOIRE_MAX_RANK], n = 0, first = c->groups > 1;
  axes[n++] = first;
  if (first) axes[n++] = 0;
  axes[n++] = c->axes + 1 + first;
  for (int i = 0; i < c->axes; i++) axes[n++] = i + 1 + first;
  y = moire_permute(y, n, axes);
  if (!first) return y;
  moire_shape split = moire_value_shape(y), shape = {.rank = split.rank - 1};
  for (int i = 0; i < shape.rank; i++)
    shape.dims[i] = i == 0 ? split.dims[0] : i == 1 ? c->groups * c->out : split.dims[i + 1];
  return moire_reshape(y, shape);
}

/* a [groups, .., K] by b [groups, K, N], as [groups, .., N] */
static moire_value grouped_product(const moire__conv *c, moire_value a, moire_value b) {
  moire_shape shape = moire_value_shape(a);
  int last = shape.rank - 1;
  moire_dim rows = 1;
  for (int i = 1; i < last; i++) moire__dim_multiply(rows, shape.dims[i], &rows);
  a = moire_reshape(a, MOIRE_SHAPE(c->groups, rows, shape.dims[last]));
  shape.dims[last] = moire_value_dim(b, 2);
  return moire_reshape(moire_matmul(a, b), shape);
}

/* ---- windows --------------------------------------------------------------------------------------------- */

static moire__window window_of(const moire__conv_axis *a) {
  return (moire__window){a->taps, a->stride, a->padding, a->dilation, a->places};
}

/* x with the zeros that its windows need, along all axes at once: so one value has all taps as slices. */
static moire_value pad_all(const moire__conv *c, moire_value x) {
  int first = 1 + (c->groups > 1);
  for (int i = 0; i < c->axes; i++) {
    moire__window w = window_of(&c->axis[i]);
    if (!moire__window_is_tiling(&w) || i < c->axes - 1) x = moire__window_pad(MOIRE_HERE, x, first + i, &w, 0);
  }
  return x;
}

/* x [.., n, .., features], padded unless its windows are tiles, as [.., places, .., taps features] */
static moire_value unfold(moire_value x, int axis, const moire__window *w) {
  if (moire_value_is_null(x)) return x;
  moire_shape shape = moire_value_shape(x);
  const int last = shape.rank - 1;
  if (moire__window_is_tiling(w) && axis == last - 1) {
    shape.dims[axis] = w->places;
    shape.dims[last] *= w->taps;
    return moire_reshape(moire__window_tile(MOIRE_HERE, x, axis, w), shape);
  }
  moire_value *taps = moire__arena_array(&x.graph->arena, (size_t)w->taps, sizeof *taps);
  for (int64_t r = 0; r < w->taps; r++) taps[r] = moire__window_tap(MOIRE_HERE, x, axis, w, r);
  return w->taps == 1 ? taps[0] : moire_concat(taps, (int)w->taps, last);
}

/* w [out, in, k..] as [out, taps in] */
static moire_value taps_first(const moire__conv *c, moire_value w) {
  static const int orders[][4] = {{0, 2, 1}, {0, 2, 3, 1}};
  int64_t row = c->in;
  for (int i = 0; i < c->axes; i++) row *= c->axis[i].taps;
  w = moire_permute(w, c->axes + 2, orders[c->axes - 1]);
  return moire_reshape(w, MOIRE_SHAPE(c->groups * c->out, row));
}

moire_value moire__conv_unfolded(const moire__conv *c, moire_value x, moire_value w) {
  x = pad_all(c, channels_last(c, x));
  for (int i = c->axes - 1; i >= 0; i--) {
    moire__window window = window_of(&c->axis[i]);
    x = unfold(x, i + 1 + (c->groups > 1), &window);
  }
  w = taps_first(c, w);
  if (c->groups == 1) return channels_first(c, moire_linear(x, w, (moire_value){0}));
  w = moire_reshape(w, MOIRE_SHAPE(c->groups, c->out, moire_value_dim(w, 1)));
  return channels_first(c, grouped_product(c, x, moire_swap_axes(w, 1, 2)));
}

/* ---- transposed ------------------------------------------------------------------------------------------ */

/* y [.., places, .., taps features]: what falls on the same place is added up, [.., length, .., features]. */
static moire_value fold(moire_value y, int axis, const moire__conv_axis *a) {
  if (moire_value_is_null(y)) return y;
  moire_shape shape = moire_value_shape(y), gaps = {.rank = shape.rank + 1};
  const int last = shape.rank - 1;
  const int64_t features = shape.dims[last] / a->taps, end = a->padding + a->places, step = a->size * a->stride;
  int64_t there = step + a->dilation * (a->taps - 1);
  shape.dims[axis] = step;
  shape.dims[last] = features;
  if (a->stride == a->taps && a->dilation == 1 && axis == last - 1) { /* side by side */
    y = moire_reshape(y, shape);
    there = step;
  } else {
    for (int i = 0; i < gaps.rank; i++)
      gaps.dims[i] = i < axis ? shape.dims[i] : i == axis ? a->size : i == axis + 1 ? 1 : shape.dims[i - 1];
    moire_value sum = {0};
    for (int64_t r = 0; r < a->taps; r++) {
      moire_value tap = moire_slice(y, last, r * features, features);
      if (a->stride > 1) {
        tap = moire_pad(moire_reshape(tap, gaps), axis + 1, 0, a->stride - 1);
        tap = moire_reshape(tap, shape);
      }
      if (there > step) tap = moire_pad(tap, axis, r * a->dilation, there - step - r * a->dilation);
      sum = r ? moire_add(sum, tap) : tap;
    }
    y = sum;
  }
  if (there < end) y = moire_pad(y, axis, 0, end - there);
  return moire_slice(y, axis, a->padding, a->places);
}

/* w [in, out, kh, kw] as [in, kw, kh, out], w [in, out, k] as [in, k, out]. */
moire_value moire__conv_folded(const moire__conv *c, moire_value x, moire_value w) {
  static const int orders[][4] = {{0, 2, 1}, {0, 3, 2, 1}};
  int64_t row = c->out;
  for (int i = 0; i < c->axes; i++) row *= c->axis[i].taps;
  x = channels_last(c, x);
  w = moire_permute(w, c->axes + 2, orders[c->axes - 1]);
  moire_value y;
  if (c->groups == 1)
    y = moire_matmul(x, moire_reshape(w, MOIRE_SHAPE(c->in, row)));
  else
    y = grouped_product(c, x, moire_reshape(w, MOIRE_SHAPE(c->groups, c->in, row)));
  for (int i = c->axes - 1; i >= 0; i--) y = fold(y, i + 1 + (c->groups > 1), &c->axis[i]);
  return channels_first(c, y);
}
