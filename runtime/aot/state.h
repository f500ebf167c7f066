/* The states of a training: one block of memory, and names. */
#ifndef MOIRE_RUNTIME_AOT_STATE_H
#define MOIRE_RUNTIME_AOT_STATE_H

#include "runtime/aot/tables.h"

/* Lies at the start of its memory; the block follows at the next multiple of 64. */
struct library_state {
  void *memory; /* the library's, or NULL: the caller's */
  unsigned char *block;
};

enum { MOIRE__AOT_STATE_HEAD = 64 };

static size_t moire__aot_dtype_bytes(moire_dtype dtype);
/* Whether state i belongs to the part. */
static int moire__aot_state_is_in(int i, library_part part);

#endif
