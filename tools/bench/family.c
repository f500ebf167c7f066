/* Steps of training of the phase-modulated models at the shapes of LastFM: 256 samples of 50 positions, width
 * 64, two layers, 3,647 items, dropout 0.5. Batches are those of the data set where ../shared has it, and
 * random histories of 1 to 50 items elsewhere. The median of many steps counts; beside it stands the least CPU
 * time of a step, summed over the threads, which is what to compare where other programs take part of the
 * machine.
 *
 *   bench/family [THREADS]       (all CPUs)
 *
 * With MOIRE_PYTHON=PYTHON in the environment, the same models are timed in compiled PyTorch by
 * family_torch.py.
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"
#include "tasks/sequences/dataset.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARED "../shared"
static const char data[] = SHARED "/data/LastFM.txt";
enum { ITEMS = 3647, LENGTH = 50, BATCH = 256, STEPS = 21, WARM_UP = 3 };

/* Milliseconds of a step. */
typedef struct duration {
  double median, cpu;
} duration;

/* The samples of step `step`. */
static void make_batch(const moire__dataset *set, int step, int32_t *ids, int32_t *answers) {
  moire__random random = moire__random_start(1, (uint64_t)step);
  if (set) {
    int64_t samples[BATCH];
    for (int i = 0; i < BATCH; i++)
      samples[i] = (int64_t)moire__random_below(&random, (uint64_t)set->n_samples);
    moire__dataset_train_batch(set, samples, BATCH, ids, answers);
    return;
  }
  memset(ids, 0, BATCH * LENGTH * sizeof *ids);
  for (int i = 0; i < BATCH; i++) {
    int length = 1 + (int)moire__random_below(&random, LENGTH);
    for (int t = LENGTH - length; t < LENGTH; t++)
      ids[i * LENGTH + t] = 1 + (int32_t)moire__random_below(&random, ITEMS - 1);
    answers[i] = 1 + (int32_t)moire__random_below(&random, ITEMS - 1);
  }
}

static moire_program *compile(const char *name) {
  moire_error error = {0};
  const moire_model *model = moire_model_find(name, &error);
  if (!model) bench_stop(&error);
  moire_config *config = bench_config(model, "{\"item_size\": 3647}");
  moire_graph *graph = moire_graph_create(name, MOIRE_TRAINING);
  model->build(graph, config);
  const char *loss = "loss";
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &loss;
  options.n_outputs = 1;
  options.loss = loss;
  options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  moire_program *program = moire_compile(graph, &options, &error);
  if (!program) bench_stop(&error);
  moire_graph_destroy(graph);
  moire__config_free(config);
  return program;
}

static duration time_steps(const char *name, const moire__dataset *set, moire_threads *threads) {
  static int32_t ids[BATCH * LENGTH], answers[BATCH], rng[3] = {1, 0, 0};
  static const float scalars[] = {1, 1, 1, 1, 1, 1e-3f, 1, 1};
  moire_error error = {0};
  moire_program *program = compile(name);
  const moire_plan *plan = moire_program_plan(program);
  moire_store *store = moire_store_create();
  if (moire_store_declare(store, plan, 1, &error)) bench_stop(&error);
  moire_runner *runner = moire_runner_create(plan, store, threads, &error);
  if (!runner || moire_runner_set_extent(runner, "B", BATCH, &error)) bench_stop(&error);
  const struct {
    const char *name;
    const void *data;
    int64_t n;
  } inputs[] = {{"input_ids", ids, BATCH * LENGTH},
                {"answers", answers, BATCH},
                {"rng", rng, 3},
                {"optimizer.scalars", scalars, 8}};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
    if (moire_runner_set_input(runner, inputs[i].name, inputs[i].data, inputs[i].n, &error)) bench_stop(&error);
  double times[STEPS], cpu = 1e9;
  for (int step = -WARM_UP; step < STEPS; step++) {
    make_batch(set, step + WARM_UP, ids, answers);
    rng[2] = step + WARM_UP;
    double start = bench_now(), work = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    if (moire_runner_run(runner, &error)) bench_stop(&error);
    work = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - work;
    if (step >= 0) times[step] = bench_now() - start;
    if (work < cpu) cpu = work;
  }
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire_program_destroy(program);
  return (duration){bench_spread_of(times, STEPS).median * 1e3, cpu * 1e3};
}

/* By PyTorch; zeros if it was not asked for or did not answer. */
static duration time_peer(const char *name, int threads) {
  const char *python = getenv("MOIRE_PYTHON");
  char command[1024];
  duration time = {0};
  if (!python) return time;
  snprintf(command, sizeof command, "'%s' tools/bench/family_torch.py %s %s %d", python, name,
           access(data, R_OK) ? "-" : data, threads);
  FILE *answer = popen(command, "r");
  if (!answer || fscanf(answer, "%lf %lf", &time.median, &time.cpu) != 2) time = (duration){0};
  if (answer) pclose(answer);
  return time;
}

int main(int argc, char **argv) {
  cpu_set_t cpus;
  int threads = argc > 1 ? atoi(argv[1]) : sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : CPU_COUNT(&cpus);
  moire_error error = {0};
  moire__dataset *set = NULL;
  if (!access(data, R_OK) && moire__dataset_load(data, LENGTH, &set, &error)) bench_stop(&error);
  moire_threads *pool = moire_threads_create(threads, &error);
  if (!pool) bench_stop(&error);
  static const char *const names[] = {"pswrec_v13", "pm_ssd", "wearec"};
  for (int i = 0; i < 3; i++) {
    duration ours = time_steps(names[i], set, pool), theirs = time_peer(names[i], threads);
    printf("%-12s %7.1f ms a step, %7.1f of CPU, %d thread(s)", names[i], ours.median, ours.cpu, threads);
    if (theirs.median > 0)
      printf("; PyTorch compiled %7.1f, %7.1f of CPU: %.1f, %.1f times as long", theirs.median, theirs.cpu,
             theirs.median / ours.median, theirs.cpu / ours.cpu);
    printf("\n");
    fflush(stdout);
  }
  moire_threads_destroy(pool);
  moire__dataset_free(set);
  return 0;
}
