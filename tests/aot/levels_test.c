/* Which version of its code a library takes, and which target the JIT, by the processor: products of pairs of
 * bf16 only where they are fast, tiles where they are permitted. Processors are made up (any_cpuid.h); nothing
 * that is chosen is run. */
#include "compiler/codegen/codegen.h"
#include "tests/support/amx/any_cpuid.h"
#include "tests/support/aot/aot_graph.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <stdio.h>

#if defined(__x86_64__)
#include "runtime/base/dot_rate.h"

static const char *const narrow[] = {"x86-64-v4-amx", "x86-64-v4-bf16", "x86-64-v4", "x86-64-v3"};

static const struct {
  const char *cpuid, *wanted;
} table[] = {
    {"AuthenticAMD bf16", "x86-64-v4-bf16"}, {"AuthenticAMD", "x86-64-v4"},
    {"GenuineIntel", "x86-64-v4"},           {"GenuineIntel bf16", "x86-64-v4"}, /* Cooper Lake */
    {"GenuineIntel bf16 amx", "x86-64-v4"},  {"GenuineIntel bf16 amx tiles", "x86-64-v4-amx"},
};
enum { ROWS = sizeof table / sizeof *table };

/* LLVM's words for the processor of CPUID. */
static moire__target best_target(void) {
  char features[400];
  snprintf(
      features, sizeof features,
      "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe,+avx512f,+avx512bw,+avx512dq,+avx512vl,"
      "+avx512cd,%cavx512bf16,%camx-tile,%camx-bf16",
      cpuid_says("bf16") ? '+' : '-', cpuid_says("amx") ? '+' : '-', cpuid_says("amx") ? '+' : '-');
  return moire__target_best(features, moire__dots_are_fast(), cpuid_says("tiles"));
}

Test(levels, the_jit_takes_what_is_fast) {
  for (int i = 0; i < ROWS; i++) {
    setenv("CPUID", table[i].cpuid, 1);
    moire__target best = best_target();
    cr_assert_str_eq(best.name, table[i].wanted, "%s: %s", table[i].cpuid, best.name);
  }
}

/* Of x + x, with these versions, asked for CPUID. */
static void write_library(const char *directory, const char *const *cpus, int n_cpus) {
  char *header = realpath("tests/support/amx/any_cpuid.h", NULL), cc[5000];
  cr_assert(header, "run from the top of the source tree");
  snprintf(cc, sizeof cc, "cc -include %s", header);
  free(header);
  moire_graph *g = moire_graph_create("twice", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 8));
  moire_output(g, "y", moire_add(x, x));
  moire_ahead_model model = {.name = "twice", .interface = "run", .config = "{}", .inference = g};
  moire_ahead_options options = moire_ahead_defaults();
  options.name = "lib";
  options.directory = directory;
  options.cc = cc;
  options.cpus = cpus;
  options.n_cpus = n_cpus;
  moire_error error = {0};
  cr_assert_eq(moire_ahead_write(&model, &options, &error), MOIRE_OK, "%s", error.message);
  moire_graph_destroy(g);
}

static void expect_version(const char *directory, const char *cpuid, const char *wanted) {
  char path[600];
  snprintf(path, sizeof path, "%s/lib.so", directory);
  setenv("CPUID", cpuid, 1);
  aot_library library = aot_load(path, "lib"); /* which asks anew */
  const char *got = library.cpu();
  cr_assert(wanted ? got && !strcmp(got, wanted) : !got, "%s: %s", cpuid, got ? got : "none");
  aot_unload(&library);
}

Test(levels, a_library_takes_what_is_fast) {
  test_path directory;
  test_make_directory(directory);
  write_library(directory, narrow, 4);
  for (int i = 0; i < ROWS; i++) expect_version(directory, table[i].cpuid, table[i].wanted);
  test_remove_directory(directory);
}

Test(levels, a_library_with_pairs_alone_runs_where_they_are_slow) {
  test_path directory;
  test_make_directory(directory);
  write_library(directory, &narrow[1], 1);
  expect_version(directory, "AuthenticAMD bf16", "x86-64-v4-bf16");
  expect_version(directory, "GenuineIntel bf16", "x86-64-v4-bf16");
  expect_version(directory, "GenuineIntel", NULL);
  test_remove_directory(directory);
}
#endif
