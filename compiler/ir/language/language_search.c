/* The language: reductions that are written in terms of others: any, all, logsumexp, argmax, argmin. */
#include "compiler/ir/language/language.h"

static moire_value any_of(moire_source at, const char *what, moire_value x, int n, const int *axes, bool keep) {
  if (moire_value_is_null(x)) return x;
  if (moire_value_dtype(x) != MOIRE_BOOL) {
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_TYPE, "of %s values, wanted bool",
                         moire__dtype_name(moire_value_dtype(x)));
    return moire__null_like(x, x);
  }
  moire_value most = moire_max_axes_at(at, moire_cast_at(at, x, MOIRE_F32), n, axes, keep);
  if (moire_value_is_null(most)) return most;
  return moire_less_at(at, moire_constant_at(at, x.graph, MOIRE_F32, moire_value_shape(most), 0), most);
}

moire_value moire_any_at(moire_source at, moire_value x, int axis, bool keep) {
  return any_of(at, "any", x, 1, &axis, keep);
}

moire_value moire_any_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  return any_of(at, "any_axes", x, n, axes, keep);
}

moire_value moire_all_at(moire_source at, moire_value x, int axis, bool keep) {
  return moire_not_at(at, any_of(at, "all", moire_not_at(at, x), 1, &axis, keep));
}

moire_value moire_all_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  return moire_not_at(at, any_of(at, "all_axes", moire_not_at(at, x), n, axes, keep));
}

moire_value moire_logsumexp_at(moire_source at, moire_value x, int axis, bool keep) {
  return moire_logsumexp_axes_at(at, x, 1, &axis, keep);
}

/* m + ln sum exp(x - m), m the largest, or 0 where that is infinite. Nothing depends on m, so neither does the
 * gradient. */
moire_value moire_logsumexp_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  moire_value m = moire_max_axes_at(at, moire_stop_gradient_at(at, x), n, axes, true);
  if (moire_value_is_null(m)) return m;
  moire_value none =
      moire_constant_at(at, x.graph, moire_value_dtype(m), moire_value_shape(m), __builtin_inf());
  moire_value finite = moire_less_at(at, moire_abs_at(at, m), none);
  moire_value zero = moire_constant_at(at, x.graph, moire_value_dtype(m), moire_value_shape(m), 0);
  m = moire_where_at(at, finite, m, zero);
  moire_value sum = moire_sum_axes_at(at, moire_exp_at(at, moire_sub_at(at, x, m)), n, axes, true);
  moire_value y = moire_add_at(at, moire_log_at(at, sum), m);
  if (keep || moire_value_is_null(y)) return y;
  return moire_sum_axes_at(at, y, n, axes, false);
}

/* The first index whose element is the largest; a NaN is larger than everything. Indices are compared as
 * numbers, exactly: f32 up to 2^24 elements. */
static moire_value first_largest(moire_source at, const char *what, moire_value x, int axis, bool keep) {
  moire_shape shape = moire_value_shape(x);
  int d = moire__axis(axis, shape.rank);
  moire_dtype dtype = moire_value_dtype(x);
  if (!moire__dtype_is_float(dtype) || d < 0 || !moire__dim_is_static(shape.dims[d]) || shape.dims[d] < 1 ||
      shape.dims[d] > 1 << 24) {
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE,
                         "axis %d of a %s of rank %d; wanted an axis of 1 to 2^24 floats", axis,
                         moire__dtype_name(dtype), shape.rank);
    return moire__null_like(x, x);
  }
  x = moire_stop_gradient_at(at, x);
  moire_value top = moire_constant_at(at, x.graph, dtype, shape, __builtin_inf());
  x = moire_where_at(at, moire_less_equal_at(at, x, top), x, top); /* a NaN is not */
  moire_value is_largest = moire_equal_at(at, x, moire_max_at(at, x, d, true));
  moire_value index = moire_cast_at(at, moire_iota_at(at, x.graph, shape, d), MOIRE_F32);
  moire_value past = moire_constant_at(at, x.graph, MOIRE_F32, shape, (double)shape.dims[d]);
  moire_value first = moire_min_at(at, moire_where_at(at, is_largest, index, past), d, keep);
  return moire_cast_at(at, first, MOIRE_I32);
}

moire_value moire_argmax_at(moire_source at, moire_value x, int axis, bool keep) {
  return moire_value_is_null(x) ? x : first_largest(at, "argmax", x, axis, keep);
}

moire_value moire_argmin_at(moire_source at, moire_value x, int axis, bool keep) {
  if (moire_value_is_null(x)) return x;
  return first_largest(at, "argmin", moire_neg_at(at, x), axis, keep);
}
