/* Reading and checking tables of items. See table.h. */
#include "runtime/items/table.h"

#include "runtime/base/hash.h"

#include <string.h>

enum { PAGE = 4096 };

uint64_t moire__items_checksum(uint64_t before, const void *bytes, size_t n) {
  return moire__fnv(before ? before : MOIRE__FNV_START, moire__hash_bytes(bytes, n));
}

uint64_t moire__items_head_checksum(const moire__items_head *head) {
  return moire__hash_bytes((const unsigned char *)head, offsetof(moire__items_head, checksum));
}

void moire__items_lay_out(moire__items_head *h, int64_t names) {
  h->panels = (h->rows + MOIRE__ITEMS_PANEL - 1) / MOIRE__ITEMS_PANEL;
  h->stride = (h->width + MOIRE__ITEMS_LANES - 1) / MOIRE__ITEMS_LANES * MOIRE__ITEMS_LANES;
  uint64_t padded = (uint64_t)h->panels * MOIRE__ITEMS_PANEL, stride = (uint64_t)h->stride;
  const uint64_t bytes[MOIRE__ITEMS_SECTIONS] = {padded * stride,
                                                 padded * sizeof(float),
                                                 (uint64_t)h->panels * 2 * sizeof(float),
                                                 (uint64_t)h->rows * stride * sizeof(float),
                                                 ((uint64_t)h->rows + 63) / 64 * sizeof(uint64_t),
                                                 names < 0 ? 0 : (uint64_t)h->rows * sizeof(uint64_t),
                                                 names < 0 ? 0 : (uint64_t)names};
  uint64_t at = PAGE;
  for (int s = 0; s < MOIRE__ITEMS_SECTIONS; s++) {
    h->begins[s] = at;
    h->bytes[s] = bytes[s];
    at = (at + bytes[s] + PAGE - 1) / PAGE * PAGE;
  }
}

uint64_t moire__items_end(const moire__items_head *h) {
  return h->begins[MOIRE__ITEMS_NAMES] + h->bytes[MOIRE__ITEMS_NAMES];
}

/* The head is what a head of these numbers must be. */
static bool is_laid_out(const moire__items_head *h) {
  moire__items_head want = {.rows = h->rows, .width = h->width};
  if (h->rows < 1 || h->rows >= INT64_C(1) << 40 || h->width < 1 || h->width > MOIRE_ITEMS_MOST_WIDTH ||
      h->live < 0 || h->live > h->rows || h->bytes[MOIRE__ITEMS_NAMES] >= UINT64_C(1) << 48)
    return false;
  bool named = h->bytes[MOIRE__ITEMS_NAME_ENDS] > 0;
  moire__items_lay_out(&want, named ? (int64_t)h->bytes[MOIRE__ITEMS_NAMES] : -1);
  return !memcmp(want.begins, h->begins, sizeof want.begins) &&
         !memcmp(want.bytes, h->bytes, sizeof want.bytes) && want.stride == h->stride &&
         want.panels == h->panels;
}

static bool has_good_names(const moire__items_table *t) {
  uint64_t before = 0, all = t->head.bytes[MOIRE__ITEMS_NAMES];
  for (int64_t i = 0; t->name_ends && i < t->head.rows; i++) {
    uint64_t end = t->name_ends[i];
    if (end < before || end > all || end - before > INT32_MAX) return false;
    before = end;
  }
  return true;
}

static const void *section(const moire__items_table *t, moire__items_section s) {
  return t->bytes + t->head.begins[s];
}

moire__items_fault moire__items_read(const char *bytes, size_t n, moire__items_table *t) {
  *t = (moire__items_table){.bytes = bytes};
  if (n < PAGE) return MOIRE__ITEMS_NO_TABLE;
  memcpy(&t->head, bytes, sizeof t->head);
  if (memcmp(t->head.magic, MOIRE__ITEMS_MAGIC, sizeof MOIRE__ITEMS_MAGIC) != 0) return MOIRE__ITEMS_NO_TABLE;
  if (t->head.checksum != moire__items_head_checksum(&t->head)) return MOIRE__ITEMS_HEAD_CHANGED;
  if (!is_laid_out(&t->head)) return MOIRE__ITEMS_HEAD_WRONG;
  if (n < moire__items_end(&t->head)) return MOIRE__ITEMS_CUT_SHORT;
  t->codes = section(t, MOIRE__ITEMS_CODES);
  t->scales = section(t, MOIRE__ITEMS_SCALES);
  t->bounds = section(t, MOIRE__ITEMS_BOUNDS);
  t->rows = section(t, MOIRE__ITEMS_ROWS);
  t->retired = section(t, MOIRE__ITEMS_RETIRED);
  if (t->head.bytes[MOIRE__ITEMS_NAME_ENDS]) {
    t->name_ends = section(t, MOIRE__ITEMS_NAME_ENDS);
    t->names = section(t, MOIRE__ITEMS_NAMES);
  }
  return has_good_names(t) ? MOIRE__ITEMS_SOUND : MOIRE__ITEMS_NAMES_WRONG;
}

moire__items_section moire__items_changed(const moire__items_table *t) {
  int s = 0;
  for (; s < MOIRE__ITEMS_SECTIONS; s++) {
    const char *bytes = section(t, (moire__items_section)s);
    uint64_t sum = 0;
    for (uint64_t at = 0; at < t->head.bytes[s]; at += MOIRE__ITEMS_PIECE) {
      uint64_t left = t->head.bytes[s] - at;
      sum = moire__items_checksum(sum, bytes + at, left < MOIRE__ITEMS_PIECE ? left : MOIRE__ITEMS_PIECE);
    }
    if (sum != t->head.checksums[s]) break;
  }
  return (moire__items_section)s;
}

const char *moire__items_name(const moire__items_table *t, int64_t row, int *n) {
  *n = 0;
  if (!t->name_ends || !moire__items_has(t, row)) return NULL;
  uint64_t begin = row ? t->name_ends[row - 1] : 0;
  *n = (int)(t->name_ends[row] - begin);
  return t->names + begin;
}
