/* What sequential recommenders share. See sequential.h. */
#include "models/sequential.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double norm_eps = 1e-12;

moire__sequential moire__sequential_begin(moire_graph *g, const moire_config *config) {
  moire__sequential m = {.g = g,
                         .config = config,
                         .b = moire_extent(g, "B"),
                         .length = moire_config_int(config, "max_seq_length"),
                         .width = moire_config_int(config, "hidden_size"),
                         .layers = moire_config_int(config, "num_hidden_layers"),
                         .dropout = moire_config_real(config, "hidden_dropout_prob"),
                         .weights = moire_init_normal(0, moire_config_real(config, "initializer_range"))};
  int64_t n_items = moire_config_int(config, "item_size");
  m.ids = moire_input(g, "input_ids", MOIRE_I32, MOIRE_SHAPE(m.b, m.length));
  m.answers = moire_input(g, "answers", MOIRE_I32, MOIRE_SHAPE(m.b));
  m.items = moire_parameter(g, "item_embeddings.weight", MOIRE_SHAPE(n_items, m.width), m.weights);
  return m;
}

moire_value moire__sequential_embed(const moire__sequential *m, int times) {
  moire_value positions =
      moire_parameter(m->g, "position_embeddings.weight", MOIRE_SHAPE(m->length, m->width), m->weights);
  moire_value x = moire_add(moire_embedding(m->items, m->ids, 0), positions);
  for (int i = 0; i < times; i++) x = moire_dropout(moire__sequential_norm(m, "LayerNorm", x), m->dropout);
  return x;
}

void moire__sequential_output(const moire__sequential *m, int i, moire_value x) {
  char name[32];
  snprintf(name, sizeof name, "layers.%d", i);
  moire_output(m->g, name, x);
}

/* The items that the loss reads beside the targets. */
static moire_drawn draw(const moire__sequential *m) {
  const char *sampling = moire_config_string(m->config, "negative_sampling");
  int64_t n = moire_config_int(m->config, "item_size"), count = moire_config_int(m->config, "negatives");
  moire_value ends = {0};
  bool in_batch = !strcmp(sampling, "in_batch"), frequency = !strcmp(sampling, "frequency");
  if (in_batch || frequency) ends = moire_input(m->g, "answer_ends", MOIRE_I32, MOIRE_SHAPE(n));
  if (in_batch) return moire_draw_in_batch(m->answers, ends);
  moire_drawing drawing = frequency                          ? MOIRE_DRAW_BY_WEIGHT
                          : !strcmp(sampling, "log_uniform") ? MOIRE_DRAW_LOG_UNIFORM
                                                             : MOIRE_DRAW_UNIFORM;
  return moire_draw_items(m->g, drawing, n, count, ends);
}

/* What is measured is the softmax over all items, whatever is trained. */
static moire_value loss_of(const moire__sequential *m, moire_value last, moire_value logits) {
  const char *loss = moire_config_string(m->config, "loss");
  if (moire_graph_mode(m->g) == MOIRE_INFERENCE || !strcmp(loss, "softmax"))
    return moire_mean_all(moire_cross_entropy(logits, m->answers));
  if (!strcmp(loss, "gbce"))
    return moire_gbce_loss(last, m->items, m->answers, draw(m),
                           moire_config_real(m->config, "gbce_calibration"), MOIRE_REDUCE_MEAN);
  return moire_sampled_softmax_loss(last, m->items, m->answers, draw(m), MOIRE_REDUCE_MEAN);
}

void moire__sequential_finish(const moire__sequential *m, moire_value x, moire_value penalty) {
  moire_value last = moire_reshape(moire_slice(x, 1, m->length - 1, 1), MOIRE_SHAPE(m->b, m->width));
  moire_value logits = moire_linear(last, m->items, (moire_value){0});
  moire_value loss = loss_of(m, last, logits);
  moire_output(m->g, "query", last);
  moire_output(m->g, "logits", logits);
  moire_output(m->g, "loss", moire_value_is_null(penalty) ? loss : moire_add(loss, penalty));
}

/* ---- layers ---------------------------------------------------------------------------------------------- */

moire_value moire__sequential_zeros(const moire__sequential *m, const char *name, moire_shape shape) {
  return moire_parameter(m->g, name, shape, moire_init_constant(0));
}

static moire_value weight(const moire__sequential *m, moire_value x, int64_t out) {
  return moire_parameter(m->g, "weight", MOIRE_SHAPE(out, moire_value_dim(x, -1)), m->weights);
}

moire_value moire__sequential_linear(const moire__sequential *m, const char *name, moire_value x, int64_t out) {
  moire_scope_push(m->g, "%s", name);
  moire_value w = weight(m, x, out), bias = moire__sequential_zeros(m, "bias", MOIRE_SHAPE(out));
  moire_scope_pop(m->g);
  return moire_linear(x, w, bias);
}

moire_value moire__sequential_project(const moire__sequential *m, const char *name, moire_value x,
                                      int64_t out) {
  moire_scope_push(m->g, "%s", name);
  moire_value w = weight(m, x, out);
  moire_scope_pop(m->g);
  return moire_linear(x, w, (moire_value){0});
}

moire_value moire__sequential_norm(const moire__sequential *m, const char *name, moire_value x) {
  moire_scope_push(m->g, "%s", name);
  moire_value gain = moire_parameter(m->g, "weight", MOIRE_SHAPE(m->width), moire_init_constant(1));
  moire_value bias = moire__sequential_zeros(m, "bias", MOIRE_SHAPE(m->width));
  moire_scope_pop(m->g);
  return moire_layer_norm(x, gain, bias, norm_eps);
}

moire_value moire__sequential_feed_forward(const moire__sequential *m, const char *norm, moire_value x,
                                           int64_t inner) {
  moire_value h = moire_gelu(moire__sequential_linear(m, "dense_1", x, inner));
  moire_value y = moire_dropout(moire__sequential_linear(m, "dense_2", h, m->width), m->dropout);
  return moire__sequential_norm(m, norm, moire_add(x, y));
}

/* ---- bands ----------------------------------------------------------------------------------------------- */

/* One plane of a band: f32[D, 1, k], uniform in +-1/sqrt(k). */
static moire_value taps(const moire__sequential *m, const char *plane, int band, int64_t k) {
  double bound = 1.0 / sqrt((double)k);
  moire_scope_push(m->g, "%s.%d", plane, band);
  moire_value w =
      moire_parameter(m->g, "weight", MOIRE_SHAPE(m->width, 1, k), moire_init_uniform(-bound, bound));
  moire_scope_pop(m->g);
  return w;
}

moire_value moire__sequential_bands(const moire__sequential *m, moire_value x) {
  const int64_t *sizes = NULL, *dilations = NULL;
  int n = moire_config_ints(m->config, "band_kernel_sizes", &sizes);
  moire_config_ints(m->config, "band_dilations", &dilations);
  moire_value bands[MOIRE__MOST_BANDS];
  for (int s = 0; s < n; s++) {
    bands[s] = moire_complex(taps(m, "real_convs", s, sizes[s]), taps(m, "imag_convs", s, sizes[s]));
  }
  return moire_band_bank(x, bands, dilations, n);
}

int moire__sequential_band_count(const moire__sequential *m) {
  const int64_t *sizes = NULL;
  return moire_config_ints(m->config, "band_kernel_sizes", &sizes);
}

moire_status moire__sequential_check(const moire_config *config, moire_error *error) {
  const int64_t *list = NULL;
  int width = (int)moire_config_int(config, "hidden_size"),
      heads = (int)moire_config_int(config, "num_attention_heads");
  int sizes = moire_config_ints(config, "band_kernel_sizes", &list);
  int dilations = moire_config_ints(config, "band_dilations", &list);
  if (width % heads) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "num_attention_heads: wanted a divisor of hidden_size %d, got %d", width, heads);
  }
  if (sizes != dilations || sizes < 1 || sizes > MOIRE__MOST_BANDS) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "band_kernel_sizes, band_dilations: wanted 1 to %d in both, got %d, %d",
                      MOIRE__MOST_BANDS, sizes, dilations);
  }
  return MOIRE_OK;
}
