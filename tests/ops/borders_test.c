/* Values and gradients of functions at the borders of their range, in native code: docs/borders.md is the page.
 *
 * Rows hold what PyTorch gives at 0, -0, a denormal, 1e38, the infinities and NaN; where Moire decides
 * otherwise, what it gives stands in its place, and the page says so.
 */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"

#include <math.h>
#include <string.h>

#define INF INFINITY
enum { POINTS = 8 };
static const float points[POINTS] = {0.0f, -0.0f, 1e-42f, 1e38f, -1e38f, INF, -INF, NAN};

typedef moire_value function(moire_value x);

static moire_value leaky_relu(moire_value x) { return moire_leaky_relu(x, 0.01); }
static moire_value elu(moire_value x) { return moire_elu(x, 1); }
static moire_value clamp(moire_value x) { return moire_clamp(x, 0, 1); }
static moire_value exp_of(moire_value x) { return moire_exp(x); }
static moire_value log_of(moire_value x) { return moire_log(x); }
static moire_value sqrt_of(moire_value x) { return moire_sqrt(x); }
static moire_value rsqrt_of(moire_value x) { return moire_rsqrt(x); }
static moire_value abs_of(moire_value x) { return moire_abs(x); }
static moire_value tanh_of(moire_value x) { return moire_tanh(x); }
static moire_value erf_of(moire_value x) { return moire_erf(x); }
static moire_value sigmoid_of(moire_value x) { return moire_sigmoid(x); }
static moire_value softplus_of(moire_value x) { return moire_softplus(x); }
static moire_value relu_of(moire_value x) { return moire_relu(x); }
static moire_value silu_of(moire_value x) { return moire_silu(x); }
static moire_value gelu_of(moire_value x) { return moire_gelu(x); }
static moire_value sign_of(moire_value x) { return moire_sign(x); }
static moire_value floor_of(moire_value x) { return moire_floor(x); }
static moire_value round_of(moire_value x) { return moire_round(x); }
static moire_value expm1_of(moire_value x) { return moire_expm1(x); }
static moire_value log_sigmoid_of(moire_value x) { return moire_log_sigmoid(x); }

typedef struct border {
  const char *name;
  function *f;
  float y[POINTS], slope[POINTS];
} border;

static const border borders[] = {
    {"exp", exp_of, {1, 1, 1, INF, 0, INF, 0, NAN}, {1, 1, 1, INF, 0, INF, 0, NAN}},
    {"log",
     log_of,
     {-INF, -INF, -96.7080536f, 87.4982335f, NAN, INF, NAN, NAN},
     {INF, -INF, INF, 1e-38f, -1e-38f, 0, 0, NAN}},
    {"sqrt",
     sqrt_of,
     {0, 0, 1.0002635e-21f, 1e19f, NAN, INF, NAN, NAN},
     {INF, -INF, 4.9986828e20f, 5e-20f, NAN, 0, NAN, NAN}},
    {"rsqrt",
     rsqrt_of,
     {INF, -INF, 9.997367e20f, 1e-19f, NAN, 0, NAN, NAN},
     {-INF, INF, -INF, 0, NAN, 0, NAN, NAN}},
    {"abs", abs_of, {0, 0, 1e-42f, 1e38f, 1e38f, INF, INF, NAN}, {0, 0, 1, 1, -1, 1, -1, 0}},
    {"tanh", tanh_of, {0, 0, 1e-42f, 1, -1, 1, -1, NAN}, {1, 1, 1, 0, 0, 0, 0, NAN}},
    {"erf",
     erf_of,
     {0, 0, 1.128e-42f, 1, -1, 1, -1, NAN},
     {1.12837917f, 1.12837917f, 1.12837917f, 0, 0, 0, 0, NAN}},
    {"sigmoid", sigmoid_of, {0.5f, 0.5f, 0.5f, 1, 0, 1, 0, NAN}, {0.25f, 0.25f, 0.25f, 0, 0, 0, 0, NAN}},
    {"softplus",
     softplus_of,
     {0.693147181f, 0.693147181f, 0.693147181f, 1e38f, 0, INF, 0, NAN},
     {0.5f, 0.5f, 0.5f, 1, 0, 1, 0, NAN}},
    {"relu", relu_of, {0, 0, 1e-42f, 1e38f, 0, INF, 0, NAN}, {0, 0, 1, 1, 0, 1, 0, 0}},
    {"silu", silu_of, {0, 0, 5e-43f, 1e38f, 0, INF, 0, NAN}, {0.5f, 0.5f, 0.5f, 1, 0, NAN, 0, NAN}},
    {"gelu", gelu_of, {0, 0, 5e-43f, 1e38f, 0, INF, 0, NAN}, {0.5f, 0.5f, 0.5f, 1, 0, NAN, NAN, NAN}},
    {"sign", sign_of, {0, 0, 1, 1, -1, 1, -1, 0}, {0}},
    {"floor", floor_of, {0, 0, 0, 1e38f, -1e38f, INF, -INF, NAN}, {0}},
    {"round", round_of, {0, 0, 0, 1e38f, -1e38f, INF, -INF, NAN}, {0}},
    {"expm1", expm1_of, {0, 0, 1e-42f, INF, -1, INF, -1, NAN}, {1, 1, 1, INF, 0, INF, 0, NAN}},
    {"leaky_relu",
     leaky_relu,
     {0, 0, 1e-42f, 1e38f, -1e36f, INF, -INF, NAN},
     {0.01f, 0.01f, 1, 1, 0.01f, 1, 0.01f, 0.01f}},
    {"elu", elu, {0, 0, 1e-42f, 1e38f, -1, INF, -1, NAN}, {1, 1, 1, 1, 0, 1, 0, NAN}},
    {"log_sigmoid",
     log_sigmoid_of,
     {-0.693147181f, -0.693147181f, -0.693147181f, 0, -1e38f, 0, -INF, NAN},
     {0.5f, 0.5f, 0.5f, 0, 1, 0, 1, NAN}},
    {"clamp", clamp, {0, 0, 1e-42f, 1, 0, 1, 0, NAN}, {1, 1, 1, 0, 0, 0, 0, 1}},
};
enum { BORDERS = sizeof borders / sizeof *borders };

static bool is_as(float got, float want) {
  if (isnan(want)) return isnan(got);
  if (!isfinite(want) || fabsf(want) < 1e-40f) return got == want || fabsf(got - want) < 2e-45f * 100;
  return fabsf(got - want) <= 3e-6f * fabsf(want);
}

typedef struct machine {
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
} machine;

/* Runs g, whose parameters re and im are filled; its outputs are then to be read. */
static machine run(moire_graph *g, const char *const *outputs, int n_outputs, const float *re, const float *im,
                   int n) {
  moire_error error = {0};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = n_outputs;
  options.loss = "loss";
  options.keep_gradients = true;
  options.off = 1u << MOIRE_OPTIMIZATION_flush; /* denormals count: tests/aot/denormals_test.c */
  machine m = {.program = moire_compile(g, &options, &error)};
  cr_assert_not_null(m.program, "%s", error.message);
  moire_graph_destroy(g);
  m.store = moire_store_create();
  moire_store_declare(m.store, moire_program_plan(m.program), 1, &error);
  const float *const planes[] = {re, im};
  static const char *const names[] = {"re", "im"};
  for (int p = 0; p < (im ? 2 : 1); p++)
    memcpy(moire_store_data(m.store, names[p], NULL), planes[p], (size_t)n * sizeof(float));
  m.threads = moire_threads_create(1, NULL);
  m.runner = moire_runner_create(moire_program_plan(m.program), m.store, m.threads, &error);
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  return m;
}

static void finish(machine *m) {
  moire_runner_destroy(m->runner);
  moire_threads_destroy(m->threads);
  moire_store_destroy(m->store);
  moire_program_destroy(m->program);
}

Test(borders, real_functions) {
  for (int b = 0; b < BORDERS; b++) {
    moire_graph *g = moire_graph_create("border", MOIRE_TRAINING);
    moire_value x = moire_parameter(g, "re", MOIRE_SHAPE(POINTS), moire_init_constant(0));
    moire_value y = borders[b].f(x);
    moire_output(g, "y", y);
    moire_output(g, "loss", moire_sum_all(y));
    machine m = run(g, (const char *const[]){"y", "loss"}, 2, points, NULL, POINTS);
    const float *got = moire_runner_output(m.runner, "y", NULL),
                *slope = moire_runner_output(m.runner, "grad.re", NULL);
    for (int i = 0; i < POINTS; i++) {
      cr_expect(is_as(got[i], borders[b].y[i]), "%s(%g) is %g, wanted %g", borders[b].name, (double)points[i],
                (double)got[i], (double)borders[b].y[i]);
      cr_expect(is_as(slope[i], borders[b].slope[i]), "the gradient of %s at %g is %g, wanted %g",
                borders[b].name, (double)points[i], (double)slope[i], (double)borders[b].slope[i]);
    }
    finish(&m);
  }
}

/* Lengths and angles over all of the range: no gradient of a number is NaN, and those of 0 are 0. */
Test(borders, complex_numbers) {
  static const float re[] = {0, 3e-23f, 3e-30f, 3e-42f, 3e19f, 3e30f, -1, 1.5e38f, 0, 0};
  static const float im[] = {0, 4e-23f, 4e-30f, 4e-42f, 4e19f, 4e30f, 0, 2e38f, 1e-42f, 1e38f};
  static const float length[] = {0, 5e-23f, 5e-30f, 5e-42f, 5e19f, 5e30f, 1, 2.5e38f, 1e-42f, 1e38f};
  enum { N = sizeof re / sizeof *re };
  moire_graph *g = moire_graph_create("border", MOIRE_TRAINING);
  moire_value x = moire_parameter(g, "re", MOIRE_SHAPE(N), moire_init_constant(0));
  moire_value y = moire_parameter(g, "im", MOIRE_SHAPE(N), moire_init_constant(0));
  moire_value z = moire_complex(x, y), r = moire_abs(z), phi = moire_angle(z);
  moire_output(g, "r", r);
  moire_output(g, "phi", phi);
  moire_output(g, "loss", moire_sum_all(moire_add(r, moire_scale(phi, 1e-30))));
  machine m = run(g, (const char *const[]){"r", "phi", "loss"}, 3, re, im, N);
  const float *got = moire_runner_output(m.runner, "r", NULL),
              *angle = moire_runner_output(m.runner, "phi", NULL);
  const float *slope_re = moire_runner_output(m.runner, "grad.re", NULL),
              *slope_im = moire_runner_output(m.runner, "grad.im", NULL);
  for (int i = 0; i < N; i++) {
    double want_re = 0, want_im = 0, h = hypot((double)re[i], (double)im[i]);
    if (h > 0) {
      want_re = (double)re[i] / h - 1e-30 * (double)im[i] / h / h;
      want_im = (double)im[i] / h + 1e-30 * (double)re[i] / h / h;
    }
    cr_expect(is_as(got[i], length[i]), "|%g + %gi| is %g", (double)re[i], (double)im[i], (double)got[i]);
    cr_expect(is_as(angle[i], atan2f(im[i], re[i])), "the angle of %g + %gi is %g", (double)re[i],
              (double)im[i], (double)angle[i]);
    double size = fmax(fabs(want_re), fabs(want_im));
    cr_expect(fabs((double)slope_re[i] - want_re) <= 1e-5 * size &&
                  fabs((double)slope_im[i] - want_im) <= 1e-5 * size,
              "the gradient at %g + %gi is %g + %gi, wanted %g + %gi", (double)re[i], (double)im[i],
              (double)slope_re[i], (double)slope_im[i], want_re, want_im);
  }
  finish(&m);
}
