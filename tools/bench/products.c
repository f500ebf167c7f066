/* Complex linear layers and both of their gradients against OpenBLAS: y = x W^T, dX = dY W and dW = dY^T x by
 * our compiled kernels, in float32 and with operands in bf16, beside four real products of sgemm.
 *
 * All in one run, in turns, on one thread and on the same data; results are compared before anything is timed.
 * The time of a product is the least CPU time of its runs, with the median beside it; ratios are those of the
 * least.
 *
 *   products [ROWS IN OUT]     only this shape
 */
#include "tools/bench/support/bench.h"
#include "tools/bench/support/product.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEAST_RUNS = 15, MOST_RUNS = 400 };
static const double SECONDS = 2; /* for each product */

static void print_side(const char *name, double *times, int runs, double flop) {
  bench_spread s = bench_spread_of(times, runs);
  printf("  %s %8.3f ms [%.3f]", name, times[0] * 1e3, s.median * 1e3);
  if (flop > 0) printf(" %6.1f GFLOP/s", flop / times[0] * 1e-9);
}

static void measure(const bench_product *p, moire_threads *threads) {
  bench_operands x = bench_operands_of(p);
  bench_compiled f32 = bench_product_compile(p, &x, MOIRE_PRECISION_F32, threads),
                 bf16 = bench_product_compile(p, &x, MOIRE_PRECISION_BF16, threads);
  bench_product_agree(p, &x, &f32, 1e-5);
  bench_product_agree(p, &x, &bf16, 1e-2);
  double times[3][MOST_RUNS], begun = bench_now();
  int runs = 0;
  while (runs < MOST_RUNS && (runs < LEAST_RUNS || bench_now() - begun < SECONDS)) {
    double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    bench_product_run(&f32);
    double first = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    bench_product_run(&bf16);
    double second = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    bench_product_blas(p, &x);
    times[0][runs] = first - start;
    times[1][runs] = second - first;
    times[2][runs++] = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - second;
  }
  double flop = 8.0 * (double)p->m * (double)p->k * (double)p->n;
  printf("    %-3s", p->name);
  print_side("f32", times[0], runs, flop);
  print_side("bf16", times[1], runs, flop);
  print_side("OpenBLAS", times[2], runs, 0);
  printf("   f32 %.2fx, bf16 %.2fx of it and %.2fx of f32\n", times[2][0] / times[0][0],
         times[2][0] / times[1][0], times[0][0] / times[1][0]);
  fflush(stdout);
  bench_compiled_free(&f32);
  bench_compiled_free(&bf16);
  bench_operands_free(&x);
}

static void run_layer(int64_t rows, int64_t in, int64_t out) {
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(1, &error);
  bench_require(error.status, &error);
  bench_product three[3];
  bench_products_of_layer(rows, in, out, true, 2, three);
  printf("%lld x %lld -> %lld\n", (long long)rows, (long long)in, (long long)out);
  for (int i = 0; i < 3; i++) measure(&three[i], threads);
  moire_threads_destroy(threads);
}

int main(int argc, char **argv) {
  openblas_set_num_threads(1); /* waiting threads of another OpenBLAS spin, on the time of ours */
  printf("complex linear layers on one thread, least [median] of runs in turns; OpenBLAS: %s\n",
         openblas_get_corename());
  static const int64_t layers[][3] = {{12800, 64, 64}, {12800, 64, 256}, {12800, 256, 64},  {128, 128, 128},
                                      {256, 256, 256}, {512, 512, 512},  {1024, 1024, 1024}};
  if (argc >= 4) {
    run_layer(strtoll(argv[1], NULL, 10), strtoll(argv[2], NULL, 10), strtoll(argv[3], NULL, 10));
    return 0;
  }
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    run_layer(layers[i][0], layers[i][1], layers[i][2]);
  return 0;
}
