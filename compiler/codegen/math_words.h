/* Short words in which the formulas of math_*.c are written, and what those files offer one another.
 *
 * Every word takes scalars or vectors of one shape. Constants come first as plain C numbers where a formula has
 * them: mul_c(m, x, 2.0) is 2x in all lanes.
 */
#ifndef MOIRE_COMPILER_CODEGEN_MATH_WORDS_H
#define MOIRE_COMPILER_CODEGEN_MATH_WORDS_H

#include "compiler/codegen/llvm_ir.h"

#include <math.h>
#include <stddef.h>

typedef LLVMValueRef word;

/* Where a formula is written. */
typedef struct moire__math {
  moire__ir ir;
  int vector_bits; /* of the target's registers */
  bool flush;      /* numbers below the normal range count as zero */
} moire__math;

static inline LLVMTypeRef f32_like(const moire__math *m, word x) {
  return moire__ir_like(LLVMTypeOf(x), LLVMFloatTypeInContext(m->ir.context));
}
static inline LLVMTypeRef f64_like(const moire__math *m, word x) {
  return moire__ir_like(LLVMTypeOf(x), LLVMDoubleTypeInContext(m->ir.context));
}
static inline LLVMTypeRef i32_like(const moire__math *m, word x) {
  return moire__ir_like(LLVMTypeOf(x), LLVMInt32TypeInContext(m->ir.context));
}
static inline LLVMTypeRef i64_like(const moire__math *m, word x) {
  return moire__ir_like(LLVMTypeOf(x), LLVMInt64TypeInContext(m->ir.context));
}

static inline word real(word like, double value) { return moire__ir_real(LLVMTypeOf(like), value); }
static inline word whole(word like, int64_t value) { return moire__ir_integer(LLVMTypeOf(like), value); }

static inline word add(const moire__math *m, word a, word b) { return LLVMBuildFAdd(m->ir.at, a, b, ""); }
static inline word sub(const moire__math *m, word a, word b) { return LLVMBuildFSub(m->ir.at, a, b, ""); }
static inline word mul(const moire__math *m, word a, word b) { return LLVMBuildFMul(m->ir.at, a, b, ""); }
static inline word divide(const moire__math *m, word a, word b) { return LLVMBuildFDiv(m->ir.at, a, b, ""); }
static inline word add_c(const moire__math *m, word a, double c) { return add(m, a, real(a, c)); }
static inline word sub_c(const moire__math *m, word a, double c) { return sub(m, a, real(a, c)); }
static inline word mul_c(const moire__math *m, word a, double c) { return mul(m, a, real(a, c)); }
static inline word c_sub(const moire__math *m, double c, word a) { return sub(m, real(a, c), a); }
/* a * b + c, rounded once; fma_c: with the constant factor b. */
static inline word fma3(const moire__math *m, word a, word b, word c) { return moire__ir_fma(&m->ir, a, b, c); }
static inline word fma_c(const moire__math *m, word a, double b, word c) { return fma3(m, a, real(a, b), c); }
static inline word magnitude(const moire__math *m, word a) { return moire__ir_call1(&m->ir, "llvm.fabs", a); }
static inline word with_sign_of(const moire__math *m, word size, word sign) {
  LLVMTypeRef type = LLVMTypeOf(size);
  word arguments[] = {size, sign};
  return moire__ir_intrinsic(&m->ir, "llvm.copysign", &type, 1, arguments, 2);
}

/* Comparisons are false if an operand is NaN. */
static inline word less(const moire__math *m, word a, word b) {
  return LLVMBuildFCmp(m->ir.at, LLVMRealOLT, a, b, "");
}
static inline word less_c(const moire__math *m, word a, double c) { return less(m, a, real(a, c)); }
static inline word more_c(const moire__math *m, word a, double c) { return less(m, real(a, c), a); }
static inline word equal_c(const moire__math *m, word a, double c) {
  return LLVMBuildFCmp(m->ir.at, LLVMRealOEQ, a, real(a, c), "");
}
static inline word pick(const moire__math *m, word condition, word yes, word no) {
  return LLVMBuildSelect(m->ir.at, condition, yes, no, "");
}
static inline word pick_c(const moire__math *m, word condition, double yes, word no) {
  return pick(m, condition, real(no, yes), no);
}
/* x moved into [low, high]; NaN stays. */
static inline word clamp(const moire__math *m, word x, double low, double high) {
  x = pick(m, less(m, x, real(x, low)), real(x, low), x);
  return pick(m, less(m, real(x, high), x), real(x, high), x);
}

/* Integers and bits. */
static inline word bits_of(const moire__math *m, word x) {
  bool narrow = moire__ir_element(LLVMTypeOf(x)) == LLVMFloatTypeInContext(m->ir.context);
  return LLVMBuildBitCast(m->ir.at, x, narrow ? i32_like(m, x) : i64_like(m, x), "");
}
static inline word real_of_bits(const moire__math *m, word x) {
  bool narrow = moire__ir_element(LLVMTypeOf(x)) == LLVMInt32TypeInContext(m->ir.context);
  return LLVMBuildBitCast(m->ir.at, x, narrow ? f32_like(m, x) : f64_like(m, x), "");
}
static inline word i_add(const moire__math *m, word a, word b) { return LLVMBuildAdd(m->ir.at, a, b, ""); }
static inline word i_sub(const moire__math *m, word a, word b) { return LLVMBuildSub(m->ir.at, a, b, ""); }
static inline word i_add_c(const moire__math *m, word a, int64_t c) { return i_add(m, a, whole(a, c)); }
static inline word i_and_c(const moire__math *m, word a, int64_t c) {
  return LLVMBuildAnd(m->ir.at, a, whole(a, c), "");
}
static inline word shift_left(const moire__math *m, word a, int n) {
  return LLVMBuildShl(m->ir.at, a, whole(a, n), "");
}
static inline word shift_right_signed(const moire__math *m, word a, int n) {
  return LLVMBuildAShr(m->ir.at, a, whole(a, n), "");
}

/* c[0] + c[1] x + ... + c[n - 1] x^(n - 1), by Horner's rule. */
static inline word polynomial(const moire__math *m, word x, const double *c, int n) {
  word sum = real(x, c[n - 1]);
  for (int i = n - 2; i >= 0; i--) sum = fma3(m, sum, x, real(x, c[i]));
  return sum;
}
#define POLYNOMIAL(m, x, c) polynomial(m, x, c, (int)(sizeof(c) / sizeof *(c)))

/* The functions, for one register or less at a time. */
word moire__math_exp_f32(const moire__math *m, word x);
word moire__math_exp2_f32(const moire__math *m, word x);
word moire__math_log_f32(const moire__math *m, word x);
word moire__math_tanh_f32(const moire__math *m, word x);
word moire__math_erf_f32(const moire__math *m, word x);
word moire__math_sin_f32(const moire__math *m, word x);
word moire__math_cos_f32(const moire__math *m, word x);
word moire__math_atan2_f32(const moire__math *m, word y, word x);
word moire__math_pow_f32(const moire__math *m, word a, word b);

/* Angles: x = quadrant * pi/2 + rest with |rest| <= pi/4 (1 + 2^-20), for every finite f64 x that is an f32;
 * the rest has a relative error below 2^-50. `quadrant` (i32) is right in its last two bits; rest is f64. */
typedef struct moire__math_angle {
  word quadrant, rest;
} moire__math_angle;
moire__math_angle moire__math_reduce_angle(const moire__math *m, word x);
/* The same for any f64 below 2^46 in size; the rest is then good to 2^-52 of itself, or 2^-107 x. */
moire__math_angle moire__math_reduce_moderate_angle(const moire__math *m, word x);

/* The angle of (x, y) with atan q = q + q^3 P(q^2) on [0, 1], and pi/2 in two parts. */
typedef struct moire__math_atan {
  const double *tail;
  int n;
  double half_pi, half_pi_low;
} moire__math_atan;
word moire__math_angle_of(const moire__math *m, word y, word x, moire__math_atan how);

word moire__math_exp_f64(const moire__math *m, word x);
word moire__math_exp2_f64(const moire__math *m, word x);
word moire__math_log_f64(const moire__math *m, word x);
word moire__math_tanh_f64(const moire__math *m, word x);
word moire__math_erf_f64(const moire__math *m, word x);
word moire__math_sin_f64(const moire__math *m, word x);
word moire__math_cos_f64(const moire__math *m, word x);
word moire__math_atan2_f64(const moire__math *m, word y, word x);
word moire__math_pow_f64(const moire__math *m, word a, word b);

#endif
