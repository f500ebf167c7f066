/* The graph interpreter: numbers, what is evaluated, what is given and taken. */
#include <criterion/criterion.h>

#include "compiler/ir/graph/interpret.h"

#include <math.h>
#include <string.h>

static moire__tensor *tensor(moire_dtype dtype, moire_shape shape, const double *re, const double *im) {
  moire__tensor *t = moire__tensor_create(dtype, &shape, NULL);
  for (int64_t i = 0; i < t->elements; i++) {
    t->re[i] = re[i];
    if (t->im) t->im[i] = im ? im[i] : 0;
  }
  return t;
}

static void expect_elements(const moire__tensor *t, int n, const double *wanted) {
  cr_assert_not_null(t);
  cr_assert_eq(t->elements, n);
  for (int i = 0; i < n; i++) {
    cr_assert(!(fabs(t->re[i] - wanted[i]) > 1e-12), "element %d is %g, not %g", i, t->re[i], wanted[i]);
  }
}

/* y = x w, loss = mean(y), w' = w / 2, and an input that only `unused` reads. */
typedef struct fixture {
  moire_graph *g;
  moire__named_tensor inputs[1], states[1];
  moire__graph_feed feed;
} fixture;

static const int64_t two[] = {0, 2};

static fixture make(void) {
  fixture f = {.g = moire_graph_create("test", MOIRE_TRAINING)};
  moire_dim b = moire_extent(f.g, "B");
  moire_value x = moire_input(f.g, "x", MOIRE_F32, MOIRE_SHAPE(b, 2));
  moire_value other = moire_input(f.g, "other", MOIRE_F32, MOIRE_SHAPE(b, 2));
  moire_value w = moire_parameter(f.g, "w", MOIRE_SHAPE(2, 3), moire_init_constant(1));
  moire_value y = moire_matmul(x, w);
  moire_output(f.g, "y", y);
  moire_output(f.g, "same", y);
  moire_output(f.g, "x", x);
  moire_output(f.g, "loss", moire_mean_all(y));
  moire_update(f.g, "w", moire_scale(w, 0.5));
  moire_add(other, x);
  moire_error error = {0};
  cr_assert_eq(moire__graph_verify(f.g, &error), MOIRE_OK, "%s", error.message);
  f.inputs[0] = (moire__named_tensor){"x", tensor(MOIRE_F32, MOIRE_SHAPE(2, 2), (double[]){1, 2, 3, 4}, NULL)};
  f.states[0] =
      (moire__named_tensor){"w", tensor(MOIRE_F32, MOIRE_SHAPE(2, 3), (double[]){1, 0, 2, 0, 1, 3}, NULL)};
  return f;
}

static moire__graph_feed feed_of(const fixture *f) {
  return (moire__graph_feed){
      .extents = two, .inputs = f->inputs, .n_inputs = 1, .states = f->states, .n_states = 1};
}

static void drop(fixture *f) {
  moire__tensor_destroy(f->inputs[0].tensor);
  moire__tensor_destroy(f->states[0].tensor);
  moire_graph_destroy(f->g);
}

Test(interpret, outputs_and_updates_by_name) {
  fixture f = make();
  moire__graph_feed feed = feed_of(&f);
  moire__graph_results results;
  moire_error error = {0};
  cr_assert_eq(moire__graph_interpret(f.g, &feed, &results, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(results.n_outputs, 4);
  cr_assert_eq(results.n_updates, 1);
  const double y[] = {1, 2, 8, 3, 4, 18};
  expect_elements(moire__named_tensor_find(results.outputs, 4, "y"), 6, y);
  expect_elements(moire__named_tensor_find(results.outputs, 4, "same"), 6, y);
  expect_elements(moire__named_tensor_find(results.outputs, 4, "x"), 4, (double[]){1, 2, 3, 4});
  expect_elements(moire__named_tensor_find(results.outputs, 4, "loss"), 1, (double[]){6});
  expect_elements(moire__named_tensor_find(results.updates, 1, "w"), 6, (double[]){0.5, 0, 1, 0, 0.5, 1.5});
  cr_assert_null(moire__named_tensor_find(results.outputs, 4, "z"));
  moire__tensor *taken = results.outputs[0].tensor; /* the caller may keep a tensor */
  results.outputs[0].tensor = NULL;
  moire__graph_results_free(&results);
  expect_elements(taken, 6, y);
  moire__tensor_destroy(taken);
  drop(&f);
}

Test(interpret, only_what_is_wanted_needs_its_inputs) {
  fixture f = make();
  moire__graph_feed feed = feed_of(&f);
  feed.n_states = 0;
  feed.only = (const char *const[]){"x"};
  feed.n_only = 1;
  moire__graph_results results;
  moire_error error = {0};
  cr_assert_eq(moire__graph_interpret(f.g, &feed, &results, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(results.n_outputs + results.n_updates, 1);
  expect_elements(results.outputs[0].tensor, 4, (double[]){1, 2, 3, 4});
  moire__graph_results_free(&results);
  drop(&f);
}

Test(interpret, what_is_given_must_fit) {
  fixture f = make();
  moire__graph_feed feed = feed_of(&f);
  moire__graph_results results;
  moire_error error = {0};
  feed.n_states = 0;
  cr_assert_eq(moire__graph_interpret(f.g, &feed, &results, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "state w was not given");
  feed = feed_of(&f);
  feed.extents = (const int64_t[]){0, 3};
  error = (moire_error){0};
  cr_assert_eq(moire__graph_interpret(f.g, &feed, &results, &error), MOIRE_ERROR_SHAPE);
  cr_assert_str_eq(error.message, "input x: f32[2,2] was given for f32[B,2], B = 3");
  feed.extents = NULL;
  error = (moire_error){0};
  cr_assert_eq(moire__graph_interpret(f.g, &feed, &results, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "extent B was not given a size");
  feed = feed_of(&f);
  feed.only = (const char *const[]){"z"};
  feed.n_only = 1;
  error = (moire_error){0};
  cr_assert_eq(moire__graph_interpret(f.g, &feed, &results, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "graph @test has no output z");
  cr_assert_null(results.outputs);
  drop(&f);
}

/* ---- the sugar of the language means what it says -------------------------------------------------------- */

/* Evaluates the graph's output "y" for z = (3 + 4i, 0, -1 + i) and x = (2, 3, 4). */
static moire__tensor *value_of(moire_graph *g, moire_value y) {
  moire_output(g, "y", y);
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  moire__named_tensor inputs[] = {
      {"z", tensor(MOIRE_C64, MOIRE_SHAPE(3), (double[]){3, 0, -1}, (double[]){4, 0, 1})},
      {"x", tensor(MOIRE_F32, MOIRE_SHAPE(3), (double[]){2, 3, 4}, NULL)}};
  moire__graph_feed feed = {.inputs = inputs, .n_inputs = 2};
  moire__graph_results results;
  cr_assert_eq(moire__graph_interpret(g, &feed, &results, &error), MOIRE_OK, "%s", error.message);
  moire__tensor *taken = results.outputs[0].tensor;
  results.outputs[0].tensor = NULL;
  moire__graph_results_free(&results);
  for (int i = 0; i < 2; i++) moire__tensor_destroy(inputs[i].tensor);
  moire_graph_destroy(g);
  return taken;
}

typedef moire_value sugar(moire_value z, moire_value x);

static moire_value by_abs(moire_value z, moire_value x) { return (void)x, moire_abs(z); }
static moire_value by_angle(moire_value z, moire_value x) { return (void)x, moire_angle(z); }
static moire_value by_mul(moire_value z, moire_value x) { return moire_real(moire_mul(x, z)); }
static moire_value by_div(moire_value z, moire_value x) { return moire_imag(moire_div(z, x)); }
static moire_value by_sub(moire_value z, moire_value x) { return moire_real(moire_sub(x, z)); }
static moire_value by_scale(moire_value z, moire_value x) { return (void)x, moire_imag(moire_scale(z, -2)); }
static moire_value by_scalar(moire_value z, moire_value x) {
  return (void)x, moire_real(moire_add_scalar(z, 1));
}
static moire_value by_polar(moire_value z, moire_value x) { return (void)z, moire_abs(moire_polar(x, x)); }
static moire_value by_mean(moire_value z, moire_value x) {
  return (void)z, moire_broadcast(moire_mean(x, 0, true), MOIRE_SHAPE(3));
}
static moire_value by_matmul(moire_value z, moire_value x) { /* x z^T, its diagonal's imaginary part */
  moire_value outer = moire_matmul(moire_reshape(x, MOIRE_SHAPE(3, 1)), moire_reshape(z, MOIRE_SHAPE(1, 3)));
  moire_value eye =
      moire_equal(moire_iota(z.graph, MOIRE_SHAPE(3, 3), 0), moire_iota(z.graph, MOIRE_SHAPE(3, 3), 1));
  return moire_sum(moire_mul(moire_imag(outer), moire_cast(eye, MOIRE_F32)), 0, false);
}
static moire_value by_hermitian(moire_value z, moire_value x) {
  return (void)x,
         moire_reshape(moire_imag(moire_hermitian(moire_reshape(z, MOIRE_SHAPE(3, 1)))), MOIRE_SHAPE(3));
}

static const struct {
  sugar *make;
  double wanted[3];
} sugars[] = {
    {by_abs, {5, 0, 1.4142135623730951}},
    {by_angle, {0.9272952180016122, 0, 2.356194490192345}},
    {by_mul, {6, 0, -4}},
    {by_div, {2, 0, 0.25}},
    {by_sub, {-1, 3, 5}},
    {by_scale, {-8, 0, -2}},
    {by_scalar, {4, 1, 0}},
    {by_polar, {2, 3, 4}},
    {by_mean, {3, 3, 3}},
    {by_matmul, {8, 0, 4}},
    {by_hermitian, {-4, 0, -1}},
};

Test(interpret, sugar_means_what_it_says) {
  for (size_t i = 0; i < sizeof sugars / sizeof sugars[0]; i++) {
    moire_graph *g = moire_graph_create("sugar", MOIRE_INFERENCE);
    moire_value z = moire_input(g, "z", MOIRE_C64, MOIRE_SHAPE(3));
    moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
    moire__tensor *y = value_of(g, sugars[i].make(z, x));
    expect_elements(y, 3, sugars[i].wanted);
    moire__tensor_destroy(y);
  }
}
