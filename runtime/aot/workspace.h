/* Workspaces and statuses: what calls share in judging their arguments. */
#ifndef MOIRE_RUNTIME_AOT_WORKSPACE_H
#define MOIRE_RUNTIME_AOT_WORKSPACE_H

#include "runtime/aot/tables.h"

#include <stdbool.h>

/* *memory = `bytes` aligned to 64 bytes, where `bytes` counts 63 more than are used. */
static library_status moire__aot_reserve(library_workspace *workspace, size_t bytes, unsigned char **memory);

static bool moire__aot_batch_is_good(int64_t batch);
static library_status moire__aot_check_threads(const library_workspace *workspace);

/* About a status that only the library's interface has, which says it; NULL: it has none such. */
static const char *moire__aot_own_status_text(library_status status);

#endif
