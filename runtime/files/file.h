/* Whole files: read under a limit, and written so that no moment leaves a half-written one
 * (runtime/files/output.h). Every failure is a sentence that names the file and what the operating system said.
 */
#ifndef MOIRE_RUNTIME_FILES_FILE_H
#define MOIRE_RUNTIME_FILES_FILE_H

#include "moire/status.h"

#include <stddef.h>

/* One run of bytes of a file that is written from several. Borrows. */
typedef struct moire__piece {
  const void *bytes;
  size_t n;
} moire__piece;

/* Opens a regular file for reading, and nothing else: *file is a descriptor to close, *n its bytes. */
moire_status moire__file_open(const char *path, int *file, size_t *n, moire_error *error);

/* Reads the whole of a regular file of at most `limit` bytes (0: any size). *data is owned by the caller
 * (moire__release), has a NUL after its *n bytes, is aligned for any type, and is untouched on failure. */
moire_status moire__file_read(const char *path, size_t limit, char **data, size_t *n, moire_error *error);

/* Replaces the file at `path` by the pieces, in order. */
moire_status moire__file_write_pieces(const char *path, const moire__piece *pieces, int n_pieces,
                                      moire_error *error);
moire_status moire__file_write_atomic(const char *path, const void *bytes, size_t n, moire_error *error);

/* Renames a file over another of the same directory, and syncs the directory. */
moire_status moire__file_rename(const char *from, const char *to, moire_error *error);

/* Makes the directory `path` and those on the way to it, where they are not there. */
moire_status moire__file_make_directories(const char *path, moire_error *error);

/* Removes the temporaries `PATH.tmp.PID` that writers which were killed left beside `path`: those whose process
 * is no more. Call it before a program's first write of `path`; what cannot be removed does no harm and stays.
 */
void moire__file_remove_leftovers(const char *path);

/* A copy of at most 60 of the `n` bytes, fit for a one-line message: bytes that are not printable ASCII become
 * '?', and a cut is shown by "...". Returns `out`. */
typedef char moire__printable_buffer[64];
const char *moire__printable(const char *bytes, size_t n, moire__printable_buffer out);

#endif
