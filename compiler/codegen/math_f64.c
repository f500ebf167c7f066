/* The functions in f64, for references and tests. Their methods are those of the f32 ones (math_exp.c,
 * math_log.c, math_trig.c) with longer polynomials, found in the same way; only pow carries its logarithm in
 * two parts.
 *
 * Errors: 2 ulp, tanh and erf 4 ulp, pow 32 ulp (where the result is near the ends of the range). sin and cos
 * of |x| >= 2^46 are NaN: there the distance between numbers is not small against a period, and nothing but a
 * reference of a reference would ask.
 */
#include "compiler/codegen/math_words.h"

static const double shifter = 0x1.8p52, ln2_high = 0x1.62e42fefa39efp-1, ln2_low = 0x1.abc9e3b39803fp-56;

/* ---- exponentials ------------------------------------------------------------------------------------------
 */

/* (e^r - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2], 2^-60. */
static const double exp_tail[] = {0.5,
                                  0.16666666666666682,
                                  0.04166666666666648,
                                  0.008333333333316784,
                                  0.0013888888888969923,
                                  0.00019841269897313645,
                                  2.4801587161458707e-05,
                                  2.755723375496396e-06,
                                  2.755741162031276e-07,
                                  2.511245737352394e-08,
                                  2.087248150980973e-09};

/* x = n ln 2 + rest; n in i64. */
typedef struct reduced {
  word n, rest;
} reduced;

/* The integer in the low bits of a real that has the shifter added. */
static word shifted_integer(const moire__math *m, word shifted) {
  return i_add_c(m, bits_of(m, shifted), -0x4338000000000000);
}

static reduced reduce(const moire__math *m, word x) {
  word shifted = fma_c(m, x, 0x1.71547652b82fep+0, real(x, shifter)), n = sub_c(m, shifted, shifter);
  word rest = fma_c(m, n, -ln2_high, x);
  return (reduced){shifted_integer(m, shifted), fma_c(m, n, -ln2_low, rest)};
}

static word exp_less_one(const moire__math *m, word r) {
  return fma3(m, mul(m, r, r), POLYNOMIAL(m, r, exp_tail), r);
}

/* 2^n for -1022 <= n <= 1023. */
static word power_of_two(const moire__math *m, word n) {
  return real_of_bits(m, shift_left(m, i_add_c(m, n, 1023), 52));
}

/* p 2^n, rounded once. */
static word scale(const moire__math *m, word p, word n) {
  word half = shift_right_signed(m, n, 1);
  return mul(m, mul(m, p, power_of_two(m, half)), power_of_two(m, i_sub(m, n, half)));
}

word moire__math_exp_f64(const moire__math *m, word x) {
  reduced at = reduce(m, clamp(m, x, -760.0, 720.0));
  return scale(m, add_c(m, exp_less_one(m, at.rest), 1.0), at.n);
}

word moire__math_exp2_f64(const moire__math *m, word x) {
  x = clamp(m, x, -1080.0, 1025.0);
  word shifted = add_c(m, x, shifter);
  word rest = mul_c(m, sub(m, x, sub_c(m, shifted, shifter)), 0x1.62e42fefa39efp-1);
  return scale(m, add_c(m, exp_less_one(m, rest), 1.0), shifted_integer(m, shifted));
}

word moire__math_tanh_f64(const moire__math *m, word x) {
  word size = clamp(m, magnitude(m, x), 0.0, 22.0);
  reduced at = reduce(m, add(m, size, size));
  word power = power_of_two(m, at.n);
  word s = fma3(m, power, exp_less_one(m, at.rest), sub_c(m, power, 1.0));
  return with_sign_of(m, divide(m, s, add_c(m, s, 2.0)), x);
}

word moire__math_erf_f64(const moire__math *m, word x) {
  static const double near[] = {0.1283791670955126,      -0.376126389031841,      0.11283791670971098,
                                -0.026866170648031155,   0.005223977652694319,    -0.0008548328535909386,
                                0.00012055386192602636,  -1.4926881213256957e-05, 1.6481049736662027e-06,
                                -1.6556971187518285e-07, 1.6011756885218665e-08,  -1.6457744707290762e-09,
                                1.4330309277849197e-10}; /* erf(x) / x - 1 in x^2 on [0, 1], 2^-56 */
  static const double far[] = {
      -5.364941264616633,      -4.418160805994333,     -0.9237508418240402,     -0.016465118140581304,
      0.003570756343728653,    -0.0007323993518475713, 0.00013530938106955646,  -2.0706542674366315e-05,
      1.9520043272181235e-06,  2.038056399492293e-07,  -1.7287715580150437e-07, 5.766013574883665e-08,
      -1.4232701155814615e-08, 2.625425816843792e-09,  -1.530674022414381e-10,  -8.528272866325974e-11,
      1.7705673606498482e-11}; /* ln erfc in x - 2 on [1, 5.93], 2^-53 of erf */
  word size = clamp(m, magnitude(m, x), 0.0, 5.93);
  word small = fma3(m, size, POLYNOMIAL(m, mul(m, size, size), near), size);
  reduced at = reduce(m, POLYNOMIAL(m, sub_c(m, size, 2.0), far));
  word power = power_of_two(m, at.n);
  word complement = fma3(m, power, exp_less_one(m, at.rest), power);
  word result = pick(m, less_c(m, size, 1.0), small, c_sub(m, 1.0, complement));
  return with_sign_of(m, result, x);
}

/* ---- logarithms --------------------------------------------------------------------------------------------
 */

/* (ln((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, |s| <= (sqrt 2 - 1) / (sqrt 2 + 1), 2^-59. */
static const double log_tail[] = {0.6666666666666734,  0.39999999999416935, 0.2857142874193375,
                                  0.22222198616101588, 0.18183562249455695, 0.15314100333945455,
                                  0.14795481046532105};

/* x = 2^e mantissa with the mantissa in [sqrt 1/2, sqrt 2); both are reals. For positive finite x. */
typedef struct parts {
  word e, mantissa;
} parts;

static parts split(const moire__math *m, word x) {
  word subnormal = less_c(m, x, 0x1p-1022);
  word bits = bits_of(m, pick(m, subnormal, mul_c(m, x, 0x1p54), x));
  word exponent = shift_right_signed(m, i_add_c(m, bits, -0x3fe6a09e667f3bcd), 52); /* the bits of sqrt 1/2 */
  parts out = {.mantissa = real_of_bits(m, i_sub(m, bits, shift_left(m, exponent, 52)))};
  word e = sub_c(m, real_of_bits(m, i_add_c(m, exponent, 0x4338000000000000)), shifter);
  out.e = pick(m, subnormal, sub_c(m, e, 54.0), e);
  return out;
}

/* `log`, except where x is not positive and finite. */
static word log_everywhere(const moire__math *m, word x, word log) {
  word outside = pick(m, equal_c(m, x, 0.0), real(x, -INFINITY), real(x, NAN));
  log = pick(m, more_c(m, x, 0.0), log, outside);
  return pick_c(m, equal_c(m, x, INFINITY), INFINITY, log);
}

/* With s = f / (2 + f), ln(1 + f) = f - (f^2 / 2 - s (f^2 / 2 + R)), R = s^2 P(s^2). */
word moire__math_log_f64(const moire__math *m, word x) {
  parts at = split(m, x);
  word f = sub_c(m, at.mantissa, 1.0), s = divide(m, f, add_c(m, f, 2.0)), square = mul(m, s, s);
  word half = mul(m, mul_c(m, f, 0.5), f);
  word inner = fma3(m, square, POLYNOMIAL(m, square, log_tail), half);
  word small = fma3(m, s, inner, mul_c(m, at.e, ln2_low));
  return log_everywhere(m, x, fma_c(m, at.e, ln2_high, sub(m, f, sub(m, half, small))));
}

/* A number in two parts: low is at most half a unit in the last place of high. */
typedef struct pair {
  word high, low;
} pair;

/* log2 of a positive finite x to about 2^-62. */
static pair log2_in_parts(const moire__math *m, word x) {
  const double per_ln2_high = 0x1.71547652b82fep+0, per_ln2_low = 0x1.777d0ffda0d24p-56;
  parts at = split(m, x);
  word f = sub_c(m, at.mantissa, 1.0), d = add_c(m, at.mantissa, 1.0);
  word d_low = sub(m, at.mantissa, sub_c(m, d, 1.0));
  word s = divide(m, f, d);
  word rest = fma3(m, LLVMBuildFNeg(m->ir.at, s, ""), d, f);
  rest = fma3(m, LLVMBuildFNeg(m->ir.at, s, ""), d_low, rest);
  word s_low = divide(m, rest, d), square = mul(m, s, s);
  word tail = fma3(m, mul(m, s, square), POLYNOMIAL(m, square, log_tail), add(m, s_low, s_low));
  word twice = add(m, s, s), high = add(m, twice, tail), low = sub(m, tail, sub(m, high, twice));
  word scaled = mul_c(m, high, per_ln2_high);
  word scaled_low = fma_c(m, high, per_ln2_high, LLVMBuildFNeg(m->ir.at, scaled, ""));
  scaled_low = add(m, scaled_low, fma_c(m, high, per_ln2_low, mul_c(m, low, per_ln2_high)));
  word total = add(m, at.e, scaled);
  return (pair){total, add(m, sub(m, scaled, sub(m, total, at.e)), scaled_low)};
}

word moire__math_pow_f64(const moire__math *m, word a, word b) {
  pair log = log2_in_parts(m, a);
  word high = log_everywhere(m, a, log.high);
  word product = mul(m, b, high);
  word low = fma3(m, b, high, LLVMBuildFNeg(m->ir.at, product, ""));
  low = fma3(m, b, log.low, low);
  low = pick(m, less_c(m, magnitude(m, product), 1100.0), low, real(low, 0.0)); /* beyond, it is not a number */
  product = clamp(m, product, -1100.0, 1100.0);
  word shifted = add_c(m, product, shifter);
  word rest = add(m, sub(m, product, sub_c(m, shifted, shifter)), low);
  word power = add_c(m, exp_less_one(m, mul_c(m, rest, ln2_high)), 1.0);
  word result = scale(m, power, shifted_integer(m, shifted));
  word is_one = LLVMBuildOr(m->ir.at, equal_c(m, a, 1.0), equal_c(m, b, 0.0), "");
  return pick_c(m, is_one, 1.0, result);
}

/* ---- angles ------------------------------------------------------------------------------------------------
 */

/* The sine of x + turn * pi/2. */
static word wave(const moire__math *m, word x, int turn) {
  static const double sine_tail[] = {-0.1666666666666663,    0.00833333333332184,     -0.0001984126982935853,
                                     2.7557313538516237e-06, -2.5050734389740792e-08, 1.5895433327555544e-10};
  static const double cosine_tail[] = {0.041666666666666595,   -0.0013888888888873338, 2.480158728899748e-05,
                                       -2.755731421529916e-07, 2.087570511500985e-09,  -1.1358732777432896e-11};
  moire__math_angle angle = moire__math_reduce_moderate_angle(m, x);
  word r = angle.rest, square = mul(m, r, r);
  word sine = fma3(m, mul(m, r, square), POLYNOMIAL(m, square, sine_tail), r);
  word cosine =
      fma3(m, mul(m, square, square), POLYNOMIAL(m, square, cosine_tail), fma_c(m, square, -0.5, real(x, 1.0)));
  word quadrant = turn ? i_add_c(m, angle.quadrant, turn) : angle.quadrant;
  word odd = i_and_c(m, quadrant, 1), negative = i_and_c(m, quadrant, 2);
  word is_odd = LLVMBuildICmp(m->ir.at, LLVMIntNE, odd, whole(odd, 0), "");
  word is_negative = LLVMBuildICmp(m->ir.at, LLVMIntNE, negative, whole(negative, 0), "");
  word result = pick(m, is_odd, cosine, sine);
  result = pick(m, is_negative, LLVMBuildFNeg(m->ir.at, result, ""), result);
  return pick(m, less_c(m, magnitude(m, x), 0x1p46), result, real(x, NAN));
}

word moire__math_sin_f64(const moire__math *m, word x) { return pick(m, equal_c(m, x, 0.0), x, wave(m, x, 0)); }

word moire__math_cos_f64(const moire__math *m, word x) { return wave(m, x, 1); }

word moire__math_atan2_f64(const moire__math *m, word y, word x) {
  static const double tail[] = {
      -0.3333333333333307,   0.19999999999951748,  -0.14285714282582834,    0.11111111007030709,
      -0.09090906999824677,  0.07692279770676945,  -0.06666403275828647,    0.05880522008742477,
      -0.052534880730175315, 0.04722204247803612,  -0.04218834102322654,    0.03663419369079893,
      -0.029890564242591223, 0.021967249776722486, -0.013882803201545267,   0.0071831087153306095,
      -0.00287760547051665,  0.000828593611267841, -0.00015153890118459187, 1.3159746205420746e-05}; /* 2^-56 */
  return moire__math_angle_of(m, y, x,
                              (moire__math_atan){tail, 20, 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54});
}
