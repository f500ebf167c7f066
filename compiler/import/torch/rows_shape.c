/* Rows of the table: tensors put together, turned, shifted, padded and masked. */
#include "compiler/import/torch/rows.h"

#include <string.h>

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* ---- together ---------------------------------------------------------------------------------------------
 */

/* Tensors of one promoted type. */
static moire_value *alike(moire__call *c, int *n) {
  moire_value *parts = moire__tensors(c, "tensors", n);
  const moire__argument *list = moire__find(c, "tensors");
  const moire__argument **all = moire__arena_array(c->arena, (size_t)*n + 1, sizeof *all);
  for (int i = 0; i < *n; i++) all[i] = &list->items[i];
  moire__torch_type type = moire__promoted(all, *n);
  for (int i = 0; i < *n; i++) parts[i] = moire__to_type(c, parts[i], type);
  return parts;
}

static bool is_empty(moire_value x) { return rank_of(x) == 1 && moire_value_dim(x, 0) == 0; }

/* What is an axis of no elements takes no part, whatever the others' shapes. */
static void cat_along(moire__call *c, int64_t along) {
  int n, kept = 0;
  moire_value *parts = alike(c, &n);
  for (int i = 0; i < n; i++) {
    if (!is_empty(parts[i]) || (i == n - 1 && !kept)) parts[kept++] = parts[i];
  }
  if (!kept) return;
  int axis = moire__import_axis(c, along, rank_of(parts[0]));
  moire__give(c, kept == 1 ? parts[0] : moire_concat_at(c->at, parts, kept, axis));
}

static void cat(moire__call *c) { cat_along(c, moire__integer_or(c, "dim", 0)); }

static void stack(moire__call *c) {
  int n;
  moire_value *parts = alike(c, &n);
  if (!n) return;
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", 0), rank_of(parts[0]) + 1);
  for (int i = 0; i < n; i++) parts[i] = moire__unsqueeze(c, parts[i], axis);
  moire__give(c, n == 1 ? parts[0] : moire_concat_at(c->at, parts, n, axis));
}

static void hstack(moire__call *c) {
  int n;
  moire_value *parts = moire__tensors(c, "tensors", &n);
  for (int i = 0; i < n; i++) {
    if (rank_of(parts[i]) == 0) moire__refuse(c, "wanted tensors with axes");
  }
  if (n && !c->why) cat_along(c, rank_of(parts[0]) == 1 ? 0 : 1);
}

/* All of them with the shape that they have together. */
static void broadcast_tensors(moire__call *c) {
  int n;
  moire_value *parts = moire__tensors(c, "tensors", &n);
  moire_shape common = moire__common_shape(parts, n);
  for (int i = 0; i < n; i++) parts[i] = moire_broadcast_at(c->at, parts[i], common);
  moire__give_list(c, parts, n);
}

/* ---- turned, shifted, repeated ----------------------------------------------------------------------------
 */

static void flip(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  int64_t axes[MOIRE_MAX_RANK];
  int n = moire__integers(c, "dims", axes, MOIRE_MAX_RANK), rank = rank_of(x);
  for (int i = 0; i < n && rank; i++) x = moire_flip_at(c->at, x, moire__import_axis(c, axes[i], rank));
  moire__give(c, x);
}

static void roll(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  int64_t shifts[MOIRE_MAX_RANK], axes[MOIRE_MAX_RANK];
  int n = moire__integers(c, "shifts", shifts, MOIRE_MAX_RANK),
      m = moire__integers(c, "dims", axes, MOIRE_MAX_RANK);
  int rank = rank_of(x);
  if (missing(x)) return;
  if (m <= 0) { /* of all elements in order */
    moire_shape shape = moire_value_shape(x);
    moire_value flat = rank ? moire__merge_axes(c, x, 0, rank - 1) : x;
    moire__give(c, rank ? moire_reshape_at(c->at, moire_roll_at(c->at, flat, n == 1 ? shifts[0] : 0, 0), shape)
                        : x);
    return;
  }
  if (n != m) moire__refuse(c, "wanted as many shifts as axes");
  for (int i = 0; i < m && rank && !c->why; i++)
    x = moire_roll_at(c->at, x, shifts[i], moire__import_axis(c, axes[i], rank));
  moire__give(c, x);
}

/* Each axis as often as its number says; new axes in front. */
static void repeat_by(moire__call *c, const char *name) {
  moire_value x = moire__tensor(c, "self");
  moire_dim times[MOIRE_MAX_RANK];
  int n = moire__dims(c, name, times, MOIRE_MAX_RANK), rank = rank_of(x);
  if (missing(x) || n < 0) return;
  for (int i = n; i < rank; i++) { /* tile: missing numbers in front are 1 */
    memmove(times + 1, times, (MOIRE_MAX_RANK - 1) * sizeof *times);
    times[0] = 1;
    n++;
  }
  for (; rank < n; rank++) x = moire__unsqueeze(c, x, 0);
  for (int i = 0; i < n && !c->why; i++) {
    if (times[i] == 1 || missing(x)) continue;
    moire_value wide = moire__unsqueeze(c, x, i);
    if (missing(wide)) return;
    moire_shape shape = moire_value_shape(wide);
    shape.dims[i] = times[i];
    x = moire__merge_axes(c, moire_broadcast_at(c->at, wide, shape), i, i + 1);
  }
  moire__give(c, x);
}

static void repeat(moire__call *c) { repeat_by(c, "repeats"); }
static void tile(moire__call *c) { repeat_by(c, "dims"); }

/* Each element so often in a row. */
static void repeat_interleave(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  int64_t times = moire__integer(c, "repeats");
  moire__pass_over(c, "output_size");
  if (missing(x) || times < 1) {
    moire__refuse(c, "wanted how often as one number");
    return;
  }
  bool flat = !moire__find(c, "dim");
  if (flat && rank_of(x) > 1) x = moire__merge_axes(c, x, 0, rank_of(x) - 1);
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", 0), rank_of(x));
  moire_value wide = moire__unsqueeze(c, x, axis + 1);
  if (missing(wide)) return;
  moire_shape shape = moire_value_shape(wide);
  shape.dims[axis + 1] = times;
  moire__give(c, moire__merge_axes(c, moire_broadcast_at(c->at, wide, shape), axis, axis + 1));
}

/* ---- triangles and diagonals ------------------------------------------------------------------------------
 */

/* column - row <= diagonal (of the lower triangle), or >= */
static moire_value triangle(moire__call *c, moire_dim rows, moire_dim columns, int64_t diagonal, bool upper) {
  moire_value row = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(rows, 1), 0);
  moire_value column = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(1, columns), 1);
  if (diagonal) row = moire_add_scalar_at(c->at, row, (double)diagonal);
  return upper ? moire_less_equal_at(c->at, row, column) : moire_less_equal_at(c->at, column, row);
}

static void triangle_of(moire__call *c, bool upper) {
  moire_value x = moire__tensor(c, "self");
  const moire__argument *a = moire__find(c, "self");
  int rank = rank_of(x);
  int64_t diagonal = moire__integer_or(c, "diagonal", 0);
  if (missing(x) || rank < 2) {
    moire__refuse(c, "wanted at least two axes");
    return;
  }
  moire_value kept = triangle(c, moire_value_dim(x, rank - 2), moire_value_dim(x, rank - 1), diagonal, upper);
  bool bools = moire_value_dtype(x) == MOIRE_BOOL;
  if (a->uniform && a->real == 1) { /* of ones: the triangle itself, which masks are recognised by */
    moire__give(c, moire_broadcast_at(c->at, moire__to_type(c, kept, moire__type_of(x)), moire_value_shape(x)));
  } else if (bools) {
    moire__give(c, moire_and_at(c->at, kept, x));
  } else {
    moire__give(c, moire_where_at(c->at, kept, x, moire__number_like(c, x, 0)));
  }
}

static void tril(moire__call *c) { triangle_of(c, false); }
static void triu(moire__call *c) { triangle_of(c, true); }

/* [.., n] -> [.., n + |offset|, n + |offset|] with x on a diagonal, and the two axes where they are wanted. */
static void diag_embed(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  int rank = rank_of(x);
  int64_t offset = moire__integer_or(c, "offset", 0), n = moire__fixed(c, x, rank - 1);
  int64_t down = offset < 0 ? -offset : 0, right = offset > 0 ? offset : 0, size = n + down + right;
  int a = moire__import_axis(c, moire__integer_or(c, "dim1", -2), rank + 1),
      b = moire__import_axis(c, moire__integer_or(c, "dim2", -1), rank + 1);
  if (missing(x) || c->why || a == b) {
    moire__refuse(c, "wanted at least one axis, and two for the diagonal");
    return;
  }
  moire_value wide = moire__unsqueeze(c, x, rank - 1); /* one row of columns */
  wide = moire_pad_at(c->at, wide, rank, right, size - n - right);
  moire_value row = moire__count_along(c, MOIRE_SHAPE(size, 1), 0, offset, 1);
  moire_value column = moire__count_along(c, MOIRE_SHAPE(1, size), 1, 0, 1);
  moire_value on = moire_equal_at(c->at, row, column);
  if (missing(wide)) return;
  moire_shape shape = moire_value_shape(wide);
  shape.dims[rank - 1] = size;
  wide = moire_broadcast_at(c->at, wide, shape);
  moire_value y = moire_where_at(c->at, on, wide, moire__number_like(c, wide, 0));
  if (a > b) y = moire_swap_axes_at(c->at, y, rank - 1, rank);
  int first = a < b ? a : b, second = a < b ? b : a;
  y = moire__move_axis(c, y, rank - 1, first); /* the second is the last now */
  moire__give(c, moire__move_axis(c, y, rank, second));
}

/* ---- borders ----------------------------------------------------------------------------------------------
 */

/* Indices of an axis of n with borders: mirrored, or the nearest, or from the other side. */
static moire_value border_index(moire__call *c, int64_t n, int64_t before, int64_t after, const char *mode) {
  moire_shape shape = MOIRE_SHAPE(n + before + after);
  moire_value i = moire__count_along(c, shape, 0, -before, 1), most = moire__number_like(c, i, (double)(n - 1));
  if (!strcmp(mode, "replicate"))
    return moire_min_of_at(c->at, moire_max_of_at(c->at, i, moire__number_like(c, i, 0)), most);
  if (!strcmp(mode, "circular")) return moire_remainder_at(c->at, i, moire__number_like(c, i, (double)n));
  moire_value from_front = moire_abs_at(c->at, i); /* reflect: n - 1 - |n - 1 - |i|| */
  return moire_sub_at(c->at, most, moire_abs_at(c->at, moire_sub_at(c->at, most, from_front)));
}

static moire_value add_border(moire__call *c, moire_value x, int axis, int64_t before, int64_t after,
                              const char *mode, const moire__argument *value) {
  if (!before && !after) return x;
  if (before < 0 || after < 0) { /* cut off */
    int64_t n = moire__fixed(c, x, axis), front = before < 0 ? -before : 0, back = after < 0 ? -after : 0;
    if (front + back > n) moire__refuse(c, "cuts off more than there is");
    if (c->why) return x;
    x = moire_slice_at(c->at, x, axis, front, n - front - back);
    return add_border(c, x, axis, before > 0 ? before : 0, after > 0 ? after : 0, mode, value);
  }
  if (!strcmp(mode, "constant")) {
    moire_value wide = moire_pad_at(c->at, x, axis, before, after);
    bool zero = !value || (value->real == 0 && value->imaginary == 0);
    if (zero || missing(x)) return wide;
    moire_value inside = moire_constant_at(c->at, c->graph, MOIRE_F32, moire_value_shape(x), 1);
    inside = moire_pad_at(c->at, inside, axis, before, after);
    return moire__fill(c, wide, moire_equal_at(c->at, inside, moire__number_like(c, inside, 0)), value);
  }
  int64_t n = moire__fixed(c, x, axis), least = !strcmp(mode, "reflect") ? n - 1 : n;
  bool replicate = !strcmp(mode, "replicate"),
       known = replicate || !strcmp(mode, "reflect") || !strcmp(mode, "circular");
  if (!known || n < 1 || (!replicate && (before > least || after > least))) {
    moire__refuse(c, "of this mode, or of this width, is not imported");
    return x;
  }
  return moire__take(c, x, border_index(c, n, before, after, mode), axis);
}

/* Pairs (before, after) from the last axis backwards. */
static void pad_by(moire__call *c, const char *mode) {
  moire_value x = moire__tensor(c, "self");
  int64_t pad[2 * MOIRE_MAX_RANK];
  int n = moire__integers(c, moire__find(c, "pad") ? "pad" : "padding", pad, 2 * MOIRE_MAX_RANK),
      rank = rank_of(x);
  const moire__argument *value = moire__find(c, "value");
  if (n < 0 || n % 2 || n / 2 > rank) moire__refuse(c, "pad: wanted a pair for each of the last axes");
  for (int i = 0; i < n / 2 && !c->why; i++)
    x = add_border(c, x, rank - 1 - i, pad[2 * i], pad[2 * i + 1], mode, value);
  moire__give(c, x);
}

static void pad(moire__call *c) { pad_by(c, moire__text_or(c, "mode", "constant")); }
static void constant_pad(moire__call *c) { pad_by(c, "constant"); }
static void reflection_pad(moire__call *c) { pad_by(c, "reflect"); }
static void replication_pad(moire__call *c) { pad_by(c, "replicate"); }

/* ---- masks ------------------------------------------------------------------------------------------------
 */

static void masked_fill(moire__call *c) {
  const moire__argument *x = moire__find(c, "self"), *value = moire__find(c, "value");
  moire_value y = moire__tensor(c, "self");
  moire_value mask = moire__to_type(c, moire__tensor(c, "mask"), MOIRE__TORCH_BOOL);
  if (!x || !value || missing(y) || missing(mask)) return;
  if (value->kind == MOIRE__ARGUMENT_TENSOR) {
    moire__give(c, moire_where_at(c->at, mask, moire__as(c, value, moire__type_of(y), (moire_value){0}), y));
    return;
  }
  moire__give(c, moire__fill(c, y, mask, value));
}

static void where(moire__call *c) {
  moire_value v[2];
  moire_value mask = moire__to_type(c, moire__tensor(c, "condition"), MOIRE__TORCH_BOOL);
  moire__pair(c, "self", "other", v);
  moire__give(c, moire_where_at(c->at, mask, v[0], v[1]));
}

/* x with every element `value`. */
static void fill(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  const moire__argument *value = moire__find(c, "value");
  moire_value y = moire__as(c, value, moire__type_of(x), x);
  if (!missing(x) && !missing(y)) moire__give(c, moire_broadcast_at(c->at, y, moire_value_shape(x)));
}

static void zero(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  moire__give_uniform(c, moire__number_like(c, x, 0), 0);
}

static void copy(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  moire__pass_over(c, "non_blocking");
  moire_value y = moire__as(c, moire__find(c, "src"), moire__type_of(x), x);
  if (!missing(x) && !missing(y)) moire__give(c, moire_broadcast_at(c->at, y, moire_value_shape(x)));
}

const moire__aten_row moire__rows_shape[] = {{"aten.cat.default", cat, false},
                                             {"aten.concat.default", cat, false},
                                             {"aten.concatenate.default", cat, false},
                                             {"aten.stack.default", stack, false},
                                             {"aten.hstack.default", hstack, false},
                                             {"aten.broadcast_tensors.default", broadcast_tensors, false},
                                             {"aten.flip.default", flip, false},
                                             {"aten.roll.default", roll, false},
                                             {"aten.repeat.default", repeat, false},
                                             {"aten.tile.default", tile, false},
                                             {"aten.repeat_interleave.self_int", repeat_interleave, false},
                                             {"aten.tril.default", tril, false},
                                             {"aten.triu.default", triu, false},
                                             {"aten.diag_embed.default", diag_embed, false},
                                             {"aten.pad.default", pad, false},
                                             {"aten.constant_pad_nd.default", constant_pad, false},
                                             {"aten.reflection_pad1d.default", reflection_pad, false},
                                             {"aten.reflection_pad2d.default", reflection_pad, false},
                                             {"aten.replication_pad1d.default", replication_pad, false},
                                             {"aten.replication_pad2d.default", replication_pad, false},
                                             {"aten.masked_fill.Scalar", masked_fill, false},
                                             {"aten.masked_fill.Tensor", masked_fill, false},
                                             {"aten.where.self", where, false},
                                             {"aten.where.Scalar", where, false},
                                             {"aten.where.ScalarOther", where, false},
                                             {"aten.where.ScalarSelf", where, false},
                                             {"aten.fill.Scalar", fill, false},
                                             {"aten.fill.Tensor", fill, false},
                                             {"aten.zero.default", zero, false},
                                             {"aten.copy.default", copy, false},
                                             {NULL, NULL, false}};
