/* How fast a compiled QIA of the published size answers: from dlopen to the first list, one history to its top
 * 20 on one thread, and histories a second in batches. Weights are the published ones where ../shared has them,
 * and drawn at random elsewhere, which takes as long.
 *
 *   bench/aot_latency [CPU...]       versions of the code (all of x86-64 with AVX2, as far as they run here)
 *
 * x86-64-v4-bf16 multiplies numbers rounded to bf16, the others float32.
 *
 * With MOIRE_PYTHON=PYTHON in the environment, PyTorch and ONNX Runtime are timed after it, by aot_latency.py.
 */
#include "moire/ahead.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/aot/library.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/checkpoint.h"
#include "runtime/config/config.h"
#include "tasks/sequences/dataset.h"
#include "runtime/files/file.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARED "../shared"
static const char checkpoint[] = SHARED "/checkpoints/qia_lastfm.safetensors",
                  data[] = SHARED "/data/LastFM.txt";
enum { ITEMS = 3647, LENGTH = 50, TOP = 20, ROWS = 200, ROUNDS = 20, STARTS = 21, BATCH = 512 };

/* ---- The library ------------------------------------------------------------------------------------ */

typedef struct library {
  void *handle;
  __typeof__(&library_top) top;
  __typeof__(&library_workspace_free) workspace_free;
  __typeof__(&library_cpu) cpu;
} library;

static void find(void *handle, const char *name, void *function) {
  void *found = dlsym(handle, name);
  if (!found) exit(1);
  memcpy(function, &found, sizeof found);
}

static library load(const char *path) {
  library lib = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
  if (!lib.handle) {
    fprintf(stderr, "aot_latency: %s\n", dlerror());
    exit(1);
  }
  find(lib.handle, "qia_top", &lib.top);
  find(lib.handle, "qia_workspace_free", &lib.workspace_free);
  find(lib.handle, "qia_cpu", &lib.cpu);
  return lib;
}

static void declare(moire_store *store, const moire_graph *graph) {
  moire_error error = {0};
  const char *logits = "logits";
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &logits;
  options.n_outputs = 1;
  moire_oracle *oracle = moire_oracle_create(graph, &options, &error);
  if (!oracle) bench_stop(&error);
  int n = moire_oracle_state_count(oracle);
  moire_plan_state *states = moire__allocate_array((size_t)n + 1, sizeof *states);
  for (int i = 0; i < n; i++) states[i] = moire_oracle_state(oracle, i);
  moire_plan plan = {.name = "qia", .states = states, .n_states = n};
  if (moire_store_declare(store, &plan, 1, &error)) bench_stop(&error);
  moire__release(states);
  moire_oracle_destroy(oracle);
}

static void load_weights(moire_store *store) {
  moire_error error = {0};
  moire__safetensors *file = NULL;
  if (access(checkpoint, R_OK)) return;
  if (moire__safetensors_open(checkpoint, &file, &error)) bench_stop(&error);
  if (moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_MODEL, &error)) bench_stop(&error);
  moire__safetensors_close(file);
}

/* False if this machine cannot run the version. */
static bool write_library(const char *directory, const char *cpu) {
  moire_error error = {0};
  const moire_model *qia = moire_model_find("qia", &error);
  if (!qia) bench_stop(&error);
  moire_config *config = bench_config(qia, "{\"item_size\": 3647}");
  moire_graph *graph = moire_graph_create("qia", MOIRE_INFERENCE);
  qia->build(graph, config);
  moire_store *store = moire_store_create();
  declare(store, graph);
  load_weights(store);
  int n = moire_store_count(store);
  moire_ahead_weight *weights = moire__allocate_array((size_t)n + 1, sizeof *weights);
  for (int i = 0; i < n; i++) {
    weights[i].name = moire_store_at(store, i).name;
    weights[i].data = moire_store_data(store, weights[i].name, &weights[i].elements);
  }
  moire_ahead_model model = {
      .name = "qia", .config = "{}", .inference = graph, .weights = weights, .n_weights = n};
  moire_compile_options precision = moire_compile_defaults();
  if (strstr(cpu, "bf16")) precision.precision = MOIRE_PRECISION_BF16;
  model.optimizer = &precision;
  moire_ahead_options options = moire_ahead_defaults();
  options.name = "qia";
  options.directory = directory;
  options.cpus = &cpu;
  options.n_cpus = 1;
  if (moire_ahead_write(&model, &options, &error)) bench_stop(&error);
  moire__release(weights);
  moire_store_destroy(store);
  moire_graph_destroy(graph);
  moire__config_free(config);
  return true;
}

/* ---- Times ------------------------------------------------------------------------------------------ */

/* Median of the seconds for each of n histories, over and over. */
static double ask_one_by_one(const library *lib, const library_lists *histories, int64_t n) {
  library_workspace workspace = {0};
  int32_t best[TOP];
  double *times = moire__allocate_array((size_t)(n * ROUNDS), sizeof *times);
  for (int64_t i = 0; i < n * ROUNDS; i++) {
    library_lists one = {histories->offsets + i % n, histories->items};
    double start = bench_now();
    if (lib->top(NULL, &workspace, 1, &one, NULL, LIBRARY_SEEN_EXCLUDE, TOP, best, NULL)) exit(1);
    times[i] = bench_now() - start;
  }
  double median = bench_spread_of(times, (int)(n * ROUNDS)).median;
  printf("  one history to its top %d: median %.0f us, 90 %% %.0f us", TOP, 1e6 * median,
         1e6 * times[n * ROUNDS * 9 / 10]);
  moire__release(times);
  lib->workspace_free(&workspace);
  return median;
}

static void ask_batches(const library *lib, const library_lists *histories, int64_t n) {
  library_workspace workspace = {0};
  int32_t *best = moire__allocate_array((size_t)n * TOP, sizeof *best);
  double fastest = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    double start = bench_now();
    if (lib->top(NULL, &workspace, n, histories, NULL, LIBRARY_SEEN_EXCLUDE, TOP, best, NULL)) exit(1);
    double seconds = bench_now() - start;
    if (seconds < fastest) fastest = seconds;
  }
  printf("; %.0f histories/s in batches of %d\n", (double)n / fastest, (int)n);
  moire__release(best);
  lib->workspace_free(&workspace);
}

/* Each start is a process of its own, so that nothing of the library is there before. */
static void start_often(const char *path, const library_lists *histories) {
  double times[STARTS];
  for (int i = 0; i < STARTS; i++) {
    int ends[2];
    if (pipe(ends)) exit(1);
    pid_t child = fork();
    if (child < 0) exit(1);
    if (child == 0) {
      library_workspace workspace = {0};
      int32_t best[TOP];
      double start = bench_now();
      library lib = load(path);
      if (lib.top(NULL, &workspace, 1, histories, NULL, LIBRARY_SEEN_EXCLUDE, TOP, best, NULL)) _exit(1);
      double seconds = bench_now() - start;
      _exit(write(ends[1], &seconds, sizeof seconds) != sizeof seconds);
    }
    close(ends[1]);
    if (read(ends[0], &times[i], sizeof times[i]) != sizeof times[i]) exit(1);
    close(ends[0]);
    waitpid(child, NULL, 0);
  }
  double median = bench_spread_of(times, STARTS).median;
  printf("  from dlopen to the first list: median %.2f ms, slowest of %d %.2f ms\n", 1e3 * median, STARTS,
         1e3 * times[STARTS - 1]);
}

/* ---- Histories -------------------------------------------------------------------------------------- */

/* n histories of LENGTH items: nothing is padding. */
static library_lists full_histories(int64_t n) {
  moire__random random = moire__random_start(1, 1);
  int64_t *offsets = moire__allocate_array((size_t)n + 1, sizeof *offsets);
  int32_t *items = moire__allocate_array((size_t)(n * LENGTH), sizeof *items);
  for (int64_t i = 0; i < n * LENGTH; i++) items[i] = 1 + (int32_t)moire__random_below(&random, ITEMS - 1);
  for (int64_t i = 0; i <= n; i++) offsets[i] = i * LENGTH;
  return (library_lists){offsets, items};
}

/* The users of LastFM as the test sees them; none where the data is absent. */
static library_lists published_histories(int64_t *n) {
  moire_error error = {0};
  moire__dataset *set = NULL;
  *n = 0;
  if (access(data, R_OK)) return (library_lists){NULL, NULL};
  if (moire__dataset_load(data, LENGTH, &set, &error)) bench_stop(&error);
  int64_t *offsets = moire__allocate_array((size_t)set->n_users + 1, sizeof *offsets);
  for (int64_t i = 0; i < set->n_users; i++) {
    int64_t count = 0;
    moire__dataset_history(set, MOIRE__SPLIT_TEST, i, &count);
    offsets[i + 1] = offsets[i] + count;
  }
  int32_t *items = moire__allocate_array((size_t)offsets[set->n_users], sizeof *items);
  for (int64_t i = 0; i < set->n_users; i++) {
    int64_t count = 0;
    const int32_t *history = moire__dataset_history(set, MOIRE__SPLIT_TEST, i, &count);
    memcpy(items + offsets[i], history, (size_t)count * sizeof *items);
  }
  *n = set->n_users;
  moire__dataset_free(set);
  return (library_lists){offsets, items};
}

static void measure(const char *directory, const char *cpu) {
  char path[300];
  write_library(directory, cpu);
  snprintf(path, sizeof path, "%s/qia.so", directory);
  struct stat info = {0};
  stat(path, &info);
  library_lists full = full_histories(BATCH);
  int64_t n = 0;
  library_lists published = published_histories(&n);
  printf("%s: the library has %.2f MB with its weights\n", cpu, (double)info.st_size / 1e6);
  start_often(path, &full);
  library lib = load(path);
  if (!lib.cpu()) {
    printf("  does not run here\n");
    return;
  }
  printf(" histories of %d items:\n", LENGTH);
  ask_one_by_one(&lib, &full, ROWS);
  ask_batches(&lib, &full, BATCH);
  if (n) {
    printf(" histories of LastFM, of %.1f items on average:\n", (double)published.offsets[n] / (double)n);
    ask_one_by_one(&lib, &published, n);
    ask_batches(&lib, &published, n);
  }
  dlclose(lib.handle);
}

int main(int argc, char **argv) {
  static const char *const all[] = {"x86-64-v4-bf16", "x86-64-v4", "x86-64-v3"};
  char directory[] = "/tmp/moire-bench-XXXXXX", command[600];
  if (!mkdtemp(directory)) return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < (argc > 1 ? argc - 1 : 3); i++) measure(directory, argc > 1 ? argv[i + 1] : all[i]);
  snprintf(command, sizeof command, "rm -rf %s", directory);
  if (system(command)) return 1;
  const char *python = getenv("MOIRE_PYTHON");
  if (!python || access(checkpoint, R_OK)) {
    printf("PyTorch and ONNX Runtime: wanted MOIRE_PYTHON=PYTHON in the environment, and " SHARED "\n");
    return 0;
  }
  snprintf(command, sizeof command, "%s tools/bench/aot_latency.py " SHARED " %s", python, checkpoint);
  return system(command) != 0;
}
