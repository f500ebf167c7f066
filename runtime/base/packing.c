/* Finds the tokens of a batch: one walk over the ids. */
#include "packing.h"

#include <stdbool.h>
#include <stddef.h>

static bool has_items(const int32_t *ids, int64_t length) {
  for (int64_t i = 0; i < length; i++) {
    if (ids[i] > 0) return true;
  }
  return false;
}

static void put(int32_t *array, int64_t at, int64_t value) {
  if (array) array[at] = (int32_t)value;
}

int64_t moire__packing_find(const int32_t *ids, int64_t samples, int64_t length, const moire__packing *out) {
  int64_t n = 0;
  for (int64_t b = 0; b < samples; b++) {
    const int32_t *row = ids + b * length;
    bool all = !has_items(row, length);
    int64_t start = n;
    for (int64_t i = 0; i < length; i++) {
      bool is_last = i == length - 1, token = all || row[i] > 0 || is_last;
      put(out->slots, b * length + i, token ? n : -1);
      if (!token) continue;
      put(out->tokens, n, b * length + i);
      put(out->ends, n, is_last ? b : -1);
      if (out->valid) out->valid[n] = row[i] > 0;
      n++;
    }
    put(out->starts, b, start);
    put(out->counts, b, n - start);
    put(out->last, b, n - 1);
  }
  return n;
}
