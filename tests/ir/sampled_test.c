/* Losses by drawn items: items come as often as their ln q says, and the mean of e^loss over draws is that of
 * the softmax over all items. Chances are those of the fixed seed: a test that passes passes always. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "tests/support/machine.h"

#include <math.h>

enum { ITEMS = 50, ROWS = 4, WIDTH = 3, DRAWS = 1 << 16 };

static const char *const outputs[] = {"y", "z"};

static test_machine machine_of(moire_graph *g) {
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  test_machine m = test_machine_make(g, &options, 2, 3);
  moire_graph_destroy(g);
  return m;
}

static void run(test_machine *m, int32_t step) {
  moire_error error = {0};
  const int32_t words[] = {11, 0, step}; /* read by the run */
  if (moire_runner_has_input(m->runner, "rng")) moire_runner_set_input(m->runner, "rng", words, 3, &error);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
}

/* Weights 1, 2, 3, ... */
static moire_value triangle(moire_graph *g) {
  moire_value i =
      moire_add(moire_iota(g, MOIRE_SHAPE(ITEMS), 0), moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 1));
  return moire_cast(moire_cumsum(moire_cast(i, MOIRE_F32), 0), MOIRE_I32);
}

static double share(moire_drawing drawing, int i) {
  switch (drawing) {
    case MOIRE_DRAW_UNIFORM: return 1.0 / ITEMS;
    case MOIRE_DRAW_LOG_UNIFORM: return log1p(1.0 / (i + 1)) / log(ITEMS + 1);
    case MOIRE_DRAW_BY_WEIGHT: return 2.0 * (i + 1) / (ITEMS * (ITEMS + 1));
  }
  return 0;
}

static moire_drawn draw(moire_graph *g, moire_drawing drawing, int64_t count) {
  moire_value ends = drawing == MOIRE_DRAW_BY_WEIGHT ? triangle(g) : (moire_value){0};
  return moire_draw_items(g, drawing, ITEMS, count, ends);
}

Test(sampled, items_come_as_they_say, .timeout = 60) {
  for (moire_drawing d = MOIRE_DRAW_UNIFORM; d <= MOIRE_DRAW_BY_WEIGHT; d++) {
    moire_graph *g = moire_graph_create("drawn", MOIRE_TRAINING);
    moire_drawn drawn = draw(g, d, DRAWS);
    moire_output(g, "y", drawn.items);
    moire_output(g, "z", drawn.log_q);
    test_machine m = machine_of(g);
    run(&m, 1);
    const int32_t *items = moire_runner_output(m.runner, "y", NULL);
    const float *log_q = moire_runner_output(m.runner, "z", NULL);
    int counts[ITEMS] = {0};
    double chi = 0;
    for (int i = 0; i < DRAWS; i++) {
      cr_assert(items[i] >= 0 && items[i] < ITEMS);
      counts[items[i]]++;
      cr_assert_float_eq((double)log_q[i], log(share(d, items[i])), 1e-5, "drawing %d, item %d", (int)d,
                         items[i]);
    }
    for (int i = 0; i < ITEMS; i++) {
      double want = DRAWS * share(d, i);
      chi += (counts[i] - want) * (counts[i] - want) / want;
    }
    cr_expect(chi < 100, "drawing %d: chi squared is %g of 49 degrees", (int)d, chi); /* 99.99 % are below 98 */
    test_machine_destroy(&m);
  }
}

/* 40 million items: every residue modulo 8 of those of rank 20 million and more comes, which 24 bits cannot
 * give. */
Test(sampled, far_items_come_too, .timeout = 60) {
  enum { MANY = 40000000, FAR = 1 << 17 };
  moire_graph *g = moire_graph_create("far", MOIRE_TRAINING);
  moire_drawn drawn = moire_draw_items(g, MOIRE_DRAW_LOG_UNIFORM, MANY, FAR, (moire_value){0});
  moire_output(g, "y", drawn.items);
  moire_output(g, "z", drawn.log_q);
  test_machine m = machine_of(g);
  run(&m, 1);
  const int32_t *items = moire_runner_output(m.runner, "y", NULL);
  const float *log_q = moire_runner_output(m.runner, "z", NULL);
  int counts[8] = {0}, all = 0;
  for (int i = 0; i < FAR; i++) {
    if (items[i] < MANY / 2) continue;
    counts[items[i] % 8]++;
    all++;
    double want = log(log1p(1 / ((double)items[i] + 1)) / log(MANY + 1.0));
    cr_assert_float_eq((double)log_q[i], want, 1e-5, "item %d", items[i]);
  }
  cr_assert_gt(all, 3000);
  for (int r = 0; r < 8; r++)
    cr_expect(abs(counts[r] - all / 8) < 120, "%d of %d are %d modulo 8", counts[r], all, r);
  test_machine_destroy(&m);
}

/* Scores from -2 to 2 or so, and items of very different scores. */
static moire_value parameter(moire_graph *g, const char *name, int64_t rows) {
  return moire_parameter(g, name, MOIRE_SHAPE(rows, WIDTH), moire_init_normal(0, 0.9));
}

Test(sampled, the_mean_is_the_softmax, .timeout = 120) {
  enum { STEPS = 4000, COUNT = 8 };
  for (moire_drawing d = MOIRE_DRAW_UNIFORM; d <= MOIRE_DRAW_BY_WEIGHT; d++) {
    moire_graph *g = moire_graph_create("mean", MOIRE_TRAINING);
    moire_value x = parameter(g, "x", ROWS), w = parameter(g, "w", ITEMS);
    moire_value targets = moire_iota(g, MOIRE_SHAPE(ROWS), 0);
    moire_output(g, "y", moire_sampled_softmax_loss(x, w, targets, draw(g, d, COUNT), MOIRE_REDUCE_NONE));
    moire_output(g, "z", moire_cross_entropy(moire_linear(x, w, (moire_value){0}), targets));
    test_machine m = machine_of(g);
    double sum[ROWS] = {0}, squares[ROWS] = {0};
    for (int s = 0; s < STEPS; s++) {
      run(&m, s);
      const float *y = moire_runner_output(m.runner, "y", NULL);
      for (int i = 0; i < ROWS; i++) {
        sum[i] += exp((double)y[i]) / STEPS;
        squares[i] += exp(2 * (double)y[i]) / STEPS;
      }
    }
    const float *z = moire_runner_output(m.runner, "z", NULL);
    for (int i = 0; i < ROWS; i++) {
      double want = exp((double)z[i]), deviation = sqrt((squares[i] - sum[i] * sum[i]) / STEPS);
      cr_expect(fabs(sum[i] - want) < 4 * deviation, "drawing %d, row %d: %g, wanted %g +- %g", (int)d, i,
                sum[i], want, deviation);
      cr_expect(deviation < 0.05 * want, "drawing %d, row %d: %g +- %g tells nothing", (int)d, i, want,
                deviation);
    }
    test_machine_destroy(&m);
  }
}

Test(sampled, mistakes_are_told) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create("wrong", MOIRE_TRAINING);
  moire_draw_items(g, MOIRE_DRAW_BY_WEIGHT, ITEMS, 4, moire_constant(g, MOIRE_F32, MOIRE_SHAPE(ITEMS), 1));
  cr_expect_eq(moire_graph_status(g, &error), MOIRE_ERROR_ARGUMENT);
  moire_graph_destroy(g);
  g = moire_graph_create("wrong", MOIRE_TRAINING);
  moire_value x = parameter(g, "x", ROWS), w = parameter(g, "w", ITEMS);
  moire_gbce_loss(x, w, moire_iota(g, MOIRE_SHAPE(ROWS), 0), draw(g, MOIRE_DRAW_UNIFORM, 4), 1.5,
                  MOIRE_REDUCE_MEAN);
  cr_expect_eq(moire_graph_status(g, &error), MOIRE_ERROR_ARGUMENT);
  moire_graph_destroy(g);
  g = moire_graph_create("wrong", MOIRE_TRAINING);
  x = parameter(g, "x", ROWS), w = parameter(g, "w", ITEMS);
  moire_sampled_softmax_loss(x, w, moire_iota(g, MOIRE_SHAPE(ROWS + 1), 0), draw(g, MOIRE_DRAW_UNIFORM, 4),
                             MOIRE_REDUCE_MEAN);
  error = (moire_error){0};
  cr_expect_eq(moire_graph_status(g, &error), MOIRE_ERROR_SHAPE, "%s", error.message);
  moire_graph_destroy(g);
}
