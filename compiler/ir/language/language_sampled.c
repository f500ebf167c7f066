/* The language: losses over many items that read some of them.
 *
 * The softmax over V items has Z = sum of e^o(i) below it. With items s(k) drawn K times by q, and the target t
 * left out of them,
 *
 *   Z' = e^o(t) + sum over k with s(k) != t of e^(o(s(k)) - ln(K q(s(k))))
 *
 * has Z as its mean whatever q is, and so e^loss' that of e^loss: what is drawn is corrected, the target, which
 * is always there, is not. The items are drawn once for all rows, so that scores are one product.
 *
 * Sources: Bengio and Senecal, "Adaptive importance sampling to accelerate training of a neural probabilistic
 * language model", 2008; Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
 * recommendations", 2019; Petrov and Macdonald, "gSASRec", 2023, for gBCE.
 */
#include "compiler/ir/language/language.h"

#include <inttypes.h>
#include <math.h>

static const double hidden = -1e30; /* the score of what takes no part */

static moire_value integer(moire_source at, moire_graph *g, int64_t value) {
  return moire_constant_at(at, g, MOIRE_I32, MOIRE_SCALAR, (double)value);
}

/* ---- What is drawn ------------------------------------------------------------------------------------------
 */

/* The weight of each item, f32, and that of all: ends[i] - ends[i - 1], ends[V - 1]. */
static moire_value log_share(moire_source at, moire_value ends, moire_value items) {
  int64_t n = moire_value_dim(ends, 0);
  moire_graph *g = ends.graph;
  moire_value zero = integer(at, g, 0), before = moire_add_at(at, items, integer(at, g, -1));
  moire_value low = moire_gather_at(at, ends, moire_max_of_at(at, before, zero));
  low = moire_where_at(at, moire_less_at(at, zero, items), low, zero);
  moire_value weight = moire_sub_at(at, moire_gather_at(at, ends, items), low);
  weight = moire_max_of_at(at, weight, integer(at, g, 1));
  moire_value total = moire_slice_at(at, ends, 0, n - 1, 1);
  moire_value of_all = moire_log_at(at, moire_cast_at(at, total, MOIRE_F32));
  return moire_sub_at(at, moire_log_at(at, moire_cast_at(at, weight, MOIRE_F32)), of_all);
}

static moire_value by_frequency(moire_source at, moire_value ends, int64_t count) {
  int64_t n = moire_value_dim(ends, 0);
  moire_value total = moire_broadcast_at(at, moire_slice_at(at, ends, 0, n - 1, 1), MOIRE_SHAPE(count));
  moire_value items = moire_search_sorted_at(at, ends, moire_random_below_at(at, total), true);
  return moire_min_of_at(at, items, integer(at, ends.graph, n - 1));
}

/* floor(e^(u ln(V + 1))) - 1 of a u of 61 bits, in double, since single precision would leave out items. */
static moire_value log_uniform(moire_source at, moire_graph *g, int64_t n, int64_t count) {
  const int64_t words = INT32_MAX;
  moire_shape shape = MOIRE_SHAPE(count);
  moire_value high = moire_cast_at(at, moire_random_integers_at(at, g, shape, 0, words), MOIRE_F64);
  moire_value low = moire_cast_at(at, moire_random_integers_at(at, g, shape, 0, words), MOIRE_F64);
  moire_value u = moire_add_at(at, high, moire_scale_at(at, low, 1.0 / (double)words));
  moire_value y = moire_exp_at(at, moire_scale_at(at, u, log((double)n + 1) / (double)words));
  moire_value items = moire_add_at(at, moire_cast_at(at, y, MOIRE_I32), integer(at, g, -1));
  items = moire_max_of_at(at, items, integer(at, g, 0));
  return moire_min_of_at(at, items, integer(at, g, n - 1));
}

/* ln(ln(1 + 1/(i + 1)) / ln(V + 1)); ln(1 + y) = 2 atanh(z) with z = y / (2 + y) = 1 / (2 i + 3), at most 1/3:
 * its series, to z^15, since 1 + y would be rounded. */
static moire_value log_uniform_share(moire_source at, moire_value items, int64_t n) {
  moire_value i = moire_cast_at(at, items, MOIRE_F32);
  moire_value one = moire_constant_at(at, i.graph, MOIRE_F32, MOIRE_SCALAR, 1);
  moire_value z = moire_div_at(at, one, moire_add_scalar_at(at, moire_scale_at(at, i, 2), 3));
  moire_value square = moire_mul_at(at, z, z), sum = moire_scale_at(at, square, 1.0 / 15);
  for (int k = 13; k > 1; k -= 2) sum = moire_mul_at(at, square, moire_add_scalar_at(at, sum, 1.0 / k));
  sum = moire_mul_at(at, moire_scale_at(at, z, 2), moire_add_scalar_at(at, sum, 1));
  return moire_add_scalar_at(at, moire_log_at(at, sum), -log(log((double)n + 1)));
}

static moire_drawn refuse(moire_source at, moire_graph *g, const char *why) {
  moire__graph_fail_at(g, at, "draw_items", MOIRE_ERROR_ARGUMENT, "%s", why);
  return (moire_drawn){{g, 0}, {g, 0}, false};
}

static bool is_row_of_ends(moire_value ends) {
  moire_shape shape = moire_value_shape(ends);
  return moire_value_dtype(ends) == MOIRE_I32 && shape.rank == 1 && moire__dim_is_static(shape.dims[0]);
}

moire_drawn moire_draw_items_at(moire_source at, moire_graph *g, moire_drawing drawing, int64_t n,
                                int64_t count, moire_value ends) {
  moire_drawn none = {{g, 0}, {g, 0}, false};
  if (!g) return none;
  if (n < 1 || n >= INT32_MAX || count < 1 || count > INT32_MAX)
    return refuse(at, g, "wanted 1 or more draws among 1 or more items, fewer than 2^31 of both");
  if (drawing == MOIRE_DRAW_BY_WEIGHT && (!is_row_of_ends(ends) || moire_value_dim(ends, 0) != n))
    return refuse(at, g, "ends are i32[n]: the weights of items 0 to i together");
  if (drawing == MOIRE_DRAW_BY_WEIGHT) {
    moire_value items = by_frequency(at, ends, count);
    return (moire_drawn){items, log_share(at, ends, items), false};
  }
  if (drawing == MOIRE_DRAW_LOG_UNIFORM) {
    moire_value items = log_uniform(at, g, n, count);
    return (moire_drawn){items, log_uniform_share(at, items, n), false};
  }
  moire_shape shape = MOIRE_SHAPE(count);
  return (moire_drawn){moire_random_integers_at(at, g, shape, 0, n),
                       moire_constant_at(at, g, MOIRE_F32, shape, -log((double)n)), false};
}

moire_drawn moire_draw_in_batch_at(moire_source at, moire_value targets, moire_value ends) {
  moire_graph *g = targets.graph;
  if (moire_value_is_null(targets) || moire_value_is_null(ends)) return (moire_drawn){{g, 0}, {g, 0}, false};
  if (!is_row_of_ends(ends) || moire_value_shape(targets).rank != 1)
    return refuse(at, g, "wanted targets i32[N] and ends i32[n]: the weights of items 0 to i together");
  return (moire_drawn){targets, log_share(at, ends, targets), true};
}

/* ---- Losses ------------------------------------------------------------------------------------------------
 */

/* Scores of the targets [N] and of what was drawn [N, K], and where that is the row's own target. */
typedef struct scores {
  moire_value target, drawn, hits;
  moire_value count; /* K as f32[]: how often was drawn; in a batch N - 1 */
} scores;

static moire_value count_of(moire_source at, moire_value items, bool in_batch) {
  moire_shape shape = moire_value_shape(items);
  if (moire__dim_is_static(shape.dims[0])) {
    double n = (double)(shape.dims[0] - (in_batch && shape.dims[0] > 1));
    return moire_constant_at(at, items.graph, MOIRE_F32, MOIRE_SCALAR, n);
  }
  moire_value ones = moire_constant_at(at, items.graph, MOIRE_F32, shape, 1), n = moire_sum_all_at(at, ones);
  if (in_batch) n = moire_add_scalar_at(at, n, -1);
  return moire_max_of_at(at, n, moire_constant_at(at, items.graph, MOIRE_F32, MOIRE_SCALAR, 1));
}

static bool score(moire_source at, const char *name, moire_value x, moire_value weight, moire_value targets,
                  moire_drawn drawn, scores *s) {
  if (moire_value_is_null(x) || moire_value_is_null(weight) || moire_value_is_null(targets) ||
      moire_value_is_null(drawn.items) || moire_value_is_null(drawn.log_q))
    return false;
  moire_shape of_x = moire_value_shape(x), of_targets = moire_value_shape(targets),
              of_items = moire_value_shape(drawn.items);
  bool fits = of_x.rank == 2 && of_targets.rank == 1 && of_targets.dims[0] == of_x.dims[0] &&
              of_items.rank == 1 && moire_value_shape(drawn.log_q).rank == 1 &&
              moire_value_dim(drawn.log_q, 0) == of_items.dims[0] && moire_value_shape(weight).rank == 2;
  if (!fits) {
    moire__graph_fail_at(x.graph, at, name, MOIRE_ERROR_SHAPE,
                         "wanted x [N, D], weight [V, D], targets i32[N], and draws i32[K] with ln q f32[K]");
    return false;
  }
  moire_dim n = of_x.dims[0], k = of_items.dims[0];
  moire_value own = moire_gather_at(at, weight, targets);
  moire_value others = drawn.in_batch ? own : moire_gather_at(at, weight, drawn.items);
  s->target = moire_sum_at(at, moire_mul_at(at, x, own), -1, false);
  s->drawn = moire_linear_at(at, x, others, (moire_value){0});
  s->hits = moire_equal_at(at, moire_reshape_at(at, targets, MOIRE_SHAPE(n, 1)),
                           moire_reshape_at(at, drawn.items, MOIRE_SHAPE(1, k)));
  s->count = count_of(at, drawn.items, drawn.in_batch);
  return !moire_value_is_null(s->hits);
}

moire_value moire_sampled_softmax_loss_at(moire_source at, moire_value x, moire_value weight,
                                          moire_value targets, moire_drawn drawn, moire_reduction reduction) {
  scores s = {0};
  if (!score(at, "sampled_softmax_loss", x, weight, targets, drawn, &s)) return (moire_value){x.graph, 0};
  moire_value log_q = moire_stop_gradient_at(at, drawn.log_q);
  moire_value often = moire_add_at(at, log_q, moire_log_at(at, s.count));
  moire_value corrected = moire_masked_fill_at(at, moire_sub_at(at, s.drawn, often), s.hits, hidden);
  moire_value others = moire_logsumexp_at(at, corrected, -1, false);
  return moire__reduced(at, moire_softplus_at(at, moire_sub_at(at, others, s.target)), reduction);
}

moire_value moire_gbce_loss_at(moire_source at, moire_value x, moire_value weight, moire_value targets,
                               moire_drawn drawn, double calibration, moire_reduction reduction) {
  scores s = {0};
  if (!score(at, "gbce_loss", x, weight, targets, drawn, &s)) return (moire_value){x.graph, 0};
  double n = (double)moire_value_dim(weight, 0);
  if (!(calibration >= 0 && calibration <= 1) || n < 2) {
    moire__graph_fail_at(x.graph, at, "gbce_loss", MOIRE_ERROR_ARGUMENT,
                         "calibration %g, wanted one from 0 to 1, and 2 items at least", calibration);
    return (moire_value){x.graph, 0};
  }
  /* beta = alpha (t (1 - 1/alpha) + 1/alpha) = 1 - t + t alpha, alpha = K / (V - 1) */
  moire_value alpha = moire_scale_at(at, s.count, 1 / (n - 1));
  moire_value beta = moire_add_scalar_at(at, moire_scale_at(at, alpha, calibration), 1 - calibration);
  moire_value wrong = moire_masked_fill_at(at, s.drawn, s.hits, hidden);
  moire_value sum = moire_sum_at(at, moire_softplus_at(at, wrong), -1, false);
  sum = moire_add_at(at, sum, moire_mul_at(at, beta, moire_softplus_at(at, moire_neg_at(at, s.target))));
  return moire__reduced(at, moire_div_at(at, sum, moire_add_scalar_at(at, s.count, 1)), reduction);
}
