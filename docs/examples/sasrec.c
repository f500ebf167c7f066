/* SASRec: self-attentive sequential recommendation (Kang and McAuley, ICDM 2018), with one sampled negative for
 * each position. Names and layouts are those of the usual PyTorch form, so a state dict of that loads; norms
 * stand before the layers (norm_first) or behind them.
 *
 *   gcc -shared -fPIC -Iinclude docs/examples/sasrec.c -o sasrec.so
 *   moire train sasrec.yaml --data sequences.txt      where sasrec.yaml says `model: ./sasrec.so`
 */
#include "moire/graph.h"
#include "moire/model.h"

#include <math.h>

typedef struct sizes {
  moire_dim b;
  int64_t length, width, heads;
  double dropout;
  bool norm_first;
} sizes;

static const moire_value none = {0};

static moire_value weight(moire_graph *g, const char *name, moire_shape shape) {
  return moire_parameter(g, name, shape, moire_init_normal(0, 0.05));
}

static moire_value zeros(moire_graph *g, const char *name, int64_t n) {
  return moire_parameter(g, name, MOIRE_SHAPE(n), moire_init_constant(0));
}

static moire_value norm(moire_graph *g, const sizes *s, const char *name, int i, moire_value x) {
  if (i < 0)
    moire_scope_push(g, "%s", name);
  else
    moire_scope_push(g, "%s.%d", name, i);
  moire_value w = moire_parameter(g, "weight", MOIRE_SHAPE(s->width), moire_init_constant(1));
  moire_value b = zeros(g, "bias", s->width);
  moire_scope_pop(g);
  return moire_layer_norm(x, w, b, 1e-8);
}

/* [B, L, D] as [B, H, L, D/H] */
static moire_value by_head(const sizes *s, moire_value x) {
  x = moire_reshape(x, MOIRE_SHAPE(s->b, s->length, s->heads, s->width / s->heads));
  return moire_swap_axes(x, 1, 2);
}

/* torch.nn.MultiheadAttention of x with itself, where each position sees those before it and itself. */
static moire_value attend(moire_graph *g, const sizes *s, int i, moire_value x) {
  moire_scope_push(g, "attention_layers.%d", i);
  moire_value w = weight(g, "in_proj_weight", MOIRE_SHAPE(3 * s->width, s->width));
  moire_value b = zeros(g, "in_proj_bias", 3 * s->width);
  moire_value w_out = weight(g, "out_proj.weight", MOIRE_SHAPE(s->width, s->width));
  moire_value b_out = zeros(g, "out_proj.bias", s->width);
  moire_scope_pop(g);
  moire_value part[3], all = moire_linear(x, w, b);
  for (int k = 0; k < 3; k++) part[k] = by_head(s, moire_slice(all, 2, k * s->width, s->width));
  moire_value heads =
      moire_attention(part[0], part[1], part[2],
                      (moire_attention_options){.score = MOIRE_SCORE_DOT,
                                                .scale = 1 / sqrt((double)s->width / (double)s->heads),
                                                .mask_value = -INFINITY,
                                                .causal = true,
                                                .dropout = s->dropout});
  moire_value y = moire_reshape(moire_swap_axes(heads, 1, 2), MOIRE_SHAPE(s->b, s->length, s->width));
  return moire_linear(y, w_out, b_out);
}

/* Two convolutions of one tap, whose weights are [D, D, 1]. */
static moire_value feed_forward(moire_graph *g, const sizes *s, int i, moire_value x) {
  moire_shape square = MOIRE_SHAPE(s->width, s->width), conv = MOIRE_SHAPE(s->width, s->width, 1);
  moire_scope_push(g, "forward_layers.%d", i);
  moire_value w1 = moire_reshape(weight(g, "conv1.weight", conv), square),
              b1 = zeros(g, "conv1.bias", s->width);
  moire_value w2 = moire_reshape(weight(g, "conv2.weight", conv), square),
              b2 = zeros(g, "conv2.bias", s->width);
  moire_scope_pop(g);
  moire_value hidden = moire_relu(moire_dropout(moire_linear(x, w1, b1), s->dropout));
  return moire_dropout(moire_linear(hidden, w2, b2), s->dropout);
}

static moire_value block(moire_graph *g, const sizes *s, int i, moire_value x) {
  if (s->norm_first) {
    x = moire_add(x, attend(g, s, i, norm(g, s, "attention_layernorms", i, x)));
    return moire_add(x, feed_forward(g, s, i, norm(g, s, "forward_layernorms", i, x)));
  }
  x = norm(g, s, "attention_layernorms", i, moire_add(x, attend(g, s, i, x)));
  return norm(g, s, "forward_layernorms", i, moire_add(x, feed_forward(g, s, i, x)));
}

/* The mean of -ln sigmoid(sign score) over the positions that count. */
static moire_value mean_loss(moire_value score, double target, moire_value counts, moire_value how_many) {
  moire_value wanted = moire_constant(score.graph, MOIRE_F32, moire_value_shape(score), target);
  moire_value each = moire_binary_cross_entropy_with_logits(score, wanted, none, none, MOIRE_REDUCE_NONE);
  return moire_div(moire_sum_all(moire_mul(each, counts)), how_many);
}

static void build(moire_graph *g, const moire_config *config) {
  sizes s = {.b = moire_extent(g, "B"),
             .length = moire_config_int(config, "max_seq_length"),
             .width = moire_config_int(config, "hidden_size"),
             .heads = moire_config_int(config, "num_attention_heads"),
             .dropout = moire_config_real(config, "hidden_dropout_prob"),
             .norm_first = moire_config_bool(config, "norm_first")};
  int64_t n_items = moire_config_int(config, "item_size");
  moire_shape each = MOIRE_SHAPE(s.b, s.length), row = MOIRE_SHAPE(s.b, s.length, 1);
  moire_value ids = moire_input(g, "input_ids", MOIRE_I32, each);
  moire_value answers =
      moire_reshape(moire_input(g, "answers", MOIRE_I32, MOIRE_SHAPE(s.b)), MOIRE_SHAPE(s.b, 1));
  moire_value items = weight(g, "item_emb.weight", MOIRE_SHAPE(n_items, s.width));
  moire_value places = weight(g, "pos_emb.weight", MOIRE_SHAPE(s.length + 1, s.width));

  /* Padding is a row of zeros, and its place, 0, as well. */
  moire_value zero = moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 0);
  moire_value is_item = moire_not(moire_equal(ids, zero)), counts = moire_cast(is_item, MOIRE_F32);
  moire_value place =
      moire_add(moire_iota(g, MOIRE_SHAPE(s.length), 0), moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 1));
  moire_value x = moire_add(moire_scale(moire_embedding(items, ids, 0), sqrt((double)s.width)),
                            moire_embedding(places, place, 0));
  x = moire_dropout(moire_mul(x, moire_reshape(counts, row)), s.dropout);
  for (int i = 0; i < (int)moire_config_int(config, "num_hidden_layers"); i++) x = block(g, &s, i, x);
  x = norm(g, &s, "last_layernorm", -1, x);

  moire_value last = moire_reshape(moire_slice(x, 1, s.length - 1, 1), MOIRE_SHAPE(s.b, s.width));
  moire_output(g, "logits", moire_linear(last, items, none));

  /* What came after each position, and an item that never came. */
  moire_value next = answers;
  if (s.length > 1) next = moire_concat((moire_value[]){moire_slice(ids, 1, 1, s.length - 1), answers}, 2, 1);
  moire_value other;
  if (moire_config_bool(config, "negatives_given")) {
    other = moire_input(g, "negatives", MOIRE_I32, each);
  } else {
    moire_value seen = moire_concat((moire_value[]){ids, answers}, 2, 1);
    other =
        moire_negative_samples(g, each, (moire_negative_options){.low = 1, .high = n_items, .exclude = seen});
  }
  moire_value good = moire_sum(moire_mul(x, moire_embedding(items, next, 0)), 2, false);
  moire_value bad = moire_sum(moire_mul(x, moire_embedding(items, other, 0)), 2, false);
  moire_value how_many = moire_sum_all(counts);
  moire_output(g, "loss", moire_add(mean_loss(good, 1, counts, how_many), mean_loss(bad, 0, counts, how_many)));
}

static const moire_config_field fields[] = {
    MOIRE_SEQUENTIAL_FIELDS,
    {"norm_first", MOIRE_CONFIG_BOOL, "true", 0, 0, NULL, "norms before the layers, not behind them"},
    {"negatives_given", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL,
     "an input `negatives` i32[B, L] rather than draws"},
};

const moire_model *moire_model_main(void);

const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = MOIRE_MODEL_ABI,
                                    .task = "sequences",
                                    .name = "sasrec",
                                    .summary =
                                        "self-attention over what came before, one negative for each item",
                                    .fields = fields,
                                    .n_fields = (int)(sizeof fields / sizeof *fields),
                                    .build = build};
  return &model;
}
