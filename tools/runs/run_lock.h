/* The lock of a run's folder: the file DIR/lock, held (flock) by whoever trains there for as long as it lives,
 * so that no crash leaves it behind. The file itself stays. */
#ifndef MOIRE_TOOLS_RUNS_RUN_LOCK_H
#define MOIRE_TOOLS_RUNS_RUN_LOCK_H

#include "moire/status.h"

#include <stdbool.h>

enum {
  TOOL_LOCK_NONE = -1,   /* there is no such file yet */
  TOOL_LOCK_OTHERS = -2, /* another process holds it */
};

/* Takes the lock of the folder, which is made, with its lock, only where `make` says so: *lock is a descriptor
 * that is closed on exec and holds the lock until it is closed, or one of the above. */
moire_status tool_run_lock(const char *directory, bool make, int *lock, moire_error *error);

/* The same for a process that was started with the lock of this folder as its descriptor `inherited`. */
moire_status tool_run_lock_inherit(const char *directory, int inherited, moire_error *error);

#endif
