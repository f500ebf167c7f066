/* Rows of the table: softmax and norms. */
#include "compiler/import/torch/rows.h"

typedef moire_value row_function(moire_source at, moire_value x);

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* f along an axis, by way of the last. */
static void along(moire__call *c, row_function *f) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  moire__torch_type type = moire__type_or(c, "dtype", MOIRE__TORCH_NONE);
  x = type ? moire__to_type(c, x, type) : moire__to_float(c, x);
  moire__pass_over(c, "half_to_float");
  int rank = rank_of(x), axis = moire__import_axis(c, moire__integer(c, "dim"), rank);
  if (missing(x)) return;
  if (!rank) {
    moire__give(c, moire__squeeze(c, f(c->at, moire__unsqueeze(c, x, 0)), 0));
    return;
  }
  x = moire__move_axis(c, x, axis, rank - 1);
  moire__give(c, moire__move_axis(c, f(c->at, x), rank - 1, axis));
}

static void softmax(moire__call *c) { along(c, moire_softmax_at); }
static void log_softmax(moire__call *c) { along(c, moire_log_softmax_at); }

/* ---- norms ------------------------------------------------------------------------------------------------
 */

/* The last n axes as one, and a weight or a bias of their shape as a vector; none stays none. */
static moire_value merge_last(moire__call *c, moire_value x, int n) {
  int rank = rank_of(x);
  return !x.graph || n < 2 ? x : moire__merge_axes(c, x, rank - n, rank - 1);
}

static int normalized_axes(moire__call *c, moire_value x) {
  moire_dim dims[MOIRE_MAX_RANK];
  int n = moire__dims(c, "normalized_shape", dims, MOIRE_MAX_RANK), rank = rank_of(x);
  bool good = n >= 1 && n <= rank;
  for (int i = 0; good && i < n; i++) good = dims[i] == moire_value_dim(x, rank - n + i);
  if (!good) moire__refuse(c, "normalized_shape: wanted the last axes");
  return good ? n : 1;
}

static moire_value as_before(moire__call *c, moire_value y, moire_value x) {
  return missing(y) || missing(x) ? moire__null(c) : moire_reshape_at(c->at, y, moire_value_shape(x));
}

static void layer_norm(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "input"));
  moire_value weight = moire__tensor_or_none(c, "weight"), bias = moire__tensor_or_none(c, "bias");
  double eps = moire__real_or(c, "eps", 1e-5);
  moire__pass_over(c, "cudnn_enable");
  if (missing(x)) return;
  int n = normalized_axes(c, x);
  moire_value y =
      moire_layer_norm_at(c->at, merge_last(c, x, n), merge_last(c, weight, n), merge_last(c, bias, n), eps);
  moire__give(c, as_before(c, y, x));
}

/* x / sqrt(mean x^2 + eps); of complex numbers PyTorch takes the square, not the size. */
static void rms_norm(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "input")), weight = moire__tensor_or_none(c, "weight");
  double eps = moire__real_or(c, "eps", 1.1920928955078125e-7);
  if (missing(x)) return;
  int n = normalized_axes(c, x);
  moire_value y = moire_rms_norm_at(c->at, merge_last(c, x, n), merge_last(c, weight, n), eps);
  moire__give(c, as_before(c, y, x));
}

static void group_norm(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "input"));
  moire_value weight = moire__tensor_or_none(c, "weight"), bias = moire__tensor_or_none(c, "bias");
  moire__pass_over(c, "cudnn_enabled");
  moire__give(c, moire_group_norm_at(c->at, x, moire__integer(c, "num_groups"), weight, bias,
                                     moire__real_or(c, "eps", 1e-5)));
}

/* In training by the statistics of the batch, whose running ones are moved; else by these. In a graph for
 * inference always by the running ones, where there are some. */
static void batch_norm(moire__call *c) {
  moire_value x = moire__need_real(c, moire__tensor(c, "input"));
  moire_value weight = moire__tensor_or_none(c, "weight"), bias = moire__tensor_or_none(c, "bias");
  moire_value mean = moire__tensor_or_none(c, "running_mean"),
              variance = moire__tensor_or_none(c, "running_var");
  bool training = moire__bool_or(c, "training", false);
  double momentum = moire__real_or(c, "momentum", 0.1), eps = moire__real_or(c, "eps", 1e-5);
  moire__pass_over(c, "cudnn_enabled");
  if (missing(x)) return;
  if (training) {
    moire__give(c, moire_batch_norm_at(c->at, x, mean, variance, weight, bias, momentum, eps));
    return;
  }
  moire_shape shape = moire_value_shape(x), channels = {.rank = shape.rank};
  moire_value parts[] = {mean, variance, weight, bias};
  if (!mean.graph || !variance.graph || shape.rank < 2) {
    moire__refuse(c, "wanted running statistics, and an axis of channels");
    return;
  }
  for (int i = 0; i < shape.rank; i++) channels.dims[i] = i == 1 ? shape.dims[1] : 1;
  for (int i = 0; i < 4; i++)
    parts[i] = parts[i].graph ? moire_reshape_at(c->at, parts[i], channels) : parts[i];
  moire_value scale = moire_rsqrt_at(c->at, moire_add_scalar_at(c->at, parts[1], eps));
  if (weight.graph) scale = moire_mul_at(c->at, scale, parts[2]);
  moire_value y = moire_mul_at(c->at, moire_sub_at(c->at, x, parts[0]), scale);
  moire__give(c, bias.graph ? moire_add_at(c->at, y, parts[3]) : y);
}

const moire__aten_row moire__rows_row[] = {{"aten.softmax.int", softmax, false},
                                           {"aten._softmax.default", softmax, false},
                                           {"aten.special_softmax.int", softmax, false},
                                           {"aten.log_softmax.int", log_softmax, false},
                                           {"aten._log_softmax.default", log_softmax, false},
                                           {"aten.layer_norm.default", layer_norm, false},
                                           {"aten.rms_norm.default", rms_norm, false},
                                           {"aten.group_norm.default", group_norm, false},
                                           {"aten.batch_norm.default", batch_norm, false},
                                           {NULL, NULL, false}};
