/* sort, top_k, search_sorted, cumsum, and rows that are looked up or added to: what PyTorch gives for the same
 * numbers. Gradients and compiled code are judged over the ops' samples (tests/ops) and by the graph fuzzer. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "tests/support/call_case.h"
#include "tests/support/machine.h"

#include <math.h>
#include <string.h>

/* A compiled graph with the output "y" (and "i") after a run on x. */
static test_machine run(moire_graph *g, const char *const *outputs, int n, const float *x, int64_t elements) {
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = n;
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_graph_destroy(g);
  moire_error error = {0};
  cr_assert_eq(moire_runner_set_input(m.runner, "x", x, elements, &error), MOIRE_OK, "%s", error.message);
  return m;
}

static void go(test_machine *m) {
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
}

static const char *const both[] = {"y", "i"};

static test_machine sorted(moire_sorted (*call)(moire_value x), const float *x, int64_t rows, int64_t n) {
  moire_graph *g = moire_graph_create("sorted", MOIRE_INFERENCE);
  moire_sorted s = call(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(rows, n)));
  moire_output(g, "y", s.values);
  moire_output(g, "i", moire_cast(s.indices, MOIRE_F32));
  test_machine m = run(g, both, 2, x, rows * n);
  go(&m);
  return m;
}

static void is_what(test_machine *m, const float *values, const float *indices, size_t n) {
  const float *y = moire_runner_output(m->runner, "y", NULL), *i = moire_runner_output(m->runner, "i", NULL);
  for (size_t k = 0; k < n; k++) {
    cr_expect(y[k] == values[k] || (isnan(y[k]) && isnan(values[k])), "value %zu is %g", k, (double)y[k]);
    cr_expect_eq(i[k], indices[k], "index %zu is %g", k, (double)i[k]);
  }
  test_machine_destroy(m);
}

static moire_sorted ascending(moire_value x) { return moire_sort(x, 1, false); }
static moire_sorted descending(moire_value x) { return moire_sort(x, 1, true); }
static moire_sorted down_the_columns(moire_value x) { return moire_sort(x, 0, true); }
static moire_sorted three_largest(moire_value x) { return moire_top_k(x, 3, -1, true); }
static moire_sorted two_smallest(moire_value x) { return moire_top_k(x, 2, -1, false); }

/* torch.sort(x, stable=True): equals in their order, NaN above infinity, 0 and -0 equal. */
Test(order, a_sort_is_stable_and_nan_is_the_largest, .timeout = 60) {
  const float x[] = {2, NAN, -1, 2, INFINITY, -0.f, 0, NAN};
  test_machine m = sorted(ascending, x, 1, 8);
  is_what(&m, (const float[]){-1, -0.f, 0, 2, 2, INFINITY, NAN, NAN}, (const float[]){2, 5, 6, 0, 3, 4, 1, 7},
          8);
  m = sorted(descending, x, 1, 8);
  is_what(&m, (const float[]){NAN, NAN, INFINITY, 2, 2, -0.f, 0, -1}, (const float[]){1, 7, 4, 0, 3, 5, 6, 2},
          8);
}

Test(order, other_axes_are_sorted_as_well, .timeout = 60) {
  const float x[] = {1, 5, 3, 4, 2, 5};
  test_machine m = sorted(down_the_columns, x, 3, 2);
  is_what(&m, (const float[]){3, 5, 2, 5, 1, 4}, (const float[]){1, 0, 2, 2, 0, 1}, 6);
}

/* Both ways: a list that is kept, of a long row, and a whole sort, of a short one. */
Test(order, the_first_few_are_those_of_the_sort, .timeout = 60) {
  float x[60];
  for (int i = 0; i < 60; i++) x[i] = (float)((i * 37 + 11) % 20);
  x[41] = NAN;
  test_machine m = sorted(three_largest, x, 1, 60);
  is_what(&m, (const float[]){NAN, 19, 19}, (const float[]){41, 4, 24}, 3);
  m = sorted(two_smallest, x, 1, 60);
  is_what(&m, (const float[]){0, 0}, (const float[]){17, 37}, 2);
  m = sorted(three_largest, x, 1, 4);
  is_what(&m, (const float[]){11, 8, 5}, (const float[]){0, 1, 2}, 3);
}

Test(order, as_many_rows_as_a_batch_has, .timeout = 60) {
  moire_graph *g = moire_graph_create("named", MOIRE_INFERENCE);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b));
  moire_output(g, "y", moire_sort(x, 0, false).values);
  moire_output(g, "i", moire_cumsum(x, 0));
  const float numbers[] = {3, 1, 2, 5, 4};
  test_machine m = run(g, both, 2, numbers, 5);
  moire_error error = {0};
  moire_runner_set_extent(m.runner, "B", 5, &error);
  go(&m);
  cr_assert_arr_eq(moire_runner_output(m.runner, "y", NULL), ((const float[]){1, 2, 3, 4, 5}),
                   5 * sizeof(float));
  cr_assert_arr_eq(moire_runner_output(m.runner, "i", NULL), ((const float[]){3, 4, 6, 11, 15}),
                   5 * sizeof(float));
  test_machine_destroy(&m);
}

/* Two of five, of two, of one, and of none: what is not there has the index -1. */
Test(order, the_first_few_of_a_named_extent, .timeout = 60) {
  moire_graph *g = moire_graph_create("named", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B")));
  moire_sorted largest = moire_top_k(x, 2, 0, true),
               smallest = moire_top_k(moire_cast(x, MOIRE_I32), 2, 0, false);
  moire_output(g, "y", largest.values);
  moire_output(g, "i", moire_cast(largest.indices, MOIRE_F32));
  moire_output(g, "least", moire_cast(smallest.values, MOIRE_F32));
  const float numbers[] = {3, 1, 2, 5, 4};
  test_machine m = run(g, (const char *const[]){"y", "i", "least"}, 3, numbers, 5);
  const struct {
    int64_t n;
    float y[2], i[2], least[2];
  } rows[] = {{5, {5, 4}, {3, 4}, {1, 2}},
              {2, {3, 1}, {0, 1}, {1, 3}},
              {1, {3, -INFINITY}, {0, -1}, {3, 0x1p31f}},
              {0, {-INFINITY, -INFINITY}, {-1, -1}, {0x1p31f, 0x1p31f}}};
  for (int r = 0; r < 4; r++) {
    moire_error error = {0};
    moire_runner_set_extent(m.runner, "B", rows[r].n, &error);
    moire_runner_set_input(m.runner, "x", numbers, rows[r].n, &error);
    go(&m);
    cr_expect_arr_eq(moire_runner_output(m.runner, "y", NULL), rows[r].y, sizeof rows[r].y, "row %d", r);
    cr_expect_arr_eq(moire_runner_output(m.runner, "i", NULL), rows[r].i, sizeof rows[r].i, "row %d", r);
    const float *least = moire_runner_output(m.runner, "least", NULL);
    cr_expect_arr_eq(least, rows[r].least, sizeof rows[r].least, "row %d: %g, %g", r, (double)least[0],
                     (double)least[1]);
  }
  test_machine_destroy(&m);
}

/* torch.cumprod's values and gradients, with no 0, one and two. */
Test(order, running_products_have_gradients_at_zero, .timeout = 60) {
  moire_graph *g = moire_graph_create("cumprod", MOIRE_TRAINING);
  static const double numbers[] = {2, 3, -1, 4, 2, 0, 3, 4, 0, 2, 0, 5};
  moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(3, 4), moire_init_list(numbers, 12));
  moire_value y = moire_cumprod(x, 1);
  moire_output(g, "y", y);
  moire_output(g, "i", moire_cumprod(moire_swap_axes(x, 0, 1), 0)); /* the other axis is the vector */
  moire_output(g, "loss", moire_sum_all(y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y", "i", "loss"};
  options.n_outputs = 3;
  options.loss = "loss";
  options.keep_gradients = true;
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_graph_destroy(g);
  go(&m);
  const float products[] = {2, 6, -6, -24, 2, 0, 0, 0, 0, 0, 0, 0};
  const float gradients[] = {-11, -8, 30, -6, 1, 32, 0, 0, 3, 0, 0, 0};
  cr_assert_arr_eq(moire_runner_output(m.runner, "y", NULL), products, sizeof products);
  cr_assert_arr_eq(moire_runner_output(m.runner, "grad.x", NULL), gradients, sizeof gradients);
  const float *turned = moire_runner_output(m.runner, "i", NULL);
  for (int i = 0; i < 12; i++) cr_expect_eq(turned[i % 4 * 3 + i / 4], products[i]);
  test_machine_destroy(&m);
}

Test(order, a_long_running_sum_keeps_its_digits, .timeout = 60) {
  enum { N = 1000000 };
  moire_graph *g = moire_graph_create("long", MOIRE_INFERENCE);
  moire_value x = moire_broadcast(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(1)), MOIRE_SHAPE(N));
  moire_output(g, "y", moire_slice(moire_cumsum(x, 0), 0, N - 1, 1));
  test_machine m = run(g, both, 1, (const float[]){0.1f}, 1);
  go(&m);
  cr_assert_eq(*(const float *)moire_runner_output(m.runner, "y", NULL), (float)(N * (double)0.1f));
  test_machine_destroy(&m);
}

Test(order, places_in_a_row, .timeout = 60) {
  moire_graph *g = moire_graph_create("search", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(5));
  moire_value row = moire_scale(moire_cast(moire_iota(g, MOIRE_SHAPE(4), 0), MOIRE_F32), 2); /* 0 2 4 6 */
  moire_output(g, "y", moire_cast(moire_search_sorted(row, x, false), MOIRE_F32));
  moire_output(g, "i", moire_cast(moire_search_sorted(row, x, true), MOIRE_F32));
  test_machine m = run(g, both, 2, (const float[]){-1, 0, 3, 6, 7}, 5);
  go(&m);
  cr_assert_arr_eq(moire_runner_output(m.runner, "y", NULL), ((const float[]){0, 0, 2, 3, 4}),
                   5 * sizeof(float));
  cr_assert_arr_eq(moire_runner_output(m.runner, "i", NULL), ((const float[]){0, 1, 2, 4, 4}),
                   5 * sizeof(float));
  test_machine_destroy(&m);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* x [3, 2], rows 0 2 0, u [3, 2] = 10 .. 60. Ties: x[0, 0] = 10 is as large as the first that falls on it; by
 * torch.scatter_reduce(.., "amax") the gradient is halved. */
Test(rows, the_largest_share_their_gradient, .timeout = 60) {
  moire_graph *g = moire_graph_create("scatter", MOIRE_TRAINING);
  moire_value x =
      moire_parameter(g, "x", MOIRE_SHAPE(3, 2), moire_init_list((const double[]){50, 1, 7, 8, 9, 100}, 6));
  moire_value u =
      moire_parameter(g, "u", MOIRE_SHAPE(3, 2), moire_init_list((const double[]){10, 20, 30, 40, 50, 60}, 6));
  moire_value rows = moire_input(g, "rows", MOIRE_I32, MOIRE_SHAPE(3)), most = moire_scatter_max(x, rows, u);
  moire_value weight =
      moire_cast(moire_reshape(moire_iota(g, MOIRE_SHAPE(6), 0), MOIRE_SHAPE(3, 2)), MOIRE_F32);
  moire_output(g, "y", most);
  moire_output(g, "sum", moire_scatter_add(x, rows, u));
  moire_output(g, "loss", moire_sum_all(moire_mul(most, moire_add_scalar(weight, 1))));
  static const char *const outputs[] = {"y", "sum", "loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 3;
  options.loss = "loss";
  options.keep_gradients = true;
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_graph_destroy(g);
  moire_error error = {0};
  moire_runner_set_input(m.runner, "rows", (const int32_t[]){0, 2, 0}, 3, &error);
  go(&m);
  const struct {
    const char *name;
    float wanted[6];
  } table[] = {{"y", {50, 60, 7, 8, 30, 100}},
               {"sum", {110, 81, 7, 8, 39, 140}},
               {"grad.x", {0.5f, 0, 3, 4, 0, 6}},
               {"grad.u", {0, 0, 5, 0, 0.5f, 2}}};
  for (int i = 0; i < 4; i++)
    cr_expect_arr_eq(moire_runner_output(m.runner, table[i].name, NULL), table[i].wanted,
                     sizeof table[i].wanted, "%s", table[i].name);
  test_machine_destroy(&m);
}

/* As many rows as the batch has samples; of an empty table zeros are read, and nothing else. */
Test(rows, a_table_of_a_named_number_of_rows, .timeout = 60) {
  moire_graph *g = moire_graph_create("named", MOIRE_INFERENCE);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 2));
  moire_value rows = moire_input(g, "rows", MOIRE_I32, MOIRE_SHAPE(3));
  moire_output(g, "y", moire_gather(x, rows));
  moire_output(g, "i", moire_scatter_add(x, rows, moire_constant(g, MOIRE_F32, MOIRE_SHAPE(3, 2), 1)));
  const float numbers[] = {1, 2, 3, 4};
  test_machine m = run(g, both, 2, numbers, 4);
  moire_error error = {0};
  moire_runner_set_extent(m.runner, "B", 2, &error);
  moire_runner_set_input(m.runner, "rows", (const int32_t[]){1, 1, 0}, 3, &error);
  go(&m);
  cr_assert_arr_eq(moire_runner_output(m.runner, "y", NULL), ((const float[]){3, 4, 3, 4, 1, 2}),
                   6 * sizeof(float));
  cr_assert_arr_eq(moire_runner_output(m.runner, "i", NULL), ((const float[]){2, 3, 5, 6}), 4 * sizeof(float));
  moire_runner_set_extent(m.runner, "B", 0, &error);
  moire_runner_set_input(m.runner, "x", numbers, 0, &error);
  go(&m);
  cr_assert_arr_eq(moire_runner_output(m.runner, "y", NULL), ((const float[6]){0}), 6 * sizeof(float));
  test_machine_destroy(&m);
}

/* Row 1 of a table with a row for every sample is read, but passes no gradient. */
Test(rows, padding_in_a_table_of_a_named_number_of_rows, .timeout = 60) {
  moire_graph *g = moire_graph_create("padding", MOIRE_TRAINING);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 2));
  moire_value rows = moire_input(g, "rows", MOIRE_I32, MOIRE_SHAPE(4));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(2), moire_init_constant(1));
  moire_value y = moire_embedding(moire_mul(x, w), rows, 1);
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_sum_all(y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y", "loss"};
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_graph_destroy(g);
  const float numbers[] = {1, 2, 3, 4, 5, 6};
  moire_error error = {0};
  moire_runner_set_extent(m.runner, "B", 3, &error);
  moire_runner_set_input(m.runner, "x", numbers, 6, &error);
  moire_runner_set_input(m.runner, "rows", (const int32_t[]){1, 0, 2, 2}, 4, &error);
  go(&m);
  cr_assert_arr_eq(moire_runner_output(m.runner, "y", NULL), ((const float[]){3, 4, 1, 2, 5, 6, 5, 6}),
                   8 * sizeof(float));
  cr_assert_arr_eq(moire_runner_output(m.runner, "grad.w", NULL), ((const float[]){11, 14}), 2 * sizeof(float));
  test_machine_destroy(&m);
}

/* ---- refusals -------------------------------------------------------------------------------------------- */

static void refuses(moire_graph *g, const char *sentence) {
  moire_error error = {0};
  cr_assert_neq(moire_graph_status(g, &error), MOIRE_OK, "wanted: %s", sentence);
  cr_assert(strstr(error.message, sentence), "\"%s\" lacks \"%s\"", error.message, sentence);
  moire_graph_destroy(g);
}

Test(order, says_what_is_wrong) {
  moire_shape shape = MOIRE_SHAPE(4, 3);
  moire_graph *g = moire_graph_create("g", MOIRE_TRAINING);
  moire_top_k(moire_input(g, "x", MOIRE_F32, shape), 4, 1, true);
  refuses(g, "top_k: the first 4 of 3");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_sort(moire_input(g, "x", MOIRE_F32, shape), 2, true);
  refuses(g, "sort: axis 2 of a value of rank 2");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_top_k(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"))), -1, 0, true);
  refuses(g, "top_k: the first -1");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_cumprod(moire_input(g, "x", MOIRE_I32, shape), 0);
  refuses(g, "cumprod: of i32 values, wanted f32 or c64");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_value x = moire_input(g, "x", MOIRE_F32, shape);
  moire_scatter_add(x, moire_iota(g, MOIRE_SHAPE(2), 0), moire_input(g, "u", MOIRE_F32, MOIRE_SHAPE(2, 4)));
  refuses(g, "scatter_add: u must have the extents of rows");
}
