/* Pieces of the text form that its printer, its parser and messages share. See graph_print.c for the form. */
#ifndef MOIRE_COMPILER_IR_GRAPH_GRAPH_TEXT_H
#define MOIRE_COMPILER_IR_GRAPH_GRAPH_TEXT_H

#include "compiler/ir/graph/graph.h"

/* With as few digits as read back exactly, and always with a sign that it is a real: ".", "e", "inf" or "nan".
 */
void moire__text_add_real(moire__text *text, double value);
/* One line of the graph, without indentation and newline. */
void moire__text_add_node(moire__text *text, const moire_graph *g, const moire__node *node);

#endif
