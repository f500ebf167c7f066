/* The language: negative samples, items that were not chosen.
 *
 * Uniform among those that are not excluded, without redrawing: let e_0 < e_1 < .. < e_(c-1) be the excluded
 * items from 0, each once. Of the n - c others, the r-th is r + |{j: e_j - j <= r}|, since as many excluded
 * ones stand before it; so r is drawn below n - c. Repeated and foreign entries of the list count nothing:
 * their key, e_j - j of the others, is one that no r reaches.
 *
 * By weights, t is uniform below the sum of them all, and the item the first whose running sum is above t. What
 * is excluded is drawn again, and in the end drawn from the uniform ones. All of it is rounded to f32 step by
 * step, so that every engine draws the same.
 */
#include "compiler/ir/language/language.h"

enum { USUAL_REDRAWS = 8, MOST_REDRAWS = 64 };

typedef struct negative {
  moire_source at;
  moire_graph *g;
  moire_shape shape; /* of what is drawn */
  moire_negative_options options;
  int64_t n;          /* items */
  moire_value list;   /* excluded ones from 0 [lead.., 1.., E], in ascending order; null: none */
  moire_value keys;   /* of each */
  moire_value others; /* how many are not excluded, as `shape` */
} negative;

static moire_value integer(negative *s, int64_t x) {
  return moire_constant_at(s->at, s->g, MOIRE_I32, MOIRE_SCALAR, (double)x);
}

/* x [..] beside every entry of the list. */
static moire_value beside(negative *s, moire_value x) {
  moire_shape shape = s->shape;
  shape.dims[shape.rank++] = 1;
  return moire_reshape_at(s->at, x, shape);
}

/* Of the list: far fewer than 2^24, which floats count exactly. */
static moire_value count(negative *s, moire_value condition, bool keep) {
  moire_value ones = moire_cast_at(s->at, condition, MOIRE_F32);
  return moire_cast_at(s->at, moire_sum_at(s->at, ones, -1, keep), MOIRE_I32);
}

/* ---- what is excluded ------------------------------------------------------------------------------------ */

/* Which entries are items, and not the one before again. */
static moire_value counts(negative *s, moire_value list) {
  moire_source at = s->at;
  int64_t entries = moire_value_dim(list, -1);
  moire_value inside =
      moire_and_at(at, moire_less_at(at, integer(s, -1), list), moire_less_at(at, list, integer(s, s->n)));
  if (entries < 2) return inside;
  moire_value later = moire_slice_at(at, list, -1, 1, entries - 1);
  moire_value first = moire_slice_at(at, list, -1, 0, 1),
              earlier = moire_slice_at(at, list, -1, 0, entries - 1);
  moire_value fresh[] = {moire_equal_at(at, first, first), moire_less_at(at, earlier, later)};
  return moire_and_at(at, inside, moire_concat_at(at, fresh, 2, -1));
}

static void read_list(negative *s) {
  moire_source at = s->at;
  moire_value list = s->options.exclude;
  list = moire_sub_at(at, list, integer(s, s->options.low));
  list = moire_sort_at(at, list, -1, false).values;
  if (moire_value_is_null(list)) return;
  moire_value is_counted = counts(s, list), places = moire_cast_at(at, is_counted, MOIRE_I32);
  moire_value before = moire_sub_at(at, moire_cumsum_at(at, places, -1), integer(s, 1));
  moire_value keys = moire_where_at(at, is_counted, moire_sub_at(at, list, before), integer(s, INT32_MAX));
  moire_value others = moire_sub_at(at, integer(s, s->n), count(s, is_counted, true));
  moire_shape own = moire_value_shape(list), wide = s->shape;
  for (int d = own.rank - 1; d < s->shape.rank; d++) wide.dims[d] = 1;
  for (int d = 0; d < own.rank - 1; d++) wide.dims[d] = own.dims[d];
  moire_value as_drawn = moire_reshape_at(at, others, wide);
  s->others = moire_broadcast_at(at, as_drawn, s->shape);
  wide.dims[wide.rank++] = own.dims[own.rank - 1];
  s->list = moire_reshape_at(at, list, wide);
  s->keys = moire_reshape_at(at, keys, wide);
}

static moire_value is_excluded(negative *s, moire_value item) {
  return moire_less_at(s->at, integer(s, 0), count(s, moire_equal_at(s->at, s->list, beside(s, item)), false));
}

/* ---- drawing, from 0 ------------------------------------------------------------------------------------- */

static moire_value draw_uniform(negative *s) {
  if (!s->list.id) return moire_random_integers_at(s->at, s->g, s->shape, 0, s->n);
  moire_value r = moire_random_below_at(s->at, s->others);
  moire_value item = moire_add_at(s->at, r, count(s, moire_less_equal_at(s->at, s->keys, beside(s, r)), false));
  return moire_min_of_at(s->at, item, moire_broadcast_at(s->at, integer(s, s->n - 1), s->shape));
}

static moire_value single(negative *s, moire_value x) { return moire__emit_unary(s->at, MOIRE__OP_single, x); }

static moire_value draw_by_weights(negative *s, moire_value sums, moire_value total) {
  moire_value u = moire_uniform_at(s->at, s->g, s->shape, 0, 1);
  return moire_search_sorted_at(s->at, sums, single(s, moire_mul_at(s->at, u, total)), true);
}

/* The first of the draws that is not excluded. They are gone through from the last. */
static moire_value draw_weighted(negative *s) {
  moire_source at = s->at;
  moire_value sums = single(s, moire_cumsum_at(at, moire_stop_gradient_at(at, s->options.weights), 0));
  moire_value total = moire_slice_at(at, sums, 0, s->n - 1, 1);
  if (s->shape.rank == 0) total = moire_reshape_at(at, total, MOIRE_SCALAR);
  moire_value last = moire_broadcast_at(at, integer(s, s->n - 1), s->shape);
  if (!s->list.id) return moire_min_of_at(at, draw_by_weights(s, sums, total), last);
  moire_value item = draw_uniform(s);
  int redraws = s->options.redraws ? s->options.redraws : USUAL_REDRAWS;
  for (int i = 0; i < redraws; i++) {
    moire_value next = moire_min_of_at(at, draw_by_weights(s, sums, total), last);
    item = moire_where_at(at, is_excluded(s, next), item, next);
  }
  return item;
}

/* ---- the call -------------------------------------------------------------------------------------------- */

static moire_value refuse(negative *s, moire_status status, const char *why) {
  moire__graph_fail_at(s->g, s->at, "negative_samples", status, "%s", why);
  return (moire_value){s->g, 0};
}

static bool list_fits(const negative *s) {
  moire_shape list = moire_value_shape(s->options.exclude);
  bool fits = list.rank >= 1 && list.rank - 1 <= s->shape.rank && s->shape.rank < MOIRE_MAX_RANK &&
              moire_value_dtype(s->options.exclude) == MOIRE_I32 &&
              moire__dim_is_static(list.dims[list.rank - 1]) && list.dims[list.rank - 1] >= 1;
  for (int d = 0; d < list.rank - 1 && fits; d++) fits = list.dims[d] == s->shape.dims[d];
  return fits;
}

moire_value moire_negative_samples_at(moire_source at, moire_graph *g, moire_shape shape,
                                      moire_negative_options options) {
  MOIRE__NEED_GRAPH(g);
  const moire_value none = {g, 0};
  negative s = {.at = at, .g = g, .shape = shape, .options = options, .n = options.high - options.low};
  bool weighted = options.weights.graph, excluding = options.exclude.graph;
  if ((weighted && !options.weights.id) || (excluding && !options.exclude.id)) return none;
  if (options.low < INT32_MIN || options.high > INT32_MAX || s.n < 1 || s.n > INT32_MAX)
    return refuse(&s, MOIRE_ERROR_ARGUMENT, "items are from low to below high, some of them, and fit i32");
  if (options.redraws < 0 || options.redraws > MOST_REDRAWS)
    return refuse(&s, MOIRE_ERROR_ARGUMENT, "redraws are 1 to 64, or 0 for 8");
  moire_shape of_weights = moire_value_shape(options.weights);
  if (weighted &&
      (moire_value_dtype(options.weights) != MOIRE_F32 || of_weights.rank != 1 || of_weights.dims[0] != s.n))
    return refuse(&s, MOIRE_ERROR_SHAPE, "weights are f32[high - low], one for each item");
  if (excluding && !list_fits(&s))
    return refuse(&s, MOIRE_ERROR_SHAPE,
                  "exclude is i32[.., E]: the first extents of what is drawn, then a fixed number of items");
  if (excluding) read_list(&s);
  moire_value item = weighted ? draw_weighted(&s) : draw_uniform(&s);
  return options.low ? moire_add_at(at, item, integer(&s, options.low)) : item;
}
