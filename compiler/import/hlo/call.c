/* One StableHLO operation: operands, attributes, results. See call.h. */
#include "compiler/import/hlo/call.h"

#include "compiler/import/shapes.h"

#include <math.h>
#include <string.h>

/* ---- operands and results ---------------------------------------------------------------------------------
 */

moire_value moire__hlo_operand(moire__hlo_call *c, int i) {
  if (i < c->n_operands && c->operands[i].kind == MOIRE__ARGUMENT_TENSOR) return c->operands[i].value;
  moire__refuse(&c->call, "wanted a tensor as operand %d", i + 1);
  return moire__null(&c->call);
}

bool moire__hlo_is_uniform(const moire__hlo_call *c, int i, double *number) {
  bool known = i < c->n_operands && c->operands[i].uniform && c->operands[i].imaginary == 0;
  if (known) *number = c->operands[i].real;
  return known;
}

bool moire__hlo_known(const moire__hlo_call *c, int i, int64_t *number) {
  double x = 0;
  if (!moire__hlo_is_uniform(c, i, &x) || x != floor(x) || fabs(x) > 0x1p53) return false;
  *number = (int64_t)x;
  return true;
}

moire_dtype moire__hlo_dtype(const moire__hlo_builder *b, const moire__hlo_type *type) {
  if (b->wide && type->dtype == MOIRE_F64) return MOIRE_F32;
  return type->dtype;
}

moire__hlo_type moire__hlo_result(moire__hlo_call *c, int i) {
  moire__hlo_type none = {.text = "", .element = "", .dtype = MOIRE_F32, .shape = {.rank = 1}};
  if (i >= c->op->types.n) {
    moire__refuse(&c->call, "wanted the type of result %d", i + 1);
    return none;
  }
  moire__hlo_type type = c->op->types.items[i];
  if (type.why) moire__refuse(&c->call, "gives %s: %s", type.text, type.why);
  if (type.why) return none;
  type.dtype = moire__hlo_dtype(c->builder, &type);
  return type;
}

void moire__hlo_numbers(moire__hlo_call *c, const char *name, const char *other, int n, int64_t otherwise,
                        int64_t *out) {
  enum { MOST = 4 * MOIRE_MAX_RANK };
  int64_t there[MOST];
  const char *found = !other || moire__find(&c->call, name) ? name : other;
  int count = moire__integers(&c->call, found, there, MOST);
  if (count >= 0 && count != n) moire__refuse(&c->call, "%s: has %d numbers, wanted %d", found, count, n);
  for (int i = 0; i < n; i++) out[i] = count == n ? there[i] : otherwise;
}

static const moire__argument *attribute(const moire__hlo_op *op, const char *name) {
  for (int i = 0; i < op->n_attributes; i++) {
    const moire__named_argument *a = &op->attributes[i];
    if (!strcmp(a->name, name) && a->argument.kind == MOIRE__ARGUMENT_TEXT) return &a->argument;
  }
  return NULL;
}

const moire__argument *moire__hlo_word(const moire__hlo_op *op) {
  const moire__argument *word = attribute(op, "word0");
  return word ? word : attribute(op, "comparison_direction");
}

const char *moire__hlo_direction(moire__hlo_call *c) {
  static const char *const all[] = {"EQ", "NE", "LT", "LE", "GT", "GE"};
  bool pretty = moire__find(&c->call, "word0") != NULL;
  const char *direction = moire__text_or(&c->call, pretty ? "word0" : "comparison_direction", "");
  moire__pass_over(&c->call, pretty ? "word1" : "compare_type");
  for (int i = 0; i < 6; i++) {
    if (!strcmp(direction, all[i])) return all[i];
  }
  moire__refuse(&c->call, "wanted a direction of the comparison: EQ, NE, LT, LE, GT or GE");
  return "";
}

void moire__hlo_pass_over(moire__hlo_call *c, const char *const *names, int n) {
  for (int i = 0; i < n; i++) moire__pass_over(&c->call, names[i]);
}

/* ---- constants --------------------------------------------------------------------------------------------
 */

/* i64 beyond what a constant holds are products of two. */
static moire_value number_of(moire__hlo_call *c, moire_dtype dtype, moire_shape shape, double x) {
  double part = x / 0x1p31;
  bool large = dtype == MOIRE_I64 && fabs(x) > 0x1p53 && part == floor(part);
  moire_value value = moire_constant_at(c->call.at, c->call.graph, dtype, shape, large ? part : x);
  return large ? moire_scale_at(c->call.at, value, 0x1p31) : value;
}

moire__argument moire__hlo_number(moire__hlo_call *c, const moire__hlo_type *type, double re, double im) {
  moire_graph *g = c->call.graph;
  moire__argument a = {.kind = MOIRE__ARGUMENT_TENSOR, .uniform = true, .real = re, .imaginary = im};
  if (type->dtype == MOIRE_C64) {
    moire_value part = moire_constant_at(c->call.at, g, MOIRE_F32, type->shape, re);
    a.value = moire_complex_at(c->call.at, part, moire_constant_at(c->call.at, g, MOIRE_F32, type->shape, im));
  } else {
    a.value = number_of(c, moire__hlo_dtype(c->builder, type), type->shape, re);
  }
  return a;
}

void moire__hlo_give_number(moire__hlo_call *c, double number) {
  moire__hlo_type type = moire__hlo_result(c, 0);
  if (!c->call.why) c->call.result = moire__hlo_number(c, &type, number, 0);
}

/* ---- what is within an operation ---------------------------------------------------------------------------
 */

static bool run(moire__hlo_call *c, const moire__hlo_region *region, int n_values,
                const moire__argument *arguments, int n_arguments, moire__argument *results, int n_results) {
  for (int i = 0; i < n_results; i++) results[i] = (moire__argument){0};
  if (region->n_arguments != n_arguments) {
    moire__refuse(&c->call, "a region or function has %d arguments, wanted %d", region->n_arguments,
                  n_arguments);
    return false;
  }
  bool good = c->builder->run(c->builder, region, n_values, arguments, n_arguments, results, n_results);
  if (!good) moire__refuse(&c->call, "a region or function does not return %d values", n_results);
  for (int i = 0; i < n_results && good; i++) good = results[i].kind == MOIRE__ARGUMENT_TENSOR;
  if (!good) c->call.unknown = true;
  return good;
}

bool moire__hlo_run(moire__hlo_call *c, const moire__hlo_region *region, const moire__argument *arguments,
                    int n_arguments, moire__argument *results, int n_results) {
  return run(c, region, 0, arguments, n_arguments, results, n_results);
}

bool moire__hlo_run_function(moire__hlo_call *c, const moire__hlo_function *f, moire__argument *results,
                             int n_results) {
  return run(c, &f->body, f->n_values ? f->n_values : 1, c->operands, c->n_operands, results, n_results);
}

bool moire__hlo_run_elementwise(moire__hlo_call *c, const moire__hlo_region *region,
                                const moire_value *arguments, int n_arguments, moire_value *results,
                                int n_results) {
  moire__argument *in = moire__arena_array(c->call.arena, (size_t)n_arguments + 1, sizeof *in);
  moire__argument *out = moire__arena_array(c->call.arena, (size_t)n_results + 1, sizeof *out);
  for (int i = 0; i < n_results; i++) results[i] = moire__null(&c->call);
  for (int i = 0; i < n_arguments; i++) {
    if (moire_value_is_null(arguments[i])) return false;
    in[i] = (moire__argument){.kind = MOIRE__ARGUMENT_TENSOR, .value = arguments[i]};
  }
  bool before = c->builder->elementwise;
  c->builder->elementwise = true;
  bool good = run(c, region, 0, in, n_arguments, out, n_results);
  c->builder->elementwise = before;
  for (int i = 0; i < n_results && good; i++) results[i] = out[i].value;
  return good;
}

const char *moire__hlo_combiner(const moire__hlo_call *c, const moire__hlo_region *region) {
  (void)c;
  if (region->n_ops != 2 || region->n_arguments != 2) return NULL;
  const moire__hlo_op *op = &region->ops[0], *end = &region->ops[1];
  bool returned = !strcmp(end->name, "return") && end->n_operands == 1 && op->n_results == 1 &&
                  end->operands[0] == op->first_result;
  if (!returned || op->n_operands != 2 || op->n_attributes || op->n_regions) return NULL;
  int a = region->arguments[0], b = region->arguments[1];
  bool both = (op->operands[0] == a && op->operands[1] == b) || (op->operands[0] == b && op->operands[1] == a);
  return both ? op->name : NULL;
}
