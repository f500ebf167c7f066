/* Which instruction sets the processor has, and the best version of the code for it. */
#ifndef MOIRE_RUNTIME_AOT_CPU_H
#define MOIRE_RUNTIME_AOT_CPU_H

#include "runtime/aot/tables.h"

/* Features in groups, as the versions of a library want them. */
enum {
  MOIRE__AOT_CPU_X86_V3 =
      1, /* AVX2, FMA, F16C, BMI1, BMI2, LZCNT, MOVBE, with the registers saved by the system */
  MOIRE__AOT_CPU_X86_V4 = 2,    /* V3 and AVX-512 F, BW, DQ, VL, CD, likewise */
  MOIRE__AOT_CPU_X86_BF16 = 4,  /* V4 and AVX512-BF16 */
  MOIRE__AOT_CPU_X86_AMX = 8,   /* BF16, AMX-TILE and AMX-BF16, with tiles permitted by the system */
  MOIRE__AOT_CPU_X86_DOTS = 16, /* BF16, whose products of pairs are fast: runtime/base/dot_rate.h */
};

/* The first level whose features are all there and that pays; if there is none, the first that runs; NULL if
 * none does. */
static const moire__aot_level *moire__aot_choose_level(const moire__aot_tables *tables);

#endif
