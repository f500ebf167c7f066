/* Reduction of an angle to a quadrant and a rest, in f64, for every f32.
 *
 * Up to 2^46: k = round(x * 2/pi), rest = x - k pi/2 by two fma with pi/2 in 106 bits. The product with the
 * first part is exact within the fma, what is missing of pi/2 contributes less than 2^46 * 2^-107, and no f32
 * comes nearer than about 2^-30 to a multiple of pi/2.
 *
 * Beyond: x = n 2^s with a 24-bit integer n, so x * 2/pi mod 4 is n times (2^s * 2/pi mod 4), and that number,
 * for each of the 82 values of s, is a window of the binary digits of 2/pi. It is held in three parts: the
 * first two of 29 bits, so that their products with n are exact. This path is taken only if some lane needs it.
 *
 * Source of the idea: Payne, Hanek, "Radian reduction for trigonometric functions", SIGNUM 1983.
 */
#include "compiler/codegen/math_words.h"

enum { FIRST_SHIFT = 23, N_SHIFTS = 82, PART_BITS = 29 };

static const double shifter = 0x1.8p52;

/* Bits [first, first + n) of 2/pi, where bit 1 has the weight 1/2 and bits up to 0 are 0; n <= 53. */
static uint64_t digits(int first, int n) {
  static const uint32_t two_per_pi[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                        0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
  uint64_t bits = 0;
  for (int i = first; i < first + n; i++) {
    uint64_t bit = i < 1 ? 0 : two_per_pi[(i - 1) / 32] >> (31 - (i - 1) % 32) & 1;
    bits = bits << 1 | bit;
  }
  return bits;
}

/* The table of 2^s * 2/pi mod 4: part `part` for every s, as a constant of the module. */
static word table(const moire__math *m, int part) {
  static const char *const names[] = {"moire.angle.0", "moire.angle.1", "moire.angle.2"};
  word found = LLVMGetNamedGlobal(m->ir.module, names[part]);
  if (found) return found;
  LLVMTypeRef f64 = LLVMDoubleTypeInContext(m->ir.context);
  word entries[N_SHIFTS];
  for (int i = 0; i < N_SHIFTS; i++) {
    int n = part < 2 ? PART_BITS : 53, skipped = part * PART_BITS;
    int first = FIRST_SHIFT + i - 1 + skipped; /* bit s - 1 of 2/pi has the weight 2 once multiplied by 2^s */
    entries[i] = LLVMConstReal(f64, ldexp((double)digits(first, n), 2 - skipped - n));
  }
  word global = LLVMAddGlobal(m->ir.module, LLVMArrayType2(f64, N_SHIFTS), names[part]);
  LLVMSetInitializer(global, LLVMConstArray2(f64, entries, N_SHIFTS));
  LLVMSetGlobalConstant(global, 1);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  LLVMSetAlignment(global, 64);
  return global;
}

static word look_up(const moire__math *m, int part, word index) {
  LLVMTypeRef f64 = LLVMDoubleTypeInContext(m->ir.context), type = f64_like(m, index);
  word at = LLVMBuildInBoundsGEP2(m->ir.at, f64, table(m, part), &index, 1, "");
  int lanes = moire__ir_lanes(type);
  if (!lanes) return LLVMBuildLoad2(m->ir.at, f64, at, "");
  LLVMTypeRef types[] = {type, LLVMTypeOf(at)};
  LLVMTypeRef mask = moire__ir_widen(LLVMInt1TypeInContext(m->ir.context), lanes);
  word arguments[] = {at, LLVMConstInt(LLVMInt32TypeInContext(m->ir.context), 8, 0), LLVMConstAllOnes(mask),
                      LLVMConstNull(type)};
  return moire__ir_intrinsic(&m->ir, "llvm.masked.gather", types, 2, arguments, 4);
}

static word low_half(const moire__math *m, word bits) {
  return LLVMBuildTrunc(m->ir.at, bits, i32_like(m, bits), "");
}

moire__math_angle moire__math_reduce_moderate_angle(const moire__math *m, word x) {
  word shifted = fma_c(m, x, 0x1.45f306dc9c883p-1, real(x, shifter));
  word k = sub_c(m, shifted, shifter);
  word rest = fma_c(m, k, -0x1.921fb54442d18p+0, x);
  return (moire__math_angle){low_half(m, bits_of(m, shifted)), fma_c(m, k, -0x1.1a62633145c07p-54, rest)};
}

static moire__math_angle reduce_huge(const moire__math *m, word x) {
  word bits = bits_of(m, x);
  word exponent = i_and_c(m, LLVMBuildLShr(m->ir.at, bits, whole(bits, 52), ""), 0x7ff);
  word index = i_add_c(m, exponent, -(1023 + 23 + FIRST_SHIFT)); /* 0 for 2^46 <= |x| < 2^47 */
  word outside =
      LLVMBuildICmp(m->ir.at, LLVMIntUGE, index, whole(index, N_SHIFTS), ""); /* also infinity, NaN */
  index = pick(m, outside, whole(index, 0), index);
  word n =
      i_add_c(m, i_and_c(m, bits, (int64_t)0x800fffffffffffff), (int64_t)(1023 + 23) << 52); /* |n| < 2^24 */
  n = real_of_bits(m, n);
  word first = mul(m, n, look_up(m, 0, index)), second = mul(m, n, look_up(m, 1, index));
  word turns = sub_c(m, add_c(m, mul_c(m, first, 0.25), shifter), shifter);
  first = fma_c(m, turns, -4.0, first); /* exact, and in [-2, 2] */
  word shifted = add_c(m, add(m, first, second), shifter);
  first = sub(m, first, sub_c(m, shifted, shifter)); /* exact: a multiple of 2^-27 */
  word quarter_turns = fma3(m, n, look_up(m, 2, index), add(m, first, second));
  return (moire__math_angle){low_half(m, bits_of(m, shifted)), mul_c(m, quarter_turns, 0x1.921fb54442d18p+0)};
}

moire__math_angle moire__math_reduce_angle(const moire__math *m, word x) {
  const moire__ir *ir = &m->ir;
  moire__math_angle near = moire__math_reduce_moderate_angle(m, x);
  word huge = LLVMBuildNot(ir->at, less_c(m, magnitude(m, x), 0x1p46), "");
  int lanes = moire__ir_lanes(LLVMTypeOf(huge));
  if (lanes) {
    LLVMTypeRef type = LLVMTypeOf(huge);
    huge = moire__ir_intrinsic(ir, "llvm.vector.reduce.or", &type, 1, &huge, 1);
  }
  LLVMBasicBlockRef before = LLVMGetInsertBlock(ir->at);
  LLVMBasicBlockRef rare = moire__ir_block(ir, "huge"), after = moire__ir_block(ir, "angle");
  LLVMBuildCondBr(ir->at, huge, rare, after);
  LLVMPositionBuilderAtEnd(ir->at, rare);
  word is_huge = LLVMBuildNot(ir->at, less_c(m, magnitude(m, x), 0x1p46), "");
  moire__math_angle far = reduce_huge(m, x);
  far.quadrant = pick(m, is_huge, far.quadrant, near.quadrant);
  far.rest = pick(m, is_huge, far.rest, near.rest);
  LLVMBuildBr(ir->at, after);
  LLVMPositionBuilderAtEnd(ir->at, after);
  LLVMBasicBlockRef from[] = {before, rare};
  word quadrants[] = {near.quadrant, far.quadrant}, rests[] = {near.rest, far.rest};
  moire__math_angle out = {LLVMBuildPhi(ir->at, LLVMTypeOf(near.quadrant), ""),
                           LLVMBuildPhi(ir->at, LLVMTypeOf(near.rest), "")};
  LLVMAddIncoming(out.quadrant, quadrants, from, 2);
  LLVMAddIncoming(out.rest, rests, from, 2);
  return out;
}
