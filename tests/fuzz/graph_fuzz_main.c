/* The graph fuzzer: random graphs, compiled in several ways, against the interpreter.
 *
 *   graph_fuzz_main [SECONDS] [--nodes N] [--seed S]     runs so long, or until so many nodes were compared
 *   graph_fuzz_main --graph SEED [--steps N]             one graph, with its text
 *
 * Without arguments it runs 20 seconds from a fixed seed, as a test. Each graph
 * (tests/support/graphs/random_graph.h) is compiled in one way, with or without fusion and for one of three
 * targets, one in five with operands of products in bf16, and judged at two sizes of the batch by
 * tests/support/judge.h: every stage of the compiler against the graph as it was, native code against bounds of
 * float32, and threads against each other. The gradients along a random direction are compared with a
 * difference of the loss. Nodes are counted after autodiff and the optimizer, each once.
 *
 * A mismatch is made smaller by taking fewer steps of the same graph, printed with its seed, and ends the run
 * with status 1. A crash says which graph it was.
 */
#include "tests/support/judge.h"
#include "tests/support/slope.h"
#include "tests/support/graphs/random_graph.h"
#include "runtime/base/philox.h"

#include <argp.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ALL_STEPS = 1000 };

typedef struct arguments {
  double seconds;
  int64_t nodes;
  uint64_t seed, graph;
  int steps;
  bool has_seconds, has_graph, has_seed;
} arguments;

typedef struct tally {
  int64_t graphs, refused, model_nodes, nodes, kernels;
} tally;

/* Does something stand between the parameters and the loss whose gradient is not that of the function? */
static bool has_other_gradient(const moire_graph *g) {
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op == MOIRE__OP_stop_gradient) return true;
    if (node->op == MOIRE__OP_gather && moire__node_int_or(node, "padding", -1) >= 0) return true;
    if (g->values[node->first_result].dtype == MOIRE_BF16 || moire__node_int_or(node, "bf16", 0)) return true;
  }
  return false;
}

static bool judge_slope(const random_graph *r, const test_subject *s, const test_feed *feed, uint64_t seed,
                        moire__text *why) {
  if (!r->options.loss || !r->options.keep_gradients || has_other_gradient(s->stages[s->reference]))
    return true;
  return test_slope_agrees(s, feed, seed, why);
}

/* ---- one graph ------------------------------------------------------------------------------------------- */

static bool judge_size(const random_graph *r, const test_subject *s, int64_t size, unsigned checks,
                       const test_pools *pools, uint64_t seed, moire__text *why) {
  const moire_graph *g = s->stages[s->reference];
  test_feed feed = test_feed_draw(g, r->ranges, r->n_ranges, size, seed);
  bool good = test_subject_judge(s, &feed, checks, pools, seed, why);
  if (good && checks & TEST_CHECK_STAGES) good = judge_slope(r, s, &feed, seed, why);
  if (!good) moire__text_add(why, " (batch %lld)", (long long)size);
  test_feed_free(&feed);
  return good;
}

/* Counts nodes in `t` if it is not NULL. */
static bool judge_graph(uint64_t seed, int limit, const test_pools *pools, tally *t, moire__text *why) {
  static const char *const targets[] = {"host", "host", "x86-64-v3", "host", "generic", "host"};
  static const int64_t small[] = {1, 2, 3, 5}, large[] = {9, 17, 33, 70, 0, 130};
  /* Half of the graphs with everything, the others without some of it, seldom without all. */
  moire__random random = moire__random_start(seed, 11);
  unsigned all = (1u << MOIRE_OPTIMIZATION_COUNT) - 1;
  unsigned off = (unsigned)moire__random_bits(&random) & (unsigned)moire__random_bits(&random) & all;
  if (moire__random_below(&random, 10) == 0) off = all;
  /* Without `attend`, rows that may see no key are sums of scores and -10000: right, but to three digits less.
   */
  off &= ~(1u << MOIRE_OPTIMIZATION_attend);
  /* A mean over a batch of 0 is 0/0. Without `taps` a filter multiplies the zeros in front of a sequence, and 0
   * times NaN is NaN: in the gradient of a weight that else has none. Both are right. */
  bool spreads = off >> MOIRE_OPTIMIZATION_taps & 1 && seed / 6 % 2;
  int64_t batch = large[seed / 32 % 6];
  if (spreads && !batch) batch = 11;
  const test_way way = {.target = targets[seed % 6], .off = seed / 6 % 2 ? off : 0};
  random_graph r;
  random_graph_make(&r, seed, limit);
  if (seed % 5 == 4) r.options.precision = MOIRE_PRECISION_BF16;
  moire_error error = {0};
  if (moire_graph_status(r.g, &error) != MOIRE_OK) {
    if (t) t->refused++;
    if (getenv("MOIRE_FUZZ_VERBOSE")) fprintf(stderr, "refused: %s\n", error.message);
    random_graph_free(&r);
    return true;
  }
  test_subject s;
  bool good = test_text_is_stable(r.g, why) && test_subject_make(&s, r.g, &r.options, &way, 1, why);
  if (good) {
    good = judge_size(&r, &s, small[seed / 8 % 4], TEST_CHECK_ALL, pools, seed, why) &&
           judge_size(&r, &s, batch, TEST_CHECK_NATIVE, pools, seed, why);
    if (t) {
      t->graphs++;
      t->model_nodes += r.g->n_nodes;
      t->nodes += s.stages[s.reference]->n_nodes;
      t->kernels += s.modules[0] ? s.modules[0]->n_kernels : 0;
    }
    test_subject_free(&s);
  }
  random_graph_free(&r);
  return good;
}

static void print_graph(uint64_t seed, int limit) {
  random_graph r;
  random_graph_make(&r, seed, limit);
  if (seed % 5 == 4) r.options.precision = MOIRE_PRECISION_BF16;
  char *text = moire_compile_print(r.g, &r.options, "select", NULL);
  printf("%s", text ? text : "");
  printf("outputs:");
  for (int i = 0; i < r.options.n_outputs; i++) printf(" %s", r.options.outputs[i]);
  printf("%s%s, optimizer %d\n", r.options.loss ? ", loss" : "", r.options.keep_gradients ? ", gradients" : "",
         (int)r.options.training.optimizer);
  free(text);
  random_graph_free(&r);
}

/* Prints the shortest beginning of the graph that is wrong as well. */
static void report(uint64_t seed, int limit, const test_pools *pools) {
  moire__text why = {0};
  int steps = 0;
  for (; steps < limit; steps++) {
    moire__text_free(&why);
    if (!judge_graph(seed, steps, pools, NULL, &why)) break;
  }
  if (steps == limit) judge_graph(seed, limit, pools, NULL, &why);
  print_graph(seed, steps);
  printf("MISMATCH: --graph %llu --steps %d: %s\n", (unsigned long long)seed, steps, moire__text_string(&why));
  moire__text_free(&why);
}

/* ---- running --------------------------------------------------------------------------------------------- */

static char crash_note[120]; /* for the signal handler, which may only write */

static void say_where(int signal_number) {
  ssize_t written = write(STDERR_FILENO, crash_note, strlen(crash_note));
  (void)written;
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void catch_crashes(void) {
  static const int signals[] = {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS};
  for (int i = 0; i < 5; i++) signal(signals[i], say_where);
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A line now and then, so that a run of an hour can be told from one that hangs. */
static void say_progress(const arguments *a, const tally *t, double seconds, double *next) {
  enum { EVERY = 30 };
  if (seconds < *next) return;
  *next = seconds + EVERY;
  printf("%.0f s: %lld graphs, %lld nodes", seconds, (long long)t->graphs, (long long)t->nodes);
  if (a->nodes)
    printf(" of %lld, about %.0f s to go", (long long)a->nodes,
           seconds * (double)(a->nodes - t->nodes) / (double)(t->nodes ? t->nodes : 1));
  printf("\n");
  fflush(stdout);
}

static int run(const arguments *a, const test_pools *pools) {
  tally t = {0};
  double start = seconds_now(), next = 10;
  moire__random seeds = moire__random_start(a->seed, 9);
  printf("seed %llu\n", (unsigned long long)a->seed);
  fflush(stdout);
  while (a->nodes ? t.nodes < a->nodes : seconds_now() - start < a->seconds) {
    uint64_t seed = moire__random_bits(&seeds) >> 16;
    moire__text why = {0};
    snprintf(crash_note, sizeof crash_note, "\nCRASH: --graph %llu\n", (unsigned long long)seed);
    bool good = judge_graph(seed, ALL_STEPS, pools, &t, &why);
    moire__text_free(&why);
    if (good) {
      say_progress(a, &t, seconds_now() - start, &next);
      continue;
    }
    report(seed, ALL_STEPS, pools);
    return 1;
  }
  printf(
      "%lld graphs with %lld nodes, with gradients and optimizer %lld nodes, in %lld kernels, agree in %.0f s; "
      "%lld refused\n",
      (long long)t.graphs, (long long)t.model_nodes, (long long)t.nodes, (long long)t.kernels,
      seconds_now() - start, (long long)t.refused);
  return 0;
}

static int run_one(const arguments *a, const test_pools *pools) {
  moire__text why = {0};
  snprintf(crash_note, sizeof crash_note, "\nCRASH: --graph %llu --steps %d\n", (unsigned long long)a->graph,
           a->steps);
  print_graph(a->graph, a->steps);
  fflush(stdout);
  bool good = judge_graph(a->graph, a->steps, pools, NULL, &why);
  printf("%s%s\n", good ? "good" : "MISMATCH: ", moire__text_string(&why));
  moire__text_free(&why);
  return good ? 0 : 1;
}

/* ---- arguments ------------------------------------------------------------------------------------------- */

static uint64_t number_of(struct argp_state *state, const char *text) {
  char *end = NULL;
  unsigned long long value = strtoull(text, &end, 10);
  if (!*text || *end) argp_error(state, "\"%s\" is not a number", text);
  return value;
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case 'n': a->nodes = (int64_t)number_of(state, text); return 0;
    case 's':
      a->seed = number_of(state, text);
      a->has_seed = true;
      return 0;
    case 'g':
      a->graph = number_of(state, text);
      a->has_graph = true;
      return 0;
    case 't': a->steps = (int)number_of(state, text); return 0;
    case ARGP_KEY_ARG:
      a->seconds = (double)number_of(state, text);
      a->has_seconds = true;
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int main(int argc, char **argv) {
  static const struct argp_option options[] = {
      {"nodes", 'n', "N", 0, "Stop after so many nodes rather than by time", 0},
      {"seed", 's', "S", 0, "Where to begin; otherwise from the clock, or fixed where there are no arguments",
       0},
      {"graph", 'g', "SEED", 0, "Judge and print this graph alone", 0},
      {"steps", 't', "N", 0, "... and of it only so many steps", 0},
      {0}};
  static const struct argp parser = {options, parse, "[SECONDS]", "Compiles random graphs and compares.", 0,
                                     0,       0};
  arguments a = {.seconds = 20, .seed = 1, .steps = ALL_STEPS};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  if (argc > 1 && !a.has_seed) a.seed = (uint64_t)time(NULL);
  catch_crashes();
  setenv("MOIRE_CACHE", "off", 0); /* what is drawn at random does not come again */
  test_pools pools = test_pools_make();
  int status = a.has_graph ? run_one(&a, &pools) : run(&a, &pools);
  test_pools_free(&pools);
  return status;
}
