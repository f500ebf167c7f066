/* The judge: does a graph mean the same at every stage of the compiler, and in every way to run it?
 *
 *   the graph after each pass, interpreted                    = the graph as it was      (double)
 *   its loop nests interpreted, every access checked          = the same                 (double)
 *   native code, with and without fusion, for each target     = the same                 (within bounds.h)
 *   native code on 1, 2 and 3 threads                         = itself, to the last bit
 *   text of graphs and loop nests that was read back          = itself
 */
#ifndef MOIRE_TESTS_SUPPORT_JUDGE_H
#define MOIRE_TESTS_SUPPORT_JUDGE_H

#include "moire/compile.h"
#include "tests/support/engines.h"

/* One way to compile. */
typedef struct test_way {
  const char *target;
  unsigned off;    /* optimizations that are not made */
  bool loops_only; /* no native code, which takes the most time to make */
} test_way;

enum { TEST_MOST_STAGES = 48, TEST_MOST_WAYS = 4 };

typedef struct test_subject {
  const moire_graph *model; /* borrows */
  moire_graph *stages[TEST_MOST_STAGES];
  const char *stage_names[TEST_MOST_STAGES];
  bool repeats[TEST_MOST_STAGES]; /* the pass gave back what it got, to the last letter: it means the same */
  int n_stages, reference; /* the stage that says what is wanted: with gradients and optimizer, nothing split */
  int first_stage;         /* the first that means the same: those before the operands were bf16 do not */
  moire__module *modules[TEST_MOST_WAYS];
  moire_program *programs[TEST_MOST_WAYS];
  test_way ways[TEST_MOST_WAYS];
  char *fused[TEST_MOST_WAYS]; /* text of what was lowered; a way that another has been already is left out */
  int n_ways;
} test_subject;

/* Compiles in all ways; complex inputs and states are not possible. What this machine cannot run is left out,
 * and so is native code for functions of f64, which there is none of. False with a sentence in `why`. */
bool test_subject_make(test_subject *s, const moire_graph *model, const moire_compile_options *options,
                       const test_way *ways, int n_ways, moire__text *why);
void test_subject_free(test_subject *s);

/* Pools of 1, 2 and 3 threads. A process makes them once: they do not survive a fork. */
typedef struct test_pools {
  moire_threads *pools[3];
} test_pools;
test_pools test_pools_make(void);
void test_pools_free(test_pools *pools);

enum {
  TEST_CHECK_STAGES = 1,
  TEST_CHECK_LOOPS = 2,
  TEST_CHECK_NATIVE = 4,
  TEST_CHECK_ALL = 7,
};

/* Runs on the feed and compares. `seed` draws disturbances. False with a sentence. */
bool test_subject_judge(const test_subject *s, const test_feed *feed, unsigned checks, const test_pools *pools,
                        uint64_t seed, moire__text *why);

/* print, parse and print again gives the same text. */
bool test_text_is_stable(const moire_graph *g, moire__text *why);

#endif
