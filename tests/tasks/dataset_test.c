/* The data set: its samples and inputs exactly, and a sentence for each malformed file. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "tasks/sequences/dataset.h"
#include "tests/support/files.h"

#include <string.h>

static moire__dataset *parse(const char *text, size_t n, int max_length) {
  moire__dataset *d = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__dataset_parse("data.txt", text, n, max_length, &d, &error), MOIRE_OK, "%s",
               error.message);
  return d;
}

/* User 1 has 8 items, more than L + 2 = 5; user 2 has the fewest; user 3 has L + 2. */
static const char three_users[] = "1 1 2 3 4 5 6 7 8\n2 9 10 11\n3 12 13 14 15 16\n";

Test(dataset, counts) {
  moire__dataset *d = parse(three_users, strlen(three_users), 3);
  cr_assert_eq(d->n_users, 3);
  cr_assert_eq(d->n_interactions, 16);
  cr_assert_eq(d->item_size, 17);
  cr_assert_eq(d->n_samples, 3 + 1 + 3);
  moire__dataset_free(d);
}

Test(dataset, training_samples_are_every_prefix_of_the_last_L_before_the_targets) {
  static const int32_t want_ids[7][3] = {{0, 0, 0}, {0, 0, 4},  {0, 4, 5},  {0, 0, 0},
                                         {0, 0, 0}, {0, 0, 12}, {0, 12, 13}};
  static const int32_t want_answers[7] = {4, 5, 6, 9, 12, 13, 14};
  moire__dataset *d = parse(three_users, strlen(three_users), 3);
  int64_t samples[7] = {6, 5, 4, 3, 2, 1, 0};
  int32_t ids[7][3], answers[7];
  moire__dataset_train_batch(d, samples, 7, &ids[0][0], answers);
  for (int i = 0; i < 7; i++) {
    cr_assert_arr_eq(ids[i], want_ids[6 - i], sizeof ids[i], "sample %d", 6 - i);
    cr_assert_eq(answers[i], want_answers[6 - i], "sample %d", 6 - i);
  }
  moire__dataset_free(d);
}

Test(dataset, evaluation_inputs_and_histories) {
  static const struct {
    moire__split split;
    int32_t ids[3][3], answers[3];
    int64_t history[3];
  } want[] = {
      {MOIRE__SPLIT_VALID, {{4, 5, 6}, {0, 0, 9}, {12, 13, 14}}, {7, 10, 15}, {6, 1, 3}},
      {MOIRE__SPLIT_TEST, {{5, 6, 7}, {0, 9, 10}, {13, 14, 15}}, {8, 11, 16}, {7, 2, 4}},
      {MOIRE__SPLIT_NEXT, {{6, 7, 8}, {9, 10, 11}, {14, 15, 16}}, {0, 0, 0}, {8, 3, 5}},
  };
  static const int32_t first_items[] = {1, 9, 12};
  moire__dataset *d = parse(three_users, strlen(three_users), 3);
  for (size_t s = 0; s < 3; s++) {
    int32_t ids[3][3], answers[3];
    moire__dataset_eval_batch(d, want[s].split, 0, 3, &ids[0][0], answers);
    cr_assert_arr_eq(ids, want[s].ids, sizeof ids, "split %zu", s);
    cr_assert_arr_eq(answers, want[s].answers, sizeof answers);
    moire__dataset_eval_batch(d, want[s].split, 2, 1, &ids[0][0], NULL);
    cr_assert_arr_eq(ids[0], want[s].ids[2], sizeof ids[0]);
    for (int64_t user = 0; user < 3; user++) {
      int64_t n = 0;
      const int32_t *history = moire__dataset_history(d, want[s].split, user, &n);
      cr_assert_eq(n, want[s].history[user]);
      cr_assert_eq(history[0], first_items[user]);
      cr_assert_eq(moire__dataset_target(d, want[s].split, user), want[s].answers[user]);
    }
  }
  moire__dataset_free(d);
}

Test(dataset, line_ends_blanks_and_user_words_do_not_matter) {
  static const char *const same[] = {
      "1 1 2 3\n2 4 5 6\n",
      "1 1 2 3\r\n2 4 5 6\r\n",
      "1 1 2 3\n2 4 5 6",
      "1 1 2 3\r\n2 4 5 6\r",
      "\n  \t\n1\t1  2 3 \n\r\n 2 4 5 6\n\n",
      "anna 001 +2 3\nu-7 4 5 0000000000000006\n",
  };
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    moire__dataset *d = parse(same[i], strlen(same[i]), 50);
    cr_assert_eq(d->n_users, 2, "case %zu", i);
    cr_assert_eq(d->n_interactions, 6);
    for (int32_t k = 0; k < 6; k++) cr_assert_eq(d->items[k], k + 1);
    cr_assert_eq(d->n_samples, 2);
    moire__dataset_free(d);
  }
}

Test(dataset, numbers_far_apart_are_mapped_and_keep_their_names) {
  const char *text = "1 7 100000000 2147483648\n2 100000000 9000000000000000000 7\n";
  moire__dataset *d = parse(text, strlen(text), 2);
  static const int32_t items[] = {1, 2, 3, 2, 4, 1};
  cr_assert_eq(d->item_size, 5);
  cr_assert_arr_eq(d->items, items, sizeof items);
  cr_assert_str_eq(moire__id_names_at(&d->names, 3), "9000000000000000000");
  moire__dataset_free(d);
}

Test(dataset, every_malformed_file_is_a_sentence_that_names_the_line) {
  static const struct {
    const char *text;
    size_t n; /* 0: up to the NUL */
    const char *says;
  } cases[] = {
      {"", 0, "data.txt: is empty"},
      {"\n \r\n\t\n", 0, "data.txt: is empty"},
      {"1 2 3 4\n2 5 x 6\n", 0, "data.txt:2: item 'x' is not a whole number"},
      {"1 2 3 4\n2 5 6x 6\n", 0, "data.txt:2: item '6x' is not a whole number"},
      {"1 2 3 4.5\n", 0, "data.txt:1: item '4.5' is not a whole number"},
      {"1 2 3 1e3\n", 0, "data.txt:1: item '1e3' is not a whole number"},
      {"1 2 3 0x10\n", 0, "data.txt:1: item '0x10' is not a whole number"},
      {"1 2 3 -\n", 0, "data.txt:1: item '-' is not a whole number"},
      {"1 2 3 --4\n", 0, "data.txt:1: item '--4' is not a whole number"},
      {"1 2,3,4\n", 0, "data.txt:1: item '2,3,4' is not a whole number"},
      {"1 2 3 \xe2\x82\xac\n", 0, "data.txt:1: item '\?\?\?' is not a whole number"},
      {"1 2\r3 4 5\n", 0, "data.txt:1: item '2?3' is not a whole number"},
      {"1 2 3 4\n\n2 5 0 6\n", 0, "data.txt:3: item '0' is padding"},
      {"1 2 3 -0\n", 0, "data.txt:1: item '-0' is negative"},
      {"1 2 3 -4\n", 0, "data.txt:1: item '-4' is negative"},
      {"1 2 3 4\n2 5 6 7\n1 8 9 10 11\n", 0, "data.txt:3: user '1' is there twice"},
      {"1 2 3 4\n\x1b[31m 5 6 7\n", 0, "data.txt:2: user '?[31m' is not printable UTF-8"},
      {"\xff 2 3 4\n", 0, "data.txt:1: user '?' is not printable UTF-8"},
      {"1 2 3 99999999999999999999999999\n", 0, "is past the largest item"},
      {"1 2 3 18446744073709551617\n", 0, "is past the largest item"},
      {"1 2 3 4\n2 5\n", 0, "data.txt:2: user '2' has 1 item, but needs 3"},
      {"1 2 3\n", 0, "data.txt:1: user '1' has 2 items, but needs 3"},
      {"1\n", 0, "data.txt:1: user '1' has 0 items, but needs 3"},
      {"1 2 3 4\n2 5 6 \0 7\n", 19, "data.txt:2: there is a NUL byte"},
      {"\0", 1, "data.txt:1: there is a NUL byte"},
      {"1 2 3 4\0", 8, "data.txt:1: there is a NUL byte"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__dataset *d = NULL;
    moire_error error = {0};
    /* A copy without the NUL at its end, so that a sanitizer sees a read past it. */
    size_t n = cases[i].n ? cases[i].n : strlen(cases[i].text);
    char *copy = memcpy(moire__allocate(n), cases[i].text, n);
    cr_assert_eq(moire__dataset_parse("data.txt", copy, n, 50, &d, &error), MOIRE_ERROR_FORMAT, "case %zu", i);
    moire__release(copy);
    cr_assert_null(d);
    cr_assert_not_null(strstr(error.message, cases[i].says), "case %zu: %s", i, error.message);
    cr_assert_null(strchr(error.message, '\n'));
  }
}

Test(dataset, truncated_anywhere_it_is_read_or_refused) {
  for (size_t n = 0; n < strlen(three_users); n++) {
    moire__dataset *d = NULL;
    moire_error error = {0};
    char *copy = memcpy(moire__allocate(n), three_users, n);
    moire_status status = moire__dataset_parse("data.txt", copy, n, 3, &d, &error);
    cr_assert_eq(status == MOIRE_OK, d != NULL);
    cr_assert_eq(status == MOIRE_OK, error.message[0] == 0);
    moire__dataset_free(d);
    moire__release(copy);
  }
}

Test(dataset, a_file_that_is_not_there_and_a_length_of_nothing) {
  moire__dataset *d = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__dataset_load("/no/such/file", 50, &d, &error), MOIRE_ERROR_IO);
  cr_assert_not_null(strstr(error.message, "/no/such/file: cannot be opened: No such file"), "%s",
                     error.message);
  error = (moire_error){0};
  cr_assert_eq(moire__dataset_parse("data.txt", "1 1 2 3", 7, 0, &d, &error), MOIRE_ERROR_ARGUMENT);
}

Test(dataset, LastFM_has_the_published_numbers) {
  test_path path;
  if (!test_shared("data/LastFM.txt", path)) cr_skip_test("../shared is absent");
  moire__dataset *d = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__dataset_load(path, 50, &d, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(d->n_users, 1090);
  cr_assert_eq(d->item_size, 3647);
  cr_assert_eq(d->n_interactions, 52551);
  cr_assert_eq(d->n_samples, 25726);
  /* Each user gives exactly one sample with an empty input. */
  int64_t empty = 0;
  for (int64_t sample = 0; sample < d->n_samples; sample++) {
    int32_t ids[50], answer = 0;
    moire__dataset_train_batch(d, &sample, 1, ids, &answer);
    cr_assert_gt(answer, 0);
    empty += ids[49] == 0;
  }
  cr_assert_eq(empty, 1090);
  moire__dataset_free(d);
}
