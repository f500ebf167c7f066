/* Philox against the known answers of Random123 (kat_vectors, philox4x32 10), and the rules built on it. */
#include <criterion/criterion.h>

#include "runtime/base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(philox, known_answers) {
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t out[4];
    moire__philox(cases[i].counter, cases[i].key, out);
    cr_assert_arr_eq(out, cases[i].out, sizeof out, "case %zu", i);
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
