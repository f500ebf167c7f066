/* Files that are mapped. See mapped.h. */
#include "runtime/aot/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static library_status moire__aot_map(const char *path, size_t least, moire__aot_mapped *mapped) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
  if (file < 0) return LIBRARY_ERROR_FILE;
  struct stat info;
  library_status status = fstat(file, &info) ? LIBRARY_ERROR_FILE : LIBRARY_OK;
  if (!status && (!S_ISREG(info.st_mode) || (uint64_t)info.st_size < least)) status = LIBRARY_ERROR_FORMAT;
  void *bytes = MAP_FAILED;
  if (!status) bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (!status && bytes == MAP_FAILED) status = LIBRARY_ERROR_FILE;
  int cause = errno;
  close(file);
  errno = cause;
  if (!status) *mapped = (moire__aot_mapped){bytes, (size_t)info.st_size, info.st_dev, info.st_ino};
  return status;
}

static void moire__aot_unmap(moire__aot_mapped *mapped) {
  if (mapped->bytes) munmap(mapped->bytes, mapped->n);
}
