/* Whole texts from whatever can be read: regular files, pipes and /dev/stdin, compressed by gzip or not (told
 * by the first bytes, whatever the name says). */
#ifndef MOIRE_RUNTIME_FILES_STREAM_H
#define MOIRE_RUNTIME_FILES_STREAM_H

#include "moire/status.h"

#include <stddef.h>

/* Reads `path` to its end. *data is owned by the caller (moire__release), has a NUL after its *n bytes, and is
 * untouched on failure. Waits for the writer of a pipe. */
moire_status moire__stream_read(const char *path, char **data, size_t *n, moire_error *error);

/* The same of bytes that have been read; takes `bytes` (from moire__allocate), on failure too. */
moire_status moire__stream_unpack(const char *path, char *bytes, size_t size, char **data, size_t *n,
                                  moire_error *error);

#endif
