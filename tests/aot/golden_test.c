/* The goldens through compiled libraries: outputs, losses and trained parameters are the JIT's, bit for bit,
 * and within the limits of `moire verify` of what they should be. */
#include "tests/support/aot_golden.h"

#include <criterion/criterion.h>

Test(aot, goldens_on_this_machine) {
  for (int i = 0; aot_golden_name(i); i++) aot_golden_check(aot_golden_name(i), "cc", NULL, "", "exact");
}
