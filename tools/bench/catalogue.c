/* A step of training with millions of items: qia, 256 users with histories of 1 to 50 items, sampled softmax
 * with 512 negatives.
 *
 *   bench/catalogue [ITEMS [THREADS [SPARSE [WHERE]]]]       (10000000 2 exact memory)
 *
 * SPARSE: exact, lazy or off. WHERE: memory, or a folder in which the table and its moments lie in files. Three
 * kinds of steps: items drawn alike, of which hardly one comes twice; items drawn by rank, as catalogues have
 * them; and, of exact, items drawn alike of which each has moments and has missed 1,000 steps, the most that
 * catching up can cost. Medians, with the quarters below and above; then the memory that was taken.
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"
#include "runtime/run/store.h"
#include "runtime/train/history.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 50, BATCH = 256, STEPS = 15, WARM = 3, MISSED = 1000 };

typedef struct bench {
  int64_t items;
  int threads;
  const char *sparse, *where;
  moire_training_options training;
  moire_threads *pool;
  moire_store *store;
  moire_program *program;
  moire_runner *runner;
  moire__history history;
  int64_t done; /* steps of the optimizer */
  int32_t rng[3], ids[BATCH * LENGTH], answers[BATCH];
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
} bench;

static moire_config *configure(const bench *b, const moire_model *model) {
  char json[140];
  snprintf(json, sizeof json, "{\"item_size\": %" PRId64 ", \"loss\": \"sampled_softmax\", \"negatives\": 512}",
           b->items);
  return bench_config(model, json);
}

static void compile(bench *b) {
  static const char *const outputs[] = {"loss"};
  moire_error error = {0};
  const moire_model *model = moire_model_find("qia", &error);
  bench_require(error.status, &error);
  moire_config *config = configure(b, model);
  moire_graph *graph = moire_graph_create("qia", MOIRE_TRAINING);
  moire_model_build(model, graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = "loss";
  options.threads = b->threads;
  options.training = b->training;
  b->program = moire_compile(graph, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(graph);
  moire__config_free(config);
}

static void start(bench *b) {
  static const char *const tables[] = {"item_embeddings.weight", "adam.m.item_embeddings.weight",
                                       "adam.v.item_embeddings.weight"};
  moire_error error = {0};
  const moire_plan *plan = moire_program_plan(b->program);
  double from = bench_now();
  b->store = moire_store_create();
  if (strcmp(b->where, "memory") != 0) moire__store_put_in_files(b->store, b->where, tables, 3);
  bench_require(moire_store_declare(b->store, plan, 1, &error), &error);
  printf("%" PRId64 " items: first values in %.1f s\n", b->items, bench_now() - from);
  b->runner = moire_runner_create(plan, b->store, b->pool, &error);
  bench_require(error.status, &error);
  moire_runner_set_extent(b->runner, "B", BATCH, &error);
  moire_runner_set_input(b->runner, "rng", b->rng, 3, &error);
  int n = moire_optimizer_scalar_count(&b->training);
  bench_require(moire_runner_set_input(b->runner, "optimizer.scalars", b->scalars, n, &error), &error);
}

static int32_t draw(const bench *b, moire__random *random, bool by_rank) {
  uint64_t items = (uint64_t)b->items - 1;
  if (!by_rank) return (int32_t)(1 + moire__random_below(random, items));
  double u = (double)moire__random_below(random, 1 << 30) / (1 << 30);
  return (int32_t)fmin((double)items, exp(u * log((double)items)));
}

typedef struct seconds {
  double clock, processor;
} seconds;

static seconds step(bench *b, bool by_rank) {
  moire_error error = {0};
  moire__random random = moire__random_start(3, (uint64_t)b->done);
  for (int i = 0; i < BATCH * LENGTH; i++) {
    bool there = i % LENGTH >= i / LENGTH * 7 % LENGTH; /* padding comes first */
    b->ids[i] = there ? draw(b, &random, by_rank) : 0;
  }
  for (int i = 0; i < BATCH; i++) b->answers[i] = draw(b, &random, by_rank);
  moire_batch_place place = moire_batch_place_at(b->done, 1);
  moire_optimizer_scalars_f32(&b->training, &place, b->scalars);
  b->rng[2] = (int32_t)b->done;
  bench_require(moire__history_give(&b->history, &b->training, b->done++, b->runner, &error), &error);
  moire_runner_set_input(b->runner, "input_ids", b->ids, BATCH * LENGTH, &error);
  moire_runner_set_input(b->runner, "answers", b->answers, BATCH, &error);
  double from = bench_now(), processor = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  bench_require(moire_runner_run(b->runner, &error), &error);
  return (seconds){bench_now() - from, bench_clock(CLOCK_PROCESS_CPUTIME_ID) - processor};
}

static void measure(bench *b, const char *what, bool by_rank) {
  double times[2][STEPS];
  for (int i = -WARM; i < STEPS; i++) {
    seconds time = step(b, by_rank);
    if (i < 0) continue;
    times[0][i] = 1e3 * time.clock;
    times[1][i] = 1e3 * time.processor;
  }
  for (int kind = 0; kind < 2; kind++) {
    char text[200];
    snprintf(text, sizeof text, "%s%s, %" PRId64 " items, sparse %s, tables in %s, %d threads",
             kind ? "processor time, " : "", what, b->items, b->sparse,
             strcmp(b->where, "memory") ? "files" : "memory", b->threads);
    bench_row("catalogue", text, bench_spread_of(times[kind], STEPS), (bench_spread){0}, NULL, "ms");
  }
}

/* Every row has moments, and has missed MISSED steps. */
static void leave_behind(bench *b) {
  int64_t n = 0, rows = 0;
  float *m = moire_store_data(b->store, "adam.m.item_embeddings.weight", &n);
  float *v = moire_store_data(b->store, "adam.v.item_embeddings.weight", &n);
  int32_t *since = moire_store_data(b->store, "adam.since.item_embeddings.weight", &rows);
  for (int64_t i = 0; i < n; i++) {
    m[i] = 1e-6f * (float)(i % 7 - 3);
    v[i] = 1e-12f * (float)(i % 5 + 1);
  }
  for (int64_t i = 0; i < rows; i++) since[i] = (int32_t)b->done;
  b->done += MISSED;
}

/* What Linux says of this process, in GB: "VmHWM:" and its like. */
static double memory(const char *name) {
  char line[200];
  double kilo = 0;
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file)) {
    if (!strncmp(line, name, strlen(name))) kilo = atof(line + strlen(name));
  }
  if (file) fclose(file);
  return kilo * 1024e-9;
}

static moire_sparse sparse_named(const char *name) {
  if (!strcmp(name, "exact")) return MOIRE_SPARSE_EXACT;
  return strcmp(name, "lazy") ? MOIRE_SPARSE_OFF : MOIRE_SPARSE_LAZY;
}

int main(int argc, char **argv) {
  static bench b = {.rng = {1, 0, 0}};
  moire_error error = {0};
  b.items = argc > 1 ? atoll(argv[1]) : 10000000;
  b.threads = bench_pin(argc > 2 ? atoi(argv[2]) : 2);
  b.sparse = argc > 3 ? argv[3] : "exact";
  b.where = argc > 4 ? argv[4] : "memory";
  b.training = moire_training_defaults();
  b.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  b.training.sparse = sparse_named(b.sparse);
  b.pool = moire_threads_create(b.threads, &error);
  bench_require(error.status, &error);
  compile(&b);
  start(&b);
  measure(&b, "items drawn alike", false);
  measure(&b, "items drawn by rank", true);
  if (b.training.sparse == MOIRE_SPARSE_EXACT) {
    leave_behind(&b);
    measure(&b, "items that have missed 1,000 steps", false);
  }
  printf("memory: %.2f GB at most, %.2f GB now, of which files %.2f GB; the step's own arrays %.3f GB\n",
         memory("VmHWM:"), memory("VmRSS:"), memory("RssFile:"),
         (double)moire_runner_workspace_bytes(b.runner) * 1e-9);
  moire_runner_destroy(b.runner);
  moire_store_destroy(b.store);
  moire_program_destroy(b.program);
  moire_threads_destroy(b.pool);
  moire__history_free(&b.history);
  return 0;
}
