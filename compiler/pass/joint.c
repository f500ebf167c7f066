/* joint: a loss over many words and its gradients are one op, which computes the scores once.
 *
 *   y, lse, power, sum, mean = linear_log_softmax(x, w, ids)
 *   dx, dw, dbias = linear_log_softmax_backward(x, w, ids, power, sum, mean, dy, share)
 *
 *   ->  y, lse, dx, dw, dbias = linear_log_softmax_joint(x, w, ids, dy, share)
 *
 * where dy and share, made of the gradient of y, do not depend on y. So it is with every weighted sum of cross
 * entropies, whatever its weights are made of.
 *
 * requires: gradients (after autodiff)
 * leaves alone: gradients that depend on the loss itself; rows of which it is not known that they are many
 */
#include "compiler/pass/walk.h"

/* Operands and results of the two ops (ops/head/head.h). */
enum { FORWARD_OPERANDS = 3, POWER = 3, GRADIENT = 6, SHARE = 7, BACKWARD_OPERANDS = 8 };
enum { Y, LSE, OF_POWER, BACKWARD_RESULTS = 3 };

typedef struct joint {
  const moire_graph *g;
  moire__arena arena;
  const int *uses;
  moire__rewrite r;
} joint;

/* The only node that reads the forward op's power, sum and mean; NULL if there is none. */
static const moire__node *backward_of(const joint *p, const moire__node *forward) {
  for (int i = 0; i < p->g->n_nodes; i++) {
    const moire__node *node = &p->g->nodes[i];
    if (node->op != MOIRE__OP_linear_log_softmax_backward) continue;
    bool same = node->n_operands - BACKWARD_OPERANDS == forward->n_operands - FORWARD_OPERANDS;
    for (int o = 0; o < FORWARD_OPERANDS; o++) same = same && node->operands[o] == forward->operands[o];
    for (int o = 0; o < GRADIENT - POWER; o++) {
      int32_t kept = forward->first_result + OF_POWER + o;
      same = same && node->operands[POWER + o] == kept && p->uses[kept] == 1;
    }
    if (same && node->n_operands > BACKWARD_OPERANDS)
      same = node->operands[BACKWARD_OPERANDS] == forward->operands[FORWARD_OPERANDS];
    if (same) return node;
  }
  return NULL;
}

/* Does the value depend on a result of the forward op? */
static bool depends_on(const joint *p, int32_t value, const moire__node *forward, bool *seen) {
  if (value < forward->first_result || seen[value]) return false;
  if (value < forward->first_result + forward->n_results) return true;
  seen[value] = true;
  const moire__node *node = moire__node_of(p->g, value);
  for (int i = 0; i < node->n_operands; i++) {
    if (depends_on(p, node->operands[i], forward, seen)) return true;
  }
  return false;
}

static bool is_known_before(joint *p, int32_t value, const moire__node *forward) {
  bool *seen = moire__arena_array(&p->arena, (size_t)p->g->n_values, sizeof *seen);
  return !depends_on(p, value, forward, seen);
}

static const moire__node *find(joint *p, const moire__node *forward) {
  if (forward->op != MOIRE__OP_linear_log_softmax) return NULL;
  const moire__node *backward = backward_of(p, forward);
  if (!backward || !moire__head_joint_fits(p->g->values[forward->operands[0]].shape.dims[0])) return NULL;
  bool known = is_known_before(p, backward->operands[GRADIENT], forward) &&
               is_known_before(p, backward->operands[SHARE], forward);
  return known ? backward : NULL;
}

/* What stands behind the forward op and is made before it now. */
static void bring(joint *p, int32_t value) {
  if (p->r.map[value]) return;
  const moire__node *node = moire__node_of(p->g, value);
  for (int i = 0; i < node->n_operands; i++) bring(p, node->operands[i]);
  moire__rewrite_clone(&p->r, node);
}

static void rewrite(joint *p, const moire__node *forward, const moire__node *backward) {
  moire__rewrite *r = &p->r;
  moire_value operands[6];
  int n = 0;
  bring(p, backward->operands[GRADIENT]);
  bring(p, backward->operands[SHARE]);
  for (int i = 0; i < FORWARD_OPERANDS; i++) operands[n++] = moire__rewrite_value(r, forward->operands[i]);
  operands[n++] = moire__rewrite_value(r, backward->operands[GRADIENT]);
  operands[n++] = moire__rewrite_value(r, backward->operands[SHARE]);
  if (forward->n_operands > FORWARD_OPERANDS)
    operands[n++] = moire__rewrite_value(r, forward->operands[FORWARD_OPERANDS]);
  moire__graph_pin(r->to, forward);
  moire_value first = moire__graph_emit(r->to, forward->source, MOIRE__OP_linear_log_softmax_joint, operands, n,
                                        forward->attrs, forward->n_attrs);
  moire__graph_unpin(r->to);
  if (moire_value_is_null(first)) return;
  moire__rewrite_set(r, forward->first_result + Y, first);
  moire__rewrite_set(r, forward->first_result + LSE, moire__value(r->to, first.id + LSE));
  for (int i = 0; i < BACKWARD_RESULTS; i++)
    moire__rewrite_set(r, backward->first_result + i, moire__value(r->to, first.id + LSE + 1 + i));
}

moire_graph *moire__pass_joint(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  joint p = {.g = g, .r = moire__rewrite_begin(g)};
  p.uses = moire__graph_count_uses(g, &p.arena);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->n_results && p.r.map[node->first_result]) continue; /* what was brought, or is made already */
    const moire__node *backward = find(&p, node);
    if (backward)
      rewrite(&p, node, backward);
    else
      moire__rewrite_clone(&p.r, node);
  }
  moire__arena_free(&p.arena);
  return moire__rewrite_finish(&p.r, error);
}
