/* Finds the tokens of a batch: one walk over the ids, or over the rows. */
#include "packing.h"

#include <stddef.h>

typedef struct row {
  const int32_t *narrow;
  const int64_t *wide; /* NULL: narrow */
} row;

static row row_of(const void *ids, bool wide, int64_t first) {
  if (wide) return (row){NULL, (const int64_t *)ids + first};
  return (row){(const int32_t *)ids + first, NULL};
}

static bool is_item(row r, int64_t i) { return r.wide ? r.wide[i] > 0 : r.narrow[i] > 0; }

static bool has_items(row r, int64_t length) {
  for (int64_t i = 0; i < length; i++) {
    if (is_item(r, i)) return true;
  }
  return false;
}

static void put(int32_t *array, int64_t at, int64_t value) {
  if (array) array[at] = (int32_t)value;
}

int64_t moire__packing_find(const void *ids, bool wide, int64_t samples, int64_t length,
                            const moire__packing *out) {
  int64_t n = 0;
  for (int64_t b = 0; b < samples; b++) {
    row r = row_of(ids, wide, b * length);
    bool all = !has_items(r, length);
    int64_t start = n;
    for (int64_t i = 0; i < length; i++) {
      bool item = is_item(r, i), is_last = i == length - 1, token = all || item || is_last;
      put(out->slots, b * length + i, token ? n : -1);
      if (!token) continue;
      put(out->tokens, n, b * length + i);
      put(out->ends, n, is_last ? b : -1);
      if (out->valid) out->valid[n] = item;
      n++;
    }
    put(out->starts, b, start);
    put(out->counts, b, n - start);
    put(out->last, b, n - 1);
  }
  return n;
}

/* How many of the row's first positions are tokens, at least one. */
static int64_t row_tokens(const moire__packing_rows *rows, int64_t b, int64_t length) {
  int64_t n = rows->lengths ? rows->lengths[b] : 1, t = length;
  if (n > length) n = length;
  while (rows->targets && t > n && rows->targets[b * length + t - 1] == rows->ignored) t--;
  if (rows->targets && t > n) n = t;
  return n > 1 ? n : 1;
}

int64_t moire__packing_find_rows(const moire__packing_rows *rows, int64_t samples, int64_t length,
                                 const moire__packing *out) {
  int64_t n = 0, total = 0;
  for (int64_t b = 0; b < samples; b++) total += row_tokens(rows, b, length);
  int64_t more =
      (rows->block - total % rows->block) % rows->block; /* the first rows that have room take them */
  for (int64_t b = 0; b < samples; b++) {
    int64_t count = row_tokens(rows, b, length), room = length - count;
    int64_t own = more < room ? more : room;
    more -= own;
    count += own;
    for (int64_t i = 0; i < length; i++) {
      put(out->slots, b * length + i, i < count ? n + i : -1);
      if (i >= count) continue;
      put(out->tokens, n + i, b * length + i);
      put(out->ends, n + i, i == count - 1 ? b : -1);
      if (out->valid) out->valid[n + i] = true;
    }
    put(out->starts, b, n);
    put(out->counts, b, count);
    n += count;
    put(out->last, b, n - 1);
  }
  return n;
}
