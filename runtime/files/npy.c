/* Reading and writing .npy files. */
#include "runtime/files/npy.h"

#include "runtime/base/text.h"
#include "runtime/files/file.h"
#include "runtime/files/file_kind.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- The header -------------------------------------------------------------------------------------------
 */

/* The rest of the header's text, read from the front. */
typedef struct cursor {
  const char *at, *end;
  moire__arena *texts;
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

/* A key of the dictionary and its colon. */
static bool take_key(cursor *c, const char *name) {
  const char *start = c->at;
  if ((take(c, "'") || take(c, "\"")) && take(c, name) && (take(c, "'") || take(c, "\"")) && take(c, ":"))
    return true;
  c->at = start;
  return false;
}

static bool take_number(cursor *c, int64_t *out) {
  skip_space(c);
  const char *start = c->at;
  for (*out = 0; c->at < c->end && isdigit((unsigned char)*c->at); c->at++) {
    if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *c->at - '0', out)) return false;
  }
  bool good = c->at > start;
  if (good) (void)take(c, "L"); /* of Python 2 */
  return good;
}

/* The types of NumPy that have one here, without the byte order. */
static const struct {
  const char *text;
  moire__st_dtype dtype;
} types[] = {{"b1", MOIRE__ST_BOOL}, {"i1", MOIRE__ST_I8},   {"i2", MOIRE__ST_I16}, {"i4", MOIRE__ST_I32},
             {"i8", MOIRE__ST_I64},  {"u1", MOIRE__ST_U8},   {"u2", MOIRE__ST_U16}, {"u4", MOIRE__ST_U32},
             {"u8", MOIRE__ST_U64},  {"f2", MOIRE__ST_F16},  {"f4", MOIRE__ST_F32}, {"f8", MOIRE__ST_F64},
             {"c8", MOIRE__ST_C64},  {"c16", MOIRE__ST_C128}};
enum { N_TYPES = sizeof types / sizeof *types };

static bool is_order(char c) { return c == '<' || c == '>' || c == '|' || c == '='; }

static void name_type(const char *text, size_t n, moire__array *out) {
  out->dtype = MOIRE__ST_OTHER;
  bool order = n > 0 && is_order(text[0]);
  const char *type = text + order;
  size_t length = n - order;
  for (int i = 0; i < N_TYPES; i++) {
    if (strlen(types[i].text) == length && !memcmp(types[i].text, type, length)) out->dtype = types[i].dtype;
  }
  out->swapped = order && text[0] == '>' && out->dtype != MOIRE__ST_OTHER;
}

/* The end of what stands in brackets, strings in it passed over; NULL if there is none. */
static const char *end_of_list(const char *at, const char *end) {
  int depth = 0;
  char quote = 0;
  for (; at < end; at++) {
    if (quote) {
      if (*at == quote) quote = 0;
    } else if (*at == '\'' || *at == '"') {
      quote = *at;
    } else if (*at == '[' || *at == '(') {
      depth++;
    } else if (*at == ']' || *at == ')') {
      if (--depth == 0) return at + 1;
    }
  }
  return NULL;
}

/* A string, or the list of a structured type, which is kept as text. */
static bool take_type(cursor *c, moire__array *out) {
  skip_space(c);
  if (c->at == c->end) return false;
  const char *start = c->at, *stop = NULL;
  if (*start == '[' || *start == '(') {
    stop = end_of_list(start, c->end);
    if (!stop) return false;
    out->dtype = MOIRE__ST_OTHER;
    c->at = stop;
  } else {
    if (*start != '\'' && *start != '"') return false;
    stop = memchr(start + 1, *start, (size_t)(c->end - start - 1));
    if (!stop) return false;
    c->at = stop + 1;
    start++;
    name_type(start, (size_t)(stop - start), out);
  }
  out->dtype_text = moire__arena_printf(c->texts, "%.*s", (int)(stop - start), start);
  return true;
}

static bool take_shape(cursor *c, moire__array *out) {
  if (!take(c, "(")) return false;
  while (!take(c, ")")) {
    if (out->rank == MOIRE__ST_MAX_RANK || !take_number(c, &out->shape[out->rank])) return false;
    out->rank++;
    if (!take(c, ",")) return take(c, ")");
  }
  return true;
}

/* Each key once, in any order; a comma may stand behind the last. Says what is wrong, or NULL. */
static const char *take_header(cursor *c, moire__array *out) {
  bool type = false, order = false, shape = false;
  if (!take(c, "{")) return "its header is no dictionary";
  while (!take(c, "}")) {
    if (!type && take_key(c, "descr")) {
      if (!take_type(c, out)) return "'descr' of its header is no type";
      type = true;
    } else if (!order && take_key(c, "fortran_order")) {
      out->fortran = take(c, "True");
      if (!out->fortran && !take(c, "False")) return "'fortran_order' of its header is neither True nor False";
      order = true;
    } else if (!shape && take_key(c, "shape")) {
      if (!take_shape(c, out)) return "'shape' of its header is no tuple of at most 8 whole numbers";
      shape = true;
    } else {
      return "its header has a key twice, or one besides 'descr', 'fortran_order' and 'shape'";
    }
    if (!take(c, ",") && !(skip_space(c), c->at < c->end && *c->at == '}')) return "its header is cut short";
  }
  while (c->at < c->end && (isspace((unsigned char)*c->at) || !*c->at)) c->at++;
  if (!(type && order && shape)) return "its header lacks 'descr', 'fortran_order' or 'shape'";
  return c->at == c->end ? NULL : "something follows the dictionary of its header";
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

static moire_status malformed(const char *path, const char *why, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no .npy file that can be read: %s", path, why);
}

/* The elements, as many as the shape says; nothing is known of the size of those of another type. */
static moire_status check_size(moire__array *out, size_t left, moire_error *error) {
  size_t size = moire__st_dtype_size(out->dtype);
  int64_t bytes = 0;
  out->count = 1;
  bool fits = true;
  for (int i = 0; i < out->rank; i++)
    fits = fits && !__builtin_mul_overflow(out->count, out->shape[i], &out->count);
  fits = fits && !__builtin_mul_overflow(out->count, (int64_t)size, &bytes);
  if (!fits) return malformed(out->path, "the product of its shape overflows", error);
  if (out->dtype == MOIRE__ST_OTHER || (uint64_t)bytes == left) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT,
                    "%s: is no .npy file that can be read: %" PRId64 " elements of '%s' need %" PRId64
                    " bytes, but %zu follow its header%s",
                    out->path, out->count, out->dtype_text, bytes, left,
                    (uint64_t)bytes > left ? " (cut short?)" : "");
}

moire_status moire__npy_parse(const char *path, const char *bytes, size_t n, moire__arena *texts,
                              moire__array *out, moire_error *error) {
  const unsigned char *b = (const unsigned char *)bytes;
  const char *other = moire__file_kind(bytes, n);
  if (other) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is %s", path, other);
  if (moire__is_safetensors(bytes, n))
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: is a safetensors file, which is given alone, wanted a .npy file", path);
  if (!moire__is_npy(bytes, n)) return malformed(path, "it does not begin as one", error);
  if (n < 12) return malformed(path, "it is too short", error);
  size_t prefix = b[6] == 1 ? 10 : 12;
  if (b[6] < 1 || b[6] > 3) return malformed(path, "its version is not 1, 2 or 3", error);
  size_t length = (size_t)b[8] | (size_t)b[9] << 8;
  if (prefix == 12) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
  if (length > n - prefix) return malformed(path, "its header is longer than the file", error);
  *out = (moire__array){.path = path, .name = path};
  cursor c = {bytes + prefix, bytes + prefix + length, texts};
  const char *why = take_header(&c, out);
  if (why) return malformed(path, why, error);
  out->data = bytes + prefix + length;
  return check_size(out, n - prefix - length, error);
}

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

moire_status moire__npy_header(const char *path, moire__st_dtype dtype, int rank, const int64_t *shape,
                               moire__npy_head out, size_t *n, moire_error *error) {
  enum { PREFIX = 10, MULTIPLE = 64 };
  const char *type = NULL;
  for (int i = 0; i < N_TYPES; i++) {
    if (types[i].dtype == dtype) type = types[i].text;
  }
  if (!type)
    return moire_fail(error, MOIRE_ERROR_TYPE, "%s: .npy files hold no %s", path, moire__st_dtype_name(dtype));
  moire__text text = {0};
  moire__text_add(&text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                  moire__st_dtype_size(dtype) > 1 ? '<' : '|', type);
  for (int i = 0; i < rank; i++)
    moire__text_add(&text, i ? " %lld," : "%lld,", (long long)shape[i]); /* one extent needs its comma */
  if (rank > 1) text.length--;
  moire__text_add(&text, "), }");
  size_t whole = (PREFIX + text.length + 1 + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
  memset(out, ' ', MOIRE__NPY_HEADER);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)((whole - PREFIX) & 255);
  out[9] = (char)((whole - PREFIX) >> 8);
  memcpy(out + PREFIX, text.data, text.length);
  out[whole - 1] = '\n';
  *n = whole;
  moire__text_free(&text);
  return MOIRE_OK;
}

moire_status moire__npy_write(const char *path, moire__st_dtype dtype, int rank, const int64_t *shape,
                              const void *data, moire_error *error) {
  moire__npy_head head;
  size_t n = 0, bytes = moire__st_dtype_size(dtype);
  moire_status status = moire__npy_header(path, dtype, rank, shape, head, &n, error);
  if (status) return status;
  for (int i = 0; i < rank; i++) bytes *= (size_t)shape[i];
  const moire__piece pieces[] = {{head, n}, {data, bytes}};
  return moire__file_write_pieces(path, pieces, 2, error);
}
