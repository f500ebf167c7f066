/* Memory in files without names. See scratch.h. */
#include "runtime/files/scratch.h"

#include "runtime/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file of the folder that has no name, or soon has none; -1 with errno. */
static int open_nameless(const char *folder) {
#ifdef O_TMPFILE
  int nameless = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (nameless >= 0) return nameless;
#endif
  moire__text path = {0};
  moire__text_add(&path, "%s/.scratch.XXXXXX", folder);
  int file = mkstemp(path.data);
  if (file >= 0) unlink(path.data);
  int why = errno;
  moire__text_free(&path);
  errno = why;
  return file;
}

void *moire__scratch_make(const char *folder, size_t bytes, moire_error *error) {
  int file = open_nameless(folder);
  int why = file < 0 ? errno : bytes ? posix_fallocate(file, 0, (off_t)bytes) : 0;
  void *data = MAP_FAILED;
  if (!why) {
    data = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) why = errno;
  }
  if (file >= 0) close(file);
  if (data == MAP_FAILED) {
    moire_fail(error, MOIRE_ERROR_IO, "%s: a file of %.1f MB for a table cannot be had there: %s", folder,
               (double)bytes * 1e-6, strerror(why));
    return NULL;
  }
  madvise(data, bytes, MADV_RANDOM); /* rows are not read one after the other */
  return data;
}

void moire__scratch_free(void *data, size_t bytes) {
  if (data) munmap(data, bytes ? bytes : 1);
}
