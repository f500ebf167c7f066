/* simplify: local rules, applied while the graph is rebuilt, until none applies any more.
 *
 * The rules are tables of equations: constants, arithmetic, shapes (one file each). A node is offered to them
 * with its operands already simplified, so that one round does most of the work; what a rule has made is looked
 * at in the next round. The number of rounds is bounded, and it is no mistake to stop early: every round is
 * right.
 *
 * What holds up to the last bit: shape rules and constants. What does not: the equations of arithmetic are
 * those of real numbers, so they take no notice of NaN and infinity (x * 0 = 0), of the sign of zero (x + 0 =
 * x), and of the order of roundings ((x * c1) * c2 = x * (c1 * c2)).
 *
 * requires: autodiff has run, if it is going to (stop_gradient is dropped)
 * breaks: nodes that nothing needs are dropped
 */
#include "compiler/pass/simplify/simplify.h"

enum { MAX_ROUNDS = 10 };

/* A rule whose result is of another type is a defect. */
static void check_rule(const moire__simplify *s, const moire__simplify_rule *rule, moire_value made) {
  const moire__value_info *info = moire__info(made);
  if (info->dtype == s->dtype && moire__shape_equal(&info->shape, &s->shape)) return;
  moire__graph_fail_at(s->g, s->node->source, moire__op_get(s->node->op)->name, MOIRE_ERROR_INTERNAL,
                       "the rule %s has changed its type", rule->equation);
}

static moire_value try_table(const moire__simplify *s, const moire__simplify_rule *rules) {
  bool pointwise = moire__op_get(s->node->op)->op_class == MOIRE__CLASS_POINTWISE;
  for (const moire__simplify_rule *rule = rules; rule->apply; rule++) {
    if (rule->op != s->node->op && !(rule->op == MOIRE__OP_none && pointwise)) continue;
    moire_value made = rule->apply(s);
    if (moire_value_is_null(made)) continue;
    check_rule(s, rule, made);
    return made;
  }
  return moire__simplify_no(s);
}

/* Whether a rule applied. */
static bool simplify_node(moire__rewrite *r, const moire__node *node) {
  const moire__value_info *result = &r->from->values[node->first_result];
  moire__simplify s = {
      .g = r->to, .from = r->from, .node = node, .dtype = result->dtype, .shape = result->shape};
  for (int i = 0; i < node->n_operands; i++) s.operands[i] = moire__rewrite_value(r, node->operands[i]);
  moire__graph_pin(r->to, node);
  moire_value made = try_table(&s, moire__simplify_constants());
  if (moire_value_is_null(made)) made = try_table(&s, moire__simplify_arithmetic());
  if (moire_value_is_null(made)) made = try_table(&s, moire__simplify_shapes());
  moire__graph_unpin(r->to);
  if (moire_value_is_null(made)) {
    moire__rewrite_clone(r, node);
    return false;
  }
  for (int i = 0; i < node->n_results; i++)
    moire__rewrite_set(r, node->first_result + i, moire__value(r->to, made.id + i));
  return true;
}

static moire_graph *simplify_once(const moire_graph *g, int *n_applied, moire_error *error) {
  moire__arena arena = {0};
  const bool *live = moire__live_nodes(g, &arena);
  moire__rewrite r = moire__rewrite_begin(g);
  *n_applied = 0;
  for (int n = 0; n < g->n_nodes; n++) {
    if (r.to->error.status) break; /* what follows has operands that were not made */
    if (live[n]) *n_applied += simplify_node(&r, &g->nodes[n]);
  }
  moire__arena_free(&arena);
  return moire__rewrite_finish(&r, error);
}

moire_graph *moire__pass_simplify(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  int n_applied = 0;
  moire_graph *now = simplify_once(g, &n_applied, error);
  for (int round = 1; now && n_applied && round < MAX_ROUNDS; round++) {
    moire_graph *next = simplify_once(now, &n_applied, error);
    moire_graph_destroy(now);
    now = next;
  }
  return now;
}
