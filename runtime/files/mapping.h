/* A file mapped for reading: its bytes are fetched as they are touched, and memory holds no copy of the whole.
 *
 * Whoever writes into the file meanwhile changes what is read, and who cuts it short ends the reading process
 * (SIGBUS). A file that is replaced by another of its name is not touched by that.
 */
#ifndef MOIRE_RUNTIME_FILES_MAPPING_H
#define MOIRE_RUNTIME_FILES_MAPPING_H

#include "moire/status.h"

#include <stddef.h>

/* Zero-initialise. */
typedef struct moire__mapping {
  const char *bytes; /* aligned to a page; "" for an empty file */
  size_t n;
} moire__mapping;

/* Maps the regular file at `path`; free with moire__file_unmap. */
moire_status moire__file_map(const char *path, moire__mapping *out, moire_error *error);
void moire__file_unmap(moire__mapping *mapping); /* twice is fine */

#endif
