/* Convolutions of the sizes that their ways are made for: each way gives what the unfolded product gives,
 * values and gradients, and the same bits for any number of threads. */
#include <criterion/criterion.h>

#include "compiler/ir/graph/graph.h"
#include "tests/support/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct convolution {
  const char *name;
  bool complex, transposed;
  int axes;
  int64_t batch, in, size[2], out, taps[2], stride[2], padding[2], dilation[2],
      groups; /* one axis: the second */
} convolution;

static const convolution cases[] = {
    {"3 x 3", false, false, 2, 3, 64, {14, 28}, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {"3 x 3 of a few channels", false, false, 2, 2, 3, {40, 37}, 48, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {"7 x 7, stride 2", false, false, 2, 2, 3, {60, 58}, 64, {7, 7}, {2, 2}, {3, 3}, {1, 1}, 1},
    {"3 x 3, stride 2", false, false, 2, 2, 40, {28, 28}, 80, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1},
    {"3 x 3, dilated, groups", false, false, 2, 2, 48, {17, 19}, 64, {3, 3}, {1, 1}, {2, 2}, {2, 2}, 2},
    {"large weights", false, false, 2, 2, 130, {7, 7}, 140, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {"long", false, false, 1, 2, 20, {1, 700}, 40, {1, 11}, {1, 1}, {0, 5}, {1, 1}, 1},
    {"long, stride 3", false, false, 1, 2, 20, {1, 500}, 24, {1, 7}, {1, 3}, {0, 0}, {1, 2}, 1},
    {"complex, 3 x 3", true, false, 2, 2, 16, {12, 13}, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {"spectral", true, false, 1, 7, 64, {1, 256}, 64, {1, 9}, {1, 1}, {0, 4}, {1, 1}, 1},
    {"spectral, odd", true, false, 1, 9, 33, {1, 331}, 50, {1, 31}, {1, 1}, {0, 20}, {1, 1}, 1},
    {"transposed", false, true, 2, 2, 32, {14, 15}, 40, {4, 4}, {2, 2}, {1, 1}, {1, 1}, 1},
    {"transposed, long", false, true, 1, 2, 32, {1, 150}, 20, {1, 9}, {1, 4}, {0, 3}, {1, 1}, 2},
    {"transposed, complex", true, true, 1, 2, 16, {1, 150}, 16, {1, 5}, {1, 2}, {0, 2}, {1, 3}, 1},
};
enum { CASES = sizeof cases / sizeof *cases, RESULTS = 5 };

static moire_shape shape_of(const convolution *c, int64_t a, int64_t b, const int64_t *last) {
  return c->axes == 1 ? MOIRE_SHAPE(a, b, last[1]) : MOIRE_SHAPE(a, b, last[0], last[1]);
}

static moire_value parameter(moire_graph *g, const convolution *c, const char *name, moire_shape shape) {
  moire_init uniform = moire_init_uniform(-1, 1);
  return c->complex ? moire_complex_parameter(g, name, shape, uniform)
                    : moire_parameter(g, name, shape, uniform);
}

static moire_value call(const convolution *c, moire_value x, moire_value w, moire_value bias) {
  if (c->axes == 2 && c->transposed)
    return moire_conv_transpose2d(x, w, bias, c->stride, c->padding, NULL, c->groups, c->dilation);
  if (c->axes == 2) return moire_conv2d(x, w, bias, c->stride, c->padding, c->dilation, c->groups);
  if (c->transposed)
    return moire_conv_transpose1d(x, w, bias, c->stride[1], c->padding[1], 0, c->groups, c->dilation[1]);
  return moire_conv1d(x, w, bias, c->stride[1], c->padding[1], c->dilation[1], c->groups);
}

/* Output y, after bias and activation, and the gradients of x, w and bias of a weighted sum of it. */
static test_machine make(const convolution *c, unsigned off, int threads) {
  moire_graph *g = moire_graph_create("convolution", MOIRE_TRAINING);
  int64_t wide = (c->transposed ? c->out : c->in) / c->groups;
  moire_value x = parameter(g, c, "x", shape_of(c, c->batch, c->in, c->size));
  moire_value w = parameter(g, c, "w", shape_of(c, c->transposed ? c->in : c->out, wide, c->taps));
  moire_value bias = parameter(g, c, "bias", MOIRE_SHAPE(c->out));
  moire_value y = call(c, x, w, bias);
  if (c->complex)
    y = moire_add(moire_real(y), moire_scale(moire_imag(y), 0.5));
  else
    y = moire_silu(y);
  moire_value i = moire_cast(moire_iota(g, moire_value_shape(y), -1), MOIRE_F32);
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_sum_all(moire_mul(y, moire_cos(moire_scale(i, 0.37)))));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y", "loss"};
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  options.off = off;
  test_machine m = test_machine_make(g, &options, threads, 5);
  moire_graph_destroy(g);
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  return m;
}

static const float *result(const test_machine *m, const convolution *c, int which, int64_t *n) {
  static const char *const real[RESULTS] = {"y", "grad.x", "grad.w", "grad.bias", "y"};
  static const char *const complex[RESULTS] = {"y", "grad.x.real", "grad.x.imag", "grad.w.real", "grad.w.imag"};
  const char *name = c->complex ? complex[which] : real[which];
  const float *values = moire_runner_output(m->runner, name, n);
  cr_assert(values, "%s has no output %s", c->name, name);
  return values;
}

/* Errors beside the largest number, since sums are of many. */
static void expect_close(const convolution *c, int which, const float *a, const float *b, int64_t n) {
  double largest = 0, far = 0;
  for (int64_t i = 0; i < n; i++) {
    largest = fmax(largest, fabs((double)b[i]));
    far = fmax(far, fabs((double)a[i] - (double)b[i]));
  }
  cr_expect(largest > 0 && far <= 1e-5 * largest, "%s, result %d: off by %g of %g", c->name, which, far,
            largest);
}

Test(convolution_ways, agree_with_unfolded, .timeout = 280) {
  for (int i = 0; i < CASES; i++) {
    const convolution *c = &cases[i];
    test_machine way = make(c, 0, 1), unfolded = make(c, 1u << MOIRE_OPTIMIZATION_windows, 1);
    for (int which = 0; which < RESULTS; which++) {
      int64_t n = 0, m = 0;
      const float *a = result(&way, c, which, &n), *b = result(&unfolded, c, which, &m);
      cr_assert_eq(n, m);
      expect_close(c, which, a, b, n);
    }
    test_machine_destroy(&way);
    test_machine_destroy(&unfolded);
  }
}

Test(convolution_ways, threads_give_the_same_bits, .timeout = 280) {
  for (int i = 0; i < CASES; i++) {
    const convolution *c = &cases[i];
    test_machine one = make(c, 0, 1), three = make(c, 0, 3);
    for (int which = 0; which < RESULTS; which++) {
      int64_t n = 0, m = 0;
      const float *a = result(&one, c, which, &n), *b = result(&three, c, which, &m);
      cr_expect(n == m && !memcmp(a, b, (size_t)n * sizeof *a), "%s, result %d", c->name, which);
    }
    test_machine_destroy(&one);
    test_machine_destroy(&three);
  }
}

/* Which way it was is told: the words of moire profile. */
static bool has_way(const convolution *c, unsigned off, const char *word) {
  moire_graph *g = moire_graph_create("convolution", MOIRE_INFERENCE);
  moire_value x = parameter(g, c, "x", shape_of(c, c->batch, c->in, c->size));
  moire_value w = parameter(g, c, "w", shape_of(c, c->out, c->in / c->groups, c->taps));
  moire_value y = call(c, x, w, (moire_value){0});
  moire_output(g, "y", c->complex ? moire_real(y) : y);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y"};
  options.n_outputs = 1;
  options.off = off;
  moire_error error = {0};
  char *text = moire_compile_print(g, &options, "expand", &error);
  cr_assert(text, "%s", error.message);
  bool found = strstr(text, word) != NULL;
  free(text);
  moire_graph_destroy(g);
  return found;
}

Test(convolution_ways, are_chosen_by_shape) {
  const unsigned off = 1u << MOIRE_OPTIMIZATION_windows;
  cr_expect(has_way(&cases[0], 0, "correlate("));
  cr_expect(!has_way(&cases[0], off, "correlate("));
  cr_expect(has_way(&cases[9], 0, "windows_fft("));
  cr_expect(!has_way(&cases[9], off, "windows_fft("));
  cr_expect(has_way(&cases[9], off, "linear(") || has_way(&cases[9], off, "matmul("));
}
