/* Results as lines. See output.h. */
#include "tools/parts/output.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/output.h"

#include <stdbool.h>

struct tool_output {
  FILE *file;
  moire__output *output; /* NULL: stdout */
  uint64_t at;
  moire_error error; /* of what could not be written */
};

static ssize_t put(void *cookie, const char *bytes, size_t n) {
  tool_output *o = cookie;
  if (moire__output_write(o->output, o->at, bytes, n, &o->error)) return 0;
  o->at += n;
  return (ssize_t)n;
}

tool_output *tool_output_open(const char *path, moire_error *error) {
  tool_output *o = moire__allocate(sizeof *o);
  o->file = stdout;
  if (!path) return o;
  moire__file_remove_leftovers(path);
  if (moire__output_open(path, &o->output, error)) {
    moire__release(o);
    return NULL;
  }
  o->file = fopencookie(o, "w", (cookie_io_functions_t){.write = put});
  if (o->file) return o;
  moire_fail(error, MOIRE_ERROR_MEMORY, "%s: no memory to write it", path);
  tool_output_close(o, MOIRE_ERROR_MEMORY, error);
  return NULL;
}

FILE *tool_output_file(const tool_output *o) { return o->file; }

moire_status tool_output_close(tool_output *o, moire_status so_far, moire_error *error) {
  moire_status status = so_far;
  if (!o) return status;
  if (o->output && o->file) {
    bool failed = ferror(o->file) != 0;
    failed = fclose(o->file) != 0 || failed;
    if (failed && !status)
      status =
          moire_fail(error, MOIRE_ERROR_IO, "%s", o->error.status ? o->error.message : "no memory to write");
  }
  if (o->output && !status)
    status = moire__output_commit(o->output, error);
  else
    moire__output_discard(o->output);
  moire__release(o);
  return status;
}
