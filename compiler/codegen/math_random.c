/* Philox4x32-10 in vector registers.
 *
 * One block of four words is computed for each lane, and the lane's own word selected. The product of two
 * 32-bit numbers is wanted whole (64 bits); vector units multiply the even lanes of a register that way, so the
 * odd lanes are shifted down, multiplied on their own, and the halves shuffled back into place.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The use of key
 * and counter is that of runtime/base/philox.h.
 */
#include "compiler/codegen/math.h"

typedef struct halves {
  LLVMValueRef high, low;
} halves;

static halves multiply_scalar(const moire__ir *ir, LLVMValueRef x, uint32_t factor) {
  LLVMTypeRef i64 = LLVMInt64TypeInContext(ir->context), i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef wide = LLVMBuildMul(ir->at, LLVMBuildZExt(ir->at, x, i64, ""), LLVMConstInt(i64, factor, 0), "");
  LLVMValueRef high = LLVMBuildLShr(ir->at, wide, LLVMConstInt(i64, 32, 0), "");
  return (halves){LLVMBuildTrunc(ir->at, high, i32, ""), LLVMBuildTrunc(ir->at, wide, i32, "")};
}

/* Lane i of a chosen from the products of even and odd lanes, seen as pairs (low, high): from = 0 low, 1 high.
 */
static LLVMValueRef interleave(const moire__ir *ir, LLVMValueRef even, LLVMValueRef odd, int from, int lanes) {
  LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef chosen[256];
  for (int i = 0; i < lanes; i++) {
    int at = i % 2 == 0 ? i + from : lanes + i - 1 + from;
    chosen[i] = LLVMConstInt(i32, (unsigned long long)at, 0);
  }
  return LLVMBuildShuffleVector(ir->at, even, odd, LLVMConstVector(chosen, (unsigned)lanes), "");
}

static halves multiply(const moire__ir *ir, LLVMValueRef x, uint32_t factor) {
  LLVMTypeRef narrow = LLVMTypeOf(x);
  int lanes = moire__ir_lanes(narrow);
  if (lanes < 2) return multiply_scalar(ir, x, factor);
  LLVMTypeRef wide = moire__ir_widen(LLVMInt64TypeInContext(ir->context), lanes / 2);
  LLVMValueRef pairs = LLVMBuildBitCast(ir->at, x, wide, ""), by = moire__ir_integer(wide, factor);
  LLVMValueRef even = LLVMBuildAnd(ir->at, pairs, moire__ir_integer(wide, 0xffffffff), "");
  LLVMValueRef odd = LLVMBuildLShr(ir->at, pairs, moire__ir_integer(wide, 32), "");
  even = LLVMBuildBitCast(ir->at, LLVMBuildMul(ir->at, even, by, ""), narrow, "");
  odd = LLVMBuildBitCast(ir->at, LLVMBuildMul(ir->at, odd, by, ""), narrow, "");
  return (halves){interleave(ir, even, odd, 1, lanes), interleave(ir, even, odd, 0, lanes)};
}

/* x in the shape of `type`: as it is, or a scalar in all lanes. */
static LLVMValueRef spread(const moire__ir *ir, LLVMValueRef x, LLVMTypeRef type) {
  bool same = moire__ir_lanes(LLVMTypeOf(x)) == moire__ir_lanes(type);
  return same ? x : moire__ir_splat(ir, x, moire__ir_lanes(type));
}

/* counter[4] becomes the block of its words under key; the key's parts may be scalars. */
static void philox(const moire__ir *ir, LLVMValueRef counter[4], LLVMValueRef key_low, LLVMValueRef key_high) {
  LLVMTypeRef type = LLVMTypeOf(counter[0]);
  for (int round = 0; round < 10; round++) {
    if (round) {
      key_low = LLVMBuildAdd(ir->at, key_low, moire__ir_integer(LLVMTypeOf(key_low), 0x9E3779B9), "");
      key_high = LLVMBuildAdd(ir->at, key_high, moire__ir_integer(LLVMTypeOf(key_high), 0xBB67AE85), "");
    }
    halves a = multiply(ir, counter[0], 0xD2511F53), b = multiply(ir, counter[2], 0xCD9E8D57);
    LLVMValueRef x = LLVMBuildXor(ir->at, b.high, spread(ir, key_low, type), "");
    LLVMValueRef y = LLVMBuildXor(ir->at, a.high, spread(ir, key_high, type), "");
    counter[0] = LLVMBuildXor(ir->at, x, counter[1], "");
    counter[1] = b.low;
    counter[2] = LLVMBuildXor(ir->at, y, counter[3], "");
    counter[3] = a.low;
  }
}

LLVMValueRef moire__math_random(const moire__ir *ir, const LLVMValueRef operands[5]) {
  LLVMValueRef element = operands[4];
  LLVMTypeRef wide = LLVMTypeOf(element), word = moire__ir_like(wide, LLVMInt32TypeInContext(ir->context));
  LLVMValueRef group = LLVMBuildLShr(ir->at, element, moire__ir_integer(wide, 6), "");
  LLVMValueRef in_group = LLVMBuildAnd(ir->at, element, moire__ir_integer(wide, 15), "");
  LLVMValueRef block =
      LLVMBuildOr(ir->at, LLVMBuildShl(ir->at, group, moire__ir_integer(wide, 4), ""), in_group, "");
  LLVMValueRef block_high = LLVMBuildLShr(ir->at, block, moire__ir_integer(wide, 32), "");
  LLVMValueRef counter[] = {
      LLVMBuildTrunc(ir->at, block, word, ""),
      LLVMBuildTrunc(ir->at, block_high, word, ""),
      spread(ir, operands[3], word),
      spread(ir, operands[2], word),
  };
  philox(ir, counter, operands[0], operands[1]);
  LLVMValueRef bits = LLVMBuildTrunc(ir->at, element, word, "");
  LLVMValueRef zero = LLVMConstNull(word);
  LLVMValueRef low = LLVMBuildAnd(ir->at, bits, moire__ir_integer(word, 16), "");
  LLVMValueRef high = LLVMBuildAnd(ir->at, bits, moire__ir_integer(word, 32), "");
  LLVMValueRef is_odd = LLVMBuildICmp(ir->at, LLVMIntNE, low, zero, "");
  LLVMValueRef is_upper = LLVMBuildICmp(ir->at, LLVMIntNE, high, zero, "");
  LLVMValueRef first = LLVMBuildSelect(ir->at, is_odd, counter[1], counter[0], "");
  LLVMValueRef second = LLVMBuildSelect(ir->at, is_odd, counter[3], counter[2], "");
  return LLVMBuildSelect(ir->at, is_upper, second, first, "");
}
