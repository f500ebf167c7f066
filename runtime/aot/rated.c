/* What users have rated. See rated.h. */
#include "runtime/aot/rated.h"

#include "runtime/measure/time_bucket.h"

#include <math.h>
#include <string.h>

static library_status moire__aot_check_rated(const library_ratings *users, int64_t n) {
  if (!users || !users->offsets) return LIBRARY_ERROR_NULL;
  const int64_t *offsets = users->offsets;
  if (offsets[0] < 0) return LIBRARY_ERROR_OFFSETS;
  for (int64_t i = 0; i < n; i++) {
    if (offsets[i + 1] < offsets[i]) return LIBRARY_ERROR_OFFSETS;
  }
  if (offsets[n] > offsets[0] && (!users->items || !users->ratings)) return LIBRARY_ERROR_NULL;
  for (int64_t i = offsets[0]; i < offsets[n]; i++) {
    if (users->items[i] < 0 || users->items[i] >= LIBRARY_ITEM_SIZE) return LIBRARY_ERROR_ITEM;
    if (users->ratings[i] < 1 || users->ratings[i] > LIBRARY_MAX_RATING) return LIBRARY_ERROR_RATING;
    if (users->times && !isfinite(users->times[i])) return LIBRARY_ERROR_TIME;
  }
  return LIBRARY_OK;
}

static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t rows_bytes(int64_t n) {
  return rounded(moire__aot_add_bytes(0, (size_t)n * sizeof(int32_t), LIBRARY_LENGTH));
}

static size_t moire__aot_rated_bytes(int64_t n) {
  return moire__aot_add_bytes(rounded((size_t)LIBRARY_LENGTH * sizeof(int64_t)), MOIRE__AOT_RATED,
                              rows_bytes(n));
}

/* The last ratings of [begin, end) by time, of equal times the later ones: kept[0 .. n), oldest first. Returns
 * n; *first and *last are the times of all. */
static int64_t keep_last(const double *times, int64_t begin, int64_t end, int64_t *kept, double *first,
                         double *last) {
  int64_t n = 0;
  *first = *last = begin < end && times ? times[begin] : 0;
  for (int64_t i = begin; i < end; i++) {
    double time = times ? times[i] : 0;
    if (time < *first) *first = time;
    if (time > *last) *last = time;
    if (n == LIBRARY_LENGTH) {
      if (times && time < times[kept[0]]) continue;
      memmove(kept, kept + 1, (size_t)--n * sizeof *kept);
    }
    int64_t at = n++;
    for (; at > 0 && times && times[kept[at - 1]] > time; at--) kept[at] = kept[at - 1];
    kept[at] = i;
  }
  return n;
}

static void moire__aot_feed_rated(moire__aot_run *run, const library_ratings *users, int64_t first, int64_t n,
                                  unsigned char *memory) {
  int32_t *rows[MOIRE__AOT_RATED]; /* ids, ratings, times, mask */
  int64_t *kept = (int64_t *)(void *)(memory + MOIRE__AOT_RATED * rows_bytes(n));
  for (int k = 0; k < MOIRE__AOT_RATED; k++) {
    rows[k] = (int32_t *)(void *)(memory + (size_t)k * rows_bytes(n));
    memset(rows[k], 0, rows_bytes(n));
    run->inputs[MOIRE__AOT_RATED_IDS + k] = rows[k];
  }
  for (int64_t i = 0; i < n; i++) {
    double oldest = 0, latest = 0;
    int64_t count = keep_last(users->times, users->offsets[first + i], users->offsets[first + i + 1], kept,
                              &oldest, &latest);
    for (int64_t j = 0; j < count; j++) {
      int64_t e = kept[j], at = i * LIBRARY_LENGTH + j;
      rows[0][at] = users->items[e];
      rows[1][at] = users->ratings[e];
      rows[2][at] = moire__time_bucket(users->times ? users->times[e] : 0, oldest, latest, MOIRE__AOT_BUCKETS);
      rows[3][at] = 1;
    }
  }
  run->extents[0] = 1;
  run->extents[MOIRE__AOT_BATCH] = n;
}
