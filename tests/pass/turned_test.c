/* Copies that exchange axes (compiler/pass/plan/lower_turned.c) hold what the reference does, for vectors of
 * any length: whole squares and what fills none, a named extent, one matrix, slices, what is computed before
 * and padded after. */
#include <criterion/criterion.h>

#include "moire/graph.h"
#include "tests/support/judge.h"

#include <string.h>

typedef struct exchange {
  moire_shape shape; /* 0: the named extent */
  int axes[4];
  bool computes, pads, slices;
} exchange;

static const exchange cases[] = {
    {{2, {64, 48}}, {1, 0}, false, false, false},
    {{3, {0, 37, 50}}, {0, 2, 1}, false, false, false},
    {{3, {0, 16, 130}}, {0, 2, 1}, true, false, false},
    {{3, {3, 33, 17}}, {2, 1, 0}, false, false, false},
    {{4, {2, 20, 0, 35}}, {2, 0, 3, 1}, false, false, false},
    {{4, {0, 19, 3, 21}}, {0, 3, 2, 1}, true, false, false},
    {{3, {0, 18, 40}}, {0, 2, 1}, true, true, false},
    {{3, {0, 40, 24}}, {0, 2, 1}, false, false, true},
    {{3, {0, 5, 7}}, {0, 2, 1}, true, true, true},
};

static moire_graph *build(const exchange *c) {
  moire_graph *g = moire_graph_create("exchange", MOIRE_INFERENCE);
  moire_shape shape = c->shape;
  for (int d = 0; d < shape.rank; d++)
    if (!shape.dims[d]) shape.dims[d] = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, shape);
  if (c->slices) x = moire_slice(x, shape.rank - 1, 1, moire_value_dim(x, shape.rank - 1) - 2);
  if (c->computes) x = moire_exp(x);
  x = moire_permute(x, shape.rank, c->axes);
  if (c->pads) x = moire_pad(x, shape.rank - 2, 2, 1);
  moire_output(g, "y", x);
  return g;
}

Test(turned, copies) {
  static const test_way ways[] = {{.target = "x86-64-v4"}, {.target = "x86-64-v3"}, {.target = "generic"}};
  test_pools pools = test_pools_make();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire_graph *g = build(&cases[i]);
    moire_compile_options options = moire_compile_defaults();
    options.outputs = (const char *[]){"y"};
    options.n_outputs = 1;
    moire__text why = {0};
    test_subject s;
    bool good = test_subject_make(&s, g, &options, ways, 3, &why);
    for (int64_t size = 1; size <= 5 && good; size += 4) {
      test_feed feed = test_feed_draw(g, NULL, 0, size, 7);
      good = test_subject_judge(&s, &feed, TEST_CHECK_ALL, &pools, 11, &why);
      test_feed_free(&feed);
    }
    cr_assert(good, "case %zu: %s", i, moire__text_string(&why));
    test_subject_free(&s);
    moire__text_free(&why);
    moire_graph_destroy(g);
  }
  test_pools_free(&pools);
}
