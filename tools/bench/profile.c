/* What profiling costs, and what it accounts for: steps of a configuration with and without a recording, in
 * turns.
 *
 *   build/release/bench/profile configs/qia_lastfm.yaml LastFM.txt [ROUNDS [THREADS]]
 *
 * For training and inference: the median and the least time of steps that are recorded and of those that are
 * not, in rounds of 4 steps each that alternate, on the wall and by the processor's time that the process used,
 * which other programs hardly change; and the part of the recorded steps' wall time, batches included, that is
 * in kernels. Exit status 1 if less than 97 % is in kernels, or recorded steps use more than 2 % more of the
 * processor's time in the median over rounds. */
#include "runtime/base/memory.h"
#include "tools/profile/profile_run.h"
#include "tools/bench/support/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 4, WARMUP = 3, USUAL_ROUNDS = 12 };

/* Times of steps of one kind. */
typedef struct times {
  double *wall, *cpu; /* [n] */
} times;

static times make_times(int n) {
  return (times){moire__allocate_array((size_t)n, sizeof(double)),
                 moire__allocate_array((size_t)n, sizeof(double))};
}

static void free_times(times *t) {
  moire__release(t->wall);
  moire__release(t->cpu);
}

/* Share of the recorded runs, with their batches, that steps of the plan took. */
static double in_kernels(const tool_profile_run *run, const times *recorded, int n) {
  double kernels = 0, wall = 0;
  int last = moire_program_plan(run->program)->n_steps - 1;
  for (int i = 0; i < moire__recording_count(run->recording); i++) {
    const moire__recorded_run *r = moire__recording_at(run->recording, i);
    kernels += 1e-9 * (double)(r->steps[last] - r->prepared);
  }
  for (int i = 0; i < n; i++) wall += recorded->wall[i];
  return kernels / wall;
}

static moire_status measure(tool_profile_run *run, int rounds, times *plain, times *recorded,
                            moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < WARMUP && !status; i++) status = tool_profile_step(run, i, NULL, error);
  for (int turn = 0; turn < 2 * rounds && !status; turn++) {
    bool record = turn % 2;
    const times *to = record ? recorded : plain;
    moire__runner_record(run->runner, record ? run->recording : NULL);
    for (int i = 0; i < STEPS && !status; i++) { /* both kinds run the same batches */
      double wall = bench_now(), cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
      status = tool_profile_step(run, WARMUP + i, NULL, error);
      to->cpu[turn / 2 * STEPS + i] = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
      to->wall[turn / 2 * STEPS + i] = bench_now() - wall;
    }
  }
  return status;
}

/* The median over steps of what the recorded one took more than its plain neighbour, as a part of it. */
static double median_cost(const times *plain, const times *recorded, int n) {
  double *costs = moire__allocate_array((size_t)n, sizeof *costs);
  for (int i = 0; i < n; i++) costs[i] = recorded->cpu[i] / plain->cpu[i] - 1;
  double median = bench_spread_of(costs, n).median;
  moire__release(costs);
  return median;
}

static void print_times(const char *name, double *plain, double *recorded, int n) {
  bench_spread a = bench_spread_of(plain, n), b = bench_spread_of(recorded, n);
  printf("  %-4s  median ms: %9.3f plain, %9.3f recorded; least ms: %9.3f, %9.3f\n", name, 1e3 * a.median,
         1e3 * b.median, 1e3 * plain[0], 1e3 * recorded[0]);
}

static int report(const char *mode, const tool_profile_run *run, times *plain, times *recorded, int n) {
  double share = in_kernels(run, recorded, n), cost = median_cost(plain, recorded, n);
  printf("%s: %.2f %% in kernels, recording takes %+.2f %% of the processor's time\n", mode, 100 * share,
         100 * cost);
  print_times("wall", plain->wall, recorded->wall, n);
  print_times("cpu", plain->cpu, recorded->cpu, n);
  return share < 0.97 || cost > 0.02;
}

static int bench(const char *config, const char *data, bool infer, int rounds, int threads) {
  const char *none[1];
  int n = rounds * STEPS;
  tool_profile_job job = {.sources = {.config = config, .assignments = none, .threads = threads},
                          .files = {.data = data},
                          .infer = infer,
                          .steps = n};
  times plain = make_times(n), recorded = make_times(n);
  tool_profile_run run = {0};
  moire_error error = {0};
  moire_status status = tool_profile_open(&run, &job, &error);
  if (!status) status = measure(&run, rounds, &plain, &recorded, &error);
  int failed = status ? 1 : report(infer ? "inference" : "training", &run, &plain, &recorded, n);
  if (status) fprintf(stderr, "%s\n", error.message);
  tool_profile_run_free(&run);
  free_times(&plain);
  free_times(&recorded);
  return failed;
}

int main(int argc, char **argv) {
  int rounds = argc > 3 ? atoi(argv[3]) : USUAL_ROUNDS,
      threads = argc > 4 ? atoi(argv[4]) : tool_default_threads();
  if (argc < 3 || rounds < 1 || threads < 1) {
    fprintf(stderr, "usage: profile CONFIG.yaml DATA [ROUNDS [THREADS]]\n");
    return 2;
  }
  int failed = bench(argv[1], argv[2], false, rounds, threads);
  return bench(argv[1], argv[2], true, rounds, threads) || failed;
}
