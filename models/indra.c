/* Indra: a language model whose states are complex, and whose words are waves.
 *
 *   M = softplus(raw) + 1e-4, C = M cos P, S = M sin P     of every word: magnitude and phase of its embedding
 *   z = C[id] + i S[id] + position
 *   z = norm(z + attention(z));  z = norm(z + feed_forward(z))      each plane normalised by itself
 *   logits = [ proj_real(Re z) C^T (+ proj_imag(Im z) S^T) + (softplus(alpha) + 1e-4) |z| M^T ] / sqrt(D) +
 * bias
 *
 * Attention weighs by Re(q k^H) / sqrt(d) or, by interference, |q k^H|^2 / d. A complex map is two real ones:
 * `split` gives each plane its own, `complex` multiplies by W_r + i W_i, biases included. Names of parameters
 * are those of the published state dict. */
#include "models/language_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct indra {
  const moire__language *m;
  int64_t width, heads, inner;       /* D, H, width of the feed-forward layer */
  moire_value magnitude, real, imag; /* M, C, S: f32[V, D] */
} indra;

static bool is(const indra *w, const char *key, const char *choice) {
  return !strcmp(moire_config_string(w->m->config, key), choice);
}

/* ---- Complex layers
 * ------------------------------------------------------------------------------------------ */

static moire_value plane(const indra *w, const char *format, const char *part, moire_value x, int64_t out) {
  char name[48];
  snprintf(name, sizeof name, format, part);
  return moire__language_linear(w->m, name, x, out);
}

/* `format` is the name of the real maps with %s for "real" and "imag". */
static moire_value mix(const indra *w, const char *format, moire_value z, int64_t out) {
  if (is(w, "mixing", "split")) {
    moire_value re = plane(w, format, "real", moire_real(z), out);
    return moire_complex(re, plane(w, format, "imag", moire_imag(z), out));
  }
  moire_value re = moire_sub(plane(w, format, "real", moire_real(z), out), /* the parameters are the same */
                             plane(w, format, "imag", moire_imag(z), out));
  return moire_complex(re, moire_add(plane(w, format, "real", moire_imag(z), out),
                                     plane(w, format, "imag", moire_real(z), out)));
}

static moire_value norm_plane(const indra *w, const char *name, const char *part, moire_value x) {
  moire_graph *g = w->m->g;
  moire_scope_push(g, "%s_%s", name, part);
  moire_value gain = moire_parameter(g, "weight", MOIRE_SHAPE(w->width), moire_init_constant(1));
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(w->width), moire_init_constant(0));
  moire_scope_pop(g);
  return moire_layer_norm(x, gain, bias, moire_config_real(w->m->config, "layer_norm_eps"));
}

static moire_value norm(const indra *w, const char *name, moire_value z) {
  moire_value re = norm_plane(w, name, "real", moire_real(z));
  return moire_complex(re, norm_plane(w, name, "imag", moire_imag(z)));
}

/* ---- The layers
 * ---------------------------------------------------------------------------------------------- */

static moire_value attention(const indra *w, int layer, moire_value z) {
  char cache[32];
  snprintf(cache, sizeof cache, "layers.%d", layer);
  moire_scope_push(w->m->g, "attn");
  moire_value q = moire__language_split(w->m, mix(w, "query_%s", z, w->width), w->heads);
  moire_value k = moire__language_split(w->m, mix(w, "key_%s", z, w->width), w->heads);
  moire_value v = moire__language_split(w->m, mix(w, "value_%s", z, w->width), w->heads);
  double d = (double)(w->width / w->heads);
  bool waves = is(w, "score", "interference");
  moire_value context = moire__language_attend(
      w->m, cache, q, k, v, waves ? MOIRE_SCORE_INTERFERENCE : MOIRE_SCORE_DOT, waves ? 1 / d : 1 / sqrt(d));
  moire_value out = mix(w, "out_%s", moire__language_merge(w->m, context), w->width);
  moire_scope_pop(w->m->g);
  return out;
}

static moire_value feed_forward(const indra *w, moire_value z) {
  return mix(w, "ffn_%s.2", moire_gelu(mix(w, "ffn_%s.0", z, w->inner)), w->width);
}

static moire_value layer(const indra *w, int i, moire_value z) {
  moire_scope_push(w->m->g, "layers.%d", i);
  z = norm(w, "norm1", moire_add(z, attention(w, i, z)));
  z = norm(w, "norm2", moire_add(z, feed_forward(w, z)));
  moire_scope_pop(w->m->g);
  return z;
}

/* ---- Words
 * --------------------------------------------------------------------------------------------------- */

static moire_value projected(const indra *w, const char *name, moire_value embedding, double spread) {
  moire_graph *g = w->m->g;
  double bound = spread / sqrt((double)w->width);
  moire_scope_push(g, "projector.%s", name);
  moire_value weight =
      moire_parameter(g, "weight", MOIRE_SHAPE(w->width, w->width), moire_init_uniform(-bound, bound));
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(w->width), moire_init_constant(0));
  moire_scope_pop(g);
  return moire_linear(embedding, weight, bias);
}

static void make_words(indra *w) {
  const moire__language *m = w->m;
  moire_value raw, phase;
  if (is(w, "projector", "linear")) {
    moire_value embedding =
        moire__language_table(m, "token_embedding", m->words, w->width, moire_init_normal(0, 1));
    raw = projected(w, "magnitude", embedding, 0.5);
    phase = projected(w, "phase", embedding, 0.1);
  } else {
    raw = moire__language_table(m, "token_embedding.raw_mag", m->words, w->width, moire_init_uniform(-.5, .5));
    phase =
        moire__language_table(m, "token_embedding.raw_phase", m->words, w->width, moire_init_uniform(-.1, .1));
  }
  if (is(w, "phase", "tanh")) phase = moire_scale(moire_tanh(phase), M_PI);
  w->magnitude = moire_add_scalar(moire_softplus(raw), 1e-4);
  w->real = moire_mul(w->magnitude, moire_cos(phase));
  w->imag = moire_mul(w->magnitude, moire_sin(phase));
}

static moire_value position(const indra *w, const char *name) {
  int64_t rows = moire_config_int(w->m->config, "max_positions");
  moire_value table = moire__language_table(w->m, name, rows, w->width, moire_init_normal(0, 1));
  return moire__language_positions(w->m, table);
}

static moire_value embed(const indra *w) {
  moire_value re = moire_add(moire_gather(w->real, w->m->ids), position(w, "pos_embed_real"));
  return moire_complex(re, moire_add(moire_gather(w->imag, w->m->ids), position(w, "pos_embed_imag")));
}

/* ---- The model
 * ----------------------------------------------------------------------------------------------- */

/* The channels side by side are one product with the words. */
static moire__language_head head(const indra *w, moire_value z) {
  moire_graph *g = w->m->g;
  moire_value states[3], words[] = {w->real, w->imag, w->magnitude};
  int n = 0;
  moire_scope_push(g, "output_layer");
  states[n++] = moire__language_linear(w->m, "proj_real", moire_real(z), w->width);
  if (is(w, "head", "hermitian"))
    states[n++] = moire__language_linear(w->m, "proj_imag", moire_imag(z), w->width);
  moire_init start = moire_init_constant(moire_config_real(w->m->config, "alpha_init"));
  moire_value alpha = moire_config_bool(w->m->config, "alpha_trainable")
                          ? moire_parameter(g, "alpha", MOIRE_SCALAR, start)
                          : moire_state(g, "alpha", MOIRE_F32, MOIRE_SCALAR, start);
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(w->m->words), moire_init_constant(0));
  moire_scope_pop(g);
  moire_value weight = moire_add_scalar(moire_softplus(alpha), 1e-4);
  states[n] = moire_mul(moire__language_magnitude(z), weight);
  words[n] = w->magnitude;
  n++;
  return (moire__language_head){.x = moire_scale(moire_concat(states, n, 2), 1 / sqrt((double)w->width)),
                                .weight = moire_concat(words, n, 1),
                                .bias = bias,
                                .state = z};
}

static void forward(moire__language *m) {
  indra w = {.m = m,
             .width = moire_config_int(m->config, "d_model"),
             .heads = moire_config_int(m->config, "n_heads"),
             .inner = moire_config_int(m->config, "ffn_dim")};
  if (!w.inner) w.inner = 4 * w.width;
  make_words(&w);
  moire_value z = embed(&w);
  moire__language_output(m, z, "embedding");
  for (int i = 0; i < (int)moire_config_int(m->config, "n_layers"); i++) {
    z = layer(&w, i, z);
    moire__language_output(m, z, "layers.%d", i);
  }
  moire__language_output(m, moire__language_magnitude(z), "magnitude");
  moire__language_output(m, moire_angle(z), "phase");
  moire__language_finish(m, head(&w, z));
}

static void build(moire_graph *g, const moire_config *config) { moire__language_build(g, config, forward); }

static moire_status check(const moire_config *config, moire_error *error) {
  int64_t width = moire_config_int(config, "d_model"), heads = moire_config_int(config, "n_heads");
  int64_t rows = moire_config_int(config, "max_positions"),
          length = moire_config_int(config, "sequence_length");
  if (width % heads)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "n_heads: wanted a divisor of d_model %lld, got %lld",
                      (long long)width, (long long)heads);
  if (length > rows)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "sequence_length: wanted at most max_positions %lld, got %lld", (long long)rows,
                      (long long)length);
  return moire__language_check(config, error);
}

static const moire_config_field fields[] = {
    {"vocab_size", MOIRE_CONFIG_INT, "32000", 2, 16777216, NULL, "words V"},
    {"d_model", MOIRE_CONFIG_INT, "128", 1, 65536, NULL, "width D"},
    {"n_layers", MOIRE_CONFIG_INT, "4", 1, 1000, NULL, "layers"},
    {"n_heads", MOIRE_CONFIG_INT, "4", 1, 65536, NULL, "heads; divides d_model"},
    {"ffn_dim", MOIRE_CONFIG_INT, "null", 0, 1048576, NULL,
     "width of the feed-forward layer; nothing: 4 d_model"},
    {"max_positions", MOIRE_CONFIG_INT, "2048", 1, 1048576, NULL, "rows of the tables of positions"},
    {"projector", MOIRE_CONFIG_STRING, "linear", 0, 0, "linear|table",
     "magnitude and phase of words: of an embedding, or a table each"},
    {"phase", MOIRE_CONFIG_STRING, "free", 0, 0, "free|tanh", "of words: as it is, or within pi"},
    {"mixing", MOIRE_CONFIG_STRING, "split", 0, 0, "split|complex",
     "maps of complex states: each plane by itself, or by complex matrices"},
    {"score", MOIRE_CONFIG_STRING, "real", 0, 0, "real|interference", "of attention: Re(q k*), or |q k*|^2"},
    {"head", MOIRE_CONFIG_STRING, "hybrid", 0, 0, "hybrid|hermitian",
     "words are scored by real part and magnitude, or by the imaginary part too"},
    {"alpha_init", MOIRE_CONFIG_REAL, "-5.0", -1000, 1000, NULL, "start of the magnitude's weight"},
    {"alpha_trainable", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "whether it is trained"},
    {"layer_norm_eps", MOIRE_CONFIG_REAL, "1e-5", 0, 1, NULL, "added to variances"},
    MOIRE_LANGUAGE_FIELDS};

const moire_model moire_model_indra = {.abi = MOIRE_MODEL_ABI,
                                       .task = "tokens",
                                       .name = "indra",
                                       .summary = "language model of complex states, words as waves",
                                       .fields = fields,
                                       .n_fields = (int)(sizeof fields / sizeof *fields),
                                       .check = check,
                                       .build = build};
