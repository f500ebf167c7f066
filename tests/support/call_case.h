/* A call of the language in a graph of its own, with the outputs "y" and "loss": at every stage of the compiler
 * and in native code, with 1 to 3 threads, and its gradients against differences of the loss. */
#ifndef MOIRE_TESTS_SUPPORT_CALL_CASE_H
#define MOIRE_TESTS_SUPPORT_CALL_CASE_H

#include "tests/support/judge.h"

/* Compiles both outputs, with gradients. False with a sentence in `why`. */
bool test_call_compile(test_subject *s, const moire_graph *g, moire__text *why);

/* Whether "y", as the interpreter gives it, is what it should be: judged by the test. NULL: no more than
 * that all agree. */
typedef bool test_call_value(const void *context, const test_subject *s, const test_feed *feed,
                             moire__text *why);

/* All of it for states and inputs that are drawn, B being `batch`. Takes the graph. */
bool test_call_agrees(moire_graph *g, int64_t batch, test_call_value *has_wanted_value, const void *context,
                      const test_pools *pools, moire__text *why);

#endif
