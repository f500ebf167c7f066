/* Work along a sequence, on one thread: fast Fourier transforms, and steps of training, without the optimizer,
 * of recurrent units: a linear one of 64 complex states over 1,024 positions, and a gated one of width 64 over
 * 200 steps, which is written out step by step; 32 sequences each.
 *
 *   bench/sequence
 *
 * With MOIRE_PYTHON=PYTHON in the environment, in turns with that PyTorch (sequence_torch.py). Beside medians
 * with the quarters below and above stand the least times, which are what to compare on a machine that others
 * use. Of fft, `both` is the transform and the gradient of its operand.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <math.h>
#include <stdlib.h>

enum { RUNS = 301 };

typedef struct ours {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
} ours;

static ours compile(moire_graph *g, const moire_compile_options *options, moire_threads *threads) {
  moire_error error = {0};
  ours o = {.program = moire_compile(g, options, &error), .store = moire_store_create()};
  bench_require(error.status, &error);
  moire_graph_destroy(g);
  bench_require(moire_store_declare(o.store, moire_program_plan(o.program), 1, &error), &error);
  o.runner = moire_runner_create(moire_program_plan(o.program), o.store, threads, &error);
  bench_require(error.status, &error);
  return o;
}

static void drop(ours *o) {
  moire_runner_destroy(o->runner);
  moire_store_destroy(o->store);
  moire_program_destroy(o->program);
}

static double run(const ours *o) {
  moire_error error = {0};
  double start = bench_now();
  bench_require(moire_runner_run(o->runner, &error), &error);
  return bench_now() - start;
}

/* Ours and the peer's in turns. */
static void measure(const char *what, const ours *o, bench_peer *peer, const char *ask, int runs) {
  static double mine[RUNS], theirs[RUNS];
  double least = INFINITY, least_of_peer = INFINITY;
  for (int i = runs < 3 ? 0 : -3; i < runs; i++) {
    double m = 1e3 * run(o), t = peer ? 1e3 * bench_peer_ask(peer, ask) : 0;
    if (i < 0) continue;
    mine[i] = m;
    theirs[i] = t;
    least = fmin(least, m);
    least_of_peer = fmin(least_of_peer, t);
  }
  bench_spread none = {0};
  bench_row("sequence", what, bench_spread_of(mine, runs), peer ? bench_spread_of(theirs, runs) : none,
            "PyTorch", "ms");
  printf("  least %.4f ms", least);
  if (peer) printf(", PyTorch %.4f, %.2f times as long", least_of_peer, least_of_peer / least);
  printf("\n");
}

static void set_uniform(moire_runner *runner, const char *name, int64_t n) {
  moire_error error = {0};
  float *x = bench_numbers(n, 1); /* the runner's for as long as it runs */
  bench_require(moire_runner_set_input(runner, name, x, n, &error), &error);
}

/* A program for the loss and all gradients. */
static ours compile_step(moire_graph *g, moire_value loss, moire_threads *threads) {
  moire_output(g, "loss", loss);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  options.cache = ""; /* compiling is measured, too */
  return compile(g, &options, threads);
}

static void measure_fft(int64_t n, bool both, moire_threads *threads, bench_peer *peer) {
  enum { ROWS = 64 };
  moire_shape shape = MOIRE_SHAPE(ROWS, n);
  moire_graph *g = moire_graph_create("fft", MOIRE_TRAINING);
  moire_value z = moire_complex_parameter(g, "z", shape, moire_init_uniform(-1, 1));
  moire_value y = moire_fft(z, 1, MOIRE_NORM_BACKWARD);
  moire_output(g, "re", moire_real(y));
  moire_output(g, "im", moire_imag(y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"re", "im", "loss"};
  options.n_outputs = both ? 3 : 2;
  if (both) {
    moire_value slope =
        moire_complex(moire_input(g, "gr", MOIRE_F32, shape), moire_input(g, "gi", MOIRE_F32, shape));
    moire_output(g, "loss", moire_sum_all(moire_real(moire_mul(moire_conj(slope), y))));
    options.loss = "loss";
    options.keep_gradients = true;
  }
  ours o = compile(g, &options, threads);
  if (both) {
    set_uniform(o.runner, "gr", ROWS * n);
    set_uniform(o.runner, "gi", ROWS * n);
  }
  char what[64], ask[64];
  snprintf(what, sizeof what, "fft 64 x %lld, %s", (long long)n, both ? "forward and backward" : "forward");
  snprintf(ask, sizeof ask, "fft compiled %lld %s", (long long)n, both ? "both" : "forward");
  measure(what, &o, peer, ask, RUNS);
  drop(&o);
}

/* The step of docs/language.md's LRU, between two products. */
static void measure_lru(moire_threads *threads, bench_peer *peer) {
  enum { SAMPLES = 32, LENGTH = 1024, STATES = 64, STEPS = 11, SLOW_STEPS = 2 };
  moire_graph *g = moire_graph_create("lru", MOIRE_TRAINING);
  moire_shape row = MOIRE_SHAPE(STATES), square = MOIRE_SHAPE(STATES, STATES);
  moire_init weights = moire_init_normal(0, 0.1);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(SAMPLES, LENGTH, STATES));
  moire_value rate = moire_parameter(g, "rate", row, moire_init_uniform(-5, -1));
  moire_value phase = moire_parameter(g, "phase", row, moire_init_uniform(0, 3));
  moire_value b = moire_matmul(x, moire_complex_parameter(g, "in", square, weights));
  moire_value h = moire_linear_scan(moire_polar(moire_exp(moire_neg(moire_exp(rate))), phase), b);
  moire_value y = moire_real(moire_matmul(h, moire_complex_parameter(g, "out", square, weights)));
  ours o = compile_step(g, moire_mean_all(moire_mul(y, y)), threads);
  set_uniform(o.runner, "x", SAMPLES * LENGTH * STATES);
  measure("LRU of 64 x 1024, beside a loop of slices", &o, peer, "lru eager slices", SLOW_STEPS);
  measure("LRU of 64 x 1024, beside an unbound loop", &o, peer, "lru eager unbound", STEPS);
  measure("LRU of 64 x 1024, beside FFT", &o, peer, "lru eager fft", STEPS);
  drop(&o);
}

static moire_value third(moire_value x, int64_t i, int64_t width) {
  return moire_slice(x, -1, i * width, width);
}

/* PyTorch's cell: r, z and n of what x and h give. */
static moire_value gru_step(moire_value x, moire_value h, moire_value w, moire_value b, int64_t width) {
  moire_value s = moire_linear(h, w, b);
  moire_value r = moire_sigmoid(moire_add(third(x, 0, width), third(s, 0, width)));
  moire_value z = moire_sigmoid(moire_add(third(x, 1, width), third(s, 1, width)));
  moire_value n = moire_tanh(moire_add(third(x, 2, width), moire_mul(r, third(s, 2, width))));
  return moire_add(n, moire_mul(z, moire_sub(h, n)));
}

static void measure_gru(moire_threads *threads, bench_peer *peer) {
  enum { SAMPLES = 32, LENGTH = 200, WIDTH = 64, STEPS = 21 };
  moire_graph *g = moire_graph_create("gru", MOIRE_TRAINING);
  moire_shape matrix = MOIRE_SHAPE(3 * WIDTH, WIDTH), row = MOIRE_SHAPE(3 * WIDTH);
  moire_init weights = moire_init_normal(0, 0.1), zero = moire_init_constant(0);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(SAMPLES, LENGTH, WIDTH));
  moire_value all =
      moire_linear(x, moire_parameter(g, "w_x", matrix, weights), moire_parameter(g, "b_x", row, zero));
  moire_value w = moire_parameter(g, "w_h", matrix, weights), b = moire_parameter(g, "b_h", row, zero);
  moire_value h = moire_constant(g, MOIRE_F32, MOIRE_SHAPE(SAMPLES, WIDTH), 0);
  for (int64_t t = 0; t < LENGTH; t++) {
    moire_value at = moire_reshape(moire_slice(all, 1, t, 1), MOIRE_SHAPE(SAMPLES, 3 * WIDTH));
    h = gru_step(at, h, w, b, WIDTH);
  }
  double start = bench_now();
  ours o = compile_step(g, moire_mean_all(moire_mul(h, h)), threads);
  printf("GRU of width 64 over 200 steps: compiled in %.1f s on one CPU\n", bench_now() - start);
  set_uniform(o.runner, "x", SAMPLES * LENGTH * WIDTH);
  measure("GRU of 64 x 200", &o, peer, "gru eager", STEPS);
  drop(&o);
}

int main(void) {
  moire_error error = {0};
  bench_pin(1);
  moire_threads *one = moire_threads_create(1, &error);
  bench_require(error.status, &error);
  bench_peer started, *peer = NULL;
  const char *python = getenv("MOIRE_PYTHON");
  if (!python) printf("MOIRE_PYTHON names no Python with PyTorch, so it is left out\n");
  if (python &&
      bench_peer_start(&started, (const char *const[]){python, "tools/bench/sequence_torch.py", NULL}))
    peer = &started;
  static const int64_t lengths[] = {1024, 1000, 1021};
  for (int i = 0; i < 3; i++)
    for (int both = 0; both < 2; both++) measure_fft(lengths[i], both, one, peer);
  measure_lru(one, peer);
  measure_gru(one, peer);
  if (peer) bench_peer_stop(peer);
  moire_threads_destroy(one);
  return 0;
}
