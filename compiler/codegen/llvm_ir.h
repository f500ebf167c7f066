/* Writing LLVM IR: the small vocabulary that the emitter, the vector math and the random numbers share.
 *
 * Every helper works on scalars and on vectors alike: the type of the operands decides. Constants are made
 * "like" another value, so that a formula is written once and serves any number of lanes.
 */
#ifndef MOIRE_COMPILER_CODEGEN_LLVM_IR_H
#define MOIRE_COMPILER_CODEGEN_LLVM_IR_H

#include <llvm-c/Core.h>
#include <stdbool.h>
#include <stdint.h>

/* Where instructions go. `function` is the one being written. */
typedef struct moire__ir {
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef at;
  LLVMValueRef function;
} moire__ir;

int moire__ir_lanes(LLVMTypeRef type);           /* of a vector type; 0 for a scalar */
LLVMTypeRef moire__ir_element(LLVMTypeRef type); /* of a vector type; the type itself for a scalar */
/* `element`, or a vector of `lanes` of them if lanes > 0. */
LLVMTypeRef moire__ir_widen(LLVMTypeRef element, int lanes);
/* The type with the shape of `like` and another element. */
LLVMTypeRef moire__ir_like(LLVMTypeRef like, LLVMTypeRef element);

LLVMValueRef moire__ir_real(LLVMTypeRef type, double value);      /* constant in all lanes */
LLVMValueRef moire__ir_integer(LLVMTypeRef type, int64_t value);  /* constant in all lanes */
LLVMValueRef moire__ir_index(const moire__ir *ir, int64_t value); /* an i64 */
LLVMValueRef moire__ir_splat(const moire__ir *ir, LLVMValueRef scalar, int lanes);
/* <0, 1, ... lanes - 1> of an integer element type. */
LLVMValueRef moire__ir_lane_numbers(LLVMTypeRef element, int lanes);
/* Lanes first, first + stride, ... (n of them) of a, or of a and b one after the other. n = 1 gives a vector of
 * one lane. b may be NULL. */
LLVMValueRef moire__ir_shuffle(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, int first, int stride,
                               int n);
/* a's lanes followed by b's. */
LLVMValueRef moire__ir_concat(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b);

/* A call of the LLVM intrinsic `name` that is overloaded on `types`. */
LLVMValueRef moire__ir_intrinsic(const moire__ir *ir, const char *name, LLVMTypeRef *types, int n_types,
                                 LLVMValueRef *arguments, int n_arguments);
LLVMValueRef moire__ir_call1(const moire__ir *ir, const char *name, LLVMValueRef a);
LLVMValueRef moire__ir_fma(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);

LLVMBasicBlockRef moire__ir_block(const moire__ir *ir, const char *name); /* appended to the function */
/* An alloca at the start of the function's entry block, aligned to 64 bytes. */
LLVMValueRef moire__ir_alloca(const moire__ir *ir, LLVMTypeRef type, const char *name);

#endif
