/* Steps of training of the hybrid recommender on MovieLens-100K (512 samples, Adam), ranking of all items for
 * the users of the test, and both at another width with random texts; peaks of memory.
 *
 *   bench/hybrid [THREADS [STEPS [WIDTH [eager]]]]       (all CPUs, 12, and both widths, 384 and 1024)
 *
 * It reads configs/hybrid_ml100k.yaml and ../shared/data/movielens, and ends without them. With
 * MOIRE_PYTHON=PYTHON in the environment, in turns with PyTorch (hybrid_torch.py): the reference as it is
 * written, and with what of it can be computed once, eager and, at width 384, compiled. The least times count,
 * wall and processor time, since others use the machine.
 */
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/train/train_step.h"
#include "tasks/ratings/ratings.h"
#include "tools/bench/support/bench.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARED "../shared"
static const char folder[] = SHARED "/data/movielens", reference[] = SHARED "/reference";
enum { WARM_UP = 2, MOST = 1000, WIDE = 1024 };

/* The least of both, in milliseconds. */
typedef struct least {
  double wall, cpu;
} least;

typedef struct model {
  moire__setup setup;
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
  moire__train_step step;
  moire__ratings_scoring scoring;
  int64_t n, batch, *order, number;
} model;

static void open_model(model *m, const char *data, int width, moire_threads *threads) {
  moire_error error = {0};
  char assignment[32];
  const char *const assignments[] = {assignment};
  const moire__data_files files = {.data = data};
  snprintf(assignment, sizeof assignment, "hidden_size=%d", width);
  bench_require(moire__setup_read_yaml(&m->setup, "configs/hybrid_ml100k.yaml", assignments, 1, &error),
                &error);
  bench_require(moire__setup_read(&m->setup, "hybrid", "configs/hybrid_ml100k.yaml", &files, &error), &error);
  m->program = moire__setup_compile_step(&m->setup, 1, &error);
  bench_require(error.status, &error);
  m->store = moire_store_create();
  const moire_plan *plan = moire_program_plan(m->program);
  bench_require(moire_store_declare(m->store, plan, 1, &error), &error);
  m->runner = moire_runner_create(plan, m->store, threads, &error);
  bench_require(error.status, &error);
  m->batch = moire_config_int(m->setup.training, "batch_size");
  moire__samples samples = moire__ratings_samples(&m->setup, m->batch);
  m->n = samples.n;
  m->order = moire__allocate_array((size_t)m->n + 1, sizeof *m->order);
  for (int64_t i = 0; i < m->n; i++) m->order[i] = i;
  moire__permutation(1, 0, m->n, m->order);
  bench_require(moire__train_step_open(&m->step, m->runner, samples, m->setup.training, &error), &error);
  bench_require(moire__ratings_scoring_compile(&m->scoring, &m->setup, 16, 1, &error), &error);
  bench_require(moire__ratings_scoring_open(&m->scoring, m->setup.data, m->store, 1, threads, &error), &error);
}

static void close_model(model *m) {
  moire__ratings_scoring_free(&m->scoring);
  moire__train_step_free(&m->step);
  moire_runner_destroy(m->runner);
  moire_store_destroy(m->store);
  moire_program_destroy(m->program);
  moire__release(m->order);
  moire__setup_free(&m->setup);
  *m = (model){0};
}

static void take_less(least *to, double wall, double cpu) {
  to->wall = fmin(to->wall, 1e3 * wall);
  to->cpu = fmin(to->cpu, 1e3 * cpu);
}

static void step(model *m, least *to) {
  moire_error error = {0};
  double loss = 0, wall = bench_now(), cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  int64_t first = m->number % (m->n / m->batch) * m->batch;
  bench_require(moire__train_step_prepare(&m->step, m->order + first, m->batch, m->number++, &error), &error);
  bench_require(moire__train_step_run(&m->step, &loss, &error), &error);
  take_less(to, bench_now() - wall, bench_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

static void rank(model *m, least *to) {
  moire_error error = {0};
  const moire__ratings *data = m->setup.data;
  moire__measures measures = {0};
  double wall = bench_now(), cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  bench_require(moire__ratings_measure(&m->scoring, &data->test, NULL, &measures, &error), &error);
  take_less(to, bench_now() - wall, bench_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

/* Asks the peer for one thing: its answer is wall time, and then its processor time. */
static void ask(bench_peer *peer, const char *what, least *to) {
  double wall = bench_peer_ask(peer, what), cpu = bench_peer_ask(peer, "cpu");
  if (isfinite(wall)) take_less(to, wall, cpu);
}

static void print_ours(const char *what, least ours) {
  printf("%-42s %9.1f ms, %9.1f of CPU\n", what, ours.wall, ours.cpu);
}

static void print_peer(const char *what, least ours, least theirs) {
  if (!isfinite(theirs.wall)) return;
  printf("  PyTorch, %-32s %9.1f ms, %9.1f of CPU: %.1f, %.1f times as long\n", what, theirs.wall, theirs.cpu,
         theirs.wall / ours.wall, theirs.cpu / ours.cpu);
  fflush(stdout);
}

static const least never = {INFINITY, INFINITY};

/* ---- Another width ------------------------------------------------------------------------------------------
 */

/* The folder's files by links, with random embeddings of another width: `path`. */
static void make_folder(const char *path, const moire__ratings_items *items, int width) {
  char command[1024], name[512], head[1024];
  snprintf(command, sizeof command,
           "mkdir -p '%s' && ln -sfn \"$(realpath '%s')\"/* '%s'/ && rm -f '%s/text_embeddings.safetensors'",
           path, folder, path, path);
  if (system(command)) exit(1);
  snprintf(name, sizeof name, "%s/text_embeddings.safetensors", path);
  FILE *out = fopen(name, "wb");
  if (!out) exit(1);
  int64_t n = items->ids.n, ids = 8 * n, overview = 4 * n * width, reviews = overview;
  int length = snprintf(
      head, sizeof head,
      "{\"movie_ids\":{\"dtype\":\"I64\",\"shape\":[%" PRId64 "],\"data_offsets\":[0,%" PRId64 "]},"
      "\"overview\":{\"dtype\":\"F32\",\"shape\":[%" PRId64 ",%d],\"data_offsets\":[%" PRId64 ",%" PRId64 "]},"
      "\"reviews\":{\"dtype\":\"F32\",\"shape\":[%" PRId64 ",1,%d],\"data_offsets\":[%" PRId64 ",%" PRId64 "]},"
      "\"review_mask\":{\"dtype\":\"U8\",\"shape\":[%" PRId64 ",1],\"data_offsets\":[%" PRId64 ",%" PRId64
      "]}}",
      n, ids, n, width, ids, ids + overview, n, width, ids + overview, ids + overview + reviews, n,
      ids + overview + reviews, ids + overview + reviews + n);
  uint64_t bytes = (uint64_t)length;
  fwrite(&bytes, 8, 1, out);
  fwrite(head, 1, (size_t)length, out);
  moire__random random = moire__random_start(1, 1);
  for (int64_t i = 1; i <= n; i++) fwrite(&i, 8, 1, out);
  for (int64_t i = 0; i < 2 * n * width; i++) {
    float x = (float)((double)moire__random_below(&random, 2001) / 1000 - 1) / sqrtf((float)width);
    fwrite(&x, 4, 1, out);
  }
  for (int64_t i = 0; i < n; i++) fputc(i % 7 == 0, out);
  fclose(out);
}

/* ---- All ----------------------------------------------------------------------------------------------------
 */

static void measure(const char *data, int width, int steps, int threads, bool compiled, moire_threads *pool) {
  static const char *const asks[] = {"step cuts eager", "step cuts compiled", "step written eager",
                                     "step written compiled", "rank"};
  static const char *const names[] = {"short cuts, eager", "short cuts, compiled", "as written, eager",
                                      "as written, compiled", "ranking"};
  enum { ASKS = 5 };
  char text[2][16], what[64];
  snprintf(text[0], sizeof text[0], "%d", width);
  snprintf(text[1], sizeof text[1], "%d", threads);
  const char *python = getenv("MOIRE_PYTHON");
  const char *const command[] = {python, "tools/bench/hybrid_torch.py", reference, data, text[0], text[1],
                                 NULL};
  bench_peer peer = {0};
  bool compared = python && !access(SHARED "/reference/hybrid.py", R_OK) && bench_peer_start(&peer, command);
  least ours = never, ranking = never, theirs[ASKS] = {never, never, never, never, never};
  model m = {0};
  open_model(&m, data, width, pool);
  for (int i = -WARM_UP; i < steps; i++) {
    if (i == 0) ours = never;
    step(&m, &ours);
    bool slow = i < 0 || i >= 3; /* what takes seconds is asked for three times */
    for (int a = 0; a < ASKS && compared; a++)
      if ((a < 2 || !slow) && (compiled || a % 2 == 0)) ask(&peer, asks[a], &theirs[a]);
    if (i >= 0 && i < 3) rank(&m, &ranking);
  }
  snprintf(what, sizeof what, "a step at width %d, %d thread(s)", width, threads);
  print_ours(what, ours);
  for (int a = 0; a < ASKS - 1; a++) print_peer(names[a], ours, theirs[a]);
  print_ours("ranking all items for the test's users", ranking);
  print_peer(names[ASKS - 1], ranking, theirs[ASKS - 1]);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("peak of memory so far, compiler included: %.0f MiB", (double)used.ru_maxrss / 1024);
  if (compared) printf("; PyTorch %.0f MiB", bench_peer_stop(&peer));
  printf("\n");
  close_model(&m);
}

int main(int argc, char **argv) {
  cpu_set_t cpus;
  int threads = argc > 1 ? atoi(argv[1]) : sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : CPU_COUNT(&cpus);
  int steps = argc > 2 ? atoi(argv[2]) : 12, width = argc > 3 ? atoi(argv[3]) : 0;
  moire_error error = {0};
  if (access(folder, R_OK)) {
    printf("skipped: there is no %s\n", folder);
    return 0;
  }
  moire_threads *pool = moire_threads_create(threads, &error);
  bench_require(error.status, &error);
  if (width < WIDE) measure(folder, 384, steps, threads, argc < 5, pool);
  if (width && width < WIDE) {
    moire_threads_destroy(pool);
    return 0;
  }
  char path[] = "build/bench/hybrid_wide";
  model m = {0};
  const moire__data_files files = {.data = folder};
  bench_require(moire__setup_read_yaml(&m.setup, "configs/hybrid_ml100k.yaml", NULL, 0, &error), &error);
  bench_require(moire__setup_read(&m.setup, "hybrid", "configs/hybrid_ml100k.yaml", &files, &error), &error);
  make_folder(path, &((const moire__ratings *)m.setup.data)->items, WIDE);
  moire__setup_free(&m.setup);
  measure(path, WIDE, steps / 3 + 1, threads, false, pool);
  moire_threads_destroy(pool);
  return 0;
}
