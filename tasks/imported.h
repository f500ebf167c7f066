/* What is particular to a model that is made of a file of another system: it has weights of its own, and its
 * checkpoints have the names and types of that system's state dict. */
#ifndef MOIRE_TASKS_IMPORTED_H
#define MOIRE_TASKS_IMPORTED_H

#include "runtime/files/checkpoint.h"
#include "tasks/setup.h"

/* Declares the states of the state dict that the store lacks, and fills all that the file has numbers of. Of
 * any other model: nothing. */
moire_status moire__setup_fill(const moire__setup *setup, moire_store *store, moire_error *error);

/* The state dict, in the arena; NULL for any other model. */
const moire__state_dict *moire__setup_state_dict(const moire__setup *setup, moire__arena *arena);

/* The file's weights, as a file of safetensors would have them: *out is owned (moire__safetensors_close). */
moire_status moire__setup_own_weights(const moire__setup *setup, moire__safetensors **out, moire_error *error);

#endif
