/* Which word comes next: ties, penalties, cuts, and draws. */
#include "runtime/text/sampling.h"

#include <criterion/criterion.h>
#include <math.h>

enum { N = 5 };

static void probabilities(moire__sampling s, const double *logits, const int32_t *seen, int64_t n_seen,
                          double *p) {
  double scratch[N];
  int32_t order[N];
  moire__sampling_probabilities(&s, logits, N, seen, n_seen, scratch, order, p);
}

Test(sampling, the_best_is_the_lowest_of_equals) {
  const double logits[] = {1, 3, 3, -1, 3};
  cr_assert_eq(moire__sampling_best(logits, N), 1);
}

Test(sampling, without_cuts_it_is_a_softmax) {
  const double logits[] = {0, log(2), log(3), log(4), -INFINITY};
  double p[N];
  probabilities((moire__sampling){1, 0, 1, 1}, logits, NULL, 0, p);
  const double want[] = {.1, .2, .3, .4, 0};
  for (int i = 0; i < N; i++) cr_assert_float_eq(p[i], want[i], 1e-12);
  cr_assert_eq(moire__sampling_draw(p, N, 0), 0);
  cr_assert_eq(moire__sampling_draw(p, N, .099), 0);
  cr_assert_eq(moire__sampling_draw(p, N, .35), 2);
  cr_assert_eq(moire__sampling_draw(p, N, .9999999999999999), 3);
}

Test(sampling, of_equals_top_k_keeps_the_lower_id) {
  const double logits[] = {1, 2, 1, 2, 1};
  double p[N];
  probabilities((moire__sampling){1, 3, 1, 1}, logits, NULL, 0, p);
  cr_assert(p[0] > 0 && p[1] > 0 && p[3] > 0 && p[2] == 0 && p[4] == 0);
  probabilities((moire__sampling){1, 1, 1, 1}, logits, NULL, 0, p);
  cr_assert_float_eq(p[1], 1, 0);
}

/* A word stays while the mass before it is below p, so that the first always does. */
Test(sampling, the_nucleus_holds_what_crosses_its_border) {
  const double logits[] = {log(.5), log(.3), log(.1), log(.06), log(.04)};
  double p[N];
  probabilities((moire__sampling){1, 0, .6, 1}, logits, NULL, 0, p);
  cr_assert_float_eq(p[0], .625, 1e-12);
  cr_assert_float_eq(p[1], .375, 1e-12);
  cr_assert_eq(p[2], 0);
  probabilities((moire__sampling){1, 0, 0, 1}, logits, NULL, 0, p);
  cr_assert_float_eq(p[0], 1, 1e-12);
}

/* Once for each word, however often it was seen; a negative logit grows. */
Test(sampling, repetition_is_punished_once) {
  const double logits[] = {2, -2, 0, 0, 0};
  const int32_t seen[] = {0, 1, 0, 0, 1};
  double p[N], sum = exp(1) + exp(-4) + 3;
  probabilities((moire__sampling){1, 0, 1, 2}, logits, seen, 5, p);
  cr_assert_float_eq(p[0], exp(1) / sum, 1e-12);
  cr_assert_float_eq(p[1], exp(-4) / sum, 1e-12);
}
