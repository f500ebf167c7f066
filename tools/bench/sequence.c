/* Work along a sequence, on one thread: fast Fourier transforms.
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
  for (int i = -3; i < runs; i++) {
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
  float *x = aligned_alloc(64, ((size_t)n * sizeof *x + 63) / 64 * 64);
  if (!x) exit(1);
  for (int64_t i = 0; i < n; i++) x[i] = (float)(i * 37 % 101) / 50 - 1;
  bench_require(moire_runner_set_input(runner, name, x, n, &error), &error);
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
  if (peer) bench_peer_stop(peer);
  moire_threads_destroy(one);
  return 0;
}
