/* Manifests of parts. See manifest.h. */
#include "tools/parts/manifest.h"

#include "runtime/base/hash.h"
#include "runtime/files/file.h"
#include "runtime/files/mapping.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char format[] = "moire-part/1";
static const char *const forms[] = {"lines", "codes", "tensors", "terms"};
enum { FORMS = sizeof forms / sizeof *forms };

moire_status tool_hash_file(const char *path, tool_hash_text out, int64_t *bytes, moire_error *error) {
  moire__mapping file = {0};
  moire_status status = moire__file_map(path, &file, error);
  if (status) return status;
  snprintf(out, sizeof(tool_hash_text), "%016" PRIx64,
           moire__hash_bytes((const unsigned char *)file.bytes, file.n));
  *bytes = (int64_t)file.n;
  moire__file_unmap(&file);
  return MOIRE_OK;
}

moire_status tool_manifest_write(const char *path, const tool_manifest *m, moire_error *error) {
  json_t *root =
      json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s}",
                "format", format, "verb", m->verb, "task", m->task, "part", (json_int_t)m->part.index, "parts",
                (json_int_t)m->part.count, "form", forms[m->part.form], "unit", m->part.unit, "first",
                (json_int_t)m->part.first, "rows", (json_int_t)m->part.rows, "of", (json_int_t)m->part.total,
                "bytes", (json_int_t)m->bytes, "checksum", m->checksum, "model", m->model, "data", m->data,
                "call", m->call, "program", m->program, "column", m->column);
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  moire__arena arena = {0};
  const char *beside = moire__arena_printf(&arena, "%s" TOOL_MANIFEST_SUFFIX, path);
  moire__file_remove_leftovers(beside);
  moire_status status = text ? moire__file_write_atomic(beside, text, strlen(text), error)
                             : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: its call is not UTF-8", beside);
  free(text);
  json_decref(root);
  moire__arena_free(&arena);
  return status;
}

/* A string or a number from 0 of the manifest; *good becomes false where there is none. */
static const char *text_of(const json_t *root, const char *key, moire__arena *arena, bool *good) {
  const char *text = json_string_value(json_object_get(root, key));
  *good = *good && text;
  return text ? moire__arena_copy_string(arena, text) : "";
}

static int64_t number_of(const json_t *root, const char *key, bool *good) {
  const json_t *number = json_object_get(root, key);
  int64_t value = json_is_integer(number) ? json_integer_value(number) : -1;
  *good = *good && value >= 0;
  return value;
}

static bool decode(const json_t *root, moire__arena *arena, tool_manifest *m) {
  bool good = json_is_object(root);
  const char *said = text_of(root, "format", arena, &good), *form = text_of(root, "form", arena, &good);
  *m = (tool_manifest){.verb = text_of(root, "verb", arena, &good),
                       .task = text_of(root, "task", arena, &good),
                       .checksum = text_of(root, "checksum", arena, &good),
                       .model = text_of(root, "model", arena, &good),
                       .data = text_of(root, "data", arena, &good),
                       .call = text_of(root, "call", arena, &good),
                       .program = text_of(root, "program", arena, &good),
                       .column = text_of(root, "column", arena, &good),
                       .part = {.index = number_of(root, "part", &good),
                                .count = number_of(root, "parts", &good),
                                .unit = text_of(root, "unit", arena, &good),
                                .first = number_of(root, "first", &good),
                                .rows = number_of(root, "rows", &good),
                                .total = number_of(root, "of", &good)},
                       .bytes = number_of(root, "bytes", &good)};
  int f = 0;
  while (f < FORMS && strcmp(forms[f], form) != 0) f++;
  m->part.form = (moire__part_form)f;
  return good && f < FORMS && !strcmp(said, format) && m->part.index >= 1 && m->part.index <= m->part.count;
}

/* Is the file what the manifest says? */
static moire_status check_file(const char *path, const tool_manifest *m, moire_error *error) {
  tool_hash_text hash;
  int64_t bytes = 0;
  moire_status status = tool_hash_file(path, hash, &bytes, error);
  if (status) return status;
  if (bytes != m->bytes)
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: has %" PRId64 " bytes, but its manifest says %" PRId64
                      ": it is half written or was changed; compute the part again",
                      path, bytes, m->bytes);
  return !strcmp(hash, m->checksum) ? MOIRE_OK
                                    : moire_fail(error, MOIRE_ERROR_FORMAT,
                                                 "%s: is not what its manifest says (another checksum): it was "
                                                 "changed; compute the part again",
                                                 path);
}

moire_status tool_manifest_read(const char *path, moire__arena *arena, tool_manifest *out, moire_error *error) {
  const char *beside = moire__arena_printf(arena, "%s" TOOL_MANIFEST_SUFFIX, path);
  if (access(beside, F_OK))
    return moire_fail(error, MOIRE_ERROR_IO, "%s: has no manifest %s beside it: the part was not completed",
                      path, beside);
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(beside, (size_t)1 << 20, &bytes, &n, error);
  if (status) return status;
  json_t *root = json_loadb(bytes, n, 0, NULL);
  if (!decode(root, arena, out))
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no manifest of a part (\"format\": \"%s\")", beside,
                        format);
  json_decref(root);
  moire__release(bytes);
  return status ? status : check_file(path, out, error);
}
