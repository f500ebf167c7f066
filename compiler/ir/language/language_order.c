/* The language: order, running sums, and rows that are looked up or added to. */
#include "compiler/ir/language/language.h"

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

moire_sorted moire_top_k_at(moire_source at, moire_value x, int64_t k, int axis, bool largest) {
  const moire_sorted none = {moire__null_like(x, x), moire__null_like(x, x)};
  int d = axis_of(at, "top_k", x, axis);
  if (d < 0) return none;
  moire_dim n = moire_value_dim(x, d);
  if (moire__dim_is_static(n) && k >= 0 && k <= n) return sorted(at, x, d, k, largest);
  if (moire__dim_is_static(n))
    moire__graph_fail_at(x.graph, at, "top_k", MOIRE_ERROR_ARGUMENT, "the first %lld of %lld", (long long)k,
                         (long long)n);
  else
    moire__graph_fail_at(x.graph, at, "top_k", MOIRE_ERROR_SHAPE, "axis %d has a named extent; sort it whole",
                         d);
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

/* ---- rows ------------------------------------------------------------------------------------------------ */

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
