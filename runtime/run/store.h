/* The store of named states, beyond moire/run.h. */
#ifndef MOIRE_RUNTIME_RUN_STORE_H
#define MOIRE_RUNTIME_RUN_STORE_H

#include "moire/run.h"

/* Every state starts out again, as it was declared: those that a program has declared with this seed are then
 * what they were before the first step. */
void moire__store_restart(moire_store *store, uint64_t seed);

#endif
