/* A file of tensors that is written row by row, since it may be larger than memory: a safetensors file, or,
 * where the path ends in .npy, the one array of such a file. It is in place when it is complete, and not before
 * (runtime/files/output.h).
 *
 *   const moire__st_tensor tensors[] = {{.name = "y", .dtype = MOIRE__ST_C64, .rank = 2, .shape = {rows, 8}}};
 *   moire__tensor_writer *out = NULL;
 *   status = moire__tensor_writer_open(path, tensors, 1, NULL, 0, &out, error);
 *   for each batch, while status is MOIRE_OK:
 *     status = moire__tensor_writer_append(out, 0, real, imaginary, batch, error);
 *   status = moire__tensor_writer_close(out, status, error);
 */
#ifndef MOIRE_RUNTIME_FILES_TENSOR_WRITER_H
#define MOIRE_RUNTIME_FILES_TENSOR_WRITER_H

#include "runtime/files/safetensors.h"

typedef struct moire__tensor_writer moire__tensor_writer;

/* `data` of the tensors is not read; their whole shapes count. *out is to be closed. Temporaries that writers
 * of `path` which were killed have left are removed. */
moire_status moire__tensor_writer_open(const char *path, const moire__st_tensor *tensors, int n_tensors,
                                       const moire__st_metadata *metadata, int n_metadata,
                                       moire__tensor_writer **out, moire_error *error);
/* The next `rows` rows of tensor `index`, in its type and row-major; a tensor of rank 0 has one. Of complex
 * ones `values` are pairs, or, where `imaginary` is given, the real plane. */
moire_status moire__tensor_writer_append(moire__tensor_writer *writer, int index, const void *values,
                                         const float *imaginary, int64_t rows, moire_error *error);
/* Puts the file in place if `so_far` is MOIRE_OK and every row was written, else removes what was. Returns
 * `so_far` if it is a failure. Frees the writer, which may be NULL. */
moire_status moire__tensor_writer_close(moire__tensor_writer *writer, moire_status so_far, moire_error *error);

#endif
