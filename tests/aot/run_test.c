/* Libraries of any graph: what they give is what the JIT gives, bit for bit, for any batch and threads, in
 * inference and in training; and what they refuse. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "tests/support/aot/aot_graph.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WIDTH = 6, KINDS = 5, CLASSES = 3, MOST = 1000, INPUTS = 3, OUTPUTS = 3 };
static const int64_t sizes[] = {0, 1, 3, 64, MOST};
enum { SIZES = sizeof sizes / sizeof *sizes };
static const char *const cpus[] = {"host", "x86-64-v3"};

/* ---- A user's graph --------------------------------------------------------------------------------- */

/* A complex signal is turned by a kind and mixed; scores of classes and a power come of it. */
static void build(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  moire_init small = moire_init_normal(0, 0.4);
  moire_value signal = moire_input(g, "signal", MOIRE_C64, MOIRE_SHAPE(b, WIDTH));
  moire_value kind = moire_input(g, "kind", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value label = moire_input(g, "label", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value table = moire_parameter(g, "table", MOIRE_SHAPE(KINDS, WIDTH), small);
  moire_value mix_re = moire_parameter(g, "mix.re", MOIRE_SHAPE(WIDTH, WIDTH), small);
  moire_value mix_im = moire_parameter(g, "mix.im", MOIRE_SHAPE(WIDTH, WIDTH), small);
  moire_value out = moire_parameter(g, "out", MOIRE_SHAPE(WIDTH, CLASSES), small);
  moire_value angle = moire_embedding(table, kind, -1);
  moire_value turned = moire_mul(signal, moire_complex(moire_cos(angle), moire_sin(angle)));
  moire_value mixed = moire_matmul(turned, moire_complex(mix_re, mix_im));
  moire_value power = moire_dropout(moire_abs2(mixed), 0.25);
  moire_value scores = moire_matmul(moire_tanh(power), out);
  moire_output(g, "scores", scores);
  moire_output(g, "power", moire_mean(power, -1, false));
  moire_output(g, "mixed", mixed);
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(scores, label)));
}

typedef struct data {
  float signal[MOST * WIDTH * 2], x[MOST * WIDTH]; /* pairs; and numbers for a real graph */
  int32_t kind[MOST], label[MOST];
} data;

static data *draw(void) {
  data *d = moire__allocate(sizeof *d);
  moire__random random = moire__random_start(5, 0);
  for (int i = 0; i < MOST * WIDTH; i++) {
    for (int j = 0; j < 2; j++) d->signal[2 * i + j] = (float)moire__random_below(&random, 2001) / 1000 - 1;
    d->x[i] = d->signal[2 * i];
  }
  for (int i = 0; i < MOST; i++) {
    d->kind[i] = (int32_t)moire__random_below(&random, KINDS);
    d->label[i] = (int32_t)moire__random_below(&random, CLASSES);
  }
  return d;
}

/* What the structs hold: `label` is read by the loss alone. */
static void point(const data *d, const void *fields[INPUTS]) {
  const void *all[INPUTS] = {d->signal, d->kind, d->label};
  memcpy(fields, all, sizeof all);
}

static void set_inputs(aot_graph_jit *jit, const data *d, int64_t n) {
  moire_error error = {0};
  if (moire_runner_has_input(jit->runner, "signal.real"))
    aot_need(moire_runner_set_complex_input(jit->runner, "signal", d->signal, n * WIDTH, &error), &error);
  aot_graph_jit_set(jit, "kind", d->kind, n);
  aot_graph_jit_set(jit, "label", d->label, n);
}

static void run_work(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = n - 1; i >= 0; i--) work(job, i);
}

static void check_bits(const void *got, const void *want, size_t bytes, const char *what, int64_t n) {
  cr_assert(!memcmp(got, want, bytes), "%s of %lld samples", what, (long long)n);
}

/* ---- Equality --------------------------------------------------------------------------------------- */

static void check_run(const aot_graph_library *lib, const library_model *model, aot_graph_jit *jit,
                      const data *d) {
  static float scores[MOST * CLASSES], power[MOST], mixed[MOST * WIDTH * 2], want[MOST * WIDTH * 2];
  moire_error error = {0};
  void *results[OUTPUTS] = {scores, power, mixed};
  const void *fields[INPUTS];
  point(d, fields);
  for (int s = 0; s < SIZES; s++) {
    int64_t n = sizes[s];
    set_inputs(jit, d, n);
    aot_graph_jit_run(jit, n);
    for (int threads = 1; threads <= 5; threads += 2) {
      library_workspace workspace = {.threads = threads, .run = run_work};
      memset(scores, 0x55, sizeof scores);
      memset(power, 0x55, sizeof power);
      cr_assert_eq(lib->run(model, &workspace, n, fields, results), LIBRARY_OK);
      check_bits(scores, moire_runner_output(jit->runner, "scores", NULL), (size_t)n * CLASSES * sizeof *scores,
                 "scores", n);
      check_bits(power, moire_runner_output(jit->runner, "power", NULL), (size_t)n * sizeof *power, "power", n);
      aot_need(moire_runner_complex_output(jit->runner, "mixed", want, n * WIDTH, &error), &error);
      check_bits(mixed, want, (size_t)n * WIDTH * 2 * sizeof *mixed, "mixed", n);
      cr_assert(n == MOST || ((unsigned char *)&power[n])[0] == 0x55, "more than %lld samples were written",
                (long long)n);
      lib->base.workspace_free(&workspace);
    }
  }
}

Test(aot_run, gives_what_the_jit_gives) {
  static const char *const outputs[OUTPUTS] = {"scores", "power", "mixed"};
  data *d = draw();
  for (size_t c = 0; c < sizeof cpus / sizeof *cpus; c++) {
    if (!aot_runs(cpus[c])) continue;
    test_path directory;
    test_make_directory(directory);
    aot_graph m = {0};
    aot_graph_make(&m, build, false, 7);
    aot_graph_library lib = aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = cpus[c]}, directory);
    aot_graph_jit jit = aot_graph_jit_start(&m, outputs, OUTPUTS, false, cpus[c]);
    check_run(&lib, NULL, &jit, d);
    aot_graph_jit_stop(&jit);
    aot_unload(&lib.base);
    aot_graph_free(&m);
    test_remove_directory(directory);
  }
  moire__release(d);
}

Test(aot_run, maps_weights) {
  static const char *const outputs[OUTPUTS] = {"scores", "power", "mixed"};
  data *d = draw();
  test_path directory, path;
  test_make_directory(directory);
  aot_graph m = {0};
  aot_graph_make(&m, build, false, 7);
  aot_graph_library lib =
      aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = "host", .external = true}, directory);
  aot_graph_jit jit = aot_graph_jit_start(&m, outputs, OUTPUTS, false, "host");
  library_model *model = NULL;
  cr_assert_eq(lib.base.open(test_join(directory, "net.weights", path), &model), LIBRARY_OK);
  check_run(&lib, model, &jit, d);
  lib.base.close(model);
  aot_graph_jit_stop(&jit);
  aot_unload(&lib.base);
  aot_graph_free(&m);
  test_remove_directory(directory);
  moire__release(d);
}

/* ---- Training --------------------------------------------------------------------------------------- */

enum { STEPS = 4, BATCH = 37 };

static void step_jit(aot_graph_jit *jit, const aot_graph *m, const data *d, uint64_t seed, int step) {
  const moire_training_options *o = &m->optimizer.training;
  moire_batch_place place = moire_batch_place_at(step, o->accumulate);
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  moire_optimizer_scalars_f32(o, &place, scalars);
  int32_t rng[3] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32), step};
  set_inputs(jit, d, BATCH);
  aot_graph_jit_set(jit, "rng", rng, 3);
  aot_graph_jit_set(jit, "optimizer.scalars", scalars, moire_optimizer_scalar_count(o));
  aot_graph_jit_run(jit, BATCH);
}

static void check_states(const aot_graph_library *lib, const aot_graph *m, library_state *state) {
  int trained = 0;
  for (int i = 0; i < lib->base.state_count(); i++) {
    library_tensor tensor;
    int64_t n = 0;
    cr_assert_eq(lib->base.state_at(state, i, &tensor), LIBRARY_OK);
    const float *want = moire_store_data(m->store, tensor.name, &n);
    cr_assert(want && n == tensor.elements, "%s", tensor.name);
    check_bits(tensor.data, want, (size_t)n * sizeof *want, tensor.name, n);
    trained += tensor.trained;
  }
  cr_assert_eq(trained, 4);
}

static void train(aot_graph *m, const aot_graph_library *lib, const char *cpu, const data *d) {
  static const char *const loss_alone[] = {"loss"}, *const outputs[OUTPUTS] = {"scores", "power", "mixed"};
  const uint64_t seed = 0x123456789abcu;
  const void *fields[INPUTS];
  library_workspace workspace = {.threads = 3, .run = run_work};
  library_state *state = NULL;
  library_model *model = NULL;
  float loss = 0;
  point(d, fields);
  cr_assert_eq(lib->base.state_create(NULL, 0, 7, &state), LIBRARY_OK);
  aot_graph_jit jit = aot_graph_jit_start(m, loss_alone, 1, true, cpu);
  for (int step = 0; step < STEPS; step++) {
    step_jit(&jit, m, d, seed, step);
    cr_assert_eq(lib->step(state, &workspace, BATCH, fields, seed, step, &loss), LIBRARY_OK);
    check_bits(&loss, moire_runner_output(jit.runner, "loss", NULL), sizeof loss, "loss of a step", BATCH);
  }
  check_states(lib, m, state);
  aot_graph_jit_stop(&jit);
  jit = aot_graph_jit_start(m, loss_alone, 1, false, cpu);
  set_inputs(&jit, d, BATCH);
  aot_graph_jit_run(&jit, BATCH);
  cr_assert_eq(lib->loss(state, &workspace, BATCH, fields, &loss), LIBRARY_OK);
  check_bits(&loss, moire_runner_output(jit.runner, "loss", NULL), sizeof loss, "validation loss", BATCH);
  aot_graph_jit_stop(&jit);
  jit = aot_graph_jit_start(m, outputs, OUTPUTS, false, cpu);
  cr_assert_eq(lib->base.freeze(state, &model), LIBRARY_OK);
  check_run(lib, model, &jit, d);
  aot_graph_jit_stop(&jit);
  lib->base.close(model);
  lib->base.state_free(state);
  lib->base.workspace_free(&workspace);
}

static void train_by(const moire_training_options *options) {
  data *d = draw();
  for (size_t c = 0; c < sizeof cpus / sizeof *cpus; c++) {
    if (!aot_runs(cpus[c])) continue;
    test_path directory;
    test_make_directory(directory);
    aot_graph m = {0};
    aot_graph_make(&m, build, true, 7);
    if (options) m.optimizer.training = *options;
    aot_graph_library lib =
        aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = cpus[c], .training = true}, directory);
    train(&m, &lib, cpus[c], d);
    aot_unload(&lib.base);
    aot_graph_free(&m);
    test_remove_directory(directory);
  }
  moire__release(d);
}

Test(aot_run, trains_as_the_jit_does) { train_by(NULL); }

Test(aot_run, trains_by_the_options) {
  static const char *const some[] = {"*a*"};
  moire_training_options o = moire_training_defaults();
  o.optimizer = MOIRE_OPTIMIZER_SGD;
  o.lr = 0.05;
  o.momentum = 0.9;
  o.nesterov = true;
  o.weight_decay = 0.01;
  o.clip_norm = 0.5;
  o.clip_value = 0.1;
  o.accumulate = 2;
  o.ema = 0.9;
  o.schedule = (moire_schedule){
      .kind = MOIRE_SCHEDULE_COSINE, .warmup_steps = 1, .total_steps = 3, .lr_min = 0.001, .step_size = 1};
  moire_parameter_group group = moire_parameter_group_of(&o);
  group.match = some;
  group.n_match = 1;
  group.lr = 0.2;
  group.weight_decay = 0;
  o.groups = &group;
  o.n_groups = 1;
  train_by(&o);
}

/* ---- Samples that meet ------------------------------------------------------------------------------ */

/* Centred over the batch, and its mean: both need all samples at once. */
static void build_meeting(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, WIDTH));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(WIDTH, WIDTH), moire_init_normal(0, 1));
  moire_value y = moire_matmul(x, w), mean = moire_mean(y, 0, true);
  moire_output(g, "centred", moire_sub(y, moire_broadcast(mean, MOIRE_SHAPE(b, WIDTH))));
  moire_output(g, "mean", mean);
}

Test(aot_run, computes_samples_at_once_that_meet) {
  static const char *const outputs[] = {"centred", "mean"};
  static float centred[MOST * WIDTH], mean[WIDTH];
  data *d = draw();
  test_path directory;
  test_make_directory(directory);
  aot_graph m = {0};
  aot_graph_make(&m, build_meeting, false, 7);
  aot_graph_library lib = aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = "host"}, directory);
  aot_graph_jit jit = aot_graph_jit_start(&m, outputs, 2, false, "host");
  const void *fields[] = {d->x};
  void *results[] = {centred, mean};
  for (int s = 0; s < SIZES; s++) {
    int64_t n = sizes[s];
    aot_graph_jit_set(&jit, "x", d->x, n * WIDTH);
    aot_graph_jit_run(&jit, n);
    library_workspace workspace = {.threads = 4, .run = run_work};
    cr_assert_eq(lib.run(NULL, &workspace, n, fields, results), LIBRARY_OK);
    check_bits(centred, moire_runner_output(jit.runner, "centred", NULL), (size_t)n * WIDTH * sizeof *centred,
               "centred", n);
    check_bits(mean, moire_runner_output(jit.runner, "mean", NULL), sizeof mean, "mean", n);
    lib.base.workspace_free(&workspace);
  }
  aot_graph_jit_stop(&jit);
  aot_unload(&lib.base);
  aot_graph_free(&m);
  test_remove_directory(directory);
  moire__release(d);
}

/* ---- Padding that is left out ----------------------------------------------------------------------- */

/* A recommender is a graph like any other: ids in, scores out, computed without their padding. */
Test(aot_run, leaves_out_padding) {
  static const char config[] = "{\"item_size\": 61, \"hidden_size\": 12, \"num_hidden_layers\": 1, "
                               "\"num_attention_heads\": 3, \"inner_size\": 20, \"max_seq_length\": 9, "
                               "\"n_bands\": 1, \"band_kernel_sizes\": [3], \"band_dilations\": [1]}";
  enum { ITEMS = 61, LENGTH = 9, USERS = 150 };
  static float scores[USERS * ITEMS];
  test_path directory;
  test_make_directory(directory);
  aot_model model = {0};
  aot_model_make(&model, "qia", config, 7);
  static const char *const logits[] = {"logits"};
  aot_graph m = {.inference = model.inference,
                 .outputs = logits,
                 .n_outputs = 1,
                 .store = model.store,
                 .optimizer = model.optimizer};
  aot_graph_library lib = aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = "host"}, directory);
  aot_graph_jit jit = aot_graph_jit_start(&m, logits, 1, false, "host");
  cr_assert(moire_program_plan(jit.program)->packing.extent);
  library_lists lists = aot_histories(USERS, LENGTH, ITEMS, 3);
  int32_t *ids = aot_pad(&lists, USERS, LENGTH);
  for (int64_t n = 0; n <= USERS; n += 50) {
    library_workspace workspace = {.threads = 2, .run = run_work};
    const void *fields[] = {ids};
    void *results[] = {scores};
    aot_graph_jit_set(&jit, "input_ids", ids, n * LENGTH);
    aot_graph_jit_run(&jit, n);
    cr_assert_eq(lib.run(NULL, &workspace, n, fields, results), LIBRARY_OK);
    check_bits(scores, moire_runner_output(jit.runner, "logits", NULL), (size_t)n * ITEMS * sizeof *scores,
               "logits", n);
    lib.base.workspace_free(&workspace);
  }
  ids[USERS * LENGTH - 1] = ITEMS;
  library_workspace workspace = {0};
  cr_assert_eq(lib.run(NULL, &workspace, USERS, (const void *[]){ids}, (void *[]){scores}), LIBRARY_ERROR_ROW);
  moire__release(ids);
  aot_histories_free(&lists);
  aot_graph_jit_stop(&jit);
  aot_unload(&lib.base);
  aot_model_free(&model);
  test_remove_directory(directory);
}

enum { HISTORY = 9 };

/* What a history of ids of 64 bits, 0 where it is padding, sees from its end. */
static void build_history(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  moire_init small = moire_init_normal(0, 0.4);
  moire_value ids = moire_input(g, "ids", MOIRE_I64, MOIRE_SHAPE(b, HISTORY));
  moire_value x = moire_embedding(moire_parameter(g, "table", MOIRE_SHAPE(KINDS, WIDTH), small), ids, 0), of[2];
  for (int i = 0; i < 2; i++) {
    moire_value w = moire_parameter(g, i ? "keys" : "queries", MOIRE_SHAPE(WIDTH, WIDTH), small);
    moire_value y = moire_reshape(moire_linear(x, w, (moire_value){0}), MOIRE_SHAPE(b, HISTORY, 1, WIDTH));
    of[i] = moire_swap_axes(y, 1, 2);
  }
  moire_value zero = moire_constant(g, MOIRE_I64, MOIRE_SCALAR, 0);
  moire_attention_options options = {
      .scale = 0.5, .mask_value = -10000, .causal = true, .key_valid = moire_not(moire_equal(ids, zero))};
  moire_value y = moire_reshape(moire_attention(of[0], of[1], of[1], options), MOIRE_SHAPE(b, HISTORY, WIDTH));
  moire_output(g, "y", moire_reshape(moire_slice(y, 1, HISTORY - 1, 1), MOIRE_SHAPE(b, WIDTH)));
}

Test(aot_run, leaves_out_padding_of_wide_ids) {
  enum { ROWS = 100 };
  static const char *const outputs[] = {"y"};
  static int64_t ids[ROWS * HISTORY];
  static float y[ROWS * WIDTH];
  moire__random random = moire__random_start(6, 0);
  for (int i = 0; i < ROWS; i++) {
    int items = (int)moire__random_below(&random, HISTORY + 1);
    for (int t = HISTORY - items; t < HISTORY; t++)
      ids[i * HISTORY + t] = 1 + (int64_t)moire__random_below(&random, KINDS - 1);
  }
  test_path directory;
  test_make_directory(directory);
  aot_graph m = {0};
  aot_graph_make(&m, build_history, false, 7);
  aot_graph_library lib = aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = "host"}, directory);
  aot_graph_jit jit = aot_graph_jit_start(&m, outputs, 1, false, "host");
  cr_assert(moire_program_plan(jit.program)->packing.extent);
  for (int64_t n = 0; n <= ROWS; n += 50) {
    library_workspace workspace = {.threads = 2, .run = run_work};
    aot_graph_jit_set(&jit, "ids", ids, n * HISTORY);
    aot_graph_jit_run(&jit, n);
    cr_assert_eq(lib.run(NULL, &workspace, n, (const void *[]){ids}, (void *[]){y}), LIBRARY_OK);
    check_bits(y, moire_runner_output(jit.runner, "y", NULL), (size_t)n * WIDTH * sizeof *y, "y", n);
    lib.base.workspace_free(&workspace);
  }
  aot_graph_jit_stop(&jit);
  aot_unload(&lib.base);
  aot_graph_free(&m);
  test_remove_directory(directory);
}

/* ---- One sample ------------------------------------------------------------------------------------- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

/* Copies, checks and dispatch are microseconds at most, beside kernels that have next to nothing to do. */
Test(aot_run, answers_one_sample_at_once) {
  const char *sanitize = getenv("MOIRE_SANITIZE");
  if (sanitize && *sanitize) cr_skip_test("a sanitizer takes time of its own");
  data *d = draw();
  test_path directory;
  test_make_directory(directory);
  aot_graph m = {0};
  aot_graph_make(&m, build, false, 7);
  aot_graph_library lib = aot_graph_load(&m, &(aot_wish){.name = "net", .cpu = "host"}, directory);
  float scores[CLASSES], power;
  void *results[OUTPUTS] = {scores, &power, NULL};
  const void *fields[INPUTS];
  library_workspace workspace = {0};
  double least = 1e9;
  point(d, fields);
  for (int i = 0; i < 5000; i++) {
    double begin = now();
    cr_assert_eq(lib.run(NULL, &workspace, 1, fields, results), LIBRARY_OK);
    double took = now() - begin;
    if (took < least) least = took;
  }
  cr_assert_lt(least, 5, "%g microseconds", least);
  lib.base.workspace_free(&workspace);
  aot_unload(&lib.base);
  aot_graph_free(&m);
  test_remove_directory(directory);
  moire__release(d);
}

/* ---- A program of a user's -------------------------------------------------------------------------- */

static void put(FILE *file, const void *from, int64_t n, size_t size) {
  cr_assert_eq(fwrite(from, size, (size_t)n, file), (size_t)n);
}

static void write_case(aot_graph *m, const data *d, const char *cpu, const char *path) {
  static const char *const outputs[OUTPUTS] = {"scores", "power", "mixed"};
  aot_graph_jit jit = aot_graph_jit_start(m, outputs, OUTPUTS, false, cpu);
  FILE *file = fopen(path, "wb");
  cr_assert(file);
  for (int s = 0; s < SIZES; s++) {
    int64_t n = sizes[s];
    set_inputs(&jit, d, n);
    aot_graph_jit_run(&jit, n);
    put(file, &n, 1, sizeof n);
    put(file, d->signal, n * WIDTH * 2, sizeof *d->signal);
    put(file, d->kind, n, sizeof *d->kind);
    put(file, moire_runner_output(jit.runner, "scores", NULL), n * CLASSES, sizeof(float));
    put(file, moire_runner_output(jit.runner, "power", NULL), n, sizeof(float));
  }
  cr_assert_eq(fclose(file), 0);
  aot_graph_jit_stop(&jit);
}

static void shell(const char *format, const char *directory) {
  const char *sanitize = getenv("MOIRE_SANITIZE");
  char command[2000], flags[100] = "";
  if (sanitize && *sanitize) snprintf(flags, sizeof flags, "-fsanitize=%s", sanitize);
  snprintf(command, sizeof command, "cd %s && S=%s F='%s' && %s", directory, getenv("SOURCE_DIR"), flags,
           format);
  cr_assert_eq(system(command), 0, "%s", command);
}

/* The same program with the best version of the code and with the one below. */
Test(aot_run, serves_a_program_in_c99) {
  data *d = draw();
  for (size_t c = 0; c < sizeof cpus / sizeof *cpus; c++) {
    if (!aot_runs(cpus[c])) continue;
    test_path directory, path;
    moire_error error = {0};
    test_make_directory(directory);
    aot_graph m = {0};
    aot_graph_make(&m, build, true, 7);
    aot_need(aot_graph_write(&m, &(aot_wish){.name = "net", .cpu = cpus[c]}, directory, &error), &error);
    write_case(&m, d, cpus[c], test_join(directory, "case", path));
    shell("cc -std=c99 -pedantic -Wall -Werror $F -I. $S/tests/aot/run_check.c net.a -lm -lpthread -o check && "
          "./check case",
          directory);
    aot_graph_free(&m);
    test_remove_directory(directory);
  }
  moire__release(d);
}

/* ---- Names ------------------------------------------------------------------------------------------ */

/* Names that are no fields of C, in two types of numbers that have to be 0 or 1. */
static void build_names(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  static const char *const names[] = {"int", "a.b", "a_b", "1st", "new", "unix", "a b*/"};
  moire_value sum = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    sum = moire_add(sum, moire_input(g, names[i], MOIRE_F32, MOIRE_SHAPE(b)));
  moire_value chosen = moire_input(g, "flag", MOIRE_BOOL, MOIRE_SHAPE(b));
  moire_output(g, "class", moire_where(chosen, sum, moire_neg(sum)));
}

Test(aot_run, names_fields) {
  test_path directory;
  moire_error error = {0};
  test_make_directory(directory);
  aot_graph m = {0};
  aot_graph_make(&m, build_names, false, 7);
  /* It has no weights, so none are missed. */
  const aot_wish wish = {.name = "net", .cpu = "host", .no_weights = true};
  aot_need(aot_graph_write(&m, &wish, directory, &error), &error);
  shell("cat >main.c <<'END'\n"
        "int main(void) {\n"
        "  float x[2] = {1, 2}, y[2] = {0, 0};\n"
        "  unsigned char flag[2] = {7, 0};\n"
        "  net_inputs in;\n"
        "  net_outputs out;\n"
        "  net_workspace w = {0};\n"
        "  in.x = in.int_ = in.a_b = in.a_b_2 = in.x1st = in.new_ = in.unix_ = in.a_b__ = x;\n"
        "  in.flag = flag;\n"
        "  out.class_ = y;\n"
        "  if (net_run(NULL, &w, 2, &in, &out)) return 2;\n"
        "  net_workspace_free(&w);\n"
        "  return y[0] != 8 || y[1] != -16;\n"
        "}\n"
        "END\n"
        "cc -std=gnu11 -Wall -Werror $F -include ./net.h main.c net.a -lm -o main && ./main",
        directory);
  shell("W='-Wall -Wextra -pedantic-errors -Werror -fsyntax-only' && "
        "for s in c89 c99 c11; do echo 'int main(void) { return 0; }' | cc -std=$s $W -include ./net.h -xc - "
        "|| exit 1; "
        "done; ! command -v c++ >/dev/null || for s in c++98 c++11 c++17; do "
        "echo 'int main() { return 0; }' | c++ -std=$s $W -include ./net.h -xc++ - || exit 1; done",
        directory);
  aot_graph_free(&m);
  test_remove_directory(directory);
}
