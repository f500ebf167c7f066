/* Storing what products round as bf16 changes no bit: losses and every gradient of QIA, Indra and Llama in bf16
 * with and without it, by one thread and by several, and less memory is taken. On the level with products of
 * pairs, which the emulator's stand-ins execute where the processor lacks them. */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "tests/support/amx/amx_emulator.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 9, LENGTH = 24, WORDS = 37, SETTINGS = 12 };

typedef struct variant {
  const char *model;
  const char *settings[SETTINGS];
} variant;

static const variant variants[] = {
    {"qia",
     {"item_size=37", "hidden_size=20", "num_attention_heads=2", "inner_size=36", "max_seq_length=24",
      "hidden_dropout_prob=0.3", "attention_probs_dropout_prob=0.4", "initializer_range=0.3"}},
    {"indra",
     {"vocab_size=37", "sequence_length=24", "d_model=12", "n_layers=2", "n_heads=2", "max_positions=24"}},
    {"indra",
     {"vocab_size=37", "sequence_length=24", "d_model=20", "n_layers=1", "n_heads=2", "max_positions=24",
      "mixing=complex", "score=interference"}},
    {"llama",
     {"vocab_size=37", "sequence_length=24", "hidden_size=12", "intermediate_size=20", "num_hidden_layers=2",
      "num_attention_heads=4", "num_key_value_heads=2", "head_dim=4"}},
};

static test_machine start(const variant *v, bool halve, int threads) {
  moire_error error = {0};
  const moire_model *model = moire_model_find(v->model, &error);
  moire__config_table table = {0};
  for (int i = 0; i < SETTINGS && v->settings[i]; i++)
    moire__config_table_set(&table, "test", v->settings[i], &error);
  moire__config_fields fields = {model->fields, model->n_fields};
  moire_config *config = NULL;
  moire__config_build(&table, "test", &fields, 1, &config, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  moire_graph *g = moire_graph_create(v->model, MOIRE_TRAINING);
  model->build(g, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  options.precision = MOIRE_PRECISION_BF16;
  options.target = "x86-64-v4-bf16";
  options.off = halve ? 0 : 1u << MOIRE_OPTIMIZATION_halve;
  test_machine m = test_machine_make(g, &options, threads, 5);
  moire_graph_destroy(g);
  moire__config_free(config);
  moire__config_table_free(&table);
  return m;
}

static void set(const test_machine *m, const char *name, const int32_t *data, int64_t n) {
  moire_error error = {0};
  if (moire_runner_has_input(m->runner, name)) moire_runner_set_input(m->runner, name, data, n, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
}

/* Rows of QIA are padded in front, those of language models behind. */
static void run(const test_machine *m) {
  int32_t ids[ROWS * LENGTH] = {0}, targets[ROWS * LENGTH], answers[ROWS], lengths[ROWS];
  static const int32_t rng[] = {7, 0, 3};
  bool behind = moire_runner_has_input(m->runner, "lengths");
  for (int r = 0; r < ROWS; r++) {
    lengths[r] = r * 7 % (LENGTH + 1);
    answers[r] = 1 + r * 5 % (WORDS - 1);
    for (int i = 0; i < LENGTH; i++) {
      bool is_word = behind ? i < lengths[r] : i >= LENGTH - lengths[r];
      ids[r * LENGTH + i] = is_word ? 1 + (r * 11 + i * 5) % (WORDS - 1) : 0;
      targets[r * LENGTH + i] = is_word ? (r * 3 + i * 7) % WORDS : -100;
    }
  }
  moire_error error = {0};
  const float progress = 0.5f;
  moire_runner_set_extent(m->runner, "B", ROWS, &error);
  set(m, "input_ids", ids, ROWS * LENGTH);
  set(m, "targets", targets, ROWS * LENGTH);
  set(m, "answers", answers, ROWS);
  set(m, "lengths", lengths, ROWS);
  set(m, "rng", rng, 3);
  if (moire_runner_has_input(m->runner, "progress"))
    moire_runner_set_input(m->runner, "progress", &progress, 1, &error);
  moire_runner_run(m->runner, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
}

static void compare(const test_machine *a, const test_machine *b, const variant *v, const char *name) {
  int64_t n = 0, other = 0;
  const float *x = moire_runner_output(a->runner, name, &n), *y = moire_runner_output(b->runner, name, &other);
  cr_assert(x && y && n == other, "%s: %s", v->model, name);
  cr_assert_eq(memcmp(x, y, (size_t)n * sizeof *x), 0, "%s: %s has other bits", v->model, name);
}

static int halves_of(const moire_plan *plan) {
  int n = 0;
  for (int i = 0; i < plan->n_buffers; i++) n += plan->buffers[i].dtype == MOIRE_BF16;
  return n;
}

static void check(const variant *v, int threads) {
  test_machine with = start(v, true, threads), without = start(v, false, 1);
  const moire_plan *plan = moire_program_plan(without.program);
  cr_assert_eq(halves_of(plan), 0);
  cr_assert(halves_of(moire_program_plan(with.program)) > 3, "%s", v->model);
  run(&with);
  run(&without);
  compare(&with, &without, v, "loss");
  for (int i = 0; i < plan->n_states; i++) {
    char name[128];
    snprintf(name, sizeof name, "grad.%s", plan->states[i].name);
    if (plan->states[i].trained) compare(&with, &without, v, name);
  }
  cr_assert(moire_runner_workspace_bytes(with.runner) < moire_runner_workspace_bytes(without.runner), "%s",
            v->model);
  test_machine_destroy(&with);
  test_machine_destroy(&without);
}

Test(halve, changes_no_bit) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) check(&variants[i], i % 2 ? 1 : 3);
}
