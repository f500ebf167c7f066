/* Rows of the table: losses. */
#include "compiler/import/torch/rows.h"

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* PyTorch's numbers: none, mean, sum. */
static moire_reduction reduction(moire__call *c) {
  int64_t r = moire__integer_or(c, "reduction", 1);
  if (r < 0 || r > 2) moire__refuse(c, "reduction: wanted none, mean or sum");
  return r == 0 ? MOIRE_REDUCE_NONE : r == 1 ? MOIRE_REDUCE_MEAN : MOIRE_REDUCE_SUM;
}

static moire_value reduced(moire__call *c, moire_value x, moire_reduction r) {
  if (missing(x) || r == MOIRE_REDUCE_NONE) return x;
  return r == MOIRE_REDUCE_SUM ? moire_sum_all_at(c->at, x) : moire_mean_all_at(c->at, x);
}

/* ---- classes ----------------------------------------------------------------------------------------------
 */

/* [N, C, d..] -> [N, d.., C], and [C] -> [1, C] */
static moire_value classes_last(moire__call *c, moire_value x) {
  int rank = rank_of(x);
  if (rank == 1) return moire__unsqueeze(c, x, 0);
  return rank > 2 ? moire__move_axis(c, x, 1, rank - 1) : x;
}

/* -sum of targets times log softmax, of targets that are probabilities. */
static moire_value soft_cross_entropy(moire__call *c, moire_value logits, moire_value target,
                                      moire_value weight, double smoothing, moire_reduction r) {
  if (moire__integer_or(c, "ignore_index", -100) >= 0)
    moire__refuse(c, "of probabilities takes no ignore_index");
  if (missing(logits)) return logits;
  int last = rank_of(logits) - 1;
  moire_value log_shares = moire_log_softmax_at(c->at, logits);
  target = classes_last(c, target);
  if (smoothing > 0) {
    double part = smoothing / (double)moire__fixed(c, logits, last);
    target = moire_add_scalar_at(c->at, moire_scale_at(c->at, target, 1 - smoothing), part);
  }
  if (weight.graph) target = moire_mul_at(c->at, target, weight);
  moire_value each =
      moire_neg_at(c->at, moire_sum_at(c->at, moire_mul_at(c->at, target, log_shares), last, false));
  return reduced(c, each, r);
}

static void cross_entropy(moire__call *c) {
  moire_value logits = moire__need_real(c, moire__tensor(c, "self")), target = moire__tensor(c, "target");
  moire_value weight = moire__tensor_or_none(c, "weight");
  double smoothing = moire__real_or(c, "label_smoothing", 0);
  int64_t ignored = moire__integer_or(c, "ignore_index", -100);
  moire_reduction r = reduction(c);
  if (missing(logits) || missing(target)) return;
  bool row = rank_of(logits) == 1, soft = moire__type_of(target) == MOIRE__TORCH_F32;
  moire_value by_class = classes_last(c, logits);
  moire_value loss;
  if (soft) {
    loss = soft_cross_entropy(c, by_class, target, weight, smoothing, r);
  } else {
    target = moire__to_type(c, row ? moire__unsqueeze(c, target, 0) : target, MOIRE__TORCH_I32);
    loss = moire_cross_entropy_loss_at(c->at, by_class, target,
                                       (moire_cross_entropy_options){.weight = weight,
                                                                     .label_smoothing = smoothing,
                                                                     .ignore = ignored != -100,
                                                                     .ignore_index = ignored,
                                                                     .reduction = r});
  }
  if (row && r == MOIRE_REDUCE_NONE) loss = moire__squeeze(c, loss, 0);
  moire__give(c, loss);
}

/* Of log probabilities: -x[target] weight[target], averaged by weight. */
static void nll(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self")), target = moire__tensor(c, "target");
  moire_value weight = moire__tensor_or_none(c, "weight");
  int64_t ignored = moire__integer_or(c, "ignore_index", -100);
  moire_reduction r = reduction(c);
  if (missing(x) || missing(target)) return;
  if (rank_of(x) == 1) {
    moire__refuse(c, "of one sample without an axis is not imported: unsqueeze it");
    return;
  }
  x = classes_last(c, x);
  int last = rank_of(x) - 1;
  moire_value counts =
      moire_not_at(c->at, moire_equal_at(c->at, target, moire__number_like(c, target, (double)ignored)));
  moire_value index = moire_where_at(c->at, counts, target, moire__number_like(c, target, 0));
  moire_value picked =
      moire__squeeze(c, moire_take_along_at(c->at, x, moire__unsqueeze(c, index, last), last), last);
  moire_value share = moire__to_type(c, counts, MOIRE__TORCH_F32);
  if (weight.graph) share = moire_mul_at(c->at, share, moire_gather_at(c->at, weight, index));
  moire_value each = moire_where_at(c->at, counts, moire_neg_at(c->at, moire_mul_at(c->at, picked, share)),
                                    moire__number_like(c, picked, 0));
  if (r == MOIRE_REDUCE_MEAN)
    moire__give(c, moire_div_at(c->at, moire_sum_all_at(c->at, each), moire_sum_all_at(c->at, share)));
  else
    moire__give(c, reduced(c, each, r));
}

/* ---- distances --------------------------------------------------------------------------------------------
 */

static moire_value away(moire__call *c) {
  return moire_sub_at(c->at, moire__tensor(c, "self"), moire__tensor(c, "target"));
}

static void mse(moire__call *c) {
  moire_value d = moire__need_real(c, away(c));
  moire__give(c, reduced(c, moire_mul_at(c->at, d, d), reduction(c)));
}

static void l1(moire__call *c) { moire__give(c, reduced(c, moire_abs_at(c->at, away(c)), reduction(c))); }

static void huber(moire__call *c) {
  double delta = moire__real_or(c, "delta", 1);
  moire__give(
      c, moire_huber_loss_at(c->at, moire__tensor(c, "self"), moire__tensor(c, "target"), delta, reduction(c)));
}

/* The same divided by beta; of beta 0 it is l1. */
static void smooth_l1(moire__call *c) {
  double beta = moire__real_or(c, "beta", 1);
  if (beta <= 0) {
    l1(c);
    return;
  }
  moire_value loss =
      moire_huber_loss_at(c->at, moire__tensor(c, "self"), moire__tensor(c, "target"), beta, reduction(c));
  moire__give(c, moire_scale_at(c->at, loss, 1 / beta));
}

static void binary_with_logits(moire__call *c) {
  moire_value weight = moire__tensor_or_none(c, "weight"), positive = moire__tensor_or_none(c, "pos_weight");
  moire__give(c, moire_binary_cross_entropy_with_logits_at(c->at, moire__tensor(c, "self"),
                                                           moire__tensor(c, "target"), weight, positive,
                                                           reduction(c)));
}

/* Logarithms are no less than -100, as PyTorch has it. */
static void binary(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self")), t = moire__tensor(c, "target");
  moire_value weight = moire__tensor_or_none(c, "weight");
  moire_source at = c->at;
  moire_value least = moire__number_like(c, x, -100);
  moire_value yes = moire_max_of_at(at, moire_log_at(at, x), least);
  moire_value no =
      moire_max_of_at(at, moire_log_at(at, moire_add_scalar_at(at, moire_neg_at(at, x), 1)), least);
  moire_value other = moire_add_scalar_at(at, moire_neg_at(at, t), 1);
  moire_value each = moire_neg_at(at, moire_add_at(at, moire_mul_at(at, t, yes), moire_mul_at(at, other, no)));
  if (weight.graph) each = moire_mul_at(at, each, weight);
  moire__give(c, reduced(c, each, reduction(c)));
}

static void kl_div(moire__call *c) {
  bool logarithms = moire__bool_or(c, "log_target", false);
  moire__give(c, moire_kl_div_at(c->at, moire__tensor(c, "self"), moire__tensor(c, "target"), logarithms,
                                 reduction(c)));
}

static void cosine(moire__call *c) {
  moire_value v[2] = {moire__tensor(c, "x1"), moire__tensor(c, "x2")};
  double eps = moire__real_or(c, "eps", 1e-8);
  if (missing(v[0]) || missing(v[1])) return;
  moire_shape common = moire__common_shape(v, 2);
  moire_value a = moire_broadcast_at(c->at, v[0], common), b = moire_broadcast_at(c->at, v[1], common);
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", 1), rank_of(a));
  if (missing(a) || missing(b) || !rank_of(a)) {
    moire__refuse(c, "wanted tensors with axes");
    return;
  }
  int last = rank_of(a) - 1;
  moire__give(c, moire_cosine_similarity_at(c->at, moire__move_axis(c, a, axis, last),
                                            moire__move_axis(c, b, axis, last), eps));
}

const moire__aten_row moire__rows_loss[] = {
    {"aten.cross_entropy_loss.default", cross_entropy, false},
    {"aten.nll_loss.default", nll, false},
    {"aten.nll_loss_nd.default", nll, false},
    {"aten.nll_loss2d.default", nll, false},
    {"aten.mse_loss.default", mse, false},
    {"aten.l1_loss.default", l1, false},
    {"aten.huber_loss.default", huber, false},
    {"aten.smooth_l1_loss.default", smooth_l1, false},
    {"aten.binary_cross_entropy_with_logits.default", binary_with_logits, false},
    {"aten.binary_cross_entropy.default", binary, false},
    {"aten.kl_div.default", kl_div, false},
    {"aten.cosine_similarity.default", cosine, false},
    {NULL, NULL, false}};
