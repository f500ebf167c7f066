/* A .pt2 file of torch.export: the program as JSON, and the tensors that it keeps.
 *
 * Of the archive are read models/<name>.json, the tables data/weights/<name>_weights_config.json and
 * data/constants/<name>_constants_config.json, and the tensors that these name. sample_inputs is a pickle and
 * is never read. Nothing in the file is believed: a tensor is what its table says only where the bytes are
 * there.
 */
#ifndef MOIRE_COMPILER_IMPORT_PT2_H
#define MOIRE_COMPILER_IMPORT_PT2_H

#include "compiler/import/types.h"
#include "moire/status.h"

#include <jansson.h>
#include <stddef.h>

/* A tensor that the file keeps: a view of the bytes of an entry. */
typedef struct moire__pt2_tensor {
  const char *name; /* in the state dict, or of the constant */
  moire__torch_type type;
  bool needs_gradient;
  int rank;
  int64_t sizes[MOIRE_MAX_RANK], strides[MOIRE_MAX_RANK]; /* in elements */
  int64_t offset, count;
  const char *bytes; /* of the storage */
  int storage;       /* equal for tensors that share one */
} moire__pt2_tensor;

typedef struct moire__pt2 moire__pt2;

/* *out is owned (moire__pt2_close). */
moire_status moire__pt2_open(const char *path, moire__pt2 **out, moire_error *error);
moire_status moire__pt2_open_bytes(const char *path, const void *bytes, size_t n, moire__pt2 **out,
                                   moire_error *error);
void moire__pt2_close(moire__pt2 *file); /* NULL is fine */

const char *moire__pt2_path(const moire__pt2 *file);
const json_t *moire__pt2_program(const moire__pt2 *file); /* borrowed: {"graph_module": .., ..} */
/* The tensor of that name among the weights, or among the constants; NULL if there is none. */
const moire__pt2_tensor *moire__pt2_weight(const moire__pt2 *file, const char *name);
const moire__pt2_tensor *moire__pt2_constant(const moire__pt2 *file, const char *name);

/* All elements in order, whatever the strides: out[i] is plane 0 (real) or 1 (imaginary) of element i; of an
 * integer or bool its value. */
void moire__pt2_read(const moire__pt2_tensor *tensor, int plane, double *out);

#endif
