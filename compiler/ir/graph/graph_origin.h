/* Origins of nodes, for the files that build graphs. See graph_origin.c. */
#ifndef MOIRE_COMPILER_IR_GRAPH_GRAPH_ORIGIN_H
#define MOIRE_COMPILER_IR_GRAPH_GRAPH_ORIGIN_H

#include "compiler/ir/graph/graph.h"

/* Scope, source, word, phase and further lines, as pointers. */
void moire__graph_copy_origin(const moire__node *from, moire__node *to);
/* The same with copies in g's arena; a word that is NULL becomes the node's own. */
void moire__graph_keep_origin(moire_graph *g, const moire__node *from, moire__node *to);

#endif
