/* The tensors that a user gives as data, by name. One of
 *
 *   a safetensors file                    its tensors
 *   a .npy file                           one tensor, named as the file without .npy
 *   a folder                              one for each .npy file in it
 *   x=a.npy,y=b.npy or a.npy,b.npy        a list of .npy files, with names or without
 *
 * What a file is, its first bytes tell, not its name. Files are mapped (runtime/files/mapping.h). A tensor of a
 * type that cannot be read hinders only who asks for it.
 *
 *   moire__tensor_source *data = NULL;
 *   const moire__array *x = NULL, *y = NULL;
 *   status = moire__tensor_source_open(path, &data, error);
 *   status = moire__tensor_source_take(data, "x", MOIRE_C64, 3, (int64_t[]){0, 2, 128}, &x, error);
 *   status = moire__tensor_source_take(data, "y", MOIRE_I32, 1, (int64_t[]){0}, &y, error);
 *   status = moire__arrays_rows((const moire__array *[]){x, y}, 2, &rows, error);
 *   status = moire__array_read_rows(x, MOIRE_C64, indices, batch, real, imaginary, error);
 */
#ifndef MOIRE_RUNTIME_FILES_TENSOR_SOURCE_H
#define MOIRE_RUNTIME_FILES_TENSOR_SOURCE_H

#include "runtime/files/array.h"

typedef struct moire__tensor_source moire__tensor_source;

/* *out is owned (moire__tensor_source_close). Names that come twice are an error. */
moire_status moire__tensor_source_open(const char *data, moire__tensor_source **out, moire_error *error);
void moire__tensor_source_close(moire__tensor_source *source); /* NULL is fine */

const char *moire__tensor_source_path(const moire__tensor_source *source); /* as it was given */
int moire__tensor_source_count(const moire__tensor_source *source);
/* Arrays are the source's. A folder's are in the order of their names, a file's in that of its header. */
const moire__array *moire__tensor_source_at(const moire__tensor_source *source, int index);
const moire__array *moire__tensor_source_find(const moire__tensor_source *source,
                                              const char *name); /* or NULL */
/* The metadata of a safetensors file; NULL if it has none under this key, and of .npy files. */
const char *moire__tensor_source_metadata(const moire__tensor_source *source, const char *key);
moire__st_metadata moire__tensor_source_metadata_at(const moire__tensor_source *source, int index);

/* Finds `name`, or fails with a sentence that says which names there are. */
moire_status moire__tensor_source_need(const moire__tensor_source *source, const char *name,
                                       const moire__array **out, moire_error *error);
/* The same, and demands rows of shape[1 ... rank) that can be read as `type`; shape[0], the rows, is not read.
 */
moire_status moire__tensor_source_take(const moire__tensor_source *source, const char *name, moire_dtype type,
                                       int rank, const int64_t *shape, const moire__array **out,
                                       moire_error *error);

/* *rows = the number of rows that all n arrays have; the error names two that differ. */
moire_status moire__arrays_rows(const moire__array *const *arrays, int n, int64_t *rows, moire_error *error);
/* The fingerprint of n arrays, which depends on their order (moire__array_fingerprint). */
uint64_t moire__arrays_fingerprint(const moire__array *const *arrays, int n);

#endif
