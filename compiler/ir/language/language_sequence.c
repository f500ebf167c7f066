/* The language: transforms and scans along a sequence. */
#include "compiler/ir/language/language.h"

#include <math.h>

/* From the front; -1, recorded, if there is no such axis. */
static int axis_of(moire_source at, const char *what, moire_value x, int axis) {
  int rank = moire_value_shape(x).rank, from_front = moire__axis(axis, rank);
  if (from_front < 0)
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d of a value of rank %d", axis, rank);
  return from_front;
}

static moire_value fft(moire_source at, moire_value z, int axis, moire_norm norm, bool inverse) {
  if (moire_value_is_null(z)) return z;
  int from_front = axis_of(at, "fft", z, axis);
  if (from_front < 0) return moire__null_like(z, z);
  moire_dim n = moire_value_shape(z).dims[from_front];
  bool whole = norm == (inverse ? MOIRE_NORM_BACKWARD : MOIRE_NORM_FORWARD);
  double scale = norm == MOIRE_NORM_ORTHO ? 1 / sqrt((double)n) : whole ? 1 / (double)n : 1;
  if (norm != MOIRE_NORM_BACKWARD && norm != MOIRE_NORM_ORTHO && norm != MOIRE_NORM_FORWARD) {
    moire__graph_fail_at(z.graph, at, "fft", MOIRE_ERROR_ARGUMENT, "norm %d is none of moire_norm", (int)norm);
    return moire__null_like(z, z);
  }
  const moire__attr attrs[] = {moire__attr_make_int("axis", from_front),
                               moire__attr_make_int("inverse", inverse),
                               moire__attr_make_real("scale", n > 0 ? scale : 1)};
  z = moire__to_complex(at, z);
  return moire__graph_emit(z.graph, at, MOIRE__OP_fft, &z, 1, attrs, 3);
}

moire_value moire_fft_at(moire_source at, moire_value z, int axis, moire_norm norm) {
  return fft(at, z, axis, norm, false);
}

moire_value moire_ifft_at(moire_source at, moire_value z, int axis, moire_norm norm) {
  return fft(at, z, axis, norm, true);
}

static moire_value fourier(moire_source at, moire__op op, moire_value x, int axis, int64_t length) {
  if (moire_value_is_null(x)) return x;
  int from_front = axis_of(at, moire__op_get(op)->name, x, axis);
  if (from_front < 0) return moire__null_like(x, x);
  const moire__attr attrs[] = {moire__attr_make_int("axis", from_front),
                               moire__attr_make_int("length", length)};
  return moire__graph_emit(x.graph, at, op, &x, 1, attrs, op == MOIRE__OP_irfft ? 2 : 1);
}

moire_value moire_rfft_at(moire_source at, moire_value x, int axis) {
  return fourier(at, MOIRE__OP_rfft, x, axis, 0);
}

moire_value moire_irfft_at(moire_source at, moire_value z, int axis, int64_t length) {
  return fourier(at, MOIRE__OP_irfft, moire__to_complex(at, z), axis, length);
}

moire_value moire_selective_scan_at(moire_source at, moire_value x, moire_value dt, moire_value a,
                                    moire_value b, moire_value c) {
  moire_value operands[] = {x, dt, a, b, c};
  for (int i = 0; i < 5; i++) {
    if (moire_value_is_null(operands[i])) return moire__null_like(x, operands[i]);
  }
  static const int swap[] = {1, 0};
  operands[2] = moire_permute_at(at, a, 2, swap);
  if (moire_value_is_null(operands[2])) return operands[2];
  return moire__graph_emit(x.graph, at, MOIRE__OP_selective_scan, operands, 5, NULL, 0);
}

/* [1, 1, D] of an a that is the same for all samples and positions, else a. */
static moire_value fixed_decay(moire_source at, moire_value a, moire_value b) {
  moire_shape x = moire_value_shape(a), y = moire_value_shape(b);
  bool fixed = y.rank == 3 && x.rank <= 3;
  for (int i = 0; i < x.rank - 1; i++) fixed = fixed && x.dims[i] == 1;
  if (!fixed || (x.rank && x.dims[x.rank - 1] != 1 && x.dims[x.rank - 1] != y.dims[2])) return a;
  return moire_broadcast_at(at, a, MOIRE_SHAPE(1, 1, y.dims[2]));
}

moire_value moire_linear_scan_at(moire_source at, moire_value a, moire_value b) {
  moire_value pair[] = {a, b};
  moire__promote(at, pair, 2);
  if (moire_value_is_null(pair[0]) || moire_value_is_null(pair[1])) return moire__null_like(pair[0], pair[1]);
  moire_value fixed = fixed_decay(at, pair[0], pair[1]);
  if (fixed.id == pair[0].id)
    moire__broadcast_together(at, "linear_scan", pair, 2);
  else
    pair[0] = fixed;
  if (moire_value_is_null(pair[0]) || moire_value_is_null(pair[1])) return moire__null_like(pair[0], pair[1]);
  const moire__attr attrs[] = {moire__attr_make_int("reverse", 0), moire__attr_make_int("conj", 0)};
  return moire__graph_emit(pair[0].graph, at, MOIRE__OP_linear_scan, pair, 2, attrs, 2);
}
