/* Rounding to bf16: once, from whatever is given. */
#include <criterion/criterion.h>

#include "runtime/base/bf16.h"
#include "runtime/base/philox.h"

#include <math.h>
#include <stdint.h>

/* By the definition: the nearest multiple of the unit of x, ties to even. */
static double by_definition(double x) {
  int exponent = 0;
  frexp(x, &exponent);
  double unit = ldexp(1, (exponent < -125 ? -125 : exponent) - 8), y = nearbyint(x / unit) * unit;
  return fabs(y) > 0x1.fep127 ? copysign(INFINITY, y) : y;
}

static double rounded(double x) { return moire__bf16_to_double(moire__bf16_from_double(x)); }

static void check(double x) {
  cr_assert_eq(rounded(x), by_definition(x), "%a becomes %a, wanted %a", x, rounded(x), by_definition(x));
  cr_assert_eq(rounded(-x), -rounded(x));
}

Test(bf16, every_bf16_is_itself) {
  for (uint32_t i = 0; i < 0x8000; i++) {
    double x = moire__bf16_to_double((uint16_t)i);
    if (isnan(x)) {
      cr_assert(isnan(rounded(x)));
    } else {
      cr_assert_eq(moire__bf16_from_double(x), i);
    }
  }
}

/* A double beside a tie is no tie, though its float is. */
Test(bf16, beside_ties) {
  for (uint32_t i = 1; i < 0x7f7f; i += 7) {
    double x = moire__bf16_to_double((uint16_t)i), next = moire__bf16_to_double((uint16_t)(i + 1)),
           tie = (x + next) / 2;
    check(tie);
    check(nextafter(tie, next));
    check(nextafter(tie, x));
    check(tie + (next - x) * 1e-7);
    check(tie - (next - x) * 1e-7);
    cr_assert_eq(rounded(nextafter(tie, next)), next);
    cr_assert_eq(rounded(nextafter(tie, x)), x);
  }
}

Test(bf16, any_number) {
  moire__random random = moire__random_start(3, 1);
  for (int i = 0; i < 200000; i++) {
    double size = ldexp(1, (int)moire__random_below(&random, 280) - 150);
    check(size * (1 + moire__random_real(&random)));
  }
  check(0);
  check(0x1.fep127);
  check(0x1.ffp127);
  check(1e300);
  check(INFINITY);
  check(5e-324);
}
