/* Rows of the table: updates at places that are values; what lies outside of the operand is left out.
 *
 * Sums and the largest of several updates are operations of their own. Otherwise each element of the operand is
 * told which update comes last there, by the largest number of an update, and takes it, or what the body makes
 * of both: of any body where places are unique.
 */
#include "compiler/import/hlo/places.h"

#include <string.h>

typedef struct scatter_call {
  moire__hlo_places places;
  moire_value x, u;     /* flat: [n] and [m] */
  moire_value at;       /* [m]: places, n where there is none */
  const char *combiner; /* the one operation; "" the update itself; NULL: another body */
  int64_t n, m;
} scatter_call;

static int rank_of(moire_value x) { return moire_value_is_null(x) ? 0 : moire_value_shape(x).rank; }

static moire_dtype dtype_of(moire_value x) {
  return moire_value_is_null(x) ? (moire_dtype)0 : moire_value_dtype(x);
}

static moire_value flat(moire__hlo_call *c, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  return moire_reshape_at(c->call.at, x, (moire_shape){.rank = 1, .dims = {moire__elements(&shape)}});
}

/* ---- the operand with one more row, where goes what lies outside ------------------------------------------
 */

static moire_value with_spare(moire__hlo_call *c, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  shape.dims[0] = 1;
  if (dtype_of(x) == MOIRE_BOOL) return moire__null(&c->call);
  moire_value spare = moire_broadcast_at(c->call.at, moire__hlo_scalar(c, x, 0), shape);
  return moire_concat_at(c->call.at, (moire_value[]){x, spare}, 2, 0);
}

static moire_value without_spare(moire__hlo_call *c, moire_value x) {
  return moire_slice_at(c->call.at, x, 0, 0, moire__fixed(&c->call, x, 0) - 1);
}

static moire_value add_into(moire__hlo_call *c, moire_value x, moire_value rows, moire_value u) {
  return without_spare(c, moire_scatter_add_at(c->call.at, with_spare(c, x), rows, u));
}

/* Whole numbers are added in double, in two halves of 32 bits of which sums are exact. */
static moire_value whole_add(moire__hlo_call *c, moire_value x, moire_value rows, moire_value u) {
  moire_source at = c->call.at;
  moire_dtype dtype = dtype_of(x);
  moire_value wide = moire_cast_at(at, u, MOIRE_I64), split = moire__hlo_scalar(c, wide, 0x1p32);
  moire_value low = moire_remainder_at(at, wide, split), high = moire_sub_at(at, wide, low);
  moire_value none = moire_constant_at(at, c->call.graph, MOIRE_F64, moire_value_shape(x), 0);
  moire_value low_sum = add_into(c, none, rows, moire_cast_at(at, low, MOIRE_F64));
  moire_value sum = moire_cast_at(at, low_sum, MOIRE_I64);
  if (dtype == MOIRE_I64) {
    moire_value parts = moire_scale_at(at, moire_cast_at(at, high, MOIRE_F64), 0x1p-32);
    moire_value high_sum = moire_cast_at(at, add_into(c, none, rows, parts), MOIRE_I64);
    sum = moire_add_at(at, sum, moire_mul_at(at, high_sum, moire__hlo_scalar(c, high_sum, 0x1p32)));
  }
  return moire_add_at(at, x, moire_cast_at(at, sum, dtype));
}

/* The elements of the operand are the first updates of nothing, so that sums are made in order. */
static moire_value scatter_sum(moire__hlo_call *c, moire_value x, moire_value rows, moire_value u) {
  moire_source at = c->call.at;
  double number = 1;
  if (moire__hlo_is_whole(x)) return whole_add(c, x, rows, u);
  if (moire__hlo_is_uniform(c, 0, &number) && number == 0) return add_into(c, x, rows, u);
  moire_value own = moire__count_along(&c->call, moire_value_shape(x), 0, 0, 1);
  rows = moire_concat_at(at, (moire_value[]){own, rows}, 2, 0);
  u = moire_concat_at(at, (moire_value[]){x, u}, 2, 0);
  return add_into(c, moire__number_like(&c->call, x, 0), rows, u);
}

static moire_value scatter_largest(moire__hlo_call *c, moire_value x, moire_value rows, moire_value u) {
  return without_spare(c, moire_scatter_max_at(c->call.at, with_spare(c, x), rows, u));
}

/* ---- which update comes last ------------------------------------------------------------------------------
 */

/* i64 [n]: the number of the last update of each element, -1: none. */
static moire_value last_update(moire__hlo_call *c, const scatter_call *s) {
  moire_source at = c->call.at;
  moire_value number = moire__count_along(&c->call, (moire_shape){.rank = 1, .dims = {s->m}}, 0, 0, 1);
  moire_value none =
      moire_constant_at(at, c->call.graph, MOIRE_I64, (moire_shape){.rank = 1, .dims = {s->n + 1}}, -1);
  return without_spare(c, moire_scatter_max_at(at, none, s->at, number));
}

static moire_value by_last(moire__hlo_call *c, const scatter_call *s) {
  moire_source at = c->call.at;
  moire_value last = last_update(c, s), zero = moire__hlo_scalar(c, last, 0);
  moire_value there = moire_less_equal_at(at, zero, last);
  moire_value update = moire_gather_at(at, s->u, moire_max_of_at(at, last, zero)), y = update;
  if (!s->combiner || *s->combiner) {
    moire_value both[2] = {s->x, update};
    if (!moire__hlo_run_elementwise(c, &c->op->regions[0], both, 2, &y, 1)) return moire__null(&c->call);
  }
  return moire_where_at(at, there, y, s->x);
}

/* ---- the row ----------------------------------------------------------------------------------------------
 */

/* "" where the body returns its second argument, the update. */
static const char *combiner_of(moire__hlo_call *c) {
  const moire__hlo_region *body = &c->op->regions[0];
  bool update = body->n_ops == 1 && body->n_arguments == 2 && !strcmp(body->ops[0].name, "return") &&
                body->ops[0].n_operands == 1 && body->ops[0].operands[0] == body->arguments[1];
  return update ? "" : moire__hlo_combiner(c, body);
}

static moire_value scattered(moire__hlo_call *c, const scatter_call *s, bool unique) {
  bool boolean = dtype_of(s->x) == MOIRE_BOOL;
  const char *op = s->combiner ? s->combiner : "other";
  if (!*op || unique) return by_last(c, s);
  if (!boolean && !strcmp(op, "stablehlo.add")) return scatter_sum(c, s->x, s->at, s->u);
  if (!boolean && !strcmp(op, "stablehlo.maximum") && dtype_of(s->x) != MOIRE_C64)
    return scatter_largest(c, s->x, s->at, s->u);
  if (!boolean && !strcmp(op, "stablehlo.minimum") && dtype_of(s->x) != MOIRE_C64)
    return moire_neg_at(
        c->call.at, scatter_largest(c, moire_neg_at(c->call.at, s->x), s->at, moire_neg_at(c->call.at, s->u)));
  moire__refuse(
      &c->call,
      "with this body is imported where places are unique (unique_indices=True); without, by add, maximum, "
      "minimum, or the update itself");
  return moire__null(&c->call);
}

/* Rows that are added: [n, ..] and [m.., ..]; null where it is something else. */
static moire_value add_rows(moire__hlo_call *c, const scatter_call *s, moire_value x, moire_value u) {
  moire_source at = c->call.at;
  bool sum = s->combiner && !strcmp(s->combiner, "stablehlo.add") && !moire__hlo_is_whole(x) &&
             dtype_of(x) != MOIRE_BOOL;
  if (!sum || !moire__hlo_is_rows(c, &s->places)) return moire__null(&c->call);
  moire_value row = moire__hlo_start(c, &s->places, 0, false);
  moire_value n = moire__hlo_scalar(c, row, (double)moire__fixed(&c->call, x, 0));
  moire_value good =
      moire_and_at(at, moire_less_equal_at(at, moire__hlo_scalar(c, row, 0), row), moire_less_at(at, row, n));
  return add_into(c, x, moire_where_at(at, good, row, n), u);
}

static bool read_scatter(moire__hlo_call *c, scatter_call *s, moire_value *u) {
  moire_value x = moire__hlo_operand(c, 0);
  *u = moire__hlo_operand(c, 2);
  if (c->n_operands != 3) moire__refuse(&c->call, "of several operands at once is not imported");
  if (c->op->n_regions != 1) moire__refuse(&c->call, "wanted a body");
  if (dtype_of(x) != dtype_of(*u)) moire__refuse(&c->call, "wanted updates of the operand's type");
  if (c->call.why) return false;
  int64_t dims[MOIRE_MAX_RANK], sizes[MOIRE_MAX_RANK], by_axis[MOIRE_MAX_RANK];
  int n = moire__integers(&c->call, "scatter_dimension_numbers.update_window_dims", dims, MOIRE_MAX_RANK),
      rank = rank_of(*u), order[MOIRE_MAX_RANK];
  if (n < 0) n = 0;
  for (int i = 0; i < n; i++)
    sizes[i] = moire__fixed(&c->call, *u, moire__import_axis(&c->call, dims[i], rank));
  /* Sizes are those of the updates: they are told by axis once it is known which axes are windows. */
  for (int i = 0; i < MOIRE_MAX_RANK; i++) by_axis[i] = 0;
  if (!moire__hlo_read_places(c, true, x, moire__hlo_operand(c, 1), by_axis, &s->places)) return false;
  if (s->places.n_window != n || s->places.n_starts + n != rank) {
    moire__refuse(&c->call, "wanted an update_window_dim for each axis of the windows");
    return false;
  }
  for (int i = 0; i < n; i++) {
    s->places.sizes[s->places.window[i]] = sizes[i];
    if (sizes[i] > moire__fixed(&c->call, x, s->places.window[i]))
      moire__refuse(&c->call, "a window is too large");
  }
  moire__hlo_window_order(dims, n, rank, true, order);
  if (rank > 1) *u = moire_permute_at(c->call.at, *u, rank, order);
  s->combiner = combiner_of(c);
  return !c->call.why;
}

static void scatter(moire__hlo_call *c) {
  scatter_call s = {0};
  moire_value x = moire__hlo_operand(c, 0), u;
  bool unique = moire__bool_or(&c->call, "unique_indices", false);
  moire__pass_over(&c->call, "indices_are_sorted");
  if (!read_scatter(c, &s, &u)) return;
  moire_shape shape = moire_value_shape(x), updates = moire_value_shape(u);
  s.n = moire_dim_factor(moire__elements(&shape));
  s.m = moire_dim_factor(moire__elements(&updates));
  if (!s.n || !s.m) {
    moire__give(&c->call, x);
    return;
  }
  moire_value rows = add_rows(c, &s, x, u);
  if (!moire_value_is_null(rows) || c->call.why) {
    moire__give(&c->call, rows);
    return;
  }
  s.x = flat(c, x);
  s.u = flat(c, u);
  s.at = flat(c, moire__hlo_flat_places(c, &s.places, true));
  if (c->call.why) return;
  moire_value y = scattered(c, &s, unique);
  if (!moire_value_is_null(y)) moire__give(&c->call, moire_reshape_at(c->call.at, y, shape));
}

const moire__hlo_row moire__hlo_rows_scatter[] = {{"stablehlo.scatter", scatter}, {NULL, NULL}};
