/* NumPy's .npy files: one array of floating point numbers. Source: the numpy.lib format specification, NEP 1.
 *
 * Six bytes of magic, the version, the length of a header, the header, the elements. The header is a Python
 * dictionary literal of three keys, of which the reader takes just what NumPy writes: 'descr' '<f2', '<f4' or
 * '<f8', 'fortran_order' False, and 'shape' of one or two extents. It trusts no length.
 */
#ifndef MOIRE_RUNTIME_FILES_NPY_H
#define MOIRE_RUNTIME_FILES_NPY_H

#include "runtime/files/safetensors.h"

/* Describes the array in the n bytes of the file `path`, which `out` borrows; its data may lie at any address
 * that is a multiple of 16 from the start of `bytes`. */
moire_status moire__npy_parse(const char *path, const char *bytes, size_t n, moire__st_tensor *out,
                              moire_error *error);

/* A matrix of float32, in version 1.0. */
moire_status moire__npy_write(const char *path, const float *values, int64_t n, int64_t width,
                              moire_error *error);

#endif
