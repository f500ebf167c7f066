/* What a graph says of its tokens. See packing.h. */
#include "compiler/ir/packing.h"

#include <string.h>

/* One of the inputs "<name>.<anything>" that says how tokens are found; NULL: they are ids. */
static const moire__node *find_note(const moire_graph *g, const char *name) {
  size_t n = strlen(name);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op != MOIRE__OP_input || !moire__node_attr(node, "block")) continue;
    const char *own = moire__node_text(node, "name");
    if (strncmp(own, name, n) == 0 && own[n] == '.') return node;
  }
  return NULL;
}

static moire_status find_input(const moire_graph *g, const moire__node *note, const char *attribute,
                               int32_t *out, moire_error *error) {
  if (!moire__node_attr(note, attribute)) return MOIRE_OK;
  const char *name = moire__node_text(note, attribute);
  *out = moire__graph_find_input(g, name);
  if (*out) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "the graph %s is packed by its input %s, which it does not have", g->name, name);
}

moire_status moire__graph_find_packing(const moire_graph *g, moire__graph_packing *out, moire_error *error) {
  *out = (moire__graph_packing){0};
  for (int e = 1; e <= g->n_extents; e++) {
    if (strncmp(g->extents[e], "T_", 2) != 0) continue;
    const char *name = g->extents[e] + 2;
    const moire__node *note = find_note(g, name);
    moire__graph_packing found = {.extent = e, .name = name, .block = 1};
    if (!note) {
      found.ids = moire__graph_find_input(g, name);
      if (!found.ids || g->values[found.ids].shape.rank != 2) continue;
      found.length = g->values[found.ids].shape.dims[1];
    } else {
      found.length = moire__node_int(note, "length");
      found.block = moire__node_int(note, "block");
      found.ignored = moire__node_int_or(note, "ignored", 0);
      moire_status status = find_input(g, note, "lengths", &found.lengths, error);
      if (!status) status = find_input(g, note, "targets", &found.targets, error);
      if (status) return status;
    }
    *out = found;
  }
  return MOIRE_OK;
}
