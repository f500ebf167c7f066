/* NumPy's .npy files: one array. Source: the numpy.lib format specification, NEP 1.
 *
 * Six bytes of magic, the version (1, 2 or 3), the length of a header, the header, padded to any length, the
 * elements. The header is a Python dictionary literal of three keys, of which the reader takes what NumPy
 * writes: 'descr' a byte order and a type of b1, i1 to i8, u1 to u8, f2 to f8, c8, c16; 'fortran_order';
 * 'shape' of up to 8 extents. Any other type, structured ones and Python objects among them, becomes
 * MOIRE__ST_OTHER, which hinders only who reads it. It trusts no length.
 */
#ifndef MOIRE_RUNTIME_FILES_NPY_H
#define MOIRE_RUNTIME_FILES_NPY_H

#include "runtime/base/memory.h"
#include "runtime/files/array.h"

/* Describes the array in the n bytes of the file `path`, which `out` borrows, with the path, which is its name
 * too; its elements may lie at any address. `texts` keeps its dtype_text. */
moire_status moire__npy_parse(const char *path, const char *bytes, size_t n, moire__arena *texts,
                              moire__array *out, moire_error *error);

/* The header of version 1.0 of an array, in C order; padded, so that elements begin at a multiple of 64. */
enum { MOIRE__NPY_HEADER = 256 };
typedef char moire__npy_head[MOIRE__NPY_HEADER];
moire_status moire__npy_header(const char *path, moire__st_dtype dtype, int rank, const int64_t *shape,
                               moire__npy_head out, size_t *n, moire_error *error);

/* Writes an array, as a whole (runtime/files/file.h). bf16 and types that are not known have no .npy. */
moire_status moire__npy_write(const char *path, moire__st_dtype dtype, int rank, const int64_t *shape,
                              const void *data, moire_error *error);

#endif
