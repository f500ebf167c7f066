/* WEARec: filters in frequency that follow the user, beside wavelets that follow the moment.
 *
 * Each head of a block sees its channels twice. Over the whole sequence as a spectrum, whose bins are scaled
 * and shifted by numbers that the mean of the sequence decides,
 *
 *     X = rfft(x),   fft = irfft(X base_filter (1 + scale) + base_bias + bias),
 *
 * and pair by pair as a Haar wavelet, whose differences are weighted place by place:
 *
 *     wavelet = (a + e, a - e),   a = (even + odd) / 2,   e = (even - odd) / 2 . complex_weight.
 *
 * The block returns LayerNorm(x + (1 - alpha) wavelet + alpha fft) and a feed-forward layer. It is not causal
 * and masks nothing. Layer 0 of its outputs is the embedding. */
#include "models/sequential.h"

typedef struct wearec {
  moire__sequential s;
  moire_graph *g;
  double alpha;
  int64_t heads, head_dim, bins, pairs; /* H, d = D / H, F = L / 2 + 1, L / 2 */
} wearec;

/* Both from the mean of x: f32[B, H, F, 1]. */
static void adapt(const wearec *m, moire_value x, moire_value *scale, moire_value *bias) {
  moire_value user = moire_mean(x, 1, false);
  moire_value h = moire_gelu(moire__sequential_linear(&m->s, "adaptive_mlp.0", user, m->s.width));
  moire_value both = moire__sequential_linear(&m->s, "adaptive_mlp.2", h, m->heads * m->bins * 2);
  both = moire_reshape(both, MOIRE_SHAPE(m->s.b, m->heads, m->bins, 2));
  *scale = moire_slice(both, 3, 0, 1);
  *bias = moire_slice(both, 3, 1, 1);
}

/* x f32[B, L, D]; heads f32[B, H, L, d], as the result. */
static moire_value filter(const wearec *m, moire_value x, moire_value heads) {
  moire_shape shape = MOIRE_SHAPE(m->heads, m->bins, 1);
  moire_value base_filter = moire_parameter(m->g, "base_filter", shape, moire_init_constant(1));
  moire_value base_bias = moire_parameter(m->g, "base_bias", shape, moire_init_constant(-0.1));
  moire_value scale, bias;
  adapt(m, x, &scale, &bias);
  moire_value spectrum = moire_rfft(heads, 2);
  spectrum = moire_mul(spectrum, moire_mul(base_filter, moire_add_scalar(scale, 1)));
  return moire_irfft(moire_add(spectrum, moire_add(base_bias, bias)), 2, m->s.length);
}

static moire_value wavelet(const wearec *m, moire_value heads) {
  moire_init start = moire_init_normal(0, 0.02);
  start.stream = "item_encoder.blocks.layer.complex_weight"; /* of every block */
  moire_value w =
      moire_parameter(m->g, "complex_weight", MOIRE_SHAPE(1, m->heads, m->pairs, m->head_dim), start);
  w = moire_reshape(w, MOIRE_SHAPE(m->heads, m->pairs, 1, m->head_dim));
  moire_value pairs = moire_reshape(heads, MOIRE_SHAPE(m->s.b, m->heads, m->pairs, 2, m->head_dim));
  moire_value even = moire_slice(pairs, 3, 0, 1), odd = moire_slice(pairs, 3, 1, 1);
  moire_value a = moire_scale(moire_add(even, odd), 0.5);
  moire_value e = moire_mul(moire_scale(moire_sub(even, odd), 0.5), w);
  moire_value both[] = {moire_add(a, e), moire_sub(a, e)};
  return moire_reshape(moire_concat(both, 2, 3), moire_value_shape(heads));
}

static moire_value mix(const wearec *m, moire_value x) {
  static const int swap_length_and_heads[] = {0, 2, 1, 3};
  moire_scope_push(m->g, "layer");
  moire_shape split = MOIRE_SHAPE(m->s.b, m->s.length, m->heads, m->head_dim);
  moire_value heads = moire_permute(moire_reshape(x, split), 4, swap_length_and_heads);
  moire_value y =
      moire_add(moire_scale(wavelet(m, heads), 1 - m->alpha), moire_scale(filter(m, x, heads), m->alpha));
  y = moire_reshape(moire_permute(y, 4, swap_length_and_heads), moire_value_shape(x));
  moire__sequential_zeros(&m->s, "gate_param", MOIRE_SCALAR); /* nothing reads it */
  y = moire__sequential_norm(&m->s, "LayerNorm", moire_add(x, moire_dropout(y, m->s.dropout)));
  moire_scope_pop(m->g);
  return y;
}

static moire_value block(const wearec *m, int i, moire_value x) {
  moire_scope_push(m->g, "item_encoder.blocks.%d", i);
  x = mix(m, x);
  moire_scope_push(m->g, "feed_forward");
  x = moire__sequential_feed_forward(&m->s, "LayerNorm", x, 4 * m->s.width);
  moire_scope_pop(m->g);
  moire_scope_pop(m->g);
  return x;
}

static void build(moire_graph *g, const moire_config *config) {
  wearec m = {.s = moire__sequential_begin(g, config),
              .g = g,
              .alpha = moire_config_real(config, "alpha"),
              .heads = moire_config_int(config, "num_heads")};
  m.head_dim = m.s.width / m.heads;
  m.bins = m.s.length / 2 + 1;
  m.pairs = m.s.length / 2;
  moire_value x = moire__sequential_embed(&m.s, 1);
  moire__sequential_output(&m.s, 0, x);
  for (int i = 0; i < (int)m.s.layers; i++) {
    x = block(&m, i, x);
    moire__sequential_output(&m.s, i + 1, x);
  }
  moire__sequential_finish(&m.s, x, (moire_value){0});
}

static moire_status check(const moire_config *config, moire_error *error) {
  int width = (int)moire_config_int(config, "hidden_size"), heads = (int)moire_config_int(config, "num_heads");
  int length = (int)moire_config_int(config, "max_seq_length");
  if (width % heads) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "num_heads: wanted a divisor of hidden_size %d, got %d",
                      width, heads);
  }
  if (length % 2) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "max_seq_length: wanted an even number for the wavelets, got %d", length);
  }
  return MOIRE_OK;
}

static const moire_config_field fields[] = {
    MOIRE_SEQUENTIAL_FIELDS,
    {"alpha", MOIRE_CONFIG_REAL, "0.3", 0, 1, NULL, "share of the spectrum beside the wavelet"},
    {"num_heads", MOIRE_CONFIG_INT, "2", 1, 65536, NULL, "heads of the filters; divides hidden_size"},
};

const moire_model moire_model_wearec = {.abi = MOIRE_MODEL_ABI,
                                        .task = "sequences",
                                        .name = "wearec",
                                        .summary = "adaptive filters of the spectrum beside Haar wavelets",
                                        .fields = fields,
                                        .n_fields = (int)(sizeof fields / sizeof *fields),
                                        .check = check,
                                        .build = build};
