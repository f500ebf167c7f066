/* bf16 and tiles, as the interpreter of the loop IR computes them. */
#ifndef MOIRE_COMPILER_IR_LOOP_LOOP_NARROW_H
#define MOIRE_COMPILER_IR_LOOP_LOOP_NARROW_H

#include "compiler/ir/loop/loop.h"
#include "runtime/base/bf16.h"

int32_t moire__bf16_pair(double low, double high);
/* a.low b.low + a.high b.high: the products are exact, the sum is rounded to double. */
double moire__bf16_dot(int32_t a, int32_t b);

enum { MOIRE__TILE_WORDS = MOIRE__LOOP_TILE_SIDE * MOIRE__LOOP_TILE_SIDE };

/* What all tiles hold; the verifier has seen to it that each is only ever used as one of both. */
typedef struct moire__loop_tiles {
  double sums[MOIRE__LOOP_TILES][MOIRE__TILE_WORDS];
  int32_t pairs[MOIRE__LOOP_TILES][MOIRE__TILE_WORDS];
} moire__loop_tiles;

void moire__loop_tiles_spoil(moire__loop_tiles *t); /* NaN */
void moire__loop_tiles_zero(moire__loop_tiles *t, int tile);
/* Rounds each sum to f32 unless `in_double`. */
void moire__loop_tiles_dot(moire__loop_tiles *t, const int tiles[3], bool in_double);

#endif
