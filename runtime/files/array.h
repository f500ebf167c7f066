/* Arrays as files hold them, and their rows as values that we compute with.
 *
 * A row is what one index of the first axis selects; an array of rank 0 has one row, of one element. Elements
 * are read as
 *
 *   f32, f64   from floating point numbers of any width (a wider one is rounded), from integers of a type all
 * of whose values are exact there (8 and 16 bits in f32, 32 bits too in f64), and from bool i32, i64   from
 * integers of any width and sign and from bool; a value that does not fit is an error bool       from bool
 * (what is not 0 is true), and from integers that are 0 or 1 c64        from complex numbers of 64 and 128 bits
 *
 * and nothing else: what was asked for and does not follow without loss is a sentence.
 */
#ifndef MOIRE_RUNTIME_FILES_ARRAY_H
#define MOIRE_RUNTIME_FILES_ARRAY_H

#include "moire/graph.h"
#include "runtime/files/safetensors.h"

/* A view; borrows everything. */
typedef struct moire__array {
  const char *path, *name;
  moire__st_dtype dtype;
  const char *dtype_text; /* as the file spells it: "BF16", ">f4" */
  bool swapped;           /* the most significant byte comes first */
  bool fortran;           /* the first axis runs fastest */
  int rank;
  int64_t shape[MOIRE__ST_MAX_RANK];
  int64_t count; /* of elements */
  const void *data;
} moire__array;

moire__array moire__array_of_tensor(const char *path, const moire__st_tensor *tensor);

int64_t moire__array_rows(const moire__array *array);  /* the first extent, or 1 */
int64_t moire__array_width(const moire__array *array); /* elements a row */
size_t moire__array_bytes(const moire__array *array);  /* of data; of a dtype that is not known 0 */

/* Whether elements of its type may be read as `type`; the error names file, tensor and both types. */
moire_status moire__array_check_type(const moire__array *array, moire_dtype type, moire_error *error);
/* Whether it has rows of this shape: extents after the first must be shape[1 ...]; shape[0] is not read. */
moire_status moire__array_check_row(const moire__array *array, int rank, const int64_t *shape,
                                    moire_error *error);

/* Reads rows rows[0 ... n) one after the other, row-major, into `out`; NULL for rows 0 to n - 1. Elements
 * become `type` (bool: one byte). c64 becomes pairs of float in `out`, or, where `imaginary` is given, two
 * planes. A row that is not there, a value that does not fit, and one that is not finite are errors that name
 * file, tensor and row; what `out` then holds is not said. May be called by many threads at once. */
moire_status moire__array_read_rows(const moire__array *array, moire_dtype type, const int64_t *rows, int64_t n,
                                    void *out, float *imaginary, moire_error *error);
/* The same for all rows, and NaN, infinities and doubles beyond float are taken as they are. */
moire_status moire__array_copy(const moire__array *array, moire_dtype type, void *out, float *imaginary,
                               moire_error *error);
/* Reads all rows as `type` and keeps nothing: whether read_rows will fail at one. */
moire_status moire__array_check_values(const moire__array *array, moire_dtype type, moire_error *error);

/* A hash of names, types, shapes and contents, that differs for what was changed by accident. Of an array of
 * more than 64 MiB it takes part in 1,024 places spread evenly, and the first and last bytes, so that it does
 * not last for minutes. */
uint64_t moire__array_fingerprint(const moire__array *array, uint64_t hash);

#endif
