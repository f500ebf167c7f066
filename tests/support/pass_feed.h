/* Random values for whatever a graph reads, and the comparison of what two graphs give for them. */
#ifndef MOIRE_TESTS_SUPPORT_PASS_FEED_H
#define MOIRE_TESTS_SUPPORT_PASS_FEED_H

#include "compiler/ir/graph/interpret.h"
#include "moire/compile.h"

enum { PASS_FEED_MAX = 400, PASS_FEED_EXTENT = 3 };

/* Zero-initialise; owns names and tensors. Named extents are all PASS_FEED_EXTENT, but for those of packed
 * graphs, whose inputs are what the runtime would compute, and those that are given as `fixed`. */
typedef struct pass_feed {
  moire__named_tensor inputs[PASS_FEED_MAX], states[PASS_FEED_MAX];
  int n_inputs, n_states;
  const moire_fixed_extent *fixed; /* borrowed */
  int n_fixed;
} pass_feed;

/* Draws inputs (of complex ones also the planes) and states of g that the feed has not; values depend on the
 * name alone. Floats are in [-1, 1), but those of states and of inputs named "optimizer.*" in [0.1, 1);
 * integers are 0 to 3.
 */
void pass_feed_add(pass_feed *feed, const moire_graph *g);
void pass_feed_release(pass_feed *feed);

/* Runs g; only = NULL: all outputs and updates. A failure ends the program with the sentence. */
moire__graph_results pass_feed_run(const pass_feed *feed, const moire_graph *g, const char *only);

/* How many outputs and updates of `got` are also in `want`; those that differ are reported on stderr and
 * counted in *n_wrong. A complex output "x" of one is the outputs "x.real" and "x.imag" of the other.
 */
int pass_feed_compare(const moire__graph_results *want, const moire__graph_results *got, int *n_wrong);

#endif
