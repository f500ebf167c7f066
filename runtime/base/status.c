/* Status names and the recording of the first failure. */
#include "moire/status.h"

#include "runtime/base/printable.h"

#include <stdarg.h>
#include <stdio.h>

const char *moire_status_name(moire_status status) {
  switch (status) {
    case MOIRE_OK: return "ok";
    case MOIRE_ERROR_ARGUMENT: return "argument";
    case MOIRE_ERROR_SHAPE: return "shape";
    case MOIRE_ERROR_TYPE: return "type";
    case MOIRE_ERROR_FORMAT: return "format";
    case MOIRE_ERROR_IO: return "io";
    case MOIRE_ERROR_MEMORY: return "memory";
    case MOIRE_ERROR_UNSUPPORTED: return "unsupported";
    case MOIRE_ERROR_INTERNAL: return "internal";
  }
  return "unknown";
}

moire_status moire_fail(moire_error *error, moire_status status, const char *format, ...) {
  if (error && error->status == MOIRE_OK) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    moire__make_printable(error->message);
    error->status = status;
  }
  return status;
}
