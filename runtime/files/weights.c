/* Published weights. See weights.h. */
#include "runtime/files/weights.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_INDEX = 1 << 28, MOST_SHARDS = 4096 };

static bool is_folder(const char *path) {
  struct stat file;
  return !stat(path, &file) && S_ISDIR(file.st_mode);
}

/* NAME in the folder, or beside the file, that `path` is. */
static const char *beside(moire__arena *arena, const char *path, const char *name) {
  const char *slash = strrchr(path, '/');
  if (is_folder(path)) return moire__arena_printf(arena, "%s/%s", path, name);
  return slash ? moire__arena_printf(arena, "%.*s/%s", (int)(slash - path), path, name)
               : moire__arena_copy_string(arena, name);
}

char *moire__weights_config(const char *path, char **file) {
  moire__arena arena = {0};
  moire_error ignored = {0};
  char *bytes = NULL;
  size_t n = 0;
  *file = NULL;
  const char *config = beside(&arena, path, "config.json");
  if (!access(config, R_OK) && !moire__file_read(config, LARGEST_INDEX, &bytes, &n, &ignored)) {
    moire__text text = {0}, name = {0};
    moire__text_add_bytes(&text, bytes, n);
    moire__text_add(&text, "%s", "");
    moire__text_add(&name, "%s", config);
    moire__release(bytes);
    bytes = text.data;
    *file = name.data;
  }
  moire__arena_free(&arena);
  return bytes;
}

/* ---- Shards -------------------------------------------------------------------------------------------------
 */

typedef struct shards {
  const char *path; /* of the index */
  moire__arena arena;
  json_t *map; /* of names to files */
  const char **files;
  moire__safetensors **parts;
  int n;
} shards;

static moire_status add_shard(shards *s, const char *file, moire_error *error) {
  for (int i = 0; i < s->n; i++) {
    if (!strcmp(s->files[i], file)) return MOIRE_OK;
  }
  if (s->n == MOST_SHARDS || strchr(file, '/'))
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted at most %d files beside it, but %.80s came",
                      s->path, MOST_SHARDS, file);
  const char *path = beside(&s->arena, s->path, file);
  if (access(path, F_OK))
    return moire_fail(error, MOIRE_ERROR_IO, "%s: the file %.200s that it names is not beside it", s->path,
                      file);
  moire_status status = moire__safetensors_open(path, &s->parts[s->n], error);
  if (!status) s->files[s->n++] = file;
  return status;
}

static moire_status open_shards(shards *s, moire_error *error) {
  const char *tensor = NULL;
  json_t *file = NULL;
  s->files = moire__arena_array(&s->arena, MOST_SHARDS, sizeof *s->files);
  s->parts = moire__arena_array(&s->arena, MOST_SHARDS, sizeof *s->parts);
  json_object_foreach(s->map, tensor, file) {
    if (!json_is_string(file))
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %.80s: wanted the name of a file", s->path, tensor);
    moire_status status = add_shard(s, json_string_value(file), error);
    if (status) return status;
  }
  return s->n ? MOIRE_OK
              : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted a \"weight_map\" of tensors to files",
                           s->path);
}

/* Every tensor of the map is where it says. */
static moire_status check_map(const shards *s, moire_error *error) {
  const char *tensor = NULL;
  json_t *file = NULL;
  json_object_foreach(s->map, tensor, file) {
    for (int i = 0; i < s->n; i++) {
      if (strcmp(s->files[i], json_string_value(file)) != 0) continue;
      if (moire__safetensors_find(s->parts[i], tensor)) continue;
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: says that %.80s is in %.80s, which has no such tensor",
                        s->path, tensor, s->files[i]);
    }
  }
  return MOIRE_OK;
}

static moire_status open_index(const char *path, moire__safetensors **out, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, LARGEST_INDEX, &bytes, &n, error);
  if (status) return status;
  json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, NULL);
  shards s = {.path = path, .map = json_object_get(root, "weight_map")};
  moire__release(bytes);
  status = open_shards(&s, error);
  if (!status) status = check_map(&s, error);
  if (!status) status = moire__safetensors_join(path, s.parts, s.n, out, error);
  for (int i = 0; i < s.n && status; i++) moire__safetensors_close(s.parts[i]);
  json_decref(root);
  moire__arena_free(&s.arena);
  return status;
}

static bool is_index(const char *path) {
  static const char suffix[] = ".index.json";
  size_t n = strlen(path), length = sizeof suffix - 1;
  return n >= length && !strcmp(path + n - length, suffix);
}

moire_status moire__weights_open(const char *path, moire__safetensors **out, moire_error *error) {
  if (is_index(path)) return open_index(path, out, error);
  if (!is_folder(path)) return moire__safetensors_open(path, out, error);
  moire__arena arena = {0};
  const char *whole = beside(&arena, path, "model.safetensors");
  const char *index = beside(&arena, path, "model.safetensors.index.json");
  moire_status status = !access(whole, F_OK)   ? moire__safetensors_open(whole, out, error)
                        : !access(index, F_OK) ? open_index(index, out, error)
                                               : moire_fail(error, MOIRE_ERROR_IO,
                                                            "%s: has neither model.safetensors nor "
                                                            "model.safetensors.index.json",
                                                            path);
  moire__arena_free(&arena);
  return status;
}
