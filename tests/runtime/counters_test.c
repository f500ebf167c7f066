/* Hardware counters: they count this process's work, or a sentence says why there are none. */
#include <criterion/criterion.h>

#include "runtime/profile/counters.h"

#include <string.h>

static double work(int n) {
  volatile double sum = 0;
  for (int i = 0; i < n; i++) sum = sum + 1.0 / (1 + i);
  return sum;
}

Test(counters, count_or_say_why_not) {
  moire__counters counters;
  moire_error error = {0};
  moire_status status = moire__counters_open(&counters, &error);
  if (status) {
    cr_expect_eq(status, MOIRE_ERROR_UNSUPPORTED);
    cr_expect(strstr(error.message, "no hardware counters: "), "%s", error.message);
    for (int i = 0; moire__counters_name(i); i++) cr_expect_eq(moire__counters_value(&counters, i), -1);
    moire__counters_run(&counters, true);
    moire__counters_close(&counters);
    return;
  }
  work(1000);
  moire__counters_run(&counters, true);
  work(1000000);
  moire__counters_run(&counters, false);
  double instructions = moire__counters_value(&counters, 1);
  work(1000000);
  cr_expect(instructions < 0 || instructions > 1e6, "%g instructions", instructions);
  cr_expect_eq(moire__counters_value(&counters, 1), instructions, "they are stopped");
  moire__counters_close(&counters);
}

Test(counters, names_end) {
  int n = 0;
  while (moire__counters_name(n)) n++;
  cr_expect_eq(n, MOIRE__COUNTERS);
  cr_expect_null(moire__counters_name(-1));
}
