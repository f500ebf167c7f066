/* A program with all that it takes to run it. */
#ifndef MOIRE_TESTS_SUPPORT_MACHINE_H
#define MOIRE_TESTS_SUPPORT_MACHINE_H

#include "moire/compile.h"
#include "moire/run.h"

typedef struct test_machine {
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
} test_machine;

/* The graph compiled, its states declared from `seed`; a failure ends the test. The graph is only read. */
test_machine test_machine_make(const moire_graph *g, const moire_compile_options *options, int threads,
                               uint64_t seed);
void test_machine_destroy(test_machine *m);

#endif
