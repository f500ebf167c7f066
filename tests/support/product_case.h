/* Graphs of one matrix product, for the tests of the ways to compute it. */
#ifndef MOIRE_TESTS_SUPPORT_PRODUCT_CASE_H
#define MOIRE_TESTS_SUPPORT_PRODUCT_CASE_H

#include "tests/support/judge.h"

/* Extents; 0 stands for the named one, "B". A `lead` of 1 is no axis. */
typedef struct test_product {
  int64_t lead, m, k, n;
} test_product;

/* The input `name`, and "name.im" as planes[1] where the operand is complex: [lead, rows, columns], the last
 * two exchanged if transposed. */
void test_product_operand(moire_graph *g, const char *name, const test_product *c, int64_t rows,
                          int64_t columns, bool transposed, bool complex, moire_value planes[2]);

enum { TEST_PRODUCT_COMPUTED = 16 }; /* a flag: operands are made by an element-wise op */

/* y = a b: the output "y", of a complex product its real plane, with "z" the imaginary one; or "y" the
 * imaginary one alone. Bits of `flags`: a transposed, b transposed, a conjugated, b conjugated, and
 * TEST_PRODUCT_COMPUTED. Owned. */
moire_graph *test_product_graph(const test_product *c, int flags, bool complex, bool only_im);

/* Compiles the outputs in these ways and judges them at each of the sizes of B; the loop nests too where B is
 * small. Takes the graph. */
bool test_product_agrees(moire_graph *g, const char *const *outputs, int n_outputs, const test_way *ways,
                         int n_ways, const int64_t *sizes, int n_sizes, const test_pools *pools,
                         moire__text *why);

#endif
