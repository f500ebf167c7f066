/* How fast compiled kernels are: a register-tiled real product in GFLOP/s, and each function and the random
 * words in nanoseconds an element, from and to a buffer in the first-level cache. The best of many runs counts.
 *
 *   bench/codegen [TARGET]
 */
#include "compiler/codegen/codegen.h"
#include "tools/bench/support/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 8, DEPTH = 256, COLUMNS = 64, TILE = 32, ELEMENTS = 2048, RUNS = 300 };

static const moire__target *target;
static moire__arena arena;

/* Seconds of the fastest run of one iteration of a kernel. */
static double best_time(moire__loop_kernel *k) {
  moire_error error = {0};
  moire__jit *jit = moire__jit_create(&error);
  const moire__loop_kernel *kernels[] = {k};
  moire_kernel_function run = NULL;
  if (!jit || moire__jit_compile(jit, kernels, 1, target, NULL, 1, &run, &error)) bench_stop(&error);
  void *buffers[8];
  for (int i = 0; i < k->n_parameters; i++) {
    int64_t n = moire__dim_factor(k->buffers[i + 1].elements);
    float *x = buffers[i] = moire__allocate_aligned((size_t)n * sizeof *x, 64);
    for (int64_t j = 0; j < n; j++) x[j] = 0.5f + (float)(j % 97) / 97;
  }
  double best = 1e9;
  for (int i = 0; i < RUNS; i++) {
    double start = bench_now();
    for (int j = 0; j < 16; j++) run(buffers, (const int64_t[]){0}, 0, 1);
    double taken = (bench_now() - start) / 16;
    best = taken < best ? taken : best;
  }
  for (int i = 0; i < k->n_parameters; i++) moire__release_aligned(buffers[i]);
  moire__jit_destroy(jit);
  return best;
}

/* c[8, 64] = a[8, 256] b[256, 64]: 8 rows by 32 columns of accumulators. */
static moire__loop_kernel *product(void) {
  moire__loop_kernel *k = moire__loop_kernel_create(&arena, "product", NULL);
  moire__loop_buffer a = moire__loop_add_parameter(k, "a", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, ROWS * DEPTH);
  moire__loop_buffer b = moire__loop_add_parameter(k, "b", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, DEPTH * COLUMNS);
  moire__loop_buffer c = moire__loop_add_parameter(k, "c", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, ROWS * COLUMNS);
  moire__loop_builder at = moire__loop_begin(k, 1, 1), *l = &at;
  moire__loop_value zero = moire__loop_index(l, 0), width = moire__loop_index(l, COLUMNS);
  moire__loop_value first = moire__loop_for(l, zero, width, TILE, 1);
  moire__loop_value last = moire__loop_binary(l, MOIRE__LOOP_add, first, moire__loop_index(l, TILE));
  moire__loop_value j = moire__loop_for(l, first, last, 1, TILE);
  moire__loop_var sums[ROWS];
  for (int r = 0; r < ROWS; r++) sums[r] = moire__loop_declare(l, moire__loop_const(l, MOIRE__LOOP_F32, 0));
  moire__loop_value d = moire__loop_for(l, zero, moire__loop_index(l, DEPTH), 1, 1);
  moire__loop_value row = moire__loop_binary(l, MOIRE__LOOP_mul, d, width);
  moire__loop_value y = moire__loop_load(l, b, moire__loop_binary(l, MOIRE__LOOP_add, row, j));
  for (int r = 0; r < ROWS; r++) {
    moire__loop_value place = moire__loop_binary(l, MOIRE__LOOP_add, d, moire__loop_index(l, r * DEPTH));
    moire__loop_value x = moire__loop_load(l, a, place), sum = moire__loop_get(l, sums[r]);
    moire__loop_set(l, sums[r], moire__loop_ternary(l, MOIRE__LOOP_fma, x, y, sum));
  }
  moire__loop_end(l);
  for (int r = 0; r < ROWS; r++) {
    moire__loop_value place = moire__loop_binary(l, MOIRE__LOOP_add, j, moire__loop_index(l, r * COLUMNS));
    moire__loop_store(l, c, place, moire__loop_get(l, sums[r]));
  }
  moire__loop_end(l);
  moire__loop_end(l);
  return k;
}

/* y = op(x), or op(x, x); random, random16: x where the element's number is positive. */
static moire__loop_kernel *element_wise(moire__loop_op op, int lanes) {
  moire__loop_kernel *k = moire__loop_kernel_create(&arena, moire__loop_op_name(op), NULL);
  moire__loop_buffer x = moire__loop_add_parameter(k, "x", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, ELEMENTS);
  moire__loop_buffer y = moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, ELEMENTS);
  moire__loop_builder at = moire__loop_begin(k, 1, 1), *l = &at;
  moire__loop_value i = moire__loop_for(l, moire__loop_index(l, 0), moire__loop_index(l, ELEMENTS), 1, lanes);
  moire__loop_value a = moire__loop_load(l, x, i), result = 0;
  if (op == MOIRE__LOOP_random || op == MOIRE__LOOP_random16) {
    moire__loop_value word = moire__loop_const(l, MOIRE__LOOP_I32, 77);
    moire__loop_value operands[] = {word, word, word, word, i};
    moire__loop_value kept = moire__loop_binary(l, MOIRE__LOOP_lt, moire__loop_const(l, MOIRE__LOOP_I32, 0),
                                                moire__loop_emit(l, op, operands, 5));
    result = moire__loop_ternary(l, MOIRE__LOOP_select, kept, a, moire__loop_const(l, MOIRE__LOOP_F32, 0));
  } else {
    result = moire__loop_op_arity(op) == 2 ? moire__loop_binary(l, op, a, a) : moire__loop_unary(l, op, a);
  }
  moire__loop_store(l, y, i, result);
  moire__loop_end(l);
  return k;
}

int main(int argc, char **argv) {
  static const moire__loop_op ops[] = {MOIRE__LOOP_add, MOIRE__LOOP_exp,    MOIRE__LOOP_exp2,
                                       MOIRE__LOOP_log, MOIRE__LOOP_tanh,   MOIRE__LOOP_erf,
                                       MOIRE__LOOP_sin, MOIRE__LOOP_cos,    MOIRE__LOOP_atan2,
                                       MOIRE__LOOP_pow, MOIRE__LOOP_random, MOIRE__LOOP_random16};
  moire_error error = {0};
  moire__target chosen;
  if (moire__target_named(argc > 1 ? argv[1] : "host", &chosen, &error)) bench_stop(&error);
  target = &chosen;
  double seconds = best_time(product());
  printf("target %s\nproduct %d x %d x %d: %.1f GFLOP/s\n", target->name, ROWS, DEPTH, COLUMNS,
         2e-9 * ROWS * DEPTH * COLUMNS / seconds);
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    printf("%-8s", moire__loop_op_name(ops[i]));
    for (int lanes = 8; lanes <= 64; lanes *= 2)
      printf("  %6.3f ns with %d lanes", best_time(element_wise(ops[i], lanes)) / ELEMENTS * 1e9, lanes);
    printf("\n");
  }
  moire__arena_free(&arena);
  return 0;
}
