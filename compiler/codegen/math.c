/* Which function serves an operation, and the division of wide vectors into registers. */
#include "compiler/codegen/math.h"

LLVMValueRef moire__math_emit(const moire__ir *ir, moire__loop_op op, int vector_bits, const LLVMValueRef *operands,
                              int n) {
  (void)ir, (void)op, (void)vector_bits, (void)operands, (void)n;
  return NULL;
}
