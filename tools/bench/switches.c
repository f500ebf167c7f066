/* What an optimization is worth in a step of training: with it and without, in turns, least times of the
 * processor, and the workspace of both. Indra at its document's size (32 rows of 128 words of 32,000; AdamW
 * with clipping), and QIA at LastFM's (256 users of 20 items on average; Adam).
 *
 *   bench/switches [SWITCH] [f32|bf16] [indra|qia|all] [THREADS] [STEPS]       (halve, bf16, all, 1, 9)
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 * 128, USERS = 256, LENGTH = 50, HISTORY = 20, ITEMS = 3646, WITH = 0, WITHOUT = 1, SIDES };

typedef struct kind {
  const char *model, *settings;
  int rows;
  moire_optimizer optimizer;
  double clip_norm;
} kind;

static const kind kinds[] = {
    {"indra", "{\"sequence_length\": 128, \"max_positions\": 128}", 32, MOIRE_OPTIMIZER_ADAMW, 1},
    {"qia", "{\"item_size\": 3647}", USERS, MOIRE_OPTIMIZER_ADAM, 0},
};

static moire_training_options training_of(const kind *k) {
  moire_training_options training = moire_training_defaults();
  training.optimizer = k->optimizer;
  training.clip_norm = k->clip_norm;
  return training;
}

static bench_program start(const kind *k, moire_precision precision, unsigned off, moire_threads *threads,
                           int n_threads) {
  moire_error error = {0};
  const moire_model *model = moire_model_find(k->model, &error);
  moire_config *config = bench_config(model, k->settings);
  moire_graph *graph = moire_graph_create(k->model, MOIRE_TRAINING);
  model->build(graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.precision = precision;
  options.threads = n_threads;
  options.training = training_of(k);
  options.off = off;
  moire_program *program = moire_compile(graph, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(graph);
  moire__config_free(config);
  return bench_program_start(program, threads);
}

static void set_words(const bench_program *p, int rows, int length, int words) {
  static int32_t ids[MOST], targets[MOST], lengths[MOST];
  for (int i = 0; i < rows * length; i++) ids[i] = (int32_t)((int64_t)i * 7919 % words);
  for (int i = 0; i < rows * length; i++) targets[i] = (i + 1) % length ? ids[i + 1] : -100;
  for (int i = 0; i < rows; i++) lengths[i] = length;
  bench_program_set(p, "input_ids", ids, (int64_t)rows * length);
  bench_program_set(p, "targets", targets, (int64_t)rows * length);
  bench_program_set(p, "lengths", lengths, rows);
}

/* Histories of 1 to 39 items behind their padding. */
static void set_users(const bench_program *p) {
  static int32_t ids[USERS * LENGTH], answers[USERS];
  for (int u = 0; u < USERS; u++) {
    int length = 1 + u * 7 % (2 * HISTORY - 1);
    for (int i = LENGTH - length; i < LENGTH; i++)
      ids[u * LENGTH + i] = 1 + (int32_t)(((int64_t)u * LENGTH + i) * 7919 % ITEMS);
    answers[u] = 1 + u * 31 % ITEMS;
  }
  bench_program_set(p, "input_ids", ids, USERS * LENGTH);
  bench_program_set(p, "answers", answers, USERS);
}

/* Milliseconds of the processor. */
static double step(const kind *k, const bench_program *p, int at) {
  moire_error error = {0};
  moire_training_options training = training_of(k);
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  static const int32_t rng[3] = {1, 0, 0};
  const float progress = 0;
  moire_batch_place place = moire_batch_place_at(at + 1, 1);
  moire_optimizer_scalars_f32(&training, &place, scalars);
  bench_require(moire_runner_set_extent(p->runner, "B", k->rows, &error), &error);
  if (k->rows == USERS)
    set_users(p);
  else
    set_words(p, k->rows, 128, 32000);
  bench_program_set(p, "optimizer.scalars", scalars, moire_optimizer_scalar_count(&training));
  bench_program_set(p, "rng", rng, 3);
  bench_program_set(p, "progress", &progress, 1);
  double from = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  bench_require(moire_runner_run(p->runner, &error), &error);
  return 1e3 * (bench_clock(CLOCK_PROCESS_CPUTIME_ID) - from);
}

static void say(const char *model, const char *precision, const char *what, const double *sides,
                const char *name, const char *unit) {
  char text[100], without[60];
  snprintf(text, sizeof text, "%s, %s, %s", model, precision, what);
  snprintf(without, sizeof without, "without %s", name);
  const bench_spread ours = {sides[WITH], sides[WITH], sides[WITH]},
                     theirs = {sides[WITHOUT], sides[WITHOUT], sides[WITHOUT]};
  bench_row("switches", text, ours, theirs, without, unit);
}

static void compare(const kind *k, moire_optimization which, const char *precision, moire_threads *pool,
                    int threads, int steps) {
  moire_precision of = strcmp(precision, "f32") ? MOIRE_PRECISION_BF16 : MOIRE_PRECISION_F32;
  bench_program sides[SIDES];
  double least[SIDES] = {INFINITY, INFINITY}, memory[SIDES];
  for (int s = 0; s < SIDES; s++) sides[s] = start(k, of, s == WITHOUT ? 1u << which : 0, pool, threads);
  for (int i = -1; i < steps; i++) {
    for (int s = 0; s < SIDES; s++) {
      double time = step(k, &sides[s], i + 1);
      if (i >= 0) least[s] = fmin(least[s], time);
    }
  }
  for (int s = 0; s < SIDES; s++) memory[s] = (double)moire_runner_workspace_bytes(sides[s].runner) / (1 << 20);
  say(k->model, precision, "processor time of a step", least, moire_optimization_name(which), "ms");
  say(k->model, precision, "workspace", memory, moire_optimization_name(which), "MiB");
  for (int s = 0; s < SIDES; s++) bench_program_stop(&sides[s]);
}

int main(int argc, char **argv) {
  moire_error error = {0};
  const char *name = argc > 1 ? argv[1] : "halve", *precision = argc > 2 ? argv[2] : "bf16",
             *model = argc > 3 ? argv[3] : "all";
  int threads = bench_pin(argc > 4 ? atoi(argv[4]) : 1), steps = argc > 5 ? atoi(argv[5]) : 9;
  int which = 0;
  while (which < MOIRE_OPTIMIZATION_COUNT && strcmp(name, moire_optimization_name((moire_optimization)which)))
    which++;
  if (which == MOIRE_OPTIMIZATION_COUNT) {
    moire_fail(&error, MOIRE_ERROR_ARGUMENT, "%s is no optimization: see `moire models`", name);
    bench_stop(&error);
  }
  moire_threads *pool = moire_threads_create(threads, &error);
  bench_require(error.status, &error);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(model, "all") && strcmp(model, kinds[i].model)) continue;
    compare(&kinds[i], (moire_optimization)which, precision, pool, threads, steps);
  }
  moire_threads_destroy(pool);
  return 0;
}
