/* QIA as PyTorch spells it (tests/support/graphs/spelled_qia.h) is compiled to what models/qia.c is. Padding is
 * left out of it, its program has as many steps, and from the same weights loss and gradients are those of
 * models/qia.c, for batches with empty, full and ragged samples. With dropout they are those of the
 * interpreter, which runs it as it is written. */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "tests/support/graphs/spelled_qia.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS = 30, LENGTH = 11, MOST = 9 };

static moire_graph *spell(double dropout) {
  const spelled_qia shape = {.items = ITEMS,
                             .length = LENGTH,
                             .width = 12,
                             .heads = 2,
                             .inner = 20,
                             .layers = 2,
                             .n_bands = 2,
                             .taps = {3, 5},
                             .dilations = {1, 2},
                             .dropout = dropout};
  return spelled_qia_build(&shape);
}

/* ---- models/qia.c ------------------------------------------------------------------------------------------
 */

static moire_graph *build_qia(void) {
  moire_error error = {0};
  const moire_model *model = moire_model_find("qia", &error);
  moire__config_table table = {0};
  static const char *const settings[] = {"item_size=30",
                                         "hidden_size=12",
                                         "num_attention_heads=2",
                                         "inner_size=20",
                                         "num_hidden_layers=2",
                                         "max_seq_length=11",
                                         "band_kernel_sizes=[3,5]",
                                         "band_dilations=[1,2]",
                                         "hidden_dropout_prob=0",
                                         "attention_probs_dropout_prob=0"};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    moire__config_table_set(&table, "test", settings[i], &error);
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

/* ---- comparing ---------------------------------------------------------------------------------------------
 */

static moire_compile_options options_of(unsigned off) {
  static const char *const outputs[] = {"loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = outputs[0];
  options.keep_gradients = true;
  options.off = off;
  return options;
}

static test_machine start(moire_graph *g, unsigned off) {
  moire_compile_options options = options_of(off);
  test_machine m = test_machine_make(g, &options, 2, 5);
  moire_graph_destroy(g);
  return m;
}

typedef struct batch {
  int64_t n, wide[MOST * LENGTH];
  int32_t ids[MOST * LENGTH], answers[MOST];
} batch;

/* Sample b has `filled[b]` items at its end; in the last batch one ends in padding. */
static batch make_batch(int step, int64_t n) {
  static const int filled[] = {3, 0, LENGTH, 1, 7, 0, 10, 2, 5};
  batch b = {.n = n};
  for (int64_t i = 0; i < n * LENGTH; i++) {
    int64_t sample = i / LENGTH, place = i % LENGTH;
    bool item = LENGTH - place <= filled[(sample + step) % MOST] && !(step == 2 && i == n * LENGTH - 1);
    b.ids[i] = item ? (int32_t)(1 + (sample * 11 + place * 5 + step) % (ITEMS - 1)) : 0;
    b.wide[i] = b.ids[i];
    b.answers[sample] = (int32_t)(1 + (sample * 7 + step) % (ITEMS - 1));
  }
  return b;
}

enum { BATCHES = 3, MOST_ELEMENTS = 400 };
static const int64_t sizes[BATCHES] = {MOST, 1, 4};
static const int32_t rng[] = {7, 0, 3};

static void run(const test_machine *m, const batch *b, bool wide) {
  moire_error error = {0};
  const void *ids = wide ? (const void *)b->wide : b->ids;
  moire_runner_set_extent(m->runner, "B", b->n, &error);
  moire_runner_set_input(m->runner, "input_ids", ids, b->n * LENGTH, &error);
  moire_runner_set_input(m->runner, "answers", b->answers, b->n, &error);
  if (moire_runner_has_input(m->runner, "rng")) moire_runner_set_input(m->runner, "rng", rng, 3, &error);
  moire_runner_run(m->runner, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
}

static double norm_of(const double *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum);
}

/* By the norm of the difference; `wanted` are the n elements of what is right, `noise` is forgiven. */
static void expect_near(const test_machine *m, const char *name, const double *wanted, int64_t n, double share,
                        double noise) {
  int64_t there = 0;
  const float *x = moire_runner_output(m->runner, name, &there);
  cr_assert(x && wanted && there == n, "%s", name);
  double distance = 0, length = norm_of(wanted, n);
  for (int64_t i = 0; i < n; i++) distance += pow((double)x[i] - wanted[i], 2);
  cr_expect(sqrt(distance) <= share * length + noise, "%s: %g of %g", name, sqrt(distance), length);
}

/* The loss is output 0, the gradients are those behind it. */
static const char *output_name(const moire_plan *plan, int i) {
  static char name[128];
  snprintf(name, sizeof name, i ? "grad.%s" : "loss", i ? plan->states[i - 1].name : "");
  return name;
}

Test(planes, are_compiled_to_what_the_complex_model_is) {
  test_machine by_planes = start(spell(0), 0), own = start(build_qia(), 0);
  const moire_plan *plan = moire_program_plan(by_planes.program), *wanted = moire_program_plan(own.program);
  cr_expect(plan->packing.extent, "padding is computed");
  cr_expect_eq(plan->n_steps, wanted->n_steps, "%d steps, models/qia.c has %d", plan->n_steps, wanted->n_steps);
  for (int i = 0; i < plan->n_states; i++) {
    int64_t n = 0, other = 0;
    const float *weights = moire_store_data(by_planes.store, plan->states[i].name, &n);
    float *copy = moire_store_data(own.store, plan->states[i].name, &other);
    cr_assert(weights && copy && n == other, "%s", plan->states[i].name);
    memcpy(copy, weights, (size_t)n * sizeof *copy);
  }
  for (int step = 0; step < BATCHES; step++) {
    batch b = make_batch(step, sizes[step]);
    run(&by_planes, &b, true);
    run(&own, &b, false);
    for (int i = 0; i <= plan->n_states; i++) {
      double right[MOST_ELEMENTS];
      int64_t n = 0;
      const float *numbers = moire_runner_output(own.runner, output_name(plan, i), &n);
      cr_assert(numbers && n <= MOST_ELEMENTS, "%s", output_name(plan, i));
      for (int64_t k = 0; k < n; k++) right[k] = (double)numbers[k];
      expect_near(&by_planes, output_name(plan, i), right, n, 2e-5, 1e-8);
    }
  }
  test_machine_destroy(&by_planes);
  test_machine_destroy(&own);
}

static void give(moire_oracle *oracle, const char *name, const int32_t *from, int64_t n) {
  moire_error error = {0};
  double numbers[MOST * LENGTH];
  for (int64_t i = 0; i < n; i++) numbers[i] = (double)from[i];
  cr_assert_eq(moire_oracle_set_input(oracle, name, numbers, n, &error), MOIRE_OK, "%s", error.message);
}

/* Where a softmax is nearly one key's, the gradients of scores are small differences of numbers as large as the
 * other gradients: in float32 noise of these. */
Test(planes, are_what_they_spell) {
  moire_error error = {0};
  moire_graph *g = spell(0.4);
  const unsigned none = 1u << MOIRE_OPTIMIZATION_unite | 1u << MOIRE_OPTIMIZATION_banks |
                        1u << MOIRE_OPTIMIZATION_recognise | 1u << MOIRE_OPTIMIZATION_pack;
  moire_compile_options as_written = options_of(none);
  moire_oracle *oracle = moire_oracle_create(g, &as_written, &error);
  cr_assert(oracle, "%s", error.message);
  test_machine m = start(g, 0);
  const moire_plan *plan = moire_program_plan(m.program);
  cr_expect(plan->packing.extent, "padding is computed");
  for (int i = 0; i < plan->n_states; i++) {
    int64_t n = 0;
    const float *weights = moire_store_data(m.store, plan->states[i].name, &n);
    double *copy = moire_oracle_state_data(oracle, plan->states[i].name, NULL);
    for (int64_t k = 0; k < n; k++) copy[k] = (double)weights[k];
  }
  for (int step = 0; step < BATCHES; step++) {
    batch b = make_batch(step, sizes[step]);
    run(&m, &b, true);
    moire_oracle_set_extent(oracle, "B", b.n, &error);
    give(oracle, "input_ids", b.ids, b.n * LENGTH);
    give(oracle, "answers", b.answers, b.n);
    give(oracle, "rng", rng, 3);
    cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
    double largest = 0;
    for (int i = 0; i <= plan->n_states; i++) {
      int64_t n = 0;
      const double *right = moire_oracle_output(oracle, output_name(plan, i), &n);
      largest = fmax(largest, norm_of(right, n));
    }
    for (int i = 0; i <= plan->n_states; i++) {
      int64_t n = 0;
      const double *right = moire_oracle_output(oracle, output_name(plan, i), &n);
      expect_near(&m, output_name(plan, i), right, n, 1e-4, 3e-6 * largest);
    }
  }
  test_machine_destroy(&m);
  moire_oracle_destroy(oracle);
}
