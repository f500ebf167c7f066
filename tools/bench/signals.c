/* Steps of training of docs/examples/signals.c, the complex network with the keys of its defaults: batches of
 * 64 synthetic signals.
 *
 *   bench/signals [THREADS]       (2)
 *
 * With MOIRE_PYTHON=PYTHON in the environment, the same network trains in that PyTorch on the same batches from
 * the same weights (signals_torch.py), step by step in turns with ours: in complex numbers, in planes, and
 * these by torch.compile. Losses are compared before times are. Threads of both are held to the same CPUs.
 * Beside medians with the quarters below and above stand the least times, and the least CPU times, summed over
 * the threads, which are what to compare on a machine that others use.
 */
#include "moire/compile.h"
#include "moire/files.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/config/config.h"
#include "tasks/tensors/signals.h"
#include "tools/bench/support/bench.h"

#include <math.h>
#include <stdlib.h>

#define FOLDER "build/bench"
#define MODEL "build/release/examples/signals.so"
enum { LENGTH = 128, BATCH = 64, BATCHES = 8, STEPS = 41, SIDES = 4 };

static float complex iq[BATCHES][BATCH * LENGTH];
static int32_t labels[BATCHES][BATCH];

static moire_program *compile(int threads) {
  moire_error error = {0};
  const moire_model *model = moire_model_find(MODEL, &error);
  if (!model) bench_stop(&error);
  moire_config *config = NULL;
  moire__config_table table = {0};
  moire__config_fields fields = {model->fields, model->n_fields};
  bench_require(moire__config_build(&table, "bench", &fields, 1, &config, &error), &error);
  moire_graph *graph = moire_graph_create("signals", MOIRE_TRAINING);
  model->build(graph, config);
  const char *loss = "loss";
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &loss;
  options.n_outputs = 1;
  options.loss = loss;
  options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  options.threads = threads;
  moire_program *program = moire_compile(graph, &options, &error);
  if (!program) bench_stop(&error);
  moire_graph_destroy(graph);
  moire__config_free(config);
  moire__config_table_free(&table);
  return program;
}

/* Seconds of a step. */
typedef struct duration {
  double time, cpu;
} duration;

static duration step(moire_runner *runner, int at) {
  moire_error error = {0};
  double from = bench_now(), work = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  bench_require(moire_runner_set_complex_input(runner, "iq", (const float *)iq[at], BATCH * LENGTH, &error),
                &error);
  bench_require(moire_runner_set_input(runner, "label", labels[at], BATCH, &error), &error);
  bench_require(moire_runner_run(runner, &error), &error);
  return (duration){bench_now() - from, bench_clock(CLOCK_PROCESS_CPUTIME_ID) - work};
}

static duration ask(bench_peer *peer, const char *way) {
  double time = bench_peer_ask(peer, way);
  return (duration){time, bench_peer_ask(peer, "cpu")};
}

static void write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
    fprintf(stderr, "bench: %s: could not be written\n", path);
    exit(1);
  }
}

static void make_batches(void) {
  moire__signals_options options = moire__signals_defaults();
  for (int64_t i = 0; i < BATCHES * BATCH; i++)
    labels[i / BATCH][i % BATCH] =
        (int32_t)moire__signals_record(&options, i, &iq[i / BATCH][i % BATCH * LENGTH]).label;
  write_file(FOLDER "/iq.bin", iq, sizeof iq);
  write_file(FOLDER "/labels.bin", labels, sizeof labels);
}

static void time_steps(moire_runner *runner, bench_peer *peer) {
  static const char *const words[SIDES] = {NULL, "eager", "planes", "compiled"};
  static const char *const names[SIDES] = {"ours", "PyTorch, complex", "PyTorch, planes",
                                           "torch.compile, planes"};
  static double times[SIDES][STEPS];
  double least[SIDES], cpu[SIDES];
  int sides = peer ? SIDES : 1;
  for (int side = 0; side < sides; side++) least[side] = cpu[side] = INFINITY;
  for (int i = -3; i < STEPS; i++) {
    for (int side = 0; side < sides; side++) {
      duration d = side ? ask(peer, words[side]) : step(runner, (i + 3) % BATCHES);
      if (i < 0) continue;
      times[side][i] = 1e3 * d.time;
      least[side] = fmin(least[side], times[side][i]);
      cpu[side] = fmin(cpu[side], 1e3 * d.cpu);
    }
  }
  bench_spread ours = bench_spread_of(times[0], STEPS), none = {0};
  if (!peer) bench_row("signals", "step of training", ours, none, "", "ms");
  for (int side = 1; side < sides; side++)
    bench_row("signals", "step of training", ours, bench_spread_of(times[side], STEPS), names[side], "ms");
  for (int side = 0; side < sides; side++)
    printf("%-24s least step %8.2f ms, %5.2f times as long; CPU %8.2f ms, %5.2f times\n", names[side],
           least[side], least[side] / least[0], cpu[side], cpu[side] / cpu[0]);
}

int main(int argc, char **argv) {
  static const float scalars[] = {1, 1, 1, 1, 1, 1e-3f, 1, 1};
  moire_error error = {0};
  int threads = bench_pin(argc > 1 ? atoi(argv[1]) : 2);
  char count[16], size[16];
  snprintf(count, sizeof count, "%d", threads);
  snprintf(size, sizeof size, "%d", BATCH);
  if (system("mkdir -p " FOLDER)) return 1;
  make_batches();
  moire_threads *pool = moire_threads_create(threads, &error);
  bench_require(error.status, &error);
  moire_program *program = compile(threads);
  moire_store *store = moire_store_create();
  bench_require(moire_store_declare(store, moire_program_plan(program), 1, &error), &error);
  bench_require(
      moire_checkpoint_save(FOLDER "/weights.safetensors", store, MOIRE_CHECKPOINT_MODEL, NULL, 0, &error),
      &error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, pool, &error);
  bench_require(error.status, &error);
  bench_require(moire_runner_set_extent(runner, "B", BATCH, &error), &error);
  bench_require(moire_runner_set_input(runner, "optimizer.scalars", scalars, 8, &error), &error);
  bench_peer peer;
  const char *python = getenv("MOIRE_PYTHON");
  if (!python) printf("MOIRE_PYTHON names no Python with PyTorch, so it is left out\n");
  bool other = python && bench_peer_start(&peer, (const char *const[]){python, "tools/bench/signals_torch.py",
                                                                       FOLDER, count, size, NULL});
  step(runner, 0);
  double mine = (double)*(const float *)moire_runner_output(runner, "loss", NULL);
  if (other) {
    double theirs = bench_peer_ask(&peer, "loss");
    printf("loss of the first batch: %.6f, PyTorch %.6f\n", mine, theirs);
    if (!(fabs(mine - theirs) < 1e-4)) return 1;
  }
  time_steps(runner, other ? &peer : NULL);
  if (other) bench_peer_stop(&peer);
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire_program_destroy(program);
  moire_threads_destroy(pool);
  return 0;
}
