/* optimize: gradients become steps of Adam or AdamW.
 *
 * Each trained state p gets two states of moments, "adam.m.<p>" and "adam.v.<p>", an op `adam` and updates of
 * all three. What changes from step to step comes in from outside as two scalars, so that one compiled graph
 * serves them all: with t = 1, 2, … the number of the step,
 *
 *   adam.step_size = lr / (1 - beta1^t)        adam.bias2 = sqrt(1 - beta2^t)
 *
 * (decoupled decay multiplies p by 1 - lr * weight_decay, with the goal's lr).
 *
 * requires: autodiff has run
 * ensures: outputs "grad.*" only if the goal keeps them
 */
#include "compiler/pass/walk.h"

#include <string.h>

static const char gradient_prefix[] = "grad.";

static bool is_gradient(const char *output) {
  return strncmp(output, gradient_prefix, sizeof gradient_prefix - 1) == 0;
}

/* The first node that reads the state; NULL if there is none. */
static const moire__node *state_node(const moire_graph *g, const char *name) {
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    if (node->op == MOIRE__OP_state && strcmp(moire__node_text(node, "name"), name) == 0) return node;
  }
  return NULL;
}

/* Reads state `name`, declared as zeros of p's shape if it is not there. */
static moire_value read_moment(moire_graph *to, const char *name, const moire__state_info *p) {
  moire__state_info moment = {
      .name = name, .dtype = MOIRE_F32, .shape = p->shape, .init = moire_init_constant(0)};
  if (moire__graph_declare_state(to, &moment) != MOIRE_OK) return (moire_value){to, 0};
  moire__attr attr = moire__attr_make_text("name", name);
  return moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_state, NULL, 0, &attr, 1);
}

static int adam_attributes(const moire__goal *goal, moire__attr attrs[6]) {
  int n = 0;
  attrs[n++] = moire__attr_make_real("b1", goal->beta1);
  attrs[n++] = moire__attr_make_real("b2", goal->beta2);
  attrs[n++] = moire__attr_make_real("eps", goal->eps);
  attrs[n++] = moire__attr_make_real("weight_decay", goal->weight_decay);
  attrs[n++] = moire__attr_make_int("decoupled", goal->optimizer == MOIRE__OPTIMIZER_ADAMW);
  attrs[n++] = moire__attr_make_real("lr", goal->lr);
  return n;
}

static void step_state(moire__rewrite *r, const moire__goal *goal, const moire__state_info *p, moire_value step,
                       moire_value bias, moire__arena *arena) {
  moire_graph *to = r->to;
  const char *output = moire__arena_printf(arena, "%s%s", gradient_prefix, p->name);
  int32_t gradient = moire__graph_find_output(r->from, output);
  if (!gradient) {
    moire_graph_fail(to, MOIRE_ERROR_INTERNAL, "parameter %s has no gradient", p->name);
    return;
  }
  const moire__node *like = state_node(r->from, p->name);
  if (like) {
    moire__graph_pin_phase(to, like, MOIRE__PHASE_OPTIMIZER);
    to->pin.word = NULL;
  }
  moire__attr name = moire__attr_make_text("name", p->name);
  moire_value value = like ? moire__rewrite_value(r, like->first_result)
                           : moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_state, NULL, 0, &name, 1);
  const char *m_name = moire__arena_printf(arena, "adam.m.%s", p->name);
  const char *v_name = moire__arena_printf(arena, "adam.v.%s", p->name);
  moire_value m = read_moment(to, m_name, p), v = read_moment(to, v_name, p);
  moire_value operands[6] = {value, moire__rewrite_value(r, gradient), m, v, step, bias};
  moire__attr attrs[6];
  moire_value stepped =
      moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_adam, operands, 6, attrs, adam_attributes(goal, attrs));
  const char *updated[3] = {m_name, v_name, p->name}; /* results m', v', p' */
  for (int i = 0; i < 3 && !moire_value_is_null(stepped); i++) {
    moire_update_at(MOIRE__NOWHERE, to, updated[i], moire__value(to, stepped.id + i));
  }
  if (like) moire__graph_unpin(to);
}

moire_graph *moire__pass_optimize(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__rewrite r = moire__rewrite_all(g);
  for (int i = 0; i < g->n_outputs; i++) {
    const char *name = g->outputs[i].name;
    if (is_gradient(name) && !goal->keep_gradients) continue;
    moire_output_at(MOIRE__NOWHERE, r.to, name, moire__rewrite_value(&r, g->outputs[i].value));
  }
  for (int i = 0; i < g->n_updates; i++) {
    moire_update_at(MOIRE__NOWHERE, r.to, g->updates[i].name, moire__rewrite_value(&r, g->updates[i].value));
  }
  if (goal->optimizer != MOIRE__OPTIMIZER_NONE) {
    moire__arena arena = {0};
    moire_value step = moire_input_at(MOIRE__NOWHERE, r.to, "adam.step_size", MOIRE_F32, MOIRE_SCALAR);
    moire_value bias = moire_input_at(MOIRE__NOWHERE, r.to, "adam.bias2", MOIRE_F32, MOIRE_SCALAR);
    for (int s = 0; s < g->n_states; s++) {
      if (g->states[s].trained) step_state(&r, goal, &g->states[s], step, bias, &arena);
    }
    moire__arena_free(&arena);
  }
  return moire__rewrite_finish_bare(&r, error);
}
