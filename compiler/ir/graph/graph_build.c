/* Building a graph: creation, scopes, and appending nodes.
 *
 * Every node enters through moire__graph_emit, which runs the op's inference, so a graph that exists is well
 * typed. The first mistake is kept and everything after it is silence (graph_mistake.c); a graph with a mistake
 * is only good for asking what the mistake was.
 */
#include "compiler/ir/graph/graph_origin.h"
#include "compiler/ir/op.h"

#include <stdio.h>
#include <string.h>

moire_graph *moire_graph_create(const char *name, moire_mode mode) {
  moire_graph *g = moire__allocate(sizeof *g);
  g->name = moire__arena_copy_string(&g->arena, name ? name : "");
  g->mode = mode;
  g->scope = "";
  MOIRE__PUSH(&g->arena, g->values, g->n_values, g->value_capacity, (moire__value_info){.node = -1});
  return g;
}

void moire_graph_destroy(moire_graph *g) {
  if (!g) return;
  moire__arena_free(&g->arena);
  moire__release(g);
}

moire_mode moire_graph_mode(const moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  return g->mode;
}

/* ---- scopes ------------------------------------------------------------------------------------- */

void moire_scope_push(moire_graph *g, const char *format, ...) {
  MOIRE__NEED_GRAPH(g);
  char piece[512];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(piece, sizeof piece, format, args);
  va_end(args);
  if (length < 0 || (size_t)length >= sizeof piece) {
    moire_graph_fail(g, MOIRE_ERROR_ARGUMENT, "scope_push: the name has %zu bytes or more", sizeof piece);
  }
  MOIRE__PUSH(&g->arena, g->scope_stack, g->scope_depth, g->scope_capacity, g->scope);
  if (!piece[0]) return;
  g->scope = moire__arena_printf(&g->arena, "%s%s%s", g->scope, g->scope[0] ? "." : "", piece);
}

void moire_scope_pop(moire_graph *g) {
  MOIRE__NEED_GRAPH(g);
  if (g->scope_depth == 0) {
    moire_graph_fail(g, MOIRE_ERROR_ARGUMENT, "scope_pop: no scope is open");
    return;
  }
  g->scope = g->scope_stack[--g->scope_depth];
}

/* ---- nodes ----------------------------------------------------------------------------------------------- */

static moire__attr copy_attr(moire_graph *g, const moire__attr *attr) {
  moire__attr copy = *attr;
  copy.name = moire__arena_copy_string(&g->arena, attr->name);
  if (attr->kind == MOIRE__ATTR_TEXT) copy.text = moire__arena_copy_string(&g->arena, attr->text);
  if (attr->kind == MOIRE__ATTR_INTS || attr->kind == MOIRE__ATTR_DIMS) {
    int64_t *ints = moire__arena_array(&g->arena, (size_t)attr->n_ints, sizeof *ints);
    if (attr->n_ints) memcpy(ints, attr->ints, (size_t)attr->n_ints * sizeof *ints);
    copy.ints = ints;
  }
  return copy;
}

/* An empty error without clearing a thousand bytes, which would be half the time of a node. */
static void forget(moire_error *error) {
  error->status = MOIRE_OK;
  error->message[0] = 0;
}

/* What holds of attributes whatever the op: no name twice, shapes that the graph can have. */
static moire_status check_attrs(const moire_graph *g, const moire__node *node, moire_error *error) {
  for (int i = 0; i < node->n_attrs; i++) {
    const moire__attr *attr = &node->attrs[i];
    for (int j = 0; j < i; j++) {
      if (strcmp(attr->name, node->attrs[j].name) == 0) {
        return moire_fail(error, MOIRE_ERROR_ARGUMENT, "attribute %s is given twice", attr->name);
      }
    }
    if (attr->kind != MOIRE__ATTR_DIMS) continue;
    moire_shape shape = {.rank = attr->n_ints};
    for (int d = 0; d < attr->n_ints && d < MOIRE_MAX_RANK; d++) shape.dims[d] = attr->ints[d];
    moire_error cause;
    forget(&cause);
    moire_status status = moire__shape_check(g, &shape, &cause);
    if (status) return moire_fail(error, status, "attribute %s: %s", attr->name, cause.message);
  }
  return MOIRE_OK;
}

moire_status moire__graph_infer(const moire_graph *g, const moire__node *node, moire_dtype *dtype,
                                moire_shape *shape, moire_error *error) {
  moire_error cause; /* of its own, since inference may write to it and still succeed */
  forget(&cause);
  const moire__op_info *info = moire__op_get(node->op);
  if (node->n_operands < info->min_operands || node->n_operands > info->max_operands) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "takes %d to %d operands, got %d", info->min_operands,
                      info->max_operands, node->n_operands);
  }
  moire_status status = check_attrs(g, node, error);
  if (status) return status;
  const char *missing = NULL;
  moire__node judged = *node;
  judged.missing = &missing;
  moire__infer c; /* of which no more is filled than this op has */
  c.g = g;
  c.node = &judged;
  c.n_operands = node->n_operands;
  c.error = &cause;
  for (int i = 0; i < info->max_operands; i++)
    c.operands[i] = i < node->n_operands ? &g->values[node->operands[i]] : NULL;
  for (int i = 0; i < info->n_results; i++) {
    c.dtype[i] = (moire_dtype)0;
    c.shape[i] = (moire_shape){0};
  }
  status = info->infer(&c);
  if (missing) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "attribute %s is missing or of another kind", missing);
  }
  if (status) {
    return moire_fail(error, status, "%s", cause.message[0] ? cause.message : "operands do not fit");
  }
  for (int i = 0; i < info->n_results; i++) {
    status = moire__shape_check(g, &c.shape[i], error);
    if (status) return status;
    for (int d = c.shape[i].rank; d < MOIRE_MAX_RANK; d++) c.shape[i].dims[d] = 0;
    dtype[i] = c.dtype[i];
    shape[i] = c.shape[i];
  }
  return MOIRE_OK;
}

/* The node is well typed: keep it and its results. */
static moire_value append(moire_graph *g, const moire__node *draft, const moire_dtype *dtype,
                          const moire_shape *shape) {
  moire__node node = *draft;
  moire__graph_keep_origin(g, draft, &node);
  int32_t *operands = moire__arena_array(&g->arena, (size_t)node.n_operands, sizeof *operands);
  if (node.n_operands) memcpy(operands, draft->operands, (size_t)node.n_operands * sizeof *operands);
  node.operands = operands;
  moire__attr *attrs = moire__arena_array(&g->arena, (size_t)node.n_attrs, sizeof *attrs);
  for (int i = 0; i < node.n_attrs; i++) attrs[i] = copy_attr(g, &draft->attrs[i]);
  node.attrs = attrs;
  for (int i = 0; i < node.n_results; i++) {
    moire__value_info value = {.dtype = dtype[i], .shape = shape[i], .node = g->n_nodes, .result = i};
    MOIRE__PUSH(&g->arena, g->values, g->n_values, g->value_capacity, value);
  }
  MOIRE__PUSH(&g->arena, g->nodes, g->n_nodes, g->node_capacity, node);
  moire__graph_note_node(g, &node);
  return (moire_value){g, node.first_result};
}

/* Inputs have names of their own, and so have their planes: what inference, which sees one node, cannot know.
 */
static moire_status check_input(const moire_graph *g, const moire__node *node, moire_dtype dtype,
                                moire_error *error) {
  if (node->op != MOIRE__OP_input) return MOIRE_OK;
  const moire__attr *name = moire__node_attr(node, "name");
  if (!name || name->kind != MOIRE__ATTR_TEXT || !name->text[0]) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "it has no name");
  }
  if (moire__graph_find_input(g, name->text))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "there is an input %s already", name->text);
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op != MOIRE__OP_input) continue;
    const char *other = moire__node_text(&g->nodes[i], "name");
    moire_dtype other_dtype = g->values[g->nodes[i].first_result].dtype;
    if (moire__planes_meet(name->text, dtype, other, other_dtype))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "the inputs %s and %s: one is complex, the other has the name of its plane", other,
                        name->text);
  }
  return MOIRE_OK;
}

moire_value moire__graph_emit(moire_graph *g, moire_source at, moire__op op, const moire_value *operands,
                              int n_operands, const moire__attr *attrs, int n_attrs) {
  const moire_value null = {g, 0};
  const moire__op_info *info = moire__op_get(op);
  if (!g) moire__stop_without_graph(info->name);
  if (g->error.status) return null;
  int32_t ids[MOIRE__MAX_OPERANDS];
  for (int i = 0; i < n_operands; i++) {
    if (moire_value_is_null(operands[i])) return null;
    if (i < MOIRE__MAX_OPERANDS) ids[i] = operands[i].id;
    if (operands[i].graph == g) continue;
    moire__graph_fail_at(g, at, info->name, MOIRE_ERROR_ARGUMENT, "operand %d belongs to another graph", i);
    return null;
  }
  moire__node draft = {.op = op,
                       .n_operands = n_operands,
                       .n_results = info->n_results,
                       .n_attrs = n_attrs,
                       .first_result = g->n_values,
                       .operands = ids,
                       .attrs = attrs,
                       .scope = g->scope,
                       .source = at,
                       .kernel = -1};
  if (g->pinned) moire__graph_copy_origin(&g->pin, &draft);
  moire_dtype dtype[MOIRE__MAX_RESULTS];
  moire_shape shape[MOIRE__MAX_RESULTS];
  moire_error cause;
  forget(&cause);
  moire_status status = moire__graph_infer(g, &draft, dtype, shape, &cause);
  if (status == MOIRE_OK) status = check_input(g, &draft, dtype[0], &cause);
  if (status) {
    moire__graph_fail_at(g, at, info->name, status, "%s", cause.message);
    return null;
  }
  return append(g, &draft, dtype, shape);
}

moire_dtype moire_value_dtype(moire_value x) {
  return moire_value_is_null(x) ? (moire_dtype)0 : moire__info(x)->dtype;
}

moire_shape moire_value_shape(moire_value x) {
  return moire_value_is_null(x) ? MOIRE_SCALAR : moire__info(x)->shape;
}

moire_dim moire_value_dim(moire_value x, int axis) {
  if (moire_value_is_null(x)) return 1;
  const moire__value_info *info = moire__info(x);
  int at = moire__axis(axis, info->shape.rank);
  if (at < 0) {
    moire_graph_fail(x.graph, MOIRE_ERROR_ARGUMENT, "value_dim: axis %d of a value of rank %d", axis,
                     info->shape.rank);
    return 1;
  }
  return info->shape.dims[at];
}
