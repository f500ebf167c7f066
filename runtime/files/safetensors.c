/* The safetensors reader.
 *
 * Everything in a file is a claim until it was checked: first the header length against the file, then the
 * JSON (duplicate keys and trailing text refused), then each entry on its own (extents that do not overflow, a
 * range as long as shape and dtype demand, where that is known), then all ranges together: sorted by start,
 * each must begin where the one before ended, and the last must end with the file. The format does not promise
 * that a tensor starts at a multiple of its element size: one that does not is copied, unless the file is
 * mapped. */
#include "runtime/files/safetensors.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/file_kind.h"
#include "runtime/files/mapping.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, LARGEST_HEADER = 100000000 };

struct moire__safetensors {
  char *path;
  char *owned;            /* the bytes, or NULL: */
  moire__mapping mapping; /* they are mapped */
  const char *bytes;
  json_t *header;            /* names and metadata borrow from it */
  moire__st_tensor *tensors; /* [n] */
  int n;
  moire__arena copies;        /* of tensors that the file does not align */
  moire__safetensors **parts; /* owned: files that this one joins */
  int n_parts;
};

/* What the reader carries from check to check. */
typedef struct reader {
  moire__safetensors *file;
  size_t body, body_bytes; /* where the data begin in `bytes`, and how many there are */
  uint64_t *begins, *ends; /* [n], relative to the body */
  moire_error *error;
} reader;

const char *moire__safetensors_path(const moire__safetensors *file) { return file->path; }
int moire__safetensors_count(const moire__safetensors *file) { return file->n; }

const moire__st_tensor *moire__safetensors_at(const moire__safetensors *file, int index) {
  return &file->tensors[index];
}

const moire__st_tensor *moire__safetensors_find(const moire__safetensors *file, const char *name) {
  for (int i = 0; i < file->n; i++) {
    if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i];
  }
  return NULL;
}

moire_status moire__safetensors_need(const moire__safetensors *file, const char *name,
                                     const moire__st_tensor **out, moire_error *error) {
  const moire__st_tensor *tensor = moire__safetensors_find(file, name);
  if (!tensor) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no tensor '%s'", file->path, name);
  if (tensor->dtype == MOIRE__ST_OTHER)
    return moire_fail(error, MOIRE_ERROR_TYPE, "%s: tensor '%s': its dtype '%s' cannot be read", file->path,
                      name, moire__safetensors_dtype_text(file, tensor));
  *out = tensor;
  return MOIRE_OK;
}

const char *moire__safetensors_dtype_text(const moire__safetensors *file, const moire__st_tensor *tensor) {
  return json_string_value(json_object_get(json_object_get(file->header, tensor->name), "dtype"));
}

const char *moire__safetensors_metadata(const moire__safetensors *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

moire__st_metadata moire__safetensors_metadata_at(const moire__safetensors *file, int index) {
  json_t *metadata = json_object_get(file->header, "__metadata__");
  void *at = json_object_iter(metadata);
  for (int i = 0; i < index && at; i++) at = json_object_iter_next(metadata, at);
  if (index < 0 || !at) return (moire__st_metadata){0};
  return (moire__st_metadata){json_object_iter_key(at), json_string_value(json_object_iter_value(at))};
}

void moire__safetensors_forget(moire__safetensors *file, const char *name) {
  int kept = 0;
  for (int i = 0; i < file->n; i++) {
    if (strcmp(file->tensors[i].name, name) != 0) file->tensors[kept++] = file->tensors[i];
  }
  file->n = kept;
}

moire_status moire__safetensors_join(const char *path, moire__safetensors *const *parts, int n,
                                     moire__safetensors **out, moire_error *error) {
  size_t path_bytes = strlen(path) + 1, tensors = 0;
  for (int i = 0; i < n; i++) {
    tensors += (size_t)parts[i]->n;
    for (int k = 0; k < i * (parts[i]->n > 0); k++) {
      for (int t = 0; t < parts[i]->n; t++) {
        if (moire__safetensors_find(parts[k], parts[i]->tensors[t].name))
          return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the tensor '%.80s' is in two files", path,
                            parts[i]->tensors[t].name);
      }
    }
  }
  moire__safetensors *file = *out = moire__allocate(sizeof *file);
  file->path = memcpy(moire__allocate(path_bytes), path, path_bytes);
  file->header = json_object();
  file->tensors = moire__allocate_array(tensors + 1, sizeof *file->tensors);
  file->parts = moire__allocate_array((size_t)n, sizeof *file->parts);
  file->n_parts = n;
  for (int i = 0; i < n; i++) {
    json_object_update_missing(file->header, parts[i]->header);
    memcpy(file->tensors + file->n, parts[i]->tensors, (size_t)parts[i]->n * sizeof *file->tensors);
    file->n += parts[i]->n;
    file->parts[i] = parts[i];
  }
  return MOIRE_OK;
}

void moire__safetensors_close(moire__safetensors *file) {
  if (!file) return;
  for (int i = 0; i < file->n_parts; i++) moire__safetensors_close(file->parts[i]);
  moire__release(file->parts);
  json_decref(file->header);
  moire__release(file->path);
  moire__release(file->owned);
  moire__file_unmap(&file->mapping);
  moire__release(file->tensors);
  moire__arena_free(&file->copies);
  moire__release(file);
}

static moire_status bad(const reader *r, const char *what) {
  return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: %s", r->file->path, what);
}

static moire_status bad_tensor(const reader *r, const char *name, const char *what) {
  moire__printable_buffer shown;
  return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: tensor '%s': %s", r->file->path,
                    moire__printable(name, strlen(name), shown), what);
}

/* ---- The header as JSON -----------------------------------------------------------------------------------
 */

static moire_status read_header(reader *r, size_t n) {
  moire__safetensors *file = r->file;
  if (n < LENGTH_BYTES) {
    return moire_fail(r->error, MOIRE_ERROR_FORMAT,
                      "%s: has %zu bytes, too few for the 8 that give the header length", file->path, n);
  }
  uint64_t length = 0;
  for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | (unsigned char)file->bytes[i];
  if (length > n - LENGTH_BYTES || length > LARGEST_HEADER) {
    return moire_fail(r->error, MOIRE_ERROR_FORMAT,
                      "%s: the header length %ju is more than the %zu bytes that follow it allow", file->path,
                      (uintmax_t)length, n - LENGTH_BYTES);
  }
  r->body = LENGTH_BYTES + (size_t)length;
  r->body_bytes = n - r->body;
  const char *text = file->bytes + LENGTH_BYTES;
  if (length == 0 || text[0] != '{') return bad(r, "the header is not a JSON object");
  json_error_t why;
  file->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &why);
  if (!file->header) {
    moire__printable_buffer shown;
    return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: the header is not valid JSON (byte %d: %s)",
                      file->path, why.position, moire__printable(why.text, strlen(why.text), shown));
  }
  return MOIRE_OK;
}

static moire_status check_metadata(const reader *r) {
  const json_t *metadata = json_object_get(r->file->header, "__metadata__");
  if (!metadata) return MOIRE_OK;
  if (!json_is_object(metadata)) return bad(r, "__metadata__ is not a JSON object");
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach((json_t *)metadata, key, value) {
    if (json_is_string(value)) continue;
    moire__printable_buffer shown;
    return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: __metadata__: the value of '%s' is not a string",
                      r->file->path, moire__printable(key, strlen(key), shown));
  }
  return MOIRE_OK;
}

/* ---- One entry --------------------------------------------------------------------------------------------
 */

static moire_status read_dtype(const reader *r, const char *name, const json_t *entry, moire__st_dtype *out) {
  const char *text = json_string_value(json_object_get(entry, "dtype"));
  if (!text) return bad_tensor(r, name, "dtype is missing or not a string");
  *out = MOIRE__ST_OTHER;
  for (int i = MOIRE__ST_F64; i <= MOIRE__ST_C64; i++) {
    if (!strcmp(text, moire__st_dtype_name((moire__st_dtype)i))) *out = (moire__st_dtype)i;
  }
  return MOIRE_OK;
}

static moire_status read_shape(const reader *r, const char *name, const json_t *entry,
                               moire__st_tensor *tensor) {
  const json_t *shape = json_object_get(entry, "shape");
  if (!json_is_array(shape)) return bad_tensor(r, name, "shape is missing or not an array");
  size_t rank = json_array_size(shape);
  if (rank > MOIRE__ST_MAX_RANK) return bad_tensor(r, name, "shape has more than 8 extents");
  tensor->rank = (int)rank;
  tensor->count = 1;
  for (size_t i = 0; i < rank; i++) {
    const json_t *extent = json_array_get(shape, i);
    if (!json_is_integer(extent)) return bad_tensor(r, name, "shape has an extent that is not a whole number");
    tensor->shape[i] = json_integer_value(extent);
    if (tensor->shape[i] < 0) return bad_tensor(r, name, "shape has a negative extent");
    if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count)) {
      return bad_tensor(r, name, "the product of the shape overflows");
    }
  }
  return MOIRE_OK;
}

static moire_status read_range(reader *r, int index, const json_t *entry) {
  moire__st_tensor *tensor = &r->file->tensors[index];
  const json_t *range = json_object_get(entry, "data_offsets");
  const json_t *first = json_array_get(range, 0), *last = json_array_get(range, 1);
  if (json_array_size(range) != 2 || !json_is_integer(first) || !json_is_integer(last)) {
    return bad_tensor(r, tensor->name, "data_offsets is not an array of two whole numbers");
  }
  json_int_t begin = json_integer_value(first), end = json_integer_value(last);
  if (begin < 0 || end < begin) return bad_tensor(r, tensor->name, "data_offsets do not rise from 0 on");
  moire__printable_buffer shown;
  const char *name = moire__printable(tensor->name, strlen(tensor->name), shown);
  if ((uint64_t)end > r->body_bytes) {
    return moire_fail(r->error, MOIRE_ERROR_FORMAT,
                      "%s: tensor '%s': ends at byte %jd of the data, but the file holds only %zu (cut short?)",
                      r->file->path, name, (intmax_t)end, r->body_bytes);
  }
  size_t size = moire__st_dtype_size(tensor->dtype);
  int64_t wanted = 0;
  if (__builtin_mul_overflow(tensor->count, (int64_t)size, &wanted)) {
    return bad_tensor(r, tensor->name, "the product of the shape overflows");
  }
  if (end - begin != wanted && tensor->dtype != MOIRE__ST_OTHER) {
    return moire_fail(r->error, MOIRE_ERROR_FORMAT,
                      "%s: tensor '%s': shape and dtype need %jd bytes, but data_offsets give %jd",
                      r->file->path, name, (intmax_t)wanted, (intmax_t)(end - begin));
  }
  r->begins[index] = (uint64_t)begin;
  r->ends[index] = (uint64_t)end;
  tensor->data = r->file->bytes + r->body + begin;
  return MOIRE_OK;
}

static moire_status read_entry(reader *r, int index, const char *name, const json_t *entry) {
  moire__st_tensor *tensor = &r->file->tensors[index];
  tensor->name = name;
  if (!json_is_object(entry)) return bad_tensor(r, name, "its entry is not a JSON object");
  moire_status status = read_dtype(r, name, entry, &tensor->dtype);
  if (!status) status = read_shape(r, name, entry, tensor);
  if (!status) status = read_range(r, index, entry);
  if (!status && json_object_size(entry) != 3) {
    status = bad_tensor(r, name, "its entry has keys besides dtype, shape and data_offsets");
  }
  return status;
}

/* ---- All entries together ---------------------------------------------------------------------------------
 */

static int by_range(const void *a, const void *b, void *context) {
  const reader *r = context;
  int i = *(const int *)a, j = *(const int *)b;
  if (r->begins[i] != r->begins[j]) return r->begins[i] < r->begins[j] ? -1 : 1;
  if (r->ends[i] != r->ends[j]) return r->ends[i] < r->ends[j] ? -1 : 1;
  return i - j;
}

static moire_status check_cover(reader *r) {
  const moire__safetensors *file = r->file;
  int *order = moire__allocate_array((size_t)file->n, sizeof *order);
  for (int i = 0; i < file->n; i++) order[i] = i;
  qsort_r(order, (size_t)file->n, sizeof *order, by_range, r);
  moire_status status = MOIRE_OK;
  uint64_t covered = 0;
  for (int k = 0; k < file->n && !status; k++) {
    int i = order[k];
    if (r->begins[i] < covered) {
      status = bad_tensor(r, file->tensors[i].name, "its bytes overlap those of another tensor");
    } else if (r->begins[i] > covered) {
      status = bad_tensor(r, file->tensors[i].name, "there is a gap before its bytes that no tensor covers");
    }
    covered = r->ends[i];
  }
  moire__release(order);
  if (!status && covered != r->body_bytes) {
    status = moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: %zu bytes at the end belong to no tensor",
                        file->path, r->body_bytes - (size_t)covered);
  }
  return status;
}

/* Only once the ranges are known not to overlap, so that copies are never larger than the file. */
static void align_tensors(moire__safetensors *file) {
  for (int i = 0; i < file->n; i++) {
    moire__st_tensor *tensor = &file->tensors[i];
    size_t size = moire__st_dtype_size(tensor->dtype), bytes = (size_t)tensor->count * size;
    if (tensor->dtype == MOIRE__ST_OTHER || (uintptr_t)tensor->data % size == 0) continue;
    tensor->data = memcpy(moire__arena_alloc(&file->copies, bytes), tensor->data, bytes);
  }
}

static moire_status read_tensors(reader *r) {
  moire__safetensors *file = r->file;
  size_t n = json_object_size(file->header);
  file->tensors = moire__allocate_array(n, sizeof *file->tensors);
  r->begins = moire__allocate_array(n, sizeof *r->begins);
  r->ends = moire__allocate_array(n, sizeof *r->ends);
  moire_status status = MOIRE_OK;
  const char *name = NULL;
  json_t *entry = NULL;
  json_object_foreach(file->header, name, entry) {
    if (!strcmp(name, "__metadata__")) continue;
    status = read_entry(r, file->n, name, entry);
    if (status) break;
    file->n++;
  }
  if (!status) status = check_cover(r);
  if (!status && file->owned) align_tensors(file);
  moire__release(r->begins);
  moire__release(r->ends);
  return status;
}

static moire_status parse(moire__safetensors *file, const char *path, size_t n, moire__safetensors **out,
                          moire_error *error) {
  size_t path_bytes = strlen(path) + 1;
  file->path = memcpy(moire__allocate(path_bytes), path, path_bytes);
  reader r = {.file = file, .error = error};
  moire_status status = MOIRE_OK;
  const char *other = moire__file_kind(file->bytes, n);
  if (!other && moire__is_npy(file->bytes, n)) other = "a .npy file, wanted a safetensors file";
  if (other) status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is %s", path, other);
  if (!status) status = read_header(&r, n);
  if (!status) status = check_metadata(&r);
  if (!status) status = read_tensors(&r);
  if (status) {
    moire__safetensors_close(file);
    return status;
  }
  *out = file;
  return MOIRE_OK;
}

moire_status moire__safetensors_parse(const char *path, char *bytes, size_t n, moire__safetensors **out,
                                      moire_error *error) {
  moire__safetensors *file = moire__allocate(sizeof *file);
  file->bytes = file->owned = bytes;
  return parse(file, path, n, out, error);
}

moire_status moire__safetensors_open(const char *path, moire__safetensors **out, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, 0, &bytes, &n, error);
  return status ? status : moire__safetensors_parse(path, bytes, n, out, error);
}

moire_status moire__safetensors_map(const char *path, moire__safetensors **out, moire_error *error) {
  moire__mapping mapping = {0};
  moire_status status = moire__file_map(path, &mapping, error);
  if (status) return status;
  moire__safetensors *file = moire__allocate(sizeof *file);
  file->mapping = mapping;
  file->bytes = mapping.bytes;
  return parse(file, path, mapping.n, out, error);
}
