/* The graph as text. Reading it back (graph_parse.c) and printing again gives the same bytes.
 *
 *   graph @qia training {
 *     extent B
 *     state $items.weight : f32[3647,64] trained normal(0.0, 0.02) stream "items"
 *     %1 = input {name = "input_ids", dtype = i32, shape = [B,50]} : i32[B,50] at "models/qia.c":31
 *     %2, %3 = cmatmul(%1, …) {conj_b = 1} : f32[B,64], f32[B,64] in "layers.0" at "models/qia.c":41 kernel 7
 *     output "logits" = %3
 *     update $adam.m.items.weight = %2
 *   }
 *
 * Where a node comes from: `at` a line of the model, `also` further lines, `as` the model's operation that it
 * is part of (if that is another), `backward` or `optimizer`.
 *
 * Each kind of attribute has a form of its own: INT 3 (a `dtype` by its name), REAL 3.0, INTS (0,2,1), DIMS
 * [B,50], TEXT "…". Reals are written with as few digits as read back exactly. What the words are made of,
 * names after a sigil, strings and comments, is as in the loop IR (loop_scan.h).
 */
#include "compiler/ir/graph/graph_text.h"
#include "compiler/ir/loop/loop_private.h"
#include "compiler/ir/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_quoted(moire__text *text, const char *s) {
  moire__text_add_char(text, '"');
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') {
      moire__text_add(text, "\\%c", c);
    } else if (c < 0x20 || c == 0x7f) {
      moire__text_add(text, "\\x%02x", c);
    } else {
      moire__text_add_char(text, *s);
    }
  }
  moire__text_add_char(text, '"');
}

static void add_name(moire__text *text, char sigil, const char *name) {
  moire__text_add_char(text, sigil);
  moire__loop_print_name(name, false, text);
}

void moire__text_add_real(moire__text *text, double value) {
  char digits[40];
  for (int precision = 1; precision <= 17; precision++) {
    moire__text_from_double(digits, sizeof digits, precision, value);
    double back = moire__text_to_double(digits, NULL);
    if (memcmp(&back, &value, sizeof value) == 0) break;
  }
  if (value != value) snprintf(digits, sizeof digits, "nan");
  moire__text_add(text, "%s%s", digits, strpbrk(digits, ".enf") ? "" : ".0");
}

static void add_attr(moire__text *text, const moire_graph *g, const moire__attr *attr) {
  moire__text_add(text, "%s = ", attr->name);
  switch (attr->kind) {
    case MOIRE__ATTR_INT: {
      bool named = strcmp(attr->name, "dtype") == 0 && attr->integer >= MOIRE_F32 && attr->integer <= MOIRE_C64;
      if (named) {
        moire__text_add(text, "%s", moire__dtype_name((moire_dtype)attr->integer));
      } else {
        moire__text_add(text, "%" PRId64, attr->integer);
      }
      break;
    }
    case MOIRE__ATTR_REAL: moire__text_add_real(text, attr->real); break;
    case MOIRE__ATTR_INTS:
      moire__text_add_char(text, '(');
      for (int i = 0; i < attr->n_ints; i++) moire__text_add(text, "%s%" PRId64, i ? "," : "", attr->ints[i]);
      moire__text_add_char(text, ')');
      break;
    case MOIRE__ATTR_DIMS: moire__text_add_dims(text, g, attr->ints, attr->n_ints); break;
    case MOIRE__ATTR_TEXT: add_quoted(text, attr->text); break;
  }
}

static void add_state(moire__text *text, const moire_graph *g, const moire__state_info *state) {
  static const char *const kinds[] = {[MOIRE_INIT_CONSTANT] = "constant",
                                      [MOIRE_INIT_NORMAL] = "normal",
                                      [MOIRE_INIT_UNIFORM] = "uniform",
                                      [MOIRE_INIT_LIST] = "list"};
  bool list = state->init.kind == MOIRE_INIT_LIST;
  const double two[] = {state->init.a, state->init.b}, *values = list ? state->init.values : two;
  moire__text_add(text, "  state ");
  add_name(text, '$', state->name);
  moire__text_add(text, " : ");
  moire__text_add_type(text, g, state->dtype, &state->shape);
  moire__text_add(text, "%s %s(", state->trained ? " trained" : "", kinds[state->init.kind]);
  for (int i = 0; i < (list ? state->init.n_values : 2); i++) {
    if (i) moire__text_add(text, ", ");
    moire__text_add_real(text, values[i]);
  }
  moire__text_add_char(text, ')');
  if (state->init.stream) {
    moire__text_add(text, " stream ");
    add_quoted(text, state->init.stream);
  }
  moire__text_add_char(text, '\n');
}

static void add_line(moire__text *text, moire_source line) {
  add_quoted(text, line.file);
  moire__text_add(text, ":%d", line.line);
}

void moire__text_add_node(moire__text *text, const moire_graph *g, const moire__node *node) {
  for (int i = 0; i < node->n_results; i++)
    moire__text_add(text, "%s%%%d", i ? ", " : "", node->first_result + i);
  moire__text_add(text, " = %s", moire__op_get(node->op)->name);
  for (int i = 0; i < node->n_operands; i++) moire__text_add(text, "%s%%%d", i ? ", " : "(", node->operands[i]);
  if (node->n_operands) moire__text_add_char(text, ')');
  for (int i = 0; i < node->n_attrs; i++) {
    moire__text_add(text, "%s", i ? ", " : " {");
    add_attr(text, g, &node->attrs[i]);
  }
  if (node->n_attrs) moire__text_add_char(text, '}');
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *info = &g->values[node->first_result + i];
    moire__text_add(text, "%s", i ? ", " : " : ");
    moire__text_add_type(text, g, info->dtype, &info->shape);
  }
  if (node->scope && node->scope[0]) {
    moire__text_add(text, " in ");
    add_quoted(text, node->scope);
  }
  if (node->source.file) {
    moire__text_add(text, " at ");
    add_line(text, node->source);
  }
  for (int i = 0; i < node->n_also; i++) {
    moire__text_add(text, "%s", i ? ", " : " also ");
    add_line(text, node->also[i]);
  }
  if (!moire__graph_is_own_word(g, node, node->word)) {
    moire__text_add(text, " as ");
    add_quoted(text, node->word);
  }
  if (node->phase == MOIRE__PHASE_BACKWARD) moire__text_add(text, " backward");
  if (node->phase == MOIRE__PHASE_OPTIMIZER) moire__text_add(text, " optimizer");
  if (node->kernel >= 0) moire__text_add(text, " kernel %d", node->kernel);
}

char *moire_graph_print(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  moire__text text = {0};
  moire__text_add(&text, "graph ");
  add_name(&text, '@', g->name);
  moire__text_add(&text, " %s {\n", g->mode == MOIRE_TRAINING ? "training" : "inference");
  for (int i = 1; i <= g->n_extents; i++) moire__text_add(&text, "  extent %s\n", g->extents[i]);
  for (int i = 0; i < g->n_states; i++) add_state(&text, g, &g->states[i]);
  for (int i = 0; i < g->n_nodes; i++) {
    moire__text_add(&text, "  ");
    moire__text_add_node(&text, g, &g->nodes[i]);
    moire__text_add_char(&text, '\n');
  }
  for (int i = 0; i < g->n_outputs; i++) {
    moire__text_add(&text, "  output ");
    add_quoted(&text, g->outputs[i].name);
    moire__text_add(&text, " = %%%d\n", g->outputs[i].value);
  }
  for (int i = 0; i < g->n_updates; i++) {
    moire__text_add(&text, "  update ");
    add_name(&text, '$', g->updates[i].name);
    moire__text_add(&text, " = %%%d\n", g->updates[i].value);
  }
  moire__text_add(&text, "}\n");
  return text.data;
}
