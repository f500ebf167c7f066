/* Complex inputs, outputs and states, from the language to the runner: whole for who asks, planes for plans. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"

#include <complex.h>
#include <math.h>
#include <string.h>

enum { WIDTH = 3, N = 5 };
#define CHECK(call) cr_assert_eq((call), MOIRE_OK, "%s", error.message)

static moire_error error;

/* y = conj(x) w, |mean(x y)|^2 as the loss, and z, the last mean. */
static moire_graph *model(void) {
  moire_graph *g = moire_graph_create("waves", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(b, WIDTH));
  moire_scope_push(g, "layer");
  moire_value w = moire_complex_parameter(g, "w", MOIRE_SHAPE(WIDTH), moire_init_normal(0, 1));
  moire_value z = moire_state(g, "z", MOIRE_C64, MOIRE_SCALAR, moire_init_constant(0.5));
  moire_scope_pop(g);
  moire_value y = moire_mul(moire_conj(x), w);
  moire_value mean = moire_mean_all(moire_mul(x, y));
  moire_output(g, "y", y);
  moire_output(g, "same", x);
  moire_output(g, "z", z);
  moire_output(g, "loss", moire_abs2(mean));
  moire_update(g, "layer.z", mean);
  CHECK(moire_graph_status(g, &error));
  return g;
}

static moire_compile_options options(void) {
  static const char *const outputs[] = {"y", "same", "z", "loss"};
  moire_compile_options o = moire_compile_defaults();
  o.outputs = outputs;
  o.n_outputs = 4;
  o.loss = "loss";
  o.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  o.keep_gradients = true;
  return o;
}

typedef struct engine {
  moire_graph *g;
  moire_program *program;
  moire_threads *threads;
  moire_store *store;
  moire_runner *runner;
  moire_oracle *oracle;
} engine;

static engine start(void) {
  moire_compile_options o = options();
  engine e = {.g = model()};
  e.program = moire_compile(e.g, &o, &error);
  cr_assert(e.program, "%s", error.message);
  e.threads = moire_threads_create(1, &error);
  e.store = moire_store_create();
  CHECK(moire_store_declare(e.store, moire_program_plan(e.program), 3, &error));
  e.runner = moire_runner_create(moire_program_plan(e.program), e.store, e.threads, &error);
  e.oracle = moire_oracle_create(e.g, &o, &error);
  cr_assert(e.runner && e.oracle, "%s", error.message);
  return e;
}

static void stop(engine *e) {
  moire_oracle_destroy(e->oracle);
  moire_runner_destroy(e->runner);
  moire_store_destroy(e->store);
  moire_threads_destroy(e->threads);
  moire_program_destroy(e->program);
  moire_graph_destroy(e->g);
}

static float complex wave(int i) { return CMPLXF(0.25F * (float)i - 1, 1.5F - 0.125F * (float)i); }

static void feed_both(engine *e, const float complex *x) {
  static const float scalars[] = {1, 1, 1, 1, 1, 1, 1, 1};
  static const double exact[] = {1, 1, 1, 1, 1, 1, 1, 1};
  double planes[2][N * WIDTH];
  for (int i = 0; i < N * WIDTH; i++) {
    planes[0][i] = (double)crealf(x[i]);
    planes[1][i] = (double)cimagf(x[i]);
  }
  CHECK(moire_runner_set_extent(e->runner, "B", N, &error));
  CHECK(moire_oracle_set_extent(e->oracle, "B", N, &error));
  CHECK(moire_runner_set_complex_input(e->runner, "x", (const float *)x, N * WIDTH, &error));
  CHECK(moire_oracle_set_input(e->oracle, "x.real", planes[0], N * WIDTH, &error));
  CHECK(moire_oracle_set_input(e->oracle, "x.imag", planes[1], N * WIDTH, &error));
  CHECK(moire_runner_set_input(e->runner, "optimizer.scalars", scalars, 8, &error));
  CHECK(moire_oracle_set_input(e->oracle, "optimizer.scalars", exact, 8, &error));
}

static void expect_near(double got, double want, const char *what, int i) {
  cr_assert(fabs(got - want) < 1e-5 * (1 + fabs(want)), "%s[%d] is %g, not %g", what, i, got, want);
}

Test(complex_values, a_model_runs_as_the_oracle_says) {
  engine e = start();
  float complex x[N * WIDTH], y[N * WIDTH], z;
  for (int i = 0; i < N * WIDTH; i++) x[i] = wave(i);
  static const char *const states[] = {"layer.w.real", "layer.w.imag", "layer.z.real", "layer.z.imag"};
  for (int i = 0; i < 4; i++) {
    int64_t n;
    const float *from = moire_store_data(e.store, states[i], &n);
    double *to = moire_oracle_state_data(e.oracle, states[i], &n);
    cr_assert(from && to, "there is no state %s", states[i]);
    for (int64_t k = 0; k < n; k++) to[k] = (double)from[k];
  }
  float complex w[WIDTH];
  for (int i = 0; i < WIDTH; i++)
    w[i] = CMPLXF(((float *)moire_store_data(e.store, states[0], NULL))[i],
                  ((float *)moire_store_data(e.store, states[1], NULL))[i]);
  cr_assert_neq(crealf(w[0]), cimagf(w[0]), "each plane is drawn for itself");
  feed_both(&e, x);
  x[0] = 0; /* what was given was copied */
  CHECK(moire_runner_run(e.runner, &error));
  CHECK(moire_oracle_run(e.oracle, &error));
  x[0] = wave(0);

  CHECK(moire_runner_complex_output(e.runner, "y", (float *)y, N * WIDTH, &error));
  for (int i = 0; i < N * WIDTH; i++) cr_assert(cabsf(y[i] - conjf(x[i]) * w[i % WIDTH]) < 1e-5F);
  CHECK(moire_runner_complex_output(e.runner, "same", (float *)y, N * WIDTH, &error));
  cr_assert_arr_eq(x, y, sizeof x);
  CHECK(moire_runner_complex_output(e.runner, "z", (float *)&z, 1, &error));
  cr_assert(z == CMPLXF(0.5F, 0.5F), "the state before the step is given out");

  static const char *const names[] = {"y.real",           "y.imag", "same.imag", "loss", "grad.layer.w.real",
                                      "grad.layer.w.imag"};
  for (int i = 0; i < 6; i++) {
    int64_t n, wanted;
    const float *got = moire_runner_output(e.runner, names[i], &n);
    const double *want = moire_oracle_output(e.oracle, names[i], &wanted);
    cr_assert(got && want && n == wanted, "%s is not there", names[i]);
    for (int k = 0; k < n; k++) expect_near((double)got[k], want[k], names[i], k);
  }
  for (int i = 0; i < 4; i++) {
    int64_t n;
    const float *got = moire_store_data(e.store, states[i], &n);
    const double *want = moire_oracle_state_data(e.oracle, states[i], NULL);
    for (int k = 0; k < n; k++) expect_near((double)got[k], want[k], states[i], k);
  }
  stop(&e);
}

static void expect_sentence(moire_status status, moire_status wanted, const char *sentence) {
  cr_assert_eq(status, wanted);
  cr_assert(strstr(error.message, sentence), "\"%s\" instead of \"%s\"", error.message, sentence);
  error = (moire_error){0};
}

Test(complex_values, what_does_not_fit_is_refused) {
  engine e = start();
  float complex x[N * WIDTH];
  double plane[N * WIDTH] = {0};
  for (int i = 0; i < N * WIDTH; i++) x[i] = wave(i);
  feed_both(&e, x);
  cr_assert(!moire_runner_has_input(e.runner, "x") && moire_runner_has_input(e.runner, "x.imag"));
  cr_assert(!moire_oracle_has_input(e.oracle, "x") && moire_oracle_has_input(e.oracle, "x.imag"));
  expect_sentence(moire_runner_set_input(e.runner, "x", x, N * WIDTH, &error), MOIRE_ERROR_ARGUMENT,
                  "input x of waves: is complex; its planes are x.real and x.imag");
  expect_sentence(moire_oracle_set_input(e.oracle, "x", plane, N * WIDTH, &error), MOIRE_ERROR_ARGUMENT,
                  "input \"x\" is complex: set its planes x.real and x.imag");
  expect_sentence(moire_runner_set_complex_input(e.runner, "adam", (float *)x, 1, &error), MOIRE_ERROR_ARGUMENT,
                  "waves has no complex input adam");
  expect_sentence(moire_runner_complex_output(e.runner, "y", (float *)x, N * WIDTH, &error),
                  MOIRE_ERROR_ARGUMENT, "output y of waves: it has not been run");
  CHECK(moire_runner_set_complex_input(e.runner, "x", (float *)x, WIDTH, &error));
  expect_sentence(moire_runner_run(e.runner, &error), MOIRE_ERROR_SHAPE,
                  " of waves: wanted 15 elements, but 3 came");
  CHECK(moire_runner_set_complex_input(e.runner, "x", (float *)x, N * WIDTH, &error));
  CHECK(moire_runner_run(e.runner, &error));
  expect_sentence(moire_runner_complex_output(e.runner, "y", (float *)x, 4, &error), MOIRE_ERROR_SHAPE,
                  "output y of waves: has 15 elements, not 4");
  expect_sentence(moire_runner_complex_output(e.runner, "loss", (float *)x, 1, &error), MOIRE_ERROR_ARGUMENT,
                  "there is no complex output loss of waves");
  CHECK(moire_oracle_set_extent(e.oracle, "B", 1, &error));
  CHECK(moire_oracle_set_input(e.oracle, "x.real", plane, WIDTH, &error));
  expect_sentence(moire_oracle_run(e.oracle, &error), MOIRE_ERROR_ARGUMENT, "input \"x.imag\" is not set");
  stop(&e);
}
