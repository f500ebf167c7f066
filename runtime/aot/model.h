/* Models: the weights that plans read, embedded in the library, mapped from a file, or made from a state.
 *
 * A file of weights is a head of 64 bytes and the weights as they would be embedded. The head: the magic
 * "moire wt", then as little-endian 64-bit numbers the version of the format (1), the signature of the library,
 * the bytes of the weights, their hash, and zeros. The signature covers the code and the layout of the weights,
 * so that weights of another training fit the library if, and only if, the same compiler made both of one
 * model.
 */
#ifndef MOIRE_RUNTIME_AOT_MODEL_H
#define MOIRE_RUNTIME_AOT_MODEL_H

#include "runtime/aot/mapped.h"

#define MOIRE__AOT_MAGIC "moire wt"
enum { MOIRE__AOT_HEAD_BYTES = 64, MOIRE__AOT_FORMAT = 1 };

struct library_model {
  const void *block;      /* for the level that this processor chooses */
  moire__aot_mapped file; /* of the weights, if it is one */
  void *memory;           /* of a frozen state, or NULL */
};

/* The level that runs here and the model's block for it; NULL is the embedded model. */
static library_status moire__aot_find_block(const library_model *model, const moire__aot_level **level,
                                            const void **block);

#endif
