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
#include "moire/graph.h"
#include "moire/model.h"

#include <math.h>
#include <stdio.h>

enum { MOST_BANDS = 64 };
static const double norm_eps = 1e-12;

/* What every layer needs to know. */
typedef struct qia {
  moire_graph *g;
  moire_dim b;                                   /* batch */
  int64_t length, width, heads, head_dim, inner; /* L, D, H, d = D / H */
  double dropout, attention_dropout;
  moire_init weights;    /* of linear layers and embeddings */
  moire_value key_valid; /* bool[B, L] */
} qia;

/* ---- Complex layers -------------------------------------------------------------------------------------- */

/* W x + b. The two real layers act as fc_r(z) + i fc_i(z) on z = re and on z = i im, so that a bias enters
 * twice: b = (b_r - b_i) + i (b_r + b_i). */
static moire_value complex_linear(const qia *m, const char *name, moire_value x, int64_t in, int64_t out) {
  moire_scope_push(m->g, "%s", name);
  moire_value w_r = moire_parameter(m->g, "fc_r.weight", MOIRE_SHAPE(out, in), m->weights);
  moire_value b_r = moire_parameter(m->g, "fc_r.bias", MOIRE_SHAPE(out), moire_init_constant(0));
  moire_value w_i = moire_parameter(m->g, "fc_i.weight", MOIRE_SHAPE(out, in), m->weights);
  moire_value b_i = moire_parameter(m->g, "fc_i.bias", MOIRE_SHAPE(out), moire_init_constant(0));
  moire_scope_pop(m->g);
  moire_value bias = moire_complex(moire_sub(b_r, b_i), moire_add(b_r, b_i));
  return moire_linear(x, moire_complex(w_r, w_i), bias);
}

static moire_value layer_norm(const qia *m, const char *name, moire_value x) {
  moire_scope_push(m->g, "%s", name);
  moire_value gain = moire_parameter(m->g, "weight", MOIRE_SHAPE(m->width), moire_init_constant(1));
  moire_value bias = moire_parameter(m->g, "bias", MOIRE_SHAPE(m->width), moire_init_constant(0));
  moire_scope_pop(m->g);
  return moire_layer_norm(x, gain, bias, norm_eps);
}

/* Real and imaginary part are normalised by themselves. */
static moire_value complex_norm(const qia *m, const char *name, moire_value x) {
  moire_scope_push(m->g, "%s", name);
  moire_value re = layer_norm(m, "ln_r", moire_real(x));
  moire_value im = layer_norm(m, "ln_i", moire_imag(x));
  moire_scope_pop(m->g);
  return moire_complex(re, im);
}

/* ---- The layers of the paper ----------------------------------------------------------------------------- */

/* f32[B, L, D]; the norm and the dropout are applied twice, by the same parameters. */
static moire_value embed(const qia *m, moire_value ids, moire_value items) {
  moire_value positions =
      moire_parameter(m->g, "position_embeddings.weight", MOIRE_SHAPE(m->length, m->width), m->weights);
  moire_value gain = moire_parameter(m->g, "LayerNorm.weight", MOIRE_SHAPE(m->width), moire_init_constant(1));
  moire_value bias = moire_parameter(m->g, "LayerNorm.bias", MOIRE_SHAPE(m->width), moire_init_constant(0));
  moire_value x = moire_add(moire_embedding(items, ids, 0), positions);
  for (int i = 0; i < 2; i++) x = moire_dropout(moire_layer_norm(x, gain, bias, norm_eps), m->dropout);
  return x;
}

/* One plane of a band: f32[D, 1, k]. */
static moire_value filter(const qia *m, const char *plane, int band, int64_t k) {
  double bound = 1.0 / sqrt((double)k);
  moire_scope_push(m->g, "state_preparator.%s.%d", plane, band);
  moire_value taps =
      moire_parameter(m->g, "weight", MOIRE_SHAPE(m->width, 1, k), moire_init_uniform(-bound, bound));
  moire_scope_pop(m->g);
  return taps;
}

/* psi: c64[B, L, D] */
static moire_value prepare_state(const qia *m, moire_value x, const moire_config *config) {
  const int64_t *sizes = NULL, *dilations = NULL;
  int n = moire_config_ints(config, "band_kernel_sizes", &sizes);
  moire_config_ints(config, "band_dilations", &dilations);
  moire_value bands[MOST_BANDS];
  for (int s = 0; s < n; s++) {
    moire_value u = filter(m, "real_convs", s, sizes[s]);
    bands[s] = moire_complex(u, filter(m, "imag_convs", s, sizes[s]));
  }
  return moire_filter_bank(x, bands, dilations, n);
}

static const int swap_length_and_heads[] = {0, 2, 1, 3};

/* c64[B, L, D] -> c64[B, H, L, d] */
static moire_value split_heads(const qia *m, moire_value x) {
  x = moire_reshape(x, MOIRE_SHAPE(m->b, m->length, m->heads, m->head_dim));
  return moire_permute(x, 4, swap_length_and_heads);
}

static moire_value merge_heads(const qia *m, moire_value x) {
  x = moire_permute(x, 4, swap_length_and_heads);
  return moire_reshape(x, MOIRE_SHAPE(m->b, m->length, m->width));
}

static moire_value attend(const qia *m, moire_value x) {
  moire_scope_push(m->g, "attn");
  moire_value q = split_heads(m, complex_linear(m, "q_proj", x, m->width, m->width));
  moire_value k = split_heads(m, complex_linear(m, "k_proj", x, m->width, m->width));
  moire_value v = split_heads(m, complex_linear(m, "v_proj", x, m->width, m->width));
  moire_attention_options by_interference = {.score = MOIRE_SCORE_INTERFERENCE,
                                             .scale = 1.0 / (double)m->head_dim,
                                             .mask_value = -10000,
                                             .causal = true,
                                             .key_valid = m->key_valid,
                                             .dropout = m->attention_dropout};
  moire_value state = merge_heads(m, moire_attention(q, k, v, by_interference));
  moire_value out = complex_linear(m, "out_proj", state, m->width, m->width);
  moire_scope_pop(m->g);
  return moire_dropout(out, m->dropout);
}

static moire_value feed_forward(const qia *m, moire_value x) {
  moire_scope_push(m->g, "ffn");
  moire_value h = moire_gelu(complex_linear(m, "fc1", x, m->width, m->inner));
  moire_value out = complex_linear(m, "fc2", h, m->inner, m->width);
  moire_scope_pop(m->g);
  return moire_dropout(out, m->dropout);
}

static moire_value layer(const qia *m, int i, moire_value x) {
  moire_scope_push(m->g, "layers.%d", i);
  x = complex_norm(m, "ln1", moire_add(x, attend(m, x)));
  x = complex_norm(m, "ln2", moire_add(x, feed_forward(m, x)));
  moire_scope_pop(m->g);
  return x;
}

static moire_value amplitude(moire_value psi) { return moire_sqrt(moire_add_scalar(moire_abs2(psi), 1e-8)); }

/* ---- The model ------------------------------------------------------------------------------------------- */

static void build(moire_graph *g, const moire_config *config) {
  qia m = {.g = g,
           .b = moire_extent(g, "B"),
           .length = moire_config_int(config, "max_seq_length"),
           .width = moire_config_int(config, "hidden_size"),
           .heads = moire_config_int(config, "num_attention_heads"),
           .inner = moire_config_int(config, "inner_size"),
           .dropout = moire_config_real(config, "hidden_dropout_prob"),
           .attention_dropout = moire_config_real(config, "attention_probs_dropout_prob"),
           .weights = moire_init_normal(0, moire_config_real(config, "initializer_range"))};
  m.head_dim = m.width / m.heads;
  int64_t n_items = moire_config_int(config, "item_size");

  moire_value ids = moire_input(g, "input_ids", MOIRE_I32, MOIRE_SHAPE(m.b, m.length));
  moire_value answers = moire_input(g, "answers", MOIRE_I32, MOIRE_SHAPE(m.b));
  moire_value items = moire_parameter(g, "item_embeddings.weight", MOIRE_SHAPE(n_items, m.width), m.weights);
  m.key_valid = moire_less(moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 0), ids);

  moire_value psi = prepare_state(&m, embed(&m, ids, items), config), measured = {0};
  moire_value collapse = moire_parameter(g, "collapse_proj.weight", MOIRE_SHAPE(m.width, m.width), m.weights);
  moire_value bias = moire_parameter(g, "collapse_proj.bias", MOIRE_SHAPE(m.width), moire_init_constant(0));
  for (int i = 0; i < (int)moire_config_int(config, "num_hidden_layers"); i++) {
    psi = layer(&m, i, psi);
    measured = moire_linear(amplitude(psi), collapse, bias);
    char name[32];
    snprintf(name, sizeof name, "layers.%d", i);
    moire_output(g, name, measured);
  }
  moire_value last = moire_slice(measured, 1, m.length - 1, 1);
  moire_value logits = moire_linear(moire_reshape(last, MOIRE_SHAPE(m.b, m.width)), items, (moire_value){0});
  moire_output(g, "logits", logits);
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(logits, answers)));
}

static moire_status check(const moire_config *config, moire_error *error) {
  const int64_t *list = NULL;
  int width = (int)moire_config_int(config, "hidden_size"),
      heads = (int)moire_config_int(config, "num_attention_heads");
  int sizes = moire_config_ints(config, "band_kernel_sizes", &list);
  int dilations = moire_config_ints(config, "band_dilations", &list);
  if (width % heads) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "num_attention_heads: wanted a divisor of hidden_size %d, got %d", width, heads);
  }
  if (sizes != dilations || sizes < 1 || sizes > MOST_BANDS) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "band_kernel_sizes, band_dilations: wanted 1 to %d in both, got %d, %d", MOST_BANDS,
                      sizes, dilations);
  }
  return MOIRE_OK;
}

static const moire_config_field fields[] = {MOIRE_SEQUENTIAL_FIELDS};

enum { N_FIELDS = sizeof fields / sizeof *fields };

const moire_model moire_model_qia = {MOIRE_MODEL_ABI, MOIRE_MODEL_SEQUENTIAL,
                                     "qia",           "complex filter bank and interference attention",
                                     fields,          N_FIELDS,
                                     check,           build};
