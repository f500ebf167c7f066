/* Writing beside, syncing and renaming. */
#include "runtime/files/output.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct moire__output {
  moire__text path, temporary, folder;
  int file, directory; /* -1: not open */
};

static moire_status refuse(const char *path, const char *what, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_IO, "%s: %s: %s", path, what, strerror(errno));
}

static void release(moire__output *o) {
  if (o->file >= 0) close(o->file);
  if (o->directory >= 0) close(o->directory);
  moire__text_free(&o->path);
  moire__text_free(&o->temporary);
  moire__text_free(&o->folder);
  moire__release(o);
}

void moire__output_discard(moire__output *o) {
  if (!o) return;
  if (o->file >= 0) unlink(o->temporary.data);
  release(o);
}

static void name(moire__output *o, const char *path) {
  const char *slash = strrchr(path, '/');
  moire__text_add(&o->path, "%s", path);
  moire__text_add(&o->temporary, "%s.tmp.%ld", path, (long)getpid());
  if (!slash)
    moire__text_add(&o->folder, ".");
  else
    moire__text_add_bytes(&o->folder, path, slash == path ? 1 : (size_t)(slash - path));
}

moire_status moire__output_open(const char *path, moire__output **out, moire_error *error) {
  struct stat about;
  if (!stat(path, &about) && !S_ISREG(about.st_mode)) {
    return moire_fail(error, MOIRE_ERROR_IO, "%s: is %s, so no file can be written there", path,
                      S_ISDIR(about.st_mode) ? "a directory" : "not a regular file");
  }
  moire__output *o = moire__allocate(sizeof *o);
  o->file = -1;
  name(o, path);
  moire_status status = MOIRE_OK;
  o->directory = open(o->folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (o->directory < 0) {
    status = moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be written: %s: %s", path, o->folder.data,
                        strerror(errno));
  } else {
    o->file = open(o->temporary.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (o->file < 0) status = refuse(path, "cannot be written", error);
  }
  if (status) {
    release(o);
    return status;
  }
  *out = o;
  return MOIRE_OK;
}

moire_status moire__output_write(moire__output *o, uint64_t at, const void *bytes, size_t n,
                                 moire_error *error) {
  const char *from = bytes;
  while (n) {
    ssize_t put = pwrite(o->file, from, n > SSIZE_MAX ? SSIZE_MAX : n, (off_t)at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return refuse(o->path.data, "cannot be written", error);
    from += put;
    at += (uint64_t)put;
    n -= (size_t)put;
  }
  return MOIRE_OK;
}

static moire_status put_in_place(moire__output *o, moire_error *error) {
  int failed = fsync(o->file), cause = errno;
  if (close(o->file) && !failed) {
    failed = -1;
    cause = errno;
  }
  o->file = -1;
  const char *what = "cannot be written";
  if (!failed && rename(o->temporary.data, o->path.data)) {
    failed = -1;
    cause = errno;
    what = "cannot be replaced";
  }
  if (failed) {
    unlink(o->temporary.data);
    errno = cause;
    return refuse(o->path.data, what, error);
  }
  /* EINVAL: a file system whose directories cannot be synced, and so need not be. */
  if (fsync(o->directory) && errno != EINVAL) return refuse(o->folder.data, "cannot be synced", error);
  return MOIRE_OK;
}

moire_status moire__output_commit(moire__output *o, moire_error *error) {
  moire_status status = put_in_place(o, error);
  release(o);
  return status;
}
