/* bf16 and tiles for the interpreter: see loop_narrow.h. */
#include "compiler/ir/loop/loop_narrow.h"

#include <math.h>
#include <string.h>

int32_t moire__bf16_pair(double low, double high) {
  return (int32_t)((uint32_t)moire__bf16_from_double(high) << 16 | moire__bf16_from_double(low));
}

double moire__bf16_dot(int32_t a, int32_t b) {
  uint32_t x = (uint32_t)a, y = (uint32_t)b;
  double low = moire__bf16_to_double((uint16_t)x) * moire__bf16_to_double((uint16_t)y);
  return low + moire__bf16_to_double((uint16_t)(x >> 16)) * moire__bf16_to_double((uint16_t)(y >> 16));
}

void moire__loop_tiles_spoil(moire__loop_tiles *t) { memset(t, 0xff, sizeof *t); }

void moire__loop_tiles_zero(moire__loop_tiles *t, int tile) { memset(t->sums[tile], 0, sizeof t->sums[tile]); }

void moire__loop_tiles_dot(moire__loop_tiles *t, const int tiles[3], bool in_double) {
  enum { SIDE = MOIRE__LOOP_TILE_SIDE };
  for (int i = 0; i < MOIRE__TILE_WORDS; i++) {
    double *sum = &t->sums[tiles[0]][i];
    for (int k = 0; k < SIDE; k++) {
      *sum += moire__bf16_dot(t->pairs[tiles[1]][i / SIDE * SIDE + k], t->pairs[tiles[2]][k * SIDE + i % SIDE]);
      if (!in_double) *sum = (double)(float)*sum;
    }
  }
}
