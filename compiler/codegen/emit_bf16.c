/* bf16: rounding, pairs, and dot products of pairs.
 *
 * A bf16 is the upper half of a float. Where the target has AVX512-BF16 (target->has_bf16), whole registers of
 * 16 lanes are rounded and multiplied by its instructions, which take numbers below the normal range as zero;
 * elsewhere rounding is done on the bits, and a pair's two products are two fused multiply-adds. A word that is
 * the same in all lanes is broadcast by the multiplication itself. What has just been read from a bf16, or is
 * that negated, is not rounded again.
 */
#include "compiler/codegen/emit.h"

enum { REGISTER = 16 };

static bool in_hardware(const moire__emitter *e, LLVMTypeRef type) {
  int lanes = moire__ir_lanes(type);
  return e->target->has_bf16 && lanes >= REGISTER && lanes % REGISTER == 0;
}

static LLVMTypeRef words_like(const moire__ir *ir, LLVMTypeRef type) {
  return moire__ir_like(type, LLVMInt32TypeInContext(ir->context));
}

static LLVMTypeRef halves_like(const moire__ir *ir, LLVMTypeRef type) {
  return moire__ir_like(type, LLVMInt16TypeInContext(ir->context));
}

static LLVMTypeRef floats_like(const moire__ir *ir, LLVMTypeRef type) {
  return moire__ir_like(type, LLVMFloatTypeInContext(ir->context));
}

/* Bits of x rounded to nearest, ties to even, in the upper half; the lower is not cleared. A NaN stays one: its
 * quiet bit is set instead, since rounding could carry it into infinity. */
static LLVMValueRef round_bits(const moire__ir *ir, LLVMValueRef x) {
  LLVMTypeRef word = words_like(ir, LLVMTypeOf(x));
  LLVMValueRef bits = LLVMBuildBitCast(ir->at, x, word, "");
  LLVMValueRef half = LLVMBuildLShr(ir->at, bits, moire__ir_integer(word, 16), "");
  LLVMValueRef odd = LLVMBuildAnd(ir->at, half, moire__ir_integer(word, 1), "");
  LLVMValueRef bias = LLVMBuildAdd(ir->at, odd, moire__ir_integer(word, 0x7fff), "");
  LLVMValueRef quiet = LLVMBuildOr(ir->at, bits, moire__ir_integer(word, 0x400000), "");
  LLVMValueRef is_nan = LLVMBuildFCmp(ir->at, LLVMRealUNO, x, x, "");
  return LLVMBuildSelect(ir->at, is_nan, quiet, LLVMBuildAdd(ir->at, bits, bias, ""), "");
}

static bool is_made_by(LLVMValueRef x, LLVMOpcode opcode) {
  return LLVMIsAInstruction(x) && LLVMGetInstructionOpcode(x) == opcode;
}

/* The bf16 that x was widened from by moire__emit_from_bf16, or NULL: there is nothing to round. */
static LLVMValueRef widened_from(const moire__ir *ir, LLVMValueRef x) {
  if (!is_made_by(x, LLVMBitCast)) return NULL;
  LLVMValueRef shifted = LLVMGetOperand(x, 0);
  if (!is_made_by(shifted, LLVMShl)) return NULL;
  LLVMValueRef whole = LLVMGetOperand(shifted, 0);
  if (!is_made_by(whole, LLVMZExt)) return NULL;
  LLVMValueRef half = LLVMGetOperand(whole, 0);
  return LLVMTypeOf(half) == halves_like(ir, LLVMTypeOf(x)) ? half : NULL;
}

/* Likewise of what may be negated; `minus` says whether it is. */
static LLVMValueRef exact_half(const moire__ir *ir, LLVMValueRef x, bool *minus) {
  *minus = is_made_by(x, LLVMFNeg);
  return widened_from(ir, *minus ? LLVMGetOperand(x, 0) : x);
}

/* A register of 16 lanes. */
static LLVMValueRef round_register(const moire__ir *ir, LLVMValueRef x) {
  LLVMValueRef half = moire__ir_intrinsic(ir, "llvm.x86.avx512bf16.cvtneps2bf16.512", NULL, 0, &x, 1);
  return LLVMBuildBitCast(ir->at, half, halves_like(ir, LLVMTypeOf(x)), "");
}

/* Two registers at once, one after the other, as 32 halves. */
static LLVMValueRef round_registers(const moire__ir *ir, LLVMValueRef low, LLVMValueRef high) {
  LLVMValueRef arguments[] = {high, low};
  LLVMValueRef halves = moire__ir_intrinsic(ir, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", NULL, 0, arguments, 2);
  LLVMTypeRef type = LLVMVectorType(LLVMInt16TypeInContext(ir->context), 2 * REGISTER);
  return LLVMBuildBitCast(ir->at, halves, type, "");
}

LLVMValueRef moire__emit_to_bf16(moire__emitter *e, LLVMValueRef x) {
  const moire__ir *ir = &e->ir;
  LLVMTypeRef type = LLVMTypeOf(x), word = words_like(ir, type);
  bool minus = false;
  LLVMValueRef half = exact_half(ir, x, &minus);
  if (half) {
    LLVMValueRef sign = moire__ir_integer(LLVMTypeOf(half), 0x8000);
    return minus ? LLVMBuildXor(ir->at, half, sign, "") : half;
  }
  if (!in_hardware(e, type)) {
    LLVMValueRef upper = LLVMBuildLShr(ir->at, round_bits(ir, x), moire__ir_integer(word, 16), "");
    return LLVMBuildTrunc(ir->at, upper, halves_like(ir, type), "");
  }
  int lanes = moire__ir_lanes(type);
  if (lanes == REGISTER) return round_register(ir, x);
  LLVMValueRef low = moire__ir_shuffle(ir, x, NULL, 0, 1, lanes / 2);
  LLVMValueRef high = moire__ir_shuffle(ir, x, NULL, lanes / 2, 1, lanes / 2);
  if (lanes == 2 * REGISTER) return round_registers(ir, low, high);
  LLVMValueRef first = moire__emit_to_bf16(e, low);
  return moire__ir_concat(ir, first, moire__emit_to_bf16(e, high));
}

LLVMValueRef moire__emit_from_bf16(moire__emitter *e, LLVMValueRef x) {
  const moire__ir *ir = &e->ir;
  LLVMTypeRef word = words_like(ir, LLVMTypeOf(x));
  LLVMValueRef bits = LLVMBuildZExt(ir->at, x, word, "");
  bits = LLVMBuildShl(ir->at, bits, moire__ir_integer(word, 16), "");
  return LLVMBuildBitCast(ir->at, bits, floats_like(ir, word), "");
}

LLVMValueRef moire__emit_narrow(moire__emitter *e, LLVMValueRef x) {
  const moire__ir *ir = &e->ir;
  bool minus = false;
  if (exact_half(ir, x, &minus)) return x;
  LLVMTypeRef word = words_like(ir, LLVMTypeOf(x));
  LLVMValueRef upper = LLVMBuildAnd(ir->at, round_bits(ir, x), moire__ir_integer(word, -0x10000), "");
  return LLVMBuildBitCast(ir->at, upper, LLVMTypeOf(x), "");
}

/* Registers of 16 lanes: both are rounded at once, then their halves interleaved. */
static LLVMValueRef pair_registers(const moire__ir *ir, LLVMValueRef low, LLVMValueRef high) {
  LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef order[2 * REGISTER], halves = round_registers(ir, low, high);
  for (int i = 0; i < 2 * REGISTER; i++)
    order[i] = LLVMConstInt(i32, (unsigned long long)(i / 2 + i % 2 * REGISTER), 0);
  halves = LLVMBuildShuffleVector(ir->at, halves, LLVMGetPoison(LLVMTypeOf(halves)),
                                  LLVMConstVector(order, 2 * REGISTER), "");
  return LLVMBuildBitCast(ir->at, halves, words_like(ir, LLVMTypeOf(low)), "");
}

LLVMValueRef moire__emit_pair(moire__emitter *e, LLVMValueRef low, LLVMValueRef high) {
  const moire__ir *ir = &e->ir;
  LLVMTypeRef word = words_like(ir, LLVMTypeOf(low));
  int lanes = moire__ir_lanes(LLVMTypeOf(low));
  if (in_hardware(e, LLVMTypeOf(low)) && lanes == REGISTER) return pair_registers(ir, low, high);
  if (in_hardware(e, LLVMTypeOf(low))) {
    LLVMValueRef part[2];
    for (int i = 0; i < 2; i++) {
      part[i] = moire__emit_pair(e, moire__ir_shuffle(ir, low, NULL, i * lanes / 2, 1, lanes / 2),
                                 moire__ir_shuffle(ir, high, NULL, i * lanes / 2, 1, lanes / 2));
    }
    return moire__ir_concat(ir, part[0], part[1]);
  }
  LLVMValueRef first = LLVMBuildZExt(ir->at, moire__emit_to_bf16(e, low), word, "");
  LLVMValueRef second = LLVMBuildZExt(ir->at, moire__emit_to_bf16(e, high), word, "");
  second = LLVMBuildShl(ir->at, second, moire__ir_integer(word, 16), "");
  return LLVMBuildOr(ir->at, first, second, "");
}

/* Registers of 16 lanes. */
static LLVMValueRef dot_register(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef pairs = LLVMVectorType(LLVMBFloatTypeInContext(ir->context), 2 * REGISTER);
  LLVMValueRef arguments[] = {c, LLVMBuildBitCast(ir->at, a, pairs, ""),
                              LLVMBuildBitCast(ir->at, b, pairs, "")};
  return moire__ir_intrinsic(ir, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, 0, arguments, 3);
}

static LLVMValueRef dot_by_fma(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef word = LLVMTypeOf(a), real = LLVMTypeOf(c);
  LLVMValueRef sixteen = moire__ir_integer(word, 16), upper = moire__ir_integer(word, -0x10000);
  LLVMValueRef a_low = LLVMBuildBitCast(ir->at, LLVMBuildShl(ir->at, a, sixteen, ""), real, "");
  LLVMValueRef b_low = LLVMBuildBitCast(ir->at, LLVMBuildShl(ir->at, b, sixteen, ""), real, "");
  LLVMValueRef a_high = LLVMBuildBitCast(ir->at, LLVMBuildAnd(ir->at, a, upper, ""), real, "");
  LLVMValueRef b_high = LLVMBuildBitCast(ir->at, LLVMBuildAnd(ir->at, b, upper, ""), real, "");
  return moire__ir_fma(ir, a_high, b_high, moire__ir_fma(ir, a_low, b_low, c));
}

LLVMValueRef moire__emit_dot(moire__emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  const moire__ir *ir = &e->ir;
  int lanes = moire__ir_lanes(LLVMTypeOf(c));
  if (!in_hardware(e, LLVMTypeOf(c))) return dot_by_fma(ir, a, b, c);
  if (lanes == REGISTER) return dot_register(ir, a, b, c);
  LLVMValueRef part[2];
  for (int i = 0; i < 2; i++) {
    part[i] = moire__emit_dot(e, moire__ir_shuffle(ir, a, NULL, i * lanes / 2, 1, lanes / 2),
                              moire__ir_shuffle(ir, b, NULL, i * lanes / 2, 1, lanes / 2),
                              moire__ir_shuffle(ir, c, NULL, i * lanes / 2, 1, lanes / 2));
  }
  return moire__ir_concat(ir, part[0], part[1]);
}
