/* What every file of the emitter stands on: types, and failures. */
#include "compiler/codegen/emit.h"

LLVMTypeRef moire__emit_type(const moire__emitter *e, moire__loop_type type) {
  switch (type) {
    case MOIRE__LOOP_BOOL: return LLVMInt1TypeInContext(e->ir.context);
    case MOIRE__LOOP_I32: return LLVMInt32TypeInContext(e->ir.context);
    case MOIRE__LOOP_I64: return LLVMInt64TypeInContext(e->ir.context);
    case MOIRE__LOOP_BF16:
    case MOIRE__LOOP_F32: return LLVMFloatTypeInContext(e->ir.context);
    case MOIRE__LOOP_F64: return LLVMDoubleTypeInContext(e->ir.context);
    case MOIRE__LOOP_VOID: break;
  }
  return LLVMVoidTypeInContext(e->ir.context);
}

LLVMTypeRef moire__emit_memory_type(const moire__emitter *e, moire__loop_type type) {
  if (type == MOIRE__LOOP_BOOL) return LLVMInt8TypeInContext(e->ir.context);
  if (type == MOIRE__LOOP_BF16) return LLVMInt16TypeInContext(e->ir.context);
  return moire__emit_type(e, type);
}

void moire__emit_fail(moire__emitter *e, moire_status status, const char *what) {
  if (!e->status) e->status = moire_fail(e->error, status, "kernel %s: %s", e->kernel->name, what);
}
