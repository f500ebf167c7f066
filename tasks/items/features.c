/* Item features: reading, checking, writing. float32 is read where the file was read to. */
#include "tasks/items/features.h"

#include "runtime/base/hash.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"
#include "runtime/files/file_kind.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *moire__features_row(const moire__features *f, int64_t i, moire__row_buffer buffer) {
  if (f->names) return f->names[i];
  snprintf(buffer, sizeof(moire__row_buffer), "%" PRId64, i);
  return buffer;
}

/* ---- The array --------------------------------------------------------------------------------------------
 */

/* The tensor that is meant: the one that is named, or the only matrix. */
static moire_status find_tensor(const moire__features *f, const char *name, const moire__st_tensor **out,
                                moire_error *error) {
  if (name) return moire__safetensors_need(f->file, name, out, error);
  int n = 0;
  for (int i = 0; i < moire__safetensors_count(f->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(f->file, i);
    if (t->rank != 2 || !moire__st_dtype_is_float(t->dtype)) continue;
    *out = t;
    n++;
  }
  if (n == 1) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT,
                    "%s: holds %d matrices of floating point numbers, wanted one, or --tensor NAME", f->path,
                    n);
}

/* An array that does not lie in memory as a tensor would becomes values at once. */
static moire_status take_npy(moire__features *f, size_t n, moire__st_tensor *tensor, moire_error *error) {
  moire__array array;
  moire_status status = moire__npy_parse(f->path, f->bytes, n, &f->arena, &array, error);
  if (status) return status;
  bool plain =
      !array.swapped && !array.fortran && (uintptr_t)array.data % moire__st_dtype_size(array.dtype) == 0;
  bool fits = moire__st_dtype_is_float(array.dtype) && array.rank == 2;
  *tensor = (moire__st_tensor){
      .name = f->path, .dtype = array.dtype, .rank = array.rank, .count = array.count, .data = array.data};
  memcpy(tensor->shape, array.shape, sizeof tensor->shape);
  if (plain || !fits) return MOIRE_OK;
  f->converted = moire__allocate_array((size_t)array.count, sizeof *f->converted);
  tensor->dtype = MOIRE__ST_F32;
  tensor->data = f->converted;
  return moire__array_copy(&array, MOIRE_F32, f->converted, NULL, error);
}

static moire_status read_array(moire__features *f, const char *name, moire__st_tensor *array,
                               moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(f->path, 0, &bytes, &n, error);
  if (status) return status;
  if (!n) {
    moire__release(bytes);
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is empty, wanted features of items", f->path);
  }
  if (moire__is_npy(bytes, n)) {
    f->bytes = bytes;
    if (!name) return take_npy(f, n, array, error);
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: is a .npy file, whose array has no name %s", f->path,
                      name);
  }
  const moire__st_tensor *found = NULL;
  status = moire__safetensors_parse(f->path, bytes, n, &f->file, error);
  if (!status) status = find_tensor(f, name, &found, error);
  if (!status) *array = *found;
  return status;
}

static moire_status take_array(moire__features *f, const moire__st_tensor *a, moire_error *error) {
  if (!moire__st_dtype_is_float(a->dtype) || a->rank != 2)
    return moire_fail(error, MOIRE_ERROR_TYPE,
                      "%s: wanted a matrix of floating point numbers, but %s of %d axes came", f->path,
                      moire__st_dtype_name(a->dtype), a->rank);
  f->n = a->shape[0];
  f->width = a->shape[1];
  if (f->n < 1 || f->width < 1)
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "%s: holds %" PRId64 " items of %" PRId64 " features, wanted some of each", f->path, f->n,
                      f->width);
  f->values = a->data;
  if (a->dtype == MOIRE__ST_F32) return MOIRE_OK;
  f->converted = moire__allocate_array((size_t)a->count, sizeof *f->converted);
  moire__st_to_float(a, f->converted);
  f->values = f->converted;
  moire__safetensors_close(f->file);
  moire__release(f->bytes);
  f->file = NULL;
  f->bytes = NULL;
  return MOIRE_OK;
}

/* Finite, and the fingerprint. A float64 beyond float32 is infinite here. */
static moire_status check_values(moire__features *f, moire_error *error) {
  uint64_t hash = MOIRE__FNV_START ^ (uint64_t)f->n ^ (uint64_t)f->width << 32;
  for (int64_t i = 0; i < f->n * f->width; i++) {
    uint32_t bits = 0;
    memcpy(&bits, &f->values[i], sizeof bits);
    hash = moire__fnv(hash, bits);
    if (isfinite(f->values[i])) continue;
    moire__row_buffer row;
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: row %s: feature %" PRId64 " is %g, wanted a number that float32 holds", f->path,
                      moire__features_row(f, i / f->width, row), i % f->width, (double)f->values[i]);
  }
  f->fingerprint = hash;
  return MOIRE_OK;
}

/* ---- Names ------------------------------------------------------------------------------------------------
 */

static moire_status bad_name(const char *path, int64_t line, const char *why, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%" PRId64 ": %s", path, line + 1, why);
}

/* A name and the row that has it. */
typedef struct named {
  const char *name;
  int64_t row;
} named;

static int by_name(const void *a, const void *b) {
  const named *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* A name stands for one row. */
static moire_status check_names(const moire__features *f, const char *path, moire_error *error) {
  named *sorted = moire__allocate_array((size_t)f->n, sizeof *sorted);
  for (int64_t i = 0; i < f->n; i++) sorted[i] = (named){f->names[i], i};
  qsort(sorted, (size_t)f->n, sizeof *sorted, by_name);
  moire_status status = MOIRE_OK;
  for (int64_t i = 1; i < f->n && !status; i++) {
    if (strcmp(sorted[i - 1].name, sorted[i].name) != 0) continue;
    moire__printable_buffer shown;
    status = moire_fail(error, MOIRE_ERROR_FORMAT,
                        "%s:%" PRId64 ": the name '%s' stands in line %" PRId64 " too", path, sorted[i].row + 1,
                        moire__printable(sorted[i].name, strlen(sorted[i].name), shown), sorted[i - 1].row + 1);
  }
  moire__release(sorted);
  return status;
}

/* One name a line; a name has no tab, which ends it where names and codes stand together. A byte order mark at
 * the front is no part of the first. */
static moire_status read_names(moire__features *f, const char *path, moire_error *error) {
  char *bytes = NULL;
  size_t size = 0;
  moire_status status = moire__file_read(path, 0, &bytes, &size, error);
  if (status) return status;
  const char **names = moire__arena_array(&f->arena, (size_t)f->n + 1, sizeof *names);
  int64_t n = 0;
  const char *end = bytes + size;
  const char *first = size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3) ? bytes + 3 : bytes;
  for (const char *line = first; line < end && !status; n++) {
    const char *newline = memchr(line, '\n', (size_t)(end - line)), *stop = newline ? newline : end;
    size_t length = (size_t)(stop - line);
    if (length && line[length - 1] == '\r') length--;
    if (!length || memchr(line, '\t', length) || memchr(line, '\0', length)) {
      status = bad_name(path, n, "wanted the name of a row, without tabs", error);
    } else if (n < f->n) {
      names[n] = moire__arena_printf(&f->arena, "%.*s", (int)length, line);
    }
    line = newline ? newline + 1 : end;
  }
  moire__release(bytes);
  if (!status && n != f->n)
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has %" PRId64 " names, but %s has %" PRId64 " rows",
                        path, n, f->path, f->n);
  f->names = names;
  return status ? status : check_names(f, path, error);
}

moire_status moire__features_load(const char *path, const char *tensor, const char *names,
                                  moire__features **out, moire_error *error) {
  moire__features *f = moire__allocate(sizeof *f);
  f->path = moire__arena_copy_string(&f->arena, path);
  moire__st_tensor array = {0};
  moire_status status = read_array(f, tensor, &array, error);
  if (!status) status = take_array(f, &array, error);
  if (!status && names) status = read_names(f, names, error);
  if (!status) status = check_values(f, error);
  if (status) {
    moire__features_free(f);
    return status;
  }
  *out = f;
  return MOIRE_OK;
}

void moire__features_free(moire__features *f) {
  if (!f) return;
  moire__safetensors_close(f->file);
  moire__release(f->bytes);
  moire__release(f->converted);
  moire__arena_free(&f->arena);
  moire__release(f);
}

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

moire_status moire__features_write(const char *path, const float *values, int64_t n, int64_t width,
                                   moire_error *error) {
  size_t length = strlen(path);
  moire__file_remove_leftovers(path);
  moire__st_tensor tensor = {
      .name = "features", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {n, width}, .data = values};
  if (length > 4 && !strcmp(path + length - 4, ".npy"))
    return moire__npy_write(path, tensor.dtype, tensor.rank, tensor.shape, values, error);
  return moire__safetensors_write(path, &tensor, 1, NULL, 0, error);
}
