/* PM-SSD: a selective state-space model whose steps and read-out follow a bank of filters.
 *
 * The filter bank of PSWRec, with magnitudes and phases shifted position by position,
 *
 *     m = |z| (1 + Delta m),   phi = atan2(v, u) + Delta phi,
 *
 * scales the embedded history by 1 + tanh(sum_s softplus(gamma_s) m_s) / 2 and modulates every layer: a change
 * of magnitude lengthens the step of the state, and the phases turn what is read from it.
 *
 *     x, z = W_in e,   x = silu(conv(x)),   (dt, B, C) = W_x x
 *     dt   = softplus(W_dt dt + b) (1 + softplus(mean_s Delta m)),   C += W_p [cos phi; sin phi]
 *     h_t  = exp(dt_t A) h_{t-1} + dt_t B_t x_t,   y_t = C_t h_t + D x_t,   A = -exp(A_log)
 *     out  = LayerNorm(W_out (y silu(z)) + e)
 *
 * It is causal by construction: there are no masks, and no dropout behind the embedding. */
#include "models/sequential.h"

#include <math.h>

enum { STATES = 64, EXPANSION = 2, TAPS = 4, CHANNELS_PER_RANK = 16 };
static const double quarter_pi = 0.785398163397448309616;

typedef struct pm_ssd {
  moire__sequential s;
  moire_graph *g;
  int64_t bands, inner, rank; /* S, 2D, of dt */
  moire_value magnitude;      /* f32[B, L, S] */
  moire_value longer;         /* 1 + softplus(mean_s Delta m): f32[B, L, 1] */
  moire_value waves;          /* cos phi, then sin phi: f32[B, L, 2S] */
} pm_ssd;

/* PyTorch's start of a convolution that looks at n numbers. */
static moire_init fan_in(int64_t n) {
  double bound = 1.0 / sqrt((double)n);
  return moire_init_uniform(-bound, bound);
}

/* A 1x1 convolution: the same layer at every position. */
static moire_value pointwise(const pm_ssd *m, const char *name, moire_value x, int64_t out) {
  int64_t in = moire_value_dim(x, -1);
  moire_scope_push(m->g, "%s", name);
  moire_value w = moire_parameter(m->g, "weight", MOIRE_SHAPE(out, in, 1), fan_in(in));
  moire_value bias = moire_parameter(m->g, "bias", MOIRE_SHAPE(out), fan_in(in));
  moire_scope_pop(m->g);
  return moire_linear(x, moire_reshape(w, MOIRE_SHAPE(out, in)), bias);
}

static void filter(pm_ssd *m, moire_value x) {
  moire_scope_push(m->g, "phase_filter");
  moire_value z = moire__sequential_bands(&m->s, x);
  moire_value h = moire_gelu(pointwise(m, "modulator.0", x, m->s.width / 2));
  moire_value delta = moire_tanh(pointwise(m, "modulator.2", h, 2 * m->bands));
  moire_scope_pop(m->g);
  moire_value louder = moire_slice(delta, 2, 0, m->bands), turn = moire_slice(delta, 2, m->bands, m->bands);
  moire_value magnitude = moire_sqrt(moire_add_scalar(moire_abs2(z), 1e-8));
  moire_value phase = moire_atan2(moire_imag(z), moire_add_scalar(moire_real(z), 1e-8));
  phase = moire_add(phase, moire_scale(turn, quarter_pi));
  moire_value planes[] = {moire_cos(phase), moire_sin(phase)};
  m->magnitude = moire_mul(magnitude, moire_add_scalar(louder, 1));
  m->longer = moire_add_scalar(moire_softplus(moire_mean(louder, -1, true)), 1);
  m->waves = moire_concat(planes, 2, 2);
}

/* 1 + tanh(sum_s softplus(gamma_s) m_s) / 2: f32[B, L, 1] */
static moire_value amplitude(const pm_ssd *m) {
  moire_value gamma = moire_parameter(m->g, "gamma", MOIRE_SHAPE(m->bands), moire_init_constant(-3));
  moire_value heard = moire_sum(moire_mul(m->magnitude, moire_softplus(gamma)), -1, true);
  return moire_add_scalar(moire_scale(moire_tanh(heard), 0.5), 1);
}

/* silu of a causal convolution that starts alike in every layer: f32[B, L, 2D] */
static moire_value convolve(const pm_ssd *m, moire_value x) {
  moire_init weights = fan_in(TAPS), biases = fan_in(TAPS);
  weights.stream = "encoder.layers.conv1d.weight";
  biases.stream = "encoder.layers.conv1d.bias";
  moire_scope_push(m->g, "conv1d");
  moire_value w = moire_parameter(m->g, "weight", MOIRE_SHAPE(m->inner, 1, TAPS), weights);
  moire_value bias = moire_parameter(m->g, "bias", MOIRE_SHAPE(m->inner), biases);
  moire_scope_pop(m->g);
  return moire_silu(moire_add(moire_depthwise_conv(x, w, 1), bias));
}

/* A = -exp(A_log), which starts at -1 ... -N in every channel: f32[2D, N]. The published model computes it in
 * single precision. */
static moire_value decay(const pm_ssd *m) {
  double logs[STATES];
  for (int n = 0; n < STATES; n++) logs[n] = log(n + 1);
  moire_value a = moire_parameter(m->g, "A_log", MOIRE_SHAPE(m->inner, STATES), moire_init_list(logs, STATES));
  return moire_neg(moire_single_exp(a));
}

static moire_value mix(const pm_ssd *m, moire_value e) {
  moire_value both = moire__sequential_project(&m->s, "in_proj", e, 2 * m->inner);
  moire_value x = convolve(m, moire_slice(both, 2, 0, m->inner)), z = moire_slice(both, 2, m->inner, m->inner);
  moire_value all = moire__sequential_project(&m->s, "x_proj", x, m->rank + 2 * STATES);
  moire_value dt = moire__sequential_linear(&m->s, "dt_proj", moire_slice(all, 2, 0, m->rank), m->inner);
  moire_value b = moire_slice(all, 2, m->rank, STATES), c = moire_slice(all, 2, m->rank + STATES, STATES);
  dt = moire_mul(moire_softplus(dt), m->longer);
  c = moire_add(c, moire__sequential_project(&m->s, "phase_proj", m->waves, STATES));
  moire_value skip = moire_parameter(m->g, "D", MOIRE_SHAPE(m->inner), moire_init_constant(1));
  moire_value y = moire_add(moire_selective_scan(x, dt, decay(m), b, c), moire_mul(x, skip));
  return moire__sequential_project(&m->s, "out_proj", moire_mul(y, moire_silu(z)), m->s.width);
}

static void build(moire_graph *g, const moire_config *config) {
  pm_ssd m = {.s = moire__sequential_begin(g, config), .g = g};
  m.bands = moire__sequential_band_count(&m.s);
  m.inner = EXPANSION * m.s.width;
  m.rank = (m.s.width + CHANNELS_PER_RANK - 1) / CHANNELS_PER_RANK;
  moire_value x = moire__sequential_embed(&m.s, 2);
  filter(&m, x);
  x = moire_mul(x, amplitude(&m));
  for (int i = 0; i < (int)m.s.layers; i++) {
    moire_scope_push(g, "encoder.layers.%d", i);
    x = moire__sequential_norm(&m.s, "layer_norm", moire_add(mix(&m, x), x));
    moire_scope_pop(g);
    moire__sequential_output(&m.s, i, x);
  }
  moire__sequential_finish(&m.s, x, (moire_value){0});
}

/* The modulator narrows to half of the width. */
static moire_status check(const moire_config *config, moire_error *error) {
  moire_status status = moire__sequential_check(config, error);
  if (status || moire_config_int(config, "hidden_size") > 1) return status;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "hidden_size: wanted at least 2, got 1");
}

static const moire_config_field fields[] = {MOIRE_SEQUENTIAL_FIELDS};

const moire_model moire_model_pm_ssd = {.abi = MOIRE_MODEL_ABI,
                                        .task = "sequences",
                                        .name = "pm_ssd",
                                        .summary = "a selective state-space model modulated by a filter bank",
                                        .fields = fields,
                                        .n_fields = (int)(sizeof fields / sizeof *fields),
                                        .check = check,
                                        .build = build};
