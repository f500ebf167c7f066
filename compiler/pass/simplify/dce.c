/* dce: what no output and no update needs is dropped.
 *
 * Inputs go as well: a run need not be given what it does not read. Declarations of states stay, since a state
 * outlives the graphs that use it.
 */
#include "compiler/pass/walk.h"

moire_graph *moire__pass_dce(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  moire__arena arena = {0};
  const bool *live = moire__live_nodes(g, &arena);
  moire__rewrite r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) {
    if (live[n]) moire__rewrite_clone(&r, &g->nodes[n]);
  }
  moire__arena_free(&arena);
  return moire__rewrite_finish(&r, error);
}

moire_graph *moire__pass_keep_needed(moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire_graph *needed = g ? moire__pass_dce(g, goal, error) : NULL;
  moire_graph_destroy(g);
  return needed;
}
