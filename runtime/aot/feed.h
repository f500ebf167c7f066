/* What a plan reads of histories: padded rows of ids, and, if it is packed, where the tokens stand. */
#ifndef MOIRE_RUNTIME_AOT_FEED_H
#define MOIRE_RUNTIME_AOT_FEED_H

#include "runtime/aot/execute.h"

/* Bytes of the memory for n histories, a multiple of 64. */
static size_t moire__aot_feed_bytes(const moire__aot_plan *plan, int64_t n);
/* Sets the extents and the inputs of run->plan for the histories first .. first + n - 1; they lie in `memory`,
 * which is aligned to 64 bytes. */
static void moire__aot_feed(moire__aot_run *run, const library_lists *histories, int64_t first, int64_t n,
                            unsigned char *memory);

#endif
