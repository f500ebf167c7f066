/* What holds of every op, over its samples, by the interpreter alone:
 *
 *   - there are samples of every kind; the good and hard ones verify, and their text reads back as it was;
 *   - wrong ones are refused with the status that they expect, and so is a node that lacks an attribute or has
 *     one of another kind, unless the op can do without it;
 *   - expand, decompose and split change no result, and after them no composite, row or complex value is left;
 *   - a slice of a result is the same after `demand` as before.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "compiler/pass/pass.h"
#include "compiler/ir/graph/rewrite.h"
#include "tests/support/sample_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- results ----------------------------------------------------------------------------------------------
 */

static moire__graph_results run(sample_case *sample, const moire_graph *g) {
  moire__graph_results results = {0};
  moire_error error = {0};
  cr_assert_eq(sample_case_run(sample, g, &results, &error), MOIRE_OK, "%s: %s", sample_case_name(sample),
               error.message);
  return results;
}

static void expect_equal(sample_case *sample, const char *what, const moire__tensor *got, const double *want,
                         int64_t n) {
  cr_assert(got && got->elements == n, "%s after %s: another shape", sample_case_name(sample), what);
  for (int64_t i = 0; i < n; i++) {
    double x = got->re[i], y = want[i];
    bool same = x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-9 * (1 + fabs(y));
    cr_assert(same, "%s after %s: element %lld is %.17g, wanted %.17g", sample_case_name(sample), what,
              (long long)i, x, y);
  }
}

/* The outputs of `changed` are those of `want`; where its complex outputs are split, plane by plane. */
static void compare(sample_case *sample, const char *what, const moire_graph *changed,
                    const moire__graph_results *want) {
  moire__graph_results got = run(sample, changed);
  for (int i = 0; i < want->n_outputs; i++) {
    const moire__tensor *y = want->outputs[i].tensor;
    const char *name = want->outputs[i].name;
    const moire__tensor *whole = moire__named_tensor_find(got.outputs, got.n_outputs, name);
    if (whole || !y->im) {
      expect_equal(sample, what, whole, y->re, y->elements);
      if (!y->im) continue;
      moire__tensor imaginary = *whole;
      imaginary.re = whole->im;
      expect_equal(sample, what, &imaginary, y->im, y->elements);
      continue;
    }
    for (int plane = 0; plane < 2; plane++) {
      char part[80];
      snprintf(part, sizeof part, "%s.%s", name, plane ? "imag" : "real");
      expect_equal(sample, what, moire__named_tensor_find(got.outputs, got.n_outputs, part),
                   plane ? y->im : y->re, y->elements);
    }
  }
  moire__graph_results_free(&got);
}

/* ---- checks of one sample ---------------------------------------------------------------------------------
 */

static void check_text(sample_case *sample) {
  moire_error error = {0};
  char *text = moire_graph_print(sample->graph);
  moire_graph *again = moire_graph_parse(text, "sample", &error);
  cr_assert(again, "%s: %s\n%s", sample_case_name(sample), error.message, text);
  char *text_again = moire_graph_print(again);
  cr_assert_str_eq(text_again, text);
  free(text_again);
  free(text);
  moire_graph_destroy(again);
}

static bool is_left(const char *pass, const moire_graph *g, const moire__node *node) {
  moire__op_class class = moire__op_get(node->op)->op_class;
  if (strcmp(pass, "split") == 0) return g->values[node->first_result].dtype == MOIRE_C64;
  if (strcmp(pass, "decompose") == 0 && class == MOIRE__CLASS_ROW) return true;
  return class == MOIRE__CLASS_COMPOSITE && !(moire__op_get(node->op)->traits & MOIRE__TRAIT_FIXED);
}

static void check_passes(sample_case *sample, const moire__graph_results *want) {
  static const struct {
    const char *name;
    moire__graph_pass *pass;
  } passes[] = {
      {"expand", moire__pass_expand}, {"decompose", moire__pass_decompose}, {"split", moire__pass_split}};
  moire__goal goal = {0};
  moire_error error = {0};
  moire_graph *before = NULL;
  for (int i = 0; i < 3; i++) {
    moire_graph *g = passes[i].pass(before ? before : sample->graph, &goal, &error);
    cr_assert(g, "%s, %s: %s", sample_case_name(sample), passes[i].name, error.message);
    cr_assert_eq(moire__graph_verify(g, &error), MOIRE_OK, "%s after %s: %s", sample_case_name(sample),
                 passes[i].name, error.message);
    for (int n = 0; n < g->n_nodes; n++)
      cr_assert(!is_left(passes[i].name, g, &g->nodes[n]), "%s after %s: there is still %s",
                sample_case_name(sample), passes[i].name, moire__op_get(g->nodes[n].op)->name);
    compare(sample, passes[i].name, g, want);
    moire_graph_destroy(before);
    before = g;
  }
  moire_graph_destroy(before);
}

/* The sample with slices of its first result as outputs: the beginning, the end and the middle of an axis. */
static moire_graph *sliced(const moire_graph *g, int axis, int which) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) moire__rewrite_clone(&r, &g->nodes[i]);
  moire_value y = moire__rewrite_value(&r, moire__graph_find_output(g, "y0"));
  int64_t extent = moire_value_dim(y, axis), half = extent / 2;
  int64_t start = which == 0 ? 0 : which == 1 ? extent - half : 1, length = which == 2 ? 1 : half;
  moire_output(r.to, "y0", moire_slice(y, axis, start, length));
  return moire__rewrite_finish_bare(&r, NULL);
}

static void check_demand(sample_case *sample) {
  moire_shape shape = sample->graph->values[moire__graph_find_output(sample->graph, "y0")].shape;
  moire__goal goal = {0};
  moire_error error = {0};
  for (int axis = 0; axis < shape.rank; axis++) {
    if (!moire__dim_is_static(shape.dims[axis]) || shape.dims[axis] < 2) continue;
    for (int which = 0; which < 3; which++) {
      moire_graph *before = sliced(sample->graph, axis, which);
      cr_assert(before);
      moire_graph *after = moire__pass_demand(before, &goal, &error);
      cr_assert(after, "%s: %s", sample_case_name(sample), error.message);
      moire__graph_results want = run(sample, before);
      compare(sample, "demand", after, &want);
      moire__graph_results_free(&want);
      moire_graph_destroy(after);
      moire_graph_destroy(before);
    }
  }
}

/* Inference of the op's node without its i-th attribute, and with another kind of it, gives an answer. */
static void check_attributes(sample_case *sample) {
  const moire_graph *g = sample->graph;
  for (int n = 0; n < g->n_nodes; n++) {
    moire__node node = g->nodes[n];
    for (int i = 0; i < node.n_attrs && moire__op_get(node.op) == sample->sample.op; i++) {
      moire__attr attrs[16];
      cr_assert_leq(node.n_attrs, 16);
      moire_dtype dtype[MOIRE__MAX_RESULTS];
      moire_shape shape[MOIRE__MAX_RESULTS];
      moire_error error = {0};
      memcpy(attrs, node.attrs, (size_t)node.n_attrs * sizeof *attrs);
      moire__node other = node;
      other.attrs = attrs;
      attrs[i] = moire__attr_make_text(attrs[i].name, "surprise");
      if (node.attrs[i].kind == MOIRE__ATTR_TEXT) attrs[i] = moire__attr_make_real(attrs[i].name, 0.5);
      cr_expect_neq(moire__graph_infer(g, &other, dtype, shape, &error), MOIRE_OK,
                    "%s: attribute %s may be of another kind", sample_case_name(sample), attrs[i].name);
      attrs[i] = attrs[node.n_attrs - 1];
      other.n_attrs--;
      moire__graph_infer(g, &other, dtype, shape, NULL);
    }
  }
}

static void check_sample(sample_case *sample) {
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(sample->graph, &error), MOIRE_OK, "%s: %s", sample_case_name(sample),
               error.message);
  cr_assert_eq(moire__graph_verify(sample->graph, &error), MOIRE_OK, "%s: %s", sample_case_name(sample),
               error.message);
  check_text(sample);
  check_attributes(sample);
  moire__graph_results want = run(sample, sample->graph);
  check_passes(sample, &want);
  moire__graph_results_free(&want);
  check_demand(sample);
}

static void check_wrong(sample_case *sample) {
  moire_error error = {0};
  moire_status status = moire_graph_status(sample->graph, &error);
  cr_expect_neq(sample->sample.s.expected, MOIRE_OK, "%s expects nothing", sample_case_name(sample));
  cr_expect_eq(status, sample->sample.s.expected, "%s: wanted status %s, got %s: %s", sample_case_name(sample),
               moire_status_name(sample->sample.s.expected), moire_status_name(status), error.message);
}

/* ---- one test for each op ---------------------------------------------------------------------------------
 */

ParameterizedTestParameters(samples, every_op) {
  static int ops[MOIRE__OP_COUNT];
  for (int op = MOIRE__OP_none + 1; op < MOIRE__OP_COUNT; op++) ops[op - 1] = op;
  return cr_make_param_array(int, ops, MOIRE__OP_COUNT - 1);
}

ParameterizedTest(int *op, samples, every_op) {
  for (moire__sample_kind kind = MOIRE__SAMPLE_GOOD; kind <= MOIRE__SAMPLE_WRONG; kind++) {
    sample_case sample;
    int index = 0;
    for (; sample_case_make((moire__op)*op, kind, index, &sample); index++) {
      if (kind == MOIRE__SAMPLE_WRONG)
        check_wrong(&sample);
      else
        check_sample(&sample);
      sample_case_free(&sample);
    }
    cr_expect_gt(index, 0, "%s has no samples of kind %d", moire__op_get((moire__op)*op)->name, kind);
  }
}
