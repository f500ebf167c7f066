/* Lists of items. See lists.h. */
#include "runtime/aot/recommend/lists.h"

#include <string.h>

static library_status moire__aot_check_lists(const library_lists *lists, int64_t n) {
  if (!lists || !lists->offsets) return LIBRARY_ERROR_NULL;
  const int64_t *offsets = lists->offsets;
  if (offsets[0] < 0) return LIBRARY_ERROR_OFFSETS;
  for (int64_t i = 0; i < n; i++) {
    if (offsets[i + 1] < offsets[i]) return LIBRARY_ERROR_OFFSETS;
  }
  if (offsets[n] > offsets[0] && !lists->items) return LIBRARY_ERROR_NULL;
  for (int64_t i = offsets[0]; i < offsets[n]; i++) {
    if (lists->items[i] < 1 || lists->items[i] >= LIBRARY_ITEM_SIZE) return LIBRARY_ERROR_ITEM;
  }
  return LIBRARY_OK;
}

static size_t ids_bytes(int64_t n) {
  size_t bytes = moire__aot_add_bytes(0, (size_t)n * sizeof(int32_t), LIBRARY_LENGTH);
  return (bytes + 63) / 64 * 64;
}

static size_t moire__aot_feed_bytes(const moire__aot_plan *plan, int64_t n) {
  return moire__aot_add_bytes(ids_bytes(n), 1, moire__aot_packed_bytes(plan, n));
}

/* Row i = the end of list first + i, with 0 before its first item. */
static void pad(const library_lists *lists, int64_t first, int64_t n, int32_t *ids) {
  for (int64_t i = 0; i < n; i++) {
    int32_t *row = ids + i * LIBRARY_LENGTH;
    int64_t begin = lists->offsets[first + i], length = lists->offsets[first + i + 1] - begin;
    int64_t kept = length < LIBRARY_LENGTH ? length : LIBRARY_LENGTH, padding = LIBRARY_LENGTH - kept;
    memset(row, 0, (size_t)padding * sizeof *row);
    if (kept) memcpy(row + padding, lists->items + begin + length - kept, (size_t)kept * sizeof *row);
  }
}

static void moire__aot_feed(moire__aot_run *run, const library_lists *histories, int64_t first, int64_t n,
                            unsigned char *memory) {
  int32_t *ids = (int32_t *)(void *)memory;
  pad(histories, first, n, ids);
  run->inputs[MOIRE__AOT_IDS] = ids;
  moire__aot_pack(run, n, memory + ids_bytes(n));
}
