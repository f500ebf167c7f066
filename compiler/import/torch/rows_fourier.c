/* Rows of the table: Fourier transforms, with PyTorch's lengths, axes and norms. */
#include "compiler/import/torch/rows.h"

#include <math.h>
#include <string.h>

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* Cut, or filled with zeros, to n elements. */
static moire_value resized(moire__call *c, moire_value x, int axis, int64_t n) {
  int64_t there = moire__fixed(c, x, axis);
  if (n < 1 || n > 1 << 24) moire__refuse(c, "wanted a length of at least 1");
  if (c->why || n == there) return x;
  return n < there ? moire_slice_at(c->at, x, axis, 0, n) : moire_pad_at(c->at, x, axis, 0, n - there);
}

static moire_norm norm_of(moire__call *c) {
  const char *name = moire__text_or(c, "norm", "backward");
  if (!strcmp(name, "ortho")) return MOIRE_NORM_ORTHO;
  if (!strcmp(name, "forward")) return MOIRE_NORM_FORWARD;
  if (strcmp(name, "backward") != 0) moire__refuse(c, "norm: wanted backward, ortho or forward");
  return MOIRE_NORM_BACKWARD;
}

static moire_value operand(moire__call *c) { return moire__to_float(c, moire__tensor(c, "self")); }

static moire_value transform(moire__call *c, moire_value x, int axis, bool inverse) {
  return inverse ? moire_ifft_at(c->at, x, axis, norm_of(c)) : moire_fft_at(c->at, x, axis, norm_of(c));
}

static int axis_of(moire__call *c, moire_value x) {
  return moire__import_axis(c, moire__integer_or(c, "dim", -1), rank_of(x));
}

static void one_axis(moire__call *c, bool inverse) {
  moire_value x = operand(c);
  int axis = axis_of(c, x);
  x = resized(c, x, axis, moire__integer_or(c, "n", moire__fixed(c, x, axis)));
  moire__give(c, transform(c, x, axis, inverse));
}

static void fft(moire__call *c) { one_axis(c, false); }
static void ifft(moire__call *c) { one_axis(c, true); }

/* Over the axes that are named; those of `s`, or of `last` where neither comes, are the last. */
static void several_axes(moire__call *c, int last, bool inverse) {
  moire_value x = operand(c);
  int64_t sizes[MOIRE_MAX_RANK], axes[MOIRE_MAX_RANK];
  int rank = rank_of(x), n_sizes = moire__integers(c, "s", sizes, MOIRE_MAX_RANK),
      n = moire__integers(c, "dim", axes, MOIRE_MAX_RANK);
  if (n <= 0) {
    n = n_sizes > 0 ? n_sizes : last ? last : rank;
    for (int i = 0; i < n; i++) axes[i] = i - n;
  }
  if (n_sizes > 0 && n_sizes != n) moire__refuse(c, "s: wanted a size for each axis");
  for (int i = 0; i < n && !c->why; i++) {
    int axis = moire__import_axis(c, axes[i], rank);
    if (n_sizes > 0 && sizes[i] >= 0) x = resized(c, x, axis, sizes[i]);
  }
  for (int i = 0; i < n && !c->why; i++) x = transform(c, x, moire__import_axis(c, axes[i], rank), inverse);
  moire__give(c, x);
}

static void fft2(moire__call *c) { several_axes(c, 2, false); }
static void ifft2(moire__call *c) { several_axes(c, 2, true); }
static void fftn(moire__call *c) { several_axes(c, 0, false); }
static void ifftn(moire__call *c) { several_axes(c, 0, true); }

/* What an orthonormal transform of n is multiplied by to have the norm. */
static double factor(moire__call *c, int64_t n, bool inverse) {
  switch (norm_of(c)) {
    case MOIRE_NORM_BACKWARD: return inverse ? 1 / sqrt((double)n) : sqrt((double)n);
    case MOIRE_NORM_FORWARD: return inverse ? sqrt((double)n) : 1 / sqrt((double)n);
    case MOIRE_NORM_ORTHO: break;
  }
  return 1;
}

static moire_value scaled(moire__call *c, moire_value x, double by) {
  return by == 1 ? x : moire_scale_at(c->at, x, by);
}

static void rfft(moire__call *c) {
  moire_value x = moire__need_real(c, operand(c));
  int axis = axis_of(c, x);
  int64_t n = moire__integer_or(c, "n", moire__fixed(c, x, axis));
  x = resized(c, x, axis, n);
  moire__give(c, scaled(c, moire_rfft_at(c->at, x, axis), factor(c, n, false)));
}

/* Of bins 0 to n / 2, which are cut or filled to as many. */
static void irfft(moire__call *c) {
  moire_value z = moire__to_type(c, operand(c), MOIRE__TORCH_C64);
  int axis = axis_of(c, z);
  int64_t n = moire__integer_or(c, "n", 2 * (moire__fixed(c, z, axis) - 1));
  if (n < 1) moire__refuse(c, "wanted a length of at least 1");
  if (c->why) return;
  z = resized(c, z, axis, n / 2 + 1);
  moire__give(c, scaled(c, moire_irfft_at(c->at, z, axis, n), factor(c, n, true)));
}

/* Rolled by half of each axis, or back. */
static void shift(moire__call *c, bool back) {
  moire_value x = moire__tensor(c, "self");
  int axes[MOIRE_MAX_RANK];
  int n = moire__axes(c, "dim", rank_of(x), axes);
  for (int i = 0; i < n && !c->why; i++) {
    int64_t size = moire__fixed(c, x, axes[i]);
    x = moire_roll_at(c->at, x, back ? (size + 1) / 2 : size / 2, axes[i]);
  }
  moire__give(c, x);
}

static void fftshift(moire__call *c) { shift(c, false); }
static void ifftshift(moire__call *c) { shift(c, true); }

const moire__aten_row moire__rows_fourier[] = {{"aten.fft_fft.default", fft, false},
                                               {"aten.fft_ifft.default", ifft, false},
                                               {"aten.fft_fft2.default", fft2, false},
                                               {"aten.fft_ifft2.default", ifft2, false},
                                               {"aten.fft_fftn.default", fftn, false},
                                               {"aten.fft_ifftn.default", ifftn, false},
                                               {"aten.fft_rfft.default", rfft, false},
                                               {"aten.fft_irfft.default", irfft, false},
                                               {"aten.fft_fftshift.default", fftshift, false},
                                               {"aten.fft_ifftshift.default", ifftshift, false},
                                               {NULL, NULL, false}};
