/* A matrix product, real or complex, as benchmarks time it: compiled by us, and by OpenBLAS. */
#ifndef MOIRE_TOOLS_BENCH_SUPPORT_PRODUCT_H
#define MOIRE_TOOLS_BENCH_SUPPORT_PRODUCT_H

#include "moire/compile.h"
#include "moire/run.h"

/* c[m, n] = op(a) op(b), operands stored as they lie in a layer; complex ones as two planes. */
typedef struct bench_product {
  const char *name;
  int64_t m, k, n;
  bool transpose_a, transpose_b;
  char batch; /* the extent that is a named one: 'm', 'k' or 0 */
  int planes; /* 1: real, 2: complex */
} bench_product;

/* The three of a linear layer, y = x W^T, dX = dY W, dW = dY^T x; `named`: its rows are a named extent. */
void bench_products_of_layer(int64_t rows, int64_t in, int64_t out, bool named, int planes,
                             bench_product products[3]);

/* Operands, which are random, and the peer's result. */
typedef struct bench_operands {
  float *a[2], *b[2], *c[2];
} bench_operands;
bench_operands bench_operands_of(const bench_product *p);
void bench_operands_free(bench_operands *x);

typedef struct bench_compiled {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
} bench_compiled;

/* Ours, ready to run; ends the program on an error. */
bench_compiled bench_product_compile(const bench_product *p, const bench_operands *x, moire_precision precision,
                                     moire_threads *threads);
void bench_compiled_free(bench_compiled *k);
void bench_product_run(const bench_compiled *k);

/* OpenBLAS's, by one sgemm or four. */
void bench_product_blas(const bench_product *p, const bench_operands *x);

/* Runs both and ends the program if they differ by more than `limit` of the largest number. */
void bench_product_agree(const bench_product *p, const bench_operands *x, const bench_compiled *k,
                         double limit);

#endif
