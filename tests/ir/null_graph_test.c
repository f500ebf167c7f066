/* A graph that is NULL ends the program with a sentence, whatever call it is given to. */
#include <criterion/criterion.h>

#include "moire/graph.h"

#include <signal.h>
#include <stdlib.h>

#define STOPS(name, call)                                                                                      \
  Test(null_graph, name, .signal = SIGABRT) { call; }

STOPS(parameter, moire_parameter(NULL, "w", MOIRE_SHAPE(3), moire_init_constant(0)))
STOPS(complex_parameter, moire_complex_parameter(NULL, "w", MOIRE_SHAPE(3), moire_init_constant(0)))
STOPS(state, moire_state(NULL, "w", MOIRE_F32, MOIRE_SHAPE(3), moire_init_constant(0)))
STOPS(input, moire_input(NULL, "x", MOIRE_F32, MOIRE_SHAPE(3)))
STOPS(constant, moire_constant(NULL, MOIRE_F32, MOIRE_SHAPE(3), 1))
STOPS(iota, moire_iota(NULL, MOIRE_SHAPE(3), 0))
STOPS(output, moire_output(NULL, "y", (moire_value){0}))
STOPS(update, moire_update(NULL, "w", (moire_value){0}))
STOPS(scope_push, moire_scope_push(NULL, "layer"))
STOPS(scope_pop, moire_scope_pop(NULL))
STOPS(extent, (void)moire_extent(NULL, "B"))
STOPS(status, (void)moire_graph_status(NULL, NULL))
STOPS(print, free(moire_graph_print(NULL)))

/* What comes after a mistake is silence, so values that are null give null. */
Test(null_graph, null_values_give_null) {
  cr_assert(moire_value_is_null(moire_add((moire_value){0}, (moire_value){0})));
  cr_assert(moire_value_is_null(moire_exp((moire_value){0})));
}

Test(null_graph, destroy_is_fine) { moire_graph_destroy(NULL); }
