/* The interface of recommenders that go by ratings: scores and lists of the best items. Items are part of the
 * model, as states. */
#include "compiler/driver/ahead/interface.h"

#include <inttypes.h>
#include <string.h>

static const char *const inputs[] = {"history_ids", "history_ratings", "history_times", "history_mask",
                                     NULL}; /* runtime/aot/rated.h */
enum { TIMES = 2 };

static moire_status choose(moire__ahead *a, moire_error *error) {
  static const char *const scores[] = {"scores"};
  (void)error;
  a->served[0] = (moire__ahead_served){.name = "scores", .outputs = scores, .n_outputs = 1, .folds = true};
  return MOIRE_OK;
}

/* Rows of the smallest table that an input looks up; 0: it looks up none. */
static int64_t rows_of(const moire_graph *g, const char *name) {
  int64_t least = 0;
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    const moire__node *input =
        node->op == MOIRE__OP_gather ? moire__ahead_input_behind(g, node->operands[1]) : NULL;
    if (!input || strcmp(moire__node_text(input, "name"), name) != 0) continue;
    int64_t rows = g->values[node->operands[0]].shape.dims[0];
    if (!least || rows < least) least = rows;
  }
  return least;
}

static moire_status check(moire__ahead *a, moire_error *error) {
  const moire_plan *plan = &a->levels[0].modules[0]->plan;
  const moire_plan_buffer *scores = moire__ahead_find_buffer(plan, MOIRE_PLAN_OUTPUT, "scores");
  int64_t rows[3], length = 0, items = moire__ahead_is_matrix(scores, MOIRE_F32) ? scores->shape.dims[1] : 0;
  for (int i = 0; inputs[i]; i++) {
    const moire_plan_buffer *b = moire__ahead_find_buffer(plan, MOIRE_PLAN_INPUT, inputs[i]);
    if (i < 3) rows[i] = rows_of(a->model->inference, inputs[i]);
    if (!b && i == TIMES) continue; /* a model of texts alone knows no times */
    if (!moire__ahead_is_matrix(b, MOIRE_I32) || (i && b->shape.dims[1] != length))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s: wanted the input %s i32[B, S]", plan->name,
                        inputs[i]);
    length = b->shape.dims[1];
  }
  if (items < 1 || items > INT32_MAX || rows[0] != items || rows[1] < 2)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "the graph %s: wanted the output scores f32[B, items], and inputs that look up items "
                      "and ratings",
                      plan->name);
  a->inputs = inputs;
  moire__ahead_add_fact(a, "ITEM_SIZE", items);
  moire__ahead_add_fact(a, "LENGTH", length);
  moire__ahead_add_fact(a, "MAX_RATING", rows[1] - 1);
  return MOIRE_OK;
}

static void write_tables(const moire__ahead *a, moire__text *out) {
  int64_t buckets = rows_of(a->model->inference, inputs[TIMES]);
  moire__text_add(out, "\nenum { MOIRE__AOT_BUCKETS = %" PRId64 " }; /* of times */\n", buckets + !buckets);
}

static const char *const files[] = {"best.c", "rated.c", "ratings.c", NULL};
static const char *const units[] = {"runtime/measure/ranking", "runtime/measure/time_bucket", NULL};

const moire__ahead_interface moire__ahead_ratings = {.name = "ratings",
                                                     .files = files,
                                                     .units = units,
                                                     .needs_weights = true,
                                                     .choose = choose,
                                                     .check = check,
                                                     .write_tables = write_tables};
