/* The safetensors writer: lay out, make the header, write it and the tensors.
 *
 * Bytes are laid out by falling element size. With a header of a multiple of 8 bytes every tensor then starts
 * at a multiple of its element size, without gaps, which the format forbids. */
#include "runtime/files/safetensors.h"

#include "runtime/base/memory.h"
#include "runtime/files/output.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MULTIPLE = 8 };

static moire_status count_bytes(const char *path, const moire__st_tensor *tensor, size_t *bytes,
                                moire_error *error) {
  int64_t total = (int64_t)moire__st_dtype_size(tensor->dtype);
  if (tensor->rank < 0 || tensor->rank > MOIRE__ST_MAX_RANK) {
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: tensor '%s': rank %d is not in 0..%d", path, tensor->name,
                      tensor->rank, (int)MOIRE__ST_MAX_RANK);
  }
  if (tensor->dtype > MOIRE__ST_C64) {
    return moire_fail(error, MOIRE_ERROR_TYPE, "%s: tensor '%s': safetensors files hold no %s", path,
                      tensor->name, moire__st_dtype_name(tensor->dtype));
  }
  for (int i = 0; i < tensor->rank; i++) {
    if (tensor->shape[i] < 0 || __builtin_mul_overflow(total, tensor->shape[i], &total)) {
      return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: tensor '%s': extent %d is %jd, which no file can hold",
                        path, tensor->name, i, (intmax_t)tensor->shape[i]);
    }
  }
  *bytes = (size_t)total;
  return MOIRE_OK;
}

/* Adds key to object, and refuses one that is there or is not UTF-8. Takes value. */
static moire_status add_new(const char *path, json_t *object, const char *key, json_t *value,
                            moire_error *error) {
  if (json_object_get(object, key)) {
    json_decref(value);
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: the name '%s' was given twice", path, key);
  }
  if (!value || json_object_set_new(object, key, value)) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: the name or value of '%s' is not UTF-8", path, key);
  }
  return MOIRE_OK;
}

static moire_status add_metadata(const char *path, json_t *header, const moire__st_metadata *metadata, int n,
                                 moire_error *error) {
  if (n == 0) return MOIRE_OK;
  json_t *object = json_object();
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n && !status; i++) {
    status = add_new(path, object, metadata[i].key, json_string(metadata[i].value), error);
  }
  if (status) {
    json_decref(object);
    return status;
  }
  return add_new(path, header, "__metadata__", object, error);
}

static json_t *entry_of(const moire__st_tensor *tensor, uint64_t begin, size_t bytes) {
  json_t *shape = json_array();
  for (int i = 0; i < tensor->rank; i++) json_array_append_new(shape, json_integer(tensor->shape[i]));
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", moire__st_dtype_name(tensor->dtype), "shape", shape,
                   "data_offsets", (json_int_t)begin, (json_int_t)(begin + bytes));
}

/* begins[i] = where tensor i's bytes begin, bytes[i] = how many they are. */
static moire_status lay_out(const char *path, const moire__st_tensor *tensors, int n, uint64_t *begins,
                            size_t *bytes, moire_error *error) {
  uint64_t next = 0;
  for (int i = 0; i < n; i++) {
    moire_status status = count_bytes(path, &tensors[i], &bytes[i], error);
    if (status) return status;
  }
  for (size_t size = HEADER_MULTIPLE; size; size /= 2) {
    for (int i = 0; i < n; i++) {
      if (moire__st_dtype_size(tensors[i].dtype) != size) continue;
      begins[i] = next;
      next += bytes[i];
      if (next <= INT64_MAX) continue;
      return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: all tensors together are more than a file can hold",
                        path);
    }
  }
  return MOIRE_OK;
}

/* The length in 8 bytes, least first, and the header, padded. */
static void write_header(const json_t *header, moire__text *out) {
  char *text = json_dumps(header, JSON_COMPACT);
  if (!text) moire__heap()->out_of_memory(NULL, 0); /* the only cause left: all its strings are UTF-8 */
  size_t length = strlen(text), padded = (length + HEADER_MULTIPLE - 1) / HEADER_MULTIPLE * HEADER_MULTIPLE;
  for (int i = 0; i < 8; i++) moire__text_add_char(out, (char)(padded >> (8 * i) & 255));
  moire__text_add_bytes(out, text, length);
  for (size_t i = length; i < padded; i++) moire__text_add_char(out, ' ');
  free(text);
}

moire_status moire__safetensors_head(const char *path, const moire__st_tensor *tensors, int n_tensors,
                                     const moire__st_metadata *metadata, int n_metadata, moire__text *head,
                                     uint64_t *begins, moire_error *error) {
  size_t *bytes = moire__allocate_array((size_t)n_tensors, sizeof *bytes);
  json_t *header = json_object();
  moire_status status = lay_out(path, tensors, n_tensors, begins, bytes, error);
  if (!status) status = add_metadata(path, header, metadata, n_metadata, error);
  for (int i = 0; i < n_tensors && !status; i++) {
    if (!strcmp(tensors[i].name, "__metadata__")) {
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: no tensor may be named '__metadata__'", path);
    } else {
      status = add_new(path, header, tensors[i].name, entry_of(&tensors[i], begins[i], bytes[i]), error);
    }
  }
  if (!status) write_header(header, head);
  for (int i = 0; i < n_tensors; i++) begins[i] += head->length;
  json_decref(header);
  moire__release(bytes);
  return status;
}

moire_status moire__safetensors_write(const char *path, const moire__st_tensor *tensors, int n_tensors,
                                      const moire__st_metadata *metadata, int n_metadata, moire_error *error) {
  uint64_t *begins = moire__allocate_array((size_t)n_tensors, sizeof *begins);
  moire__text head = {0};
  moire__output *output = NULL;
  moire_status status =
      moire__safetensors_head(path, tensors, n_tensors, metadata, n_metadata, &head, begins, error);
  if (!status) status = moire__output_open(path, &output, error);
  if (!status) status = moire__output_write(output, 0, head.data, head.length, error);
  for (int i = 0; i < n_tensors && !status; i++) {
    size_t bytes = 0;
    status = count_bytes(path, &tensors[i], &bytes, error);
    if (!status) status = moire__output_write(output, begins[i], tensors[i].data, bytes, error);
  }
  if (!status)
    status = moire__output_commit(output, error);
  else
    moire__output_discard(output);
  moire__text_free(&head);
  moire__release(begins);
  return status;
}
