/* The goldens through compiled libraries: outputs, losses and trained parameters are the JIT's, bit for bit,
 * and within the limits of `moire verify` of what they should be. */
#include "tests/support/aot/aot_golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Sanitizers look at the run time of libraries, which is the same for all models: two of them will do. */
Test(aot, goldens_on_this_machine) {
  const char *sanitize = getenv("MOIRE_SANITIZE");
  for (int i = 0; aot_golden_name(i) && (i < 2 || !sanitize || !*sanitize); i++)
    aot_golden_check(aot_golden_name(i), NULL, "host", "", "exact");
}
