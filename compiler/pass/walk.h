/* What passes share: which nodes are needed, a copy of a graph, questions to the goal. */
#ifndef MOIRE_COMPILER_PASS_WALK_H
#define MOIRE_COMPILER_PASS_WALK_H

#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/pass.h"

/* The source of what no line of a model asks for. */
#define MOIRE__NOWHERE ((moire_source){NULL, 0})

/* For every node of g: whether an output or an update needs it. An array of g->n_nodes in `arena`. */
bool *moire__live_nodes(const moire_graph *g, moire__arena *arena);

/* A rewrite of g in which every node has been cloned, so that the pass goes on appending. */
moire__rewrite moire__rewrite_all(const moire_graph *g);

/* Clones the node with the attribute `flag` = 1. */
void moire__rewrite_mark(moire__rewrite *r, const moire__node *node, const char *flag);

/* The last named extent that a node uses, of those that nodes[] says, or of all (NULL); 0: none. */
int moire__last_extent(const moire_graph *g, const bool *nodes);

/* Whether the goal names this output. */
bool moire__goal_wants(const moire__goal *goal, const char *output);

/* Whether this gradient, an output of autodiff, is that of a parameter which no path joins to the loss. Zeros
 * that an op's gradient gave are there. */
bool moire__gradient_is_absent(const moire_graph *g, int32_t gradient);

/* Whether results of the node stand where its operands did (MOIRE__TRAIT_IN_PLACE). */
bool moire__takes_places(const moire__node *node);

/* Whether all operands of the node are f32: of a product that rounds some may be stored as bf16. */
bool moire__reads_floats(const moire_graph *g, const moire__node *node);

/* Whether the value is a `constant` that is a plain number (not divided by named extents), and which. */
bool moire__constant_number(const moire_graph *g, int32_t value, double *number);

#endif
