/* Who is told of the code that is loaded: the environment's MOIRE_DEBUG. */
#ifndef MOIRE_COMPILER_DRIVER_OBSERVE_H
#define MOIRE_COMPILER_DRIVER_OBSERVE_H

#include "moire/status.h"

/* The set of moire__jit_observer that MOIRE_DEBUG names: "gdb", "perf", "map" with commas between; 0 if it is
 * not set. A word that is none of them is MOIRE_ERROR_ARGUMENT. */
moire_status moire__driver_observers(unsigned *observers, moire_error *error);

#endif
