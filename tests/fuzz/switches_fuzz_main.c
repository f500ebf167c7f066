/* Optimizations change no result. Models of random shapes, one as PyTorch spells it among them, and random
 * graphs of all operations (tests/support/graphs/random_graph.h), in turns, are compiled with everything and
 * without some of it: models give the same loss and gradients on the same batches, dropout included, by
 * rounding; outputs, gradients and steps of the optimizer of graphs are those of the interpreter, either way.
 *
 *   switches_fuzz_main [SECONDS [SEED]]     (20 seconds, seed 1; with SECONDS alone a seed from the clock)
 *
 * At least one of either. Prints the seed first, and of a difference the configuration or the graph, and what
 * was off.
 */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/base/text.h"
#include "runtime/config/config.h"
#include "tests/support/graphs/random_graph.h"
#include "tests/support/graphs/spelled_qia.h"
#include "tests/support/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEMS = 23, MOST_ROWS = 13, MOST_LENGTH = 20, BATCHES = 3 };

typedef struct machine {
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
} machine;

typedef struct batch {
  int32_t ids[MOST_ROWS * MOST_LENGTH], answers[MOST_ROWS], rng[3];
  int64_t wide[MOST_ROWS * MOST_LENGTH]; /* the ids */
  int64_t rows;
} batch;

static int draw(moire__random *random, int low, int high) {
  return low + (int)moire__random_below(random, (uint64_t)(high - low + 1));
}

static void add_ints(moire__text *json, const char *key, moire__random *random, int n, int high) {
  moire__text_add(json, ", \"%s\": [", key);
  for (int i = 0; i < n; i++) moire__text_add(json, "%s%d", i ? ", " : "", draw(random, 1, high));
  moire__text_add(json, "]");
}

/* A configuration of a random shape: odd sizes, one of everything, short and long filters. */
static void draw_config(moire__random *random, int length, moire__text *json) {
  static const int widths[] = {1, 2, 3, 5, 7, 8, 13, 16, 17};
  static const double dropouts[] = {0, 0.3, 0.6};
  int heads = draw(random, 1, 3), bands = draw(random, 1, 4);
  moire__text_add(json, "{\"item_size\": %d, \"max_seq_length\": %d", ITEMS, length);
  moire__text_add(json, ", \"num_attention_heads\": %d, \"hidden_size\": %d", heads,
                  heads * widths[draw(random, 0, 8)]);
  moire__text_add(json, ", \"num_hidden_layers\": %d, \"inner_size\": %d", draw(random, 1, 2),
                  draw(random, 1, 70));
  moire__text_add(json, ", \"hidden_dropout_prob\": %g, \"attention_probs_dropout_prob\": %g",
                  dropouts[draw(random, 0, 2)], dropouts[draw(random, 0, 2)]);
  moire__text_add(json, ", \"initializer_range\": 0.2, \"n_bands\": %d", bands);
  add_ints(json, "band_kernel_sizes", random, bands, 9);
  add_ints(json, "band_dilations", random, bands, 5);
  moire__text_add(json, "}");
}

/* NULL: the model has no such configuration. */
static moire_graph *build(const char *name, const char *json) {
  moire_error error = {0};
  const moire_model *model = moire_model_find(name, &error);
  moire__config_table table = {0};
  moire_config *config = NULL;
  moire_graph *g = NULL;
  moire__config_fields fields = {model->fields, model->n_fields};
  bool good = moire__config_table_add_json(&table, "fuzz", json, &error) == MOIRE_OK &&
              moire__config_build(&table, "fuzz", &fields, 1, &config, &error) == MOIRE_OK &&
              (!model->check || model->check(config, &error) == MOIRE_OK);
  if (good) {
    g = moire_graph_create(name, MOIRE_TRAINING);
    model->build(g, config);
  }
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

/* A random shape of what is spelled out. */
static moire_graph *build_spelled(moire__random *random, int length, moire__text *json) {
  spelled_qia shape = {.items = ITEMS,
                       .length = length,
                       .heads = draw(random, 1, 3),
                       .inner = draw(random, 1, 70),
                       .layers = draw(random, 1, 2),
                       .n_bands = draw(random, 1, SPELLED_MOST_BANDS),
                       .dropout = draw(random, 0, 1) ? 0.3 : 0,
                       .items_are = (spelled_items)draw(random, 0, SPELLED_OTHER_THAN_ZERO),
                       .mask_of_bools = draw(random, 0, 1)};
  shape.width = shape.heads * draw(random, 1, 17);
  for (int i = 0; i < shape.n_bands; i++) {
    shape.taps[i] = draw(random, 1, 9);
    shape.dilations[i] = draw(random, 1, 5);
  }
  moire__text_add(json, "of length %d", length);
  return spelled_qia_build(&shape);
}

static bool start(machine *m, const moire_graph *g, unsigned off, moire_threads *threads, moire__text *why) {
  moire_error error = {0};
  const char *loss = "loss";
  moire_compile_options options = moire_compile_defaults();
  options.outputs = &loss;
  options.n_outputs = 1;
  options.loss = loss;
  options.keep_gradients = true;
  options.off = off;
  *m = (machine){.program = moire_compile(g, &options, &error)};
  const moire_plan *plan = m->program ? moire_program_plan(m->program) : NULL;
  m->store = moire_store_create();
  if (plan && moire_store_declare(m->store, plan, 5, &error) == MOIRE_OK)
    m->runner = moire_runner_create(plan, m->store, threads, &error);
  if (!m->runner) moire__text_add(why, "%s", error.message);
  return m->runner != NULL;
}

static void stop(machine *m) {
  moire_runner_destroy(m->runner);
  moire_store_destroy(m->store);
  moire_program_destroy(m->program);
}

/* Histories of any length, none among them, and now and then one that does not end in an item. */
static void draw_batch(moire__random *random, int length, batch *b) {
  b->rows = draw(random, 1, MOST_ROWS);
  for (int64_t r = 0; r < b->rows; r++) {
    int items = draw(random, 0, length);
    for (int t = 0; t < length; t++)
      b->ids[r * length + t] = length - t <= items ? draw(random, 1, ITEMS - 1) : 0;
    if (draw(random, 0, 9) == 0) b->ids[r * length + length - 1] = 0;
    b->answers[r] = draw(random, 1, ITEMS - 1);
  }
  for (int64_t i = 0; i < b->rows * length; i++) b->wide[i] = b->ids[i];
  for (int i = 0; i < 3; i++) b->rng[i] = (int32_t)moire__random_bits(random);
}

/* Whether the ids have 64 bits. */
static bool has_wide_ids(const machine *m) {
  const moire_plan *plan = moire_program_plan(m->program);
  bool wide = false;
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    wide = wide || (b->role == MOIRE_PLAN_INPUT && b->dtype == MOIRE_I64 && !strcmp(b->name, "input_ids"));
  }
  return wide;
}

static bool run(machine *m, const batch *b, int length, moire__text *why) {
  moire_error error = {0};
  const void *ids = has_wide_ids(m) ? (const void *)b->wide : b->ids;
  moire_runner_set_extent(m->runner, "B", b->rows, &error);
  moire_runner_set_input(m->runner, "input_ids", ids, b->rows * length, &error);
  moire_runner_set_input(m->runner, "answers", b->answers, b->rows, &error);
  if (moire_runner_has_input(m->runner, "rng")) moire_runner_set_input(m->runner, "rng", b->rng, 3, &error);
  if (!error.status) moire_runner_run(m->runner, &error);
  if (error.status) moire__text_add(why, "%s", error.message);
  return !error.status;
}

/* ‖x - y‖ and ‖y‖; false if one of them lacks it. */
static bool distance(const machine *a, const machine *b, const char *name, double *apart, double *norm) {
  int64_t n = 0, other = 0;
  const float *x = moire_runner_output(a->runner, name, &n), *y = moire_runner_output(b->runner, name, &other);
  *apart = *norm = 0;
  for (int64_t i = 0; x && y && n == other && i < n; i++) {
    *apart += pow((double)x[i] - (double)y[i], 2);
    *norm += pow((double)y[i], 2);
  }
  *apart = sqrt(*apart);
  *norm = sqrt(*norm);
  return x && y && n == other;
}

/* Weights are rounded to a neighbour here and there, one unit in the last place. */
static void nudge(machine *m, uint64_t seed) {
  const moire_plan *plan = moire_program_plan(m->program);
  moire__random random = moire__random_start(seed, 3);
  for (int i = 0; i < plan->n_states; i++) {
    int64_t n = 0;
    float *x = moire_store_data(m->store, plan->states[i].name, &n);
    if (!plan->states[i].trained || plan->states[i].dtype != MOIRE_F32) continue;
    for (int64_t j = 0; j < n; j++)
      x[j] = (float)((double)x[j] * (1 + 0x1p-23 * (2 * moire__random_real(&random) - 1)));
  }
}

/* Without `attend`, or where attention is not recognised, rows that may see no key are sums of scores and
 * -10000, which costs three digits. `nudged`: the model of a with other last digits, or NULL; what they move,
 * roundings on the way move as well, some times as far, since there are more of them than weights. */
static bool agree(const machine *a, const machine *b, const machine *nudged, unsigned off, moire__text *why) {
  const double margin = 16;
  const unsigned spells =
      1u << MOIRE_OPTIMIZATION_attend | 1u << MOIRE_OPTIMIZATION_recognise | 1u << MOIRE_OPTIMIZATION_unite;
  double tolerance = off & spells ? 5e-3 : 2e-4;
  const moire_plan *plan = moire_program_plan(b->program);
  double largest = 0, apart = 0, norm = 0, moved = 0, size = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int i = -1; i < plan->n_states; i++) {
      char name[128] = "loss";
      if (i >= 0 && !plan->states[i].trained) continue;
      if (i >= 0) snprintf(name, sizeof name, "grad.%s", plan->states[i].name);
      bool there = distance(a, b, name, &apart, &norm);
      if (norm > largest) largest = norm;
      if (nudged) distance(a, nudged, name, &moved, &size);
      if (pass == 0 || (there && apart <= tolerance * (norm + 0.01 * largest) + margin * moved)) continue;
      if (why) moire__text_add(why, "%s: differs by %g of %g", name, apart, norm);
      return false;
    }
  }
  return true;
}

/* What does not agree by a number of digits may be a model that has not so many. */
static bool look_again(const machine *with, const machine *without, const moire_graph *g, const batch *b,
                       int length, unsigned off, uint64_t seed, moire_threads *threads, moire__text *why) {
  machine nudged;
  bool good = start(&nudged, g, 0, threads, why);
  if (good) nudge(&nudged, seed);
  good = good && run(&nudged, b, length, why) && agree(with, without, &nudged, off, why);
  stop(&nudged);
  return good;
}

static unsigned draw_switches(moire__random *random) {
  unsigned all = (1u << MOIRE_OPTIMIZATION_COUNT) - 1, off = 0;
  while (!off) off = (unsigned)moire__random_bits(random) & (unsigned)moire__random_bits(random) & all;
  return off;
}

static void say_switches(unsigned off, moire__text *why) {
  for (int i = 0; i < MOIRE_OPTIMIZATION_COUNT; i++)
    if (off >> i & 1) moire__text_add(why, " %s", moire_optimization_name((moire_optimization)i));
}

/* ---- models ---------------------------------------------------------------------------------------------- */

static bool judge_model(uint64_t seed, moire_threads *threads, int *models, moire__text *why) {
  static const char *const names[] = {"qia", "qia", "pswrec_v13", "pswrec_v1111", "pm_ssd", "wearec"};
  static const int lengths[] = {1, 2, 7, 9, 13, 17, MOST_LENGTH};
  moire__random random = moire__random_start(seed, 1);
  int which = draw(&random, 0, 7);
  const char *name = which < 6 ? names[which] : "spelled_qia";
  int length = lengths[draw(&random, 0, 6)];
  unsigned off = draw_switches(&random);
  moire__text json = {0};
  if (which < 6) draw_config(&random, length, &json);
  moire_graph *g = which < 6 ? build(name, moire__text_string(&json)) : build_spelled(&random, length, &json);
  bool good = true;
  if (g) {
    machine with, without = {0};
    good = start(&with, g, 0, threads, why) && start(&without, g, off, threads, why);
    for (int i = 0; i < BATCHES && good; i++) {
      batch b;
      draw_batch(&random, length, &b);
      good = run(&with, &b, length, why) && run(&without, &b, length, why);
      if (good && !agree(&with, &without, NULL, off, NULL))
        good = look_again(&with, &without, g, &b, length, off, seed, threads, why);
    }
    stop(&with);
    stop(&without);
    ++*models;
  }
  if (!good) {
    moire__text_add(why, "\n%s %s without", name, moire__text_string(&json));
    say_switches(off, why);
  }
  moire_graph_destroy(g);
  moire__text_free(&json);
  return good;
}

/* ---- graphs ---------------------------------------------------------------------------------------------- */

/* Without `attend`, rows that may see no key keep three digits less. */
static bool judge_graph(uint64_t seed, const test_pools *pools, int *graphs, moire__text *why) {
  enum { ALL_STEPS = 1000, MOST_BATCH = 20 };
  moire__random random = moire__random_start(seed, 2);
  uint64_t of_graph = moire__random_bits(&random) >> 16;
  unsigned off = draw_switches(&random) & ~(1u << MOIRE_OPTIMIZATION_attend);
  const test_way ways[] = {{.target = "host"}, {.target = "host", .off = off}};
  int64_t samples = draw(&random, 1, MOST_BATCH);
  random_graph r;
  random_graph_make(&r, of_graph, ALL_STEPS);
  bool good = true;
  if (moire_graph_status(r.g, NULL) == MOIRE_OK) {
    test_subject s;
    good = test_subject_make(&s, r.g, &r.options, ways, 2, why);
    if (good) {
      test_feed feed = test_feed_draw(s.stages[s.reference], r.ranges, r.n_ranges, samples, seed);
      good = test_subject_judge(&s, &feed, TEST_CHECK_NATIVE, pools, seed, why);
      test_feed_free(&feed);
      test_subject_free(&s);
    }
    ++*graphs;
  }
  if (!good) {
    moire__text_add(why, "\ngraph %llu (graph_fuzz_main --graph), batch %lld, without",
                    (unsigned long long)of_graph, (long long)samples);
    say_switches(off, why);
  }
  random_graph_free(&r);
  return good;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 20;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? (uint64_t)time(NULL) : 1;
  setenv("MOIRE_CACHE", "off", 0); /* what is drawn at random does not come again */
  test_pools pools = test_pools_make();
  struct timespec from, now;
  clock_gettime(CLOCK_MONOTONIC, &from);
  printf("seed %llu\n", (unsigned long long)seed);
  fflush(stdout);
  int models = 0, graphs = 0;
  for (;; seed++) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((double)(now.tv_sec - from.tv_sec) > seconds && models && graphs) break;
    moire__text why = {0};
    bool good =
        seed % 2 ? judge_model(seed, pools.pools[1], &models, &why) : judge_graph(seed, &pools, &graphs, &why);
    if (!good) printf("MISMATCH at seed %llu: %s\n", (unsigned long long)seed, moire__text_string(&why));
    moire__text_free(&why);
    if (!good) return 1;
  }
  printf("%d models and %d graphs agree\n", models, graphs);
  test_pools_free(&pools);
  return 0;
}
