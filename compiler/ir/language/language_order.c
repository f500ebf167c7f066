/* The language: order, running sums, and rows that are looked up or added to. */
#include "compiler/ir/language/language.h"

#include <math.h>

/* The axis from the front; -1 with the mistake recorded. */
static int axis_of(moire_source at, const char *what, moire_value x, int axis) {
  if (moire_value_is_null(x)) return -1;
  int rank = moire_value_shape(x).rank, from_front = moire__axis(axis, rank);
  if (from_front < 0)
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d of a value of rank %d", axis, rank);
  return from_front;
}

/* ---- order ----------------------------------------------------------------------------------------------- */

static moire_value take_rows(moire_source at, moire_value x, moire_value rows, int lead) {
  const moire__attr attr = moire__attr_make_int("lead", lead);
  if (moire_value_is_null(x) || moire_value_is_null(rows)) return moire__null_like(x, rows);
  return moire__graph_emit(x.graph, at, MOIRE__OP_take_rows, (moire_value[]){x, rows}, 2, &attr, 1);
}

/* The first `count` of an axis in order. The axis is the last one while they are sorted. */
static moire_sorted sorted(moire_source at, moire_value x, int axis, moire_dim count, bool descending) {
  const moire_shape n = MOIRE_SHAPE(count);
  const moire__attr attrs[] = {moire__attr_make_int("descending", descending),
                               moire__attr_make_dims("count", &n)};
  moire_value rows = moire_swap_axes_at(at, x, axis, -1);
  if (moire_value_is_null(rows)) return (moire_sorted){rows, rows};
  moire_value index = moire__graph_emit(x.graph, at, MOIRE__OP_argsort, &rows, 1, attrs, 2);
  moire_value values = take_rows(at, rows, index, moire_value_shape(rows).rank - 1);
  return (moire_sorted){moire_swap_axes_at(at, values, axis, -1), moire_swap_axes_at(at, index, axis, -1)};
}

moire_sorted moire_sort_at(moire_source at, moire_value x, int axis, bool descending) {
  int d = axis_of(at, "sort", x, axis);
  if (d < 0) return (moire_sorted){moire__null_like(x, x), moire__null_like(x, x)};
  return sorted(at, x, d, moire_value_dim(x, d), descending);
}

/* What stands where there is nothing: behind everything else. */
static moire_value last_of_all(moire_source at, moire_value like, bool largest) {
  moire_dtype dtype = moire_value_dtype(like);
  double most = dtype == MOIRE_I32 ? (double)INT32_MAX : dtype == MOIRE_I64 ? 0x1p62 : (double)INFINITY;
  double least = dtype == MOIRE_I32 ? (double)INT32_MIN : -most;
  return moire_constant_at(at, like.graph, dtype, MOIRE_SCALAR, largest ? least : most);
}

/* The first k of an axis of a named extent, which may have fewer: argsort says -1 there. */
static moire_sorted first_of_named(moire_source at, moire_value x, int64_t k, int axis, bool largest) {
  moire_sorted y = sorted(at, x, axis, k, largest);
  if (moire_value_is_null(y.indices)) return y;
  moire_value none = moire_constant_at(at, x.graph, MOIRE_I32, MOIRE_SCALAR, 0);
  moire_value is_there = moire_less_equal_at(at, none, y.indices);
  y.values = moire_take_along_at(at, x, moire_max_of_at(at, y.indices, none), axis);
  y.values = moire_where_at(at, is_there, y.values, last_of_all(at, x, largest));
  return y;
}

moire_sorted moire_top_k_at(moire_source at, moire_value x, int64_t k, int axis, bool largest) {
  const moire_sorted none = {moire__null_like(x, x), moire__null_like(x, x)};
  int d = axis_of(at, "top_k", x, axis);
  if (d < 0) return none;
  moire_dim n = moire_value_dim(x, d);
  bool named = !moire__dim_is_static(n);
  if (k >= 0 && named && k <= INT32_MAX) return first_of_named(at, x, k, d, largest);
  if (k >= 0 && !named && k <= n) return sorted(at, x, d, k, largest);
  if (named)
    moire__graph_fail_at(x.graph, at, "top_k", MOIRE_ERROR_ARGUMENT, "the first %lld", (long long)k);
  else
    moire__graph_fail_at(x.graph, at, "top_k", MOIRE_ERROR_ARGUMENT, "the first %lld of %lld", (long long)k,
                         (long long)n);
  return none;
}

moire_value moire_search_sorted_at(moire_source at, moire_value row, moire_value x, bool right) {
  if (moire_value_is_null(row) || moire_value_is_null(x)) return moire__null_like(row, x);
  const moire__attr attr = moire__attr_make_int("right", right);
  return moire__graph_emit(x.graph, at, MOIRE__OP_search_sorted, (moire_value[]){row, x}, 2, &attr, 1);
}

moire_value moire_cumsum_at(moire_source at, moire_value x, int axis) {
  int d = axis_of(at, "cumsum", x, axis);
  if (d < 0) return moire__null_like(x, x);
  const moire__attr attrs[] = {moire__attr_make_int("axis", d), moire__attr_make_int("reverse", 0)};
  return moire__graph_emit(x.graph, at, MOIRE__OP_cumsum, &x, 1, attrs, 2);
}

/* [outer, n, inner] of x with axis d in the middle, and the order of axes that makes it: lanes are the last
 * axis where that is another one, and fixed. */
static moire_value in_the_middle(moire_source at, moire_value x, int d, int order[MOIRE_MAX_RANK]) {
  moire_shape shape = moire_value_shape(x);
  int last = shape.rank - 1, n = 0;
  bool lanes = d != last && moire__dim_is_static(shape.dims[last]);
  moire_dim outer = 1;
  for (int i = 0; i <= last; i++) {
    if (i == d || (lanes && i == last)) continue;
    order[n++] = i;
    moire__dim_multiply(outer, shape.dims[i], &outer);
  }
  order[n++] = d;
  if (lanes) order[n] = last;
  moire_value y = moire_permute_at(at, x, shape.rank, order);
  return moire_reshape_at(at, y, MOIRE_SHAPE(outer, shape.dims[d], lanes ? shape.dims[last] : 1));
}

/* y_t = x_t y_{t-1}, the first one x_0: a scan, whose gradient has no quotient. */
moire_value moire_cumprod_at(moire_source at, moire_value x, int axis) {
  int d = axis_of(at, "cumprod", x, axis), order[MOIRE_MAX_RANK], back[MOIRE_MAX_RANK];
  if (d < 0) return moire__null_like(x, x);
  if (moire_value_dtype(x) != MOIRE_F32 && !moire__is_complex(x)) {
    moire__graph_fail_at(x.graph, at, "cumprod", MOIRE_ERROR_TYPE, "of %s values, wanted f32 or c64",
                         moire__dtype_name(moire_value_dtype(x)));
    return moire__null_like(x, x);
  }
  moire_shape moved = moire_value_shape(x), shape = moved;
  moire_value a = in_the_middle(at, x, d, order);
  for (int i = 0; i < shape.rank; i++) {
    moved.dims[i] = shape.dims[order[i]];
    back[order[i]] = i;
  }
  if (moire_value_is_null(a)) return a;
  const moire_shape whole = moire_value_shape(a);
  moire_value t = moire_iota_at(at, x.graph, whole, 1);
  moire_value first = moire_equal_at(at, t, moire_constant_at(at, x.graph, MOIRE_I32, MOIRE_SCALAR, 0));
  moire_value b = moire_where_at(at, first, a, moire_constant_at(at, x.graph, MOIRE_F32, MOIRE_SCALAR, 0));
  if (moire_value_is_null(b)) return b;
  const moire__attr attrs[] = {moire__attr_make_int("reverse", 0), moire__attr_make_int("conj", 0)};
  moire_value y = moire__graph_emit(x.graph, at, MOIRE__OP_linear_scan, (moire_value[]){a, b}, 2, attrs, 2);
  return moire_permute_at(at, moire_reshape_at(at, y, moved), shape.rank, back);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

moire_value moire_gather_at(moire_source at, moire_value table, moire_value rows) {
  return moire_embedding_at(at, table, rows, -1);
}

/* Of a table with a named number of rows. What is read of row `padding` passes no gradient. */
static moire_value rows_of_named(moire_source at, moire_value table, moire_value rows, int64_t padding) {
  const moire__attr lead = moire__attr_make_int("lead", 0);
  moire_value y =
      moire__graph_emit(table.graph, at, MOIRE__OP_take_rows, (moire_value[]){table, rows}, 2, &lead, 1);
  if (padding < 0 || moire_value_is_null(y)) return y;
  moire_shape column = moire_value_shape(rows);
  for (int i = 1; i < moire_value_shape(table).rank; i++) column.dims[column.rank++] = 1;
  moire_value skipped =
      moire_constant_at(at, table.graph, moire_value_dtype(rows), MOIRE_SCALAR, (double)padding);
  moire_value is_skipped = moire_reshape_at(at, moire_equal_at(at, rows, skipped), column);
  return moire_where_at(at, is_skipped, moire_stop_gradient_at(at, y), y);
}

moire_value moire_embedding_at(moire_source at, moire_value table, moire_value rows, int64_t padding) {
  if (moire_value_is_null(table) || moire_value_is_null(rows)) return moire__null_like(table, rows);
  const moire__attr attr = moire__attr_make_int("padding", padding);
  const moire_shape shape = moire_value_shape(table);
  if (shape.rank && !moire__dim_is_static(shape.dims[0])) return rows_of_named(at, table, rows, padding);
  return moire__graph_emit(table.graph, at, MOIRE__OP_gather, (moire_value[]){table, rows}, 2, &attr, 1);
}

moire_value moire_take_along_at(moire_source at, moire_value x, moire_value index, int axis) {
  int d = axis_of(at, "take_along", x, axis);
  if (d < 0 || moire_value_is_null(index)) return moire__null_like(x, index);
  int rank = moire_value_shape(x).rank;
  if (moire_value_shape(index).rank != rank)
    return moire__refuse_pair(at, "take_along", MOIRE_ERROR_SHAPE, "both have the same axes", "x", x, "index",
                              index);
  moire_value y =
      take_rows(at, moire_swap_axes_at(at, x, d, -1), moire_swap_axes_at(at, index, d, -1), rank - 1);
  return moire_swap_axes_at(at, y, d, -1);
}

moire_value moire_scatter_add_at(moire_source at, moire_value x, moire_value rows, moire_value u) {
  if (moire_value_is_null(x) || moire_value_is_null(rows) || moire_value_is_null(u))
    return moire__null_like(x, u);
  if (moire_value_shape(x).rank == 0)
    return moire__refuse_pair(at, "scatter_add", MOIRE_ERROR_SHAPE, "x has no rows", "x", x, "u", u);
  const moire_shape size = MOIRE_SHAPE(moire_value_dim(x, 0)), shape = moire_value_shape(x);
  const moire__attr attrs[] = {moire__attr_make_dims("size", &size), moire__attr_make_int("padding", -1)};
  moire_value sum =
      moire__graph_emit(x.graph, at, MOIRE__OP_scatter_add, (moire_value[]){rows, u}, 2, attrs, 2);
  if (moire_value_is_null(sum)) return sum;
  const moire_shape of_sum = moire_value_shape(sum);
  if (!moire__shape_equal(&of_sum, &shape))
    return moire__refuse_pair(at, "scatter_add", MOIRE_ERROR_SHAPE,
                              "u must have the extents of rows, and behind "
                              "them those of a row of x",
                              "x", x, "u", u);
  return moire_add_at(at, x, sum);
}

moire_value moire_scatter_max_at(moire_source at, moire_value x, moire_value rows, moire_value u) {
  if (moire_value_is_null(x) || moire_value_is_null(rows) || moire_value_is_null(u))
    return moire__null_like(x, u);
  return moire__graph_emit(x.graph, at, MOIRE__OP_scatter_max, (moire_value[]){x, rows, u}, 3, NULL, 0);
}
