/* Rows of the table: reductions, of several operands at once and by any body.
 *
 * What has an operation of its own is that: sums, products, the largest and smallest, any and all. Any other
 * body is built for all elements at once: the halves of the axis are combined, again and again, in which order
 * a reduction may be done.
 */
#include "compiler/import/hlo/rows.h"

#include <math.h>
#include <string.h>

enum { MOST_OPERANDS = 8 };

typedef struct reduction {
  const moire__hlo_region *region; /* NULL: `applied` */
  const char *applied;             /* the operation that is the whole body; NULL: another body */
  int n;                           /* operands */
  moire_value x[MOST_OPERANDS], init[MOST_OPERANDS];
} reduction;

static moire_dtype dtype_of(moire_value x) {
  return moire_value_is_null(x) ? (moire_dtype)0 : moire_value_dtype(x);
}

static bool combine(moire__hlo_call *c, const reduction *r, const moire_value *a, const moire_value *b,
                    moire_value *out) {
  moire_value both[2 * MOST_OPERANDS];
  if (r->applied) {
    out[0] = moire__hlo_combine(c, r->applied, a[0], b[0]);
    if (moire_value_is_null(out[0]) && !moire_value_is_null(a[0]))
      moire__refuse(&c->call, "by %s of this type is not imported", r->applied);
    return !moire_value_is_null(out[0]);
  }
  for (int i = 0; i < r->n; i++) {
    both[i] = a[i];
    both[r->n + i] = b[i];
  }
  return moire__hlo_run_elementwise(c, r->region, both, 2 * r->n, out, r->n);
}

/* ---- one operation ----------------------------------------------------------------------------------------
 */

typedef moire_value reduce_at(moire_source at, moire_value x, int axis, bool keep);

/* Sums of whole numbers are the last of the running ones, which wrap around. */
static moire_value whole_sum(moire__hlo_call *c, moire_value x, int axis) {
  int64_t n = moire__fixed(&c->call, x, axis);
  if (n < 1 || moire_value_is_null(x)) return moire__null(&c->call);
  return moire_slice_at(c->call.at, moire_cumsum_at(c->call.at, x, axis), axis, n - 1, 1);
}

/* Null where the operation has no reduction of its own for the type. */
static moire_value reduce_by(moire__hlo_call *c, const char *op, moire_value x, int axis) {
  moire_source at = c->call.at;
  moire_dtype dtype = dtype_of(x);
  bool real = dtype == MOIRE_F32 || dtype == MOIRE_F64, sum = !strcmp(op, "stablehlo.add");
  if (sum && moire__hlo_is_whole(x)) return whole_sum(c, x, axis);
  if (sum && (real || dtype == MOIRE_C64)) return moire_sum_at(at, x, axis, true);
  if (!strcmp(op, "stablehlo.multiply") && real) return moire_prod_at(at, x, axis, true);
  if (!strcmp(op, "stablehlo.maximum") && real) return moire_max_at(at, x, axis, true);
  if (!strcmp(op, "stablehlo.minimum") && real) return moire_min_at(at, x, axis, true);
  if (dtype == MOIRE_BOOL && (!strcmp(op, "stablehlo.or") || !strcmp(op, "stablehlo.maximum") || sum))
    return moire_any_at(at, x, axis, true);
  if (dtype == MOIRE_BOOL &&
      (!strcmp(op, "stablehlo.and") || !strcmp(op, "stablehlo.minimum") || !strcmp(op, "stablehlo.multiply")))
    return moire_all_at(at, x, axis, true);
  return moire__null(&c->call);
}

/* Is the initial value one that changes nothing? */
static bool is_neutral(const moire__hlo_call *c, const char *op, int operand, moire_dtype dtype) {
  double x = 0, most = INFINITY;
  if (!moire__hlo_is_uniform(c, operand, &x)) return false;
  if (dtype == MOIRE_I32) most = 0x1p31 - 1;
  if (dtype == MOIRE_BOOL) most = 1;
  double least = dtype == MOIRE_I32 ? -0x1p31 : dtype == MOIRE_BOOL ? 0 : -most;
  if (!strcmp(op, "stablehlo.add") || !strcmp(op, "stablehlo.or")) return x == 0;
  if (!strcmp(op, "stablehlo.multiply") || !strcmp(op, "stablehlo.and")) return x == 1;
  return !strcmp(op, "stablehlo.maximum") ? x == least : x == most;
}

/* ---- any body ---------------------------------------------------------------------------------------------
 */

/* The first half of an axis with the second, until one is left. */
static bool halve(moire__hlo_call *c, reduction *r, int axis) {
  int64_t n = moire__fixed(&c->call, r->x[0], axis);
  while (n > 1 && !c->call.why) {
    int64_t half = n / 2;
    moire_value first[MOST_OPERANDS], second[MOST_OPERANDS], both[MOST_OPERANDS];
    for (int i = 0; i < r->n; i++) {
      first[i] = moire_slice_at(c->call.at, r->x[i], axis, 0, half);
      second[i] = moire_slice_at(c->call.at, r->x[i], axis, half, half);
    }
    if (!combine(c, r, first, second, both)) return false;
    for (int i = 0; i < r->n; i++) {
      moire_value rest = moire_slice_at(c->call.at, r->x[i], axis, n - 1, 1);
      r->x[i] = n % 2 ? moire_concat_at(c->call.at, (moire_value[]){both[i], rest}, 2, axis) : both[i];
    }
    n = half + n % 2;
  }
  return !c->call.why;
}

static bool reduce_axis(moire__hlo_call *c, reduction *r, int axis) {
  if (r->applied) {
    moire_value y = reduce_by(c, r->applied, r->x[0], axis);
    if (!moire_value_is_null(y)) {
      r->x[0] = y;
      return true;
    }
  }
  return halve(c, r, axis);
}

/* ---- the row ----------------------------------------------------------------------------------------------
 */

static bool read_reduction(moire__hlo_call *c, reduction *r) {
  r->n = c->n_operands / 2;
  if (c->n_operands % 2 || !r->n || r->n > MOST_OPERANDS) {
    moire__refuse(&c->call, "wanted 1 to %d operands, and an initial value of each", MOST_OPERANDS);
    return false;
  }
  for (int i = 0; i < r->n; i++) {
    r->x[i] = moire__hlo_operand(c, i);
    r->init[i] = moire__hlo_operand(c, r->n + i);
  }
  r->region = c->op->n_regions ? &c->op->regions[0] : NULL;
  r->applied = moire__find(&c->call, "applies") ? moire__text_or(&c->call, "applies", "") : NULL;
  if (!r->applied && r->region && r->n == 1) r->applied = moire__hlo_combiner(c, r->region);
  if (!r->region && !(r->applied && r->n == 1)) moire__refuse(&c->call, "wanted a body");
  return !c->call.why;
}

static moire_shape without_axes(moire_value x, const bool *gone) {
  moire_shape shape = moire_value_shape(x), to = {.rank = 0};
  for (int i = 0; i < shape.rank; i++) {
    if (!gone[i]) to.dims[to.rank++] = shape.dims[i];
  }
  return to;
}

/* Axes of no elements leave the initial value. */
static moire_value of_nothing(moire__hlo_call *c, const reduction *r, int i, const bool *gone) {
  return moire_broadcast_at(c->call.at, r->init[i], without_axes(r->x[i], gone));
}

static void reduce(moire__hlo_call *c) {
  reduction r = {0};
  int64_t dims[MOIRE_MAX_RANK];
  int n = moire__integers(&c->call, "dimensions", dims, MOIRE_MAX_RANK);
  bool gone[MOIRE_MAX_RANK] = {false}, empty = false;
  if (!read_reduction(c, &r)) return;
  int rank = moire_value_shape(r.x[0]).rank;
  for (int i = 0; i < n; i++) {
    int axis = moire__import_axis(&c->call, dims[i], rank);
    if (rank) gone[axis] = true;
    if (rank && moire__fixed(&c->call, r.x[0], axis) == 0) empty = true;
  }
  for (int axis = 0; axis < rank && !empty; axis++) {
    if (gone[axis] && !reduce_axis(c, &r, axis)) return;
  }
  moire_value results[MOST_OPERANDS];
  for (int i = 0; i < r.n; i++) {
    results[i] =
        empty ? of_nothing(c, &r, i, gone) : moire_reshape_at(c->call.at, r.x[i], without_axes(r.x[i], gone));
  }
  if (!empty && !(r.applied && is_neutral(c, r.applied, 1, dtype_of(r.x[0])))) {
    moire_value combined[MOST_OPERANDS];
    if (!combine(c, &r, r.init, results, combined)) return;
    for (int i = 0; i < r.n; i++) results[i] = combined[i];
  }
  if (r.n == 1)
    moire__give(&c->call, results[0]);
  else
    moire__give_list(&c->call, results, r.n);
}

/* ---- the body for each element ----------------------------------------------------------------------------
 */

static void map(moire__hlo_call *c) {
  int n = c->n_operands;
  moire_value *x = moire__arena_array(c->call.arena, (size_t)n + 1, sizeof *x), y;
  for (int i = 0; i < n; i++) x[i] = moire__hlo_operand(c, i);
  moire__pass_over(&c->call, "dimensions");
  moire__hlo_type type = moire__hlo_result(c, 0);
  if (c->op->n_regions != 1) moire__refuse(&c->call, "wanted a body");
  if (c->call.why || !moire__hlo_run_elementwise(c, &c->op->regions[0], x, n, &y, 1)) return;
  moire__give(&c->call, moire_broadcast_at(c->call.at, y, type.shape));
}

const moire__hlo_row moire__hlo_rows_reduce[] = {
    {"stablehlo.reduce", reduce}, {"stablehlo.map", map}, {NULL, NULL}};
