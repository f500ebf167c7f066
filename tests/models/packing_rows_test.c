/* Leaving out what stands behind rows changes no result: losses, their terms, every gradient and what is
 * measured of indra and llama with and without it, for rows without words, of one word, full and ragged ones,
 * with stored and with whole teachers; the same bits by one thread and by several. */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WORDS = 37, LENGTH = 24, MOST = 7, TOP = 5, SETTINGS = 12 };

typedef struct variant {
  const char *model;
  const char *settings[SETTINGS];
} variant;

#define INDRA "d_model=12", "n_layers=1", "n_heads=2", "max_positions=24"
#define LLAMA                                                                                                  \
  "hidden_size=12", "intermediate_size=20", "num_hidden_layers=1", "num_attention_heads=4",                    \
      "num_key_value_heads=2", "head_dim=4"

static const variant variants[] = {
    {"indra", {INDRA}},
    {"indra", {INDRA, "distil=top", "teacher_top=5", "score=interference", "mixing=complex", "aux_gate=0.2"}},
    {"indra", {INDRA, "distil=full", "head=hermitian", "alpha_trainable=true", "kd_gate=0.1"}},
    {"llama", {LLAMA}},
    {"llama", {LLAMA, "distil=top", "teacher_top=5", "tie_word_embeddings=true"}},
};

static moire_graph *build(const variant *v, moire_mode mode) {
  moire_error error = {0};
  const moire_model *model = moire_model_find(v->model, &error);
  moire__config_table table = {0};
  moire__config_table_set(&table, "test", "vocab_size=37", &error);
  moire__config_table_set(&table, "test", "sequence_length=24", &error);
  for (int i = 0; i < SETTINGS && v->settings[i]; i++)
    moire__config_table_set(&table, "test", v->settings[i], &error);
  moire__config_fields fields = {model->fields, model->n_fields};
  moire_config *config = NULL;
  moire__config_build(&table, "test", &fields, 1, &config, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  moire_graph *g = moire_graph_create(v->model, mode);
  model->build(g, config);
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

static const char *const trained[] = {"loss",     "ce",      "kd",         "phase_loss", "mag_loss",
                                      "mag_mean", "mag_std", "phase_mean", "phase_std"};
static const char *const measured[] = {"loss",       "target_nll",   "target_rank", "best_word",
                                       "teacher_kl", "teacher_best", "logits",      "magnitude"};

typedef struct how {
  moire_mode mode;
  bool pack;
  int threads;
} how;

static test_machine start(const variant *v, how h) {
  moire_graph *g = build(v, h.mode);
  bool trains = h.mode == MOIRE_TRAINING;
  const char *const *all = trains ? trained : measured, *names[16];
  int n = trains ? (int)(sizeof trained / sizeof *trained) : (int)(sizeof measured / sizeof *measured);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = names;
  for (int i = 0; i < n; i++) {
    if (moire_graph_find_output(g, all[i]).name) names[options.n_outputs++] = all[i];
  }
  if (trains) options.loss = "loss";
  options.keep_gradients = trains;
  options.off = h.pack ? 0 : 1u << MOIRE_OPTIMIZATION_pack;
  test_machine m = test_machine_make(g, &options, h.threads, 5);
  cr_assert_eq(moire_program_plan(m.program)->packing.extent != 0, h.pack, "%s", v->model);
  moire_graph_destroy(g);
  return m;
}

/* ---- batches -----------------------------------------------------------------------------------------------
 */

typedef struct batch {
  int32_t n, ids[MOST * LENGTH], targets[MOST * LENGTH], lengths[MOST], top[MOST * LENGTH * TOP];
  float values[MOST * LENGTH * TOP], logits[MOST * LENGTH * WORDS];
} batch;

static batch draw(int step, int n) {
  static const int lengths[] = {LENGTH, 0, 1, 5, 2, 17, 23};
  moire__random random = moire__random_start(9, (uint64_t)step);
  batch b = {.n = n};
  for (int i = 0; i < n; i++) b.lengths[i] = lengths[(i + step) % MOST];
  for (int i = 0; i < n * LENGTH; i++) b.ids[i] = (int32_t)moire__random_below(&random, WORDS);
  for (int i = 0; i < n * LENGTH; i++)
    b.targets[i] = i % LENGTH + 1 < b.lengths[i / LENGTH] ? b.ids[i + 1] : -100;
  for (int i = 0; i < n * LENGTH * TOP; i++) {
    b.top[i] = (int32_t)((unsigned)(i % TOP) * 7 + (unsigned)moire__random_below(&random, 7));
    b.values[i] = (float)(2 * moire__random_real(&random));
  }
  for (int i = 0; i < n * LENGTH * WORDS; i++) b.logits[i] = (float)(2 * moire__random_real(&random));
  return b;
}

static void set(const test_machine *m, const char *name, const void *data, int64_t n, moire_error *error) {
  if (moire_runner_has_input(m->runner, name)) moire_runner_set_input(m->runner, name, data, n, error);
}

static void run(test_machine *m, const batch *b) {
  moire_error error = {0};
  static const int32_t rng[] = {7, 0, 3};
  static const float progress = 0.7F;
  int64_t n = b->n, positions = n * LENGTH;
  moire_runner_set_extent(m->runner, "B", n, &error);
  set(m, "input_ids", b->ids, positions, &error);
  set(m, "targets", b->targets, positions, &error);
  set(m, "lengths", b->lengths, n, &error);
  set(m, "teacher_indices", b->top, positions * TOP, &error);
  set(m, "teacher_values", b->values, positions * TOP, &error);
  set(m, "teacher_logits", b->logits, positions * WORDS, &error);
  set(m, "progress", &progress, 1, &error);
  set(m, "rng", rng, 3, &error);
  moire_runner_run(m->runner, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
}

/* ---- comparisons -------------------------------------------------------------------------------------------
 */

static void compare(const test_machine *a, const test_machine *b, const char *name, bool integer, bool exact) {
  int64_t n = 0, other = 0;
  const void *x = moire_runner_output(a->runner, name, &n), *y = moire_runner_output(b->runner, name, &other);
  cr_assert(x && y && n == other, "%s", name);
  double distance = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    double u = integer ? ((const int32_t *)x)[i] : (double)((const float *)x)[i];
    double v = integer ? ((const int32_t *)y)[i] : (double)((const float *)y)[i];
    distance += (u - v) * (u - v);
    norm += v * v;
  }
  cr_assert(isfinite(norm), "%s", name);
  if (exact)
    cr_assert_eq(memcmp(x, y, (size_t)n * 4), 0, "%s", name);
  else
    cr_assert(sqrt(distance) <= 2e-5 * sqrt(norm) + 1e-7, "%s: %g of %g", name, sqrt(distance), sqrt(norm));
}

static void compare_all(const test_machine *a, const test_machine *b, bool exact) {
  const moire_plan *plan = moire_program_plan(b->program);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *buffer = &plan->buffers[i];
    if (buffer->role == MOIRE_PLAN_OUTPUT) compare(a, b, buffer->name, buffer->dtype == MOIRE_I32, exact);
  }
}

static void check(const variant *v, moire_mode mode) {
  test_machine with = start(v, (how){mode, true, 2}), without = start(v, (how){mode, false, 2});
  bool first = v == variants;
  test_machine alone = {0};
  if (first) alone = start(v, (how){mode, true, 1});
  static const int sizes[] = {MOST, 1, 4, 1, 1, MOST};
  for (int step = 0; step < (int)(sizeof sizes / sizeof *sizes); step++) {
    batch b = draw(step, sizes[step]);
    run(&with, &b);
    run(&without, &b);
    compare_all(&with, &without, false);
    if (first) run(&alone, &b);
    if (first) compare_all(&with, &alone, true);
  }
  test_machine_destroy(&with);
  test_machine_destroy(&without);
  if (first) test_machine_destroy(&alone);
}

Test(packing_rows, changes_no_result_of_training) {
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) check(&variants[i], MOIRE_TRAINING);
}

Test(packing_rows, changes_no_measure) {
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) check(&variants[i], MOIRE_INFERENCE);
}
