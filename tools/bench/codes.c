/* Encoding items by semantic_id in its full size: 256 features, 1,024 / 4,096 / 16,384 codes, on one thread,
 * with the search in float32 and, in turns, in bf16, which must give the same codes.
 *
 * In rows a second of processor time, of the fastest of some rounds, and as a share of the fused multiply-adds
 * that the machine can do (the distances alone are counted: 2 rows codes width). With MOIRE_PYTHON set to a
 * Python that has torch and faiss, these encode the same number of rows in turns with us (codes_peers.py).
 * Features and codes are random: in float32 the work does not depend on them, and in bf16 fewer codes are
 * nearly as near where items have groups.
 *
 *   codes [WIDTH SIZE...]     other sizes; then without the peers
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/base/text.h"
#include "runtime/config/config.h"
#include "runtime/machine/peaks.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 4096, ROUNDS = 11, PEERS = 3, WAYS = 2, MOST_SIZES = 8 };
static const moire_precision precisions[WAYS] = {MOIRE_PRECISION_F32, MOIRE_PRECISION_BF16};
static const char *const ways[WAYS] = {"Moire, encode", "Moire, encode, bf16"};
static const char *const peers[PEERS] = {"PyTorch compiled, cdist", "PyTorch compiled, matmul",
                                         "FAISS ResidualQuantizer, beam 1"};

typedef struct sizes {
  int width, levels;
  int of[MOST_SIZES]; /* codes of each level */
} sizes;

static moire_program *compile(const sizes *n, moire_precision precision) {
  moire_error error = {0};
  moire__text json = {0};
  const moire_model *model = moire_model_find("semantic_id", &error);
  if (!model) bench_stop(&error);
  moire__text_add(&json, "{\"feature_dim\": %d, \"codebook_sizes\": [", n->width);
  for (int l = 0; l < n->levels; l++) moire__text_add(&json, "%s%d", l ? ", " : "", n->of[l]);
  moire__text_add(&json, "]}");
  moire_config *config = bench_config(model, moire__text_string(&json));
  moire_graph *graph = moire_graph_create("codes", MOIRE_INFERENCE);
  model->build(graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"codes"};
  options.n_outputs = 1;
  options.precision = precision;
  moire_program *program = moire_compile(graph, &options, &error);
  if (!program) bench_stop(&error);
  moire_graph_destroy(graph);
  moire__config_free(config);
  moire__text_free(&json);
  return program;
}

static bench_program make(const sizes *n, moire_precision precision, moire_threads *threads, const float *x) {
  moire_error error = {0};
  bench_program e = bench_program_start(compile(n, precision), threads);
  bench_require(moire_runner_set_extent(e.runner, "B", ROWS, &error), &error);
  bench_require(moire_runner_set_input(e.runner, "features", x, (int64_t)ROWS * n->width, &error), &error);
  return e;
}

/* Seconds of processor time. */
static double encode(const bench_program *e) {
  moire_error error = {0};
  double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  if (moire_runner_run(e->runner, &error)) bench_stop(&error);
  return bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
}

static int count_differing(const bench_program *e, int levels) {
  const int32_t *one = moire_runner_output(e[0].runner, "codes", NULL),
                *other = moire_runner_output(e[1].runner, "codes", NULL);
  int n = 0;
  for (int i = 0; i < ROWS * levels; i++) n += one[i] != other[i];
  return n;
}

/* A child that answers each line with the seconds of all peers. */
typedef struct child {
  FILE *to, *from; /* NULL: there is none */
  pid_t id;
} child;

static child start_peers(void) {
  const char *python = getenv("MOIRE_PYTHON");
  int to[2], from[2];
  child c = {NULL, NULL, 0};
  if (!python || pipe(to) || pipe(from)) return c;
  c.id = fork();
  if (c.id < 0) exit(1);
  if (!c.id) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    close(to[1]);
    close(from[0]);
    execl(python, python, "tools/bench/codes_peers.py", (char *)NULL);
    _exit(1);
  }
  close(to[0]);
  close(from[1]);
  c.to = fdopen(to[1], "w");
  c.from = fdopen(from[0], "r");
  return c;
}

/* False where the peers do not answer. */
static bool ask_peers(const child *c, double seconds[PEERS]) {
  if (!c->to) return false;
  fprintf(c->to, "%d\n", ROWS);
  fflush(c->to);
  bool good = true;
  for (int i = 0; i < PEERS && good; i++) good = fscanf(c->from, "%lf", &seconds[i]) == 1;
  return good;
}

static double least(const double times[ROUNDS]) {
  double best = times[0];
  for (int i = 1; i < ROUNDS; i++) best = times[i] < best ? times[i] : best;
  return best;
}

static void report(const sizes *n, double ours[WAYS][ROUNDS], double theirs[PEERS][ROUNDS], bool answered) {
  moire_error error = {0};
  moire__peaks peaks;
  if (moire__peaks_get(1, false, &peaks, NULL, &error)) bench_stop(&error);
  double codes = 0, first = least(ours[0]);
  for (int l = 0; l < n->levels; l++) codes += n->of[l];
  for (int w = 0; w < WAYS; w++) {
    double time = least(ours[w]), rate = 2.0 * ROWS * codes * n->width / time;
    printf("%-32s %9.0f rows a second, %.2f times as long, %.0f %% of %.0f GFLOP/s (%s)\n", ways[w],
           ROWS / time, time / first, 100 * rate / peaks.fma.one, peaks.fma.one / 1e9, peaks.cpu);
  }
  for (int p = 0; p < PEERS && answered; p++) {
    double other = least(theirs[p]);
    printf("%-32s %9.0f rows a second, %.2f times as long\n", peers[p], ROWS / other, other / first);
  }
  if (!answered) printf("set MOIRE_PYTHON to a Python with torch and faiss to compare\n");
}

static sizes read_sizes(int argc, char **argv) {
  sizes n = {256, 3, {1024, 4096, 16384}};
  if (argc < 3 || argc > MOST_SIZES + 2) return n;
  n = (sizes){.width = atoi(argv[1]), .levels = argc - 2};
  for (int l = 0; l < n.levels; l++) n.of[l] = atoi(argv[l + 2]);
  return n;
}

int main(int argc, char **argv) {
  moire_error error = {0};
  sizes n = read_sizes(argc, argv);
  child python = argc > 1 ? (child){NULL, NULL, 0} : start_peers();
  moire_threads *threads = moire_threads_create(1, &error);
  if (!threads) bench_stop(&error);
  size_t features = (size_t)ROWS * (size_t)n.width;
  float *x = moire__allocate_aligned(features * sizeof *x, 64);
  moire__random random = moire__random_start(1, 1);
  for (size_t i = 0; i < features; i++) x[i] = (float)moire__random_real(&random) - 0.5f;
  bench_program e[WAYS];
  for (int w = 0; w < WAYS; w++) e[w] = make(&n, precisions[w], threads, x);
  double ours[WAYS][ROUNDS], theirs[PEERS][ROUNDS];
  bool answered = true;
  for (int i = -1; i < ROUNDS; i++) {
    double times[WAYS], seconds[PEERS];
    for (int w = 0; w < WAYS; w++) times[w] = encode(&e[w]);
    answered = ask_peers(&python, seconds) && answered;
    for (int w = 0; w < WAYS && i >= 0; w++) ours[w][i] = times[w];
    for (int p = 0; p < PEERS && answered && i >= 0; p++) theirs[p][i] = seconds[p];
  }
  report(&n, ours, theirs, answered);
  int differing = count_differing(e, n.levels);
  printf("codes that differ: %d of %d\n", differing, ROWS * n.levels);
  if (python.to) {
    fclose(python.to);
    fclose(python.from);
    waitpid(python.id, NULL, 0);
  }
  for (int w = 0; w < WAYS; w++) bench_program_stop(&e[w]);
  moire_threads_destroy(threads);
  moire__release_aligned(x);
  return differing != 0;
}
