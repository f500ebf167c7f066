/* StableHLO files that judge themselves: main makes its inputs and compares what it computes with what it
 * expects.
 *
 * A file is one module, or several that lines "// -----" divide; a module without main has a case in each of
 * its functions that take nothing. The interpreter is judged by the file's own comparisons, compiled code by
 * norms:
 * ||a - b|| <= 1e-5 ||b||, 1e-12 of f64, whole numbers and bools equal, and what is not finite the same.
 */
#ifndef MOIRE_TESTS_SUPPORT_STABLEHLO_STABLEHLO_H
#define MOIRE_TESTS_SUPPORT_STABLEHLO_STABLEHLO_H

#include "runtime/base/text.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum test_verdict { TEST_EQUAL, TEST_REFUSED, TEST_WRONG } test_verdict;

/* How numbers of the interpreter are judged. */
typedef enum test_rule {
  TEST_BY_FILE,    /* equal; at most 3 units in the last place, each plane by itself; |a - b| <= 1e-3 */
  TEST_BY_NORM,    /* as compiled code */
  TEST_BY_LARGEST, /* |a - b| <= 1e-5 max |b| */
} test_rule;

typedef struct test_tally {
  int n[3]; /* by verdict */
} test_tally;

/* Judges every case; adds to the tally, and a line "refused NAME: .." or "wrong NAME: .." to `said`. Returns
 * the worst verdict. */
test_verdict test_stablehlo_judge(const char *name, const char *bytes, size_t n, bool compiled, test_rule rule,
                                  test_tally *tally, moire__text *said);

#endif
