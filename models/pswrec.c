/* PSWRec: attention whose strength and phase come from a bank of filters.
 *
 * The embedded history passes a bank of causal filters with complex taps, once for all layers. What band s sees
 * at position t, averaged over the channels, is a wave z_s(t) = u + iv with magnitude and phase
 *
 *     m = sqrt(u^2 + v^2 + 1e-8),   phi = atan2(v, u + 1e-8).
 *
 * In head h of every layer the magnitudes, relative to their mean over the bands, say how loud a position is,
 * and the phases how well two positions agree:
 *
 *     a_h(t)     = 1 + tanh(sum_s softplus(gamma[h,s]) m_s(t) / mean m(t)) / 2
 *     score(i,j) = a(i) q_i . a(j) k_j / sqrt(d)
 *                + softplus(beta_h) / sqrt(S) sum_s w[h,s] cos(phi_s(i) - phi_s(j))
 *
 * with w a softmax over the bands. A cosine of a difference is a product of two planes, so the whole score is
 * one inner product: the waves are further coordinates of queries and keys.
 *
 *   v13          as above; the loss has a penalty on phases that turn fast
 *   v13_vam      the values are scaled by a_h too
 *   v13_softmag  a gate on the magnitude attenuates the phases of quiet bands
 *   v1111        the mean of the history shifts magnitudes and phases of its user; no penalty */
#include "models/sequential.h"

#include <math.h>
#include <string.h>

typedef enum pswrec_version { V13, V13_VAM, V13_SOFTMAG, V1111 } pswrec_version;

typedef struct pswrec {
  moire__sequential s;
  moire_graph *g;
  const moire_config *config;
  pswrec_version version;
  int64_t heads, head_dim, bands; /* H, d = D / H, S */
  moire_value key_valid;          /* bool[B, L] */
  moire_value loudness;           /* m / mean m: f32[B, L, S] */
  moire_value waves;              /* cos phi, then sin phi: f32[B, L, 2S] */
} pswrec;

static moire_value over_bands(moire_value x) { return moire_mean(x, -1, true); }

/* ---- The filter bank ------------------------------------------------------------------------------------- */

/* Delta m and Delta phi of a user, f32[B, 1, S] each. */
static void personalise(const pswrec *m, moire_value x, moire_value *magnitude, moire_value *phase) {
  moire_value user = moire_mean(x, 1, true);
  moire_value h = moire_gelu(moire__sequential_linear(&m->s, "modulator.0", user, m->s.width / 2));
  moire_value delta = moire__sequential_linear(&m->s, "modulator.2", h, 2 * m->bands);
  moire_value louder = moire_add_scalar(moire_softplus(moire_slice(delta, 2, 0, m->bands)), 1);
  *magnitude = moire_mul(*magnitude, louder);
  *phase = moire_add(*phase, moire_slice(delta, 2, m->bands, m->bands));
}

/* sigmoid((m - tau) / (mag_temp tau + 1e-8)) */
static moire_value gate(const pswrec *m, moire_value magnitude) {
  double factor = moire_config_real(m->config, "mag_tau");
  bool relative = !strcmp(moire_config_string(m->config, "mag_gate_mode"), "mean");
  moire_value tau = relative ? moire_scale(moire_mean(over_bands(magnitude), 1, true), factor)
                             : moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(1, 1, 1), factor);
  moire_value width = moire_add_scalar(moire_scale(tau, moire_config_real(m->config, "mag_temp")), 1e-8);
  return moire_sigmoid(moire_div(moire_sub(magnitude, tau), width));
}

static void filter(pswrec *m, moire_value x) {
  moire_scope_push(m->g, "phase_filter");
  moire_value z = moire__sequential_bands(&m->s, x);
  moire_value magnitude = moire_sqrt(moire_add_scalar(moire_abs2(z), 1e-8));
  moire_value phase = moire_atan2(moire_imag(z), moire_add_scalar(moire_real(z), 1e-8));
  if (m->version == V1111) personalise(m, x, &magnitude, &phase);
  moire_scope_pop(m->g);
  moire_value planes[] = {moire_cos(phase), moire_sin(phase)};
  if (m->version == V13_SOFTMAG) {
    moire_value open = gate(m, magnitude);
    for (int i = 0; i < 2; i++) planes[i] = moire_mul(planes[i], open);
  }
  m->loudness = moire_div(magnitude, moire_add_scalar(over_bands(magnitude), 1e-8));
  m->waves = moire_concat(planes, 2, 2);
}

/* ---- Attention ------------------------------------------------------------------------------------------- */

static const int swap_length_and_heads[] = {0, 2, 1, 3};

/* f32[B, L, D] -> f32[B, L, H, d] */
static moire_value heads(const pswrec *m, const char *name, moire_value x, moire_value loudness) {
  moire_value y = moire__sequential_linear(&m->s, name, x, m->s.width);
  y = moire_reshape(y, MOIRE_SHAPE(m->s.b, m->s.length, m->heads, m->head_dim));
  return moire_value_is_null(loudness) ? y : moire_mul(y, loudness);
}

static moire_value by_head(moire_value x) { return moire_permute(x, 4, swap_length_and_heads); }

/* a: f32[B, L, H, 1] */
static moire_value amplitude(const pswrec *m) {
  moire_value gamma = moire_parameter(m->g, "gamma", MOIRE_SHAPE(m->heads, m->bands), moire_init_constant(-3));
  moire_value heard = moire_linear(m->loudness, moire_softplus(gamma), (moire_value){0});
  moire_value a = moire_add_scalar(moire_scale(moire_tanh(heard), 0.5), 1);
  return moire_reshape(a, MOIRE_SHAPE(m->s.b, m->s.length, m->heads, 1));
}

/* Band logits start as -((s + 1/2) - (h + 1/2) S / H)^2: a head prefers the bands of its own pitch. */
static moire_value band_logits(const pswrec *m) {
  enum { MOST = 4096 };
  double logits[MOST];
  int n = 0;
  for (int64_t i = 0; i < m->heads * m->bands && i < MOST; i++) {
    double pitch = ((double)(i / m->bands) + 0.5) * (double)m->bands / (double)m->heads;
    double distance = (double)(i % m->bands) + 0.5 - pitch;
    logits[n++] = -distance * distance;
  }
  return moire_parameter(m->g, "band_logits", MOIRE_SHAPE(m->heads, m->bands), moire_init_list(logits, n));
}

/* softplus(beta_h) w[h,s] / sqrt(S) for both planes: f32[H, 2S] */
static moire_value agreement(const pswrec *m) {
  moire_init start = moire_init_constant(moire_config_real(m->config, "phase_bias_init"));
  moire_value beta = moire_parameter(m->g, "phase_bias", MOIRE_SHAPE(m->heads), start);
  moire_value strength = moire_scale(moire_softplus(beta), 1.0 / sqrt((double)m->bands));
  moire_value w = moire_add_scalar(moire_softmax(band_logits(m)), 1e-8);
  w = moire_mul(w, moire_reshape(strength, MOIRE_SHAPE(m->heads, 1)));
  moire_value both[] = {w, w};
  return moire_concat(both, 2, 1);
}

static moire_value attend(const pswrec *m, moire_value x) {
  moire_scope_push(m->g, "attn");
  moire_shape every_head = MOIRE_SHAPE(m->s.b, m->s.length, m->heads, 2 * m->bands);
  moire_value waves = moire_reshape(m->waves, MOIRE_SHAPE(m->s.b, m->s.length, 1, 2 * m->bands));
  moire_value a = amplitude(m), none = {0};
  moire_value q[] = {moire_scale(heads(m, "query", x, a), 1.0 / sqrt((double)m->head_dim)),
                     moire_mul(waves, agreement(m))};
  moire_value k[] = {heads(m, "key", x, a), moire_broadcast(waves, every_head)};
  moire_value v = heads(m, "value", x, m->version == V13_VAM ? a : none);
  moire_attention_options options = {.score = MOIRE_SCORE_DOT,
                                     .scale = 1,
                                     .mask_value = -10000,
                                     .causal = true,
                                     .key_valid = m->key_valid,
                                     .dropout = moire_config_real(m->config, "attention_probs_dropout_prob")};
  moire_value y =
      moire_attention(by_head(moire_concat(q, 2, 3)), by_head(moire_concat(k, 2, 3)), by_head(v), options);
  y = moire_reshape(moire_permute(y, 4, swap_length_and_heads), MOIRE_SHAPE(m->s.b, m->s.length, m->s.width));
  y = moire_dropout(moire__sequential_linear(&m->s, "out_proj", y, m->s.width), m->s.dropout);
  y = moire__sequential_norm(&m->s, "layer_norm", moire_add(x, y));
  moire_scope_pop(m->g);
  return y;
}

static moire_value layer(const pswrec *m, int i, moire_value x) {
  moire_scope_push(m->g, "encoder.layers.%d", i);
  x = attend(m, x);
  moire_scope_push(m->g, "ffn");
  x = moire__sequential_feed_forward(&m->s, "layer_norm", x, moire_config_int(m->config, "inner_size"));
  moire_scope_pop(m->g);
  moire_scope_pop(m->g);
  return x;
}

/* weight times the mean over bands and neighbours of (Delta cos phi)^2 + (Delta sin phi)^2, padding too. */
static moire_value turning(const pswrec *m) {
  if (m->version == V1111 || !moire_config_bool(m->config, "phase_aux")) return (moire_value){0};
  int64_t steps = m->s.length - 1;
  moire_value turn = moire_sub(moire_slice(m->waves, 1, 1, steps), moire_slice(m->waves, 1, 0, steps));
  return moire_scale(moire_mean_all(moire_mul(turn, turn)),
                     2 * moire_config_real(m->config, "phase_aux_weight"));
}

/* ---- The models ------------------------------------------------------------------------------------------ */

static void build(moire_graph *g, const moire_config *config, pswrec_version version) {
  pswrec m = {.s = moire__sequential_begin(g, config), .g = g, .config = config, .version = version};
  m.heads = moire_config_int(config, "num_attention_heads");
  m.head_dim = m.s.width / m.heads;
  m.bands = moire__sequential_band_count(&m.s);
  m.key_valid = moire_less(moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 0), m.s.ids);
  moire_value x = moire__sequential_embed(&m.s, 2);
  filter(&m, x);
  for (int i = 0; i < (int)m.s.layers; i++) {
    x = layer(&m, i, x);
    moire__sequential_output(&m.s, i, x);
  }
  moire__sequential_finish(&m.s, x, turning(&m));
}

static void build_v13(moire_graph *g, const moire_config *config) { build(g, config, V13); }
static void build_v13_vam(moire_graph *g, const moire_config *config) { build(g, config, V13_VAM); }
static void build_v13_softmag(moire_graph *g, const moire_config *config) { build(g, config, V13_SOFTMAG); }
static void build_v1111(moire_graph *g, const moire_config *config) { build(g, config, V1111); }

static moire_status check(const moire_config *config, moire_error *error) {
  moire_status status = moire__sequential_check(config, error);
  if (status) return status;
  if (moire_config_bool(config, "phase_aux") && moire_config_int(config, "max_seq_length") < 2) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "phase_aux: wanted a max_seq_length of at least 2 with it");
  }
  return MOIRE_OK;
}

#define PHASE_FIELDS(aux, weight)                                                                              \
  MOIRE_SEQUENTIAL_FIELDS,                                                                                     \
      {"phase_bias_init",                                                                                      \
       MOIRE_CONFIG_REAL,                                                                                      \
       "-5.0",                                                                                                 \
       -100,                                                                                                   \
       100,                                                                                                    \
       NULL,                                                                                                   \
       "initial beta: the phases' part of a score is softplus(beta)"},                                         \
      {"phase_aux", MOIRE_CONFIG_BOOL, aux, 0, 0, NULL, "penalty on phases that turn fast"},                   \
      {"phase_aux_weight", MOIRE_CONFIG_REAL, weight, 0, 1e6, NULL, "factor of that penalty"}

static const moire_config_field fields[] = {PHASE_FIELDS("true", "0.05")};
static const moire_config_field fields_v1111[] = {PHASE_FIELDS("false", "0.0")};
static const moire_config_field fields_softmag[] = {
    PHASE_FIELDS("true", "0.05"),
    {"mag_tau", MOIRE_CONFIG_REAL, "0.5", 0, 1e6, NULL, "threshold of the gate"},
    {"mag_temp", MOIRE_CONFIG_REAL, "0.5", 0, 1e6, NULL, "softness of the gate, relative to its threshold"},
    {"mag_gate_mode", MOIRE_CONFIG_STRING, "mean", 0, 0, NULL,
     "mean: mag_tau is relative to the mean magnitude; otherwise absolute"},
};

#define MODEL(version, text, table)                                                                            \
  const moire_model moire_model_pswrec_##version = {.abi = MOIRE_MODEL_ABI,                                    \
                                                    .task = "sequences",                                       \
                                                    .name = "pswrec_" #version,                                \
                                                    .summary = text,                                           \
                                                    .fields = table,                                           \
                                                    .n_fields = (int)(sizeof table / sizeof *(table)),         \
                                                    .check = check,                                            \
                                                    .build = build_##version};

MODEL(v13, "attention modulated by the magnitudes and phases of a filter bank", fields)
MODEL(v13_vam, "pswrec_v13 with values that are modulated too", fields)
MODEL(v13_softmag, "pswrec_v13 with a gate that attenuates the phases of quiet bands", fields_softmag)
MODEL(v1111, "pswrec_v13 with magnitudes and phases shifted for each user", fields_v1111)
