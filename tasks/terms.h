/* What measures are made of: columns of numbers, a row a sample or a batch, in the order of the samples.
 *
 * A measure over samples is a function of such columns, and adds them up in their order. So the columns of
 * parts, one after the other, give the measures of one run to the last bit. A column whose name begins with
 * "all." does not grow with the samples: it is the same in every part.
 */
#ifndef MOIRE_TASKS_TERMS_H
#define MOIRE_TASKS_TERMS_H

#include "runtime/base/memory.h"
#include "runtime/files/safetensors.h"

/* Zero-initialise; free with moire__terms_free. */
typedef struct moire__terms {
  moire__st_tensor *at; /* [n]; data are the arena's */
  int n, capacity;
  moire__arena arena;
} moire__terms;

/* A new column of `rows` rows of `width` elements, zero, to be filled. The name is copied. */
void *moire__terms_add(moire__terms *terms, const char *name, moire__st_dtype dtype, int64_t rows,
                       int64_t width);
bool moire__terms_is_for_all(const char *name); /* it begins with "all." */

/* The column of that name and type with rows of `width` elements (0: any); NULL with a sentence. */
const moire__st_tensor *moire__terms_need(const moire__terms *terms, const char *name, moire__st_dtype dtype,
                                          int64_t width, moire_error *error);
bool moire__terms_have(const moire__terms *terms, const char *name);

/* Appends the files' columns, one file after the other; all have the same ones. */
moire_status moire__terms_join(moire__terms *terms, moire__safetensors *const *files, int n,
                               moire_error *error);
void moire__terms_free(moire__terms *terms);

#endif
