/* Encoding items by semantic_id in its full size: 256 features, 1,024 / 4,096 / 16,384 codes, on one thread.
 *
 * In rows a second of processor time, and as a share of the fused multiply-adds that the machine can do (the
 * distances alone are counted: 2 rows codes width). With MOIRE_PYTHON set to a Python that has torch and faiss,
 * these encode the same number of rows in turns with us (codes_peers.py). The data are random, since the work
 * does not depend on them.
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/config.h"
#include "runtime/peaks.h"
#include "tools/bench/support/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 4096, WIDTH = 256, CODES = 1024 + 4096 + 16384, ROUNDS = 7, PEERS = 3 };
static const char *const peers[PEERS] = {"PyTorch compiled, cdist", "PyTorch compiled, matmul",
                                         "FAISS ResidualQuantizer, beam 1"};

static moire_program *compile(void) {
  moire_error error = {0};
  moire_config *config = NULL;
  moire__config_table table = {0};
  const moire_model *model = moire_model_find("semantic_id", &error);
  if (!model) bench_stop(&error);
  moire__config_fields fields = {model->fields, model->n_fields};
  if (moire__config_table_add_json(&table, "bench", "{\"feature_dim\": 256}", &error)) bench_stop(&error);
  if (moire__config_build(&table, "bench", &fields, 1, &config, &error)) bench_stop(&error);
  moire_graph *graph = moire_graph_create("codes", MOIRE_INFERENCE);
  model->build(graph, config);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"codes"};
  options.n_outputs = 1;
  moire_program *program = moire_compile(graph, &options, &error);
  if (!program) bench_stop(&error);
  moire_graph_destroy(graph);
  moire__config_free(config);
  moire__config_table_free(&table);
  return program;
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

int main(void) {
  moire_error error = {0};
  child python = start_peers();
  moire_program *program = compile();
  moire_threads *threads = moire_threads_create(1, &error);
  moire_store *store = moire_store_create();
  if (!threads || moire_store_declare(store, moire_program_plan(program), 1, &error)) bench_stop(&error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, threads, &error);
  if (!runner) bench_stop(&error);
  float *x = moire__allocate_aligned((size_t)ROWS * WIDTH * sizeof *x, 64);
  moire__random random = moire__random_start(1, 1);
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)moire__random_real(&random) - 0.5f;
  if (moire_runner_set_extent(runner, "B", ROWS, &error) ||
      moire_runner_set_input(runner, "features", x, (int64_t)ROWS * WIDTH, &error))
    bench_stop(&error);
  double ours[ROUNDS], theirs[PEERS][ROUNDS];
  bool answered = true;
  for (int i = -1; i < ROUNDS; i++) {
    double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID), seconds[PEERS];
    if (moire_runner_run(runner, &error)) bench_stop(&error);
    double time = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
    answered = ask_peers(&python, seconds) && answered;
    if (i < 0) continue;
    ours[i] = time;
    for (int p = 0; p < PEERS && answered; p++) theirs[p][i] = seconds[p];
  }
  moire__peaks peaks;
  if (moire__peaks_get(1, false, &peaks, NULL, &error)) bench_stop(&error);
  double time = bench_spread_of(ours, ROUNDS).median, rate = 2.0 * ROWS * CODES * WIDTH / time;
  printf("%-32s %9.0f rows a second, %.0f %% of %.0f GFLOP/s (%s)\n", "Moire, encode", ROWS / time,
         100 * rate / peaks.fma.one, peaks.fma.one / 1e9, peaks.cpu);
  for (int p = 0; p < PEERS && answered; p++) {
    double other = bench_spread_of(theirs[p], ROUNDS).median;
    printf("%-32s %9.0f rows a second, %.2f times as long\n", peers[p], ROWS / other, other / time);
  }
  if (!answered) printf("set MOIRE_PYTHON to a Python with torch and faiss to compare\n");
  if (python.to) {
    fclose(python.to);
    fclose(python.from);
    waitpid(python.id, NULL, 0);
  }
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire_threads_destroy(threads);
  moire_program_destroy(program);
  moire__release_aligned(x);
  return 0;
}
