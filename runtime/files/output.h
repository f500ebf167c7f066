/* A file in the making: bytes go anywhere in `PATH.tmp.PID`, which replaces PATH at once when it is complete.
 *
 * The temporary lies in the same directory, is synced, renamed over PATH, and the directory is synced. After
 * any failure before the rename the temporary is gone and the earlier file is as it was. Every failure is a
 * sentence that names the file and what the operating system said.
 */
#ifndef MOIRE_RUNTIME_FILES_OUTPUT_H
#define MOIRE_RUNTIME_FILES_OUTPUT_H

#include "moire/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct moire__output moire__output;

/* A path that exists and is not a regular file is refused; a symbolic link is replaced, not followed. *out is
 * to be committed or discarded. */
moire_status moire__output_open(const char *path, moire__output **out, moire_error *error);
/* After a failure nothing but moire__output_discard is of use. */
moire_status moire__output_write(moire__output *output, uint64_t at, const void *bytes, size_t n,
                                 moire_error *error);
/* Puts the file in place; takes the output, on failure too. If only the last sync, that of the directory,
 * fails, the new file is in place, but a power failure may still undo it; that is reported too. */
moire_status moire__output_commit(moire__output *output, moire_error *error);
void moire__output_discard(moire__output *output); /* NULL is fine */

#endif
