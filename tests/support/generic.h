/* One test judges every op, over all of its samples.
 *
 *   - samples of every kind are there; wrong ones are refused with the status that they expect;
 *   - good and hard ones verify, read back from their text, and mean the same in every way to run them (the
 *     judge: tests/support/judge.h), for several sizes of the batch;
 *   - so do their gradients, made by the compiler's own passes, and these are central differences.
 *
 * For gradients, p is added to every float input x: a parameter of x's shape with extent 1 for named extents.
 * The loss is the sum of c y over all float outputs y with random c, and its gradient by p is judged.
 *
 * tests/ops/generic_*_test.c share the ops by family, so that none of them takes minutes.
 */
#ifndef MOIRE_TESTS_SUPPORT_GENERIC_H
#define MOIRE_TESTS_SUPPORT_GENERIC_H

#include "compiler/ir/op.h"

/* Every op is of one. */
typedef enum test_family {
  TEST_FAMILY_ELEMENTS,   /* sources, what is element by element, parts of complex numbers, views, reductions */
  TEST_FAMILY_KERNELS,    /* those with loop nests of their own that have gradients */
  TEST_FAMILY_INNER,      /* those that have none: what passes write, gradients, whole numbers */
  TEST_FAMILY_COMPOSITES, /* those that others are made of */
} test_family;

/* The ops of a family; returns how many. */
int test_generic_ops(test_family family, int ops[MOIRE__OP_COUNT]);

/* Asserts all of the above. */
void test_generic_judge(moire__op op);

#endif
