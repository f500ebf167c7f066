/* Lowering: the loop nests and the plan that it makes of a fused graph.
 *
 * As text, on golden files (tests/pass/golden/lower: a fused graph, then its kernels and plan for 4 lanes and 6
 * registers; MOIRE_BLESS=1 rewrites them). And as meaning: the steps of the plan, run by the interpreter of the
 * loop IR in double, give what the graph gives. A temporary holds NaN before its first step and after its last,
 * so a lifetime that is too short shows.
 */
#include <criterion/criterion.h>

#include "compiler/driver/driver.h"
#include "compiler/pass/plan/module.h"
#include "moire/model.h"
#include "runtime/base/layout.h"
#include "runtime/config/config.h"
#include "tests/support/pass_feed.h"
#include "tests/support/pass_golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const moire__lower_target small_target = {.lanes = 4, .registers = 6};

/* ---- text ------------------------------------------------------------------------------------------------ */

static int failures;

static void expect_kernel_reads_back(const moire__loop_kernel *kernel) {
  moire__arena arena = {0};
  moire__text first = {0}, second = {0};
  moire_error error = {0};
  moire__loop_print(kernel, &first);
  moire__loop_kernel *again = moire__loop_parse(&arena, moire__text_string(&first), "kernel", &error);
  cr_assert_not_null(again, "%s\n%s", error.message, moire__text_string(&first));
  cr_assert_eq(moire__loop_verify(again, &error), MOIRE_OK, "%s", error.message);
  moire__loop_print(again, &second);
  cr_assert_str_eq(moire__text_string(&second), moire__text_string(&first));
  moire__text_free(&first);
  moire__text_free(&second);
  moire__arena_free(&arena);
}

static moire__module *lower(moire_graph *fused, moire__lower_target target) {
  moire_error error = {0};
  moire__module *m = moire__pass_lower(fused, target, &error);
  cr_assert_not_null(m, "%s", error.message);
  for (int i = 0; i < m->n_kernels; i++) expect_kernel_reads_back(m->kernels[i]);
  return m;
}

static void bless(const golden_case *c, const char *got) {
  FILE *file = fopen(c->path, "wb");
  cr_assert(file, "%s cannot be written", c->path);
  fprintf(file, "%s---\n%s", c->input, got);
  cr_assert(fclose(file) == 0);
}

static void check_text(const golden_case *c) {
  moire__module *m = lower(moire_graph_parse(c->input, c->path, NULL), small_target);
  moire__text text = {0};
  moire__module_print_kernels(m, &text);
  moire__module_print_plan(m, &text);
  const char *got = moire__text_string(&text), *wish = getenv("MOIRE_BLESS");
  if (strcmp(got, c->expected) != 0) {
    if (wish && *wish) {
      bless(c, got);
    } else {
      failures++;
      fprintf(stderr, "%s\nexpected:\n%s\ngot:\n%s\n", c->path, c->expected, got);
    }
  }
  moire__text_free(&text);
  moire__module_destroy(m);
}

Test(lower, kernels_and_plans_are_as_expected) {
  cr_assert_geq(golden_each("lower", check_text), 3);
  cr_assert_eq(failures, 0, "%d golden file(s) of lower differ; MOIRE_BLESS=1 rewrites them", failures);
}

/* ---- meaning --------------------------------------------------------------------------------------------- */

typedef struct run {
  moire__module *m;
  const pass_feed *feed;
  int64_t extents[MOIRE_MAX_EXTENTS + 1];
  void **data; /* of every buffer: doubles for f32, otherwise the declared type */
} run;

static int64_t elements_of(const run *r, int buffer) {
  return moire__dim_size(r->m->plan.buffers[buffer].elements, r->extents);
}

static void store(moire_dtype dtype, void *data, int64_t i, double value) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_F64: ((double *)data)[i] = value; break;
    case MOIRE_I32: ((int32_t *)data)[i] = (int32_t)value; break;
    case MOIRE_I64: ((int64_t *)data)[i] = (int64_t)value; break;
    case MOIRE_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case MOIRE_BF16:
    case MOIRE_C64: cr_assert_fail("no buffer of the tests has this type");
  }
}

static double load(moire_dtype dtype, const void *data, int64_t i) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_F64: return ((const double *)data)[i];
    case MOIRE_I32: return ((const int32_t *)data)[i];
    case MOIRE_I64: return (double)((const int64_t *)data)[i];
    case MOIRE_BOOL: return ((const uint8_t *)data)[i];
    case MOIRE_BF16:
    case MOIRE_C64: cr_assert_fail("no buffer of the tests has this type");
  }
  return 0;
}

static void poison(const run *r, int buffer) {
  const moire_plan_buffer *b = &r->m->plan.buffers[buffer];
  if (b->role != MOIRE_PLAN_TEMPORARY || b->dtype != MOIRE_F32) return;
  for (int64_t e = 0; e < elements_of(r, buffer); e++) store(b->dtype, r->data[buffer], e, NAN);
}

static void make_buffers(run *r) {
  const moire_plan *plan = &r->m->plan;
  r->data = moire__allocate_array((size_t)plan->n_buffers, sizeof *r->data);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    int64_t n = elements_of(r, i);
    r->data[i] = moire__allocate_array((size_t)n + 1, sizeof(double));
    const moire__tensor *from = NULL;
    if (b->role == MOIRE_PLAN_INPUT)
      from = moire__named_tensor_find(r->feed->inputs, r->feed->n_inputs, b->name);
    if (b->role == MOIRE_PLAN_STATE)
      from = moire__named_tensor_find(r->feed->states, r->feed->n_states, b->name);
    for (int64_t e = 0; from && e < n; e++) store(b->dtype, r->data[i], e, from->re[e]);
    poison(r, i);
  }
}

static void run_step(const run *r, int number) {
  const moire_plan *plan = &r->m->plan;
  const moire_plan_step *step = &plan->steps[number];
  void *arguments[64];
  cr_assert_leq(step->n_buffers, 64);
  for (int i = 0; i < step->n_buffers; i++) arguments[i] = r->data[step->buffers[i]];
  int64_t pieces = (moire__dim_size(step->count, r->extents) + step->block - 1) / step->block;
  moire_error error = {0};
  int64_t own[MOIRE_MAX_EXTENTS + 1];
  const int64_t *extents = moire__step_extents(plan, step, r->extents, own);
  moire_status status =
      moire__loop_interpret(r->m->kernels[step->kernel], arguments, extents, 0, pieces, true, &error);
  cr_assert_eq(status, MOIRE_OK, "step %d, %s: %s", number, step->name, error.message);
  for (int i = 0; i < plan->n_buffers; i++) {
    if (plan->buffers[i].last_step == number) poison(r, i);
  }
}

/* Copies of what updates read come first: one may overwrite what another reads. */
static void run_updates(const run *r) {
  const moire_plan *plan = &r->m->plan;
  void **copies = moire__allocate_array((size_t)plan->n_updates + 1, sizeof *copies);
  for (int i = 0; i < plan->n_updates; i++) {
    size_t bytes = (size_t)elements_of(r, plan->updates[i].from) * sizeof(double);
    copies[i] = moire__allocate(bytes + 1);
    memcpy(copies[i], r->data[plan->updates[i].from], bytes);
  }
  for (int i = 0; i < plan->n_updates; i++) {
    memcpy(r->data[plan->updates[i].state], copies[i],
           (size_t)elements_of(r, plan->updates[i].state) * sizeof(double));
    moire__release(copies[i]);
  }
  moire__release(copies);
}

static int compare(const run *r, moire_plan_role role, const moire__named_tensor *want, int n) {
  const moire_plan *plan = &r->m->plan;
  int compared = 0;
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    const moire__tensor *t = b->role == role ? moire__named_tensor_find(want, n, b->name) : NULL;
    for (int64_t e = 0; t && e < t->elements; e++) {
      double got = load(b->dtype, r->data[i], e), difference = fabs(got - t->re[e]);
      cr_assert(difference <= 1e-9 * (1 + fabs(t->re[e])), "%s[%lld] is %.17g, wanted %.17g", b->name,
                (long long)e, got, t->re[e]);
    }
    compared += t != NULL;
  }
  return compared;
}

/* Takes the graph. */
static void expect_same_meaning(moire_graph *fused, moire__lower_target target) {
  pass_feed feed = {0};
  pass_feed_add(&feed, fused);
  moire__graph_results want = pass_feed_run(&feed, fused, NULL);
  run r = {.m = lower(fused, target), .feed = &feed};
  for (int i = 1; i <= MOIRE_MAX_EXTENTS; i++) r.extents[i] = PASS_FEED_EXTENT;
  make_buffers(&r);
  for (int s = 0; s < r.m->plan.n_steps; s++) run_step(&r, s);
  run_updates(&r);
  cr_assert_eq(compare(&r, MOIRE_PLAN_OUTPUT, want.outputs, want.n_outputs), want.n_outputs);
  cr_assert_eq(compare(&r, MOIRE_PLAN_STATE, want.updates, want.n_updates), want.n_updates);
  for (int i = 0; i < r.m->plan.n_buffers; i++) moire__release(r.data[i]);
  moire__release(r.data);
  moire__module_destroy(r.m);
  moire__graph_results_free(&want);
  pass_feed_release(&feed);
}

static const moire__lower_target targets[] = {{16, 32, true, false, false, 0},
                                              {8, 16, false, false, false, 1},
                                              {4, 6, true, true, false, 3},
                                              {16, 32, true, true, true, 0}};

static void check_fused(const golden_case *c) {
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++)
    expect_same_meaning(moire_graph_parse(c->input, c->path, NULL), targets[t]);
}

static void check_unfused(const golden_case *c) {
  moire_error error = {0};
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
    moire_graph *fused = moire__pass_fuse(c->graph, &c->goal, &error);
    cr_assert(fused, "%s: %s", c->path, error.message);
    expect_same_meaning(fused, targets[t]);
  }
}

Test(lower, steps_give_what_the_graph_gives) {
  cr_assert_gt(golden_each("lower", check_fused), 0);
  cr_assert_gt(golden_each("fuse", check_unfused), 0);
}

/* One layer, L = 5, D = 8, 2 heads, with dropout. */
static moire_graph *build_qia(void) {
  static const char *const settings[] = {
      "item_size=7",   "hidden_size=8",         "num_attention_heads=2",
      "inner_size=12", "max_seq_length=5",      "band_kernel_sizes=[2, 3]",
      "n_bands=2",     "band_dilations=[1, 2]", "num_hidden_layers=1",
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

Test(lower, a_training_step_of_qia_gives_what_its_graph_gives) {
  static const char *const outputs[] = {"logits", "loss"};
  const moire__goal goal = {
      .outputs = outputs,
      .n_outputs = 2,
      .loss = "loss",
      .keep_gradients = true,
      .training = {.optimizer = MOIRE_OPTIMIZER_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}};
  moire_graph *g = build_qia();
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
    moire_error error = {0};
    moire_graph *fused = moire__driver_run_passes(g, &goal, NULL, NULL, &error);
    cr_assert(fused, "%s", error.message);
    expect_same_meaning(fused, targets[t]);
  }
  moire_graph_destroy(g);
}
