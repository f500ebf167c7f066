/* A batch in slices of LIBRARY_SLICE rows, whose values stay in the cache: a thread computes a slice at a time
 * in a region of its own, so that no thread ever waits for another within a slice. The cut does not depend on
 * the number of threads. */
#ifndef MOIRE_RUNTIME_AOT_SLICES_H
#define MOIRE_RUNTIME_AOT_SLICES_H

#include "runtime/aot/workspace.h"

#include <stdatomic.h>

typedef struct moire__aot_slices {
  /* Rows [first, first + rows) of a request, in a region of region_bytes, aligned to 64 bytes. */
  void (*compute)(const void *request, int64_t first, int64_t rows, unsigned char *region);
  const void *request;
  int64_t batch;
  size_t region_bytes; /* a multiple of 64 */
  unsigned char *regions;
  _Atomic int64_t next; /* slice */
} moire__aot_slices;

/* Rows of the largest slice of a batch. */
static int64_t moire__aot_slice_rows(int64_t batch);
/* Bytes of workspace for regions of so many; 0 for a batch or threads that no call takes. */
static size_t moire__aot_slices_bytes(size_t region_bytes, int64_t batch, int threads);
/* Computes all slices with the workspace's threads, which have been checked. `regions` is memory of the bytes
 * above, aligned to 64 bytes, and `next` 0. */
static void moire__aot_slices_share(moire__aot_slices *slices, library_workspace *workspace);
/* The same in the workspace's memory; `regions` is its own. */
static library_status moire__aot_slices_run(moire__aot_slices *slices, library_workspace *workspace);

#endif
