/* What leaving out padding is worth on the rows of a token file: Indra at its document's size by the file's
 * words and positions, batches of 32 of its rows in their order, packed against not packed; a step of training
 * (AdamW with clipping; what it reports is computed, as in `moire train`), what `moire eval` computes, and the
 * logits of `moire teach`.
 *
 *   bench/rows TOKENS [THREADS] [STEPS] [training|measures|logits]       (2, 5, all)
 *
 * Both sides take turns on the same batches. Times are least ones, of the clock and of the process. */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "tasks/tokens/tokens.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 32, MOST_STEPS = 99 };
enum { TRAINING, MEASURES, LOGITS, KINDS };

static const char *const reported[] = {"loss", "ce", "mag_mean", "mag_std", "phase_mean", "phase_std"};
static const char *const measured[] = {"target_nll", "target_rank"};
static const char *const logits[] = {"logits"};
static const struct {
  const char *name, *const *outputs;
  int n_outputs;
} kinds[KINDS] = {{"step of training", reported, 6}, {"measures", measured, 2}, {"logits", logits, 1}};

static moire_config *configure(const moire_model *model, const moire__token_file *file) {
  char settings[128];
  snprintf(settings, sizeof settings, "{\"sequence_length\": %d, \"max_positions\": %d, \"vocab_size\": %d}",
           (int)file->length, (int)file->length, (int)file->words);
  return bench_config(model, settings);
}

static bench_program start(const moire__token_file *file, int kind, bool pack, moire_threads *threads,
                           int n_threads) {
  moire_error error = {0};
  const moire_model *model = moire_model_find("indra", &error);
  moire_config *config = configure(model, file);
  moire_graph *graph = moire_graph_create("indra", kind == TRAINING ? MOIRE_TRAINING : MOIRE_INFERENCE);
  model->build(graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = kinds[kind].outputs;
  options.n_outputs = kinds[kind].n_outputs;
  options.threads = n_threads;
  options.off = pack ? 0 : 1u << MOIRE_OPTIMIZATION_pack;
  if (kind == TRAINING) {
    options.loss = "loss";
    options.training.optimizer = MOIRE_OPTIMIZER_ADAMW;
    options.training.clip_norm = 1;
  }
  moire_program *program = moire_compile(graph, &options, &error);
  bench_require(error.status, &error);
  if (pack != (moire_program_plan(program)->packing.extent != 0)) {
    moire_fail(&error, MOIRE_ERROR_INTERNAL, "%s: padding is %sleft out", kinds[kind].name, pack ? "not " : "");
    bench_stop(&error);
  }
  moire_graph_destroy(graph);
  moire__config_free(config);
  return bench_program_start(program, threads);
}

/* Seconds of the clock, and in `work` of the processor; the batch of that number. */
static double step(const bench_program *s, moire__samples *samples, int at, double *work) {
  moire_error error = {0};
  moire_training_options training = moire_training_defaults();
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  static const int32_t rng[3] = {1, 0, 0};
  int64_t rows[ROWS];
  training.optimizer = MOIRE_OPTIMIZER_ADAMW;
  training.clip_norm = 1;
  moire_batch_place place = moire_batch_place_at(at + 1, 1);
  moire_optimizer_scalars_f32(&training, &place, scalars);
  for (int i = 0; i < ROWS; i++) rows[i] = ((int64_t)at * ROWS + i) % samples->n;
  bench_require(moire_runner_set_extent(s->runner, "B", ROWS, &error), &error);
  bench_require(samples->give(samples->context, s->runner, rows, ROWS, &error), &error);
  bench_program_set(s, "optimizer.scalars", scalars, moire_optimizer_scalar_count(&training));
  bench_program_set(s, "rng", rng, 3);
  double from = bench_now(), worked = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  bench_require(moire_runner_run(s->runner, &error), &error);
  *work = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - worked;
  return bench_now() - from;
}

static double least(const double *x, int n) {
  double found = INFINITY;
  for (int i = 0; i < n; i++) found = fmin(found, x[i]);
  return found;
}

static void compare(const moire__token_file *file, int kind, moire_threads *pool, int threads, int steps) {
  bench_program sides[] = {start(file, kind, true, pool, threads), start(file, kind, false, pool, threads)};
  moire__samples samples = moire__tokens_samples(file, NULL, ROWS);
  double sums[2] = {0}, works[2] = {0};
  for (int i = 0; i < steps;
       i++) { /* batches differ: each has its least times, of which the sums are compared */
    double times[2][3], work[2][3];
    for (int turn = -1; turn < 3; turn++) {
      for (int s = 0; s < 2; s++) {
        double worked = 0, time = step(&sides[s], &samples, i, &worked);
        if (turn < 0) continue;
        times[s][turn] = 1e3 * time;
        work[s][turn] = 1e3 * worked;
      }
    }
    for (int s = 0; s < 2; s++) {
      sums[s] += least(times[s], 3) / steps;
      works[s] += least(work[s], 3) / steps;
    }
  }
  char what[80];
  snprintf(what, sizeof what, "%s, least times", kinds[kind].name);
  bench_row("rows", what, (bench_spread){sums[0], sums[0], sums[0]}, (bench_spread){sums[1], sums[1], sums[1]},
            "not packed", "ms");
  snprintf(what, sizeof what, "%s, processor time", kinds[kind].name);
  bench_row("rows", what, (bench_spread){works[0], works[0], works[0]},
            (bench_spread){works[1], works[1], works[1]}, "not packed", "ms");
  moire__samples_free(&samples);
  for (int s = 0; s < 2; s++) bench_program_stop(&sides[s]);
}

int main(int argc, char **argv) {
  moire_error error = {0};
  if (argc < 2) {
    printf("bench/rows: wants a token file\n");
    return 0;
  }
  int threads = bench_pin(argc > 2 ? atoi(argv[2]) : 2), steps = argc > 3 ? atoi(argv[3]) : 5;
  moire__token_file *file = NULL;
  bench_require(moire__token_file_open(argv[1], &file, &error), &error);
  moire_threads *pool = moire_threads_create(threads, &error);
  bench_require(error.status, &error);
  if (steps < 1 || steps > MOST_STEPS) steps = 5;
  double tokens = 0;
  for (int64_t i = 0; i < (int64_t)steps * ROWS; i++) tokens += file->lengths[i % file->n];
  printf("%.1f %% of the positions are tokens\n", 100 * tokens / (double)(steps * ROWS * file->length));
  for (int kind = 0; kind < KINDS; kind++) {
    if (argc < 5 || strstr(kinds[kind].name, argv[4])) compare(file, kind, pool, threads, steps);
  }
  moire_threads_destroy(pool);
  moire__token_file_close(file);
  return 0;
}
