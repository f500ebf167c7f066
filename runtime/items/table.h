/* Tables of items: the file, and what its parts share. See moire/items.h.
 *
 * NAME.items, little-endian, sections at multiples of 4096 bytes:
 *   head      moire__items_head
 *   codes     rows in eight bits, u8: c + 128, c from -127 to 127; in panels of 16 rows: for each 4 numbers of
 * k 16 rows with 4 bytes each, as products of bytes take them scales    f32[panels * 16]: w is about s c. A row
 * that eight bits cannot tell has NaN bounds    f32[panels][2] of a panel: the largest |c| of its rows, and the
 * largest |w - s c| / s rows      f32[rows, stride], width and zeros retired   u64[(rows + 63) / 64] of bits
 *   name_ends u64[rows], names: bytes; both empty where rows have no names
 * Each section has a checksum in the head, and the head its own. stride is the width up to a multiple of 16.
 */
#ifndef MOIRE_RUNTIME_ITEMS_TABLE_H
#define MOIRE_RUNTIME_ITEMS_TABLE_H

#include "moire/items.h"
#include "runtime/files/mapping.h"

#include <stddef.h>

enum {
  MOIRE__ITEMS_PANEL = 16,
  MOIRE__ITEMS_LANES = 16,
  MOIRE__ITEMS_OFFSET = 128,
  MOIRE__ITEMS_MOST_WIDTH = 65536
};

typedef enum moire__items_section {
  MOIRE__ITEMS_CODES,
  MOIRE__ITEMS_SCALES,
  MOIRE__ITEMS_BOUNDS,
  MOIRE__ITEMS_ROWS,
  MOIRE__ITEMS_RETIRED,
  MOIRE__ITEMS_NAME_ENDS,
  MOIRE__ITEMS_NAMES,
  MOIRE__ITEMS_SECTIONS
} moire__items_section;

#define MOIRE__ITEMS_MAGIC "moire items 1\n"

typedef struct moire__items_head {
  char magic[16];
  int64_t rows, live, width, stride, panels;
  double most_norm; /* at least the largest |w| */
  uint64_t begins[MOIRE__ITEMS_SECTIONS], bytes[MOIRE__ITEMS_SECTIONS], checksums[MOIRE__ITEMS_SECTIONS];
  uint64_t checksum; /* of what comes before */
} moire__items_head;

struct moire_items {
  char *path;
  moire__mapping file;
  moire__items_head head;
  const uint8_t *codes;
  const float *scales, *bounds, *rows;
  const uint64_t *retired, *name_ends;
  const char *names;
};

/* The size of each section, of the head's rows, live, width and stride. `names` bytes of names; < 0: none. */
void moire__items_lay_out(moire__items_head *head, int64_t names);
uint64_t moire__items_head_checksum(const moire__items_head *head);

/* The checksum of a section, piece by piece: begin with 0; pieces but the last are of MOIRE__ITEMS_PIECE bytes.
 */
enum { MOIRE__ITEMS_PIECE = 1 << 20 };
uint64_t moire__items_checksum(uint64_t before, const void *bytes, size_t n);

static inline bool moire__items_retired(const moire_items *t, int64_t row) {
  return t->retired[row / 64] >> (row % 64) & 1;
}

/* Score of a row, as moire/items.h says: x and w are [stride]. */
typedef float moire__items_dot(const float *x, const float *w, int64_t stride);
moire__items_dot *moire__items_find_dot(void);

#endif
