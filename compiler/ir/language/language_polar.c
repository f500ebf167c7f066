/* The language: complex numbers by modulus and angle. */
#include "compiler/ir/language/language.h"

moire_value moire_polar_at(moire_source at, moire_value modulus, moire_value phase) {
  return moire_complex_at(at, moire_mul_at(at, modulus, moire_cos_at(at, phase)),
                          moire_mul_at(at, modulus, moire_sin_at(at, phase)));
}

/* The square root is kept away from 0, where its slope is infinite: the gradient there is 0, as PyTorch has it.
 */
static moire_value modulus(moire_source at, moire_value z) {
  moire_value square = moire_abs2_at(at, z);
  if (moire_value_is_null(square)) return square;
  moire_value zero = moire_constant_at(at, z.graph, MOIRE_F32, moire_value_shape(z), 0);
  moire_value one = moire_constant_at(at, z.graph, MOIRE_F32, moire_value_shape(z), 1);
  moire_value vanishes = moire_equal_at(at, square, zero);
  return moire_where_at(at, vanishes, zero, moire_sqrt_at(at, moire_where_at(at, vanishes, one, square)));
}

moire_value moire_abs_at(moire_source at, moire_value x) {
  return moire__is_complex(x) ? modulus(at, x) : moire__emit_unary(at, MOIRE__OP_abs, x);
}

moire_value moire_angle_at(moire_source at, moire_value z) {
  return moire_atan2_at(at, moire_imag_at(at, z), moire_real_at(at, z));
}
