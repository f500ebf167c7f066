/* See product.h. */
#include "tools/bench/support/product.h"

#include "tools/bench/support/bench.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void bench_products_of_layer(int64_t rows, int64_t in, int64_t out, bool named, int planes,
                             bench_product products[3]) {
  products[0] = (bench_product){"y", rows, in, out, false, true, named ? 'm' : 0, planes};
  products[1] = (bench_product){"dX", rows, out, in, false, false, named ? 'm' : 0, planes};
  products[2] = (bench_product){"dW", out, rows, in, true, false, named ? 'k' : 0, planes};
}

bench_operands bench_operands_of(const bench_product *p) {
  bench_operands x = {0};
  for (int i = 0; i < p->planes; i++) {
    uint32_t seed = 10 * (uint32_t)i;
    x.a[i] = bench_numbers(p->m * p->k, seed + 1);
    x.b[i] = bench_numbers(p->k * p->n, seed + 2);
    x.c[i] = bench_numbers(p->m * p->n, seed + 3);
  }
  return x;
}

void bench_operands_free(bench_operands *x) {
  for (int i = 0; i < 2; i++) {
    free(x->a[i]);
    free(x->b[i]);
    free(x->c[i]);
  }
}

/* ---- ours -------------------------------------------------------------------------------------------------
 */

/* What planes of operands and of the result are called. */
static const char *const names_of_a[] = {"a", "a.im"}, *const names_of_b[] = {"b", "b.im"},
                         *const names_of_c[] = {"c", "c.im"};

static moire_value operand(moire_graph *g, const char *const *names, int planes, moire_dim rows,
                           moire_dim columns, bool transpose) {
  moire_value plane[2];
  for (int i = 0; i < planes; i++)
    plane[i] = moire_input(g, names[i], MOIRE_F32,
                           transpose ? MOIRE_SHAPE(columns, rows) : MOIRE_SHAPE(rows, columns));
  moire_value x = planes == 2 ? moire_complex(plane[0], plane[1]) : plane[0];
  return transpose ? moire_permute(x, 2, (const int[]){1, 0}) : x;
}

static moire_graph *graph_of(const bench_product *p) {
  moire_graph *g = moire_graph_create("products", MOIRE_INFERENCE);
  moire_dim rows = p->batch ? moire_extent(g, "B") : 0;
  moire_dim m = p->batch == 'm' ? rows : p->m, k = p->batch == 'k' ? rows : p->k;
  moire_value a = operand(g, names_of_a, p->planes, m, k, p->transpose_a),
              b = operand(g, names_of_b, p->planes, k, p->n, p->transpose_b), c = moire_matmul(a, b);
  moire_output(g, names_of_c[0], p->planes == 2 ? moire_real(c) : c);
  if (p->planes == 2) moire_output(g, names_of_c[1], moire_imag(c));
  return g;
}

bench_compiled bench_product_compile(const bench_product *p, const bench_operands *x, moire_precision precision,
                                     moire_threads *threads) {
  moire_error error = {0};
  bench_compiled made = {0};
  moire_graph *g = graph_of(p);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = names_of_c;
  options.n_outputs = p->planes;
  options.precision = precision;
  made.program = moire_compile(g, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(g);
  made.store = moire_store_create();
  const moire_plan *plan = moire_program_plan(made.program);
  bench_require(moire_store_declare(made.store, plan, 1, &error), &error);
  made.runner = moire_runner_create(plan, made.store, threads, &error);
  bench_require(error.status, &error);
  if (p->batch)
    bench_require(moire_runner_set_extent(made.runner, "B", p->batch == 'm' ? p->m : p->k, &error), &error);
  for (int i = 0; i < p->planes; i++) {
    bench_require(moire_runner_set_input(made.runner, names_of_a[i], x->a[i], p->m * p->k, &error), &error);
    bench_require(moire_runner_set_input(made.runner, names_of_b[i], x->b[i], p->k * p->n, &error), &error);
  }
  return made;
}

void bench_compiled_free(bench_compiled *k) {
  moire_runner_destroy(k->runner);
  moire_store_destroy(k->store);
  moire_program_destroy(k->program);
}

void bench_product_run(const bench_compiled *k) {
  moire_error error = {0};
  bench_require(moire_runner_run(k->runner, &error), &error);
}

/* ---- the peer's -------------------------------------------------------------------------------------------
 */

static void gemm(const bench_product *p, float alpha, const float *a, const float *b, float beta, float *c) {
  cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
              p->transpose_b ? CblasTrans : CblasNoTrans, (int)p->m, (int)p->n, (int)p->k, alpha, a,
              (int)(p->transpose_a ? p->m : p->k), b, (int)(p->transpose_b ? p->k : p->n), beta, c, (int)p->n);
}

void bench_product_blas(const bench_product *p, const bench_operands *x) {
  gemm(p, 1, x->a[0], x->b[0], 0, x->c[0]);
  if (p->planes == 1) return;
  gemm(p, -1, x->a[1], x->b[1], 1, x->c[0]);
  gemm(p, 1, x->a[0], x->b[1], 0, x->c[1]);
  gemm(p, 1, x->a[1], x->b[0], 1, x->c[1]);
}

void bench_product_agree(const bench_product *p, const bench_operands *x, const bench_compiled *k,
                         double limit) {
  bench_product_run(k);
  bench_product_blas(p, x);
  double worst = 0, largest = 0;
  for (int i = 0; i < p->planes; i++) {
    const float *c = moire_runner_output(k->runner, names_of_c[i], NULL);
    for (int64_t j = 0; j < p->m * p->n; j++) {
      worst = fmax(worst, fabs((double)c[j] - (double)x->c[i][j]));
      largest = fmax(largest, fabs((double)x->c[i][j]));
    }
  }
  if (worst <= limit * largest) return;
  fprintf(stderr, "%s of %lld x %lld, %lld: results differ by %g of %g\n", p->name, (long long)p->m,
          (long long)p->k, (long long)p->n, worst, largest);
  exit(1);
}
