/* Real products of every size against OpenBLAS: y = x W^T and both of its gradients, dX = dY W and dW = dY^T x,
 * in float32 on one thread.
 *
 * In turns, on the same data; results are compared before anything is timed. The time of a product is the least
 * CPU time of its runs, each as many products as take a tenth of a millisecond: what other work on the machine
 * disturbs least.
 * With MOIRE_PYTHON=PYTHON in the environment PyTorch (its own BLAS, which is MKL on x86-64) takes turns too,
 * in a process of its own (products_real_torch.py).
 *
 *   products_real [ROWS IN OUT]     only this shape
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_RUNS = 7, MOST_RUNS = 2000, MOST_TIMES = 1000 };
static const double SECONDS = 0.4, /* for each product */
    RUN = 1e-4;                    /* at least, of each run */

/* c[m,n] = op(a) op(b), stored as they are named in `stored`. */
typedef struct product {
  const char *name;
  int64_t m, k, n;
  bool transpose_a, transpose_b;
  char batch; /* the extent that is a named one: 'm', 'k' or 0 */
} product;

typedef struct sides {
  const product *p;
  float *a, *b, *c;
  moire_threads *threads;
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
  bench_peer *torch; /* NULL: there is none */
} sides;

static moire_value operand(moire_graph *g, const char *name, moire_dim rows, moire_dim columns,
                           bool transpose) {
  moire_value x =
      moire_input(g, name, MOIRE_F32, transpose ? MOIRE_SHAPE(columns, rows) : MOIRE_SHAPE(rows, columns));
  return transpose ? moire_permute(x, 2, (const int[]){1, 0}) : x;
}

static void compile(sides *s) {
  const product *p = s->p;
  moire_error error = {0};
  moire_graph *g = moire_graph_create("products", MOIRE_INFERENCE);
  moire_dim rows = p->batch ? moire_extent(g, "B") : 0;
  moire_dim m = p->batch == 'm' ? rows : p->m, k = p->batch == 'k' ? rows : p->k;
  moire_value a = operand(g, "a", m, k, p->transpose_a), b = operand(g, "b", k, p->n, p->transpose_b);
  moire_output(g, "c", moire_matmul(a, b));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"c"};
  options.n_outputs = 1;
  s->program = moire_compile(g, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(g);
  s->store = moire_store_create();
  const moire_plan *plan = moire_program_plan(s->program);
  bench_require(moire_store_declare(s->store, plan, 1, &error), &error);
  s->runner = moire_runner_create(plan, s->store, s->threads, &error);
  bench_require(error.status, &error);
  if (p->batch)
    bench_require(moire_runner_set_extent(s->runner, "B", p->batch == 'm' ? p->m : p->k, &error), &error);
  bench_require(moire_runner_set_input(s->runner, "a", s->a, p->m * p->k, &error), &error);
  bench_require(moire_runner_set_input(s->runner, "b", s->b, p->k * p->n, &error), &error);
}

static void run_ours(const sides *s) {
  moire_error error = {0};
  bench_require(moire_runner_run(s->runner, &error), &error);
}

static void run_blas(const sides *s) {
  const product *p = s->p;
  CBLAS_TRANSPOSE a = p->transpose_a ? CblasTrans : CblasNoTrans,
                  b = p->transpose_b ? CblasTrans : CblasNoTrans;
  cblas_sgemm(CblasRowMajor, a, b, (int)p->m, (int)p->n, (int)p->k, 1, s->a,
              (int)(p->transpose_a ? p->m : p->k), s->b, (int)(p->transpose_b ? p->k : p->n), 0, s->c,
              (int)p->n);
}

/* The largest difference may be that of sums in another order. */
static void agree(const sides *s) {
  const product *p = s->p;
  run_ours(s);
  run_blas(s);
  double worst = 0, largest = 0;
  const float *c = moire_runner_output(s->runner, "c", NULL);
  for (int64_t i = 0; i < p->m * p->n; i++) {
    worst = fmax(worst, fabs((double)c[i] - (double)s->c[i]));
    largest = fmax(largest, fabs((double)s->c[i]));
  }
  if (worst <= 1e-5 * largest) return;
  fprintf(stderr, "products_real: results differ by %g of %g\n", worst, largest);
  exit(1);
}

/* Seconds of CPU time for one of `times` products; infinite where the clock did not move. */
static double timed(const sides *s, void (*run)(const sides *), int times) {
  double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < times; i++) run(s);
  double took = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
  return took > 0 ? took / times : INFINITY;
}

/* The time of a product in PyTorch, of `times`. */
static double torch_time(const sides *s, int times) {
  const product *p = s->p;
  char line[200];
  snprintf(line, sizeof line, "%lld %lld %lld %d %d %d", (long long)p->m, (long long)p->k, (long long)p->n,
           p->transpose_a, p->transpose_b, times);
  return bench_peer_ask(s->torch, line);
}

/* The peers' times by ours: OpenBLAS, PyTorch (0: it is not asked). */
typedef struct ratios {
  double blas, torch;
} ratios;

static ratios measure(const product *p, bench_peer *torch) {
  moire_error error = {0};
  sides s = {.p = p,
             .torch = torch,
             .a = bench_numbers(p->m * p->k, 1),
             .b = bench_numbers(p->k * p->n, 2),
             .c = bench_numbers(p->m * p->n, 3)};
  s.threads = moire_threads_create(1, &error);
  bench_require(error.status, &error);
  compile(&s);
  agree(&s);
  double ours = INFINITY, peer = INFINITY, third = INFINITY, begun = bench_now(), once = timed(&s, run_blas, 1);
  int times = once > RUN ? 1 : once * MOST_TIMES < RUN ? MOST_TIMES : (int)(RUN / once) + 1;
  for (int i = 0; i < MOST_RUNS && (i < LEAST_RUNS || bench_now() - begun < SECONDS); i++) {
    ours = fmin(ours, timed(&s, run_ours, times));
    peer = fmin(peer, timed(&s, run_blas, times));
    if (torch) third = fmin(third, torch_time(&s, times));
  }
  double flop = 2.0 * (double)p->m * (double)p->k * (double)p->n;
  printf("  %-4s %9.1f us %6.1f GFLOP/s %5.2f", p->name, ours * 1e6, flop / ours * 1e-9, peer / ours);
  if (torch) printf(" %5.2f", third / ours);
  moire_runner_destroy(s.runner);
  moire_store_destroy(s.store);
  moire_program_destroy(s.program);
  moire_threads_destroy(s.threads);
  free(s.a);
  free(s.b);
  free(s.c);
  return (ratios){peer / ours, torch ? third / ours : 0};
}

typedef struct layer {
  int64_t rows, in, out;
  bool named; /* the rows are a named extent, as batches are */
} layer;

static const layer layers[] = {
    {12800, 64, 64, true},     {12800, 64, 256, true}, {12800, 256, 64, true},    {128, 128, 128, false},
    {256, 256, 256, false},    {512, 512, 512, false}, {1024, 1024, 1024, false}, {4096, 1024, 1024, true},
    {2048, 128, 32000, true},  {256, 64, 12102, true}, {1, 1000, 1000, false},    {1, 4096, 4096, false},
    {7, 127, 1000, false},     {63, 65, 127, false},   {65, 63, 1000, false},     {127, 127, 127, false},
    {1000, 1000, 1000, false}, {1000, 7, 65, false},   {1000, 1000, 1, false},    {1000, 1, 1000, false},
    {50000, 3, 64, false},     {50000, 64, 3, false},  {3, 50000, 64, false},     {3, 64, 50000, false},
    {64, 2, 4096, false},      {4096, 8, 8, false},    {4096, 65, 63, true},      {333, 777, 555, true},
    {16, 512, 512, false},     {200, 1000, 7, true},
};

/* Starts PyTorch where there is one. */
static bool start_torch(bench_peer *peer) {
  const char *python = getenv("MOIRE_PYTHON");
  if (python &&
      bench_peer_start(peer, (const char *const[]){python, "tools/bench/products_real_torch.py", NULL}))
    return true;
  printf("MOIRE_PYTHON names no Python with PyTorch, so it is left out\n");
  return false;
}

/* Sum and least of ratios. */
typedef struct summary {
  double sum, least;
} summary;

static void add(summary *to, double ratio) {
  to->sum += ratio;
  to->least = fmin(to->least, ratio);
}

int main(int argc, char **argv) {
  openblas_set_num_threads(1); /* waiting threads of another OpenBLAS spin, on the time of ours */
  layer one = {0};
  if (argc >= 4)
    one = (layer){strtoll(argv[1], NULL, 10), strtoll(argv[2], NULL, 10), strtoll(argv[3], NULL, 10), argc > 4};
  int n = argc >= 4 ? 1 : (int)(sizeof layers / sizeof *layers), products = 0;
  summary blas = {0, INFINITY}, torch = {0, INFINITY};
  bench_peer peer;
  bool asks = start_torch(&peer);
  printf(
      "y = x W^T, dX = dY W, dW = dY^T x in float32 on one thread, the least of many runs in turns; times of\n"
      "OpenBLAS (%s)%s by ours\n",
      openblas_get_corename(), asks ? " and PyTorch" : "");
  for (int i = 0; i < n; i++) {
    const layer *l = argc >= 4 ? &one : &layers[i];
    const product three[] = {
        {"y", l->rows, l->in, l->out, false, true, l->named ? 'm' : 0},
        {"dX", l->rows, l->out, l->in, false, false, l->named ? 'm' : 0},
        {"dW", l->out, l->rows, l->in, true, false, l->named ? 'k' : 0},
    };
    printf("%6lld x %5lld -> %5lld%s", (long long)l->rows, (long long)l->in, (long long)l->out,
           l->named ? "*" : " ");
    for (int j = 0; j < 3; j++) {
      ratios r = measure(&three[j], asks ? &peer : NULL);
      add(&blas, r.blas);
      add(&torch, r.torch);
      products++;
      fflush(stdout);
    }
    printf("\n");
  }
  printf("mean %.2f, least %.2f of %d products\n", blas.sum / products, blas.least, products);
  if (asks) printf("beside PyTorch: mean %.2f, least %.2f\n", torch.sum / products, torch.least);
  if (asks) bench_peer_stop(&peer);
  return 0;
}
