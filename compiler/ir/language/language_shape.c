/* The language: shape calls, gathering, concatenation. A call that would change nothing returns its operand. */
#include "compiler/ir/language/language.h"

#include <string.h>

moire_value moire_reshape_at(moire_source at, moire_value x, moire_shape shape) {
  return moire__emit_shape(at, MOIRE__OP_reshape, x, &shape);
}

moire_value moire_broadcast_at(moire_source at, moire_value x, moire_shape shape) {
  return moire__emit_shape(at, MOIRE__OP_broadcast, x, &shape);
}

moire_value moire_permute_at(moire_source at, moire_value x, int rank, const int *axes) {
  if (moire_value_is_null(x)) return x;
  if (rank != moire_value_shape(x).rank) {
    moire__graph_fail_at(x.graph, at, "permute", MOIRE_ERROR_SHAPE, "%d axes for a value of rank %d", rank,
                         moire_value_shape(x).rank);
    return moire__null_like(x, x);
  }
  int64_t from_front[MOIRE_MAX_RANK] = {0};
  for (int i = 0; i < rank; i++) {
    int axis = moire__axis(axes[i], rank);
    from_front[i] = axis < 0 ? axes[i] : axis;
  }
  const moire__attr attr = moire__attr_make_ints("axes", from_front, rank);
  return moire__graph_emit(x.graph, at, MOIRE__OP_permute, &x, 1, &attr, 1);
}

/* An axis of x from the front; -1 with the mistake recorded in the name of `what`. */
static int axis_of(moire_source at, const char *what, moire_value x, int axis) {
  int rank = moire_value_shape(x).rank;
  int from_front = moire__axis(axis, rank);
  if (from_front < 0) {
    moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "axis %d of a value of rank %d", axis, rank);
  }
  return from_front;
}

moire_value moire_swap_axes_at(moire_source at, moire_value x, int a, int b) {
  if (moire_value_is_null(x)) return x;
  int first = axis_of(at, "swap_axes", x, a), second = axis_of(at, "swap_axes", x, b);
  if (first < 0 || second < 0) return moire__null_like(x, x);
  if (first == second) return x;
  int axes[MOIRE_MAX_RANK], rank = moire_value_shape(x).rank;
  for (int i = 0; i < rank; i++) axes[i] = i == first ? second : i == second ? first : i;
  return moire_permute_at(at, x, rank, axes);
}

static moire_value emit_on_axis(moire_source at, moire__op op, moire_value x, int axis, moire__attr second,
                                moire__attr third) {
  if (moire_value_is_null(x)) return x;
  int from_front = axis_of(at, moire__op_get(op)->name, x, axis);
  if (from_front < 0) return moire__null_like(x, x);
  const moire__attr attrs[] = {moire__attr_make_int("axis", from_front), second, third};
  return moire__graph_emit(x.graph, at, op, &x, 1, attrs, 3);
}

moire_value moire_slice_at(moire_source at, moire_value x, int axis, int64_t start, int64_t length) {
  return emit_on_axis(at, MOIRE__OP_slice, x, axis, moire__attr_make_int("start", start),
                      moire__attr_make_int("length", length));
}

moire_value moire_pad_at(moire_source at, moire_value x, int axis, int64_t before, int64_t after) {
  return emit_on_axis(at, MOIRE__OP_pad, x, axis, moire__attr_make_int("before", before),
                      moire__attr_make_int("after", after));
}

/* One node of all parts, or where they are more than one takes, of nodes of as many each. */
static moire_value concat_tree(moire_source at, moire_graph *g, const moire_value *parts, int n, int axis) {
  const moire__attr attr = moire__attr_make_int("axis", axis);
  const int most = moire__op_get(MOIRE__OP_concat)->max_operands;
  if (n <= most) return moire__graph_emit(g, at, MOIRE__OP_concat, parts, n, &attr, 1);
  moire_value *groups = moire__arena_array(&g->arena, (size_t)(n / most) + 1, sizeof *groups);
  int n_groups = 0;
  for (int i = 0; i < n; i += most) {
    int size = n - i < most ? n - i : most;
    groups[n_groups++] = size == 1 ? parts[i] : concat_tree(at, g, parts + i, size, axis);
  }
  return concat_tree(at, g, groups, n_groups, axis);
}

moire_value moire_concat_at(moire_source at, const moire_value *parts, int n, int axis) {
  moire_value null = {0};
  bool sound = n > 0;
  for (int i = 0; i < n; i++) {
    if (!null.graph) null.graph = parts[i].graph;
    if (moire_value_is_null(parts[i])) sound = false;
  }
  if (!sound) return null;
  int from_front = axis_of(at, "concat", parts[0], axis);
  if (from_front < 0) return null;
  moire_value *promoted = moire__arena_array(&null.graph->arena, (size_t)n, sizeof *promoted);
  memcpy(promoted, parts, (size_t)n * sizeof *promoted);
  moire__promote(at, promoted, n);
  return concat_tree(at, null.graph, promoted, n, from_front);
}
