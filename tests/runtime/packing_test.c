/* Which positions of a batch are tokens. */
#include "runtime/base/packing.h"

#include <criterion/criterion.h>
#include <string.h>

/* The array begins with what the test wants of it. */
#define HAS(array) cr_assert(memcmp(array, want_##array, sizeof want_##array) == 0, #array)

Test(packing, samples_of_every_kind) {
  /* padded in front; full; empty: all are tokens; last position padded: a token that is not valid */
  static const int32_t ids[] = {0, 0, 5, 7, 1, 2, 3, 4, 0, 0, 0, 0, 0, 6, 0, 0};
  int32_t tokens[16], slots[16], last[4], ends[16], starts[4], counts[4];
  uint8_t valid[16];
  moire__packing out = {tokens, slots, last, ends, starts, counts, valid};
  cr_assert_eq(moire__packing_find(ids, false, 4, 4, &out), 12);
  static const int32_t want_tokens[] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15};
  static const int32_t want_slots[] = {-1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, 10, -1, 11};
  static const int32_t want_ends[] = {-1, 0, -1, -1, -1, 1, -1, -1, -1, 2, -1, 3};
  static const int32_t want_last[] = {1, 5, 9, 11}, want_starts[] = {0, 2, 6, 10}, want_counts[] = {2, 4, 4, 2};
  static const uint8_t want_valid[] = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0};
  HAS(tokens);
  HAS(slots);
  HAS(ends);
  HAS(last);
  HAS(starts);
  HAS(counts);
  HAS(valid);
}

Test(packing, ids_of_64_bits) {
  static const int64_t ids[] = {0, (int64_t)1 << 40, -((int64_t)1 << 40), 3, 0, 0};
  int32_t tokens[6], counts[2];
  uint8_t valid[6];
  moire__packing out = {.tokens = tokens, .counts = counts, .valid = valid};
  cr_assert_eq(moire__packing_find(ids, true, 2, 3, &out), 4);
  static const int32_t want_tokens[] = {1, 2, 3, 5}, want_counts[] = {2, 2};
  static const uint8_t want_valid[] = {1, 0, 1, 0};
  HAS(tokens);
  HAS(counts);
  HAS(valid);
}

Test(packing, nothing_and_arrays_that_nobody_wants) {
  static const int32_t ids[] = {0, 9};
  moire__packing none = {0};
  cr_assert_eq(moire__packing_find(ids, false, 0, 4, &none), 0);
  cr_assert_eq(moire__packing_find(ids, false, 1, 2, &none), 1);
  cr_assert_eq(moire__packing_find(ids, false, 2, 1, &none), 2);
}

/* One row by its length, one by its targets, which are more, one without either, one full; some of a row
 * without words make the number even. */
Test(packing, rows_of_every_kind) {
  static const int32_t lengths[] = {1, 1, 0, 9}, ignored = -100;
  static const int32_t targets[] = {-100, -100, -100, -100, 5, -100, 7, -100,
                                    -100, -100, -100, -100, 1, 2,    3, 4};
  int32_t tokens[16], slots[16], last[4], ends[16], starts[4], counts[4];
  uint8_t valid[16];
  moire__packing out = {tokens, slots, last, ends, starts, counts, valid};
  const moire__packing_rows rows = {lengths, targets, ignored, 2};
  cr_assert_eq(moire__packing_find_rows(&rows, 4, 4, &out), 10);
  static const int32_t want_tokens[] = {0, 1, 4, 5, 6, 8, 12, 13, 14, 15};
  static const int32_t want_slots[] = {0, 1, -1, -1, 2, 3, 4, -1, 5, -1, -1, -1, 6, 7, 8, 9};
  static const int32_t want_ends[] = {-1, 0, -1, -1, 1, 2, -1, -1, -1, 3};
  static const int32_t want_last[] = {1, 4, 5, 9}, want_starts[] = {0, 2, 5, 6}, want_counts[] = {2, 3, 1, 4};
  static const uint8_t want_valid[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  HAS(tokens);
  HAS(slots);
  HAS(ends);
  HAS(last);
  HAS(starts);
  HAS(counts);
  HAS(valid);
}

Test(packing, rows_by_one_of_both) {
  static const int32_t lengths[] = {-3, 2}, targets[] = {0, 4, 0, 0, 0, 0, 0, 0};
  moire__packing none = {0};
  const moire__packing_rows by_length = {.lengths = lengths, .block = 1};
  const moire__packing_rows by_target = {.targets = targets, .block = 1};
  const moire__packing_rows in_blocks = {.targets = targets, .block = 4};
  cr_assert_eq(moire__packing_find_rows(&by_length, 2, 4, &none), 3);
  cr_assert_eq(moire__packing_find_rows(&by_target, 2, 4, &none), 3);
  cr_assert_eq(moire__packing_find_rows(&in_blocks, 2, 4, &none), 4);
  cr_assert_eq(moire__packing_find_rows(&in_blocks, 0, 4, &none), 0);
}
