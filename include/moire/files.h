/* Files of tensors: safetensors, NumPy's .npy, and checkpoints. Needs no compiler.
 *
 *   moire_tensors *data = moire_tensors_open("signals.safetensors", &error);
 *   int x = moire_tensors_find(data, "x");
 *   moire_tensor info = moire_tensors_at(data, x);
 *   float *values = malloc(moire_tensor_elements(&info) * sizeof *values);
 *   moire_tensors_read(data, x, MOIRE_F32, values, moire_tensor_elements(&info), &error);
 *   moire_tensors_close(data);
 *
 * No length that a file claims is trusted; files are mapped, and must not be cut short while they are open.
 * What is written replaces PATH at once when it is complete: it is made beside (PATH.tmp.PID), synced and
 * renamed, and after a failure the earlier file is as it was.
 */
#ifndef MOIRE_FILES_H
#define MOIRE_FILES_H

#include "moire/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the elements of a file are. */
typedef enum moire_element {
  MOIRE_ELEMENT_F64 = 1,
  MOIRE_ELEMENT_F32,
  MOIRE_ELEMENT_F16,
  MOIRE_ELEMENT_BF16,
  MOIRE_ELEMENT_I64,
  MOIRE_ELEMENT_I32,
  MOIRE_ELEMENT_I16,
  MOIRE_ELEMENT_I8,
  MOIRE_ELEMENT_U8,
  MOIRE_ELEMENT_BOOL, /* a byte */
  MOIRE_ELEMENT_U16,
  MOIRE_ELEMENT_U32,
  MOIRE_ELEMENT_U64,
  MOIRE_ELEMENT_C64,  /* pairs of F32: real, imaginary */
  MOIRE_ELEMENT_C128, /* pairs of F64; of .npy files alone */
  MOIRE_ELEMENT_OTHER /* any other: it is listed, and cannot be read */
} moire_element;

size_t moire_element_bytes(moire_element type); /* 0 for OTHER */

typedef struct moire_tensor {
  const char *name;
  moire_element type;
  int rank; /* 0 to MOIRE_MAX_RANK */
  int64_t shape[MOIRE_MAX_RANK];
  const void *data; /* row-major, in the byte order of the machine, aligned to the size of an element */
} moire_tensor;

int64_t moire_tensor_elements(const moire_tensor *tensor); /* the product of the shape, 1 for rank 0 */

typedef struct moire_metadata {
  const char *key, *value;
} moire_metadata;

/* ---- reading --------------------------------------------------------------------------------------------- */

typedef struct moire_tensors moire_tensors;

/* `path`: a safetensors file; a .npy file, whose tensor is named as the file without .npy; a folder of .npy
 * files; or a list of them, "x=a.npy,y=b.npy". Returns owned, NULL on error. */
moire_tensors *moire_tensors_open(const char *path, moire_error *error);
void moire_tensors_close(moire_tensors *tensors); /* NULL is fine */

int moire_tensors_count(const moire_tensors *tensors);
/* Strings are the tensors'; an index that is none gives a tensor without a name. `data` borrows from the file
 * where it has elements as moire_tensor says, and is NULL where it has not (in Fortran order, the other byte
 * order, not aligned). */
moire_tensor moire_tensors_at(const moire_tensors *tensors, int index);
int moire_tensors_find(const moire_tensors *tensors, const char *name);            /* -1: there is none */
const char *moire_tensors_type_name(const moire_tensors *tensors, int index);      /* as the file spells it */
const char *moire_tensors_metadata(const moire_tensors *tensors, const char *key); /* borrowed, or NULL */
moire_metadata moire_tensors_metadata_at(const moire_tensors *tensors,
                                         int index); /* keys NULL behind the last */

/* Reads all elements, row-major, into `out`, which has room for `elements`, as many as the tensor has. They
 * become `type`: MOIRE_F32 and MOIRE_F64 from floating point numbers (a wider one is rounded), from bool, and
 * from integers of at most 16 and 32 bits; MOIRE_I32, MOIRE_I64 and MOIRE_BOOL (a byte) from integers and bool,
 * whose values must fit; MOIRE_C64, pairs of float, from complex numbers. Else MOIRE_ERROR_TYPE. */
moire_status moire_tensors_read(const moire_tensors *tensors, int index, moire_dtype type, void *out,
                                int64_t elements, moire_error *error);
/* The same of complex numbers, into two planes. */
moire_status moire_tensors_read_planes(const moire_tensors *tensors, int index, float *real, float *imaginary,
                                       int64_t elements, moire_error *error);
/* Reads rows rows[0] to rows[n - 1] of the first axis one after the other; a value that is not finite is an
 * error that names file, tensor and row. `out` has room for n times shape[1] times ... elements. */
moire_status moire_tensors_read_rows(const moire_tensors *tensors, int index, moire_dtype type,
                                     const int64_t *rows, int64_t n, void *out, moire_error *error);

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Writes a safetensors file, or a .npy file where the path ends so; that has one array, and neither its name
 * nor metadata are kept. */
moire_status moire_tensors_write(const char *path, const moire_tensor *tensors, int n_tensors,
                                 const moire_metadata *metadata, int n_metadata, moire_error *error);

/* The same row by row, for what is larger than memory: `data` is not read, rows of each tensor come later, in
 * their order; those of a tensor of rank 0 are one. Returns owned, NULL on error: finish or abandon it. */
typedef struct moire_tensors_writer moire_tensors_writer;
moire_tensors_writer *moire_tensors_create(const char *path, const moire_tensor *tensors, int n_tensors,
                                           const moire_metadata *metadata, int n_metadata, moire_error *error);
moire_status moire_tensors_append(moire_tensors_writer *writer, int index, const void *values, int64_t rows,
                                  moire_error *error);
/* Puts the file in place if all rows are there. Frees the writer, on failure too. */
moire_status moire_tensors_finish(moire_tensors_writer *writer, moire_error *error);
void moire_tensors_abandon(moire_tensors_writer *writer); /* NULL is fine */

/* ---- checkpoints -------------------------------------------------------------------------------------------
 */

/* The states of a store as a safetensors file, under their own names. */
typedef enum moire_checkpoint_part {
  MOIRE_CHECKPOINT_MODEL,     /* what inference needs */
  MOIRE_CHECKPOINT_EVERYTHING /* the optimizer's states too, which moire_optimizer_owns (moire/optimizer.h) */
} moire_checkpoint_part;

/* Metadata "format" is "checkpoint/1"; the command reads "model", the model's name, and "config", its
 * configuration as JSON, beside it. */
moire_status moire_checkpoint_save(const char *path, const moire_store *store, moire_checkpoint_part part,
                                   const moire_metadata *metadata, int n_metadata, moire_error *error);
/* Fills the states of the store. Each must be in the file with its shape, and each tensor of the file must be
 * one of them, but for the optimizer's, which MOIRE_CHECKPOINT_MODEL passes over. Floating point numbers may be
 * of any width. Prefixes "module." and "_orig_mod." of names are dropped where they fit only so, and the states
 * NAME.real and NAME.imag are read from a tensor NAME of C64. A NaN is refused. On failure the store is as
 * before.
 */
moire_status moire_checkpoint_load(const char *path, moire_store *store, moire_checkpoint_part part,
                                   moire_error *error);

#ifdef __cplusplus
}
#endif
#endif
