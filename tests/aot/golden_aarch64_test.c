/* The goldens through libraries that were compiled for aarch64, under qemu-user: within the limits of `moire
 * verify`. */
#include "tests/support/aot/aot_golden.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool has(const char *program) {
  char command[200];
  snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", program);
  return !system(command);
}

Test(aot, goldens_on_aarch64) {
  const char *cc = "aarch64-linux-gnu-gcc", *qemu = "qemu-aarch64";
  if (!has(cc) || !has(qemu)) cr_skip_test("%s or %s is not there; ./dev cross installs them", cc, qemu);
  const char *sanitize = getenv("MOIRE_SANITIZE");
  if (sanitize && *sanitize) cr_skip_test("code for another machine is not sanitized");
  for (int i = 0; aot_golden_name(i); i++)
    aot_golden_check(aot_golden_name(i), cc, "aarch64", "qemu-aarch64 -L /usr/aarch64-linux-gnu", "within");
}
