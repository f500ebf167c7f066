/* The public face of files of tensors (moire/files.h). */
#include "moire/files.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/file.h"
#include "runtime/files/tensor_source.h"
#include "runtime/files/tensor_writer.h"

#include <inttypes.h>
#include <string.h>

_Static_assert((int)MOIRE_ELEMENT_F64 == MOIRE__ST_F64 + 1 && (int)MOIRE_ELEMENT_BOOL == MOIRE__ST_BOOL + 1 &&
                   (int)MOIRE_ELEMENT_C64 == MOIRE__ST_C64 + 1 &&
                   (int)MOIRE_ELEMENT_OTHER == MOIRE__ST_OTHER + 1,
               "elements are those of files, from 1 on");
_Static_assert((int)MOIRE_MAX_RANK == (int)MOIRE__ST_MAX_RANK, "ranks");

size_t moire_element_bytes(moire_element type) {
  bool known = type >= MOIRE_ELEMENT_F64 && type < MOIRE_ELEMENT_OTHER;
  return known ? moire__st_dtype_size((moire__st_dtype)(type - 1)) : 0;
}

int64_t moire_tensor_elements(const moire_tensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->shape[i];
  return n;
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

static const moire__tensor_source *source(const moire_tensors *tensors) {
  return (const moire__tensor_source *)tensors;
}

/* Of an index that is none, an array of nothing. */
static const moire__array *array(const moire_tensors *tensors, int index) {
  static const moire__array none = {.dtype = MOIRE__ST_OTHER};
  if (index < 0 || index >= moire__tensor_source_count(source(tensors))) return &none;
  return moire__tensor_source_at(source(tensors), index);
}

moire_tensors *moire_tensors_open(const char *path, moire_error *error) {
  moire__tensor_source *s = NULL;
  return moire__tensor_source_open(path, &s, error) ? NULL : (moire_tensors *)s;
}

void moire_tensors_close(moire_tensors *tensors) {
  moire__tensor_source_close((moire__tensor_source *)tensors);
}
int moire_tensors_count(const moire_tensors *tensors) { return moire__tensor_source_count(source(tensors)); }

moire_tensor moire_tensors_at(const moire_tensors *tensors, int index) {
  const moire__array *a = array(tensors, index);
  moire_tensor t = {.name = a->name, .type = (moire_element)(a->dtype + 1), .rank = a->rank};
  memcpy(t.shape, a->shape, sizeof t.shape);
  bool swapped = a->swapped && moire__st_dtype_size(a->dtype) > 1, turned = a->fortran && a->rank > 1;
  bool aligned = (uintptr_t)a->data % moire__st_dtype_size(a->dtype) == 0;
  if (!swapped && !turned && aligned && a->dtype != MOIRE__ST_OTHER) t.data = a->data;
  return t;
}

int moire_tensors_find(const moire_tensors *tensors, const char *name) {
  for (int i = 0; i < moire_tensors_count(tensors); i++) {
    if (!strcmp(array(tensors, i)->name, name)) return i;
  }
  return -1;
}

const char *moire_tensors_type_name(const moire_tensors *tensors, int index) {
  return array(tensors, index)->dtype_text;
}

const char *moire_tensors_metadata(const moire_tensors *tensors, const char *key) {
  return moire__tensor_source_metadata(source(tensors), key);
}

moire_metadata moire_tensors_metadata_at(const moire_tensors *tensors, int index) {
  return moire__tensor_source_metadata_at(source(tensors), index);
}

static moire_status check_index(const moire_tensors *tensors, int index, moire_error *error) {
  int n = moire_tensors_count(tensors);
  if (index >= 0 && index < n) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no tensor %d, but %d of them",
                    moire__tensor_source_path(source(tensors)), index, n);
}

static moire_status read_all(const moire_tensors *tensors, int index, moire_dtype type, void *out,
                             float *imaginary, int64_t elements, moire_error *error) {
  moire_status status = check_index(tensors, index, error);
  if (status) return status;
  const moire__array *a = array(tensors, index);
  status = moire__array_check_type(a, type, error);
  if (status) return status;
  if (elements == a->count) return moire__array_copy(a, type, out, imaginary, error);
  moire__printable_buffer name;
  return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has %" PRId64 " elements, but room is for %" PRId64,
                    a->path, moire__printable(a->name, strlen(a->name), name), a->count, elements);
}

moire_status moire_tensors_read(const moire_tensors *tensors, int index, moire_dtype type, void *out,
                                int64_t elements, moire_error *error) {
  return read_all(tensors, index, type, out, NULL, elements, error);
}

moire_status moire_tensors_read_planes(const moire_tensors *tensors, int index, float *real, float *imaginary,
                                       int64_t elements, moire_error *error) {
  return read_all(tensors, index, MOIRE_C64, real, imaginary, elements, error);
}

moire_status moire_tensors_read_rows(const moire_tensors *tensors, int index, moire_dtype type,
                                     const int64_t *rows, int64_t n, void *out, moire_error *error) {
  moire_status status = check_index(tensors, index, error);
  return status ? status : moire__array_read_rows(array(tensors, index), type, rows, n, out, NULL, error);
}

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

/* The tensors as the writer takes them; release them. */
static moire_status translate(const char *path, const moire_tensor *tensors, int n, moire__st_tensor **out,
                              moire_error *error) {
  *out = moire__allocate_array((size_t)n, sizeof **out);
  for (int i = 0; i < n; i++) {
    const moire_tensor *t = &tensors[i];
    if (!t->name || t->rank < 0 || t->rank > MOIRE_MAX_RANK || !moire_element_bytes(t->type))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: tensor %d has no name, type, or rank from 0 to %d",
                        path, i, (int)MOIRE_MAX_RANK);
    (*out)[i] = (moire__st_tensor){
        .name = t->name, .dtype = (moire__st_dtype)(t->type - 1), .rank = t->rank, .data = t->data};
    memcpy((*out)[i].shape, t->shape, sizeof t->shape);
  }
  return MOIRE_OK;
}

moire_tensors_writer *moire_tensors_create(const char *path, const moire_tensor *tensors, int n_tensors,
                                           const moire_metadata *metadata, int n_metadata, moire_error *error) {
  moire__st_tensor *all = NULL;
  moire__tensor_writer *writer = NULL;
  moire_status status = translate(path, tensors, n_tensors, &all, error);
  if (!status) (void)moire__tensor_writer_open(path, all, n_tensors, metadata, n_metadata, &writer, error);
  moire__release(all);
  return (moire_tensors_writer *)writer;
}

moire_status moire_tensors_append(moire_tensors_writer *writer, int index, const void *values, int64_t rows,
                                  moire_error *error) {
  return moire__tensor_writer_append((moire__tensor_writer *)writer, index, values, NULL, rows, error);
}

moire_status moire_tensors_finish(moire_tensors_writer *writer, moire_error *error) {
  return moire__tensor_writer_close((moire__tensor_writer *)writer, MOIRE_OK, error);
}

void moire_tensors_abandon(moire_tensors_writer *writer) {
  (void)moire__tensor_writer_close((moire__tensor_writer *)writer, MOIRE_ERROR_ARGUMENT, NULL);
}

moire_status moire_tensors_write(const char *path, const moire_tensor *tensors, int n_tensors,
                                 const moire_metadata *metadata, int n_metadata, moire_error *error) {
  moire_error first = {0};
  moire_tensors_writer *writer = moire_tensors_create(path, tensors, n_tensors, metadata, n_metadata, &first);
  moire_status status = first.status;
  for (int i = 0; i < n_tensors && !status; i++) {
    int64_t rows = tensors[i].rank ? tensors[i].shape[0] : 1;
    status = moire_tensors_append(writer, i, tensors[i].data, rows, &first);
  }
  status = moire__tensor_writer_close((moire__tensor_writer *)writer, status, &first);
  return status ? moire_fail(error, status, "%s", first.message) : MOIRE_OK;
}

/* ---- Checkpoints ------------------------------------------------------------------------------------------
 */

static moire__checkpoint_part part_of(moire_checkpoint_part part) {
  return part == MOIRE_CHECKPOINT_MODEL ? MOIRE__CHECKPOINT_MODEL : MOIRE__CHECKPOINT_EVERYTHING;
}

moire_status moire_checkpoint_save(const char *path, const moire_store *store, moire_checkpoint_part part,
                                   const moire_metadata *metadata, int n_metadata, moire_error *error) {
  moire_metadata *all = moire__allocate_array((size_t)n_metadata + 1, sizeof *all);
  all[0] = (moire_metadata){"format", MOIRE__CHECKPOINT_FORMAT};
  for (int i = 0; i < n_metadata; i++) all[i + 1] = metadata[i];
  moire_status status = moire__checkpoint_save(path, store, part_of(part), all, n_metadata + 1, error);
  moire__release(all);
  return status;
}

moire_status moire_checkpoint_load(const char *path, moire_store *store, moire_checkpoint_part part,
                                   moire_error *error) {
  moire__safetensors *file = NULL;
  moire_status status = moire__safetensors_open(path, &file, error);
  if (!status) status = moire__checkpoint_load(file, store, part_of(part), error);
  moire__safetensors_close(file);
  return status;
}
