/* Leaving out padding: which positions of a batch are tokens, and where each stands (moire_plan_packing). */
#ifndef MOIRE_RUNTIME_BASE_PACKING_H
#define MOIRE_RUNTIME_BASE_PACKING_H

#include <stdint.h>

/* Arrays to fill, sizes as in moire_plan_packing, with T at most samples * length; NULL where not wanted. */
typedef struct moire__packing {
  int32_t *tokens, *slots, *last, *ends, *starts, *counts;
  uint8_t *valid;
} moire__packing;

/* ids: samples x length, row-major, length at least 1. Returns T. */
int64_t moire__packing_find(const int32_t *ids, int64_t samples, int64_t length, const moire__packing *out);

#endif
