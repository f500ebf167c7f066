/* From the operations of a module to a graph. See call.h. */
#include "compiler/import/hlo/call.h"

#include "compiler/import/hlo/fold.h"
#include "compiler/import/hlo/names.h"
#include "compiler/ir/graph/graph.h"
#include "runtime/base/text.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BUILT = 1 << 17, DEEPEST = 64 };

static void refuse(moire__hlo_builder *b, const char *op, moire_source at, const char *why, const char *hint) {
  moire__refusals_add(&b->refusals, op, at, why, hint);
}

/* ---- results ----------------------------------------------------------------------------------------------
 */

/* "f32[2,3]" */
static const char *type_text(moire__hlo_builder *b, moire_value x) {
  moire__text text = {0};
  moire_shape shape = moire_value_shape(x);
  moire__text_add_type(&text, b->graph, moire_value_dtype(x), &shape);
  const char *copy = moire__arena_copy_string(&b->arena, moire__text_string(&text));
  moire__text_free(&text);
  return copy;
}

/* Does the value have the type that the text says? */
static void check_result(moire__hlo_builder *b, moire__hlo_call *c, int i, moire_value value) {
  if (i >= c->op->types.n || moire_value_is_null(value)) return;
  const moire__hlo_type *type = &c->op->types.items[i];
  moire_shape shape = moire_value_shape(value);
  if (type->why) {
    moire__refuse(&c->call, "gives %s: %s", type->text, type->why);
    return;
  }
  bool equal = moire_value_dtype(value) == moire__hlo_dtype(b, type) &&
               (b->elementwise || moire__shape_equal(&shape, &type->shape));
  if (!equal) moire__refuse(&c->call, "gives %s here, but the text says %s", type_text(b, value), type->text);
}

static void bind_results(moire__hlo_builder *b, moire__hlo_call *c) {
  const moire__hlo_op *op = c->op;
  const moire__argument *result = &c->call.result;
  bool several = result->kind == MOIRE__ARGUMENT_LIST, silent = c->call.why || c->call.unknown;
  int n = several ? result->n : result->kind == MOIRE__ARGUMENT_TENSOR;
  if (!silent && n != op->n_results && !(n > 0 && !op->n_results))
    moire__refuse(&c->call, "gives %d results here, but the text says %d", n, op->n_results);
  for (int i = 0; i < n && !c->call.why && !c->call.unknown; i++)
    check_result(b, c, i, several ? result->items[i].value : result->value);
  bool good = !c->call.why && !c->call.unknown;
  for (int i = 0; i < op->n_results; i++) {
    moire__argument a = !good || i >= n ? (moire__argument){0} : several ? result->items[i] : *result;
    if (a.kind == MOIRE__ARGUMENT_TENSOR && moire_value_is_null(a.value)) a = (moire__argument){0};
    b->values[op->first_result + i] = a;
  }
}

/* ---- operations -------------------------------------------------------------------------------------------
 */

static void read_call(moire__hlo_builder *b, moire__hlo_call *c) {
  const moire__hlo_op *op = c->op;
  moire__argument *operands = moire__arena_array(&b->arena, (size_t)op->n_operands + 1, sizeof *operands);
  for (int i = 0; i < op->n_operands; i++) {
    operands[i] = b->values[op->operands[i]];
    if (operands[i].kind == MOIRE__ARGUMENT_UNKNOWN) c->call.unknown = true;
  }
  c->operands = operands;
  c->n_operands = op->n_operands;
  if (op->n_attributes > MOIRE__MOST_ARGUMENTS)
    moire__refuse(&c->call, "has more attributes than any operation");
  for (int i = 0; i < op->n_attributes && i < MOIRE__MOST_ARGUMENTS; i++)
    c->call.arguments[c->call.n_arguments++] = op->attributes[i];
}

/* Shardings, layouts and the like, which every operation may have. */
static void pass_over_common(moire__hlo_call *c) {
  static const char *const begins[] = {"mhlo.", "jax.", "xla.", "sdy."};
  for (int i = 0; i < c->call.n_arguments; i++) {
    for (int k = 0; k < 4; k++) {
      const char *name = c->call.arguments[i].name;
      if (!strncmp(name, begins[k], strlen(begins[k]))) c->call.arguments[i].seen = true;
    }
  }
}

static void build_op(moire__hlo_builder *b, const moire__hlo_op *op) {
  moire_source at = moire__hlo_source(b->module, op);
  moire__hlo_call c = {.call = {.arena = &b->arena, .graph = b->graph, .at = at, .op = op->name, .dropout = -1},
                       .op = op,
                       .builder = b};
  const moire__hlo_row *row = moire__hlo_row_find(op->name);
  const char *hint = "";
  read_call(b, &c);
  if (!row) {
    moire__refuse(&c.call, "is an operation that Moire does not import");
    hint = moire__hlo_hint(op->name);
  } else if (!c.call.unknown && !c.call.why && !moire__hlo_fold(&c)) {
    pass_over_common(&c);
    row->build(&c);
    if (!c.call.unknown) moire__check_arguments(&c.call);
    moire__take_mistake(&c.call);
  }
  bind_results(b, &c);
  moire__take_mistake(&c.call);
  if (c.call.why) refuse(b, op->name, at, c.call.why, hint);
}

/* Counts one more; from the first that is too many on nothing is built. */
static bool is_too_much(moire__hlo_builder *b, const char *op, moire_source at) {
  if (!b->exhausted && b->n_built++ >= MOST_BUILT) {
    refuse(b, op, at, "the program has more operations than are built when its loops and calls are written out",
           "");
    b->exhausted = true;
  }
  return b->exhausted;
}

static bool run_ops(moire__hlo_builder *b, const moire__hlo_region *region, moire__argument *results,
                    int n_results) {
  for (int i = 0; i < region->n_ops; i++) {
    const moire__hlo_op *op = &region->ops[i];
    if (!strcmp(op->name, "return")) {
      for (int k = 0; k < n_results && k < op->n_operands; k++) results[k] = b->values[op->operands[k]];
      return op->n_operands == n_results;
    }
    if (is_too_much(b, op->name, moire__hlo_source(b->module, op))) return true;
    build_op(b, op);
  }
  return n_results == 0;
}

static bool run(moire__hlo_builder *b, const moire__hlo_region *region, int n_values,
                const moire__argument *arguments, int n_arguments, moire__argument *results, int n_results) {
  moire__argument *before = b->values;
  moire_source at = {b->module->path, region->n_ops ? region->ops[0].line : 0};
  if (is_too_much(b, "region", at)) return true;
  if (b->depth >= DEEPEST) {
    refuse(b, "call", at, "functions or regions are nested too deep, or a function calls itself", "");
    b->exhausted = true;
    return true;
  }
  if (n_values) b->values = moire__arena_array(&b->arena, (size_t)n_values, sizeof *b->values);
  for (int i = 0; i < n_arguments; i++) b->values[region->arguments[i]] = arguments[i];
  b->depth++;
  bool good = run_ops(b, region, results, n_results);
  b->depth--;
  b->values = before;
  return good;
}

/* ---- the program ------------------------------------------------------------------------------------------
 */

static void build_input(moire__hlo_builder *b, const moire__hlo_function *f, int i, moire__hlo_taken *taken,
                        moire__argument *out) {
  const moire__hlo_port *port = &f->body.ports[i];
  moire_source at = {b->module->path, f->line};
  const char *name = moire__hlo_input_name(b->module, port, i, taken, &b->arena);
  *out = (moire__argument){0};
  if (port->type.why) {
    refuse(b, name, at,
           moire__arena_printf(&b->arena, "is an input of %s: %s", port->type.text, port->type.why), "");
    return;
  }
  out->kind = MOIRE__ARGUMENT_TENSOR;
  out->value = moire_input_at(at, b->graph, name, moire__hlo_dtype(b, &port->type), port->type.shape);
  moire_error mistake = {0};
  if (!moire_graph_status(b->graph, &mistake)) return;
  refuse(b, name, at, mistake.message, "");
  b->graph->error = (moire_error){0};
  *out = (moire__argument){0};
}

static void build_outputs(moire__hlo_builder *b, const moire__hlo_function *f, const moire__argument *results,
                          int n) {
  moire_source at = {b->module->path, f->line};
  moire__hlo_taken taken = {0};
  for (int i = 0; i < n; i++) {
    const char *name = moire__hlo_output_name(f, i, n, &taken, &b->arena);
    if (results[i].kind == MOIRE__ARGUMENT_TENSOR) moire_output_at(at, b->graph, name, results[i].value);
  }
  if (!n && !b->checks && !b->refusals.n) refuse(b, f->name, at, "returns no tensor", "");
}

/* What the function returns, as its last operation says. */
static int count_results(const moire__hlo_function *f) {
  const moire__hlo_region *body = &f->body;
  bool ends = body->n_ops && !strcmp(body->ops[body->n_ops - 1].name, "return");
  return ends ? body->ops[body->n_ops - 1].n_operands : 0;
}

static void build_function(moire__hlo_builder *b, const moire__hlo_function *f) {
  int n = f->body.n_arguments, n_results = count_results(f);
  moire__argument *arguments = moire__arena_array(&b->arena, (size_t)n + 1, sizeof *arguments);
  moire__argument *results = moire__arena_array(&b->arena, (size_t)n_results + 1, sizeof *results);
  moire__hlo_taken taken = {0};
  for (int i = 0; i < n; i++) build_input(b, f, i, &taken, &arguments[i]);
  if (!run(b, &f->body, f->n_values ? f->n_values : 1, arguments, n, results, n_results))
    refuse(b, f->name, (moire_source){b->module->path, f->line}, "does not return what it says", "");
  build_outputs(b, f, results, b->checks ? 0 : n_results);
}

void moire__hlo_build(const moire__hlo_module *m, const char *entry, bool wide, moire__hlo_checks *checks,
                      moire_graph *g, moire__text *refusals) {
  moire__hlo_builder b = {.module = m, .graph = g, .wide = wide, .checks = checks, .run = run};
  b.refusals = (moire__refusals){.arena = &b.arena, .lines = refusals};
  b.literals = moire__arena_array(&b.arena, (size_t)m->n_literals + 1, sizeof *b.literals);
  const moire__hlo_function *f = moire__hlo_find(m, entry);
  if (f && f->body.n_ports == f->body.n_arguments)
    build_function(&b, f);
  else
    refuse(&b, entry, (moire_source){m->path, 0}, "is not there: wanted a function main", "");
  moire__refusals_finish(&b.refusals, g);
  moire__arena_free(&b.arena);
}
