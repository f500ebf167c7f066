/* Values in the form that is asked for: as they are, the same in all lanes, or lane by lane. */
#include "compiler/codegen/emit.h"

static LLVMValueRef constant(moire__emitter *e, const moire__loop_value_info *info) {
  LLVMTypeRef type = moire__emit_type(e, info->type);
  if (info->type == MOIRE__LOOP_F32) return LLVMConstReal(type, (double)(float)info->real);
  if (info->type == MOIRE__LOOP_F64) return LLVMConstReal(type, info->real);
  return LLVMConstInt(type, (unsigned long long)info->integer, 1);
}

static LLVMValueRef extent(moire__emitter *e, moire_dim dim) {
  LLVMValueRef size = moire__ir_index(&e->ir, moire__dim_factor(dim));
  for (int left = moire__dim_extents(dim); left; left >>= 4)
    size = LLVMBuildNSWMul(e->ir.at, e->extents[left & 15], size, "");
  return size;
}

moire__emit_value moire__emit_value_of(moire__emitter *e, moire__loop_value v) {
  const moire__loop_value_info *info = &e->kernel->values[v];
  if (!info->is_index && info->op == MOIRE__LOOP_const) return (moire__emit_value){.scalar = constant(e, info)};
  if (!info->is_index && info->op == MOIRE__LOOP_extent)
    return (moire__emit_value){.scalar = extent(e, info->integer)};
  return e->values[v];
}

LLVMValueRef moire__emit_uniform(moire__emitter *e, moire__loop_value v) {
  moire__emit_value x = moire__emit_value_of(e, v);
  if (x.scalar && !x.stride) return x.scalar;
  moire__emit_fail(e, MOIRE_ERROR_INTERNAL, "a value that must be the same in all lanes is not");
  return LLVMGetPoison(moire__emit_type(e, e->kernel->values[v].type));
}

LLVMValueRef moire__emit_lanes(moire__emitter *e, moire__loop_value v) {
  moire__emit_value x = moire__emit_value_of(e, v);
  if (!e->lanes) return moire__emit_uniform(e, v);
  if (x.vector) return x.vector;
  if (!x.scalar) {
    moire__emit_fail(e, MOIRE_ERROR_INTERNAL, "a value is used where it is not visible");
    return LLVMGetPoison(moire__ir_widen(moire__emit_type(e, e->kernel->values[v].type), e->lanes));
  }
  LLVMValueRef base = moire__ir_splat(&e->ir, x.scalar, e->lanes);
  if (!x.stride) return base;
  LLVMValueRef stride = moire__ir_splat(&e->ir, x.stride, e->lanes);
  LLVMValueRef lanes = moire__ir_lane_numbers(LLVMTypeOf(x.scalar), e->lanes);
  return LLVMBuildAdd(e->ir.at, base, LLVMBuildMul(e->ir.at, lanes, stride, ""), "");
}
