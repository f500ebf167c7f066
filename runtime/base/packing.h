/* Leaving out padding: which positions of a batch are tokens, and where each stands (moire_plan_packing). */
#ifndef MOIRE_RUNTIME_BASE_PACKING_H
#define MOIRE_RUNTIME_BASE_PACKING_H

#include <stdbool.h>
#include <stdint.h>

/* Arrays to fill, sizes as in moire_plan_packing, with T at most samples * length; NULL where not wanted. */
typedef struct moire__packing {
  int32_t *tokens, *slots, *last, *ends, *starts, *counts;
  uint8_t *valid;
} moire__packing;

/* ids: samples x length, row-major, length at least 1; i32, or i64 where they are `wide`. Returns T. */
int64_t moire__packing_find(const void *ids, bool wide, int64_t samples, int64_t length,
                            const moire__packing *out);

#endif
