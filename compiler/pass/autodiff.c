/* autodiff: reverse mode.
 *
 * The forward graph is copied, and behind it the ops are walked backwards from the loss: each op on a path from
 * a trained state says, as graph ops, what the gradients of its operands are (its `gradient` part), and
 * gradients that meet at one value are added in the order of this walk. So the order of additions, and with it
 * the last bit of a result, depends on the graph alone.
 *
 * A value of which many slices are read (a recurrence takes one for each step) gets its gradient in one piece:
 * slices side by side become a concat, and only those that overlap are added.
 *
 * A value is on a path if it depends on a trained state that the goal does not freeze, is a float or complex,
 * and no FIXED op (stop_gradient, comparisons, constants) stands between. Each node of the backward graph comes
 * from where the forward node that it serves does, in the backward phase.
 *
 * requires: composites are expanded
 * ensures: an output "grad.<parameter>" for every trained state that the goal does not freeze, in the order of
 * their declaration; zeros, a constant outside of the backward phase, where no path leads to the loss. The loss
 * is an output only if the goal names it.
 */
#include "compiler/pass/patterns.h"
#include "compiler/pass/walk.h"

#include <stdlib.h>
#include <string.h>

enum { FEW_SLICES = 8 }; /* of one value: gradients of so many are padded and added one by one */

/* The gradient of a slice: `gradient` belongs at [start, start + length) of `axis`. */
typedef struct piece {
  int axis, number;
  int64_t start, length;
  int32_t gradient;
  const moire__node *slice;
  struct piece *next; /* that came before */
} piece;

typedef struct autodiff {
  const moire_graph *g; /* forward; its value ids are also those of r.to */
  const moire__goal *goal;
  moire__rewrite r;
  int *origin;       /* by value: 1 + index of a trained state that it depends on; 0: on none */
  int32_t *gradient; /* by value: id in r.to, 0: none yet */
  int *n_slices;     /* by value: of it that are read */
  piece **pieces;    /* by value: what is still to be added to its gradient */
  int *first_node;   /* by state: its first node, -1: none */
  int *next_node;    /* by node of a state: the next one of the same */
  moire__arena arena;
} autodiff;

/* FIXED ops that compute with real numbers exist after split only: a gradient through them would be lost. */
static bool is_opaque(const moire__op_info *info) {
  return !info->gradient && (info->op_class == MOIRE__CLASS_KERNEL || info->op_class == MOIRE__CLASS_COMPOSITE);
}

/* A trained state that the goal does not freeze. */
static bool is_learned(const autodiff *d, const moire__state_info *state) {
  const moire_training_options *t = &d->goal->training;
  return state->trained && !moire__patterns_match(t->freeze, t->n_freeze, state->name);
}

static void find_origins(autodiff *d) {
  for (int n = 0; n < d->g->n_nodes; n++) {
    const moire__node *node = &d->g->nodes[n];
    const moire__op_info *info = moire__op_get(node->op);
    int origin = 0;
    if (node->op == MOIRE__OP_state) {
      int state = moire__graph_find_state(d->g, moire__node_text(node, "name"));
      if (state >= 0 && is_learned(d, &d->g->states[state])) origin = 1 + state;
    } else if (!(info->traits & MOIRE__TRAIT_FIXED) || is_opaque(info)) {
      for (int i = 0; i < node->n_operands && !origin; i++) origin = d->origin[node->operands[i]];
    }
    if (node->op == MOIRE__OP_slice) d->n_slices[node->operands[0]]++;
    for (int32_t v = node->first_result; v < node->first_result + node->n_results; v++) {
      moire_dtype dtype = d->g->values[v].dtype;
      d->origin[v] = moire__dtype_is_float(dtype) || dtype == MOIRE_C64 ? origin : 0;
    }
  }
}

/* gradient[v] += term. A term of another type than v is a defect of the op's gradient. */
static void accumulate(autodiff *d, const moire__node *node, int32_t v, moire_value term) {
  moire_graph *to = d->r.to;
  const moire__value_info *want = &to->values[v], *got = moire__info(term);
  if (want->dtype != got->dtype || !moire__shape_equal(&want->shape, &got->shape)) {
    moire__text types = {0};
    moire__text_add_type(&types, to, got->dtype, &got->shape);
    moire__text_add(&types, ", the operand ");
    moire__text_add_type(&types, to, want->dtype, &want->shape);
    moire__graph_fail_at(to, node->source, moire__op_get(node->op)->name, MOIRE_ERROR_INTERNAL,
                         "the gradient is %s", moire__text_string(&types));
    moire__text_free(&types);
    return;
  }
  moire_value sum = term;
  if (d->gradient[v]) sum = moire_add_at(node->source, moire__value(to, d->gradient[v]), term);
  d->gradient[v] = sum.id;
}

/* ---- many slices of one value ---- */

static bool is_one_of_many(const autodiff *d, const moire__node *node) {
  return node->op == MOIRE__OP_slice && d->n_slices[node->operands[0]] > FEW_SLICES &&
         d->g->values[node->first_result].shape.dims[moire__node_int(node, "axis")] > 0;
}

static void add_piece(autodiff *d, const moire__node *slice) {
  piece *p = moire__arena_array(&d->arena, 1, sizeof *p), **list = &d->pieces[slice->operands[0]];
  *p = (piece){.axis = (int)moire__node_int(slice, "axis"),
               .number = *list ? (*list)->number + 1 : 0,
               .start = moire__node_int(slice, "start"),
               .length = moire__node_int(slice, "length"),
               .gradient = d->gradient[slice->first_result],
               .slice = slice,
               .next = *list};
  *list = p;
}

static int compare_pieces(const void *left, const void *right) {
  const piece *a = *(piece *const *)left, *b = *(piece *const *)right;
  if (a->axis != b->axis) return a->axis < b->axis ? -1 : 1;
  if (a->start != b->start) return a->start < b->start ? -1 : 1;
  return a->number < b->number ? -1 : 1;
}

/* Zeros of the shape of value v, but for `length` on the axis. */
static moire_value gap(autodiff *d, int32_t v, int axis, int64_t length) {
  moire_shape shape = d->g->values[v].shape;
  shape.dims[axis] = length;
  moire_dtype dtype = d->g->values[v].dtype;
  moire_value zero =
      moire_constant_at(MOIRE__NOWHERE, d->r.to, dtype == MOIRE_C64 ? MOIRE_F32 : dtype, shape, 0);
  return dtype == MOIRE_C64 ? moire_complex_at(MOIRE__NOWHERE, zero, zero) : zero;
}

/* Takes pieces of one axis out of sorted[0 .. n), each behind the one before, and puts them side by side in
 * an array like v; what is left moves up. */
static moire_value take_row(autodiff *d, int32_t v, piece **sorted, int *n) {
  moire_value *parts = moire__arena_array(&d->arena, 2 * (size_t)*n + 1, sizeof *parts);
  int axis = sorted[0]->axis, n_parts = 0, left = 0;
  int64_t end = 0, extent = d->g->values[v].shape.dims[axis];
  for (int i = 0; i < *n; i++) {
    const piece *p = sorted[i];
    if (p->axis != axis || p->start < end) {
      sorted[left++] = sorted[i];
      continue;
    }
    if (p->start > end) parts[n_parts++] = gap(d, v, axis, p->start - end);
    parts[n_parts++] = moire__value(d->r.to, p->gradient);
    end = p->start + p->length;
  }
  if (end < extent) parts[n_parts++] = gap(d, v, axis, extent - end);
  *n = left;
  return moire_concat_at(MOIRE__NOWHERE, parts, n_parts, axis);
}

/* Adds what slices of v have left to its gradient: everything that reads v has been walked over. */
static void add_pieces(autodiff *d, int32_t v) {
  piece *newest = d->pieces[v];
  if (!newest) return;
  int n = newest->number + 1;
  piece **sorted = moire__arena_array(&d->arena, (size_t)n, sizeof *sorted);
  for (piece *p = newest; p; p = p->next) sorted[p->number] = p;
  qsort(sorted, (size_t)n, sizeof *sorted, compare_pieces);
  moire__graph_pin_phase(d->r.to, newest->slice, MOIRE__PHASE_BACKWARD);
  while (n > 0) accumulate(d, newest->slice, v, take_row(d, v, sorted, &n));
  moire__graph_unpin(d->r.to);
}

static void fail_without_gradient(autodiff *d, const moire__node *node, int origin) {
  moire__graph_fail_at(d->r.to, node->source, moire__op_get(node->op)->name, MOIRE_ERROR_UNSUPPORTED,
                       "it has no gradient, but the loss depends on parameter %s through it",
                       d->g->states[origin - 1].name);
}

static void differentiate_node(autodiff *d, const moire__node *node) {
  moire_graph *to = d->r.to;
  moire__gradient c = {.g = to, .node = node};
  bool reached = false;
  int origin = 0;
  for (int i = 0; i < node->n_results; i++) {
    int32_t v = node->first_result + i;
    c.results[i] = moire__value(to, v);
    add_pieces(d, v);
    if (d->gradient[v]) c.result_gradients[i] = moire__value(to, d->gradient[v]);
    reached = reached || d->gradient[v];
  }
  for (int i = 0; i < node->n_operands; i++) {
    c.operands[i] = moire__value(to, node->operands[i]);
    c.wanted[i] = d->origin[node->operands[i]] != 0;
    if (c.wanted[i] && !origin) origin = d->origin[node->operands[i]];
  }
  if (!reached || !origin) return;
  if (is_one_of_many(d, node)) {
    add_piece(d, node);
    return;
  }
  const moire__op_info *info = moire__op_get(node->op);
  if (!info->gradient) {
    fail_without_gradient(d, node, origin);
    return;
  }
  moire__graph_pin_phase(to, node, MOIRE__PHASE_BACKWARD);
  info->gradient(&c);
  for (int i = 0; i < node->n_operands; i++) {
    if (c.wanted[i] && c.operand_gradients[i].id)
      accumulate(d, node, node->operands[i], c.operand_gradients[i]);
  }
  moire__graph_unpin(to);
}

static void find_state_nodes(autodiff *d) {
  const moire_graph *g = d->g;
  d->first_node = moire__arena_array(&d->arena, (size_t)g->n_states + 1, sizeof *d->first_node);
  d->next_node = moire__arena_array(&d->arena, (size_t)g->n_nodes + 1, sizeof *d->next_node);
  for (int s = 0; s < g->n_states; s++) d->first_node[s] = -1;
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    if (g->nodes[n].op != MOIRE__OP_state) continue;
    int state = moire__graph_find_state(g, moire__node_text(&g->nodes[n], "name"));
    if (state < 0) continue;
    d->next_node[n] = d->first_node[state];
    d->first_node[state] = n;
  }
}

/* The sum over all the nodes that read state `s`, or zeros. */
static moire_value state_gradient(autodiff *d, int s) {
  const moire__state_info *state = &d->g->states[s];
  moire_graph *to = d->r.to;
  moire_value sum = {to, 0};
  for (int n = d->first_node[s]; n >= 0; n = d->next_node[n]) {
    const moire__node *node = &d->g->nodes[n];
    if (!d->gradient[node->first_result]) continue;
    moire_value term = moire__value(to, d->gradient[node->first_result]);
    moire__graph_pin_phase(to, node, MOIRE__PHASE_BACKWARD);
    sum = moire_value_is_null(sum) ? term : moire_add_at(node->source, sum, term);
    moire__graph_unpin(to);
  }
  if (!moire_value_is_null(sum)) return sum;
  if (state->dtype != MOIRE_C64) return moire_constant_at(MOIRE__NOWHERE, to, state->dtype, state->shape, 0);
  moire_value zero = moire_constant_at(MOIRE__NOWHERE, to, MOIRE_F32, state->shape, 0);
  return moire_complex_at(MOIRE__NOWHERE, zero, zero);
}

static moire_status check_loss(const moire_graph *g, const moire__goal *goal, int32_t loss,
                               moire_error *error) {
  if (!loss)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "graph %s has no output \"%s\" to minimise", g->name,
                      goal->loss);
  const moire__value_info *info = &g->values[loss];
  if (info->dtype == MOIRE_F32 && info->shape.rank == 0) return MOIRE_OK;
  moire__text type = {0};
  moire__text_add_type(&type, g, info->dtype, &info->shape);
  const moire__node *node = moire__node_of(g, loss);
  moire_status status = moire_fail(error, MOIRE_ERROR_SHAPE, "the loss \"%s\" is %s, wanted f32[] (%s:%d)",
                                   goal->loss, moire__text_string(&type), node->source.file, node->source.line);
  moire__text_free(&type);
  return status;
}

static void add_outputs(autodiff *d) {
  const moire__goal *goal = d->goal;
  moire_graph *to = d->r.to;
  for (int i = 0; i < d->g->n_outputs; i++) {
    const char *name = d->g->outputs[i].name;
    if (strcmp(name, goal->loss) != 0 || moire__goal_wants(goal, name))
      moire_output_at(MOIRE__NOWHERE, to, name, moire__rewrite_value(&d->r, d->g->outputs[i].value));
  }
  for (int i = 0; i < d->g->n_updates; i++) {
    moire_update_at(MOIRE__NOWHERE, to, d->g->updates[i].name,
                    moire__rewrite_value(&d->r, d->g->updates[i].value));
  }
  find_state_nodes(d);
  for (int s = 0; s < d->g->n_states; s++) {
    if (!is_learned(d, &d->g->states[s])) continue;
    moire_value gradient = state_gradient(d, s);
    moire_output_at(MOIRE__NOWHERE, to, moire__arena_printf(&d->arena, "grad.%s", d->g->states[s].name),
                    gradient);
  }
}

moire_graph *moire__pass_autodiff(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  autodiff d = {.g = g, .goal = goal, .r = moire__rewrite_all(g)};
  if (!goal->loss) return moire__rewrite_finish(&d.r, error);
  int32_t loss = moire__graph_find_output(g, goal->loss);
  if (check_loss(g, goal, loss, error) ||
      moire__patterns_check(g, goal->training.freeze, goal->training.n_freeze, "freeze", error)) {
    moire__rewrite_abandon(&d.r);
    return NULL;
  }
  d.origin = moire__arena_array(&d.arena, (size_t)g->n_values, sizeof *d.origin);
  d.gradient = moire__arena_array(&d.arena, (size_t)g->n_values, sizeof *d.gradient);
  d.n_slices = moire__arena_array(&d.arena, (size_t)g->n_values, sizeof *d.n_slices);
  d.pieces = moire__arena_array(&d.arena, (size_t)g->n_values, sizeof *d.pieces);
  find_origins(&d);
  moire__graph_pin_phase(d.r.to, moire__node_of(g, loss), MOIRE__PHASE_BACKWARD);
  d.gradient[loss] = moire_constant_at(MOIRE__NOWHERE, d.r.to, MOIRE_F32, MOIRE_SCALAR, 1).id;
  moire__graph_unpin(d.r.to);
  for (int n = g->n_nodes - 1; n >= 0; n--) differentiate_node(&d, &g->nodes[n]);
  add_outputs(&d);
  moire__arena_free(&d.arena);
  return moire__rewrite_finish_bare(&d.r, error);
}
