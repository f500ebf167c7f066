/* The llama architecture, with the names and configuration keys of Hugging Face.
 *
 *   x = embed_tokens[id]
 *   x += o_proj(attention(rms(x)));  x += down(silu(gate(y)) up(y)), y = rms(x)
 *   logits = rms(x) lm_head^T          (embed_tokens^T if tied)
 *
 * Rotary positions turn the pairs (c, c + n/2) of a head's n channels by position theta^(-2c/n): the halves of
 * a head, not neighbours. Query head h reads the key head h div (heads / key heads). */
#include "models/language_model.h"

#include <math.h>
#include <stdio.h>

typedef struct llama {
  const moire__language *m;
  int64_t width, inner, heads, key_heads, head_dim;
  moire_value cos, sin; /* f32[1 or B, 1, T, head_dim / 2] */
} llama;

static const double deviation = 0.02; /* of initial weights */

static moire_value linear(const llama *w, const char *name, moire_value x, int64_t out, bool has_bias) {
  moire_graph *g = w->m->g;
  moire_value bias = {0};
  moire_scope_push(g, "%s", name);
  moire_value weight =
      moire_parameter(g, "weight", MOIRE_SHAPE(out, moire_value_dim(x, -1)), moire_init_normal(0, deviation));
  if (has_bias) bias = moire_parameter(g, "bias", MOIRE_SHAPE(out), moire_init_constant(0));
  moire_scope_pop(g);
  return moire_linear(x, weight, bias);
}

static moire_value norm(const llama *w, const char *name, moire_value x) {
  moire_scope_push(w->m->g, "%s", name);
  moire_value gain = moire_parameter(w->m->g, "weight", MOIRE_SHAPE(w->width), moire_init_constant(1));
  moire_scope_pop(w->m->g);
  return moire_rms_norm(x, gain, moire_config_real(w->m->config, "rms_norm_eps"));
}

/* ---- Rotary positions
 * ---------------------------------------------------------------------------------------- */

static void make_angles(llama *w) {
  const moire__language *m = w->m;
  int64_t half = w->head_dim / 2;
  double theta = moire_config_is_nothing(m->config, "rope_parameters.rope_theta")
                     ? moire_config_real(m->config, "rope_theta")
                     : moire_config_real(m->config, "rope_parameters.rope_theta");
  moire_value channel = moire_cast(moire_iota(m->g, MOIRE_SHAPE(1, half), 1), MOIRE_F32);
  moire_value rate = moire_exp(moire_scale(channel, -log(theta) / (double)half));
  moire_dim rows = m->cached ? m->b : 1;
  moire_value at = moire_reshape(moire_cast(m->position, MOIRE_F32), MOIRE_SHAPE(rows, 1, m->t, 1));
  moire_value angle = moire_mul(at, rate);
  w->cos = moire_cos(angle);
  w->sin = moire_sin(angle);
}

/* x [B, H, T, head_dim] */
static moire_value rotate(const llama *w, moire_value x) {
  int64_t half = w->head_dim / 2;
  moire_value low = moire_slice(x, 3, 0, half), high = moire_slice(x, 3, half, half);
  moire_value turned[] = {moire_sub(moire_mul(low, w->cos), moire_mul(high, w->sin)),
                          moire_add(moire_mul(high, w->cos), moire_mul(low, w->sin))};
  return moire_concat(turned, 2, 3);
}

/* ---- Layers
 * -------------------------------------------------------------------------------------------------- */

static moire_value attention(const llama *w, int layer, moire_value x) {
  const moire__language *m = w->m;
  bool bias = moire_config_bool(m->config, "attention_bias");
  char cache[32];
  snprintf(cache, sizeof cache, "layers.%d", layer);
  moire_scope_push(m->g, "self_attn");
  moire_value q = linear(w, "q_proj", x, w->heads * w->head_dim, bias);
  moire_value k = linear(w, "k_proj", x, w->key_heads * w->head_dim, bias);
  moire_value v = linear(w, "v_proj", x, w->key_heads * w->head_dim, bias);
  q = rotate(w, moire__language_split(m, q, w->heads));
  k = rotate(w, moire__language_split(m, k, w->key_heads));
  v = moire__language_split(m, v, w->key_heads);
  moire_value context =
      moire__language_attend(m, cache, q, k, v, MOIRE_SCORE_DOT, 1 / sqrt((double)w->head_dim));
  moire_value out = linear(w, "o_proj", moire__language_merge(m, context), w->width, bias);
  moire_scope_pop(m->g);
  return out;
}

static moire_value feed_forward(const llama *w, moire_value y) {
  bool bias = moire_config_bool(w->m->config, "mlp_bias");
  moire_scope_push(w->m->g, "mlp");
  moire_value gate = moire_silu(linear(w, "gate_proj", y, w->inner, bias));
  moire_value up = linear(w, "up_proj", y, w->inner, bias);
  moire_value down = linear(w, "down_proj", moire_mul(gate, up), w->width, bias);
  moire_scope_pop(w->m->g);
  return down;
}

static void forward(moire__language *m) {
  llama w = {.m = m,
             .width = moire_config_int(m->config, "hidden_size"),
             .inner = moire_config_int(m->config, "intermediate_size"),
             .heads = moire_config_int(m->config, "num_attention_heads"),
             .key_heads = moire_config_int(m->config, "num_key_value_heads"),
             .head_dim = moire_config_int(m->config, "head_dim")};
  if (!w.key_heads) w.key_heads = w.heads;
  if (!w.head_dim) w.head_dim = w.width / w.heads;
  moire_init start = moire_init_normal(0, deviation);
  moire_value words = moire__language_table(m, "model.embed_tokens", m->words, w.width, start);
  moire_value x = moire_gather(words, m->ids);
  make_angles(&w);
  moire_scope_push(m->g, "model");
  for (int i = 0; i < (int)moire_config_int(m->config, "num_hidden_layers"); i++) {
    moire_scope_push(m->g, "layers.%d", i);
    x = moire_add(x, attention(&w, i, norm(&w, "input_layernorm", x)));
    x = moire_add(x, feed_forward(&w, norm(&w, "post_attention_layernorm", x)));
    moire_scope_pop(m->g);
    moire__language_output(m, x, "layers.%d", i);
  }
  moire__language_head head = {.x = norm(&w, "norm", x), .weight = words};
  moire_scope_pop(m->g);
  if (!moire_config_bool(m->config, "tie_word_embeddings"))
    head.weight = moire__language_table(m, "lm_head", m->words, w.width, start);
  moire__language_finish(m, head);
}

static void build(moire_graph *g, const moire_config *config) { moire__language_build(g, config, forward); }

static moire_status check(const moire_config *config, moire_error *error) {
  long long width = moire_config_int(config, "hidden_size"),
            heads = moire_config_int(config, "num_attention_heads");
  long long key_heads = moire_config_int(config, "num_key_value_heads"),
            n = moire_config_int(config, "head_dim");
  long long rows = moire_config_int(config, "max_position_embeddings");
  long long length = moire_config_int(config, "sequence_length");
  if (!moire_config_is_nothing(config, "rope_scaling"))
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "rope_scaling: wanted null, or type default");
  if (!n && width % heads)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "num_attention_heads: wanted a divisor of hidden_size %lld, or head_dim, got %lld", width,
                      heads);
  if (!n) n = width / heads;
  if (n % 2) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "head_dim: wanted an even number, got %lld", n);
  if (key_heads && heads % key_heads)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "num_key_value_heads: wanted a divisor of num_attention_heads %lld, got %lld", heads,
                      key_heads);
  if (length > rows)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "sequence_length: wanted at most max_position_embeddings %lld, got %lld", rows, length);
  return moire__language_check(config, error);
}

#define ACCEPTED(key) {key, MOIRE_CONFIG_ANY, "null", 0, 0, NULL, "changes nothing here"}

static const moire_config_field fields[] = {
    {"vocab_size", MOIRE_CONFIG_INT, "32000", 2, 16777216, NULL, "words V"},
    {"hidden_size", MOIRE_CONFIG_INT, "4096", 1, 65536, NULL, "width"},
    {"intermediate_size", MOIRE_CONFIG_INT, "11008", 1, 1048576, NULL, "width of the feed-forward layer"},
    {"num_hidden_layers", MOIRE_CONFIG_INT, "32", 1, 1000, NULL, "layers"},
    {"num_attention_heads", MOIRE_CONFIG_INT, "32", 1, 65536, NULL, "heads of queries"},
    {"num_key_value_heads", MOIRE_CONFIG_INT, "null", 0, 65536, NULL, "of keys and values; nothing: as many"},
    {"head_dim", MOIRE_CONFIG_INT, "null", 0, 65536, NULL, "width of a head; nothing: hidden_size / heads"},
    {"rms_norm_eps", MOIRE_CONFIG_REAL, "1e-6", 0, 1, NULL, "added to mean squares"},
    {"rope_theta", MOIRE_CONFIG_REAL, "10000.0", 1, 1e12, NULL, "base of the rotary angles"},
    {"max_position_embeddings", MOIRE_CONFIG_INT, "2048", 1, 16777216, NULL, "most positions"},
    {"tie_word_embeddings", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "whether the head is the embedding"},
    {"attention_bias", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "whether the attention's maps have a bias"},
    {"mlp_bias", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "whether those of the feed-forward layer have"},
    {"hidden_act", MOIRE_CONFIG_STRING, "silu", 0, 0, "silu", "activation of the feed-forward layer"},
    {"rope_scaling", MOIRE_CONFIG_ANY, "null", 0, 0, NULL, "nothing, or of type default"},
    {"rope_scaling.type", MOIRE_CONFIG_STRING, "default", 0, 0, "default", "of the rotary angles"},
    {"rope_scaling.rope_type", MOIRE_CONFIG_STRING, "default", 0, 0, "default", "of the rotary angles"},
    {"rope_parameters.rope_type", MOIRE_CONFIG_STRING, "default", 0, 0, "default", "of the rotary angles"},
    {"rope_parameters.rope_theta", MOIRE_CONFIG_REAL, "null", 0, 1e12, NULL, "instead of rope_theta"},
    ACCEPTED("architectures"),
    ACCEPTED("model_type"),
    ACCEPTED("bos_token_id"),
    ACCEPTED("eos_token_id"),
    ACCEPTED("pad_token_id"),
    ACCEPTED("unk_token_id"),
    ACCEPTED("torch_dtype"),
    ACCEPTED("dtype"),
    ACCEPTED("use_cache"),
    ACCEPTED("initializer_range"),
    ACCEPTED("attention_dropout"),
    ACCEPTED("pretraining_tp"),
    ACCEPTED("transformers_version"),
    ACCEPTED("_name_or_path"),
    ACCEPTED("rope_interleaved"),
    ACCEPTED("is_llama_config"),
    MOIRE_LANGUAGE_FIELDS};

const moire_model moire_model_llama = {.abi = MOIRE_MODEL_ABI,
                                       .task = "tokens",
                                       .name = "llama",
                                       .summary = "the llama architecture, by the names of its published files",
                                       .fields = fields,
                                       .n_fields = (int)(sizeof fields / sizeof *fields),
                                       .check = check,
                                       .build = build};
