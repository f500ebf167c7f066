/* Rows of the table: looking up, and adding up by index. */
#include "compiler/import/torch/rows.h"

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

static moire_value index_of(moire__call *c, const char *name) {
  moire_value index = moire__tensor(c, name);
  moire__torch_type type = moire__type_of(index);
  if (missing(index) || type == MOIRE__TORCH_I64 || type == MOIRE__TORCH_I32) return index;
  moire__refuse(c, "%s: wanted whole numbers; of bools, how many there are is not known: use torch.where",
                name);
  return moire__null(c);
}

static void embedding(moire__call *c) {
  moire_value table = moire__tensor(c, "weight"), rows = index_of(c, "indices");
  int64_t padding = moire__integer_or(c, "padding_idx", -1);
  if (moire__bool_or(c, "scale_grad_by_freq", false) || moire__bool_or(c, "sparse", false))
    moire__refuse(c, "with scale_grad_by_freq or sparse is not imported");
  moire__give(c, padding < 0 ? moire_gather_at(c->at, table, rows)
                             : moire_embedding_at(c->at, table, rows, padding));
}

static void index_select(moire__call *c) {
  moire_value x = moire__tensor(c, "self"), index = index_of(c, "index");
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x));
  if (rank_of(index) > 1) moire__refuse(c, "index: wanted one axis");
  if (missing(x) || missing(index) || c->why) return;
  bool point = rank_of(x) == 0;
  if (point) x = moire__unsqueeze(c, x, 0);
  if (rank_of(index) == 0) index = moire__unsqueeze(c, index, 0);
  moire_value y = moire__take(c, x, index, axis);
  moire__give(c, point ? moire__squeeze(c, y, 0) : y);
}

/* x[.., index, ..] with one tensor of whole numbers among whole slices. */
static void index_by_tensors(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  const moire__argument *list = moire__find(c, "indices");
  int axis = -1;
  for (int i = 0; list && list->kind == MOIRE__ARGUMENT_LIST && i < list->n; i++) {
    if (list->items[i].kind == MOIRE__ARGUMENT_NOTHING) continue;
    if (axis >= 0 || list->items[i].kind != MOIRE__ARGUMENT_TENSOR)
      moire__refuse(
          c, "by several tensors at once is not imported: index one axis after the other, or use gather");
    axis = i;
  }
  if (axis < 0) moire__refuse(c, "indices: wanted a tensor");
  if (c->why || missing(x)) return;
  moire_value index = list->items[axis].value;
  moire__torch_type type = moire__type_of(index);
  if (type != MOIRE__TORCH_I64 && type != MOIRE__TORCH_I32) {
    moire__refuse(c, "by a mask is not imported, since the number of elements is not known: use torch.where");
    return;
  }
  moire_value n = moire__number_like(c, index, (double)moire__fixed(c, x, axis));
  moire_value below = moire_less_at(c->at, index, moire__number_like(c, index, 0));
  index = moire_where_at(c->at, below, moire_add_at(c->at, index, n), index);
  moire__give(c, moire__take(c, x, index, axis));
}

/* x cut to the extents of the index on all other axes. */
static moire_value cut_to(moire__call *c, moire_value x, moire_value index, int axis) {
  for (int i = 0; i < rank_of(x) && !missing(index); i++) {
    moire_dim wanted = moire_value_dim(index, i);
    if (i == axis || wanted == moire_value_dim(x, i)) continue;
    if (moire_dim_extent_name(c->graph, wanted, 0)) {
      moire__refuse(c, "wanted an index with the sizes of the tensor");
      return x;
    }
    x = moire_slice_at(c->at, x, i, 0, moire_dim_factor(wanted));
  }
  return x;
}

static void gather(moire__call *c) {
  moire_value x = moire__tensor(c, "self"), index = index_of(c, "index");
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x));
  if (moire__bool_or(c, "sparse_grad", false)) moire__refuse(c, "with sparse_grad is not imported");
  if (missing(x) || missing(index)) return;
  bool point = rank_of(x) == 0, point_index = rank_of(index) == 0;
  if (point) x = moire__unsqueeze(c, x, 0);
  if (point_index) index = moire__unsqueeze(c, index, 0);
  if (rank_of(x) != rank_of(index)) {
    moire__refuse(c, "wanted an index of as many axes as the tensor");
    return;
  }
  moire_value y = moire_take_along_at(c->at, cut_to(c, x, index, axis), index, axis);
  moire__give(c, point_index ? moire__squeeze(c, y, 0) : y);
}

/* Both broadcast on all other axes; without an axis, all elements in order. */
static void take_along(moire__call *c) {
  moire_value x = moire__tensor(c, "self"), index = index_of(c, "indices");
  if (missing(x) || missing(index)) return;
  int rank = rank_of(x);
  if (!moire__find(c, "dim")) {
    moire_value flat = rank ? moire__merge_axes(c, x, 0, rank - 1) : moire__unsqueeze(c, x, 0);
    moire_value all =
        rank_of(index) ? moire__merge_axes(c, index, 0, rank_of(index) - 1) : moire__unsqueeze(c, index, 0);
    moire__give(c, moire_take_along_at(c->at, flat, all, 0));
    return;
  }
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank);
  if (rank_of(index) != rank || !rank) {
    moire__refuse(c, "wanted an index of as many axes as the tensor");
    return;
  }
  moire_shape xs = moire_value_shape(x), is = moire_value_shape(index);
  for (int i = 0; i < rank; i++) {
    if (i == axis) continue;
    if (xs.dims[i] == 1) xs.dims[i] = is.dims[i];
    if (is.dims[i] == 1) is.dims[i] = xs.dims[i];
  }
  moire__give(c, moire_take_along_at(c->at, moire_broadcast_at(c->at, x, xs),
                                     moire_broadcast_at(c->at, index, is), axis));
}

/* ---- adding up --------------------------------------------------------------------------------------------
 */

static moire_value scatter_planes(moire__call *c, moire_value x, moire_value rows, moire_value u) {
  if (moire__type_of(x) != MOIRE__TORCH_C64) return moire_scatter_add_at(c->at, x, rows, u);
  return moire_complex_at(c->at,
                          moire_scatter_add_at(c->at, moire_real_at(c->at, x), rows, moire_real_at(c->at, u)),
                          moire_scatter_add_at(c->at, moire_imag_at(c->at, x), rows, moire_imag_at(c->at, u)));
}

/* x with alpha source[.., k, ..] added to x[.., index[k], ..] */
static void index_add(moire__call *c) {
  moire_value x = moire__tensor(c, "self"), index = index_of(c, "index"), u = moire__tensor(c, "source");
  const moire__argument *alpha = moire__find(c, "alpha");
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x));
  if (missing(x) || missing(index) || missing(u)) return;
  bool point = rank_of(x) == 0;
  if (point) x = moire__unsqueeze(c, x, 0);
  if (rank_of(u) == 0) u = moire__unsqueeze(c, u, 0);
  if (rank_of(index) == 0) index = moire__unsqueeze(c, index, 0);
  if (alpha && !(alpha->kind == MOIRE__ARGUMENT_INT && alpha->integer == 1))
    u = moire_mul_at(c->at, u, moire__as(c, alpha, moire__type_of(u), u));
  moire_value y = scatter_planes(c, moire__move_axis(c, x, axis, 0), index, moire__move_axis(c, u, axis, 0));
  y = moire__move_axis(c, y, 0, axis);
  moire__give(c, point ? moire__squeeze(c, y, 0) : y);
}

/* x with src[i, j, ..] added to x[index[i, j, ..], j, ..]: by the place of each among all elements in order. */
static void scatter_add(moire__call *c) {
  moire_value x = moire__tensor(c, "self"), index = index_of(c, "index"), u = moire__tensor(c, "src");
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x));
  if (missing(x) || missing(index) || missing(u)) return;
  bool point = rank_of(x) == 0;
  if (point) x = moire__unsqueeze(c, x, 0);
  if (rank_of(index) == 0) index = moire__unsqueeze(c, index, 0);
  if (rank_of(u) == 0) u = moire__unsqueeze(c, u, 0);
  int rank = rank_of(x);
  if (rank_of(index) != rank || rank_of(u) != rank) {
    moire__refuse(c, "wanted an index and a source of as many axes as the tensor");
    return;
  }
  moire_shape shape = moire_value_shape(x), is = moire_value_shape(index);
  u = cut_to(c, u, index, -1);
  moire_value place = moire__to_type(c, index, MOIRE__TORCH_I64);
  int64_t stride = 1, of_axis = 1;
  for (int i = rank - 1; i >= 0; i--) {
    if (i == axis) of_axis = stride;
    if (__builtin_mul_overflow(stride, moire__fixed(c, x, i), &stride)) moire__refuse(c, "is too large");
  }
  if (c->why) return;
  place = moire_scale_at(c->at, place, (double)of_axis);
  for (int i = rank - 1, step = 1; i >= 0; i--) {
    if (i != axis) place = moire_add_at(c->at, place, moire__count_along(c, is, i, 0, step));
    step *= (int)moire_dim_factor(shape.dims[i]);
  }
  moire_value y =
      scatter_planes(c, moire__merge_axes(c, x, 0, rank - 1), moire__merge_axes(c, place, 0, rank - 1),
                     moire__merge_axes(c, u, 0, rank - 1));
  moire__give(c, point ? moire__squeeze(c, y, 0) : missing(y) ? y : moire_reshape_at(c->at, y, shape));
}

/* ---- order ------------------------------------------------------------------------------------------------
 */

static void give_sorted(moire__call *c, moire_sorted s) {
  moire__give_list(c, (moire_value[]){s.values, s.indices}, 2);
}

static void sort(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__pass_over(c, "stable");
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", -1), rank_of(x));
  give_sorted(c, moire_sort_at(c->at, x, axis, moire__bool_or(c, "descending", false)));
}

static void argsort(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__pass_over(c, "stable");
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", -1), rank_of(x));
  moire__give(c, moire_sort_at(c->at, x, axis, moire__bool_or(c, "descending", false)).indices);
}

static void top_k(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__pass_over(c, "sorted");
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", -1), rank_of(x));
  give_sorted(c, moire_top_k_at(c->at, x, moire__integer(c, "k"), axis, moire__bool_or(c, "largest", true)));
}

static void one_hot(moire__call *c) {
  moire_value index = index_of(c, "self");
  int64_t n = moire__integer_or(c, "num_classes", -1);
  if (n < 1)
    moire__refuse(c, "num_classes: wanted how many there are");
  else
    moire__give(c, moire_one_hot_at(c->at, index, n, MOIRE_I64));
}

const moire__aten_row moire__rows_index[] = {{"aten.embedding.default", embedding, false},
                                             {"aten.index_select.default", index_select, false},
                                             {"aten.index.Tensor", index_by_tensors, false},
                                             {"aten.gather.default", gather, false},
                                             {"aten.take_along_dim.default", take_along, false},
                                             {"aten.index_add.default", index_add, false},
                                             {"aten.scatter_add.default", scatter_add, false},
                                             {"aten.sort.default", sort, false},
                                             {"aten.sort.stable", sort, false},
                                             {"aten.argsort.default", argsort, false},
                                             {"aten.topk.default", top_k, false},
                                             {"aten.one_hot.default", one_hot, false},
                                             {NULL, NULL, false}};
