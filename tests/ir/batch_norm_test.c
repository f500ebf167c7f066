/* batch_norm with the numbers that torch 2.13 gives for the same ones in float64, in training and in inference;
 * the whitening of complex values by what it promises, and by loops; gradients by differences of the loss. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "tests/support/call_case.h"
#include "tests/support/machine.h"

#include <math.h>
#include <string.h>

enum { N = 4, C = 2, L = 3, ALL = N * C * L };
static const moire_value none = {0};

static test_machine machine_of(moire_graph *g, const char *const *outputs, int n, const char *loss) {
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = n;
  options.loss = loss;
  options.keep_gradients = loss != NULL;
  options.training.optimizer =
      loss ? MOIRE_OPTIMIZER_SGD : options.training.optimizer; /* states are kept then */
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_graph_destroy(g);
  static const float still[16] = {0}; /* steps of length 0 */
  moire_error error = {0};
  if (loss)
    moire_runner_set_input(m.runner, "optimizer.scalars", still,
                           moire_optimizer_scalar_count(&options.training), &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  return m;
}

static void run(test_machine *m, const float *x, int64_t elements, int64_t batch) {
  moire_error error = {0};
  moire_runner_set_extent(m->runner, "B", batch, &error);
  moire_runner_set_input(m->runner, "x", x, elements, &error);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
}

/* A loss with a parameter, so that there is a step. */
static void add_loss(moire_graph *g, moire_value y) {
  moire_value p = moire_parameter(g, "p", MOIRE_SCALAR, moire_init_constant(1));
  moire_output(g, "loss", moire_sum_all(moire_mul(y, p)));
}

static void are_near(const float *got, const double *wanted, int n, const char *what) {
  for (int i = 0; i < n; i++)
    cr_expect(fabs((double)got[i] - wanted[i]) < 3e-6 * (1 + fabs(wanted[i])), "%s[%d] is %.8g, wanted %.8g",
              what, i, (double)got[i], wanted[i]);
}

static const float *state(const test_machine *m, const char *name) {
  return moire_store_data(m->store, name, NULL);
}

/* ---- real ------------------------------------------------------------------------------------------------ */

static moire_graph *real_model(moire_mode mode) {
  moire_graph *g = moire_graph_create("norm", mode);
  moire_dim b = moire_extent(g, "B");
  moire_shape row = MOIRE_SHAPE(C), shape = MOIRE_SHAPE(b, C, L);
  moire_scope_push(g, "bn");
  moire_value mean = moire_state(g, "running_mean", MOIRE_F32, row, moire_init_constant(0));
  moire_value var = moire_state(g, "running_var", MOIRE_F32, row, moire_init_constant(1));
  moire_value w = moire_parameter(g, "weight", row, moire_init_list((const double[]){1.5, -0.5}, 2));
  moire_value bias = moire_parameter(g, "bias", row, moire_init_list((const double[]){0.25, 1}, 2));
  moire_scope_pop(g);
  moire_value x = moire_input(g, "x", MOIRE_F32, shape), y = moire_batch_norm(x, mean, var, w, bias, 0.1, 1e-5);
  moire_output(g, "y", y);
  if (mode == MOIRE_TRAINING)
    moire_output(g, "loss", moire_sum_all(moire_mul(y, moire_input(g, "c", MOIRE_F32, shape))));
  return g;
}

/* i = torch.arange(24); x = (sin(1.7 i + 0.3) * 2 + i // 3 % 2 * 0.5).reshape(4, 2, 3), c = cos(0.9 i); loss =
 * (c * F.batch_norm(x, zeros, ones, [1.5, -0.5], [0.25, 1], True, 0.1, 1e-5)).sum() */
Test(batch_norm, numbers_of_torch, .timeout = 60) {
  static const char *const outputs[] = {"y", "loss"};
  float x[ALL], c[ALL];
  for (int i = 0; i < ALL; i++) {
    x[i] = (float)(2 * sin(1.7 * i + 0.3) + i / 3 % 2 * 0.5);
    c[i] = (float)cos(0.9 * i);
  }
  test_machine m = machine_of(real_model(MOIRE_TRAINING), outputs, 2, "loss");
  moire_error error = {0};
  moire_runner_set_input(m.runner, "c", c, ALL, &error);
  run(&m, x, ALL, N);
  are_near(moire_runner_output(m.runner, "y", NULL),
           (const double[]){0.7362863372959667, 2.0411761142051463, -1.0184204600051807, 1.5664818722673195}, 4,
           "y");
  are_near(moire_runner_output(m.runner, "loss", NULL), (const double[]){-3.566372461770335}, 1, "loss");
  are_near(moire_runner_output(m.runner, "grad.bn.weight", NULL),
           (const double[]){-0.7391679789209341, 0.5922409761499394}, C, "dw");
  are_near(moire_runner_output(m.runner, "grad.bn.bias", NULL),
           (const double[]){4.691146864894159, -3.334286721537504}, C, "db");
  are_near(state(&m, "bn.running_mean"), (const double[]){0.013357422485059068, 0.05531151733405492}, C,
           "mean");
  are_near(state(&m, "bn.running_var"), (const double[]){1.1172214776797926, 1.1171990690497826}, C,
           "variance");
  /* for inference, by what has been kept */
  test_machine eval = machine_of(real_model(MOIRE_INFERENCE), outputs, 1, NULL);
  static const char *const kept[] = {"bn.running_mean", "bn.running_var"};
  for (int i = 0; i < 2; i++)
    memcpy(moire_store_data(eval.store, kept[i], NULL), state(&m, kept[i]), C * sizeof(float));
  run(&eval, x, ALL, N);
  are_near(moire_runner_output(eval.runner, "y", NULL),
           (const double[]){1.0698025367867738, 2.8118518271183937, -1.2727598658545998, 1.5207474764545823}, 4,
           "y of inference");
  cr_expect_arr_eq(state(&eval, kept[0]), state(&m, kept[0]), C * sizeof(float), "inference moves nothing");
  test_machine_destroy(&eval);
  test_machine_destroy(&m);
}

Test(batch_norm, one_number_has_the_variance_0, .timeout = 60) {
  moire_graph *g = moire_graph_create("one", MOIRE_TRAINING);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), C));
  moire_value mean = moire_state(g, "mean", MOIRE_F32, MOIRE_SHAPE(C), moire_init_constant(0));
  moire_value var = moire_state(g, "var", MOIRE_F32, MOIRE_SHAPE(C), moire_init_constant(1));
  moire_value y = moire_batch_norm(x, mean, var, none, none, 0.5, 1e-5);
  moire_output(g, "y", y);
  add_loss(g, y);
  test_machine m = machine_of(g, (const char *const[]){"y", "loss"}, 2, "loss");
  run(&m, (const float[]){3, 4}, 2, 1);
  are_near(moire_runner_output(m.runner, "y", NULL), (const double[]){0, 0}, C, "y");
  are_near(state(&m, "mean"), (const double[]){1.5, 2}, C, "mean");
  are_near(state(&m, "var"), (const double[]){0.5, 0.5}, C, "var");
  test_machine_destroy(&m);
}

/* ---- complex --------------------------------------------------------------------------------------------- */

enum { ROWS = 500 };

/* Planes that belong together: re = u + 1, im = 2 u + v / 4 - 3. */
static void draw_planes(float *re, float *im) {
  for (int i = 0; i < ROWS * C; i++) {
    double u = sin(1.3 * i), v = cos(2.9 * i * i);
    re[i] = (float)(u + 1);
    im[i] = (float)(2 * u + v / 4 - 3);
  }
}

/* What is whitened has the mean 0 and the covariance 1, 0, 1; what runs is the mean and the unbiased
 * covariance. */
Test(batch_norm, complex_planes_are_whitened, .timeout = 60) {
  moire_graph *g = moire_graph_create("white", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value re = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, C)),
              im = moire_input(g, "im", MOIRE_F32, MOIRE_SHAPE(b, C));
  moire_value mean = moire_state(g, "mean", MOIRE_C64, MOIRE_SHAPE(C), moire_init_constant(0));
  moire_value cov = moire_state(g, "cov", MOIRE_F32, MOIRE_SHAPE(C, 3), moire_init_constant(0));
  moire_value y = moire_complex_batch_norm(moire_complex(re, im), mean, cov, none, none, 1, 1e-7);
  moire_output(g, "re", moire_real(y));
  moire_output(g, "im", moire_imag(y));
  add_loss(g, moire_real(y));
  test_machine m = machine_of(g, (const char *const[]){"re", "im", "loss"}, 3, "loss");
  static float x[2][ROWS * C];
  draw_planes(x[0], x[1]);
  moire_error error = {0};
  moire_runner_set_input(m.runner, "im", x[1], ROWS * C, &error);
  run(&m, x[0], ROWS * C, ROWS);
  const float *out[] = {moire_runner_output(m.runner, "re", NULL), moire_runner_output(m.runner, "im", NULL)};
  for (int c = 0; c < C; c++) {
    double sums[2][2] = {{0}}, squares[2][3] = {{0}}; /* before and after */
    for (int r = 0; r < ROWS; r++) {
      double p[2][2] = {{(double)x[0][r * C + c], (double)x[1][r * C + c]},
                        {(double)out[0][r * C + c], (double)out[1][r * C + c]}};
      for (int k = 0; k < 2; k++) {
        for (int j = 0; j < 2; j++) sums[k][j] += p[k][j] / ROWS;
        squares[k][0] += p[k][0] * p[k][0], squares[k][1] += p[k][0] * p[k][1],
            squares[k][2] += p[k][1] * p[k][1];
      }
    }
    for (int k = 0; k < 2; k++) {
      squares[k][0] -= ROWS * sums[k][0] * sums[k][0];
      squares[k][1] -= ROWS * sums[k][0] * sums[k][1];
      squares[k][2] -= ROWS * sums[k][1] * sums[k][1];
    }
    for (int j = 0; j < 2; j++) cr_expect(fabs(sums[1][j]) < 1e-3, "mean %g", sums[1][j]);
    for (int j = 0; j < 3; j++) {
      double white = squares[1][j] / ROWS - (j != 1), kept = (double)state(&m, "cov")[3 * c + j];
      cr_expect(fabs(white) < 2e-3, "covariance %d is off by %g", j, white);
      cr_expect(fabs(kept - squares[0][j] / (ROWS - 1)) < 1e-4, "kept %g", kept);
    }
    cr_expect(fabs((double)state(&m, "mean.real")[c] - sums[0][0]) < 1e-5);
    cr_expect(fabs((double)state(&m, "mean.imag")[c] - sums[0][1]) < 1e-5);
  }
  test_machine_destroy(&m);
}

/* Each form at every stage and in native code, with its gradient. */
enum { REAL, COMPLEX, ROWS_OF_COMPLEX, UNKEPT };

static bool anything(const void *context, const test_subject *s, const test_feed *feed, moire__text *why) {
  (void)context, (void)s, (void)feed, (void)why;
  return true;
}

static void agrees(int form) {
  moire_graph *g = moire_graph_create("form", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_shape shape = MOIRE_SHAPE(b, C, 5), row = MOIRE_SHAPE(C), three = MOIRE_SHAPE(C, 3);
  moire_init draws = moire_init_normal(0, 1);
  moire_value re =
      moire_add(moire_input(g, "x", MOIRE_F32, shape), moire_parameter(g, "p", MOIRE_SHAPE(C, 5), draws));
  moire_value im =
      moire_mul(moire_input(g, "im", MOIRE_F32, shape), moire_parameter(g, "q", MOIRE_SHAPE(C, 5), draws));
  moire_value z = moire_complex(re, im), y = none;
  if (form == REAL || form == UNKEPT) {
    moire_value mean = moire_state(g, "mean", MOIRE_F32, row, draws),
                var = moire_state(g, "var", MOIRE_F32, row, draws);
    moire_value w = moire_parameter(g, "w", row, draws), bias = moire_parameter(g, "b", row, draws);
    y = form == REAL ? moire_batch_norm(re, mean, var, w, bias, 0.1, 0.01)
                     : moire_batch_norm(re, none, none, none, none, 0.1, 0.01);
  } else if (form == COMPLEX) {
    moire_value mean = moire_state(g, "mean", MOIRE_C64, row, draws),
                cov = moire_state(g, "cov", MOIRE_F32, three, draws);
    moire_value w = moire_parameter(g, "w", three, draws), bias = moire_complex_parameter(g, "b", row, draws);
    y = moire_complex_batch_norm(z, mean, cov, w, bias, 0.1, 0.01);
  } else {
    moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(5, 3), draws);
    y = moire_complex_layer_norm(z, w, moire_complex_parameter(g, "b", MOIRE_SHAPE(5), draws), 0.1);
  }
  if (moire_value_dtype(y) == MOIRE_C64) y = moire_add(moire_real(y), moire_mul(moire_imag(y), im));
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_sum_all(moire_mul(moire_sin(y), re)));
  test_pools pools = test_pools_make();
  moire__text why = {0};
  cr_assert(test_call_agrees(g, 7, anything, NULL, &pools, &why), "%s", moire__text_string(&why));
  moire__text_free(&why);
  test_pools_free(&pools);
}

Test(batch_norm, real_agrees, .timeout = 120) { agrees(REAL); }
Test(batch_norm, complex_agrees, .timeout = 120) { agrees(COMPLEX); }
Test(batch_norm, complex_rows_agree, .timeout = 120) { agrees(ROWS_OF_COMPLEX); }
Test(batch_norm, without_states_agrees, .timeout = 120) { agrees(UNKEPT); }

static void refuses(moire_graph *g, const char *sentence) {
  moire_error error = {0};
  cr_expect_neq(moire_graph_status(g, &error), MOIRE_OK, "wanted: %s", sentence);
  cr_expect(strstr(error.message, sentence), "\"%s\" lacks \"%s\"", error.message, sentence);
  moire_graph_destroy(g);
}

Test(batch_norm, says_what_is_wrong) {
  moire_graph *g = moire_graph_create("g", MOIRE_TRAINING);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(4, 3));
  moire_value mean = moire_parameter(g, "m", MOIRE_SHAPE(3), moire_init_constant(0));
  moire_batch_norm(x, moire_scale(mean, 2), mean, none, none, 0.1, 1e-5);
  refuses(g, "batch_norm: a running statistic is a state of a number for each channel: f32[3]");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_batch_norm(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(4)), none, none, none, none, 0.1, 1e-5);
  refuses(g, "batch_norm: wanted x [N, C, ..] of a fixed number of channels: f32[4]");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_batch_norm(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(4, 3)), none, none, none, none, 2, 1e-5);
  refuses(g, "batch_norm: momentum is 2, wanted 0 to 1");
  g = moire_graph_create("g", MOIRE_TRAINING);
  moire_complex_layer_norm(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(4, 3)), none, none, 1e-5);
  refuses(g, "complex_layer_norm: wanted rows of c64; of f32 layer_norm: f32[4,3]");
}
