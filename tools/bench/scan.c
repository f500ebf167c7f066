/* The selective scan and its gradient, and how near they are to what their arithmetic alone costs; and a layer
 * of a linear recurrent unit.
 *
 *   bench/scan
 *
 * The scan has an exponential for every sample, position, channel and state, the gradient one more for each
 * (two, where a sequence has several chunks); their operands and results are smaller by the number of states.
 * So the bound is arithmetic: as many vector instructions as the formulas need, 9 of them for an exponential,
 * at the rate at which this machine multiplies and adds. Shapes are (samples, positions, channels, states).
 * Times are CPU time of the fastest run on one thread: other programs change them little.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/machine/peaks.h"
#include "tools/bench/support/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A graph whose output is "y"; inputs are named x0, x1, ... */
typedef struct task {
  moire_graph *graph;
  int n_inputs;
  int64_t elements[8];
  double low[8], high[8];
} task;

static moire_value input(task *t, moire_shape shape, double low, double high) {
  char name[8];
  int i = t->n_inputs++;
  snprintf(name, sizeof name, "x%d", i);
  t->elements[i] = 1;
  for (int d = 0; d < shape.rank; d++) t->elements[i] *= shape.dims[d];
  t->low[i] = low;
  t->high[i] = high;
  return moire_input(t->graph, name, MOIRE_F32, shape);
}

/* Seconds of the fastest run. */
static double best_time(task *t, const char *output, const char *loss, moire_threads *threads) {
  moire_error error = {0};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &output;
  options.n_outputs = 1;
  options.loss = loss;
  options.keep_gradients = loss != NULL;
  moire_program *program = moire_compile(t->graph, &options, &error);
  if (!program) bench_stop(&error);
  moire_store *store = moire_store_create();
  if (moire_store_declare(store, moire_program_plan(program), 1, &error)) bench_stop(&error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, threads, &error);
  if (!runner) bench_stop(&error);
  float *data[8] = {NULL};
  for (int i = 0; i < t->n_inputs; i++) {
    char name[8];
    snprintf(name, sizeof name, "x%d", i);
    data[i] = aligned_alloc(64, ((size_t)t->elements[i] * 4 + 63) / 64 * 64);
    for (int64_t e = 0; e < t->elements[i]; e++)
      data[i][e] = (float)(t->low[i] + (t->high[i] - t->low[i]) * (double)(e * 37 % 101) / 101);
    if (moire_runner_has_input(runner, name) &&
        moire_runner_set_input(runner, name, data[i], t->elements[i], &error))
      bench_stop(&error);
  }
  double best = 1e9, end = bench_clock(CLOCK_PROCESS_CPUTIME_ID) + 2;
  for (int run = 0; run < 5 || bench_clock(CLOCK_PROCESS_CPUTIME_ID) < end; run++) {
    double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    if (moire_runner_run(runner, &error)) bench_stop(&error);
    if (bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start < best)
      best = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
  }
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire_program_destroy(program);
  for (int i = 0; i < t->n_inputs; i++) free(data[i]);
  return best;
}

/* Operations for each sample, position, channel and state. */
enum {
  POWER = 1 + 9,               /* e^(dt a): a product, and 2^x */
  FORWARD = POWER + 3,         /* p, h, y */
  GRADIENT = POWER + 3 + 7,    /* p, h, dc; g, g p, g b, a g p, db, da, the next g */
  STARTS_OF_CHUNKS = POWER + 2 /* p, h */
};

static void measure(int64_t samples, int64_t length, int64_t channels, int64_t states, double rate,
                    moire_threads *threads) {
  double steps = (double)samples * (double)length * (double)channels * (double)states;
  task t = {.graph = moire_graph_create("scan", MOIRE_TRAINING)};
  moire_init zero = moire_init_constant(0);
  moire_shape wide = MOIRE_SHAPE(samples, length, channels), narrow = MOIRE_SHAPE(samples, length, states);
  /* Parameters of zeros beside the inputs: what they are added to gets a gradient. */
  moire_value x =
      moire_add(input(&t, wide, -1, 1), moire_parameter(t.graph, "px", MOIRE_SHAPE(channels), zero));
  moire_value dt =
      moire_add(input(&t, wide, 0.1, 1), moire_parameter(t.graph, "pdt", MOIRE_SHAPE(channels), zero));
  moire_value a = moire_add(input(&t, MOIRE_SHAPE(channels, states), -4, -0.1),
                            moire_parameter(t.graph, "pa", MOIRE_SHAPE(channels, states), zero));
  moire_value b =
      moire_add(input(&t, narrow, -1, 1), moire_parameter(t.graph, "pb", MOIRE_SHAPE(states), zero));
  moire_value c =
      moire_add(input(&t, narrow, -1, 1), moire_parameter(t.graph, "pc", MOIRE_SHAPE(states), zero));
  moire_value y = moire_selective_scan(x, dt, a, b, c);
  moire_output(t.graph, "y", y);
  moire_output(t.graph, "loss", moire_sum_all(y));
  double forward = best_time(&t, "y", NULL, threads), both = best_time(&t, "loss", "loss", threads);
  int operations = FORWARD + GRADIENT + (length > 64 ? STARTS_OF_CHUNKS : 0);
  printf("(%lld, %lld, %lld, %lld): forward %.1f ms, %.2f ns a state, %.0f %% of the bound; forward "
         "and backward %.1f ms, %.0f %%\n",
         (long long)samples, (long long)length, (long long)channels, (long long)states, forward * 1e3,
         forward / steps * 1e9, 100 * steps * FORWARD / rate / forward, both * 1e3,
         100 * steps * operations / rate / both);
  moire_graph_destroy(t.graph);
}

/* A layer of a linear recurrent unit, D complex states: products of x and of the states around the scan. The
 * scan's share is bound by memory, six complex arrays: b, h; the gradients of h and b; both again for that of
 * a. */
static void measure_lru(int64_t samples, int64_t length, int64_t channels, moire_threads *threads) {
  task t = {.graph = moire_graph_create("lru", MOIRE_TRAINING)};
  moire_graph *g = t.graph;
  moire_shape row = MOIRE_SHAPE(channels), square = MOIRE_SHAPE(channels, channels);
  moire_init weights = moire_init_normal(0, 0.1);
  moire_value x = input(&t, MOIRE_SHAPE(samples, length, channels), -1, 1);
  moire_value rate = moire_parameter(g, "rate", row, moire_init_uniform(-5, -1));
  moire_value phase = moire_parameter(g, "phase", row, moire_init_uniform(0, 3));
  moire_value b = moire_matmul(x, moire_complex_parameter(g, "in", square, weights));
  moire_value h = moire_linear_scan(moire_polar(moire_exp(moire_neg(moire_exp(rate))), phase), b);
  moire_value y = moire_real(moire_matmul(h, moire_complex_parameter(g, "out", square, weights)));
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_mean_all(moire_mul(y, y)));
  double forward = best_time(&t, "y", NULL, threads), both = best_time(&t, "loss", "loss", threads);
  printf("LRU (%lld, %lld, %lld): forward %.1f ms, forward and backward %.1f ms\n", (long long)samples,
         (long long)length, (long long)channels, forward * 1e3, both * 1e3);
  moire_graph_destroy(g);
}

int main(void) {
  moire_error error = {0};
  moire_threads *one = moire_threads_create(1, &error);
  moire__peaks peaks;
  if (!one || moire__peaks_measure(1, &peaks, &error)) bench_stop(&error);
  double rate = peaks.fma.one / 2;
  printf("one thread, %.1f billion operations a second\n", rate * 1e-9);
  measure(256, 50, 128, 64, rate, one);
  measure(8, 2048, 128, 64, rate, one);
  measure_lru(32, 1024, 64, one);
  moire_threads_destroy(one);
  return 0;
}
