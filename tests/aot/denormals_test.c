/* Numbers below the normal range: zero while kernels run, on every thread, in the JIT's programs and in
 * libraries; kept with `flush` off; and the caller's own arithmetic is as it was. */
#include "runtime/base/float_mode.h"
#include "tests/support/aot/aot_graph.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <string.h>

enum { N = 4096 };
static const float tiny = 1.5e-38f; /* normal; half of it is not */

static void build(moire_graph *g) {
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 1));
  moire_value halves = moire_scale(x, 0.5);
  moire_output(g, "halves", halves);
}

static void *inputs(void) {
  static float x[N];
  for (int i = 0; i < N; i++) x[i] = i % 2 ? tiny : -1;
  return x;
}

static void check(const float *halves, bool flushed) {
  const float half = tiny / 2; /* the caller's arithmetic keeps it */
  cr_assert_gt(half, 0.0f);
  for (int i = 0; i < N; i++) {
    float want = i % 2 ? (flushed && MOIRE__FLOAT_FLUSH ? 0 : half) : -0.5f;
    cr_assert(!memcmp(&halves[i], &want, sizeof want), "element %d is %g, wanted %g", i, (double)halves[i],
              (double)want);
  }
}

/* `caller`: the mode in which the run is called, and which must still be set behind it. */
static void run_jit(bool flush, int n_threads, uint64_t caller) {
  moire_error error = {0};
  moire_graph *g = moire_graph_create("halves", MOIRE_INFERENCE);
  build(g);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *const[]){"halves"};
  options.n_outputs = 1;
  if (!flush) options.off = 1u << MOIRE_OPTIMIZATION_flush;
  moire_program *program = moire_compile(g, &options, &error);
  cr_assert_not_null(program, "%s", error.message);
  moire_store *store = moire_store_create();
  moire_threads *threads = moire_threads_create(n_threads, &error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, threads, &error);
  moire_runner_set_extent(runner, "B", N, &error);
  moire_runner_set_input(runner, "x", inputs(), N, &error);
  uint64_t before = moire__float_flush(caller);
  moire_status status = moire_runner_run(runner, &error);
  uint64_t behind = moire__float_flush(before);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  cr_assert_eq(behind, caller);
  check(moire_runner_output(runner, "halves", NULL), flush);
  moire_runner_destroy(runner);
  moire_threads_destroy(threads);
  moire_store_destroy(store);
  moire_program_destroy(program);
  moire_graph_destroy(g);
}

Test(denormals, count_as_zero_in_programs) {
  for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
    for (int i = 0; i < 4; i++) run_jit(i & 1, n_threads, i & 2 ? MOIRE__FLOAT_FLUSH : 0);
  }
}

static void run_work(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = n - 1; i >= 0; i--) work(job, i);
}

Test(denormals, count_as_zero_in_libraries) {
  static float halves[N];
  test_path directory;
  test_make_directory(directory);
  for (int flush = 0; flush < 2; flush++) {
    aot_graph m = {0};
    aot_graph_make(&m, build, false, 7);
    if (!flush) m.optimizer.off = 1u << MOIRE_OPTIMIZATION_flush;
    aot_graph_library lib = aot_graph_load(&m, &(aot_wish){.name = flush ? "zero" : "kept"}, directory);
    for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
      library_workspace workspace = {.threads = n_threads, .run = run_work};
      const void *fields[] = {inputs()};
      void *results[] = {halves};
      cr_assert_eq(lib.run(NULL, &workspace, N, fields, results), LIBRARY_OK);
      check(halves, flush);
      lib.base.workspace_free(&workspace);
    }
    aot_unload(&lib.base);
    aot_graph_free(&m);
  }
  test_remove_directory(directory);
}
