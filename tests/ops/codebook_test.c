/* Codebooks: the nearest code whatever the sizes, the batch and the threads; gradients that go past it; states
 * that move after the step. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "tests/support/machine.h"

#include <math.h>
#include <string.h>

enum { ROWS = 131 };

static test_machine searcher(int64_t n_codes, int64_t width, int n_threads) {
  moire_graph *g = moire_graph_create("search", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), width));
  moire_value codes = moire_input(g, "codes", MOIRE_F32, MOIRE_SHAPE(n_codes, width));
  moire_output(g, "rows", moire_nearest_code(x, codes));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"rows"};
  options.n_outputs = 1;
  test_machine m = test_machine_make(g, &options, n_threads, 1);
  moire_graph_destroy(g);
  return m;
}

static const int32_t *search(test_machine *m, const float *x, int64_t n, const float *codes, int64_t n_codes,
                             int64_t width) {
  moire_error error = {0};
  moire_status status = moire_runner_set_extent(m->runner, "B", n, &error);
  if (!status) status = moire_runner_set_input(m->runner, "x", x, n * width, &error);
  if (!status) status = moire_runner_set_input(m->runner, "codes", codes, n_codes * width, &error);
  if (!status) status = moire_runner_run(m->runner, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  return moire_runner_output(m->runner, "rows", NULL);
}

/* Small whole numbers, so that every distance is exact and many are equal. */
static float *draw(uint64_t seed, int64_t n) {
  float *x = moire__allocate_array((size_t)n + 1, sizeof *x);
  moire__random random = moire__random_start(seed, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (float)(moire__random_below(&random, 5))-2;
  return x;
}

static int32_t nearest(const float *x, const float *codes, int64_t n_codes, int64_t width) {
  double best = INFINITY;
  int32_t found = 0;
  for (int64_t k = 0; k < n_codes; k++) {
    double far = 0;
    for (int64_t j = 0; j < width; j++) {
      double step = (double)x[j] - (double)codes[k * width + j];
      far += step * step;
    }
    if (!(far < best)) continue;
    best = far;
    found = (int32_t)k;
  }
  return found;
}

Test(codebook, the_nearest_code_and_the_lowest_of_equals, .timeout = 60) {
  static const int64_t sizes[] = {1, 7, 13, 32, 33, 65, 300}, widths[] = {1, 7, 17, 64};
  for (int i = 0; i < 7; i++) {
    for (int w = 0; w < 4; w++) {
      int64_t n_codes = sizes[i], width = widths[w];
      test_machine m = searcher(n_codes, width, 2);
      float *x = draw(1, ROWS * width), *codes = draw(2, n_codes * width);
      const int32_t *rows = search(&m, x, ROWS, codes, n_codes, width);
      for (int64_t r = 0; r < ROWS; r++) {
        int32_t want = nearest(x + r * width, codes, n_codes, width);
        cr_assert_eq(rows[r], want, "row %lld of %lld codes, width %lld: %d, wanted %d", (long long)r,
                     (long long)n_codes, (long long)width, rows[r], want);
      }
      test_machine_destroy(&m);
      moire__release(x);
      moire__release(codes);
    }
  }
}

Test(codebook, rows_do_not_see_each_other, .timeout = 60) {
  enum { CODES = 77, WIDTH = 19 };
  float x[ROWS * WIDTH], codes[CODES * WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = sinf((float)i * 1.7f);
  for (int i = 0; i < CODES * WIDTH; i++) codes[i] = cosf((float)i * 0.9f);
  x[3 * WIDTH + 5] = NAN;
  x[4 * WIDTH] = INFINITY;
  test_machine one = searcher(CODES, WIDTH, 1), three = searcher(CODES, WIDTH, 3);
  int32_t all[ROWS];
  memcpy(all, search(&one, x, ROWS, codes, CODES, WIDTH), sizeof all);
  cr_assert_arr_eq(search(&three, x, ROWS, codes, CODES, WIDTH), all, sizeof all);
  for (int r = 0; r < ROWS; r++) {
    cr_assert_eq(*search(&one, x + r * WIDTH, 1, codes, CODES, WIDTH), all[r], "row %d", r);
    cr_assert(all[r] >= 0 && all[r] < CODES);
  }
  cr_assert_eq(all[3], 0, "a NaN is code 0");
  test_machine_destroy(&one);
  test_machine_destroy(&three);
}

/* loss = sum of 3 straight_through(a, b): a gets 3, b gets nothing; s' = 2 b is of the b before the step. */
Test(codebook, gradients_go_past_it_and_states_move_after_it) {
  moire_graph *g = moire_graph_create("past", MOIRE_TRAINING);
  moire_value a = moire_parameter(g, "a", MOIRE_SHAPE(4), moire_init_constant(1));
  moire_value b = moire_parameter(g, "b", MOIRE_SHAPE(4), moire_init_constant(2));
  moire_value s = moire_state(g, "s", MOIRE_F32, MOIRE_SHAPE(4), moire_init_constant(7));
  moire_value y = moire_straight_through(a, moire_add(b, s));
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_sum_all(moire_scale(y, 3)));
  moire_update(g, "s", moire_scale(b, 2));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y", "loss"};
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_graph_destroy(g);
  moire_error error = {0};
  const float scalars[] = {1, 1, 1, 1, 1, 0.1f, 1, 1};
  moire_runner_set_input(m.runner, "optimizer.scalars", scalars, 8, &error);
  for (int step = 0; step < 2; step++) {
    cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
    const float *value = moire_runner_output(m.runner, "y", NULL),
                *state = moire_store_data(m.store, "s", NULL);
    const float *past_a = moire_runner_output(m.runner, "grad.a", NULL);
    const float *past_b = moire_runner_output(m.runner, "grad.b", NULL);
    for (int i = 0; i < 4; i++) {
      cr_assert_float_eq(value[i], step ? 6 : 9, 1e-6);
      cr_assert_eq(past_a[i], 3);
      cr_assert_eq(past_b[i], 0);
      cr_assert_eq(state[i], 4);
    }
  }
  test_machine_destroy(&m);
}

Test(codebook, nothing_goes_past_it_in_inference) {
  moire_graph *g = moire_graph_create("past", MOIRE_INFERENCE);
  moire_value a = moire_input(g, "a", MOIRE_F32, MOIRE_SHAPE(4)),
              b = moire_input(g, "b", MOIRE_F32, MOIRE_SHAPE(4));
  cr_assert_eq(moire_straight_through(a, b).id, b.id);
  moire_graph_destroy(g);
}
