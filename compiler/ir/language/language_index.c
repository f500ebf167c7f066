/* The language: steps, other ends, turns, and numbers of classes. */
#include "compiler/ir/language/language.h"

#include <inttypes.h>

/* The axis from the front, of a fixed extent; -1 with the mistake recorded. */
static int fixed_axis(moire_source at, const char *what, moire_value x, int axis) {
  if (moire_value_is_null(x)) return -1;
  moire_shape shape = moire_value_shape(x);
  int from_front = moire__axis(axis, shape.rank);
  if (from_front < 0) {
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d of a value of rank %d", axis,
                         shape.rank);
  } else if (!moire__dim_is_static(shape.dims[from_front])) {
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d has a named extent", from_front);
    return -1;
  }
  return from_front;
}

/* Every step-th element is the first of a group of `step`; what the last group lacks is filled up with zeros.
 */
moire_value moire_slice_by_at(moire_source at, moire_value x, int axis, int64_t start, int64_t length,
                              int64_t step) {
  int d = fixed_axis(at, "slice_by", x, axis);
  if (d < 0) return moire__null_like(x, x);
  moire_shape shape = moire_value_shape(x);
  int64_t extent = shape.dims[d];
  if (step < 1 || start < 0 || length < 0 || start > extent ||
      (length > 0 && (start >= extent || (length - 1) > (extent - 1 - start) / step))) {
    moire__graph_fail_at(x.graph, at, "slice_by", MOIRE_ERROR_ARGUMENT,
                         "%" PRId64 " elements from %" PRId64 ", each %" PRId64 " on, of %" PRId64, length,
                         start, step, extent);
    return moire__null_like(x, x);
  }
  if (step == 1 || length < 2) return moire_slice_at(at, x, d, start, length);
  int64_t whole = length * step, there = extent - start < whole ? extent - start : whole;
  x = moire_slice_at(at, x, d, start, there);
  if (there < whole) x = moire_pad_at(at, x, d, 0, whole - there);
  if (shape.rank == MOIRE_MAX_RANK) {
    moire__graph_fail_at(x.graph, at, "slice_by", MOIRE_ERROR_SHAPE, "of a value of %d axes", MOIRE_MAX_RANK);
    return moire__null_like(x, x);
  }
  moire_shape groups = {.rank = shape.rank + 1};
  for (int i = 0; i < groups.rank; i++)
    groups.dims[i] = i < d ? shape.dims[i] : i == d ? length : i == d + 1 ? step : shape.dims[i - 1];
  shape.dims[d] = length;
  return moire_reshape_at(at, moire_slice_at(at, moire_reshape_at(at, x, groups), d + 1, 0, 1), shape);
}

moire_value moire_flip_at(moire_source at, moire_value x, int axis) {
  if (moire_value_is_null(x)) return x;
  int rank = moire_value_shape(x).rank, from_front = moire__axis(axis, rank);
  if (from_front < 0) {
    moire__graph_fail_at(x.graph, at, "flip", MOIRE_ERROR_SHAPE, "axis %d of a value of rank %d", axis, rank);
    return moire__null_like(x, x);
  }
  const moire__attr attr = moire__attr_make_int("axis", from_front);
  return moire__graph_emit(x.graph, at, MOIRE__OP_flip, &x, 1, &attr, 1);
}

moire_value moire_roll_at(moire_source at, moire_value x, int64_t shift, int axis) {
  int d = fixed_axis(at, "roll", x, axis);
  if (d < 0) return moire__null_like(x, x);
  int64_t extent = moire_value_shape(x).dims[d];
  int64_t front = extent ? (shift % extent + extent) % extent : 0; /* so many from the end go to the front */
  if (front == 0) return x;
  moire_value parts[] = {moire_slice_at(at, x, d, extent - front, front),
                         moire_slice_at(at, x, d, 0, extent - front)};
  return moire_concat_at(at, parts, 2, d);
}

moire_value moire_one_hot_at(moire_source at, moire_value index, int64_t n, moire_dtype dtype) {
  if (moire_value_is_null(index)) return index;
  moire_shape shape = moire_value_shape(index), column = shape;
  if (!moire__dtype_is_int(moire_value_dtype(index)) || shape.rank == MOIRE_MAX_RANK || n < 1) {
    moire__graph_fail_at(index.graph, at, "one_hot", MOIRE_ERROR_ARGUMENT,
                         "wanted integers of at most %d axes and at least one class", MOIRE_MAX_RANK - 1);
    return moire__null_like(index, index);
  }
  column.dims[column.rank++] = 1;
  shape.dims[shape.rank++] = n;
  moire_value number = moire_cast_at(at, moire_iota_at(at, index.graph, shape, -1), moire_value_dtype(index));
  return moire_cast_at(at, moire_equal_at(at, number, moire_reshape_at(at, index, column)), dtype);
}
