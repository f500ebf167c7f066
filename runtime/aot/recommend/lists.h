/* Lists of items, as calls bring them and as a plan reads them: padded rows of ids. */
#ifndef MOIRE_RUNTIME_AOT_LISTS_H
#define MOIRE_RUNTIME_AOT_LISTS_H

#include "runtime/aot/packed.h"

/* Inputs of the plans, in the order of the interface's list in the compiler. */
enum { MOIRE__AOT_IDS = MOIRE__AOT_OWN, MOIRE__AOT_ANSWERS };

/* n lists of items that the model knows. */
static library_status moire__aot_check_lists(const library_lists *lists, int64_t n);
/* Bytes of the memory for n histories, a multiple of 64. */
static size_t moire__aot_feed_bytes(const moire__aot_plan *plan, int64_t n);
/* Sets the extents and the inputs of run->plan for the histories first .. first + n - 1; they lie in `memory`,
 * which is aligned to 64 bytes. */
static void moire__aot_feed(moire__aot_run *run, const library_lists *histories, int64_t first, int64_t n,
                            unsigned char *memory);

#endif
