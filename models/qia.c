/* QIA: quantum-inspired interference attention for sequential recommendation.
 *
 * A user's history becomes a wave. The embedded sequence passes a bank of causal filters whose taps are
 * complex,
 *
 *     psi = sum over bands of (u_s + i v_s) * x,
 *
 * and stays complex through every layer. Attention weighs keys by interference, the squared modulus of the
 * Hermitian product, so that aligned phases reinforce each other and opposed ones cancel:
 *
 *     weights = softmax(|q k^H|^2 / d + mask),   state = weights v.
 *
 * At the end the wave is measured: its amplitude sqrt(|psi|^2 + 1e-8), projected once, scores the items.
 *
 * The names of the parameters are those of the published PyTorch state dict, in which each complex weight is
 * kept as two real layers that carry a bias of their own. */
#include "models/sequential.h"

#include <math.h>

/* What every layer needs to know. */
typedef struct qia {
  moire__sequential s;
  int64_t heads, head_dim, inner; /* H, d = D / H */
  double attention_dropout;
  moire_value key_valid; /* bool[B, L] */
} qia;

/* ---- Complex layers -------------------------------------------------------------------------------------- */

/* W x + b. The two real layers act as fc_r(z) + i fc_i(z) on z = re and on z = i im, so that a bias enters
 * twice: b = (b_r - b_i) + i (b_r + b_i). */
static moire_value complex_linear(const qia *m, const char *name, moire_value x, int64_t in, int64_t out) {
  moire_scope_push(m->s.g, "%s", name);
  moire_value w_r = moire_parameter(m->s.g, "fc_r.weight", MOIRE_SHAPE(out, in), m->s.weights);
  moire_value b_r = moire_parameter(m->s.g, "fc_r.bias", MOIRE_SHAPE(out), moire_init_constant(0));
  moire_value w_i = moire_parameter(m->s.g, "fc_i.weight", MOIRE_SHAPE(out, in), m->s.weights);
  moire_value b_i = moire_parameter(m->s.g, "fc_i.bias", MOIRE_SHAPE(out), moire_init_constant(0));
  moire_value bias = moire_complex(moire_sub(b_r, b_i), moire_add(b_r, b_i));
  moire_value y = moire_linear(x, moire_complex(w_r, w_i), bias);
  moire_scope_pop(m->s.g);
  return y;
}

/* Real and imaginary part are normalised by themselves. */
static moire_value complex_norm(const qia *m, const char *name, moire_value x) {
  moire_scope_push(m->s.g, "%s", name);
  moire_value re = moire__sequential_norm(&m->s, "ln_r", moire_real(x));
  moire_value im = moire__sequential_norm(&m->s, "ln_i", moire_imag(x));
  moire_scope_pop(m->s.g);
  return moire_complex(re, im);
}

/* ---- The layers of the paper ----------------------------------------------------------------------------- */

/* One plane of a band: f32[D, 1, k]. */
static moire_value filter(const qia *m, const char *plane, int band, int64_t k) {
  double bound = 1.0 / sqrt((double)k);
  moire_scope_push(m->s.g, "state_preparator.%s.%d", plane, band);
  moire_value taps =
      moire_parameter(m->s.g, "weight", MOIRE_SHAPE(m->s.width, 1, k), moire_init_uniform(-bound, bound));
  moire_scope_pop(m->s.g);
  return taps;
}

/* psi: c64[B, L, D] */
static moire_value prepare_state(const qia *m, moire_value x) {
  const int64_t *sizes = NULL, *dilations = NULL;
  int n = moire_config_ints(m->s.config, "band_kernel_sizes", &sizes);
  moire_config_ints(m->s.config, "band_dilations", &dilations);
  moire_value bands[MOIRE__MOST_BANDS];
  for (int s = 0; s < n; s++) {
    moire_value u = filter(m, "real_convs", s, sizes[s]);
    bands[s] = moire_complex(u, filter(m, "imag_convs", s, sizes[s]));
  }
  return moire_filter_bank(x, bands, dilations, n);
}

static const int swap_length_and_heads[] = {0, 2, 1, 3};

/* c64[B, L, D] -> c64[B, H, L, d] */
static moire_value split_heads(const qia *m, moire_value x) {
  x = moire_reshape(x, MOIRE_SHAPE(m->s.b, m->s.length, m->heads, m->head_dim));
  return moire_permute(x, 4, swap_length_and_heads);
}

static moire_value merge_heads(const qia *m, moire_value x) {
  x = moire_permute(x, 4, swap_length_and_heads);
  return moire_reshape(x, MOIRE_SHAPE(m->s.b, m->s.length, m->s.width));
}

static moire_value attend(const qia *m, moire_value x) {
  moire_scope_push(m->s.g, "attn");
  moire_value q = split_heads(m, complex_linear(m, "q_proj", x, m->s.width, m->s.width));
  moire_value k = split_heads(m, complex_linear(m, "k_proj", x, m->s.width, m->s.width));
  moire_value v = split_heads(m, complex_linear(m, "v_proj", x, m->s.width, m->s.width));
  moire_attention_options by_interference = {.score = MOIRE_SCORE_INTERFERENCE,
                                             .scale = 1.0 / (double)m->head_dim,
                                             .mask_value = -10000,
                                             .causal = true,
                                             .key_valid = m->key_valid,
                                             .dropout = m->attention_dropout};
  moire_value state = merge_heads(m, moire_attention(q, k, v, by_interference));
  moire_value out = complex_linear(m, "out_proj", state, m->s.width, m->s.width);
  moire_scope_pop(m->s.g);
  return moire_dropout(out, m->s.dropout);
}

static moire_value feed_forward(const qia *m, moire_value x) {
  moire_scope_push(m->s.g, "ffn");
  moire_value h = moire_gelu(complex_linear(m, "fc1", x, m->s.width, m->inner));
  moire_value out = complex_linear(m, "fc2", h, m->inner, m->s.width);
  moire_scope_pop(m->s.g);
  return moire_dropout(out, m->s.dropout);
}

static moire_value layer(const qia *m, int i, moire_value x) {
  moire_scope_push(m->s.g, "layers.%d", i);
  x = complex_norm(m, "ln1", moire_add(x, attend(m, x)));
  x = complex_norm(m, "ln2", moire_add(x, feed_forward(m, x)));
  moire_scope_pop(m->s.g);
  return x;
}

static moire_value amplitude(moire_value psi) { return moire_sqrt(moire_add_scalar(moire_abs2(psi), 1e-8)); }

/* ---- The model ------------------------------------------------------------------------------------------- */

static void build(moire_graph *g, const moire_config *config) {
  qia m = {.s = moire__sequential_begin(g, config),
           .heads = moire_config_int(config, "num_attention_heads"),
           .inner = moire_config_int(config, "inner_size"),
           .attention_dropout = moire_config_real(config, "attention_probs_dropout_prob")};
  m.head_dim = m.s.width / m.heads;
  m.key_valid = moire_less(moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 0), m.s.ids);
  moire_value psi = prepare_state(&m, moire__sequential_embed(&m.s, 2)), measured = {0};
  moire_value collapse =
      moire_parameter(g, "collapse_proj.weight", MOIRE_SHAPE(m.s.width, m.s.width), m.s.weights);
  moire_value bias = moire_parameter(g, "collapse_proj.bias", MOIRE_SHAPE(m.s.width), moire_init_constant(0));
  for (int i = 0; i < (int)m.s.layers; i++) {
    psi = layer(&m, i, psi);
    measured = moire_linear(amplitude(psi), collapse, bias);
    moire__sequential_output(&m.s, i, measured);
  }
  moire__sequential_finish(&m.s, measured, (moire_value){0});
}

static const moire_config_field fields[] = {MOIRE_SEQUENTIAL_FIELDS};

const moire_model moire_model_qia = {.abi = MOIRE_MODEL_ABI,
                                     .task = "sequences",
                                     .name = "qia",
                                     .summary = "complex filter bank and interference attention",
                                     .fields = fields,
                                     .n_fields = (int)(sizeof fields / sizeof *fields),
                                     .check = moire__sequential_check,
                                     .build = build};
