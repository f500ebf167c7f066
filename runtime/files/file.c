/* Reading and replacing whole files. */
#include "runtime/files/file.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *moire__printable(const char *bytes, size_t n, moire__printable_buffer out) {
  enum { SHOWN = 60 };
  size_t shown = n > SHOWN ? SHOWN : n;
  for (size_t i = 0; i < shown; i++) out[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
  if (n > SHOWN) memset(out + SHOWN - 3, '.', 3);
  out[shown] = 0;
  return out;
}

static moire_status refuse(moire_error *error, const char *path, const char *what) {
  return moire_fail(error, MOIRE_ERROR_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

/* Reads until the end, however long the file says it is: it may grow or shrink meanwhile. */
static moire_status read_all(int file, const char *path, size_t expected, size_t limit, char **data, size_t *n,
                             moire_error *error) {
  size_t capacity = expected + 1, length = 0;
  char *bytes = moire__resize(NULL, capacity + 1);
  for (;;) {
    size_t room = capacity - length;
    ssize_t got = read(file, bytes + length, room > SSIZE_MAX ? SSIZE_MAX : room);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      moire__release(bytes);
      return refuse(error, path, "cannot be read");
    }
    if (got == 0) break;
    length += (size_t)got;
    if (limit && length > limit) {
      moire__release(bytes);
      return moire_fail(error, MOIRE_ERROR_IO, "%s: is larger than the %zu bytes that such a file may have",
                        path, limit);
    }
    if (length == capacity) {
      capacity *= 2;
      bytes = moire__resize(bytes, capacity + 1);
    }
  }
  bytes[length] = 0;
  *data = bytes;
  *n = length;
  return MOIRE_OK;
}

moire_status moire__file_open(const char *path, int *out, size_t *n, moire_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer must not hang us */
  if (file < 0) return refuse(error, path, "cannot be opened");
  struct stat about;
  moire_status status = MOIRE_OK;
  if (fstat(file, &about)) {
    status = refuse(error, path, "cannot be read");
  } else if (S_ISDIR(about.st_mode)) {
    status = moire_fail(error, MOIRE_ERROR_IO, "%s: is a directory, not a file", path);
  } else if (!S_ISREG(about.st_mode)) {
    status = moire_fail(error, MOIRE_ERROR_IO, "%s: is not a regular file", path);
  }
  if (status) {
    close(file);
    return status;
  }
  *out = file;
  *n = (size_t)about.st_size;
  return MOIRE_OK;
}

moire_status moire__file_read(const char *path, size_t limit, char **data, size_t *n, moire_error *error) {
  int file = -1;
  size_t size = 0;
  moire_status status = moire__file_open(path, &file, &size, error);
  if (status) return status;
  if (limit && size > limit) {
    status = moire_fail(error, MOIRE_ERROR_IO, "%s: has %zu bytes, more than the %zu that such a file may have",
                        path, size, limit);
  } else {
    status = read_all(file, path, size, limit, data, n, error);
  }
  close(file);
  return status;
}

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

static int open_directory_of(const char *path, moire__text *name) {
  const char *slash = strrchr(path, '/');
  if (!slash) {
    moire__text_add(name, ".");
  } else {
    moire__text_add_bytes(name, path, slash == path ? 1 : (size_t)(slash - path));
  }
  return open(moire__text_string(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

moire_status moire__file_write_pieces(const char *path, const moire__piece *pieces, int n_pieces,
                                      moire_error *error) {
  moire__output *output = NULL;
  moire_status status = moire__output_open(path, &output, error);
  uint64_t at = 0;
  for (int i = 0; i < n_pieces && !status; i++) {
    status = moire__output_write(output, at, pieces[i].bytes, pieces[i].n, error);
    at += pieces[i].n;
  }
  if (!status) return moire__output_commit(output, error);
  moire__output_discard(output);
  return status;
}

moire_status moire__file_write_atomic(const char *path, const void *bytes, size_t n, moire_error *error) {
  const moire__piece piece = {bytes, n};
  return moire__file_write_pieces(path, &piece, 1, error);
}

/* The process number that ends `name` = BASE.tmp.NUMBER, or 0. */
static pid_t writer_of(const char *name, const char *base) {
  static const char infix[] = ".tmp.";
  size_t length = strlen(base);
  if (strncmp(name, base, length) || strncmp(name + length, infix, sizeof infix - 1)) return 0;
  const char *digits = name + length + sizeof infix - 1;
  char *end = NULL;
  errno = 0;
  long number = *digits >= '1' && *digits <= '9' ? strtol(digits, &end, 10) : 0;
  return number > 0 && number <= INT_MAX && !errno && !*end ? (pid_t)number : 0;
}

void moire__file_remove_leftovers(const char *path) {
  moire__text directory_name = {0};
  int directory = open_directory_of(path, &directory_name);
  moire__text_free(&directory_name);
  DIR *entries = directory < 0 ? NULL : fdopendir(directory);
  if (!entries) {
    if (directory >= 0) close(directory);
    return;
  }
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
    pid_t writer = writer_of(entry->d_name, base);
    if (writer && kill(writer, 0) && errno == ESRCH) unlinkat(directory, entry->d_name, 0);
  }
  closedir(entries);
}

/* One that is there already is fine, whatever it is: a later write tells if it is no use. */
moire_status moire__file_make_directories(const char *path, moire_error *error) {
  moire__text prefix = {0};
  moire_status status = MOIRE_OK;
  for (const char *c = path; !status; c++) {
    if ((*c == '/' || !*c) && prefix.length && mkdir(prefix.data, 0777) && errno != EEXIST && errno != EISDIR) {
      status = moire_fail(error, MOIRE_ERROR_IO, "%s: the directory cannot be made: %s", prefix.data,
                          strerror(errno));
    }
    if (!*c) break;
    moire__text_add_char(&prefix, *c);
  }
  moire__text_free(&prefix);
  return status;
}

moire_status moire__file_rename(const char *from, const char *to, moire_error *error) {
  if (rename(from, to))
    return moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be replaced: %s", to, strerror(errno));
  const char *slash = strrchr(to, '/');
  moire__text folder = {0};
  moire__text_add_bytes(&folder, slash ? to : ".", slash && slash > to ? (size_t)(slash - to) : 1);
  int directory = open(folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* EINVAL: a file system whose directories cannot be synced, and so need not be. */
  bool synced = directory >= 0 && (!fsync(directory) || errno == EINVAL);
  moire_status status =
      synced ? MOIRE_OK
             : moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be synced: %s", folder.data, strerror(errno));
  if (directory >= 0) close(directory);
  moire__text_free(&folder);
  return status;
}
