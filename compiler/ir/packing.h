/* What a graph whose padding is left out says of its tokens, in inputs that the runtime computes (the pass
 * `pack`).
 *
 * The extent T_NAME has the inputs NAME.tokens, NAME.slots, ... of moire_plan_packing. If NAME is an input
 * ids[B, L] and they have no attributes beside those of every input, tokens are where ids are; otherwise
 *
 *   length    L
 *   block     T is this times T_NAME
 *   lengths   an input i32[B]: the first lengths[b] positions of a row are tokens; and so are
 *   targets   an input i32[B,L]: those up to the last whose target is not
 *   ignored   this number
 *
 * of which at least one of `lengths` and `targets` (with `ignored`) is there.
 */
#ifndef MOIRE_COMPILER_IR_PACKING_H
#define MOIRE_COMPILER_IR_PACKING_H

#include "compiler/ir/graph/graph.h"

typedef struct moire__graph_packing {
  int extent;       /* number of T_NAME; 0: nothing is packed */
  const char *name; /* borrows */
  int64_t length, block;
  int32_t ids, lengths, targets; /* values of inputs, 0: none */
  int64_t ignored;
} moire__graph_packing;

/* A graph that names an input that is not there any more is a mistake: a sentence. */
moire_status moire__graph_find_packing(const moire_graph *g, moire__graph_packing *out, moire_error *error);

#endif
