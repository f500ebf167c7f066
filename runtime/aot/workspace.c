/* Workspaces, and sentences about what was wrong with calls. */
#include "runtime/aot/workspace.h"

#include <stdlib.h>
#include <string.h>

const char *library_status_text(library_status status) {
  switch (status) {
    case LIBRARY_OK: return "all is well";
    case LIBRARY_ERROR_NULL: return "a pointer is NULL that must not be";
    case LIBRARY_ERROR_BATCH: return "the batch must be from 1 to LIBRARY_MAX_BATCH, or as the call says";
    case LIBRARY_ERROR_THREADS:
      return "threads must be from 0 to LIBRARY_MAX_THREADS, and several need a function `run`";
    case LIBRARY_ERROR_WORKSPACE: return "the workspace, or other memory that was given, is too small";
    case LIBRARY_ERROR_MEMORY: return "memory could not be had";
    case LIBRARY_ERROR_CPU: return "the library has no code for this processor";
    case LIBRARY_ERROR_MODEL: return "no model was given, and none is embedded in the library";
    case LIBRARY_ERROR_FILE: return "the file could not be opened, read or written";
    case LIBRARY_ERROR_FORMAT: return "the file is truncated, or not of the kind that was wanted";
    case LIBRARY_ERROR_OTHER: return "the file belongs to another model, or to another build of this one";
    case LIBRARY_ERROR_CHANGED: return "the content of the file was changed";
    case LIBRARY_ERROR_STEP: return "the number of a step must be from 0 to 2^31 - 1";
    case LIBRARY_ERROR_TENSOR:
      return "a tensor, or a part of a state, is not there, or has another type or shape";
    default: break;
  }
  const char *own = moire__aot_own_status_text(status);
  return own ? own : "there is no such status";
}

const char *library_version(void) { return MOIRE__AOT_TABLES.version; }

const char *library_cpu(void) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  return level ? level->name : NULL;
}

/* ---- Workspaces ------------------------------------------------------------------------------------- */

static unsigned char *aligned(void *memory) {
  return (unsigned char *)memory + (64 - (uintptr_t)memory % 64) % 64;
}

static library_status moire__aot_reserve(library_workspace *workspace, size_t bytes, unsigned char **memory) {
  if (workspace->memory && workspace->bytes < bytes && !workspace->owned) return LIBRARY_ERROR_WORKSPACE;
  if (!workspace->memory || workspace->bytes < bytes) {
    void *larger = malloc(bytes);
    if (!larger) return LIBRARY_ERROR_MEMORY;
    if (workspace->memory) free(workspace->memory);
    workspace->memory = larger;
    workspace->bytes = bytes;
    workspace->owned = 1;
  }
  *memory = aligned(workspace->memory);
  return LIBRARY_OK;
}

void library_workspace_free(library_workspace *workspace) {
  if (!workspace) return;
  if (workspace->owned) free(workspace->memory);
  workspace->memory = NULL;
  workspace->bytes = 0;
  workspace->owned = 0;
}

/* ---- Arguments -------------------------------------------------------------------------------------- */

static bool moire__aot_batch_is_good(int64_t batch) { return batch >= 1 && batch <= LIBRARY_MAX_BATCH; }

static library_status moire__aot_check_threads(const library_workspace *workspace) {
  int n = workspace->threads;
  return n < 0 || n > LIBRARY_MAX_THREADS || (n > 1 && !workspace->run) ? LIBRARY_ERROR_THREADS : LIBRARY_OK;
}
