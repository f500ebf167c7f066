/* The language: products of matrices, convolutions.
 *
 * Where a real operand meets a complex one the product is taken by planes: two real products, instead of the
 * four of a complex one with an empty plane.
 */
#include "compiler/ir/language/language.h"

#include <inttypes.h>

typedef moire_value pair_call(moire_source at, moire_value a, moire_value b, int64_t option);

/* f on the planes of the one operand that is complex, with the other whole; false if the types are alike. */
static bool by_planes(moire_source at, pair_call *f, moire_value a, moire_value b, int64_t option,
                      moire_value *y) {
  bool complex_a = moire__is_complex(a), complex_b = moire__is_complex(b);
  if (complex_a == complex_b) return false;
  if (complex_a) {
    *y = moire_complex_at(at, f(at, moire_real_at(at, a), b, option), f(at, moire_imag_at(at, a), b, option));
  } else {
    *y = moire_complex_at(at, f(at, a, moire_real_at(at, b), option), f(at, a, moire_imag_at(at, b), option));
  }
  return true;
}

/* ---- matmul ---------------------------------------------------------------------------------------------- */

/* `lead` followed by the last two axes of x. */
static moire_value broadcast_lead(moire_source at, moire_value x, const moire_shape *lead) {
  moire_shape shape = *lead, own = moire_value_shape(x);
  if (lead->rank + 2 > MOIRE_MAX_RANK) return moire__null_like(x, x);
  shape.dims[shape.rank++] = own.dims[own.rank - 2];
  shape.dims[shape.rank++] = own.dims[own.rank - 1];
  return moire_broadcast_at(at, x, shape);
}

/* a [..., M, K] with one matrix b: all rows of a at once, if their number is one dim. */
static bool flattened(moire_source at, moire_value a, moire_value b, moire_value *y) {
  moire_shape shape = moire_value_shape(a), lead = shape;
  moire_dim rows = 0;
  lead.rank = shape.rank - 1;
  if (moire_value_shape(b).rank != 2 || shape.rank <= 2) return false;
  if (!moire__shape_elements(&lead, &rows)) return false;
  moire_dim inner = shape.dims[shape.rank - 1];
  moire_value flat = moire_reshape_at(at, a, MOIRE_SHAPE(rows, inner));
  moire_value product = moire__emit_binary(at, MOIRE__OP_matmul, flat, b);
  shape.dims[shape.rank - 1] = moire_value_dim(b, 1);
  *y = moire_reshape_at(at, product, shape);
  return true;
}

static moire_value matmul(moire_source at, moire_value a, moire_value b, int64_t option) {
  (void)option;
  moire_value y = {0};
  if (moire_value_is_null(a) || moire_value_is_null(b)) return moire__null_like(a, b);
  if (flattened(at, a, b, &y)) return y;
  moire_shape shape_a = moire_value_shape(a), shape_b = moire_value_shape(b), lead;
  if (!moire__broadcast_shape(&shape_a, 2, &shape_b, 2, &lead)) {
    return moire__refuse_pair(at, "matmul", MOIRE_ERROR_SHAPE, "leading extents do not broadcast", "x", a, "w",
                              b);
  }
  return moire__emit_binary(at, MOIRE__OP_matmul, broadcast_lead(at, a, &lead), broadcast_lead(at, b, &lead));
}

moire_value moire_matmul_at(moire_source at, moire_value a, moire_value b) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return moire__null_like(a, b);
  if (moire_value_shape(a).rank < 2 || moire_value_shape(b).rank < 2) {
    return moire__refuse_pair(at, "matmul", MOIRE_ERROR_SHAPE, "wants matrices", "x", a, "w", b);
  }
  if (moire_value_dim(a, -1) != moire_value_dim(b, -2)) {
    return moire__refuse_pair(at, "matmul", MOIRE_ERROR_SHAPE, "inner extents differ", "x", a, "w", b);
  }
  moire_value y = {0};
  return by_planes(at, matmul, a, b, 0, &y) ? y : matmul(at, a, b, 0);
}

static moire_value linear(moire_source at, moire_value x, moire_value weight, int64_t option) {
  (void)option;
  return moire__emit_binary(at, MOIRE__OP_linear, x, weight);
}

moire_value moire_linear_at(moire_source at, moire_value x, moire_value weight, moire_value bias) {
  if (moire_value_is_null(x) || moire_value_is_null(weight)) return moire__null_like(x, weight);
  bool complex = moire__is_complex(x) && moire__is_complex(weight);
  if (complex) bias = moire__to_complex(at, bias);
  if (moire_value_is_null(bias)) {
    moire_value y = {0};
    return by_planes(at, linear, x, weight, 0, &y) ? y : linear(at, x, weight, 0);
  }
  if (moire__is_complex(x) == moire__is_complex(weight) && moire__is_complex(bias) == complex) {
    return moire__graph_emit(x.graph, at, MOIRE__OP_linear, (moire_value[]){x, weight, bias}, 3, NULL, 0);
  }
  return moire_add_at(at, moire_linear_at(at, x, weight, (moire_value){0}), bias);
}

/* ---- convolutions ---------------------------------------------------------------------------------------- */

/* PyTorch's [D, 1, k] as [k, D], taps outermost. */
static moire_value tap_major(moire_source at, const char *what, moire_value weight) {
  if (moire_value_is_null(weight)) return weight;
  moire_shape shape = moire_value_shape(weight);
  if (shape.rank != 3 || shape.dims[1] != 1) {
    moire__text text = {0};
    moire__text_add_type(&text, weight.graph, moire_value_dtype(weight), &shape);
    moire__graph_fail_at(weight.graph, at, what, MOIRE_ERROR_SHAPE, "the weight is %s, wanted [D,1,k]",
                         moire__text_string(&text));
    moire__text_free(&text);
    return moire__null_like(weight, weight);
  }
  return moire_swap_axes_at(at, moire_reshape_at(at, weight, MOIRE_SHAPE(shape.dims[0], shape.dims[2])), 0, 1);
}

/* Tap r of k is (k - 1 - r) * dilation back. */
static moire_value depthwise_conv(moire_source at, moire_value x, moire_value weight, int64_t dilation) {
  if (moire_value_is_null(x) || moire_value_is_null(weight)) return moire__null_like(x, weight);
  const moire_dim taps = moire_value_dim(weight, 0);
  if (!moire__dim_is_static(taps) || taps > MOIRE__MOST_TAPS) {
    moire__graph_fail_at(x.graph, at, "depthwise_conv", MOIRE_ERROR_SHAPE, "wanted 1 to %d taps",
                         MOIRE__MOST_TAPS);
    return moire__null_like(x, weight);
  }
  int64_t shifts[MOIRE__MOST_TAPS];
  for (int64_t r = 0; r < taps; r++) shifts[r] = (taps - 1 - r) * dilation;
  const moire__attr attr = moire__attr_make_ints("shifts", shifts, (int)taps);
  return moire__graph_emit(x.graph, at, MOIRE__OP_depthwise_conv, (moire_value[]){x, weight}, 2, &attr, 1);
}

moire_value moire_depthwise_conv_at(moire_source at, moire_value x, moire_value weight, int64_t dilation) {
  if (moire_value_is_null(x)) return moire__null_like(x, weight);
  if (dilation < 1 || dilation > INT32_MAX) {
    moire__graph_fail_at(x.graph, at, "depthwise_conv", MOIRE_ERROR_ARGUMENT,
                         "the dilation is %" PRId64 ", wanted 1 to %d", dilation, INT32_MAX);
    return moire__null_like(x, weight);
  }
  weight = tap_major(at, "depthwise_conv", weight);
  if (moire_value_is_null(weight)) return moire__null_like(x, weight);
  moire_value y = {0};
  return by_planes(at, depthwise_conv, x, weight, dilation, &y) ? y : depthwise_conv(at, x, weight, dilation);
}

moire_value moire_filter_bank_at(moire_source at, moire_value x, const moire_value *weights,
                                 const int64_t *dilations, int n) {
  if (moire_value_is_null(x)) return x;
  const int most = moire__op_get(MOIRE__OP_filter_bank)->max_operands - 5; /* x, and those of a packed batch */
  if (n < 1 || n > most) {
    moire__graph_fail_at(x.graph, at, "filter_bank", MOIRE_ERROR_ARGUMENT, "%d bands, wanted 1 to %d", n, most);
    return moire__null_like(x, x);
  }
  moire_value operands[MOIRE__MAX_OPERANDS] = {x};
  for (int i = 0; i < n; i++) {
    operands[i + 1] = moire__to_complex(at, tap_major(at, "filter_bank", weights[i]));
  }
  const moire__attr attr = moire__attr_make_ints("dilations", dilations, n);
  return moire__graph_emit(x.graph, at, MOIRE__OP_filter_bank, operands, n + 1, &attr, 1);
}

/* Bands 0 to n-1 of the op are the real parts, n to 2n-1 the imaginary ones. */
moire_value moire_band_bank_at(moire_source at, moire_value x, const moire_value *weights,
                               const int64_t *dilations, int n) {
  enum { MOST = 32 }; /* two parts of a concat each */
  if (moire_value_is_null(x)) return x;
  if (n < 1 || n > MOST) {
    moire__graph_fail_at(x.graph, at, "band_bank", MOIRE_ERROR_ARGUMENT, "%d bands, wanted 1 to %d", n, MOST);
    return moire__null_like(x, x);
  }
  moire_value planes[2 * MOST];
  int64_t taps[2 * MOST], steps[2 * MOST];
  for (int i = 0; i < n; i++) {
    moire_value band = moire__to_complex(at, tap_major(at, "band_bank", weights[i]));
    planes[i] = moire_real_at(at, band);
    planes[n + i] = moire_imag_at(at, band);
    if (moire_value_is_null(planes[n + i])) return moire__null_like(x, planes[i]);
    taps[i] = taps[n + i] = moire_value_dim(band, 0);
    steps[i] = steps[n + i] = dilations[i];
  }
  const moire__attr attrs[] = {moire__attr_make_ints("taps", taps, 2 * n),
                               moire__attr_make_ints("dilations", steps, 2 * n)};
  moire_value operands[] = {x, moire_concat_at(at, planes, 2 * n, 0)};
  moire_value y = moire__graph_emit(x.graph, at, MOIRE__OP_band_bank, operands, 2, attrs, 2);
  if (moire_value_is_null(y)) return y;
  y = moire_scale_at(at, y, 1.0 / (double)moire_value_dim(x, 2));
  return moire_complex_at(at, moire_slice_at(at, y, 2, 0, n), moire_slice_at(at, y, 2, n, n));
}
