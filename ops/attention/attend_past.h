/* attend_past, attend_past_real: what their parts share (ops/attention/attend_past.c). */
#ifndef MOIRE_OPS_ATTENTION_ATTEND_PAST_H
#define MOIRE_OPS_ATTENTION_ATTEND_PAST_H

#include "compiler/ir/op.h"

/* Operands: the first plane of each, and their planes. */
typedef struct moire__past_layout {
  int planes, k, v, past_k, past_v, first; /* q is operand 0 */
} moire__past_layout;

moire__past_layout moire__past_layout_of(const moire__node *node);

#endif
