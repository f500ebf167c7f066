/* Files of tensors, row by row. */
#include "runtime/files/tensor_writer.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/npy.h"
#include "runtime/files/output.h"

#include <inttypes.h>
#include <string.h>

typedef struct part {
  const char *name;
  size_t element, row; /* bytes */
  bool complex;
  int64_t rows, done;
  uint64_t begin;
} part;

struct moire__tensor_writer {
  const char *path;
  moire__output *output;
  part *parts;
  int n;
  moire__arena arena;
};

static void describe(moire__tensor_writer *w, const moire__st_tensor *tensor, uint64_t begin, part *p) {
  *p = (part){.name = moire__arena_copy_string(&w->arena, tensor->name),
              .element = moire__st_dtype_size(tensor->dtype),
              .complex = tensor->dtype == MOIRE__ST_C64,
              .rows = tensor->rank ? tensor->shape[0] : 1,
              .begin = begin};
  p->row = p->element;
  for (int i = 1; i < tensor->rank; i++) p->row = p->rows ? p->row * (size_t)tensor->shape[i] : 0;
}

static bool is_for_npy(const char *path) {
  size_t n = strlen(path);
  return n > 4 && !strcmp(path + n - 4, ".npy");
}

/* The bytes before those of the tensors, and where these begin. */
static moire_status make_head(const char *path, const moire__st_tensor *tensors, int n,
                              const moire__st_metadata *metadata, int n_metadata, moire__text *head,
                              uint64_t *begins, moire_error *error) {
  moire_status status = moire__safetensors_head(path, tensors, n, metadata, n_metadata, head, begins, error);
  if (status || !is_for_npy(path)) return status;
  if (n != 1)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: a .npy file holds one array, but there are %d; write a safetensors file", path, n);
  moire__npy_head bytes;
  size_t length = 0;
  status = moire__npy_header(path, tensors->dtype, tensors->rank, tensors->shape, bytes, &length, error);
  moire__text_clear(head);
  if (!status) moire__text_add_bytes(head, bytes, length);
  *begins = length;
  return status;
}

moire_status moire__tensor_writer_open(const char *path, const moire__st_tensor *tensors, int n_tensors,
                                       const moire__st_metadata *metadata, int n_metadata,
                                       moire__tensor_writer **out, moire_error *error) {
  moire__tensor_writer *w = moire__allocate(sizeof *w);
  w->path = moire__arena_copy_string(&w->arena, path);
  w->parts = moire__arena_array(&w->arena, (size_t)n_tensors, sizeof *w->parts);
  w->n = n_tensors;
  uint64_t *begins = moire__arena_array(&w->arena, (size_t)n_tensors, sizeof *begins);
  moire__text head = {0};
  moire_status status = make_head(path, tensors, n_tensors, metadata, n_metadata, &head, begins, error);
  if (!status) moire__file_remove_leftovers(path);
  if (!status) status = moire__output_open(path, &w->output, error);
  if (!status) status = moire__output_write(w->output, 0, head.data, head.length, error);
  moire__text_free(&head);
  if (status) return moire__tensor_writer_close(w, status, error);
  for (int i = 0; i < n_tensors; i++) describe(w, &tensors[i], begins[i], &w->parts[i]);
  *out = w;
  return MOIRE_OK;
}

/* Two planes as pairs. */
static moire_status write_planes(moire__tensor_writer *w, uint64_t at, const float *real,
                                 const float *imaginary, size_t n, moire_error *error) {
  enum { PIECE = 4096 };
  float pairs[2 * PIECE];
  moire_status status = MOIRE_OK;
  for (size_t first = 0; first < n && !status; first += PIECE) {
    size_t some = n - first < PIECE ? n - first : PIECE;
    for (size_t i = 0; i < some; i++) {
      pairs[2 * i] = real[first + i];
      pairs[2 * i + 1] = imaginary[first + i];
    }
    status =
        moire__output_write(w->output, at + 2 * first * sizeof *pairs, pairs, 2 * some * sizeof *pairs, error);
  }
  return status;
}

moire_status moire__tensor_writer_append(moire__tensor_writer *w, int index, const void *values,
                                         const float *imaginary, int64_t rows, moire_error *error) {
  if (index < 0 || index >= w->n)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no tensor %d, but %d of them", w->path, index,
                      w->n);
  part *p = &w->parts[index];
  if (rows < 0 || rows > p->rows - p->done)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: %s: %" PRId64 " rows more than the %" PRId64 " written of %" PRId64, w->path,
                      p->name, rows, p->done, p->rows);
  if (imaginary && !p->complex)
    return moire_fail(error, MOIRE_ERROR_TYPE, "%s: %s: is real, but two planes came", w->path, p->name);
  uint64_t at = p->begin + (uint64_t)p->done * p->row;
  size_t bytes = (size_t)rows * p->row;
  moire_status status = imaginary ? write_planes(w, at, values, imaginary, bytes / p->element, error)
                                  : moire__output_write(w->output, at, values, bytes, error);
  if (!status) p->done += rows;
  return status;
}

moire_status moire__tensor_writer_close(moire__tensor_writer *w, moire_status so_far, moire_error *error) {
  if (!w) return so_far;
  moire_status status = so_far;
  for (int i = 0; i < w->n && !status; i++) {
    const part *p = &w->parts[i];
    if (p->done < p->rows)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s: %" PRId64 " of %" PRId64 " rows were written",
                          w->path, p->name, p->done, p->rows);
  }
  if (!status)
    status = moire__output_commit(w->output, error);
  else
    moire__output_discard(w->output);
  moire__arena_free(&w->arena);
  moire__release(w);
  return status;
}
