/* Reads the text of a graph back (graph_print.c shows it), by recursive descent. Newlines are space; `//`
 * begins a comment.
 *
 *   graph  := graph @NAME (training | inference) { {item} }
 *   item   := extent WORD
 *           | state $NAME : type [trained] (constant | normal | uniform | list) ( REAL {, REAL} ) [stream
 * STRING] | %INT {, %INT} = OP [( %INT {, %INT} )] [{ attr {, attr} }] : type {, type} [in STRING] [at STRING :
 * INT] [kernel INT] | output STRING = %INT | update $NAME = %INT attr   := WORD = (INT | REAL | STRING | DTYPE
 * | ( [INT {, INT}] ) | dims) type   := DTYPE dims dims   := [ [dim {, dim}] ] dim    := INT | [INT *] WORD
 *
 * Values are numbered from 1 in the order of the text. Every node goes through inference, and the types that it
 * gives must be those that the text says. Nothing in the text can do harm: every mistake is a sentence with its
 * place.
 */
#include "compiler/ir/graph/graph_text.h"
#include "compiler/ir/graph/graph_scan.h"
#include "compiler/ir/op.h"

#include <limits.h>
#include <string.h>

typedef struct parser {
  moire__scan scan;
  moire_graph *graph;
  const char *item; /* where the current one begins … */
  int item_line;
} parser;

typedef struct parsed_type {
  moire_dtype dtype;
  moire_shape shape;
} parsed_type;

/* What is wrong is the item as a whole. */
static void blame_item(parser *p) {
  p->scan.at = p->item;
  p->scan.line = p->item_line;
}

/* A mistake that building the graph has found is one of the text. */
static bool is_built(parser *p) {
  if (p->graph->error.status == MOIRE_OK) return true;
  blame_item(p);
  return moire__scan_fail(&p->scan, "%.550s", p->graph->error.message);
}

/* ---- types ----------------------------------------------------------------------------------------------- */

static bool read_type(parser *p, parsed_type *type) {
  return moire__scan_dtype(&p->scan, &type->dtype) && moire__scan_shape(&p->scan, p->graph, &type->shape);
}

static bool read_real(moire__scan *s, double *real) {
  bool is_integer;
  int64_t integer;
  if (!moire__scan_number(s, &is_integer, &integer, real)) return false;
  return !is_integer || moire__scan_fail(s, "a real number is written with a point or an exponent");
}

/* ---- states ---------------------------------------------------------------------------------------------- */

static bool read_list(moire__scan *s, moire_init *init) {
  double *values = NULL, value;
  int n = 0, capacity = 0;
  do {
    if (!read_real(s, &value)) return false;
    MOIRE__PUSH(&s->names, values, n, capacity, value);
  } while (moire__scan_accept(s, ","));
  init->values = values;
  init->n_values = n;
  return true;
}

static bool read_init(moire__scan *s, moire_init *init) {
  static const char *const kinds[] = {"constant", "normal", "uniform", "list"};
  int kind = 0;
  while (kind < 4 && !moire__scan_accept(s, kinds[kind])) kind++;
  if (kind == 4) return moire__scan_expected(s, "constant, normal, uniform or list");
  *init = (moire_init){.kind = (moire_init_kind)kind};
  if (!moire__scan_expect(s, "(")) return false;
  if (kind == MOIRE_INIT_LIST) {
    if (!read_list(s, init)) return false;
  } else if (!read_real(s, &init->a) || !moire__scan_expect(s, ",") || !read_real(s, &init->b)) {
    return false;
  }
  if (!moire__scan_expect(s, ")")) return false;
  if (!moire__scan_accept(s, "stream")) return true;
  init->stream = moire__scan_string(s);
  return init->stream != NULL;
}

static bool read_state(parser *p) {
  parsed_type type = {0};
  moire__state_info state = {.name = moire__scan_name(&p->scan, "$")};
  if (!state.name || !moire__scan_expect(&p->scan, ":") || !read_type(p, &type)) return false;
  state.trained = moire__scan_accept(&p->scan, "trained");
  if (!read_init(&p->scan, &state.init)) return false;
  if (moire__graph_find_state(p->graph, state.name) >= 0) {
    return moire__scan_fail(&p->scan, "a second state has the name %s", state.name);
  }
  state.dtype = type.dtype;
  state.shape = type.shape;
  moire__graph_declare_state(p->graph, &state);
  return is_built(p);
}

static bool read_extent(parser *p) {
  const char *word = moire__scan_word(&p->scan, "the name of an extent");
  if (!word) return false;
  if (moire__graph_find_extent(p->graph, word, strlen(word))) {
    return moire__scan_fail(&p->scan, "a second extent has the name %s", word);
  }
  moire__graph_declare_extent(p->graph, word, strlen(word));
  return is_built(p);
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

/* The numbers between the parentheses of INTS, into the scan's arena. */
static bool read_ints(moire__scan *s, moire__attr *attr) {
  int64_t *ints = NULL, value = 0;
  int n = 0, capacity = 0;
  if (!moire__scan_expect(s, "(")) return false;
  attr->kind = MOIRE__ATTR_INTS;
  if (moire__scan_accept(s, ")")) return true;
  do {
    if (!moire__scan_int(s, INT64_MIN, INT64_MAX, &value)) return false;
    MOIRE__PUSH(&s->names, ints, n, capacity, value);
  } while (moire__scan_accept(s, ","));
  attr->ints = ints;
  attr->n_ints = n;
  return moire__scan_expect(s, ")");
}

static bool read_dims(parser *p, moire__attr *attr) {
  moire_shape *shape = moire__arena_alloc(&p->scan.names, sizeof *shape);
  if (!moire__scan_shape(&p->scan, p->graph, shape)) return false;
  *attr = moire__attr_make_dims(attr->name, shape);
  return true;
}

static bool read_attr(parser *p, moire__attr *attr) {
  moire__scan *s = &p->scan;
  bool is_integer = false;
  *attr = (moire__attr){.name = moire__scan_word(s, "the name of an attribute")};
  if (!attr->name || !moire__scan_expect(s, "=")) return false;
  moire__scan_space(s);
  if (strcmp(attr->name, "dtype") == 0) {
    moire_dtype dtype;
    if (!moire__scan_dtype(s, &dtype)) return false;
    attr->integer = dtype;
    return true;
  }
  if (*s->at == '(') return read_ints(s, attr);
  if (*s->at == '[') return read_dims(p, attr);
  if (*s->at == '"') {
    attr->kind = MOIRE__ATTR_TEXT;
    attr->text = moire__scan_string(s);
    return attr->text != NULL;
  }
  if (!moire__scan_number(s, &is_integer, &attr->integer, &attr->real)) return false;
  attr->kind = is_integer ? MOIRE__ATTR_INT : MOIRE__ATTR_REAL;
  return true;
}

/* ---- nodes ----------------------------------------------------------------------------------------------- */

static bool read_value(parser *p, int32_t *id) {
  int64_t number = 0;
  if (!moire__scan_expect(&p->scan, "%") || !moire__scan_int(&p->scan, 1, INT32_MAX, &number)) return false;
  *id = (int32_t)number;
  if (*id < p->graph->n_values) return true;
  return moire__scan_fail(&p->scan, "there is no value %%%d yet", *id);
}

/* The numbers of the results, which are the next ones. */
static bool read_results(parser *p, int *n) {
  int64_t number = 0;
  *n = 0;
  do {
    if (!moire__scan_expect(&p->scan, "%") || !moire__scan_int(&p->scan, 1, INT32_MAX, &number)) return false;
    if (number != p->graph->n_values + *n) {
      return moire__scan_fail(&p->scan, "the next value is %%%d, not %%%d", p->graph->n_values + *n,
                              (int)number);
    }
    ++*n;
  } while (moire__scan_accept(&p->scan, ","));
  return true;
}

static bool read_operands(parser *p, moire_value *operands, int *n) {
  *n = 0;
  if (!moire__scan_accept(&p->scan, "(")) return true;
  do {
    if (*n == MOIRE__MAX_OPERANDS) return moire__scan_fail(&p->scan, "a node has too many operands");
    operands[*n].graph = p->graph;
    if (!read_value(p, &operands[(*n)++].id)) return false;
  } while (moire__scan_accept(&p->scan, ","));
  return moire__scan_expect(&p->scan, ")");
}

static bool read_attrs(parser *p, moire__attr **attrs, int *n) {
  moire__attr attr;
  int capacity = 0;
  *n = 0;
  *attrs = NULL;
  if (!moire__scan_accept(&p->scan, "{")) return true;
  do {
    if (!read_attr(p, &attr)) return false;
    MOIRE__PUSH(&p->scan.names, *attrs, *n, capacity, attr);
  } while (moire__scan_accept(&p->scan, ","));
  return moire__scan_expect(&p->scan, "}");
}

static bool read_types(parser *p, parsed_type *types, int n) {
  if (!moire__scan_expect(&p->scan, ":")) return false;
  for (int i = 0; i < n; i++) {
    if (i && !moire__scan_expect(&p->scan, ",")) return false;
    if (!read_type(p, &types[i])) return false;
  }
  return true;
}

static bool read_line(parser *p, moire_source *line) {
  int64_t number = 0;
  line->file = moire__scan_string(&p->scan);
  if (!line->file || !moire__scan_expect(&p->scan, ":")) return false;
  if (!moire__scan_int(&p->scan, 0, INT_MAX, &number)) return false;
  line->line = (int)number;
  return true;
}

static bool read_further_lines(parser *p, moire__node *pin) {
  moire_source *lines = NULL;
  int capacity = 0;
  do {
    moire_source line;
    if (!read_line(p, &line)) return false;
    MOIRE__PUSH(&p->graph->arena, lines, pin->n_also, capacity, line);
  } while (moire__scan_accept(&p->scan, ","));
  pin->also = lines;
  return pin->n_also <= MOIRE__MOST_LINES ||
         moire__scan_fail(&p->scan, "a node has at most %d further lines", MOIRE__MOST_LINES);
}

/* Where the node comes from, into the graph's pin; which kernel computes it. */
static bool read_origin(parser *p, int *kernel) {
  moire__scan *s = &p->scan;
  moire_graph *g = p->graph;
  int64_t number = 0;
  g->pinned = true;
  g->pin = (moire__node){.scope = ""};
  *kernel = -1;
  if (moire__scan_accept(s, "in") && !(g->pin.scope = moire__scan_string(s))) return false;
  if (moire__scan_accept(s, "at") && !read_line(p, &g->pin.source)) return false;
  if (moire__scan_accept(s, "also") && !read_further_lines(p, &g->pin)) return false;
  if (moire__scan_accept(s, "as") && !(g->pin.word = moire__scan_string(s))) return false;
  if (moire__scan_accept(s, "backward")) g->pin.phase = MOIRE__PHASE_BACKWARD;
  if (moire__scan_accept(s, "optimizer")) g->pin.phase = MOIRE__PHASE_OPTIMIZER;
  if (moire__scan_accept(s, "kernel")) {
    if (!moire__scan_int(s, 0, INT_MAX, &number)) return false;
    *kernel = (int)number;
  }
  return true;
}

static bool is_as_written(parser *p, const moire__node *node, const parsed_type *types) {
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *info = &p->graph->values[node->first_result + i];
    if (info->dtype == types[i].dtype && moire__shape_equal(&info->shape, &types[i].shape)) continue;
    moire__text text = {0};
    moire__text_add(&text, "%%%d is ", node->first_result + i);
    moire__text_add_type(&text, p->graph, info->dtype, &info->shape);
    moire__text_add(&text, ", not ");
    moire__text_add_type(&text, p->graph, types[i].dtype, &types[i].shape);
    blame_item(p);
    moire__scan_fail(&p->scan, "%s", moire__text_string(&text));
    moire__text_free(&text);
    return false;
  }
  return true;
}

static bool read_node(parser *p) {
  int n_results, n_operands, n_attrs, kernel;
  moire_value operands[MOIRE__MAX_OPERANDS];
  moire__attr *attrs;
  parsed_type types[MOIRE__MAX_RESULTS];
  if (!read_results(p, &n_results) || !moire__scan_expect(&p->scan, "=")) return false;
  const char *name = moire__scan_word(&p->scan, "an op");
  moire__op op = name ? moire__op_find(name) : MOIRE__OP_none;
  if (!name) return false;
  if (op == MOIRE__OP_none) return moire__scan_fail(&p->scan, "there is no op %s", name);
  if (n_results != moire__op_get(op)->n_results) {
    return moire__scan_fail(&p->scan, "%s has %d results, not %d", name, moire__op_get(op)->n_results,
                            n_results);
  }
  if (!read_operands(p, operands, &n_operands) || !read_attrs(p, &attrs, &n_attrs)) return false;
  if (!read_types(p, types, n_results) || !read_origin(p, &kernel)) return false;
  moire_value value =
      moire__graph_emit(p->graph, p->graph->pin.source, op, operands, n_operands, attrs, n_attrs);
  p->graph->pinned = false;
  if (!is_built(p)) return false;
  moire__node *node = moire__node_of(p->graph, value.id);
  node->kernel = kernel;
  return is_as_written(p, node, types);
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static bool read_handed_out(parser *p, bool is_output) {
  const moire_source nowhere = {NULL, 0};
  int32_t id = 0;
  const char *name = is_output ? moire__scan_string(&p->scan) : moire__scan_name(&p->scan, "$");
  if (!name || !moire__scan_expect(&p->scan, "=") || !read_value(p, &id)) return false;
  moire_value value = {p->graph, id};
  if (is_output) moire__graph_add_output(p->graph, nowhere, name, value);
  if (!is_output) moire__graph_add_update(p->graph, nowhere, name, value);
  return is_built(p);
}

static bool read_item(parser *p) {
  moire__scan *s = &p->scan;
  moire__scan_space(s);
  p->item = s->at;
  p->item_line = s->line;
  if (*s->at == '%') return read_node(p);
  if (moire__scan_accept(s, "extent")) return read_extent(p);
  if (moire__scan_accept(s, "state")) return read_state(p);
  if (moire__scan_accept(s, "output")) return read_handed_out(p, true);
  if (moire__scan_accept(s, "update")) return read_handed_out(p, false);
  return moire__scan_expected(s, "extent, state, a value, output, update or `}`");
}

static bool read_graph(parser *p) {
  moire__scan *s = &p->scan;
  if (!moire__scan_expect(s, "graph")) return false;
  const char *name = moire__scan_name(s, "@");
  if (!name) return false;
  bool training = moire__scan_accept(s, "training");
  if (!training && !moire__scan_accept(s, "inference")) {
    return moire__scan_expected(s, "training or inference");
  }
  p->graph = moire_graph_create(name, training ? MOIRE_TRAINING : MOIRE_INFERENCE);
  if (!moire__scan_expect(s, "{")) return false;
  while (!moire__scan_accept(s, "}")) {
    if (!read_item(p)) return false;
  }
  moire__scan_space(s);
  return !*s->at || moire__scan_expected(s, "the end of the text");
}

moire_graph *moire_graph_parse(const char *text, const char *file, moire_error *error) {
  parser p = {.scan = {.at = text, .begin = text, .file = file ? file : "text", .line = 1, .error = error}};
  bool good = read_graph(&p);
  moire__arena_free(&p.scan.names);
  if (!good) {
    moire_graph_destroy(p.graph);
    return NULL;
  }
  p.graph->pin = (moire__node){0}; /* what it named was the scan's */
  return p.graph;
}
