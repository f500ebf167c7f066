/* Histories as the inputs of a plan. See feed.h. */
#include "runtime/aot/feed.h"
#include "runtime/base/packing.h"

#include <string.h>

/* Bytes of a number for each position, which is enough for every packed input. */
static size_t rows_bytes(int64_t n) {
  size_t bytes = moire__aot_add_bytes(0, (size_t)n * sizeof(int32_t), LIBRARY_LENGTH);
  return (bytes + 63) / 64 * 64;
}

static int has_input(const moire__aot_plan *plan, int input) { return (int)(plan->inputs >> input & 1); }

static size_t moire__aot_feed_bytes(const moire__aot_plan *plan, int64_t n) {
  size_t arrays = 1; /* ids are needed to find the others */
  for (int i = MOIRE__AOT_TOKENS; i < MOIRE__AOT_INPUTS; i++) arrays += (size_t)has_input(plan, i);
  return moire__aot_add_bytes(0, arrays, rows_bytes(n));
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
  size_t bytes = rows_bytes(n);
  void *packed[MOIRE__AOT_INPUTS] = {NULL};
  pad(histories, first, n, ids);
  run->inputs[MOIRE__AOT_IDS] = ids;
  for (int i = MOIRE__AOT_TOKENS; i < MOIRE__AOT_INPUTS; i++) {
    if (!has_input(run->plan, i)) continue;
    memory += bytes;
    packed[i] = memory;
    run->inputs[i] = memory;
  }
  moire__packing arrays = {.tokens = packed[MOIRE__AOT_TOKENS],
                           .slots = packed[MOIRE__AOT_SLOTS],
                           .last = packed[MOIRE__AOT_LAST],
                           .ends = packed[MOIRE__AOT_ENDS],
                           .starts = packed[MOIRE__AOT_STARTS],
                           .counts = packed[MOIRE__AOT_COUNTS],
                           .valid = packed[MOIRE__AOT_VALID]};
  run->extents[0] = 1;
  run->extents[MOIRE__AOT_BATCH] = n;
  run->extents[MOIRE__AOT_T] = run->plan->packed ? moire__packing_find(ids, n, LIBRARY_LENGTH, &arrays) : 0;
}
