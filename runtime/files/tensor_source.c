/* Opening data: which form it has, and the arrays of its files. */
#include "runtime/files/tensor_source.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"
#include "runtime/files/file_kind.h"
#include "runtime/files/mapping.h"
#include "runtime/files/npy.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct moire__tensor_source {
  const char *path;
  moire__safetensors *file; /* or NULL, and these: */
  moire__mapping *mappings; /* [n_mappings], of .npy files */
  int n_mappings, mappings_capacity;
  moire__array *arrays; /* [n] */
  int n, capacity;
  moire__arena arena;
};

const char *moire__tensor_source_path(const moire__tensor_source *s) { return s->path; }
int moire__tensor_source_count(const moire__tensor_source *s) { return s->n; }
const moire__array *moire__tensor_source_at(const moire__tensor_source *s, int i) { return &s->arrays[i]; }

const char *moire__tensor_source_metadata(const moire__tensor_source *s, const char *key) {
  return s->file ? moire__safetensors_metadata(s->file, key) : NULL;
}

moire__st_metadata moire__tensor_source_metadata_at(const moire__tensor_source *s, int i) {
  return s->file ? moire__safetensors_metadata_at(s->file, i) : (moire__st_metadata){0};
}

const moire__array *moire__tensor_source_find(const moire__tensor_source *s, const char *name) {
  for (int i = 0; i < s->n; i++) {
    if (!strcmp(s->arrays[i].name, name)) return &s->arrays[i];
  }
  return NULL;
}

void moire__tensor_source_close(moire__tensor_source *s) {
  if (!s) return;
  for (int i = 0; i < s->n_mappings; i++) moire__file_unmap(&s->mappings[i]);
  moire__safetensors_close(s->file);
  moire__arena_free(&s->arena);
  moire__release(s);
}

/* ---- .npy files -------------------------------------------------------------------------------------------
 */

static bool ends_in_npy(const char *name) {
  size_t n = strlen(name);
  return n > 4 && !strcmp(name + n - 4, ".npy");
}

/* The file's name without its folder and .npy. */
static const char *name_of_file(moire__tensor_source *s, const char *path) {
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  size_t n = strlen(base) - (ends_in_npy(base) ? 4 : 0);
  return moire__arena_printf(&s->arena, "%.*s", (int)n, base);
}

/* Takes the mapping, on failure too. */
static moire_status add_array(moire__tensor_source *s, const char *path, const char *name,
                              moire__mapping mapping, moire_error *error) {
  moire__array array;
  MOIRE__PUSH(&s->arena, s->mappings, s->n_mappings, s->mappings_capacity, mapping);
  moire_status status = moire__npy_parse(path, mapping.bytes, mapping.n, &s->arena, &array, error);
  if (status) return status;
  array.name = name;
  const moire__array *other = moire__tensor_source_find(s, name);
  if (other)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s and %s are both named %s; write NAME=PATH", s->path,
                      other->path, path, name);
  MOIRE__PUSH(&s->arena, s->arrays, s->n, s->capacity, array);
  return MOIRE_OK;
}

static moire_status add_npy(moire__tensor_source *s, const char *path, const char *name, moire_error *error) {
  moire__mapping mapping = {0};
  moire_status status = moire__file_map(path, &mapping, error);
  return status ? status : add_array(s, path, name, mapping, error);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static moire_status open_folder(moire__tensor_source *s, moire_error *error) {
  DIR *folder = opendir(s->path);
  if (!folder) return moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be opened: %s", s->path, strerror(errno));
  char **names = NULL;
  int n = 0, capacity = 0;
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
    if (entry->d_name[0] == '.' || !ends_in_npy(entry->d_name)) continue;
    MOIRE__PUSH(&s->arena, names, n, capacity, moire__arena_copy_string(&s->arena, entry->d_name));
  }
  closedir(folder);
  if (n == 0)
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: is a folder without .npy files, wanted one for each tensor, or a safetensors file",
                      s->path);
  qsort(names, (size_t)n, sizeof *names, by_name);
  moire_status status = MOIRE_OK;
  const char *between = s->path[strlen(s->path) - 1] == '/' ? "" : "/";
  for (int i = 0; i < n && !status; i++) {
    const char *path = moire__arena_printf(&s->arena, "%s%s%s", s->path, between, names[i]);
    status = add_npy(s, path, name_of_file(s, path), error);
  }
  return status;
}

/* ---- A file, and a list -----------------------------------------------------------------------------------
 */

static moire_status open_safetensors(moire__tensor_source *s, moire_error *error) {
  moire_status status = moire__safetensors_map(s->path, &s->file, error);
  if (status) return status;
  for (int i = 0; i < moire__safetensors_count(s->file); i++) {
    const moire__st_tensor *tensor = moire__safetensors_at(s->file, i);
    moire__array array = moire__array_of_tensor(s->path, tensor);
    array.dtype_text = moire__safetensors_dtype_text(s->file, tensor);
    MOIRE__PUSH(&s->arena, s->arrays, s->n, s->capacity, array);
  }
  return MOIRE_OK;
}

static moire_status open_file(moire__tensor_source *s, moire_error *error) {
  moire__mapping mapping = {0};
  moire_status status = moire__file_map(s->path, &mapping, error);
  if (status) return status;
  if (moire__is_npy(mapping.bytes, mapping.n))
    return add_array(s, s->path, name_of_file(s, s->path), mapping, error);
  bool empty = mapping.n == 0;
  moire__file_unmap(&mapping);
  if (empty)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is empty, wanted a safetensors or .npy file", s->path);
  return open_safetensors(s, error);
}

/* One of a list: PATH, or NAME=PATH unless a file is called so. */
static moire_status add_item(moire__tensor_source *s, char *item, moire_error *error) {
  struct stat about;
  char *equals = strchr(item, '=');
  if (!*item)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: an empty place in the list, wanted NAME=PATH or PATH",
                      s->path);
  if (!equals || stat(item, &about) == 0) return add_npy(s, item, name_of_file(s, item), error);
  *equals = 0;
  if (!*item || !equals[1])
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: wanted NAME=PATH, but '%s=%s' came", s->path, item,
                      equals + 1);
  return add_npy(s, equals + 1, item, error);
}

static moire_status open_list(moire__tensor_source *s, moire_error *error) {
  char *item = moire__arena_copy_string(&s->arena, s->path);
  moire_status status = MOIRE_OK;
  while (item && !status) {
    char *comma = strchr(item, ',');
    if (comma) *comma = 0;
    status = add_item(s, item, error);
    item = comma ? comma + 1 : NULL;
  }
  return status;
}

static moire_status open_any(moire__tensor_source *s, moire_error *error) {
  struct stat about;
  if (!*s->path) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the data have no name: it is empty");
  if (stat(s->path, &about) == 0) return S_ISDIR(about.st_mode) ? open_folder(s, error) : open_file(s, error);
  if (strchr(s->path, ',') || strchr(s->path, '=')) return open_list(s, error);
  return open_file(s, error);
}

moire_status moire__tensor_source_open(const char *data, moire__tensor_source **out, moire_error *error) {
  moire__tensor_source *s = moire__allocate(sizeof *s);
  s->path = moire__arena_copy_string(&s->arena, data);
  moire_status status = open_any(s, error);
  if (status) {
    moire__tensor_source_close(s);
    return status;
  }
  *out = s;
  return MOIRE_OK;
}

/* ---- What is asked for ------------------------------------------------------------------------------------
 */

moire_status moire__tensor_source_need(const moire__tensor_source *s, const char *name,
                                       const moire__array **out, moire_error *error) {
  enum { SHOWN = 12 };
  *out = moire__tensor_source_find(s, name);
  if (*out) return MOIRE_OK;
  moire__text text = {0};
  for (int i = 0; i < s->n && i < SHOWN; i++) {
    moire__printable_buffer shown;
    moire__text_add(&text, i ? ", %s" : "%s",
                    moire__printable(s->arrays[i].name, strlen(s->arrays[i].name), shown));
  }
  if (s->n > SHOWN) moire__text_add(&text, " and %d more", s->n - SHOWN);
  moire_status status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no tensor '%s'; it has %s", s->path,
                                   name, s->n ? text.data : "none at all");
  moire__text_free(&text);
  return status;
}

moire_status moire__tensor_source_take(const moire__tensor_source *s, const char *name, moire_dtype type,
                                       int rank, const int64_t *shape, const moire__array **out,
                                       moire_error *error) {
  moire_status status = moire__tensor_source_need(s, name, out, error);
  if (!status) status = moire__array_check_row(*out, rank, shape, error);
  if (!status) status = moire__array_check_type(*out, type, error);
  return status;
}

moire_status moire__arrays_rows(const moire__array *const *arrays, int n, int64_t *rows, moire_error *error) {
  *rows = n ? moire__array_rows(arrays[0]) : 0;
  for (int i = 1; i < n; i++) {
    int64_t other = moire__array_rows(arrays[i]);
    if (other == *rows) continue;
    moire__printable_buffer first, second;
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "%s: %s has %" PRId64 " rows, but %s%s%s has %" PRId64 "; wanted the same of each",
                      arrays[i]->path, moire__printable(arrays[i]->name, strlen(arrays[i]->name), first), other,
                      strcmp(arrays[0]->path, arrays[i]->path) ? arrays[0]->path : "",
                      strcmp(arrays[0]->path, arrays[i]->path) ? ": " : "",
                      moire__printable(arrays[0]->name, strlen(arrays[0]->name), second), *rows);
  }
  return MOIRE_OK;
}

uint64_t moire__arrays_fingerprint(const moire__array *const *arrays, int n) {
  uint64_t hash = MOIRE__FNV_START;
  for (int i = 0; i < n; i++) hash = moire__array_fingerprint(arrays[i], hash);
  return hash;
}
