/* What rows about shapes share. */
#ifndef MOIRE_COMPILER_IMPORT_SHAPES_H
#define MOIRE_COMPILER_IMPORT_SHAPES_H

#include "compiler/import/row.h"

/* The axis at `from` moved to `to`, the others in their order. */
moire_value moire__move_axis(moire__call *call, moire_value x, int from, int to);
/* x with one of its axes cut out, or put in with extent 1. */
moire_value moire__squeeze(moire__call *call, moire_value x, int axis);
moire_value moire__unsqueeze(moire__call *call, moire_value x, int axis);
/* Axes first to last as one. Refused where the product is too large. */
moire_value moire__merge_axes(moire__call *call, moire_value x, int first, int last);
/* Sizes of which one may be -1: that is what is left of x's elements. False with a refusal. */
bool moire__complete_shape(moire__call *call, moire_value x, const moire_dim *dims, int n, moire_shape *out);
/* The shape that values have together; extents that do not go together are the last one's. */
moire_shape moire__common_shape(const moire_value *values, int n);
/* Elements of a shape; -1 where they are more than a moire_dim holds. */
moire_dim moire__elements(const moire_shape *shape);
/* start, start + step, .. : i64 of the shape, along its axis. */
moire_value moire__count_along(moire__call *call, moire_shape shape, int axis, int64_t start, int64_t step);
/* The elements of x at whole numbers `index` of rank 1 along an axis; or, of any rank, in its place. */
moire_value moire__take(moire__call *call, moire_value x, moire_value index, int axis);
/* Axes of the argument `name`: all where it did not come or is empty. Returns their number. */
int moire__axes(moire__call *call, const char *name, int rank, int *out);
/* The value, of x where `mask` is true: a bool of which x's shape is made by broadcasting. */
moire_value moire__fill(moire__call *call, moire_value x, moire_value mask, const moire__argument *number);

#endif
