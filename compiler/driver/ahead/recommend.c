/* The interface of sequential recommenders: scores and lists of the best items, the best of a table of items
 * where the model has queries, and training on histories. */
#include "compiler/driver/ahead/interface.h"
#include "moire/items.h"

#include <inttypes.h>

/* Plans in the order of runtime/aot/recommend/recommend.c. */
enum { SCORES, QUERIES };

/* What a table's rows are multiplied with: f32[B, width]. */
static bool has_queries(const moire_graph *g) {
  moire_port query = moire_graph_find_output(g, "query");
  return query.name && query.dtype == MOIRE_F32 && query.shape.rank == 2 &&
         !moire_dim_extent_name(g, query.shape.dims[1], 0) &&
         moire_dim_factor(query.shape.dims[1]) <= MOIRE_ITEMS_MOST_WIDTH;
}

static moire_status choose(moire__ahead *a, moire_error *error) {
  static const char *const logits[] = {"logits"}, *const query[] = {"query"};
  (void)error;
  a->served[SCORES] = (moire__ahead_served){.name = "scores", .outputs = logits, .n_outputs = 1, .folds = true};
  a->searches = has_queries(a->model->inference);
  if (a->searches)
    a->served[QUERIES] =
        (moire__ahead_served){.name = "queries", .outputs = query, .n_outputs = 1, .folds = true};
  return MOIRE_OK;
}

static moire_status check(moire__ahead *a, moire_error *error) {
  static const char *const inputs[] = {"input_ids", "answers", NULL}; /* runtime/aot/recommend/lists.h */
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
  if (a->searches)
    moire__ahead_add_fact(
        a, "WIDTH", moire_dim_factor(moire_graph_find_output(a->model->inference, "query").shape.dims[1]));
  return MOIRE_OK;
}

static const char *const files[] = {
    "packed.c", "recommend/lists.c", "best.c", "recommend/recommend.c", "recommend/items.c", NULL};
static const char *const training_files[] = {"recommend/recommend_train.c", NULL};
static const char *const units[] = {"runtime/measure/ranking", "runtime/base/packing", NULL};

const moire__ahead_interface moire__ahead_recommend = {.name = "recommend",
                                                       .files = files,
                                                       .training_files = training_files,
                                                       .units = units,
                                                       .choose = choose,
                                                       .check = check};
