/* Reading to the end, and through gzip. */
#include "runtime/files/stream.h"

#include "runtime/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Bytes that grow; one more than `capacity` is there for the NUL. */
typedef struct buffer {
  char *data;
  size_t n, capacity;
} buffer;

static void make_room(buffer *b) {
  if (b->data && b->n < b->capacity) return;
  b->capacity = b->capacity ? b->capacity * 2 : (size_t)1 << 16;
  b->data = moire__resize(b->data, b->capacity + 1);
}

static moire_status fail(const char *path, const char *what, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_IO, "%s: %s: %s", path, what, strerror(errno));
}

static moire_status read_to_end(int file, const char *path, buffer *b, moire_error *error) {
  for (;;) {
    make_room(b);
    size_t room = b->capacity - b->n;
    ssize_t got = read(file, b->data + b->n, room > SSIZE_MAX ? SSIZE_MAX : room);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(path, "cannot be read", error);
    if (got == 0) return MOIRE_OK;
    b->n += (size_t)got;
  }
}

/* Runs the decoder once, with more of the input where it has used up what it had. */
static int step(z_stream *z, const char *bytes, size_t n, size_t *fed, buffer *out) {
  if (!z->avail_in) {
    uInt more = (uInt)(n - *fed > UINT_MAX ? UINT_MAX : n - *fed);
    z->next_in = (Bytef *)(uintptr_t)(bytes + *fed);
    z->avail_in = more;
    *fed += more;
  }
  make_room(out);
  size_t room = out->capacity - out->n;
  uInt place = (uInt)(room > UINT_MAX ? UINT_MAX : room);
  z->next_out = (Bytef *)(out->data + out->n);
  z->avail_out = place;
  int state = inflate(z, Z_NO_FLUSH);
  out->n += place - z->avail_out;
  return state;
}

/* All members of a gzip file, one after the other; what follows them and is none is left out, as gzip does. */
static moire_status inflate_all(const char *path, const char *bytes, size_t n, buffer *out,
                                moire_error *error) {
  enum { GZIP = 15 + 16 };
  z_stream z = {0};
  if (inflateInit2(&z, GZIP) != Z_OK)
    return moire_fail(error, MOIRE_ERROR_IO, "%s: gzip cannot be begun", path);
  size_t fed = 0;
  int state = Z_OK;
  while (state == Z_OK) { /* there is always room, so that no progress means no more input */
    state = step(&z, bytes, n, &fed, out);
    size_t at = fed - z.avail_in;
    if (state == Z_STREAM_END && at < n && bytes[at] == '\x1f') state = inflateReset(&z);
  }
  inflateEnd(&z);
  if (state == Z_STREAM_END) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is compressed by gzip, but damaged or cut short", path);
}

moire_status moire__stream_unpack(const char *path, char *bytes, size_t size, char **data, size_t *n,
                                  moire_error *error) {
  if (size < 2 || memcmp(bytes, "\x1f\x8b", 2) != 0) {
    *data = bytes;
    *n = size;
    return MOIRE_OK;
  }
  buffer out = {0};
  moire_status status = inflate_all(path, bytes, size, &out, error);
  moire__release(bytes);
  if (status) {
    moire__release(out.data);
    return status;
  }
  make_room(&out);
  out.data[out.n] = 0;
  *data = out.data;
  *n = out.n;
  return MOIRE_OK;
}

moire_status moire__stream_read(const char *path, char **data, size_t *n, moire_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(path, "cannot be opened", error);
  struct stat about;
  buffer b = {0};
  moire_status status = MOIRE_OK;
  if (fstat(file, &about)) {
    status = fail(path, "cannot be read", error);
  } else if (S_ISDIR(about.st_mode)) {
    status = moire_fail(error, MOIRE_ERROR_IO, "%s: is a directory, not a file", path);
  } else {
    if (S_ISREG(about.st_mode)) b.capacity = ((size_t)about.st_size + 2) / 2;
    status = read_to_end(file, path, &b, error);
  }
  close(file);
  if (status) {
    moire__release(b.data);
    return status;
  }
  b.data[b.n] = 0;
  return moire__stream_unpack(path, b.data, b.n, data, n, error);
}
