/* Passes on the samples of every op: the interpreter gives the same before and after. For demand, a slice is
 * put behind every sample, on each axis in turn. */
#include <criterion/criterion.h>

#include "compiler/driver/driver.h"
#include "compiler/ir/graph/rewrite.h"
#include "tests/support/op_samples.h"
#include "tests/support/pass_feed.h"
#include "tests/support/pass_golden.h"

#include <stdio.h>
#include <string.h>

static int n_wrong, n_compared, n_moved;

static moire__graph_results run(const op_sample *t, const moire_graph *g) {
  moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS], states[OP_SAMPLE_MAX_INPUTS];
  int n_inputs = op_sample_inputs(t, inputs), n_states = op_sample_states(t, states);
  moire__graph_feed feed = {.extents = op_sample_extents,
                            .inputs = inputs,
                            .n_inputs = n_inputs,
                            .states = states,
                            .n_states = n_states};
  moire__graph_results results = {0};
  moire_error error = {0};
  if (moire__graph_interpret(g, &feed, &results, &error) != MOIRE_OK) {
    fprintf(stderr, "%s %s %d: %s\n", OP_SAMPLE_NAME(t), error.message);
    n_wrong++;
  }
  op_sample_release(inputs, n_inputs);
  op_sample_release(states, n_states);
  return results;
}

static void compare(const op_sample *t, const char *pass, const moire_graph *before, const moire_graph *after) {
  moire__graph_results want = run(t, before), got = run(t, after);
  int wrong = 0;
  n_compared += pass_feed_compare(&want, &got, &wrong);
  if (wrong) fprintf(stderr, "%s %s %d: differs after pass %s\n", OP_SAMPLE_NAME(t), pass);
  n_wrong += wrong;
  moire__graph_results_free(&want);
  moire__graph_results_free(&got);
}

static int list_outputs(const moire_graph *g, const char *outputs[GOLDEN_MAX_OUTPUTS]) {
  int n = 0;
  while (n < g->n_outputs && n < GOLDEN_MAX_OUTPUTS) {
    outputs[n] = g->outputs[n].name;
    n++;
  }
  return n;
}

static moire_graph *accept(const op_sample *t, const char *pass, moire_graph *after, const moire_error *error) {
  if (!after) {
    fprintf(stderr, "%s %s %d: %s: %s\n", OP_SAMPLE_NAME(t), pass, error->message);
    n_wrong++;
  }
  return after;
}

static bool has_composites(const moire_graph *g) {
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__op_info *op = moire__op_get(g->nodes[i].op);
    bool complex_row = op->op_class == MOIRE__CLASS_ROW && (op->traits & MOIRE__TRAIT_COMPLEX);
    if (op->op_class == MOIRE__CLASS_COMPOSITE || complex_row) return true;
  }
  return false;
}

/* One pass alone, and all of them; split alone only where there is no composite and no complex row left, as
 * it requires. */
static void run_passes(op_sample *t) {
  static const char *const passes[] = {"expand", "decompose", "split", "simplify", "cse", "dce"};
  const char *outputs[GOLDEN_MAX_OUTPUTS];
  moire_graph *g = t->s.g;
  if (t->s.kind != MOIRE__SAMPLE_WRONG) {
    moire__goal goal = {.outputs = outputs, .n_outputs = list_outputs(g, outputs)};
    for (size_t i = 0; i <= sizeof passes / sizeof *passes; i++) {
      bool all = i == sizeof passes / sizeof *passes;
      const char *name = all ? "all" : passes[i];
      if (strcmp(name, "split") == 0 && has_composites(g)) continue;
      moire_error error = {0};
      moire_graph *after = all ? moire__driver_run_passes(g, &goal, NULL, NULL, &error)
                               : golden_find_pass(name)(g, &goal, &error);
      if (accept(t, name, after, &error)) compare(t, name, g, after);
      moire_graph_destroy(after);
    }
  }
  moire_graph_destroy(g);
}

Test(samples, mean_the_same_after_every_pass, .timeout = 200) {
  op_sample_each(run_passes);
  cr_assert_eq(n_wrong, 0);
  cr_assert_gt(n_compared, 500);
}

/* The graph with a slice of one output, as its only output; NULL if it has no such axis. */
static moire_graph *slice_output(const moire_graph *g, int axis) {
  moire_value y = {(moire_graph *)g, g->outputs[0].value};
  moire_shape shape = moire_value_shape(y);
  if (axis >= shape.rank || !moire__dim_is_static(shape.dims[axis]) || shape.dims[axis] == 0) return NULL;
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) moire__rewrite_clone(&r, &g->nodes[i]);
  int64_t start = shape.dims[axis] / 2, length = shape.dims[axis] > 2 ? 2 : 1;
  if (start + length > shape.dims[axis]) start = shape.dims[axis] - length;
  moire_output(r.to, "part", moire_slice(moire__rewrite_value(&r, y.id), axis, start, length));
  moire_error error = {0};
  return moire__rewrite_finish_bare(&r, &error);
}

static bool ends_in_slice(const moire_graph *g) {
  return moire__node_of(g, moire__graph_find_output(g, "part"))->op == MOIRE__OP_slice;
}

static void run_demand(op_sample *t) {
  for (int axis = 0; t->s.kind != MOIRE__SAMPLE_WRONG && axis < MOIRE_MAX_RANK; axis++) {
    moire_graph *sliced = slice_output(t->s.g, axis);
    if (!sliced) continue;
    const char *outputs[] = {"part"};
    moire__goal goal = {.outputs = outputs, .n_outputs = 1};
    moire_error error = {0};
    moire_graph *after = accept(t, "demand", moire__pass_demand(sliced, &goal, &error), &error);
    if (after) {
      compare(t, "demand", sliced, after);
      n_moved += !ends_in_slice(after);
      cr_expect_eq(moire__graph_verify(after, &error), MOIRE_OK, "%s", error.message);
    }
    moire_graph_destroy(after);
    moire_graph_destroy(sliced);
  }
  moire_graph_destroy(t->s.g);
}

Test(samples, slices_of_them_mean_the_same_after_demand, .timeout = 200) {
  op_sample_each(run_demand);
  cr_assert_eq(n_wrong, 0);
  cr_assert_gt(n_compared, 200);
  cr_assert_gt(n_moved, 150);
}
