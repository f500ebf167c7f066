/* The parameter that a kernel op is about, for its name: of "layers.0: linear" there are many. */
#ifndef MOIRE_COMPILER_PASS_PLAN_WEIGHT_NAMES_H
#define MOIRE_COMPILER_PASS_PLAN_WEIGHT_NAMES_H

#include "compiler/ir/graph/graph.h"

typedef struct moire__weight_names {
  const char **reads; /* [n_nodes]: the parameter that an op of class KERNEL multiplies by; NULL: none */
  const char **gives; /* [n_nodes]: the parameter whose gradient it makes; NULL: none */
} moire__weight_names;

/* Of a fused graph; a parameter is found through views, and through sums of what is alike. In `arena`. */
moire__weight_names moire__weight_names_find(const moire_graph *g, moire__arena *arena);

#endif
