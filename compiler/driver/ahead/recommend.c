/* The interface of sequential recommenders: scores and lists of the best items, and training on histories. */
#include "compiler/driver/ahead/interface.h"

#include <inttypes.h>

static moire_status choose(moire__ahead *a, moire_error *error) {
  static const char *const logits[] = {"logits"};
  (void)error;
  a->served[0] = (moire__ahead_served){.name = "scores", .outputs = logits, .n_outputs = 1, .folds = true};
  return MOIRE_OK;
}

static moire_status check(moire__ahead *a, moire_error *error) {
  static const char *const inputs[] = {"input_ids", "answers", NULL}; /* runtime/aot/lists.h */
  const moire_plan *plan = &a->levels[0].modules[0]->plan;
  const moire_plan_buffer *ids = moire__ahead_find_buffer(plan, MOIRE_PLAN_INPUT, "input_ids");
  const moire_plan_buffer *logits = moire__ahead_find_buffer(plan, MOIRE_PLAN_OUTPUT, "logits");
  if (!moire__ahead_is_matrix(ids, MOIRE_I32))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s: wanted the input input_ids i32[B, L]",
                      plan->name);
  if (!moire__ahead_is_matrix(logits, MOIRE_F32))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s: wanted the output logits f32[B, items]",
                      plan->name);
  int64_t length = moire__dim_factor(ids->shape.dims[1]), items = moire__dim_factor(logits->shape.dims[1]);
  if (items < 2 || items > INT32_MAX || length < 1)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "the graph %s: has %" PRId64 " items and %" PRId64 " positions", plan->name, items,
                      length);
  a->inputs = inputs;
  moire__ahead_add_fact(a, "ITEM_SIZE", items);
  moire__ahead_add_fact(a, "LENGTH", length);
  return MOIRE_OK;
}

static const char *const files[] = {"packed.c", "lists.c", "best.c", "recommend.c", NULL};
static const char *const training_files[] = {"recommend_train.c", NULL};
static const char *const units[] = {"runtime/measure/ranking", "runtime/base/packing", NULL};

const moire__ahead_interface moire__ahead_recommend = {.name = "recommend",
                                                       .files = files,
                                                       .training_files = training_files,
                                                       .units = units,
                                                       .choose = choose,
                                                       .check = check};
