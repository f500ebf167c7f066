/* Philox against the known answers of Random123 (kat_vectors, philox4x32 7 and 10), and the rules built on it.
 */
#include <criterion/criterion.h>

#include "runtime/base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(philox, known_answers) {
  static const struct {
    int rounds;
    uint32_t counter[4], key[2], out[4];
  } cases[] = {
      {7, {0, 0, 0, 0}, {0, 0}, {0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}},
      {7, {~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}},
      {7,
       {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}},
      {10, {0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {10, {~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {10,
       {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t out[4];
    moire__philox_by(cases[i].rounds, cases[i].counter, cases[i].key, out);
    cr_assert_arr_eq(out, cases[i].out, sizeof out, "case %zu", i);
    moire__philox(cases[i].counter, cases[i].key, out);
    cr_assert_eq(memcmp(out, cases[i].out, sizeof out) == 0, cases[i].rounds == 10);
  }
}

Test(philox, an_element_is_one_word_of_the_block_that_its_lane_computes) {
  static const uint64_t elements[] = {0, 1, 15, 16, 47, 63, 64, 1000003, UINT64_C(0xFFFFFFFFFFFFFFFF)};
  const uint32_t key[2] = {17, 99};
  for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
    uint64_t e = elements[i], group = e / 64, lane = e % 16, word = e % 64 / 16, block = group * 16 + lane;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 5, 7};
    uint32_t out[4];
    moire__philox(counter, key, out);
    cr_assert_eq(moire__philox_element(17, 99, 7, 5, e), out[word]);
  }
}

/* Every half word of eight blocks, once. */
Test(philox, elements_of_a_mask_are_half_words) {
  enum { FIRST = 64000 };
  const uint32_t key[2] = {17, 99};
  bool seen[64] = {false};
  for (uint64_t e = FIRST; e < FIRST + 64; e++) {
    uint64_t lane = e % 32 / 4, word = e % 64 / 32 * 2 + e % 4 / 2, half = e % 2;
    const uint32_t counter[4] = {(uint32_t)(e / 64 * 8 + lane), 0, 5, 7};
    uint32_t out[4];
    moire__philox_by(7, counter, key, out);
    cr_assert_eq(moire__philox_bits(17, 99, 7, 5, e), half ? out[word] >> 16 : out[word] & 0xffff);
    cr_assert_not(seen[lane * 8 + word * 2 + half]);
    seen[lane * 8 + word * 2 + half] = true;
  }
  uint64_t far = (UINT64_C(1) << 40) + 3;
  const uint32_t counter[4] = {0, 1 << 5, 5, 7};
  uint32_t out[4];
  moire__philox_by(7, counter, key, out);
  cr_assert_eq(moire__philox_bits(17, 99, 7, 5, far), out[1] >> 16);
}

/* ---- are the bits of masks random? Each figure is compared with what chance gives, by five deviations. ----
 */

enum { BITS = 1 << 19 };

/* Element `e` of a mask, seeds, steps and streams being those of `of`, in units of the deviation: mean 0,
 * variance 1. */
static double centred(const uint32_t of[4], uint64_t e) {
  return (moire__philox_bits(of[0], of[1], of[2], of[3], e) + 0.5 - 32768) / 18918.6;
}

static void expect_chance(double sum, double deviation, const char *what) {
  cr_assert_lt(fabs(sum), 5 * deviation, "%s: %g, its deviation %g", what, sum, deviation);
}

Test(philox, bits_of_masks_are_uniform) {
  static const uint32_t of[4] = {1, 0, 12, 3};
  static int high[256], low[256];
  double squares = 0;
  for (uint64_t e = 0; e < BITS; e++) {
    uint32_t bits = moire__philox_bits(of[0], of[1], of[2], of[3], e);
    high[bits >> 8]++;
    low[bits & 255]++;
    squares += centred(of, e) * centred(of, e) - 1;
  }
  double chi[2] = {0, 0}, wanted = BITS / 256.0;
  for (int i = 0; i < 256; i++) {
    chi[0] += (high[i] - wanted) * (high[i] - wanted) / wanted;
    chi[1] += (low[i] - wanted) * (low[i] - wanted) / wanted;
  }
  expect_chance(chi[0] - 255, sqrt(2 * 255), "upper bytes");
  expect_chance(chi[1] - 255, sqrt(2 * 255), "lower bytes");
  expect_chance(squares, sqrt(0.8 * BITS), "squares");
}

/* Neighbours in a row and in the rows of common widths, and elements that share a block or a word. */
Test(philox, bits_of_masks_do_not_depend_on_each_other) {
  static const uint32_t of[4] = {1, 0, 12, 3};
  static const uint64_t lags[] = {1, 2, 3, 4, 8, 16, 32, 50, 64, 128, 2500};
  for (size_t i = 0; i < sizeof lags / sizeof *lags; i++) {
    double sum = 0;
    for (uint64_t e = 0; e < BITS; e++) sum += centred(of, e) * centred(of, e + lags[i]);
    expect_chance(sum, sqrt(BITS), "neighbours");
  }
}

/* The same element under a seed, step or stream that differs in one bit. */
Test(philox, masks_do_not_depend_on_each_other) {
  static const uint32_t of[4] = {1, 0, 12, 3};
  for (int word = 0; word < 4; word++) {
    for (int bit = 0; bit < 32; bit += 5) {
      uint32_t other[4] = {of[0], of[1], of[2], of[3]};
      other[word] ^= UINT32_C(1) << bit;
      double sum = 0;
      for (uint64_t e = 0; e < BITS / 8; e++) sum += centred(of, e) * centred(other, e);
      expect_chance(sum, sqrt(BITS / 8.0), "masks");
    }
  }
}

/* How many of a row are dropped varies as much as independent draws do. */
Test(philox, rows_of_masks_are_binomial) {
  static const uint32_t of[4] = {1, 0, 12, 3};
  static const int widths[] = {50, 64};
  static const double p[] = {0.1, 0.5};
  for (int w = 0; w < 2; w++) {
    for (int i = 0; i < 2; i++) {
      int rows = BITS / widths[w];
      double mean = widths[w] * p[i], variance = mean * (1 - p[i]), all = 0, squares = 0;
      for (int r = 0; r < rows; r++) {
        int dropped = 0;
        for (int n = 0; n < widths[w]; n++) {
          uint64_t e = (uint64_t)r * (uint64_t)widths[w] + (uint64_t)n;
          dropped += moire__philox_bits(of[0], of[1], of[2], of[3], e) < p[i] * 65536;
        }
        all += dropped - mean;
        squares += (dropped - mean) * (dropped - mean) - variance;
      }
      double fourth = variance * (3 * variance + 1 - 6 * p[i] * (1 - p[i]));
      expect_chance(all, sqrt(rows * variance), "dropped");
      expect_chance(squares, sqrt(rows * (fourth - variance * variance)), "squares of rows");
    }
  }
}

Test(philox, initial_values_depend_on_seed_stream_and_index_alone) {
  cr_assert_eq(moire__normal(1, 2, 3), moire__normal(1, 2, 3));
  cr_assert_neq(moire__normal(1, 2, 3), moire__normal(2, 2, 3));
  cr_assert_neq(moire__normal(1, 2, 3), moire__normal(1, 3, 3));
  cr_assert_neq(moire__normal(1, 2, 3), moire__normal(1, 2, 4));
  cr_assert_neq(moire__hash_name("layers.0.weight"), moire__hash_name("layers.1.weight"));
  cr_assert_eq(moire__hash_name(""), UINT64_C(0xcbf29ce484222325));
  cr_assert_eq(moire__hash_name("a"), UINT64_C(0xaf63dc4c8601ec8c));
}

Test(philox, moments_of_uniform_and_normal) {
  enum { N = 200000 };
  double sum = 0, squares = 0, cubes = 0, uniform = 0, uniform_squares = 0;
  for (uint64_t i = 0; i < N; i++) {
    double x = moire__normal(42, 7, i), u = moire__uniform(42, 7, i);
    cr_assert(isfinite(x) && u >= 0 && u < 1);
    sum += x;
    squares += x * x;
    cubes += x * x * x;
    uniform += u;
    uniform_squares += u * u;
  }
  cr_assert_lt(fabs(sum / N), 0.01);
  cr_assert_lt(fabs(squares / N - 1), 0.02);
  cr_assert_lt(fabs(cubes / N), 0.05);
  cr_assert_lt(fabs(uniform / N - 0.5), 0.003);
  cr_assert_lt(fabs(uniform_squares / N - 1.0 / 3), 0.003);
}

Test(philox, permutations_are_permutations_and_differ_by_epoch) {
  enum { N = 1000 };
  int64_t a[N], b[N];
  int seen[N] = {0};
  moire__permutation(3, 0, N, a);
  moire__permutation(3, 1, N, b);
  for (int i = 0; i < N; i++) seen[a[i]]++;
  for (int i = 0; i < N; i++) cr_assert_eq(seen[i], 1);
  cr_assert_arr_neq(a, b, sizeof a);
  moire__permutation(3, 0, N, b);
  cr_assert_arr_eq(a, b, sizeof a);
  moire__permutation(3, 0, 0, a);
  moire__permutation(3, 0, 1, a);
  cr_assert_eq(a[0], 0);
}

Test(philox, every_order_of_three_comes_equally_often) {
  enum { N = 12000 };
  int counts[27] = {0};
  for (uint64_t epoch = 0; epoch < N; epoch++) {
    int64_t order[3];
    moire__permutation(9, epoch, 3, order);
    counts[order[0] * 9 + order[1] * 3 + order[2]]++;
  }
  int orders = 0;
  for (int i = 0; i < 27; i++) {
    if (counts[i] == 0) continue;
    orders++;
    cr_assert_lt(abs(counts[i] - N / 6), N / 60, "order %d came %d times", i, counts[i]);
  }
  cr_assert_eq(orders, 6);
}

Test(philox, a_sequence_stays_below_its_bound_and_repeats_from_the_same_start) {
  moire__random a = moire__random_start(5, 6), b = moire__random_start(5, 6), c = moire__random_start(5, 7);
  int equal = 0;
  for (int i = 0; i < 1000; i++) {
    uint64_t bound = 1 + (uint64_t)i * 7919, x = moire__random_below(&a, bound);
    cr_assert_lt(x, bound);
    cr_assert_eq(x, moire__random_below(&b, bound));
    equal += x == moire__random_below(&c, bound);
  }
  cr_assert_lt(equal, 30);
  double real = moire__random_real(&a);
  cr_assert(real >= 0 && real < 1);
}
