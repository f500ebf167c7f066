/* The head of many words: no value of the plan holds the logits, rows whose target is none cost nothing, and
 * losses and gradients are those of the spelling, the same bits for any number of threads. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 150, WIDTH = 24, WORDS = 900, GRADIENTS = 3, NONE = -100, TOP = 7 };
typedef enum kind { PLAIN, IGNORES, DISTILS } kind;

static const char *const outputs[] = {"loss", "grad.x", "grad.w", "grad.bias"};
static const int64_t sizes[] = {1, ROWS *WIDTH, WORDS *WIDTH, WORDS};

typedef struct machine {
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
} machine;

/* What a teacher's largest logits ask for, of the rows that count, at temperature 2. */
static moire_value distillation(moire_graph *g, moire_value logits, moire_value ids) {
  moire_value top = moire_input(g, "top", MOIRE_I32, MOIRE_SHAPE(ROWS, TOP));
  moire_value none = moire_constant(g, MOIRE_I32, MOIRE_SHAPE(ROWS), NONE);
  moire_value counted = moire_cast(moire_not(moire_equal(ids, none)), MOIRE_F32);
  moire_value q = moire_take_along(moire_log_softmax(moire_scale(logits, 0.5)), top, 1);
  return moire_sum_all(moire_mul(moire_sum(q, 1, false), counted));
}

/* The mean of the rows whose target counts. */
static moire_graph *build(kind what) {
  moire_graph *g = moire_graph_create("head", MOIRE_TRAINING);
  moire_init draw = moire_init_uniform(-1, 1);
  moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(ROWS, WIDTH), draw);
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(WORDS, WIDTH), draw);
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(WORDS), draw);
  moire_value ids = moire_input(g, "ids", MOIRE_I32, MOIRE_SHAPE(ROWS));
  moire_value logits = moire_linear(x, w, bias);
  moire_cross_entropy_options options = {.reduction = MOIRE_REDUCE_MEAN};
  moire_value loss = what != PLAIN ? moire_cross_entropy_loss(logits, ids, options)
                                   : moire_mean_all(moire_cross_entropy(logits, ids));
  if (what == DISTILS) loss = moire_sub(loss, moire_scale(distillation(g, logits, ids), 0.01));
  moire_output(g, "loss", loss);
  return g;
}

/* off: optimizations that are not made. */
static machine start(kind what, unsigned off, moire_precision precision, int threads) {
  moire_error error = {0};
  moire_graph *g = build(what);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  options.precision = precision;
  options.off = off;
  machine m = {.program = moire_compile(g, &options, &error)};
  cr_assert_not_null(m.program, "%s", error.message);
  const moire_plan *plan = moire_program_plan(m.program);
  m.store = moire_store_create();
  cr_assert_eq(moire_store_declare(m.store, plan, 3, &error), MOIRE_OK, "%s", error.message);
  m.threads = moire_threads_create(threads, &error);
  m.runner = moire_runner_create(plan, m.store, m.threads, &error);
  cr_assert_not_null(m.runner, "%s", error.message);
  moire_graph_destroy(g);
  return m;
}

static void run(machine *m, const int32_t *ids) {
  moire_error error = {0};
  int32_t top[ROWS * TOP];
  for (int i = 0; i < ROWS * TOP; i++) top[i] = i * 37 % WORDS;
  moire_runner_set_input(m->runner, "top", top, ROWS * TOP, NULL); /* if it asks for it */
  cr_assert_eq(moire_runner_set_input(m->runner, "ids", ids, ROWS, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
}

static const float *output(const machine *m, int i) { return moire_runner_output(m->runner, outputs[i], NULL); }

static void stop(machine *m) {
  moire_runner_destroy(m->runner);
  moire_threads_destroy(m->threads);
  moire_store_destroy(m->store);
  moire_program_destroy(m->program);
}

/* Every `every`-th row counts; 1: all. */
static void draw_ids(int32_t *ids, int every) {
  for (int n = 0; n < ROWS; n++) ids[n] = n % every == 0 ? n * 31 % WORDS : NONE;
}

static double difference(const float *a, const float *b, int64_t n) {
  double off = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    off += pow((double)a[i] - (double)b[i], 2);
    norm += pow((double)b[i], 2);
  }
  return sqrt(off / norm);
}

enum { SPELLED = 1u << MOIRE_OPTIMIZATION_wide_loss, APART = 1u << MOIRE_OPTIMIZATION_joint };

static void judge_by(kind what, int every, moire_precision precision, double tolerance, unsigned off) {
  int32_t ids[ROWS];
  draw_ids(ids, every);
  machine one = start(what, off, precision, 1), many = start(what, off, precision, 3),
          spelled = start(what, SPELLED, precision, 1);
  run(&one, ids);
  run(&many, ids);
  run(&spelled, ids);
  for (int i = 0; i <= GRADIENTS; i++) {
    double error = difference(output(&one, i), output(&spelled, i), sizes[i]);
    cr_expect_lt(error, tolerance, "%s is off by %g", outputs[i], error);
    cr_expect_eq(memcmp(output(&one, i), output(&many, i), (size_t)sizes[i] * sizeof(float)), 0, "%s",
                 outputs[i]);
  }
  stop(&one);
  stop(&many);
  stop(&spelled);
}

/* The loss and its gradients as one op, and as two. */
static void judge(kind what, int every, moire_precision precision, double tolerance) {
  judge_by(what, every, precision, tolerance, 0);
  judge_by(what, every, precision, tolerance, APART);
}

Test(wide_loss, is_as_spelled) { judge(PLAIN, 1, MOIRE_PRECISION_F32, 1e-5); }
Test(wide_loss, is_as_spelled_where_rows_are_ignored) { judge(IGNORES, 3, MOIRE_PRECISION_F32, 1e-5); }
Test(wide_loss, is_as_spelled_in_bf16) { judge(IGNORES, 2, MOIRE_PRECISION_BF16, 2e-2); }
Test(wide_loss, is_as_spelled_with_a_teacher) { judge(DISTILS, 3, MOIRE_PRECISION_F32, 1e-5); }
Test(wide_loss, is_as_spelled_where_no_row_counts) {
  int32_t ids[ROWS];
  for (int n = 0; n < ROWS; n++) ids[n] = NONE;
  machine m = start(IGNORES, 0, MOIRE_PRECISION_F32, 2);
  run(&m, ids);
  for (int i = 1; i <= GRADIENTS; i++) {
    for (int64_t at = 0; at < sizes[i]; at++) cr_assert_eq(output(&m, i)[at], 0, "%s", outputs[i]);
  }
  stop(&m);
}

/* Operands and gradients, and no more than a twentieth of them. */
Test(wide_loss, stores_no_logits) {
  machine m = start(IGNORES, APART, MOIRE_PRECISION_F32, 1);
  size_t gradients = (size_t)(ROWS * WIDTH + WORDS * WIDTH + WORDS) * sizeof(float);
  size_t rows = (size_t)ROWS * (WIDTH + 16) * sizeof(float); /* the mean word and some numbers of each row */
  cr_expect_leq(moire_runner_workspace_bytes(m.runner), gradients + rows + 8192);
  cr_expect_lt(gradients + rows + 8192, (size_t)ROWS * WORDS * sizeof(float));
  stop(&m);
}

/* A row whose target is none leaves gradients of x that are zeros, and what stands in it does not matter. */
static void judge_ignored(unsigned off) {
  int32_t ids[ROWS];
  draw_ids(ids, ROWS);
  machine m = start(IGNORES, off, MOIRE_PRECISION_F32, 2);
  float *x = moire_store_data(m.store, "x", NULL);
  for (int j = 0; j < WIDTH; j++) x[WIDTH + j] = NAN;
  run(&m, ids);
  cr_expect(isfinite(*output(&m, 0)));
  for (int64_t i = 0; i < sizes[2]; i++) cr_assert(isfinite(output(&m, 2)[i]), "grad.w[%d]", (int)i);
  for (int64_t i = WIDTH; i < sizes[1]; i++) cr_assert_eq(output(&m, 1)[i], 0, "grad.x[%d]", (int)i);
  stop(&m);
}

Test(wide_loss, rows_that_do_not_count) {
  judge_ignored(0);
  judge_ignored(APART);
}
