/* Steps of training of the published QIA on LastFM: of the program that PyTorch exports, beside models/qia.c.
 *
 *   bench/imported [THREADS [FILE.pt2]]       (2)
 *
 * Without a file, the Python of MOIRE_PYTHON exports one (imported_torch.py). Both sides have the file's
 * weights and the same batches; their losses without dropout are compared before steps take turns. Of the
 * least, on the wall and of processor time, summed over the threads, other programs change little. Without the
 * data in ../shared there is nothing to do.
 */
#include "moire/compile.h"
#include "moire/import.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"
#include "tasks/sequences/dataset.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARED "../shared"
static const char data[] = SHARED "/data/LastFM.txt", exported[] = "build/bench/qia.pt2", prefix[] = "model.";
enum { LENGTH = 50, BATCH = 256, STEPS = 60, WARM_UP = 3 };

/* One of the two: its loss without dropout, and its step. */
typedef struct side {
  moire_config *config;
  moire_store *store;
  moire_program *loss, *step;
  moire_runner *loss_runner, *runner;
  double times[STEPS], least, cpu; /* milliseconds */
} side;

typedef struct batch {
  int32_t ids[BATCH * LENGTH], answers[BATCH];
  int64_t wide_ids[BATCH * LENGTH], wide_answers[BATCH];
} batch;

static void make_batch(const moire__dataset *set, int step, batch *b) {
  moire__random random = moire__random_start(1, (uint64_t)step);
  int64_t samples[BATCH];
  for (int i = 0; i < BATCH; i++) samples[i] = (int64_t)moire__random_below(&random, (uint64_t)set->n_samples);
  moire__dataset_train_batch(set, samples, BATCH, b->ids, b->answers);
  for (int i = 0; i < BATCH * LENGTH; i++) b->wide_ids[i] = b->ids[i];
  for (int i = 0; i < BATCH; i++) b->wide_answers[i] = b->answers[i];
}

static moire_program *compile(const moire_model *model, const moire_config *config, moire_mode mode,
                              int threads) {
  moire_error error = {0};
  const char *loss = "loss";
  moire_graph *graph = moire_graph_create(model->name, mode);
  moire_model_build(model, graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &loss;
  options.n_outputs = 1;
  options.threads = threads;
  if (mode == MOIRE_TRAINING) {
    options.loss = loss;
    options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  }
  moire_program *program = moire_compile(graph, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(graph);
  return program;
}

static moire_runner *run_with(side *s, const moire_program *program, moire_threads *pool) {
  static const float scalars[] = {1, 1, 1, 1, 1, 1e-3f, 1, 1};
  moire_error error = {0};
  const moire_plan *plan = moire_program_plan(program);
  bench_require(moire_store_declare(s->store, plan, 1, &error), &error);
  moire_runner *runner = moire_runner_create(plan, s->store, pool, &error);
  bench_require(error.status, &error);
  bench_require(moire_runner_set_extent(runner, "B", BATCH, &error), &error);
  if (moire_runner_has_input(runner, "optimizer.scalars"))
    bench_require(moire_runner_set_input(runner, "optimizer.scalars", scalars, 8, &error), &error);
  return runner;
}

static void start(side *s, const moire_model *model, const char *settings, moire_threads *pool, int threads) {
  s->config = bench_config(model, settings);
  s->store = moire_store_create();
  s->loss = compile(model, s->config, MOIRE_INFERENCE, threads);
  s->step = compile(model, s->config, MOIRE_TRAINING, threads);
  s->loss_runner = run_with(s, s->loss, pool);
  s->runner = run_with(s, s->step, pool);
  s->least = s->cpu = HUGE_VAL;
}

static void end(side *s) {
  moire_runner_destroy(s->runner);
  moire_runner_destroy(s->loss_runner);
  moire_program_destroy(s->step);
  moire_program_destroy(s->loss);
  moire_store_destroy(s->store);
  moire__config_free(s->config);
}

/* Gives every weight of the file to the state of models/qia.c that has its name. */
static void copy_weights(const moire_import *file, moire_store *to) {
  const char *name;
  for (int i = 0; (name = moire_import_weight(file, i, NULL, NULL)); i++) {
    int64_t there = 0, n = moire_import_state(file, name, NULL);
    const char *own = strncmp(name, prefix, sizeof prefix - 1) ? name : name + sizeof prefix - 1;
    float *state = moire_store_data(to, own, &there);
    if (!state || there != n) {
      fprintf(stderr, "bench: %s is no weight of models/qia.c\n", own);
      exit(1);
    }
    double *numbers = malloc((size_t)n * sizeof *numbers);
    if (!numbers) abort();
    moire_import_state(file, name, numbers);
    for (int64_t k = 0; k < n; k++) state[k] = (float)numbers[k];
    free(numbers);
  }
}

static void run(moire_runner *runner, const batch *b, bool wide, int step) {
  moire_error error = {0};
  const int32_t rng[3] = {1, 0, step};
  const void *ids = wide ? (const void *)b->wide_ids : b->ids,
             *answers = wide ? (const void *)b->wide_answers : b->answers;
  bench_require(moire_runner_set_input(runner, "input_ids", ids, BATCH * LENGTH, &error), &error);
  bench_require(moire_runner_set_input(runner, "answers", answers, BATCH, &error), &error);
  if (moire_runner_has_input(runner, "rng"))
    bench_require(moire_runner_set_input(runner, "rng", rng, 3, &error), &error);
  bench_require(moire_runner_run(runner, &error), &error);
}

static double loss_of(moire_runner *runner) {
  int64_t n = 0;
  return (double)*(const float *)moire_runner_output(runner, "loss", &n);
}

static void compare_losses(side sides[2], const batch *b) {
  double losses[2];
  for (int i = 0; i < 2; i++) {
    run(sides[i].loss_runner, b, i == 1, 0);
    losses[i] = loss_of(sides[i].loss_runner);
  }
  printf("loss of the first batch: models/qia.c %.6f, imported %.6f\n", losses[0], losses[1]);
  if (!(fabs(losses[0] - losses[1]) <= 1e-5 * losses[0])) exit(1);
}

static void step(side *s, const batch *b, bool wide, int number) {
  double from = bench_now(), work = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  run(s->runner, b, wide, number < 0 ? 0 : number);
  work = 1e3 * (bench_clock(CLOCK_PROCESS_CPUTIME_ID) - work);
  double time = 1e3 * (bench_now() - from);
  if (number < 0) return;
  s->times[number] = time;
  s->least = fmin(s->least, time);
  s->cpu = fmin(s->cpu, work);
}

/* NULL, with a sentence: there is none. */
static const char *export(void) {
  const char *python = getenv("MOIRE_PYTHON");
  char command[1024];
  if (!python || access(SHARED "/reference/qia.py", R_OK)) {
    printf("imported: there is no file, and no MOIRE_PYTHON and " SHARED "/reference to make one\n");
    return NULL;
  }
  mkdir("build/bench", 0777);
  snprintf(command, sizeof command, "'%s' tools/bench/imported_torch.py %s/reference %s", python, SHARED,
           exported);
  return system(command) ? NULL : exported;
}

int main(int argc, char **argv) {
  int threads = bench_pin(argc > 1 ? atoi(argv[1]) : 2);
  moire_error error = {0};
  moire__dataset *set = NULL;
  if (access(data, R_OK)) return 0;
  const char *path = argc > 2 ? argv[2] : export();
  if (!path) return 0;
  bench_require(moire__dataset_load(data, LENGTH, &set, &error), &error);
  moire_threads *pool = moire_threads_create(threads, &error);
  moire_import *file = moire_import_open(path, &error);
  const moire_model *own = moire_model_find("qia", &error);
  bench_require(error.status, &error);
  static side sides[2];
  static batch b;
  start(&sides[0], own, "{\"item_size\": 3647}", pool, threads);
  start(&sides[1], moire_import_model(file), "{}", pool, threads);
  moire_import_fill(file, sides[1].store);
  copy_weights(file, sides[0].store);
  make_batch(set, 0, &b);
  compare_losses(sides, &b);
  for (int i = -WARM_UP; i < STEPS; i++) {
    make_batch(set, i + WARM_UP, &b);
    for (int k = 0; k < 2; k++) step(&sides[(i + k) & 1], &b, ((i + k) & 1) == 1, i);
  }
  for (int i = 0; i < 2; i++)
    printf("%-14s least %.1f ms, of CPU %.1f ms, %d thread(s)\n", i ? "imported" : "models/qia.c",
           sides[i].least, sides[i].cpu, threads);
  printf("imported / models/qia.c: least %.3f, of CPU %.3f\n", sides[1].least / sides[0].least,
         sides[1].cpu / sides[0].cpu);
  bench_row("imported", "step of QIA from PyTorch", bench_spread_of(sides[1].times, STEPS),
            bench_spread_of(sides[0].times, STEPS), "models/qia.c", "ms");
  for (int i = 0; i < 2; i++) end(&sides[i]);
  moire_import_close(file);
  moire_threads_destroy(pool);
  moire__dataset_free(set);
  return 0;
}
