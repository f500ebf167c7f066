/* A linear recurrent unit, a complex diagonal recurrence of 64 states over 200 positions, against two loops:
 * states, and gradients of everything that it reads. Any number of threads gives the same bits. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "tests/support/machine.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 3, L = 200, D = 64, N = B * L * D };

/* Parameters: rate and phase [D], b and w [B, L, D] as planes; with `fixed`, a = exp(-exp(rate) + i phase) at
 * every position, else at position t that times the real gate sigmoid(gate_t). loss = sum re(conj(w) h). */
static moire_graph *build(bool fixed) {
  moire_graph *g = moire_graph_create("lru", MOIRE_TRAINING);
  moire_shape all = MOIRE_SHAPE(B, L, D), row = MOIRE_SHAPE(D);
  moire_value rate = moire_parameter(g, "rate", row, moire_init_uniform(-5, -1));
  moire_value phase = moire_parameter(g, "phase", row, moire_init_uniform(0, 3));
  moire_value b = moire_complex_parameter(g, "b", all, moire_init_uniform(-1, 1));
  moire_value w = moire_complex_parameter(g, "w", all, moire_init_uniform(-1, 1));
  moire_value a = moire_polar(moire_exp(moire_neg(moire_exp(rate))), phase);
  if (!fixed) a = moire_mul(a, moire_sigmoid(moire_parameter(g, "gate", all, moire_init_uniform(0, 4))));
  moire_value h = moire_linear_scan(a, b);
  moire_output(g, "re", moire_real(h));
  moire_output(g, "im", moire_imag(h));
  moire_output(g, "loss", moire_sum_all(moire_real(moire_mul(moire_conj(w), h))));
  return g;
}

static test_machine compile(bool fixed, int threads) {
  static const char *const outputs[] = {"re", "im", "loss"};
  moire_graph *g = build(fixed);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 3;
  options.loss = "loss";
  options.keep_gradients = true;
  test_machine m = test_machine_make(g, &options, threads, 5);
  moire_graph_destroy(g);
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  return m;
}

static const float *state(const test_machine *m, const char *name) {
  const float *x = moire_store_data(m->store, name, NULL);
  cr_assert(x, "%s", name);
  return x;
}

typedef struct wanted {
  double _Complex *h, *db; /* [B, L, D] */
  double *dgate, *rate, *phase;
} wanted;

static wanted by_loops(const test_machine *m, bool fixed) {
  wanted y = {moire__allocate_array(N, sizeof *y.h), moire__allocate_array(N, sizeof *y.db),
              moire__allocate_array(N, sizeof *y.dgate), moire__allocate_array(D, sizeof *y.rate),
              moire__allocate_array(D, sizeof *y.phase)};
  const float *rate = state(m, "rate"), *phase = state(m, "phase");
  const float *br = state(m, "b.real"), *bi = state(m, "b.imag");
  const float *wr = state(m, "w.real"), *wi = state(m, "w.imag"), *gates = fixed ? NULL : state(m, "gate");
  for (int d = 0; d < D; d++) {
    double speed = exp((double)rate[d]);
    double _Complex lambda = cexp(-speed + I * (double)phase[d]);
    y.rate[d] = y.phase[d] = 0;
    for (int s = 0; s < B; s++) {
      double _Complex h = 0, g = 0;
      for (int t = 0; t < L; t++) {
        int at = (s * L + t) * D + d;
        double gate = fixed ? 1 : 1 / (1 + exp(-(double)gates[at]));
        h = y.h[at] = lambda * gate * h + (double)br[at] + I * (double)bi[at];
      }
      for (int t = L - 1; t >= 0; t--) {
        int at = (s * L + t) * D + d;
        double gate = fixed ? 1 : 1 / (1 + exp(-(double)gates[at]));
        g = y.db[at] = g + (double)wr[at] + I * (double)wi[at];
        double _Complex da = t ? g * conj(y.h[at - D]) : 0, dlambda = gate * da;
        y.dgate[at] = creal(da * conj(lambda)) * gate * (1 - gate);
        y.rate[d] += creal(dlambda * conj(-speed * lambda));
        y.phase[d] += creal(dlambda * conj(I * lambda));
        g *= conj(lambda) * gate;
      }
    }
  }
  return y;
}

/* Largest difference of what `name` holds from x, as a part of the largest |x|. */
static double far(const test_machine *m, const char *name, const double *x, int64_t n, int stride) {
  int64_t elements = 0;
  const float *y = moire_runner_output(m->runner, name, &elements);
  cr_assert(y && elements == n, "%s", name);
  double most = 0, size = 0;
  for (int64_t i = 0; i < n; i++) {
    most = fmax(most, fabs((double)y[i] - x[i * stride]));
    size = fmax(size, fabs(x[i * stride]));
  }
  return most / size;
}

/* A decay is rounded to 2^-24, which the slowest, exp(-exp(-5)), remembers for 150 positions: 1e-5. */
static void check(bool fixed) {
  test_machine one = compile(fixed, 1), three = compile(fixed, 3);
  wanted y = by_loops(&one, fixed);
  const struct {
    const char *name;
    const double *x;
    int64_t n;
    int stride;
  } rows[] = {
      {"re", (const double *)y.h, N, 2},
      {"im", (const double *)y.h + 1, N, 2},
      {"grad.b.real", (const double *)y.db, N, 2},
      {"grad.b.imag", (const double *)y.db + 1, N, 2},
      {"grad.rate", y.rate, D, 1},
      {"grad.phase", y.phase, D, 1},
      {"grad.gate", y.dgate, N, 1},
  };
  for (int i = 0; i < (fixed ? 6 : 7); i++) {
    double error = far(&one, rows[i].name, rows[i].x, rows[i].n, rows[i].stride);
    cr_assert(error < 2e-5, "%s is off by %g", rows[i].name, error);
    cr_assert_arr_eq(moire_runner_output(three.runner, rows[i].name, NULL),
                     moire_runner_output(one.runner, rows[i].name, NULL), (size_t)rows[i].n * sizeof(float),
                     "%s by 3 threads", rows[i].name);
  }
  moire__release(y.h);
  moire__release(y.db);
  moire__release(y.dgate);
  moire__release(y.rate);
  moire__release(y.phase);
  test_machine_destroy(&one);
  test_machine_destroy(&three);
}

Test(linear_scan, a_fixed_decay, .timeout = 60) { check(true); }
Test(linear_scan, a_decay_for_each_step, .timeout = 60) { check(false); }

/* h_0 is what was given, whatever a_0 is. So an initial state is a position more in front: the later positions
 * from h_0 are those of the whole. */
Test(linear_scan, the_first_position_is_b, .timeout = 60) {
  moire_graph *g = moire_graph_create("first", MOIRE_INFERENCE);
  moire_value a = moire_input(g, "a", MOIRE_F32, MOIRE_SHAPE(1, 3, 2));
  moire_value b = moire_input(g, "b", MOIRE_F32, MOIRE_SHAPE(1, 3, 2));
  moire_value later_a = moire_slice(a, 1, 1, 2), later_b = moire_slice(b, 1, 1, 2),
              h0 = moire_slice(b, 1, 0, 1);
  moire_value whole = moire_concat((moire_value[]){h0, later_b}, 2, 1);
  moire_output(g, "h", moire_linear_scan(a, b));
  moire_output(g, "later", moire_slice(moire_linear_scan(moire_pad(later_a, 1, 1, 0), whole), 1, 1, 2));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"h", "later"};
  options.n_outputs = 2;
  test_machine m = test_machine_make(g, &options, 1, 1);
  moire_graph_destroy(g);
  const float a_data[] = {INFINITY, NAN, 2, 0.5f, -1, 4}, b_data[] = {1, 2, 3, 4, 5, 6};
  const float h[] = {1, 2, 5, 5, 0, 26};
  moire_error error = {0};
  cr_assert_eq(moire_runner_set_input(m.runner, "a", a_data, 6, &error), MOIRE_OK);
  cr_assert_eq(moire_runner_set_input(m.runner, "b", b_data, 6, &error), MOIRE_OK);
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  cr_assert_arr_eq(moire_runner_output(m.runner, "h", NULL), h, sizeof h);
  cr_assert_arr_eq(moire_runner_output(m.runner, "later", NULL), h + 2, 4 * sizeof *h);
  test_machine_destroy(&m);
}

/* ---- chunks ------------------------------------------------------------------------------------------------
 */

enum { WIDE = 24 };

static test_machine compile_named(bool waves, bool fixed, int threads) {
  static const char *const outputs[] = {"h", "loss"};
  moire_graph *g = moire_graph_create("named", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B"), l = moire_extent(g, "L");
  moire_shape all = MOIRE_SHAPE(b, l, WIDE), row = MOIRE_SHAPE(WIDE);
  moire_value scale = moire_parameter(g, "scale", row, moire_init_uniform(0.8, 1));
  moire_value x = moire_input(g, "x", MOIRE_F32, all), a = moire_tanh(moire_scale(scale, 2));
  if (!fixed) a = moire_mul(a, moire_sigmoid(moire_add_scalar(x, 3)));
  moire_value u = moire_mul(x, scale);
  if (waves) a = moire_polar(a, scale), u = moire_complex(u, x);
  moire_value h = moire_linear_scan(a, u);
  moire_output(g, "h", waves ? moire_real(h) : h);
  moire_output(g, "loss", moire_sum_all(waves ? moire_abs2(h) : moire_mul(h, h)));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  test_machine m = test_machine_make(g, &options, threads, 5);
  moire_graph_destroy(g);
  return m;
}

static void run_named(test_machine *m, const float *x, int64_t batch, int64_t length) {
  moire_error error = {0};
  moire_runner_set_extent(m->runner, "B", batch, &error);
  moire_runner_set_extent(m->runner, "L", length, &error);
  moire_runner_set_input(m->runner, "x", x, batch * length * WIDE, &error);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
}

/* One sample is walked in chunks, forty in order: its numbers are the same, to the last bit, for any number of
 * threads. So is the gradient that comes from one sample alone. */
static void check_named(bool waves, bool fixed) {
  enum { MANY = 40, LONGEST = 2500 };
  static const int64_t lengths[] = {1, 2, 63, 64, 65, 200, LONGEST, 0};
  test_machine one = compile_named(waves, fixed, 1), three = compile_named(waves, fixed, 3);
  float *x = aligned_alloc(64, sizeof(float[MANY * WIDE * LONGEST]));
  cr_assert(x);
  for (int64_t i = 0; i < MANY * WIDE * LONGEST; i++) x[i] = (float)(i * 7919 % 1009) / 504 - 1;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    size_t bytes = (size_t)lengths[i] * sizeof(float[WIDE]), row = sizeof(float[WIDE]);
    float *alone = moire__allocate(bytes + 1), gradient[WIDE];
    run_named(&one, x, 1, lengths[i]);
    memcpy(alone, moire_runner_output(one.runner, "h", NULL), bytes);
    memcpy(gradient, moire_runner_output(one.runner, "grad.scale", NULL), row);
    run_named(&three, x, 1, lengths[i]);
    cr_assert_arr_eq(moire_runner_output(three.runner, "h", NULL), alone, bytes);
    cr_assert_arr_eq(moire_runner_output(three.runner, "grad.scale", NULL), gradient, row);
    run_named(&three, x, MANY, lengths[i]);
    cr_assert_arr_eq(moire_runner_output(three.runner, "h", NULL), alone, bytes, "%lld positions",
                     (long long)lengths[i]);
    moire__release(alone);
  }
  free(x);
  test_machine_destroy(&one);
  test_machine_destroy(&three);
}

Test(linear_scan, chunks_of_a_named_length, .timeout = 120) { check_named(false, false); }
Test(linear_scan, chunks_of_a_named_length_with_a_fixed_decay, .timeout = 120) { check_named(false, true); }
Test(linear_scan, complex_chunks_of_a_named_length, .timeout = 120) { check_named(true, false); }
Test(linear_scan, complex_chunks_with_a_fixed_decay, .timeout = 120) { check_named(true, true); }
