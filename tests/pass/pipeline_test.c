/* The pipeline's tables agree, and the manager verifies, shows and refuses. */
#include <criterion/criterion.h>

#include "compiler/driver/driver.h"
#include "compiler/ir/graph/rewrite.h"

#include <string.h>

static int first_row(const moire__pass_row *rows, int n, const char *name) {
  for (int i = 0; i < n; i++) {
    if (strcmp(rows[i].name, name) == 0) return i;
  }
  return -1;
}

static int last_row(const moire__pass_row *rows, int n, const char *name) {
  for (int i = n - 1; i >= 0; i--) {
    if (strcmp(rows[i].name, name) == 0) return i;
  }
  return -1;
}

Test(pipeline, every_order_row_holds) {
  int n_rows = 0, n_orders = 0;
  const moire__pass_row *rows = moire__driver_passes(&n_rows);
  const moire__order_row *orders = moire__driver_orders(&n_orders);
  cr_assert_gt(n_orders, 5);
  for (int i = 0; i < n_orders; i++) {
    int before = last_row(rows, n_rows, orders[i].before), after = first_row(rows, n_rows, orders[i].after);
    cr_expect(before >= 0, "there is no pass %s", orders[i].before);
    cr_expect(after >= 0, "there is no pass %s", orders[i].after);
    cr_expect(before < after, "%s must run before %s: %s", orders[i].before, orders[i].after, orders[i].why);
    cr_expect(orders[i].why[0] != 0);
  }
}

Test(pipeline, every_pass_says_what_it_is_for) {
  int n_rows = 0;
  const moire__pass_row *rows = moire__driver_passes(&n_rows);
  for (int i = 0; i < n_rows; i++) cr_expect(rows[i].run && rows[i].purpose[0], "%s", rows[i].name);
}

/* y = exp(x), and a state that is read. */
static moire_graph *build_small(void) {
  moire_graph *g = moire_graph_create("small", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(3), moire_init_constant(1));
  moire_output(g, "y", moire_mul(moire_exp(x), w));
  return g;
}

static const char *const outputs[] = {"y"};
static const moire__goal goal = {.outputs = outputs, .n_outputs = 1};

Test(pipeline, an_unknown_pass_is_answered_with_those_there_are) {
  moire_graph *g = build_small();
  moire_error error = {0};
  cr_assert_null(moire__driver_run_passes(g, &goal, "fold", NULL, &error));
  cr_assert_eq(error.status, MOIRE_ERROR_ARGUMENT);
  int n_rows = 0;
  const moire__pass_row *rows = moire__driver_passes(&n_rows);
  cr_assert(strstr(error.message, "there is no pass fold; the passes are: "), "%s", error.message);
  for (int i = 0; i < n_rows; i++) cr_expect(strstr(error.message, rows[i].name), "%s", error.message);
  moire_graph_destroy(g);
}

typedef struct seen {
  int n_dumps, n_times;
  char last[32];
} seen;

static void on_graph(void *context, const char *pass, const moire_graph *g) {
  seen *s = context;
  s->n_dumps++;
  strncpy(s->last, pass, sizeof s->last - 1);
  cr_expect_gt(g->n_nodes, 0);
}

static void on_time(void *context, const char *pass, double seconds, int n_nodes) {
  seen *s = context;
  s->n_times++;
  cr_expect(seconds >= 0 && n_nodes > 0, "%s", pass);
}

Test(pipeline, dumps_and_times_come_after_the_passes_asked_for) {
  int n_rows = 0;
  const moire__pass_row *rows = moire__driver_passes(&n_rows);
  const int n_run = last_row(rows, n_rows, "split") + 1;
  moire_graph *g = build_small();
  moire_error error = {0};
  seen all = {0}, some = {0};
  moire__dump dump = {.context = &all, .graph = on_graph, .time = on_time};
  moire_graph *after = moire__driver_run_passes(g, &goal, "split", &dump, &error);
  cr_assert(after, "%s", error.message);
  cr_assert_eq(all.n_dumps, n_run);
  cr_assert_eq(all.n_times, n_run);
  cr_assert_str_eq(all.last, "split");
  moire_graph_destroy(after);
  dump = (moire__dump){.context = &some, .graph = on_graph, .time = on_time, .after = "autodiff"};
  after = moire__driver_run_passes(g, &goal, "split", &dump, &error);
  cr_assert_eq(some.n_dumps, 1);
  cr_assert_eq(some.n_times, n_run);
  cr_assert_str_eq(some.last, "autodiff");
  moire_graph_destroy(after);
  moire_graph_destroy(g);
}

Test(pipeline, a_model_with_a_mistake_is_refused_with_its_sentence) {
  moire_graph *g = moire_graph_create("wrong", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
  moire_output(g, "y", moire_reshape(x, MOIRE_SHAPE(4)));
  moire_error error = {0};
  cr_assert_null(moire__driver_run_passes(g, &goal, NULL, NULL, &error));
  cr_assert(strstr(error.message, "reshape") && strstr(error.message, "pipeline_test.c"), "%s", error.message);
  moire_graph_destroy(g);
}

/* Does what no pass may do: gives a value a type that it does not have. */
static moire_graph *break_graph(const moire_graph *g, const moire__goal *asked, moire_error *error) {
  (void)asked;
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) moire__rewrite_clone(&r, &g->nodes[i]);
  moire_graph *broken = moire__rewrite_finish(&r, error);
  broken->values[broken->n_values - 1].dtype = MOIRE_I32;
  return broken;
}

Test(pipeline, a_pass_that_breaks_the_graph_is_named) {
  const moire__pass_row rows[] = {{"dce", moire__pass_dce, "-"}, {"break", break_graph, "-"}};
  moire_graph *g = build_small();
  moire_error error = {0};
  cr_assert_null(moire__manager_run(rows, 2, g, &goal, NULL, NULL, &error));
  cr_assert_eq(error.status, MOIRE_ERROR_INTERNAL);
  cr_assert(strstr(error.message, "pass break has made a graph that is broken: "), "%s", error.message);
  moire_graph_destroy(g);
}
