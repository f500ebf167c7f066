/* The bootstrap's interval is that of the normal distribution where there are many differences, and holds the
 * truth as often as it says. */
#include <criterion/criterion.h>

#include "runtime/base/philox.h"
#include "runtime/measure/bootstrap.h"

#include <math.h>

enum { MOST = 4000 };

static void draw(double *x, int n, double mean, uint64_t stream) {
  for (int i = 0; i < n; i++) x[i] = mean + moire__normal(7, stream, (uint64_t)i);
}

Test(bootstrap, agrees_with_the_normal_distribution) {
  static double x[MOST];
  draw(x, MOST, 0.1, 1);
  double sum = 0, squares = 0;
  for (int i = 0; i < MOST; i++) sum += x[i];
  double mean = sum / MOST;
  for (int i = 0; i < MOST; i++) squares += (x[i] - mean) * (x[i] - mean);
  double error = sqrt(squares / (MOST - 1) / MOST);
  moire__interval got = moire__bootstrap(x, MOST, 4000);
  cr_assert_float_eq(got.mean, mean, 1e-12);
  cr_assert_float_eq(got.low, mean - 1.96 * error, 0.1 * error);
  cr_assert_float_eq(got.high, mean + 1.96 * error, 0.1 * error);
  cr_assert_not(got.noise);
}

Test(bootstrap, holds_the_truth_as_often_as_it_says) {
  enum { TRIALS = 400, N = 200 };
  static double x[N];
  int held = 0;
  for (int trial = 0; trial < TRIALS; trial++) {
    draw(x, N, 0, 100 + (uint64_t)trial);
    held += moire__bootstrap(x, N, 400).noise;
  }
  cr_assert_gt(held, 0.91 * TRIALS); /* 0.95 expected, 0.011 its deviation */
  cr_assert_lt(held, 0.985 * TRIALS);
}

Test(bootstrap, what_does_not_differ_is_noise) {
  const double nothing[5] = {0}, always[3] = {0.5, 0.5, 0.5}, one = -2;
  moire__interval got = moire__bootstrap(nothing, 5, 100);
  cr_assert(got.noise && got.mean == 0 && got.low == 0 && got.high == 0);
  got = moire__bootstrap(always, 3, 100);
  cr_assert(!got.noise && got.low == 0.5 && got.high == 0.5);
  got = moire__bootstrap(&one, 1, 40);
  cr_assert(!got.noise && got.mean == -2);
}
