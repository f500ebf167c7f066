/* What recommenders have to beat: each baseline against its definition on sets small enough to count by hand,
 * the inverse on a matrix of several blocks, and one result for any number of threads. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "tasks/baselines/baselines.h"

#include <math.h>
#include <string.h>

enum { ITEMS = 4, POPULARITY = 0, ITEM_KNN = 1, EASE = 2 };

/* {0, 1}, {0, 1, 2}, {1}, and one with nothing; an item may be said twice, in any order. */
static moire__item_sets four_users(void) {
  moire__item_sets sets = {.n_items = ITEMS};
  moire__item_sets_add(&sets, (const int32_t[]){1, 0, 1}, 3);
  moire__item_sets_add(&sets, (const int32_t[]){2, 0, 1}, 3);
  moire__item_sets_add(&sets, (const int32_t[]){1}, 1);
  moire__item_sets_add(&sets, NULL, 0);
  return sets;
}

static moire__baseline make(int which, const moire__item_sets *sets, int n_threads) {
  moire_error error = {0};
  moire__baseline b = {0};
  moire_threads *threads = moire_threads_create(n_threads, &error);
  cr_assert_eq(moire__baseline_make(&b, which, sets, threads, &error), MOIRE_OK, "%s", error.message);
  moire_threads_destroy(threads);
  return b;
}

static void score(int which, const int32_t *items, int64_t n, float *scores) {
  double sums[ITEMS];
  moire__item_sets sets = four_users();
  moire__baseline b = make(which, &sets, 1);
  moire__baseline_score(&b, items, n, sums, scores);
  moire__baseline_free(&b);
  moire__item_sets_free(&sets);
}

Test(baselines, sets_are_distinct_and_rising) {
  moire__item_sets sets = four_users();
  static const int64_t first[] = {0, 2, 5, 6, 6};
  static const int32_t items[] = {0, 1, 0, 1, 2, 1};
  cr_assert_eq(sets.n_users, 4);
  cr_assert_arr_eq(sets.first, first, sizeof first);
  cr_assert_arr_eq(sets.items, items, sizeof items);
  moire__item_sets_free(&sets);
}

Test(baselines, popularity_counts_users) {
  float scores[ITEMS];
  score(POPULARITY, (const int32_t[]){0}, 1, scores);
  cr_assert_arr_eq(scores, ((const float[]){2, 3, 1, 0}), sizeof scores);
}

Test(baselines, neighbours_are_cosines) {
  float scores[ITEMS];
  score(ITEM_KNN, (const int32_t[]){0, 2}, 2, scores);
  cr_assert_float_eq(scores[0], 1 / sqrt(2), 1e-6); /* of 2: one user of 2 and 1 */
  cr_assert_float_eq(scores[1], 2 / sqrt(6) + 1 / sqrt(3), 1e-6);
  cr_assert_float_eq(scores[2], 1 / sqrt(2), 1e-6);
  cr_assert_eq(scores[3], 0);
}

/* By its definition, with an inverse by Gauss and Jordan. */
Test(baselines, ease_is_ridge_regression_without_the_item_itself) {
  double a[ITEMS][2 * ITEMS] = {{302, 2, 1, 0}, {2, 303, 1, 0}, {1, 1, 301, 0}, {0, 0, 0, 300}};
  for (int i = 0; i < ITEMS; i++) a[i][ITEMS + i] = 1;
  for (int k = 0; k < ITEMS; k++) {
    double pivot = a[k][k];
    for (int j = 0; j < 2 * ITEMS; j++) a[k][j] /= pivot;
    for (int i = 0; i < ITEMS; i++) {
      double factor = a[i][k];
      for (int j = 0; j < 2 * ITEMS && i != k; j++) a[i][j] -= factor * a[k][j];
    }
  }
  float scores[ITEMS];
  score(EASE, (const int32_t[]){1}, 1, scores);
  cr_assert_eq(scores[1], 0);
  for (int j = 0; j < ITEMS; j++)
    if (j != 1) cr_assert_float_eq(scores[j], -a[1][ITEMS + j] / a[j][ITEMS + j], 1e-9, "item %d", j);
}

/* Symmetric, with a diagonal that makes it positive definite. */
static double element(int64_t i, int64_t j) {
  double low = (double)(i < j ? i : j), high = (double)(i < j ? j : i);
  return i == j ? 40 + low : sin(3 * low + 7 * high);
}

static double *swept(int64_t n, int n_threads) {
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(n_threads, &error);
  double *a = moire__allocate_array((size_t)(n * n), sizeof *a);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) a[i * n + j] = element(i, j);
  moire__sweep(a, n, threads);
  moire_threads_destroy(threads);
  return a;
}

Test(baselines, sweeps_invert) {
  static const int64_t sizes[] = {1, 3, 64, 65, 203};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s];
    double *a = swept(n, 2);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++) sum -= (i < k ? a[k * n + i] : a[i * n + k]) * element(k, j);
        cr_assert_float_eq(sum, i == j, 1e-12, "%d: row %d, column %d", (int)n, (int)i, (int)j);
      }
    moire__release(a);
  }
}

Test(baselines, threads_change_no_bit) {
  enum { N = 203 };
  double *one = swept(N, 1), *three = swept(N, 3);
  cr_assert_arr_eq(one, three, sizeof(double) * N * N);
  moire__release(one);
  moire__release(three);
}

Test(baselines, a_matrix_without_room_is_a_sentence) {
  moire__item_sets sets = {.n_items = 16777215};
  moire__item_sets_add(&sets, (const int32_t[]){1, 16777214}, 2);
  moire__baseline b = {0};
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(1, &error);
  cr_assert_eq(moire__baseline_make(&b, EASE, &sets, threads, &error), MOIRE_ERROR_MEMORY);
  cr_assert(strstr(error.message, "EASE: a matrix of 16777215 items by as many takes 2251799.5 GB"), "%s",
            error.message);
  cr_assert_eq(moire__baseline_make(&b, POPULARITY, &sets, threads, &error), MOIRE_OK);
  moire__baseline_free(&b);
  moire__item_sets_free(&sets);
  moire_threads_destroy(threads);
}
