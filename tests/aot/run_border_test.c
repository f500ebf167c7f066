/* Bad input at the border of a library of any graph, and graphs that no library is made of. */
#include "runtime/base/memory.h"
#include "tests/support/aot/aot_graph.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 3, WIDTH = 4, ROWS = 5 };

/* Rows of a table by 64-bit numbers in two axes, and what one input says for all samples. */
static void build(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  moire_value ids = moire_input(g, "ids", MOIRE_I64, MOIRE_SHAPE(b, 2));
  moire_value gain = moire_input(g, "gain", MOIRE_F32, MOIRE_SHAPE(WIDTH));
  moire_value label = moire_input(g, "label", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value table = moire_parameter(g, "table", MOIRE_SHAPE(ROWS, WIDTH), moire_init_uniform(-1, 1));
  moire_value rows = moire_embedding(table, ids, -1);
  moire_value sum = moire_sum(moire_mul(rows, moire_broadcast(gain, MOIRE_SHAPE(b, 2, WIDTH))), 1, false);
  moire_output(g, "sum", sum);
  moire_output(g, "again", moire_scale(sum, 2));
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(sum, label)));
}

static const int64_t ids[BATCH * 2] = {0, 4, 2, 2, 3, 1};
static const float gain[WIDTH] = {1, 2, 3, 4};
static const int32_t label[BATCH] = {0, 3, 1};

typedef struct bench {
  aot_graph m;
  aot_graph_library lib;
  test_path directory;
} bench;

static void start(bench *b, bool training) {
  test_make_directory(b->directory);
  aot_graph_make(&b->m, build, training, 3);
  b->lib = aot_graph_load(&b->m, &(aot_wish){.name = "net", .cpu = "host", .training = training}, b->directory);
}

static void stop(bench *b) {
  aot_unload(&b->lib.base);
  aot_graph_free(&b->m);
  test_remove_directory(b->directory);
}

static void run_work(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = 0; i < n; i++) work(job, i);
}

static library_status run(const bench *b, int64_t n, const void *some_ids, const void *some_gain) {
  float sum[BATCH * WIDTH];
  memset(sum, 0x55, sizeof sum);
  const void *inputs[] = {some_ids, some_gain};
  void *outputs[] = {sum, NULL};
  library_workspace workspace = {0};
  library_status status = b->lib.run(NULL, &workspace, n, inputs, outputs);
  for (int i = 0; i < BATCH * WIDTH && status; i++)
    cr_assert(!memcmp(&sum[i], (const char[]){0x55, 0x55, 0x55, 0x55}, 4), "results were touched");
  b->lib.base.workspace_free(&workspace);
  return status;
}

static void refuse_numbers(const bench *b) {
  const int64_t batches[] = {-1, INT64_MIN, INT64_MAX, LIBRARY_MAX_BATCH + (int64_t)1};
  const int64_t wrong[] = {-1, ROWS, INT64_MIN, INT64_MAX, (int64_t)1 << 32};
  cr_assert_eq(run(b, BATCH, ids, gain), LIBRARY_OK);
  cr_assert_eq(run(b, 0, NULL, gain), LIBRARY_OK);
  cr_assert_eq(run(b, 0, NULL, NULL), LIBRARY_ERROR_NULL);
  cr_assert_eq(run(b, BATCH, NULL, gain), LIBRARY_ERROR_NULL);
  cr_assert_eq(run(b, BATCH, ids, NULL), LIBRARY_ERROR_NULL);
  for (int i = 0; i < 4; i++) {
    cr_assert_eq(run(b, batches[i], ids, gain), LIBRARY_ERROR_BATCH);
    cr_assert_eq(b->lib.base.workspace_bytes(batches[i], 1), 0);
  }
  for (int i = 0; i < 5 * BATCH * 2; i++) {
    int64_t copy[BATCH * 2];
    memcpy(copy, ids, sizeof copy);
    copy[i % (BATCH * 2)] = wrong[i / (BATCH * 2)];
    cr_assert_eq(run(b, BATCH, copy, gain), LIBRARY_ERROR_ROW, "%d", i);
  }
  for (int i = -1; i < 64; i++) cr_assert(b->lib.base.status_text((library_status)i)[0] != 0);
}

static void refuse_pointers(const bench *b) {
  float sum[BATCH * WIDTH], again[BATCH * WIDTH];
  const void *inputs[] = {ids, gain};
  void *outputs[] = {sum, again}, *none[] = {NULL, NULL};
  library_workspace workspace = {0};
  cr_assert_eq(b->lib.run(NULL, NULL, BATCH, inputs, outputs), LIBRARY_ERROR_NULL);
  cr_assert_eq(b->lib.run(NULL, &workspace, BATCH, NULL, outputs), LIBRARY_ERROR_NULL);
  cr_assert_eq(b->lib.run(NULL, &workspace, BATCH, inputs, NULL), LIBRARY_ERROR_NULL);
  cr_assert_eq(b->lib.run(NULL, &workspace, BATCH, inputs, none), LIBRARY_OK);
  cr_assert_eq(b->lib.run(NULL, &workspace, BATCH, inputs, outputs), LIBRARY_OK);
  for (int i = 0; i < BATCH * WIDTH; i++) cr_assert_eq(again[i], 2 * sum[i]);
  const int threads[] = {-1, LIBRARY_MAX_THREADS + 1, INT_MIN, INT_MAX, 2 /* without run */};
  for (int i = 0; i < 5; i++) {
    workspace.threads = threads[i];
    cr_assert_eq(b->lib.run(NULL, &workspace, BATCH, inputs, outputs), LIBRARY_ERROR_THREADS);
  }
  b->lib.base.workspace_free(&workspace);
  for (int n = 0; n <= BATCH; n++) { /* exactly what is asked for, at any alignment; and a byte less */
    size_t bytes = b->lib.base.workspace_bytes(n, n);
    char *block = malloc(bytes + 3);
    workspace = (library_workspace){.memory = block + n, .bytes = bytes, .threads = n, .run = run_work};
    cr_assert(bytes && block);
    cr_assert_eq(b->lib.run(NULL, &workspace, n, inputs, outputs), LIBRARY_OK);
    workspace.bytes--;
    cr_assert_eq(b->lib.run(NULL, &workspace, n, inputs, outputs), LIBRARY_ERROR_WORKSPACE);
    free(block);
  }
}

Test(aot_run_border, refuses_bad_requests) {
  bench b = {0};
  start(&b, false);
  refuse_numbers(&b);
  refuse_pointers(&b);
  stop(&b);
}

Test(aot_run_border, refuses_bad_training) {
  bench b = {0};
  start(&b, true);
  const void *good[] = {ids, gain, label}, *missing[] = {ids, gain, NULL};
  const int32_t far[BATCH] = {0, WIDTH, 1}, negative[BATCH] = {0, 1, -1};
  const void *wrong[][3] = {{ids, gain, far}, {ids, gain, negative}};
  library_workspace workspace = {0};
  library_state *state = NULL;
  float loss = 0;
  cr_assert_eq(b.lib.base.state_create(NULL, 0, 3, &state), LIBRARY_OK);
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, good, 1, 0, &loss), LIBRARY_OK);
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, good, 1, 1, NULL), LIBRARY_OK);
  cr_assert_eq(b.lib.loss(state, &workspace, BATCH, good, &loss), LIBRARY_OK);
  cr_assert_eq(b.lib.step(NULL, &workspace, BATCH, good, 1, 0, &loss), LIBRARY_ERROR_NULL);
  cr_assert_eq(b.lib.step(state, NULL, BATCH, good, 1, 0, &loss), LIBRARY_ERROR_NULL);
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, NULL, 1, 0, &loss), LIBRARY_ERROR_NULL);
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, missing, 1, 0, &loss), LIBRARY_ERROR_NULL);
  cr_assert_eq(b.lib.step(state, &workspace, 0, good, 1, 0, &loss), LIBRARY_ERROR_BATCH);
  cr_assert_eq(b.lib.step(state, &workspace, -1, good, 1, 0, &loss), LIBRARY_ERROR_BATCH);
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, good, 1, -1, &loss), LIBRARY_ERROR_STEP);
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, good, 1, (int64_t)1 << 31, &loss), LIBRARY_ERROR_STEP);
  cr_assert_eq(b.lib.loss(state, &workspace, BATCH, good, NULL), LIBRARY_ERROR_NULL);
  for (int i = 0; i < 2; i++)
    cr_assert_eq(b.lib.step(state, &workspace, BATCH, wrong[i], 1, 0, &loss), LIBRARY_ERROR_ROW);
  cr_assert_eq(b.lib.base.training_bytes(0), 0);
  b.lib.base.workspace_free(&workspace);
  size_t n = b.lib.base.training_bytes(BATCH);
  char *block = malloc(n);
  workspace = (library_workspace){.memory = block, .bytes = n};
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, good, 1, 2, &loss), LIBRARY_OK);
  cr_assert_eq(b.lib.loss(state, &workspace, BATCH, good, &loss), LIBRARY_OK);
  workspace.bytes = 100;
  cr_assert_eq(b.lib.step(state, &workspace, BATCH, good, 1, 3, &loss), LIBRARY_ERROR_WORKSPACE);
  free(block);
  b.lib.base.state_free(state);
  stop(&b);
}

/* ---- Graphs ----------------------------------------------------------------------------------------- */

static void batch_behind(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  moire_output(g, "y", moire_scale(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(4, b)), 2));
}
static void two_extents(moire_graph *g) {
  moire_dim b = moire_extent(g, "B"), n = moire_extent(g, "N");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b)),
              y = moire_input(g, "y", MOIRE_F32, MOIRE_SHAPE(n));
  moire_output(g, "sum", moire_add(x, moire_broadcast(moire_sum(y, 0, true), MOIRE_SHAPE(b))));
}
static void multiple_batch(moire_graph *g) {
  moire_dim b = moire_dim_times(moire_extent(g, "B"), 3);
  moire_output(g, "y", moire_scale(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b)), 2));
}
static void all_pairs(moire_graph *g) {
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 4));
  moire_output(g, "y", moire_sum(moire_softmax(moire_matmul(x, moire_swap_axes(x, 0, 1))), 0, false));
}
static void loss_alone(moire_graph *g) {
  moire_dim b = moire_extent(g, "B");
  moire_output(g, "loss", moire_mean_all(moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b))));
}

static void refuse(void (*graph)(moire_graph *g), const char *const *outputs, int n, const char *sentence) {
  test_path directory;
  moire_error error = {0};
  aot_graph m = {0};
  test_make_directory(directory);
  aot_graph_make(&m, graph, false, 3);
  m.outputs = outputs;
  m.n_outputs = n;
  cr_assert_neq(aot_graph_write(&m, &(aot_wish){.name = "net", .cpu = "host"}, directory, &error), MOIRE_OK);
  cr_assert(strstr(error.message, sentence), "%s", error.message);
  cr_assert_eq(test_count_files(directory), 0);
  aot_graph_free(&m);
  test_remove_directory(directory);
}

Test(aot_run_border, refuses_graphs) {
  static const char *const absent[] = {"y"}, *const twice[] = {"sum", "sum"};
  refuse(batch_behind, NULL, 0, "input x is f32[4,B]: a library that runs takes and gives B samples");
  refuse(two_extents, NULL, 0, "input y is f32[N]");
  refuse(multiple_batch, NULL, 0, "input x is f32[3*B]");
  refuse(all_pairs, NULL, 0, "a size in it is a product of named extents");
  refuse(loss_alone, NULL, 0, "wanted an output beside the loss and the metrics");
  refuse(build, absent, 1, "has no output y");
  refuse(build, twice, 2, "asked for twice");
}

/* The loss is an output like others for whoever asks for it, and needs what it compares with. */
Test(aot_run_border, gives_the_loss_if_asked) {
  static const char *const loss[] = {"loss"};
  bench b = {0};
  test_make_directory(b.directory);
  aot_graph_make(&b.m, build, false, 3);
  b.m.outputs = loss;
  b.m.n_outputs = 1;
  b.lib = aot_graph_load(&b.m, &(aot_wish){.name = "net", .cpu = "host"}, b.directory);
  aot_graph_jit jit = aot_graph_jit_start(&b.m, loss, 1, false, "host");
  const void *inputs[] = {ids, gain, label};
  float value = 0;
  void *outputs[] = {&value};
  library_workspace workspace = {0};
  aot_graph_jit_set(&jit, "ids", ids, BATCH * 2);
  aot_graph_jit_set(&jit, "gain", gain, WIDTH);
  aot_graph_jit_set(&jit, "label", label, BATCH);
  aot_graph_jit_run(&jit, BATCH);
  cr_assert_eq(b.lib.run(NULL, &workspace, BATCH, inputs, outputs), LIBRARY_OK);
  cr_assert(!memcmp(&value, moire_runner_output(jit.runner, "loss", NULL), sizeof value));
  b.lib.base.workspace_free(&workspace);
  aot_graph_jit_stop(&jit);
  stop(&b);
}

Test(aot_run_border, lists_interfaces) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create("net", MOIRE_INFERENCE);
  moire_ahead_model model = {.name = "net", .interface = "fly", .config = "{}", .inference = g};
  moire_ahead_options options = moire_ahead_defaults();
  options.name = "net";
  cr_assert_eq(moire_ahead_write(&model, &options, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "interface \"fly\": wanted recommend, code, run, ratings or generate");
  moire_graph_destroy(g);
}
