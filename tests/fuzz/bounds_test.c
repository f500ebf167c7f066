/* The judge's bounds: what rounding may do lies within, what it cannot do outside. */
#include <criterion/criterion.h>

#include "moire/graph.h"
#include "runtime/base/bf16.h"
#include "tests/support/bounds.h"
#include "tests/support/engines.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 40, DEPTH = 54 };

static moire_graph *parse(const char *text) {
  moire_error error = {0};
  moire_graph *g = moire_graph_parse(text, "test", &error);
  cr_assert(g, "%s", error.message);
  return g;
}

/* Values and bounds of the graph on what is drawn from `ranges`. */
static test_values bounds_of(const moire_graph *g, const test_feed *feed, test_precision precision) {
  test_values values;
  moire_error error = {0};
  cr_assert_eq(test_bounds_run(g, feed, 40, precision, 5, &values, &error), MOIRE_OK, "%s", error.message);
  return values;
}

static bool agrees(const test_values *want, const double *y) {
  moire__text why = {0};
  test_values got = {0};
  test_value *value = test_values_add(&got, "y", false, want->list[0].dtype, want->list[0].elements);
  memcpy(value->value, y, (size_t)value->elements * sizeof *y);
  bool good = test_values_agree(want, &got, &why);
  test_values_free(&got);
  moire__text_free(&why);
  return good;
}

static const char product[] = "graph @p inference {\n"
                              "  %1 = input {name = \"a\", dtype = f32, shape = [40,54]} : f32[40,54]\n"
                              "  %2 = input {name = \"b\", dtype = f32, shape = [54,40]} : f32[54,40]\n"
                              "  %3 = matmul(%1, %2) {bf16 = 1} : f32[40,40]\n"
                              "  output \"y\" = %3\n}\n";

/* What bf16 keeps of the operands sums up in float32: with its roundings, in any order. */
Test(bounds, sums_of_bf16_products_round) {
  moire_graph *g = parse(product);
  test_feed feed = test_feed_draw(g, NULL, 0, 1, 3);
  test_values want = bounds_of(g, &feed, TEST_FLOAT32);
  const moire__tensor *a = feed.inputs[0].tensor, *b = feed.inputs[1].tensor;
  double y[ROWS * ROWS], largest = 0;
  for (int order = 0; order < 2; order++) {
    for (int i = 0; i < ROWS * ROWS; i++) {
      float sum = 0;
      for (int s = 0; s < DEPTH; s++) {
        int k = order ? DEPTH - 1 - s : s;
        sum = (float)((double)sum +
                      moire__bf16_to_double(moire__bf16_from_double(a->re[i / ROWS * DEPTH + k])) *
                          moire__bf16_to_double(moire__bf16_from_double(b->re[k * ROWS + i % ROWS])));
      }
      y[i] = (double)sum;
      largest = fmax(largest, fabs(y[i] - want.list[0].value[i]));
    }
    cr_assert_gt(largest, 0);
    cr_assert(agrees(&want, y));
  }
  int missed = 0; /* what a tie of an operand leaves in doubt */
  for (int i = 0; i < ROWS; i++) {
    double was = y[i];
    y[i] += 200 * largest;
    missed += agrees(&want, y);
    y[i] = was;
  }
  cr_assert_lt(missed, ROWS / 4);
  test_values_free(&want);
  test_feed_free(&feed);
  moire_graph_destroy(g);
}

/* A tie in double: 0.5 + 2^-9 is summed up exactly or with a last bit more or less, and may become either. */
Test(bounds, ties_of_doubles_are_in_doubt) {
  moire_graph *g = parse("graph @t inference {\n"
                         "  %1 = input {name = \"a\", dtype = f32, shape = [1,3]} : f32[1,3]\n"
                         "  %2 = sum(%1) {axes = (1)} : f32[1,1]\n"
                         "  %3 = cast(%2) {dtype = bf16} : bf16[1,1]\n"
                         "  %4 = cast(%3) {dtype = f32} : f32[1,1]\n"
                         "  output \"y\" = %4\n}\n");
  test_feed feed = test_feed_draw(g, NULL, 0, 1, 3);
  double *a = feed.inputs[0].tensor->re;
  for (int near = 0; near < 2; near++) {
    a[0] = 0.25, a[1] = 0.25, a[2] = near ? 0x1p-9 + 0x1p-20 : 0x1p-9;
    double below = 0.5, above = 0.5 + 0x1p-8, beyond = 0.5 + 0x1p-6;
    for (int precision = TEST_FLOAT32; precision <= TEST_DOUBLE; precision++) {
      bool in_doubt = !near || precision == TEST_FLOAT32;
      test_values want = bounds_of(g, &feed, (test_precision)precision);
      cr_assert(agrees(&want, &above) || in_doubt);
      cr_assert_eq(agrees(&want, &below), in_doubt, "near %d, precision %d", near, precision);
      cr_assert(in_doubt || !agrees(&want, &beyond));
      test_values_free(&want);
    }
  }
  test_feed_free(&feed);
  moire_graph_destroy(g);
}

/* Of two candidates that rounding cannot tell apart, the smaller one may be as far off as either. */
static void check_bend(const char *line) {
  char text[400];
  snprintf(text, sizeof text,
           "graph @m inference {\n"
           "  %%1 = input {name = \"a\", dtype = f32, shape = [8,2]} : f32[8,2]\n"
           "  %%2 = exp(%%1) : f32[8,2]\n"
           "  %%3 = slice(%%2) {axis = 1, start = 0, length = 1} : f32[8,1]\n"
           "  %%4 = slice(%%2) {axis = 1, start = 1, length = 1} : f32[8,1]\n"
           "  %%5 = %s : f32[8,1]\n"
           "  output \"y\" = %%5\n}\n",
           line);
  moire_graph *g = parse(text);
  test_feed feed = test_feed_draw(g, NULL, 0, 1, 3);
  for (int i = 0; i < 8; i++)
    feed.inputs[0].tensor->re[2 * i + 1] = feed.inputs[0].tensor->re[2 * i] + i * 2e-8;
  test_values want = bounds_of(g, &feed, TEST_FLOAT32);
  double y[8];
  for (int i = 0; i < 8; i++) y[i] = want.list[0].value[i] * (1 + (i % 2 ? 0x1p-22 : -0x1p-22));
  cr_assert(agrees(&want, y), "%s", line);
  y[3] = want.list[0].value[3] * (1 + 0x1p-16);
  cr_assert_not(agrees(&want, y), "%s", line);
  y[3] = want.list[0].value[3] * (1 - 0x1p-16);
  cr_assert_not(agrees(&want, y), "%s", line);
  test_values_free(&want);
  test_feed_free(&feed);
  moire_graph_destroy(g);
}

Test(bounds, bends_hide_nothing) {
  check_bend("max_of(%3, %4)");
  check_bend("min_of(%3, %4)");
  check_bend("reduce_max(%2) {axes = (1)}");
}
