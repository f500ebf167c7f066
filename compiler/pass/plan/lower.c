/* lower: from a fused graph to loop nests and the plan that runs them.
 *
 * Kernels of the graph are taken in their order; each becomes one loop nest, or several where a reduction is
 * done in pieces. Values that other kernels, outputs or updates read get buffers. A new value of a state is
 * written where the old one stands if its kernel is element-wise, reads the old value at the same element only,
 * and no later kernel reads it; or if it is the result of an op that takes its operand's place. Loop nests of
 * equal text are compiled once.
 *
 * Requires: fuse. Ensures: every kernel is verified; the order of steps is that of the kernel numbers. Breaks:
 * the bounds of gathers are the caller's promise (row numbers are checked where they enter the runtime).
 */
#include "compiler/pass/fuse/fuse_private.h"
#include "compiler/pass/plan/lower_private.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/walk.h"
#include "compiler/ir/packing.h"
#include "compiler/pass/plan/module.h"
#include "compiler/pass/plan/share.h"
#include "compiler/pass/plan/weight_names.h"
#include "runtime/base/layout.h"

#include <string.h>

typedef struct lower_state {
  moire__module *m;
  moire__arena scratch; /* of one group */
  const moire_graph *g;
  moire__lower_target target;
  const int *uses;
  int n_groups;
  int **nodes; /* of every kernel: its nodes in order */
  int *n_nodes;
  bool *stored;          /* of every value */
  int *last_reader;      /* of every value: highest kernel that reads it, -1: none */
  int *mapped_reader;    /* of every value: highest kernel that reads it at another element than its own, -1 */
  int32_t *state_values; /* of every state: the value of its only node, 0: none or several */
  int32_t *in_place;     /* of every value: the state's value that it replaces */
  int *buffer;           /* of every value: plan buffer + 1 */
  const char **outputs;  /* of every value: the first output that it is, NULL: none */
  moire__weight_names weights;
  moire__row_tables tables;
  moire__loop_value *registers; /* of every value: see moire__lowering */
  int *visited, visit;
  moire_plan_buffer *buffers;
  int n_buffers, buffer_capacity;
  moire_plan_step *steps;
  int n_steps, step_capacity;
  moire__module_step *origins; /* [n_steps] */
  int n_origins, origin_capacity;
  moire_plan_update *updates;
  int n_updates, update_capacity;
} lower_state;

/* ---- who reads what ---- */

static void note_reads(lower_state *s, int32_t value, int kernel, bool mapped) {
  const moire__node *node = moire__node_of(s->g, value);
  bool inlined = node->kernel < 0 && moire__is_view(node);
  if (inlined || (node->kernel == kernel && mapped)) {
    for (int i = 0; i < node->n_operands; i++) note_reads(s, node->operands[i], kernel, true);
    return;
  }
  if (kernel > s->last_reader[value]) s->last_reader[value] = kernel;
  if (mapped && kernel > s->mapped_reader[value]) s->mapped_reader[value] = kernel;
  if (node->kernel >= 0 && node->kernel != kernel) s->stored[value] = true;
}

static void find_readers(lower_state *s) {
  for (int i = 0; i < s->g->n_nodes; i++) {
    const moire__node *node = &s->g->nodes[i];
    if (node->kernel < 0) continue;
    moire__op_class class = moire__op_get(node->op)->op_class;
    bool mapped = class != MOIRE__CLASS_POINTWISE;
    for (int o = 0; o < node->n_operands; o++) note_reads(s, node->operands[o], node->kernel, mapped);
  }
  for (int i = 0; i < s->g->n_outputs; i++) s->stored[s->g->outputs[i].value] = true;
  for (int i = 0; i < s->g->n_updates; i++) s->stored[s->g->updates[i].value] = true;
}

static void collect_groups(lower_state *s) {
  for (int i = 0; i < s->g->n_nodes; i++) {
    if (s->g->nodes[i].kernel >= s->n_groups) s->n_groups = s->g->nodes[i].kernel + 1;
  }
  moire__arena *arena = &s->m->arena;
  s->nodes = moire__arena_array(arena, (size_t)s->n_groups + 1, sizeof *s->nodes);
  s->n_nodes = moire__arena_array(arena, (size_t)s->n_groups + 1, sizeof *s->n_nodes);
  for (int i = 0; i < s->g->n_nodes; i++) {
    if (s->g->nodes[i].kernel >= 0) s->n_nodes[s->g->nodes[i].kernel]++;
  }
  for (int k = 0; k < s->n_groups; k++) {
    s->nodes[k] = moire__arena_array(arena, (size_t)s->n_nodes[k] + 1, sizeof **s->nodes);
    s->n_nodes[k] = 0;
  }
  for (int i = 0; i < s->g->n_nodes; i++) {
    int k = s->g->nodes[i].kernel;
    if (k >= 0) s->nodes[k][s->n_nodes[k]++] = i;
  }
}

static bool is_elementwise_group(const lower_state *s, int kernel) {
  for (int i = 0; i < s->n_nodes[kernel]; i++) {
    const moire__node *node = &s->g->nodes[s->nodes[kernel][i]];
    if (moire__op_get(node->op)->op_class != MOIRE__CLASS_POINTWISE) return false;
  }
  return true;
}

/* The value of each state's only node, 0: there is none, or several. */
static void find_state_values(lower_state *s) {
  const moire_graph *g = s->g;
  int *times = moire__arena_array(&s->m->arena, (size_t)g->n_states + 1, sizeof *times);
  s->state_values = moire__arena_array(&s->m->arena, (size_t)g->n_states + 1, sizeof *s->state_values);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op != MOIRE__OP_state) continue;
    int state = moire__graph_find_state(g, moire__node_text(node, "name"));
    s->state_values[state] = times[state]++ ? 0 : node->first_result;
  }
}

static int32_t state_value(const lower_state *s, const char *name) {
  return s->state_values[moire__graph_find_state(s->g, name)];
}

static void find_in_place(lower_state *s) {
  for (int i = 0; i < s->g->n_updates; i++) {
    int32_t value = s->g->updates[i].value, old = state_value(s, s->g->updates[i].name);
    int kernel = moire__node_of(s->g, value)->kernel;
    if (!old || kernel < 0 || !is_elementwise_group(s, kernel)) continue;
    bool free = s->last_reader[old] <= kernel && s->mapped_reader[old] < kernel;
    if (free && s->last_reader[value] <= kernel) s->in_place[value] = old;
  }
}

/* What reads a value runs before the kernel that takes its place: layout and fuse see to it. */
static moire_status check_places(const lower_state *s, moire_error *error) {
  for (int i = 0; i < s->g->n_nodes; i++) {
    const moire__node *node = &s->g->nodes[i];
    for (int o = 0; moire__takes_places(node) && o < node->n_results; o++) {
      if (s->last_reader[node->operands[o]] <= node->kernel) continue;
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "lower: %s takes the place of %%%d, which is read later",
                        moire__op_get(node->op)->name, (int)node->operands[o]);
    }
  }
  return MOIRE_OK;
}

/* ---- buffers ---- */

static int add_buffer(lower_state *s, const char *name, moire_plan_role role, moire_dtype dtype,
                      moire_shape shape) {
  moire_plan_buffer buffer = {.name = name, .role = role, .dtype = dtype, .shape = shape};
  moire__shape_elements(&shape, &buffer.elements);
  MOIRE__PUSH(&s->m->arena, s->buffers, s->n_buffers, s->buffer_capacity, buffer);
  return s->n_buffers - 1;
}

static int buffer_of(lower_state *s, int32_t value) {
  if (s->buffer[value]) return s->buffer[value] - 1;
  const moire__value_info *info = &s->g->values[value];
  const moire__node *node = &s->g->nodes[info->node];
  if (moire__takes_places(node)) {
    int place = buffer_of(s, node->operands[value - node->first_result]);
    s->buffer[value] = place + 1;
    return place;
  }
  const char *output = s->outputs[value];
  moire_plan_role role = output ? MOIRE_PLAN_OUTPUT : MOIRE_PLAN_TEMPORARY;
  const char *name = output;
  if (node->op == MOIRE__OP_input || node->op == MOIRE__OP_state) {
    role = node->op == MOIRE__OP_input ? MOIRE_PLAN_INPUT : MOIRE_PLAN_STATE;
    name = moire__node_text(node, "name");
  }
  if (!name) name = moire__op_get(node->op)->name;
  s->buffer[value] = add_buffer(s, name, role, info->dtype, info->shape) + 1;
  return s->buffer[value] - 1;
}

/* ---- kernels and steps ---- */

static bool says(const char *const *words, int n, const char *word) {
  for (int i = 0; i < n; i++) {
    if (strcmp(words[i], word) == 0) return true;
  }
  return false;
}

/* " of q_proj.weight", " through" it where a gradient goes on to what it multiplied, " for" it where the
 * gradient is its own; without what the scope says already. */
static void add_weight(const lower_state *s, int kernel, const char *scope, moire__phase phase,
                       moire__text *name) {
  const char *reads = NULL, *gives = NULL;
  for (int i = 0; i < s->n_nodes[kernel]; i++) {
    int node = s->nodes[kernel][i];
    if (s->weights.reads[node]) reads = s->weights.reads[node];
    if (s->weights.gives[node]) gives = s->weights.gives[node];
  }
  const char *weight = gives ? gives : reads;
  if (!weight || phase == MOIRE__PHASE_OPTIMIZER) return;
  size_t n = strlen(scope);
  bool within = n && !strncmp(weight, scope, n) && weight[n] == '.';
  const char *relation = gives ? "for" : phase == MOIRE__PHASE_BACKWARD ? "through" : "of";
  moire__text_add(name, " %s %s", relation, within ? weight + n + 1 : weight);
}

/* "layers.0.attn.q_proj: complex_linear+bias of weight": the scope of the last node, and the words of the model
 * that the nodes come from, in order, each once; "backward" or "optimizer" if that is where the last node
 * belongs; and the parameter that a product is about. */
static const char *group_name(lower_state *s, int kernel) {
  static const char *const phases[] = {[MOIRE__PHASE_FORWARD] = "",
                                       [MOIRE__PHASE_BACKWARD] = " backward",
                                       [MOIRE__PHASE_OPTIMIZER] = " optimizer"};
  enum { MOST = 8 };
  const moire__node *last = &s->g->nodes[s->nodes[kernel][s->n_nodes[kernel] - 1]];
  const char *words[MOST];
  int n = 0;
  moire__text name = {0};
  moire__text_add(&name, "%s%s", last->scope, last->scope[0] ? ": " : "");
  for (int i = 0; i < s->n_nodes[kernel] && n < MOST; i++) {
    const char *word = s->g->nodes[s->nodes[kernel][i]].word;
    if (says(words, n, word)) continue;
    moire__text_add(&name, "%s%s", n ? "+" : "", word);
    words[n++] = word;
  }
  moire__text_add(&name, "%s", phases[last->phase]);
  add_weight(s, kernel, last->scope, last->phase, &name);
  const char *copy = moire__arena_copy_string(&s->m->arena, moire__text_string(&name));
  moire__text_free(&name);
  return copy;
}

static void attach_sources(lower_state *s, int group, moire__loop_kernel *kernel) {
  enum { MOST = 8 };
  moire_source *lines = moire__arena_array(&s->m->arena, MOST, sizeof *lines);
  int n = 0;
  for (int i = s->n_nodes[group] - 1; i >= 0 && n < MOST; i--) {
    moire_source at = s->g->nodes[s->nodes[group][i]].source;
    bool known = !at.file;
    for (int j = 0; j < n; j++)
      known = known || (lines[j].line == at.line && strcmp(lines[j].file, at.file) == 0);
    if (!known) lines[n++] = at;
  }
  kernel->sources = lines;
  kernel->n_sources = n;
}

/* The number of the distinct kernel with this text, its name and source lines aside. */
static int intern_kernel(lower_state *s, int group, moire__loop_kernel *kernel) {
  moire__module *m = s->m;
  moire__text text = {0};
  moire__loop_print_bare(kernel, &text);
  int number = moire__names_find(&m->texts, moire__text_string(&text));
  if (number < 0) {
    number = m->n_kernels;
    attach_sources(s, group, kernel);
    MOIRE__PUSH(&m->arena, m->kernels, m->n_kernels, m->kernel_capacity, kernel);
    moire__names_add(&m->texts, &m->arena, moire__arena_copy_string(&m->arena, moire__text_string(&text)));
  }
  moire__text_free(&text);
  return number;
}

static moire_status add_steps(lower_state *s, int group, const moire__lowered *lowered, moire_error *error) {
  int first_extra = s->n_buffers;
  for (int i = 0; i < lowered->n_extras; i++) {
    moire_shape shape = {1, {lowered->extras[i].elements}};
    add_buffer(s, MOIRE__PLAN_PIECES, MOIRE_PLAN_TEMPORARY, lowered->extras[i].dtype, shape);
  }
  for (int i = 0; i < lowered->n_kernels; i++) {
    const moire__lowered_kernel *from = &lowered->kernels[i];
    moire_status status = moire__loop_verify(from->kernel, error);
    if (status != MOIRE_OK) return status;
    int *buffers = moire__arena_array(&s->m->arena, (size_t)from->n_arguments + 1, sizeof *buffers);
    for (int a = 0; a < from->n_arguments; a++) {
      int32_t argument = from->arguments[a];
      buffers[a] = argument < 0 ? first_extra + (-1 - argument) : buffer_of(s, argument);
    }
    moire_plan_step step = {.kernel = intern_kernel(s, group, from->kernel),
                            .buffers = buffers,
                            .n_buffers = from->n_arguments,
                            .count = from->kernel->count,
                            .block = from->kernel->block,
                            .name = from->kernel->name};
    moire__module_step origin = {group, from->kernel};
    MOIRE__PUSH(&s->m->arena, s->steps, s->n_steps, s->step_capacity, step);
    MOIRE__PUSH(&s->m->arena, s->origins, s->n_origins, s->origin_capacity, origin);
  }
  return MOIRE_OK;
}

static moire_status lower_group(lower_state *s, int kernel, moire_error *error) {
  const int *nodes = s->nodes[kernel];
  int n = s->n_nodes[kernel];
  bool product = moire__op_get(s->g->nodes[nodes[0]].op)->op_class == MOIRE__CLASS_KERNEL;
  const moire__node *node = &s->g->nodes[nodes[product ? 0 : n - 1]];
  const moire__op_info *op = moire__op_get(node->op);
  moire__lowered lowered = {0};
  moire__lowering l = {.g = s->g,
                       .group = kernel,
                       .target = s->target,
                       .arena = &s->m->arena,
                       .scratch = &s->scratch,
                       .node = node,
                       .uses = s->uses,
                       .visited = s->visited,
                       .visit = &s->visit,
                       .registers = s->registers,
                       .epilogue = nodes + 1,
                       .n_epilogue = product ? n - 1 : 0,
                       .stored = s->stored,
                       .lowered = &lowered};
  moire__group group = {kernel,    s->nodes[kernel], s->n_nodes[kernel], group_name(s, kernel),
                        s->stored, s->in_place,      &s->tables};
  bool row = op->op_class == MOIRE__CLASS_POINTWISE || moire__fuse_is_row_reduction(s->g, node);
  bool copy = op->op_class == MOIRE__CLASS_VIEW || op->op_class == MOIRE__CLASS_SOURCE;
  if (copy) { /* nodes sunk into it are computed where it reads them */
    group.nodes += group.n_nodes - 1;
    group.n_nodes = 1;
  }
  bool turned = op->op_class == MOIRE__CLASS_VIEW && n == 1 && moire__lower_turned(&l, &group);
  if (turned) {
    /* it is done */
  } else if (row || copy) {
    moire__lower_rows(&l, &group);
  } else if (op->op_class == MOIRE__CLASS_REDUCE) {
    moire__lower_reduction(&l, &group);
  } else if (op->op_class == MOIRE__CLASS_KERNEL) {
    moire__lower_begin(&l, group.name);
    op->lower(&l);
  } else {
    return moire_fail(error, MOIRE_ERROR_INTERNAL, "lower: %s is not a primitive op (%s:%d)", op->name,
                      node->source.file, node->source.line);
  }
  return add_steps(s, kernel, &lowered, error);
}

static void add_updates(lower_state *s) {
  for (int i = 0; i < s->g->n_updates; i++) {
    int32_t value = s->g->updates[i].value;
    if (s->in_place[value]) continue;
    int32_t old = state_value(s, s->g->updates[i].name);
    if (old && buffer_of(s, value) == buffer_of(s, old)) continue; /* it stands there */
    const moire__state_info *state = &s->g->states[moire__graph_find_state(s->g, s->g->updates[i].name)];
    moire_plan_update update = {.from = buffer_of(s, value)};
    update.state =
        old ? buffer_of(s, old) : add_buffer(s, state->name, MOIRE_PLAN_STATE, state->dtype, state->shape);
    MOIRE__PUSH(&s->m->arena, s->updates, s->n_updates, s->update_capacity, update);
  }
}

static void add_states(lower_state *s) {
  const moire_graph *g = s->g;
  moire_plan_state *states = moire__arena_array(&s->m->arena, (size_t)g->n_states + 1, sizeof *states);
  for (int i = 0; i < g->n_states; i++) {
    const moire__state_info *from = &g->states[i];
    states[i] = (moire_plan_state){from->name, from->dtype, from->shape, from->init, from->trained};
  }
  s->m->plan.states = states;
  s->m->plan.n_states = g->n_states;
}

/* The number of the input buffer "<name>.<suffix>", -1: nothing reads it. */
static int packing_buffer(const lower_state *s, const char *name, const char *suffix) {
  size_t n = strlen(name);
  for (int i = 0; i < s->n_buffers; i++) {
    const moire_plan_buffer *b = &s->buffers[i];
    bool own = b->role == MOIRE_PLAN_INPUT && strncmp(b->name, name, n) == 0 && b->name[n] == '.';
    if (own && strcmp(b->name + n + 1, suffix) == 0) return i;
  }
  return -1;
}

/* What the pack pass leaves behind. */
static moire_status find_packing(lower_state *s, moire_error *error) {
  moire__graph_packing found;
  moire_plan_packing *p = &s->m->plan.packing;
  moire_status status = moire__graph_find_packing(s->g, &found, error);
  if (status || !found.extent) return status;
  *p = (moire_plan_packing){.extent = found.extent,
                            .ids = found.ids ? buffer_of(s, found.ids) : -1,
                            .lengths = found.lengths ? buffer_of(s, found.lengths) : -1,
                            .targets = found.targets ? buffer_of(s, found.targets) : -1,
                            .ignored = (int32_t)found.ignored,
                            .length = found.length,
                            .block = found.block,
                            .tokens = packing_buffer(s, found.name, "tokens"),
                            .slots = packing_buffer(s, found.name, "slots"),
                            .last = packing_buffer(s, found.name, "last"),
                            .ends = packing_buffer(s, found.name, "ends"),
                            .starts = packing_buffer(s, found.name, "starts"),
                            .counts = packing_buffer(s, found.name, "counts"),
                            .valid = packing_buffer(s, found.name, "valid")};
  return MOIRE_OK;
}

static moire_status lower_all(lower_state *s, moire_error *error) {
  collect_groups(s);
  find_readers(s);
  find_state_values(s);
  find_in_place(s);
  moire_status places = check_places(s, error);
  if (places != MOIRE_OK) return places;
  s->weights = moire__weight_names_find(s->g, &s->m->arena);
  for (int k = 0; k < s->n_groups; k++) {
    moire_status status = lower_group(s, k, error);
    moire__arena_free(&s->scratch);
    if (status != MOIRE_OK) return status;
  }
  moire_status shared = moire__share_kernels(s->m, s->steps, s->n_steps, error);
  if (shared != MOIRE_OK) return shared;
  for (int i = 0; i < s->g->n_outputs; i++) buffer_of(s, s->g->outputs[i].value);
  add_updates(s);
  add_states(s);
  moire_status packed = find_packing(s, error);
  if (packed != MOIRE_OK) return packed;
  moire__pass_memory_plan(s->buffers, s->n_buffers, s->steps, s->n_steps, s->updates, s->n_updates);
  moire_plan *plan = &s->m->plan;
  plan->name = s->g->name;
  plan->extents = s->g->extents;
  plan->n_extents = s->g->n_extents;
  plan->buffers = s->buffers;
  plan->n_buffers = s->n_buffers;
  plan->steps = s->steps;
  plan->n_steps = s->n_steps;
  s->m->steps = s->origins;
  plan->updates = s->updates;
  plan->n_updates = s->n_updates;
  plan->n_kernels = s->m->n_kernels;
  return MOIRE_OK;
}

static void *of_values(lower_state *s, size_t size) {
  return moire__arena_array(&s->m->arena, (size_t)s->g->n_values, size);
}

static void make_tables(lower_state *s) {
  const moire_graph *g = s->g;
  s->uses = moire__graph_count_uses(g, &s->m->arena);
  s->stored = of_values(s, sizeof *s->stored);
  s->last_reader = of_values(s, sizeof *s->last_reader);
  s->mapped_reader = of_values(s, sizeof *s->mapped_reader);
  s->in_place = of_values(s, sizeof *s->in_place);
  s->buffer = of_values(s, sizeof *s->buffer);
  s->outputs = of_values(s, sizeof *s->outputs);
  s->registers = of_values(s, sizeof *s->registers);
  s->visited = of_values(s, sizeof *s->visited);
  s->tables = (moire__row_tables){.pass = of_values(s, sizeof *s->tables.pass),
                                  .is_scalar = of_values(s, sizeof *s->tables.is_scalar),
                                  .kept = of_values(s, sizeof *s->tables.kept),
                                  .member = of_values(s, sizeof *s->tables.member),
                                  .local = of_values(s, sizeof *s->tables.local),
                                  .var = of_values(s, sizeof *s->tables.var)};
  for (int v = 0; v < g->n_values; v++) s->last_reader[v] = s->mapped_reader[v] = -1;
  for (int i = g->n_outputs - 1; i >= 0; i--) s->outputs[g->outputs[i].value] = g->outputs[i].name;
}

moire__module *moire__pass_lower(moire_graph *fused, moire__lower_target target, moire_error *error) {
  moire__module *m = moire__allocate(sizeof *m);
  m->graph = fused;
  lower_state s = {.m = m, .g = fused, .target = target};
  make_tables(&s);
  if (lower_all(&s, error) == MOIRE_OK) return m;
  moire__module_destroy(m);
  return NULL;
}
