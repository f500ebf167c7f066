/* Names with numbers 0, 1, 2, … in the order in which they were added, found by hash. Zero-initialise. */
#ifndef MOIRE_COMPILER_IR_NAMES_H
#define MOIRE_COMPILER_IR_NAMES_H

#include "runtime/base/memory.h"

typedef struct moire__names {
  const char **names;
  int *slots; /* number + 1, 0: free; a power of two, more than half of them free */
  int n, n_slots;
} moire__names;

/* -1: there is none of that name. */
int moire__names_find(const moire__names *names, const char *name);
/* Borrows the name; memory is the arena's. A name that is there already keeps its first number: the new one
 * is only found by its own. */
void moire__names_add(moire__names *names, moire__arena *arena, const char *name);

#endif
