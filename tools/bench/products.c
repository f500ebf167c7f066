/* Complex linear layers against OpenBLAS: y = x W^T by our compiled kernels, in float32 and with operands in
 * bf16, beside four real products of sgemm.
 *
 * All in one run, in turns, on one thread and on the same data; results are compared before anything is timed.
 * The time of a shape is the least CPU time of its runs, with the median beside it; ratios are those of the
 * least.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 41 };

typedef struct kernel {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
} kernel;

typedef struct bench {
  int64_t m, k, n;
  float *x[2], *w[2], *y[2];
  moire_threads *threads;
  kernel f32, bf16;
} bench;

static kernel compile(const bench *b, moire_precision precision) {
  moire_error error = {0};
  kernel made = {0};
  moire_graph *g = moire_graph_create("products", MOIRE_INFERENCE);
  moire_dim rows = moire_extent(g, "B");
  moire_value x = moire_complex(moire_input(g, "x.re", MOIRE_F32, MOIRE_SHAPE(rows, b->k)),
                                moire_input(g, "x.im", MOIRE_F32, MOIRE_SHAPE(rows, b->k)));
  moire_value w = moire_complex(moire_parameter(g, "w.re", MOIRE_SHAPE(b->n, b->k), moire_init_constant(0)),
                                moire_parameter(g, "w.im", MOIRE_SHAPE(b->n, b->k), moire_init_constant(0)));
  moire_value y = moire_linear(x, w, (moire_value){0});
  moire_output(g, "y.re", moire_real(y));
  moire_output(g, "y.im", moire_imag(y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y.re", "y.im"};
  options.n_outputs = 2;
  options.precision = precision;
  made.program = moire_compile(g, &options, &error);
  bench_require(error.status, &error);
  made.store = moire_store_create();
  const moire_plan *plan = moire_program_plan(made.program);
  bench_require(moire_store_declare(made.store, plan, 1, &error), &error);
  memcpy(moire_store_data(made.store, "w.re", NULL), b->w[0], (size_t)(b->n * b->k) * sizeof(float));
  memcpy(moire_store_data(made.store, "w.im", NULL), b->w[1], (size_t)(b->n * b->k) * sizeof(float));
  made.runner = moire_runner_create(plan, made.store, b->threads, &error);
  bench_require(error.status, &error);
  bench_require(moire_runner_set_extent(made.runner, "B", b->m, &error), &error);
  bench_require(moire_runner_set_input(made.runner, "x.re", b->x[0], b->m * b->k, &error), &error);
  bench_require(moire_runner_set_input(made.runner, "x.im", b->x[1], b->m * b->k, &error), &error);
  moire_graph_destroy(g);
  return made;
}

static void run_ours(const kernel *k) {
  moire_error error = {0};
  bench_require(moire_runner_run(k->runner, &error), &error);
}

static void gemm(const bench *b, float alpha, const float *x, const float *w, float beta, float *y) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)b->m, (int)b->n, (int)b->k, alpha, x, (int)b->k, w,
              (int)b->k, beta, y, (int)b->n);
}

static void run_blas(const bench *b) {
  gemm(b, 1, b->x[0], b->w[0], 0, b->y[0]);
  gemm(b, -1, b->x[1], b->w[1], 1, b->y[0]);
  gemm(b, 1, b->x[0], b->w[1], 0, b->y[1]);
  gemm(b, 1, b->x[1], b->w[0], 1, b->y[1]);
}

/* Largest difference relative to the largest element of the peer's result. */
static double difference(const bench *b, const kernel *k) {
  double worst = 0, largest = 0;
  static const char *const names[] = {"y.re", "y.im"};
  for (int p = 0; p < 2; p++) {
    const float *y = moire_runner_output(k->runner, names[p], NULL);
    for (int64_t i = 0; i < b->m * b->n; i++) {
      worst = fmax(worst, fabs((double)y[i] - (double)b->y[p][i]));
      largest = fmax(largest, fabs((double)b->y[p][i]));
    }
  }
  return worst / largest;
}

static void agree(const bench *b, const kernel *k, double limit) {
  run_ours(k);
  double error = difference(b, k);
  if (error <= limit) return;
  fprintf(stderr, "products: results differ by %g\n", error);
  exit(1);
}

static void print_side(const char *name, double *times, double flop) {
  bench_spread s = bench_spread_of(times, RUNS);
  printf("  %s %8.3f ms [%.3f]", name, times[0] * 1e3, s.median * 1e3);
  if (flop > 0) printf(" %6.1f GFLOP/s", flop / times[0] * 1e-9);
}

static void measure(const bench *b) {
  double f32[RUNS], bf16[RUNS], blas[RUNS];
  run_blas(b);
  agree(b, &b->f32, 1e-5);
  agree(b, &b->bf16, 1e-2);
  for (int i = 0; i < RUNS; i++) {
    double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    run_ours(&b->f32);
    double first = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    run_ours(&b->bf16);
    double second = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    run_blas(b);
    f32[i] = first - start;
    bf16[i] = second - first;
    blas[i] = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - second;
  }
  double flop = 8.0 * (double)b->m * (double)b->k * (double)b->n;
  printf("%6lld x %3lld -> %3lld", (long long)b->m, (long long)b->k, (long long)b->n);
  print_side("f32", f32, flop);
  print_side("bf16", bf16, flop);
  print_side("OpenBLAS", blas, 0);
  printf("   f32 %.2fx, bf16 %.2fx of it and %.2fx of f32\n", blas[0] / f32[0], blas[0] / bf16[0],
         f32[0] / bf16[0]);
}

static void release(kernel *k) {
  moire_runner_destroy(k->runner);
  moire_store_destroy(k->store);
  moire_program_destroy(k->program);
}

static void run_shape(int64_t m, int64_t k, int64_t n) {
  bench b = {.m = m, .k = k, .n = n};
  for (uint32_t p = 0; p < 2; p++) {
    b.x[p] = bench_numbers(m * k, 1 + p);
    b.w[p] = bench_numbers(n * k, 11 + p);
    b.y[p] = bench_numbers(m * n, 21 + p);
  }
  moire_error error = {0};
  b.threads = moire_threads_create(1, &error);
  bench_require(error.status, &error);
  b.f32 = compile(&b, MOIRE_PRECISION_F32);
  b.bf16 = compile(&b, MOIRE_PRECISION_BF16);
  measure(&b);
  release(&b.f32);
  release(&b.bf16);
  moire_threads_destroy(b.threads);
  for (int p = 0; p < 2; p++) {
    free(b.x[p]);
    free(b.w[p]);
    free(b.y[p]);
  }
}

int main(void) {
  openblas_set_num_threads(1); /* waiting threads of another OpenBLAS spin, on the time of ours */
  printf("complex linear layers on one thread, least [median] of %d runs in turns; OpenBLAS: %s\n", RUNS,
         openblas_get_corename());
  static const int64_t shapes[][3] = {{12800, 64, 64}, {12800, 64, 256}, {12800, 256, 64},  {128, 128, 128},
                                      {256, 256, 256}, {512, 512, 512},  {1024, 1024, 1024}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    run_shape(shapes[i][0], shapes[i][1], shapes[i][2]);
  return 0;
}
