/* Graphs run by each way that there is to run them, with results that can be compared (bounds.h). */
#ifndef MOIRE_TESTS_SUPPORT_ENGINES_H
#define MOIRE_TESTS_SUPPORT_ENGINES_H

#include "compiler/pass/plan/module.h"
#include "compiler/pass/pass.h"
#include "moire/run.h"
#include "tests/support/bounds.h"

/* ---- data ------------------------------------------------------------------------------------------------ */

/* The same graph (owned) where every complex input x is complex(x.real, x.imag), which gradients can reach. */
moire_graph *test_real_inputs(const moire_graph *g);

typedef struct test_range {
  const char *name; /* of an input or state; "x" is also for its planes, "x*" for all that begin so */
  double low, high;
} test_range;

/* Values for all inputs (of complex ones also the planes) and states of g, exact in their type: uniform in the
 * range of their name, or in [-1, 1); integers from low to high - 1; bools 0 or 1. The first named
 * extent is `size`, others are up to 5. The names are the graph's. */
test_feed test_feed_draw(const moire_graph *g, const test_range *ranges, int n_ranges, int64_t size,
                         uint64_t seed);
void test_feed_free(test_feed *feed);
moire__tensor *test_feed_find(const test_feed *feed, const char *name); /* an input or a state; or NULL */

/* ---- engines ---------------------------------------------------------------------------------------------
 * All give what `want` lists (other results are left out). */

/* The interpreter of graphs. */
moire_status test_run_graph(const moire_graph *g, const test_feed *feed, test_values *out, moire_error *error);

/* The interpreter of loop nests, in double: every access is checked, what has not been written is NaN, and the
 * pieces of a step run from the last to the first if `backwards`. */
moire_status test_run_loops(const moire__module *m, const test_feed *feed, bool backwards,
                            const test_values *want, test_values *out, moire_error *error);

/* Native code. `threads` is borrowed. */
moire_status test_run_plan(const moire_plan *plan, const test_feed *feed, moire_threads *threads,
                           const test_values *want, test_values *out, moire_error *error);

#endif
