/* The language: reductions. The ops keep their axes with extent 1; a reshape drops them where that is wanted.
 */
#include "compiler/ir/language/language.h"

static moire_value reduce(moire_source at, const char *what, moire__op op, moire_value x, int axis, bool keep) {
  if (moire_value_is_null(x)) return x;
  moire_shape shape = moire_value_shape(x);
  int from_front = moire__axis(axis, shape.rank);
  if (from_front < 0) {
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d of a value of rank %d", axis,
                         shape.rank);
    return moire__null_like(x, x);
  }
  const int64_t axes[] = {from_front};
  const moire__attr attr = moire__attr_make_ints("axes", axes, 1);
  moire_value y = moire__graph_emit(x.graph, at, op, &x, 1, &attr, 1);
  if (keep || moire_value_is_null(y)) return y;
  moire_shape dropped = {.rank = shape.rank - 1};
  for (int i = 0, to = 0; i < shape.rank; i++) {
    if (i != from_front) dropped.dims[to++] = shape.dims[i];
  }
  return moire_reshape_at(at, y, dropped);
}

moire_value moire_sum_at(moire_source at, moire_value x, int axis, bool keep) {
  return reduce(at, "sum", MOIRE__OP_sum, x, axis, keep);
}

moire_value moire_max_at(moire_source at, moire_value x, int axis, bool keep) {
  return reduce(at, "max", MOIRE__OP_reduce_max, x, axis, keep);
}

/* x divided by the size of a dim, which may depend on the run. */
static moire_value divide_by_dim(moire_source at, moire_value x, moire_dim count) {
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
  return divide_by_dim(at, sum, moire_value_dim(x, axis));
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
      mean = divide_by_dim(at, mean, count);
      count = shape.dims[i];
    }
  }
  return divide_by_dim(at, mean, count);
}
