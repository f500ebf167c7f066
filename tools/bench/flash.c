/* Real attention, softmax(q k^T / sqrt d + mask) v, forward and with the gradients of q, k and v, beside
 * PyTorch's scaled_dot_product_attention, whose kernel on a CPU is flash attention.
 *
 *   bench/flash [THREADS [LENGTH]]       (1, every length)
 *
 * With MOIRE_PYTHON=PYTHON in the environment both take turns, PyTorch in a process of its own
 * (flash_torch.py); q, k and v lie by position on both sides, [heads, length, d] with one head a sample.
 * Gradients are those of sum(y g) with a g that is given. Causal flops leave out what the mask hides. */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 4, RUNS = 25 };

typedef struct shape {
  int64_t heads, length, d;
  bool causal, backward;
} shape;

typedef struct ours {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
  float *x[INPUTS];
} ours;

static const char *const names[INPUTS] = {"q", "k", "v", "g"};

static ours start(const shape *s, moire_threads *threads) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create("flash", MOIRE_TRAINING);
  static const int by_head[] = {0, 2, 1, 3};
  moire_shape by_position = MOIRE_SHAPE(s->heads, s->length, 1, s->d);
  moire_value x[3];
  for (int i = 0; i < 3; i++)
    x[i] = moire_permute(moire_parameter(g, names[i], by_position, moire_init_constant(0)), 4, by_head);
  moire_attention_options options = {
      .score = MOIRE_SCORE_DOT, .scale = 1 / sqrt((double)s->d), .mask_value = -INFINITY, .causal = s->causal};
  moire_value y = moire_permute(moire_attention(x[0], x[1], x[2], options), 4, by_head);
  moire_compile_options compiled = moire_compile_defaults();
  static const char *const output = "y";
  if (s->backward) {
    moire_output(g, "loss", moire_sum_all(moire_mul(y, moire_input(g, "g", MOIRE_F32, by_position))));
    compiled.loss = "loss";
    compiled.keep_gradients = true;
  } else {
    moire_output(g, "y", y);
    compiled.outputs = &output;
    compiled.n_outputs = 1;
  }
  ours o = {.program = moire_compile(g, &compiled, &error), .store = moire_store_create()};
  bench_require(error.status, &error);
  bench_require(moire_store_declare(o.store, moire_program_plan(o.program), 1, &error), &error);
  o.runner = moire_runner_create(moire_program_plan(o.program), o.store, threads, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(g);
  int64_t n = s->heads * s->length * s->d;
  for (uint32_t i = 0; i < INPUTS; i++) o.x[i] = bench_numbers(n, 1 + i);
  for (int i = 0; i < 3; i++)
    memcpy(moire_store_data(o.store, names[i], NULL), o.x[i], (size_t)n * sizeof(float));
  if (s->backward) bench_require(moire_runner_set_input(o.runner, "g", o.x[3], n, &error), &error);
  return o;
}

static void stop(ours *o) {
  moire_runner_destroy(o->runner);
  moire_store_destroy(o->store);
  moire_program_destroy(o->program);
  for (int i = 0; i < INPUTS; i++) free(o->x[i]);
}

/* Seconds of a run. */
static double run(const ours *o) {
  moire_error error = {0};
  double began = bench_now();
  bench_require(moire_runner_run(o->runner, &error), &error);
  return bench_now() - began;
}

/* Two products forward; backward the scores again, and four. */
static double flop_of(const shape *s) {
  double pairs = (double)s->heads * (double)s->length * (double)s->length;
  if (s->causal) pairs *= (double)(s->length + 1) / (2 * (double)s->length);
  return pairs * (double)s->d * 2 * (s->backward ? 2 + 5 : 2);
}

static void measure(const shape *s, moire_threads *threads, int n_threads, bench_peer *peer) {
  ours o = start(s, threads);
  char ask[128], what[128];
  snprintf(ask, sizeof ask, "%lld %lld %lld %d %d %d", (long long)s->heads, (long long)s->length,
           (long long)s->d, s->causal, s->backward, n_threads);
  snprintf(what, sizeof what, "(%lld, %lld, %lld) %s %s", (long long)s->heads, (long long)s->length,
           (long long)s->d, s->causal ? "causal" : "whole", s->backward ? "both" : "forward");
  double mine[RUNS], theirs[RUNS], least = INFINITY, least_of_peer = INFINITY, began = bench_now();
  int n = 0;
  run(&o);
  while (n < 5 || (n < RUNS && bench_now() - began < 6)) {
    mine[n] = 1e3 * run(&o);
    theirs[n] = peer ? 1e3 * bench_peer_ask(peer, ask) : 0;
    least = fmin(least, mine[n]);
    least_of_peer = fmin(least_of_peer, theirs[n]);
    n++;
  }
  bench_spread none = {0};
  bench_row("flash", what, bench_spread_of(mine, n), peer ? bench_spread_of(theirs, n) : none, "PyTorch", "ms");
  printf("  least %.3f ms, %.1f GFLOP/s", least, flop_of(s) / least * 1e-6);
  if (peer) printf(", PyTorch %.3f, %.2f times as long", least_of_peer, least_of_peer / least);
  printf("\n");
  fflush(stdout);
  stop(&o);
}

int main(int argc, char **argv) {
  int n = bench_pin(argc > 1 ? atoi(argv[1]) : 1);
  int64_t length = argc > 2 ? atoi(argv[2]) : 0;
  moire_error error = {0};
  const char *python = getenv("MOIRE_PYTHON");
  bench_peer started, *peer = NULL;
  if (python && bench_peer_start(&started, (const char *const[]){python, "tools/bench/flash_torch.py", NULL}))
    peer = &started;
  moire_threads *threads = moire_threads_create(n, &error);
  bench_require(error.status, &error);
  static const int64_t shapes[][3] = {
      {1024, 50, 16}, {1024, 50, 64}, {64, 512, 32}, {64, 512, 64}, {8, 4096, 64}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    for (int kind = 0; kind < 4 && (!length || length == shapes[i][1]); kind++) {
      shape s = {shapes[i][0], shapes[i][1], shapes[i][2], kind & 1, kind > 1};
      measure(&s, threads, n, peer);
    }
  }
  moire_threads_destroy(threads);
  if (peer) bench_peer_stop(peer);
  return 0;
}
