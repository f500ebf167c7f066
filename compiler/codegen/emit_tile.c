/* Tiles, by the instructions of AMX.
 *
 * The intrinsics with a number name a tile register itself, so that nothing is left for LLVM to allocate. All
 * eight have 16 rows of 64 bytes: that is loaded at the start of a kernel that uses tiles, and released at its
 * end, so a thread has tiles in use only while it is in such a kernel. No function is called in between.
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
 */
#include "compiler/codegen/emit.h"

/* Memory of LDTILECFG: palette 1, and of each tile the bytes of a row (at 16) and the rows (at 48). */
static LLVMValueRef shapes(const moire__ir *ir) {
  enum { BYTES = 64, COLUMN_BYTES = 16, ROWS = 48 };
  LLVMTypeRef byte = LLVMInt8TypeInContext(ir->context);
  LLVMValueRef bytes[BYTES];
  for (int i = 0; i < BYTES; i++) bytes[i] = LLVMConstNull(byte);
  bytes[0] = LLVMConstInt(byte, 1, 0);
  for (int t = 0; t < MOIRE__LOOP_TILES; t++) {
    bytes[COLUMN_BYTES + 2 * t] = LLVMConstInt(byte, MOIRE__LOOP_TILE_SIDE * 4, 0);
    bytes[ROWS + t] = LLVMConstInt(byte, MOIRE__LOOP_TILE_SIDE, 0);
  }
  LLVMValueRef constant = LLVMConstArray2(byte, bytes, BYTES);
  LLVMValueRef global = LLVMAddGlobal(ir->module, LLVMTypeOf(constant), "tiles");
  LLVMSetInitializer(global, constant);
  LLVMSetGlobalConstant(global, 1);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  LLVMSetAlignment(global, BYTES);
  return global;
}

void moire__emit_open_tiles(moire__emitter *e) {
  if (!e->kernel->has_tiles) return;
  if (!e->target->has_tiles) {
    moire__emit_fail(e, MOIRE_ERROR_UNSUPPORTED, "the target has no tiles");
    return;
  }
  LLVMValueRef from = shapes(&e->ir);
  moire__ir_intrinsic(&e->ir, "llvm.x86.ldtilecfg", NULL, 0, &from, 1);
}

void moire__emit_close_tiles(moire__emitter *e) {
  if (e->kernel->has_tiles) moire__ir_intrinsic(&e->ir, "llvm.x86.tilerelease", NULL, 0, NULL, 0);
}

static LLVMValueRef number(const moire__ir *ir, int tile) {
  return LLVMConstInt(LLVMInt8TypeInContext(ir->context), (unsigned long long)tile, 0);
}

static void access_memory(moire__emitter *e, const moire__loop_statement *s, const char *intrinsic) {
  const moire__ir *ir = &e->ir;
  moire__loop_type type = e->kernel->buffers[s->buffer].type;
  LLVMValueRef offset = moire__emit_uniform(e, s->address);
  LLVMTypeRef element = moire__emit_memory_type(e, type);
  LLVMValueRef pointer = LLVMBuildInBoundsGEP2(ir->at, element, e->buffers[s->buffer], &offset, 1, "");
  LLVMValueRef pitch = moire__ir_index(ir, s->step * (int64_t)moire__loop_type_bytes(type));
  LLVMValueRef arguments[] = {number(ir, s->tiles[0]), pointer, pitch};
  moire__ir_intrinsic(ir, intrinsic, NULL, 0, arguments, 3);
}

void moire__emit_tile(moire__emitter *e, const moire__loop_statement *s) {
  const moire__ir *ir = &e->ir;
  LLVMValueRef tiles[3];
  for (int i = 0; i < 3; i++) tiles[i] = number(ir, s->tiles[i]);
  switch (s->tile_op) {
    case MOIRE__TILE_ZERO: moire__ir_intrinsic(ir, "llvm.x86.tilezero", NULL, 0, tiles, 1); return;
    case MOIRE__TILE_DOT: moire__ir_intrinsic(ir, "llvm.x86.tdpbf16ps", NULL, 0, tiles, 3); return;
    case MOIRE__TILE_LOAD: access_memory(e, s, "llvm.x86.tileloadd64"); return;
    case MOIRE__TILE_STORE: access_memory(e, s, "llvm.x86.tilestored64"); return;
  }
}
