/* Locks of folders. See run_lock.h. */
#include "tools/runs/run_lock.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tools/runs/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

moire_status tool_run_lock(const char *directory, bool make, int *lock, moire_error *error) {
  *lock = TOOL_LOCK_NONE;
  moire_status status = make ? moire__file_make_directories(directory, error) : MOIRE_OK;
  if (status) return status;
  char *path = tool_path(directory, "lock");
  int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0666);
  if (file < 0) {
    if (make || (errno != ENOENT && errno != ENOTDIR))
      status = moire_fail(error, MOIRE_ERROR_IO, "%s: %s", path, strerror(errno));
  } else if (flock(file, LOCK_EX | LOCK_NB)) {
    *lock = TOOL_LOCK_OTHERS;
    if (errno != EWOULDBLOCK)
      status = moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be locked: %s", path, strerror(errno));
    close(file);
  } else {
    *lock = file;
  }
  moire__release(path);
  return status;
}

/* It is the lock if it is open on that file and locking it again is granted, as it is to its holder alone. */
moire_status tool_run_lock_inherit(const char *directory, int inherited, moire_error *error) {
  char *path = tool_path(directory, "lock");
  struct stat ours, theirs;
  bool same = !fstat(inherited, &ours) && !stat(path, &theirs) && ours.st_dev == theirs.st_dev &&
              ours.st_ino == theirs.st_ino && !flock(inherited, LOCK_EX | LOCK_NB);
  moire_status status =
      same ? MOIRE_OK
           : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: descriptor %d does not hold it", path, inherited);
  moire__release(path);
  return status;
}
