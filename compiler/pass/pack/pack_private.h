/* What the files of the pack pass share: which values become values of tokens. */
#ifndef MOIRE_COMPILER_PASS_PACK_PACK_PRIVATE_H
#define MOIRE_COMPILER_PASS_PACK_PACK_PRIVATE_H

#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"

typedef struct moire__pack {
  const moire_graph *g;
  moire__arena arena;
  int32_t ids;               /* the input ids[B, L] */
  moire_dim samples, length; /* B, L */
  bool *packed, *refused;    /* of every value; refused: some use wants all positions */
  int *axis;                 /* of every packed value: its axis of positions; samples are axis 0 */
  bool *attention;           /* of every node: an attention over tokens */
  bool filters;              /* a filter that is read at tokens alone is computed there alone */
} moire__pack;

/* The graph with the marked values packed; NULL with a sentence. */
moire_graph *moire__pack_emit(moire__pack *p, moire_error *error);

#endif
