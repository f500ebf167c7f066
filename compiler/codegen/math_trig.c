/* f32 sin, cos and atan2.
 *
 * An angle is reduced to a quadrant and a rest within pi/4 (math_angle.c), in f64, so that the rest has all 24
 * bits of an f32 even next to a multiple of pi/2; then sine and cosine of the rest are polynomials, of which
 * the quadrant picks one and a sign.
 */
#include "compiler/codegen/math_words.h"

/* (sin r - r) / r^3, 2^-28, and (cos r - 1 + r^2 / 2) / r^4, 2^-33, in r^2. */
static const double sine_tail[] = {-0.16666655242443085, 0.008332189172506332, -0.0001951828453456983};
static const double cosine_tail[] = {0.04166664555668831, -0.0013887309469282627, 2.4432327336398885e-05};

/* The sine of x + turn * pi/2. */
static word wave(const moire__math *m, word x, int turn) {
  moire__math_angle angle = moire__math_reduce_angle(m, LLVMBuildFPExt(m->ir.at, x, f64_like(m, x), ""));
  word r = LLVMBuildFPTrunc(m->ir.at, angle.rest, f32_like(m, x), "");
  word square = mul(m, r, r);
  word sine = fma3(m, mul(m, r, square), POLYNOMIAL(m, square, sine_tail), r);
  word cosine =
      fma3(m, mul(m, square, square), POLYNOMIAL(m, square, cosine_tail), fma_c(m, square, -0.5, real(x, 1.0)));
  word quadrant = turn ? i_add_c(m, angle.quadrant, turn) : angle.quadrant;
  word odd = i_and_c(m, quadrant, 1);
  word is_odd = LLVMBuildICmp(m->ir.at, LLVMIntNE, odd, whole(odd, 0), "");
  word flip = shift_left(m, i_and_c(m, quadrant, 2), 30); /* the sign bit */
  word result = bits_of(m, pick(m, is_odd, cosine, sine));
  result = real_of_bits(m, LLVMBuildXor(m->ir.at, result, flip, ""));
  return pick(m, less_c(m, magnitude(m, x), INFINITY), result, real(x, NAN));
}

/* 2 ulp; sin(-0) is -0, which the polynomial loses. */
word moire__math_sin_f32(const moire__math *m, word x) { return pick(m, equal_c(m, x, 0.0), x, wave(m, x, 0)); }

/* 2 ulp. */
word moire__math_cos_f32(const moire__math *m, word x) { return wave(m, x, 1); }

/* The angle within the first octant is atan q, q = smaller / larger of |x|, |y|; then it is mirrored at pi/4,
 * at pi/2 and at the axis. 0 / 0 counts as 0, infinity / infinity as 1. */
word moire__math_angle_of(const moire__math *m, word y, word x, moire__math_atan how) {
  word size_x = magnitude(m, x), size_y = magnitude(m, y);
  word steep = less(m, size_x, size_y);
  word small = pick(m, steep, size_x, size_y), large = pick(m, steep, size_y, size_x);
  word q = divide(m, small, large);
  q = pick_c(m, equal_c(m, large, 0.0), 0.0, q);
  q = pick_c(m, equal_c(m, small, INFINITY), 1.0, q);
  word square = mul(m, q, q);
  word angle = fma3(m, mul(m, q, square), polynomial(m, square, how.tail, how.n), q);
  angle = pick(m, steep, add_c(m, c_sub(m, how.half_pi, angle), how.half_pi_low), angle);
  word bits = bits_of(m, x);
  word backwards = LLVMBuildICmp(m->ir.at, LLVMIntSLT, bits, whole(bits, 0), ""); /* also for -0 */
  angle = pick(m, backwards, add_c(m, c_sub(m, 2 * how.half_pi, angle), 2 * how.half_pi_low), angle);
  angle = with_sign_of(m, angle, y);
  return pick(m, LLVMBuildFCmp(m->ir.at, LLVMRealUNO, x, y, ""), real(x, NAN), angle);
}

/* 2 ulp. */
word moire__math_atan2_f32(const moire__math *m, word y, word x) {
  static const double tail[] = {-0.33333298563957214, 0.1999852955341339,   -0.14264015853405,
                                0.10950881987810135,  -0.08399324119091034, 0.057882096618413925,
                                -0.03109823167324066, 0.010869698598980904, -0.0017831322038546205}; /* 2^-28 */
  return moire__math_angle_of(m, y, x, (moire__math_atan){tail, 9, 0x1.921fb6p+0, -0x1.777a5cp-25});
}
