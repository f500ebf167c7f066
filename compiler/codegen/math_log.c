/* f32 log and pow: what rests on the logarithm.
 *
 * x = 2^e m with m in [sqrt 1/2, sqrt 2): subtracting the bits of sqrt 1/2 from those of x leaves e in the
 * exponent's place, rounded the right way.
 *
 * pow is computed in f64: b log2 a may be 128, so that its error of 2^-45 relative is 2^-38 of the result.
 */
#include "compiler/codegen/math_words.h"

static const double smallest_normal = 0x1p-126;

/* log x = e ln 2 + log1p(f), f = m - 1, log1p(f) = f - f^2 / 2 + f^3 P(f). Subnormal x are scaled up first.
 * 1.0 ulp. */
word moire__math_log_f32(const moire__math *m, word x) {
  static const double tail[] = {0.3333331346511841,  -0.2500016689300537, 0.20002222061157227,
                                -0.1665937304496765, 0.1420963853597641,  -0.12549568712711334,
                                0.12107862532138824, -0.1091921478509903, 0.053479306399822235}; /* 2^-29 */
  static const double ln2_high = 0x1.62e43p-1, ln2_low = -0x1.05c61p-29;
  word subnormal = less_c(m, x, smallest_normal);
  word bits = bits_of(m, pick(m, subnormal, mul_c(m, x, 0x1p23), x));
  word exponent = shift_right_signed(m, i_add_c(m, bits, -0x3f3504f3), 23); /* the bits of sqrt 1/2 */
  word f = sub_c(m, real_of_bits(m, i_sub(m, bits, shift_left(m, exponent, 23))), 1.0);
  word e = LLVMBuildSIToFP(m->ir.at, exponent, f32_like(m, x), "");
  e = pick(m, subnormal, sub_c(m, e, 23.0), e);
  word square = mul(m, f, f);
  word small = fma3(m, mul(m, f, square), POLYNOMIAL(m, f, tail), mul_c(m, e, ln2_low));
  small = fma_c(m, square, -0.5, small);
  word result = fma_c(m, e, ln2_high, add(m, f, small));
  word outside = pick(m, equal_c(m, x, 0.0), real(x, -INFINITY), real(x, NAN));
  result = pick(m, more_c(m, x, 0.0), result, outside);
  return pick_c(m, equal_c(m, x, INFINITY), INFINITY, result);
}

/* log2 a = e + s Q(s^2), s = (m - 1) / (m + 1). Every positive f32 is a normal f64. */
static word log2_f64(const moire__math *m, word a) {
  static const double series[] = {2.88539008177785,    0.9617966941134385, 0.5770779423349516,
                                  0.41220925560332167, 0.3199055564063636, 0.2829022808690676}; /* 2^-45 */
  static const double shifter = 0x1.8p52;
  word bits = bits_of(m, a);
  word exponent = shift_right_signed(m, i_add_c(m, bits, -0x3fe6a09e667f3bcd), 52); /* the bits of sqrt 1/2 */
  word mantissa = real_of_bits(m, i_sub(m, bits, shift_left(m, exponent, 52)));
  word e = sub_c(m, real_of_bits(m, i_add_c(m, exponent, 0x4338000000000000)), shifter);
  word s = divide(m, sub_c(m, mantissa, 1.0), add_c(m, mantissa, 1.0));
  return fma3(m, s, POLYNOMIAL(m, mul(m, s, s), series), e);
}

/* 2^t for |t| < 1000. */
static word exp2_f64(const moire__math *m, word t) {
  static const double power[] = {0.9999999999610721,     0.6931471820802233,    0.24022651208717088,
                                 0.055504095384368284,   0.009618014205283817,  0.0013333119174558895,
                                 0.00015475064914076793, 1.5593843714876164e-05}; /* 2^-32 */
  static const double shifter = 0x1.8p52;
  word shifted = add_c(m, t, shifter);
  word rest = sub(m, t, sub_c(m, shifted, shifter));
  word n = bits_of(m, shifted); /* its low bits; what is above them leaves on the left */
  word scale = real_of_bits(m, shift_left(m, i_add_c(m, n, 1023), 52));
  return mul(m, POLYNOMIAL(m, rest, power), scale);
}

/* a^b for a >= 0 (-0 counts as 0); 0^b, infinities and NaN as in C. A negative a gives NaN. 1.0 ulp. */
word moire__math_pow_f32(const moire__math *m, word a, word b) {
  word wide_a = LLVMBuildFPExt(m->ir.at, a, f64_like(m, a), "");
  word wide_b = LLVMBuildFPExt(m->ir.at, b, f64_like(m, b), "");
  word log = log2_f64(m, wide_a);
  word outside = pick(m, equal_c(m, wide_a, 0.0), real(log, -INFINITY), real(log, NAN));
  log = pick(m, more_c(m, wide_a, 0.0), log, outside);
  log = pick_c(m, equal_c(m, wide_a, INFINITY), INFINITY, log);
  word t = clamp(m, mul(m, wide_b, log), -200.0, 200.0);
  word result = LLVMBuildFPTrunc(m->ir.at, exp2_f64(m, t), f32_like(m, a), "");
  word is_one = LLVMBuildOr(m->ir.at, equal_c(m, a, 1.0), equal_c(m, b, 0.0), "");
  return pick_c(m, is_one, 1.0, result);
}
