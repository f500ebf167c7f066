#include "runtime/text/corpus.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"

#include <jansson.h>
#include <string.h>

bool moire__corpus_kind_find(const char *name, size_t n, moire__corpus_kind *kind) {
  static const char *const names[] = {"text", "lines", "wikitext", "alpaca"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strlen(names[i]) != n || memcmp(names[i], name, n) != 0) continue;
    *kind = (moire__corpus_kind)i;
    return true;
  }
  return false;
}

bool moire__corpus_is_cut(moire__corpus_kind kind) { return kind == MOIRE__CORPUS_ALPACA; }

/* ---- lines ----------------------------------------------------------------------------------------------- */

static moire_status take_line(const char *line, size_t n, bool is_wiki, moire__corpus_take *take, void *context,
                              moire_error *error) {
  if (!is_wiki && n && line[n - 1] == '\r') n--;
  for (; is_wiki && n && *line == ' '; line++) n--;
  while (is_wiki && n && line[n - 1] == ' ') n--;
  bool is_heading = is_wiki && n && line[0] == '=' && line[n - 1] == '=';
  return n && !is_heading ? take(context, line, n, error) : MOIRE_OK;
}

static moire_status read_lines(const char *text, size_t n, bool is_wiki, moire__corpus_take *take,
                               void *context, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (size_t i = 0; i < n && !status;) {
    const char *end = memchr(text + i, '\n', n - i);
    size_t length = end ? (size_t)(end - text) - i : n - i;
    status = take_line(text + i, length, is_wiki, take, context, error);
    i += length + 1;
  }
  return status;
}

/* ---- records --------------------------------------------------------------------------------------------- */

/* The string of a key; false, with a sentence, where there is none that must be. */
static bool find_string(const char *path, size_t record, const json_t *object, const char *key, bool must,
                        const char **text, size_t *n, moire_error *error) {
  const json_t *value = json_object_get(object, key);
  *text = json_string_value(value);
  *n = json_string_length(value);
  if (*text || (!must && (!value || json_is_null(value)))) return true;
  moire_fail(error, MOIRE_ERROR_FORMAT, "%s: record %zu: wanted a string %s", path, record, key);
  return false;
}

static moire_status take_record(const char *path, size_t record, const json_t *object, moire__corpus_take *take,
                                void *context, moire_error *error) {
  static const char *const keys[] = {"instruction", "input", "output"};
  static const char *const headings[] = {"### Instruction:\n", "\n\n### Input:\n", "\n\n### Response:\n"};
  moire__text text = {0};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < 3 && !status; i++) {
    const char *part = NULL;
    size_t n = 0;
    if (!find_string(path, record, object, keys[i], i != 1, &part, &n, error)) {
      status = MOIRE_ERROR_FORMAT;
    } else if (n || i != 1) {
      moire__text_add(&text, "%s", headings[i]);
      moire__text_add_bytes(&text, part, n);
    }
  }
  if (!status) status = take(context, text.data, text.length, error);
  moire__text_free(&text);
  return status;
}

static moire_status read_records(const char *path, const char *bytes, size_t n, moire__corpus_take *take,
                                 void *context, moire_error *error) {
  json_error_t where;
  json_t *list = json_loadb(bytes, n, JSON_ALLOW_NUL, &where);
  if (!list) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%d: no JSON: %s", path, where.line, where.text);
  moire_status status = MOIRE_OK;
  if (!json_is_array(list))
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted a list of records", path);
  for (size_t i = 0; i < json_array_size(list) && !status; i++)
    status = take_record(path, i, json_array_get(list, i), take, context, error);
  json_decref(list);
  return status;
}

moire_status moire__corpus_read(const char *path, moire__corpus_kind kind, moire__corpus_take *take,
                                void *context, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, 0, &bytes, &n, error);
  if (status) return status;
  switch (kind) {
    case MOIRE__CORPUS_TEXT: status = n ? take(context, bytes, n, error) : MOIRE_OK; break;
    case MOIRE__CORPUS_LINES: status = read_lines(bytes, n, false, take, context, error); break;
    case MOIRE__CORPUS_WIKITEXT: status = read_lines(bytes, n, true, take, context, error); break;
    case MOIRE__CORPUS_ALPACA: status = read_records(path, bytes, n, take, context, error); break;
  }
  moire__release(bytes);
  return status;
}
