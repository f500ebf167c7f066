/* Products of bf16 by tiles: what tests/ops/narrow_test.c asks of the other targets.
 *
 * Extents on both sides of a tile's 16 rows, 16 columns and 32 of k, and of the tiles computed at once; nothing
 * to sum up, sums that come in parts, leading axes, all flags, and one wanted plane of two. The code is
 * executed, by the processor or the emulator, against bounds of float32, and its loop nests are interpreted; 1,
 * 2 and 3 threads give the same bits.
 */
#include <criterion/criterion.h>

#include "tests/support/amx/amx_emulator.h"
#include "tests/support/judge.h"
#include "tests/support/product_case.h"

static const test_product cases[] = {
    {1, 0, 17, 13}, {1, 0, 65, 63},  {1, 63, 0, 33}, {1, 13, 0, 65}, {2, 7, 17, 63},
    {0, 13, 33, 9}, {1, 5, 300, 16}, {1, 65, 0, 64}, {1, 40, 0, 17}, {3, 0, 32, 8},
    {1, 4, 31, 0},  {1, 17, 16, 0},  {1, 0, 64, 9},
};
enum { CASES = sizeof cases / sizeof *cases };

static void check(const test_product *c, int flags, bool complex, bool only_im, const test_pools *pools) {
  static const int64_t sizes[] = {1, 17, 70};
  static const char *const outputs[] = {"y", "z"};
  static const test_way way = {.target = TEST_TILES_TARGET};
  moire_graph *g = test_product_graph(c, flags, complex, only_im);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = complex && !only_im ? 2 : 1;
  options.precision = MOIRE_PRECISION_BF16;
  moire__text why = {0};
  test_subject s;
  int64_t before = test_tiles_products();
  bool good = test_subject_make(&s, g, &options, &way, 1, &why);
  for (int i = 0; i < 3 && good; i++) {
    test_feed feed = test_feed_draw(g, NULL, 0, sizes[i], 7);
    unsigned checks = sizes[i] > 1 ? TEST_CHECK_NATIVE : TEST_CHECK_NATIVE | TEST_CHECK_LOOPS;
    if (i == 1 && flags % 3 == 0) checks |= TEST_CHECK_LOOPS;
    good = test_subject_judge(&s, &feed, checks, pools, 11, &why);
    test_feed_free(&feed);
  }
  if (good && test_tiles_emulated() && test_tiles_products() == before) {
    moire__text_add(&why, "no tiles were multiplied");
    good = false;
  }
  cr_assert(good, "[%lld] %lld x %lld x %lld, flags %d, %s: %s", (long long)c->lead, (long long)c->m,
            (long long)c->k, (long long)c->n, flags, complex ? "complex" : "real", moire__text_string(&why));
  test_subject_free(&s);
  moire__text_free(&why);
  moire_graph_destroy(g);
}

static void check_all(bool complex) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
  test_pools pools = test_pools_make();
  int all = complex ? 16 : 4;
  for (int i = 0; i < CASES; i++) {
    for (int j = 0; j < 2; j++) check(&cases[i], (j * 7 + i) % all, complex, complex && i % 4 == 2, &pools);
  }
  test_pools_free(&pools);
}

Test(tiles, real_products) { check_all(false); }
Test(tiles, complex_products) { check_all(true); }

/* Every way that both operands can lie, on one case. */
Test(tiles, all_transpositions_and_conjugates) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
  static const test_product c = {1, 0, 33, 18};
  test_pools pools = test_pools_make();
  for (int flags = 0; flags < 16; flags++) check(&c, flags, true, false, &pools);
  for (int flags = 0; flags < 4; flags++) check(&c, flags, false, false, &pools);
  test_pools_free(&pools);
}
