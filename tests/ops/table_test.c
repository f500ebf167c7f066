/* The op table: every row has exactly the parts that its class and traits ask for. */
#include <criterion/criterion.h>

#include "compiler/ir/op.h"

Test(ops, every_row_has_its_parts) {
  for (int i = 1; i < MOIRE__OP_COUNT; i++) {
    const moire__op_info *op = moire__op_get((moire__op)i);
    cr_expect_eq(moire__op_find(op->name), i, "%s", op->name);
    cr_expect(op->infer && op->reference && op->sample, "%s", op->name);
    cr_expect(op->equation[0] != 0, "%s", op->name);
    bool fixed = op->traits & MOIRE__TRAIT_FIXED;
    bool differentiated = op->op_class != MOIRE__CLASS_SOURCE && op->op_class != MOIRE__CLASS_COMPOSITE;
    cr_expect_eq(op->gradient != NULL, differentiated && !fixed, "%s", op->name);
    cr_expect_eq(op->element != NULL, op->op_class == MOIRE__CLASS_POINTWISE, "%s", op->name);
    cr_expect_eq(op->map != NULL, op->op_class == MOIRE__CLASS_VIEW, "%s", op->name);
    cr_expect_eq(op->lower != NULL, op->op_class == MOIRE__CLASS_KERNEL, "%s", op->name);
    bool expands = op->op_class == MOIRE__CLASS_ROW || op->op_class == MOIRE__CLASS_COMPOSITE;
    cr_expect_eq(op->expand != NULL, expands, "%s", op->name);
  }
  cr_expect(moire__op_get(MOIRE__OP_mul)->split && moire__op_get(MOIRE__OP_conj)->split);
  cr_expect(!moire__op_get(MOIRE__OP_add)->split && moire__op_get(MOIRE__OP_reshape)->demand);
  cr_expect_eq(moire__op_find("no such op"), MOIRE__OP_none);
}
