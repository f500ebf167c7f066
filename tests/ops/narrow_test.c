/* Products whose operands are bf16: every way to compute them means what the reference does.
 *
 * Odd extents, one row or column, nothing to sum up, sums that come in parts, blocks with a rest, leading axes,
 * all flags, operands that are stored as bf16. Native code of each target is held against bounds of float32, so
 * that targets with and without instructions for bf16 agree; loop nests are interpreted; 1, 2 and 3 threads
 * give the same bits.
 */
#include <criterion/criterion.h>

#include "tests/support/judge.h"
#include "tests/support/product_case.h"

#include <math.h>

#include <string.h>

static const test_product cases[] = {
    {1, 0, 7, 13},  {1, 1, 1, 1},   {1, 0, 17, 65}, {1, 63, 0, 33},  {1, 13, 65, 0},
    {2, 7, 17, 63}, {0, 13, 7, 17}, {1, 5, 300, 3}, {1, 65, 63, 64}, {1, 300, 0, 17},
    {3, 0, 1, 7},   {1, 4, 3, 0},   {1, 17, 2, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

static void check(const test_product *c, int flags, bool complex, const test_way *ways, int n_ways,
                  const test_pools *pools) {
  static const int64_t sizes[] = {1, 13, 130};
  static const char *const outputs[] = {"y", "z"};
  moire_graph *g = test_product_graph(c, flags, complex, false);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = complex ? 2 : 1;
  options.precision = MOIRE_PRECISION_BF16;
  moire__text why = {0};
  test_subject s;
  bool good = test_subject_make(&s, g, &options, ways, n_ways, &why);
  for (int i = 0; i < 3 && good; i++) {
    test_feed feed = test_feed_draw(g, NULL, 0, sizes[i], 7);
    unsigned checks = sizes[i] > 13 ? TEST_CHECK_NATIVE : TEST_CHECK_ALL;
    good = test_subject_judge(&s, &feed, checks, pools, 11, &why);
    test_feed_free(&feed);
  }
  cr_assert(good, "[%lld] %lld x %lld x %lld, flags %d, %s: %s", (long long)c->lead, (long long)c->m,
            (long long)c->k, (long long)c->n, flags, complex ? "complex" : "real", moire__text_string(&why));
  test_subject_free(&s);
  moire__text_free(&why);
  moire_graph_destroy(g);
}

static void check_all(bool complex) {
  static const test_way ways[] = {{.target = "x86-64-v4-bf16"}, {.target = "x86-64-v3"}, {.target = "generic"}};
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++) {
    int all = complex ? 16 : 4;
    for (int j = 0; j < 2; j++) check(&cases[i], (j * 7 + i) % all, complex, ways, 3, &pools);
    check(&cases[i], (i * 3 + 1) % all | TEST_PRODUCT_COMPUTED, complex, ways, 3, &pools);
  }
  test_pools_free(&pools);
}

Test(narrow, real_products) { check_all(false); }
Test(narrow, complex_products) { check_all(true); }

/* ---- what is rounded ------------------------------------------------------------------------------------- */

/* The product of two numbers in a graph of one product. */
static double product_of(double x, double y, moire_precision precision) {
  static const char *const outputs[] = {"y"};
  moire_graph *g = moire_graph_create("product", MOIRE_INFERENCE);
  moire_value a = moire_input(g, "a", MOIRE_F32, MOIRE_SHAPE(1, 1)),
              b = moire_input(g, "b", MOIRE_F32, MOIRE_SHAPE(1, 1));
  moire_output(g, "y", moire_matmul(a, b));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.precision = precision;
  moire_oracle *oracle = moire_oracle_create(g, &options, NULL);
  moire_error error = {0};
  moire_oracle_set_input(oracle, "a", &x, 1, &error);
  moire_oracle_set_input(oracle, "b", &y, 1, &error);
  cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
  double result = *moire_oracle_output(oracle, "y", NULL);
  moire_oracle_destroy(oracle);
  moire_graph_destroy(g);
  return result;
}

Test(narrow, operands_have_eight_significant_bits) {
  const struct {
    double x, want;
  } table[] = {{1 + 0x1p-7, 1 + 0x1p-7},
               {1 + 0x1p-8, 1},
               {1 + 0x1.8p-7, 1 + 0x1p-6},
               {1 + 0x1.1p-8, 1 + 0x1p-7},
               {-3.14159, -3.140625},
               {0x1.ffp127, INFINITY},
               {0, 0},
               {0x1.fep127, 0x1.fep127}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    double got = product_of(table[i].x, 1, MOIRE_PRECISION_BF16);
    cr_assert(got == table[i].want, "%a became %a, wanted %a", table[i].x, got, table[i].want);
    cr_assert(product_of(table[i].x, 1, MOIRE_PRECISION_F32) == table[i].x);
  }
  cr_assert(isnan(product_of((double)NAN, 1, MOIRE_PRECISION_BF16)));
}

Test(narrow, f64_is_refused) {
  static const char text[] = "graph @g inference {\n"
                             "  %1 = input {name = \"x\", dtype = f64, shape = [2,2]} : f64[2,2]\n"
                             "  %2 = matmul(%1, %1) {bf16 = 1} : f64[2,2]\n"
                             "  output \"y\" = %2\n}\n";
  moire_error error = {0};
  cr_assert_null(moire_graph_parse(text, "text", &error));
  cr_assert(strstr(error.message, "wanted operands of f32 or c64"), "%s", error.message);
}
