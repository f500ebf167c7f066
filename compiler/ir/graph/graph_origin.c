/* Origins: every node knows which lines of the model it serves, and as part of what.
 *
 * A node that a model's call appends has the line of that call. What passes make of it has its line, its scope
 * and its word: the sums and products of a layer norm say "layer_norm". A gradient has those of the operation
 * that it is the gradient of, in the backward phase. Where a line asks for what is there already (an equal
 * node, the real part of what is kept as planes), the node that gives it takes the line in beside its own.
 *
 * Ensures: no line of a model is lost as long as something of it is computed. */
#include "compiler/ir/graph/graph_origin.h"

#include "compiler/ir/op.h"

#include <string.h>

/* A copy of `text` in g's arena; shared with `last` where it is the same, as neighbours often are. */
static const char *keep_string(moire_graph *g, const char *text, const char *last) {
  if (!text) return NULL;
  if (last && strcmp(text, last) == 0) return last;
  return moire__arena_copy_string(&g->arena, text);
}

static moire_source *keep_lines(moire_graph *g, const moire__node *from) {
  if (!from->n_also) return NULL;
  moire_source *lines = moire__arena_array(&g->arena, MOIRE__MOST_LINES, sizeof *lines);
  const char *last = NULL;
  for (int i = 0; i < from->n_also; i++) {
    last = keep_string(g, from->also[i].file, last);
    lines[i] = (moire_source){last, from->also[i].line};
  }
  return lines;
}

static const char complex_prefix[] = "complex_";

static bool is_complex(const moire_graph *g, const moire__node *node) {
  moire__op_class class = moire__op_get(node->op)->op_class;
  bool complex = false;
  for (int i = 0; i < node->n_operands; i++) {
    complex = complex || g->values[node->operands[i]].dtype == MOIRE_C64;
  }
  return complex &&
         (class == MOIRE__CLASS_KERNEL || class == MOIRE__CLASS_ROW || class == MOIRE__CLASS_COMPOSITE);
}

static const char *own_word(moire_graph *g, const moire__node *node) {
  const char *name = moire__op_get(node->op)->name;
  return is_complex(g, node) ? moire__arena_printf(&g->arena, "%s%s", complex_prefix, name) : name;
}

bool moire__graph_is_own_word(const moire_graph *g, const moire__node *node, const char *word) {
  size_t n = sizeof complex_prefix - 1;
  if (is_complex(g, node)) {
    if (strncmp(word, complex_prefix, n) != 0) return false;
    word += n;
  }
  return strcmp(word, moire__op_get(node->op)->name) == 0;
}

void moire__graph_copy_origin(const moire__node *from, moire__node *to) {
  to->scope = from->scope;
  to->source = from->source;
  to->word = from->word;
  to->phase = from->phase;
  to->also = from->also;
  to->n_also = from->n_also;
}

void moire__graph_keep_origin(moire_graph *g, const moire__node *from, moire__node *to) {
  static const moire__node none = {.scope = ""};
  const moire__node *last = g->n_nodes ? &g->nodes[g->n_nodes - 1] : &none;
  to->scope = keep_string(g, from->scope, last->scope);
  to->source = (moire_source){keep_string(g, from->source.file, last->source.file), from->source.line};
  to->word = from->word ? keep_string(g, from->word, last->word) : own_word(g, to);
  to->phase = from->phase;
  to->also = keep_lines(g, from);
  to->n_also = from->n_also;
}

/* ---- pins ------------------------------------------------------------------------------------------------ */

void moire__graph_pin_phase(moire_graph *g, const moire__node *like, moire__phase phase) {
  g->pinned = true;
  g->pin = (moire__node){0};
  moire__graph_keep_origin(g, like, &g->pin);
  g->pin.phase = phase;
}

void moire__graph_pin(moire_graph *g, const moire__node *like) { moire__graph_pin_phase(g, like, like->phase); }

void moire__graph_unpin(moire_graph *g) { g->pinned = false; }

/* ---- lines beside a node's own --------------------------------------------------------------------------- */

static bool same_line(moire_source a, moire_source b) {
  return a.line == b.line && strcmp(a.file, b.file) == 0;
}

static void credit_line(moire_graph *g, moire__node *node, moire_source line) {
  if (!line.file || !node->source.file || same_line(line, node->source) || node->n_also == MOIRE__MOST_LINES)
    return;
  for (int i = 0; i < node->n_also; i++) {
    if (same_line(line, node->also[i])) return;
  }
  moire_source *lines = keep_lines(g, node);
  if (!lines) lines = moire__arena_array(&g->arena, MOIRE__MOST_LINES, sizeof *lines);
  lines[node->n_also++] = (moire_source){keep_string(g, line.file, node->source.file), line.line};
  node->also = lines;
}

void moire__graph_credit(moire_graph *g, int32_t value, const moire__node *origin) {
  if (!value) return;
  moire__node *node = moire__node_of(g, value);
  if (moire__op_get(node->op)->op_class == MOIRE__CLASS_SOURCE) return;
  credit_line(g, node, origin->source);
  for (int i = 0; i < origin->n_also; i++) credit_line(g, node, origin->also[i]);
}

void moire__graph_name(moire_value value, const char *word) {
  if (moire_value_is_null(value)) return;
  moire__node_of(value.graph, value.id)->word = moire__arena_copy_string(&value.graph->arena, word);
}
