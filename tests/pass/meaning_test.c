/* Passes do not change what a graph means: the interpreter gives the same before and after, and what autodiff
 * adds are the derivatives. On the golden inputs, and on QIA through the whole pipeline. */
#include <criterion/criterion.h>

#include "compiler/driver/driver.h"
#include "moire/model.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"
#include "tests/support/pass_feed.h"
#include "tests/support/pass_golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- golden inputs ----------------------------------------------------------------------------------------
 */

static int n_wrong, n_compared;

static void check_case(const golden_case *c) {
  moire_error error = {0};
  if (c->goal.bf16 || c->goal.int8) return;     /* they change what products mean */
  if (c->goal.part != MOIRE_PART_WHOLE) return; /* a part of what was meant */
  moire_graph *after = golden_find_pass(c->pass)(c->graph, &c->goal, &error);
  if (!after) return; /* a case of a refusal */
  pass_feed feed = {.fixed = c->goal.fixed, .n_fixed = c->goal.n_fixed};
  pass_feed_add(&feed, c->graph);
  pass_feed_add(&feed, after);
  moire__graph_results want = pass_feed_run(&feed, c->graph, NULL), got = pass_feed_run(&feed, after, NULL);
  int wrong = 0;
  n_compared += pass_feed_compare(&want, &got, &wrong);
  if (wrong) fprintf(stderr, "%s: %d output(s) differ\n", c->path, wrong);
  n_wrong += wrong;
  moire__graph_results_free(&want);
  moire__graph_results_free(&got);
  pass_feed_release(&feed);
  moire_graph_destroy(after);
}

Test(meaning, golden_inputs_are_the_same_after_their_pass) {
  for (int i = 0; golden_pass(i); i++) golden_each(golden_pass(i), check_case);
  cr_assert_eq(n_wrong, 0);
  cr_assert_gt(n_compared, 40);
}

/* What a case shows of one pass must survive the others. */
static void check_case_in_pipeline(const golden_case *c) {
  moire_error error = {0};
  moire__goal goal = c->goal;
  goal.bf16 = goal.int8 = false;
  goal.part = MOIRE_PART_WHOLE;
  goal.loss = NULL;
  goal.training.optimizer = MOIRE_OPTIMIZER_NONE;
  moire_graph *after = moire__driver_run_passes(c->graph, &goal, NULL, NULL, &error);
  if (!after) {
    if (error.status == MOIRE_ERROR_INTERNAL) fprintf(stderr, "%s: %s\n", c->path, error.message);
    n_wrong += error.status == MOIRE_ERROR_INTERNAL;
    return;
  }
  pass_feed feed = {.fixed = c->goal.fixed, .n_fixed = c->goal.n_fixed};
  pass_feed_add(&feed, c->graph);
  pass_feed_add(&feed, after);
  moire__graph_results want = pass_feed_run(&feed, c->graph, NULL), got = pass_feed_run(&feed, after, NULL);
  int wrong = 0;
  n_compared += pass_feed_compare(&want, &got, &wrong);
  if (wrong) fprintf(stderr, "%s: %d output(s) differ after the pipeline\n", c->path, wrong);
  n_wrong += wrong;
  moire__graph_results_free(&want);
  moire__graph_results_free(&got);
  pass_feed_release(&feed);
  moire_graph_destroy(after);
}

Test(meaning, golden_inputs_are_the_same_after_the_pipeline) {
  for (int i = 0; golden_pass(i); i++) golden_each(golden_pass(i), check_case_in_pipeline);
  cr_assert_eq(n_wrong, 0);
  cr_assert_gt(n_compared, 40);
}

/* ---- QIA ----------------------------------------------------------------------------------------------------
 */

/* Two layers, L = 5, D = 8, 2 heads, with dropout. */
static moire_graph *build_qia(void) {
  static const char *const settings[] = {
      "item_size=7",
      "hidden_size=8",
      "num_attention_heads=2",
      "inner_size=12",
      "max_seq_length=5",
      "band_kernel_sizes=[2, 3]",
      "n_bands=2",
      "band_dilations=[1, 2]",
      "attention_probs_dropout_prob=0.25",
      "num_hidden_layers=2",
      "hidden_dropout_prob=0.25",
  };
  moire_error error = {0};
  moire__config_table table = {0};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    cr_assert_eq(moire__config_table_set(&table, "test", settings[i], &error), MOIRE_OK, "%s", error.message);
  const moire_model *model = moire_model_find("qia", &error);
  cr_assert(model, "%s", error.message);
  const moire__config_fields fields = {model->fields, model->n_fields};
  moire_config *config = NULL;
  cr_assert_eq(moire__config_build(&table, "test", &fields, 1, &config, &error), MOIRE_OK, "%s", error.message);
  moire_graph *g = moire_graph_create("qia", MOIRE_TRAINING);
  model->build(g, config);
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

static const char *const qia_outputs[] = {"logits", "loss"};

static moire__goal qia_goal(void) {
  return (moire__goal){.outputs = qia_outputs,
                       .n_outputs = 2,
                       .loss = "loss",
                       .keep_gradients = true,
                       .training = {.optimizer = MOIRE_OPTIMIZER_ADAMW,
                                    .lr = 1e-3,
                                    .beta1 = 0.9,
                                    .beta2 = 0.999,
                                    .eps = 1e-8,
                                    .weight_decay = 0.01}};
}

typedef struct walk {
  pass_feed feed;
  moire__graph_results last;
  int n_passes;
} walk;

/* What is printed reads back as the same text. */
static void check_text(const char *pass, const moire_graph *g) {
  moire_error error = {0};
  char *text = moire_graph_print(g);
  moire_graph *again = moire_graph_parse(text, pass, &error);
  cr_assert(again, "%s", error.message);
  char *text_again = moire_graph_print(again);
  cr_expect_str_eq(text_again, text, "after pass %s", pass);
  free(text);
  free(text_again);
  moire_graph_destroy(again);
}

/* Each pass gives what the one before it gave; autodiff and optimize add to it. */
static void compare_with_last(void *context, const char *pass, const moire_graph *g) {
  walk *w = context;
  check_text(pass, g);
  pass_feed_add(&w->feed, g);
  moire__graph_results now = pass_feed_run(&w->feed, g, NULL);
  int wrong = 0, n = pass_feed_compare(&w->last, &now, &wrong);
  cr_expect_eq(wrong, 0, "after pass %s", pass);
  cr_expect_geq(n, 2, "after pass %s", pass);
  moire__graph_results_free(&w->last);
  w->last = now;
  w->n_passes++;
}

Test(meaning, qia_is_the_same_after_every_pass) {
  moire_graph *g = build_qia();
  moire__goal goal = qia_goal();
  walk w = {0};
  pass_feed_add(&w.feed, g);
  w.last = pass_feed_run(&w.feed, g, NULL);
  moire_error error = {0};
  moire__dump dump = {.context = &w, .graph = compare_with_last};
  moire_graph *after = moire__driver_run_passes(g, &goal, NULL, &dump, &error);
  cr_assert(after, "%s", error.message);
  cr_assert_geq(w.n_passes, 10);
  cr_assert_eq(w.last.n_updates, 3 * g->n_states);
  moire__graph_results_free(&w.last);
  pass_feed_release(&w.feed);
  moire_graph_destroy(after);
  moire_graph_destroy(g);
}

static double loss_of(const pass_feed *feed, const moire_graph *g) {
  moire__graph_results results = pass_feed_run(feed, g, "loss");
  double loss = results.outputs[0].tensor->re[0];
  moire__graph_results_free(&results);
  return loss;
}

/* (f(p + h) - f(p - h)) / 2h for a few elements of every parameter. The smooth parts of the model leave an
 * error of h^2 and of rounding / h. */
Test(meaning, gradients_of_qia_are_central_differences) {
  const double step = 1e-5, limit = 1e-7;
  moire_graph *g = build_qia();
  moire__goal goal = qia_goal();
  goal.training.optimizer = MOIRE_OPTIMIZER_NONE;
  moire_error error = {0};
  moire_graph *after = moire__driver_run_passes(g, &goal, NULL, NULL, &error);
  cr_assert(after, "%s", error.message);
  pass_feed feed = {0};
  pass_feed_add(&feed, g);
  moire__graph_results got = pass_feed_run(&feed, after, NULL);
  moire__random random = moire__random_start(7, 0);
  int n_parameters = 0, n_nonzero = 0;
  for (int s = 0; s < g->n_states; s++) {
    char name[300];
    snprintf(name, sizeof name, "grad.%s", g->states[s].name);
    const moire__tensor *gradient = moire__named_tensor_find(got.outputs, got.n_outputs, name);
    moire__tensor *p = moire__named_tensor_find(feed.states, feed.n_states, g->states[s].name);
    cr_assert(gradient && p, "%s is missing", name);
    for (int k = 0; k < 2; k++) {
      int64_t i = (int64_t)moire__random_below(&random, (uint64_t)p->elements);
      double kept = p->re[i];
      p->re[i] = kept + step;
      double above = loss_of(&feed, g);
      p->re[i] = kept - step;
      double below = loss_of(&feed, g);
      p->re[i] = kept;
      double want = (above - below) / (2 * step);
      cr_expect(fabs(want - gradient->re[i]) <= limit * (1 + fabs(want)),
                "%s[%d] is %.12g, the differences say %.12g", name, (int)i, gradient->re[i], want);
      n_nonzero += fabs(want) > 1e-6;
    }
    n_parameters++;
  }
  cr_assert_gt(n_parameters, 40);
  cr_assert_gt(n_nonzero, 40);
  moire__graph_results_free(&got);
  pass_feed_release(&feed);
  moire_graph_destroy(after);
  moire_graph_destroy(g);
}

/* The last layer is computed for the last of the 5 positions, but for its keys and values. */
Test(meaning, the_last_layer_of_qia_is_computed_for_one_position) {
  moire_graph *g = build_qia();
  moire__goal goal = qia_goal();
  moire_error error = {0};
  moire_graph *after = moire__driver_run_passes(g, &goal, "demand", NULL, &error);
  cr_assert(after, "%s", error.message);
  int n_long = 0, n_short = 0, n_attention = 0;
  for (int i = 0; i < after->n_nodes; i++) {
    const moire__node *node = &after->nodes[i];
    const moire_shape *shape = &after->values[node->first_result].shape;
    if (strncmp(node->scope, "layers.1", 8) != 0 || shape->rank < 3) continue;
    if (node->op == MOIRE__OP_attention) n_attention += shape->dims[2] == 1;
    const char *within = node->scope + 8;
    if (!strcmp(within, ".attn") || !strcmp(within, ".attn.k_proj") || !strcmp(within, ".attn.v_proj"))
      continue;
    bool is_long = shape->dims[1] == 5;
    n_long += is_long;
    n_short += shape->dims[1] == 1;
    cr_expect(!is_long, "%s in %s is computed for all positions", moire__op_get(node->op)->name, node->scope);
  }
  cr_assert_eq(n_attention, 1);
  cr_assert_gt(n_short, 15);
  moire_graph_destroy(after);
  moire_graph_destroy(g);
}
