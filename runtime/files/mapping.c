/* Mapping files. */
#include "runtime/files/mapping.h"

#include "runtime/files/file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

moire_status moire__file_map(const char *path, moire__mapping *out, moire_error *error) {
  int file = -1;
  size_t n = 0;
  moire_status status = moire__file_open(path, &file, &n, error);
  if (status) return status;
  *out = (moire__mapping){"", n};
  if (n) {
    void *bytes = mmap(NULL, n, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED) {
      *out = (moire__mapping){0};
      status = moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    } else {
      out->bytes = bytes;
    }
  }
  close(file);
  return status;
}

void moire__file_unmap(moire__mapping *mapping) {
  if (mapping->n) munmap((void *)mapping->bytes, mapping->n);
  *mapping = (moire__mapping){0};
}
