/* The nearest code, searched over operands in bf16 and in float32: what the two are tried on.
 *
 * Random data, codes that differ in their last bits, exact ties, all codes twice, products whose rounding
 * errors all have one sign, lists that overflow, numbers that underflow and overflow, NaN.
 */
#ifndef MOIRE_TESTS_SUPPORT_SEARCH_CASE_H
#define MOIRE_TESTS_SUPPORT_SEARCH_CASE_H

#include "moire/compile.h"
#include "runtime/base/philox.h"

enum { TEST_SEARCH_ROWS = 203, TEST_SEARCH_KINDS = 19 };

typedef struct test_search_size {
  int64_t codes, width;
} test_search_size;

typedef struct test_search_data {
  test_search_size n;
  float *x, *codes; /* [TEST_SEARCH_ROWS, width], [codes, width] */
  moire__random random;
} test_search_data;

typedef struct test_search_kind {
  const char *name;
  void (*make)(test_search_data *d);
} test_search_kind;
extern const test_search_kind test_search_kinds[TEST_SEARCH_KINDS];

test_search_data test_search_data_make(test_search_size n, uint32_t stream); /* of no numbers yet */
void test_search_data_free(test_search_data *d);

/* Inputs "x" [B, width] and "codes", output "rows"; `target` as in moire_compile_options. */
moire_graph *test_search_graph(test_search_size n);
moire_compile_options test_search_options(moire_precision precision, const char *target);

/* Compiled both ways, on all kinds of data of these sizes: the same codes, on 1 and 3 threads, and for rows
 * alone. */
void test_search_compare(const char *target, const test_search_size *sizes, int n);

#endif
