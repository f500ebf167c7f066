/* QIA as PyTorch spells it. See spelled_qia.h. */
#include "tests/support/graphs/spelled_qia.h"

typedef struct planes {
  moire_value re, im;
} planes;

typedef struct spelled {
  moire_graph *g;
  const spelled_qia *shape;
  moire_dim b;
  int64_t width, length;
  moire_value ids, mask; /* mask: f32[B, 1, L, L] */
} spelled;

static const int heads_first[] = {0, 2, 1, 3};

static moire_value weight(const spelled *s, const char *name, moire_shape shape) {
  return moire_parameter(s->g, name, shape, moire_init_normal(0, 0.3));
}

static moire_value linear(const spelled *s, const char *name, moire_value x, int64_t in, int64_t out) {
  moire_scope_push(s->g, "%s", name);
  moire_value w = weight(s, "weight", MOIRE_SHAPE(out, in));
  moire_value y = moire_linear(x, w, weight(s, "bias", MOIRE_SHAPE(out)));
  moire_scope_pop(s->g);
  return y;
}

/* fc_r(x) - fc_i(y) and fc_r(y) + fc_i(x) */
static planes complex_linear(const spelled *s, const char *name, planes x, int64_t in, int64_t out) {
  moire_scope_push(s->g, "%s", name);
  planes y = {moire_sub(linear(s, "fc_r", x.re, in, out), linear(s, "fc_i", x.im, in, out)),
              moire_add(linear(s, "fc_r", x.im, in, out), linear(s, "fc_i", x.re, in, out))};
  moire_scope_pop(s->g);
  return y;
}

static moire_value norm(const spelled *s, const char *name, moire_value x) {
  moire_scope_push(s->g, "%s", name);
  moire_value gain = moire_parameter(s->g, "weight", MOIRE_SHAPE(s->width), moire_init_constant(1));
  moire_value y = moire_layer_norm(
      x, gain, moire_parameter(s->g, "bias", MOIRE_SHAPE(s->width), moire_init_constant(0)), 1e-12);
  moire_scope_pop(s->g);
  return y;
}

static moire_value dropped(const spelled *s, moire_value x) {
  return s->shape->dropout > 0 ? moire_dropout(x, s->shape->dropout) : x;
}

static moire_value embedded(const spelled *s) {
  moire_value items = weight(s, "item_embeddings.weight", MOIRE_SHAPE(s->shape->items, s->width));
  moire_value positions = weight(s, "position_embeddings.weight", MOIRE_SHAPE(s->length, s->width));
  moire_value counted = moire_cast(moire_iota(s->g, MOIRE_SHAPE(s->length), 0), MOIRE_I64);
  moire_value x = moire_add(moire_embedding(items, s->ids, 0), moire_gather(positions, counted));
  for (int i = 0; i < 2; i++) x = dropped(s, norm(s, "LayerNorm", x));
  return x;
}

/* Channels first around every filter; sums that begin at 0. */
static moire_value filtered(const spelled *s, const char *plane, moire_value x) {
  moire_value first = moire_swap_axes(x, 1, 2);
  moire_value sum = moire_constant(s->g, MOIRE_F32, MOIRE_SHAPE(s->b, s->width, s->length), 0);
  for (int i = 0; i < s->shape->n_bands; i++) {
    moire_scope_push(s->g, "state_preparator.%s.%d", plane, i);
    moire_value w = weight(s, "weight", MOIRE_SHAPE(s->width, 1, s->shape->taps[i]));
    moire_scope_pop(s->g);
    moire_value y = moire_depthwise_conv(moire_swap_axes(first, 1, 2), w, s->shape->dilations[i]);
    sum = moire_add(sum, moire_swap_axes(y, 1, 2));
  }
  return moire_swap_axes(sum, 1, 2);
}

static moire_value number(const spelled *s, moire_dtype dtype, double value) {
  return moire_constant(s->g, dtype, MOIRE_SCALAR, value);
}

/* Which ids are items: bool[B, 1, 1, L]. */
static moire_value items_of(const spelled *s) {
  moire_value zero = number(s, MOIRE_I64, 0), is = {0};
  switch (s->shape->items_are) {
    case SPELLED_MORE_THAN_ZERO: is = moire_less(zero, s->ids); break;
    case SPELLED_FROM_ONE_ON: is = moire_less_equal(number(s, MOIRE_I64, 1), s->ids); break;
    case SPELLED_OTHER_THAN_ZERO: is = moire_not(moire_equal(s->ids, zero)); break;
  }
  return moire_reshape(is, MOIRE_SHAPE(s->b, 1, 1, s->length));
}

/* (1 - seen) -10000 of numbers, or where(seen, 0, -10000) of bools. */
static moire_value mask_of(const spelled *s) {
  moire_value items = items_of(s);
  moire_value query = moire_iota(s->g, MOIRE_SHAPE(s->length, 1), 0),
              key = moire_iota(s->g, MOIRE_SHAPE(1, s->length), 1);
  moire_value causal = moire_less_equal(key, query);
  if (s->shape->mask_of_bools)
    return moire_where(moire_and(items, causal), number(s, MOIRE_F32, 0), number(s, MOIRE_F32, -10000));
  moire_value seen = moire_mul(moire_cast(items, MOIRE_F32), moire_cast(causal, MOIRE_F32));
  return moire_scale(moire_sub(number(s, MOIRE_F32, 1), seen), -10000);
}

static planes split_heads(const spelled *s, planes x) {
  moire_value of[] = {x.re, x.im};
  for (int p = 0; p < 2; p++)
    of[p] = moire_permute(
        moire_reshape(of[p], MOIRE_SHAPE(s->b, s->length, s->shape->heads, s->width / s->shape->heads)), 4,
        heads_first);
  return (planes){of[0], of[1]};
}

static moire_value weighed(const spelled *s, moire_value shares, moire_value v) {
  return moire_reshape(moire_permute(moire_matmul(shares, v), 4, heads_first),
                       MOIRE_SHAPE(s->b, s->length, s->width));
}

static planes attend(const spelled *s, planes x) {
  moire_scope_push(s->g, "attn");
  planes q = split_heads(s, complex_linear(s, "q_proj", x, s->width, s->width));
  planes k = split_heads(s, complex_linear(s, "k_proj", x, s->width, s->width));
  planes v = split_heads(s, complex_linear(s, "v_proj", x, s->width, s->width));
  moire_value re = moire_add(moire_matmul(q.re, moire_swap_axes(k.re, -1, -2)),
                             moire_matmul(q.im, moire_swap_axes(k.im, -1, -2)));
  moire_value im = moire_sub(moire_matmul(q.im, moire_swap_axes(k.re, -1, -2)),
                             moire_matmul(q.re, moire_swap_axes(k.im, -1, -2)));
  moire_value scores =
      moire_scale(moire_add(moire_mul(re, re), moire_mul(im, im)), (double)s->shape->heads / (double)s->width);
  moire_value shares = dropped(s, moire_softmax(moire_add(scores, s->mask)));
  planes state = {weighed(s, shares, v.re), weighed(s, shares, v.im)};
  planes out = complex_linear(s, "out_proj", state, s->width, s->width);
  moire_scope_pop(s->g);
  return (planes){dropped(s, out.re), dropped(s, out.im)};
}

static planes feed_forward(const spelled *s, planes x) {
  moire_scope_push(s->g, "ffn");
  planes h = complex_linear(s, "fc1", x, s->width, s->shape->inner);
  planes out =
      complex_linear(s, "fc2", (planes){moire_gelu(h.re), moire_gelu(h.im)}, s->shape->inner, s->width);
  moire_scope_pop(s->g);
  return (planes){dropped(s, out.re), dropped(s, out.im)};
}

static planes add_and_norm(const spelled *s, const char *name, planes x, planes y) {
  moire_scope_push(s->g, "%s", name);
  planes z = {norm(s, "ln_r", moire_add(x.re, y.re)), norm(s, "ln_i", moire_add(x.im, y.im))};
  moire_scope_pop(s->g);
  return z;
}

moire_graph *spelled_qia_build(const spelled_qia *shape) {
  spelled s = {.g = moire_graph_create("qia", MOIRE_TRAINING),
               .shape = shape,
               .width = shape->width,
               .length = shape->length};
  s.b = moire_extent(s.g, "B");
  s.ids = moire_input(s.g, "input_ids", MOIRE_I64, MOIRE_SHAPE(s.b, s.length));
  moire_value answers = moire_input(s.g, "answers", MOIRE_I32, MOIRE_SHAPE(s.b)), x = embedded(&s);
  planes psi = {filtered(&s, "real_convs", x), filtered(&s, "imag_convs", x)};
  s.mask = mask_of(&s);
  for (int i = 0; i < shape->layers; i++) {
    moire_scope_push(s.g, "layers.%d", i);
    psi = add_and_norm(&s, "ln1", psi, attend(&s, psi));
    psi = add_and_norm(&s, "ln2", psi, feed_forward(&s, psi));
    moire_scope_pop(s.g);
  }
  moire_value size = moire_add(moire_mul(psi.re, psi.re), moire_mul(psi.im, psi.im));
  moire_value amplitude = moire_sqrt(moire_add_scalar(size, 1e-8));
  moire_value y = linear(&s, "collapse_proj", amplitude, s.width, s.width);
  y = moire_reshape(moire_slice(y, 1, s.length - 1, 1), MOIRE_SHAPE(s.b, s.width));
  moire_value items = weight(&s, "item_embeddings.weight", MOIRE_SHAPE(shape->items, s.width));
  moire_value logits = moire_matmul(y, moire_swap_axes(items, 0, 1));
  moire_output(s.g, "loss", moire_mean_all(moire_cross_entropy(logits, answers)));
  return s.g;
}
