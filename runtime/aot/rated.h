/* What users have rated, as calls bring it and as plans read it: padded rows. */
#ifndef MOIRE_RUNTIME_AOT_RATED_H
#define MOIRE_RUNTIME_AOT_RATED_H

#include "runtime/aot/execute.h"

/* Inputs of the plan, in the order of the interface's list in the compiler. */
enum { MOIRE__AOT_RATED_IDS = MOIRE__AOT_OWN, MOIRE__AOT_RATED = 4 };

/* n users whose items, ratings and times the model knows. */
static library_status moire__aot_check_rated(const library_ratings *users, int64_t n);
/* Bytes of the memory for n users, a multiple of 64. */
static size_t moire__aot_rated_bytes(int64_t n);
/* Sets the extents and the inputs of run->plan for the users first .. first + n - 1; they lie in `memory`,
 * which is aligned to 64 bytes. */
static void moire__aot_feed_rated(moire__aot_run *run, const library_ratings *users, int64_t first, int64_t n,
                                  unsigned char *memory);

#endif
