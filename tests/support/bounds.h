/* What a graph gives in double, and how far float32 may be off: the judge of compiled code.
 *
 * A graph is evaluated several times in step by the references of its ops. Variant 0 is exact; in the others
 * every result is disturbed as if it had been rounded (by at most one unit in the last place of its type), and
 * so are the operands of sums, products and functions. How far the variants stray from variant 0 is the error
 * that float32 may make there, as badly conditioned as the graph may be. Where a comparison, or a cast to an
 * integer, is too close to call, half of the variants take the one side and half the other.
 *
 * A good value lies within `bound` of `value`; compiled code that does something else is far outside, since a
 * bound is a few dozen units in the last place unless the graph cancels. A few variants may agree by chance:
 * who finds a value outside asks again with many before calling it wrong.
 */
#ifndef MOIRE_TESTS_SUPPORT_BOUNDS_H
#define MOIRE_TESTS_SUPPORT_BOUNDS_H

#include "compiler/ir/graph/interpret.h"

/* What a graph is run on. Plain data, borrowed. */
typedef struct test_feed {
  int64_t extents[MOIRE_MAX_EXTENTS + 1];
  moire__named_tensor *inputs, *states;
  int n_inputs, n_states;
  moire__arena arena; /* of names that the graph has not */
} test_feed;

/* One output or update; a complex one is two, "<name>.real" and "<name>.imag". */
typedef struct test_value {
  const char *name;
  bool is_update;
  moire_dtype dtype; /* of the plane */
  int64_t elements;
  double *value;
  double *bound; /* of float32; INFINITY: anything goes. NULL in results of engines */
} test_value;

typedef struct test_values {
  moire__arena arena;
  test_value *list;
  int n, capacity;
  double largest; /* of all finite values on the way, of bounds: where it does not fit float32, there is none */
} test_values;

/* What is judged: code that rounds every result to float32, or the same loops with doubles in place of floats,
 * of which no more than 2^-20 of that is forgiven (a double is 2^-29 as fine). */
typedef enum test_precision { TEST_FLOAT32, TEST_DOUBLE } test_precision;

/* variants: at least 1; with 1 there are no bounds (NULL). */
moire_status test_bounds_run(const moire_graph *g, const test_feed *feed, int variants,
                             test_precision precision, uint64_t seed, test_values *out, moire_error *error);
void test_values_free(test_values *values);
const test_value *test_values_find(const test_values *values, const char *name, bool is_update);

/* Adds an entry whose value is zeroed and owned by the arena. */
test_value *test_values_add(test_values *values, const char *name, bool is_update, moire_dtype dtype,
                            int64_t elements);

/* Where `got` is wrong: the number of a value in `want` and its element, and a sentence in `why`. Everything in
 * `want` must be in `got`. */
bool test_values_agree(const test_values *want, const test_values *got, moire__text *why);
/* Are all values the same to the last bit (NaN equals NaN)? */
bool test_values_identical(const test_values *a, const test_values *b, moire__text *why);

#endif
