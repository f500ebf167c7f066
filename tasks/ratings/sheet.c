/* Tables of text with a header. See sheet.h. */
#include "tasks/ratings/sheet.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/stream.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

moire_status moire__sheet_fail(const moire__sheet *s, moire_error *error, const char *format, ...) {
  char text[400];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%lld: %s", s->path, s->lines.number, text);
}

/* All of it, so that no line is read before one that is not text. */
static moire_status check_text(const char *path, const char *bytes, size_t n, moire_error *error) {
  int64_t line = 1;
  for (size_t i = 0, length = 1; i < n; i += length) {
    bool space = bytes[i] == '\n' || bytes[i] == '\r' || bytes[i] == '\t';
    length = space ? 1 : moire__character(bytes + i, n - i);
    if (!length)
      return moire_fail(error, MOIRE_ERROR_FORMAT,
                        "%s:%" PRId64
                        ": byte 0x%02x is not printable UTF-8: is the file in another encoding, such as "
                        "Latin-1?",
                        path, line, (unsigned)(unsigned char)bytes[i]);
    line += bytes[i] == '\n';
  }
  return MOIRE_OK;
}

/* Splits the current line; -1 if there are too many fields. */
static int split(const moire__sheet *s, moire__field *fields) {
  const char *rest = s->lines.line, *end = rest + s->lines.n;
  moire__field field;
  int n = 0;
  while (moire__field_next(s->separator, &rest, end, &field)) {
    if (n == MOIRE__FORM_FIELDS) return -1;
    fields[n++] = field;
  }
  return n;
}

static moire_status read_header(moire__sheet *s, size_t n, moire_error *error) {
  const char *path = s->path;
  moire_status status = check_text(path, s->bytes, n, error);
  if (status) return status;
  s->lines = moire__lines_of(s->bytes, n);
  if (!moire__lines_next(&s->lines))
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is empty: wanted a header that names its columns", path);
  s->separator = memchr(s->lines.line, '\t', s->lines.n) ? MOIRE__TAB : MOIRE__COMMA;
  s->n_columns = split(s, s->names);
  if (s->n_columns < 1) return moire__sheet_fail(s, error, "has more than %d columns", MOIRE__FORM_FIELDS);
  for (int i = 0; i < s->n_columns; i++) {
    const char *type = memchr(s->names[i].text, ':', s->names[i].n);
    if (!type) continue;
    size_t length = (size_t)(type - s->names[i].text);
    s->types[i] = (moire__field){type + 1, s->names[i].n - length - 1};
    s->names[i].n = length;
  }
  return MOIRE_OK;
}

moire_status moire__sheet_open(moire__sheet *s, const char *path, moire_error *error) {
  size_t n = 0;
  s->path = path;
  moire_status status = moire__stream_read(path, &s->bytes, &n, error);
  return status ? status : read_header(s, n, error);
}

moire_status moire__sheet_parse(moire__sheet *s, const char *path, const char *bytes, size_t n,
                                moire_error *error) {
  s->path = path;
  s->bytes = moire__allocate(n + 1);
  if (n) memcpy(s->bytes, bytes, n);
  return read_header(s, n, error);
}

void moire__sheet_close(moire__sheet *s) {
  moire__release(s->bytes);
  *s = (moire__sheet){0};
}

moire_status moire__sheet_column(const moire__sheet *s, const char *name, int *column, moire_error *error) {
  char known[200];
  size_t used = 0;
  for (*column = 0; *column < s->n_columns; ++*column) {
    const moire__field *f = &s->names[*column];
    if (f->n == strlen(name) && !memcmp(f->text, name, f->n)) return MOIRE_OK;
    int n = snprintf(known + used, sizeof known - used, "%s%.*s", *column ? ", " : "", (int)f->n, f->text);
    used = n < 0 || used + (size_t)n >= sizeof known ? sizeof known - 1 : used + (size_t)n;
  }
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:1: names no column %s, only %s", s->path, name, known);
}

moire_status moire__sheet_next(moire__sheet *s, bool *more, moire_error *error) {
  *more = moire__lines_next(&s->lines);
  if (!*more) return MOIRE_OK;
  int n = split(s, s->fields);
  if (n == s->n_columns) return MOIRE_OK;
  return moire__sheet_fail(s, error, "has %d field%s: wanted %d, as in the header",
                           n < 0 ? MOIRE__FORM_FIELDS : n, n == 1 ? "" : "s", s->n_columns);
}

moire_status moire__sheet_int(const moire__sheet *s, int column, int64_t low, int64_t high, int64_t *value,
                              moire_error *error) {
  moire__field f = s->fields[column];
  bool good = f.n > 0 && f.n < 16;
  *value = 0;
  for (size_t i = 0; i < f.n && good; i++) {
    good = f.text[i] >= '0' && f.text[i] <= '9';
    *value = *value * 10 + (f.text[i] - '0');
  }
  if (good && *value >= low && *value <= high) return MOIRE_OK;
  moire__printable_buffer shown;
  return moire__sheet_fail(s, error, "%.*s '%s': wanted a whole number from %" PRId64 " to %" PRId64,
                           (int)s->names[column].n, s->names[column].text, moire__printable(f.text, f.n, shown),
                           low, high);
}

bool moire__sheet_word(moire__field *rest, moire__field *word) {
  while (rest->n && *rest->text == ' ') rest->text++, rest->n--;
  word->text = rest->text;
  word->n = 0;
  while (rest->n && *rest->text != ' ') rest->text++, rest->n--, word->n++;
  return word->n > 0;
}

bool moire__sheet_has_type(const moire__sheet *s, int column, const char *type) {
  return s->types[column].n == strlen(type) && !memcmp(s->types[column].text, type, s->types[column].n);
}
