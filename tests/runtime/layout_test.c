/* Offsets: aligned, never overlapping while alive, and not wasteful where the answer is known. */
#include <criterion/criterion.h>

#include "runtime/base/philox.h"
#include "runtime/base/layout.h"

static size_t assign(const moire__layout_item *items, int n, size_t *offsets) {
  moire__arena arena = {0};
  size_t total = moire__layout_assign(items, n, &arena, offsets);
  moire__arena_free(&arena);
  return total;
}

static bool meet(const moire__layout_item *a, const moire__layout_item *b) {
  return a->first <= b->last && b->first <= a->last;
}

Test(layout, random_cases_do_not_overlap) {
  enum { MOST = 60 };
  moire__random random = moire__random_start(7, 0);
  for (int round = 0; round < 300; round++) {
    int n = (int)moire__random_below(&random, MOST);
    moire__layout_item items[MOST];
    size_t offsets[MOST], sum = 0;
    for (int i = 0; i < n; i++) {
      int first = (int)moire__random_below(&random, 20);
      items[i] = (moire__layout_item){moire__random_below(&random, 2000), first,
                                      first + (int)moire__random_below(&random, 8)};
      sum += (items[i].bytes + 63) / 64 * 64;
    }
    size_t total = assign(items, n, offsets);
    cr_assert_leq(total, sum);
    for (int i = 0; i < n; i++) {
      cr_assert_eq(offsets[i] % 64, 0);
      cr_assert_leq(offsets[i] + items[i].bytes, total);
      for (int j = 0; j < i; j++) {
        bool apart = offsets[i] + items[i].bytes <= offsets[j] || offsets[j] + items[j].bytes <= offsets[i];
        cr_assert(!meet(&items[i], &items[j]) || apart || !items[i].bytes || !items[j].bytes,
                  "round %d: items %d and %d overlap", round, j, i);
      }
    }
  }
}

/* A chain needs two places, whatever its length. */
Test(layout, a_chain_reuses_two_places) {
  enum { N = 50 };
  moire__layout_item items[N];
  size_t offsets[N];
  for (int i = 0; i < N; i++) items[i] = (moire__layout_item){1000, i, i + 1};
  cr_assert_eq(assign(items, N, offsets), 2 * 1024);
}

/* The small one goes into the hole of 128 bytes, not into that of 640. */
Test(layout, the_smallest_gap_that_fits) {
  const moire__layout_item items[] = {
      {1024, 0, 9}, {768, 0, 1}, {704, 0, 9}, {192, 0, 1}, {160, 0, 9}, {100, 5, 9},
  };
  size_t offsets[6];
  assign(items, 6, offsets);
  cr_assert_eq(offsets[5], offsets[3]);
}

Test(layout, nothing) { cr_assert_eq(assign(NULL, 0, NULL), 0); }

Test(layout, sizes_of_dims) {
  const int64_t extents[] = {-1, 7, (int64_t)1 << 40, 0};
  int64_t size = 0;
  cr_assert(moire__extent_size(12, extents, &size) && size == 12);
  cr_assert(moire__extent_size((int64_t)1 << 48 | 50, extents, &size) && size == 350);
  cr_assert(moire__extent_size((int64_t)0x311 << 48 | 2, extents, &size) && size == 0);
  cr_assert(moire__extent_size((int64_t)0x11 << 48 | 2, extents, &size) && size == 98);
  cr_assert_not(moire__extent_size((int64_t)0x21 << 48 | 30, extents, &size));
  cr_assert_not(moire__extent_size((int64_t)2 << 48 | 1000, extents, &size));
}
