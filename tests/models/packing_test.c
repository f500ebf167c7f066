/* Leaving out padding changes no result: QIA's loss and every gradient with and without it, dropout on, for
 * batches with empty, full, ragged samples, one whose last position is padding and one with padding among its
 * items; and for batches that follow each other. The filters reach further back than a sample is long. */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS = 30, LENGTH = 11, MOST = 9 };

static moire_graph *build_qia(void) {
  moire_error error = {0};
  const moire_model *model = moire_model_find("qia", &error);
  moire__config_table table = {0};
  static const char *const settings[] = {"item_size=30",
                                         "hidden_size=12",
                                         "num_attention_heads=2",
                                         "inner_size=20",
                                         "max_seq_length=11",
                                         "hidden_dropout_prob=0.3",
                                         "attention_probs_dropout_prob=0.4",
                                         "initializer_range=0.3"};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    moire__config_table_set(&table, "test", settings[i], &error);
  }
  moire__config_fields fields = {model->fields, model->n_fields};
  moire_config *config = NULL;
  moire__config_build(&table, "test", &fields, 1, &config, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  moire_graph *g = moire_graph_create("qia", MOIRE_TRAINING);
  model->build(g, config);
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

static test_machine start(bool packing) {
  moire_graph *g = build_qia();
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  options.off = packing ? 0 : 1u << MOIRE_OPTIMIZATION_pack;
  test_machine m = test_machine_make(g, &options, 2, 5);
  cr_assert_eq(moire_program_plan(m.program)->packing.extent != 0, packing);
  moire_graph_destroy(g);
  return m;
}

static void run(test_machine *s, const int32_t *ids, const int32_t *answers, int64_t n) {
  moire_error error = {0};
  static const int32_t rng[] = {7, 0, 3};
  moire_runner_set_extent(s->runner, "B", n, &error);
  moire_runner_set_input(s->runner, "input_ids", ids, n * LENGTH, &error);
  moire_runner_set_input(s->runner, "answers", answers, n, &error);
  moire_runner_set_input(s->runner, "rng", rng, 3, &error);
  moire_runner_run(s->runner, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
}

static void compare(const test_machine *a, const test_machine *b, const char *name) {
  int64_t n = 0, other = 0;
  const float *x = moire_runner_output(a->runner, name, &n), *y = moire_runner_output(b->runner, name, &other);
  cr_assert(x && y && n == other, "%s", name);
  double distance = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    distance += pow((double)x[i] - (double)y[i], 2);
    norm += pow((double)y[i], 2);
  }
  cr_assert(sqrt(distance) <= 2e-5 * sqrt(norm) + 1e-9, "%s: %g of %g", name, sqrt(distance), sqrt(norm));
}

/* Sample b has `filled[b]` items at its end; in the last batch one ends in padding, and one has two gaps. */
static void batch(int step, int64_t n, int32_t *ids, int32_t *answers) {
  static const int filled[] = {3, 0, LENGTH, 1, 7, 0, 10, 2, 5};
  for (int64_t b = 0; b < n; b++) {
    answers[b] = (int32_t)(1 + (b * 7 + step) % (ITEMS - 1));
    for (int64_t i = 0; i < LENGTH; i++) {
      bool item = LENGTH - i <= filled[(b + step) % MOST];
      ids[b * LENGTH + i] = item ? (int32_t)(1 + (b * 11 + i * 5 + step) % (ITEMS - 1)) : 0;
    }
  }
  if (step != 3) return;
  int64_t full = 0;
  while (filled[(full + step) % MOST] != LENGTH) full++;
  ids[LENGTH * full + 2] = ids[LENGTH * full + 5] = ids[LENGTH * full + 6] = 0;
  ids[LENGTH * (full ? 0 : n) + LENGTH - 1] = 0;
}

Test(packing, changes_no_result) {
  test_machine with = start(true), without = start(false);
  int32_t ids[MOST * LENGTH], answers[MOST];
  static const int64_t sizes[] = {MOST, 1, 4, MOST};
  for (int step = 0; step < 4; step++) {
    batch(step, sizes[step], ids, answers);
    run(&with, ids, answers, sizes[step]);
    run(&without, ids, answers, sizes[step]);
    compare(&with, &without, "loss");
    const moire_plan *plan = moire_program_plan(without.program);
    for (int i = 0; i < plan->n_states; i++) {
      char name[128];
      snprintf(name, sizeof name, "grad.%s", plan->states[i].name);
      compare(&with, &without, name);
    }
  }
  test_machine_destroy(&with);
  test_machine_destroy(&without);
}

/* ---- a mask of its own --------------------------------------------------------------------------------- */

enum { ROWS = 3, WIDE = 4 };

/* What says which positions are padding is an input that nothing else reads. */
static test_machine start_masked(bool packing) {
  moire_graph *g = moire_graph_create("masked", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value seen = moire_input(g, "seen", MOIRE_I32, MOIRE_SHAPE(b, LENGTH));
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, LENGTH, WIDE)), of[2];
  for (int i = 0; i < 2; i++) {
    moire_value w =
        moire_parameter(g, i ? "keys" : "queries", MOIRE_SHAPE(WIDE, WIDE), moire_init_normal(0, 1));
    moire_value z = moire_reshape(moire_linear(x, w, (moire_value){0}), MOIRE_SHAPE(b, LENGTH, 1, WIDE));
    of[i] = moire_swap_axes(z, 1, 2);
  }
  moire_value zero = moire_constant(g, MOIRE_I32, MOIRE_SCALAR, 0);
  moire_attention_options options = {
      .scale = 0.5, .mask_value = -10000, .causal = true, .key_valid = moire_less(zero, seen)};
  moire_value y = moire_reshape(moire_attention(of[0], of[1], of[1], options), MOIRE_SHAPE(b, LENGTH, WIDE));
  moire_output(g, "loss", moire_mean_all(moire_tanh(moire_slice(y, 1, LENGTH - 1, 1))));
  moire_compile_options how = moire_compile_defaults();
  how.outputs = (const char *[]){"loss"};
  how.n_outputs = 1;
  how.loss = "loss";
  how.keep_gradients = true;
  how.off = packing ? 0 : 1u << MOIRE_OPTIMIZATION_pack;
  test_machine m = test_machine_make(g, &how, 2, 5);
  cr_assert_eq(moire_program_plan(m.program)->packing.extent != 0, packing);
  moire_graph_destroy(g);
  return m;
}

Test(packing, by_a_mask_that_nothing_else_reads) {
  test_machine machines[] = {start_masked(true), start_masked(false)};
  int32_t seen[ROWS * LENGTH];
  float x[ROWS * LENGTH * WIDE];
  for (int i = 0; i < ROWS * LENGTH; i++) seen[i] = i % LENGTH >= 4 * (i / LENGTH);
  for (int i = 0; i < ROWS * LENGTH * WIDE; i++) x[i] = (float)(i * 7 % 23) / 11 - 1;
  for (int i = 0; i < 2; i++) {
    moire_error error = {0};
    moire_runner_set_extent(machines[i].runner, "B", ROWS, &error);
    moire_runner_set_input(machines[i].runner, "seen", seen, ROWS * LENGTH, &error);
    moire_runner_set_input(machines[i].runner, "x", x, ROWS * LENGTH * WIDE, &error);
    moire_runner_run(machines[i].runner, &error);
    cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  }
  compare(&machines[0], &machines[1], "loss");
  compare(&machines[0], &machines[1], "grad.keys");
  compare(&machines[0], &machines[1], "grad.queries");
  for (int i = 0; i < 2; i++) test_machine_destroy(&machines[i]);
}
