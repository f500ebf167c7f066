/* Writing LLVM IR: the helpers of llvm_ir.h. */
#include "compiler/codegen/llvm_ir.h"

#include <assert.h>
#include <string.h>

enum { MAX_LANES = 256 };

int moire__ir_lanes(LLVMTypeRef type) {
  return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(type) : 0;
}

LLVMTypeRef moire__ir_element(LLVMTypeRef type) {
  return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
}

LLVMTypeRef moire__ir_widen(LLVMTypeRef element, int lanes) {
  return lanes > 0 ? LLVMVectorType(element, (unsigned)lanes) : element;
}

LLVMTypeRef moire__ir_like(LLVMTypeRef like, LLVMTypeRef element) {
  return moire__ir_widen(element, moire__ir_lanes(like));
}

static LLVMValueRef constant_in_all_lanes(LLVMTypeRef type, LLVMValueRef scalar) {
  int lanes = moire__ir_lanes(type);
  if (!lanes) return scalar;
  assert(lanes <= MAX_LANES);
  LLVMValueRef all[MAX_LANES];
  for (int i = 0; i < lanes; i++) all[i] = scalar;
  return LLVMConstVector(all, (unsigned)lanes);
}

LLVMValueRef moire__ir_real(LLVMTypeRef type, double value) {
  return constant_in_all_lanes(type, LLVMConstReal(moire__ir_element(type), value));
}

LLVMValueRef moire__ir_integer(LLVMTypeRef type, int64_t value) {
  return constant_in_all_lanes(type, LLVMConstInt(moire__ir_element(type), (unsigned long long)value, 1));
}

LLVMValueRef moire__ir_index(const moire__ir *ir, int64_t value) {
  return LLVMConstInt(LLVMInt64TypeInContext(ir->context), (unsigned long long)value, 1);
}

LLVMValueRef moire__ir_splat(const moire__ir *ir, LLVMValueRef scalar, int lanes) {
  LLVMTypeRef type = moire__ir_widen(LLVMTypeOf(scalar), lanes);
  if (LLVMIsConstant(scalar)) return constant_in_all_lanes(type, scalar);
  LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef one = LLVMBuildInsertElement(ir->at, LLVMGetPoison(type), scalar, LLVMConstInt(i32, 0, 0), "");
  return LLVMBuildShuffleVector(ir->at, one, LLVMGetPoison(type), LLVMConstNull(moire__ir_widen(i32, lanes)),
                                "");
}

LLVMValueRef moire__ir_lane_numbers(LLVMTypeRef element, int lanes) {
  assert(lanes <= MAX_LANES);
  LLVMValueRef all[MAX_LANES];
  for (int i = 0; i < lanes; i++) all[i] = LLVMConstInt(element, (unsigned long long)i, 0);
  return LLVMConstVector(all, (unsigned)lanes);
}

LLVMValueRef moire__ir_shuffle(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, int first, int stride,
                               int n) {
  assert(n <= MAX_LANES);
  LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef chosen[MAX_LANES];
  for (int i = 0; i < n; i++) chosen[i] = LLVMConstInt(i32, (unsigned long long)(first + i * stride), 0);
  return LLVMBuildShuffleVector(ir->at, a, b ? b : LLVMGetPoison(LLVMTypeOf(a)),
                                LLVMConstVector(chosen, (unsigned)n), "");
}

LLVMValueRef moire__ir_concat(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b) {
  return moire__ir_shuffle(ir, a, b, 0, 1, 2 * moire__ir_lanes(LLVMTypeOf(a)));
}

LLVMValueRef moire__ir_intrinsic(const moire__ir *ir, const char *name, LLVMTypeRef *types, int n_types,
                                 LLVMValueRef *arguments, int n_arguments) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  assert(id != 0);
  LLVMValueRef callee = LLVMGetIntrinsicDeclaration(ir->module, id, types, (size_t)n_types);
  LLVMTypeRef type = LLVMIntrinsicGetType(ir->context, id, types, (size_t)n_types);
  return LLVMBuildCall2(ir->at, type, callee, arguments, (unsigned)n_arguments, "");
}

LLVMValueRef moire__ir_call1(const moire__ir *ir, const char *name, LLVMValueRef a) {
  LLVMTypeRef type = LLVMTypeOf(a);
  return moire__ir_intrinsic(ir, name, &type, 1, &a, 1);
}

LLVMValueRef moire__ir_fma(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef type = LLVMTypeOf(a);
  LLVMValueRef arguments[] = {a, b, c};
  return moire__ir_intrinsic(ir, "llvm.fma", &type, 1, arguments, 3);
}

LLVMBasicBlockRef moire__ir_block(const moire__ir *ir, const char *name) {
  return LLVMAppendBasicBlockInContext(ir->context, ir->function, name);
}

LLVMValueRef moire__ir_alloca(const moire__ir *ir, LLVMTypeRef type, const char *name) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(ir->at), entry = LLVMGetEntryBasicBlock(ir->function);
  LLVMValueRef first = LLVMGetFirstInstruction(entry);
  LLVMMetadataRef line = LLVMGetCurrentDebugLocation2(ir->at);
  if (first)
    LLVMPositionBuilderBefore(ir->at, first);
  else
    LLVMPositionBuilderAtEnd(ir->at, entry);
  LLVMValueRef slot = LLVMBuildAlloca(ir->at, type, name);
  LLVMSetAlignment(slot, 64);
  LLVMPositionBuilderAtEnd(ir->at, here);
  LLVMSetCurrentDebugLocation2(ir->at, line);
  return slot;
}
