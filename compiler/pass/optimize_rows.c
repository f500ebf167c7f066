/* Tables of which a step reads and changes some rows. See optimize_rows.h.
 *
 * Such a table is read by nothing but look-ups, by rows that do not depend on it, and its gradient is a sum of
 * scatter_add alone.
 */
#include "compiler/pass/optimize_rows.h"

#include "compiler/pass/patterns.h"

#include <string.h>

_Static_assert((int)MOIRE__MOST_LISTS * 2 + 8 <= (int)MOIRE__MAX_OPERANDS, "lists are operands");

/* ---- finding ------------------------------------------------------------------------------------------------
 */

typedef struct finder {
  const moire_graph *g;
  moire__arena *arena;
  moire__row_table *t;
} finder;

static void set_whole(finder *f, const char *what, const moire__node *node) {
  if (f->t->whole) return;
  const char *name = moire__op_get(node->op)->name;
  f->t->whole = node->source.file ? moire__arena_printf(f->arena, "%s %s (%s:%d)", what, name,
                                                        node->source.file, node->source.line)
                                  : moire__arena_printf(f->arena, "%s %s", what, name);
}

static bool is_look_up(const moire__node *node) {
  return node->op == MOIRE__OP_gather ||
         (node->op == MOIRE__OP_take_rows && moire__node_int(node, "lead") == 0);
}

static void add_read(finder *f, int32_t rows) {
  moire__row_table *t = f->t;
  for (int i = 0; i < t->n_reads; i++) {
    if (t->reads[i] == rows) return;
  }
  if (t->n_reads == MOIRE__MOST_LISTS) {
    set_whole(f, "more lists of rows look it up than can be kept apart, such as", moire__node_of(f->g, rows));
    return;
  }
  t->reads[t->n_reads++] = rows;
}

static void find_reads(finder *f, const int *state_of, int s, const bool *live) {
  const moire_graph *g = f->g;
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    for (int i = 0; i < node->n_operands && live[n]; i++) {
      if (state_of[node->operands[i]] != 1 + s) continue;
      if (is_look_up(node) && i == 0)
        add_read(f, node->operands[1]);
      else
        set_whole(f, "all of it is read by", node);
    }
  }
}

static void add_gradients(finder *f, int32_t value) {
  const moire__node *node = moire__node_of(f->g, value);
  moire__row_table *t = f->t;
  if (node->op == MOIRE__OP_add) {
    add_gradients(f, node->operands[0]);
    add_gradients(f, node->operands[1]);
  } else if (node->op != MOIRE__OP_scatter_add) {
    set_whole(f, "a part of its gradient is no sum over rows that are looked up, but comes from", node);
  } else if (t->n == MOIRE__MOST_LISTS) {
    set_whole(f, "more lists of rows look it up than can be kept apart, such as", node);
  } else {
    t->rows[t->n] = node->operands[0];
    t->values[t->n] = node->operands[1];
    t->padding[t->n++] = moire__node_int(node, "padding");
    add_read(f, node->operands[0]);
  }
}

/* By value: 1 + the trained state that it reads, 0: none. */
static int *find_states(const moire_graph *g, moire__arena *arena) {
  int *state_of = moire__arena_array(arena, (size_t)g->n_values + 1, sizeof *state_of);
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    if (node->op != MOIRE__OP_state) continue;
    int s = moire__graph_find_state(g, moire__node_text(node, "name"));
    if (s >= 0 && g->states[s].trained) state_of[node->first_result] = 1 + s;
  }
  return state_of;
}

static bool is_updated(const moire_graph *g, const char *state) {
  for (int i = 0; i < g->n_updates; i++) {
    if (!strcmp(g->updates[i].name, state)) return true;
  }
  return false;
}

/* Lists that are made of a table would have to be made before its rows are caught up. */
static void check_lists(const moire_graph *g, moire__row_table **tables, const int *state_of,
                        moire__arena *arena) {
  bool *needed = moire__row_tables_need(g, tables, arena);
  for (int n = 0; n < g->n_nodes; n++) {
    int s = state_of[g->nodes[n].first_result] - 1;
    if (s < 0 || !needed[n] || !tables[s] || tables[s]->whole) continue;
    tables[s]->whole = "rows that are looked up depend on it";
  }
}

moire__row_table **moire__row_tables_find(const moire_graph *g, const moire_training_options *training,
                                          moire__arena *arena) {
  moire__row_table **tables = moire__arena_array(arena, (size_t)g->n_states + 1, sizeof *tables);
  const bool *live = moire__live_nodes(g, arena);
  const int *state_of = find_states(g, arena);
  for (int s = 0; s < g->n_states; s++) {
    const moire__state_info *info = &g->states[s];
    const char *output = moire__arena_printf(arena, "grad.%s", info->name);
    int32_t gradient = moire__graph_find_output(g, output);
    bool frozen = moire__patterns_match(training->freeze, training->n_freeze, info->name);
    bool fits = info->trained && !frozen && info->dtype == MOIRE_F32 && info->shape.rank == 2;
    if (!fits || !gradient || moire__gradient_is_absent(g, gradient)) continue;
    finder f = {g, arena, moire__arena_array(arena, 1, sizeof(moire__row_table))};
    f.t->info = info;
    find_reads(&f, state_of, s, live);
    if (!f.t->n_reads) continue;
    add_gradients(&f, gradient);
    if (is_updated(g, info->name)) f.t->whole = "the model updates it";
    tables[s] = f.t;
  }
  check_lists(g, tables, state_of, arena);
  return tables;
}

bool *moire__row_tables_need(const moire_graph *g, moire__row_table *const *tables, moire__arena *arena) {
  bool *needed = moire__arena_array(arena, (size_t)g->n_nodes + 1, sizeof *needed);
  for (int s = 0; s < g->n_states; s++) {
    for (int i = 0; tables[s] && i < tables[s]->n_reads; i++)
      needed[g->values[tables[s]->reads[i]].node] = true;
  }
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    for (int i = 0; needed[n] && i < g->nodes[n].n_operands; i++)
      needed[g->values[g->nodes[n].operands[i]].node] = true;
  }
  return needed;
}

/* ---- nodes --------------------------------------------------------------------------------------------------
 */

static moire__row_state results_of(moire_value first) {
  if (moire_value_is_null(first)) return (moire__row_state){first, first, first, first};
  moire_graph *to = first.graph;
  return (moire__row_state){first, moire__value(to, first.id + 1), moire__value(to, first.id + 2),
                            moire__value(to, first.id + 3)};
}

static int add_all(moire_value *operands, int n, const moire_value *more, int n_more) {
  for (int i = 0; i < n_more; i++) operands[n++] = more[i];
  return n;
}

moire__row_state moire__row_catch_up(moire_graph *to, const moire__row_state *s,
                                     const moire__row_numbers *numbers, moire_value history, moire_value step,
                                     const moire_value *lists, int n) {
  moire_value operands[MOIRE__MAX_OPERANDS] = {s->p, s->m, s->v, s->since, history, step};
  moire__attr attrs[] = {moire__attr_make_real("b1", numbers->b1), moire__attr_make_real("b2", numbers->b2),
                         moire__attr_make_real("eps", numbers->eps),
                         moire__attr_make_int("decays", numbers->decays),
                         moire__attr_make_int("group", numbers->group)};
  n = add_all(operands, 6, lists, n);
  return results_of(moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_adam_catch_up, operands, n, attrs, 5));
}

moire_value moire__row_claim(moire_graph *to, const moire__row_table *t, moire_value since,
                             const moire_value *lists) {
  moire_value operands[MOIRE__MAX_OPERANDS] = {since};
  moire__attr padding = moire__attr_make_ints("padding", t->padding, t->n);
  int n = add_all(operands, 1, lists, t->n);
  return moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_claim_rows, operands, n, &padding, 1);
}

moire_value moire__row_sum(moire_graph *to, const moire__row_table *t, moire_value claimed,
                           const moire_value *lists, const moire_value *values, int of) {
  moire_value operands[MOIRE__MAX_OPERANDS] = {claimed};
  moire__attr attrs[] = {moire__attr_make_ints("padding", t->padding, t->n), moire__attr_make_int("of", of)};
  int n = add_all(operands, add_all(operands, 1, lists, t->n), values, t->n);
  return moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_sum_lookups, operands, n, attrs, 2);
}

moire__row_state moire__row_step(moire_graph *to, const moire__row_table *t, const moire__row_state *s,
                                 const moire__row_numbers *numbers, moire_value step,
                                 const moire_value scalars[3], const moire_value *lists,
                                 const moire_value *gradients) {
  moire_value operands[MOIRE__MAX_OPERANDS] = {s->p, s->m,       s->v,       s->since,
                                               step, scalars[0], scalars[1], scalars[2]};
  moire__attr attrs[] = {moire__attr_make_ints("padding", t->padding, t->n),
                         moire__attr_make_real("b1", numbers->b1), moire__attr_make_real("b2", numbers->b2),
                         moire__attr_make_real("eps", numbers->eps),
                         moire__attr_make_real("weight_decay", numbers->weight_decay)};
  int n = add_all(operands, add_all(operands, 8, lists, t->n), gradients, t->n);
  return results_of(moire__graph_emit(to, MOIRE__NOWHERE, MOIRE__OP_adam_rows, operands, n, attrs, 5));
}
