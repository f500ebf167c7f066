/* Element types of safetensors: their names and sizes, and conversion to the types we compute with. */
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
    [MOIRE__ST_BOOL] = {"BOOL", 1},
};

const char *moire__st_dtype_name(moire__st_dtype dtype) { return dtypes[dtype].name; }
size_t moire__st_dtype_size(moire__st_dtype dtype) { return dtypes[dtype].size; }

/* IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float from_half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float magnitude = 0;
  if (exponent == 31) {
    magnitude = fraction ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = ldexpf((float)fraction, -24);
  } else {
    magnitude = ldexpf((float)(fraction | 1024), exponent - 25);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

/* bfloat16 is the upper half of a binary32. */
static float from_bfloat(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

/* Both conversions are one loop for each dtype; only the type of `out` differs. */
#define CONVERT_ALL(tensor, out, type)                                                                         \
  do {                                                                                                         \
    const int64_t count = (tensor)->count;                                                                     \
    const void *data = (tensor)->data;                                                                         \
    switch ((tensor)->dtype) {                                                                                 \
      case MOIRE__ST_F64: CONVERT(out, type, count, ((const double *)data)[i]); break;                         \
      case MOIRE__ST_F32: CONVERT(out, type, count, ((const float *)data)[i]); break;                          \
      case MOIRE__ST_F16: CONVERT(out, type, count, from_half(((const uint16_t *)data)[i])); break;            \
      case MOIRE__ST_BF16: CONVERT(out, type, count, from_bfloat(((const uint16_t *)data)[i])); break;         \
      case MOIRE__ST_I64: CONVERT(out, type, count, ((const int64_t *)data)[i]); break;                        \
      case MOIRE__ST_I32: CONVERT(out, type, count, ((const int32_t *)data)[i]); break;                        \
      case MOIRE__ST_I16: CONVERT(out, type, count, ((const int16_t *)data)[i]); break;                        \
      case MOIRE__ST_I8: CONVERT(out, type, count, ((const int8_t *)data)[i]); break;                          \
      case MOIRE__ST_U8: CONVERT(out, type, count, ((const uint8_t *)data)[i]); break;                         \
      case MOIRE__ST_BOOL: CONVERT(out, type, count, ((const uint8_t *)data)[i] != 0); break;                  \
    }                                                                                                          \
  } while (0)
#define CONVERT(out, type, count, value)                                                                       \
  for (int64_t i = 0; i < (count); i++) (out)[i] = (type)(value)

void moire__st_to_double(const moire__st_tensor *tensor, double *out) { CONVERT_ALL(tensor, out, double); }
void moire__st_to_float(const moire__st_tensor *tensor, float *out) { CONVERT_ALL(tensor, out, float); }

static moire_status wide_to_int32(const moire__st_tensor *tensor, int32_t *out, moire_error *error) {
  const int64_t *values = tensor->data;
  for (int64_t i = 0; i < tensor->count; i++) {
    if (values[i] < INT32_MIN || values[i] > INT32_MAX) {
      return moire_fail(error, MOIRE_ERROR_FORMAT, "tensor '%s': element %jd is %jd, outside of 32 bits",
                        tensor->name, (intmax_t)i, (intmax_t)values[i]);
    }
    out[i] = (int32_t)values[i];
  }
  return MOIRE_OK;
}

moire_status moire__st_to_int32(const moire__st_tensor *tensor, int32_t *out, moire_error *error) {
  switch (tensor->dtype) {
    case MOIRE__ST_F64:
    case MOIRE__ST_F32:
    case MOIRE__ST_F16:
    case MOIRE__ST_BF16:
      return moire_fail(error, MOIRE_ERROR_FORMAT, "tensor '%s': wanted whole numbers, but its dtype is %s",
                        tensor->name, moire__st_dtype_name(tensor->dtype));
    case MOIRE__ST_I64: return wide_to_int32(tensor, out, error);
    case MOIRE__ST_I32:
    case MOIRE__ST_I16:
    case MOIRE__ST_I8:
    case MOIRE__ST_U8:
    case MOIRE__ST_BOOL: CONVERT_ALL(tensor, out, int32_t); break;
  }
  return MOIRE_OK;
}
