/* What rows about shapes share. See shapes.h. */
#include "compiler/import/shapes.h"

#include "compiler/ir/graph/graph.h"

moire_dim moire__elements(const moire_shape *shape) {
  moire_dim n = 1;
  for (int i = 0; i < shape->rank && n >= 0; i++) n = moire_dim_times(n, shape->dims[i]);
  return n;
}

moire_shape moire__common_shape(const moire_value *values, int n) {
  moire_shape common = {.rank = 0};
  for (int i = 0; i < n && !moire_value_is_null(values[i]); i++) {
    moire_shape shape = moire_value_shape(values[i]);
    int rank = shape.rank > common.rank ? shape.rank : common.rank;
    moire_shape next = {.rank = rank};
    for (int k = 1; k <= rank; k++) {
      moire_dim a = k <= common.rank ? common.dims[common.rank - k] : 1;
      moire_dim b = k <= shape.rank ? shape.dims[shape.rank - k] : 1;
      next.dims[rank - k] = b == 1 ? a : b;
    }
    common = next;
  }
  return common;
}

moire_value moire__move_axis(moire__call *c, moire_value x, int from, int to) {
  if (moire_value_is_null(x) || from == to) return x;
  int rank = moire_value_shape(x).rank, axes[MOIRE_MAX_RANK], next = 0;
  for (int i = 0; i < rank; i++) {
    if (next == from) next++;
    axes[i] = i == to ? from : next++;
  }
  return moire_permute_at(c->at, x, rank, axes);
}

/* Of several reshapes one behind the other only the last counts; masks are recognised so. */
static moire_value reshaped(moire__call *c, moire_value x, moire_shape shape) {
  const moire__node *node = moire__node_of(c->graph, x.id);
  if (node->op == MOIRE__OP_reshape) x = moire__value(c->graph, node->operands[0]);
  return moire_reshape_at(c->at, x, shape);
}

moire_value moire__squeeze(moire__call *c, moire_value x, int axis) {
  if (moire_value_is_null(x)) return x;
  moire_shape shape = moire_value_shape(x);
  for (int i = axis; i + 1 < shape.rank; i++) shape.dims[i] = shape.dims[i + 1];
  shape.dims[--shape.rank] = 0;
  return reshaped(c, x, shape);
}

moire_value moire__unsqueeze(moire__call *c, moire_value x, int axis) {
  if (moire_value_is_null(x)) return x;
  moire_shape shape = moire_value_shape(x);
  if (shape.rank == MOIRE_MAX_RANK) {
    moire__refuse(c, "has more than %d axes", MOIRE_MAX_RANK);
    return moire__null(c);
  }
  for (int i = shape.rank++; i > axis; i--) shape.dims[i] = shape.dims[i - 1];
  shape.dims[axis] = 1;
  return reshaped(c, x, shape);
}

moire_value moire__merge_axes(moire__call *c, moire_value x, int first, int last) {
  if (moire_value_is_null(x)) return x;
  moire_shape from = moire_value_shape(x), to = {.rank = 0};
  for (int i = 0; i < from.rank; i++) {
    if (i > first && i <= last) {
      moire_dim *merged = &to.dims[to.rank - 1];
      *merged = moire_dim_times(*merged, from.dims[i]);
      if (*merged < 0) moire__refuse(c, "makes an axis of too many elements");
      if (*merged < 0) return moire__null(c);
    } else {
      to.dims[to.rank++] = from.dims[i];
    }
  }
  return moire_reshape_at(c->at, x, to);
}

/* whole / part, of which every named extent and the factor go in; false where they do not. */
static bool divide(moire_dim whole, moire_dim part, moire_dim *out) {
  int64_t factor = moire__dim_factor(part);
  if (whole < 0 || part < 0 || !factor || moire__dim_factor(whole) % factor) return false;
  int left = moire__dim_extents(whole), kept = 0, n = 0;
  int taken = moire__dim_extents(part);
  for (; left; left >>= 4) {
    bool same = taken && (taken & 15) == (left & 15);
    if (same) taken >>= 4;
    if (!same) kept |= (left & 15) << 4 * n++;
  }
  if (taken) return false;
  *out = moire__dim_make(moire__dim_factor(whole) / factor, kept);
  return true;
}

bool moire__complete_shape(moire__call *c, moire_value x, const moire_dim *dims, int n, moire_shape *out) {
  if (moire_value_is_null(x)) return false;
  moire_shape from = moire_value_shape(x);
  moire_dim known = 1;
  int open = -1;
  *out = (moire_shape){.rank = n};
  for (int i = 0; i < n; i++) {
    out->dims[i] = dims[i];
    if (dims[i] >= 0) known = moire_dim_times(known, dims[i]);
    if (dims[i] < 0 && open >= 0) moire__refuse(c, "has two sizes of -1");
    if (dims[i] < 0) open = i;
  }
  moire_dim all = moire__elements(&from);
  if (open < 0) return true;
  out->dims[open] = 1;
  if (divide(all, known, &out->dims[open])) return true;
  moire__refuse(c, "the size of -1 cannot be told: sizes must be products of numbers and sizes of the inputs");
  return false;
}

moire_value moire__count_along(moire__call *c, moire_shape shape, int axis, int64_t start, int64_t step) {
  moire_value count = moire_iota_at(c->at, c->graph, shape, axis);
  count = moire_cast_at(c->at, count, MOIRE_I64);
  if (step != 1) count = moire_scale_at(c->at, count, (double)step);
  return start ? moire_add_scalar_at(c->at, count, (double)start) : count;
}

moire_value moire__take(moire__call *c, moire_value x, moire_value index, int axis) {
  if (moire_value_is_null(x) || moire_value_is_null(index)) return moire__null(c);
  int rank = moire_value_shape(index).rank;
  if (rank + moire_value_shape(x).rank - 1 > MOIRE_MAX_RANK) {
    moire__refuse(c, "has more than %d axes", MOIRE_MAX_RANK);
    return moire__null(c);
  }
  moire_value rows = moire_gather_at(c->at, moire__move_axis(c, x, axis, 0), index);
  for (int i = 0; i < rank && axis > 0; i++) rows = moire__move_axis(c, rows, 0, axis + rank - 1);
  return rows;
}

int moire__axes(moire__call *c, const char *name, int rank, int *out) {
  int64_t axes[MOIRE_MAX_RANK];
  int n = moire__integers(c, name, axes, MOIRE_MAX_RANK);
  if (n <= 0) {
    for (int i = 0; i < rank; i++) out[i] = i;
    return rank;
  }
  for (int i = 0; i < n; i++) out[i] = moire__import_axis(c, axes[i], rank);
  return rank ? n : 0;
}

moire_value moire__fill(moire__call *c, moire_value x, moire_value mask, const moire__argument *number) {
  if (moire_value_is_null(x) || !number) return moire__null(c);
  if (number->kind == MOIRE__ARGUMENT_REAL || number->kind == MOIRE__ARGUMENT_INT)
    return moire_masked_fill_at(c->at, x, mask, number->real);
  return moire_where_at(c->at, mask, moire__as(c, number, moire__type_of(x), (moire_value){0}), x);
}
