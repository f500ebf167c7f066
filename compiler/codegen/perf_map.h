/* The names of loaded code for perf: /tmp/perf-PID.map, a line "ADDRESS SIZE NAME" for each function. */
#ifndef MOIRE_COMPILER_CODEGEN_PERF_MAP_H
#define MOIRE_COMPILER_CODEGEN_PERF_MAP_H

#include "moire/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Opens this process's map for appending; NULL with a sentence. */
FILE *moire__perf_map_open(moire_error *error);
/* Adds the functions of a loaded object, the internal ones too. `find` gives the address of a global symbol, 0
 * if there is none: an internal function lies as far from it as in the object. */
void moire__perf_map_add(FILE *map, const char *object, size_t size,
                         uint64_t (*find)(void *context, const char *symbol), void *context);

#endif
