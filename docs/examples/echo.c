/* Echo: a recommender of one's own, as a shared object.
 *
 * The embedded history passes one causal filter with complex taps, so that each position holds an echo of what
 * came before it, with a phase. A complex layer mixes the channels, and the modulus of the last position scores
 * the items. Build and train it:
 *
 *   gcc -shared -fPIC -Iinclude docs/examples/echo.c -o echo.so
 *   moire train echo.yaml --data sequences.txt          where echo.yaml says `model: ./echo.so`
 */
#include "moire/graph.h"
#include "moire/model.h"

static moire_value complex_parameter(moire_graph *g, const char *name, moire_shape shape, moire_init init) {
  moire_scope_push(g, "%s", name);
  moire_value re = moire_parameter(g, "re", shape, init);
  moire_value im = moire_parameter(g, "im", shape, init);
  moire_scope_pop(g);
  return moire_complex(re, im);
}

static void build(moire_graph *g, const moire_config *config) {
  moire_dim b = moire_extent(g, "B");
  int64_t n_items = moire_config_int(config, "item_size"), width = moire_config_int(config, "hidden_size");
  int64_t length = moire_config_int(config, "max_seq_length"), taps = moire_config_int(config, "reach");
  moire_init small = moire_init_normal(0, moire_config_real(config, "initializer_range"));

  moire_value ids = moire_input(g, "input_ids", MOIRE_I32, MOIRE_SHAPE(b, length));
  moire_value answers = moire_input(g, "answers", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value items = moire_parameter(g, "items", MOIRE_SHAPE(n_items, width), small);
  moire_value gain = moire_parameter(g, "gain", MOIRE_SHAPE(width), moire_init_constant(1));
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(width), moire_init_constant(0));
  moire_value filter =
      complex_parameter(g, "filter", MOIRE_SHAPE(width, 1, taps), moire_init_uniform(-0.5, 0.5));
  moire_value mix = complex_parameter(g, "mix", MOIRE_SHAPE(width, width), small);

  moire_value x = moire_layer_norm(moire_embedding(items, ids, 0), gain, bias, 1e-5);
  moire_value echo = moire_filter_bank(x, &filter, (const int64_t[]){1}, 1);                 /* c64[B, L, D] */
  moire_value wave = moire_add(echo, moire_gelu(moire_linear(echo, mix, (moire_value){0}))); /* c64[B, L, D] */
  moire_value heard = moire_dropout(moire_sqrt(moire_add_scalar(moire_abs2(wave), 1e-8)),
                                    moire_config_real(config, "hidden_dropout_prob"));
  moire_output(g, "layers.0", heard);

  moire_value last = moire_reshape(moire_slice(heard, 1, length - 1, 1), MOIRE_SHAPE(b, width));
  moire_value logits = moire_linear(last, items, (moire_value){0});
  moire_output(g, "logits", logits);
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(logits, answers)));
}

static const moire_config_field fields[] = {
    MOIRE_SEQUENTIAL_FIELDS,
    {"reach", MOIRE_CONFIG_INT, "8", 1, 64, NULL, "positions that an echo reaches back"},
};

const moire_model *moire_model_main(void);

const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = MOIRE_MODEL_ABI,
                                    .task = "sequences",
                                    .name = "echo",
                                    .summary = "one complex filter and one complex layer",
                                    .fields = fields,
                                    .n_fields = (int)(sizeof fields / sizeof *fields),
                                    .build = build};
  return &model;
}
