/* A program that reads and writes files of tensors through Moire's library.
 *
 *   tensors FILE                   lists what a safetensors file, a .npy file or a folder of them holds
 *   tensors FILE NAME OUT          writes one tensor of it as float32 (complex64 if it is complex) to OUT, a
 *                                  safetensors file, or a .npy file where the name ends so */
#include "moire/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int stop(const moire_error *error) {
  fprintf(stderr, "tensors: %s\n", error->message);
  return 1;
}

static void list(const moire_tensors *tensors) {
  for (int i = 0; i < moire_tensors_count(tensors); i++) {
    moire_tensor t = moire_tensors_at(tensors, i);
    printf("%s: %s [", t.name, moire_tensors_type_name(tensors, i));
    for (int d = 0; d < t.rank; d++) printf(d ? ", %" PRId64 : "%" PRId64, t.shape[d]);
    printf("]\n");
  }
  for (int i = 0; moire_tensors_metadata_at(tensors, i).key; i++) {
    moire_metadata pair = moire_tensors_metadata_at(tensors, i);
    printf("%s = %s\n", pair.key, pair.value);
  }
}

/* The values of one tensor, in memory; a tensor that is larger goes row by row (moire_tensors_create). */
static moire_status convert(const moire_tensors *tensors, int index, const char *out, moire_error *error) {
  moire_tensor t = moire_tensors_at(tensors, index);
  int complex = t.type == MOIRE_ELEMENT_C64 || t.type == MOIRE_ELEMENT_C128;
  int64_t n = moire_tensor_elements(&t);
  float *values = malloc((size_t)n * (complex ? 8 : 4) + 1);
  if (!values) return moire_fail(error, MOIRE_ERROR_MEMORY, "%" PRId64 " values do not fit into memory", n);
  moire_status status = moire_tensors_read(tensors, index, complex ? MOIRE_C64 : MOIRE_F32, values, n, error);
  t.type = complex ? MOIRE_ELEMENT_C64 : MOIRE_ELEMENT_F32;
  t.data = values;
  if (!status) status = moire_tensors_write(out, &t, 1, NULL, 0, error);
  free(values);
  return status;
}

int main(int argc, char **argv) {
  moire_error error = {0};
  if (argc != 2 && argc != 4) return fprintf(stderr, "usage: tensors FILE [NAME OUT]\n"), 2;
  moire_tensors *tensors = moire_tensors_open(argv[1], &error);
  if (!tensors) return stop(&error);
  if (argc == 2) {
    list(tensors);
  } else {
    int index = moire_tensors_find(tensors, argv[2]);
    if (index < 0)
      moire_fail(&error, MOIRE_ERROR_ARGUMENT, "%s: has no tensor %s", argv[1], argv[2]);
    else
      convert(tensors, index, argv[3], &error);
  }
  moire_tensors_close(tensors);
  return error.status ? stop(&error) : 0;
}
