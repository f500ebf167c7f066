/* Ops with loop nests of their own and a gradient: all of tests/support/generic.h. */
#include "tests/support/generic.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

ParameterizedTestParameters(generic_kernels, every_op) {
  static int ops[MOIRE__OP_COUNT];
  int n = test_generic_ops(TEST_FAMILY_KERNELS, ops);
  return cr_make_param_array(int, ops, (size_t)n);
}

ParameterizedTest(int *op, generic_kernels, every_op, .timeout = 240) { test_generic_judge((moire__op)*op); }
