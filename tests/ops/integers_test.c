/* Integers wrap around, in the interpreter as in native code. */
#include <criterion/criterion.h>

#include "tests/support/judge.h"

Test(integers, sums_differences_and_products_wrap) {
  static const char *const outputs[] = {"sum", "difference", "negative", "product"};
  static const test_way ways[] = {{.target = "host"}, {.target = "x86-64-v3"}};
  static const test_range ranges[] = {{"x", 1.5e9, 0x1p31}, {"y", -0x1p31, -1.5e9}};
  moire_graph *g = moire_graph_create("integers", MOIRE_INFERENCE);
  moire_shape shape = MOIRE_SHAPE(moire_extent(g, "B"), 5);
  moire_value x = moire_input(g, "x", MOIRE_I32, shape), y = moire_input(g, "y", MOIRE_I32, shape);
  moire_output(g, "sum", moire_add(x, x));
  moire_output(g, "difference", moire_sub(x, y));
  moire_output(g, "negative", moire_neg(moire_add(y, y)));
  moire_output(g, "product", moire_mul(x, y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 4;
  moire__text why = {0};
  test_subject s;
  cr_assert(test_subject_make(&s, g, &options, ways, 2, &why), "%s", why.data);
  test_feed feed = test_feed_draw(s.stages[s.reference], ranges, 2, 7, 1);
  test_pools pools = test_pools_make();
  cr_assert(test_subject_judge(&s, &feed, TEST_CHECK_ALL, &pools, 1, &why), "%s", why.data);
  test_pools_free(&pools);
  test_feed_free(&feed);
  test_subject_free(&s);
  moire_graph_destroy(g);
}
