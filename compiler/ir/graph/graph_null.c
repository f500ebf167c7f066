/* What is called with no graph at all. */
#include "compiler/ir/graph/graph.h"

#include <stdio.h>
#include <stdlib.h>

void moire__stop_without_graph(const char *call) {
  fprintf(stderr, "moire: %s: the graph is NULL\n", call);
  abort();
}
