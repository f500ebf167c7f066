/* QIA with products by tiles: a training beside the same one with AVX512-BF16, and a library whose version for
 * AMX is chosen where the processor has it and Linux permits it, and computes what the JIT does. */
#include "runtime/base/memory.h"
#include "tests/support/amx/amx_emulator.h"
#include "tests/support/amx/amx_soft.h"
#include "tests/support/aot/aot.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 13, ITEMS = 61, LENGTH = 9, STEPS = 3 };
static const char config[] =
    "{\"item_size\": 61, \"hidden_size\": 24, \"num_hidden_layers\": 1, \"num_attention_heads\": 3, "
    "\"inner_size\": 40, \"max_seq_length\": 9, \"n_bands\": 2, \"band_kernel_sizes\": [3, 5], "
    "\"band_dilations\": [1, 2], \"hidden_dropout_prob\": 0.3, \"attention_probs_dropout_prob\": 0.2}";

typedef struct bench {
  aot_model model;
  library_lists histories;
  int32_t *ids, targets[BATCH];
} bench;

static bench start(void) {
  bench b = {0};
  aot_model_make(&b.model, "qia", config, 7);
  b.model.optimizer.precision = MOIRE_PRECISION_BF16;
  b.histories = aot_histories(BATCH, LENGTH, ITEMS, 3);
  b.ids = aot_pad(&b.histories, BATCH, LENGTH);
  for (int i = 0; i < BATCH; i++) b.targets[i] = 1 + i * 7 % (ITEMS - 1);
  return b;
}

static void stop(bench *b) {
  aot_histories_free(&b->histories);
  moire__release(b->ids);
  aot_model_free(&b->model);
}

/* ---- the JIT ----------------------------------------------------------------------------------------- */

static void run_step(const bench *b, moire_runner *runner, int step) {
  moire_error error = {0};
  const moire_training_options *o = &b->model.optimizer.training;
  moire_batch_place place = moire_batch_place_at(step, o->accumulate);
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  moire_optimizer_scalars_f32(o, &place, scalars);
  const int32_t rng[3] = {5, 0, step};
  moire_runner_set_input(runner, "rng", rng, 3, &error);
  moire_runner_set_input(runner, "optimizer.scalars", scalars, moire_optimizer_scalar_count(o), &error);
  aot_need(moire_runner_run(runner, &error), &error);
}

/* Losses of the steps, or the scores of all histories. The states of the store change. */
static void run_jit(bench *b, const char *cpu, int n_threads, bool training, float *out) {
  moire_error error = {0};
  const char *output = training ? "loss" : "logits";
  moire_threads *threads = moire_threads_create(n_threads, &error);
  moire_program *program = aot_jit(&b->model, output, training, cpu);
  aot_need(moire_store_declare(b->model.store, moire_program_plan(program), 7, &error), &error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), b->model.store, threads, &error);
  cr_assert(runner, "%s", error.message);
  moire_runner_set_extent(runner, "B", BATCH, &error);
  moire_runner_set_input(runner, "input_ids", b->ids, BATCH * LENGTH, &error);
  if (training) moire_runner_set_input(runner, "answers", b->targets, BATCH, &error);
  for (int step = 0; step < (training ? STEPS : 1); step++) {
    if (training)
      run_step(b, runner, step);
    else
      aot_need(moire_runner_run(runner, &error), &error);
    int64_t n = 0;
    const float *result = moire_runner_output(runner, output, &n);
    memcpy(out + step, result, (size_t)n * sizeof *out);
  }
  moire_runner_destroy(runner);
  moire_program_destroy(program);
  moire_threads_destroy(threads);
}

static void need_tiles(void) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
}

/* |got - want| over |want|, of all parameters after the steps. */
static double distance(const bench *got, const bench *want) {
  double difference = 0, norm = 0;
  for (int i = 0; i < moire_store_count(want->model.store); i++) {
    const char *name = moire_store_at(want->model.store, i).name;
    int64_t n = 0, m = 0;
    const float *x = moire_store_data(got->model.store, name, &n),
                *y = moire_store_data(want->model.store, name, &m);
    cr_assert(x && n == m, "%s", name);
    for (int64_t e = 0; e < n; e++) {
      difference += ((double)x[e] - (double)y[e]) * ((double)x[e] - (double)y[e]);
      norm += (double)y[e] * (double)y[e];
    }
  }
  return sqrt(difference / norm);
}

Test(tile_training, qia_trains_as_with_pairs) {
  need_tiles();
  bench pairs = start(), tiles = start(), again = start();
  float want[STEPS], got[STEPS], other[STEPS];
  run_jit(&pairs, "x86-64-v4-bf16", 1, true, want);
  run_jit(&tiles, TEST_TILES_TARGET, 1, true, got);
  cr_assert(!test_tiles_emulated() || test_tiles_products() > 500, "%lld", (long long)test_tiles_products());
  run_jit(&again, TEST_TILES_TARGET, 3, true, other);
  cr_assert_eq(memcmp(got, other, sizeof got), 0, "losses depend on the number of threads");
  cr_assert_eq(distance(&again, &tiles), 0);
  for (int i = 0; i < STEPS; i++)
    cr_assert(fabsf(got[i] - want[i]) < 1e-5f * fabsf(want[i]), "step %d: %a, wanted %a", i, (double)got[i],
              (double)want[i]);
  double far = distance(&tiles, &pairs);
  cr_assert(far > 0 && far < 1e-3, "parameters are %g apart", far);
  stop(&pairs);
  stop(&tiles);
  stop(&again);
}

/* ---- a library ---------------------------------------------------------------------------------------- */

/* With versions for AMX and for AVX512-BF16, made for a processor that has AMX. */
static aot_library make(const bench *b, bool permitted, const char *directory) {
  char *header = realpath("tests/support/amx/amx_cpuid.h", NULL), cc[5000];
  cr_assert(header, "run from the top of the source tree");
  snprintf(cc, sizeof cc, "cc -include %s%s%s", header, permitted ? "" : " -DREFUSED",
           test_soft_started() ? " -DSOFT" : "");
  free(header);
  aot_wish wish = {
      .name = "lib", .cpu = TEST_TILES_TARGET, .below = "x86-64-v4-bf16", .cc = cc, .training = permitted};
  return aot_make(&b->model, &wish, directory);
}

static void check_scores(bench *b, const aot_library *library, const char *cpu) {
  static float got[BATCH * ITEMS], want[BATCH * ITEMS];
  library_workspace workspace = {0};
  cr_assert_str_eq(library->cpu(), cpu);
  cr_assert_eq(library->scores(NULL, &workspace, BATCH, &b->histories, got), LIBRARY_OK);
  run_jit(b, cpu, 2, false, want);
  cr_assert_eq(memcmp(got, want, sizeof got), 0);
  library->workspace_free(&workspace);
}

Test(tile_training, a_library_uses_tiles_as_the_jit_does) {
  need_tiles();
  test_path directory;
  bench b = start();
  test_make_directory(directory);
  aot_library library = make(&b, true, directory);
  check_scores(&b, &library, TEST_TILES_TARGET);
  float losses[STEPS];
  run_jit(&b, TEST_TILES_TARGET, 1, true, losses);
  library_workspace workspace = {0};
  library_state *state = NULL;
  cr_assert_eq(library.state_create(NULL, 0, 7, &state), LIBRARY_OK);
  for (int step = 0; step < STEPS; step++) {
    float loss = 0;
    cr_assert_eq(library.step(state, &workspace, BATCH, &b.histories, b.targets, 5, step, &loss), LIBRARY_OK);
    cr_assert_eq(memcmp(&loss, &losses[step], sizeof loss), 0, "step %d: %a, wanted %a", step, (double)loss,
                 (double)losses[step]);
  }
  library.state_free(state);
  library.workspace_free(&workspace);
  aot_unload(&library);
  test_remove_directory(directory);
  stop(&b);
}

Test(tile_training, a_library_that_may_not_use_tiles_takes_the_version_below) {
  need_tiles();
  test_path directory;
  bench b = start();
  test_make_directory(directory);
  aot_library library = make(&b, false, directory);
  int64_t before = test_tiles_products();
  check_scores(&b, &library, "x86-64-v4-bf16");
  cr_assert_eq(test_tiles_products(), before);
  aot_unload(&library);
  test_remove_directory(directory);
  stop(&b);
}
