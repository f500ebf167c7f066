/* Every gradient is the central difference of the references, in double, over the whole op table's samples.
 *
 * For a sample y = f(x0, x1, …) and random c, L = sum of re(c) re(y) + im(c) im(y). The gradient of L is built
 * as autodiff builds it: composites are expanded, then the ops are walked backwards. The differences are taken
 * of the sample as it was written, so the expansion of a composite is judged against its reference as well. Of
 * large inputs, a few elements are tried.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "compiler/pass/walk.h"
#include "runtime/base/philox.h"
#include "tests/support/sample_case.h"

#include <math.h>
#include <stdio.h>

enum { ELEMENTS_TRIED = 12 };
static const double tolerance = 3e-6;

/* ---- the graph of L's gradients ---------------------------------------------------------------------------
 */

static bool is_smooth(moire_dtype dtype) { return moire__dtype_is_float(dtype) || dtype == MOIRE_C64; }

static moire_value sum_of(moire_value a, moire_value b) { return moire_value_is_null(a) ? b : moire_add(a, b); }

/* The gradient of an output: an input "c.<output>", put together from planes where it is complex. */
static moire_value seed_gradient(moire_graph *to, const moire__named_value *output) {
  const moire__value_info *info = &to->values[output->value];
  moire_dtype dtype = info->dtype;
  moire_shape shape = info->shape;
  char name[2][80];
  moire_value planes[2];
  bool complex = dtype == MOIRE_C64;
  for (int plane = 0; plane < (complex ? 2 : 1); plane++) {
    snprintf(name[plane], sizeof name[plane], "c.%s%s", output->name, plane ? ".im" : "");
    planes[plane] = moire_input(to, name[plane], complex ? MOIRE_F32 : dtype, shape);
  }
  return complex ? moire_complex(planes[0], planes[1]) : planes[0];
}

static void differentiate(moire_graph *to, const moire__node *node, moire_value *gradients) {
  const moire__op_info *info = moire__op_get(node->op);
  moire__gradient c = {.g = to, .node = node};
  bool reached = false;
  for (int i = 0; i < node->n_results; i++) {
    c.results[i] = moire__value(to, node->first_result + i);
    c.result_gradients[i] = gradients[node->first_result + i];
    reached = reached || !moire_value_is_null(c.result_gradients[i]);
  }
  if (!reached || !info->gradient) return;
  for (int i = 0; i < node->n_operands; i++) {
    c.operands[i] = moire__value(to, node->operands[i]);
    c.wanted[i] = is_smooth(to->values[node->operands[i]].dtype);
  }
  info->gradient(&c);
  for (int i = 0; i < node->n_operands; i++) {
    moire_value term = c.operand_gradients[i];
    if (!c.wanted[i] || moire_value_is_null(term)) continue;
    moire_shape got = moire_value_shape(term), want = moire_value_shape(c.operands[i]);
    cr_assert(moire__shape_equal(&got, &want) && moire_value_dtype(term) == moire_value_dtype(c.operands[i]),
              "%s: the gradient of operand %d has another type than the operand", info->name, i);
    gradients[node->operands[i]] = sum_of(gradients[node->operands[i]], term);
  }
}

/* A graph with inputs "c.<output>" and an output "d.<input>" for every float input that L depends on. */
static moire_graph *gradient_graph(const moire_graph *sample, moire_error *error) {
  moire__goal goal = {0};
  moire_graph *g = moire__pass_expand(sample, &goal, error);
  if (!g) return NULL;
  moire__rewrite r = moire__rewrite_all(g);
  moire__arena arena = {0};
  moire_value *gradients = moire__arena_array(&arena, (size_t)g->n_values, sizeof *gradients);
  for (int i = 0; i < g->n_outputs; i++) {
    int32_t y = g->outputs[i].value;
    if (is_smooth(g->values[y].dtype)) gradients[y] = sum_of(gradients[y], seed_gradient(r.to, &g->outputs[i]));
  }
  for (int n = g->n_nodes - 1; n >= 0; n--) differentiate(r.to, &g->nodes[n], gradients);
  for (int n = 0; n < g->n_nodes; n++) {
    if (g->nodes[n].op != MOIRE__OP_input) continue;
    char name[80];
    snprintf(name, sizeof name, "d.%s", moire__node_text(&g->nodes[n], "name"));
    moire_value d = gradients[g->nodes[n].first_result];
    if (!moire_value_is_null(d)) moire_output(r.to, name, d);
  }
  moire__arena_free(&arena);
  moire_graph *result = moire__rewrite_finish_bare(&r, error);
  moire_graph_destroy(g);
  return result;
}

/* ---- L and its differences --------------------------------------------------------------------------------
 */

typedef struct weights {
  moire__named_tensor planes[2 * MOIRE__MAX_RESULTS];
  int n;
} weights;

static weights draw_weights(const sample_case *sample, const moire_graph *g) {
  weights w = {.n = 0};
  moire__random random = moire__random_start(77, (uint64_t)sample->sample.s.index);
  for (int i = 0; i < g->n_nodes; i++) {
    const char *name = g->nodes[i].op == MOIRE__OP_input ? moire__node_text(&g->nodes[i], "name") : "";
    if (name[0] != 'c') continue;
    const moire__value_info *info = &g->values[g->nodes[i].first_result];
    moire__tensor *t = moire__tensor_create(info->dtype, &info->shape, op_sample_extents);
    for (int64_t e = 0; e < t->elements; e++) t->re[e] = 2 * moire__random_real(&random) - 1;
    w.planes[w.n++] = (moire__named_tensor){name, t};
  }
  return w;
}

/* L for the sample's data as they stand. */
static double loss(const sample_case *sample, const weights *w) {
  moire__graph_results results = {0};
  moire_error error = {0};
  cr_assert_eq(sample_case_run(sample, sample->graph, &results, &error), MOIRE_OK, "%s", error.message);
  double sum = 0;
  for (int i = 0; i < results.n_outputs; i++) {
    const moire__tensor *y = results.outputs[i].tensor;
    for (int plane = 0; plane < (y->im ? 2 : 1); plane++) {
      char name[80];
      snprintf(name, sizeof name, "c.%s%s", results.outputs[i].name, plane ? ".im" : "");
      const moire__tensor *c = moire__named_tensor_find(w->planes, w->n, name);
      for (int64_t e = 0; c && e < y->elements; e++) sum += c->re[e] * (plane ? y->im[e] : y->re[e]);
    }
  }
  moire__graph_results_free(&results);
  return sum;
}

static moire_status run_gradients(const sample_case *sample, const moire_graph *g, const weights *w,
                                  moire__graph_results *results, moire_error *error) {
  moire__named_tensor inputs[2 * MOIRE__MAX_OPERANDS];
  int n = 0;
  for (int i = 0; i < sample->n_inputs; i++) inputs[n++] = sample->inputs[i];
  for (int i = 0; i < w->n; i++) inputs[n++] = w->planes[i];
  moire__graph_feed feed = {.extents = op_sample_extents,
                            .inputs = inputs,
                            .n_inputs = n,
                            .states = sample->states,
                            .n_states = sample->n_states};
  return moire__graph_interpret(g, &feed, results, error);
}

/* dL by the element of an input: (L(x + h) - L(x - h)) / 2h. */
static double difference(const sample_case *sample, const weights *w, moire__tensor *x, int64_t element,
                         double h) {
  double at = x->re[element];
  x->re[element] = at + h;
  double above = loss(sample, w);
  x->re[element] = at - h;
  double below = loss(sample, w);
  x->re[element] = at;
  return (above - below) / (2 * h);
}

static void check_input(sample_case *sample, const weights *w, const moire__graph_results *results,
                        const moire__named_tensor *input) {
  moire__tensor *x = input->tensor;
  char name[80];
  snprintf(name, sizeof name, "d.%s", input->name);
  const moire__tensor *d = moire__named_tensor_find(results->outputs, results->n_outputs, name);
  double spread = 0;
  for (int64_t e = 0; e < x->elements; e++) spread = fmax(spread, fabs(x->re[e]));
  double h = 1e-5 * fmin(1, fmax(spread, 1e-8)), largest = 0;
  for (int64_t e = 0; d && e < x->elements; e++) largest = fmax(largest, fabs(d->re[e]));
  int64_t step = x->elements / ELEMENTS_TRIED + 1;
  for (int64_t e = 0; e < x->elements; e += step) {
    double got = d ? d->re[e] : 0, want = difference(sample, w, x, e, h);
    cr_expect(fabs(got - want) <= tolerance * (1 + largest + fabs(want)),
              "%s: gradient of %s[%lld] is %.12g, the difference %.12g", sample_case_name(sample), input->name,
              (long long)e, got, want);
  }
}

static void check_sample(sample_case *sample) {
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(sample->graph, &error), MOIRE_OK, "%s: %s", sample_case_name(sample),
               error.message);
  if (sample->sample.s.no_gradient_check) return;
  moire_graph *g = gradient_graph(sample->graph, &error);
  cr_assert(g, "%s: %s", sample_case_name(sample), error.message);
  weights w = draw_weights(sample, g);
  moire__graph_results results = {0};
  cr_assert_eq(run_gradients(sample, g, &w, &results, &error), MOIRE_OK, "%s: %s", sample_case_name(sample),
               error.message);
  for (int i = 0; i < sample->n_inputs; i++)
    if (is_smooth(sample->inputs[i].tensor->dtype)) check_input(sample, &w, &results, &sample->inputs[i]);
  moire__graph_results_free(&results);
  for (int i = 0; i < w.n; i++) moire__tensor_destroy(w.planes[i].tensor);
  moire_graph_destroy(g);
}

/* ---- one test for each op that has a gradient -------------------------------------------------------------
 */

ParameterizedTestParameters(gradient, central_difference) {
  static int ops[MOIRE__OP_COUNT];
  size_t n = 0;
  for (int op = MOIRE__OP_none + 1; op < MOIRE__OP_COUNT; op++)
    if (!(moire__op_get((moire__op)op)->traits & MOIRE__TRAIT_FIXED)) ops[n++] = op;
  return cr_make_param_array(int, ops, n);
}

ParameterizedTest(int *op, gradient, central_difference) {
  for (moire__sample_kind kind = MOIRE__SAMPLE_GOOD; kind <= MOIRE__SAMPLE_HARD; kind++) {
    sample_case sample;
    for (int index = 0; sample_case_make((moire__op)*op, kind, index, &sample); index++) {
      check_sample(&sample);
      sample_case_free(&sample);
    }
  }
}
