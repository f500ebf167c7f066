/* Convolutions against the sum over all taps in double, at every stage of the compiler and in native code, and
 * their gradients against differences; and what is said where operands do not fit. */
#include <criterion/criterion.h>

#include "compiler/ir/graph/graph.h"
#include "tests/support/call_case.h"

#include <complex.h>
#include <math.h>
#include <stdio.h>

enum { B = 2 };
typedef double complex wave;

typedef struct convolution {
  const char *name;
  int axes;
  int64_t c, size[2], out, taps[2], stride[2], padding[2], dilation[2], groups; /* of one axis: the second */
  bool x_complex, w_complex, bias, named;
  bool transposed;
  int64_t output_padding[2];
} convolution;

static const convolution cases[] = {
    {"plain", 1, 3, {1, 7}, 4, {1, 3}, {1, 1}, {0, 0}, {1, 1}, 1, .bias = true},
    {"stride 2", 1, 3, {1, 8}, 2, {1, 3}, {1, 2}, {0, 1}, {1, 1}, 1, .bias = true},
    {"stride 3 beyond the kernel", 1, 2, {1, 11}, 2, {1, 2}, {1, 3}, {0, 2}, {1, 1}, 1, .bias = false},
    {"dilation 3", 1, 2, {1, 9}, 3, {1, 3}, {1, 1}, {0, 2}, {1, 3}, 1, .bias = true},
    {"dilation 2 stride 2", 1, 2, {1, 10}, 3, {1, 4}, {1, 2}, {0, 3}, {1, 2}, 1, .bias = false},
    {"kernel 1", 1, 3, {1, 5}, 4, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1, .bias = true},
    {"kernel 1 stride 2", 1, 3, {1, 6}, 4, {1, 1}, {1, 2}, {0, 1}, {1, 1}, 1, .bias = false},
    {"length of the kernel", 1, 3, {1, 5}, 4, {1, 5}, {1, 2}, {0, 0}, {1, 1}, 1, .bias = true},
    {"padding of the kernel", 1, 1, {1, 1}, 2, {1, 3}, {1, 1}, {0, 2}, {1, 1}, 1, .bias = true},
    {"patches", 1, 3, {1, 7}, 4, {1, 3}, {1, 3}, {0, 1}, {1, 1}, 1, .bias = true},
    {"patches with a rest", 1, 3, {1, 8}, 4, {1, 3}, {1, 3}, {0, 0}, {1, 1}, 1, .bias = false},
    {"groups", 1, 6, {1, 7}, 4, {1, 3}, {1, 2}, {0, 1}, {1, 2}, 2, .bias = true},
    {"depthwise", 1, 3, {1, 6}, 6, {1, 3}, {1, 1}, {0, 1}, {1, 1}, 3, .bias = false},
    {"complex", 1, 3, {1, 7}, 4, {1, 3}, {1, 1}, {0, 1}, {1, 2}, 1, true, true, .bias = true},
    {"complex weights, groups", 1, 4, {1, 6}, 4, {1, 3}, {1, 2}, {0, 1}, {1, 1}, 2, false, true, .bias = true},
    {"complex signal", 1, 4, {1, 6}, 3, {1, 2}, {1, 1}, {0, 1}, {1, 1}, 1, true, false, .bias = true},
    {"named batch", 1, 4, {1, 7}, 4, {1, 3}, {1, 2}, {0, 1}, {1, 1}, 2, .bias = true, .named = true},
    {"named batch, complex", 1, 2, {1, 7}, 3, {1, 3}, {1, 1}, {0, 1}, {1, 1}, 1, true, true, .named = true},
    {"2-d", 2, 2, {5, 6}, 3, {3, 2}, {1, 1}, {0, 0}, {1, 1}, 1, .bias = true},
    {"2-d, all at once", 2, 4, {6, 7}, 2, {2, 3}, {2, 3}, {1, 2}, {3, 2}, 2, .bias = true},
    {"2-d patches", 2, 2, {4, 7}, 3, {2, 3}, {2, 3}, {0, 1}, {1, 1}, 1, .bias = false},
    {"2-d kernel 1", 2, 2, {3, 4}, 3, {1, 1}, {1, 2}, {0, 0}, {1, 1}, 1, .bias = true},
    {"2-d, complex", 2, 2, {4, 5}, 3, {3, 3}, {1, 2}, {1, 1}, {1, 1}, 1, true, true, .bias = true},
    {"transposed", 1, 3, {1, 5}, 4, {1, 3}, {1, 1}, {0, 0}, {1, 1}, 1, .bias = true, .transposed = true},
    {"transposed, stride 2",
     1,
     2,
     {1, 5},
     3,
     {1, 3},
     {1, 2},
     {0, 1},
     {1, 1},
     1,
     .transposed = true,
     .output_padding = {0, 1}},
    {"transposed, dilation 3",
     1,
     4,
     {1, 4},
     6,
     {1, 2},
     {1, 2},
     {0, 1},
     {1, 3},
     2,
     .bias = true,
     .transposed = true,
     .output_padding = {0, 2}},
    {"transposed, side by side",
     1,
     3,
     {1, 4},
     2,
     {1, 3},
     {1, 3},
     {0, 1},
     {1, 1},
     1,
     .transposed = true,
     .output_padding = {0, 2}},
    {"transposed, gaps",
     1,
     3,
     {1, 4},
     2,
     {1, 2},
     {1, 4},
     {0, 0},
     {1, 1},
     1,
     .bias = true,
     .transposed = true,
     .output_padding = {0, 3}},
    {"transposed, complex",
     1,
     2,
     {1, 5},
     3,
     {1, 3},
     {1, 2},
     {0, 1},
     {1, 2},
     1,
     true,
     true,
     .bias = true,
     .transposed = true},
    {"transposed, named batch",
     1,
     4,
     {1, 5},
     4,
     {1, 1},
     {1, 2},
     {0, 0},
     {1, 1},
     2,
     .bias = true,
     .named = true,
     .transposed = true},
    {"transposed, wide",
     1,
     9,
     {1, 21},
     17,
     {1, 5},
     {1, 2},
     {0, 1},
     {1, 1},
     1,
     .bias = true,
     .transposed = true},
    {"transposed, more phases than taps",
     1,
     3,
     {1, 6},
     8,
     {1, 2},
     {1, 3},
     {0, 0},
     {1, 2},
     1,
     .transposed = true},
    {"transposed, complex, long",
     1,
     16,
     {1, 20},
     16,
     {1, 9},
     {1, 1},
     {0, 4},
     {1, 1},
     1,
     true,
     true,
     .transposed = true},
    {"transposed 2-d",
     2,
     3,
     {3, 4},
     2,
     {3, 2},
     {2, 1},
     {1, 0},
     {1, 2},
     1,
     .bias = true,
     .transposed = true,
     .output_padding = {1, 0}},
    {"transposed 2-d, wide",
     2,
     8,
     {4, 5},
     10,
     {4, 3},
     {2, 2},
     {1, 1},
     {1, 1},
     1,
     .bias = true,
     .transposed = true,
     .output_padding = {1, 1}},
    {"transposed 2-d, groups",
     2,
     4,
     {3, 4},
     16,
     {3, 3},
     {2, 3},
     {0, 1},
     {1, 1},
     2,
     .transposed = true,
     .output_padding = {0, 2}},
    {"transposed 2-d, side by side", 2, 3, {2, 4}, 2, {2, 3}, {2, 3}, {0, 1}, {1, 1}, 1, .transposed = true},
    {"transposed 2-d, complex",
     2,
     2,
     {3, 4},
     8,
     {2, 3},
     {1, 2},
     {0, 1},
     {2, 1},
     1,
     true,
     true,
     .transposed = true},
    {"wide", 1, 5, {1, 40}, 19, {1, 3}, {1, 1}, {0, 1}, {1, 1}, 1, .bias = true, .named = true},
    {"wide, stride 2, dilation 3", 1, 5, {1, 40}, 16, {1, 3}, {1, 2}, {0, 4}, {1, 3}, 1, .bias = true},
    {"many taps", 1, 2, {1, 50}, 8, {1, 20}, {1, 1}, {0, 7}, {1, 1}, 1, .named = true},
    {"wide 2-d", 2, 4, {9, 17}, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, .bias = true},
    {"wide 2-d, strides, groups", 2, 6, {9, 16}, 16, {3, 2}, {2, 3}, {1, 2}, {1, 2}, 2, .bias = true},
    {"wide 2-d, complex", 2, 3, {5, 7}, 8, {3, 3}, {2, 1}, {1, 1}, {1, 1}, 1, true, true, .bias = true},
    {"spectral", 1, 16, {1, 48}, 16, {1, 9}, {1, 1}, {0, 4}, {1, 1}, 1, true, true, .bias = true},
    {"spectral, named batch",
     1,
     16,
     {1, 30},
     17,
     {1, 12},
     {1, 1},
     {0, 11},
     {1, 1},
     1,
     true,
     true,
     .named = true},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- the model ------------------------------------------------------------------------------------------- */

static moire_shape shape_of(int axes, moire_dim a, moire_dim b, const int64_t *c) {
  return axes == 1 ? MOIRE_SHAPE(a, b, c[1]) : MOIRE_SHAPE(a, b, c[0], c[1]);
}

static moire_value operand(moire_graph *g, const char *name, moire_shape shape, bool is_complex) {
  return is_complex ? moire_complex_parameter(g, name, shape, moire_init_constant(0))
                    : moire_parameter(g, name, shape, moire_init_constant(0));
}

static moire_value weighted(moire_value y, double by) {
  moire_value i = moire_cast(moire_iota(y.graph, moire_value_shape(y), -1), MOIRE_F32);
  return moire_sum_all(moire_mul(y, moire_add_scalar(moire_scale(i, by), 0.3)));
}

static moire_value call(const convolution *c, moire_value x, moire_value w, moire_value bias) {
  if (c->transposed && c->axes == 2)
    return moire_conv_transpose2d(x, w, bias, c->stride, c->padding, c->output_padding, c->groups, c->dilation);
  if (c->transposed)
    return moire_conv_transpose1d(x, w, bias, c->stride[1], c->padding[1], c->output_padding[1], c->groups,
                                  c->dilation[1]);
  if (c->axes == 2) return moire_conv2d(x, w, bias, c->stride, c->padding, c->dilation, c->groups);
  return moire_conv1d(x, w, bias, c->stride[1], c->padding[1], c->dilation[1], c->groups);
}

static moire_graph *build(const convolution *c) {
  moire_graph *g = moire_graph_create("convolution", MOIRE_TRAINING);
  moire_value x = operand(g, "x", shape_of(c->axes, c->named ? 1 : B, c->c, c->size), c->x_complex);
  if (c->named) { /* the same signal for all samples, and an input */
    x = moire_add(x, moire_input(g, "more", MOIRE_F32, shape_of(c->axes, moire_extent(g, "B"), c->c, c->size)));
  }
  moire_shape taps = c->transposed ? shape_of(c->axes, c->c, c->out / c->groups, c->taps)
                                   : shape_of(c->axes, c->out, c->c / c->groups, c->taps);
  moire_value w = operand(g, "w", taps, c->w_complex);
  moire_value bias = {0};
  if (c->bias) bias = operand(g, "bias", MOIRE_SHAPE(c->out), c->x_complex && c->w_complex);
  moire_value y = call(c, x, w, bias);
  moire_output(g, "y", y);
  if (moire_value_dtype(y) == MOIRE_C64) {
    moire_output(g, "loss", moire_add(weighted(moire_real(y), 0.7), weighted(moire_imag(y), -0.4)));
  } else {
    moire_output(g, "loss", weighted(y, 0.7));
  }
  return g;
}

/* ---- what it should give --------------------------------------------------------------------------------- */

static wave element(const test_feed *feed, const char *name, bool is_complex, int64_t i) {
  if (!is_complex) return test_feed_find(feed, name)->re[i];
  char plane[32];
  snprintf(plane, sizeof plane, "%s.real", name);
  double re = test_feed_find(feed, plane)->re[i];
  snprintf(plane, sizeof plane, "%s.imag", name);
  return re + test_feed_find(feed, plane)->re[i] * (wave)I;
}

static int64_t places(const convolution *c, int axis) {
  if (c->transposed)
    return (c->size[axis] - 1) * c->stride[axis] - 2 * c->padding[axis] +
           c->dilation[axis] * (c->taps[axis] - 1) + c->output_padding[axis] + 1;
  return (c->size[axis] + 2 * c->padding[axis] - c->dilation[axis] * (c->taps[axis] - 1) - 1) /
             c->stride[axis] +
         1;
}

static wave signal(const convolution *c, const test_feed *feed, int64_t b, int64_t channel, int64_t i,
                   int64_t j) {
  if (i < 0 || i >= c->size[0] || j < 0 || j >= c->size[1]) return 0;
  int64_t at = (channel * c->size[0] + i) * c->size[1] + j, sample = c->c * c->size[0] * c->size[1];
  if (!c->named) return element(feed, "x", c->x_complex, b * sample + at);
  return element(feed, "x", c->x_complex, at) + test_feed_find(feed, "more")->re[b * sample + at];
}

static wave wanted(const convolution *c, const test_feed *feed, int64_t b, int64_t o, int64_t i, int64_t j) {
  const int64_t in = c->c / c->groups, group = o / (c->out / c->groups);
  wave y = c->bias ? element(feed, "bias", c->x_complex && c->w_complex, o) : 0;
  for (int64_t k = 0; k < in; k++)
    for (int64_t r = 0; r < c->taps[0]; r++)
      for (int64_t s = 0; s < c->taps[1]; s++) {
        wave w = element(feed, "w", c->w_complex, ((o * in + k) * c->taps[0] + r) * c->taps[1] + s);
        y += w * signal(c, feed, b, group * in + k, i * c->stride[0] - c->padding[0] + r * c->dilation[0],
                        j * c->stride[1] - c->padding[1] + s * c->dilation[1]);
      }
  return y;
}

/* Does tap r of place t go to `to`? Place t gives w[r] x[t] to t stride + r dilation - padding. */
static bool goes_to(const convolution *c, int axis, int64_t t, int64_t r, int64_t to) {
  return t * c->stride[axis] + r * c->dilation[axis] - c->padding[axis] == to;
}

/* The channel at hand gives to one place. */
static wave from_channel(const convolution *c, const test_feed *feed, int64_t b, int64_t k, int64_t w_at,
                         const int64_t to[2]) {
  wave y = 0;
  for (int64_t t = 0; t < c->size[0] * c->size[1]; t++)
    for (int64_t r = 0; r < c->taps[0] * c->taps[1]; r++) {
      const int64_t row = t / c->size[1], column = t % c->size[1];
      if (!goes_to(c, 0, row, r / c->taps[1], to[0]) || !goes_to(c, 1, column, r % c->taps[1], to[1])) continue;
      y += element(feed, "w", c->w_complex, w_at + r) * signal(c, feed, b, k, row, column);
    }
  return y;
}

static wave wanted_transposed(const convolution *c, const test_feed *feed, int64_t b, int64_t o, int64_t i,
                              int64_t j) {
  const int64_t in = c->c / c->groups, out = c->out / c->groups, group = o / out;
  wave y = c->bias ? element(feed, "bias", c->x_complex && c->w_complex, o) : 0;
  for (int64_t k = group * in; k < (group + 1) * in; k++)
    y += from_channel(c, feed, b, k, (k * out + o % out) * c->taps[0] * c->taps[1], (const int64_t[]){i, j});
  return y;
}

static bool has_wanted_value(const void *context, const test_subject *s, const test_feed *feed,
                             moire__text *why) {
  const convolution *c = context;
  test_values values;
  moire_error error = {0};
  bool good = test_run_graph(s->stages[0], feed, &values, &error) == MOIRE_OK;
  if (!good) moire__text_add(why, "%s", error.message);
  static const char *const planes[] = {"y", "y.real", "y.imag"};
  const int64_t rows = places(c, 0), columns = places(c, 1), all = B * c->out * rows * columns;
  const bool is_complex = c->x_complex || c->w_complex;
  for (int n = is_complex; n < (is_complex ? 3 : 1) && good; n++) {
    const test_value *y = test_values_find(&values, planes[n], false);
    good = y && y->elements == all;
    if (!good)
      moire__text_add(why, "%s has %d elements, wanted %d", planes[n], y ? (int)y->elements : 0, (int)all);
    for (int64_t i = 0; good && i < all; i++) {
      int64_t j = i % columns, row = i / columns % rows, o = i / (columns * rows) % c->out;
      const int64_t b = i / (columns * rows * c->out);
      wave want = c->transposed ? wanted_transposed(c, feed, b, o, row, j) : wanted(c, feed, b, o, row, j);
      double plane = n == 2 ? cimag(want) : creal(want);
      good = fabs(y->value[i] - plane) <= 1e-12 * (1 + fabs(plane));
      if (!good) moire__text_add(why, "%s[%d] is %.12g, wanted %.12g", planes[n], (int)i, y->value[i], plane);
    }
  }
  test_values_free(&values);
  return good;
}

Test(convolution, values_and_gradients, .timeout = 280) {
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++) {
    moire__text why = {0};
    bool good = test_call_agrees(build(&cases[i]), B, has_wanted_value, &cases[i], &pools, &why);
    cr_expect(good, "%s: %s", cases[i].name, moire__text_string(&why));
    moire__text_free(&why);
  }
  test_pools_free(&pools);
}

/* ---- mistakes -------------------------------------------------------------------------------------------- */

typedef struct mistake {
  const char *message;
  int64_t c, length, out, in, taps, stride, padding, dilation, groups, bias;
} mistake;

static const mistake mistakes[] = {
    {"conv1d: wanted x with 4 channels: x is f32[B,3,8], w is f32[6,4,3]", 3, 8, 6, 4, 3, 1, 0, 1, 1, 0},
    {"conv1d: the channels do not divide into 4 groups: x is f32[B,4,8], w is f32[6,1,3]", 4, 8, 6, 1, 3, 1, 0,
     1, 4, 0},
    {"conv1d: the channels do not divide into 0 groups: x is f32[B,4,8], w is f32[6,4,3]", 4, 8, 6, 4, 3, 1, 0,
     1, 0, 0},
    {"conv1d: the kernel reaches over 7 of axis 2, which is 6 with padding: x is f32[B,4,4]", 4, 4, 6, 4, 3, 1,
     1, 3, 1, 0},
    {"conv1d: kernel 3, stride 0, padding 0, dilation 1, wanted at least 1, 1, 0, 1 and no more than "
     "2147483647: "
     "x is f32[B,4,8]",
     4, 8, 6, 4, 3, 0, 0, 1, 1, 0},
    {"conv1d: wanted a bias of [6]: w is f32[6,4,3], bias is f32[5]", 4, 8, 6, 4, 3, 1, 0, 1, 1, 5},
};

Test(convolution, says_what_does_not_fit) {
  for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
    const mistake *m = &mistakes[i];
    moire_graph *g = moire_graph_create("mistake", MOIRE_TRAINING);
    moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), m->c, m->length));
    moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(m->out, m->in, m->taps), moire_init_constant(0));
    moire_value bias = {0};
    if (m->bias) bias = moire_parameter(g, "bias", MOIRE_SHAPE(m->bias), moire_init_constant(0));
    moire_value y =
        moire_conv1d_at((moire_source){"m.c", 1}, x, w, bias, m->stride, m->padding, m->dilation, m->groups);
    cr_expect(moire_value_is_null(y));
    char wanted_message[256];
    snprintf(wanted_message, sizeof wanted_message, "%s (m.c:1)", m->message);
    moire_error error = {0};
    cr_expect_eq(moire_graph_status(g, &error), MOIRE_ERROR_SHAPE);
    cr_expect_str_eq(error.message, wanted_message);
    moire_graph_destroy(g);
  }
}

Test(convolution, says_what_transposed_does_not_fit) {
  moire_graph *g = moire_graph_create("mistake", MOIRE_TRAINING);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 4, 8));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(4, 6, 3), moire_init_constant(0));
  moire_conv_transpose1d_at((moire_source){"m.c", 1}, x, w, (moire_value){0}, 2, 0, 2, 1, 1);
  moire_error error = {0};
  cr_expect_eq(moire_graph_status(g, &error), MOIRE_ERROR_SHAPE);
  cr_expect_str_eq(
      error.message,
      "conv_transpose1d: stride 2, padding 0, output_padding 2, dilation 1, wanted at least 1, 0, 0, 1, "
      "and output_padding below stride or dilation: x is f32[B,4,8], w is f32[4,6,3] (m.c:1)");
  moire_graph_destroy(g);
}
