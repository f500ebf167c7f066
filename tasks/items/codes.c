/* Counting codes, and reading their file. */
#include "tasks/items/codes.h"

#include "runtime/base/hash.h"
#include "runtime/files/file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- Counting ---------------------------------------------------------------------------------------------
 */

static uint64_t hash_row(const int32_t *row, int levels) {
  uint64_t hash = MOIRE__FNV_START;
  for (int l = 0; l < levels; l++) hash = moire__fnv(hash, (uint32_t)row[l]);
  return hash ^ hash >> 29;
}

/* An open table of the first row of each kind, at most half full; `last` has the digit given last. */
int64_t moire__codes_digits(const int32_t *codes, int64_t n, int levels, int32_t *digits) {
  size_t capacity = 16;
  while (capacity < 2 * (size_t)n) capacity *= 2;
  int64_t *first = moire__allocate_array(capacity, sizeof *first); /* row + 1; 0: free */
  int32_t *last = moire__allocate_array(capacity, sizeof *last);
  int64_t kinds = 0;
  for (int64_t i = 0; i < n; i++) {
    const int32_t *row = codes + i * levels;
    size_t at = hash_row(row, levels) & (capacity - 1);
    while (first[at] && memcmp(codes + (first[at] - 1) * levels, row, (size_t)levels * sizeof *row) != 0)
      at = (at + 1) & (capacity - 1);
    digits[i] = first[at] ? ++last[at] : 0;
    if (first[at]) continue;
    first[at] = i + 1;
    kinds++;
  }
  moire__release(first);
  moire__release(last);
  return kinds;
}

moire__usage moire__codes_usage(const int32_t *codes, int64_t n, int levels, int level, int64_t size) {
  int64_t *counts = moire__allocate_array((size_t)size, sizeof *counts), used = 0;
  double entropy = 0;
  for (int64_t i = 0; i < n; i++) counts[codes[i * levels + level]]++;
  for (int64_t k = 0; k < size; k++) {
    if (!counts[k]) continue;
    double share = (double)counts[k] / (double)n;
    entropy -= share * log(share);
    used++;
  }
  moire__release(counts);
  return (moire__usage){(double)used / (double)size, exp(entropy)};
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

typedef struct reader {
  const char *path;
  int64_t line; /* from 1 */
  int columns;
  const int64_t *limits;
} reader;

/* The number at *text, which a tab or the end of the line ends; *text is then behind it. */
static moire_status read_code(const reader *r, int column, const char **text, const char *end, int32_t *out,
                              moire_error *error) {
  const char *at = *text;
  int64_t value = 0;
  for (; at < end && *at >= '0' && *at <= '9' && value <= INT32_MAX; at++) value = value * 10 + (*at - '0');
  if (at == *text || (at < end && *at != '\t') || value > INT32_MAX) {
    moire__printable_buffer shown;
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%" PRId64 ": wanted a code in column %d, but '%s' came",
                      r->path, r->line, column + 2, moire__printable(*text, (size_t)(end - *text), shown));
  }
  if (r->limits[column] && value >= r->limits[column])
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s:%" PRId64 ": code %" PRId64 " in column %d is out of range: the level has %" PRId64
                      " codes, from 0",
                      r->path, r->line, value, column + 2, r->limits[column]);
  *out = (int32_t)value;
  *text = at < end ? at + 1 : at;
  return MOIRE_OK;
}

static moire_status read_line(const reader *r, const char *line, const char *end, int32_t *row,
                              moire_error *error) {
  if (end > line && end[-1] == '\r') end--;
  int tabs = 0;
  for (const char *c = line; c < end; c++) tabs += *c == '\t';
  if (tabs != r->columns)
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s:%" PRId64 ": wanted a name and %d codes, with tabs between, but %d fields came",
                      r->path, r->line, r->columns, tabs + 1);
  const char *text = (const char *)memchr(line, '\t', (size_t)(end - line)) + 1;
  moire_status status = MOIRE_OK;
  for (int j = 0; j < r->columns && !status; j++) status = read_code(r, j, &text, end, &row[j], error);
  return status;
}

moire_status moire__codes_read(const char *path, int columns, const int64_t *limits, moire__codes *out,
                               moire_error *error) {
  char *bytes = NULL;
  size_t size = 0;
  moire_status status = moire__file_read(path, 0, &bytes, &size, error);
  if (status) return status;
  int64_t lines = size && bytes[size - 1] != '\n';
  for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
  if (!lines) status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is empty, wanted codes of items", path);
  *out = (moire__codes){.columns = columns};
  out->values = moire__arena_array(&out->arena, (size_t)lines * (size_t)columns + 1, sizeof *out->values);
  const char *end = bytes + size;
  reader r = {.path = path, .columns = columns, .limits = limits};
  for (const char *line = bytes; line < end && !status;) {
    const char *newline = memchr(line, '\n', (size_t)(end - line)), *stop = newline ? newline : end;
    r.line = out->n + 1;
    status = read_line(&r, line, stop, out->values + out->n++ * columns, error);
    line = newline ? newline + 1 : end;
  }
  moire__release(bytes);
  if (status) moire__codes_free(out);
  return status;
}

void moire__codes_free(moire__codes *codes) {
  moire__arena_free(&codes->arena);
  *codes = (moire__codes){0};
}
