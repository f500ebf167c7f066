/* Pooling against the mean or maximum of every window, at every stage of the compiler and in native code, and
 * its gradients against differences; whom equals send the gradient to; and what is said of what does not fit.
 */
#include <criterion/criterion.h>

#include "compiler/ir/graph/graph.h"
#include "tests/support/call_case.h"

#include <math.h>
#include <stdio.h>

enum { B = 2, C = 3 };

typedef struct pooling {
  const char *name;
  int axes;
  bool max;
  int64_t size[2], kernel[2], stride[2], padding[2]; /* of one axis: the second */
  bool named;
} pooling;

static const pooling cases[] = {
    {"mean", 1, false, {1, 8}, {1, 2}, {1, 2}, {0, 0}, false},
    {"mean of overlapping windows", 1, false, {1, 9}, {1, 3}, {1, 2}, {0, 1}, false},
    {"mean, padding in every window", 1, false, {1, 5}, {1, 4}, {1, 3}, {0, 2}, false},
    {"mean of all", 1, false, {1, 7}, {1, 7}, {1, 1}, {0, 0}, true},
    {"mean of one", 1, false, {1, 5}, {1, 1}, {1, 2}, {0, 0}, false},
    {"maximum", 1, true, {1, 8}, {1, 2}, {1, 2}, {0, 0}, true},
    {"maximum of overlapping windows", 1, true, {1, 9}, {1, 3}, {1, 2}, {0, 1}, false},
    {"maximum with gaps", 1, true, {1, 9}, {1, 2}, {1, 3}, {0, 1}, false},
    {"maximum of all", 1, true, {1, 7}, {1, 7}, {1, 1}, {0, 0}, false},
    {"2-d mean", 2, false, {4, 7}, {2, 3}, {2, 3}, {0, 1}, false},
    {"2-d mean of overlapping windows", 2, false, {5, 6}, {3, 2}, {2, 1}, {1, 1}, true},
    {"2-d maximum", 2, true, {4, 6}, {2, 2}, {2, 2}, {0, 0}, false},
    {"2-d maximum of overlapping windows", 2, true, {5, 6}, {3, 3}, {2, 1}, {1, 1}, true},
};
enum { CASES = sizeof cases / sizeof *cases };

static moire_shape shape_of(const pooling *p, moire_dim batch) {
  return p->axes == 1 ? MOIRE_SHAPE(batch, C, p->size[1]) : MOIRE_SHAPE(batch, C, p->size[0], p->size[1]);
}

static moire_value pooled(const pooling *p, moire_value x) {
  if (p->axes == 2) {
    return p->max ? moire_max_pool2d(x, p->kernel, p->stride, p->padding)
                  : moire_avg_pool2d(x, p->kernel, p->stride, p->padding);
  }
  return p->max ? moire_max_pool1d(x, p->kernel[1], p->stride[1], p->padding[1])
                : moire_avg_pool1d(x, p->kernel[1], p->stride[1], p->padding[1]);
}

static moire_graph *build(const pooling *p) {
  moire_graph *g = moire_graph_create("pooling", MOIRE_TRAINING);
  moire_value x = moire_parameter(g, "x", shape_of(p, p->named ? 1 : B), moire_init_constant(0));
  if (p->named) x = moire_add(x, moire_input(g, "more", MOIRE_F32, shape_of(p, moire_extent(g, "B"))));
  moire_value y = pooled(p, x);
  moire_output(g, "y", y);
  moire_value i = moire_cast(moire_iota(g, moire_value_shape(y), -1), MOIRE_F32);
  moire_output(g, "loss", moire_sum_all(moire_mul(y, moire_add_scalar(moire_scale(i, 0.7), 0.3))));
  return g;
}

/* ---- values and gradients -------------------------------------------------------------------------------- */

static double wanted(const pooling *p, const test_feed *feed, int64_t plane, int64_t row, int64_t column) {
  const int64_t area = p->size[0] * p->size[1];
  double y = p->max ? -INFINITY : 0;
  for (int64_t r = 0; r < p->kernel[0]; r++)
    for (int64_t s = 0; s < p->kernel[1]; s++) {
      int64_t i = row * p->stride[0] - p->padding[0] + r, j = column * p->stride[1] - p->padding[1] + s;
      if (i < 0 || i >= p->size[0] || j < 0 || j >= p->size[1]) continue;
      int64_t at = plane * area + i * p->size[1] + j;
      double x = test_feed_find(feed, "x")->re[p->named ? at % (C * area) : at];
      if (p->named) x += test_feed_find(feed, "more")->re[at];
      y = p->max ? fmax(y, x) : y + x;
    }
  return p->max ? y : y / (double)(p->kernel[0] * p->kernel[1]);
}

static int64_t places(const pooling *p, int axis) {
  return (p->size[axis] + 2 * p->padding[axis] - p->kernel[axis]) / p->stride[axis] + 1;
}

static bool has_wanted_value(const void *context, const test_subject *s, const test_feed *feed,
                             moire__text *why) {
  const pooling *p = context;
  test_values values;
  moire_error error = {0};
  bool good = test_run_graph(s->stages[0], feed, &values, &error) == MOIRE_OK;
  if (!good) moire__text_add(why, "%s", error.message);
  const test_value *y = good ? test_values_find(&values, "y", false) : NULL;
  const int64_t rows = places(p, 0), columns = places(p, 1), all = B * C * rows * columns;
  good = y && y->elements == all;
  if (!good) moire__text_add(why, "y has %d elements, wanted %d", y ? (int)y->elements : 0, (int)all);
  for (int64_t i = 0; good && i < all; i++) {
    double want = wanted(p, feed, i / (columns * rows), i / columns % rows, i % columns);
    good = fabs(y->value[i] - want) <= 1e-12 * (1 + fabs(want));
    if (!good) moire__text_add(why, "y[%d] is %.12g, wanted %.12g", (int)i, y->value[i], want);
  }
  test_values_free(&values);
  return good;
}

Test(pooling, values_and_gradients, .timeout = 200) {
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++) {
    moire__text why = {0};
    bool good = test_call_agrees(build(&cases[i]), B, has_wanted_value, &cases[i], &pools, &why);
    cr_expect(good, "%s: %s", cases[i].name, moire__text_string(&why));
    moire__text_free(&why);
  }
  test_pools_free(&pools);
}

Test(pooling, the_first_of_equals_gets_the_gradient) {
  moire_graph *g = moire_graph_create("equals", MOIRE_TRAINING);
  moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(1, 1, 4, 4), moire_init_constant(1));
  moire_value y = moire_max_pool2d(x, (const int64_t[]){2, 2}, NULL, NULL);
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_sum_all(y));
  moire__text why = {0};
  test_subject s;
  cr_assert(test_call_compile(&s, g, &why), "%s", moire__text_string(&why));
  test_feed feed = test_feed_draw(s.stages[s.reference], NULL, 0, 1, 17);
  for (int i = 0; i < 16; i++) test_feed_find(&feed, "x")->re[i] = 1;
  test_values values;
  moire_error error = {0};
  cr_assert_eq(test_run_graph(s.stages[s.reference], &feed, &values, &error), MOIRE_OK, "%s", error.message);
  const test_value *gradient = test_values_find(&values, "grad.x", false);
  cr_assert(gradient);
  for (int i = 0; i < 16; i++) cr_expect_eq(gradient->value[i], i / 4 % 2 == 0 && i % 2 == 0, "%d", i);
  test_values_free(&values);
  test_feed_free(&feed);
  test_subject_free(&s);
  moire__text_free(&why);
  moire_graph_destroy(g);
}

/* ---- mistakes -------------------------------------------------------------------------------------------- */

Test(pooling, says_what_does_not_fit) {
  static const struct {
    const char *message;
    moire_status status;
    int64_t kernel, stride, padding;
  } mistakes[] = {
      {"max_pool1d: a padding of 2 is more than half of a kernel of 3 (m.c:1)", MOIRE_ERROR_ARGUMENT, 3, 1, 2},
      {"max_pool1d: the kernel reaches over 12 of axis 2, which is 8 with padding: x is f32[B,3,8] (m.c:1)",
       MOIRE_ERROR_SHAPE, 12, 1, 0},
      {"max_pool1d: kernel 2, stride 0, padding 0, dilation 1, wanted at least 1, 1, 0, 1 and no more than "
       "2147483647: x is f32[B,3,8] (m.c:1)",
       MOIRE_ERROR_SHAPE, 2, 0, 0},
  };
  for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
    moire_graph *g = moire_graph_create("mistake", MOIRE_TRAINING);
    moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), C, 8));
    moire_value y = moire_max_pool1d_at((moire_source){"m.c", 1}, x, mistakes[i].kernel, mistakes[i].stride,
                                        mistakes[i].padding);
    cr_expect(moire_value_is_null(y));
    moire_error error = {0};
    cr_expect_eq(moire_graph_status(g, &error), mistakes[i].status);
    cr_expect_str_eq(error.message, mistakes[i].message);
    moire_graph_destroy(g);
  }
}
