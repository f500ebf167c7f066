/* The verifier: every invariant at the head of graph.h, inferred anew and compared.
 *
 * It assumes nothing about the graph but that its tables hold as many entries as they say, so it may be run on
 * the result of a defective pass. Messages name the node as the text form writes it.
 */
#include "compiler/ir/graph/graph_text.h"
#include "compiler/ir/op.h"

#include <string.h>

static moire_status wrong_node(const moire_graph *g, const moire__node *node, moire_error *error,
                               const char *sentence) {
  moire__text text = {0};
  moire__text_add_node(&text, g, node);
  moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: %s, in `%.600s`", g->name, sentence,
             moire__text_string(&text));
  moire__text_free(&text);
  return MOIRE_ERROR_INTERNAL;
}

/* Numbers first, so that afterwards the node can be printed and inferred. */
static moire_status check_numbers(const moire_graph *g, int index, int32_t *next, moire_error *error) {
  const moire__node *node = &g->nodes[index];
  if (node->op <= MOIRE__OP_none || node->op >= MOIRE__OP_COUNT) {
    return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: node %d has no op", g->name, index);
  }
  const moire__op_info *info = moire__op_get(node->op);
  if (node->first_result != *next || node->n_results != info->n_results ||
      *next + node->n_results > g->n_values) {
    return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: the results of node %d (%s) are not the next",
                      g->name, index, info->name);
  }
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *value = &g->values[*next + i];
    if (value->node != index || value->result != i) {
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: value %%%d does not name node %d (%s)",
                        g->name, *next + i, index, info->name);
    }
  }
  for (int i = 0; i < node->n_operands; i++) {
    if (node->operands[i] <= 0 || node->operands[i] >= *next) {
      return moire_fail(error, MOIRE_ERROR_INTERNAL,
                        "graph @%.60s: operand %d of node %d (%s) is %%%d, which does not come before it",
                        g->name, i, index, info->name, node->operands[i]);
    }
  }
  *next += node->n_results;
  return MOIRE_OK;
}

static moire_status check_types(const moire_graph *g, const moire__node *node, moire_error *error) {
  moire_dtype dtype[MOIRE__MAX_RESULTS];
  moire_shape shape[MOIRE__MAX_RESULTS];
  moire_error cause;
  cause.status = MOIRE_OK;
  if (moire__graph_infer(g, node, dtype, shape, &cause)) return wrong_node(g, node, error, cause.message);
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *value = &g->values[node->first_result + i];
    if (value->dtype != dtype[i] || !moire__shape_equal(&value->shape, &shape[i])) {
      return wrong_node(g, node, error, "a type is not what inference gives");
    }
  }
  return MOIRE_OK;
}

static moire_status check_input(const moire_graph *g, const moire__node *node, moire_error *error) {
  if (node->op != MOIRE__OP_input) return MOIRE_OK;
  const moire__attr *name = moire__node_attr(node, "name");
  if (!name || name->kind != MOIRE__ATTR_TEXT) return wrong_node(g, node, error, "the input has no name");
  if (moire__graph_find_input(g, name->text) == node->first_result) return MOIRE_OK;
  return wrong_node(g, node, error, "a second input has this name");
}

static moire_status check_states(const moire_graph *g, moire_error *error) {
  for (int i = 0; i < g->n_states; i++) {
    const moire__state_info *state = &g->states[i];
    if (moire__graph_find_state(g, state->name) != i) {
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: state %s is declared twice", g->name,
                        state->name);
    }
    bool sound = moire__shape_check(g, &state->shape, NULL) == MOIRE_OK;
    for (int d = 0; sound && d < state->shape.rank; d++) sound = moire__dim_is_static(state->shape.dims[d]);
    if (!sound) {
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: state %s has no static shape", g->name,
                        state->name);
    }
  }
  return MOIRE_OK;
}

/* The first number of a table whose name is there before, -1: none. */
static int find_repeated(const moire__named_value *table, int n) {
  moire__arena arena = {0};
  moire__names names = {0};
  int repeated = -1;
  for (int i = 0; i < n && repeated < 0; i++) {
    if (moire__names_find(&names, table[i].name) >= 0) repeated = i;
    moire__names_add(&names, &arena, table[i].name);
  }
  moire__arena_free(&arena);
  return repeated;
}

static moire_status check_handed_out(const moire_graph *g, const char *what, const moire__named_value *table,
                                     int n, moire_error *error) {
  for (int i = 0; i < n; i++) {
    if (table[i].value <= 0 || table[i].value >= g->n_values) {
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: %s %s is %%%d, which is no value", g->name,
                        what, table[i].name, table[i].value);
    }
  }
  int repeated = find_repeated(table, n);
  if (repeated < 0) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: there are two %ss %s", g->name, what,
                    table[repeated].name);
}

static moire_status check_updates(const moire_graph *g, moire_error *error) {
  moire_status status = check_handed_out(g, "update", g->updates, g->n_updates, error);
  for (int i = 0; status == MOIRE_OK && i < g->n_updates; i++) {
    int index = moire__graph_find_state(g, g->updates[i].name);
    const moire__value_info *value = &g->values[g->updates[i].value];
    if (index < 0 || g->states[index].dtype != value->dtype ||
        !moire__shape_equal(&g->states[index].shape, &value->shape)) {
      status = moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: update %s has no state of its type",
                          g->name, g->updates[i].name);
    }
  }
  return status;
}

moire_status moire__graph_verify(const moire_graph *g, moire_error *error) {
  if (g->error.status) return moire_graph_status(g, error);
  for (int i = 1; i <= g->n_extents; i++) {
    if (moire__graph_find_extent(g, g->extents[i], strlen(g->extents[i])) != i) {
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: extent %s is declared twice", g->name,
                        g->extents[i]);
    }
  }
  moire_status status = check_states(g, error);
  int32_t next = 1;
  for (int i = 0; status == MOIRE_OK && i < g->n_nodes; i++) {
    status = check_numbers(g, i, &next, error);
    if (status == MOIRE_OK) status = check_types(g, &g->nodes[i], error);
    if (status == MOIRE_OK) status = check_input(g, &g->nodes[i], error);
  }
  if (status) return status;
  if (next != g->n_values) {
    return moire_fail(error, MOIRE_ERROR_INTERNAL, "graph @%.60s: %d values belong to no node", g->name,
                      g->n_values - next);
  }
  status = check_handed_out(g, "output", g->outputs, g->n_outputs, error);
  return status ? status : check_updates(g, error);
}
