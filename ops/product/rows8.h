/* quantise_rows, linear_rows8: what their parts share (ops/product/rows8.c). */
#ifndef MOIRE_OPS_PRODUCT_ROWS8_H
#define MOIRE_OPS_PRODUCT_ROWS8_H

#include <stdint.h>

enum {
  MOIRE__ROWS8_LANES = 16,
  MOIRE__ROWS8_BYTES = 4,
  MOIRE__ROWS8_GROUP = MOIRE__ROWS8_LANES * MOIRE__ROWS8_BYTES
};

/* Words of a row of k numbers. */
static inline int64_t moire__rows8_words(int64_t k) {
  return (k + MOIRE__ROWS8_GROUP - 1) / MOIRE__ROWS8_GROUP * MOIRE__ROWS8_LANES;
}

#endif
