/* Lowering of depthwise convolutions: what whole sequences (lower_conv.c) and tokens
 * (lower_conv_tokens.c) share (lower_conv_taps.c). */
#ifndef MOIRE_OPS_SEQUENCE_LOWER_CONV_H
#define MOIRE_OPS_SEQUENCE_LOWER_CONV_H

#include "compiler/ir/loop/lower.h"

enum { MOIRE__CONV_CHUNK = 24 }; /* weights or sums in registers */

typedef struct moire__conv {
  moire__lowering *l;
  moire__view x, other; /* other: w, or y of the weight's gradient */
  bool reverse;
  int n_taps;
  const int64_t *shifts; /* of every tap */
  int64_t *distinct;     /* ascending */
  int n_distinct;
  moire__loop_value length, channel;
} moire__conv;

/* After the operands have been added as reads. */
moire__conv moire__conv_describe(moire__lowering *l);
/* Element (i, j, k) of a view of three axes; (j, k) of two, i being no matter; (k) of one. */
moire__loop_value moire__conv_load(moire__lowering *l, const moire__view *view, moire__loop_value i,
                                   moire__loop_value j, moire__loop_value k);
/* The weights of a shift: the sum over its taps. */
moire__loop_value moire__conv_load_weight(moire__conv *c, int64_t shift);

/* The gradient of the weights is summed up in a fixed number of pieces of the batch. */
typedef struct moire__conv_parts {
  int extra;
  moire__loop_buffer buffer;
  moire_dim elements;                /* of a piece */
  moire__loop_value base, low, high; /* of the piece at hand: its offset, and its samples */
} moire__conv_parts;

moire__conv_parts moire__conv_add_parts(moire__conv *c);           /* before the body: the buffer */
void moire__conv_open_parts(moire__conv *c, moire__conv_parts *p); /* opens the body */
/* The piece's sum for a shift, at the current channel: of every tap that has the shift. */
void moire__conv_store_part(moire__conv *c, const moire__conv_parts *p, int64_t shift, moire__loop_value sum);

/* Of packed samples (ops/sequence/lower_conv_tokens.c). */
void moire__conv_lower_tokens(moire__lowering *l);
void moire__conv_weight_lower_tokens(moire__lowering *l);

#endif
