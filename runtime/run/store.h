/* The store of named states, beyond moire/run.h. */
#ifndef MOIRE_RUNTIME_RUN_STORE_H
#define MOIRE_RUNTIME_RUN_STORE_H

#include "moire/run.h"

/* Every state starts out again, as it was declared: those that a program has declared with this seed are then
 * what they were before the first step. */
void moire__store_restart(moire_store *store, uint64_t seed);

/* States of these names that are declared from now on lie in files of the folder (runtime/files/scratch.h).
 * Copies both. */
void moire__store_put_in_files(moire_store *store, const char *folder, const char *const *names, int n);

#endif
