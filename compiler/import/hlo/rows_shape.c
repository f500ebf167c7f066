/* Rows of the table: shapes, parts, and what is put together. */
#include "compiler/import/hlo/rows.h"

static moire_value x_of(moire__hlo_call *c) { return moire__hlo_operand(c, 0); }

static void give(moire__hlo_call *c, moire_value x) { moire__give(&c->call, x); }

static int rank_of(moire_value x) { return moire_value_is_null(x) ? 0 : moire_value_shape(x).rank; }

static const char *either(moire__hlo_call *c, const char *name, const char *other) {
  return moire__find(&c->call, name) ? name : other;
}

/* Operand axis i is result axis dims[i], repeated where it is 1. */
static void broadcast_in_dim(moire__hlo_call *c) {
  moire_value x = x_of(c);
  moire__hlo_type type = moire__hlo_result(c, 0);
  int64_t dims[MOIRE_MAX_RANK];
  int n = moire__integers(&c->call, either(c, "dims", "broadcast_dimensions"), dims, MOIRE_MAX_RANK);
  moire_shape shape = {.rank = type.shape.rank};
  if (n < 0) n = 0;
  if (n != rank_of(x)) moire__refuse(&c->call, "wanted a dimension for each of %d axes", rank_of(x));
  if (c->call.why) return;
  int axes[MOIRE_MAX_RANK], last = -1;
  bool sorted = true;
  for (int i = 0; i < n; i++) {
    int axis = moire__import_axis(&c->call, dims[i], shape.rank);
    axes[i] = axis;
    sorted = sorted && axis > last;
    last = axis;
  }
  if (!sorted) { /* the operand's axes in the order of the result's */
    int order[MOIRE_MAX_RANK], k = 0;
    for (int axis = 0; axis < shape.rank; axis++) {
      for (int i = 0; i < n; i++) {
        if (axes[i] == axis && k < n) order[k++] = i;
      }
    }
    if (k != n) moire__refuse(&c->call, "a dimension comes twice");
    if (c->call.why) return;
    x = moire_permute_at(c->call.at, x, n, order);
  }
  for (int i = 0; i < shape.rank; i++) shape.dims[i] = 1;
  int next = 0;
  moire_shape from = moire_value_shape(x);
  for (int axis = 0; axis < shape.rank; axis++) {
    for (int i = 0; i < n; i++) {
      if (axes[i] == axis && next < n) shape.dims[axis] = from.dims[next++];
    }
  }
  give(c, moire_broadcast_at(c->call.at, moire_reshape_at(c->call.at, x, shape), type.shape));
}

static void reshape(moire__hlo_call *c) {
  moire__hlo_type type = moire__hlo_result(c, 0);
  if (!c->call.why) give(c, moire_reshape_at(c->call.at, x_of(c), type.shape));
}

static void transpose(moire__hlo_call *c) {
  moire_value x = x_of(c);
  int64_t dims[MOIRE_MAX_RANK];
  int axes[MOIRE_MAX_RANK];
  int n = moire__integers(&c->call, either(c, "dims", "permutation"), dims, MOIRE_MAX_RANK);
  if (n < 0) n = 0;
  if (n != rank_of(x)) moire__refuse(&c->call, "wanted a dimension for each of %d axes", rank_of(x));
  for (int i = 0; i < n; i++) axes[i] = moire__import_axis(&c->call, dims[i], n);
  if (!c->call.why) give(c, n ? moire_permute_at(c->call.at, x, n, axes) : x);
}

static void slice(moire__hlo_call *c) {
  moire_value x = x_of(c);
  int rank = rank_of(x);
  int64_t start[MOIRE_MAX_RANK], end[MOIRE_MAX_RANK], step[MOIRE_MAX_RANK];
  moire__hlo_numbers(c, "start_indices", NULL, rank, 0, start);
  moire__hlo_numbers(c, "limit_indices", NULL, rank, 0, end);
  moire__hlo_numbers(c, "strides", NULL, rank, 1, step);
  for (int i = 0; i < rank && !c->call.why; i++) {
    int64_t size = moire__fixed(&c->call, x, i);
    if (start[i] < 0 || end[i] < start[i] || end[i] > size || step[i] < 1) {
      moire__refuse(&c->call, "axis %d of %lld elements has no slice %lld:%lld:%lld", i, (long long)size,
                    (long long)start[i], (long long)end[i], (long long)step[i]);
      return;
    }
    int64_t n = (end[i] - start[i] + step[i] - 1) / step[i];
    if (n == size) continue;
    x = step[i] == 1 || n < 2 ? moire_slice_at(c->call.at, x, i, start[i], n)
                              : moire_slice_by_at(c->call.at, x, i, start[i], n, step[i]);
  }
  give(c, x);
}

/* More parts than an operation takes are put together in groups. */
static moire_value concat(moire__hlo_call *c, moire_value *parts, int n, int axis) {
  enum { MOST = 64 };
  while (n > MOST) {
    int groups = 0;
    for (int i = 0; i < n; i += MOST)
      parts[groups++] = moire_concat_at(c->call.at, parts + i, n - i < MOST ? n - i : MOST, axis);
    n = groups;
  }
  return n == 1 ? parts[0] : moire_concat_at(c->call.at, parts, n, axis);
}

static void concatenate(moire__hlo_call *c) {
  int n = 0;
  moire_value *parts = moire__arena_array(c->call.arena, (size_t)c->n_operands + 1, sizeof *parts);
  for (int i = 0; i < c->n_operands; i++) parts[n++] = moire__hlo_operand(c, i);
  if (!n) moire__refuse(&c->call, "wanted operands");
  int axis = moire__import_axis(&c->call, moire__integer(&c->call, either(c, "dim", "dimension")),
                                n ? rank_of(parts[0]) : 0);
  if (!c->call.why) give(c, concat(c, parts, n, axis));
}

static void pad(moire__hlo_call *c) {
  moire_value x = x_of(c), value = moire__hlo_operand(c, 1);
  int rank = rank_of(x);
  int64_t low[MOIRE_MAX_RANK], high[MOIRE_MAX_RANK], inside[MOIRE_MAX_RANK];
  moire__hlo_numbers(c, "low", "edge_padding_low", rank, 0, low);
  moire__hlo_numbers(c, "high", "edge_padding_high", rank, 0, high);
  moire__hlo_numbers(c, "interior", "interior_padding", rank, 0, inside);
  double number = 1;
  bool zero = moire__hlo_is_uniform(c, 1, &number) && number == 0;
  for (int i = 0; i < rank && !c->call.why; i++)
    x = moire__hlo_pad(c, x, value, zero, i, (moire__hlo_padding){low[i], high[i], inside[i]});
  give(c, x);
}

static void reverse(moire__hlo_call *c) {
  moire_value x = x_of(c);
  int64_t dims[MOIRE_MAX_RANK];
  int n = moire__integers(&c->call, either(c, "dims", "dimensions"), dims, MOIRE_MAX_RANK);
  for (int i = 0; i < n; i++) {
    int axis = moire__import_axis(&c->call, dims[i], rank_of(x));
    if (!c->call.why && rank_of(x)) x = moire_flip_at(c->call.at, x, axis);
  }
  give(c, x);
}

const moire__hlo_row moire__hlo_rows_shape[] = {{"stablehlo.broadcast_in_dim", broadcast_in_dim},
                                                {"stablehlo.reshape", reshape},
                                                {"stablehlo.transpose", transpose},
                                                {"stablehlo.slice", slice},
                                                {"stablehlo.concatenate", concatenate},
                                                {"stablehlo.pad", pad},
                                                {"stablehlo.reverse", reverse},
                                                {NULL, NULL}};
