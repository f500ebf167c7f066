/* The search for the nearest code by tiles finds the codes of float32: what tests/ops/nearest_narrow_test.c
 * asks of the other targets. The code is executed, by the processor or the emulator. */
#include <criterion/criterion.h>

#include "tests/support/amx/amx_emulator.h"
#include "tests/support/search_case.h"

Test(tiles, codes_as_in_float32, .timeout = 200) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
  static const test_search_size sizes[] = {{192, 81}, {257, 64}, {1000, 33}};
  int64_t before = test_tiles_products();
  test_search_compare(TEST_TILES_TARGET, sizes, sizeof sizes / sizeof *sizes);
  cr_assert(!test_tiles_emulated() || test_tiles_products() > before, "no tiles were multiplied");
}
