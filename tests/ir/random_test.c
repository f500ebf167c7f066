/* Random values: the interpreter and native code draw the same, on any number of threads, from counters alone;
 * they are distributed as they say; and what is excluded never comes. Chances are those of the fixed seed: a
 * test that passes passes always. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "tests/support/engines.h"
#include "tests/support/machine.h"

#include <math.h>
#include <string.h>

enum { N = 1 << 16 };

static test_machine machine_of(const moire_graph *g, int threads) {
  static const char *const outputs[] = {"y", "z"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = moire_graph_find_output(g, "z").name ? 2 : 1;
  return test_machine_make(g, &options, threads, 1);
}

/* The output after a run with these counters; valid until the machine is destroyed. */
static const void *drawn(test_machine *m, const char *name, int32_t seed, int32_t step, int64_t batch) {
  moire_error error = {0};
  const int32_t words[] = {seed, 0, step}; /* read by the run */
  moire_runner_set_extent(m->runner, "B", batch, &error);
  if (moire_runner_has_input(m->runner, "rng")) moire_runner_set_input(m->runner, "rng", words, 3, &error);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
  return moire_runner_output(m->runner, name, NULL);
}

static void moments(const float *x, int n, double *mean, double *variance) {
  *mean = *variance = 0;
  for (int i = 0; i < n; i++) *mean += (double)x[i] / n;
  for (int i = 0; i < n; i++) *variance += ((double)x[i] - *mean) * ((double)x[i] - *mean) / n;
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

Test(random, uniform_and_normal_numbers, .timeout = 60) {
  moire_graph *g = moire_graph_create("numbers", MOIRE_TRAINING);
  moire_output(g, "y", moire_uniform(g, MOIRE_SHAPE(N), -1, 3));
  moire_output(g, "z", moire_normal(g, MOIRE_SHAPE(N), 2, 0.5));
  test_machine m = machine_of(g, 2);
  moire_graph_destroy(g);
  double mean = 0, variance = 0;
  const float *y = drawn(&m, "y", 5, 0, 1), *z = moire_runner_output(m.runner, "z", NULL);
  moments(y, N, &mean, &variance);
  cr_expect(fabs(mean - 1) < 0.02 && fabs(variance - 16. / 12) < 0.02, "%g, %g", mean, variance);
  for (int i = 0; i < N; i++) cr_assert(y[i] >= -1 && y[i] < 3);
  moments(z, N, &mean, &variance);
  cr_expect(fabs(mean - 2) < 0.01 && fabs(variance - 0.25) < 0.005, "%g, %g", mean, variance);
  int beyond = 0; /* 1.96 deviations */
  for (int i = 0; i < N; i++) beyond += fabs((double)z[i] - 2) > 0.98;
  cr_expect(abs(beyond - N / 20) < 250, "%d", beyond);
  test_machine_destroy(&m);
}

Test(random, integers_and_coins, .timeout = 60) {
  moire_graph *g = moire_graph_create("integers", MOIRE_TRAINING);
  moire_value p = moire_input(g, "p", MOIRE_F32, MOIRE_SHAPE(3, N));
  moire_output(g, "y", moire_random_integers(g, MOIRE_SHAPE(N), -2, 5));
  moire_output(g, "z", moire_bernoulli(p));
  test_machine m = machine_of(g, 2);
  moire_graph_destroy(g);
  moire_error error = {0};
  static float chances[3 * N];
  for (int i = 0; i < N; i++) {
    chances[N + i] = 0.3f;
    chances[2 * N + i] = 1;
  }
  moire_runner_set_input(m.runner, "p", chances, 3 * N, &error);
  const int32_t *y = drawn(&m, "y", 5, 0, 1);
  const float *z = moire_runner_output(m.runner, "z", NULL);
  int counts[7] = {0}, hits[3] = {0};
  for (int i = 0; i < N; i++) {
    cr_assert(y[i] >= -2 && y[i] < 5);
    counts[y[i] + 2]++;
  }
  for (int i = 0; i < 7; i++) cr_expect(abs(counts[i] - N / 7) < 400, "%d of %d", counts[i], i - 2);
  for (int i = 0; i < 3 * N; i++) hits[i / N] += z[i] == 1;
  cr_expect(hits[0] == 0 && hits[2] == N && abs(hits[1] - N * 3 / 10) < 500, "%d", hits[1]);
  test_machine_destroy(&m);
}

/* ---- counters -------------------------------------------------------------------------------------------- */

static moire_graph *all_kinds(moire_mode mode) {
  moire_graph *g = moire_graph_create("kinds", mode);
  moire_dim b = moire_extent(g, "B");
  moire_shape shape = MOIRE_SHAPE(b, 33);
  moire_value seen = moire_random_integers(g, MOIRE_SHAPE(b, 7), -1, 40);
  moire_value weights = moire_cast(moire_iota(g, MOIRE_SHAPE(50), 0), MOIRE_F32);
  moire_negative_options options = {.low = -3, .high = 47, .weights = weights, .exclude = seen};
  moire_value negatives = moire_negative_samples(g, shape, options);
  options.weights = (moire_value){0};
  negatives = moire_add(negatives, moire_scale(moire_negative_samples(g, shape, options), 100));
  moire_value half = moire_constant(g, MOIRE_F32, shape, 0.5);
  moire_value parts[] = {moire_cast(negatives, MOIRE_F32), moire_uniform(g, shape, 0, 1),
                         moire_bernoulli(half)};
  moire_output(g, "y", moire_concat(parts, 3, 1));
  return g;
}

/* Another seed, step or call draws other numbers; a smaller batch the same ones, as far as it goes. */
Test(random, numbers_depend_on_counters_alone, .timeout = 60) {
  moire_graph *g = all_kinds(MOIRE_TRAINING);
  test_machine one = machine_of(g, 1), three = machine_of(g, 3);
  size_t bytes = 70 * 99 * sizeof(float), part = 5 * 99 * sizeof(float);
  const float *first = drawn(&one, "y", 7, 4, 70);
  static float kept[70 * 99];
  memcpy(kept, first, bytes);
  cr_expect_arr_eq(drawn(&three, "y", 7, 4, 70), kept, bytes, "three threads");
  cr_expect_arr_eq(drawn(&three, "y", 7, 4, 5), kept, part, "a part of the batch");
  cr_expect_arr_neq(drawn(&one, "y", 8, 4, 70), kept, bytes, "another seed");
  cr_expect_arr_neq(drawn(&one, "y", 7, 5, 70), kept, bytes, "another step");
  cr_expect_arr_eq(drawn(&one, "y", 7, 4, 70), kept, bytes, "again");
  test_feed feed = test_feed_draw(g, NULL, 0, 70, 1);
  moire__tensor *rng = test_feed_find(&feed, "rng");
  rng->re[0] = 7, rng->re[1] = 0, rng->re[2] = 4;
  test_values values = {0};
  moire_error error = {0};
  cr_assert_eq(test_run_graph(g, &feed, &values, &error), MOIRE_OK, "%s", error.message);
  const test_value *y = test_values_find(&values, "y", false);
  for (int i = 0; i < 70 * 99; i++)
    cr_assert_eq(y->value[i], (double)kept[i], "element %d of the interpreter", i);
  test_values_free(&values);
  test_feed_free(&feed);
  moire_graph_destroy(g);
  test_machine_destroy(&one);
  test_machine_destroy(&three);
}

Test(random, inference_draws_the_same_at_every_run, .timeout = 60) {
  moire_graph *g = all_kinds(MOIRE_INFERENCE);
  cr_assert_null(moire_graph_find_input(g, "rng").name);
  test_machine m = machine_of(g, 2);
  moire_graph_destroy(g);
  static float kept[9 * 99];
  memcpy(kept, drawn(&m, "y", 1, 1, 9), sizeof kept);
  cr_expect_arr_eq(drawn(&m, "y", 2, 2, 9), kept, sizeof kept);
  test_machine_destroy(&m);
  g = moire_graph_create("sampler", MOIRE_INFERENCE); /* one that is told */
  moire_input(g, "rng", MOIRE_I32, MOIRE_SHAPE(3));
  moire_output(g, "y", moire_uniform(g, MOIRE_SHAPE(33), 0, 1));
  m = machine_of(g, 2);
  moire_graph_destroy(g);
  memcpy(kept, drawn(&m, "y", 1, 1, 1), 33 * sizeof *kept);
  cr_expect_arr_neq(drawn(&m, "y", 2, 1, 1), kept, 33 * sizeof *kept);
  test_machine_destroy(&m);
}

Test(random, two_calls_of_one_line_differ, .timeout = 60) {
  moire_graph *g = moire_graph_create("twice", MOIRE_TRAINING);
  moire_value draws[2];
  for (int i = 0; i < 2; i++) draws[i] = moire_uniform(g, MOIRE_SHAPE(9), 0, 1);
  moire_output(g, "y", draws[0]);
  moire_output(g, "z", draws[1]);
  test_machine m = machine_of(g, 1);
  moire_graph_destroy(g);
  const float *y = drawn(&m, "y", 1, 0, 1);
  cr_assert_arr_neq(y, moire_runner_output(m.runner, "z", NULL), 9 * sizeof *y);
  test_machine_destroy(&m);
}

/* ---- negatives ------------------------------------------------------------------------------------------- */

enum { ITEMS = 10, ROWS = 2000, EACH = 8 };

/* Items 1 .. 10 of which 3, 3, 10, and the paddings 0 and 77, are excluded. */
static void draw_negatives(bool weighted, bool excluding, int redraws, int counts[ITEMS + 1]) {
  static const int32_t list[] = {3, 0, 10, 3, 77};
  moire_graph *g = moire_graph_create("negatives", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_negative_options options = {.low = 1, .high = ITEMS + 1, .redraws = redraws};
  if (excluding) options.exclude = moire_input(g, "seen", MOIRE_I32, MOIRE_SHAPE(b, 5));
  if (weighted) /* 0, 1, .. 9 */
    options.weights = moire_cast(moire_iota(g, MOIRE_SHAPE(ITEMS), 0), MOIRE_F32);
  moire_output(g, "y", moire_negative_samples(g, MOIRE_SHAPE(b, EACH), options));
  test_machine m = machine_of(g, 2);
  moire_graph_destroy(g);
  static int32_t seen[ROWS * 5];
  for (int i = 0; i < ROWS * 5; i++) seen[i] = list[(i + i / 5) % 5];
  moire_error error = {0};
  if (excluding) moire_runner_set_input(m.runner, "seen", seen, ROWS * 5, &error);
  const int32_t *y = drawn(&m, "y", 3, 0, ROWS);
  memset(counts, 0, (ITEMS + 1) * sizeof *counts);
  for (int i = 0; i < ROWS * EACH; i++) {
    cr_assert(y[i] >= 1 && y[i] <= ITEMS);
    counts[y[i]]++;
  }
  test_machine_destroy(&m);
}

static void are_near(const int counts[ITEMS + 1], const double shares[ITEMS + 1]) {
  for (int i = 1; i <= ITEMS; i++) {
    double wanted = shares[i] * ROWS * EACH, deviation = sqrt(wanted);
    cr_expect(fabs(counts[i] - wanted) <= 4 * deviation, "%d of item %d, wanted %g", counts[i], i, wanted);
  }
}

Test(negatives, all_items_alike, .timeout = 60) {
  int counts[ITEMS + 1];
  double shares[ITEMS + 1];
  for (int i = 1; i <= ITEMS; i++) shares[i] = 1. / ITEMS;
  draw_negatives(false, false, 0, counts);
  are_near(counts, shares);
  for (int i = 1; i <= ITEMS; i++) shares[i] = i == 3 || i == 10 ? 0 : 1. / (ITEMS - 2);
  draw_negatives(false, true, 0, counts);
  are_near(counts, shares);
}

Test(negatives, by_weights, .timeout = 60) {
  int counts[ITEMS + 1];
  double shares[ITEMS + 1];
  for (int i = 1; i <= ITEMS; i++) shares[i] = (i - 1) / 45.;
  draw_negatives(true, false, 0, counts);
  are_near(counts, shares);
  /* q = 11/45 is excluded: with one draw, of what is left to it an eighth goes to each of the others */
  double q = 11 / 45.;
  for (int i = 1; i <= ITEMS; i++) shares[i] = i == 3 || i == 10 ? 0 : (i - 1) / 45. + q / 8;
  draw_negatives(true, true, 1, counts);
  are_near(counts, shares);
  double left = pow(q, 20);
  for (int i = 1; i <= ITEMS; i++)
    shares[i] = i == 3 || i == 10 ? 0 : (i - 1) / 45. * (1 - left) / (1 - q) + left / 8;
  draw_negatives(true, true, 20, counts);
  are_near(counts, shares);
}

Test(negatives, where_nothing_is_left, .timeout = 60) {
  moire_graph *g = moire_graph_create("none", MOIRE_TRAINING);
  moire_negative_options options = {.low = 4, .high = 7};
  options.exclude = moire_add(moire_iota(g, MOIRE_SHAPE(5), 0), moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 3));
  moire_output(g, "y", moire_negative_samples(g, MOIRE_SHAPE(20), options));
  test_machine m = machine_of(g, 1);
  moire_graph_destroy(g);
  const int32_t *y = drawn(&m, "y", 3, 0, 1);
  for (int i = 0; i < 20; i++) cr_expect_eq(y[i], 6);
  test_machine_destroy(&m);
}

static void refuses(moire_graph *g, const char *sentence) {
  moire_error error = {0};
  cr_expect_neq(moire_graph_status(g, &error), MOIRE_OK, "wanted: %s", sentence);
  cr_expect(strstr(error.message, sentence), "\"%s\" lacks \"%s\"", error.message, sentence);
  moire_graph_destroy(g);
}

Test(random, says_what_is_wrong) {
  moire_shape shape = MOIRE_SHAPE(3);
  moire_graph *g = moire_graph_create("g", MOIRE_TRAINING);
  moire_uniform(g, shape, 2, 1);
  refuses(g, "uniform: from 2 to 1 is no interval");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_normal(g, shape, 0, -1);
  refuses(g, "normal: mean 0 and deviation -1");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_random_integers(g, shape, 5, 5);
  refuses(g, "random_integers: from 5 to below 5");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_negative_samples(g, shape, (moire_negative_options){.low = 1, .high = 1});
  refuses(g, "items are from low to below high");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_value list = moire_input(g, "e", MOIRE_I32, MOIRE_SHAPE(4, 2));
  moire_negative_samples(g, shape, (moire_negative_options){.low = 1, .high = 9, .exclude = list});
  refuses(g, "exclude is i32[.., E]");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_value weights = moire_input(g, "w", MOIRE_F32, MOIRE_SHAPE(9));
  moire_negative_samples(g, shape, (moire_negative_options){.low = 1, .high = 9, .weights = weights});
  refuses(g, "weights are f32[high - low]");
}
