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
#include "tools/bench/support/bench.h"
#include "tools/bench/support/product.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEAST_RUNS = 7, MOST_RUNS = 2000, MOST_TIMES = 1000 };
static const double SECONDS = 0.4, /* for each product */
    RUN = 1e-4;                    /* at least, of each run */

typedef struct sides {
  const bench_product *p;
  bench_operands x;
  bench_compiled ours;
  bench_peer *torch; /* NULL: there is none */
} sides;

static void run_ours(const sides *s) { bench_product_run(&s->ours); }

static void run_blas(const sides *s) { bench_product_blas(s->p, &s->x); }

/* Seconds of CPU time for one of `times` products; infinite where the clock did not move. */
static double timed(const sides *s, void (*run)(const sides *), int times) {
  double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < times; i++) run(s);
  double took = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
  return took > 0 ? took / times : INFINITY;
}

/* The time of a product in PyTorch, of `times`. */
static double torch_time(const sides *s, int times) {
  const bench_product *p = s->p;
  char line[200];
  snprintf(line, sizeof line, "%lld %lld %lld %d %d %d", (long long)p->m, (long long)p->k, (long long)p->n,
           p->transpose_a, p->transpose_b, times);
  return bench_peer_ask(s->torch, line);
}

/* The peers' times by ours: OpenBLAS, PyTorch (0: it is not asked). */
typedef struct ratios {
  double blas, torch;
} ratios;

static ratios measure(const bench_product *p, bench_peer *torch) {
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(1, &error);
  bench_require(error.status, &error);
  sides s = {.p = p, .x = bench_operands_of(p), .torch = torch};
  s.ours = bench_product_compile(p, &s.x, MOIRE_PRECISION_F32, threads);
  bench_product_agree(p, &s.x, &s.ours, 1e-5);
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
  bench_compiled_free(&s.ours);
  moire_threads_destroy(threads);
  bench_operands_free(&s.x);
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
    bench_product three[3];
    bench_products_of_layer(l->rows, l->in, l->out, l->named, 1, three);
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
