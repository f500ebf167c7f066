/* The language: parts of complex numbers. */
#include "compiler/ir/language/language.h"

moire_value moire_complex_at(moire_source at, moire_value re, moire_value im) {
  moire_value planes[] = {re, im};
  moire__broadcast_together(at, "complex", planes, 2);
  return moire__emit_binary(at, MOIRE__OP_complex, planes[0], planes[1]);
}

moire_value moire_real_at(moire_source at, moire_value z) { return moire__emit_unary(at, MOIRE__OP_real, z); }

moire_value moire_imag_at(moire_source at, moire_value z) { return moire__emit_unary(at, MOIRE__OP_imag, z); }

moire_value moire_conj_at(moire_source at, moire_value z) { return moire__emit_unary(at, MOIRE__OP_conj, z); }

moire_value moire_abs2_at(moire_source at, moire_value z) { return moire__emit_unary(at, MOIRE__OP_abs2, z); }

moire_value moire_hermitian_at(moire_source at, moire_value z) {
  moire_value swapped = moire_swap_axes_at(at, z, -2, -1);
  return moire__is_complex(swapped) ? moire_conj_at(at, swapped) : swapped;
}
