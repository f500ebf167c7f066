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
 * With `sparse`, a table of which rows are looked up is stepped by these rows (optimize_rows.h), of which
 * another state tells how far they are, adam.since.<p>. Where they are to be exact, whatever looks them up
 * reads them caught up. With goal->part CATCH_UP the graph becomes one that does this to all rows, and nothing
 * else.
 *
 * With several batches a step, each batch runs the whole step, and keeps of it the sum alone unless it is the
 * last: states become where(last, new, old).
 *
 * requires: autodiff has run
 * ensures: outputs "grad.*" only if the goal keeps them; they are those of the batch, before they are clipped
 */
#include "compiler/pass/optimize_rows.h"
#include "compiler/pass/patterns.h"

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
  moire_value value;
  moire_value gradients[MOIRE__MOST_LISTS]; /* one; of rows, one for each list */
  int n_gradients;
  const moire__row_table *table; /* NULL: it is stepped whole */
  moire__row_state rows;         /* what is stepped of a table */
  moire_value lists[MOIRE__MOST_LISTS];
} parameter;

typedef struct optimize {
  moire__rewrite r;
  const moire_training_options *training;
  moire_value scalars;                               /* null until one is read */
  moire_value numbers[MOIRE_MOST_OPTIMIZER_SCALARS]; /* of them, each null until it is read */
  moire_value history, done;                         /* null until they are read */
  moire__row_table **tables;                         /* by state; NULL: all are stepped whole */
  moire__row_state *caught;                          /* by state: a table whose rows are caught up */
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

/* An input that is no parameter's own. */
static moire_value common_input(optimize *o, const char *name, moire_dtype dtype, moire_shape shape) {
  bool pinned = o->r.to->pinned;
  o->r.to->pinned = false;
  moire_value input = moire_input_at(MOIRE__NOWHERE, o->r.to, name, dtype, shape);
  o->r.to->pinned = pinned;
  return input;
}

/* Scalar i of the input. */
static moire_value number(optimize *o, int i) {
  if (o->numbers[i].graph) return o->numbers[i];
  moire_graph *to = o->r.to;
  if (!o->scalars.graph)
    o->scalars =
        common_input(o, "optimizer.scalars", MOIRE_F32, MOIRE_SHAPE(moire_optimizer_scalar_count(o->training)));
  bool pinned = to->pinned;
  to->pinned = false; /* it is no parameter's own, either */
  moire_value one = moire_slice_at(MOIRE__NOWHERE, o->scalars, 0, i, 1);
  o->numbers[i] = moire_reshape_at(MOIRE__NOWHERE, one, MOIRE_SCALAR);
  to->pinned = pinned;
  return o->numbers[i];
}

/* How many steps of the optimizer are done. */
static moire_value steps_done(optimize *o) {
  if (!o->done.graph) o->done = common_input(o, "optimizer.step", MOIRE_I32, MOIRE_SCALAR);
  return o->done;
}

/* The numbers of those steps. */
static moire_value history(optimize *o) {
  static const char extent[] = "optimizer_steps";
  if (o->history.graph) return o->history;
  int steps = moire__graph_declare_extent(o->r.to, extent, sizeof extent - 1);
  moire_shape shape = MOIRE_SHAPE(moire__dim_make(1, steps), moire_optimizer_history_count(o->training));
  o->history = common_input(o, "optimizer.history", MOIRE_F64, shape);
  return o->history;
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

static moire_value state_named(optimize *o, const char *name) {
  moire__attr attr = moire__attr_make_text("name", name);
  return moire__graph_emit(o->r.to, MOIRE__NOWHERE, MOIRE__OP_state, NULL, 0, &attr, 1);
}

/* Reads a state that is declared as zeros. */
static moire_value read_zeros(optimize *o, const char *name, moire_dtype dtype, moire_shape shape) {
  moire__state_info info = {.name = name, .dtype = dtype, .shape = shape, .init = moire_init_constant(0)};
  if (moire__graph_declare_state(o->r.to, &info) != MOIRE_OK) return (moire_value){o->r.to, 0};
  return state_named(o, name);
}

static moire_value read_state(optimize *o, const parameter *p, const char *name) {
  return read_zeros(o, name, MOIRE_F32, p->info->shape);
}

static const char *name_state(optimize *o, const char *prefix, const parameter *p) {
  return moire__arena_printf(&o->arena, "%s.%s", prefix, p->info->name);
}

/* The state becomes `next`, in the last batch of a step. */
static void store(optimize *o, const parameter *p, const char *name, moire_value old, moire_value next) {
  if (o->training->accumulate > 1) next = choose(o, p, LAST, next, old);
  moire_update_at(MOIRE__NOWHERE, o->r.to, name, next);
}

/* Where a table and its rows stand. */
static moire__row_state read_rows(optimize *o, const parameter *p) {
  moire_shape rows = MOIRE_SHAPE(p->info->shape.dims[0]);
  return (moire__row_state){p->value, read_state(o, p, name_state(o, "adam.m", p)),
                            read_state(o, p, name_state(o, "adam.v", p)),
                            read_zeros(o, name_state(o, "adam.since", p), MOIRE_I32, rows)};
}

/* ---- Gradients ----------------------------------------------------------------------------------------------
 */

/* Over all batches of the step, where it has several. */
static void accumulate(optimize *o, parameter *p) {
  if (o->training->accumulate <= 1) return;
  const char *name = name_state(o, "optimizer.sum", p);
  moire_value before = read_state(o, p, name);
  moire_value term = moire_mul_at(MOIRE__NOWHERE, p->gradients[0], spread(o, p, WEIGHT));
  moire_value sum = choose(o, p, FIRST, term, moire_add_at(MOIRE__NOWHERE, before, term));
  moire_update_at(MOIRE__NOWHERE, o->r.to, name, sum);
  p->gradients[0] = moire_mul_at(MOIRE__NOWHERE, sum, spread(o, p, SCALE));
}

/* Comparisons are made so that NaN stays. */
static void clip_value(optimize *o, parameter *p) {
  double most = o->training->clip_value;
  for (int i = 0; i < p->n_gradients && most > 0; i++) {
    moire_value g = p->gradients[i];
    moire_shape shape = moire_value_shape(g);
    moire_value high = moire_constant_at(MOIRE__NOWHERE, o->r.to, MOIRE_F32, shape, most);
    moire_value low = moire_constant_at(MOIRE__NOWHERE, o->r.to, MOIRE_F32, shape, -most);
    g = moire_where_at(MOIRE__NOWHERE, moire_less_at(MOIRE__NOWHERE, high, g), high, g);
    p->gradients[i] = moire_where_at(MOIRE__NOWHERE, moire_less_at(MOIRE__NOWHERE, g, low), low, g);
  }
}

/* Rows first: sums of few terms each, that are many threads' work. */
static moire_value sum_of_squares(moire_value gradient) {
  int rank = moire_value_shape(gradient).rank;
  moire_value squares = moire_mul_at(MOIRE__NOWHERE, gradient, gradient);
  if (rank > 1) squares = moire_sum_at(MOIRE__NOWHERE, squares, -1, false);
  return rank ? moire_sum_all_at(MOIRE__NOWHERE, squares) : squares;
}

/* The norm of all gradients together. */
static moire_value norm_of_all(optimize *o) {
  moire_value total = {0};
  for (int i = 0; i < o->n; i++) {
    const parameter *p = &o->parameters[i];
    pin(o, p);
    for (int k = 0; k < p->n_gradients; k++) {
      moire_value term = sum_of_squares(p->gradients[k]);
      total = i || k ? moire_add_at(MOIRE__NOWHERE, total, term) : term;
    }
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
    for (int k = 0; k < p->n_gradients; k++) {
      moire_shape shape = moire_value_shape(p->gradients[k]);
      moire_value factors = moire_broadcast_at(MOIRE__NOWHERE, factor, shape);
      p->gradients[k] = moire_mul_at(MOIRE__NOWHERE, p->gradients[k], factors);
    }
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
                             p->gradients[0],
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
  moire_value operands[5] = {p->value, p->gradients[0], read_state(o, p, name), group_number(o, p, STEP),
                             group_number(o, p, BIAS)};
  moire__attr attrs[3] = {moire__attr_make_real("momentum", p->numbers.momentum),
                          moire__attr_make_real("weight_decay", p->numbers.weight_decay),
                          moire__attr_make_int("nesterov", o->training->nesterov)};
  moire_value stepped = moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_momentum, operands, 5, attrs, 3);
  if (moire_value_is_null(stepped)) return stepped;
  store(o, p, name, operands[2], stepped);
  return moire__value(to, stepped.id + 1);
}

static void store_rows(optimize *o, const moire__state_info *info, const moire__row_state *next) {
  parameter p = {.info = info};
  moire_update_at(MOIRE__NOWHERE, o->r.to, name_state(o, "adam.m", &p), next->m);
  moire_update_at(MOIRE__NOWHERE, o->r.to, name_state(o, "adam.v", &p), next->v);
  moire_update_at(MOIRE__NOWHERE, o->r.to, name_state(o, "adam.since", &p), next->since);
  moire_update_at(MOIRE__NOWHERE, o->r.to, info->name, next->p);
}

static moire__row_numbers row_numbers(const optimize *o, const parameter *p) {
  const moire_parameter_group *n = &p->numbers;
  bool decoupled = o->training->optimizer == MOIRE_OPTIMIZER_ADAMW;
  return (moire__row_numbers){.b1 = n->beta1,
                              .b2 = n->beta2,
                              .eps = n->eps,
                              .weight_decay = decoupled ? 0 : n->weight_decay,
                              .decays = decoupled && n->weight_decay > 0,
                              .group = p->group};
}

static void step_table(optimize *o, const parameter *p) {
  moire__row_numbers numbers = row_numbers(o, p);
  moire_value one = moire_constant_at(MOIRE__NOWHERE, o->r.to, MOIRE_F32, MOIRE_SCALAR, 1);
  moire_value scalars[] = {group_number(o, p, STEP), group_number(o, p, BIAS),
                           numbers.decays ? group_number(o, p, DECAY) : one};
  moire__row_state next =
      moire__row_step(o->r.to, p->table, &p->rows, &numbers, steps_done(o), scalars, p->lists, p->gradients);
  if (!moire_value_is_null(next.p)) store_rows(o, p->info, &next);
}

/* p - lr (g + weight_decay p) */
static moire_value step_descent(optimize *o, const parameter *p) {
  double decay = p->numbers.weight_decay;
  moire_value g = p->gradients[0];
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
  if (p->table) {
    step_table(o, p);
    return;
  }
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

/* The table's rows that have a gradient, and the sums of it. */
static void add_table(optimize *o, parameter *p, int s) {
  const moire__row_table *t = o->tables[s];
  moire_value values[MOIRE__MOST_LISTS];
  p->table = t;
  for (int i = 0; i < t->n; i++) {
    p->lists[i] = moire__rewrite_value(&o->r, t->rows[i]);
    values[i] = moire__rewrite_value(&o->r, t->values[i]);
  }
  p->rows = o->training->sparse == MOIRE_SPARSE_EXACT ? o->caught[s] : read_rows(o, p);
  p->rows.since = moire__row_claim(o->r.to, t, p->rows.since, p->lists);
  p->n_gradients = t->n;
  for (int i = 0; i < t->n; i++)
    p->gradients[i] = moire__row_sum(o->r.to, t, p->rows.since, p->lists, values, i);
}

static void add_parameter(optimize *o, int s, const moire__node *like) {
  const moire_graph *from = o->r.from;
  const moire__state_info *info = &from->states[s];
  const char *output = moire__arena_printf(&o->arena, "%s%s", gradient_prefix, info->name);
  int32_t gradient = moire__graph_find_output(from, output);
  if (!gradient) {
    moire_graph_fail(o->r.to, MOIRE_ERROR_INTERNAL, "parameter %s has no gradient", info->name);
    return;
  }
  if (moire__gradient_is_absent(from, gradient)) return;
  parameter *p = &o->parameters[o->n++];
  *p = (parameter){.info = info, .like = like, .n_gradients = 1};
  find_group(o->training, p);
  pin(o, p);
  p->value = p->like ? moire__rewrite_value(&o->r, p->like->first_result) : state_named(o, info->name);
  if (o->tables && o->tables[s])
    add_table(o, p, s);
  else
    p->gradients[0] = moire__rewrite_value(&o->r, gradient);
  unpin(o);
}

static void step_all(optimize *o, bool report_norm) {
  const moire_graph *from = o->r.from;
  const moire__node **nodes = state_nodes(from, &o->arena);
  o->parameters = moire__arena_array(&o->arena, (size_t)from->n_states + 1, sizeof *o->parameters);
  for (int s = 0; s < from->n_states; s++) {
    const moire__state_info *info = &from->states[s];
    if (info->trained && !moire__patterns_match(o->training->freeze, o->training->n_freeze, info->name))
      add_parameter(o, s, nodes[s]);
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

/* ---- Tables of which rows are stepped -----------------------------------------------------------------------
 */

static moire_status check_table(const optimize *o, const moire__row_table *t, moire_error *error) {
  const moire_training_options *training = o->training;
  parameter p = {.info = t->info};
  find_group(training, &p);
  const moire_parameter_group *n = &p.numbers;
  const char *name = t->info->name;
  if (t->whole)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "sparse: %s is looked up by rows, but %s: wanted a loss that reads some of its rows "
                      "(sampled_softmax, gbce), or sparse: off",
                      name, t->whole);
  if (training->sparse != MOIRE_SPARSE_EXACT) return MOIRE_OK;
  if (training->optimizer == MOIRE_OPTIMIZER_ADAM && n->weight_decay > 0)
    return moire_fail(
        error, MOIRE_ERROR_UNSUPPORTED,
        "sparse: exact: adam adds weight_decay %g of all rows of %s to its gradient in every step: wanted "
        "optimizer: adamw, weight_decay: 0 for it, or sparse: lazy",
        n->weight_decay, name);
  if (n->lr * n->weight_decay >= 1 || n->beta2 < 1e-6)
    return moire_fail(
        error, MOIRE_ERROR_UNSUPPORTED,
        "sparse: exact: %s has lr %g, weight_decay %g and beta2 %g: wanted lr * weight_decay below 1 "
        "and beta2 above 1e-6",
        name, n->lr, n->weight_decay, n->beta2);
  return MOIRE_OK;
}

static moire_status find_tables(optimize *o, const moire_graph *g, moire_part part, moire_error *error) {
  if (o->training->sparse == MOIRE_SPARSE_OFF) return MOIRE_OK;
  if (part == MOIRE_PART_SUMS || part == MOIRE_PART_STEP)
    return moire_fail(
        error, MOIRE_ERROR_UNSUPPORTED,
        "sparse: gradients of rows are not summed by groups of a batch: wanted batch_groups: 0 and one "
        "process, or sparse: off");
  o->tables = moire__row_tables_find(g, o->training, &o->arena);
  o->caught = moire__arena_array(&o->arena, (size_t)g->n_states + 1, sizeof *o->caught);
  int n = 0;
  for (int s = 0; s < g->n_states; s++) {
    if (!o->tables[s]) continue;
    n++;
    moire_status status = check_table(o, o->tables[s], error);
    if (status) return status;
  }
  if (n) return MOIRE_OK;
  return moire_fail(
      error, MOIRE_ERROR_UNSUPPORTED,
      "sparse: no parameter that is trained is a table whose rows are looked up: wanted sparse: off");
}

/* The table after the steps that rows of its lists have missed, or all rows. */
static moire__row_state catch_up(optimize *o, const moire__row_table *t, const moire__node *like, bool all) {
  parameter p = {.info = t->info, .like = like};
  moire_value lists[MOIRE__MOST_LISTS];
  find_group(o->training, &p);
  pin(o, &p);
  p.value = state_named(o, t->info->name);
  moire__row_state before = read_rows(o, &p);
  moire__row_numbers numbers = row_numbers(o, &p);
  for (int i = 0; i < t->n_reads && !all; i++) lists[i] = moire__rewrite_value(&o->r, t->reads[i]);
  moire__row_state after =
      moire__row_catch_up(o->r.to, &before, &numbers, history(o), steps_done(o), lists, all ? 0 : t->n_reads);
  unpin(o);
  return after;
}

/* Everything that the tables' lists are made of comes first; then the tables, caught up, and all else. */
static void clone_caught_up(optimize *o) {
  const moire_graph *from = o->r.from;
  const moire__node **nodes = state_nodes(from, &o->arena);
  const bool *needed = moire__row_tables_need(from, o->tables, &o->arena);
  for (int n = 0; n < from->n_nodes; n++) {
    if (needed[n]) moire__rewrite_clone(&o->r, &from->nodes[n]);
  }
  for (int s = 0; s < from->n_states; s++) {
    if (o->tables[s]) o->caught[s] = catch_up(o, o->tables[s], nodes[s], false);
  }
  for (int n = 0; n < from->n_nodes; n++) {
    const moire__node *node = &from->nodes[n];
    int s = node->op == MOIRE__OP_state ? moire__graph_find_state(from, moire__node_text(node, "name")) : -1;
    if (s >= 0 && o->tables[s])
      moire__rewrite_set(&o->r, node->first_result, o->caught[s].p);
    else if (!needed[n])
      moire__rewrite_clone(&o->r, node);
  }
}

/* A graph that catches all rows up. */
static moire_graph *catch_all_up(optimize *o, const moire_graph *g, moire_error *error) {
  const moire__node **nodes = state_nodes(g, &o->arena);
  o->r = moire__rewrite_begin_with(g, 0);
  for (int s = 0; s < g->n_states && o->training->sparse == MOIRE_SPARSE_EXACT; s++) {
    if (!o->tables[s]) continue;
    moire__row_state next = catch_up(o, o->tables[s], nodes[s], true);
    if (!moire_value_is_null(next.p)) store_rows(o, &g->states[s], &next);
  }
  return moire__rewrite_finish_bare(&o->r, error);
}

static moire__rewrite clone_all(optimize *o, const moire_graph *g) {
  if (!o->tables || o->training->sparse != MOIRE_SPARSE_EXACT) return moire__rewrite_all(g);
  o->r = moire__rewrite_begin(g);
  clone_caught_up(o);
  return o->r;
}

moire_graph *moire__pass_optimize(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  const moire_training_options *training = &goal->training;
  bool sums = goal->part == MOIRE_PART_SUMS, steps = training->optimizer != MOIRE_OPTIMIZER_NONE && !sums;
  if (moire_training_check(training, error) || (steps && check_patterns(g, training, error))) return NULL;
  optimize o = {.training = training};
  moire_graph *done = NULL;
  bool fits = training->optimizer == MOIRE_OPTIMIZER_NONE || !find_tables(&o, g, goal->part, error);
  if (fits && goal->part == MOIRE_PART_CATCH_UP) done = catch_all_up(&o, g, error);
  if (!fits || goal->part == MOIRE_PART_CATCH_UP) {
    moire__arena_free(&o.arena);
    return done;
  }
  o.r = clone_all(&o, g);
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
