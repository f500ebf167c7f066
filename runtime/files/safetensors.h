/* Safetensors files: a strict reader that never trusts a length, and a writer with deterministic bytes.
 *
 * The file is a little-endian 64-bit header length, a JSON header that maps each name to its dtype, shape and
 * byte range, and the bytes. Source: the format section of github.com/huggingface/safetensors. The reader
 * accepts a file only if the ranges cover the bytes after the header exactly once, every range has the length
 * that dtype and shape demand, and no name comes twice. A dtype that is not known hinders only who asks for its
 * tensor. The file is held in memory, so that one which changes later cannot harm, or mapped, where it is data
 * that may be larger than memory.
 */
#ifndef MOIRE_RUNTIME_FILES_SAFETENSORS_H
#define MOIRE_RUNTIME_FILES_SAFETENSORS_H

#include "moire/files.h"
#include "runtime/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum moire__st_dtype {
  MOIRE__ST_F64,
  MOIRE__ST_F32,
  MOIRE__ST_F16,
  MOIRE__ST_BF16,
  MOIRE__ST_I64,
  MOIRE__ST_I32,
  MOIRE__ST_I16,
  MOIRE__ST_I8,
  MOIRE__ST_U8,
  MOIRE__ST_BOOL,
  MOIRE__ST_U16,
  MOIRE__ST_U32,
  MOIRE__ST_U64,
  MOIRE__ST_C64,   /* two F32: real, imaginary */
  MOIRE__ST_C128,  /* two F64; of .npy files alone */
  MOIRE__ST_OTHER, /* a type that is not known: nothing but name and shape can be used */
} moire__st_dtype;

enum { MOIRE__ST_MAX_RANK = 8 };

/* One tensor, row-major. What the reader returns borrows from the file; what the writer takes is borrowed. */
typedef struct moire__st_tensor {
  const char *name;
  moire__st_dtype dtype;
  int rank;
  int64_t shape[MOIRE__ST_MAX_RANK];
  int64_t count;    /* elements: the product of the shape, 1 for rank 0; the writer computes its own */
  const void *data; /* count elements, aligned to the element size by the reader unless it maps the file */
} moire__st_tensor;

typedef moire_metadata moire__st_metadata;

typedef struct moire__safetensors moire__safetensors;

const char *moire__st_dtype_name(moire__st_dtype dtype); /* "F32"; never NULL */
size_t moire__st_dtype_size(moire__st_dtype dtype);      /* bytes an element; OTHER: 1 */
bool moire__st_dtype_is_float(moire__st_dtype dtype);    /* real */
bool moire__st_dtype_is_complex(moire__st_dtype dtype);

/* Reads the file at `path`. On success *out is owned by the caller (moire__safetensors_close). Every error
 * names the file, and the tensor where there is one. */
moire_status moire__safetensors_open(const char *path, moire__safetensors **out, moire_error *error);
/* The same from the n bytes of a file; takes `bytes` (from moire__allocate), on failure too. */
moire_status moire__safetensors_parse(const char *path, char *bytes, size_t n, moire__safetensors **out,
                                      moire_error *error);
/* The same with the file mapped: nothing but the header is read before it is used, and `data` of a tensor may
 * have any alignment, so that moire__st_to_double and its like do not take it (runtime/files/array.h does). The
 * file must not be cut short while it is open. */
moire_status moire__safetensors_map(const char *path, moire__safetensors **out, moire_error *error);
/* One file of several, with the tensors of all and the metadata of the first; a name that two have is an error.
 * Takes parts[0 ... n), n at least 1, unless it fails. */
moire_status moire__safetensors_join(const char *path, moire__safetensors *const *parts, int n,
                                     moire__safetensors **out, moire_error *error);
/* From now on the file has no tensor of that name. */
void moire__safetensors_forget(moire__safetensors *file, const char *name);
void moire__safetensors_close(moire__safetensors *file); /* NULL is fine */

const char *moire__safetensors_path(const moire__safetensors *file);
int moire__safetensors_count(const moire__safetensors *file);
const moire__st_tensor *moire__safetensors_at(const moire__safetensors *file,
                                              int index); /* order of the header */
const moire__st_tensor *moire__safetensors_find(const moire__safetensors *file, const char *name); /* or NULL */
const char *moire__safetensors_metadata(const moire__safetensors *file, const char *key);          /* or NULL */
/* The pairs one after the other; {NULL, NULL} behind the last. */
moire__st_metadata moire__safetensors_metadata_at(const moire__safetensors *file, int index);
/* The dtype of a tensor as the file spells it, which says more than OTHER. */
const char *moire__safetensors_dtype_text(const moire__safetensors *file, const moire__st_tensor *tensor);

/* Finds `name`, and demands it: an absent tensor, or one of a dtype that is not known, is an error that names
 * file and tensor. */
moire_status moire__safetensors_need(const moire__safetensors *file, const char *name,
                                     const moire__st_tensor **out, moire_error *error);

/* Converts all elements; out holds tensor->count of them. Exact where the target type can hold the value, else
 * rounded to nearest; BOOL becomes 0 or 1; what is no real number (C64, OTHER) becomes NaN. */
void moire__st_to_double(const moire__st_tensor *tensor, double *out);
void moire__st_to_float(const moire__st_tensor *tensor, float *out);
/* Integer and BOOL tensors only; another tensor or a value outside int32 is an error that names the tensor. */
moire_status moire__st_to_int32(const moire__st_tensor *tensor, int32_t *out, moire_error *error);

/* The index of the first NaN; -1: there is none. */
int64_t moire__st_find_nan(const moire__st_tensor *tensor);

/* The header of a file and where each tensor's bytes begin in it, begins[0 ... n_tensors); for writers that
 * have the bytes later. `head` is to be empty. */
moire_status moire__safetensors_head(const char *path, const moire__st_tensor *tensors, int n_tensors,
                                     const moire__st_metadata *metadata, int n_metadata, moire__text *head,
                                     uint64_t *begins, moire_error *error);

/* Writes a file (see runtime/files/output.h for what holds when that fails). The header lists metadata, then
 * tensors, in the order given, and is padded with spaces to a multiple of 8; the bytes are laid out by falling
 * element size, then in the order given, so that all are aligned. Equal arguments give equal files. A name or
 * key that comes twice, or is "__metadata__" as a tensor's name, or is not UTF-8, is an error. */
moire_status moire__safetensors_write(const char *path, const moire__st_tensor *tensors, int n_tensors,
                                      const moire__st_metadata *metadata, int n_metadata, moire_error *error);

#endif
