/* Time by line of the model, by scope and by operation: a kernel's time, divided among the nodes it computes.
 */
#include "compiler/profile/describe.h"

#include <stdlib.h>
#include <string.h>

static const char *const times[] = {[MOIRE__PHASE_FORWARD] = "forward_ns",
                                    [MOIRE__PHASE_BACKWARD] = "backward_ns",
                                    [MOIRE__PHASE_OPTIMIZER] = "optimizer_ns"};

/* The row of `key` in `rows`, made of `members` (taken) if it is not there. Borrows. */
static json_t *row_of(json_t *rows, const char *key, json_t *members) {
  json_t *row = json_object_get(rows, key);
  if (row) {
    json_decref(members);
    return row;
  }
  for (int i = 0; i < 3; i++) json_object_set_new(members, times[i], json_real(0));
  json_object_set_new(members, "total_ns", json_real(0));
  json_object_set_new(members, "kernels", json_array());
  json_object_set_new(rows, key, members);
  return members;
}

static void add_time(json_t *row, const char *member, double time) {
  json_object_set_new(row, member, json_real(json_real_value(json_object_get(row, member)) + time));
}

static void credit(json_t *row, int kernel, moire__phase phase, double time) {
  json_t *kernels = json_object_get(row, "kernels");
  size_t n = json_array_size(kernels);
  if (!n || json_integer_value(json_array_get(kernels, n - 1)) != kernel) {
    json_array_append_new(kernels, json_integer(kernel));
  }
  add_time(row, times[phase], time);
  add_time(row, "total_ns", time);
}

static json_t *line_row(json_t *rows, moire_source at) {
  char key[600];
  const char *file = moire__profile_file(at.file);
  snprintf(key, sizeof key, "%.500s:%08d", file, at.line);
  return row_of(rows, key, json_pack("{s:s, s:i}", "file", file, "line", at.line));
}

typedef struct tables {
  json_t *lines, *scopes, *words;
} tables;

static void add_node(tables *t, const moire__node *node, int kernel, double time) {
  if (node->source.file) credit(line_row(t->lines, node->source), kernel, node->phase, time);
  for (int i = 0; i < node->n_also; i++) credit(line_row(t->lines, node->also[i]), kernel, node->phase, 0);
  if (node->kernel < 0 && time <= 0) return;
  credit(row_of(t->scopes, node->scope[0] ? node->scope : "-", json_pack("{s:s}", "scope", node->scope)),
         kernel, node->phase, time);
  credit(row_of(t->words, node->word, json_pack("{s:s}", "operation", node->word)), kernel, node->phase, time);
}

/* The rows in the order of their keys, with their share of all steps. Takes `rows`. */
static json_t *finish(json_t *rows, double wall) {
  json_t *list = json_array();
  const char *key;
  json_t *row;
  json_object_foreach(rows, key, row) {
    double total = json_real_value(json_object_get(row, "total_ns"));
    json_object_set_new(row, "share", json_real(wall > 0 ? total / wall : 0));
    json_array_append(list, row);
  }
  json_decref(rows);
  return list;
}

void moire__profile_add_totals(const moire__module *m, double *const *shares, const moire_graph *model,
                               json_t *document) {
  tables t = {json_object(), json_object(), json_object()};
  const json_t *time = json_object_get(json_object_get(document, "time"), "step");
  double wall = json_number_value(json_object_get(time, "total_ns"));
  for (int i = 0; model && i < model->n_nodes; i++) {
    if (model->nodes[i].source.file) line_row(t.lines, model->nodes[i].source);
  }
  size_t step;
  json_t *kernel;
  json_array_foreach(json_object_get(document, "kernels"), step, kernel) {
    double total = json_number_value(json_object_get(kernel, "total_ns"));
    for (int i = 0; i < m->graph->n_nodes; i++) {
      if (shares[step][i] < 0) continue;
      add_node(&t, &m->graph->nodes[i], (int)step, total * shares[step][i]);
    }
  }
  json_object_set_new(document, "lines", finish(t.lines, wall));
  json_object_set_new(document, "scopes", finish(t.scopes, wall));
  json_object_set_new(document, "operations", finish(t.words, wall));
}
