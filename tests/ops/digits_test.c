/* Digits of float32 that native code keeps: sums of a million numbers, and rows of equal numbers in layer_norm.
 */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/base/memory.h"

#include <math.h>

enum { MANY = 1000000 };

typedef struct machine {
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
} machine;

/* Runs g with every element of x equal to `value`, n of them; returns "y". */
static const float *run(machine *m, moire_graph *g, float value, int64_t batch, int64_t n) {
  moire_error error = {0};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y"};
  options.n_outputs = 1;
  m->program = moire_compile(g, &options, &error);
  cr_assert_not_null(m->program, "%s", error.message);
  moire_graph_destroy(g);
  m->store = moire_store_create();
  m->threads = moire_threads_create(2, NULL);
  m->runner = moire_runner_create(moire_program_plan(m->program), m->store, m->threads, &error);
  float *x = moire__allocate_array((size_t)n, sizeof *x);
  for (int64_t i = 0; i < n; i++) x[i] = value;
  moire_runner_set_extent(m->runner, "B", batch, &error);
  moire_runner_set_input(m->runner, "x", x, n, &error);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
  moire__release(x);
  return moire_runner_output(m->runner, "y", NULL);
}

static void finish(machine *m) {
  moire_runner_destroy(m->runner);
  moire_threads_destroy(m->threads);
  moire_store_destroy(m->store);
  moire_program_destroy(m->program);
}

typedef struct sum_case {
  const char *name;
  bool named, squares; /* the first extent is named; of squares, which share a kernel with the sum */
  int64_t rows, columns;
  int axis; /* -1: everything */
} sum_case;

static const sum_case sums[] = {
    {"all, fixed", false, false, MANY, 1, -1},        {"all, named", true, false, MANY, 1, -1},
    {"columns, fixed", false, false, MANY, 8, 0},     {"columns, named", true, false, MANY, 8, 0},
    {"rows, fixed", false, false, 2, MANY, 1},        {"rows of squares", false, true, 2, MANY, 1},
    {"everything", true, false, MANY / 100, 100, -1}, {"transposed", false, true, MANY, 3, 0},
};

Test(digits, sums_of_a_million) {
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
    const sum_case *c = &sums[i];
    moire_graph *g = moire_graph_create("sums", MOIRE_INFERENCE);
    moire_dim rows = c->named ? moire_extent(g, "B") : c->rows;
    moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(rows, c->columns));
    if (c->squares) x = moire_mul(x, x);
    moire_output(g, "y", c->axis < 0 ? moire_sum_all(x) : moire_sum(x, c->axis, false));
    machine m;
    double n = (double)(c->axis == 0 ? c->rows : c->axis == 1 ? c->columns : c->rows * c->columns);
    double want = n * (c->squares ? 0.1 * 0.1 : 0.1),
           got = (double)run(&m, g, 0.1f, c->rows, c->rows * c->columns)[0];
    cr_expect_lt(fabs(got - want), 5e-6 * want, "%s: %.9g, wanted %.9g", c->name, got, want);
    finish(&m);
  }
}

/* PyTorch gives 0 too. With eps = 1e-12 a mean that is off by a unit in the last place would be -0.1. */
Test(digits, rows_of_equal_numbers) {
  static const int widths[] = {1, 3, 48, 64, 100, 1000};
  static const float values[] = {1.1f, -0.3f, 1234.567f, 1e-20f, 3e15f};
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
      moire_graph *g = moire_graph_create("norm", MOIRE_INFERENCE);
      moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(2, widths[w]));
      moire_value one = moire_constant(g, MOIRE_F32, MOIRE_SHAPE(widths[w]), 1);
      moire_value zero = moire_constant(g, MOIRE_F32, MOIRE_SHAPE(widths[w]), 0);
      moire_output(g, "y", moire_layer_norm(x, one, zero, 1e-12));
      machine m;
      const float *y = run(&m, g, values[v], 1, 2 * widths[w]);
      for (int i = 0; i < 2 * widths[w]; i++)
        cr_assert_eq(y[i], 0, "%d of %g: %g", widths[w], (double)values[v], (double)y[i]);
      finish(&m);
    }
}
