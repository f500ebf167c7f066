/* What ops on the tokens of packed samples share (runtime/base/packing.h).
 *
 * Their operands are, one behind the other: tokens i32[T], the position b L + t that each token stood at; slots
 * i32[B L], the token of each position or -1; starts and counts i32[B], sample b's tokens being those from
 * starts[b] on. Whoever needs no slots does without.
 */
#ifndef MOIRE_OPS_SEQUENCE_PACKED_H
#define MOIRE_OPS_SEQUENCE_PACKED_H

#include "compiler/ir/op.h"

/* Of an op that reads x [B, L, D] at operand 0 and has the others from operand `first` on: are they there, and
 * x small enough (moire__packed_filter_fits)? `n` is 4, or 3 without slots. */
moire_status moire__infer_packed(moire__infer *c, int first, int n);

/* Reference: do the samples lie among the tokens, one after the other, each token where it says it stood? The
 * operands by their number; false with a sentence. */
bool moire__packed_is_sound(const moire__reference *c, int tokens, int starts, int counts, int64_t length);

/* Sample: tokens, slots, starts and counts of 3 samples of `length` positions. The first has 4 tokens, the
 * second 1, the third all but its fourth position; where length is less than 6, all positions are tokens. */
typedef struct moire__sample_packing {
  moire_value tokens, slots, starts, counts;
  moire_dim n_tokens; /* T */
} moire__sample_packing;

moire__sample_packing moire__sample_pack(moire__sampler *s, int64_t length);

#endif
