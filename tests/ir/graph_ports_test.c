/* What a graph says of its inputs, outputs and metrics, and what they may be called. */
#include <criterion/criterion.h>

#include "moire/graph.h"

#include <stdlib.h>
#include <string.h>

static moire_graph *training(void) { return moire_graph_create("test", MOIRE_TRAINING); }

static void expect_mistake(moire_graph *g, moire_status status, const char *sentence) {
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(g, &error), status, "%s", error.message);
  cr_assert(strncmp(error.message, sentence, strlen(sentence)) == 0, "\"%s\" instead of \"%s\"", error.message,
            sentence);
  cr_assert(strstr(error.message, "graph_ports_test.c:"), "%s", error.message);
  moire_graph_destroy(g);
}

static void expect_port(moire_port port, const char *name, moire_dtype dtype, int rank) {
  cr_assert(port.name, "%s is not there", name);
  cr_assert_str_eq(port.name, name);
  cr_assert_eq(port.dtype, dtype);
  cr_assert_eq(port.shape.rank, rank);
}

Test(graph_ports, are_listed_in_order) {
  moire_graph *g = training();
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(b, moire_dim_times(b, 3), 4));
  moire_value y = moire_input(g, "labels", MOIRE_I32, MOIRE_SHAPE(b));
  moire_output(g, "x", x);
  moire_metric(g, "accuracy", moire_mean_all(moire_cast(y, MOIRE_F32)));
  moire_output(g, "z", moire_abs(x));
  moire_metric(g, "hits", moire_cast(y, MOIRE_F32));
  cr_assert_eq(moire_graph_input_count(g), 2);
  cr_assert_eq(moire_graph_output_count(g), 4);
  cr_assert_eq(moire_graph_metric_count(g), 2);
  expect_port(moire_graph_input(g, 0), "x", MOIRE_C64, 3);
  expect_port(moire_graph_input(g, 1), "labels", MOIRE_I32, 1);
  expect_port(moire_graph_output(g, 1), "metric.accuracy", MOIRE_F32, 0);
  expect_port(moire_graph_output(g, 2), "z", MOIRE_F32, 3);
  expect_port(moire_graph_metric(g, 0), "accuracy", MOIRE_F32, 0);
  expect_port(moire_graph_metric(g, 1), "hits", MOIRE_F32, 1);
  expect_port(moire_graph_find_input(g, "labels"), "labels", MOIRE_I32, 1);
  expect_port(moire_graph_find_output(g, "metric.hits"), "metric.hits", MOIRE_F32, 1);
  cr_assert_null(moire_graph_input(g, 2).name);
  cr_assert_null(moire_graph_input(g, -1).name);
  cr_assert_null(moire_graph_output(g, 4).name);
  cr_assert_null(moire_graph_metric(g, 2).name);
  cr_assert_null(moire_graph_find_input(g, "x.real").name);
  cr_assert_null(moire_graph_find_output(g, "labels").name);
  moire_shape shape = moire_graph_input(g, 0).shape;
  cr_assert_str_eq(moire_dim_extent_name(g, shape.dims[0], 0), "B");
  cr_assert_eq(moire_dim_factor(shape.dims[0]), 1);
  cr_assert_eq(moire_dim_factor(shape.dims[1]), 3);
  cr_assert_str_eq(moire_dim_extent_name(g, shape.dims[1], 0), "B");
  cr_assert_null(moire_dim_extent_name(g, shape.dims[1], 1));
  cr_assert_null(moire_dim_extent_name(g, shape.dims[2], 0));
  cr_assert_eq(moire_dim_factor(shape.dims[2]), 4);
  moire_graph_destroy(g);
}

Test(graph_ports, metrics_are_means_or_one_number_a_sample) {
  moire_graph *g = training();
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 3));
  moire_metric(g, "x", x);
  expect_mistake(g, MOIRE_ERROR_SHAPE, "metric: x is f32[B,3], wanted f32[], a mean, or one f32 a sample");
  g = training();
  moire_metric(g, "x", moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3)));
  expect_mistake(g, MOIRE_ERROR_SHAPE, "metric: x is f32[3], wanted");
  g = training();
  moire_metric(g, "x", moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_dim_times(moire_extent(g, "B"), 3))));
  expect_mistake(g, MOIRE_ERROR_SHAPE, "metric: x is f32[3*B], wanted");
  g = training();
  moire_metric(g, "z", moire_input(g, "x", MOIRE_C64, MOIRE_SCALAR));
  expect_mistake(g, MOIRE_ERROR_TYPE, "metric: z is c64[], wanted");
  g = training();
  x = moire_input(g, "x", MOIRE_F32, MOIRE_SCALAR);
  moire_output(g, "metric.y", moire_input(g, "i", MOIRE_I32, MOIRE_SCALAR));
  expect_mistake(g, MOIRE_ERROR_TYPE, "metric: y is i32[], wanted");
  g = training();
  x = moire_input(g, "x", MOIRE_F32, MOIRE_SCALAR);
  moire_metric(g, "x", x);
  moire_metric(g, "x", x);
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "metric: there is a metric x already");
  g = training();
  moire_metric(g, "", moire_input(g, "x", MOIRE_F32, MOIRE_SCALAR));
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "metric: the name is empty");
}

Test(graph_ports, planes_have_names_of_their_own) {
  moire_graph *g = training();
  moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(3));
  moire_input(g, "x.imag", MOIRE_F32, MOIRE_SHAPE(3));
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "input: the inputs x and x.imag: one is complex");
  g = training();
  moire_value x = moire_input(g, "x.real", MOIRE_F32, MOIRE_SHAPE(3));
  moire_input(g, "y", MOIRE_C64, MOIRE_SHAPE(3));
  moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(3));
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "input: the inputs x.real and x: one is complex");
  g = training();
  x = moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(3));
  moire_output(g, "y.real", x);
  moire_output(g, "y.imag", moire_imag(x));
  moire_output(g, "y", x);
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "output: y.real and y: one is complex");
}

Test(graph_ports, complex_states_are_two) {
  moire_graph *g = training();
  moire_init init = {.kind = MOIRE_INIT_NORMAL, .b = 1, .stream = "s"};
  moire_value z = moire_complex_parameter(g, "z", MOIRE_SHAPE(3), init);
  cr_assert_eq(moire_value_dtype(z), MOIRE_C64);
  char *text = moire_graph_print(g);
  cr_assert(strstr(text, "$z.real : f32[3] trained normal(0.0, 1.0) stream \"s.real\""), "%s", text);
  cr_assert(strstr(text, "$z.imag : f32[3] trained normal(0.0, 1.0) stream \"s.imag\""), "%s", text);
  free(text);
  moire_update(g, "z", moire_real(z));
  expect_mistake(g, MOIRE_ERROR_TYPE, "update: the state z is complex, the value f32");
  g = training();
  z = moire_state(g, "z", MOIRE_C64, MOIRE_SHAPE(3), moire_init_constant(0));
  moire_update(g, "z", moire_complex(moire_real(z), moire_constant(g, MOIRE_F32, MOIRE_SHAPE(3), 1)));
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  moire_update(g, "w", z);
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "update: there is no state w");
  g = training();
  moire_complex_parameter(g, "", MOIRE_SHAPE(3), init);
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "state: the name is empty");
}
