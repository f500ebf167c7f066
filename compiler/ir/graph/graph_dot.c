/* The graph as a picture: input of Graphviz's dot. One box a node, inside the cluster of its kernel where it
 * has one; the constants that would only clutter are drawn small. Colours follow the class of the op. */
#include "compiler/ir/op.h"

#include <string.h>

static void add_escaped(moire__text *text, const char *s) {
  for (; *s; s++) {
    if (*s == '"' || *s == '\\') moire__text_add_char(text, '\\');
    moire__text_add_char(text, (unsigned char)*s < ' ' ? ' ' : *s);
  }
}

static const char *fill_of(moire__op_class op_class) {
  switch (op_class) {
    case MOIRE__CLASS_SOURCE: return "#e8e8e8";
    case MOIRE__CLASS_POINTWISE: return "#fdf3d0";
    case MOIRE__CLASS_COMPLEX_PART: return "#f7dfee";
    case MOIRE__CLASS_VIEW: return "#ffffff";
    case MOIRE__CLASS_REDUCE: return "#fbe0cc";
    case MOIRE__CLASS_KERNEL: return "#cfe3f7";
    case MOIRE__CLASS_ROW: return "#d8efd3";
    case MOIRE__CLASS_COMPOSITE: return "#e0d9f5";
  }
  return "#ffffff";
}

static void add_box(moire__text *text, const moire_graph *g, int index) {
  const moire__node *node = &g->nodes[index];
  const moire__op_info *info = moire__op_get(node->op);
  moire__text_add(text, "  n%d [label=\"%s", index, info->name);
  const moire__attr *name = moire__node_attr(node, "name");
  if (name && name->kind == MOIRE__ATTR_TEXT) {
    moire__text_add_char(text, ' ');
    add_escaped(text, name->text);
  }
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *value = &g->values[node->first_result + i];
    moire__text_add(text, "\\n%%%d : ", node->first_result + i);
    moire__text_add_type(text, g, value->dtype, &value->shape);
  }
  moire__text_add(text, "\", fillcolor=\"%s\"", fill_of(info->op_class));
  if (node->op == MOIRE__OP_constant) moire__text_add(text, ", fontsize=8");
  if (node->source.file) {
    moire__text_add(text, ", tooltip=\"");
    add_escaped(text, node->scope);
    moire__text_add_char(text, ' ');
    add_escaped(text, node->source.file);
    moire__text_add(text, ":%d\"", node->source.line);
  }
  moire__text_add(text, "];\n");
}

static void add_cluster(moire__text *text, const moire_graph *g, int kernel) {
  moire__text_add(text, "  subgraph cluster%d {\n  label=\"kernel %d\";\n", kernel, kernel);
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].kernel == kernel) add_box(text, g, i);
  }
  moire__text_add(text, "  }\n");
}

static void add_sinks(moire__text *text, const moire_graph *g, const char *what,
                      const moire__named_value *table, int n) {
  for (int i = 0; i < n; i++) {
    moire__text_add(text, "  %s%d [label=\"%s ", what, i, what);
    add_escaped(text, table[i].name);
    moire__text_add(text, "\", shape=ellipse];\n  n%d -> %s%d;\n", g->values[table[i].value].node, what, i);
  }
}

char *moire_graph_print_dot(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  moire__text text = {0};
  moire__text_add(&text, "digraph \"");
  add_escaped(&text, g->name);
  moire__text_add(&text, "\" {\n  node [shape=box, style=filled, fontname=\"monospace\", fontsize=10];\n");
  for (int i = 0; i < g->n_nodes; i++) {
    int kernel = g->nodes[i].kernel, first = 0;
    while (kernel >= 0 && g->nodes[first].kernel != kernel) first++;
    if (kernel < 0) add_box(&text, g, i);
    if (kernel >= 0 && first == i) add_cluster(&text, g, kernel);
  }
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    for (int j = 0; j < node->n_operands; j++) {
      moire__text_add(&text, "  n%d -> n%d;\n", g->values[node->operands[j]].node, i);
    }
  }
  add_sinks(&text, g, "output", g->outputs, g->n_outputs);
  add_sinks(&text, g, "update", g->updates, g->n_updates);
  moire__text_add(&text, "}\n");
  return text.data;
}
