/* Ranking: ties, NaN, masks, and agreement of the rank with the top-K list. */
#include <criterion/criterion.h>

#include "runtime/base/philox.h"
#include "runtime/measure/metrics.h"
#include "tasks/sequences/popularity.h"
#include "tests/support/files.h"

#include <math.h>
#include <string.h>

Test(metrics, ties_rank_by_index) {
  const float scores[] = {0.5f, 2, 2, 1, 2, -1};
  static const int64_t want[] = {5, 1, 2, 4, 3, 6};
  for (int32_t target = 0; target < 6; target++) {
    cr_assert_eq(moire__rank_target(scores, 6, target), want[target]);
  }
  const float equal[] = {0, -0.0f, 0};
  cr_assert_eq(moire__rank_target(equal, 3, 0), 1);
  cr_assert_eq(moire__rank_target(equal, 3, 2), 3);
}

Test(metrics, a_nan_never_hits_and_never_helps) {
  const float all[] = {NAN, NAN, NAN};
  cr_assert_eq(moire__rank_target(all, 3, 1), MOIRE__RANK_NONE);
  const float some[] = {NAN, 3, NAN, 2, -NAN, INFINITY};
  cr_assert_eq(moire__rank_target(some, 6, 5), 4);
  cr_assert_eq(moire__rank_target(some, 6, 1), 5);
  cr_assert_eq(moire__rank_target(some, 6, 2), MOIRE__RANK_NONE);
  int32_t items[6];
  cr_assert_eq(moire__top_k(some, 6, 6, items), 3);
  cr_assert(items[0] == 5 && items[1] == 1 && items[2] == 3);
  cr_assert_eq(moire__top_k(all, 3, 2, items), 0);
  moire__metrics m = {0};
  moire__metrics_add(&m, MOIRE__RANK_NONE);
  for (int i = 0; i < MOIRE__N_METRICS; i++) cr_assert_eq(moire__metrics_mean(&m, i), 0);
}

Test(metrics, masked_items_score_nothing_and_still_rank) {
  float scores[] = {-1, 5, 4, -2};
  static const int32_t history[] = {1, 1, 3, 70, -1};
  moire__mask_history(scores, 4, history, 5);
  cr_assert(scores[0] < 0 && scores[1] == 0 && scores[2] == 4 && scores[3] == 0);
  cr_assert_eq(moire__rank_target(scores, 4, 0), 4, "two masked items are ahead of a negative score");
}

Test(metrics, hit_rate_and_gain) {
  moire__metrics m = {0};
  cr_assert_eq(moire__metrics_mean(&m, 0), 0);
  static const int64_t ranks[] = {1, 5, 6, 20, 21};
  for (int i = 0; i < 5; i++) moire__metrics_add(&m, ranks[i]);
  cr_assert_float_eq(moire__metrics_mean(&m, 0), 0.4, 1e-15);
  cr_assert_float_eq(moire__metrics_mean(&m, 1), (1 + 1 / log2(6)) / 5, 1e-15);
  cr_assert_float_eq(moire__metrics_mean(&m, 2), 0.6, 1e-15);
  cr_assert_float_eq(moire__metrics_mean(&m, 4), 0.8, 1e-15);
  cr_assert_float_eq(moire__metrics_mean(&m, 5), (1 + 1 / log2(6) + 1 / log2(7) + 1 / log2(21)) / 5, 1e-15);
  for (int i = 0; i < MOIRE__N_METRICS; i++) cr_assert_eq(moire__metrics_index(moire__metrics_name(i)), i);
  cr_assert_eq(moire__metrics_index("NDCG@10"), 3);
  cr_assert_eq(moire__metrics_index("NDCG@11"), -1);
}

/* Few distinct scores, so that ties abound. */
Test(metrics, the_top_list_is_the_order_of_the_ranks) {
  enum { N = 300 };
  moire__random random = moire__random_start(11, 0);
  for (int round = 0; round < 200; round++) {
    float scores[N];
    int size = 1 + (int)moire__random_below(&random, N), k = (int)moire__random_below(&random, N + 20);
    for (int i = 0; i < size; i++) scores[i] = (float)moire__random_below(&random, 1 + (uint64_t)round) - 20;
    int32_t items[N + 20];
    int n = moire__top_k(scores, size, k, items);
    cr_assert_eq(n, k < size ? k : size);
    for (int i = 0; i < n; i++) cr_assert_eq(moire__rank_target(scores, size, items[i]), i + 1);
  }
}

Test(metrics, popularity_counts_training_items_alone) {
  const char *text = "1 1 2 3 4\n2 1 2 9 9\n3 2 1 5 5\n";
  moire__dataset *d = NULL;
  cr_assert_eq(moire__dataset_parse("data.txt", text, strlen(text), 50, &d, NULL), MOIRE_OK);
  float scores[10];
  moire__popularity_scores(d, scores);
  static const float want[10] = {0, 3, 3};
  cr_assert_arr_eq(scores, want, sizeof want);
  moire__dataset_free(d);
}

Test(metrics, popularity_on_a_small_set_by_hand) {
  /* Validation of user 1: popularity 1:1 2:1 3:2 4:1, own items 1, 2, 3 count nothing, the target 4 leads; of
   * user 2: items 3 and 4 count nothing, the target 5 is behind 1 and 2 and behind 0, 3 and 4, which tie with
   * it. */
  const char *text = "1 1 2 3 4 5\n2 3 4 5 1\n";
  moire__dataset *d = NULL;
  cr_assert_eq(moire__dataset_parse("data.txt", text, strlen(text), 50, &d, NULL), MOIRE_OK);
  moire__metrics m = {0};
  moire__popularity_evaluate(d, MOIRE__SPLIT_VALID, &m);
  cr_assert_eq(m.n, 2);
  cr_assert_float_eq(moire__metrics_mean(&m, 0), 0.5, 1e-15);
  cr_assert_float_eq(moire__metrics_mean(&m, 3), (1 + 1 / log2(7)) / 2, 1e-15);
  moire__dataset_free(d);
}

Test(metrics, popularity_on_LastFM) {
  test_path path;
  if (!test_shared("data/LastFM.txt", path)) cr_skip_test("../shared is absent");
  moire__dataset *d = NULL;
  cr_assert_eq(moire__dataset_load(path, 50, &d, NULL), MOIRE_OK);
  moire__metrics m = {0};
  moire__popularity_evaluate(d, MOIRE__SPLIT_TEST, &m);
  cr_assert_eq(m.n, 1090);
  double hit = moire__metrics_mean(&m, 4);
  cr_assert(hit > 0.02 && hit < 0.12, "HR@20 %g", hit);
  moire__dataset_free(d);
}
