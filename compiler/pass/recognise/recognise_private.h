/* What the files of the recognise pass share. */
#ifndef MOIRE_COMPILER_PASS_RECOGNISE_RECOGNISE_PRIVATE_H
#define MOIRE_COMPILER_PASS_RECOGNISE_RECOGNISE_PRIVATE_H

#include "compiler/ir/op.h"

/* Which keys a query may see, as far as it has been read. */
typedef struct moire__recognised_mask {
  bool is_there;
  double value; /* added where a key may not be seen */
  bool causal;
  int32_t valid;      /* bool[B, keys], 0: none */
  bool is_blocked;    /* valid says which keys are not */
  bool fills;         /* it stands in place of scores, .. */
  bool of_infinity;   /* .. as -infinity */
  moire_shape scores; /* [B, H, queries, keys] */
} moire__recognised_mask;

/* Is the value (a term of scores) a mask? Fills `mask`, which holds the shape of the scores. */
bool moire__recognise_mask(const moire_graph *g, int32_t value, moire__recognised_mask *mask);

/* The scores that a mask is filled into; 0: it is none. Several may stand around each other. */
int32_t moire__recognise_fill(const moire_graph *g, int32_t value, moire__recognised_mask *mask);

/* The number that `value` is everywhere: a constant, broadcast or not. */
bool moire__recognise_number(const moire_graph *g, int32_t value, double *number);

/* re + i im. Where they are the planes of a value, that value; where the same views made both, these views of
 * what they were made of. */
moire_value moire__join_planes(moire_value re, moire_value im);

#endif
