/* Conversion of elements: one loop for each pair of types. */
#include "runtime/files/array_convert.h"

#include "runtime/files/half.h"

#include <assert.h>

bool moire__element_is(moire__st_dtype from, moire_dtype to) {
  switch (to) {
    case MOIRE_F32: return from == MOIRE__ST_F32;
    case MOIRE_F64: return from == MOIRE__ST_F64;
    case MOIRE_I32: return from == MOIRE__ST_I32;
    case MOIRE_I64: return from == MOIRE__ST_I64;
    case MOIRE_C64: return from == MOIRE__ST_C64;
    case MOIRE_BOOL: /* a byte that is neither 0 nor 1 becomes 1 */
    case MOIRE_BF16: break;
  }
  return false;
}

static bool is_integer(moire__st_dtype t) { return t >= MOIRE__ST_I64 && t <= MOIRE__ST_U64; /* bool, too */ }

bool moire__element_converts(moire__st_dtype from, moire_dtype to) {
  size_t size = moire__st_dtype_size(from);
  switch (to) {
    case MOIRE_F32: return moire__st_dtype_is_float(from) || (is_integer(from) && size <= 2);
    case MOIRE_F64: return moire__st_dtype_is_float(from) || (is_integer(from) && size <= 4);
    case MOIRE_I32:
    case MOIRE_I64:
    case MOIRE_BOOL: return is_integer(from);
    case MOIRE_C64: return moire__st_dtype_is_complex(from);
    case MOIRE_BF16: break;
  }
  return false;
}

#define EACH(type, statement)                                                                                  \
  for (int64_t i = 0; i < n; i++) {                                                                            \
    const type v = ((const type *)in)[i];                                                                      \
    statement;                                                                                                 \
  }                                                                                                            \
  break

/* What is no such type was refused before: moire__element_converts. */
#define NO_FLOAT                                                                                               \
  case MOIRE__ST_F64:                                                                                          \
  case MOIRE__ST_F32:                                                                                          \
  case MOIRE__ST_F16:                                                                                          \
  case MOIRE__ST_BF16
#define NO_NUMBER                                                                                              \
  case MOIRE__ST_C64:                                                                                          \
  case MOIRE__ST_C128:                                                                                         \
  case MOIRE__ST_OTHER

#define TO_FLOAT(float_type)                                                                                   \
  switch (from) {                                                                                              \
    case MOIRE__ST_F64: EACH(double, to[i] = (float_type)v);                                                   \
    case MOIRE__ST_F32: EACH(float, to[i] = v);                                                                \
    case MOIRE__ST_F16: EACH(uint16_t, to[i] = moire__half_to_float(v));                                       \
    case MOIRE__ST_BF16: EACH(uint16_t, to[i] = moire__bfloat_to_float(v));                                    \
    case MOIRE__ST_I32: EACH(int32_t, to[i] = (float_type)v);                                                  \
    case MOIRE__ST_I16: EACH(int16_t, to[i] = v);                                                              \
    case MOIRE__ST_I8: EACH(int8_t, to[i] = v);                                                                \
    case MOIRE__ST_U32: EACH(uint32_t, to[i] = (float_type)v);                                                 \
    case MOIRE__ST_U16: EACH(uint16_t, to[i] = v);                                                             \
    case MOIRE__ST_U8: EACH(uint8_t, to[i] = v);                                                               \
    case MOIRE__ST_BOOL: EACH(uint8_t, to[i] = v != 0);                                                        \
    case MOIRE__ST_I64:                                                                                        \
    case MOIRE__ST_U64:                                                                                        \
    NO_NUMBER:                                                                                                 \
      assert(!"a conversion that is not one");                                                                 \
  }

static void to_float(moire__st_dtype from, const void *in, int64_t n, float *to) { TO_FLOAT(float) }
static void to_double(moire__st_dtype from, const void *in, int64_t n, double *to) { TO_FLOAT(double) }

#define TO_INTEGER(fit)                                                                                        \
  switch (from) {                                                                                              \
    case MOIRE__ST_I64: EACH(int64_t, fit);                                                                    \
    case MOIRE__ST_I32: EACH(int32_t, fit);                                                                    \
    case MOIRE__ST_I16: EACH(int16_t, fit);                                                                    \
    case MOIRE__ST_I8: EACH(int8_t, fit);                                                                      \
    case MOIRE__ST_U64: EACH(uint64_t, fit);                                                                   \
    case MOIRE__ST_U32: EACH(uint32_t, fit);                                                                   \
    case MOIRE__ST_U16: EACH(uint16_t, fit);                                                                   \
    case MOIRE__ST_U8: EACH(uint8_t, fit);                                                                     \
    case MOIRE__ST_BOOL:                                                                                       \
      EACH(uint8_t, to[i] = v != 0);                                                                           \
    NO_FLOAT:                                                                                                  \
    NO_NUMBER:                                                                                                 \
      assert(!"a conversion that is not one");                                                                 \
  }

static bool to_int32(moire__st_dtype from, const void *in, int64_t n, int32_t *to) {
  bool lost = false;
  TO_INTEGER(lost |= __builtin_add_overflow(v, 0, &to[i]))
  return !lost;
}

static bool to_int64(moire__st_dtype from, const void *in, int64_t n, int64_t *to) {
  bool lost = false;
  TO_INTEGER(lost |= __builtin_add_overflow(v, 0, &to[i]))
  return !lost;
}

static bool to_bool(moire__st_dtype from, const void *in, int64_t n, uint8_t *to) {
  bool lost = false;
  TO_INTEGER(to[i] = v != 0; lost |= v != 0 && v != 1)
  return !lost;
}

#define TO_COMPLEX(type)                                                                                       \
  for (int64_t i = 0; i < n; i++) {                                                                            \
    real[step * i] = (float)((const type *)in)[2 * i];                                                         \
    imaginary[step * i] = (float)((const type *)in)[2 * i + 1];                                                \
  }

static void to_complex(moire__st_dtype from, const void *in, int64_t n, float *real, float *imaginary) {
  int64_t step = imaginary ? 1 : 2;
  if (!imaginary) imaginary = real + 1;
  if (from == MOIRE__ST_C64) {
    TO_COMPLEX(float)
  } else {
    assert(from == MOIRE__ST_C128);
    TO_COMPLEX(double)
  }
}

bool moire__element_convert(moire__st_dtype from, const void *in, int64_t n, moire_dtype to, void *out,
                            float *imaginary) {
  switch (to) {
    case MOIRE_F32: to_float(from, in, n, out); return true;
    case MOIRE_F64: to_double(from, in, n, out); return true;
    case MOIRE_C64: to_complex(from, in, n, out, imaginary); return true;
    case MOIRE_I32: return to_int32(from, in, n, out);
    case MOIRE_I64: return to_int64(from, in, n, out);
    case MOIRE_BOOL: return to_bool(from, in, n, out);
    case MOIRE_BF16: break;
  }
  assert(!"a conversion that is not one");
  return false;
}

void moire__element_swap(moire__st_dtype dtype, void *elements, int64_t n) {
  size_t size = moire__st_dtype_size(dtype);
  if (moire__st_dtype_is_complex(dtype)) {
    size /= 2;
    n *= 2;
  }
  if (size == 2) {
    uint16_t *e = elements;
    for (int64_t i = 0; i < n; i++) e[i] = __builtin_bswap16(e[i]);
  } else if (size == 4) {
    uint32_t *e = elements;
    for (int64_t i = 0; i < n; i++) e[i] = __builtin_bswap32(e[i]);
  } else if (size == 8) {
    uint64_t *e = elements;
    for (int64_t i = 0; i < n; i++) e[i] = __builtin_bswap64(e[i]);
  }
}

/* x - x is 0 of what is finite, NaN of the rest; a NaN once in the sum stays. */
bool moire__floats_finite(const float *values, int64_t n) {
  int bad = 0;
  for (int64_t i = 0; i < n; i++) bad |= !(values[i] - values[i] == 0);
  return !bad;
}

bool moire__doubles_finite(const double *values, int64_t n) {
  int bad = 0;
  for (int64_t i = 0; i < n; i++) bad |= !(values[i] - values[i] == 0);
  return !bad;
}
