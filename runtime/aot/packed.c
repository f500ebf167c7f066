/* Tokens of a batch. See packed.h. */
#include "runtime/aot/packed.h"
#include "runtime/base/packing.h"

/* Bytes of a number for each position, which is enough for every array. */
static size_t positions_bytes(const moire__aot_plan *plan, int64_t n) {
  size_t bytes = moire__aot_add_bytes(0, (size_t)n * sizeof(int32_t), (size_t)plan->length);
  return (bytes + 63) / 64 * 64;
}

static size_t moire__aot_packed_bytes(const moire__aot_plan *plan, int64_t n) {
  size_t arrays = 0;
  if (!plan->length) return 0;
  for (int i = MOIRE__AOT_TOKENS; i <= MOIRE__AOT_VALID; i++) arrays += plan->reads[i];
  return moire__aot_add_bytes(0, arrays, positions_bytes(plan, n));
}

static void moire__aot_pack(moire__aot_run *run, int64_t n, unsigned char *memory) {
  const moire__aot_plan *plan = run->plan;
  void *found[MOIRE__AOT_VALID + 1] = {NULL};
  run->extents[0] = 1;
  run->extents[MOIRE__AOT_BATCH] = n;
  run->extents[MOIRE__AOT_T] = 0;
  if (!plan->length) return;
  size_t bytes = positions_bytes(plan, n);
  for (int i = MOIRE__AOT_TOKENS; i <= MOIRE__AOT_VALID; i++) {
    if (!plan->reads[i]) continue;
    found[i] = memory;
    run->inputs[i] = memory;
    memory += bytes;
  }
  moire__packing arrays = {.tokens = found[MOIRE__AOT_TOKENS],
                           .slots = found[MOIRE__AOT_SLOTS],
                           .last = found[MOIRE__AOT_LAST],
                           .ends = found[MOIRE__AOT_ENDS],
                           .starts = found[MOIRE__AOT_STARTS],
                           .counts = found[MOIRE__AOT_COUNTS],
                           .valid = found[MOIRE__AOT_VALID]};
  int64_t tokens = 0;
  if (plan->ids >= 0) {
    tokens = moire__packing_find(run->inputs[plan->ids], plan->wide_ids, n, plan->length, &arrays);
  } else {
    const moire__packing_rows rows = {.lengths = plan->lengths < 0 ? NULL : run->inputs[plan->lengths],
                                      .targets = plan->targets < 0 ? NULL : run->inputs[plan->targets],
                                      .ignored = plan->ignored,
                                      .block = plan->block};
    tokens = moire__packing_find_rows(&rows, n, plan->length, &arrays);
  }
  run->extents[MOIRE__AOT_T] = tokens / plan->block;
}
