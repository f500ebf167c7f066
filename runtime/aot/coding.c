/* Items to codes and back, a slice of the batch at a time. */
#include "runtime/aot/execute.h"
#include "runtime/aot/model.h"
#include "runtime/aot/slices.h"

#include <string.h>

typedef struct request {
  const library_workspace *workspace;
  const moire__aot_plan *plan;
  const void *block; /* of the model */
  int64_t batch;
  int input;
  const void *from;
  void *to;
  size_t from_bytes, to_bytes; /* of a row */
} request;

/* Plans and inputs, in the order of the interface's lists in the compiler. */
enum { ENCODE, DECODE };
enum { FEATURES = MOIRE__AOT_OWN, CODES };

enum { FEATURE_BYTES = LIBRARY_FEATURES * 4, CODE_BYTES = LIBRARY_LEVELS * 4 };

static size_t input_bytes(int64_t rows, size_t row_bytes) { return ((size_t)rows * row_bytes + 63) / 64 * 64; }

static size_t region_bytes(const moire__aot_plan *plan, size_t row_bytes, int64_t batch) {
  int64_t rows = moire__aot_slice_rows(batch);
  return input_bytes(rows, row_bytes) + moire__aot_run_bytes(plan, rows);
}

size_t library_workspace_bytes(int64_t batch, int threads) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !moire__aot_batch_is_good(batch)) return 0;
  size_t encode = region_bytes(&level->served[ENCODE], FEATURE_BYTES, batch);
  size_t decode = region_bytes(&level->served[DECODE], CODE_BYTES, batch);
  return moire__aot_slices_bytes(encode > decode ? encode : decode, batch, threads);
}

static const char *moire__aot_own_status_text(library_status status) {
  return status == LIBRARY_ERROR_CODE ? "a code is not from 0 to below library_codes of its level" : NULL;
}

int64_t library_codes(int level) { return level >= 0 && level < LIBRARY_LEVELS ? moire__aot_codes[level] : 0; }

static void compute_slice(const void *of, int64_t first, int64_t rows, unsigned char *region) {
  const request *r = of;
  memcpy(region, (const unsigned char *)r->from + (size_t)first * r->from_bytes, (size_t)rows * r->from_bytes);
  moire__aot_run run = {.plan = r->plan,
                        .extents = {1, rows},
                        .model = (void *)(uintptr_t)r->block,
                        .workspace = region + input_bytes(rows, r->from_bytes),
                        .threads = 1,
                        .profile = r->workspace->profile,
                        .profile_context = r->workspace->profile_context};
  run.inputs[r->input] = region;
  moire__aot_execute(&run);
  memcpy((unsigned char *)r->to + (size_t)first * r->to_bytes, moire__aot_output(&run, 0),
         (size_t)rows * r->to_bytes);
}

static library_status answer(request *r, const library_model *model, library_workspace *workspace) {
  const moire__aot_level *level = NULL;
  if (!workspace || !r->from || !r->to) return LIBRARY_ERROR_NULL;
  if (!moire__aot_batch_is_good(r->batch)) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_threads(workspace);
  if (!status) status = moire__aot_find_block(model, &level, &r->block);
  if (status) return status;
  r->workspace = workspace;
  r->plan = r->input == FEATURES ? &level->served[ENCODE] : &level->served[DECODE];
  moire__aot_slices all = {.compute = compute_slice,
                           .request = r,
                           .batch = r->batch,
                           .region_bytes = region_bytes(r->plan, r->from_bytes, r->batch)};
  return moire__aot_slices_run(&all, workspace);
}

library_status library_encode(const library_model *model, library_workspace *workspace, int64_t batch,
                              const float *features, int32_t *codes) {
  request r = {.batch = batch,
               .input = FEATURES,
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
               .input = CODES,
               .from = codes,
               .to = features,
               .from_bytes = CODE_BYTES,
               .to_bytes = FEATURE_BYTES};
  return answer(&r, model, workspace);
}
