/* Rows of the table: other shapes and parts of the same elements. */
#include "compiler/import/torch/rows.h"

#include <string.h>

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

static moire_value self(moire__call *c) { return moire__tensor(c, "self"); }

/* ---- the same elements in order ---------------------------------------------------------------------------
 */

static void reshape_by(moire__call *c, const char *name) {
  moire_value x = self(c);
  moire_dim dims[MOIRE_MAX_RANK];
  moire_shape shape;
  int n = moire__dims(c, name, dims, MOIRE_MAX_RANK);
  if (n < 0) moire__refuse(c, "%s: wanted sizes", name);
  if (n >= 0 && moire__complete_shape(c, x, dims, n, &shape)) moire__give(c, moire_reshape_at(c->at, x, shape));
}

static void view(moire__call *c) { reshape_by(c, "size"); }
static void reshape(moire__call *c) { reshape_by(c, "shape"); }

static void view_as(moire__call *c) {
  moire_value x = self(c), other = moire__tensor(c, "other");
  if (!missing(x) && !missing(other)) moire__give(c, moire_reshape_at(c->at, x, moire_value_shape(other)));
}

static void flatten(moire__call *c) {
  moire_value x = self(c);
  int rank = rank_of(x);
  int first = moire__import_axis(c, moire__integer_or(c, "start_dim", 0), rank);
  int last = moire__import_axis(c, moire__integer_or(c, "end_dim", -1), rank);
  moire__give(c, rank ? moire__merge_axes(c, x, first, last) : moire__unsqueeze(c, x, 0));
}

static void unflatten(moire__call *c) {
  moire_value x = self(c);
  moire_dim dims[MOIRE_MAX_RANK], whole[MOIRE_MAX_RANK];
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x)), k = 0;
  int n = moire__dims(c, "sizes", dims, MOIRE_MAX_RANK);
  if (missing(x) || n < 1 || n + rank_of(x) - 1 > MOIRE_MAX_RANK) {
    moire__refuse(c, "wanted sizes of at most %d axes in all", MOIRE_MAX_RANK);
    return;
  }
  moire_shape shape = moire_value_shape(x);
  for (int i = 0; i < shape.rank; i++) {
    if (i != axis) whole[k++] = shape.dims[i];
    for (int j = 0; i == axis && j < n; j++) whole[k++] = dims[j];
  }
  if (moire__complete_shape(c, x, whole, k, &shape)) moire__give(c, moire_reshape_at(c->at, x, shape));
}

static void unsqueeze(moire__call *c) {
  moire_value x = self(c);
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x) + 1);
  moire__give(c, moire__unsqueeze(c, x, axis));
}

/* The axes of extent 1 among those that are named, or among all. */
static void squeeze(moire__call *c) {
  moire_value x = self(c);
  int axes[MOIRE_MAX_RANK];
  if (missing(x)) return;
  moire_shape shape = moire_value_shape(x), to = {.rank = 0};
  int n = moire__axes(c, "dim", shape.rank, axes);
  for (int i = 0; i < shape.rank; i++) {
    bool named = false;
    for (int k = 0; k < n; k++) named = named || axes[k] == i;
    if (!named || shape.dims[i] != 1) to.dims[to.rank++] = shape.dims[i];
  }
  moire__give(c, moire_reshape_at(c->at, x, to));
}

/* ---- axes in another order --------------------------------------------------------------------------------
 */

static void permute(moire__call *c) {
  moire_value x = self(c);
  int axes[MOIRE_MAX_RANK];
  int n = moire__axes(c, "dims", rank_of(x), axes);
  moire__give(c, n ? moire_permute_at(c->at, x, n, axes) : x);
}

static void transpose_by(moire__call *c, int64_t a, int64_t b) {
  moire_value x = self(c);
  int rank = rank_of(x), from = moire__import_axis(c, a, rank), to = moire__import_axis(c, b, rank);
  moire__give(c, from == to ? x : moire_swap_axes_at(c->at, x, from, to));
}

static void transpose(moire__call *c) { transpose_by(c, moire__integer(c, "dim0"), moire__integer(c, "dim1")); }
static void swap_axes(moire__call *c) {
  transpose_by(c, moire__integer(c, "axis0"), moire__integer(c, "axis1"));
}
static void swap_last(moire__call *c) { transpose_by(c, -2, -1); }

static void turn(moire__call *c) {
  if (rank_of(self(c)) < 2)
    moire__give(c, self(c));
  else
    swap_last(c);
}

static void reverse_axes(moire__call *c) {
  moire_value x = self(c);
  int rank = rank_of(x), axes[MOIRE_MAX_RANK];
  for (int i = 0; i < rank; i++) axes[i] = rank - 1 - i;
  moire__give(c, rank < 2 ? x : moire_permute_at(c->at, x, rank, axes));
}

static void hermitian(moire__call *c) {
  moire_value x = self(c);
  moire__give(c, rank_of(x) < 2 ? moire_conj_at(c->at, x) : moire_hermitian_at(c->at, x));
}

static void movedim(moire__call *c) {
  moire_value x = self(c);
  int rank = rank_of(x), from[MOIRE_MAX_RANK], to[MOIRE_MAX_RANK], axes[MOIRE_MAX_RANK];
  bool taken[MOIRE_MAX_RANK] = {false}, filled[MOIRE_MAX_RANK] = {false};
  int n = moire__axes(c, "source", rank, from), m = moire__axes(c, "destination", rank, to);
  if (n != m) moire__refuse(c, "wanted as many destinations as sources");
  if (c->why || !rank) {
    moire__give(c, x);
    return;
  }
  for (int i = 0; i < n; i++) {
    axes[to[i]] = from[i];
    taken[from[i]] = filled[to[i]] = true;
  }
  for (int i = 0, next = 0; i < rank; i++) {
    if (filled[i]) continue;
    while (next < rank && taken[next]) next++;
    axes[i] = next < rank ? next++ : 0;
  }
  moire__give(c, moire_permute_at(c->at, x, rank, axes));
}

/* ---- repeated elements ------------------------------------------------------------------------------------
 */

static void expand_to(moire__call *c, moire_value x, moire_shape shape) {
  moire__give(c, moire_broadcast_at(c->at, x, shape));
  const moire__argument *a = moire__find(c, "self");
  if (!a) return;
  c->result.uniform = a->uniform;
  c->result.real = a->real;
}

static void expand(moire__call *c) {
  moire_value x = self(c);
  moire_dim dims[MOIRE_MAX_RANK];
  int n = moire__dims(c, "size", dims, MOIRE_MAX_RANK), rank = rank_of(x);
  moire__pass_over(c, "implicit");
  if (n < rank) moire__refuse(c, "wanted no fewer sizes than axes");
  if (c->why || missing(x)) return;
  moire_shape shape = {.rank = n};
  for (int i = 0; i < n; i++) {
    bool kept = dims[i] < 0 && i >= n - rank;
    shape.dims[i] = kept ? moire_value_dim(x, i - (n - rank)) : dims[i];
    if (shape.dims[i] < 0) moire__refuse(c, "has a size of -1 where there is no axis");
  }
  if (!c->why) expand_to(c, x, shape);
}

static void expand_as(moire__call *c) {
  moire_value x = self(c), other = moire__tensor(c, "other");
  if (!missing(x) && !missing(other)) expand_to(c, x, moire_value_shape(other));
}

/* ---- parts ------------------------------------------------------------------------------------------------
 */

static int axis_of(moire__call *c, moire_value x) {
  return moire__import_axis(c, moire__integer_or(c, "dim", 0), rank_of(x));
}

/* x[index] along an axis, which goes; counted from the end where index is negative. */
static moire_value select_at(moire__call *c, moire_value x, int axis, int64_t index) {
  int64_t n = moire__fixed(c, x, axis);
  if (index < 0) index += n;
  if (index < 0 || index >= n) {
    moire__refuse(c, "the index is outside of the axis");
    return moire__null(c);
  }
  return moire__squeeze(c, moire_slice_at(c->at, x, axis, index, 1), axis);
}

static void select_one(moire__call *c) {
  moire_value x = self(c);
  moire__give(c, select_at(c, x, axis_of(c, x), moire__integer(c, "index")));
}

/* The first rows of a longer axis, as many as a size that is named: looked up one by one. */
static void first_of(moire__call *c, moire_value x, int axis, moire_dim n) {
  moire_value rows = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(n), 0);
  moire__give(c, moire__take(c, x, rows, axis));
}

static int64_t from_front(int64_t index, int64_t n) {
  if (index < 0) index += n;
  return index < 0 ? 0 : index > n ? n : index;
}

static void slice(moire__call *c) {
  moire_value x = self(c);
  int axis = axis_of(c, x);
  int64_t start = moire__integer_or(c, "start", 0), step = moire__integer_or(c, "step", 1);
  const moire__argument *end = moire__find(c, "end");
  bool whole = start == 0 && step == 1;
  if (missing(x) || step < 1) {
    moire__refuse(c, "step: wanted a positive number");
  } else if (whole && (!end || (!end->symbolic && end->integer == INT64_MAX) ||
                       (end->symbolic && end->dim == moire_value_dim(x, axis)))) {
    moire__give(c, x);
  } else if (whole && end && end->symbolic) {
    first_of(c, x, axis, end->dim);
  } else {
    int64_t n = moire__fixed(c, x, axis);
    start = from_front(start, n);
    int64_t last = end ? from_front(moire__integer(c, "end"), n) : n;
    int64_t length = last > start ? (last - start + step - 1) / step : 0;
    moire__give(c, step == 1 ? moire_slice_at(c->at, x, axis, start, length)
                             : moire_slice_by_at(c->at, x, axis, start, length, step));
  }
}

static void narrow(moire__call *c) {
  moire_value x = self(c);
  int axis = axis_of(c, x);
  int64_t start = moire__integer(c, "start"), n = moire__fixed(c, x, axis);
  moire__give(c, moire_slice_at(c->at, x, axis, start < 0 ? start + n : start, moire__integer(c, "length")));
}

/* Parts of these lengths, one after the other. */
static void cut(moire__call *c, moire_value x, int axis, const int64_t *lengths, int n) {
  moire_value *parts = moire__arena_array(c->arena, (size_t)n + 1, sizeof *parts);
  int64_t start = 0;
  for (int i = 0; i < n; start += lengths[i++]) parts[i] = moire_slice_at(c->at, x, axis, start, lengths[i]);
  moire__give_list(c, parts, n);
}

enum { MOST_PARTS = 4096 };

static void cut_evenly(moire__call *c, moire_value x, int axis, int64_t length, int64_t least) {
  int64_t size = moire__fixed(c, x, axis), n = length > 0 ? (size + length - 1) / length : 0;
  if (n < least) n = least;
  if (n < 1 || n > MOST_PARTS) {
    moire__refuse(c, "wanted 1 to %d parts", MOST_PARTS);
    return;
  }
  int64_t *lengths = moire__arena_array(c->arena, (size_t)n, sizeof *lengths);
  for (int64_t i = 0; i < n; i++) lengths[i] = size - i * length < length ? size - i * length : length;
  cut(c, x, axis, lengths, (int)n);
}

static void split(moire__call *c) {
  moire_value x = self(c);
  cut_evenly(c, x, axis_of(c, x), moire__integer(c, "split_size"), 1);
}

static void split_sizes(moire__call *c) {
  moire_value x = self(c);
  const moire__argument *sizes = moire__find(c, "split_sizes");
  int most = sizes && sizes->kind == MOIRE__ARGUMENT_LIST && sizes->n < MOST_PARTS ? sizes->n : 1;
  int64_t *lengths = moire__arena_array(c->arena, (size_t)most + 1, sizeof *lengths);
  int n = moire__integers(c, "split_sizes", lengths, most);
  cut(c, x, axis_of(c, x), lengths, n < 0 ? 0 : n);
}

static void chunk(moire__call *c) {
  moire_value x = self(c);
  int axis = axis_of(c, x);
  int64_t chunks = moire__integer(c, "chunks"), size = moire__fixed(c, x, axis);
  if (chunks < 1) moire__refuse(c, "wanted a positive number of chunks");
  if (!c->why) cut_evenly(c, x, axis, (size + chunks - 1) / chunks, 1);
}

static void unbind(moire__call *c) {
  moire_value x = self(c);
  int axis = axis_of(c, x);
  int64_t n = moire__fixed(c, x, axis);
  if (n > MOST_PARTS) moire__refuse(c, "wanted at most %d parts", MOST_PARTS);
  if (c->why || missing(x)) return;
  moire_value *parts = moire__arena_array(c->arena, (size_t)n + 1, sizeof *parts);
  for (int64_t i = 0; i < n; i++) parts[i] = select_at(c, x, axis, i);
  moire__give_list(c, parts, (int)n);
}

/* Windows of `size`, one every `step`; the elements of a window become the last axis. */
static void unfold(moire__call *c) {
  moire_value x = self(c);
  int rank = rank_of(x), axis = moire__import_axis(c, moire__integer(c, "dimension"), rank);
  int64_t size = moire__integer(c, "size"), step = moire__integer(c, "step");
  bool point = !missing(x) && rank == 0;
  if (point) x = moire__unsqueeze(c, x, 0);
  int64_t n = moire__fixed(c, x, axis);
  if (size < 0 || size > n || step < 1) {
    moire__refuse(c, "wanted windows that fit into the axis");
    return;
  }
  int64_t windows = (n - size) / step + 1;
  moire_shape shape = MOIRE_SHAPE(windows, size);
  moire_value index =
      moire_add_at(c->at, moire__count_along(c, shape, 0, 0, step), moire__count_along(c, shape, 1, 0, 1));
  moire_value y = moire__take(c, x, index, axis); /* .., windows, size, .. */
  y = moire__move_axis(c, y, axis + 1, rank_of(y) - 1);
  moire__give(c, point ? moire__squeeze(c, y, 0) : y);
}

/* The elements of which both indices are equal, but for the offset; they become the last axis. */
static void diagonal(moire__call *c) {
  moire_value x = self(c);
  int rank = rank_of(x), a = moire__import_axis(c, moire__integer_or(c, "dim1", 0), rank),
      b = moire__import_axis(c, moire__integer_or(c, "dim2", 1), rank);
  int64_t offset = moire__integer_or(c, "offset", 0), m = moire__fixed(c, x, a), n = moire__fixed(c, x, b);
  int64_t down = offset < 0 ? -offset : 0, right = offset > 0 ? offset : 0;
  int64_t length = m - down < n - right ? m - down : n - right;
  if (missing(x) || a == b || length < 0) {
    moire__refuse(c, "wanted two axes, and an offset that lies within");
    return;
  }
  int last = rank - 1, second = b < a ? b : b - 1; /* b, once a is moved away */
  x = moire__move_axis(c, x, a, last);
  x = moire__move_axis(c, x, second, last); /* .., a, b */
  x = moire__merge_axes(c, x, last - 1, last);
  moire_value index = moire__count_along(c, MOIRE_SHAPE(length), 0, down * n + right, n + 1);
  moire__give(c, moire__take(c, x, index, last - 1));
}

const moire__aten_row moire__rows_view[] = {{"aten.view.default", view, true},
                                            {"aten._unsafe_view.default", view, true},
                                            {"aten.reshape.default", reshape, true},
                                            {"aten.view_as.default", view_as, true},
                                            {"aten.reshape_as.default", view_as, true},
                                            {"aten.flatten.using_ints", flatten, true},
                                            {"aten.ravel.default", flatten, true},
                                            {"aten.unflatten.int", unflatten, true},
                                            {"aten.unsqueeze.default", unsqueeze, true},
                                            {"aten.squeeze.default", squeeze, true},
                                            {"aten.squeeze.dim", squeeze, true},
                                            {"aten.squeeze.dims", squeeze, true},
                                            {"aten.permute.default", permute, true},
                                            {"aten.transpose.int", transpose, true},
                                            {"aten.swapaxes.default", swap_axes, true},
                                            {"aten.swapdims.default", transpose, true},
                                            {"aten.t.default", turn, true},
                                            {"aten.mT.default", swap_last, true},
                                            {"aten.numpy_T.default", reverse_axes, true},
                                            {"aten.mH.default", hermitian, true},
                                            {"aten.matrix_H.default", hermitian, true},
                                            {"aten.adjoint.default", hermitian, true},
                                            {"aten.movedim.intlist", movedim, true},
                                            {"aten.movedim.int", movedim, true},
                                            {"aten.moveaxis.intlist", movedim, true},
                                            {"aten.moveaxis.int", movedim, true},
                                            {"aten.expand.default", expand, true},
                                            {"aten.broadcast_to.default", expand, true},
                                            {"aten.expand_as.default", expand_as, true},
                                            {"aten.select.int", select_one, true},
                                            {"aten.slice.Tensor", slice, true},
                                            {"aten.narrow.default", narrow, true},
                                            {"aten.split.Tensor", split, true},
                                            {"aten.split.sizes", split_sizes, true},
                                            {"aten.split_with_sizes.default", split_sizes, true},
                                            {"aten.chunk.default", chunk, true},
                                            {"aten.unbind.int", unbind, true},
                                            {"aten.unfold.default", unfold, true},
                                            {"aten.diagonal.default", diagonal, true},
                                            {NULL, NULL, false}};
