/* Convolutions beside PyTorch on one thread: complex conv1d, 64 to 64 channels, 9 taps, length 1,024, batch 64,
 * and conv2d, 3 by 3, 64 to 64, 56 by 56, batch 16; forward, and with the gradients of x and of the weights.
 *
 *   convolutions [conv1d|conv2d]
 *
 * Times are the least CPU time of many runs, which other programs change little. PyTorch is run with the Python
 * of MOIRE_PYTHON (convolutions_torch.py), compiled, and eager.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tools/bench/support/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
  const char *name;
  bool complex;
  moire_shape x, w;
} shape;

static int64_t elements_of(const moire_shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->rank; i++) n *= s->dims[i];
  return n;
}

/* A parameter, so that it gets a gradient. */
static moire_value operand(moire_graph *g, const char *name, const moire_shape *s, bool complex) {
  moire_init small = moire_init_normal(0, 0.1);
  return complex ? moire_complex_parameter(g, name, *s, small) : moire_parameter(g, name, *s, small);
}

static double best_time(const shape *s, bool backward) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create("convolution", MOIRE_TRAINING);
  moire_value x = operand(g, "x", &s->x, s->complex), w = operand(g, "w", &s->w, s->complex), none = {0}, y;
  if (s->x.rank == 3)
    y = moire_conv1d(x, w, none, 1, 4, 1, 1);
  else
    y = moire_conv2d(x, w, none, NULL, (const int64_t[]){1, 1}, NULL, 1);
  /* The gradient of y is an input, as PyTorch is given it. */
  moire_shape like = moire_value_shape(y);
  int64_t n = elements_of(&like);
  moire_value slope = moire_input(g, "slope", MOIRE_F32, like);
  moire_value sum = moire_sum_all(moire_mul(s->complex ? moire_add(moire_real(y), moire_imag(y)) : y, slope));
  moire_output(g, "y", s->complex ? moire_real(y) : y);
  if (s->complex) moire_output(g, "z", moire_imag(y));
  moire_output(g, "loss", sum);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = backward ? (const char *[]){"loss"} : (const char *[]){"y", "z"};
  options.n_outputs = !backward && s->complex ? 2 : 1;
  options.loss = backward ? "loss" : NULL;
  options.keep_gradients = backward;
  moire_program *program = moire_compile(g, &options, &error);
  if (!program) bench_stop(&error);
  moire_threads *threads = moire_threads_create(1, &error);
  moire_store *store = moire_store_create();
  const moire_plan *plan = moire_program_plan(program);
  bench_require(moire_store_declare(store, plan, 1, &error), &error);
  moire_runner *runner = moire_runner_create(plan, store, threads, &error);
  if (!runner) bench_stop(&error);
  float *slopes = bench_numbers(n, 3);
  if (backward) bench_require(moire_runner_set_input(runner, "slope", slopes, n, &error), &error);
  double best = INFINITY, end = bench_clock(CLOCK_PROCESS_CPUTIME_ID) + 4;
  for (int run = 0; run < 4 || bench_clock(CLOCK_PROCESS_CPUTIME_ID) < end; run++) {
    double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    bench_require(moire_runner_run(runner, &error), &error);
    best = fmin(best, bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start);
  }
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire_threads_destroy(threads);
  moire_program_destroy(program);
  moire_graph_destroy(g);
  free(slopes);
  return best;
}

/* Seconds that PyTorch takes; NaN where it does not run. */
static double torch_time(const shape *s, bool backward, const char *how) {
  const char *python = getenv("MOIRE_PYTHON");
  char command[1024];
  double seconds = NAN;
  if (!python) return NAN;
  snprintf(command, sizeof command, "'%s' tools/bench/convolutions_torch.py %s %d %s", python, s->name,
           backward, how);
  FILE *from = popen(command, "r");
  if (!from) return NAN;
  if (fscanf(from, "%lf", &seconds) != 1) seconds = NAN;
  return pclose(from) == 0 ? seconds : NAN;
}

int main(int argc, char **argv) {
  static const shape shapes[] = {
      {"conv1d", true, {3, {64, 64, 1024}}, {3, {64, 64, 9}}},
      {"conv2d", false, {4, {16, 64, 56, 56}}, {4, {64, 64, 3, 3}}},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const shape *s = &shapes[i];
    if (argc > 1 && strcmp(argv[1], s->name) != 0) continue;
    for (int backward = 0; backward < 2; backward++) {
      double ours = best_time(s, backward);
      double compiled = torch_time(s, backward, "compiled"), eager = torch_time(s, backward, "eager");
      printf("%s%s %s: %.1f ms; PyTorch compiled %.1f ms (%.2f), eager %.1f ms (%.2f)\n",
             s->complex ? "complex " : "", s->name, backward ? "forward and backward" : "forward", ours * 1e3,
             compiled * 1e3, compiled / ours, eager * 1e3, eager / ours);
      fflush(stdout);
    }
  }
  return 0;
}
