/* The measures of single samples. See values.h. */
#include "tasks/values.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/array.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>

double *moire__task_values(const char *path, const char *measure, int64_t *n, moire_error *error) {
  struct stat file;
  bool is_folder = !stat(path, &file) && S_ISDIR(file.st_mode);
  moire__text inside = {0};
  moire__text_add(&inside, is_folder ? "%s/%s" : "%s", path, MOIRE__TASK_VALUES);
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

moire_status moire__task_leave_values(const char *directory, const moire__terms *terms,
                                      moire_status (*leave)(const moire__terms *terms, const char *path,
                                                            moire_error *error),
                                      moire_error *error) {
  moire__text path = {0};
  moire__text_add(&path, "%s/%s", directory, MOIRE__TASK_VALUES);
  moire__file_remove_leftovers(path.data);
  moire_status status = leave(terms, path.data, error);
  moire__text_free(&path);
  return status;
}
