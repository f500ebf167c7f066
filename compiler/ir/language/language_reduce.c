/* The language: reductions. The ops keep their axes with extent 1; a reshape drops them where that is wanted.
 */
#include "compiler/ir/language/language.h"

/* The axes of x, ascending, as a mask; false with a mistake recorded where one is none, or stands twice. */
static bool read_axes(moire_source at, const char *what, moire_value x, int n, const int *axes,
                      bool reduced[MOIRE_MAX_RANK]) {
  int rank = moire_value_shape(x).rank;
  for (int i = 0; i < MOIRE_MAX_RANK; i++) reduced[i] = false;
  for (int i = 0; i < n; i++) {
    int from_front = moire__axis(axes[i], rank);
    if (from_front < 0 || reduced[from_front]) {
      moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d%s of a value of rank %d", axes[i],
                           from_front < 0 ? "" : ", for the second time,", rank);
      return false;
    }
    reduced[from_front] = true;
  }
  return true;
}

/* y, whose reduced axes have extent 1, without them. */
static moire_value drop_axes(moire_source at, moire_value y, const bool reduced[MOIRE_MAX_RANK]) {
  if (moire_value_is_null(y)) return y;
  moire_shape shape = moire_value_shape(y), dropped = {0};
  for (int i = 0; i < shape.rank; i++) {
    if (!reduced[i]) dropped.dims[dropped.rank++] = shape.dims[i];
  }
  return moire_reshape_at(at, y, dropped);
}

static moire_value reduce_over(moire_source at, const char *what, moire__op op, moire_value x, int n,
                               const int *axes, bool keep) {
  bool reduced[MOIRE_MAX_RANK];
  if (moire_value_is_null(x)) return x;
  if (!read_axes(at, what, x, n, axes, reduced)) return moire__null_like(x, x);
  int64_t ascending[MOIRE_MAX_RANK];
  int n_ascending = 0;
  for (int i = 0; i < MOIRE_MAX_RANK; i++) {
    if (reduced[i]) ascending[n_ascending++] = i;
  }
  const moire__attr attr = moire__attr_make_ints("axes", ascending, n_ascending);
  moire_value y = moire__graph_emit(x.graph, at, op, &x, 1, &attr, 1);
  return keep ? y : drop_axes(at, y, reduced);
}

static moire_value reduce(moire_source at, const char *what, moire__op op, moire_value x, int axis, bool keep) {
  return reduce_over(at, what, op, x, 1, &axis, keep);
}

moire_value moire_sum_at(moire_source at, moire_value x, int axis, bool keep) {
  return reduce(at, "sum", MOIRE__OP_sum, x, axis, keep);
}

moire_value moire_max_at(moire_source at, moire_value x, int axis, bool keep) {
  return reduce(at, "max", MOIRE__OP_reduce_max, x, axis, keep);
}

moire_value moire_min_at(moire_source at, moire_value x, int axis, bool keep) {
  return moire_neg_at(at, reduce(at, "min", MOIRE__OP_reduce_max, moire_neg_at(at, x), axis, keep));
}

moire_value moire_prod_at(moire_source at, moire_value x, int axis, bool keep) {
  return reduce(at, "prod", MOIRE__OP_reduce_prod, x, axis, keep);
}

moire_value moire_sum_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  return reduce_over(at, "sum_axes", MOIRE__OP_sum, x, n, axes, keep);
}

moire_value moire_max_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  return reduce_over(at, "max_axes", MOIRE__OP_reduce_max, x, n, axes, keep);
}

moire_value moire_min_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  moire_value most = reduce_over(at, "min_axes", MOIRE__OP_reduce_max, moire_neg_at(at, x), n, axes, keep);
  return moire_neg_at(at, most);
}

moire_value moire_prod_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  return reduce_over(at, "prod_axes", MOIRE__OP_reduce_prod, x, n, axes, keep);
}

/* x divided by the size of a dim, which may depend on the run. */
moire_value moire__divide_by_dim(moire_source at, moire_value x, moire_dim count) {
  if (moire_value_is_null(x)) return x;
  if (moire__dim_is_static(count)) return moire_scale_at(at, x, 1.0 / (double)count);
  const moire_shape shape = moire_value_shape(x), per = MOIRE_SHAPE(count);
  const moire__attr attrs[] = {
      moire__attr_make_real("value", 1),
      moire__attr_make_dims("per", &per),
      moire__attr_make_int("dtype", moire__is_complex(x) ? MOIRE_F32 : moire_value_dtype(x)),
      moire__attr_make_dims("shape", &shape),
  };
  return moire_mul_at(at, x, moire__graph_emit(x.graph, at, MOIRE__OP_constant, NULL, 0, attrs, 4));
}

static bool has_mean(moire_source at, const char *what, moire_value x) {
  if (moire_value_is_null(x)) return false;
  moire_dtype dtype = moire_value_dtype(x);
  if (dtype == MOIRE_C64 || moire__dtype_is_float(dtype)) return true;
  moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_TYPE, "the mean of %s values; cast them first",
                       moire__dtype_name(dtype));
  return false;
}

moire_value moire_mean_at(moire_source at, moire_value x, int axis, bool keep) {
  if (!has_mean(at, "mean", x)) return moire__null_like(x, x);
  moire_value sum = reduce(at, "mean", MOIRE__OP_sum, x, axis, keep);
  if (moire_value_is_null(sum)) return sum;
  return moire__divide_by_dim(at, sum, moire_value_dim(x, axis));
}

moire_value moire_mean_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep) {
  if (!has_mean(at, "mean_axes", x)) return moire__null_like(x, x);
  moire_value y = reduce_over(at, "mean_axes", MOIRE__OP_sum, x, n, axes, keep);
  for (int i = 0; i < n && !moire_value_is_null(y); i++)
    y = moire__divide_by_dim(at, y, moire_value_dim(x, axes[i]));
  return y;
}

moire_value moire_sum_all_at(moire_source at, moire_value x) {
  if (moire_value_is_null(x)) return x;
  int64_t axes[MOIRE_MAX_RANK];
  int rank = moire_value_shape(x).rank;
  if (rank == 0) return x;
  for (int i = 0; i < rank; i++) axes[i] = i;
  const moire__attr attr = moire__attr_make_ints("axes", axes, rank);
  moire_value sum = moire__graph_emit(x.graph, at, MOIRE__OP_sum, &x, 1, &attr, 1);
  return moire_reshape_at(at, sum, MOIRE_SCALAR);
}

/* What of the count is no dim any more is divided by in turn. */
moire_value moire_mean_all_at(moire_source at, moire_value x) {
  if (!has_mean(at, "mean_all", x)) return moire__null_like(x, x);
  const moire_shape shape = moire_value_shape(x);
  moire_value mean = moire_sum_all_at(at, x);
  moire_dim count = 1;
  for (int i = 0; i < shape.rank; i++) {
    moire_dim product = 0;
    if (moire__dim_multiply(count, shape.dims[i], &product)) {
      count = product;
    } else {
      mean = moire__divide_by_dim(at, mean, count);
      count = shape.dims[i];
    }
  }
  return moire__divide_by_dim(at, mean, count);
}
