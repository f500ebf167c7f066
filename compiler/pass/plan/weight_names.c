/* See weight_names.h. */
#include "compiler/pass/plan/weight_names.h"

#include "compiler/ir/graph/view.h"
#include "compiler/ir/op.h"

enum { MOST_STEPS = 64, DEPTH = 24 }; /* what is further away gives no name */

static moire__op_class class_of(const moire__node *node) { return moire__op_get(node->op)->op_class; }

static const char *parameter_of(const moire_graph *g, const moire__node *node) {
  if (node->op != MOIRE__OP_state) return NULL;
  int state = moire__graph_find_state(g, moire__node_text(node, "name"));
  return state >= 0 && g->states[state].trained ? g->states[state].name : NULL;
}

/* The parameter that `value` shows, or is a sum of planes of; *left steps may be taken. */
static const char *find_read(const moire_graph *g, int32_t value, int *left) {
  const moire__node *node = moire__node_of(g, value);
  const char *name = parameter_of(g, node);
  bool plain = moire__is_view(node) || node->op == MOIRE__OP_add || node->op == MOIRE__OP_sub;
  if (name || !plain || --*left < 0 || moire__is_lookup(node)) return name;
  for (int i = 0; i < node->n_operands; i++) {
    const char *part = find_read(g, node->operands[i], left);
    if (!part) return NULL;
    if (!i) name = part;
  }
  return name;
}

static bool same_shape(const moire__value_info *a, const moire__state_info *b) {
  bool same = a->shape.rank == b->shape.rank;
  for (int i = 0; same && i < a->shape.rank; i++) same = a->shape.dims[i] == b->shape.dims[i];
  return same;
}

static int64_t elements(const moire_shape *shape, int from) {
  int64_t n = 1;
  for (int i = from > 0 ? from : 0; i < shape->rank; i++) {
    if (!moire__dim_is_static(shape->dims[i]) || __builtin_mul_overflow(n, shape->dims[i], &n)) return -1;
  }
  return n;
}

/* A product as large as the parameter, or parts of one whose sum is. What is summed to a bias is larger. */
static bool may_give(const moire_graph *g, const moire__node *node, const moire__state_info *state) {
  const moire_shape *shape = &g->values[node->first_result].shape;
  return elements(shape, shape->rank - 2) == elements(&state->shape, 0);
}

typedef struct search {
  const moire_graph *g;
  const moire__state_info *state;
  const char **gives;
  int *seen; /* [n_nodes]: number of the search that came by */
  int number;
} search;

/* From the new value of a parameter back to what made its gradient. In the optimizer only what has the
 * parameter's shape is followed: the norm of all gradients has not. */
static void find_given(const search *s, int32_t value, int depth) {
  const moire_graph *g = s->g;
  int at = g->values[value].node;
  const moire__node *node = &g->nodes[at];
  if (s->seen[at] == s->number || depth > DEPTH) return;
  s->seen[at] = s->number;
  if (node->phase == MOIRE__PHASE_FORWARD) return;
  moire__op_class class = class_of(node);
  if (class == MOIRE__CLASS_KERNEL) {
    bool product = node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_cmatmul;
    if (product && !s->gives[at] && may_give(g, node, s->state)) s->gives[at] = s->state->name;
    return;
  }
  bool optimizer = node->phase == MOIRE__PHASE_OPTIMIZER;
  if (optimizer && !same_shape(&g->values[value], s->state)) return;
  bool plain = moire__is_view(node) || class == MOIRE__CLASS_REDUCE || node->op == MOIRE__OP_add;
  for (int i = 0; i < node->n_operands && (optimizer || plain); i++)
    find_given(s, node->operands[i], depth + 1);
}

moire__weight_names moire__weight_names_find(const moire_graph *g, moire__arena *arena) {
  size_t n = (size_t)g->n_nodes + 1;
  moire__weight_names names = {moire__arena_array(arena, n, sizeof *names.reads),
                               moire__arena_array(arena, n, sizeof *names.gives)};
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (class_of(node) != MOIRE__CLASS_KERNEL) continue;
    for (int o = 0; o < node->n_operands && !names.reads[i]; o++) {
      int left = MOST_STEPS;
      names.reads[i] = find_read(g, node->operands[o], &left);
    }
  }
  int *seen = moire__arena_array(arena, n, sizeof *seen);
  for (int i = 0; i < g->n_updates; i++) {
    int state = moire__graph_find_state(g, g->updates[i].name);
    search s = {g, &g->states[state], names.gives, seen, i + 1};
    if (state >= 0 && s.state->trained) find_given(&s, g->updates[i].value, 0);
  }
  return names;
}
