/* Element types of other systems, and ours of the same values. */
#ifndef MOIRE_COMPILER_IMPORT_TYPES_H
#define MOIRE_COMPILER_IMPORT_TYPES_H

#include "moire/graph.h"

/* PyTorch's element types, by the numbers of its schema. */
typedef enum moire__torch_type {
  MOIRE__TORCH_NONE = 0,
  MOIRE__TORCH_U8 = 1,
  MOIRE__TORCH_I8,
  MOIRE__TORCH_I16,
  MOIRE__TORCH_I32,
  MOIRE__TORCH_I64,
  MOIRE__TORCH_F16,
  MOIRE__TORCH_F32,
  MOIRE__TORCH_F64,
  MOIRE__TORCH_C32,
  MOIRE__TORCH_C64,
  MOIRE__TORCH_C128,
  MOIRE__TORCH_BOOL,
  MOIRE__TORCH_BF16,
} moire__torch_type;

/* Ours of the same values, 0 where there is none. */
moire_dtype moire__torch_dtype(moire__torch_type type);
moire__torch_type moire__torch_type_of(moire_dtype dtype);
const char *moire__torch_type_name(moire__torch_type type); /* "float32"; never NULL */
size_t moire__torch_type_size(moire__torch_type type);      /* bytes an element; 0 where it is none */

#endif
