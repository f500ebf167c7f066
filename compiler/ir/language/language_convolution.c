/* The language: convolutions over one and two axes, by PyTorch's layouts, as one product each.
 *
 * x [B, C, S..] becomes rows [B, O.., taps C]: channels innermost, so that every tap is a slice of whole rows
 * of C, and the taps of a place one after the other. The axes are unfolded one at a time, from the last to the
 * first: kh + kw slices instead of kh kw. A `linear` with the weights in the same order is the convolution, and
 * its gradients are those of the pieces. With groups, these are the first axis of a batched product.
 */
#include "compiler/ir/language/language_window.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST_AXES = 2 };

typedef struct convolution {
  moire_source at;
  const char *what;
  int axes;
  moire__window windows[MOST_AXES];
  int64_t groups, in, out; /* channels of a group */
} convolution;

/* ---- what does not fit ----------------------------------------------------------------------------------- */

static bool refuse(const convolution *c, const char *why, moire_value x, moire_value w) {
  moire__refuse_pair(c->at, c->what, MOIRE_ERROR_SHAPE, why, "x", x, "w", w);
  return false;
}

/* Weights [to, from / groups, k..] of `from` channels; transposed ones have the roles exchanged. */
static bool channels_fit(convolution *c, moire_value x, moire_value w, moire_value bias, bool transposed) {
  char why[160];
  moire_shape shape = moire_value_shape(w);
  if (moire_value_shape(x).rank != c->axes + 2 || shape.rank != c->axes + 2) {
    snprintf(why, sizeof why, "wanted values of %d axes", c->axes + 2);
    return refuse(c, why, x, w);
  }
  moire_dim channels = moire_value_dim(x, 1);
  bool fixed = moire__dim_is_static(channels);
  for (int i = 0; i < shape.rank; i++)
    fixed = fixed && moire__dim_is_static(shape.dims[i]) && shape.dims[i] > 0;
  if (!fixed) return refuse(c, "wanted fixed extents of channels and weights", x, w);
  if (c->groups < 1 || channels % c->groups || shape.dims[0] % c->groups) {
    snprintf(why, sizeof why, "the channels do not divide into %" PRId64 " groups", c->groups);
    return refuse(c, why, x, w);
  }
  c->in = channels / c->groups;
  c->out = transposed ? shape.dims[1] : shape.dims[0] / c->groups;
  moire_dim wanted = transposed ? channels : c->in, there = transposed ? shape.dims[0] : shape.dims[1];
  if (wanted != there) {
    snprintf(why, sizeof why, "wanted x with %" PRId64 " channels",
             transposed ? shape.dims[0] : shape.dims[1] * c->groups);
    return refuse(c, why, x, w);
  }
  if (bias.graph && (moire_value_shape(bias).rank != 1 || moire_value_dim(bias, 0) != c->groups * c->out)) {
    snprintf(why, sizeof why, "wanted a bias of [%" PRId64 "]", c->groups * c->out);
    moire__refuse_pair(c->at, c->what, MOIRE_ERROR_SHAPE, why, "w", w, "bias", bias);
    return false;
  }
  return true;
}

static bool is_null(moire_value x, moire_value w, moire_value bias) {
  return moire_value_is_null(x) || moire_value_is_null(w) || (bias.graph && moire_value_is_null(bias));
}

/* ---- layouts --------------------------------------------------------------------------------------------- */

/* x [B, C, S..] as [groups, B, S.., C / groups]; of one group as [B, S.., C]. */
static moire_value channels_last(const convolution *c, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  int axes[MOIRE_MAX_RANK], n = 0;
  bool grouped = c->groups > 1;
  if (grouped) {
    moire_shape split = {.rank = shape.rank + 1};
    for (int i = 0; i < split.rank; i++)
      split.dims[i] = i == 0 ? shape.dims[0] : i == 1 ? c->groups : i == 2 ? c->in : shape.dims[i - 1];
    x = moire_reshape_at(c->at, x, split);
    axes[n++] = 1;
  }
  axes[n++] = 0;
  for (int i = 0; i < c->axes; i++) axes[n++] = i + 2 + grouped;
  axes[n++] = 1 + grouped;
  return moire_permute_at(c->at, x, n, axes);
}

/* [groups, B, S.., out] (of one group [B, S.., out]) as [B, groups out, S..] */
static moire_value channels_first(const convolution *c, moire_value y) {
  int axes[MOIRE_MAX_RANK], n = 0, first = c->groups > 1;
  axes[n++] = first;
  if (first) axes[n++] = 0;
  axes[n++] = c->axes + 1 + first;
  for (int i = 0; i < c->axes; i++) axes[n++] = i + 1 + first;
  y = moire_permute_at(c->at, y, n, axes);
  if (!first) return y;
  moire_shape split = moire_value_shape(y), shape = {.rank = split.rank - 1};
  for (int i = 0; i < shape.rank; i++)
    shape.dims[i] = i == 0 ? split.dims[0] : i == 1 ? c->groups * c->out : split.dims[i + 1];
  return moire_reshape_at(c->at, y, shape);
}

/* a [groups, .., K] by b [groups, K, N], as [groups, .., N] */
static moire_value grouped_product(const convolution *c, moire_value a, moire_value b) {
  if (is_null(a, b, (moire_value){0})) return moire__null_like(a, b);
  moire_shape shape = moire_value_shape(a);
  int last = shape.rank - 1;
  moire_dim rows = 1;
  for (int i = 1; i < last; i++) {
    if (!moire__dim_multiply(rows, shape.dims[i], &rows)) {
      refuse(c, "more places than an extent can count", a, b);
      return moire__null_like(a, b);
    }
  }
  a = moire_reshape_at(c->at, a, MOIRE_SHAPE(c->groups, rows, shape.dims[last]));
  shape.dims[last] = moire_value_dim(b, 2);
  return moire_reshape_at(c->at, moire_matmul_at(c->at, a, b), shape);
}

static moire_value add_bias(const convolution *c, moire_value y, moire_value bias) {
  if (!bias.graph) return y;
  moire_shape column = {.rank = c->axes + 1, .dims = {c->groups * c->out, 1, 1}};
  return moire_add_at(c->at, y, moire_reshape_at(c->at, bias, column));
}

/* ---- convolution ----------------------------------------------------------------------------------------- */

/* x with the zeros that its windows need, along all axes at once: so one value has all taps as slices. */
static moire_value pad_all(const convolution *c, moire_value x) {
  int first = 1 + (c->groups > 1);
  for (int i = 0; i < c->axes; i++) {
    const moire__window *w = &c->windows[i];
    if (!moire__window_is_tiling(w) || i < c->axes - 1) x = moire__window_pad(c->at, x, first + i, w, 0);
  }
  return x;
}

/* x [.., n, .., features], padded unless its windows are tiles, as [.., places, .., taps features] */
static moire_value unfold(const convolution *c, moire_value x, int axis, const moire__window *w) {
  if (moire_value_is_null(x)) return x;
  moire_shape shape = moire_value_shape(x);
  const int last = shape.rank - 1;
  if (moire__window_is_tiling(w) && axis == last - 1) {
    shape.dims[axis] = w->places;
    shape.dims[last] *= w->taps;
    return moire_reshape_at(c->at, moire__window_tile(c->at, x, axis, w), shape);
  }
  moire_value *taps = moire__arena_array(&x.graph->arena, (size_t)w->taps, sizeof *taps);
  for (int64_t r = 0; r < w->taps; r++) taps[r] = moire__window_tap(c->at, x, axis, w, r);
  return w->taps == 1 ? taps[0] : moire_concat_at(c->at, taps, (int)w->taps, last);
}

/* w [out, in, k..] as [out, taps in] */
static moire_value taps_first(const convolution *c, moire_value w) {
  static const int orders[][MOST_AXES + 2] = {{0, 2, 1}, {0, 2, 3, 1}};
  int64_t row = c->in;
  for (int i = 0; i < c->axes; i++) row *= c->windows[i].taps;
  w = moire_permute_at(c->at, w, c->axes + 2, orders[c->axes - 1]);
  return moire_reshape_at(c->at, w, MOIRE_SHAPE(c->groups * c->out, row));
}

static moire_value convolve(convolution *c, moire_value x, moire_value w, moire_value bias) {
  if (is_null(x, w, bias)) return moire__null_like(x, w);
  if (!channels_fit(c, x, w, bias, false)) return moire__null_like(x, w);
  for (int i = 0; i < c->axes; i++) {
    c->windows[i].taps = moire_value_dim(w, i + 2);
    if (!moire__window_fit(c->at, c->what, x, i + 2, &c->windows[i])) return moire__null_like(x, w);
  }
  x = pad_all(c, channels_last(c, x));
  for (int i = c->axes - 1; i >= 0; i--) x = unfold(c, x, i + 1 + (c->groups > 1), &c->windows[i]);
  w = taps_first(c, w);
  if (is_null(x, w, bias)) return moire__null_like(x, w);
  if (c->groups == 1) return channels_first(c, moire_linear_at(c->at, x, w, bias));
  w = moire_reshape_at(c->at, w, MOIRE_SHAPE(c->groups, c->out, moire_value_dim(w, 1)));
  return add_bias(c, channels_first(c, grouped_product(c, x, moire_swap_axes_at(c->at, w, 1, 2))), bias);
}

moire_value moire_conv1d_at(moire_source at, moire_value x, moire_value w, moire_value bias, int64_t stride,
                            int64_t padding, int64_t dilation, int64_t groups) {
  convolution c = {.at = at, .what = "conv1d", .axes = 1, .groups = groups};
  c.windows[0] = (moire__window){.stride = stride, .padding = padding, .dilation = dilation};
  return convolve(&c, x, w, bias);
}

moire_value moire_conv2d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                            const int64_t *stride, const int64_t *padding, const int64_t *dilation,
                            int64_t groups) {
  convolution c = {.at = at, .what = "conv2d", .axes = 2, .groups = groups};
  for (int i = 0; i < 2; i++) {
    c.windows[i] = (moire__window){.stride = stride ? stride[i] : 1,
                                   .padding = padding ? padding[i] : 0,
                                   .dilation = dilation ? dilation[i] : 1};
  }
  return convolve(&c, x, w, bias);
}

/* ---- transposed ------------------------------------------------------------------------------------------ */

/* Where the taps of a transposed convolution go: tap r of place t to t stride + r dilation - padding. */
typedef struct spread {
  int64_t places, taps, stride, padding, dilation, length;
} spread;

static bool spread_fits(const convolution *c, moire_value x, moire_value w, int64_t output_padding, spread *s) {
  char why[200];
  const int64_t most = INT32_MAX;
  if (!moire__dim_is_static(moire_value_dim(x, 2))) return refuse(c, "wanted a fixed length", x, w);
  s->places = moire_value_dim(x, 2);
  if (s->places < 1 || s->places > most || s->taps > most)
    return refuse(c, "wanted 1 to 2^31 - 1 places", x, w);
  if (s->stride < 1 || s->stride > most || s->dilation < 1 || s->dilation > most || s->padding < 0 ||
      s->padding > most || output_padding < 0 ||
      (output_padding >= s->stride && output_padding >= s->dilation)) {
    snprintf(why, sizeof why,
             "stride %" PRId64 ", padding %" PRId64 ", output_padding %" PRId64 ", dilation %" PRId64
             ", wanted at least 1, 0, 0, 1, and output_padding below stride or dilation",
             s->stride, s->padding, output_padding, s->dilation);
    return refuse(c, why, x, w);
  }
  s->length = (s->places - 1) * s->stride - 2 * s->padding + s->dilation * (s->taps - 1) + output_padding + 1;
  return s->length >= 1 || refuse(c, "the padding leaves nothing of the result", x, w);
}

/* y [.., places, taps out]: what falls on the same place is added up, [.., length, out]. */
static moire_value fold(const convolution *c, moire_value y, int axis, const spread *s) {
  if (moire_value_is_null(y)) return y;
  moire_shape shape = moire_value_shape(y), gaps = {.rank = shape.rank + 1};
  const int64_t end = s->padding + s->length, step = s->places * s->stride;
  int64_t there = step + s->dilation * (s->taps - 1);
  shape.dims[axis] = step;
  shape.dims[axis + 1] = c->out;
  if (s->stride == s->taps && s->dilation == 1) { /* side by side */
    y = moire_reshape_at(c->at, y, shape);
    there = step;
  } else {
    for (int i = 0; i < axis; i++) gaps.dims[i] = shape.dims[i];
    gaps.dims[axis] = s->places;
    gaps.dims[axis + 1] = 1;
    gaps.dims[axis + 2] = c->out;
    moire_value sum = {0};
    for (int64_t r = 0; r < s->taps; r++) {
      moire_value tap = moire_slice_at(c->at, y, axis + 1, r * c->out, c->out);
      if (s->stride > 1) {
        tap = moire_pad_at(c->at, moire_reshape_at(c->at, tap, gaps), axis + 1, 0, s->stride - 1);
        tap = moire_reshape_at(c->at, tap, shape);
      }
      if (there > step) tap = moire_pad_at(c->at, tap, axis, r * s->dilation, there - step - r * s->dilation);
      sum = r ? moire_add_at(c->at, sum, tap) : tap;
    }
    y = sum;
  }
  if (there < end) y = moire_pad_at(c->at, y, axis, 0, end - there);
  return moire_slice_at(c->at, y, axis, s->padding, s->length);
}

moire_value moire_conv_transpose1d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                                      int64_t stride, int64_t padding, int64_t output_padding, int64_t groups,
                                      int64_t dilation) {
  convolution c = {.at = at, .what = "conv_transpose1d", .axes = 1, .groups = groups};
  if (is_null(x, w, bias)) return moire__null_like(x, w);
  if (!channels_fit(&c, x, w, bias, true)) return moire__null_like(x, w);
  spread s = {.taps = moire_value_dim(w, 2), .stride = stride, .padding = padding, .dilation = dilation};
  if (!spread_fits(&c, x, w, output_padding, &s)) return moire__null_like(x, w);
  x = channels_last(&c, x);
  w = moire_swap_axes_at(at, w, 1, 2); /* [in, taps, out] */
  moire_value y = {0};
  if (groups == 1) {
    y = moire_matmul_at(at, x, moire_reshape_at(at, w, MOIRE_SHAPE(c.in, s.taps * c.out)));
  } else {
    y = grouped_product(&c, x, moire_reshape_at(at, w, MOIRE_SHAPE(groups, c.in, s.taps * c.out)));
  }
  y = fold(&c, y, 1 + (groups > 1), &s);
  if (moire_value_is_null(y)) return moire__null_like(x, w);
  return add_bias(&c, channels_first(&c, y), bias);
}
