/* How states start out: a value is a function of the seed, the stream (the state's name, or the one that its
 * initialiser names) and the element alone. */
#ifndef MOIRE_RUNTIME_RUN_INITIAL_H
#define MOIRE_RUNTIME_RUN_INITIAL_H

#include "moire/graph.h"

/* data[0 .. elements) of the given type, which is not c64. */
void moire__initial_fill(const moire_init *init, const char *name, moire_dtype dtype, int64_t elements,
                         uint64_t seed, void *data);

#endif
