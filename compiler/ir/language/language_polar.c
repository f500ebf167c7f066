/* The language: complex numbers by modulus and angle. */
#include "compiler/ir/language/language.h"

moire_value moire_polar_at(moire_source at, moire_value modulus, moire_value phase) {
  return moire_complex_at(at, moire_mul_at(at, modulus, moire_cos_at(at, phase)),
                          moire_mul_at(at, modulus, moire_sin_at(at, phase)));
}

moire_value moire_abs_at(moire_source at, moire_value x) {
  if (!moire__is_complex(x)) return moire__emit_unary(at, MOIRE__OP_abs, x);
  return moire__emit_binary(at, MOIRE__OP_hypot, moire_real_at(at, x), moire_imag_at(at, x));
}

moire_value moire_angle_at(moire_source at, moire_value z) {
  return moire_atan2_at(at, moire_imag_at(at, z), moire_real_at(at, z));
}
