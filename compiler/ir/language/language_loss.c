/* The language: losses, as PyTorch's functions of these names have them. */
#include "compiler/ir/language/language.h"

static moire_value like(moire_source at, moire_value x, double value) {
  if (moire_value_is_null(x)) return x;
  return moire_constant_at(at, x.graph, moire_value_dtype(x), moire_value_shape(x), value);
}

moire_value moire__reduced(moire_source at, moire_value loss, moire_reduction reduction) {
  switch (reduction) {
    case MOIRE_REDUCE_MEAN: return moire_mean_all_at(at, loss);
    case MOIRE_REDUCE_SUM: return moire_sum_all_at(at, loss);
    case MOIRE_REDUCE_NONE: return loss;
    case MOIRE_REDUCE_BATCH_MEAN: {
      if (moire_value_is_null(loss) || moire_value_shape(loss).rank == 0) return loss;
      moire_value rows = loss; /* the sum over all axes but the first */
      while (moire_value_shape(rows).rank > 1) rows = moire_sum_at(at, rows, -1, false);
      return moire_mean_all_at(at, rows);
    }
  }
  return loss;
}

/* ---- of numbers ------------------------------------------------------------------------------------------ */

moire_value moire_mse_loss_at(moire_source at, moire_value x, moire_value target, moire_reduction reduction) {
  moire_value d = moire_sub_at(at, x, target);
  return moire__reduced(at, moire__is_complex(d) ? moire_abs2_at(at, d) : moire_mul_at(at, d, d), reduction);
}

moire_value moire_l1_loss_at(moire_source at, moire_value x, moire_value target, moire_reduction reduction) {
  return moire__reduced(at, moire_abs_at(at, moire_sub_at(at, x, target)), reduction);
}

/* With c the distance, but no more than delta: c (|d| - c/2). */
moire_value moire_huber_loss_at(moire_source at, moire_value x, moire_value target, double delta,
                                moire_reduction reduction) {
  moire_value d = moire_abs_at(at, moire_sub_at(at, x, target));
  moire_value near = moire_min_of_at(at, d, like(at, d, delta));
  moire_value loss = moire_mul_at(at, near, moire_sub_at(at, d, moire_scale_at(at, near, 0.5)));
  return moire__reduced(at, loss, reduction);
}

/* ---- of classes ------------------------------------------------------------------------------------------ */

/* (1 - t) x + (1 + (p - 1) t) ln(1 + e^-x), times the weight. */
moire_value moire_binary_cross_entropy_with_logits_at(moire_source at, moire_value x, moire_value target,
                                                      moire_value weight, moire_value pos_weight,
                                                      moire_reduction reduction) {
  moire_value loss = moire_softplus_at(at, moire_neg_at(at, x));
  if (pos_weight.graph) {
    moire_value more = moire_mul_at(at, moire_add_scalar_at(at, pos_weight, -1), target);
    loss = moire_mul_at(at, moire_add_scalar_at(at, more, 1), loss);
  }
  moire_value rest = moire_mul_at(at, moire_add_scalar_at(at, moire_neg_at(at, target), 1), x);
  loss = moire_add_at(at, rest, loss);
  if (weight.graph) loss = moire_mul_at(at, loss, weight);
  return moire__reduced(at, loss, reduction);
}

/* Logits as [rows, C] and targets as [rows]; false with the mistake recorded. */
static bool as_rows(moire_source at, moire_value *logits, moire_value *targets) {
  moire_shape shape = moire_value_shape(*logits), lead = shape, own = moire_value_shape(*targets);
  moire_dim rows = 0;
  lead.rank = shape.rank > 0 ? shape.rank - 1 : 0;
  bool fits = shape.rank > 0 && moire__shape_equal(&lead, &own) && moire__shape_elements(&lead, &rows);
  if (!fits) {
    moire__refuse_pair(at, "cross_entropy_loss", MOIRE_ERROR_SHAPE, "wanted [rows.., C] and [rows..]", "logits",
                       *logits, "targets", *targets);
    return false;
  }
  *logits = moire_reshape_at(at, *logits, MOIRE_SHAPE(rows, shape.dims[lead.rank]));
  *targets = moire_reshape_at(at, *targets, MOIRE_SHAPE(rows));
  return true;
}

/* What label smoothing adds: the mean over the classes of w_c (-ln p_c). */
static moire_value smoothing(moire_source at, moire_value logits, moire_value weight) {
  moire_value minus = moire_neg_at(at, moire_log_softmax_at(at, logits));
  if (weight.graph) minus = moire_mul_at(at, minus, weight);
  return moire_mean_at(at, minus, 1, false);
}

moire_value moire_cross_entropy_loss_at(moire_source at, moire_value logits, moire_value targets,
                                        moire_cross_entropy_options options) {
  if (moire_value_is_null(logits) || moire_value_is_null(targets)) return moire__null_like(logits, targets);
  moire_shape lead = moire_value_shape(targets);
  if (!as_rows(at, &logits, &targets)) return moire__null_like(logits, logits);
  double ignored = options.ignore ? (double)options.ignore_index : -100, e = options.label_smoothing;
  moire_value valid = moire_not_at(at, moire_equal_at(at, targets, like(at, targets, ignored)));
  moire_value class = moire_where_at(at, valid, targets, like(at, targets, 0));
  moire_value loss = moire_cross_entropy_at(at, logits, class);
  moire_value share = moire_cast_at(at, valid, moire_value_dtype(logits));
  if (options.weight.graph) {
    moire_value of_class = moire_stop_gradient_at(at, moire_gather_at(at, options.weight, class));
    loss = moire_mul_at(at, loss, of_class);
    share = moire_mul_at(at, share, of_class);
  }
  if (e != 0)
    loss = moire_add_at(at, moire_scale_at(at, loss, 1 - e),
                        moire_scale_at(at, smoothing(at, logits, options.weight), e));
  loss = moire_where_at(at, valid, loss, like(at, loss, 0));
  if (options.reduction == MOIRE_REDUCE_NONE) return moire_reshape_at(at, loss, lead);
  moire_value sum = moire_sum_all_at(at, loss);
  return options.reduction == MOIRE_REDUCE_SUM ? sum : moire_div_at(at, sum, moire_sum_all_at(at, share));
}

/* target (ln target - x), 0 where the target is 0. */
moire_value moire_kl_div_at(moire_source at, moire_value x, moire_value target, bool log_target,
                            moire_reduction reduction) {
  if (log_target)
    return moire__reduced(at, moire_mul_at(at, moire_exp_at(at, target), moire_sub_at(at, target, x)),
                          reduction);
  if (moire_value_is_null(target)) return moire__null_like(target, x);
  moire_value some = moire_less_at(at, like(at, target, 0), target);
  moire_value safe = moire_where_at(at, some, target, like(at, target, 1));
  moire_value term = moire_mul_at(at, target, moire_sub_at(at, moire_log_at(at, safe), x));
  return moire__reduced(at, moire_where_at(at, some, term, like(at, target, 0)), reduction);
}

/* ---- of vectors: over the last axis ---------------------------------------------------------------------- */

static moire_value dot(moire_source at, moire_value a, moire_value b, bool keep) {
  return moire_sum_at(at, moire_mul_at(at, a, b), -1, keep);
}

/* x / max(|x|, eps). */
static moire_value direction(moire_source at, moire_value x, double eps) {
  moire_value square = dot(at, x, x, true);
  return moire_mul_at(at, x, moire_rsqrt_at(at, moire_max_of_at(at, like(at, square, eps * eps), square)));
}

moire_value moire_cosine_similarity_at(moire_source at, moire_value a, moire_value b, double eps) {
  return dot(at, direction(at, a, eps), direction(at, b, eps), false);
}

moire_value moire_cosine_embedding_loss_at(moire_source at, moire_value a, moire_value b, moire_value target,
                                           double margin, moire_reduction reduction) {
  const double epsilon = 1e-12;
  moire_value squares = moire_mul_at(at, moire_add_scalar_at(at, dot(at, a, a, false), epsilon),
                                     moire_add_scalar_at(at, dot(at, b, b, false), epsilon));
  moire_value cosine = moire_mul_at(at, dot(at, a, b, false), moire_rsqrt_at(at, squares));
  if (moire_value_is_null(cosine) || moire_value_is_null(target)) return moire__null_like(cosine, target);
  moire_value apart = moire_relu_at(at, moire_add_scalar_at(at, cosine, -margin));
  moire_value alike = moire_add_scalar_at(at, moire_neg_at(at, cosine), 1);
  moire_value loss = moire_where_at(
      at, moire_equal_at(at, target, like(at, target, 1)), alike,
      moire_where_at(at, moire_equal_at(at, target, like(at, target, -1)), apart, like(at, cosine, 0)));
  return moire__reduced(at, loss, reduction);
}

/* |a - b + 1e-6|, which is never 0. */
static moire_value distance(moire_source at, moire_value a, moire_value b) {
  moire_value d = moire_add_scalar_at(at, moire_sub_at(at, a, b), 1e-6);
  return moire_sqrt_at(at, dot(at, d, d, false));
}

moire_value moire_triplet_margin_loss_at(moire_source at, moire_value anchor, moire_value positive,
                                         moire_value negative, double margin, moire_reduction reduction) {
  moire_value further = moire_sub_at(at, distance(at, anchor, positive), distance(at, anchor, negative));
  return moire__reduced(at, moire_relu_at(at, moire_add_scalar_at(at, further, margin)), reduction);
}

/* -ln sigmoid(positive - negative) */
moire_value moire_bpr_loss_at(moire_source at, moire_value positive, moire_value negative,
                              moire_reduction reduction) {
  return moire__reduced(at, moire_softplus_at(at, moire_sub_at(at, negative, positive)), reduction);
}

/* -ln of the positive's share in softmax(cosine / temperature) over the positive and the negatives. */
moire_value moire_info_nce_at(moire_source at, moire_value query, moire_value positive, moire_value negatives,
                              double temperature, moire_reduction reduction) {
  if (moire_value_is_null(query) || moire_value_is_null(positive)) return moire__null_like(query, positive);
  const double eps = 1e-12;
  moire_shape shape = moire_value_shape(query);
  moire_value q = direction(at, query, eps), p = direction(at, positive, eps), logits, targets;
  if (moire_value_is_null(q)) return q;
  if (!negatives.graph) { /* the positives of the other rows */
    logits = moire_matmul_at(at, q, moire_swap_axes_at(at, p, 0, 1));
    targets = moire_iota_at(at, q.graph, MOIRE_SHAPE(shape.dims[0]), 0);
  } else {
    bool own = moire_value_shape(negatives).rank == 3;
    moire_value n = direction(at, negatives, eps);
    if (own) {
      n = dot(at, moire_reshape_at(at, q, MOIRE_SHAPE(shape.dims[0], 1, shape.dims[1])), n, false);
    } else {
      n = moire_matmul_at(at, q, moire_swap_axes_at(at, n, 0, 1));
    }
    logits = moire_concat_at(at, (moire_value[]){dot(at, q, p, true), n}, 2, 1);
    targets = moire_constant_at(at, q.graph, MOIRE_I32, MOIRE_SHAPE(shape.dims[0]), 0);
  }
  return moire__reduced(at, moire_cross_entropy_at(at, moire_scale_at(at, logits, 1 / temperature), targets),
                        reduction);
}
