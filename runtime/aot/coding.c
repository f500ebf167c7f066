/* Items to codes and back. A batch is cut into slices of LIBRARY_SLICE rows; a thread runs the whole plan for a
 * slice in a region of its own. The cut does not depend on the number of threads. */
#include "runtime/aot/execute.h"
#include "runtime/aot/model.h"
#include "runtime/aot/workspace.h"

#include <stdatomic.h>
#include <string.h>

typedef struct request {
  const library_workspace *workspace;
  const moire__aot_plan *plan;
  const void *block; /* of the model */
  int64_t batch;
  moire__aot_input input;
  const void *from;
  void *to;
  size_t from_bytes, to_bytes; /* of a row */
  unsigned char *regions;
  size_t region_bytes;
  _Atomic int64_t next; /* slice */
} request;

enum { FEATURE_BYTES = LIBRARY_FEATURES * 4, CODE_BYTES = LIBRARY_LEVELS * 4 };

static size_t input_bytes(int64_t rows, size_t row_bytes) { return ((size_t)rows * row_bytes + 63) / 64 * 64; }

static size_t region_bytes(const moire__aot_plan *plan, size_t row_bytes, int64_t batch) {
  int64_t rows = batch < LIBRARY_SLICE ? batch : LIBRARY_SLICE;
  return input_bytes(rows, row_bytes) + moire__aot_run_bytes(plan, rows);
}

static int64_t slices(int64_t batch) { return (batch + LIBRARY_SLICE - 1) / LIBRARY_SLICE; }

/* As many threads as there is work for. */
static int useful_threads(int64_t batch, int threads) {
  if (threads < 1) return 1;
  return slices(batch) < threads ? (int)slices(batch) : threads;
}

size_t library_workspace_bytes(int64_t batch, int threads) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !moire__aot_batch_is_good(batch) || threads < 0 || threads > LIBRARY_MAX_THREADS) return 0;
  size_t encode = region_bytes(&level->scores, FEATURE_BYTES, batch);
  size_t decode = region_bytes(&level->restore, CODE_BYTES, batch);
  return (encode > decode ? encode : decode) * (size_t)useful_threads(batch, threads) + 63;
}

int64_t library_codes(int level) {
  return level >= 0 && level < LIBRARY_LEVELS ? MOIRE__AOT_TABLES.codes[level] : 0;
}

static void compute_slice(const request *r, int64_t slice, unsigned char *region) {
  int64_t first = slice * LIBRARY_SLICE, left = r->batch - first;
  int64_t rows = left < LIBRARY_SLICE ? left : LIBRARY_SLICE;
  memcpy(region, (const unsigned char *)r->from + (size_t)first * r->from_bytes, (size_t)rows * r->from_bytes);
  moire__aot_run run = {.plan = r->plan,
                        .extents = {1, rows},
                        .model = (void *)(uintptr_t)r->block,
                        .workspace = region + input_bytes(rows, r->from_bytes),
                        .threads = 1,
                        .profile = r->workspace->profile,
                        .profile_context = r->workspace->profile_context};
  run.inputs[r->input] = region;
  const void *result = moire__aot_execute(&run);
  memcpy((unsigned char *)r->to + (size_t)first * r->to_bytes, result, (size_t)rows * r->to_bytes);
}

static void take_slices(void *job, int thread) {
  request *r = job;
  for (;;) {
    int64_t slice = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
    if (slice >= slices(r->batch)) return;
    compute_slice(r, slice, r->regions + r->region_bytes * (size_t)thread);
  }
}

static library_status answer(request *r, const library_model *model, library_workspace *workspace) {
  const moire__aot_level *level = NULL;
  if (!workspace || !r->from || !r->to) return LIBRARY_ERROR_NULL;
  if (!moire__aot_batch_is_good(r->batch)) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_threads(workspace);
  if (!status) status = moire__aot_find_block(model, &level, &r->block);
  if (status) return status;
  int threads = useful_threads(r->batch, workspace->threads);
  r->workspace = workspace;
  r->plan = r->input == MOIRE__AOT_FEATURES ? &level->scores : &level->restore;
  r->region_bytes = region_bytes(r->plan, r->from_bytes, r->batch);
  status = moire__aot_reserve(workspace, r->region_bytes * (size_t)threads + 63, &r->regions);
  if (status) return status;
  if (threads == 1) {
    take_slices(r, 0);
  } else {
    workspace->run(workspace->context, threads, take_slices, r);
  }
  return LIBRARY_OK;
}

library_status library_encode(const library_model *model, library_workspace *workspace, int64_t batch,
                              const float *features, int32_t *codes) {
  request r = {.batch = batch,
               .input = MOIRE__AOT_FEATURES,
               .from = features,
               .to = codes,
               .from_bytes = FEATURE_BYTES,
               .to_bytes = CODE_BYTES};
  return answer(&r, model, workspace);
}

library_status library_decode(const library_model *model, library_workspace *workspace, int64_t batch,
                              const int32_t *codes, float *features) {
  if (!codes) return LIBRARY_ERROR_NULL;
  if (!moire__aot_batch_is_good(batch)) return LIBRARY_ERROR_BATCH;
  for (int64_t i = 0; i < batch * LIBRARY_LEVELS; i++) {
    if (codes[i] < 0 || codes[i] >= library_codes((int)(i % LIBRARY_LEVELS))) return LIBRARY_ERROR_CODE;
  }
  request r = {.batch = batch,
               .input = MOIRE__AOT_CODES,
               .from = codes,
               .to = features,
               .from_bytes = CODE_BYTES,
               .to_bytes = FEATURE_BYTES};
  return answer(&r, model, workspace);
}
