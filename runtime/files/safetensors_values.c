/* Element types of safetensors: their names and sizes, and conversion to the types we compute with. */
#include "runtime/files/half.h"
#include "runtime/files/safetensors.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {
    [MOIRE__ST_F64] = {"F64", 8},   [MOIRE__ST_F32] = {"F32", 4}, [MOIRE__ST_F16] = {"F16", 2},
    [MOIRE__ST_BF16] = {"BF16", 2}, [MOIRE__ST_I64] = {"I64", 8}, [MOIRE__ST_I32] = {"I32", 4},
    [MOIRE__ST_I16] = {"I16", 2},   [MOIRE__ST_I8] = {"I8", 1},   [MOIRE__ST_U8] = {"U8", 1},
    [MOIRE__ST_BOOL] = {"BOOL", 1}, [MOIRE__ST_U16] = {"U16", 2}, [MOIRE__ST_U32] = {"U32", 4},
    [MOIRE__ST_U64] = {"U64", 8},   [MOIRE__ST_C64] = {"C64", 8}, [MOIRE__ST_C128] = {"C128", 16},
    [MOIRE__ST_OTHER] = {"?", 1},
};

const char *moire__st_dtype_name(moire__st_dtype dtype) { return dtypes[dtype].name; }
size_t moire__st_dtype_size(moire__st_dtype dtype) { return dtypes[dtype].size; }
bool moire__st_dtype_is_float(moire__st_dtype dtype) { return dtype <= MOIRE__ST_BF16; }
bool moire__st_dtype_is_complex(moire__st_dtype dtype) {
  return dtype == MOIRE__ST_C64 || dtype == MOIRE__ST_C128;
}

/* Both conversions are one loop for each dtype; only the type of `out` differs. */
#define CONVERT_ALL(tensor, out, type)                                                                         \
  do {                                                                                                         \
    const int64_t count = (tensor)->count;                                                                     \
    const void *data = (tensor)->data;                                                                         \
    switch ((tensor)->dtype) {                                                                                 \
      case MOIRE__ST_F64: CONVERT(out, type, count, ((const double *)data)[i]); break;                         \
      case MOIRE__ST_F32: CONVERT(out, type, count, ((const float *)data)[i]); break;                          \
      case MOIRE__ST_F16: CONVERT(out, type, count, moire__half_to_float(((const uint16_t *)data)[i])); break; \
      case MOIRE__ST_BF16:                                                                                     \
        CONVERT(out, type, count, moire__bfloat_to_float(((const uint16_t *)data)[i]));                        \
        break;                                                                                                 \
      case MOIRE__ST_I64: CONVERT(out, type, count, ((const int64_t *)data)[i]); break;                        \
      case MOIRE__ST_I32: CONVERT(out, type, count, ((const int32_t *)data)[i]); break;                        \
      case MOIRE__ST_I16: CONVERT(out, type, count, ((const int16_t *)data)[i]); break;                        \
      case MOIRE__ST_I8: CONVERT(out, type, count, ((const int8_t *)data)[i]); break;                          \
      case MOIRE__ST_U8: CONVERT(out, type, count, ((const uint8_t *)data)[i]); break;                         \
      case MOIRE__ST_BOOL: CONVERT(out, type, count, ((const uint8_t *)data)[i] != 0); break;                  \
      case MOIRE__ST_U16: CONVERT(out, type, count, ((const uint16_t *)data)[i]); break;                       \
      case MOIRE__ST_U32: CONVERT(out, type, count, ((const uint32_t *)data)[i]); break;                       \
      case MOIRE__ST_U64: CONVERT(out, type, count, ((const uint64_t *)data)[i]); break;                       \
      case MOIRE__ST_C64:                                                                                      \
      case MOIRE__ST_C128:                                                                                     \
      case MOIRE__ST_OTHER: CONVERT(out, type, count, (double)NAN); break;                                     \
    }                                                                                                          \
  } while (0)
#define CONVERT(out, type, count, value)                                                                       \
  for (int64_t i = 0; i < (count); i++) (out)[i] = (type)(value)

void moire__st_to_double(const moire__st_tensor *tensor, double *out) { CONVERT_ALL(tensor, out, double); }
void moire__st_to_float(const moire__st_tensor *tensor, float *out) { CONVERT_ALL(tensor, out, float); }

/* Whole numbers that 32 bits hold; the first that they do not is named. */
#define NARROW_ALL(tensor, out, source, format, wide)                                                          \
  do {                                                                                                         \
    const source *values = (tensor)->data;                                                                     \
    for (int64_t i = 0; i < (tensor)->count; i++) {                                                            \
      if (!__builtin_add_overflow(values[i], 0, &(out)[i])) continue;                                          \
      return moire_fail(error, MOIRE_ERROR_FORMAT,                                                             \
                        "tensor '%s': element %jd is " format ", outside of 32 bits", (tensor)->name,          \
                        (intmax_t)i, (wide)values[i]);                                                         \
    }                                                                                                          \
  } while (0)

moire_status moire__st_to_int32(const moire__st_tensor *tensor, int32_t *out, moire_error *error) {
  switch (tensor->dtype) {
    case MOIRE__ST_F64:
    case MOIRE__ST_F32:
    case MOIRE__ST_F16:
    case MOIRE__ST_BF16:
    case MOIRE__ST_C64:
    case MOIRE__ST_C128:
    case MOIRE__ST_OTHER:
      return moire_fail(error, MOIRE_ERROR_FORMAT, "tensor '%s': wanted whole numbers, but its dtype is %s",
                        tensor->name, moire__st_dtype_name(tensor->dtype));
    case MOIRE__ST_I64: NARROW_ALL(tensor, out, int64_t, "%jd", intmax_t); break;
    case MOIRE__ST_U64: NARROW_ALL(tensor, out, uint64_t, "%ju", uintmax_t); break;
    case MOIRE__ST_U32: NARROW_ALL(tensor, out, uint32_t, "%ju", uintmax_t); break;
    case MOIRE__ST_I32:
    case MOIRE__ST_I16:
    case MOIRE__ST_I8:
    case MOIRE__ST_U16:
    case MOIRE__ST_U8:
    case MOIRE__ST_BOOL: CONVERT_ALL(tensor, out, int32_t); break;
  }
  return MOIRE_OK;
}

#define FIND_NAN(type, parts, value)                                                                           \
  for (int64_t i = 0; i < (parts) * tensor->count; i++) {                                                      \
    const type v = ((const type *)tensor->data)[i];                                                            \
    if (isnan(value)) return i / (parts);                                                                      \
  }                                                                                                            \
  break

int64_t moire__st_find_nan(const moire__st_tensor *tensor) {
  switch (tensor->dtype) {
    case MOIRE__ST_F64: FIND_NAN(double, 1, v);
    case MOIRE__ST_F32: FIND_NAN(float, 1, v);
    case MOIRE__ST_F16: FIND_NAN(uint16_t, 1, moire__half_to_float(v));
    case MOIRE__ST_BF16: FIND_NAN(uint16_t, 1, moire__bfloat_to_float(v));
    case MOIRE__ST_C64: FIND_NAN(float, 2, v);
    case MOIRE__ST_C128: FIND_NAN(double, 2, v);
    case MOIRE__ST_I64:
    case MOIRE__ST_I32:
    case MOIRE__ST_I16:
    case MOIRE__ST_I8:
    case MOIRE__ST_U8:
    case MOIRE__ST_BOOL:
    case MOIRE__ST_U16:
    case MOIRE__ST_U32:
    case MOIRE__ST_U64:
    case MOIRE__ST_OTHER: break;
  }
  return -1;
}
