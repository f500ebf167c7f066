/* Loads and stores.
 *
 * The form of the address decides: uniform is a scalar access, affine with stride 1 a vector access, anything
 * else a gather or scatter. bool is a byte and bf16 the upper half of a float, in memory alone.
 */
#include "compiler/codegen/emit.h"

/* ---- element types in memory -------------------------------------------------------------------------------
 */

static LLVMValueRef from_memory(moire__emitter *e, moire__loop_type type, LLVMValueRef x) {
  const moire__ir *ir = &e->ir;
  LLVMTypeRef shape = LLVMTypeOf(x);
  if (type == MOIRE__LOOP_BOOL) return LLVMBuildICmp(ir->at, LLVMIntNE, x, LLVMConstNull(shape), "");
  return type == MOIRE__LOOP_BF16 ? moire__emit_from_bf16(e, x) : x;
}

static LLVMValueRef to_memory(moire__emitter *e, moire__loop_type type, LLVMValueRef x) {
  if (type == MOIRE__LOOP_BOOL)
    return LLVMBuildZExt(e->ir.at, x, moire__ir_like(LLVMTypeOf(x), LLVMInt8TypeInContext(e->ir.context)), "");
  return type == MOIRE__LOOP_BF16 ? moire__emit_to_bf16(e, x) : x;
}

/* ---- addresses ---------------------------------------------------------------------------------------------
 */

/* `type` is that of the elements that are counted: the buffer's, or words of a buffer of bf16. */
static LLVMValueRef element_pointer(moire__emitter *e, moire__loop_buffer buffer, moire__loop_type type,
                                    LLVMValueRef offset) {
  LLVMTypeRef element = moire__emit_memory_type(e, type);
  return LLVMBuildInBoundsGEP2(e->ir.at, element, e->buffers[buffer], &offset, 1, "");
}

static bool is_contiguous(moire__emit_value address) {
  return address.stride && LLVMIsAConstantInt(address.stride) && LLVMConstIntGetSExtValue(address.stride) == 1;
}

/* One pointer a lane. A small constant stride gives 32-bit offsets from a common base, which gathers take as
 * they are. */
static LLVMValueRef lane_pointers(moire__emitter *e, moire__loop_buffer buffer, moire__loop_type type,
                                  moire__emit_value address) {
  const moire__ir *ir = &e->ir;
  if (address.vector) return element_pointer(e, buffer, type, address.vector);
  LLVMTypeRef i64 = LLVMInt64TypeInContext(ir->context), i32 = LLVMInt32TypeInContext(ir->context);
  LLVMTypeRef element = moire__emit_memory_type(e, type);
  LLVMValueRef base = element_pointer(e, buffer, type, address.scalar), offsets = NULL;
  int64_t constant = LLVMIsAConstantInt(address.stride) ? LLVMConstIntGetSExtValue(address.stride) : INT64_MAX;
  if (constant > -(1 << 20) && constant < (1 << 20)) {
    LLVMTypeRef narrow = moire__ir_widen(i32, e->lanes);
    offsets =
        LLVMBuildMul(ir->at, moire__ir_lane_numbers(i32, e->lanes), moire__ir_integer(narrow, constant), "");
  } else {
    LLVMValueRef stride = moire__ir_splat(ir, address.stride, e->lanes);
    offsets = LLVMBuildMul(ir->at, moire__ir_lane_numbers(i64, e->lanes), stride, "");
  }
  return LLVMBuildInBoundsGEP2(ir->at, element, base, &offsets, 1, "");
}

static LLVMValueRef alignment(moire__emitter *e, moire__loop_type type) {
  return LLVMConstInt(LLVMInt32TypeInContext(e->ir.context), moire__loop_type_bytes(type), 0);
}

static LLVMValueRef mask_or_all(moire__emitter *e) {
  LLVMTypeRef bit = LLVMInt1TypeInContext(e->ir.context);
  return e->mask ? e->mask : LLVMConstAllOnes(moire__ir_widen(bit, e->lanes));
}

/* ---- accesses ----------------------------------------------------------------------------------------------
 */

/* A word is an i32 of a buffer of bf16. */
moire__emit_value moire__emit_load(moire__emitter *e, moire__loop_value v) {
  const moire__ir *ir = &e->ir;
  const moire__loop_value_info *info = &e->kernel->values[v];
  bool word = info->op == MOIRE__LOOP_word;
  moire__loop_type type = word ? MOIRE__LOOP_I32 : e->kernel->buffers[info->buffer].type;
  moire__emit_value address = moire__emit_value_of(e, info->operands[0]);
  LLVMTypeRef element = moire__emit_memory_type(e, type);
  if (!address.vector && !address.stride) {
    LLVMValueRef x =
        LLVMBuildLoad2(ir->at, element, element_pointer(e, info->buffer, type, address.scalar), "");
    LLVMSetAlignment(x, (unsigned)moire__loop_type_bytes(type));
    return (moire__emit_value){.scalar = from_memory(e, type, x)};
  }
  LLVMTypeRef vector = moire__ir_widen(element, e->lanes);
  LLVMValueRef x = NULL;
  if (is_contiguous(address) && !e->mask) {
    x = LLVMBuildLoad2(ir->at, vector, element_pointer(e, info->buffer, type, address.scalar), "");
    LLVMSetAlignment(x, (unsigned)moire__loop_type_bytes(type));
  } else {
    bool contiguous = is_contiguous(address);
    LLVMValueRef pointer = contiguous ? element_pointer(e, info->buffer, type, address.scalar)
                                      : lane_pointers(e, info->buffer, type, address);
    LLVMTypeRef types[] = {vector, LLVMTypeOf(pointer)};
    LLVMValueRef arguments[] = {pointer, alignment(e, type), mask_or_all(e), LLVMConstNull(vector)};
    x = moire__ir_intrinsic(ir, contiguous ? "llvm.masked.load" : "llvm.masked.gather", types, 2, arguments, 4);
  }
  return (moire__emit_value){.vector = from_memory(e, type, x)};
}

void moire__emit_store(moire__emitter *e, const moire__loop_statement *s) {
  const moire__ir *ir = &e->ir;
  moire__loop_type type = e->kernel->buffers[s->buffer].type;
  moire__emit_value address = moire__emit_value_of(e, s->address);
  if (!address.vector && !address.stride) {
    if (e->lanes) {
      moire__emit_fail(e, MOIRE_ERROR_INTERNAL,
                       "a vector loop stores to an address that is the same in all lanes");
      return;
    }
    LLVMValueRef x = to_memory(e, type, moire__emit_uniform(e, s->value));
    LLVMValueRef store = LLVMBuildStore(ir->at, x, element_pointer(e, s->buffer, type, address.scalar));
    LLVMSetAlignment(store, (unsigned)moire__loop_type_bytes(type));
    return;
  }
  LLVMValueRef x = to_memory(e, type, moire__emit_lanes(e, s->value));
  if (is_contiguous(address) && !e->mask) {
    LLVMValueRef store = LLVMBuildStore(ir->at, x, element_pointer(e, s->buffer, type, address.scalar));
    LLVMSetAlignment(store, (unsigned)moire__loop_type_bytes(type));
    return;
  }
  bool contiguous = is_contiguous(address);
  LLVMValueRef pointer = contiguous ? element_pointer(e, s->buffer, type, address.scalar)
                                    : lane_pointers(e, s->buffer, type, address);
  LLVMTypeRef types[] = {LLVMTypeOf(x), LLVMTypeOf(pointer)};
  LLVMValueRef arguments[] = {x, pointer, alignment(e, type), mask_or_all(e)};
  moire__ir_intrinsic(ir, contiguous ? "llvm.masked.store" : "llvm.masked.scatter", types, 2, arguments, 4);
}

/* The address may lie outside of the buffer, so it is computed without a promise. Of addresses that are a
 * vector there is no first one at hand. */
void moire__emit_fetch(moire__emitter *e, const moire__loop_statement *s) {
  const moire__ir *ir = &e->ir;
  enum { READ = 0, ALL_CACHES = 3, DATA = 1 };
  moire__emit_value address = moire__emit_value_of(e, s->address);
  if (!address.scalar) {
    moire__emit_fail(e, MOIRE_ERROR_UNSUPPORTED, "what is fetched lies at addresses that are no sequence");
    return;
  }
  LLVMTypeRef element = moire__emit_memory_type(e, e->kernel->buffers[s->buffer].type);
  LLVMValueRef at = LLVMBuildGEP2(ir->at, element, e->buffers[s->buffer], &address.scalar, 1, "");
  LLVMTypeRef type = LLVMTypeOf(at), i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef arguments[] = {at, LLVMConstInt(i32, READ, 0), LLVMConstInt(i32, ALL_CACHES, 0),
                              LLVMConstInt(i32, DATA, 0)};
  moire__ir_intrinsic(ir, "llvm.prefetch", &type, 1, arguments, 4);
}
