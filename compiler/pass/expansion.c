/* Ops that become other ops. An expansion may use ops that are expanded in turn, so rounds are made until none
 * is left; the depth of such nesting is bounded, which stops two ops that expand into each other. */
#include "compiler/pass/expansion.h"

enum { MAX_DEPTH = 8 };

static bool any_chosen(const moire_graph *g, bool (*chosen)(const moire__op_info *info)) {
  for (int n = 0; n < g->n_nodes; n++) {
    if (chosen(moire__op_get(g->nodes[n].op))) return true;
  }
  return false;
}

static void expand_node(moire__rewrite *r, const moire__goal *goal, const moire__node *node) {
  const moire__op_info *info = moire__op_get(node->op);
  moire__expand c = {
      .g = r->to, .node = node, .n_operands = node->n_operands, .off = goal->off, .bf16 = goal->bf16};
  for (int i = 0; i < node->n_operands; i++) c.operands[i] = moire__rewrite_value(r, node->operands[i]);
  moire__graph_pin(r->to, node);
  info->expand(&c);
  moire__graph_unpin(r->to);
  for (int i = 0; i < node->n_results; i++) moire__rewrite_set(r, node->first_result + i, c.results[i]);
}

static moire_graph *expand_once(const moire_graph *g, const moire__goal *goal,
                                bool (*chosen)(const moire__op_info *info), moire_error *error) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) {
    if (chosen(moire__op_get(g->nodes[n].op)))
      expand_node(&r, goal, &g->nodes[n]);
    else
      moire__rewrite_clone(&r, &g->nodes[n]);
  }
  return moire__rewrite_finish(&r, error);
}

moire_graph *moire__expand_chosen(const moire_graph *g, const moire__goal *goal,
                                  bool (*chosen)(const moire__op_info *info), moire_error *error) {
  moire_graph *now = expand_once(g, goal, chosen, error);
  for (int depth = 1; now && any_chosen(now, chosen); depth++) {
    moire_graph *next = NULL;
    if (depth < MAX_DEPTH)
      next = expand_once(now, goal, chosen, error);
    else
      moire_fail(error, MOIRE_ERROR_INTERNAL, "graph %s: ops are still there after %d rounds of expansion",
                 g->name, MAX_DEPTH);
    moire_graph_destroy(now);
    now = next;
  }
  return now;
}
