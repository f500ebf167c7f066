/* Reading and writing .npy files. */
#include "runtime/files/npy.h"

#include "runtime/files/file.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The rest of the header's text, read from the front. */
typedef struct cursor {
  const char *at, *end;
} cursor;

static void skip_space(cursor *c) {
  while (c->at < c->end && isspace((unsigned char)*c->at)) c->at++;
}

static bool take(cursor *c, const char *word) {
  size_t n = strlen(word);
  skip_space(c);
  if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
  c->at += n;
  return true;
}

static bool take_number(cursor *c, int64_t *out) {
  skip_space(c);
  const char *start = c->at;
  for (*out = 0; c->at < c->end && isdigit((unsigned char)*c->at); c->at++) {
    if (*out > INT64_MAX / 16) return false;
    *out = *out * 10 + (*c->at - '0');
  }
  return c->at > start;
}

static bool take_type(cursor *c, moire__st_dtype *out) {
  if (take(c, "'<f4'"))
    *out = MOIRE__ST_F32;
  else if (take(c, "'<f8'"))
    *out = MOIRE__ST_F64;
  else if (take(c, "'<f2'"))
    *out = MOIRE__ST_F16;
  else
    return false;
  return true;
}

static bool take_shape(cursor *c, moire__st_tensor *out) {
  if (!take(c, "(")) return false;
  while (!take(c, ")")) {
    if (out->rank == MOIRE__ST_MAX_RANK || !take_number(c, &out->shape[out->rank])) return false;
    out->rank++;
    if (!take(c, ",")) return take(c, ")");
  }
  return true;
}

/* Each key once, in any order; a comma may stand behind the last. */
static bool take_header(cursor *c, moire__st_tensor *out) {
  bool type = false, order = false, shape = false;
  if (!take(c, "{")) return false;
  while (!take(c, "}")) {
    bool good = false;
    if (!type && take(c, "'descr':"))
      type = good = take_type(c, &out->dtype);
    else if (!order && take(c, "'fortran_order':"))
      order = good = take(c, "False");
    else if (!shape && take(c, "'shape':"))
      shape = good = take_shape(c, out);
    if (!good) return false;
    if (!take(c, ",") && !(skip_space(c), c->at < c->end && *c->at == '}')) return false;
  }
  skip_space(c);
  return type && order && shape && c->at == c->end;
}

static moire_status malformed(const char *path, const char *why, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no .npy file that can be read: %s", path, why);
}

moire_status moire__npy_parse(const char *path, const char *bytes, size_t n, moire__st_tensor *out,
                              moire_error *error) {
  const unsigned char *b = (const unsigned char *)bytes;
  if (n < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0) return malformed(path, "it is too short", error);
  size_t prefix = b[6] == 1 ? 10 : 12;
  if (b[6] < 1 || b[6] > 3) return malformed(path, "its version is not 1, 2 or 3", error);
  size_t length = (size_t)b[8] | (size_t)b[9] << 8;
  if (prefix == 12) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
  if (length > n - prefix) return malformed(path, "its header is longer than the file", error);
  *out = (moire__st_tensor){.name = path};
  cursor c = {bytes + prefix, bytes + prefix + length};
  if (!take_header(&c, out))
    return malformed(path, "wanted an array of '<f2', '<f4' or '<f8' whose fortran_order is False", error);
  size_t left = n - prefix - length, size = moire__st_dtype_size(out->dtype);
  out->count = 1;
  bool fits = (prefix + length) % 16 == 0;
  for (int i = 0; i < out->rank; i++)
    fits = fits && !__builtin_mul_overflow(out->count, out->shape[i], &out->count);
  if (!fits || (uint64_t)out->count != left / size || left % size)
    return malformed(path, "its shape and the bytes that it has do not agree", error);
  out->data = bytes + prefix + length;
  return MOIRE_OK;
}

moire_status moire__npy_write(const char *path, const float *values, int64_t n, int64_t width,
                              moire_error *error) {
  enum { PREFIX = 10, WHOLE = 128 };
  char head[WHOLE + 1];
  memset(head, ' ', sizeof head);
  memcpy(head, "\x93NUMPY\x01\x00\x76\x00", PREFIX); /* 0x76 = WHOLE - PREFIX */
  int used =
      snprintf(head + PREFIX, WHOLE - PREFIX,
               "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 "), }", n, width);
  head[PREFIX + used] = ' ';
  head[WHOLE - 1] = '\n';
  moire__piece pieces[] = {{head, WHOLE}, {values, (size_t)n * (size_t)width * sizeof *values}};
  return moire__file_write_pieces(path, pieces, 2, error);
}
