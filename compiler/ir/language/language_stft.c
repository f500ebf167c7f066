/* The language: the short-time Fourier transform, in terms of slices, products and fft.
 *
 * A frame is ceil(n / hop) rows of x seen as [rows, hop], so that all frames are as many slices of it, side by
 * side: no frame is copied by itself, and gradients are sums of the slices again.
 */
#include "compiler/ir/language/language.h"

#include <math.h>

enum { MOST_PARTS = 64 }; /* of one concatenation */

typedef struct stft {
  moire_source at;
  int64_t n, hop, frames;
} stft;

static moire_value refuse(moire_source at, moire_value x, const char *sentence, int64_t number, int64_t limit) {
  moire__graph_fail_at(x.graph, at, "stft", MOIRE_ERROR_ARGUMENT, sentence, (long long)number,
                       (long long)limit);
  return moire__null_like(x, x);
}

/* x [B, L] with n / 2 reflected points at each end: the ends themselves are not repeated. */
static moire_value reflected(const stft *s, moire_value x) {
  int64_t length = moire_value_dim(x, 1), more = s->n / 2;
  if (!more) return x;
  moire_value parts[] = {moire_flip_at(s->at, moire_slice_at(s->at, x, 1, 1, more), 1), x,
                         moire_flip_at(s->at, moire_slice_at(s->at, x, 1, length - 1 - more, more), 1)};
  return moire_concat_at(s->at, parts, 3, 1);
}

/* [B, L] -> [B, frames, n]. */
static moire_value framed(const stft *s, moire_value x) {
  int64_t parts = (s->n + s->hop - 1) / s->hop, rows = s->frames - 1 + parts, have = moire_value_dim(x, 1);
  if (have > rows * s->hop) x = moire_slice_at(s->at, x, 1, 0, rows * s->hop);
  if (have < rows * s->hop) x = moire_pad_at(s->at, x, 1, 0, rows * s->hop - have);
  if (moire_value_is_null(x)) return x;
  x = moire_reshape_at(s->at, x, MOIRE_SHAPE(moire_value_shape(x).dims[0], rows, s->hop));
  moire_value all = x;
  for (int64_t first = 0; first < parts; first += MOST_PARTS - 1) {
    moire_value part[MOST_PARTS];
    int n = 0;
    if (first) part[n++] = all;
    for (int64_t i = first; i < parts && i < first + MOST_PARTS - 1; i++)
      part[n++] = moire_slice_at(s->at, x, 1, i, s->frames);
    all = moire_concat_at(s->at, part, n, 2);
  }
  return moire_slice_at(s->at, all, 2, 0, s->n);
}

/* The window with zeros on both sides, [n]; null: ones. */
static moire_value window_of(const stft *s, moire_value x, const moire_stft_options *o) {
  int64_t length = o->win_length ? o->win_length : s->n, before = (s->n - length) / 2;
  moire_value window = o->window;
  if (moire_value_is_null(window)) {
    if (length == s->n) return window;
    window = moire_constant_at(s->at, x.graph, MOIRE_F32, MOIRE_SHAPE(length), 1);
  }
  moire_shape shape = moire_value_shape(window);
  if (shape.rank != 1 || shape.dims[0] != length)
    return refuse(s->at, x, "the window is no vector of win_length %lld, at most n_fft %lld", length, s->n);
  return moire_pad_at(s->at, window, 0, before, s->n - length - before);
}

static moire_value transformed(const stft *s, moire_value x, bool onesided, bool normalized) {
  if (!onesided) return moire_fft_at(s->at, x, 2, normalized ? MOIRE_NORM_ORTHO : MOIRE_NORM_BACKWARD);
  moire_value y = moire_rfft_at(s->at, x, 2);
  return normalized ? y : moire_scale_at(s->at, y, sqrt((double)s->n));
}

moire_value moire_stft_at(moire_source at, moire_value x, moire_stft_options o) {
  if (moire_value_is_null(x)) return x;
  stft s = {.at = at, .n = o.n_fft, .hop = o.hop_length ? o.hop_length : o.n_fft / 4};
  moire_shape shape = moire_value_shape(x);
  if (shape.rank < 1 || shape.rank > 2 || !moire__dim_is_static(shape.dims[shape.rank - 1])) {
    moire__graph_fail_at(x.graph, at, "stft", MOIRE_ERROR_SHAPE, "x is [L] or [B, L] of a fixed length L");
    return moire__null_like(x, x);
  }
  int64_t length = shape.dims[shape.rank - 1], whole = length + (o.center ? s.n / 2 * 2 : 0);
  if (s.n < 1 || s.n > whole || (o.center && s.n / 2 >= length))
    return refuse(at, x, "n_fft is %lld, for %lld points", s.n, length);
  if (s.hop < 1) return refuse(at, x, "hop_length is %lld, at least %lld", s.hop, 1);
  if (o.win_length < 0 || o.win_length > s.n)
    return refuse(at, x, "win_length is %lld, at most n_fft %lld", o.win_length, s.n);
  bool complex = moire__is_complex(x) || (!moire_value_is_null(o.window) && moire__is_complex(o.window));
  if (complex && o.onesided) {
    moire__graph_fail_at(x.graph, at, "stft", MOIRE_ERROR_TYPE, "onesided is for a real x and a real window");
    return moire__null_like(x, x);
  }
  s.frames = (whole - s.n) / s.hop + 1;
  if (shape.rank == 1) x = moire_reshape_at(at, x, MOIRE_SHAPE(1, length));
  if (o.center) x = reflected(&s, x);
  moire_value frames = framed(&s, x), window = window_of(&s, x, &o);
  if (window.graph && moire_graph_status(x.graph, NULL)) return moire__null_like(x, x);
  if (!moire_value_is_null(window)) frames = moire_mul_at(at, frames, window);
  moire_value y = moire_swap_axes_at(at, transformed(&s, frames, o.onesided, o.normalized), 1, 2);
  if (shape.rank == 2 || moire_value_is_null(y)) return y;
  moire_shape result = moire_value_shape(y);
  return moire_reshape_at(at, y, MOIRE_SHAPE(result.dims[1], result.dims[2]));
}
