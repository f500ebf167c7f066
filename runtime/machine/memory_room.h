/* How much memory this process can still have. */
#ifndef MOIRE_RUNTIME_MACHINE_MEMORY_ROOM_H
#define MOIRE_RUNTIME_MACHINE_MEMORY_ROOM_H

#include <stdint.h>

typedef struct moire__memory_room {
  int64_t bytes;     /* -1: nobody says */
  const char *bound; /* what sets it: "this machine", "its control group", "ulimit -v" */
} moire__memory_room;

/* The least of what the machine has available (with its swap), of what the limits of the process's control
 * groups leave (version 1 and 2, of the group and of those above it), and of its limit of address space. Page
 * cache that can be given up counts as available everywhere. */
moire__memory_room moire__memory_room_now(void);

#endif
