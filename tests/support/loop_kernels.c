/* Kernels built by hand (loop_kernels.h). */
#include "tests/support/loop_kernels.h"

test_kernel_maker *const test_kernels[5] = {test_kernel_affine, test_kernel_softmax, test_kernel_matmul,
                                            test_kernel_gather, test_kernel_dropout};

static moire__loop_value add(moire__loop_builder *b, moire__loop_value x, moire__loop_value y) {
  return moire__loop_binary(b, MOIRE__LOOP_add, x, y);
}
static moire__loop_value mul(moire__loop_builder *b, moire__loop_value x, moire__loop_value y) {
  return moire__loop_binary(b, MOIRE__LOOP_mul, x, y);
}
static moire__loop_value number(moire__loop_builder *b, double x) {
  return moire__loop_const(b, MOIRE__LOOP_F32, x);
}

/* An empty kernel with the named extent B, which is number 1. */
static moire__loop_kernel *batched(moire__arena *arena, const char *name) {
  moire_graph *g = moire__arena_alloc(arena, sizeof *g);
  g->extents[1] = "B";
  g->n_extents = 1;
  return moire__loop_kernel_create(arena, name, g);
}

moire__loop_kernel *test_kernel_affine(moire__arena *arena) {
  const moire_dim n = moire__dim_make(50, 1);
  moire__loop_kernel *k = batched(arena, "affine");
  moire__loop_buffer x = moire__loop_add_parameter(k, "x", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, n);
  moire__loop_buffer y = moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, n);
  moire__loop_builder b = moire__loop_begin(k, n, 64);
  moire__loop_value low = mul(&b, k->parallel, moire__loop_index(&b, 64));
  moire__loop_value end = add(&b, low, moire__loop_index(&b, 64));
  moire__loop_value high = moire__loop_binary(&b, MOIRE__LOOP_min, end, moire__loop_extent(&b, n));
  moire__loop_value i = moire__loop_for(&b, low, high, 1, 16);
  moire__loop_value element = moire__loop_load(&b, x, i);
  moire__loop_store(&b, y, i, moire__loop_ternary(&b, MOIRE__LOOP_fma, element, number(&b, 2), number(&b, 1)));
  moire__loop_end(&b);
  return k;
}

moire__loop_kernel *test_kernel_softmax(moire__arena *arena) {
  const moire_dim n = moire__dim_make(TEST_SOFTMAX_ROW, 1);
  moire__loop_kernel *k = batched(arena, "layers.0.softmax");
  moire__loop_buffer x = moire__loop_add_parameter(k, "x", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, n);
  moire__loop_buffer y = moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, n);
  moire__loop_buffer row = moire__loop_add_local(k, "row", MOIRE__LOOP_F32, TEST_SOFTMAX_ROW);
  static const moire_source sources[] = {{"models/qia.c", 41}, {"models/\"odd\" name.c", 7}};
  k->sources = sources;
  k->n_sources = 2;
  moire__loop_builder b = moire__loop_begin(k, moire__dim_make(1, 1), 1);
  moire__loop_value zero = moire__loop_index(&b, 0), width = moire__loop_index(&b, TEST_SOFTMAX_ROW);
  moire__loop_value start = mul(&b, k->parallel, width);

  moire__loop_var largest = moire__loop_declare(&b, number(&b, -__builtin_inf()));
  moire__loop_value i = moire__loop_for(&b, zero, width, 1, 16);
  moire__loop_reduce(&b, largest, MOIRE__LOOP_max, moire__loop_load(&b, x, add(&b, start, i)));
  moire__loop_end(&b);

  moire__loop_value shift = moire__loop_get(&b, largest);
  moire__loop_var sum = moire__loop_declare(&b, number(&b, 0));
  i = moire__loop_for(&b, zero, width, 1, 16);
  moire__loop_value centred =
      moire__loop_binary(&b, MOIRE__LOOP_sub, moire__loop_load(&b, x, add(&b, start, i)), shift);
  moire__loop_value power = moire__loop_unary(&b, MOIRE__LOOP_exp, centred);
  moire__loop_store(&b, row, i, power);
  moire__loop_reduce(&b, sum, MOIRE__LOOP_add, power);
  moire__loop_end(&b);

  moire__loop_value inverse = moire__loop_binary(&b, MOIRE__LOOP_div, number(&b, 1), moire__loop_get(&b, sum));
  i = moire__loop_for(&b, zero, width, 1, 16);
  moire__loop_value at = add(&b, start, i);
  moire__loop_store(&b, y, at, mul(&b, moire__loop_load(&b, row, i), inverse));
  moire__loop_end(&b);
  return k;
}

moire__loop_kernel *test_kernel_matmul(moire__arena *arena) {
  enum { TILE = 4, M = TEST_MATMUL_ROWS, K = TEST_MATMUL_DEPTH, N = TEST_MATMUL_COLUMNS };
  moire__loop_kernel *k = moire__loop_kernel_create(arena, "matmul", NULL);
  moire__loop_buffer a = moire__loop_add_parameter(k, "a", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, M * K);
  moire__loop_buffer w = moire__loop_add_parameter(k, "b", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, K * N);
  moire__loop_buffer c = moire__loop_add_parameter(k, "c", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, M * N);
  moire__loop_builder b = moire__loop_begin(k, M, TILE);
  moire__loop_value first = mul(&b, k->parallel, moire__loop_index(&b, TILE)), rows[TILE];
  moire__loop_var sums[TILE];
  for (int r = 0; r < TILE; r++) rows[r] = add(&b, first, moire__loop_index(&b, r));
  moire__loop_value j = moire__loop_for(&b, moire__loop_index(&b, 0), moire__loop_index(&b, N), 1, 16);
  for (int r = 0; r < TILE; r++) sums[r] = moire__loop_declare(&b, number(&b, 0));
  moire__loop_value d = moire__loop_for(&b, moire__loop_index(&b, 0), moire__loop_index(&b, K), 1, 1);
  moire__loop_value right = moire__loop_load(&b, w, add(&b, mul(&b, d, moire__loop_index(&b, N)), j));
  for (int r = 0; r < TILE; r++) {
    moire__loop_value at = add(&b, mul(&b, rows[r], moire__loop_index(&b, K)), d);
    moire__loop_value sum = moire__loop_get(&b, sums[r]);
    moire__loop_set(&b, sums[r],
                    moire__loop_ternary(&b, MOIRE__LOOP_fma, moire__loop_load(&b, a, at), right, sum));
  }
  moire__loop_end(&b);
  for (int r = 0; r < TILE; r++) {
    moire__loop_value at = add(&b, mul(&b, rows[r], moire__loop_index(&b, N)), j);
    moire__loop_store(&b, c, at, moire__loop_get(&b, sums[r]));
  }
  moire__loop_end(&b);
  return k;
}

moire__loop_kernel *test_kernel_gather(moire__arena *arena) {
  enum { WIDTH = TEST_GATHER_WIDTH };
  moire__loop_kernel *k = batched(arena, "gather");
  moire__loop_buffer table =
      moire__loop_add_parameter(k, "table", MOIRE__BUFFER_IN, MOIRE__LOOP_BF16, TEST_GATHER_ROWS * WIDTH);
  moire__loop_buffer rows =
      moire__loop_add_parameter(k, "rows", MOIRE__BUFFER_IN, MOIRE__LOOP_I32, moire__dim_make(1, 1));
  moire__loop_buffer y =
      moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, moire__dim_make(WIDTH, 1));
  moire__loop_builder b = moire__loop_begin(k, moire__dim_make(1, 1), 1);
  moire__loop_value width = moire__loop_index(&b, WIDTH);
  moire__loop_value from = mul(&b, k->parallel, width);
  moire__loop_value row = moire__loop_cast(&b, moire__loop_load(&b, rows, k->parallel), MOIRE__LOOP_I64);
  moire__loop_value padding = moire__loop_binary(&b, MOIRE__LOOP_eq, row, moire__loop_index(&b, 0));
  moire__loop_value real = moire__loop_unary(&b, MOIRE__LOOP_not, padding);
  moire__loop_if(&b, padding);
  moire__loop_value i = moire__loop_for(&b, moire__loop_index(&b, 0), width, 1, 1);
  moire__loop_store(&b, y, add(&b, from, i), number(&b, 0));
  moire__loop_end(&b);
  moire__loop_end(&b);
  moire__loop_if(&b, real);
  i = moire__loop_for(&b, moire__loop_index(&b, 0), width, 1, 8);
  moire__loop_value element = moire__loop_load(&b, table, add(&b, mul(&b, row, width), i));
  moire__loop_store(&b, y, add(&b, from, i), element);
  moire__loop_end(&b);
  moire__loop_end(&b);
  return k;
}

moire__loop_kernel *test_kernel_dropout(moire__arena *arena) {
  enum { N = 200 };
  moire__loop_kernel *k = moire__loop_kernel_create(arena, "dropout", NULL);
  moire__loop_buffer x = moire__loop_add_parameter(k, "x", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, N);
  moire__loop_buffer rng = moire__loop_add_parameter(k, "rng", MOIRE__BUFFER_IN, MOIRE__LOOP_I32, 3);
  moire__loop_buffer y = moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, N);
  moire__loop_buffer kept = moire__loop_add_parameter(k, "kept", MOIRE__BUFFER_OUT, MOIRE__LOOP_BOOL, N);
  moire__loop_builder b = moire__loop_begin(k, 1, 1);
  moire__loop_value operands[5];
  for (int i = 0; i < 3; i++) operands[i] = moire__loop_load(&b, rng, moire__loop_index(&b, i));
  operands[3] = moire__loop_const(&b, MOIRE__LOOP_I32, 7);
  operands[4] = moire__loop_for(&b, moire__loop_index(&b, 0), moire__loop_index(&b, N), 1, 16);
  moire__loop_value word = moire__loop_emit(&b, MOIRE__LOOP_random16, operands, 5);
  moire__loop_value half = moire__loop_const(&b, MOIRE__LOOP_I32, 1 << 15);
  moire__loop_value keep = moire__loop_binary(&b, MOIRE__LOOP_le, half, word);
  moire__loop_value scaled = mul(&b, moire__loop_load(&b, x, operands[4]), number(&b, 2));
  moire__loop_store(&b, y, operands[4],
                    moire__loop_ternary(&b, MOIRE__LOOP_select, keep, scaled, number(&b, 0)));
  moire__loop_store(&b, kept, operands[4], keep);
  moire__loop_end(&b);
  return k;
}
