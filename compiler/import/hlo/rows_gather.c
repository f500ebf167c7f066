/* Rows of the table: parts whose place is a value. What would reach beyond the operand is moved back into it.
 */
#include "compiler/import/hlo/places.h"

#include <math.h>

static int rank_of(moire_value x) { return moire_value_is_null(x) ? 0 : moire_value_shape(x).rank; }

static moire_value flat(moire__hlo_call *c, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  return moire_reshape_at(c->call.at, x, (moire_shape){.rank = 1, .dims = {moire__elements(&shape)}});
}

static void gather(moire__hlo_call *c) {
  moire__hlo_places p;
  moire_value x = moire__hlo_operand(c, 0);
  moire__hlo_type type = moire__hlo_result(c, 0);
  int64_t sizes[MOIRE_MAX_RANK], dims[MOIRE_MAX_RANK];
  moire__hlo_numbers(c, "slice_sizes", NULL, rank_of(x), 1, sizes);
  moire__pass_over(&c->call, "indices_are_sorted");
  int n = moire__integers(&c->call, "dimension_numbers.offset_dims", dims, MOIRE_MAX_RANK);
  if (c->call.why || !moire__hlo_read_places(c, false, x, moire__hlo_operand(c, 1), sizes, &p)) return;
  int rank = p.n_starts + p.n_window;
  if ((n < 0 ? 0 : n) != p.n_window || rank != type.shape.rank)
    moire__refuse(&c->call, "wanted an offset_dim for each axis of the windows");
  if (c->call.why) return;
  moire_value y;
  if (moire__hlo_is_rows(c, &p)) {
    y = moire_gather_at(c->call.at, x, moire__hlo_start(c, &p, 0, true));
  } else {
    y = moire_gather_at(c->call.at, flat(c, x), moire__hlo_flat_places(c, &p, false));
  }
  int order[MOIRE_MAX_RANK];
  moire__hlo_window_order(dims, p.n_window, rank, false, order);
  moire__give(&c->call, rank > 1 ? moire_permute_at(c->call.at, y, rank, order) : y);
}

/* ---- slices from a start ----------------------------------------------------------------------------------
 */

static int64_t within(int64_t start, int64_t last) { return start < 0 ? 0 : start > last ? last : start; }

/* A scalar start as i64 in [0, last]. */
static moire_value clamped(moire__hlo_call *c, int operand, int64_t last) {
  moire_source at = c->call.at;
  moire_value start = moire__hlo_operand(c, operand);
  if (moire_value_is_null(start) || !moire__hlo_is_whole(start) || rank_of(start) != 0) {
    moire__refuse(&c->call, "wanted whole numbers without axes as starts");
    return moire__null(&c->call);
  }
  start = moire_cast_at(at, start, MOIRE_I64);
  start = moire_max_of_at(at, start, moire__hlo_scalar(c, start, 0));
  return moire_min_of_at(at, start, moire__hlo_scalar(c, start, (double)last));
}

static moire_value counting(moire__hlo_call *c, int64_t n) {
  return moire__count_along(&c->call, (moire_shape){.rank = 1, .dims = {n}}, 0, 0, 1);
}

static void dynamic_slice(moire__hlo_call *c) {
  moire_value x = moire__hlo_operand(c, 0);
  int rank = rank_of(x);
  int64_t sizes[MOIRE_MAX_RANK], start = 0;
  moire__hlo_numbers(c, "sizes", "slice_sizes", rank, 1, sizes);
  if (c->n_operands != rank + 1) moire__refuse(&c->call, "wanted a start for each of %d axes", rank);
  for (int i = 0; i < rank && !c->call.why; i++) {
    int64_t size = moire__fixed(&c->call, x, i), last = size - sizes[i];
    if (sizes[i] < 0 || last < 0) {
      moire__refuse(&c->call, "a slice of %lld is larger than axis %d", (long long)sizes[i], i);
    } else if (last == 0) {
      continue;
    } else if (moire__hlo_known(c, i + 1, &start)) {
      x = moire_slice_at(c->call.at, x, i, within(start, last), sizes[i]);
    } else {
      moire_value places = moire_add_at(c->call.at, counting(c, sizes[i]), clamped(c, i + 1, last));
      x = moire__take(&c->call, x, places, i);
    }
  }
  moire__give(&c->call, x);
}

/* The update lies where all axes say so: along one that is whole everywhere, else from its start on. */
typedef struct patch {
  moire_value x, u, mask; /* mask: null: everywhere */
} patch;

static void narrow_mask(moire__hlo_call *c, patch *p, moire_value good, int axis, int64_t size) {
  int rank = rank_of(p->x);
  moire_shape shape = {.rank = rank};
  for (int i = 0; i < rank; i++) shape.dims[i] = i == axis ? size : 1;
  good = moire_reshape_at(c->call.at, good, shape);
  p->mask = moire_value_is_null(p->mask) ? good : moire_and_at(c->call.at, p->mask, good);
}

/* The update spread over an axis of `size`: where it is not, its elements mean nothing. */
static void spread(moire__hlo_call *c, patch *p, int axis, int64_t n, int64_t size) {
  moire_source at = c->call.at;
  int64_t start = 0;
  moire_value place = counting(c, size), low, good;
  if (moire__hlo_known(c, axis + 2, &start)) {
    start = within(start, size - n);
    low = moire__hlo_scalar(c, place, (double)start);
    p->u = moire_pad_at(at, p->u, axis, start, size - n - start);
  } else {
    low = clamped(c, axis + 2, size - n);
    moire_value from = moire_sub_at(at, place, low);
    from = moire_max_of_at(at, from, moire__hlo_scalar(c, from, 0));
    from = moire_min_of_at(at, from, moire__hlo_scalar(c, from, (double)(n - 1)));
    p->u = moire__take(&c->call, p->u, from, axis);
  }
  moire_value end = moire_add_at(at, low, moire__hlo_scalar(c, place, (double)n));
  good = moire_and_at(at, moire_less_equal_at(at, low, place), moire_less_at(at, place, end));
  narrow_mask(c, p, good, axis, size);
}

/* Along one axis from a known start: what is before, the update, what is behind. */
static moire_value joined(moire__hlo_call *c, moire_value x, moire_value u, int axis, int64_t start, int64_t n,
                          int64_t size) {
  moire_value parts[3];
  int k = 0;
  if (start) parts[k++] = moire_slice_at(c->call.at, x, axis, 0, start);
  parts[k++] = u;
  if (start + n < size) parts[k++] = moire_slice_at(c->call.at, x, axis, start + n, size - start - n);
  return moire_concat_at(c->call.at, parts, k, axis);
}

static void dynamic_update_slice(moire__hlo_call *c) {
  patch p = {moire__hlo_operand(c, 0), moire__hlo_operand(c, 1), moire__null(&c->call)};
  int rank = rank_of(p.x), partial = 0, axis = 0;
  int64_t start = 0;
  if (c->n_operands != rank + 2 || rank_of(p.u) != rank)
    moire__refuse(&c->call, "wanted an update of %d axes, and a start for each", rank);
  for (int i = 0; i < rank && !c->call.why; i++) {
    int64_t size = moire__fixed(&c->call, p.x, i), n = moire__fixed(&c->call, p.u, i);
    if (n > size) moire__refuse(&c->call, "the update is larger than axis %d", i);
    if (n == 0) partial = -MOIRE_MAX_RANK;
    if (n < size) axis = i;
    partial += n < size;
  }
  if (c->call.why) return;
  if (partial < 0) {
    moire__give(&c->call, p.x);
  } else if (partial == 0) {
    moire__give(&c->call, p.u);
  } else if (partial == 1 && moire__hlo_known(c, axis + 2, &start)) {
    int64_t size = moire__fixed(&c->call, p.x, axis), n = moire__fixed(&c->call, p.u, axis);
    moire__give(&c->call, joined(c, p.x, p.u, axis, within(start, size - n), n, size));
  } else {
    for (int i = 0; i < rank && !c->call.why; i++) {
      int64_t size = moire__fixed(&c->call, p.x, i), n = moire__fixed(&c->call, p.u, i);
      if (n < size) spread(c, &p, i, n, size);
    }
    moire__give(&c->call, moire_where_at(c->call.at, p.mask, p.u, p.x));
  }
}

const moire__hlo_row moire__hlo_rows_gather[] = {{"stablehlo.gather", gather},
                                                 {"stablehlo.dynamic_slice", dynamic_slice},
                                                 {"stablehlo.dynamic_update_slice", dynamic_update_slice},
                                                 {NULL, NULL}};
