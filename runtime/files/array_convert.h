/* Elements from the type of a file to one that we compute with, a piece at a time. */
#ifndef MOIRE_RUNTIME_FILES_ARRAY_CONVERT_H
#define MOIRE_RUNTIME_FILES_ARRAY_CONVERT_H

#include "moire/graph.h"
#include "runtime/files/safetensors.h"

/* Whether the conversion is one of those that runtime/files/array.h lists. */
bool moire__element_converts(moire__st_dtype from, moire_dtype to);
/* Whether elements of `from` are those of `to`, bit for bit (c64 as pairs). */
bool moire__element_is(moire__st_dtype from, moire_dtype to);

/* Converts n elements, which are aligned and in the byte order of the machine; the conversion must be one that
 * is. c64 becomes pairs, or planes where `imaginary` is given. False if an integer does not fit. */
bool moire__element_convert(moire__st_dtype from, const void *in, int64_t n, moire_dtype to, void *out,
                            float *imaginary);

/* Turns the bytes of n elements around; those of each part of a complex one. */
void moire__element_swap(moire__st_dtype dtype, void *elements, int64_t n);

/* Whether n elements of f32 or f64 are all finite. */
bool moire__floats_finite(const float *values, int64_t n);
bool moire__doubles_finite(const double *values, int64_t n);

#endif
