/* f32 exp, exp2, tanh and erf: what rests on e^x.
 *
 * e^x = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2. ln 2 is subtracted in two parts
 * by fma, the first of which leaves no rounding. n is had without a conversion: x / ln 2 + 1.5 * 2^23 has n in
 * its low mantissa bits. On [-ln 2 / 2, ln 2 / 2], e^r = 1 + r + r^2 P(r). 2^x leaves out the logarithm: where
 * a factor of x can take 1 / ln 2 in beforehand, it costs little more than half of e^x.
 *
 * All coefficients here and in the other math_*.c were computed for this file by the Remez exchange in 60-digit
 * arithmetic; they are rounded to the working type one by one from the lowest power up, the rest fitted again
 * after each. "2^-28" is the largest relative error that the polynomial itself leaves in the function.
 */
#include "compiler/codegen/math_words.h"

/* (e^r - 1 - r) / r^2, 2^-28. */
static const double exp_tail[] = {0.4999999403953552, 0.16666516661643982, 0.041668105870485306,
                                  0.008369140326976776, 0.0013836714206263423};
static const double per_ln2 = 0x1.715476p+0, ln2_high = 0x1.62e43p-1, ln2_low = -0x1.05c61p-29;
static const double shifter = 0x1.8p23;

/* x = n ln 2 + rest. n as a real, and as an integer in i32. */
typedef struct reduced {
  word n_real, n, rest;
} reduced;

static reduced reduce(const moire__math *m, word x) {
  word shifted = fma_c(m, x, per_ln2, real(x, shifter));
  reduced out = {.n_real = sub_c(m, shifted, shifter)};
  out.n = i_add_c(m, bits_of(m, shifted), -0x4b400000); /* the bits of the shifter */
  out.rest = fma_c(m, out.n_real, -ln2_high, x);
  out.rest = fma_c(m, out.n_real, -ln2_low, out.rest);
  return out;
}

/* e^r - 1. */
static word exp_less_one(const moire__math *m, word r) {
  return fma3(m, mul(m, r, r), POLYNOMIAL(m, r, exp_tail), r);
}

/* 2^n for -126 <= n <= 127. */
static word power_of_two(const moire__math *m, word n) {
  return real_of_bits(m, shift_left(m, i_add_c(m, n, 127), 23));
}

/* Whether x is a register of AVX-512, which has instructions for both ends of an exponential. */
static bool is_512(const moire__math *m, word x) {
  return m->vector_bits == 512 && moire__ir_lanes(LLVMTypeOf(x)) == 16;
}

static word integer(const moire__math *m, unsigned bits, unsigned value) {
  return LLVMConstInt(LLVMIntTypeInContext(m->ir.context, bits), value, 0);
}

enum { CURRENT_ROUNDING = 4, ALL_LANES = 0xffff };

/* p 2^n, rounded once, for real n that may be infinite; is_512 only. */
static word scale_512(const moire__math *m, word p, word n) {
  word arguments[] = {p, n, LLVMGetPoison(LLVMTypeOf(p)), integer(m, 16, ALL_LANES),
                      integer(m, 32, CURRENT_ROUNDING)};
  return moire__ir_intrinsic(&m->ir, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, arguments, 5);
}

/* x less the integer next to it, 0 where x is infinite; is_512 only. */
static word fraction_512(const moire__math *m, word x) {
  const unsigned nearest_without_exceptions = 8;
  word arguments[] = {x, integer(m, 32, nearest_without_exceptions), LLVMGetPoison(LLVMTypeOf(x)),
                      integer(m, 16, ALL_LANES), integer(m, 32, CURRENT_ROUNDING)};
  return moire__ir_intrinsic(&m->ir, "llvm.x86.avx512.mask.reduce.ps.512", NULL, 0, arguments, 5);
}

/* p 2^n, rounded once, for |n| <= 252. One instruction where there is one; otherwise in two steps of about n/2,
 * of which only the last can leave the range of normal numbers. */
static word scale(const moire__math *m, word p, reduced x) {
  if (is_512(m, p)) return scale_512(m, p, x.n_real);
  word half = shift_right_signed(m, x.n, 1);
  p = mul(m, p, power_of_two(m, half));
  return mul(m, p, power_of_two(m, i_sub(m, x.n, half)));
}

/* Where numbers below the normal range count as zero, one step does it: of 2 p (above 1) by 2^(n - 1), of which
 * only n = -126 is no normal number and 0 instead. So what is below 2^-125.5 is 0. Both n - 1 and the bias of
 * exponents are in the bits of the shifter. */
static const double flush_shifter = 0x1.8p23 + 126;

static word scale_flushed(const moire__math *m, word p_twice, word shifted) {
  return mul(m, p_twice, real_of_bits(m, shift_left(m, bits_of(m, shifted), 23)));
}

/* 1.2 ulp. */
static word exp_flushed(const moire__math *m, word x) {
  static const double twice[] = {2.0,
                                 2.0,
                                 0.999999880790711,
                                 0.33333033323287964,
                                 0.08333621174097061,
                                 0.016738280653953552,
                                 0.0027673428412526846};
  x = clamp(m, x, -87.6, 88.73);
  word shifted = fma_c(m, x, per_ln2, real(x, flush_shifter)), n = sub_c(m, shifted, flush_shifter);
  word rest = fma_c(m, n, -ln2_low, fma_c(m, n, -ln2_high, x));
  return scale_flushed(m, POLYNOMIAL(m, rest, twice), shifted);
}

/* 1.0 ulp. Beyond the clamp the result has long been infinite or 0. */
word moire__math_exp_f32(const moire__math *m, word x) {
  if (m->flush && !is_512(m, x)) return exp_flushed(m, x);
  x = clamp(m, x, -105.0, 90.0);
  reduced at = reduce(m, x);
  return scale(m, add_c(m, exp_less_one(m, at.rest), 1.0), at);
}

/* 2^r, for |r| <= 1/2. */
static word small_power(const moire__math *m, word r) {
  static const double tail[] = {0.6931472420692444,   0.24022655189037323,   0.05550272390246391,
                                0.009617063216865063, 0.0013418203452602029, 0.0001582050754223019}; /* 2^-27 */
  return fma3(m, r, POLYNOMIAL(m, r, tail), real(r, 1.0));
}

/* 2 2^r for |r| <= 1/2, 1 ulp before rounding: what takes 2^x has rounded x, mostly by more. Its halves do not
 * wait for each other, which shortens the chain from 24 cycles to 16. */
static word small_power_twice(const moire__math *m, word r) {
  static const double c[] = {2.0,
                             1.386293649673462,
                             0.4804447591304779,
                             0.11101792007684708,
                             0.01934344321489334,
                             0.0026449132710695267};
  word square = mul(m, r, r);
  word low = fma_c(m, r, c[2], real(r, c[1])), high = fma_c(m, r, c[4], real(r, c[3]));
  high = fma_c(m, square, c[5], high);
  return fma3(m, r, fma3(m, square, high, low), real(r, c[0]));
}

/* 1.9 ulp. */
static word exp2_flushed(const moire__math *m, word x) {
  x = clamp(m, x, -126.0, 128.0);
  word shifted = add_c(m, x, flush_shifter), n = sub_c(m, shifted, flush_shifter);
  return scale_flushed(m, small_power_twice(m, sub(m, x, n)), shifted);
}

/* 1.1 ulp. */
word moire__math_exp2_f32(const moire__math *m, word x) {
  if (is_512(m, x)) {
    word rest = fraction_512(m, x);
    return scale_512(m, small_power(m, rest), sub(m, x, rest));
  }
  if (m->flush) return exp2_flushed(m, x);
  x = clamp(m, x, -152.0, 129.0);
  word shifted = add_c(m, x, shifter), n = sub_c(m, shifted, shifter);
  word bits = i_add_c(m, bits_of(m, shifted), -0x4b400000);
  return scale(m, small_power(m, sub(m, x, n)), (reduced){.n_real = n, .n = bits});
}

/* tanh x = x + x^3 P(x^2) below 0.55, from there s / (s + 2) with s = e^(2|x|) - 1 = 2^n (e^r - 1) + (2^n - 1).
 * From 9.02 on the result is 1. 1.5 ulp. */
word moire__math_tanh_f32(const moire__math *m, word x) {
  static const double near[] = {-0.33333316445350647, 0.13332544267177582, -0.0538475476205349,
                                0.02105071395635605, -0.00624284939840436}; /* 2^-29 */
  word size = clamp(m, magnitude(m, x), 0.0, 10.0), square = mul(m, size, size);
  word small = fma3(m, mul(m, size, square), POLYNOMIAL(m, square, near), size);
  reduced at = reduce(m, add(m, size, size));
  word power = power_of_two(m, at.n);
  word s = fma3(m, power, exp_less_one(m, at.rest), sub_c(m, power, 1.0));
  word large = divide(m, s, add_c(m, s, 2.0));
  return with_sign_of(m, pick(m, less_c(m, size, 0.55), small, large), x);
}

/* erf x = x + x P(x^2) below 0.9, from there 1 - e^Q(|x|) where Q = ln erfc; from 3.95 on the result is 1. 1.5
 * ulp. */
word moire__math_erf_f32(const moire__math *m, word x) {
  static const double near[] = {0.12837916612625122,   -0.3761262893676758,  0.11283624172210693,
                                -0.026855560019612312, 0.005191753152757883, -0.0008039752719923854,
                                7.943100354168564e-05}; /* erf(x) / x - 1 in x^2 on [0, 0.9], 2^-30 */
  static const double far[] = {-0.00016644812421873212, -1.127797245979309,   -0.6369760632514954,
                               -0.10411371290683746,    0.022315239533782005, -0.0030654999427497387,
                               0.0001982209214475006}; /* ln erfc on [0.9, 3.95], 2^-29 of erf */
  word size = clamp(m, magnitude(m, x), 0.0, 3.95);
  word small = fma3(m, size, POLYNOMIAL(m, mul(m, size, size), near), size);
  reduced at = reduce(m, POLYNOMIAL(m, size, far));
  word power = power_of_two(m, at.n);
  word complement = fma3(m, power, exp_less_one(m, at.rest), power);
  word result = pick(m, less_c(m, size, 0.9), small, c_sub(m, 1.0, complement));
  return with_sign_of(m, result, x);
}
