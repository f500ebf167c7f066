/* Floating point numbers of 16 bits as float, exactly. */
#ifndef MOIRE_RUNTIME_FILES_HALF_H
#define MOIRE_RUNTIME_FILES_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static inline float moire__half_to_float(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float magnitude = 0;
  if (exponent == 31) {
    magnitude = fraction ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = (float)fraction * 0x1p-24f;
  } else {
    uint32_t wide = (uint32_t)(exponent + 112) << 23 | (uint32_t)fraction << 13;
    memcpy(&magnitude, &wide, sizeof magnitude);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

/* bfloat16 is the upper half of a binary32. */
static inline float moire__bfloat_to_float(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

#endif
