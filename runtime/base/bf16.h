/* Numbers of eight significant bits: the upper half of a float. */
#ifndef MOIRE_RUNTIME_BASE_BF16_H
#define MOIRE_RUNTIME_BASE_BF16_H

#include <stdint.h>

/* To the nearest bf16, ties to even: rounded once, not to float32 on the way, which would make a tie of what
 * lies within half a unit of float32 beside one. What is too large is infinite; a NaN stays one. */
uint16_t moire__bf16_from_double(double x);
double moire__bf16_to_double(uint16_t half);

#endif
