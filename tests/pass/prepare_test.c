/* Which kernels are exact, and which steps of a plan are prepared. */
#include "compiler/driver/compile.h"
#include "compiler/pass/plan/prepare.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool is_exact(const char *text) {
  moire_error error = {0};
  moire__arena arena = {0};
  const moire__loop_kernel *k = moire__loop_parse(&arena, text, "test", &error);
  cr_assert(k, "%s", error.message);
  bool exact = moire__kernel_is_exact(k);
  moire__arena_free(&arena);
  return exact;
}

/* One element after the other: %a is loaded, %r stored. */
static bool is_exact_body(const char *body) {
  char text[600];
  snprintf(text, sizeof text,
           "kernel @k (\n in f32 %%x[64],\n out f32 %%y[64]) parallel %%p < ceil(64 / 64) {\n"
           "for %%i = 0 to 64 vector 16 {\n%%a = load %%x[%%i] : f32\n%s\nstore %%y[%%i] = %%r\n}\n}\n",
           body);
  return is_exact(text);
}

Test(prepare, exact_kernels) {
  cr_assert(is_exact_body("%r = add %a, %a : f32"));
  cr_assert(is_exact_body("%r = mul %a, %a : f32"));
  cr_assert(is_exact_body("%r = sqrt %a : f32"));
  cr_assert_not(is_exact_body("%b = mul %a, %a : f32\n%r = add %b, %a : f32"));
  cr_assert_not(is_exact_body("%r = exp %a : f32"));
  cr_assert_not(is_exact("kernel @k (\n in f32 %x[64],\n out f32 %y[1]) parallel %p < ceil(1 / 1) {\n"
                         "var $1 = 0.0 : f32\nfor %i = 0 to 64 vector 16 {\n%a = load %x[%i] : f32\n"
                         "reduce $1 add %a\n}\n%s = get $1 : f32\nstore %y[%p] = %s\n}\n"));
}

/* y = x (w + v)^T: the sum of the weights and its transposition depend on states alone. */
static moire_graph *model(void) {
  moire_graph *g = moire_graph_create("m", MOIRE_INFERENCE);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 8));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(5, 8), moire_init_constant(1));
  moire_value v = moire_parameter(g, "v", MOIRE_SHAPE(5, 8), moire_init_constant(1));
  moire_output(g, "y", moire_linear(x, moire_add(w, v), (moire_value){0}));
  return g;
}

Test(prepare, steps_of_weights) {
  moire_error error = {0};
  moire__target target = moire__target_host();
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *const[]){"y"};
  options.n_outputs = 1;
  moire_graph *g = model();
  moire__module *m = moire__driver_lower(g, &options, &target, &error);
  cr_assert(m, "%s", error.message);
  bool steps[16] = {false}, buffers[16] = {false};
  cr_assert(m->plan.n_steps < 16 && m->plan.n_buffers < 16);
  moire__pass_prepare(m, steps, buffers);
  int prepared = 0;
  for (int s = 0; s < m->plan.n_steps; s++) {
    prepared += steps[s];
    for (int i = 0; i < m->plan.steps[s].n_buffers && steps[s]; i++) {
      const moire_plan_buffer *b = &m->plan.buffers[m->plan.steps[s].buffers[i]];
      cr_assert(b->role == MOIRE_PLAN_STATE || b->role == MOIRE_PLAN_TEMPORARY, "%s", b->name);
    }
  }
  cr_assert_gt(prepared, 0);
  cr_assert_not(steps[m->plan.n_steps - 1]);
  moire__module_destroy(m);
  moire_graph_destroy(g);
}

/* A kernel of a single piece that reads nothing may still write a named extent, which is not known ahead. */
Test(prepare, named_extents_are_not_prepared) {
  moire_error error = {0};
  moire__target target = moire__target_host();
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *const[]){"y"};
  options.n_outputs = 1;
  moire_graph *g = moire_graph_create("m", MOIRE_INFERENCE);
  moire_dim b = moire_extent(g, "B");
  moire_value rows = moire_input(g, "rows", MOIRE_I32, MOIRE_SHAPE(moire_dim_times(b, 4)));
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_dim_times(b, 4), 8));
  moire_output(g, "y", moire_segment_sum(x, rows, b));
  moire__module *m = moire__driver_lower(g, &options, &target, &error);
  cr_assert(m, "%s", error.message);
  bool steps[16] = {false}, buffers[32] = {false}, numbers = false;
  cr_assert(m->plan.n_steps < 16 && m->plan.n_buffers < 32);
  moire__pass_prepare(m, steps, buffers);
  for (int i = 0; i < m->plan.n_buffers; i++) {
    numbers = numbers || !strcmp(m->plan.buffers[i].name, "iota");
    cr_assert_not(buffers[i], "%s is prepared", m->plan.buffers[i].name);
  }
  cr_assert(numbers, "the edges are not numbered");
  moire__module_destroy(m);
  moire_graph_destroy(g);
}
