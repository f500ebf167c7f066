/* The head of a language model or of a large catalogue: linear, cross entropy and the gradients of all
 * operands, as one op that computes the scores once, beside the same as two ops (joint turned off) and as
 * products that store the logits (wide_loss turned off), and PyTorch.
 *
 *   head [THREADS [ROWS WIDTH WORDS]]       one thread, four shapes
 *
 * All of ours in one process, in turns, on the same data; loss and gradients are compared before anything is
 * timed, and so are the losses of PyTorch, which tools/bench/head_torch.py runs with the Python of
 * MOIRE_PYTHON. Memory is the plan's workspace, gradients included, beside the operands x, w, bias and their
 * gradients.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 41, GRADIENTS = 3 };

typedef struct task {
  int64_t rows, width, words;
  float *x, *w, *bias;
  int32_t *ids;
  moire_threads *threads;
} task;

typedef struct ours {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
} ours;

static const char *const gradients[GRADIENTS] = {"grad.x", "grad.w", "grad.bias"};

static float *numbers(int64_t n, uint32_t seed, float size) {
  float *x = malloc((size_t)n * sizeof *x);
  if (!x) exit(1);
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = ((float)(seed >> 8) / (float)(1 << 24) - 0.5f) * size;
  }
  return x;
}

static void fill(const moire_store *store, const char *name, const float *x, int64_t n) {
  memcpy(moire_store_data(store, name, NULL), x, (size_t)n * sizeof *x);
}

enum { JOINT, APART, STORED, WAYS };
static const unsigned turned_off[WAYS] = {
    [APART] = 1u << MOIRE_OPTIMIZATION_joint, [STORED] = 1u << MOIRE_OPTIMIZATION_wide_loss};

static ours compile(const task *t, moire_precision precision, int way) {
  moire_error error = {0};
  ours o;
  moire_graph *g = moire_graph_create("head", MOIRE_TRAINING);
  moire_init zeros = moire_init_constant(0);
  moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(t->rows, t->width), zeros);
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(t->words, t->width), zeros);
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(t->words), zeros);
  moire_value ids = moire_input(g, "ids", MOIRE_I32, MOIRE_SHAPE(t->rows));
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(moire_linear(x, w, bias), ids)));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  options.precision = precision;
  options.off = turned_off[way];
  o.program = moire_compile(g, &options, &error);
  bench_require(error.status, &error);
  o.store = moire_store_create();
  const moire_plan *plan = moire_program_plan(o.program);
  bench_require(moire_store_declare(o.store, plan, 1, &error), &error);
  fill(o.store, "x", t->x, t->rows * t->width);
  fill(o.store, "w", t->w, t->words * t->width);
  fill(o.store, "bias", t->bias, t->words);
  o.runner = moire_runner_create(plan, o.store, t->threads, &error);
  bench_require(error.status, &error);
  bench_require(moire_runner_set_input(o.runner, "ids", t->ids, t->rows, &error), &error);
  moire_graph_destroy(g);
  return o;
}

static void drop(ours *o) {
  moire_runner_destroy(o->runner);
  moire_store_destroy(o->store);
  moire_program_destroy(o->program);
}

static void run(const ours *o) {
  moire_error error = {0};
  bench_require(moire_runner_run(o->runner, &error), &error);
}

/* Seconds that the processor worked: what else runs on the machine takes none of them. */
static double work(void) { return bench_clock(CLOCK_PROCESS_CPUTIME_ID); }

static double loss_of(const ours *o) {
  return (double)*(const float *)moire_runner_output(o->runner, "loss", NULL);
}

/* The largest difference of a gradient, as a share of its norm. */
static double difference(const task *t, const ours *a, const ours *b) {
  const int64_t sizes[GRADIENTS] = {t->rows * t->width, t->words * t->width, t->words};
  double worst = fabs(loss_of(a) - loss_of(b)) / loss_of(b);
  for (int i = 0; i < GRADIENTS; i++) {
    const float *x = moire_runner_output(a->runner, gradients[i], NULL);
    const float *y = moire_runner_output(b->runner, gradients[i], NULL);
    double off = 0, norm = 0;
    for (int64_t j = 0; j < sizes[i]; j++) {
      off += pow((double)x[j] - (double)y[j], 2);
      norm += pow((double)y[j], 2);
    }
    worst = fmax(worst, sqrt(off / norm));
  }
  return worst;
}

/* Median, lower and upper quarter of PyTorch's seconds; zeros if it was not asked for or did not answer. */
static bench_spread torch(const task *t, const char *how, int threads) {
  const char *python = getenv("MOIRE_PYTHON");
  bench_spread s = {0};
  char command[1024];
  if (!python) return s;
  snprintf(command, sizeof command, "'%s' tools/bench/head_torch.py %lld %lld %lld %s %d", python,
           (long long)t->rows, (long long)t->width, (long long)t->words, how, threads);
  FILE *answer = popen(command, "r");
  bool answered = answer && fscanf(answer, "%lf %lf %lf", &s.median, &s.low, &s.high) == 3;
  if (answer) pclose(answer);
  return answered ? s : (bench_spread){0};
}

static void row(const task *t, const char *what, bench_spread mine, bench_spread peer, const char *name) {
  char text[120];
  snprintf(text, sizeof text, "%lld x %lld -> %lld, %s", (long long)t->rows, (long long)t->width,
           (long long)t->words, what);
  mine = (bench_spread){mine.median * 1e3, mine.low * 1e3, mine.high * 1e3};
  peer = (bench_spread){peer.median * 1e3, peer.low * 1e3, peer.high * 1e3};
  bench_row("head", text, mine, peer, name, "ms");
}

/* Bytes of operands, gradients and what a step takes beside them, in parts of operands and gradients. */
static double memory(const task *t, const ours *o) {
  double bytes = 4.0 * (double)(t->rows * t->width + t->words * (t->width + 1));
  return (bytes + (double)moire_runner_workspace_bytes(o->runner)) / (2 * bytes);
}

static void check(const task *t, const ours *ways, moire_precision precision) {
  for (int i = 0; i < WAYS; i++) run(&ways[i]);
  for (int i = 0; i < STORED; i++) {
    double error = difference(t, &ways[i], &ways[STORED]);
    if (error <= (precision == MOIRE_PRECISION_BF16 ? 2e-2 : 1e-4)) continue;
    fprintf(stderr, "head: results differ by %g\n", error);
    exit(1);
  }
}

static void measure_precision(const task *t, moire_precision precision, const char *name, int threads) {
  ours ways[WAYS];
  double times[WAYS][MAX_RUNS], began = bench_now();
  int n = 0;
  for (int i = 0; i < WAYS; i++) ways[i] = compile(t, precision, i);
  check(t, ways, precision);
  for (; n < 5 || (n < MAX_RUNS && bench_now() - began < 12); n++) {
    for (int i = 0; i < WAYS; i++) {
      double start = work();
      run(&ways[i]);
      times[i][n] = work() - start;
    }
  }
  bench_spread s[WAYS];
  for (int i = 0; i < WAYS; i++) s[i] = bench_spread_of(times[i], n);
  row(t, name, s[JOINT], s[APART], "two ops");
  row(t, name, s[JOINT], s[STORED], "logits stored");
  printf("  least %.1f ms, two ops %.1f, logits stored %.1f; %.1f GFLOP/s of three products; memory of the "
         "operands and "
         "their gradients: %.4f, %.4f, %.4f\n",
         1e3 * times[JOINT][0], 1e3 * times[APART][0], 1e3 * times[STORED][0],
         6e-9 * (double)t->rows * (double)t->width * (double)t->words / s[JOINT].median,
         memory(t, &ways[JOINT]), memory(t, &ways[APART]), memory(t, &ways[STORED]));
  for (int i = 0; i < WAYS; i++) drop(&ways[i]);
  bool bf16 = precision == MOIRE_PRECISION_BF16;
  bench_spread eager = torch(t, bf16 ? "eager-bf16" : "eager", threads);
  if (eager.median > 0) row(t, name, s[JOINT], eager, "PyTorch eager");
  bench_spread compiled = torch(t, bf16 ? "compiled-bf16" : "compiled", threads);
  if (compiled.median > 0) row(t, name, s[JOINT], compiled, "PyTorch compiled");
}

int main(int argc, char **argv) {
  moire_error error = {0};
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  static const int64_t shapes[][3] = {{2048, 128, 32000}, {256, 64, 12102}, {256, 64, 3646}, {4096, 64, 512}};
  threads = bench_pin(threads);
  bool own = argc == 5;
  for (size_t i = 0; i < (own ? 1 : sizeof shapes / sizeof *shapes); i++) {
    task t = {.rows = shapes[i][0], .width = shapes[i][1], .words = shapes[i][2]};
    if (own) t = (task){.rows = atoll(argv[2]), .width = atoll(argv[3]), .words = atoll(argv[4])};
    t.threads = moire_threads_create(threads, &error);
    bench_require(error.status, &error);
    t.x = numbers(t.rows * t.width, 1, 2);
    t.w = numbers(t.words * t.width, 2, 0.5F);
    t.bias = numbers(t.words, 3, 1);
    t.ids = malloc((size_t)t.rows * sizeof *t.ids);
    for (int64_t n = 0; n < t.rows; n++) t.ids[n] = (int32_t)(n * 7919 % t.words);
    measure_precision(&t, MOIRE_PRECISION_F32, "f32", threads);
    measure_precision(&t, MOIRE_PRECISION_BF16, "bf16", threads);
    free(t.x);
    free(t.w);
    free(t.bias);
    free(t.ids);
    moire_threads_destroy(t.threads);
  }
  return 0;
}
