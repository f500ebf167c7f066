/* Opening and checking tables of items. See table.h. */
#include "runtime/items/table.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"

#include <inttypes.h>
#include <string.h>

enum { PAGE = 4096 };

static const char *const section_names[MOIRE__ITEMS_SECTIONS] = {"codes",   "scales",    "bounds", "rows",
                                                                 "retired", "name_ends", "names"};

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

/* The head is what a head of these numbers must be, and the file has as many bytes. */
static moire_status check_head(const char *path, const moire__items_head *h, size_t file, moire_error *error) {
  if (memcmp(h->magic, MOIRE__ITEMS_MAGIC, sizeof MOIRE__ITEMS_MAGIC) != 0)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no table of items, as `moire items` makes them", path);
  if (h->checksum != moire__items_head_checksum(h))
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: its head was changed: another checksum than it says",
                      path);
  moire__items_head want = {.rows = h->rows, .width = h->width};
  bool good = h->rows > 0 && h->rows < INT64_C(1) << 40 && h->width > 0 &&
              h->width <= MOIRE__ITEMS_MOST_WIDTH && h->live >= 0 && h->live <= h->rows &&
              h->bytes[MOIRE__ITEMS_NAMES] < UINT64_C(1) << 48;
  if (good) {
    bool named = h->bytes[MOIRE__ITEMS_NAME_ENDS] > 0;
    moire__items_lay_out(&want, named ? (int64_t)h->bytes[MOIRE__ITEMS_NAMES] : -1);
    good = !memcmp(want.begins, h->begins, sizeof want.begins) &&
           !memcmp(want.bytes, h->bytes, sizeof want.bytes) && want.stride == h->stride &&
           want.panels == h->panels;
  }
  if (!good) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: its head claims what no table has", path);
  uint64_t end = h->begins[MOIRE__ITEMS_NAMES] + h->bytes[MOIRE__ITEMS_NAMES];
  if (file < end)
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: has %zu bytes, but its head says %" PRIu64 ": it was cut short", path, file, end);
  return MOIRE_OK;
}

static const void *section(const moire_items *t, moire__items_section s) {
  return t->file.bytes + t->head.begins[s];
}

/* Names end one after the other, within their section. */
static moire_status check_names(const moire_items *t, moire_error *error) {
  if (!t->name_ends) return MOIRE_OK;
  uint64_t before = 0;
  for (int64_t i = 0; i < t->head.rows; i++) {
    if (t->name_ends[i] < before || t->name_ends[i] > t->head.bytes[MOIRE__ITEMS_NAMES])
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the name of row %" PRId64 " is not among its names",
                        t->path, i);
    before = t->name_ends[i];
  }
  return MOIRE_OK;
}

moire_items *moire_items_open(const char *path, moire_error *error) {
  moire_items *t = moire__allocate(sizeof *t);
  t->path = moire__allocate(strlen(path) + 1);
  memcpy(t->path, path, strlen(path) + 1);
  moire_status status = moire__file_map(path, &t->file, error);
  if (!status && t->file.n < PAGE)
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no table of items, as `moire items` makes them", path);
  if (!status) {
    memcpy(&t->head, t->file.bytes, sizeof t->head);
    status = check_head(path, &t->head, t->file.n, error);
  }
  if (status) {
    moire_items_close(t);
    return NULL;
  }
  t->codes = section(t, MOIRE__ITEMS_CODES);
  t->scales = section(t, MOIRE__ITEMS_SCALES);
  t->bounds = section(t, MOIRE__ITEMS_BOUNDS);
  t->rows = section(t, MOIRE__ITEMS_ROWS);
  t->retired = section(t, MOIRE__ITEMS_RETIRED);
  if (t->head.bytes[MOIRE__ITEMS_NAME_ENDS]) {
    t->name_ends = section(t, MOIRE__ITEMS_NAME_ENDS);
    t->names = section(t, MOIRE__ITEMS_NAMES);
  }
  if (check_names(t, error)) {
    moire_items_close(t);
    return NULL;
  }
  return t;
}

void moire_items_close(moire_items *t) {
  if (!t) return;
  moire__file_unmap(&t->file);
  moire__release(t->path);
  moire__release(t);
}

moire_status moire_items_check(const moire_items *t, moire_error *error) {
  for (int s = 0; s < MOIRE__ITEMS_SECTIONS; s++) {
    const char *bytes = section(t, (moire__items_section)s);
    uint64_t sum = 0;
    for (uint64_t at = 0; at < t->head.bytes[s]; at += MOIRE__ITEMS_PIECE) {
      uint64_t left = t->head.bytes[s] - at;
      sum = moire__items_checksum(sum, bytes + at, left < MOIRE__ITEMS_PIECE ? left : MOIRE__ITEMS_PIECE);
    }
    if (sum != t->head.checksums[s])
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: its %s were changed: another checksum than it says",
                        t->path, section_names[s]);
  }
  return MOIRE_OK;
}

int64_t moire_items_count(const moire_items *t) { return t->head.rows; }
int64_t moire_items_live(const moire_items *t) { return t->head.live; }
int64_t moire_items_width(const moire_items *t) { return t->head.width; }

static bool is_row(const moire_items *t, int64_t row) { return row >= 0 && row < t->head.rows; }

bool moire_items_is_retired(const moire_items *t, int64_t row) {
  return !is_row(t, row) || moire__items_retired(t, row);
}

const float *moire_items_row(const moire_items *t, int64_t row) {
  return is_row(t, row) ? t->rows + row * t->head.stride : NULL;
}

const char *moire_items_name(const moire_items *t, int64_t row, int *n) {
  *n = 0;
  if (!t->name_ends || !is_row(t, row)) return NULL;
  uint64_t begin = row ? t->name_ends[row - 1] : 0;
  *n = (int)(t->name_ends[row] - begin);
  return t->names + begin;
}
