/* Signals: which of eight modulations a radio signal has, by a network whose arithmetic is complex throughout.
 *
 *   gcc -shared -fPIC -Iinclude docs/examples/signals.c -o signals.so
 *   moire synth --kind signals -o signals.safetensors
 *   moire train docs/examples/signals.yaml --data signals.safetensors
 *
 * Frames of the samples pass a complex layer, then blocks of a filter over time for each channel, a gate, and a
 * complex layer over the channels, added to what came in. The gate looks at moduli alone, z s(g |z|^2 + b) with
 * the logistic s, and no complex layer has a bias: a signal turned by a phase gives the same values turned by
 * that phase, and the moments of their power, which the real head sees, do not depend on it. So a phase that is
 * random need not be learnt.
 *
 * With `field: real` the same network is real: I and Q are two channels, and the gate is a GELU. The keys
 * `width: 44`, `hidden: 30` then make 10,662 parameters, where the complex one has 10,664.
 */
#include "moire/graph.h"
#include "moire/model.h"

#include <math.h>
#include <string.h>

enum { CLASSES = 8 };

typedef struct network {
  moire_graph *g;
  bool complex;
  int64_t width, reach;
} network;

/* A weight of the network's field. Each sum of `fan` products with it keeps the power of what it sums. */
static moire_value weight(const network *n, const char *name, moire_shape shape, int64_t fan) {
  double deviation = 1 / sqrt((double)fan);
  if (!n->complex) return moire_parameter(n->g, name, shape, moire_init_normal(0, deviation));
  return moire_complex_parameter(n->g, name, shape, moire_init_normal(0, deviation / sqrt(2)));
}

static moire_value vector(const network *n, const char *name, int64_t size, double value) {
  return moire_parameter(n->g, name, MOIRE_SHAPE(size), moire_init_constant(value));
}

/* Windows of `window` samples, `stride` apart, as rows: x [B, length, channels] becomes
 * [B, length / stride, window channels]. The first ones begin before the signal, with zeros. */
static moire_value frames(moire_value x, moire_dim b, int64_t length, int64_t channels, int64_t window,
                          int64_t stride) {
  int64_t rows = length / stride, parts = window / stride;
  moire_value shifted[64];
  x = moire_pad(moire_reshape(x, MOIRE_SHAPE(b, rows, stride * channels)), 1, parts - 1, 0);
  for (int64_t i = 0; i < parts; i++) shifted[i] = moire_slice(x, 1, i, rows);
  return moire_concat(shifted, (int)parts, 2);
}

static moire_value square(const network *n, moire_value x) {
  return n->complex ? moire_abs2(x) : moire_mul(x, x);
}

static moire_value block(const network *n, moire_value x) {
  moire_value filter = weight(n, "filter", MOIRE_SHAPE(n->width, 1, n->reach), n->reach);
  moire_value mix = weight(n, "mix", MOIRE_SHAPE(n->width, n->width), n->width);
  moire_value bias = vector(n, "bias", n->width, 0);
  moire_value y = moire_depthwise_conv(x, filter, 1);
  if (n->complex) {
    moire_value gain = vector(n, "gain", n->width, 1);
    y = moire_mul(y, moire_sigmoid(moire_add(moire_mul(moire_abs2(y), gain), bias)));
  } else {
    y = moire_gelu(moire_add(y, bias));
  }
  return moire_add(x, moire_linear(y, mix, (moire_value){0}));
}

static void build(moire_graph *g, const moire_config *config) {
  network n = {.g = g,
               .complex = !strcmp(moire_config_string(config, "field"), "complex"),
               .width = moire_config_int(config, "width"),
               .reach = moire_config_int(config, "reach")};
  moire_dim b = moire_extent(g, "B");
  int64_t length = moire_config_int(config, "length"), hidden = moire_config_int(config, "hidden");
  int64_t window = moire_config_int(config, "window"), stride = moire_config_int(config, "stride");
  moire_value iq = moire_input(g, "iq", MOIRE_C64, MOIRE_SHAPE(b, length));
  moire_value label = moire_input(g, "label", MOIRE_I32, MOIRE_SHAPE(b));

  int64_t channels = n.complex ? 1 : 2;
  moire_value x = moire_reshape(iq, MOIRE_SHAPE(b, length, 1));
  if (!n.complex) x = moire_concat((moire_value[]){moire_real(x), moire_imag(x)}, 2, 2);
  moire_value first = weight(&n, "first", MOIRE_SHAPE(n.width, window * channels), window * channels);
  x = moire_linear(frames(x, b, length, channels, window, stride), first, (moire_value){0});
  for (int64_t i = 0; i < moire_config_int(config, "blocks"); i++) {
    moire_scope_push(g, "blocks.%d", (int)i);
    x = block(&n, x);
    moire_scope_pop(g);
  }

  /* The mean power over time, and the mean of its square beside the square of its mean. */
  int64_t features = 2 * n.width;
  moire_value power = square(&n, x), squared = moire_mul(power, power);
  moire_value mean = moire_log(moire_add_scalar(moire_mean(power, 1, false), 1e-6));
  moire_value second = moire_log(moire_add_scalar(moire_mean(squared, 1, false), 1e-12));
  moire_value seen = moire_concat((moire_value[]){mean, moire_sub(second, moire_scale(mean, 2))}, 2, 1);
  moire_value norm = vector(&n, "norm.weight", features, 1), shift = vector(&n, "norm.bias", features, 0);
  seen = moire_layer_norm(seen, norm, shift, 1e-5);
  n.complex = false; /* the head is real */
  moire_value up = weight(&n, "up.weight", MOIRE_SHAPE(hidden, features), features);
  moire_value down = weight(&n, "down.weight", MOIRE_SHAPE(CLASSES, hidden), hidden);
  seen = moire_gelu(moire_linear(seen, up, vector(&n, "up.bias", hidden, 0)));
  moire_value logits = moire_linear(seen, down, vector(&n, "down.bias", CLASSES, 0));
  moire_output(g, "logits", logits);

  moire_value classes = moire_iota(g, MOIRE_SHAPE(1, CLASSES), 1);
  moire_value right = moire_equal(classes, moire_reshape(label, MOIRE_SHAPE(b, 1)));
  moire_value best = moire_equal(logits, moire_max(logits, 1, true));
  moire_metric(g, "accuracy", moire_sum(moire_cast(moire_and(right, best), MOIRE_F32), 1, false));
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(logits, label)));
}

static moire_status check(const moire_config *config, moire_error *error) {
  int64_t length = moire_config_int(config, "length"), stride = moire_config_int(config, "stride");
  if (length % stride == 0 && moire_config_int(config, "window") % stride == 0) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "length and window: wanted multiples of stride");
}

static const moire_config_field fields[] = {
    {"field", MOIRE_CONFIG_STRING, "complex", 0, 0, "complex|real", "of the arithmetic"},
    {"length", MOIRE_CONFIG_INT, "128", 1, 65536, NULL, "samples of a signal"},
    {"window", MOIRE_CONFIG_INT, "8", 1, 64, NULL, "samples of a frame"},
    {"stride", MOIRE_CONFIG_INT, "2", 1, 64, NULL, "samples from one frame to the next"},
    {"width", MOIRE_CONFIG_INT, "32", 1, 4096, NULL, "channels"},
    {"blocks", MOIRE_CONFIG_INT, "3", 0, 100, NULL, "blocks of filter, gate and layer"},
    {"reach", MOIRE_CONFIG_INT, "7", 1, 64, NULL, "frames that a filter sees"},
    {"hidden", MOIRE_CONFIG_INT, "32", 1, 4096, NULL, "width of the head"},
};

const moire_model *moire_model_main(void);

const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = MOIRE_MODEL_ABI,
                                    .task = "tensors",
                                    .name = "signals",
                                    .summary = "the modulation of a radio signal",
                                    .fields = fields,
                                    .n_fields = (int)(sizeof fields / sizeof *fields),
                                    .check = check,
                                    .build = build};
  return &model;
}
