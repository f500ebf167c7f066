/* Element types of other systems. See types.h. */
#include "compiler/import/types.h"

static const struct {
  const char *name;
  size_t size;
  moire_dtype dtype;
} types[] = {[MOIRE__TORCH_NONE] = {"no type", 0, 0},
             [MOIRE__TORCH_U8] = {"uint8", 1, 0},
             [MOIRE__TORCH_I8] = {"int8", 1, 0},
             [MOIRE__TORCH_I16] = {"int16", 2, 0},
             [MOIRE__TORCH_I32] = {"int32", 4, MOIRE_I32},
             [MOIRE__TORCH_I64] = {"int64", 8, MOIRE_I64},
             [MOIRE__TORCH_F16] = {"float16", 2, 0},
             [MOIRE__TORCH_F32] = {"float32", 4, MOIRE_F32},
             [MOIRE__TORCH_F64] = {"float64", 8, MOIRE_F64},
             [MOIRE__TORCH_C32] = {"complex32", 4, 0},
             [MOIRE__TORCH_C64] = {"complex64", 8, MOIRE_C64},
             [MOIRE__TORCH_C128] = {"complex128", 16, 0},
             [MOIRE__TORCH_BOOL] = {"bool", 1, MOIRE_BOOL},
             [MOIRE__TORCH_BF16] = {"bfloat16", 2, 0}};
enum { COUNT = sizeof types / sizeof *types };

static bool is_known(moire__torch_type type) { return (int)type >= 0 && (int)type < COUNT; }

moire_dtype moire__torch_dtype(moire__torch_type type) { return is_known(type) ? types[type].dtype : 0; }

moire__torch_type moire__torch_type_of(moire_dtype dtype) {
  for (int i = 1; i < COUNT; i++) {
    if (types[i].dtype == dtype) return (moire__torch_type)i;
  }
  return MOIRE__TORCH_NONE;
}

const char *moire__torch_type_name(moire__torch_type type) {
  return is_known(type) ? types[type].name : "a type that is not known";
}

size_t moire__torch_type_size(moire__torch_type type) { return is_known(type) ? types[type].size : 0; }
