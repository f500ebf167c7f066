/* What a packed plan reads beside what it is given: where the tokens stand (moire_plan_packing). */
#ifndef MOIRE_RUNTIME_AOT_PACKED_H
#define MOIRE_RUNTIME_AOT_PACKED_H

#include "runtime/aot/execute.h"

/* Bytes of the memory for n rows, a multiple of 64; 0 if the plan is not packed. */
static size_t moire__aot_packed_bytes(const moire__aot_plan *plan, int64_t n);
/* Sets the extents of run->plan for n rows and, if it is packed, what it reads beside the inputs that are
 * set. That lies in `memory`, which is aligned to 64 bytes. */
static void moire__aot_pack(moire__aot_run *run, int64_t n, unsigned char *memory);

#endif
