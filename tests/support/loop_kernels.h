/* Kernels built by hand, for tests of the loop IR and of the code generator. Each is one way of using it. */
#ifndef MOIRE_TESTS_SUPPORT_LOOP_KERNELS_H
#define MOIRE_TESTS_SUPPORT_LOOP_KERNELS_H

#include "compiler/ir/loop/loop.h"

/* in f32 x[50*B], out f32 y[50*B]: y = 2 x + 1, in pieces of 64 with a tail; the extent is B. */
moire__loop_kernel *test_kernel_affine(moire__arena *arena);

enum { TEST_SOFTMAX_ROW = 50 };
/* in f32 x[50*B], out f32 y[50*B]: softmax of each row of 50, exponentials kept in a local; the extent is B. */
moire__loop_kernel *test_kernel_softmax(moire__arena *arena);

enum { TEST_MATMUL_ROWS = 8, TEST_MATMUL_DEPTH = 5, TEST_MATMUL_COLUMNS = 36 };
/* in f32 a[8, 5], in f32 b[5, 36], out f32 c[8, 36]: tiles of 4 rows by 16 columns, the depth innermost. */
moire__loop_kernel *test_kernel_matmul(moire__arena *arena);

enum { TEST_GATHER_WIDTH = 8, TEST_GATHER_ROWS = 10 };
/* in bf16 table[10, 8], in i32 rows[B], out f32 y[B, 8]: y = table[rows], 0 for row 0; the extent is B. */
moire__loop_kernel *test_kernel_gather(moire__arena *arena);

/* in f32 x[200], in i32 rng[3], out f32 y[200], out bool kept[200]: dropout of one half, stream 7. */
moire__loop_kernel *test_kernel_dropout(moire__arena *arena);

typedef moire__loop_kernel *test_kernel_maker(moire__arena *arena);
extern test_kernel_maker *const test_kernels[5];

#endif
