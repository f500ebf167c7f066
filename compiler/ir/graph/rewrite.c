/* Rewriting: a new graph beside the old one and a map of values between them. See rewrite.h.
 *
 * A pass that loses a value somebody still needs is a defect of that pass; it is reported as an internal
 * failure of the new graph rather than by a crash, so that the manager can name the pass.
 */
#include "compiler/ir/graph/rewrite.h"

#include "compiler/ir/op.h"

#include <string.h>

moire__rewrite moire__rewrite_begin(const moire_graph *from) {
  return moire__rewrite_begin_with(from, from->n_extents);
}

moire__rewrite moire__rewrite_begin_with(const moire_graph *from, int n_extents) {
  moire_graph *to = moire_graph_create(from->name, from->mode);
  for (int i = 1; i <= n_extents; i++) {
    moire__graph_declare_extent(to, from->extents[i], strlen(from->extents[i]));
  }
  for (int i = 0; i < from->n_states; i++) moire__graph_declare_state(to, &from->states[i]);
  if (from->error.status) moire_graph_fail(to, from->error.status, "%s", from->error.message);
  return (moire__rewrite){from, to, moire__allocate_array((size_t)from->n_values, sizeof(int32_t))};
}

void moire__rewrite_set(moire__rewrite *r, int32_t old, moire_value replacement) {
  if (replacement.id && replacement.graph != r->to) {
    moire_graph_fail(r->to, MOIRE_ERROR_INTERNAL, "value %%%d was replaced by one of another graph", old);
    return;
  }
  r->map[old] = replacement.id;
  moire__graph_credit(r->to, replacement.id, moire__node_of(r->from, old));
}

void moire__rewrite_clone(moire__rewrite *r, const moire__node *node) {
  moire_value operands[MOIRE__MAX_OPERANDS];
  moire_graph *to = r->to;
  for (int i = 0; i < node->n_operands; i++) {
    operands[i] = moire__rewrite_value(r, node->operands[i]);
    if (moire_value_is_null(operands[i])) {
      moire__graph_fail_at(to, node->source, moire__op_get(node->op)->name, MOIRE_ERROR_INTERNAL,
                           "its operand %%%d was dropped", node->operands[i]);
    }
  }
  const bool pinned = to->pinned;
  const moire__node pin = to->pin;
  moire__graph_pin(to, node);
  moire_value first =
      moire__graph_emit(to, node->source, node->op, operands, node->n_operands, node->attrs, node->n_attrs);
  to->pinned = pinned;
  to->pin = pin;
  if (moire_value_is_null(first)) return;
  moire__node_of(to, first.id)->kernel = node->kernel;
  for (int i = 0; i < node->n_results; i++) r->map[node->first_result + i] = first.id + i;
}

/* The new value of something that is handed out; its absence is a failure of the new graph. */
static moire_value handed_out(moire__rewrite *r, const char *what, const moire__named_value *old) {
  moire_value value = moire__rewrite_value(r, old->value);
  if (moire_value_is_null(value)) {
    moire_graph_fail(r->to, MOIRE_ERROR_INTERNAL, "the value of %s %s was dropped", what, old->name);
  }
  return value;
}

moire_graph *moire__rewrite_finish(moire__rewrite *r, moire_error *error) {
  const moire_source nowhere = {NULL, 0};
  for (int i = 0; i < r->from->n_outputs; i++) {
    const moire__named_value *old = &r->from->outputs[i];
    moire__graph_add_output(r->to, nowhere, old->name, handed_out(r, "output", old));
  }
  for (int i = 0; i < r->from->n_updates; i++) {
    const moire__named_value *old = &r->from->updates[i];
    moire__graph_add_update(r->to, nowhere, old->name, handed_out(r, "update", old));
  }
  return moire__rewrite_finish_bare(r, error);
}

moire_graph *moire__rewrite_finish_bare(moire__rewrite *r, moire_error *error) {
  moire_graph *result = r->to;
  if (moire_graph_status(result, error)) {
    moire_graph_destroy(result);
    result = NULL;
  }
  moire__release(r->map);
  *r = (moire__rewrite){0};
  return result;
}

void moire__rewrite_abandon(moire__rewrite *r) {
  moire_graph_destroy(r->to);
  moire__release(r->map);
  *r = (moire__rewrite){0};
}

int *moire__graph_count_uses(const moire_graph *g, moire__arena *arena) {
  int *uses = moire__arena_array(arena, (size_t)g->n_values, sizeof *uses);
  for (int i = 0; i < g->n_nodes; i++) {
    for (int j = 0; j < g->nodes[i].n_operands; j++) uses[g->nodes[i].operands[j]]++;
  }
  for (int i = 0; i < g->n_outputs; i++) uses[g->outputs[i].value]++;
  for (int i = 0; i < g->n_updates; i++) uses[g->updates[i].value]++;
  return uses;
}
