/* Programs of torch.export as models: what they are called, what they compute, what is refused and how. */
#include "moire/compile.h"
#include "moire/import.h"
#include "moire/run.h"
#include "compiler/ir/graph/graph.h"
#include "runtime/config/config.h"
#include "tests/support/pt2/pt2_file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void name_file(void) { snprintf(path, sizeof path, "/tmp/moire-program-%d.pt2", (int)getpid()); }
static void remove_file(void) { unlink(path); }
TestSuite(program, .init = name_file, .fini = remove_file);

static moire_import *open_program(const test_pt2 *program) {
  moire_error error = {0};
  test_pt2_save(program, path);
  moire_import *import = moire_import_open(path, &error);
  cr_assert(import, "%s", error.message);
  return import;
}

static moire_graph *build(const moire_import *import, const char *assignment, moire_mode mode) {
  moire_error error = {0};
  const moire_model *model = moire_import_model(import);
  moire__config_table table = {0};
  moire_config *config = NULL;
  moire__config_fields fields = {model->fields, model->n_fields};
  if (assignment) cr_assert_eq(moire__config_table_set(&table, "test", assignment, &error), MOIRE_OK);
  cr_assert_eq(moire__config_build(&table, "test", &fields, 1, &config, &error), MOIRE_OK, "%s", error.message);
  moire_graph *g = moire_graph_create(model->name, mode);
  moire_model_build(model, g, config);
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

/* The oracle with the file's numbers in its states. */
static moire_oracle *oracle_of(const moire_import *import, const moire_graph *g, const char *const *outputs,
                               int n) {
  moire_error error = {0};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = n;
  moire_oracle *oracle = moire_oracle_create(g, &options, &error);
  cr_assert(oracle, "%s", error.message);
  for (int i = 0; i < moire_oracle_state_count(oracle); i++) {
    const char *name = moire_oracle_state(oracle, i).name;
    int64_t there = 0;
    double *data = moire_oracle_state_data(oracle, name, &there);
    cr_assert_eq(moire_import_state(import, name, NULL), there, "%s", name);
    moire_import_state(import, name, data);
  }
  return oracle;
}

Test(program, computes_what_it_says) {
  moire_import *import = open_program(&test_pt2_regression);
  moire_graph *g = build(import, NULL, MOIRE_TRAINING);
  const char *const outputs[] = {"loss", "y"};
  moire_oracle *oracle = oracle_of(import, g, outputs, 2);
  moire_error error = {0};
  const double x[] = {1, 0, 0, 0, 1, 2}, target[] = {1.5, -1.5, 8.5, 3.5};
  cr_assert_eq(moire_oracle_set_extent(oracle, "B", 2, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire_oracle_set_input(oracle, "x", x, 6, &error), MOIRE_OK);
  cr_assert_eq(moire_oracle_set_input(oracle, "target", target, 4, &error), MOIRE_OK);
  cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
  int64_t n = 0;
  const double *y = moire_oracle_output(oracle, "y", &n), want[] = {1.5, -1.5, 8.5, 1.5};
  cr_assert_eq(n, 4);
  for (int i = 0; i < 4; i++) cr_assert_float_eq(y[i], want[i], 1e-12);
  cr_assert_float_eq(*(const double *)moire_oracle_output(oracle, "loss", &n), 1, 1e-12);
  moire_oracle_destroy(oracle);
  moire_graph_destroy(g);
  moire_import_close(import);
}

Test(program, keeps_names_lines_and_scopes) {
  moire_import *import = open_program(&test_pt2_regression);
  moire_graph *g = build(import, NULL, MOIRE_TRAINING);
  cr_assert_str_eq(moire_graph_input(g, 0).name, "x");
  cr_assert_str_eq(moire_dim_extent_name(g, moire_graph_input(g, 0).shape.dims[0], 0), "B");
  cr_assert_str_eq(moire_graph_output(g, 0).name, "loss");
  cr_assert_str_eq(moire_graph_output(g, 1).name, "y");
  cr_assert_str_eq(moire_graph_state(g, 0).name, "fc.weight");
  char *text = moire_graph_print(g);
  cr_assert(strstr(text, "linear(") && strstr(text, "in \"fc\" at \"net.py\":7"), "%s", text);
  free(text);
  moire_dtype dtype;
  moire_shape shape;
  cr_assert_str_eq(moire_import_weight(import, 0, &dtype, &shape), "fc.weight");
  cr_assert(dtype == MOIRE_F32 && shape.rank == 2 && shape.dims[0] == 2 && shape.dims[1] == 3);
  cr_assert_null(moire_import_weight(import, 2, NULL, NULL));
  double w[6];
  cr_assert_eq(moire_import_state(import, "fc.weight", w), 6);
  for (int i = 0; i < 6; i++) cr_assert_eq(w[i], ((const double[]){1, 2, 3, -1, 0, 1})[i]); /* by its strides */
  moire_graph_destroy(g);
  moire_import_close(import);
}

/* ---- one node at a time ------------------------------------------------------------------------------------
 */

#define X PT2_ARG("self", PT2_TENSOR("x"))

/* x f32[B, 3] -> one node -> y, which is said to be of `meta`. */
static test_pt2 one_node(const char *node, const char *values) {
  return (test_pt2){.nodes = node, .values = values, .inputs = PT2_INPUT("x"), .outputs = PT2_OUTPUT("y")};
}

#define ROWS PT2_VALUE("x", 7, PT2_BATCH "," PT2_SIZE(3))
#define LIKE_X ROWS "," PT2_VALUE("y", 7, PT2_BATCH "," PT2_SIZE(3))

static void expect_refusal(const test_pt2 *program, int lines, const char *const *words) {
  moire_error error = {0};
  test_pt2_save(program, path);
  char *refusals = moire_import_refusals(path, &error);
  cr_assert(refusals, "%s", error.message);
  int n = 0;
  for (const char *c = refusals; *c; c++) n += *c == '\n';
  cr_assert_eq(n, lines, "%s", refusals);
  for (; *words; words++) cr_assert(strstr(refusals, *words), "'%s' is not in: %s", *words, refusals);
  free(refusals);
  cr_assert_null(moire_import_open(path, &error));
  cr_assert_eq(error.status, MOIRE_ERROR_UNSUPPORTED, "%s", error.message);
}
#define REFUSED(program, lines, ...) expect_refusal(program, lines, (const char *const[]){__VA_ARGS__, NULL})

Test(program, refuses_what_has_no_row_all_at_once) {
  test_pt2 p = one_node(PT2_NODE("aten.nonzero.default", X, "a", 3) "," PT2_NODE(
                            "aten.relu.default", X, "b", 4) "," PT2_NODE("mine.wavelet.default", X, "y", 5),
                        LIKE_X "," PT2_VALUE("b", 7, PT2_BATCH "," PT2_SIZE(3)));
  REFUSED(&p, 2, "aten.nonzero.default (net.py:3)", "torch.where", "mine.wavelet.default (net.py:5)");
}

Test(program, refuses_an_argument_that_no_row_looks_at) {
  test_pt2 p = one_node(PT2_NODE("aten.relu.default", X "," PT2_ARG("slope", PT2_REAL(0.5)), "y", 3), LIKE_X);
  REFUSED(&p, 1, "aten.relu.default (net.py:3)", "slope");
}

Test(program, refuses_a_result_that_is_not_as_the_file_says) {
  test_pt2 type =
      one_node(PT2_NODE("aten.relu.default", X, "y", 3), ROWS "," PT2_VALUE("y", 5, PT2_BATCH "," PT2_SIZE(3)));
  REFUSED(&type, 1, "gives float32 here, but the file says int64");
  test_pt2 shape =
      one_node(PT2_NODE("aten.relu.default", X, "y", 3), ROWS "," PT2_VALUE("y", 7, PT2_BATCH "," PT2_SIZE(4)));
  REFUSED(&shape, 1, "another shape here than the file says");
}

Test(program, refuses_what_is_returned_and_never_made) {
  test_pt2 p = one_node(PT2_NODE("aten.relu.default", X, "z", 3), LIKE_X);
  REFUSED(&p, 2, "y (", "nothing makes it");
}

#define INTS(name, ...) PT2_ARG(name, "{\"as_ints\":[" #__VA_ARGS__ "]}")

/* Sizes whose product, or whose bytes, no machine has room for. */
Test(program, refuses_shapes_that_overflow) {
  test_pt2 view = one_node(
      PT2_NODE("aten.view.default", X "," INTS("size", 4611686018427387904, 4611686018427387904, 3), "y", 3),
      LIKE_X);
  REFUSED(&view, 1, "aten.view.default (net.py:3)");
  test_pt2 full =
      one_node(PT2_NODE("aten.full.default",
                        INTS("size", 4611686018427387904, 8) "," PT2_ARG("fill_value", PT2_REAL(0.5)), "y", 3),
               LIKE_X);
  REFUSED(&full, 1, "aten.full.default (net.py:3)");
  test_pt2 repeat =
      one_node(PT2_NODE("aten.repeat.default", X "," INTS("repeats", 1, 9223372036854775807), "y", 3), LIKE_X);
  REFUSED(&repeat, 1, "aten.repeat.default (net.py:3)");
  test_pt2 expand =
      one_node(PT2_NODE("aten.expand.default", X "," INTS("size", 9223372036854775807, -1, 3), "y", 3), LIKE_X);
  REFUSED(&expand, 1, "aten.expand.default (net.py:3)");
  test_pt2 pad = one_node(
      PT2_NODE("aten.constant_pad_nd.default", X "," INTS("pad", 9223372036854775807, 1), "y", 3), LIKE_X);
  REFUSED(&pad, 1, "aten.constant_pad_nd.default (net.py:3)");
}

/* x [1, 3] as an image of one channel, which a transposed convolution by 2 of all ones doubles. */
Test(program, convolves_transposed_over_two_axes) {
  const test_pt2 p =
      one_node(PT2_NODE("aten.view.default", X "," INTS("size", 1, 1, 1, 3), "image", 1) "," PT2_NODE(
                   "aten.full.default", INTS("size", 1, 1, 2, 2) "," PT2_ARG("fill_value", PT2_REAL(1)), "w",
                   2) "," PT2_NODE("aten.conv_transpose2d.input",
                                   PT2_ARG("input", PT2_TENSOR("image")) "," PT2_ARG(
                                       "weight", PT2_TENSOR("w")) "," INTS("stride", 2, 1),
                                   "y", 3),
               PT2_VALUE("x", 7, PT2_SIZE(1) "," PT2_SIZE(3)) "," PT2_VALUE(
                   "image", 7,
                   PT2_SIZE(1) "," PT2_SIZE(1) "," PT2_SIZE(1) "," PT2_SIZE(
                       3)) "," PT2_VALUE("w", 7,
                                         PT2_SIZE(1) "," PT2_SIZE(1) "," PT2_SIZE(2) "," PT2_SIZE(
                                             2)) "," PT2_VALUE("y", 7,
                                                               PT2_SIZE(1) "," PT2_SIZE(1) "," PT2_SIZE(
                                                                   2) "," PT2_SIZE(4)));
  moire_import *import = open_program(&p);
  moire_graph *g = build(import, NULL, MOIRE_INFERENCE);
  const char *const outputs[] = {"output"};
  moire_oracle *oracle = oracle_of(import, g, outputs, 1);
  moire_error error = {0};
  const double x[] = {1, 10, 100}, want[] = {1, 11, 110, 100, 1, 11, 110, 100};
  int64_t n = 0;
  cr_assert_eq(moire_oracle_set_input(oracle, "x", x, 3, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
  const double *y = moire_oracle_output(oracle, "output", &n);
  cr_assert_eq(n, 8);
  for (int i = 0; i < 8; i++) cr_assert_float_eq(y[i], want[i], 1e-12);
  moire_oracle_destroy(oracle);
  moire_graph_destroy(g);
  moire_import_close(import);
}

/* A program in which a node reads its own result, or that of one behind it. */
Test(program, refuses_rings) {
  test_pt2 p = one_node(PT2_NODE("aten.relu.default", PT2_ARG("self", PT2_TENSOR("y")), "y", 3), LIKE_X);
  moire_error error = {0};
  test_pt2_save(&p, path);
  moire_import *import = moire_import_open(path, &error);
  cr_assert_null(import);
  cr_assert(strstr(error.message, "no node before this one makes"), "%s", error.message);
}

Test(program, changes_in_place_only_what_no_other_shares) {
  test_pt2 p = one_node(
      PT2_NODE("aten.neg.default", X, "a", 3) "," PT2_NODE(
          "aten.relu_.default", PT2_ARG("self", PT2_TENSOR("a")), "b",
          4) "," PT2_NODE("aten.add.Tensor", PT2_ARG("self", PT2_TENSOR("a")) "," PT2_ARG("other", PT2_INT(1)),
                          "y", 5),
      LIKE_X "," PT2_VALUE("a", 7, PT2_BATCH "," PT2_SIZE(3)) "," PT2_VALUE("b", 7, PT2_BATCH "," PT2_SIZE(3)));
  moire_import *import = open_program(&p);
  moire_graph *g = build(import, NULL, MOIRE_INFERENCE);
  moire_oracle *oracle = oracle_of(import, g, (const char *const[]){"output"}, 1);
  moire_error error = {0};
  moire_oracle_set_extent(oracle, "B", 1, &error);
  moire_oracle_set_input(oracle, "x", (const double[]){1, -2, 0}, 3, &error);
  cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
  int64_t n = 0;
  const double *y = moire_oracle_output(oracle, "output", &n);
  for (int i = 0; i < 3; i++) cr_assert_eq(y[i], ((const double[]){1, 3, 1})[i]); /* relu(-x) + 1 */
  moire_oracle_destroy(oracle);
  moire_graph_destroy(g);
  moire_import_close(import);

  test_pt2 shared = one_node(
      PT2_NODE("aten.neg.default", X, "a", 3) "," PT2_NODE(
          "aten.view.default", PT2_ARG("self", PT2_TENSOR("a")) "," PT2_ARG("size", "{\"as_ints\":[-1,3]}"),
          "v", 4) "," PT2_NODE("aten.relu_.default", PT2_ARG("self", PT2_TENSOR("v")), "y", 5),
      LIKE_X "," PT2_VALUE("a", 7, PT2_BATCH "," PT2_SIZE(3)) "," PT2_VALUE("v", 7, PT2_BATCH "," PT2_SIZE(3)));
  REFUSED(&shared, 1, "aten.relu_.default (net.py:5)", "shares its elements");
}

Test(program, dropout_is_its_own_or_the_key) {
  test_pt2 p = one_node(PT2_NODE("aten.dropout.default",
                                 PT2_ARG("input", PT2_TENSOR("x")) "," PT2_ARG("p", PT2_REAL(0.5)) "," PT2_ARG(
                                     "train", "{\"as_bool\":true}"),
                                 "y", 3),
                        LIKE_X);
  moire_import *import = open_program(&p);
  static const struct {
    const char *key;
    moire_mode mode;
    bool draws;
  } cases[] = {{NULL, MOIRE_TRAINING, true},
               {"dropout=0", MOIRE_TRAINING, false},
               {"dropout=0.1", MOIRE_TRAINING, true},
               {NULL, MOIRE_INFERENCE, false}};
  for (int i = 0; i < 4; i++) {
    moire_graph *g = build(import, cases[i].key, cases[i].mode);
    cr_assert_eq(moire_graph_find_input(g, "rng").name != NULL, cases[i].draws, "case %d", i);
    moire_graph_destroy(g);
  }
  moire_import_close(import);
}

/* ---- weights -----------------------------------------------------------------------------------------------
 */

Test(program, tied_weights_are_one_state_and_complex_ones_two) {
  static const float z[] = {1, 2, 3, 4};
  const char *meta = PT2_META(10, PT2_SIZE(2), PT2_SIZE(1), true);
  char weights[2048];
  snprintf(weights, sizeof weights, PT2_WEIGHT("a.z", "weight_0", "%s") "," PT2_WEIGHT("b.z", "weight_0", "%s"),
           meta, meta);
  test_pt2 p = {.nodes = PT2_NODE("aten.mul.Tensor",
                                  PT2_ARG("self", PT2_TENSOR("p_a")) "," PT2_ARG("other", PT2_TENSOR("p_b")),
                                  "y", 3),
                .values = PT2_VALUE("y", 10, PT2_SIZE(2)),
                .inputs = PT2_PARAMETER("p_a", "a.z") "," PT2_PARAMETER("p_b", "b.z"),
                .outputs = PT2_OUTPUT("y"),
                .weights = weights,
                .paths = (const char *const[]){"weight_0"},
                .bytes = (const void *const[]){z},
                .sizes = (const size_t[]){sizeof z},
                .n = 1};
  moire_import *import = open_program(&p);
  moire_graph *g = build(import, NULL, MOIRE_TRAINING);
  cr_assert_eq(moire_graph_state_count(g), 2);
  cr_assert_str_eq(moire_graph_state(g, 0).name, "a.z.real");
  cr_assert_str_eq(moire_graph_state(g, 1).name, "a.z.imag");
  moire_dtype dtype;
  cr_assert_str_eq(moire_import_weight(import, 1, &dtype, NULL), "b.z");
  cr_assert_eq(dtype, MOIRE_C64);
  cr_assert_str_eq(moire_import_weight_twin(import, 1), "a.z");
  cr_assert_null(moire_import_weight_twin(import, 0));
  double imaginary[2];
  cr_assert_eq(moire_import_state(import, "a.z.imag", imaginary), 2);
  cr_assert(imaginary[0] == 2 && imaginary[1] == 4);
  moire_graph_destroy(g);
  moire_import_close(import);
}

/* A file whose numbers are the larger part claims no more than it has. */
static void expect_failure(const char *weights, const char *word) {
  static const float w[4];
  moire_error error = {0};
  test_pt2 p = {.nodes = PT2_NODE("aten.relu.default", PT2_ARG("self", PT2_TENSOR("p_a")), "y", 3),
                .values = PT2_VALUE("y", 7, PT2_SIZE(4)),
                .inputs = PT2_PARAMETER("p_a", "a"),
                .outputs = PT2_OUTPUT("y"),
                .weights = weights,
                .paths = (const char *const[]){"weight_0"},
                .bytes = (const void *const[]){w},
                .sizes = (const size_t[]){sizeof w},
                .n = 1};
  test_pt2_save(&p, path);
  cr_assert_null(moire_import_open(path, &error));
  cr_assert(strstr(error.message, word), "'%s' is not in: %s", word, error.message);
}

Test(program, refuses_tensors_that_are_not_there) {
  expect_failure(PT2_WEIGHT("a", "weight_0", PT2_META(7, PT2_SIZE(5), PT2_SIZE(1), true)), "beyond the bytes");
  expect_failure(PT2_WEIGHT("a", "weight_0", PT2_META(7, PT2_SIZE(2), PT2_SIZE(4), true)), "beyond the bytes");
  expect_failure(
      PT2_WEIGHT("a", "weight_0",
                 PT2_META(7, PT2_SIZE(4611686018427387904) "," PT2_SIZE(8), PT2_SIZE(0) "," PT2_SIZE(0), true)),
      "beyond the bytes");
  expect_failure(PT2_WEIGHT("a", "weight_0", PT2_META(7, PT2_SIZE(1000000000), PT2_SIZE(0), true)),
                 "beyond the bytes");
  expect_failure(PT2_WEIGHT("a", "weight_0", PT2_META(7, PT2_SIZE(-1), PT2_SIZE(1), true)), "whole numbers");
  expect_failure(PT2_WEIGHT("a", "weight_0", PT2_META(99, PT2_SIZE(4), PT2_SIZE(1), true)), "not known");
  expect_failure(PT2_WEIGHT("a", "weight_9", PT2_META(7, PT2_SIZE(4), PT2_SIZE(1), true)),
                 "not in the archive");
  expect_failure(PT2_WEIGHT("b", "weight_0", PT2_META(7, PT2_SIZE(4), PT2_SIZE(1), true)),
                 "the tensor a is not in the file");
  expect_failure(PT2_WEIGHT("a", "weight_0", PT2_META(6, PT2_SIZE(4), PT2_SIZE(1), true)), "float16");
}
