/* First values of states. See initial.h. */
#include "runtime/run/initial.h"

#include "runtime/base/philox.h"

#include <string.h>

static double first_value(const moire_init *init, uint64_t seed, uint64_t stream, uint64_t index) {
  switch (init->kind) {
    case MOIRE_INIT_CONSTANT: return init->a;
    case MOIRE_INIT_NORMAL: return init->a + init->b * moire__normal(seed, stream, index);
    case MOIRE_INIT_UNIFORM: return init->a + (init->b - init->a) * moire__uniform(seed, stream, index);
    case MOIRE_INIT_LIST: return init->values[index % (uint64_t)init->n_values];
  }
  return 0;
}

/* Round to nearest, ties to even; a NaN stays one. */
static uint16_t to_bf16(double value) {
  float single = (float)value;
  uint32_t bits = 0;
  memcpy(&bits, &single, sizeof bits);
  if (single != single) return 0x7FC0;
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static void put(void *data, moire_dtype dtype, int64_t i, double value) {
  switch (dtype) {
    case MOIRE_F32: ((float *)data)[i] = (float)value; break;
    case MOIRE_F64: ((double *)data)[i] = value; break;
    case MOIRE_BF16: ((uint16_t *)data)[i] = to_bf16(value); break;
    case MOIRE_I32: ((int32_t *)data)[i] = (int32_t)value; break;
    case MOIRE_I64: ((int64_t *)data)[i] = (int64_t)value; break;
    case MOIRE_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case MOIRE_C64: break;
  }
}

void moire__initial_fill(const moire_init *init, const char *name, moire_dtype dtype, int64_t elements,
                         uint64_t seed, void *data) {
  uint64_t stream = moire__hash_name(init->stream ? init->stream : name);
  for (int64_t i = 0; i < elements; i++) put(data, dtype, i, first_value(init, seed, stream, (uint64_t)i));
}
