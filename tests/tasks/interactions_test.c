/* Files of interactions: every form that is known is read as the same users, and what cannot be meant is a
 * sentence. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "tasks/interactions/interactions.h"
#include "tests/support/files.h"

#include <string.h>

/* A copy without a NUL at its end, so that a sanitizer sees a read past it. */
static moire_status parse(const char *text, const moire__interactions_options *options,
                          moire__interactions *out, moire_error *error) {
  size_t n = strlen(text);
  char *copy = memcpy(moire__allocate(n ? n : 1), text, n);
  moire_status status = moire__interactions_parse("ratings", copy, n, options, out, error);
  moire__release(copy);
  return status;
}

static moire__interactions read(const char *text, const moire__interactions_options *options) {
  moire__interactions out;
  moire_error error = {0};
  cr_assert_eq(parse(text, options, &out, &error), MOIRE_OK, "%s", error.message);
  return out;
}

static const moire__interactions_options defaults = {.format = "auto", .fewest = 1};

/* "user: item item; user: item", by names. */
static char *described(const moire__interactions *x) {
  moire__text text = {0};
  for (int64_t u = 0; u < x->n_users; u++) {
    moire__text_add(&text, "%s%s:", u ? "; " : "", moire__id_names_at(&x->users, u));
    for (int64_t i = x->first[u]; i < x->first[u + 1]; i++) {
      if (x->names.n)
        moire__text_add(&text, " %s", moire__id_names_at(&x->names, x->items[i] - 1));
      else
        moire__text_add(&text, " %d", (int)x->items[i]);
    }
  }
  return text.data;
}

Test(interactions, one_data_set_in_the_forms_that_people_have) {
  static const char *const texts[] = {
      "7\t3\t5\t300\n8\t1\t4\t100\n7\t2\t1\t200\n8\t3\t2\t50\n7\t1\t3\t300\n",
      "7 3 5 300\r\n8 1 4 100\r\n\r\n7 2 1 200\r\n8 3 2 50\r\n7 1 3 300",
      "7::3::5::300\n8::1::4::100\n7::2::1::200\n8::3::2::50\n7::1::3::300\n",
      "7,3,5,300\n8,1,4,100\n7,2,1,200\n8,3,2,50\n7,1,3,300\n",
      "userId,movieId,rating,timestamp\n7,3,5,300\n8,1,4,100\n7,2,1,200\n8,3,2,50\n7,1,3,300\n",
      "\"timestamp\",\"item\",\"user\",\"comment\"\n300,3,\"7\",\"a, "
      "b\"\n100,\"1\",8,c\n200,2,7,\n50,3,8,\n300,1,7,d\n",
      "\xef\xbb\xbfuser_id:token\titem_id:token\trating:float\ttimestamp:"
      "float\n7\t3\t5\t300\n8\t1\t4\t100\n7\t2\t1\t"
      "200.0\n8\t3\t2\t5e1\n7\t1\t3\t300\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    moire__interactions x = read(texts[i], &defaults);
    char *got = described(&x);
    cr_assert_str_eq(got, "7: 2 3 1; 8: 3 1", "case %zu", i);
    cr_assert_eq(x.item_size, 4);
    cr_assert_eq(x.names.n, 0);
    cr_assert_eq(x.times[1], 300);
    if (x.ratings) cr_assert_float_eq(x.ratings[0], 1, 0);
    moire__release(got);
    moire__interactions_free(&x);
  }
}

Test(interactions, forms_and_ids) {
  static const struct {
    const char *text, *format, *want;
  } cases[] = {
      {"a x\nb y\na y\n", "auto", "a: x y; b: y"},                   /* neither rating nor time */
      {"a x 1200000\nb y 5\na y 1100000\n", "auto", "a: y x; b: y"}, /* three fields, the third a time */
      {"a x 5\nb y 3\na y 1\n", "auto", "a: x y; b: y"},             /* … and a rating */
      {"1 5 6 7\n2 5 6 8\n", "auto", "1: 5 6 7; 2: 5 6 8"},          /* no user comes twice */
      {"1 5 3 7000000\n2 5 6 8000000\n", "interactions", "1: 5; 2: 5"},
      {"1,5,6,7\n2,5,6\n", "auto", "1: 5 6 7; 2: 5 6"},
      {"1 x y\n2 y \xc3\xa9\n", "users", "1: x y; 2: y \xc3\xa9"},
      {"1 0155 3 7\n1 155 3 8\n2 15X 1 1\n", "auto", "1: 0155 155; 2: 15X"}, /* text is kept as it is */
      {"1\t0\t3\n1\t2\t3\n", "auto", "1: 0 2"},
      {"user item\nann The\nbob a\nann b\n", "auto", "ann: The b; bob: a"},
      {"user\titem\nann\tThe Who\nann\tYes\n", "auto", "ann: The Who Yes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__interactions_options options = {.format = cases[i].format, .fewest = 1};
    moire__interactions x = read(cases[i].text, &options);
    char *got = described(&x);
    cr_assert_str_eq(got, cases[i].want, "case %zu", i);
    moire__release(got);
    moire__interactions_free(&x);
  }
}

Test(interactions, a_map_that_was_kept_gives_other_files_the_same_items) {
  moire__interactions x = read("u x 1 5\nu y 1 4\nv z 1 1\n", &defaults);
  char *map = moire__interactions_map(&x.names);
  cr_assert_str_eq(map, "x\ny\nz\n");
  moire__interactions_free(&x);
  moire__interactions_options options = {.fewest = 1, .known = true, .map = map, .skip_unknown = true};
  x = read("w z y\nq n\np x n\n", &options);
  char *got = described(&x);
  cr_assert_str_eq(got, "w: z y; p: x");
  cr_assert_eq(x.skipped, 2);
  cr_assert_eq(x.skipped_users, 1);
  moire__release(got);
  moire__interactions_free(&x);
  options.skip_unknown = false;
  moire_error error = {0};
  cr_assert_eq(parse("w z y\np x n\n", &options, &x, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "ratings:2: item 'n' is none of the items"), "%s", error.message);
  moire__release(map);
  /* Without a map the items are numbers, however far apart. */
  options = (moire__interactions_options){.fewest = 1, .known = true};
  x = read("w 5 70000000\n", &options);
  cr_assert_eq(x.item_size, 70000001);
  moire__interactions_free(&x);
}

Test(interactions, users_with_too_few_are_left_out_and_counted) {
  moire__interactions_options options = {.format = "auto", .fewest = 2};
  moire__interactions x = read("a x 1 1\nb x 1 1\na y 1 2\n", &options);
  cr_assert_eq(x.n_users, 1);
  cr_assert_eq(x.n, 2);
  cr_assert_eq(x.skipped_users, 1);
  moire__interactions_free(&x);
}

Test(interactions, what_cannot_be_meant_is_a_sentence_with_the_line) {
  static const struct {
    const char *text, *format, *says;
  } cases[] = {
      {"", "auto", "ratings: is empty"},
      {"1 2 3\n1 4 5\n2 3\n", "auto", "ratings:2: user '1' is there twice"},
      {"1 2 3\n2 4\n", "interactions", "ratings:2: has 2 fields: wanted 3"},
      {"1\n2\n", "interactions", "ratings:1: has one field"},
      {"1 2 3 4 5 6\n", "interactions", "ratings:1: has more than 4 fields"},
      {"1 2 3\n2\n", "auto", "ratings:2: user '2' has 0 items, but needs 1"},
      {"user item rating\n1 2 good\n", "auto", "ratings:2: rating 'good' is not a number"},
      {"1\t2\t3\tnan\n1\t2\t3\t4\n", "auto", "ratings:1: time 'nan' is not a number"},
      {"user_id:token\tprice:float\n1\t2\n", "auto", "ratings:1: names no column of items"},
      {"user item\n1 \x1b[2J\n", "auto", "ratings:2: item '?[2J' is not printable UTF-8"},
      {"user,item\n1,\n", "auto", "ratings:2: item '' is empty"},
      {"user,item,time\n1,2\n", "auto", "ratings:2: has 2 fields: wanted at least 3"},
      {"1 2 x\n", "users", "ratings:1: item 'x' is not a whole number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__interactions_options options = {.format = cases[i].format, .fewest = 1};
    moire__interactions x;
    moire_error error = {0};
    cr_assert_eq(parse(cases[i].text, &options, &x, &error), MOIRE_ERROR_FORMAT, "case %zu", i);
    cr_assert_not_null(strstr(error.message, cases[i].says), "case %zu: %s", i, error.message);
  }
}
