/* The parts of ops that need the graph alone: every row has its parts, samples are accepted or refused as they
 * say, and the gradient part of an op that its sampler emits as one node agrees with central differences of the
 * reference.
 */
#include <criterion/criterion.h>

#include "tests/support/op_samples.h"

#include <math.h>

/* ---- the table ------------------------------------------------------------------------------------------- */

Test(ops, every_row_has_its_parts) {
  for (int i = 1; i < MOIRE__OP_COUNT; i++) {
    const moire__op_info *op = moire__op_get((moire__op)i);
    cr_expect_eq(moire__op_find(op->name), i, "%s", op->name);
    cr_expect(op->infer && op->reference && op->sample, "%s", op->name);
    cr_expect(op->equation[0] != 0, "%s", op->name);
    bool fixed = op->traits & MOIRE__TRAIT_FIXED;
    bool differentiated = op->op_class != MOIRE__CLASS_SOURCE && op->op_class != MOIRE__CLASS_COMPOSITE;
    cr_expect_eq(op->gradient != NULL, differentiated && !fixed, "%s", op->name);
    cr_expect_eq(op->element != NULL, op->op_class == MOIRE__CLASS_POINTWISE, "%s", op->name);
    cr_expect_eq(op->map != NULL, op->op_class == MOIRE__CLASS_VIEW, "%s", op->name);
    cr_expect_eq(op->lower != NULL, op->op_class == MOIRE__CLASS_KERNEL, "%s", op->name);
    bool expands = op->op_class == MOIRE__CLASS_ROW || op->op_class == MOIRE__CLASS_COMPOSITE;
    cr_expect_eq(op->expand != NULL, expands, "%s", op->name);
  }
  cr_expect(moire__op_get(MOIRE__OP_mul)->split && moire__op_get(MOIRE__OP_conj)->split);
  cr_expect(!moire__op_get(MOIRE__OP_add)->split && moire__op_get(MOIRE__OP_reshape)->demand);
  cr_expect_eq(moire__op_find("no such op"), MOIRE__OP_none);
}

Test(ops, every_op_has_samples_of_every_kind) {
  for (int op = 1; op < MOIRE__OP_COUNT; op++)
    for (int kind = MOIRE__SAMPLE_GOOD; kind <= MOIRE__SAMPLE_WRONG; kind++) {
      op_sample t;
      bool made = op_sample_make((moire__op)op, (moire__sample_kind)kind, 0, &t);
      cr_expect(made, "%s has no %s sample", moire__op_get((moire__op)op)->name,
                op_sample_kind((moire__sample_kind)kind));
      if (made) moire_graph_destroy(t.s.g);
    }
}

/* ---- inference and references ---------------------------------------------------------------------------- */

static void infer_and_run(op_sample *t) {
  moire_error error = {0};
  moire_status status = moire_graph_status(t->s.g, &error);
  if (t->s.kind == MOIRE__SAMPLE_WRONG) {
    cr_expect_eq(status, t->s.expected, "%s %s %d: %s, wanted %s: %s", OP_SAMPLE_NAME(t),
                 moire_status_name(status), moire_status_name(t->s.expected), error.message);
    cr_expect_neq(status, MOIRE_OK, "%s %s %d", OP_SAMPLE_NAME(t));
    moire_graph_destroy(t->s.g);
    return;
  }
  cr_expect_eq(status, MOIRE_OK, "%s %s %d: %s", OP_SAMPLE_NAME(t), error.message);
  cr_expect_eq(moire__graph_verify(t->s.g, &error), MOIRE_OK, "%s %s %d: %s", OP_SAMPLE_NAME(t), error.message);
  moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS], states[OP_SAMPLE_MAX_INPUTS];
  int n = op_sample_inputs(t, inputs), n_states = op_sample_states(t, states);
  moire__graph_feed feed = {op_sample_extents, inputs, n, states, n_states, NULL, 0};
  moire__graph_results results = {0};
  status = moire__graph_interpret(t->s.g, &feed, &results, &error);
  cr_expect_eq(status, MOIRE_OK, "%s %s %d: %s", OP_SAMPLE_NAME(t), error.message);
  for (int i = 0; i < results.n_outputs; i++) {
    const moire__tensor *y = results.outputs[i].tensor;
    for (int64_t e = 0; e < y->elements; e++)
      cr_expect(!isnan(y->re[e]) && !(y->im && isnan(y->im[e])), "%s %s %d: element %lld", OP_SAMPLE_NAME(t),
                (long long)e);
  }
  moire__graph_results_free(&results);
  op_sample_release(states, n_states);
  op_sample_release(inputs, n);
  moire_graph_destroy(t->s.g);
}

Test(ops, samples_are_accepted_or_refused) { op_sample_each(infer_and_run); }

/* ---- gradients ------------------------------------------------------------------------------------------- */

/* The inner product of y and w, planes apart: real. */
static double inner(const moire__tensor *y, const moire__tensor *w) {
  double sum = 0;
  for (int64_t e = 0; e < y->elements; e++) sum += y->re[e] * w->re[e] + (y->im ? y->im[e] * w->im[e] : 0);
  return sum;
}

/* d<y, dy> by one element of one plane, from four points around it: the error is of fourth order in h. */
static double central_difference(op_sample *t, moire__graph_feed feed, double *element,
                                 const moire__tensor *dy) {
  static const double offsets[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
  double sum = 0, x = *element, h = 1e-5 * fmax(1, fabs(x) / 1e3);
  const char *only[] = {"y0"};
  feed.only = only;
  feed.n_only = 1;
  for (int i = 0; i < 4; i++) {
    *element = x + offsets[i] * h;
    moire__graph_results results = {0};
    moire_error error = {0};
    cr_assert_eq(moire__graph_interpret(t->s.g, &feed, &results, &error), MOIRE_OK, "%s", error.message);
    sum += weights[i] * inner(results.outputs[0].tensor, dy);
    moire__graph_results_free(&results);
  }
  *element = x;
  return sum / (12 * h);
}

enum { MAX_PROBES = 40 };

/* At no more than MAX_PROBES elements of each plane, evenly spread. */
static void expect_gradient(op_sample *t, const moire__graph_feed *feed, moire__tensor *x,
                            const moire__tensor *dx, const moire__tensor *dy, int operand) {
  for (int plane = 0; plane < (x->im ? 2 : 1); plane++)
    for (int64_t e = 0; e < x->elements; e += x->elements / MAX_PROBES + 1) {
      double want = central_difference(t, *feed, plane ? &x->im[e] : &x->re[e], dy);
      double got = dx ? (plane ? dx->im[e] : dx->re[e]) : 0;
      cr_expect(fabs(got - want) <= 1e-6 * (1 + fabs(want)),
                "%s %s %d: operand %d element %lld: %.12g, not %.12g", OP_SAMPLE_NAME(t), operand, (long long)e,
                got, want);
    }
}

/* Adds dy as an input and the gradients of the node's operands as outputs "g0", "g1", …; false if it has none.
 */
static bool add_gradients(op_sample *t) {
  moire_graph *g = t->s.g;
  moire__gradient c = {.g = g, .node = &t->node};
  bool any = false;
  for (int i = 0; i < t->node.n_operands; i++) {
    c.operands[i] = moire__value(g, t->node.operands[i]);
    moire_dtype dtype = moire_value_dtype(c.operands[i]);
    c.wanted[i] = moire__dtype_is_float(dtype) || dtype == MOIRE_C64;
    any = any || c.wanted[i];
  }
  if (!any || t->node.n_results != 1) return false;
  c.results[0] = moire__value(g, t->node.first_result);
  c.result_gradients[0] =
      moire_input(g, "dy", moire_value_dtype(c.results[0]), moire_value_shape(c.results[0]));
  t->op->gradient(&c);
  static const char *const names[] = {"g0", "g1", "g2", "g3"};
  for (int i = 0; i < t->node.n_operands && i < 4; i++)
    if (c.wanted[i] && !moire_value_is_null(c.operand_gradients[i]))
      moire_output(g, names[i], c.operand_gradients[i]);
  return true;
}

static bool checked[MOIRE__OP_COUNT]; /* Criterion gives each test a process of its own */

static void check_gradient(op_sample *t) {
  moire_error error = {0};
  if (t->s.kind == MOIRE__SAMPLE_WRONG || !t->single || t->s.no_gradient_check || !t->op->gradient ||
      t->node.first_result != moire__graph_find_output(t->s.g, "y0") || !add_gradients(t)) {
    moire_graph_destroy(t->s.g);
    return;
  }
  cr_assert_eq(moire_graph_status(t->s.g, &error), MOIRE_OK, "%s %s %d: %s", OP_SAMPLE_NAME(t), error.message);
  checked[t->node.op] = true;
  moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS];
  int n = op_sample_inputs(t, inputs);
  moire__graph_feed feed = {op_sample_extents, inputs, n, NULL, 0, NULL, 0};
  moire__graph_results results = {0};
  cr_assert_eq(moire__graph_interpret(t->s.g, &feed, &results, &error), MOIRE_OK, "%s", error.message);
  const moire__tensor *dy = moire__named_tensor_find(inputs, n, "dy");
  for (int i = 0; i < t->node.n_operands && i < 4; i++) {
    const moire__node *source = moire__node_of(t->s.g, t->node.operands[i]);
    bool repeated = i > 0 && t->node.operands[i] == t->node.operands[0];
    if (source->op != MOIRE__OP_input || repeated) continue;
    moire__tensor *x = moire__named_tensor_find(inputs, n, moire__node_text(source, "name"));
    if (!moire__dtype_is_float(x->dtype) && x->dtype != MOIRE_C64) continue;
    char name[] = {'g', (char)('0' + i), 0};
    moire__tensor *dx = moire__named_tensor_find(results.outputs, results.n_outputs, name);
    if (t->node.n_operands == 2 && t->node.operands[0] == t->node.operands[1]) {
      const moire__tensor *second = moire__named_tensor_find(results.outputs, results.n_outputs, "g1");
      for (int64_t e = 0; e < x->elements; e++) {
        dx->re[e] += second->re[e];
        if (dx->im) dx->im[e] += second->im[e];
      }
    }
    expect_gradient(t, &feed, x, dx, dy, i);
  }
  moire__graph_results_free(&results);
  op_sample_release(inputs, n);
  moire_graph_destroy(t->s.g);
}

Test(ops, gradients_are_central_differences, .timeout = 120) {
  op_sample_each(check_gradient);
  for (int op = 1; op < MOIRE__OP_COUNT; op++) {
    const moire__op_info *info = moire__op_get((moire__op)op);
    cr_expect(checked[op] || !info->gradient, "%s has no sample whose gradient was checked", info->name);
  }
}
