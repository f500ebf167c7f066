/* layout: says in the graph what the loop nests of products need.
 *
 *   matmul(a, b) {transpose_b = 1}  ->  matmul(a, permute(b))         likewise transpose_a and cmatmul
 *   output or update of an input, a state, or a value that another output or update holds  ->  of a copy
 *   operand whose place a result takes (IN_PLACE), but for what is noted below  ->  a copy;  output of such a
 *   result  ->  of a copy
 *
 * A state's place is taken where it stands if all that follows in it ends in the update of that state, and each
 * value in it is read by nothing behind the node that takes its place; so is that of what a kernel computes.
 * A permute in front of a is read through its strides; one in front of b is copied if fusion finds that its
 * last axis does not run along memory. Products of one operand share its permute. Ensures: no product has a
 * transpose attribute; every output and update has a value of its own that a kernel computes. Breaks: nothing.
 */
#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/walk.h"
#include "compiler/pass/pass.h"

#include <string.h>

static moire_value copy_of(moire_value x) {
  moire_shape shape = moire__info(x)->shape;
  moire__attr attr = moire__attr_make_dims("shape", &shape);
  return moire__graph_emit(x.graph, MOIRE_HERE, MOIRE__OP_reshape, &x, 1, &attr, 1);
}

static moire_value swapped(moire_value x) {
  int64_t axes[MOIRE_MAX_RANK];
  int rank = moire__info(x)->shape.rank;
  for (int d = 0; d < rank; d++) axes[d] = d;
  axes[rank - 1] = rank - 2;
  axes[rank - 2] = rank - 1;
  moire__attr attr = moire__attr_make_ints("axes", axes, rank);
  return moire__graph_emit(x.graph, MOIRE_HERE, MOIRE__OP_permute, &x, 1, &attr, 1);
}

typedef struct layout {
  moire__rewrite r;
  int32_t *swapped;   /* by old value: the new one's permute, 0: none yet */
  int *last_read;     /* by old value: the last node that reads it, also through views; n_nodes: the end */
  const char **state; /* by old value: the state that is updated by what takes its place in the end, or NULL */
} layout;

static void untranspose(layout *l, const moire__node *node) {
  moire__rewrite *r = &l->r;
  moire_value operands[4];
  moire__attr attrs[4];
  int n_attrs = 0, planes = node->n_operands / 2;
  for (int i = 0; i < node->n_operands; i++) {
    int32_t old = node->operands[i];
    operands[i] = moire__rewrite_value(r, old);
    const char *flag = i < planes ? "transpose_a" : "transpose_b";
    if (!moire__node_int_or(node, flag, 0)) continue;
    if (!l->swapped[old]) l->swapped[old] = swapped(operands[i]).id;
    operands[i] = moire__value(r->to, l->swapped[old]);
  }
  for (int i = 0; i < node->n_attrs; i++) {
    if (strncmp(node->attrs[i].name, "transpose_", 10) != 0) attrs[n_attrs++] = node->attrs[i];
  }
  moire_value first =
      moire__graph_emit(r->to, node->source, node->op, operands, node->n_operands, attrs, n_attrs);
  for (int i = 0; i < node->n_results; i++) {
    moire__rewrite_set(r, node->first_result + i,
                       moire_value_is_null(first) ? first : (moire_value){r->to, first.id + i});
  }
}

/* ---- places that are taken ---- */

/* From the last node to the first: a view is read where it is used. */
static void find_places(layout *l) {
  const moire_graph *g = l->r.from;
  for (int i = 0; i < g->n_outputs; i++) l->last_read[g->outputs[i].value] = g->n_nodes;
  for (int i = 0; i < g->n_updates; i++) {
    l->last_read[g->updates[i].value] = g->n_nodes;
    l->state[g->updates[i].value] = g->updates[i].name;
  }
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    const moire__node *node = &g->nodes[n];
    int read = n;
    if (moire__op_get(node->op)->op_class == MOIRE__CLASS_VIEW && l->last_read[node->first_result] > n)
      read = l->last_read[node->first_result];
    for (int i = 0; i < node->n_operands; i++) {
      int32_t x = node->operands[i];
      if (l->last_read[x] < read) l->last_read[x] = read;
      bool last = moire__takes_places(node) && i < node->n_results && l->last_read[x] == n;
      if (last) l->state[x] = l->state[node->first_result + i];
    }
  }
}

/* Does no other node read the state? */
static bool is_only_one(const moire_graph *g, const moire__node *state) {
  int times = 0;
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    times += node->op == state->op && !strcmp(moire__node_text(node, "name"), moire__node_text(state, "name"));
  }
  return times == 1;
}

static bool may_take(const layout *l, int n, int32_t x) {
  const moire__node *node = moire__node_of(l->r.from, x);
  if (l->last_read[x] > n) return false;
  if (node->op == MOIRE__OP_state) {
    const char *updated = l->state[x];
    return updated && !strcmp(updated, moire__node_text(node, "name")) && is_only_one(l->r.from, node);
  }
  moire__op_class class = moire__op_get(node->op)->op_class;
  return class != MOIRE__CLASS_SOURCE && class != MOIRE__CLASS_VIEW;
}

static void clone_in_place(layout *l, int n) {
  const moire__node *node = &l->r.from->nodes[n];
  int32_t before[MOIRE__MAX_RESULTS];
  moire__graph_pin(l->r.to, node);
  for (int i = 0; i < node->n_results; i++) {
    int32_t x = node->operands[i];
    before[i] = l->r.map[x];
    if (!may_take(l, n, x)) l->r.map[x] = copy_of(moire__rewrite_value(&l->r, x)).id;
  }
  moire__graph_unpin(l->r.to);
  moire__rewrite_clone(&l->r, node);
  for (int i = 0; i < node->n_results; i++) l->r.map[node->operands[i]] = before[i];
}

/* ---- outputs and updates ---- */

static moire_value own_value(moire__rewrite *r, int32_t old, bool *taken, bool output) {
  const moire__node *node = moire__node_of(r->from, old);
  moire_value value = moire__rewrite_value(r, old);
  bool given = node->op == MOIRE__OP_input || node->op == MOIRE__OP_state;
  if (given || taken[old] || (output && moire__takes_places(node))) {
    moire__graph_pin(r->to, node);
    value = copy_of(value);
    moire__graph_unpin(r->to);
  }
  taken[old] = true;
  return value;
}

moire_graph *moire__pass_layout(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  layout l = {.r = moire__rewrite_begin(g)};
  moire_graph *to = l.r.to;
  l.swapped = moire__arena_array(&to->arena, (size_t)g->n_values, sizeof *l.swapped);
  l.last_read = moire__arena_array(&to->arena, (size_t)g->n_values, sizeof *l.last_read);
  l.state = moire__arena_array(&to->arena, (size_t)g->n_values, sizeof *l.state);
  find_places(&l);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    bool product = node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_cmatmul;
    if (!product) {
      if (moire__takes_places(node))
        clone_in_place(&l, i);
      else
        moire__rewrite_clone(&l.r, node);
      continue;
    }
    moire__graph_pin(to, node);
    untranspose(&l, node);
    moire__graph_unpin(to);
  }
  bool *taken = moire__arena_array(&to->arena, (size_t)g->n_values, sizeof *taken);
  for (int i = 0; i < g->n_outputs; i++) {
    moire_output_at(MOIRE_HERE, to, g->outputs[i].name, own_value(&l.r, g->outputs[i].value, taken, true));
  }
  for (int i = 0; i < g->n_updates; i++) {
    moire_update_at(MOIRE_HERE, to, g->updates[i].name, own_value(&l.r, g->updates[i].value, taken, false));
  }
  return moire__rewrite_finish_bare(&l.r, error);
}
