/* The language: normalisation by statistics of the batch, real and complex, and the whitening of complex rows.
 *
 * Whitening (Trabelsi et al., Deep Complex Networks, 2018): with the covariance V = [[rr, ri], [ri, ii]] + eps
 * of the planes, s = sqrt(det V) and t = sqrt(tr V + 2 s), the planes are multiplied by V^(-1/2), which is
 *
 *   1 / (s t) [[ii + s, -ri], [-ri, rr + s]],
 *
 * and then by the weight, a symmetric matrix of its own, given like V by rr, ri and ii.
 */
#include "compiler/ir/language/language.h"

enum { RR, RI, II, ENTRIES };

typedef struct batch_norm {
  moire_source at;
  const char *what;
  moire_graph *g;
  int axes[MOIRE_MAX_RANK], n_axes; /* that statistics are over */
  moire_shape shape, channels;      /* of x, and of what is the same along those axes */
  double momentum, eps;
} batch_norm;

static moire_value refuse(const batch_norm *s, moire_status status, const char *why, moire_value x) {
  moire__text text = {0};
  moire_shape shape = moire_value_shape(x);
  moire__text_add_type(&text, x.graph, moire_value_dtype(x), &shape);
  moire__graph_fail_at(x.graph, s->at, s->what, status, "%s: %s", why, moire__text_string(&text));
  moire__text_free(&text);
  return moire__null_like(x, x);
}

/* ---- statistics ------------------------------------------------------------------------------------------ */

static moire_value mean(const batch_norm *s, moire_value x) {
  return moire_mean_axes_at(s->at, x, s->n_axes, s->axes, true);
}

/* 1 - 1/n of n elements for each channel, but no less than what keeps 0 over it 0 where n is 1. */
static moire_value unbias(const batch_norm *s, moire_value variance) {
  moire_shape one = {.rank = moire_value_shape(variance).rank};
  for (int i = 0; i < one.rank; i++) one.dims[i] = 1;
  moire_value share = moire_constant_at(s->at, s->g, MOIRE_F32, one, 1);
  for (int i = 0; i < s->n_axes; i++) share = moire__divide_by_dim(s->at, share, s->shape.dims[s->axes[i]]);
  moire_value rest = moire_add_scalar_at(s->at, moire_neg_at(s->at, share), 1);
  rest = moire_max_of_at(s->at, rest, moire_constant_at(s->at, s->g, MOIRE_F32, one, 1e-9));
  return moire_div_at(s->at, variance, rest);
}

/* The name of the state that x is read from; of a complex one that of its real plane; NULL: none. */
static const char *state_of(moire_value x) {
  const moire__node *node = moire__node_of(x.graph, x.id);
  if (node->op == MOIRE__OP_complex) node = moire__node_of(x.graph, node->operands[0]);
  return node->op == MOIRE__OP_state ? moire__node_text(node, "name") : NULL;
}

/* state' = (1 - momentum) state + momentum x. Planes of a complex one are updated one by one. */
static void follow(const batch_norm *s, moire_value state, moire_value x) {
  if (moire_value_is_null(state) || moire_value_is_null(x)) return;
  if (moire__is_complex(state)) {
    const moire__node *node = moire__node_of(state.graph, state.id);
    follow(s, moire__value(s->g, node->operands[0]), moire_real_at(s->at, x));
    follow(s, moire__value(s->g, node->operands[1]), moire_imag_at(s->at, x));
    return;
  }
  moire_value now = moire_reshape_at(s->at, moire_stop_gradient_at(s->at, x), moire_value_shape(state));
  moire_value next = moire_add_at(s->at, moire_scale_at(s->at, state, 1 - s->momentum),
                                  moire_scale_at(s->at, now, s->momentum));
  moire_update_at(s->at, s->g, state_of(state), next);
}

/* Reads the shape of x; false with a mistake recorded. */
static bool begin(batch_norm *s, moire_value x, double momentum) {
  s->shape = s->channels = moire_value_shape(x);
  s->momentum = momentum;
  if (s->shape.rank < 2 || !moire__dim_is_static(s->shape.dims[1])) {
    refuse(s, MOIRE_ERROR_SHAPE, "wanted x [N, C, ..] of a fixed number of channels", x);
    return false;
  }
  if (!(momentum >= 0 && momentum <= 1)) {
    moire__graph_fail_at(s->g, s->at, s->what, MOIRE_ERROR_ARGUMENT, "momentum is %g, wanted 0 to 1", momentum);
    return false;
  }
  for (int i = 0; i < s->shape.rank; i++) {
    if (i == 1) continue;
    s->axes[s->n_axes++] = i;
    s->channels.dims[i] = 1;
  }
  return true;
}

/* A running statistic is a state of that type and shape, or null. */
static bool is_statistic(const batch_norm *s, moire_value x, moire_dtype dtype, moire_shape shape) {
  if (!x.graph) return true;
  if (moire_value_is_null(x)) return false;
  moire_shape own = moire_value_shape(x);
  if (moire_value_dtype(x) == dtype && moire__shape_equal(&own, &shape) && state_of(x)) return true;
  refuse(s, MOIRE_ERROR_ARGUMENT, "a running statistic is a state of a number for each channel", x);
  return false;
}

/* [C] beside x. */
static moire_value by_channel(const batch_norm *s, moire_value x) {
  return moire_reshape_at(s->at, x, s->channels);
}

/* ---- real ------------------------------------------------------------------------------------------------ */

moire_value moire_batch_norm_at(moire_source at, moire_value x, moire_value running_mean,
                                moire_value running_var, moire_value weight, moire_value bias, double momentum,
                                double eps) {
  if (moire_value_is_null(x)) return x;
  batch_norm s = {.at = at, .what = "batch_norm", .g = x.graph, .eps = eps};
  if (moire_value_dtype(x) != MOIRE_F32)
    return refuse(&s, MOIRE_ERROR_TYPE, "wanted f32; of c64 complex_batch_norm", x);
  if (!begin(&s, x, momentum)) return moire__null_like(x, x);
  moire_shape row = MOIRE_SHAPE(s.shape.dims[1]);
  bool training = moire_graph_mode(x.graph) == MOIRE_TRAINING,
       running = running_mean.graph && running_var.graph;
  if (!is_statistic(&s, running_mean, MOIRE_F32, row) || !is_statistic(&s, running_var, MOIRE_F32, row))
    return moire__null_like(x, x);
  moire_value center, variance, away;
  if (training || !running) {
    center = mean(&s, x);
    away = moire_sub_at(at, x, center);
    variance = mean(&s, moire_mul_at(at, away, away));
    if (training && running) {
      follow(&s, running_mean, center);
      follow(&s, running_var, unbias(&s, variance));
    }
  } else {
    away = moire_sub_at(at, x, by_channel(&s, running_mean));
    variance = by_channel(&s, running_var);
  }
  moire_value scale = moire_rsqrt_at(at, moire_add_scalar_at(at, variance, eps));
  if (weight.graph) scale = moire_mul_at(at, scale, by_channel(&s, weight));
  moire_value y = moire_mul_at(at, away, scale);
  return bias.graph ? moire_add_at(at, y, by_channel(&s, bias)) : y;
}

/* ---- complex --------------------------------------------------------------------------------------------- */

/* What is symmetric, by its entries. */
typedef struct matrix {
  moire_value entry[ENTRIES];
} matrix;

/* V^(-1/2) of V + eps. That det V is no less than eps^2 holds but for rounding. */
static matrix inverse_root(const batch_norm *s, matrix v) {
  moire_source at = s->at;
  moire_value rr = moire_add_scalar_at(at, v.entry[RR], s->eps),
              ii = moire_add_scalar_at(at, v.entry[II], s->eps);
  moire_value ri = v.entry[RI];
  moire_value det = moire_sub_at(at, moire_mul_at(at, rr, ii), moire_mul_at(at, ri, ri));
  if (moire_value_is_null(det)) return (matrix){{det, det, det}};
  moire_value least = moire_constant_at(at, s->g, MOIRE_F32, moire_value_shape(det), s->eps * s->eps);
  moire_value root = moire_sqrt_at(at, moire_max_of_at(at, det, least));
  moire_value trace = moire_add_at(at, moire_add_at(at, rr, ii), moire_scale_at(at, root, 2));
  moire_value over = moire_mul_at(at, root, moire_sqrt_at(at, trace));
  return (matrix){{moire_div_at(at, moire_add_at(at, ii, root), over),
                   moire_neg_at(at, moire_div_at(at, ri, over)),
                   moire_div_at(at, moire_add_at(at, rr, root), over)}};
}

static moire_value times(const batch_norm *s, matrix m, moire_value z) {
  moire_source at = s->at;
  moire_value re = moire_real_at(at, z), im = moire_imag_at(at, z), ri = m.entry[RI];
  return moire_complex_at(at, moire_add_at(at, moire_mul_at(at, m.entry[RR], re), moire_mul_at(at, ri, im)),
                          moire_add_at(at, moire_mul_at(at, ri, re), moire_mul_at(at, m.entry[II], im)));
}

static matrix covariance(const batch_norm *s, moire_value away) {
  moire_source at = s->at;
  moire_value re = moire_real_at(at, away), im = moire_imag_at(at, away);
  return (matrix){{mean(s, moire_mul_at(at, re, re)), mean(s, moire_mul_at(at, re, im)),
                   mean(s, moire_mul_at(at, im, im))}};
}

/* Of x [C, 3], each entry beside what is normalised. */
static matrix entries_of(const batch_norm *s, moire_value x) {
  matrix m;
  for (int i = 0; i < ENTRIES; i++) m.entry[i] = by_channel(s, moire_slice_at(s->at, x, 1, i, 1));
  return m;
}

static moire_value from_entries(const batch_norm *s, matrix m, moire_dim channels) {
  for (int i = 0; i < ENTRIES; i++) m.entry[i] = moire_reshape_at(s->at, m.entry[i], MOIRE_SHAPE(channels, 1));
  return moire_concat_at(s->at, m.entry, ENTRIES, 1);
}

static moire_value weighted(const batch_norm *s, moire_value z, moire_value weight, moire_value bias) {
  if (weight.graph) z = times(s, entries_of(s, weight), z);
  return bias.graph ? moire_add_at(s->at, z, by_channel(s, bias)) : z;
}

/* weight is f32[n, 3]. */
static bool weight_fits(const batch_norm *s, moire_value weight, moire_dim n) {
  if (!weight.graph) return true;
  if (moire_value_is_null(weight)) return false;
  moire_shape shape = moire_value_shape(weight), wanted = MOIRE_SHAPE(n, ENTRIES);
  if (moire_value_dtype(weight) == MOIRE_F32 && moire__shape_equal(&shape, &wanted)) return true;
  refuse(s, MOIRE_ERROR_SHAPE, "the weight is f32[C, 3], a symmetric matrix for each channel", weight);
  return false;
}

moire_value moire_complex_batch_norm_at(moire_source at, moire_value z, moire_value running_mean,
                                        moire_value running_covariance, moire_value weight, moire_value bias,
                                        double momentum, double eps) {
  if (moire_value_is_null(z)) return z;
  batch_norm s = {.at = at, .what = "complex_batch_norm", .g = z.graph, .eps = eps};
  if (!moire__is_complex(z)) return refuse(&s, MOIRE_ERROR_TYPE, "wanted c64; of f32 batch_norm", z);
  if (!begin(&s, z, momentum)) return moire__null_like(z, z);
  moire_dim channels = s.shape.dims[1];
  bool training = moire_graph_mode(z.graph) == MOIRE_TRAINING;
  bool running = running_mean.graph && running_covariance.graph;
  if (!is_statistic(&s, running_mean, MOIRE_C64, MOIRE_SHAPE(channels)) ||
      !is_statistic(&s, running_covariance, MOIRE_F32, MOIRE_SHAPE(channels, ENTRIES)) ||
      !weight_fits(&s, weight, channels))
    return moire__null_like(z, z);
  moire_value away;
  matrix v;
  if (training || !running) {
    moire_value center = mean(&s, z);
    away = moire_sub_at(at, z, center);
    v = covariance(&s, away);
    if (training && running) {
      matrix unbiased;
      for (int i = 0; i < ENTRIES; i++) unbiased.entry[i] = unbias(&s, v.entry[i]);
      follow(&s, running_mean, center);
      follow(&s, running_covariance, from_entries(&s, unbiased, channels));
    }
  } else {
    away = moire_sub_at(at, z, by_channel(&s, running_mean));
    v = entries_of(&s, running_covariance);
  }
  return weighted(&s, times(&s, inverse_root(&s, v), away), weight, bias);
}

moire_value moire_complex_layer_norm_at(moire_source at, moire_value z, moire_value weight, moire_value bias,
                                        double eps) {
  if (moire_value_is_null(z)) return z;
  batch_norm s = {.at = at, .what = "complex_layer_norm", .g = z.graph, .eps = eps, .n_axes = 1};
  s.shape = moire_value_shape(z);
  if (!moire__is_complex(z) || s.shape.rank < 1)
    return refuse(&s, MOIRE_ERROR_TYPE, "wanted rows of c64; of f32 layer_norm", z);
  s.axes[0] = s.shape.rank - 1;
  s.channels = MOIRE_SHAPE(s.shape.dims[s.shape.rank - 1]);
  if (!weight_fits(&s, weight, s.channels.dims[0])) return moire__null_like(z, z);
  moire_value away = moire_sub_at(at, z, mean(&s, z));
  return weighted(&s, times(&s, inverse_root(&s, covariance(&s, away)), away), weight, bias);
}
