/* What passes share. */
#include "compiler/pass/walk.h"

#include <string.h>

bool *moire__live_nodes(const moire_graph *g, moire__arena *arena) {
  bool *live = moire__arena_array(arena, (size_t)g->n_nodes + 1, sizeof *live);
  for (int i = 0; i < g->n_outputs; i++) live[g->values[g->outputs[i].value].node] = true;
  for (int i = 0; i < g->n_updates; i++) live[g->values[g->updates[i].value].node] = true;
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    if (!live[n]) continue;
    const moire__node *node = &g->nodes[n];
    for (int i = 0; i < node->n_operands; i++) {
      live[g->values[node->operands[i]].node] = true;
    }
  }
  return live;
}

moire__rewrite moire__rewrite_all(const moire_graph *g) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) moire__rewrite_clone(&r, &g->nodes[n]);
  return r;
}

void moire__rewrite_mark(moire__rewrite *r, const moire__node *node, const char *flag) {
  enum { MOST = 16 };
  moire__attr attrs[MOST];
  moire__node marked = *node;
  int n = 0;
  while (n < node->n_attrs && n < MOST - 1) attrs[n] = node->attrs[n], n++;
  attrs[n++] = moire__attr_make_int(flag, 1);
  marked.attrs = attrs;
  marked.n_attrs = n;
  moire__rewrite_clone(r, &marked);
}

static int most(int a, int b) { return a > b ? a : b; }

static int last_of_dims(const moire_dim *dims, int n) {
  int last = 0;
  for (int i = 0; i < n; i++) {
    for (int f = 0; f < MOIRE_MAX_FACTORS; f++) last = most(last, moire__dim_extent(dims[i], f));
  }
  return last;
}

int moire__last_extent(const moire_graph *g, const bool *nodes) {
  int last = 0;
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    if (nodes && !nodes[n]) continue;
    for (int i = 0; i < node->n_results; i++) {
      const moire_shape *shape = &g->values[node->first_result + i].shape;
      last = most(last, last_of_dims(shape->dims, shape->rank));
    }
    for (int a = 0; a < node->n_attrs; a++) {
      if (node->attrs[a].kind == MOIRE__ATTR_DIMS)
        last = most(last, last_of_dims(node->attrs[a].ints, node->attrs[a].n_ints));
    }
  }
  return last;
}

bool moire__goal_wants(const moire__goal *goal, const char *output) {
  for (int i = 0; i < goal->n_outputs; i++) {
    if (strcmp(goal->outputs[i], output) == 0) return true;
  }
  return false;
}

bool moire__constant_number(const moire_graph *g, int32_t value, double *number) {
  const moire__node *node = moire__node_of(g, value);
  if (node->op != MOIRE__OP_constant || moire__node_attr(node, "per")) return false;
  *number = moire__node_real(node, "value");
  return true;
}

/* Autodiff writes them outside of the backward phase. */
bool moire__gradient_is_absent(const moire_graph *g, int32_t gradient) {
  const moire__node *node = moire__node_of(g, gradient);
  if (node->op == MOIRE__OP_complex) node = moire__node_of(g, node->operands[0]);
  return node->op == MOIRE__OP_constant && node->phase == MOIRE__PHASE_FORWARD;
}

bool moire__reads_floats(const moire_graph *g, const moire__node *node) {
  for (int i = 0; i < node->n_operands; i++) {
    if (g->values[node->operands[i]].dtype != MOIRE_F32) return false;
  }
  return true;
}

bool moire__takes_places(const moire__node *node) {
  return (moire__op_get(node->op)->traits & MOIRE__TRAIT_IN_PLACE) != 0;
}
