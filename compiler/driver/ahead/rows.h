/* Whether the samples of a batch are computed apart. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_ROWS_H
#define MOIRE_COMPILER_DRIVER_AHEAD_ROWS_H

#include "compiler/ir/graph/graph.h"

/* Whether each sample of the outputs depends on the same sample of the inputs alone, so that a batch may be
 * computed in pieces: no sum, softmax or order runs over the named extent B. False where that cannot be told.
 */
bool moire__ahead_rows_are_apart(const moire_graph *g, const char *const *outputs, int n_outputs);

#endif
