/* Workspaces and lists: what calls share in judging their arguments. */
#ifndef MOIRE_RUNTIME_AOT_WORKSPACE_H
#define MOIRE_RUNTIME_AOT_WORKSPACE_H

#include "runtime/aot/tables.h"

#include <stdbool.h>

/* *memory = `bytes` aligned to 64 bytes, where `bytes` counts 63 more than are used. */
static library_status moire__aot_reserve(library_workspace *workspace, size_t bytes, unsigned char **memory);

static bool moire__aot_batch_is_good(int64_t batch);
static library_status moire__aot_check_threads(const library_workspace *workspace);
#if !MOIRE__AOT_CODING
/* n lists of items that the model knows. */
static library_status moire__aot_check_lists(const library_lists *lists, int64_t n);
#endif

#endif
