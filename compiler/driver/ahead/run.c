/* The interface of any graph: structs of inputs and outputs, which have the graph's names, and training on
 * them.
 *
 * A port is an input or an output of the graph with its field in the structs. Its numbers are those of the
 * plans' inputs (in the order of `inputs`) or outputs; a complex one has two, for its planes. Where the samples
 * of a batch are computed apart it is cut into slices, otherwise computed at once. */
#include "compiler/driver/ahead/interface.h"
#include "compiler/driver/ahead/ports.h"
#include "compiler/driver/ahead/rows.h"
#include "compiler/ir/op.h"
#include "runtime/base/planes.h"

#include <string.h>

/* ---- Ports ------------------------------------------------------------------------------------------ */

static void name_planes(moire__ahead *a, moire__ahead_port *p) {
  p->planes[0] = p->name;
  for (int i = 0; i < 2 && p->dtype == MOIRE_C64; i++)
    p->planes[i] = moire__arena_printf(&a->arena, "%s%s", p->name, moire__plane_suffix(i));
}

/* Either one sample after the other, or the same for all. */
static bool is_laid_out(const moire__ahead_port *p) {
  for (int i = 0; i < p->shape.rank; i++) {
    moire_dim d = p->shape.dims[i];
    if (!moire__dim_is_static(d) && (i > 0 || moire__dim_extents(d) != 1 || moire__dim_factor(d) != 1))
      return false;
  }
  return true;
}

static moire_status check_port(const moire_graph *g, const char *what, const moire__ahead_port *p,
                               moire_error *error) {
  if (is_laid_out(p)) return MOIRE_OK;
  moire__text type = {0};
  moire__text_add_type(&type, g, p->dtype, &p->shape);
  moire_status status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                                   "%s %s is %s: a library that runs takes and gives B samples, B as the first "
                                   "axis and no other named extent",
                                   what, p->name, moire__text_string(&type));
  moire__text_free(&type);
  return status;
}

static moire__ahead_port *find_port(moire__ahead_port *list, int n, const char *name) {
  for (int i = 0; i < n; i++) {
    if (!strcmp(list[i].name, name)) return &list[i];
  }
  return NULL;
}

/* The inputs of g that are not among the ports yet, but for the one that the library gives itself. */
static moire_status add_inputs(moire__ahead *a, moire__ahead_ports *all, const moire_graph *g,
                               moire_error *error) {
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    if (node->op != MOIRE__OP_input || !strcmp(moire__node_text(node, "name"), "rng")) continue;
    const moire__value_info *info = &g->values[node->first_result];
    moire__ahead_port p = {.name = moire__node_text(node, "name"), .dtype = info->dtype, .shape = info->shape};
    moire_status status = check_port(g, "input", &p, error);
    if (status) return status;
    const moire__ahead_port *known = find_port(all->inputs, all->n_inputs, p.name);
    if (known && (known->dtype != p.dtype || !moire__shape_equal(&known->shape, &p.shape)))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "input %s: the graphs for inference and for training have it in two types or shapes",
                        p.name);
    if (known) continue;
    p.field = moire__ahead_field(a, p.name, all->inputs, all->n_inputs);
    name_planes(a, &p);
    all->inputs[all->n_inputs++] = p;
  }
  return MOIRE_OK;
}

static int count_inputs(const moire_graph *g) {
  int n = 0;
  for (int i = 0; g && i < g->n_nodes; i++) n += g->nodes[i].op == MOIRE__OP_input;
  return n;
}

/* ---- What is asked for ------------------------------------------------------------------------------ */

static bool is_measure(const char *output) { return !strcmp(output, "loss") || moire__metric_name(output); }

static moire_status add_output(moire__ahead *a, moire__ahead_ports *all, const char *name, moire_error *error) {
  const moire_graph *g = a->model->inference;
  int32_t value = moire__graph_find_output(g, name);
  if (!value) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s has no output %s", g->name, name);
  if (find_port(all->outputs, all->n_outputs, name))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "output %s is asked for twice", name);
  moire__ahead_port p = {
      .name = name, .dtype = g->values[value].dtype, .shape = g->values[value].shape, .serves = true};
  moire_status status = check_port(g, "output", &p, error);
  p.field = moire__ahead_field(a, name, all->outputs, all->n_outputs);
  name_planes(a, &p);
  all->outputs[all->n_outputs++] = p;
  return status;
}

static moire_status find_outputs(moire__ahead *a, moire__ahead_ports *all, moire_error *error) {
  const moire_graph *g = a->model->inference;
  int n = a->model->outputs ? a->model->n_outputs : g->n_outputs;
  moire_status status = MOIRE_OK;
  all->outputs = moire__arena_array(&a->arena, (size_t)n + 1, sizeof *all->outputs);
  for (int i = 0; i < n && !status; i++) {
    const char *name = a->model->outputs ? a->model->outputs[i] : g->outputs[i].name;
    if (a->model->outputs || !is_measure(name)) status = add_output(a, all, name, error);
  }
  if (status || all->n_outputs) return status;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "the graph %s: wanted an output beside the loss and the metrics, for the library to give",
                    g->name);
}

/* The first named extent is B, by which the layout of inputs and outputs is told. Without any, all of them are
 * the same for every number of samples. */
static moire_status check_extents(const moire_graph *g, moire_error *error) {
  if (!g->n_extents) return MOIRE_OK;
  if (!strcmp(g->extents[1], "B")) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                    "the graph %s: wanted the named extent B, and that it is the first", g->name);
}

static moire_status choose(moire__ahead *a, moire_error *error) {
  const moire_graph *graphs[] = {a->model->inference, a->model->training};
  moire__ahead_ports *all = moire__arena_alloc(&a->arena, sizeof *all);
  *all = (moire__ahead_ports){0};
  a->own = all;
  all->inputs = moire__arena_array(&a->arena, (size_t)(count_inputs(graphs[0]) + count_inputs(graphs[1])) + 1,
                                   sizeof *all->inputs);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < 2 && graphs[i] && !status; i++) {
    status = check_extents(graphs[i], error);
    if (!status) status = add_inputs(a, all, graphs[i], error);
  }
  if (!status) status = find_outputs(a, all, error);
  if (status) return status;
  const char **names = moire__arena_array(&a->arena, (size_t)all->n_outputs + 1, sizeof *names);
  for (int i = 0; i < all->n_outputs; i++) names[i] = all->outputs[i].name;
  a->served[0] =
      (moire__ahead_served){.name = "run", .outputs = names, .n_outputs = all->n_outputs, .folds = true};
  return MOIRE_OK;
}

/* ---- Look-ups --------------------------------------------------------------------------------------- */

/* Inputs that name the rows of a table, or a class, must name one that is there. */
static void find_look_ups(moire__ahead_ports *all, const moire_graph *g) {
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    if (node->op != MOIRE__OP_gather && node->op != MOIRE__OP_cross_entropy) continue;
    const moire__node *input = moire__ahead_input_behind(g, node->operands[1]);
    moire__ahead_port *p =
        input ? find_port(all->inputs, all->n_inputs, moire__node_text(input, "name")) : NULL;
    const moire_shape *table = &g->values[node->operands[0]].shape;
    moire_dim rows = table->dims[node->op == MOIRE__OP_gather ? 0 : 1];
    if (!p || !moire__dim_is_static(rows)) continue;
    if (!p->rows || rows < p->rows) p->rows = rows;
  }
}

/* ---- Checking --------------------------------------------------------------------------------------- */

/* Whether a plan of any version reads the port. */
static bool reads(const moire__ahead *a, int module, const moire__ahead_port *p) {
  for (int l = 0; l < a->n_levels; l++) {
    const moire__module *m = a->levels[l].modules[module];
    for (int i = 0; i < 2 && m; i++) {
      if (p->planes[i] && moire__ahead_find_buffer(&m->plan, MOIRE_PLAN_INPUT, p->planes[i])) return true;
    }
  }
  return false;
}

/* Numbers the ports, and lists their names in plans in that order. */
static const char *const *number_ports(moire__ahead *a, moire__ahead_port *list, int n, int *n_names) {
  const char **names = moire__arena_array(&a->arena, 2 * (size_t)n + 1, sizeof *names);
  int count = 0;
  for (int i = 0; i < n; i++) {
    list[i].number = count;
    for (int j = 0; j < 2 && list[i].planes[j]; j++) names[count++] = list[i].planes[j];
  }
  *n_names = count;
  return names;
}

static moire_status check_loss(const moire__ahead *a, moire_error *error) {
  const moire_plan *plan = &a->levels[0].modules[MOIRE__AHEAD_STEP]->plan;
  const moire_plan_buffer *loss = moire__ahead_find_buffer(plan, MOIRE_PLAN_OUTPUT, "loss");
  if (loss && loss->dtype == MOIRE_F32 && loss->elements == 1) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s: wanted the output loss f32[]", plan->name);
}

static moire_status check(moire__ahead *a, moire_error *error) {
  moire__ahead_ports *all = a->own;
  const char *const *outputs = a->served[0].outputs;
  int count = 0;
  bool apart = moire__ahead_rows_are_apart(a->model->inference, outputs, a->served[0].n_outputs);
  if (moire__ahead_find_buffer(&a->levels[0].modules[0]->plan, MOIRE_PLAN_INPUT, "rng"))
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "the graph %s draws random numbers, which a library that runs has none of",
                      a->model->inference->name);
  find_look_ups(all, a->model->inference);
  if (a->model->training) find_look_ups(all, a->model->training);
  for (int i = 0; i < all->n_inputs; i++) {
    moire__ahead_port *p = &all->inputs[i];
    p->serves = reads(a, 0, p);
    p->trains = reads(a, MOIRE__AHEAD_STEP, p) || reads(a, MOIRE__AHEAD_LOSS, p);
  }
  a->inputs = number_ports(a, all->inputs, all->n_inputs, &count);
  a->served[0].outputs = number_ports(a, all->outputs, all->n_outputs, &count);
  a->served[0].n_outputs = count;
  if (!apart) a->slice = MOIRE__AHEAD_MAX_BATCH;
  return a->model->training ? check_loss(a, error) : MOIRE_OK;
}

static const char *const files[] = {"packed.c", "ports.c", "run.c", NULL};
static const char *const training_files[] = {"run_train.c", NULL};
static const char *const units[] = {"runtime/base/packing", NULL};

const moire__ahead_interface moire__ahead_run = {.name = "run",
                                                 .files = files,
                                                 .training_files = training_files,
                                                 .units = units,
                                                 .choose = choose,
                                                 .check = check,
                                                 .write_fields = moire__ahead_write_fields,
                                                 .write_python = moire__ahead_write_python_fields,
                                                 .write_tables = moire__ahead_write_ports};
