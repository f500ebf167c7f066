/* Values of which any number of slices is read, in training: side by side, with gaps, overlapping, twice, along
 * two axes; and what any number of parts is put together to. */
#include <criterion/criterion.h>

#include "compiler/ir/graph/graph.h"
#include "tests/support/slope.h"

#include <stdlib.h>
#include <string.h>

enum { COMPLEX = 1, TWICE = 2, BOTH_AXES = 4 };

typedef struct slicing {
  int n, length, step; /* n slices of this length, each `step` behind the one before */
  unsigned how;
} slicing;

static const slicing cases[] = {
    {9, 1, 1, 0},      {64, 1, 1, 0},         {65, 1, 1, 0},   {80, 2, 2, 0}, {81, 1, 1, 0},
    {200, 1, 1, 0},    {70, 1, 2, 0},         {70, 2, 5, 0},   {66, 3, 1, 0}, {130, 2, 1, COMPLEX},
    {90, 1, 3, TWICE}, {70, 1, 1, BOTH_AXES}, {4200, 1, 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases, WIDTH = 9 };

static moire_value parameter(moire_graph *g, const char *name, moire_shape shape) {
  return moire_parameter(g, name, shape, moire_init_constant(0.5));
}

/* |slice|^2 (i + 1) of every slice, in order and, if twice, once more backwards. */
static moire_graph *build(const slicing *c) {
  moire_graph *g = moire_graph_create("slices", MOIRE_TRAINING);
  int rows = (c->n - 1) * c->step + c->length + 2, most = c->how & TWICE ? 2 * c->n : c->n;
  moire_shape shape = MOIRE_SHAPE(rows, WIDTH);
  moire_value x = parameter(g, "x", shape), *parts = calloc((size_t)most + WIDTH, sizeof *parts);
  if (c->how & COMPLEX) {
    moire_value im = parameter(g, "im", shape);
    x = moire_complex(x, im);
  }
  x = moire_scale(x, 1.5);
  for (int i = 0; i < most; i++) {
    int at = i < c->n ? i : most - 1 - i;
    moire_value part = moire_slice(x, 0, at * c->step + 1, c->length);
    part = c->how & COMPLEX ? moire_abs2(part) : moire_mul(part, part);
    parts[i] = moire_scale(part, 1 + i % 7);
  }
  moire_value y = moire_concat(parts, most, 0), loss = moire_sum_all(y);
  for (int i = 0; i < WIDTH && (c->how & BOTH_AXES); i++) {
    moire_value column = moire_slice(x, 1, i, 1);
    loss = moire_add(loss, moire_sum_all(moire_scale(moire_mul(column, column), i)));
  }
  moire_output(g, "y", y);
  moire_output(g, "loss", loss);
  free(parts);
  return g;
}

static void check(const slicing *c, const test_pools *pools) {
  static const test_way ways[] = {{.target = "host"}};
  static const char *const outputs[] = {"y", "loss"};
  moire_graph *g = build(c);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  moire__text why = {0};
  test_subject s;
  bool good = test_subject_make(&s, g, &options, ways, 1, &why);
  test_feed feed = test_feed_draw(s.stages[s.reference], NULL, 0, 1, 5);
  unsigned checks = c->n > 100 ? TEST_CHECK_NATIVE : TEST_CHECK_ALL;
  good = good && test_subject_judge(&s, &feed, checks, pools, 3, &why) && test_slope_agrees(&s, &feed, 3, &why);
  cr_assert(good, "%d slices of %d, each %d: %s", c->n, c->length, c->step, moire__text_string(&why));
  test_feed_free(&feed);
  test_subject_free(&s);
  moire__text_free(&why);
  moire_graph_destroy(g);
}

Test(slices, gradients) {
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++) check(&cases[i], &pools);
  test_pools_free(&pools);
}

/* Side by side they are copied into place once: nothing is as large as the whole but the sum of both walks. */
Test(slices, nothing_is_padded) {
  moire_graph *g = build(&(slicing){200, 1, 1, TWICE});
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  moire_error error = {0};
  char *text = moire_compile_print(g, &options, "fuse", &error);
  cr_assert_not_null(text, "%s", error.message);
  cr_assert_null(strstr(text, "pad("));
  int sums = 0;
  for (const char *at = strstr(text, "add("); at; at = strstr(at + 1, "add("))
    sums += !!strstr(at, "f32[202,9]");
  cr_assert_gt(sums, 0);
  free(text);
  moire_graph_destroy(g);
}
