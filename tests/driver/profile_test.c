/* A program profiles itself by the public headers, and what it writes is a profile. */
#include "moire/profile.h"

#include "compiler/profile/document.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 24, ROWS = 10 };

typedef struct own {
  moire_graph *graph;
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
  float x[ROWS * WIDTH];
} own;

static void make(own *o, bool keep) {
  static const char *const outputs[] = {"y"};
  moire_error error = {0};
  *o = (own){0};
  moire_graph *g = o->graph = moire_graph_create("own", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), WIDTH));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(WIDTH, WIDTH), moire_init_normal(0, 1));
  moire_output(g, "y", moire_tanh(moire_linear(x, w, (moire_value){0})));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.keep_kernels = keep;
  o->program = moire_compile(g, &options, &error);
  cr_assert_not_null(o->program, "%s", error.message);
  o->store = moire_store_create();
  cr_assert(!moire_store_declare(o->store, moire_program_plan(o->program), 1, &error), "%s", error.message);
  o->threads = moire_threads_create(1, &error);
  o->runner = moire_runner_create(moire_program_plan(o->program), o->store, o->threads, &error);
  cr_assert_not_null(o->runner, "%s", error.message);
  moire_runner_set_extent(o->runner, "B", ROWS, &error);
  cr_assert(!moire_runner_set_input(o->runner, "x", o->x, ROWS * WIDTH, &error), "%s", error.message);
}

static void drop(own *o) {
  moire_runner_destroy(o->runner);
  moire_threads_destroy(o->threads);
  moire_store_destroy(o->store);
  moire_program_destroy(o->program);
  moire_graph_destroy(o->graph);
}

Test(profile, runs_are_timed_counted_and_written) {
  own o;
  make(&o, true);
  moire_error error = {0};
  moire_profile_options how = moire_profile_defaults("own");
  how.mode = "inference";
  how.runs = 5;
  how.peaks = false;
  how.graph = o.graph;
  moire_profile *profile = moire_profile_start(&how, o.program, o.runner, &error);
  cr_assert_not_null(profile, "%s", error.message);
  test_path folder, path;
  test_make_directory(folder);
  cr_assert_eq(moire_profile_write(profile, folder, &error), MOIRE_ERROR_ARGUMENT, "nothing was run");
  moire_profile_destroy(profile);

  error = (moire_error){0};
  profile = moire_profile_start(&how, o.program, o.runner, &error);
  for (int i = 0; i < 12; i++) cr_assert(!moire_runner_run(o.runner, &error), "%s", error.message);
  cr_assert_eq(moire_profile_runs(profile), 5);
  cr_assert(!moire_profile_write(profile, folder, &error), "%s", error.message);
  moire_profile_destroy(profile);
  cr_assert(!moire_runner_run(o.runner, &error), "the runner is as it was");

  json_t *read = moire__profile_read(test_join(folder, "profile.json", path), &error);
  cr_assert_not_null(read, "%s", error.message);
  double flop = 0;
  size_t i = 0;
  json_t *kernel = NULL;
  json_array_foreach(json_object_get(read, "kernels"), i, kernel) flop +=
      json_number_value(json_object_get(kernel, "flop"));
  cr_assert(flop >= 2.0 * ROWS * WIDTH * WIDTH, "its work is counted, but %g came", flop);
  cr_assert_str_eq(json_string_value(json_object_get(read, "model")), "own");
  json_decref(read);
  cr_assert_eq(access(test_join(folder, "report.html", path), R_OK), 0, "the page stands beside it");
  test_remove_directory(folder);
  drop(&o);
}

Test(profile, what_cannot_be_profiled_is_refused) {
  own o;
  make(&o, false);
  moire_error error = {0};
  moire_profile_options how = moire_profile_defaults("own");
  cr_assert_null(moire_profile_start(&how, o.program, o.runner, &error));
  cr_assert(strstr(error.message, "keep_kernels"), "%s", error.message);
  drop(&o);
  make(&o, true);
  how.runs = 0;
  error = (moire_error){0};
  cr_assert_null(moire_profile_start(&how, o.program, o.runner, &error));
  cr_assert(strstr(error.message, "0 runs"), "%s", error.message);
  drop(&o);
}
