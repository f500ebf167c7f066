/* Rounding to bf16. See bf16.h. */
#include "runtime/base/bf16.h"

#include <math.h>
#include <string.h>

uint16_t moire__bf16_from_double(double x) {
  float narrow = (float)x;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  if (isnan(narrow)) return (uint16_t)(bits >> 16 | 0x40);
  if (isfinite(x) && (double)narrow != x) {
    /* To odd: towards zero, with the last bit set for what was cut off. Rounding that to fewer bits gives what
     * rounding x gives. */
    if (fabs((double)narrow) > fabs(x)) bits--;
    bits |= 1;
  }
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double moire__bf16_to_double(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float wide;
  memcpy(&wide, &bits, sizeof wide);
  return (double)wide;
}
