/* A library computes what the JIT does, bit for bit: scores, lists, losses, and what training steps make of
 * states. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/measure/ranking.h"
#include "tests/support/aot/aot.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { BATCH = 13, ITEMS = 61, LENGTH = 9, STEPS = 3, TOP = 7 };
static const char config[] =
    "{\"item_size\": 61, \"hidden_size\": 12, \"num_hidden_layers\": 2, \"num_attention_heads\": 3, "
    "\"inner_size\": 20, "
    "\"max_seq_length\": 9, \"n_bands\": 2, \"band_kernel_sizes\": [3, 5], \"band_dilations\": [1, 2], "
    "\"hidden_dropout_prob\": 0.3, \"attention_probs_dropout_prob\": 0.2}";

typedef struct bench {
  aot_model model;
  aot_library library;
  moire_threads *threads;
  test_path directory;
  library_lists histories;
  int32_t *ids, targets[BATCH];
  const char *cpu;
} bench;

static bench start(const char *cpu, moire_precision precision, bool training) {
  bench b = {.cpu = cpu};
  moire_error error = {0};
  aot_model_make(&b.model, "qia", config, 7);
  b.model.optimizer.precision = precision;
  test_make_directory(b.directory);
  b.library = aot_make(&b.model, &(aot_wish){.name = "lib", .cpu = cpu, .training = training}, b.directory);
  b.threads = moire_threads_create(2, &error);
  b.histories = aot_histories(BATCH, LENGTH, ITEMS, 3);
  b.ids = aot_pad(&b.histories, BATCH, LENGTH);
  for (int i = 0; i < BATCH; i++) b.targets[i] = 1 + i * 7 % (ITEMS - 1);
  return b;
}

static void stop(bench *b) {
  aot_unload(&b->library);
  moire_threads_destroy(b->threads);
  test_remove_directory(b->directory);
  aot_histories_free(&b->histories);
  moire__release(b->ids);
  aot_model_free(&b->model);
}

/* The versions to test that this machine runs. */
static const struct {
  const char *cpu;
  moire_precision precision;
} versions[] = {
    {"host", MOIRE_PRECISION_F32}, {"x86-64-v3", MOIRE_PRECISION_F32}, {"host", MOIRE_PRECISION_BF16}};
enum { VERSIONS = sizeof versions / sizeof *versions };

static bool runs(const char *cpu) {
  moire_error error = {0};
  const char *wanted = "loss";
  moire_graph *g = moire_graph_create("probe", MOIRE_INFERENCE);
  moire_output(g, wanted, moire_constant(g, MOIRE_F32, MOIRE_SCALAR, 1));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &wanted;
  options.n_outputs = 1;
  options.target = cpu;
  moire_program *program = moire_compile(g, &options, &error);
  moire_program_destroy(program);
  moire_graph_destroy(g);
  return program != NULL;
}

/* ---- The JIT's side --------------------------------------------------------------------------------- */

typedef struct jit {
  moire_program *program;
  moire_runner *runner;
} jit;

static jit jit_start(bench *b, const char *output, bool training) {
  moire_error error = {0};
  jit j = {aot_jit(&b->model, output, training, b->cpu), NULL};
  const moire_plan *plan = moire_program_plan(j.program);
  aot_need(moire_store_declare(b->model.store, plan, 7, &error), &error);
  j.runner = moire_runner_create(plan, b->model.store, b->threads, &error);
  cr_assert(j.runner, "%s", error.message);
  return j;
}

static void jit_stop(jit *j) {
  moire_runner_destroy(j->runner);
  moire_program_destroy(j->program);
}

static const float *jit_run(bench *b, jit *j, const char *output, int64_t first, int64_t n) {
  moire_error error = {0};
  moire_runner_set_extent(j->runner, "B", n, &error);
  moire_runner_set_input(j->runner, "input_ids", b->ids + first * LENGTH, n * LENGTH, &error);
  if (moire_runner_has_input(j->runner, "answers"))
    moire_runner_set_input(j->runner, "answers", b->targets + first, n, &error);
  aot_need(moire_runner_run(j->runner, &error), &error);
  return moire_runner_output(j->runner, output, NULL);
}

static void check_bits(const float *got, const float *want, int64_t n, const char *what) {
  for (int64_t i = 0; i < n; i++)
    cr_assert(!memcmp(&got[i], &want[i], sizeof *got), "%s: element %lld: got %a, want %a", what, (long long)i,
              (double)got[i], (double)want[i]);
}

/* ---- Recommending ----------------------------------------------------------------------------------- */

static void check_scores(bench *b, const library_model *model, const char *what) {
  jit j = jit_start(b, "logits", false);
  library_workspace workspace = {0};
  float *scores = moire__allocate_array(BATCH * ITEMS, sizeof *scores);
  cr_assert_eq(b->library.scores(model, &workspace, BATCH, &b->histories, scores), LIBRARY_OK);
  check_bits(scores, jit_run(b, &j, "logits", 0, BATCH), BATCH * ITEMS, what);
  for (int i = 0; i < BATCH; i++) {
    library_lists one = {b->histories.offsets + i, b->histories.items};
    float row[ITEMS];
    cr_assert_eq(b->library.scores(model, &workspace, 1, &one, row), LIBRARY_OK);
    check_bits(row, scores + i * ITEMS, ITEMS, "a batch of one");
  }
  b->library.workspace_free(&workspace);
  moire__release(scores);
  jit_stop(&j);
}

static void mark(float *row, const library_lists *lists, int64_t i, float value) {
  for (int64_t j = lists->offsets[i]; j < lists->offsets[i + 1]; j++) row[lists->items[j]] = value;
}

static void check_top(bench *b, library_seen rule, bool own_lists) {
  library_workspace workspace = {0};
  library_lists other = aot_histories(BATCH, LENGTH, ITEMS, 11);
  const library_lists *seen = own_lists ? &other : &b->histories;
  float *scores = moire__allocate_array(BATCH * ITEMS, sizeof *scores), best_scores[BATCH * TOP];
  int32_t best[BATCH * TOP], want[TOP];
  cr_assert_eq(b->library.scores(NULL, &workspace, BATCH, &b->histories, scores), LIBRARY_OK);
  cr_assert_eq(b->library.top(NULL, &workspace, BATCH, &b->histories, own_lists ? &other : NULL, rule, TOP,
                              best, best_scores),
               LIBRARY_OK);
  for (int64_t i = 0; i < BATCH; i++) {
    float *row = scores + i * ITEMS;
    if (rule != LIBRARY_SEEN_ZERO) row[0] = NAN;
    if (rule != LIBRARY_SEEN_RANK) mark(row, seen, i, rule == LIBRARY_SEEN_ZERO ? 0 : NAN);
    int n = moire__top_k(row, ITEMS, TOP, want);
    cr_assert_eq(n, TOP);
    cr_assert(!memcmp(want, best + i * TOP, sizeof want), "history %d, rule %d", (int)i, (int)rule);
    for (int r = 0; r < TOP; r++) cr_assert_eq(best_scores[i * TOP + r], row[want[r]]);
  }
  moire__release(scores);
  aot_histories_free(&other);
  b->library.workspace_free(&workspace);
}

Test(aot, recommends_as_the_jit_does) {
  for (int i = 0; i < VERSIONS; i++) {
    if (!runs(versions[i].cpu)) continue;
    bench b = start(versions[i].cpu, versions[i].precision, false);
    check_scores(&b, NULL, "scores");
    for (int rule = 0; rule < 3; rule++) {
      check_top(&b, (library_seen)rule, false);
      check_top(&b, (library_seen)rule, true);
    }
    stop(&b);
  }
}

/* More is asked for than there is: the rest is -1. */
Test(aot, ends_short_lists) {
  bench b = start(NULL, MOIRE_PRECISION_F32, false);
  library_workspace workspace = {0};
  int32_t items[ITEMS], all[ITEMS];
  float scores[ITEMS];
  for (int i = 0; i < ITEMS; i++) all[i] = i + 1;
  int64_t none[2] = {0, 0}, most[2] = {0, ITEMS - 3}; /* all but two were seen */
  library_lists empty = {none, NULL}, seen = {most, all};
  cr_assert_eq(b.library.top(NULL, &workspace, 1, &empty, &seen, LIBRARY_SEEN_EXCLUDE, 5, items, scores),
               LIBRARY_OK);
  cr_assert(items[0] >= ITEMS - 2 && items[1] >= ITEMS - 2 && items[0] != items[1]);
  for (int i = 2; i < 5; i++) cr_assert(items[i] == -1 && scores[i] == 0);
  cr_assert_eq(b.library.top(NULL, &workspace, 1, &empty, NULL, LIBRARY_SEEN_ZERO, ITEMS, items, NULL),
               LIBRARY_OK);
  for (int i = 0; i < ITEMS; i++) cr_assert(items[i] >= 0);
  b.library.workspace_free(&workspace);
  stop(&b);
}

/* ---- Training --------------------------------------------------------------------------------------- */

static void check_states(bench *b, library_state *state) {
  int found = 0;
  for (int i = 0; i < b->library.state_count(); i++) {
    library_tensor tensor;
    int64_t n = 0;
    cr_assert_eq(b->library.state_at(state, i, &tensor), LIBRARY_OK);
    const float *want = moire_store_data(b->model.store, tensor.name, &n);
    cr_assert(want && n == tensor.elements, "%s", tensor.name);
    cr_assert_eq(tensor.dtype, LIBRARY_F32);
    check_bits(tensor.data, want, n, tensor.name);
    found += tensor.trained;
  }
  cr_assert_gt(found, 20);
}

static void train_jit(bench *b, float *losses, uint64_t seed) {
  moire_error error = {0};
  jit j = jit_start(b, "loss", true);
  for (int step = 0; step < STEPS; step++) {
    const moire_training_options *o = &b->model.optimizer.training;
    moire_batch_place place = moire_batch_place_at(step, o->accumulate);
    float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
    moire_optimizer_scalars_f32(o, &place, scalars);
    int32_t rng[3] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32), step};
    moire_runner_set_input(j.runner, "rng", rng, 3, &error);
    moire_runner_set_input(j.runner, "optimizer.scalars", scalars, moire_optimizer_scalar_count(o), &error);
    losses[step] = *jit_run(b, &j, "loss", 0, BATCH);
  }
  jit_stop(&j);
}

static void run_work(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = n - 1; i >= 0; i--) work(job, i);
}

Test(aot, trains_as_the_jit_does) {
  const uint64_t seed = 0x123456789abcu;
  for (int i = 0; i < VERSIONS; i++) {
    if (!runs(versions[i].cpu)) continue;
    bench b = start(versions[i].cpu, versions[i].precision, true);
    library_workspace workspace = {.threads = 3, .run = run_work};
    library_state *state = NULL;
    float losses[STEPS], loss = 0;
    cr_assert_eq(b.library.state_create(NULL, 0, 7, &state), LIBRARY_OK);
    jit j = jit_start(&b, "loss", false);
    cr_assert_eq(b.library.loss(state, &workspace, BATCH, &b.histories, b.targets, &loss), LIBRARY_OK);
    check_bits(&loss, jit_run(&b, &j, "loss", 0, BATCH), 1, "validation loss");
    train_jit(&b, losses, seed);
    for (int step = 0; step < STEPS; step++) {
      cr_assert_eq(b.library.step(state, &workspace, BATCH, &b.histories, b.targets, seed, step, &loss),
                   LIBRARY_OK);
      check_bits(&loss, &losses[step], 1, "loss of a step");
    }
    check_states(&b, state);
    library_model *model = NULL;
    cr_assert_eq(b.library.freeze(state, &model), LIBRARY_OK);
    check_scores(&b, model, "scores of the trained state");
    cr_assert_eq(b.library.state_reset(state), LIBRARY_OK);
    cr_assert_eq(b.library.freeze(state, &model), LIBRARY_OK);
    float first[ITEMS], again[ITEMS];
    cr_assert_eq(b.library.scores(NULL, &workspace, 1, &b.histories, first), LIBRARY_OK);
    cr_assert_eq(b.library.scores(model, &workspace, 1, &b.histories, again), LIBRARY_OK);
    check_bits(again, first, ITEMS, "scores of a state that was reset");
    b.library.close(model);
    b.library.state_free(state);
    b.library.workspace_free(&workspace);
    jit_stop(&j);
    stop(&b);
  }
}

/* A state goes out as safetensors and comes back; the training goes on as if nothing had happened. */
Test(aot, states_go_out_and_come_back) {
  bench b = start(NULL, MOIRE_PRECISION_F32, true);
  library_workspace workspace = {0};
  library_state *one = NULL, *two = NULL;
  float loss = 0, other = 0;
  test_path path;
  test_join(b.directory, "state.safetensors", path);
  cr_assert_eq(b.library.state_create(NULL, 0, 7, &one), LIBRARY_OK);
  cr_assert_eq(b.library.state_create(NULL, 0, 8, &two), LIBRARY_OK);
  for (int step = 0; step < 2; step++)
    cr_assert_eq(b.library.step(one, &workspace, BATCH, &b.histories, b.targets, 5, step, NULL), LIBRARY_OK);
  cr_assert_eq(b.library.state_write_file(one, LIBRARY_EVERYTHING, path), LIBRARY_OK);
  cr_assert_eq(b.library.state_read_file(two, LIBRARY_EVERYTHING, path), LIBRARY_OK);
  cr_assert_eq(b.library.step(one, &workspace, BATCH, &b.histories, b.targets, 5, 2, &loss), LIBRARY_OK);
  cr_assert_eq(b.library.step(two, &workspace, BATCH, &b.histories, b.targets, 5, 2, &other), LIBRARY_OK);
  check_bits(&other, &loss, 1, "loss of a state that was read");
  moire_error error = {0};
  moire__safetensors *file = NULL;
  cr_assert_eq(moire__safetensors_open(path, &file, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__safetensors_count(file), b.library.state_count());
  cr_assert_str_eq(moire__safetensors_metadata(file, "model"), "qia");
  moire__safetensors_close(file);
  b.library.state_free(one);
  b.library.state_free(two);
  b.library.workspace_free(&workspace);
  stop(&b);
}

/* ---- Weights in a file ------------------------------------------------------------------------------ */

Test(aot, maps_weights) {
  bench b = start(NULL, MOIRE_PRECISION_F32, false);
  test_path path;
  aot_library other = aot_make(&b.model, &(aot_wish){.name = "ext", .external = true}, b.directory);
  library_workspace workspace = {0};
  library_model *model = NULL;
  float want[ITEMS], got[ITEMS];
  cr_assert_eq(other.scores(NULL, &workspace, 1, &b.histories, got), LIBRARY_ERROR_MODEL);
  cr_assert_eq(other.open(test_join(b.directory, "ext.weights", path), &model), LIBRARY_OK);
  cr_assert_eq(other.scores(model, &workspace, 1, &b.histories, got), LIBRARY_OK);
  cr_assert_eq(b.library.scores(NULL, &workspace, 1, &b.histories, want), LIBRARY_OK);
  check_bits(got, want, ITEMS, "scores by mapped weights");
  other.close(model);
  other.workspace_free(&workspace);
  aot_unload(&other);
  stop(&b);
}
