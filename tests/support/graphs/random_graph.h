/* Random graphs: what the fuzzer compiles.
 *
 * A graph grows op by op out of everything that the language has, real and complex, over a pool of the values
 * made so far. Each value carries the interval that its elements are in, so that logarithms meet positive
 * numbers, exponentials small ones, and products do not run away. The same seed makes the same graph, and with
 * a smaller limit of steps a part of it.
 */
#ifndef MOIRE_TESTS_SUPPORT_GRAPHS_RANDOM_GRAPH_H
#define MOIRE_TESTS_SUPPORT_GRAPHS_RANDOM_GRAPH_H

#include "moire/compile.h"
#include "tests/support/engines.h"

enum { RANDOM_GRAPH_OUTPUTS = 8, RANDOM_GRAPH_RANGES = 64 };

typedef struct random_graph {
  moire_graph *g; /* owned */
  int steps;      /* that were taken: at most the limit */
  char names[RANDOM_GRAPH_OUTPUTS][16];
  const char *outputs[RANDOM_GRAPH_OUTPUTS];
  moire_compile_options
      options; /* outputs, loss and optimizer; borrows from this struct, which must not move */
  test_range ranges[RANDOM_GRAPH_RANGES];
  int n_ranges;
} random_graph;

void random_graph_make(random_graph *r, uint64_t seed, int limit);
void random_graph_free(random_graph *r);

#endif
