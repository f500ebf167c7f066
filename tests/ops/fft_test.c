/* Fourier transforms of every kind of length against sums in double; there and back; the short-time transform
 * against its definition. Any number of threads gives the same bits. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "tests/support/machine.h"

#include <complex.h>
#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* z [rows, n, inner] of parameters re and im; outputs y = fft(z), w = ifft(y), planes each. */
static test_machine transforms(moire_shape shape, int threads) {
  static const char *const outputs[] = {"yr", "yi", "wr", "wi"};
  moire_graph *g = moire_graph_create("fft", MOIRE_TRAINING);
  moire_value z = moire_complex_parameter(g, "z", shape, moire_init_uniform(-1, 1));
  moire_value y = moire_fft(z, 1, MOIRE_NORM_ORTHO), w = moire_ifft(y, 1, MOIRE_NORM_ORTHO);
  moire_output(g, "yr", moire_real(y));
  moire_output(g, "yi", moire_imag(y));
  moire_output(g, "wr", moire_real(w));
  moire_output(g, "wi", moire_imag(w));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 4;
  test_machine m = test_machine_make(g, &options, threads, 3);
  moire_graph_destroy(g);
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  return m;
}

/* Bin f of the transform of column i of row r. */
static double _Complex bin(const float *re, const float *im, moire_shape shape, int64_t r, int64_t i,
                           int64_t f) {
  int64_t n = shape.dims[1], inner = shape.dims[2];
  double _Complex sum = 0;
  for (int64_t t = 0; t < n; t++) {
    int64_t at = (r * n + t) * inner + i;
    sum += ((double)re[at] + I * (double)im[at]) * cexp(-2 * pi * I * (double)(f * t % n) / (double)n);
  }
  return sum / sqrt((double)n);
}

/* Up to 23 bins of the first and the last column, and all of the way back. Errors of a transform whose points
 * are of size 1 grow with the root of the logarithm of n; a convolution has those of three. */
static void check(int64_t rows, int64_t n, int64_t inner) {
  moire_shape shape = MOIRE_SHAPE(rows, n, inner);
  test_machine m = transforms(shape, 1);
  const float *z[2] = {moire_store_data(m.store, "z.real", NULL), moire_store_data(m.store, "z.imag", NULL)};
  const float *y[2] = {moire_runner_output(m.runner, "yr", NULL), moire_runner_output(m.runner, "yi", NULL)};
  const float *w[2] = {moire_runner_output(m.runner, "wr", NULL), moire_runner_output(m.runner, "wi", NULL)};
  double far = 0, back = 0;
  for (int64_t f = 0; f < n; f += 1 + n / 23) {
    for (int end = 0; end < 2; end++) {
      int64_t r = end ? rows - 1 : 0, i = end ? inner - 1 : 0, at = (r * n + f) * inner + i;
      far = fmax(far, cabs((double)y[0][at] + I * (double)y[1][at] - bin(z[0], z[1], shape, r, i, f)));
    }
  }
  for (int p = 0; p < 2; p++)
    for (int64_t i = 0; i < rows * n * inner; i++) back = fmax(back, fabs((double)(w[p][i] - z[p][i])));
  cr_assert(far < 2e-6, "%lld points, %lld rows, %lld columns: off by %g", (long long)n, (long long)rows,
            (long long)inner, far);
  cr_assert(back < 3e-6, "%lld points, %lld rows, %lld columns: %g off on the way back", (long long)n,
            (long long)rows, (long long)inner, back);
  test_machine_destroy(&m);
}

Test(fft, short_lengths, .timeout = 300) {
  for (int64_t n = 1; n <= 20; n++) check(17, n, 1);
}

Test(fft, parts_of_every_size, .timeout = 300) {
  static const int64_t lengths[] = {36, 77, 100, 169, 243, 256, 343, 1000, 1024, 1331, 2048};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check(18, lengths[i], 1);
}

Test(fft, prime_lengths, .timeout = 300) {
  static const int64_t lengths[] = {17, 31, 127, 509, 1021};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check(18, lengths[i], 1);
}

Test(fft, long_lengths, .timeout = 300) {
  static const int64_t lengths[] = {2053, 4096, 5000, 2 * 3 * 1021, 1 << 15};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check(2, lengths[i], 1);
}

Test(fft, columns, .timeout = 300) {
  check(3, 60, 16);
  check(2, 1021, 21);
  check(3, 48, 3);
}

Test(fft, one_sequence, .timeout = 300) {
  check(1, 1024, 1);
  check(1, 1021, 1);
}

/* Bins of rfft, and irfft of them: lengths that are products, transforms and convolutions. */
static void check_real(int64_t n) {
  enum { ROWS = 3 };
  moire_graph *g = moire_graph_create("rfft", MOIRE_TRAINING);
  moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(ROWS, n), moire_init_uniform(-1, 1));
  moire_value y = moire_rfft(x, 1);
  moire_output(g, "yr", moire_real(y));
  moire_output(g, "yi", moire_imag(y));
  moire_output(g, "w", moire_irfft(y, 1, n));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"yr", "yi", "w"};
  options.n_outputs = 3;
  test_machine m = test_machine_make(g, &options, 1, 3);
  moire_graph_destroy(g);
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  const float *in = moire_store_data(m.store, "x", NULL), *w = moire_runner_output(m.runner, "w", NULL);
  const float *re = moire_runner_output(m.runner, "yr", NULL), *im = moire_runner_output(m.runner, "yi", NULL);
  float *none = moire__allocate_array((size_t)(ROWS * n), sizeof *none);
  for (int64_t f = 0; f <= n / 2; f += 1 + n / 23) {
    double _Complex want = bin(in, none, MOIRE_SHAPE(ROWS, n, 1), ROWS - 1, 0, f);
    int64_t at = (ROWS - 1) * (n / 2 + 1) + f;
    cr_assert(cabs(want - (double)re[at] - I * (double)im[at]) < 4e-6, "bin %lld of %lld", (long long)f,
              (long long)n);
  }
  for (int64_t i = 0; i < ROWS * n; i++)
    cr_assert(fabsf(w[i] - in[i]) < 4e-6f, "%lld points on the way back", (long long)n);
  moire__release(none);
  test_machine_destroy(&m);
}

Test(fft, real_sequences, .timeout = 300) {
  static const int64_t lengths[] = {50, 65, 72, 128, 257, 1000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check_real(lengths[i]);
}

Test(fft, threads_give_the_same_bits, .timeout = 300) {
  moire_shape shape = MOIRE_SHAPE(50, 250, 1);
  test_machine one = transforms(shape, 1), three = transforms(shape, 3);
  cr_assert_arr_eq(moire_runner_output(one.runner, "wr", NULL), moire_runner_output(three.runner, "wr", NULL),
                   50 * 250 * sizeof(float));
  test_machine_destroy(&one);
  test_machine_destroy(&three);
}

/* ---- stft -------------------------------------------------------------------------------------------------
 */

enum { B = 3, L = 53, N = 16, HOP = 5, WINDOW = 12 };

/* Where padded point t of a sequence of L lies: reflected at its ends. */
static int64_t source(int64_t t, bool center) {
  t -= center ? N / 2 : 0;
  if (t < 0) t = -t;
  return t >= L ? 2 * (L - 1) - t : t;
}

static void check_stft(bool center, bool normalized, bool onesided) {
  moire_graph *g = moire_graph_create("stft", MOIRE_TRAINING);
  moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(B, L), moire_init_uniform(-1, 1));
  moire_value window = moire_parameter(g, "window", MOIRE_SHAPE(WINDOW), moire_init_uniform(0, 1));
  moire_value y = moire_stft(x, ((moire_stft_options){.n_fft = N,
                                                      .hop_length = HOP,
                                                      .win_length = WINDOW,
                                                      .window = window,
                                                      .center = center,
                                                      .normalized = normalized,
                                                      .onesided = onesided}));
  int64_t bins = onesided ? N / 2 + 1 : N, frames = (L + (center ? N : 0) - N) / HOP + 1;
  moire_shape shape = moire_value_shape(y);
  cr_assert(shape.rank == 3 && shape.dims[0] == B && shape.dims[1] == bins && shape.dims[2] == frames);
  moire_output(g, "yr", moire_real(y));
  moire_output(g, "yi", moire_imag(y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"yr", "yi"};
  options.n_outputs = 2;
  test_machine m = test_machine_make(g, &options, 1, 3);
  moire_graph_destroy(g);
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  const float *in = moire_store_data(m.store, "x", NULL), *w = moire_store_data(m.store, "window", NULL);
  const float *re = moire_runner_output(m.runner, "yr", NULL), *im = moire_runner_output(m.runner, "yi", NULL);
  for (int64_t i = 0; i < B * bins * frames; i++) {
    int64_t b = i / (bins * frames), f = i / frames % bins, frame = i % frames;
    double _Complex sum = 0;
    for (int64_t t = 0; t < WINDOW; t++) {
      int64_t k = (N - WINDOW) / 2 + t;
      sum += (double)in[b * L + source(frame * HOP + k, center)] * (double)w[t] *
             cexp(-2 * pi * I * (double)(f * k) / N);
    }
    if (normalized) sum /= sqrt(N);
    cr_assert(cabs(sum - (double)re[i] - I * (double)im[i]) < 3e-6, "sequence %lld, bin %lld, frame %lld",
              (long long)b, (long long)f, (long long)frame);
  }
  test_machine_destroy(&m);
}

Test(fft, short_time, .timeout = 300) {
  for (int flags = 0; flags < 8; flags++) check_stft(flags & 1, flags & 2, flags & 4);
}

static void expect_refused(moire_shape shape, moire_dtype dtype, moire_stft_options options, const char *why) {
  moire_graph *g = moire_graph_create("stft", MOIRE_INFERENCE);
  moire_error error = {0};
  moire_output(g, "y", moire_abs(moire_stft(moire_input(g, "x", dtype, shape), options)));
  cr_assert_neq(moire_graph_status(g, &error), MOIRE_OK);
  cr_assert(strstr(error.message, why), "%s", error.message);
  moire_graph_destroy(g);
}

Test(fft, short_time_refuses) {
  expect_refused(MOIRE_SHAPE(8), MOIRE_F32, (moire_stft_options){.n_fft = 16}, "n_fft is 16, for 8 points");
  expect_refused(MOIRE_SHAPE(8), MOIRE_F32, (moire_stft_options){.n_fft = 3}, "hop_length is 0, at least 1");
  expect_refused(MOIRE_SHAPE(8), MOIRE_F32, (moire_stft_options){.n_fft = 4, .win_length = 5},
                 "win_length is 5, at most n_fft 4");
  expect_refused(MOIRE_SHAPE(2, 2, 8), MOIRE_F32, (moire_stft_options){.n_fft = 4}, "x is [L] or [B, L]");
  expect_refused(MOIRE_SHAPE(8), MOIRE_C64, (moire_stft_options){.n_fft = 4, .onesided = true},
                 "onesided is for a real x");
}
