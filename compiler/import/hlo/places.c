/* Where the elements of a gather or a scatter lie. See places.h. */
#include "compiler/import/hlo/places.h"

#include <stdio.h>

static moire_value whole(moire__hlo_call *c, moire_value like, int64_t number) {
  return moire__hlo_scalar(c, like, (double)number);
}

/* The numbers of a list among the axes, each once; their number. */
static int read_axes(moire__hlo_call *c, const char *prefix, const char *name, int rank, int *out) {
  char full[80];
  int64_t there[MOIRE_MAX_RANK];
  snprintf(full, sizeof full, "%s.%s", prefix, name);
  int n = moire__integers(&c->call, full, there, MOIRE_MAX_RANK);
  for (int i = 0; i < n; i++) {
    out[i] = moire__import_axis(&c->call, there[i], rank);
    for (int k = 0; k < i; k++) {
      if (out[k] == out[i]) moire__refuse(&c->call, "%s: names an axis twice", full);
    }
  }
  return n < 0 || c->call.why ? 0 : n;
}

/* [batch.., n]: the axis of the starts behind all others. */
static moire_value arranged_starts(moire__hlo_call *c, moire_value indices, int64_t axis) {
  int rank = moire_value_shape(indices).rank;
  if (!moire__hlo_is_whole(indices) || axis < 0 || axis > rank) {
    moire__refuse(&c->call, "wanted whole numbers as indices, and index_vector_dim among their axes");
    return moire__null(&c->call);
  }
  indices = moire_cast_at(c->call.at, indices, MOIRE_I64);
  if (axis == rank) return moire__unsqueeze(&c->call, indices, rank);
  return moire__move_axis(&c->call, indices, (int)axis, rank - 1);
}

bool moire__hlo_read_places(moire__hlo_call *c, bool scatter, moire_value x, moire_value indices,
                            const int64_t *sizes, moire__hlo_places *p) {
  const char *prefix = scatter ? "scatter_dimension_numbers" : "dimension_numbers";
  char full[80];
  if (moire_value_is_null(x) || moire_value_is_null(indices)) return false;
  int rank = moire_value_shape(x).rank, gone[MOIRE_MAX_RANK];
  *p = (moire__hlo_places){.x = x};
  snprintf(full, sizeof full, "%s.index_vector_dim", prefix);
  int64_t vector_axis = moire__integer_or(&c->call, full, 0);
  p->starts = arranged_starts(c, indices, vector_axis);
  if (c->call.why) return false;
  p->n_starts = moire_value_shape(p->starts).rank - 1;
  p->n_mapped =
      read_axes(c, prefix, scatter ? "scatter_dims_to_operand_dims" : "start_index_map", rank, p->mapped);
  p->n_batch = read_axes(c, prefix, scatter ? "input_batching_dims" : "operand_batching_dims", rank, p->batch);
  int n_of = read_axes(c, prefix, scatter ? "scatter_indices_batching_dims" : "start_indices_batching_dims",
                       p->n_starts + 1, p->batch_of);
  int n_gone = read_axes(c, prefix, scatter ? "inserted_window_dims" : "collapsed_slice_dims", rank, gone);
  for (int i = 0; i < p->n_batch && vector_axis < p->n_starts; i++) {
    if (p->batch_of[i] > vector_axis) p->batch_of[i]--;
  }
  if (n_of != p->n_batch)
    moire__refuse(&c->call, "wanted as many batching axes of the operand as of the indices");
  for (int i = 0; i < p->n_batch; i++) {
    if (p->batch_of[i] >= p->n_starts) moire__refuse(&c->call, "a batching axis is that of the indices");
  }
  if (moire__fixed(&c->call, p->starts, p->n_starts) != p->n_mapped)
    moire__refuse(&c->call, "wanted an axis of the operand for each index");
  for (int axis = 0; axis < rank && !c->call.why; axis++) {
    bool is_gone = false;
    for (int i = 0; i < n_gone; i++) is_gone = is_gone || gone[i] == axis;
    for (int i = 0; i < p->n_batch; i++) is_gone = is_gone || p->batch[i] == axis;
    p->sizes[axis] = is_gone ? 1 : sizes[axis];
    if (!is_gone) p->window[p->n_window++] = axis;
    if (p->sizes[axis] < 0 || p->sizes[axis] > moire__fixed(&c->call, x, axis))
      moire__refuse(&c->call, "a window is larger than axis %d", axis);
  }
  if (p->n_starts + p->n_window > MOIRE_MAX_RANK)
    moire__refuse(&c->call, "has more than %d axes", MOIRE_MAX_RANK);
  return !c->call.why;
}

moire_value moire__hlo_start(moire__hlo_call *c, const moire__hlo_places *p, int i, bool clamped) {
  moire_source at = c->call.at;
  moire_value start = moire__squeeze(&c->call, moire_slice_at(at, p->starts, p->n_starts, i, 1), p->n_starts);
  if (!clamped) return start;
  int64_t last = moire__fixed(&c->call, p->x, p->mapped[i]) - p->sizes[p->mapped[i]];
  start = moire_max_of_at(at, start, whole(c, start, 0));
  return moire_min_of_at(at, start, whole(c, start, last));
}

/* x [batch..] with axes of 1 behind. */
static moire_value before_windows(moire__hlo_call *c, const moire__hlo_places *p, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  for (int i = 0; i < p->n_window; i++) shape.dims[shape.rank++] = 1;
  return moire_reshape_at(c->call.at, x, shape);
}

/* 0, 1, .. along one of n_starts + n_window axes, the others being 1. */
static moire_value counted(moire__hlo_call *c, const moire__hlo_places *p, int axis, int64_t n) {
  moire_shape shape = {.rank = p->n_starts + p->n_window};
  for (int i = 0; i < shape.rank; i++) shape.dims[i] = i == axis ? n : 1;
  return moire__count_along(&c->call, shape, axis, 0, 1);
}

/* The index on an axis of the operand; null where it is always 0. */
static moire_value index_on(moire__hlo_call *c, const moire__hlo_places *p, int axis, bool scatter) {
  moire_value index = moire__null(&c->call);
  for (int i = 0; i < p->n_mapped; i++) {
    if (p->mapped[i] == axis) index = before_windows(c, p, moire__hlo_start(c, p, i, !scatter));
  }
  for (int i = 0; i < p->n_batch; i++) {
    if (p->batch[i] != axis) continue;
    moire_value batch = counted(c, p, p->batch_of[i], moire__fixed(&c->call, p->starts, p->batch_of[i]));
    index = moire_value_is_null(index) ? batch : moire_add_at(c->call.at, index, batch);
  }
  for (int i = 0; i < p->n_window; i++) {
    if (p->window[i] != axis || p->sizes[axis] == 1) continue;
    moire_value offset = counted(c, p, p->n_starts + i, p->sizes[axis]);
    index = moire_value_is_null(index) ? offset : moire_add_at(c->call.at, index, offset);
  }
  return index;
}

moire_value moire__hlo_flat_places(moire__hlo_call *c, const moire__hlo_places *p, bool scatter) {
  moire_source at = c->call.at;
  moire_shape shape = {.rank = p->n_starts + p->n_window};
  for (int i = 0; i < p->n_starts; i++) shape.dims[i] = moire_value_dim(p->starts, i);
  for (int i = 0; i < p->n_window; i++) shape.dims[p->n_starts + i] = p->sizes[p->window[i]];
  moire_value place = moire_constant_at(at, c->call.graph, MOIRE_I64, shape, 0), inside = moire__null(&c->call);
  int64_t step = 1;
  for (int axis = moire_value_shape(p->x).rank - 1; axis >= 0 && !c->call.why; axis--) {
    int64_t size = moire__fixed(&c->call, p->x, axis);
    moire_value index = index_on(c, p, axis, scatter);
    if (!moire_value_is_null(index)) {
      place = moire_add_at(at, place, moire_scale_at(at, index, (double)step));
      moire_value good = moire_and_at(at, moire_less_equal_at(at, whole(c, index, 0), index),
                                      moire_less_at(at, index, whole(c, index, size)));
      inside = moire_value_is_null(inside) ? good : moire_and_at(at, inside, good);
    }
    step *= size;
  }
  if (!scatter || moire_value_is_null(inside)) return place;
  return moire_where_at(at, inside, place, whole(c, place, step));
}

bool moire__hlo_is_rows(moire__hlo_call *c, const moire__hlo_places *p) {
  int rank = moire_value_shape(p->x).rank;
  if (p->n_mapped != 1 || p->mapped[0] != 0 || p->n_batch || p->n_window != rank - 1 || p->window[0] == 0)
    return false;
  for (int axis = 1; axis < rank; axis++) {
    if (p->sizes[axis] != moire__fixed(&c->call, p->x, axis)) return false;
  }
  return rank > 1;
}

void moire__hlo_window_order(const int64_t *dims, int n_window, int rank, bool back, int *order) {
  int next_batch = 0, next_window = rank - n_window;
  for (int axis = 0; axis < rank; axis++) {
    bool is_window = false;
    for (int i = 0; i < n_window; i++) is_window = is_window || dims[i] == axis;
    int from = is_window ? next_window++ : next_batch++;
    if (from >= rank) from = rank - 1;
    if (back)
      order[from] = axis;
    else
      order[axis] = from;
  }
}
