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

/* Rows that are padded behind: what says which of their positions are tokens (moire_plan_packing); one of the
 * arrays is there. `block` divides length. */
typedef struct moire__packing_rows {
  const int32_t *lengths; /* [samples], or NULL; what is out of 0 to length counts as the nearer of them */
  const int32_t *targets; /* [samples, length], or NULL */
  int32_t ignored;
  int64_t block;
} moire__packing_rows;

/* Returns T, a multiple of the block. */
int64_t moire__packing_find_rows(const moire__packing_rows *rows, int64_t samples, int64_t length,
                                 const moire__packing *out);

#endif
