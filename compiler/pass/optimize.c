/* optimize: gradients become steps of the optimizer.
 *
 * Each trained state p that a path joins to the loss is stepped by Adam, AdamW or SGD; what the optimizer
 * remembers of it are states beside it:
 *
 *   adam.m.<p>, adam.v.<p>    the moments, for Adam and AdamW
 *   optimizer.momentum.<p>    the moving sum, for SGD with momentum
 *   optimizer.sum.<p>         the gradients of the step's batches so far, where a step has several
 *   optimizer.ema.<p>         the moving average of p
 *
 * What changes from step to step comes in from outside as one input, "optimizer.scalars" (moire/optimizer.h),
 * so that one compiled graph serves all steps. Of the parameters that the goal freezes and those without a path
 * to the loss nothing is changed, and they get no states.
 *
 * The output "optimizer.grad_norm", if the goal wants it, is the norm of all gradients of the step, before it
 * is clipped.
 *
 * With several batches a step, each batch runs the whole step, and keeps of it the sum alone unless it is the
 * last: states become where(last, new, old).
 *
 * requires: autodiff has run
 * ensures: outputs "grad.*" only if the goal keeps them; they are those of the batch, before they are clipped
 */
#include "compiler/pass/patterns.h"
#include "compiler/pass/walk.h"

#include <stdio.h>
#include <string.h>

enum { WEIGHT, FIRST, LAST, SCALE, EMA, GROUPS }; /* places in the scalars */
enum { STEP, BIAS, DECAY, PER_GROUP };            /* places in those of a group */

static const char gradient_prefix[] = "grad.";

/* A parameter that is stepped. */
typedef struct parameter {
  const moire__state_info *info;
  const moire__node *like; /* the first node that reads it; NULL if there is none */
  moire_parameter_group numbers;
  int group; /* 0: the options' own numbers */
  moire_value value, gradient;
} parameter;

typedef struct optimize {
  moire__rewrite r;
  const moire_training_options *training;
  moire_value scalars;                               /* null until one is read */
  moire_value numbers[MOIRE_MOST_OPTIMIZER_SCALARS]; /* of them, each null until it is read */
  parameter *parameters;
  int n;
  moire__arena arena;
} optimize;

static bool is_gradient(const char *output) {
  return strncmp(output, gradient_prefix, sizeof gradient_prefix - 1) == 0;
}

/* By state: its first node, or NULL. */
static const moire__node **state_nodes(const moire_graph *g, moire__arena *arena) {
  const moire__node **nodes = moire__arena_array(arena, (size_t)g->n_states + 1, sizeof *nodes);
  for (int i = g->n_nodes - 1; i >= 0; i--) {
    const moire__node *node = &g->nodes[i];
    int state = node->op == MOIRE__OP_state ? moire__graph_find_state(g, moire__node_text(node, "name")) : -1;
    if (state >= 0) nodes[state] = node;
  }
  return nodes;
}

/* ---- Values of the step -------------------------------------------------------------------------------------
 */

/* What is emitted from here on belongs to the step of the parameter. */
static void pin(optimize *o, const parameter *p) {
  if (!p->like) return;
  moire__graph_pin_phase(o->r.to, p->like, MOIRE__PHASE_OPTIMIZER);
  o->r.to->pin.word = NULL;
}

static void unpin(optimize *o) { moire__graph_unpin(o->r.to); }

/* Scalar i of the input. */
static moire_value number(optimize *o, int i) {
  if (o->numbers[i].graph) return o->numbers[i];
  moire_graph *to = o->r.to;
  bool pinned = to->pinned;
  to->pinned = false; /* it is no parameter's own */
  if (!o->scalars.graph) {
    moire_shape shape = MOIRE_SHAPE(moire_optimizer_scalar_count(o->training));
    o->scalars = moire_input_at(MOIRE__NOWHERE, to, "optimizer.scalars", MOIRE_F32, shape);
  }
  moire_value one = moire_slice_at(MOIRE__NOWHERE, o->scalars, 0, i, 1);
  o->numbers[i] = moire_reshape_at(MOIRE__NOWHERE, one, MOIRE_SCALAR);
  to->pinned = pinned;
  return o->numbers[i];
}

static moire_value group_number(optimize *o, const parameter *p, int i) {
  return number(o, GROUPS + PER_GROUP * p->group + i);
}

/* Scalar i, as often as the parameter has elements. */
static moire_value spread(optimize *o, const parameter *p, int i) {
  return moire_broadcast_at(MOIRE__NOWHERE, number(o, i), p->info->shape);
}

static moire_value constant(optimize *o, const parameter *p, double value) {
  return moire_constant_at(MOIRE__NOWHERE, o->r.to, MOIRE_F32, p->info->shape, value);
}

/* where(scalar i is 1, yes, no) */
static moire_value choose(optimize *o, const parameter *p, int i, moire_value yes, moire_value no) {
  moire_value is = moire_less_at(MOIRE__NOWHERE, constant(o, p, 0.5), spread(o, p, i));
  return moire_where_at(MOIRE__NOWHERE, is, yes, no);
}

/* Reads the state `prefix` of the parameter, declared as zeros of its shape. */
static moire_value read_state(optimize *o, const parameter *p, const char *name) {
  moire__state_info info = {
      .name = name, .dtype = MOIRE_F32, .shape = p->info->shape, .init = moire_init_constant(0)};
  if (moire__graph_declare_state(o->r.to, &info) != MOIRE_OK) return (moire_value){o->r.to, 0};
  moire__attr attr = moire__attr_make_text("name", name);
  return moire__graph_emit(o->r.to, MOIRE__NOWHERE, MOIRE__OP_state, NULL, 0, &attr, 1);
}

static const char *name_state(optimize *o, const char *prefix, const parameter *p) {
  return moire__arena_printf(&o->arena, "%s.%s", prefix, p->info->name);
}

/* The state becomes `next`, in the last batch of a step. */
static void store(optimize *o, const parameter *p, const char *name, moire_value old, moire_value next) {
  if (o->training->accumulate > 1) next = choose(o, p, LAST, next, old);
  moire_update_at(MOIRE__NOWHERE, o->r.to, name, next);
}

/* ---- Gradients ----------------------------------------------------------------------------------------------
 */

/* Over all batches of the step, where it has several. */
static void accumulate(optimize *o, parameter *p) {
  if (o->training->accumulate <= 1) return;
  const char *name = name_state(o, "optimizer.sum", p);
  moire_value before = read_state(o, p, name);
  moire_value term = moire_mul_at(MOIRE__NOWHERE, p->gradient, spread(o, p, WEIGHT));
  moire_value sum = choose(o, p, FIRST, term, moire_add_at(MOIRE__NOWHERE, before, term));
  moire_update_at(MOIRE__NOWHERE, o->r.to, name, sum);
  p->gradient = moire_mul_at(MOIRE__NOWHERE, sum, spread(o, p, SCALE));
}

/* Comparisons are made so that NaN stays. */
static void clip_value(optimize *o, parameter *p) {
  double most = o->training->clip_value;
  if (!(most > 0)) return;
  moire_value high = constant(o, p, most), low = constant(o, p, -most), g = p->gradient;
  g = moire_where_at(MOIRE__NOWHERE, moire_less_at(MOIRE__NOWHERE, high, g), high, g);
  p->gradient = moire_where_at(MOIRE__NOWHERE, moire_less_at(MOIRE__NOWHERE, g, low), low, g);
}

/* Rows first: sums of few terms each, that are many threads' work. */
static moire_value sum_of_squares(const parameter *p) {
  moire_value squares = moire_mul_at(MOIRE__NOWHERE, p->gradient, p->gradient);
  if (p->info->shape.rank > 1) squares = moire_sum_at(MOIRE__NOWHERE, squares, -1, false);
  return p->info->shape.rank ? moire_sum_all_at(MOIRE__NOWHERE, squares) : squares;
}

/* The norm of all gradients together. */
static moire_value norm_of_all(optimize *o) {
  moire_value total = {0};
  for (int i = 0; i < o->n; i++) {
    pin(o, &o->parameters[i]);
    moire_value term = sum_of_squares(&o->parameters[i]);
    total = i ? moire_add_at(MOIRE__NOWHERE, total, term) : term;
    unpin(o);
  }
  pin(o, &o->parameters[o->n - 1]);
  moire_value norm = moire_sqrt_at(MOIRE__NOWHERE, total);
  unpin(o);
  return norm;
}

/* min(1, clip_norm / (norm + 1e-6)); NaN if the norm is. */
static moire_value norm_factor(optimize *o, moire_value norm) {
  moire_graph *to = o->r.to;
  pin(o, &o->parameters[o->n - 1]);
  norm = moire_add_scalar_at(MOIRE__NOWHERE, norm, 1e-6);
  moire_value one = moire_constant_at(MOIRE__NOWHERE, to, MOIRE_F32, MOIRE_SCALAR, 1);
  moire_value most = moire_constant_at(MOIRE__NOWHERE, to, MOIRE_F32, MOIRE_SCALAR, o->training->clip_norm);
  moire_value factor = moire_div_at(MOIRE__NOWHERE, most, norm);
  moire_value is_small = moire_less_equal_at(MOIRE__NOWHERE, one, factor);
  factor = moire_where_at(MOIRE__NOWHERE, is_small, one, factor);
  unpin(o);
  return factor;
}

static void clip_norm(optimize *o, bool report) {
  bool clips = o->training->clip_norm > 0;
  if ((!clips && !report) || !o->n) return;
  moire_value norm = norm_of_all(o);
  if (report) moire_output_at(MOIRE__NOWHERE, o->r.to, MOIRE_GRADIENT_NORM, norm);
  if (!clips) return;
  moire_value factor = norm_factor(o, norm);
  for (int i = 0; i < o->n; i++) {
    parameter *p = &o->parameters[i];
    pin(o, p);
    moire_value factors = moire_broadcast_at(MOIRE__NOWHERE, factor, p->info->shape);
    p->gradient = moire_mul_at(MOIRE__NOWHERE, p->gradient, factors);
    unpin(o);
  }
}

/* ---- Steps: each gives the parameter's next value
 * ---------------------------------------------------------------
 */

static moire_value step_adam(optimize *o, const parameter *p) {
  moire_graph *to = o->r.to;
  const char *m_name = name_state(o, "adam.m", p), *v_name = name_state(o, "adam.v", p);
  double decay = p->numbers.weight_decay;
  bool decoupled = o->training->optimizer == MOIRE_OPTIMIZER_ADAMW, shrinks = decoupled && decay > 0;
  moire_value operands[7] = {p->value,
                             p->gradient,
                             read_state(o, p, m_name),
                             read_state(o, p, v_name),
                             group_number(o, p, STEP),
                             group_number(o, p, BIAS),
                             shrinks ? group_number(o, p, DECAY) : (moire_value){0}};
  moire__attr attrs[4] = {moire__attr_make_real("b1", p->numbers.beta1),
                          moire__attr_make_real("b2", p->numbers.beta2),
                          moire__attr_make_real("eps", p->numbers.eps),
                          moire__attr_make_real("weight_decay", decoupled ? 0 : decay)};
  moire_value stepped =
      moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_adam, operands, shrinks ? 7 : 6, attrs, 4);
  if (moire_value_is_null(stepped)) return stepped;
  store(o, p, m_name, operands[2], stepped);
  store(o, p, v_name, operands[3], moire__value(to, stepped.id + 1));
  return moire__value(to, stepped.id + 2);
}

static moire_value step_momentum(optimize *o, const parameter *p) {
  moire_graph *to = o->r.to;
  const char *name = name_state(o, "optimizer.momentum", p);
  moire_value operands[5] = {p->value, p->gradient, read_state(o, p, name), group_number(o, p, STEP),
                             group_number(o, p, BIAS)};
  moire__attr attrs[3] = {moire__attr_make_real("momentum", p->numbers.momentum),
                          moire__attr_make_real("weight_decay", p->numbers.weight_decay),
                          moire__attr_make_int("nesterov", o->training->nesterov)};
  moire_value stepped = moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_momentum, operands, 5, attrs, 3);
  if (moire_value_is_null(stepped)) return stepped;
  store(o, p, name, operands[2], stepped);
  return moire__value(to, stepped.id + 1);
}

/* p - lr (g + weight_decay p) */
static moire_value step_descent(optimize *o, const parameter *p) {
  double decay = p->numbers.weight_decay;
  moire_value g = p->gradient;
  if (decay > 0) g = moire_add_at(MOIRE__NOWHERE, g, moire_scale_at(MOIRE__NOWHERE, p->value, decay));
  moire_value rate = moire_broadcast_at(MOIRE__NOWHERE, group_number(o, p, STEP), p->info->shape);
  return moire_sub_at(MOIRE__NOWHERE, p->value, moire_mul_at(MOIRE__NOWHERE, rate, g));
}

/* average + e (next - average) */
static void average(optimize *o, const parameter *p, moire_value next) {
  if (!(o->training->ema > 0)) return;
  const char *name = name_state(o, "optimizer.ema", p);
  moire_value before = read_state(o, p, name);
  moire_value change = moire_sub_at(MOIRE__NOWHERE, next, before);
  change = moire_mul_at(MOIRE__NOWHERE, spread(o, p, EMA), change);
  store(o, p, name, before, moire_add_at(MOIRE__NOWHERE, before, change));
}

static void step(optimize *o, const parameter *p) {
  bool sgd = o->training->optimizer == MOIRE_OPTIMIZER_SGD;
  moire_value next = !sgd                      ? step_adam(o, p)
                     : p->numbers.momentum > 0 ? step_momentum(o, p)
                                               : step_descent(o, p);
  if (moire_value_is_null(next)) return;
  average(o, p, next);
  store(o, p, p->info->name, p->value, next);
}

/* ---- What is stepped ----------------------------------------------------------------------------------------
 */

static moire_status check_patterns(const moire_graph *g, const moire_training_options *t, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < t->n_groups && !status; i++) {
    char place[40];
    snprintf(place, sizeof place, "groups[%d]: match", i);
    status = moire__patterns_check(g, t->groups[i].match, t->groups[i].n_match, place, error);
    if (!status && t->groups[i].n_match < 1)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: wanted a pattern of names", place);
  }
  return status;
}

static void find_group(const moire_training_options *t, parameter *p) {
  p->numbers = moire_parameter_group_of(t);
  for (int i = 0; i < t->n_groups && !p->group; i++) {
    if (!moire__patterns_match(t->groups[i].match, t->groups[i].n_match, p->info->name)) continue;
    p->group = 1 + i;
    p->numbers = t->groups[i];
  }
}

static void add_parameter(optimize *o, const moire__state_info *info, const moire__node *like) {
  const moire_graph *from = o->r.from;
  const char *output = moire__arena_printf(&o->arena, "%s%s", gradient_prefix, info->name);
  int32_t gradient = moire__graph_find_output(from, output);
  if (!gradient) {
    moire_graph_fail(o->r.to, MOIRE_ERROR_INTERNAL, "parameter %s has no gradient", info->name);
    return;
  }
  if (moire__gradient_is_absent(from, gradient)) return;
  parameter *p = &o->parameters[o->n++];
  *p = (parameter){.info = info, .like = like};
  find_group(o->training, p);
  pin(o, p);
  moire__attr name = moire__attr_make_text("name", info->name);
  p->value = p->like ? moire__rewrite_value(&o->r, p->like->first_result)
                     : moire__graph_emit(o->r.to, MOIRE__NOWHERE, MOIRE__OP_state, NULL, 0, &name, 1);
  p->gradient = moire__rewrite_value(&o->r, gradient);
  unpin(o);
}

static void step_all(optimize *o, bool report_norm) {
  const moire_graph *from = o->r.from;
  const moire__node **nodes = state_nodes(from, &o->arena);
  o->parameters = moire__arena_array(&o->arena, (size_t)from->n_states + 1, sizeof *o->parameters);
  for (int s = 0; s < from->n_states; s++) {
    const moire__state_info *info = &from->states[s];
    if (info->trained && !moire__patterns_match(o->training->freeze, o->training->n_freeze, info->name))
      add_parameter(o, info, nodes[s]);
  }
  for (int i = 0; i < o->n; i++) {
    pin(o, &o->parameters[i]);
    accumulate(o, &o->parameters[i]);
    clip_value(o, &o->parameters[i]);
    unpin(o);
  }
  clip_norm(o, report_norm);
  for (int i = 0; i < o->n; i++) {
    pin(o, &o->parameters[i]);
    step(o, &o->parameters[i]);
    unpin(o);
  }
}

moire_graph *moire__pass_optimize(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  const moire_training_options *training = &goal->training;
  bool sums = goal->part == MOIRE_PART_SUMS, steps = training->optimizer != MOIRE_OPTIMIZER_NONE && !sums;
  if (moire_training_check(training, error) || (steps && check_patterns(g, training, error))) return NULL;
  optimize o = {.r = moire__rewrite_all(g), .training = training};
  for (int i = 0; i < g->n_outputs; i++) {
    const char *name = g->outputs[i].name;
    if (is_gradient(name) && !goal->keep_gradients && !sums) continue;
    moire_output_at(MOIRE__NOWHERE, o.r.to, name, moire__rewrite_value(&o.r, g->outputs[i].value));
  }
  for (int i = 0; i < g->n_updates; i++) {
    moire_update_at(MOIRE__NOWHERE, o.r.to, g->updates[i].name,
                    moire__rewrite_value(&o.r, g->updates[i].value));
  }
  if (steps) step_all(&o, moire__goal_wants(goal, MOIRE_GRADIENT_NORM));
  moire__arena_free(&o.arena);
  return moire__rewrite_finish_bare(&o.r, error);
}
