/* The language: sums and softmax along the edges of a graph. */
#include "compiler/ir/language/language.h"

static void order_of(moire_source at, moire_value rows, moire_dim n, moire_value out[3]) {
  moire_shape shape = MOIRE_SHAPE(n);
  const moire__attr attr = moire__attr_make_dims("shape", &shape);
  moire_value first = moire__graph_emit(rows.graph, at, MOIRE__OP_segment_order, &rows, 1, &attr, 1);
  for (int i = 0; i < 3; i++)
    out[i] = moire_value_is_null(first) ? first : moire__value(rows.graph, first.id + i);
}

/* x with an axis of extent 1 put in at `axis`. */
static moire_value with_axis(moire_source at, moire_value x, int axis) {
  moire_shape shape = moire_value_shape(x);
  for (int i = shape.rank++; i > axis; i--) shape.dims[i] = shape.dims[i - 1];
  shape.dims[axis] = 1;
  return moire_reshape_at(at, x, shape);
}

/* x without its axis of extent 1. */
static moire_value without_axis(moire_source at, moire_value x, int axis) {
  moire_shape shape = moire_value_shape(x);
  shape.rank--;
  for (int i = axis; i < shape.rank; i++) shape.dims[i] = shape.dims[i + 1];
  shape.dims[shape.rank] = 0;
  return moire_reshape_at(at, x, shape);
}

/* Is the rank one of low and high? If not, that is recorded. */
static bool has_rank(moire_source at, const char *what, const char *name, moire_value x, int low, int high) {
  int rank = moire_value_shape(x).rank;
  if (rank == low || rank == high) return true;
  moire__graph_fail_at(x.graph, at, what, MOIRE_ERROR_SHAPE, "%s has %d axes, wanted %d or %d", name, rank, low,
                       high);
  return false;
}

moire_value moire_segment_softmax_at(moire_source at, moire_value scores, moire_value rows, moire_dim n) {
  if (moire_value_is_null(scores) || moire_value_is_null(rows)) return moire__null_like(scores, rows);
  if (!has_rank(at, "segment_softmax", "scores", scores, 1, 2)) return moire__null_like(scores, scores);
  bool heads = moire_value_shape(scores).rank == 2;
  moire_value operands[4] = {heads ? scores : with_axis(at, scores, 1)};
  order_of(at, rows, n, operands + 1);
  for (int i = 0; i < 4; i++)
    if (moire_value_is_null(operands[i])) return operands[i];
  moire_value y = moire__graph_emit(scores.graph, at, MOIRE__OP_segment_softmax, operands, 4, NULL, 0);
  return heads || moire_value_is_null(y) ? y : without_axis(at, y, 1);
}

moire_value moire_edge_sum_at(moire_source at, moire_value weights, moire_value x, moire_value source,
                              moire_value target, moire_dim n) {
  if (moire_value_is_null(x) || moire_value_is_null(source)) return moire__null_like(x, source);
  if (moire_value_is_null(target)) return target;
  if (moire_value_is_null(weights))
    weights = moire_constant_at(at, x.graph, MOIRE_F32, moire_value_shape(source), 1);
  if (!has_rank(at, "edge_sum", "weights", weights, 1, 2) || !has_rank(at, "edge_sum", "x", x, 2, 3))
    return moire__null_like(x, x);
  bool heads = moire_value_shape(weights).rank == 2;
  if (!heads) weights = with_axis(at, weights, 1);
  if (moire_value_shape(x).rank == 2) x = with_axis(at, x, 1);
  moire_value operands[7] = {weights, x, source};
  order_of(at, target, n, operands + 3);
  operands[6] = target;
  for (int i = 0; i < 7; i++)
    if (moire_value_is_null(operands[i])) return operands[i];
  const moire__attr attr = moire__attr_make_int("heads", moire_value_dim(weights, 1));
  moire_value y = moire__graph_emit(x.graph, at, MOIRE__OP_edge_sum, operands, 7, &attr, 1);
  return heads || moire_value_is_null(y) ? y : without_axis(at, y, 1);
}

moire_value moire_edge_dot_at(moire_source at, moire_value x, moire_value y, moire_value source,
                              moire_value target) {
  moire_value operands[] = {x, y, source, target};
  for (int i = 0; i < 4; i++)
    if (moire_value_is_null(operands[i])) return moire__null_like(x, operands[i]);
  bool heads = moire_value_shape(x).rank == 3;
  for (int i = 0; i < 2; i++) {
    int rank = heads ? 3 : 2;
    if (!has_rank(at, "edge_dot", i ? "y" : "x", operands[i], rank, rank)) return moire__null_like(x, x);
    if (!heads) operands[i] = with_axis(at, operands[i], 1);
  }
  const moire__attr attr = moire__attr_make_int("heads", moire_value_dim(operands[0], 1));
  moire_value w = moire__graph_emit(x.graph, at, MOIRE__OP_edge_dot, operands, 4, &attr, 1);
  return heads || moire_value_is_null(w) ? w : without_axis(at, w, 1);
}

moire_value moire_segment_sum_at(moire_source at, moire_value x, moire_value rows, moire_dim n) {
  if (moire_value_is_null(x) || moire_value_is_null(rows)) return moire__null_like(x, rows);
  moire_shape shape = moire_value_shape(x), flat = MOIRE_SHAPE(shape.rank ? shape.dims[0] : 1, 1);
  for (int i = 1; i < shape.rank; i++) flat.dims[1] = moire_dim_times(flat.dims[1], shape.dims[i]);
  shape.dims[0] = n;
  moire_value edges = moire_iota_at(at, x.graph, moire_value_shape(rows), 0);
  moire_value y =
      moire_edge_sum_at(at, (moire_value){x.graph, 0}, moire_reshape_at(at, x, flat), edges, rows, n);
  return moire_value_is_null(y) ? y : moire_reshape_at(at, y, shape);
}
