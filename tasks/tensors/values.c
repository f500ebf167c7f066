/* The measures of single samples, for comparisons pair by pair. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/memory.h"
#include "runtime/files/tensor_writer.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

float **moire__tensors_make_values(moire__arena *arena, const moire__tensors_measured *m, int64_t n) {
  float **values = moire__arena_array(arena, (size_t)m->n, sizeof *values);
  for (int i = 0; i < m->n; i++)
    values[i] = m->by_sample[i] ? moire__arena_array(arena, (size_t)n + 1, sizeof **values) : NULL;
  return values;
}

moire_status moire__tensors_write_values(const char *path, const moire__tensors_measured *m,
                                         float *const *values, int64_t n, moire_error *error) {
  moire__arena arena = {0};
  moire__st_tensor *tensors = moire__arena_array(&arena, (size_t)m->n, sizeof *tensors);
  int *measures = moire__arena_array(&arena, (size_t)m->n, sizeof *measures);
  int n_tensors = 0;
  for (int i = 0; i < m->n; i++) {
    if (!values[i]) continue;
    measures[n_tensors] = i;
    tensors[n_tensors++] =
        (moire__st_tensor){.name = m->names[i], .dtype = MOIRE__ST_F32, .rank = 1, .shape = {n}, .count = n};
  }
  moire_status status = MOIRE_OK;
  if (n_tensors) {
    moire__tensor_writer *writer = NULL;
    status = moire__tensor_writer_open(path, tensors, n_tensors, NULL, 0, &writer, error);
    for (int i = 0; i < n_tensors && !status; i++)
      status = moire__tensor_writer_append(writer, i, values[measures[i]], NULL, n, error);
    status = moire__tensor_writer_close(writer, status, error);
  }
  moire__arena_free(&arena);
  return status;
}

double *moire__tensors_values(const char *path, const char *measure, int64_t *n, moire_error *error) {
  struct stat file;
  bool is_folder = !stat(path, &file) && S_ISDIR(file.st_mode);
  moire__text inside = {0};
  moire__text_add(&inside, is_folder ? "%s/values.safetensors" : "%s", path);
  moire__safetensors *tensors = NULL;
  double *values = NULL;
  bool absent = is_folder && access(inside.data, F_OK) != 0;
  if (!absent && !moire__safetensors_open(inside.data, &tensors, error)) {
    const moire__st_tensor *t = moire__safetensors_find(tensors, measure);
    if (t && t->rank == 1) {
      moire__array array = moire__array_of_tensor(inside.data, t);
      values = moire__allocate_array((size_t)t->count + 1, sizeof *values);
      *n = t->count;
      if (moire__array_copy(&array, MOIRE_F64, values, NULL, error)) {
        moire__release(values);
        values = NULL;
      }
    } else if (!is_folder) {
      moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no values of %s, one a sample", path, measure);
    }
  }
  moire__safetensors_close(tensors);
  moire__text_free(&inside);
  return values;
}
