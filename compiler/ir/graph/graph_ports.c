/* What a graph takes and hands out, for whoever will run it: inputs, outputs, metrics, and dims by parts. */
#include "compiler/ir/op.h"

#include <string.h>

static moire_port port(const moire_graph *g, const char *name, int32_t value) {
  return (moire_port){name, g->values[value].dtype, g->values[value].shape};
}

static const moire__node *nth_input(const moire_graph *g, int index) {
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op == MOIRE__OP_input && index-- == 0) return &g->nodes[i];
  }
  return NULL;
}

int moire_graph_input_count(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  int n = 0;
  for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i].op == MOIRE__OP_input;
  return n;
}

moire_port moire_graph_input(const moire_graph *g, int index) {
  MOIRE__NEED_GRAPH(g);
  const moire__node *node = nth_input(g, index);
  return node ? port(g, moire__node_text(node, "name"), node->first_result) : (moire_port){0};
}

moire_port moire_graph_find_input(const moire_graph *g, const char *name) {
  MOIRE__NEED_GRAPH(g);
  int32_t value = moire__graph_find_input(g, name);
  return value ? port(g, moire__node_text(moire__node_of(g, value), "name"), value) : (moire_port){0};
}

int moire_graph_output_count(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  return g->n_outputs;
}

moire_port moire_graph_output(const moire_graph *g, int index) {
  MOIRE__NEED_GRAPH(g);
  if (index < 0 || index >= g->n_outputs) return (moire_port){0};
  return port(g, g->outputs[index].name, g->outputs[index].value);
}

int moire_graph_state_count(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  return g->n_states;
}

moire_port moire_graph_state(const moire_graph *g, int index) {
  MOIRE__NEED_GRAPH(g);
  if (index < 0 || index >= g->n_states) return (moire_port){0};
  const moire__state_info *state = &g->states[index];
  return (moire_port){state->name, state->dtype, state->shape};
}

moire_port moire_graph_find_output(const moire_graph *g, const char *name) {
  MOIRE__NEED_GRAPH(g);
  for (int i = 0; i < g->n_outputs; i++) {
    if (strcmp(g->outputs[i].name, name) == 0) return moire_graph_output(g, i);
  }
  return (moire_port){0};
}

int moire_graph_metric_count(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  int n = 0;
  for (int i = 0; i < g->n_outputs; i++) n += moire__metric_name(g->outputs[i].name) != NULL;
  return n;
}

moire_port moire_graph_metric(const moire_graph *g, int index) {
  MOIRE__NEED_GRAPH(g);
  for (int i = 0; i < g->n_outputs; i++) {
    const char *name = moire__metric_name(g->outputs[i].name);
    if (name && index-- == 0) return port(g, name, g->outputs[i].value);
  }
  return (moire_port){0};
}

int64_t moire_dim_factor(moire_dim d) { return moire__dim_factor(d); }

const char *moire_dim_extent_name(const moire_graph *g, moire_dim d, int which) {
  MOIRE__NEED_GRAPH(g);
  if (which < 0 || which >= MOIRE_MAX_FACTORS || !moire__dim_is_sound(d, g->n_extents)) return NULL;
  int extent = moire__dim_extent(d, which);
  return extent ? g->extents[extent] : NULL;
}
