/* Outputs by inputs, a slice of the batch at a time, or all of it at once where its samples meet. */
#include "runtime/aot/model.h"
#include "runtime/aot/packed.h"
#include "runtime/aot/ports.h"
#include "runtime/aot/slices.h"

typedef struct request {
  const library_workspace *workspace;
  const moire__aot_plan *plan;
  const void *block; /* of the model */
  const library_inputs *inputs;
  const library_outputs *outputs;
} request;

/* Positions of a batch are numbered by 32 bits where padding is left out. */
static bool can_run(const moire__aot_plan *plan, int64_t batch) {
  int64_t most =
      LIBRARY_SLICE == LIBRARY_MAX_BATCH && plan->length ? INT32_MAX / plan->length : LIBRARY_MAX_BATCH;
  return batch >= 0 && batch <= most;
}

static size_t feed_bytes(const moire__aot_plan *plan, int64_t rows) {
  return moire__aot_add_bytes(moire__aot_ports_bytes(moire__aot_inputs, moire__aot_n_inputs, rows), 1,
                              moire__aot_packed_bytes(plan, rows));
}

static size_t region_bytes(const moire__aot_plan *plan, int64_t batch) {
  int64_t rows = moire__aot_slice_rows(batch);
  return moire__aot_add_bytes(feed_bytes(plan, rows), 1, moire__aot_run_bytes(plan, rows));
}

size_t library_workspace_bytes(int64_t batch, int threads) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !can_run(&level->served[0], batch)) return 0;
  return moire__aot_slices_bytes(region_bytes(&level->served[0], batch), batch ? batch : 1, threads);
}

static const char *moire__aot_own_status_text(library_status status) {
  return status == LIBRARY_ERROR_ROW ? "an input has a number that is not from 0 to the last that it may be"
                                     : NULL;
}

static void compute_slice(const void *of, int64_t first, int64_t rows, unsigned char *region) {
  const request *r = of;
  const library_workspace *w = r->workspace;
  const bool whole = LIBRARY_SLICE == LIBRARY_MAX_BATCH; /* threads share kernels, since there are no slices */
  moire__aot_run run = {.plan = r->plan,
                        .model = (void *)(uintptr_t)r->block,
                        .workspace = region + feed_bytes(r->plan, rows),
                        .threads = whole ? w->threads : 1,
                        .run = w->run,
                        .context = w->context,
                        .profile = w->profile,
                        .profile_context = w->profile_context};
  moire__aot_feed_ports(&run, moire__aot_inputs, moire__aot_n_inputs, r->inputs, first, rows, region);
  moire__aot_pack(&run, rows, region + moire__aot_ports_bytes(moire__aot_inputs, moire__aot_n_inputs, rows));
  moire__aot_execute(&run);
  moire__aot_give_ports(&run, moire__aot_outputs, moire__aot_n_outputs, r->outputs, first, rows);
}

/* No slice has no samples; what is the same for all samples is computed all the same. */
static library_status run_nothing(request *r, library_workspace *workspace) {
  unsigned char *region = NULL;
  library_status status = moire__aot_reserve(workspace, region_bytes(r->plan, 0) + 63, &region);
  if (!status) compute_slice(r, 0, 0, region);
  return status;
}

library_status library_run(const library_model *model, library_workspace *workspace, int64_t n,
                           const library_inputs *inputs, const library_outputs *outputs) {
  const moire__aot_level *level = NULL;
  request r = {.workspace = workspace, .inputs = inputs, .outputs = outputs};
  if (!workspace || !outputs) return LIBRARY_ERROR_NULL;
  if (n < 0 || n > LIBRARY_MAX_BATCH) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_ports(moire__aot_inputs, moire__aot_n_inputs, inputs, n);
  if (!status) status = moire__aot_check_threads(workspace);
  if (!status) status = moire__aot_find_block(model, &level, &r.block);
  if (status) return status;
  r.plan = &level->served[0];
  if (!can_run(r.plan, n)) return LIBRARY_ERROR_BATCH;
  if (n == 0) return run_nothing(&r, workspace);
  moire__aot_slices all = {
      .compute = compute_slice, .request = &r, .batch = n, .region_bytes = region_bytes(r.plan, n)};
  return moire__aot_slices_run(&all, workspace);
}
