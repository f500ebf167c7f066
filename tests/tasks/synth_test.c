/* Synthetic data: readable, deterministic, and with an order that a ranking by popularity does not see. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "runtime/measure/metrics.h"
#include "tasks/sequences/popularity.h"
#include "tasks/sequences/synth.h"
#include "tests/support/files.h"

#include <stdlib.h>
#include <string.h>

static moire__dataset *make(const moire__synth_options *options) {
  moire__text text = {0};
  moire_error error = {0};
  cr_assert_eq(moire__synth_text(options, &text, &error), MOIRE_OK, "%s", error.message);
  moire__dataset *d = NULL;
  moire_status status = moire__dataset_parse("synth", text.data, text.length, 50, &d, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  moire__text_free(&text);
  return d;
}

Test(synth, the_default_has_its_size_and_no_item_twice) {
  moire__synth_options options = moire__synth_defaults();
  moire__dataset *d = make(&options);
  cr_assert_eq(d->n_users, 600);
  cr_assert_leq(d->item_size, 401);
  double mean = (double)d->n_interactions / (double)d->n_users;
  cr_assert(mean > 19 && mean < 21, "mean length %g", mean);
  for (int64_t user = 0; user < d->n_users; user++) {
    bool seen[401] = {false};
    int64_t n = 0;
    const int32_t *items = moire__dataset_history(d, MOIRE__SPLIT_NEXT, user, &n);
    cr_assert(n >= 10 && n <= 30);
    for (int64_t i = 0; i < n; i++) {
      cr_assert_not(seen[items[i]]);
      seen[items[i]] = true;
    }
  }
  moire__dataset_free(d);
}

Test(synth, the_text_depends_on_the_options_alone) {
  moire__synth_options options = moire__synth_defaults();
  moire__text a = {0}, b = {0}, c = {0};
  cr_assert_eq(moire__synth_text(&options, &a, NULL), MOIRE_OK);
  cr_assert_eq(moire__synth_text(&options, &b, NULL), MOIRE_OK);
  options.seed++;
  cr_assert_eq(moire__synth_text(&options, &c, NULL), MOIRE_OK);
  cr_assert_str_eq(a.data, b.data);
  cr_assert_str_neq(a.data, c.data);
  moire__text_free(&a);
  moire__text_free(&b);
  moire__text_free(&c);
}

/* How often each item followed each other one, `lag` positions apart, in training. */
static void count_pairs(const moire__dataset *d, int lag, float *counts) {
  for (int64_t user = 0; user < d->n_users; user++) {
    int64_t n = 0;
    const int32_t *items = moire__dataset_history(d, MOIRE__SPLIT_VALID, user, &n);
    for (int64_t i = lag; i < n; i++) counts[items[i - lag] * d->item_size + items[i]] += 1;
  }
}

/* A table of pairs is the least of sequential models; it must hit several times as often as popularity. */
Test(synth, what_follows_what_beats_popularity_clearly) {
  moire__synth_options options = moire__synth_defaults();
  moire__dataset *d = make(&options);
  size_t cells = (size_t)(d->item_size * d->item_size);
  float *next = calloc(cells, sizeof *next), *periodic = calloc(cells, sizeof *periodic);
  float *scores = calloc((size_t)d->item_size, sizeof *scores);
  count_pairs(d, 1, next);
  count_pairs(d, (int)options.period, periodic);
  moire__metrics popular = {0}, pairs = {0};
  moire__popularity_evaluate(d, MOIRE__SPLIT_TEST, &popular);
  for (int64_t user = 0; user < d->n_users; user++) {
    int64_t n = 0;
    const int32_t *items = moire__dataset_history(d, MOIRE__SPLIT_TEST, user, &n);
    for (int64_t i = 0; i < d->item_size; i++) {
      scores[i] =
          next[items[n - 1] * d->item_size + i] + periodic[items[n - options.period] * d->item_size + i];
    }
    moire__mask_history(scores, d->item_size, items, n);
    int32_t target = moire__dataset_target(d, MOIRE__SPLIT_TEST, user);
    moire__metrics_add(&pairs, moire__rank_target(scores, d->item_size, target));
  }
  cr_assert_gt(moire__metrics_mean(&pairs, 2), 0.5);
  cr_assert_lt(moire__metrics_mean(&popular, 2), 0.2);
  free(next);
  free(periodic);
  free(scores);
  moire__dataset_free(d);
}

Test(synth, the_least_and_odd_options_work) {
  moire__synth_options options = {
      .users = 3, .items = 24, .mean_length = 6, .ring = 3, .cycle = 2, .period = 2, .clusters = 6, .burst = 1};
  moire__dataset *d = make(&options);
  cr_assert_eq(d->n_users, 3);
  moire__dataset_free(d);
  options.burst = 0;
  options.users = 200;
  options.ring = 12;
  options.clusters = 1;
  d = make(&options);
  cr_assert_eq(d->n_users, 200);
  moire__dataset_free(d);
}

Test(synth, options_out_of_range_are_named) {
  static const struct {
    size_t offset;
    int64_t value;
    const char *says;
  } cases[] = {
      {offsetof(moire__synth_options, users), 0, "users"},
      {offsetof(moire__synth_options, items), 79, "items: wanted a whole number from 80"},
      {offsetof(moire__synth_options, items), INT64_MAX, "items"},
      {offsetof(moire__synth_options, mean_length), 5, "mean length"},
      {offsetof(moire__synth_options, mean_length), INT64_MAX, "mean length"},
      {offsetof(moire__synth_options, ring), 2, "ring"},
      {offsetof(moire__synth_options, ring), INT64_MAX, "ring"},
      {offsetof(moire__synth_options, cycle), 1, "cycle"},
      {offsetof(moire__synth_options, period), 1, "period"},
      {offsetof(moire__synth_options, clusters), 0, "clusters"},
      {offsetof(moire__synth_options, clusters), 38, "clusters: wanted a whole number from 1 to 37"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__synth_options options = moire__synth_defaults();
    memcpy((char *)&options + cases[i].offset, &cases[i].value, sizeof cases[i].value);
    moire__text text = {0};
    moire_error error = {0};
    cr_assert_eq(moire__synth_text(&options, &text, &error), MOIRE_ERROR_ARGUMENT, "case %zu", i);
    cr_assert_not_null(strstr(error.message, cases[i].says), "%s", error.message);
    cr_assert_eq(text.length, 0);
  }
  moire__synth_options options = moire__synth_defaults();
  options.burst = 1.5;
  cr_assert_eq(moire__synth_text(&options, &(moire__text){0}, NULL), MOIRE_ERROR_ARGUMENT);
}

Test(synth, written_to_a_file) {
  test_path directory, path;
  test_make_directory(directory);
  moire__synth_options options = moire__synth_defaults();
  moire_error error = {0};
  test_join(directory, "data.txt", path);
  cr_assert_eq(moire__synth_write(&options, path, &error), MOIRE_OK, "%s", error.message);
  moire__dataset *d = NULL;
  cr_assert_eq(moire__dataset_load(path, 20, &d, &error), MOIRE_OK, "%s", error.message);
  moire__dataset_free(d);
  test_remove_directory(directory);
}
