/* Fuzzes libraries of any graph: of random graphs, libraries are made, and what they give is what the JIT
 * gives, bit for bit, however many samples there are and whether they are cut into slices or not.
 *
 *   run_fuzz_main [SECONDS [SEED]]       2 seconds, and a seed of the time, which is printed
 *   run_fuzz_main --graph SEED           one graph
 */
#include "compiler/driver/ahead/rows.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "tests/support/aot/aot_graph.h"
#include "tests/support/files.h"
#include "tests/support/graphs/random_graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_STEPS = 12, MOST_PORTS = 64 };

typedef struct tally {
  int64_t graphs, refused, runs, apart;
} tally;

static size_t element_bytes(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_I32: return 4;
    case MOIRE_F64:
    case MOIRE_I64:
    case MOIRE_C64: return 8;
    case MOIRE_BF16: return 2;
    case MOIRE_BOOL: return 1;
  }
  return 0;
}

static void put_element(moire_dtype dtype, double re, double im, void *at) {
  const float pair[2] = {(float)re, (float)im};
  const int32_t i32 = dtype == MOIRE_I32 ? (int32_t)re : 0;
  const int64_t i64 = dtype == MOIRE_I64 ? (int64_t)re : 0;
  uint32_t bits = 0;
  memcpy(&bits, pair, sizeof bits);
  const uint16_t upper = (uint16_t)(bits >> 16);
  const uint8_t flag = re != 0;
  switch (dtype) {
    case MOIRE_F32: memcpy(at, pair, 4); return;
    case MOIRE_C64: memcpy(at, pair, 8); return;
    case MOIRE_F64: memcpy(at, &re, 8); return;
    case MOIRE_I32: memcpy(at, &i32, 4); return;
    case MOIRE_I64: memcpy(at, &i64, 8); return;
    case MOIRE_BF16: memcpy(at, &upper, 2); return;
    case MOIRE_BOOL: memcpy(at, &flag, 1); return;
  }
}

/* The elements of a drawn input, as a caller has them; planes of a complex one if `plane` is 0 or 1. */
static void *make_array(const moire__tensor *t, int plane) {
  moire_dtype dtype = plane >= 0 ? MOIRE_F32 : t->dtype;
  char *array = malloc((size_t)t->elements * element_bytes(dtype) + 1);
  if (!array) exit(1);
  for (int64_t i = 0; i < t->elements; i++)
    put_element(dtype, plane == 1 ? t->im[i] : t->re[i], t->im && plane < 0 ? t->im[i] : 0,
                array + (size_t)i * element_bytes(dtype));
  return array;
}

/* ---- One graph -------------------------------------------------------------------------------------- */

typedef struct bench {
  aot_graph m;
  aot_graph_library lib;
  aot_graph_jit jit;
  const char *outputs[MOST_PORTS];
  int n_outputs;
  void *arrays[3 * MOST_PORTS];
  int n_arrays;
} bench;

static void *keep(bench *b, void *array) {
  b->arrays[b->n_arrays++] = array;
  return array;
}

static bool is_read(const bench *b, const char *name) {
  char plane[80];
  snprintf(plane, sizeof plane, "%s.real", name);
  if (moire_runner_has_input(b->jit.runner, name) || moire_runner_has_input(b->jit.runner, plane)) return true;
  snprintf(plane, sizeof plane, "%s.imag", name);
  return moire_runner_has_input(b->jit.runner, plane);
}

/* Gives the JIT its inputs, and lists those of the library. */
static int feed_both(bench *b, const test_feed *feed, const void **fields) {
  static const char *const planes[] = {".real", ".imag"};
  int n = 0;
  for (int i = 0; i < feed->n_inputs; i++) {
    const char *name = feed->inputs[i].name;
    const moire__tensor *t = feed->inputs[i].tensor;
    if (!is_read(b, name)) continue;
    fields[n] = keep(b, make_array(t, -1));
    if (t->dtype != MOIRE_C64) aot_graph_jit_set(&b->jit, name, fields[n], t->elements);
    for (int p = 0; p < 2 && t->dtype == MOIRE_C64; p++) {
      char plane[80];
      snprintf(plane, sizeof plane, "%s%s", name, planes[p]);
      aot_graph_jit_set(&b->jit, plane, keep(b, make_array(t, p)), t->elements);
    }
    n++;
  }
  return n;
}

/* What the JIT has for an output; pairs of a complex one. */
static const void *wanted(bench *b, const char *name, moire_dtype dtype, int64_t elements) {
  if (dtype != MOIRE_C64) return moire_runner_output(b->jit.runner, name, NULL);
  char plane[80];
  snprintf(plane, sizeof plane, "%s.real", name);
  const float *re = moire_runner_output(b->jit.runner, plane, NULL);
  snprintf(plane, sizeof plane, "%s.imag", name);
  const float *im = moire_runner_output(b->jit.runner, plane, NULL);
  float *pairs = keep(b, malloc((size_t)elements * 8 + 1));
  for (int64_t i = 0; i < elements; i++) {
    pairs[2 * i] = re[i];
    pairs[2 * i + 1] = im[i];
  }
  return pairs;
}

static void run_work(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = n - 1; i >= 0; i--) work(job, i);
}

static int64_t elements_of(const moire_graph *g, int32_t value, int64_t n) {
  int64_t elements = 1;
  for (int i = 0; i < g->values[value].shape.rank; i++) {
    moire_dim d = g->values[value].shape.dims[i];
    elements *= moire__dim_factor(d) * (moire__dim_is_static(d) ? 1 : n);
  }
  return elements;
}

static bool run_both(bench *b, const random_graph *r, int64_t n, uint64_t seed) {
  const moire_graph *g = b->m.inference;
  const void *fields[MOST_PORTS + 1] = {NULL};
  void *results[MOST_PORTS];
  test_feed feed = test_feed_draw(g, r->ranges, r->n_ranges, n, seed);
  library_workspace workspace = {.threads = 1 + (int)(seed % 3), .run = run_work};
  feed_both(b, &feed, fields);
  aot_graph_jit_run(&b->jit, n);
  bool good = true;
  for (int i = 0; i < b->n_outputs; i++) {
    int32_t value = moire__graph_find_output(g, b->outputs[i]);
    results[i] = keep(b, malloc((size_t)elements_of(g, value, n) * 8 + 1));
  }
  library_status status = b->lib.run(NULL, &workspace, n, fields, results);
  if (status) {
    printf("%" PRId64 " samples: %s\n", n, b->lib.base.status_text(status));
    good = false;
  }
  for (int i = 0; i < b->n_outputs && good; i++) {
    int32_t value = moire__graph_find_output(g, b->outputs[i]);
    int64_t elements = elements_of(g, value, n);
    moire_dtype dtype = g->values[value].dtype;
    good =
        !memcmp(results[i], wanted(b, b->outputs[i], dtype, elements), (size_t)elements * element_bytes(dtype));
    if (!good) printf("%" PRId64 " samples: output %s differs\n", n, b->outputs[i]);
  }
  b->lib.base.workspace_free(&workspace);
  for (int i = 0; i < b->n_arrays; i++) free(b->arrays[i]);
  b->n_arrays = 0;
  test_feed_free(&feed);
  return good;
}

/* Outputs that a library can give: B is their first axis, or no axis. */
static void choose_outputs(bench *b, const moire_graph *g) {
  for (int i = 0; i < g->n_outputs && b->n_outputs < MOST_PORTS; i++) {
    const moire_shape *shape = &g->values[g->outputs[i].value].shape;
    bool good = strcmp(g->outputs[i].name, "loss") != 0;
    for (int d = 0; d < shape->rank; d++) {
      moire_dim first = moire__dim_make(1, moire__dim_extents(shape->dims[d]));
      good = good && (moire__dim_is_static(shape->dims[d]) || (d == 0 && shape->dims[d] == first));
    }
    if (good) b->outputs[b->n_outputs++] = g->outputs[i].name;
  }
  b->m.outputs = b->outputs;
  b->m.n_outputs = b->n_outputs;
}

static bool judge(uint64_t seed, const char *directory, tally *t) {
  static const int64_t sizes[] = {0, 1, 2, 63, 130};
  static const char *const cpus[] = {"host", "x86-64-v3", "generic"};
  const aot_wish wish = {.name = "fuzz", .cpu = aot_runs(cpus[seed % 3]) ? cpus[seed % 3] : "host"};
  random_graph r;
  bench b = {0};
  moire_error error = {0};
  random_graph_make(&r, seed, MOST_STEPS);
  bool good = true;
  if (!moire_graph_status(r.g, &error)) {
    choose_outputs(&b, r.g);
    aot_graph_take(&b.m, r.g, seed);
    if (!aot_graph_write(&b.m, &wish, directory, &error)) {
      char path[700];
      snprintf(path, sizeof path, "%s/fuzz.so", directory);
      b.lib = aot_graph_open(path, "fuzz");
      b.jit = aot_graph_jit_start(&b.m, b.outputs, b.n_outputs, false, wish.cpu);
      t->apart += moire__ahead_rows_are_apart(r.g, b.outputs, b.n_outputs);
      for (int i = 0; i < 5 && good; i++, t->runs++) good = run_both(&b, &r, sizes[i], seed + (uint64_t)i);
      aot_graph_jit_stop(&b.jit);
      aot_unload(&b.lib.base);
    }
    if (!good) {
      char *text = moire_graph_print(r.g);
      printf("%s", text);
      free(text);
    }
    b.m.inference = NULL; /* r has it */
    aot_graph_free(&b.m);
  }
  t->graphs++;
  t->refused += error.status != MOIRE_OK;
  if (error.status && getenv("MOIRE_FUZZ_VERBOSE")) printf("refused: %s\n", error.message);
  random_graph_free(&r);
  return good;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  bool one = argc > 2 && !strcmp(argv[1], "--graph");
  double end = now() + (argc > 1 && !one ? atof(argv[1]) : 2);
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  moire__random random = moire__random_start(seed, 0);
  test_path directory;
  tally t = {0};
  bool good = true;
  printf("seed %" PRIu64 "\n", seed);
  fflush(stdout);
  test_make_directory(directory);
  do {
    uint64_t graph = one ? seed : moire__random_bits(&random) >> 16;
    good = judge(graph, directory, &t);
    if (!good) printf("run_fuzz_main --graph %" PRIu64 "\n", graph);
  } while (good && !one && now() < end);
  printf("%" PRId64 " graphs, %" PRId64 " refused, %" PRId64 " of samples that are apart, %" PRId64 " runs\n",
         t.graphs, t.refused, t.apart, t.runs);
  test_remove_directory(directory);
  return !good;
}
