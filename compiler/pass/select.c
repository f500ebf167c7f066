/* select: from the whole model to what the goal asks for.
 *
 * A model declares everything that anybody may want of it (logits, the loss, what each layer returns). This
 * pass keeps the outputs that the goal names, and its loss, which autodiff drops again unless it is named too.
 * The model's own updates of states (statistics) belong to training and go where no optimizer is asked for.
 *
 * ensures: every output is wanted or the loss; nothing else is computed; the last named extent is used
 */
#include "compiler/pass/walk.h"

#include <string.h>

/* "logits, loss" */
static void list_outputs(const moire_graph *g, moire__text *text) {
  for (int i = 0; i < g->n_outputs; i++) moire__text_add(text, "%s%s", i ? ", " : "", g->outputs[i].name);
}

static moire_status check_output(const moire_graph *g, const char *name, const char *use, moire_error *error) {
  if (moire__graph_find_output(g, name)) return MOIRE_OK;
  moire__text names = {0};
  list_outputs(g, &names);
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "graph %s has no output \"%s\"%s; it has: %s",
                                   g->name, name, use, g->n_outputs ? moire__text_string(&names) : "none");
  moire__text_free(&names);
  return status;
}

static moire_status check_goal(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  if (goal->training.optimizer != MOIRE_OPTIMIZER_NONE && !goal->loss)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "graph %s: an optimizer needs a loss to minimise", g->name);
  if (goal->n_outputs == 0 && !goal->loss)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "graph %s: no output is asked for", g->name);
  bool steps = goal->training.optimizer != MOIRE_OPTIMIZER_NONE;
  for (int i = 0; i < goal->n_outputs; i++) {
    if (steps && !strcmp(goal->outputs[i], MOIRE_GRADIENT_NORM)) continue; /* of the pass optimize */
    moire_status status = check_output(g, goal->outputs[i], "", error);
    if (status != MOIRE_OK) return status;
  }
  return goal->loss ? check_output(g, goal->loss, " to minimise", error) : MOIRE_OK;
}

/* A run need not be told sizes that nothing has: extents after the last that is used go. Takes g. */
static moire_graph *without_extents(moire_graph *g, moire_error *error) {
  int last = moire__last_extent(g, NULL);
  if (last == g->n_extents) return g;
  moire__rewrite r = moire__rewrite_begin_with(g, last);
  for (int n = 0; n < g->n_nodes; n++) moire__rewrite_clone(&r, &g->nodes[n]);
  moire_graph *fewer = moire__rewrite_finish(&r, error);
  moire_graph_destroy(g);
  return fewer;
}

moire_graph *moire__pass_select(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  if (check_goal(g, goal, error) != MOIRE_OK) return NULL;
  moire__rewrite r = moire__rewrite_all(g);
  for (int i = 0; i < g->n_outputs; i++) {
    const char *name = g->outputs[i].name;
    if (moire__goal_wants(goal, name) || (goal->loss && strcmp(goal->loss, name) == 0))
      moire_output_at(MOIRE__NOWHERE, r.to, name, moire__rewrite_value(&r, g->outputs[i].value));
  }
  for (int i = 0; goal->training.optimizer != MOIRE_OPTIMIZER_NONE && i < g->n_updates; i++) {
    moire_update_at(MOIRE__NOWHERE, r.to, g->updates[i].name, moire__rewrite_value(&r, g->updates[i].value));
  }
  moire_graph *needed = moire__pass_keep_needed(moire__rewrite_finish_bare(&r, error), goal, error);
  return needed ? without_extents(needed, error) : NULL;
}
