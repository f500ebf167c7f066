/* Files that are mapped. */
#ifndef MOIRE_RUNTIME_AOT_MAPPED_H
#define MOIRE_RUNTIME_AOT_MAPPED_H

#include "runtime/aot/tables.h"

#include <sys/types.h>

typedef struct moire__aot_mapped {
  void *bytes;
  size_t n;
  dev_t device; /* which file it is */
  ino_t number;
} moire__aot_mapped;

/* A regular file of at least `least` bytes, which are more than 0. On failure *file is as it was. */
static library_status moire__aot_map(const char *path, size_t least, moire__aot_mapped *file);
static void moire__aot_unmap(moire__aot_mapped *file); /* what was never mapped is fine */

#endif
