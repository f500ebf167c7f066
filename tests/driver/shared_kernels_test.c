/* A recurrence that is written out step by step has as many kernels as its first few steps, and the numbers of
 * one whose kernels are its own. */
#include <criterion/criterion.h>

#include "compiler/driver/driver.h"
#include "moire/compile.h"
#include "tests/support/call_case.h"
#include "tests/support/machine.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 5 };

/* h' = tanh(h w + x_t) with dropout at each step, so that steps also differ in the stream that they draw. */
static moire_graph *build(int64_t steps) {
  moire_graph *g = moire_graph_create("rnn", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, steps, WIDTH));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(WIDTH, WIDTH), moire_init_normal(0, 0.5));
  moire_value scale = moire_parameter(g, "scale", MOIRE_SHAPE(WIDTH), moire_init_uniform(0.5, 1));
  moire_value h = moire_constant(g, MOIRE_F32, MOIRE_SHAPE(b, WIDTH), 0), all = moire_mul(x, scale);
  for (int64_t t = 0; t < steps; t++) {
    moire_value now = moire_reshape(moire_slice(all, 1, t, 1), MOIRE_SHAPE(b, WIDTH));
    h = moire_dropout(moire_tanh(moire_add(moire_matmul(h, w), now)), 0.2);
  }
  moire_output(g, "y", h);
  moire_output(g, "loss", moire_sum_all(moire_mul(h, h)));
  return g;
}

static int kernels_of(int64_t steps) {
  static const char *const outputs[] = {"y", "loss"};
  moire_graph *g = build(steps);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  options.cache = "";
  test_machine m = test_machine_make(g, &options, 1, 1);
  const moire_plan *plan = moire_program_plan(m.program);
  int n = plan->n_kernels, with = 0;
  for (int i = 0; i < plan->n_steps; i++) with += plan->steps[i].n_constants > 0;
  cr_assert_geq(with, (int)steps - 4, "%d of %d steps are given numbers", with, plan->n_steps);
  test_machine_destroy(&m);
  moire_graph_destroy(g);
  return n;
}

Test(shared_kernels, there_are_no_more_of_them_for_more_steps, .timeout = 120) {
  int few = kernels_of(12), many = kernels_of(60);
  cr_assert_eq(few, many, "%d kernels for 12 steps, %d for 60", few, many);
}

Test(shared_kernels, they_compute_what_the_steps_say, .timeout = 120) {
  test_pools pools = test_pools_make();
  moire__text why = {0};
  for (int64_t batch = 1; batch < 40; batch += 38)
    cr_assert(test_call_agrees(build(9), batch, NULL, NULL, &pools, &why), "%s", moire__text_string(&why));
  test_pools_free(&pools);
  moire__text_free(&why);
}

/* The plan's text says the numbers, and reads back. */
Test(shared_kernels, the_text_of_a_plan_has_the_numbers) {
  moire_graph *g = build(12);
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  moire_error error = {0};
  char *text = moire_compile_print(g, &options, "memory_plan", &error);
  cr_assert_not_null(text, "%s", error.message);
  cr_assert_not_null(strstr(text, ") with ("));
  moire__module *m = moire__plan_parse(text, "plan", &error);
  cr_assert_not_null(m, "%s", error.message);
  moire__text again = {0};
  moire__module_print_plan(m, &again);
  cr_assert_str_eq(moire__text_string(&again), text);
  moire__text_free(&again);
  moire__module_destroy(m);
  free(text);
  moire_graph_destroy(g);
}
