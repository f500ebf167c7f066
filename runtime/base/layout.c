/* Offset assignment by size, best fit. See layout.h. */
#include "runtime/base/layout.h"

#include <stdlib.h>

typedef struct placed {
  size_t begin, end;
} placed;

typedef struct ranked {
  size_t bytes;
  int item;
} ranked;

static int larger_first(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
  return x->item - y->item;
}

static int lower_first(const void *a, const void *b) {
  const placed *x = a, *y = b;
  return (x->begin > y->begin) - (x->begin < y->begin);
}

static size_t round_up(size_t bytes) {
  return (bytes + MOIRE__ALIGNMENT - 1) / MOIRE__ALIGNMENT * MOIRE__ALIGNMENT;
}

/* The start of the smallest gap of at least `bytes` between what is busy, or the end of all. */
static size_t best_gap(placed *busy, int n, size_t bytes) {
  qsort(busy, (size_t)n, sizeof *busy, lower_first);
  size_t end = 0, best = 0, best_size = SIZE_MAX;
  for (int i = 0; i < n; i++) {
    if (busy[i].begin > end) {
      size_t gap = busy[i].begin - end;
      if (gap >= bytes && gap < best_size) {
        best = end;
        best_size = gap;
      }
    }
    if (busy[i].end > end) end = busy[i].end;
  }
  return best_size == SIZE_MAX ? end : best;
}

size_t moire__layout_assign(const moire__layout_item *items, int n, moire__arena *arena, size_t *offsets) {
  ranked *order = moire__arena_array(arena, (size_t)n + 1, sizeof *order);
  placed *busy = moire__arena_array(arena, (size_t)n + 1, sizeof *busy);
  for (int i = 0; i < n; i++) order[i] = (ranked){round_up(items[i].bytes), i};
  qsort(order, (size_t)n, sizeof *order, larger_first);
  size_t total = 0;
  for (int i = 0; i < n; i++) {
    const moire__layout_item *item = &items[order[i].item];
    int n_busy = 0;
    for (int j = 0; j < i; j++) {
      const moire__layout_item *other = &items[order[j].item];
      if (other->first > item->last || item->first > other->last) continue;
      size_t begin = offsets[order[j].item];
      busy[n_busy++] = (placed){begin, begin + order[j].bytes};
    }
    size_t begin = best_gap(busy, n_busy, order[i].bytes);
    offsets[order[i].item] = begin;
    if (begin + order[i].bytes > total) total = begin + order[i].bytes;
  }
  return total;
}

size_t moire__dtype_bytes(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_I32: return 4;
    case MOIRE_F64:
    case MOIRE_I64: return 8;
    case MOIRE_BF16: return 2;
    case MOIRE_BOOL: return 1;
    case MOIRE_C64: return 0;
  }
  return 0;
}

bool moire__extent_size(moire_dim dim, const int64_t *extents, int64_t *size) {
  const int64_t most = (int64_t)1 << 47;
  int64_t factor = dim & (((int64_t)1 << 48) - 1);
  bool fits = true, empty = factor == 0;
  *size = factor;
  for (int left = (int)(dim >> 48); left; left >>= 4) {
    empty = empty || extents[left & 15] == 0;
    fits = fits && !__builtin_mul_overflow(*size, extents[left & 15], size);
  }
  if (empty) *size = 0;
  return empty || (fits && *size >= 0 && *size < most);
}

const int64_t *moire__step_extents(const moire_plan *plan, const moire_plan_step *step, const int64_t *extents,
                                   int64_t own[MOIRE_MAX_EXTENTS + 1]) {
  if (!step->n_constants) return extents;
  own[0] = 1;
  for (int i = 1; i <= plan->n_extents; i++) own[i] = extents[i];
  for (int i = 0; i < step->n_constants; i++) own[plan->n_extents + 1 + i] = step->constants[i];
  return own;
}
