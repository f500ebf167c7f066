/* Columns that measures are made of. See terms.h. */
#include "tasks/terms.h"

#include <inttypes.h>
#include <string.h>

static const char for_all[] = "all.";

bool moire__terms_is_for_all(const char *name) { return !strncmp(name, for_all, sizeof for_all - 1); }

void *moire__terms_add(moire__terms *t, const char *name, moire__st_dtype dtype, int64_t rows, int64_t width) {
  size_t count = (size_t)(rows * width);
  void *data = moire__arena_array(&t->arena, count + 1, moire__st_dtype_size(dtype));
  const moire__st_tensor column = {.name = moire__arena_copy_string(&t->arena, name),
                                   .dtype = dtype,
                                   .rank = 2,
                                   .shape = {rows, width},
                                   .count = (int64_t)count,
                                   .data = data};
  MOIRE__PUSH(&t->arena, t->at, t->n, t->capacity, column);
  return data;
}

static const moire__st_tensor *find(const moire__terms *t, const char *name) {
  for (int i = 0; i < t->n; i++) {
    if (!strcmp(t->at[i].name, name)) return &t->at[i];
  }
  return NULL;
}

bool moire__terms_have(const moire__terms *t, const char *name) { return find(t, name) != NULL; }

const moire__st_tensor *moire__terms_need(const moire__terms *t, const char *name, moire__st_dtype dtype,
                                          int64_t width, moire_error *error) {
  const moire__st_tensor *column = find(t, name);
  if (column && column->dtype == dtype && (!width || column->shape[1] == width)) return column;
  moire_fail(error, MOIRE_ERROR_FORMAT, "the terms of measures: wanted a column %s of %s", name,
             moire__st_dtype_name(dtype));
  return NULL;
}

/* The rows of one column in all files. */
static moire_status join_column(moire__terms *t, moire__safetensors *const *files, int n,
                                const moire__st_tensor *like, moire_error *error) {
  int64_t rows = 0;
  int last = moire__terms_is_for_all(like->name) ? 1 : n;
  for (int i = 0; i < n; i++) {
    const moire__st_tensor *part = moire__safetensors_find(files[i], like->name);
    if (!part || part->dtype != like->dtype || part->rank != 2 || part->shape[1] != like->shape[1])
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no column %s as %s has it",
                        moire__safetensors_path(files[i]), like->name, moire__safetensors_path(files[0]));
    if (last == 1 &&
        (part->count != like->count ||
         memcmp(part->data, like->data, (size_t)like->count * moire__st_dtype_size(like->dtype)) != 0))
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s is another than in %s",
                        moire__safetensors_path(files[i]), like->name, moire__safetensors_path(files[0]));
    rows += i < last ? part->shape[0] : 0;
  }
  char *to = moire__terms_add(t, like->name, like->dtype, rows, like->shape[1]);
  for (int i = 0; i < last; i++) {
    const moire__st_tensor *part = moire__safetensors_find(files[i], like->name);
    size_t bytes = (size_t)part->count * moire__st_dtype_size(part->dtype);
    if (bytes) memcpy(to, part->data, bytes);
    to += bytes;
  }
  return MOIRE_OK;
}

moire_status moire__terms_join(moire__terms *t, moire__safetensors *const *files, int n, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int c = 0; c < moire__safetensors_count(files[0]) && !status; c++) {
    const moire__st_tensor *like = moire__safetensors_at(files[0], c);
    status = like->rank == 2 ? join_column(t, files, n, like, error)
                             : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s is no column of terms",
                                          moire__safetensors_path(files[0]), like->name);
  }
  return status;
}

void moire__terms_free(moire__terms *t) {
  moire__arena_free(&t->arena);
  *t = (moire__terms){0};
}
