/* Item features: a matrix of float32, one row an item, from a safetensors file or a .npy file.
 *
 * Both may hold floating point numbers of any width. A .npy file holds one array; of a safetensors file the
 * tensor is taken that is named, or the only one of two axes. Rows may have names, one a line of a text file,
 * that stand for them in what is written and in messages; without, they go by their number, from 0. Sources:
 * the numpy.lib format specification, NEP 1; runtime/files/safetensors.h.
 */
#ifndef MOIRE_TASKS_ITEMS_FEATURES_H
#define MOIRE_TASKS_ITEMS_FEATURES_H

#include "moire/status.h"
#include "runtime/base/memory.h"

#include <stdint.h>

typedef struct moire__features {
  const char *path;
  int64_t n, width;
  const float *values;             /* [n, width], all finite */
  const char *const *names;        /* [n], or NULL */
  uint64_t fingerprint;            /* of n, width and values */
  struct moire__safetensors *file; /* where values are read in place */
  char *bytes;
  float *converted;
  moire__arena arena;
} moire__features;

/* `tensor` and `names` (a path) may be NULL. Owned: free with moire__features_free, NULL is fine. A file
 * without rows, and a row with a NaN or an infinity, are errors that name file and row. */
moire_status moire__features_load(const char *path, const char *tensor, const char *names,
                                  moire__features **out, moire_error *error);
void moire__features_free(moire__features *features);

/* Row i as people know it: its name, or its number. Returns `buffer` or the name. */
typedef char moire__row_buffer[32];
const char *moire__features_row(const moire__features *features, int64_t i, moire__row_buffer buffer);

/* Writes a matrix of float32 to a .npy file where the path ends so, else as the tensor "features" of a
 * safetensors file; replaced as a whole (runtime/files/file.h). */
moire_status moire__features_write(const char *path, const float *values, int64_t n, int64_t width,
                                   moire_error *error);

#endif
