#include "tests/support/machine.h"

#include <criterion/criterion.h>

test_machine test_machine_make(const moire_graph *g, const moire_compile_options *options, int threads,
                               uint64_t seed) {
  moire_error error = {0};
  test_machine m = {.program = moire_compile(g, options, &error)};
  cr_assert(m.program, "%s", error.message);
  m.store = moire_store_create();
  m.threads = moire_threads_create(threads, &error);
  cr_assert_eq(moire_store_declare(m.store, moire_program_plan(m.program), seed, &error), MOIRE_OK, "%s",
               error.message);
  m.runner = moire_runner_create(moire_program_plan(m.program), m.store, m.threads, &error);
  cr_assert(m.runner, "%s", error.message);
  return m;
}

void test_machine_destroy(test_machine *m) {
  moire_runner_destroy(m->runner);
  moire_threads_destroy(m->threads);
  moire_store_destroy(m->store);
  moire_program_destroy(m->program);
}
