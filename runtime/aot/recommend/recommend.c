/* Scores, lists of the best items, and queries, a slice of the batch at a time. */
#include "runtime/aot/recommend/recommend.h"
#include "runtime/aot/best.h"
#include "runtime/aot/recommend/lists.h"
#include "runtime/aot/model.h"
#include "runtime/aot/slices.h"

#include <math.h>
#include <string.h>

/* What a call is about; the parts that are NULL are not asked for. */
typedef struct request {
  const library_workspace *workspace;
  const moire__aot_plan *plan;
  const void *block; /* of the model */
  int64_t batch;
  const library_lists *histories, *seen;
  library_seen rule;
  int k;
  int32_t *items;
  float *scores;
  float *all; /* [batch, width]: what the plan gives, as it is */
  int64_t width;
} request;

/* Plans in the order of the interface's list in the compiler. */
enum { SCORES, QUERIES };

static size_t region_bytes(const moire__aot_plan *plan, int64_t batch) {
  int64_t rows = moire__aot_slice_rows(batch);
  return moire__aot_feed_bytes(plan, rows) + moire__aot_run_bytes(plan, rows);
}

size_t library_workspace_bytes(int64_t batch, int threads) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !moire__aot_batch_is_good(batch)) return 0;
  return moire__aot_slices_bytes(region_bytes(&level->served[SCORES], batch), batch, threads);
}

static const char *moire__aot_own_status_text(library_status status) {
  switch (status) {
    case LIBRARY_ERROR_OFFSETS: return "the offsets of lists must not be negative or fall";
    case LIBRARY_ERROR_ITEM: return "an item is not from 1 to LIBRARY_ITEM_SIZE - 1";
    case LIBRARY_ERROR_TOP: return "k must be from 1 to LIBRARY_ITEM_SIZE, or to the rows of a table";
    case LIBRARY_ERROR_SEEN: return "there is no such rule for seen items";
#if MOIRE__AOT_ITEMS
    case LIBRARY_ERROR_FILTER: return "a list of a filter has a negative length, or no place";
    case LIBRARY_ERROR_QUERY: return "what the model makes of a history is not a finite number";
#endif
    default: return NULL;
  }
}

/* ---- One slice -------------------------------------------------------------------------------------- */

static void apply_rule(const request *r, int64_t row, float *scores) {
  float mark = r->rule == LIBRARY_SEEN_ZERO ? 0 : NAN; /* what is not a number is not listed */
  if (r->rule != LIBRARY_SEEN_ZERO) scores[0] = NAN;
  if (r->rule == LIBRARY_SEEN_RANK) return;
  for (int64_t i = r->seen->offsets[row]; i < r->seen->offsets[row + 1]; i++) scores[r->seen->items[i]] = mark;
}

static void list_best(const request *r, int64_t row, float *scores) {
  apply_rule(r, row, scores);
  moire__aot_best(scores, r->k, r->items + row * r->k, r->scores ? r->scores + row * r->k : NULL);
}

static void compute_slice(const void *of, int64_t first, int64_t rows, unsigned char *region) {
  const request *r = of;
  moire__aot_run run = {.plan = r->plan,
                        .model = (void *)(uintptr_t)r->block,
                        .workspace = region + moire__aot_feed_bytes(r->plan, rows),
                        .threads = 1,
                        .profile = r->workspace->profile,
                        .profile_context = r->workspace->profile_context};
  moire__aot_feed(&run, r->histories, first, rows, region);
  moire__aot_execute(&run);
  float *values = moire__aot_output(&run, 0);
  if (r->all) {
    memcpy(r->all + first * r->width, values, (size_t)(rows * r->width) * sizeof *values);
    return;
  }
  for (int64_t i = 0; i < rows; i++) list_best(r, first + i, values + i * LIBRARY_ITEM_SIZE);
}

/* ---- Calls ------------------------------------------------------------------------------------------ */

static library_status answer(request *r, const library_model *model, library_workspace *workspace) {
  if (!workspace) return LIBRARY_ERROR_NULL;
  if (!moire__aot_batch_is_good(r->batch)) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_lists(r->histories, r->batch);
  if (!status && r->seen != r->histories) status = moire__aot_check_lists(r->seen, r->batch);
  if (!status) status = moire__aot_check_threads(workspace);
  const moire__aot_level *level = NULL;
  if (!status) status = moire__aot_find_block(model, &level, &r->block);
  if (status) return status;
  r->plan = &level->served[SCORES];
  r->workspace = workspace;
  moire__aot_slices all = {.compute = compute_slice,
                           .request = r,
                           .batch = r->batch,
                           .region_bytes = region_bytes(r->plan, r->batch)};
  return moire__aot_slices_run(&all, workspace);
}

library_status library_scores(const library_model *model, library_workspace *workspace, int64_t batch,
                              const library_lists *histories, float *scores) {
  if (!scores) return LIBRARY_ERROR_NULL;
  request r = {
      .batch = batch, .histories = histories, .seen = histories, .all = scores, .width = LIBRARY_ITEM_SIZE};
  return answer(&r, model, workspace);
}

library_status library_top(const library_model *model, library_workspace *workspace, int64_t batch,
                           const library_lists *histories, const library_lists *seen, library_seen rule, int k,
                           int32_t *items, float *scores) {
  if (!items) return LIBRARY_ERROR_NULL;
  if (k < 1 || k > LIBRARY_ITEM_SIZE) return LIBRARY_ERROR_TOP;
  if (rule != LIBRARY_SEEN_RANK && rule != LIBRARY_SEEN_EXCLUDE && rule != LIBRARY_SEEN_ZERO)
    return LIBRARY_ERROR_SEEN;
  request r = {.batch = batch,
               .histories = histories,
               .seen = seen ? seen : histories,
               .rule = rule,
               .k = k,
               .items = items,
               .scores = scores};
  return answer(&r, model, workspace);
}

#if MOIRE__AOT_ITEMS
static size_t moire__aot_queries_bytes(const moire__aot_level *level, int64_t batch, int threads) {
  return moire__aot_slices_bytes(region_bytes(&level->served[QUERIES], batch), batch, threads);
}

static void moire__aot_make_queries(const moire__aot_level *level, const void *block,
                                    library_workspace *workspace, int64_t batch, const library_lists *histories,
                                    float *queries, unsigned char *memory) {
  const moire__aot_plan *plan = &level->served[QUERIES];
  request r = {.workspace = workspace,
               .plan = plan,
               .block = block,
               .batch = batch,
               .histories = histories,
               .all = queries,
               .width = LIBRARY_WIDTH};
  moire__aot_slices all = {.compute = compute_slice,
                           .request = &r,
                           .batch = batch,
                           .region_bytes = region_bytes(plan, batch),
                           .regions = memory};
  moire__aot_slices_share(&all, workspace);
}
#endif
