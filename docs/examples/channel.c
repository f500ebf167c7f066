/* Channel: a model of one's own that is no recommender, with inputs of two kinds.
 *
 * From a received complex signal and a few real measurements it estimates two real numbers of the channel, such
 * as its gain and its delay. A complex layer, the modulus, and two real layers. The data are tensors with a row
 * a sample:
 *
 *   gcc -shared -fPIC -Iinclude docs/examples/channel.c -o channel.so
 *   moire train channel.yaml --data records/          where channel.yaml says `model: ./channel.so`, and
 *                                                     records/ holds received.npy, measured.npy and wanted.npy
 */
#include "moire/graph.h"
#include "moire/model.h"

static void build(moire_graph *g, const moire_config *config) {
  moire_dim b = moire_extent(g, "B");
  int64_t length = moire_config_int(config, "length"), width = moire_config_int(config, "width");
  moire_value received = moire_input(g, "received", MOIRE_C64, MOIRE_SHAPE(b, length));
  moire_value measured = moire_input(g, "measured", MOIRE_F32, MOIRE_SHAPE(b, 3));
  moire_value wanted = moire_input(g, "wanted", MOIRE_F32, MOIRE_SHAPE(b, 2));

  moire_init start = moire_init_normal(0, 0.1);
  moire_value mix = moire_complex_parameter(g, "mix.weight", MOIRE_SHAPE(width, length), start);
  moire_value side = moire_parameter(g, "side.weight", MOIRE_SHAPE(width, 3), start);
  moire_value bias = moire_parameter(g, "side.bias", MOIRE_SHAPE(width), moire_init_constant(0));
  moire_value last = moire_parameter(g, "last.weight", MOIRE_SHAPE(2, width), start);

  moire_value wave = moire_linear(received, mix, (moire_value){0}); /* c64[B, width] */
  moire_value seen = moire_sqrt(moire_add_scalar(moire_abs2(wave), 1e-6));
  moire_value hidden = moire_gelu(moire_add(seen, moire_linear(measured, side, bias)));
  moire_value estimate = moire_linear(hidden, last, (moire_value){0});
  moire_output(g, "wave", wave);
  moire_output(g, "estimate", estimate);

  moire_value off = moire_sub(estimate, wanted);
  moire_value error = moire_mean(moire_mul(off, off), 1, false); /* f32[B]: one a sample */
  moire_metric(g, "error", error);
  moire_output(g, "loss", moire_mean_all(error));
}

static const moire_config_field fields[] = {
    {"length", MOIRE_CONFIG_INT, "16", 1, 4096, NULL, "samples of a received signal"},
    {"width", MOIRE_CONFIG_INT, "32", 1, 4096, NULL, "hidden width"},
};

const moire_model *moire_model_main(void);

const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = MOIRE_MODEL_ABI,
                                    .task = "tensors",
                                    .name = "channel",
                                    .summary = "two numbers from a complex signal and three measurements",
                                    .fields = fields,
                                    .n_fields = (int)(sizeof fields / sizeof *fields),
                                    .build = build};
  return &model;
}
