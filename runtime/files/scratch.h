/* Memory that lies in a file of its own: it may be larger than the machine's, which keeps what is used.
 *
 * The file has no name, so that its room is given back when the memory is, however the process ends. Its room
 * is taken at once: a disk that is full is an error here, and none later. A disk that fails ends the process
 * (SIGBUS).
 */
#ifndef MOIRE_RUNTIME_FILES_SCRATCH_H
#define MOIRE_RUNTIME_FILES_SCRATCH_H

#include "moire/status.h"

#include <stddef.h>

/* Zeros, aligned to a page, in the folder, which must be there; NULL with a sentence. Free with
 * moire__scratch_free. */
void *moire__scratch_make(const char *folder, size_t bytes, moire_error *error);
void moire__scratch_free(void *data, size_t bytes);

#endif
