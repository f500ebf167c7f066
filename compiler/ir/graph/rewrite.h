/* How a pass turns one graph into another: a new graph with the same tables, and a map of values.
 *
 * The pass walks the old nodes in order; for each it either clones the node or emits something else, and says
 * which new value stands for the old one. Outputs and updates are copied at the end through the map.
 */
#ifndef MOIRE_COMPILER_IR_GRAPH_REWRITE_H
#define MOIRE_COMPILER_IR_GRAPH_REWRITE_H

#include "compiler/ir/graph/graph.h"

typedef struct moire__rewrite {
  const moire_graph *from;
  moire_graph *to; /* owned until moire__rewrite_finish */
  int32_t *map;    /* old value id -> new value id; 0: not yet, or dropped */
} moire__rewrite;

/* Makes `to` with the name, mode, extents and states of `from`. */
moire__rewrite moire__rewrite_begin(const moire_graph *from);
/* The same with the first n_extents extents alone: no node that is cloned may use another. */
moire__rewrite moire__rewrite_begin_with(const moire_graph *from, int n_extents);
/* The new value for an old one. */
static inline moire_value moire__rewrite_value(const moire__rewrite *r, int32_t old) {
  return (moire_value){r->to, r->map[old]};
}
void moire__rewrite_set(moire__rewrite *r, int32_t old, moire_value replacement);
/* Appends a copy of the node with mapped operands, and maps its results. */
void moire__rewrite_clone(moire__rewrite *r, const moire__node *node);
/* Copies outputs and updates through the map, frees the map, and returns the new graph; NULL with the first
 * mistake if one was made on the way (then the new graph is destroyed). */
moire_graph *moire__rewrite_finish(moire__rewrite *r, moire_error *error);
/* The same without copying outputs and updates: the pass has set them itself. */
moire_graph *moire__rewrite_finish_bare(moire__rewrite *r, moire_error *error);
/* Gives up. */
void moire__rewrite_abandon(moire__rewrite *r);

/* Number of uses (operands, outputs, updates) of every value: an array of g->n_values in `arena`. */
int *moire__graph_count_uses(const moire_graph *g, moire__arena *arena);

#endif
