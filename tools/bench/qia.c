/* QIA as it was published, on LastFM and Beauty: compiling, steps of training, a whole epoch, ranking all
 * users, and the peak of memory, beside PyTorch.
 *
 *   bench/qia [THREADS]       (2)
 *
 * With MOIRE_PYTHON=PYTHON in the environment, the model of ../shared/reference trains in that PyTorch on the
 * same batches from the same weights (qia_torch.py), step by step in turns with ours, eager and by
 * torch.compile, which also trains by autocast to bf16, beside ours with operands in bf16. Before that, losses
 * are compared, and after ranking the hits. Threads of both are held to the same CPUs. Medians, with the
 * quarters below and above. Without the data in ../shared there is nothing to do.
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/checkpoint.h"
#include "runtime/config/config.h"
#include "tasks/sequences/scoring.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARED "../shared"
#define FOLDER "build/bench"
enum { LENGTH = 50, BATCH = 256, BATCHES = 9, STEPS = 15, TIMES = 5, HITS = 20 };

typedef struct bench {
  int threads;
  moire_threads *pool;
  const char *name; /* of the data */
  moire__dataset *data;
  moire_config *config;
  moire_store *store;
  int32_t ids[BATCHES][BATCH * LENGTH], answers[BATCHES][BATCH];
} bench;

/* ---- ours
 * ---------------------------------------------------------------------------------------------------- */

static moire_config *configure(int64_t items) {
  moire_error error = {0};
  char json[40];
  snprintf(json, sizeof json, "{\"item_size\": %" PRId64 "}", items);
  return bench_config(moire_model_find("qia", &error), json);
}

static moire_program *compile_as(const bench *b, moire_mode mode, const char *output, moire_precision precision,
                                 const char *cache) {
  moire_error error = {0};
  const moire_model *model = moire_model_find("qia", &error);
  moire_graph *graph = moire_graph_create("qia", mode);
  model->build(graph, b->config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &output;
  options.n_outputs = 1;
  options.threads = b->threads;
  options.cache = cache;
  options.precision = precision;
  if (mode == MOIRE_TRAINING) {
    options.loss = output;
    options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  }
  moire_program *program = moire_compile(graph, &options, &error);
  bench_require(error.status, &error);
  moire_graph_destroy(graph);
  return program;
}

static moire_program *compile(const bench *b, moire_mode mode, const char *output, const char *cache) {
  return compile_as(b, mode, output, MOIRE_PRECISION_F32, cache);
}

static moire_runner *start(bench *b, const moire_program *program, int64_t rows) {
  static const int32_t rng[3] = {1, 0, 0};
  static const float scalars[] = {1, 1, 1, 1, 1, 1e-3f, 1, 1};
  moire_error error = {0};
  const moire_plan *plan = moire_program_plan(program);
  bench_require(moire_store_declare(b->store, plan, 1, &error), &error);
  moire_runner *runner = moire_runner_create(plan, b->store, b->pool, &error);
  bench_require(error.status, &error);
  bench_require(moire_runner_set_extent(runner, "B", rows, &error), &error);
  if (moire_runner_has_input(runner, "rng")) moire_runner_set_input(runner, "rng", rng, 3, &error);
  if (moire_runner_has_input(runner, "optimizer.scalars"))
    moire_runner_set_input(runner, "optimizer.scalars", scalars, 8, &error);
  bench_require(error.status, &error);
  return runner;
}

/* Seconds of one run on a batch. */
static double run(moire_runner *runner, const int32_t *ids, const int32_t *answers) {
  moire_error error = {0};
  double from = bench_now();
  moire_runner_set_input(runner, "input_ids", ids, BATCH * LENGTH, &error);
  moire_runner_set_input(runner, "answers", answers, BATCH, &error);
  bench_require(moire_runner_run(runner, &error), &error);
  return bench_now() - from;
}

/* ---- what both read
 * ------------------------------------------------------------------------------------------ */

static void write_file(const char *name, const int32_t *numbers, size_t n, const char *mode) {
  char path[200];
  snprintf(path, sizeof path, FOLDER "/%s", name);
  FILE *file = fopen(path, mode);
  if (!file || fwrite(numbers, sizeof *numbers, n, file) != n) {
    fprintf(stderr, "bench: %s: could not be written\n", path);
    exit(1);
  }
  fclose(file);
}

static void write_users(const bench *b) {
  const moire__dataset *d = b->data;
  int32_t n = (int32_t)d->n_users, *ids = moire__allocate_array((size_t)n * (LENGTH + 1), sizeof *ids);
  int32_t *lengths = moire__allocate_array((size_t)n, sizeof *lengths);
  moire__dataset_eval_batch(d, MOIRE__SPLIT_TEST, 0, n, ids, NULL);
  write_file("users.bin", &n, 1, "wb");
  write_file("users.bin", ids, (size_t)n * LENGTH, "ab");
  for (int32_t u = 0; u < n; u++) {
    int64_t length = 0;
    moire__dataset_history(d, MOIRE__SPLIT_TEST, u, &length);
    lengths[u] = (int32_t)length;
    ids[u] = moire__dataset_target(d, MOIRE__SPLIT_TEST, u);
  }
  write_file("users.bin", lengths, (size_t)n, "ab");
  write_file("users.bin", ids, (size_t)n, "ab");
  for (int32_t u = 0; u < n; u++) {
    int64_t length = 0;
    const int32_t *history = moire__dataset_history(d, MOIRE__SPLIT_TEST, u, &length);
    write_file("users.bin", history, (size_t)length, "ab");
  }
  moire__release(ids);
  moire__release(lengths);
}

/* Random samples, as an epoch has them. */
static void make_batches(bench *b) {
  moire__random random = moire__random_start(1, 0);
  for (int i = 0; i < BATCHES; i++) {
    int64_t samples[BATCH];
    for (int s = 0; s < BATCH; s++)
      samples[s] = (int64_t)moire__random_below(&random, (uint64_t)b->data->n_samples);
    moire__dataset_train_batch(b->data, samples, BATCH, b->ids[i], b->answers[i]);
    write_file("batches.bin", b->ids[i], BATCH * LENGTH, i ? "ab" : "wb");
    write_file("batches.bin", b->answers[i], BATCH, "ab");
  }
}

static bool start_peer(const bench *b, bench_peer *peer) {
  const char *python = getenv("MOIRE_PYTHON");
  char threads[16];
  snprintf(threads, sizeof threads, "%d", b->threads);
  const char *const command[] = {python,  "tools/bench/qia_torch.py", FOLDER,
                                 threads, SHARED "/reference",        NULL};
  return python && access(SHARED "/reference/qia.py", R_OK) == 0 && bench_peer_start(peer, command);
}

static bool begin(bench *b, const char *name) {
  char path[200];
  moire_error error = {0};
  b->name = name;
  snprintf(path, sizeof path, SHARED "/data/%s.txt", name);
  if (access(path, R_OK)) return false;
  bench_require(moire__dataset_load(path, LENGTH, &b->data, &error), &error);
  b->config = configure(b->data->item_size);
  b->store = moire_store_create();
  make_batches(b);
  write_users(b);
  return true;
}

static void end(bench *b) {
  moire_store_destroy(b->store);
  moire__config_free(b->config);
  moire__dataset_free(b->data);
}

/* ---- rows
 * ---------------------------------------------------------------------------------------------------- */

static const bench_spread none = {0};

static void row(const bench *b, const char *what, bench_spread ours, bench_spread peer, const char *name,
                const char *unit) {
  char text[100];
  snprintf(text, sizeof text, "%s, %s, %d threads", what, b->name, b->threads);
  bench_row("qia", text, ours, peer, name, unit);
}

static void bench_compile(bench *b) {
  double cold[TIMES], warm[TIMES];
  for (int i = 0; i < TIMES; i++) {
    char folder[] = FOLDER "/cacheXXXXXX", command[60];
    if (!mkdtemp(folder)) exit(1);
    double from = bench_now();
    moire_program_destroy(compile(b, MOIRE_TRAINING, "loss", folder));
    cold[i] = 1e3 * (bench_now() - from);
    from = bench_now();
    moire_program_destroy(compile(b, MOIRE_TRAINING, "loss", folder));
    warm[i] = 1e3 * (bench_now() - from);
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command)) exit(1);
  }
  row(b, "compiling the step, cold", bench_spread_of(cold, TIMES), none, NULL, "ms");
  row(b, "compiling the step, from the cache", bench_spread_of(warm, TIMES), none, NULL, "ms");
}

/* Both begin at the weights of the file; the loss without dropout says whether they compute the same. */
static void compare_losses(bench *b, bench_peer *peer) {
  moire_program *program = compile(b, MOIRE_INFERENCE, "loss", NULL);
  moire_runner *runner = start(b, program, BATCH);
  int64_t n = 0;
  run(runner, b->ids[0], b->answers[0]);
  double ours = (double)*(const float *)moire_runner_output(runner, "loss", &n),
         theirs = bench_peer_ask(peer, "loss");
  printf("loss of the first batch: %.6f, PyTorch %.6f\n", ours, theirs);
  if (!(fabs(ours - theirs) <= 1e-4 * theirs)) exit(1);
  moire_runner_destroy(runner);
  moire_program_destroy(program);
}

/* What a step is computed by: ours in both precisions, and the peer's words. */
enum { F32, BF16, COMPILED, AUTOCAST, EAGER, SIDES };

static void bench_steps(bench *b, bench_peer *peer, bool eager) {
  static const char *const words[SIDES] = {[COMPILED] = "compiled", [AUTOCAST] = "bf16", [EAGER] = "eager"};
  moire_program *programs[2];
  moire_runner *runners[2];
  double times[SIDES][STEPS];
  for (int p = 0; p < 2; p++) {
    programs[p] = compile_as(b, MOIRE_TRAINING, "loss", p ? MOIRE_PRECISION_BF16 : MOIRE_PRECISION_F32, NULL);
    runners[p] = start(b, programs[p], BATCH);
  }
  for (int i = -2; i < STEPS; i++) {
    int at = (i + 2) % BATCHES;
    for (int side = 0; side < SIDES; side++) {
      double time = 0;
      if (side < COMPILED) time = run(runners[side], b->ids[at], b->answers[at]);
      if (side >= COMPILED && peer && (side != EAGER || eager)) time = bench_peer_ask(peer, words[side]);
      if (i >= 0) times[side][i] = 1e3 * time;
    }
  }
  bench_spread of[SIDES];
  for (int side = 0; side < SIDES; side++) of[side] = bench_spread_of(times[side], STEPS);
  row(b, "step of training", of[F32], peer ? of[COMPILED] : none, "torch.compile", "ms");
  if (peer && eager) row(b, "step of training", of[F32], of[EAGER], "PyTorch eager", "ms");
  row(b, "step of training, bf16", of[BF16], peer ? of[AUTOCAST] : none, "torch.compile, autocast", "ms");
  row(b, "step of training, bf16", of[BF16], of[F32], "ours in f32", "ms");
  double steps = ceil((double)b->data->n_samples / BATCH) / 1e3;
  for (int side = 0; side < 2; side++) {
    bench_spread mine = of[side], theirs = of[side ? AUTOCAST : COMPILED];
    row(b, side ? "epoch in bf16: its steps by the median" : "epoch: its steps by the median",
        (bench_spread){mine.median * steps, mine.low * steps, mine.high * steps},
        peer ? (bench_spread){theirs.median * steps, theirs.low * steps, theirs.high * steps} : none,
        side ? "torch.compile, autocast" : "torch.compile", "s");
  }
  for (int p = 0; p < 2; p++) {
    moire_runner_destroy(runners[p]);
    moire_program_destroy(programs[p]);
  }
}

static void bench_ranking(bench *b, bench_peer *peer) {
  moire_error error = {0};
  moire_program *program = compile(b, MOIRE_INFERENCE, "logits", NULL);
  moire_runner *runner = start(b, program, BATCH);
  moire__scoring scoring = {.runner = runner,
                            .threads = b->pool,
                            .dataset = b->data,
                            .item_size = b->data->item_size,
                            .batch = BATCH,
                            .label = "rank"};
  int64_t *ranks = moire__allocate_array((size_t)b->data->n_users, sizeof *ranks);
  double ours[TIMES], theirs[TIMES];
  for (int i = -1; i < TIMES; i++) {
    double from = bench_now();
    bench_require(moire__scoring_ranks(&scoring, MOIRE__SPLIT_TEST, 0, scoring.dataset->n_users, ranks, &error),
                  &error);
    double time = bench_now() - from, peer_time = peer ? bench_peer_ask(peer, "rank") : 0;
    if (i < 0) continue;
    ours[i] = 1e3 * time;
    theirs[i] = 1e3 * peer_time;
  }
  double hits = 0, peer_hits = peer ? bench_peer_ask(peer, "hits") : 0;
  for (int64_t u = 0; u < b->data->n_users; u++) hits += ranks[u] <= HITS;
  if (peer) printf("targets among the %d best: %.0f, PyTorch %.0f\n", HITS, hits, peer_hits);
  if (peer && !(fabs(hits - peer_hits) <= 2)) exit(1); /* equal scores may stand in another order */
  row(b, "ranking all users", bench_spread_of(ours, TIMES), peer ? bench_spread_of(theirs, TIMES) : none,
      "PyTorch eager", "ms");
  moire__release(ranks);
  moire_runner_destroy(runner);
  moire_program_destroy(program);
}

/* Whole processes: an epoch of `moire train`, and eager PyTorch that trains some steps and ranks. */
static void bench_memory(bench *b) {
  char threads[16], path[200];
  snprintf(threads, sizeof threads, "%d", b->threads);
  snprintf(path, sizeof path, SHARED "/data/%s.txt", b->name);
  const char *const train[] = {"build/release/moire",
                               "train",
                               "configs/qia_lastfm.yaml",
                               "--data",
                               path,
                               "--out",
                               FOLDER "/memory",
                               "--set",
                               "epochs=1",
                               "--threads",
                               threads,
                               NULL};
  setenv("MOIRE_CACHE", "off", 1);
  double cold = bench_run_peak(train);
  setenv("MOIRE_CACHE", FOLDER "/cache", 1);
  bench_run_peak(train);
  double warm = bench_run_peak(train), theirs = 0;
  bench_peer peer;
  if (start_peer(b, &peer)) {
    for (int i = 0; i < 5; i++) bench_peer_ask(&peer, "eager");
    bench_peer_ask(&peer, "rank");
    theirs = bench_peer_stop(&peer);
  }
  bench_spread spread = {theirs, theirs, theirs};
  row(b, "peak memory of training, compiling", (bench_spread){cold, cold, cold}, spread, "PyTorch eager",
      "MiB");
  row(b, "peak memory of training, from the cache", (bench_spread){warm, warm, warm}, spread, "PyTorch eager",
      "MiB");
}

static void save_weights(bench *b) {
  moire_error error = {0};
  moire_program *program = compile(b, MOIRE_INFERENCE, "logits", NULL);
  bench_require(moire_store_declare(b->store, moire_program_plan(program), 1, &error), &error);
  bench_require(
      moire__checkpoint_save(FOLDER "/weights.safetensors", b->store, MOIRE__CHECKPOINT_MODEL, NULL, 0, &error),
      &error);
  moire_program_destroy(program);
}

int main(int argc, char **argv) {
  static bench b;
  moire_error error = {0};
  b.threads = bench_pin(argc > 1 ? atoi(argv[1]) : 2);
  b.pool = moire_threads_create(b.threads, &error);
  bench_require(error.status, &error);
  if (system("mkdir -p " FOLDER)) return 1;
  if (!getenv("MOIRE_PYTHON")) printf("MOIRE_PYTHON names no Python with PyTorch, so it is left out\n");
  static const char *const names[] = {"LastFM", "Beauty"};
  for (int i = 0; i < 2; i++) {
    bench_peer peer;
    if (!begin(&b, names[i])) {
      printf("there is no " SHARED "/data/%s.txt, so it is left out\n", names[i]);
      continue;
    }
    save_weights(&b);
    if (i == 0) bench_compile(&b);
    bool other = start_peer(&b, &peer);
    if (other) compare_losses(&b, &peer);
    if (i == 0) bench_ranking(&b, other ? &peer : NULL);
    bench_steps(&b, other ? &peer : NULL, i == 0);
    if (other) bench_peer_stop(&peer);
    if (i == 0) bench_memory(&b);
    end(&b);
  }
  moire_threads_destroy(b.pool);
  return 0;
}
