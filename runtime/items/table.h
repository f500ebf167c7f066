/* Tables of items: the file, and reading it. Stands on the C library alone: libraries that are compiled ahead
 * of time have these files as text. See moire/items.h.
 *
 * NAME.items, little-endian, sections at multiples of 4096 bytes:
 *   head      moire__items_head
 *   codes     rows in eight bits, u8: c + 128, c from -127 to 127; in panels of 16 rows: for each 4 numbers of
 *             k 16 rows with 4 bytes each, as products of bytes take them
 *   scales    f32[panels * 16]: w is about s c. A row that eight bits cannot tell has NaN
 *   bounds    f32[panels][2] of a panel: the largest |c| of its rows, and the largest |w - s c| / s
 *   rows      f32[rows, stride], width and zeros
 *   retired   u64[(rows + 63) / 64] of bits
 *   name_ends u64[rows], names: bytes; both empty where rows have no names
 * Each section has a checksum in the head, and the head its own. stride is the width up to a multiple of 16.
 */
#ifndef MOIRE_RUNTIME_ITEMS_TABLE_H
#define MOIRE_RUNTIME_ITEMS_TABLE_H

#include "moire/items.h"

#include <stddef.h>

enum { MOIRE__ITEMS_PANEL = 16, MOIRE__ITEMS_LANES = 16, MOIRE__ITEMS_OFFSET = 128 };

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

/* A table in memory, which is borrowed. */
typedef struct moire__items_table {
  moire__items_head head;
  const char *bytes; /* of the file */
  const uint8_t *codes;
  const float *scales, *bounds, *rows;
  const uint64_t *retired, *name_ends;
  const char *names;
} moire__items_table;

/* What is wrong with the bytes of a file. */
typedef enum moire__items_fault {
  MOIRE__ITEMS_SOUND,
  MOIRE__ITEMS_NO_TABLE,
  MOIRE__ITEMS_HEAD_CHANGED, /* its checksum says so */
  MOIRE__ITEMS_HEAD_WRONG,   /* it claims what no table has */
  MOIRE__ITEMS_CUT_SHORT,
  MOIRE__ITEMS_NAMES_WRONG /* their ends fall, or lie behind the names */
} moire__items_fault;

/* The table that a file of n bytes holds, aligned to 64 bytes; of a fault the head alone, as far as it is
 * there. */
moire__items_fault moire__items_read(const char *bytes, size_t n, moire__items_table *out);
/* The first section that was changed, by its checksum; MOIRE__ITEMS_SECTIONS: none was. Reads all of it. */
moire__items_section moire__items_changed(const moire__items_table *table);
/* Where the last section ends. */
uint64_t moire__items_end(const moire__items_head *head);

/* The n bytes of a row's name; NULL: rows have none, or there is no such row. */
const char *moire__items_name(const moire__items_table *table, int64_t row, int *n);

static inline bool moire__items_has(const moire__items_table *t, int64_t row) {
  return row >= 0 && row < t->head.rows;
}

static inline bool moire__items_retired(const moire__items_table *t, int64_t row) {
  return t->retired[row / 64] >> (row % 64) & 1;
}

/* The size of each section, of the head's rows, live, width and stride. `names` bytes of names; < 0: none. */
void moire__items_lay_out(moire__items_head *head, int64_t names);
uint64_t moire__items_head_checksum(const moire__items_head *head);

/* The checksum of a section, piece by piece: begin with 0; pieces but the last are of MOIRE__ITEMS_PIECE bytes.
 */
enum { MOIRE__ITEMS_PIECE = 1 << 20 };
uint64_t moire__items_checksum(uint64_t before, const void *bytes, size_t n);

#endif
