/* A training step of a language model at the size of its document: Indra, width 128, 4 layers, 32 rows of 128
 * words of 32,000, cross entropy, AdamW with clipping; beside PyTorch, and the peak of memory of both.
 *
 *   bench/language [THREADS] [STEPS]       (2, 7)
 *
 * With MOIRE_PYTHON=PYTHON in the environment, the model of MOIRE_REFERENCE (../shared/reference if not told)
 * trains in that PyTorch on the same ids (language_torch.py), eager and by torch.compile, and by autocast to
 * bf16; steps of all take turns, in processes of their own. Seconds are those of the clock; ours also those of
 * the process. */
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
#include <sys/resource.h>

enum { ROWS = 32, LENGTH = 128, WORDS = 32000, MOST_STEPS = 99 };
enum { F32, BF16, OURS, EAGER = OURS, COMPILED, AUTOCAST, SIDES };
static const char *const words[SIDES] = {[EAGER] = "eager", [COMPILED] = "compiled", [AUTOCAST] = "bf16"};

static bench_program start(moire_precision precision, moire_threads *threads, int n_threads) {
  moire_error error = {0};
  const moire_model *model = moire_model_find("indra", &error);
  moire_config *config = bench_config(model, "{\"sequence_length\": 128, \"max_positions\": 128}");
  moire_graph *graph = moire_graph_create("indra", MOIRE_TRAINING);
  model->build(graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.precision = precision;
  options.threads = n_threads;
  options.training.optimizer = MOIRE_OPTIMIZER_ADAMW;
  options.training.clip_norm = 1;
  moire_program *program = moire_compile(graph, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(graph);
  moire__config_free(config);
  return bench_program_start(program, threads);
}

/* Seconds of the clock, and in `work` of the processor. */
static double step(const bench_program *s, const int32_t *ids, const int32_t *lengths, int at, double *work) {
  moire_error error = {0};
  moire_training_options training = moire_training_defaults();
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  static const int32_t rng[3] = {1, 0, 0};
  const float progress = 0;
  training.optimizer = MOIRE_OPTIMIZER_ADAMW;
  training.clip_norm = 1;
  moire_batch_place place = moire_batch_place_at(at, 1);
  int n = moire_optimizer_scalar_count(&training);
  moire_optimizer_scalars_f32(&training, &place, scalars);
  bench_require(moire_runner_set_extent(s->runner, "B", ROWS, &error), &error);
  bench_program_set(s, "input_ids", ids, ROWS * LENGTH);
  static int32_t targets[ROWS * LENGTH];
  for (int i = 0; i < ROWS * LENGTH; i++) targets[i] = (i + 1) % LENGTH ? ids[i + 1] : -100;
  bench_program_set(s, "lengths", lengths, ROWS);
  bench_program_set(s, "targets", targets, ROWS * LENGTH);
  bench_program_set(s, "optimizer.scalars", scalars, n);
  bench_program_set(s, "rng", rng, 3);
  bench_program_set(s, "progress", &progress, 1);
  double from = bench_now(), worked = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  bench_require(moire_runner_run(s->runner, &error), &error);
  *work = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - worked;
  return bench_now() - from;
}

static bool start_peer(int threads, bench_peer *peer) {
  const char *python = getenv("MOIRE_PYTHON"), *reference = getenv("MOIRE_REFERENCE");
  char number[16];
  snprintf(number, sizeof number, "%d", threads);
  const char *const command[] = {python, "tools/bench/language_torch.py", number,
                                 reference ? reference : "../shared/reference", NULL};
  return python && bench_peer_start(peer, command);
}

static double least(const double *x, int n) {
  double found = INFINITY;
  for (int i = 0; i < n; i++) found = fmin(found, x[i]);
  return found;
}

int main(int argc, char **argv) {
  moire_error error = {0};
  int threads = bench_pin(argc > 1 ? atoi(argv[1]) : 2), steps = argc > 2 ? atoi(argv[2]) : 7,
      asked[SIDES] = {1, 1};
  static int32_t ids[ROWS * LENGTH], lengths[ROWS];
  double times[SIDES][MOST_STEPS] = {{0}};
  moire_threads *pool = moire_threads_create(threads, &error);
  bench_require(error.status, &error);
  if (steps < 1 || steps > MOST_STEPS) steps = 7;
  for (int i = 0; i < ROWS * LENGTH; i++) ids[i] = (int32_t)((int64_t)i * 7919 % WORDS);
  for (int i = 0; i < ROWS; i++) lengths[i] = LENGTH;
  bench_program ours[OURS] = {start(MOIRE_PRECISION_F32, pool, threads)};
  double worked = 0, work[OURS][MOST_STEPS];
  step(&ours[F32], ids, lengths, 0, &worked);
  struct rusage usage; /* of one model alone, as of the peer's */
  getrusage(RUSAGE_SELF, &usage);
  double peak = (double)usage.ru_maxrss / 1024;
  ours[BF16] = start(MOIRE_PRECISION_BF16, pool, threads);
  bench_peer peer;
  bool has_peer = start_peer(threads, &peer);
  for (int i = -1; i < steps; i++) {
    for (int s = 0; s < SIDES; s++) {
      if (s >= OURS && !has_peer) continue;
      double time = s < OURS ? step(&ours[s], ids, lengths, i + 2, &worked) : bench_peer_ask(&peer, words[s]);
      asked[s] = isfinite(time);
      if (i < 0) continue;
      times[s][i] = 1e3 * time;
      if (s < OURS) work[s][i] = 1e3 * worked;
    }
  }
  static const char *const names[SIDES] = {NULL, NULL, "PyTorch eager", "torch.compile",
                                           "torch.compile, autocast"};
  for (int s = OURS; s < SIDES; s++) {
    int mine = s == AUTOCAST ? BF16 : F32;
    if (!has_peer || !asked[s]) continue;
    double a = least(times[mine], steps), b = least(times[s], steps);
    bench_row("language",
              mine == BF16 ? "step of training, bf16, least times" : "step of training, least times",
              (bench_spread){a, a, a}, (bench_spread){b, b, b}, names[s], "ms");
    bench_row("language", mine == BF16 ? "step of training, bf16" : "step of training",
              bench_spread_of(times[mine], steps), bench_spread_of(times[s], steps), names[s], "ms");
  }
  bench_row("language", "step of training, bf16", bench_spread_of(times[BF16], steps),
            bench_spread_of(times[F32], steps), "ours in f32", "ms");
  bench_row("language", "step of training, bf16, processor time", bench_spread_of(work[BF16], steps),
            bench_spread_of(work[F32], steps), "ours in f32", "ms");
  double theirs = has_peer ? bench_peer_ask(&peer, "peak") : 0;
  if (has_peer) bench_peer_stop(&peer);
  bench_row("language", "peak of memory, compiling included", (bench_spread){peak, peak, peak},
            (bench_spread){theirs, theirs, theirs}, "PyTorch eager", "MiB");
  for (int s = 0; s < OURS; s++) bench_program_stop(&ours[s]);
  moire_threads_destroy(pool);
  return 0;
}
