/* Tables of which rows are stepped alone, beside the same step of all rows.
 *
 * The model looks a table up three times: histories, whose row 0 is padding, targets, and candidates that come
 * twice in a step; most of its rows are in few steps, some in none. `exact`, caught up, is the step of all
 * rows: what it is off from the oracle's, in double, is no more than what compiled code of all rows is off.
 * `lazy` is a plain loop.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/base/philox.h"
#include "runtime/train/history.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 300, WIDTH = 20, BATCH = 3, LENGTH = 4, DRAWN = 6, STEPS = 260 };

/* ---- The model ---------------------------------------------------------------------------------------------
 */

static moire_graph *build(bool reads_all) {
  moire_graph *g = moire_graph_create("small", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value ids = moire_input(g, "ids", MOIRE_I32, MOIRE_SHAPE(b, LENGTH));
  moire_value targets = moire_input(g, "targets", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value drawn = moire_input(g, "drawn", MOIRE_I32, MOIRE_SHAPE(DRAWN));
  moire_value table = moire_parameter(g, "table", MOIRE_SHAPE(ROWS, WIDTH), moire_init_normal(0, 0.3));
  moire_value weight = moire_parameter(g, "weight", MOIRE_SHAPE(WIDTH, WIDTH), moire_init_normal(0, 0.3));
  moire_value x = moire_mean(moire_embedding(table, ids, 0), 1, false);
  x = moire_tanh(moire_linear(x, weight, (moire_value){0}));
  moire_value own = moire_sum(moire_mul(x, moire_gather(table, targets)), -1, false);
  moire_value others = moire_linear(x, reads_all ? table : moire_gather(table, drawn), (moire_value){0});
  moire_value loss = moire_sub(moire_logsumexp(others, -1, false), own);
  moire_output(g, "loss", moire_mean_all(loss));
  return g;
}

/* Rows of a batch: from few more than others, with repetitions. */
static void make_batch(int step, int32_t *ids, int32_t *targets, int32_t *drawn) {
  uint64_t n = 0;
  for (int i = 0; i < BATCH * LENGTH; i++) {
    int32_t row = (int32_t)(moire__uniform(5, (uint64_t)step, n++) * (step % 3 ? 12 : ROWS - 20));
    ids[i] = row % 5 ? row : 0;
  }
  for (int i = 0; i < BATCH; i++)
    targets[i] = (int32_t)(1 + moire__uniform(5, (uint64_t)step, n++) * (ROWS - 21));
  for (int i = 0; i < DRAWN; i++)
    drawn[i] = i % 2 ? drawn[i - 1] : (int32_t)(1 + moire__uniform(5, (uint64_t)step, n++) * 150);
  targets[1] = drawn[2];
  ids[7] = targets[0];
}

static moire_training_options plain_options(void) {
  moire_training_options t = moire_training_defaults();
  t.optimizer = MOIRE_OPTIMIZER_ADAM;
  t.lr = 0.01;
  return t;
}

/* Everything at once: decay by itself, clipping, a schedule, a group. */
static const char *const tables[] = {"table"};
static moire_parameter_group group_of(const moire_training_options *t) {
  moire_parameter_group group = moire_parameter_group_of(t);
  group.match = tables;
  group.n_match = 1;
  group.lr = 0.02;
  group.beta1 = 0.8;
  return group;
}

static moire_training_options rich_options(moire_parameter_group *group) {
  moire_training_options t = plain_options();
  t.optimizer = MOIRE_OPTIMIZER_ADAMW;
  t.weight_decay = 0.05;
  t.clip_norm = 0.4;
  t.clip_value = 0.2;
  t.schedule = (moire_schedule){
      .kind = MOIRE_SCHEDULE_COSINE, .warmup_steps = 20, .total_steps = 200, .lr_min = 1e-4, .step_size = 1};
  *group = group_of(&t);
  t.groups = group;
  t.n_groups = 1;
  return t;
}

static moire_compile_options compile_options(const moire_training_options *t) {
  static const char *const outputs[] = {"loss"};
  moire_compile_options o = moire_compile_defaults();
  o.outputs = outputs;
  o.n_outputs = 1;
  o.loss = "loss";
  o.training = *t;
  o.cache = "";
  return o;
}

/* ---- Running -----------------------------------------------------------------------------------------------
 */

/* A machine, and for `exact` the program that catches up. */
typedef struct trained {
  test_machine m;
  moire_program *catch_up;
  moire__history history;
  moire_training_options t;
} trained;

static void start(trained *x, const moire_graph *g, const moire_training_options *t, int threads) {
  *x = (trained){.t = *t};
  moire_compile_options options = compile_options(t);
  x->m = test_machine_make(g, &options, threads, 1);
  moire_error error = {0};
  if (t->sparse != MOIRE_SPARSE_EXACT) return;
  options.part = MOIRE_PART_CATCH_UP;
  x->catch_up = moire_compile(g, &options, &error);
  cr_assert(x->catch_up, "%s", error.message);
}

static void step(trained *x, int number) {
  moire_error error = {0};
  int32_t ids[BATCH * LENGTH], targets[BATCH], drawn[DRAWN];
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  moire_runner *r = x->m.runner;
  make_batch(number, ids, targets, drawn);
  moire_batch_place place = moire_batch_place_at(number, 1);
  moire_optimizer_scalars_f32(&x->t, &place, scalars);
  moire_runner_set_extent(r, "B", BATCH, &error);
  moire_runner_set_input(r, "ids", ids, BATCH * LENGTH, &error);
  moire_runner_set_input(r, "targets", targets, BATCH, &error);
  moire_runner_set_input(r, "drawn", drawn, DRAWN, &error);
  if (moire_runner_has_input(r, "optimizer.scalars"))
    moire_runner_set_input(r, "optimizer.scalars", scalars, moire_optimizer_scalar_count(&x->t), &error);
  moire_status status = moire__history_give(&x->history, &x->t, number, r, &error);
  if (!status) status = moire_runner_run(r, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
}

static void catch_up(trained *x, int steps) {
  moire_error error = {0};
  const moire_plan *plan = moire_program_plan(x->catch_up);
  moire_runner *r = moire_runner_create(plan, x->m.store, x->m.threads, &error);
  cr_assert(r, "%s", error.message);
  moire_status status = moire__history_give(&x->history, &x->t, steps, r, &error);
  if (!status) status = moire_runner_run(r, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  moire_runner_destroy(r);
}

static void finish(trained *x) {
  moire__history_free(&x->history);
  test_machine_destroy(&x->m);
  moire_program_destroy(x->catch_up);
}

static const float *state(const trained *x, const char *name) {
  const float *data = moire_store_data(x->m.store, name, NULL);
  cr_assert(data, "%s is not there", name);
  return data;
}

/* ---- Exact -------------------------------------------------------------------------------------------------
 */

/* The step of all rows in double, from the states that `from` has. */
static moire_oracle *train_oracle(const moire_graph *g, const moire_training_options *t, const trained *from,
                                  int steps) {
  moire_compile_options options = compile_options(t);
  moire_error error = {0};
  moire_oracle *o = moire_oracle_create(g, &options, &error);
  cr_assert(o, "%s", error.message);
  static const char *const names[] = {"table", "weight"};
  for (int i = 0; i < 2; i++) {
    int64_t n = 0;
    double *data = moire_oracle_state_data(o, names[i], &n);
    for (int64_t j = 0; j < n; j++) data[j] = (double)state(from, names[i])[j];
  }
  for (int s = 0; s < steps; s++) {
    int32_t ids[BATCH * LENGTH], targets[BATCH], drawn[DRAWN];
    double wide[3][BATCH * LENGTH], scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
    make_batch(s, ids, targets, drawn);
    for (int i = 0; i < BATCH * LENGTH; i++) wide[0][i] = ids[i];
    for (int i = 0; i < BATCH; i++) wide[1][i] = targets[i];
    for (int i = 0; i < DRAWN; i++) wide[2][i] = drawn[i];
    moire_batch_place place = moire_batch_place_at(s, 1);
    moire_optimizer_scalars(t, &place, scalars);
    moire_oracle_set_extent(o, "B", BATCH, &error);
    moire_oracle_set_input(o, "ids", wide[0], BATCH * LENGTH, &error);
    moire_oracle_set_input(o, "targets", wide[1], BATCH, &error);
    moire_oracle_set_input(o, "drawn", wide[2], DRAWN, &error);
    moire_oracle_set_input(o, "optimizer.scalars", scalars, moire_optimizer_scalar_count(t), &error);
    cr_assert_eq(moire_oracle_run(o, &error), MOIRE_OK, "%s", error.message);
  }
  return o;
}

/* The largest difference, as a part of the largest magnitude. */
static double difference(moire_oracle *o, const trained *x, const char *name) {
  int64_t n = 0;
  const double *wanted = moire_oracle_state_data(o, name, &n);
  const float *got = state(x, name);
  double most = 0, largest = 0;
  for (int64_t i = 0; i < n; i++) {
    most = fmax(most, fabs(wanted[i] - (double)got[i]));
    largest = fmax(largest, fabs(wanted[i]));
  }
  return most / largest;
}

static void compare_exact(const moire_training_options *options, const char *what) {
  moire_graph *g = build(false);
  moire_training_options t = *options;
  trained all, rows;
  start(&all, g, &t, 1);
  moire_oracle *oracle = train_oracle(g, &t, &all, STEPS);
  t.sparse = MOIRE_SPARSE_EXACT;
  start(&rows, g, &t, 1);
  for (int s = 0; s < STEPS; s++) {
    step(&all, s);
    step(&rows, s);
    if (s == 100) catch_up(&rows, s + 1); /* the end of an epoch */
  }
  catch_up(&rows, STEPS);
  static const char *const names[] = {"table", "weight", "adam.m.table", "adam.v.table"};
  for (int i = 0; i < 4; i++) {
    double dense = difference(oracle, &all, names[i]), sparse = difference(oracle, &rows, names[i]);
    cr_log_info("%s, %s: %.3g off, all rows %.3g", what, names[i], sparse, dense);
    cr_expect(sparse <= 2 * dense + 1e-7, "%s, %s: %.3g off, all rows %.3g", what, names[i], sparse, dense);
  }
  const int32_t *since = moire_store_data(rows.m.store, "adam.since.table", NULL);
  for (int r = 0; r < ROWS; r++) cr_assert_eq(since[r], STEPS, "row %d stands after step %d", r, (int)since[r]);
  moire_oracle_destroy(oracle);
  finish(&all);
  finish(&rows);
  moire_graph_destroy(g);
}

Test(sparse, exact_is_the_step_of_all_rows) {
  moire_training_options t = plain_options();
  compare_exact(&t, "adam");
}

Test(sparse, exact_with_decay_clipping_schedule_and_group) {
  moire_parameter_group group;
  moire_training_options t = rich_options(&group);
  compare_exact(&t, "adamw");
}

/* Second moments that fall faster than first ones: moves grow. */
Test(sparse, exact_where_moves_do_not_fall) {
  moire_training_options t = plain_options();
  t.beta1 = 0.9;
  t.beta2 = 0.7;
  t.eps = 1e-3;
  compare_exact(&t, "beta2 of 0.7");
}

/* ---- Lazy --------------------------------------------------------------------------------------------------
 */

static bool touches(int number, int row) {
  int32_t ids[BATCH * LENGTH], targets[BATCH], drawn[DRAWN];
  make_batch(number, ids, targets, drawn);
  bool found = false;
  for (int i = 0; i < BATCH * LENGTH; i++) found = found || (ids[i] == row && row);
  for (int i = 0; i < BATCH; i++) found = found || targets[i] == row;
  for (int i = 0; i < DRAWN; i++) found = found || drawn[i] == row;
  return found;
}

/* torch.optim.SparseAdam, by the gradients of each step as they are before it. */
Test(sparse, lazy_steps_what_a_plain_loop_does) {
  moire_graph *g = build(false);
  moire_training_options t = plain_options();
  t.sparse = MOIRE_SPARSE_LAZY;
  trained x;
  start(&x, g, &t, 1);
  moire_training_options none = moire_training_defaults();
  moire_compile_options options = compile_options(&none);
  options.keep_gradients = true;
  moire_error error = {0};
  moire_program *gradients = moire_compile(g, &options, &error);
  cr_assert(gradients, "%s", error.message);
  moire_runner *own = moire_runner_create(moire_program_plan(gradients), x.m.store, x.m.threads, &error);
  static double p[ROWS * WIDTH], m[ROWS * WIDTH], v[ROWS * WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++) p[i] = (double)state(&x, "table")[i];
  for (int s = 0; s < 60; s++) {
    moire_runner *runner = x.m.runner;
    x.m.runner = own;
    step(&x, s);
    const float *grad = moire_runner_output(own, "grad.table", NULL);
    for (int i = 0; i < ROWS * WIDTH; i++) {
      if (!touches(s, i / WIDTH)) continue;
      double gradient = (double)grad[i];
      m[i] += 0.1 * (gradient - m[i]);
      v[i] += 0.001 * (gradient * gradient - v[i]);
      double size = 0.01 * sqrt(1 - pow(0.999, s + 1)) / (1 - pow(0.9, s + 1));
      p[i] -= size * m[i] / (sqrt(v[i]) + 1e-8 * sqrt(1 - pow(0.999, s + 1)));
    }
    x.m.runner = runner;
    step(&x, s);
  }
  double most = 0;
  for (int i = 0; i < ROWS * WIDTH; i++) most = fmax(most, fabs(p[i] - (double)state(&x, "table")[i]));
  cr_expect(most < 2e-6, "%.3g off", most);
  for (int i = 0; i < ROWS * WIDTH; i++) most = fmax(most, fabs(m[i] - (double)state(&x, "adam.m.table")[i]));
  cr_expect(most < 2e-6, "%.3g off", most);
  moire_runner_destroy(own);
  moire_program_destroy(gradients);
  finish(&x);
  moire_graph_destroy(g);
}

/* ---- Bits, and memory --------------------------------------------------------------------------------------
 */

static void expect_same(const trained *a, const trained *b, const char *what) {
  cr_assert_eq(moire_store_count(a->m.store), moire_store_count(b->m.store));
  for (int i = 0; i < moire_store_count(a->m.store); i++) {
    const char *name = moire_store_at(a->m.store, i).name;
    int64_t n = 0;
    const void *x = moire_store_data(a->m.store, name, &n), *y = moire_store_data(b->m.store, name, NULL);
    cr_expect(!memcmp(x, y, (size_t)n * sizeof(float)), "%s depends on %s", name, what);
  }
}

Test(sparse, threads_change_no_bit) {
  moire_graph *g = build(false);
  moire_parameter_group group;
  moire_training_options t = rich_options(&group);
  for (int kind = MOIRE_SPARSE_EXACT; kind <= MOIRE_SPARSE_LAZY; kind++) {
    t.sparse = (moire_sparse)kind;
    trained one, three;
    start(&one, g, &t, 1);
    start(&three, g, &t, 3);
    for (int s = 0; s < 50; s++) {
      step(&one, s);
      step(&three, s);
    }
    expect_same(&one, &three, "threads");
    if (one.catch_up) {
      catch_up(&one, 50);
      catch_up(&three, 50);
      expect_same(&one, &three, "threads, caught up");
    }
    finish(&one);
    finish(&three);
  }
  moire_graph_destroy(g);
}

/* Nothing of the table's size but the table and its moments, and nothing is copied into them. */
static void expect_small(const moire_plan *plan, const char *what) {
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    int64_t elements = b->elements >> 48 ? 0 : (int64_t)b->elements;
    cr_expect(b->role == MOIRE_PLAN_STATE || elements < ROWS * WIDTH, "%s: %s has %lld elements", what, b->name,
              (long long)elements);
  }
  cr_expect_eq(plan->n_updates, 0, "%s: %d states are copied", what, plan->n_updates);
}

Test(sparse, nothing_of_the_tables_size_is_made) {
  moire_graph *g = build(false);
  moire_parameter_group group;
  moire_training_options t = rich_options(&group);
  static const char *const weights[] = {"weight"};
  t.freeze = weights; /* whose gradient is as large */
  t.n_freeze = 1;
  for (int kind = MOIRE_SPARSE_EXACT; kind <= MOIRE_SPARSE_LAZY; kind++) {
    t.sparse = (moire_sparse)kind;
    trained x;
    start(&x, g, &t, 1);
    expect_small(moire_program_plan(x.m.program), "a step");
    if (x.catch_up) expect_small(moire_program_plan(x.catch_up), "catching up");
    finish(&x);
  }
  moire_graph_destroy(g);
}

/* ---- What is refused ---------------------------------------------------------------------------------------
 */

static void refuse(moire_training_options t, bool reads_all, moire_part part, const char *word,
                   const char *other) {
  moire_graph *g = build(reads_all);
  moire_error error = {0};
  moire_compile_options options = compile_options(&t);
  options.part = part;
  moire_program *program = moire_compile(g, &options, &error);
  cr_expect_null(program, "%s is taken", word);
  cr_expect(strstr(error.message, word) && strstr(error.message, other), "%s", error.message);
  moire_program_destroy(program);
  moire_graph_destroy(g);
}

Test(sparse, what_has_no_rows_alone_is_refused) {
  static const char *const all[] = {"table"};
  moire_training_options t = plain_options();
  t.sparse = MOIRE_SPARSE_EXACT;
  refuse(t, true, MOIRE_PART_WHOLE, "sparse: table", "sparse_test.c");
  refuse(t, false, MOIRE_PART_SUMS, "sparse", "batch_groups: 0");
  refuse(t, false, MOIRE_PART_STEP, "sparse", "batch_groups: 0");
  moire_training_options other = t;
  other.weight_decay = 0.1;
  refuse(other, false, MOIRE_PART_WHOLE, "weight_decay", "adamw");
  other = t;
  other.optimizer = MOIRE_OPTIMIZER_SGD;
  refuse(other, false, MOIRE_PART_WHOLE, "sparse", "adam or adamw");
  other = t;
  other.ema = 0.9;
  refuse(other, false, MOIRE_PART_WHOLE, "sparse", "ema: 0");
  other = t;
  other.accumulate = 2;
  refuse(other, false, MOIRE_PART_WHOLE, "sparse", "accumulate: 1");
  other = t;
  other.optimizer = MOIRE_OPTIMIZER_ADAMW;
  other.weight_decay = 100;
  refuse(other, false, MOIRE_PART_WHOLE, "lr * weight_decay", "table");
  other = t;
  other.freeze = all;
  other.n_freeze = 1;
  refuse(other, false, MOIRE_PART_WHOLE, "no parameter", "sparse: off");
}
