/* The language: normalisations. */
#include "compiler/ir/language/language.h"

static moire_value constant(moire_source at, moire_value x, moire_shape shape, double value) {
  moire_dtype dtype = moire__is_complex(x) ? MOIRE_F32 : moire_value_dtype(x);
  return moire_constant_at(at, x.graph, dtype, shape, value);
}

/* A plane of a weight or bias: of a real one itself. */
static moire_value plane(moire_source at, moire_value x, bool imaginary) {
  if (moire_value_is_null(x) || !moire__is_complex(x)) return x;
  return imaginary ? moire_imag_at(at, x) : moire_real_at(at, x);
}

moire_value moire_layer_norm_at(moire_source at, moire_value x, moire_value weight, moire_value bias,
                                double eps) {
  if (moire_value_is_null(x)) return moire__null_like(x, weight);
  if (moire__is_complex(x)) {
    moire_value planes[2];
    for (int i = 0; i < 2; i++)
      planes[i] = moire_layer_norm_at(at, i ? moire_imag_at(at, x) : moire_real_at(at, x), plane(at, weight, i),
                                      plane(at, bias, i), eps);
    return moire_complex_at(at, planes[0], planes[1]);
  }
  moire_shape shape = moire_value_shape(x), row = MOIRE_SHAPE(shape.rank ? shape.dims[shape.rank - 1] : 1);
  if (!weight.graph) weight = constant(at, x, row, 1);
  if (!bias.graph) bias = constant(at, x, row, 0);
  const moire__attr attr = moire__attr_make_real("eps", eps);
  return moire__graph_emit(x.graph, at, MOIRE__OP_layer_norm, (moire_value[]){x, weight, bias}, 3, &attr, 1);
}

moire_value moire_rms_norm_at(moire_source at, moire_value x, moire_value weight, double eps) {
  moire_value square =
      moire_mean_at(at, moire__is_complex(x) ? moire_abs2_at(at, x) : moire_mul_at(at, x, x), -1, true);
  moire_value y = moire_mul_at(at, x, moire_rsqrt_at(at, moire_add_scalar_at(at, square, eps)));
  return weight.graph ? moire_mul_at(at, y, weight) : y;
}

/* Each group of a sample is a row. */
moire_value moire_group_norm_at(moire_source at, moire_value x, int64_t groups, moire_value weight,
                                moire_value bias, double eps) {
  if (moire_value_is_null(x)) return moire__null_like(x, weight);
  moire_shape shape = moire_value_shape(x), channels = {.rank = shape.rank - 1};
  moire_dim size = 1;
  for (int i = 1; i < shape.rank; i++) moire__dim_multiply(size, shape.dims[i], &size);
  bool fixed = shape.rank >= 2 && moire__dim_is_static(size) && groups > 0;
  if (!fixed || !moire__dim_is_static(shape.dims[1]) || shape.dims[1] % groups) {
    moire__text text = {0};
    moire__text_add_type(&text, x.graph, moire_value_dtype(x), &shape);
    moire__graph_fail_at(x.graph, at, "group_norm", MOIRE_ERROR_SHAPE,
                         "%lld groups of the channels of %s, wanted [N, C, ..] of fixed extents behind N",
                         (long long)groups, moire__text_string(&text));
    moire__text_free(&text);
    return moire__null_like(x, x);
  }
  moire_value none = {0}, rows = moire_reshape_at(at, x, MOIRE_SHAPE(shape.dims[0], groups, size / groups));
  moire_value y = moire_reshape_at(at, moire_layer_norm_at(at, rows, none, none, eps), shape);
  for (int i = 0; i < channels.rank; i++) channels.dims[i] = i ? 1 : shape.dims[1];
  if (weight.graph) y = moire_mul_at(at, y, moire_reshape_at(at, weight, channels));
  return bias.graph ? moire_add_at(at, y, moire_reshape_at(at, bias, channels)) : y;
}
