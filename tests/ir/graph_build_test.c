/* Building graphs: dims, scopes, tables, broadcasting, and mistakes that stick. */
#include <criterion/criterion.h>

#include "compiler/ir/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static moire_graph *training(void) { return moire_graph_create("test", MOIRE_TRAINING); }

/* The graph's mistake is of that status, and its sentence is exactly this one. Destroys the graph. */
static void expect_mistake(moire_graph *g, moire_status status, const char *sentence) {
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(g, &error), status, "%s", error.message);
  cr_assert_str_eq(error.message, sentence);
  moire_graph_destroy(g);
}

static void expect_shape(moire_value x, moire_shape wanted) {
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(x.graph, &error), MOIRE_OK, "%s", error.message);
  moire_shape got = moire_value_shape(x);
  cr_assert(moire__shape_equal(&got, &wanted));
}

static moire_value f32_input(moire_graph *g, const char *name, moire_shape shape) {
  return moire_input(g, name, MOIRE_F32, shape);
}

/* ---- dims ------------------------------------------------------------------------------------------------ */

Test(graph_dims, products_are_partial) {
  const int64_t end = (int64_t)1 << 48;
  moire_dim b = moire__dim_make(1, 1), c = moire__dim_make(3, 2), product = -7;
  cr_assert(moire__dim_multiply(b, 50, &product));
  cr_assert_eq(product, moire__dim_make(50, 1));
  cr_assert(moire__dim_multiply(4, c, &product));
  cr_assert_eq(product, moire__dim_make(12, 2));
  cr_assert(moire__dim_multiply(c, b, &product));
  cr_assert_eq(product, moire__dim_make(3, 1 | 2 << 4));
  cr_assert(moire__dim_multiply(b, product, &product));
  cr_assert_eq(product, moire__dim_make(3, 1 | 1 << 4 | 2 << 8));
  cr_assert_not(moire__dim_multiply(product, b, &product), "a fourth named extent");
  cr_assert_not(moire__dim_multiply(end / 2, 2, &product));
  cr_assert(moire__dim_multiply(end / 2, 1, &product));
  cr_assert_not(moire__dim_multiply(-1, 2, &product));
  cr_assert(moire__dim_multiply(b, 0, &product));
  cr_assert_eq(product, 0);
  cr_assert_eq(moire_dim_times(b, 50), moire__dim_make(50, 1));
  cr_assert_eq(moire_dim_times(7, 6), 42);
  cr_assert_eq(moire_dim_times(c, b), moire_dim_times(b, c));
  cr_assert_eq(moire_dim_times(moire_dim_times(b, b), moire_dim_times(c, c)), -1);
  cr_assert(moire__dim_is_sound(moire_dim_times(c, b), 2) && !moire__dim_is_sound(moire_dim_times(c, b), 1));
  cr_assert_not(moire__dim_is_sound(moire__dim_make(1, 2 | 1 << 4), 2), "not in order");
  cr_assert_not(moire__dim_is_sound(moire__dim_make(1, 1 << 4), 2), "the first field is empty");
  cr_assert_not(moire__dim_is_sound(moire__dim_make(1, 1 | 1 << 12), 2), "a fourth field");
  cr_assert_eq(moire_dim_times(b, -1), -1);
  cr_assert_eq(moire_dim_times(end - 1, 2), -1);
}

Test(graph_dims, elements_of_a_shape) {
  moire_dim b = moire__dim_make(1, 1), elements = -7;
  moire_shape shape = MOIRE_SHAPE(b, 50, 64);
  cr_assert(moire__shape_elements(&shape, &elements));
  cr_assert_eq(elements, moire__dim_make(3200, 1));
  shape = MOIRE_SHAPE(b, 5, b);
  cr_assert(moire__shape_elements(&shape, &elements));
  cr_assert_eq(elements, moire__dim_make(5, 1 | 1 << 4));
  shape = MOIRE_SHAPE(b, b, b, b);
  cr_assert_not(moire__shape_elements(&shape, &elements));
  shape = MOIRE_SHAPE((int64_t)1 << 40, (int64_t)1 << 40, 0);
  cr_assert(moire__shape_elements(&shape, &elements));
  cr_assert_eq(elements, 0);
  shape = MOIRE_SCALAR;
  cr_assert(moire__shape_elements(&shape, &elements));
  cr_assert_eq(elements, 1);
  cr_assert_eq(moire__dim_size(moire__dim_make(50, 1), (const int64_t[]){0, 3}), 150);
  cr_assert_eq(moire__dim_size(moire__dim_make(2, 1 | 2 << 4 | 2 << 8), (const int64_t[]){0, 3, 5}), 150);
}

Test(graph_dims, axes_count_from_both_ends) {
  cr_assert_eq(moire__axis(-1, 3), 2);
  cr_assert_eq(moire__axis(0, 3), 0);
  cr_assert_eq(moire__axis(3, 3), -1);
  cr_assert_eq(moire__axis(-4, 3), -1);
  cr_assert_eq(moire__axis(0, 0), -1);
}

Test(graph_dims, types_are_written_by_name) {
  moire_graph *g = training();
  moire_dim b = moire_extent(g, "B");
  cr_assert_eq(moire_extent(g, "B"), b);
  moire_shape shape = MOIRE_SHAPE(b, moire_dim_times(b, 50), 64);
  moire__text text = {0};
  moire__text_add_type(&text, g, MOIRE_C64, &shape);
  cr_assert_str_eq(moire__text_string(&text), "c64[B,50*B,64]");
  moire__text_clear(&text);
  shape.dims[0] = moire__dim_make(1, 9);
  moire__text_add_type(&text, g, (moire_dtype)77, &shape);
  cr_assert_str_eq(moire__text_string(&text), "?[?,50*B,64]");
  moire__text_free(&text);
  for (int i = MOIRE_F32; i <= MOIRE_C64; i++) {
    const char *name = moire__dtype_name((moire_dtype)i);
    cr_assert_eq((int)moire__dtype_find(name, strlen(name)), i);
  }
  moire_graph_destroy(g);
}

Test(graph_dims, there_is_a_last_extent) {
  moire_graph *g = training();
  char name[16];
  for (int i = 0; i < MOIRE_MAX_EXTENTS; i++) {
    snprintf(name, sizeof name, "E%d", i);
    moire_extent(g, name);
  }
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  moire_extent(g, "E14");
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  moire_extent(g, "F");
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "extent: F would be one more than the 15 that a graph can have");
  g = training();
  moire_extent(g, "3B");
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "extent: the name 3B is not an identifier");
}

/* ---- mistakes -------------------------------------------------------------------------------------------- */

Test(graph_mistakes, the_first_one_is_kept_with_its_line) {
  moire_graph *g = training();
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(b, 50, 64));
  moire_value w = moire_input(g, "w", MOIRE_C64, MOIRE_SHAPE(63, 64));
#line 41 "models/qia.c"
  moire_value y = moire_matmul(x, w);
#line 125 "tests/ir/graph_build_test.c"
  cr_assert(moire_value_is_null(y));
  int nodes = g->n_nodes;
  moire_value z = moire_add(moire_exp(y), moire_matmul(w, w));
  moire_output(g, "z", z);
  moire_reshape(x, MOIRE_SHAPE(7));
  cr_assert(moire_value_is_null(z));
  cr_assert_eq(g->n_nodes, nodes);
  cr_assert_eq(g->n_outputs, 0);
  expect_mistake(g, MOIRE_ERROR_SHAPE,
                 "matmul: inner extents differ: x is c64[B,50,64], w is c64[63,64] (models/qia.c:41)");
}

Test(graph_mistakes, null_values_are_harmless) {
  moire_graph *g = training();
  moire_value null = {0};
  cr_assert_eq((int)moire_value_dtype(null), 0);
  cr_assert_eq(moire_value_shape(null).rank, 0);
  cr_assert_eq(moire_value_dim(null, 5), 1);
  moire_value x = f32_input(g, "x", MOIRE_SHAPE(2, 3));
  moire_value all[] = {null, x};
  cr_assert(moire_value_is_null(moire_add(null, x)));
  cr_assert(moire_value_is_null(moire_where(x, null, x)));
  cr_assert(moire_value_is_null(moire_concat(all, 2, 0)));
  cr_assert(moire_value_is_null(moire_concat(NULL, 0, 0)));
  cr_assert(moire_value_is_null(moire_matmul(x, null)));
  cr_assert(moire_value_is_null(moire_linear(null, x, x)));
  cr_assert(moire_value_is_null(moire_mean_all(null)));
  cr_assert(moire_value_is_null(moire_sum(null, 0, true)));
  cr_assert(moire_value_is_null(moire_softmax(null)));
  cr_assert(moire_value_is_null(moire_dropout(null, 2)));
  cr_assert(moire_value_is_null(moire_hermitian(null)));
  cr_assert(moire_value_is_null(moire_gelu(null)));
  cr_assert(moire_value_is_null(moire_scale(null, 2)));
  cr_assert(moire_value_is_null(moire_depthwise_conv(x, null, 1)));
  cr_assert(moire_value_is_null(moire_attention(x, null, x, (moire_attention_options){0})));
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  cr_assert_eq(g->n_nodes, 1);
#line 7 "m.c"
  moire_output(g, "y", moire_exp(null));
#line 163 "tests/ir/graph_build_test.c"
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "output: y: the value is null (m.c:7)");
}

Test(graph_mistakes, a_models_own) {
  moire_graph *g = training();
  moire_graph_fail(g, MOIRE_ERROR_ARGUMENT, "heads do not divide the width (%d, %d)", 3, 64);
  moire_graph_fail(g, MOIRE_ERROR_SHAPE, "later");
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "heads do not divide the width (3, 64)");
}

Test(graph_mistakes, values_of_another_graph) {
  moire_graph *g = training(), *other = training();
  moire_value x = f32_input(g, "x", MOIRE_SHAPE(2)), y = f32_input(other, "y", MOIRE_SHAPE(2));
#line 9 "m.c"
  moire_add(x, y);
#line 178 "tests/ir/graph_build_test.c"
  moire_graph_destroy(other);
  expect_mistake(g, MOIRE_ERROR_ARGUMENT, "add: operand 1 belongs to another graph (m.c:9)");
}

typedef struct refusal {
  const char *sentence;
  moire_status status;
  void (*make)(moire_graph *g, moire_value x, moire_value m);
} refusal;

#define REFUSED(name, ...)                                                                                     \
  static void name(moire_graph *g, moire_value x, moire_value m) {                                             \
    (void)g, (void)x, (void)m;                                                                                 \
    __VA_ARGS__;                                                                                               \
  }

static const moire_source here = {"m.c", 1};

/* x is f32[B,4], m is f32[3,5] */
REFUSED(unalike, moire_add_at(here, x, m))
REFUSED(no_axis, moire_sum_at(here, x, 2, true))
REFUSED(axis_of_dim, moire_value_dim(x, -3))
REFUSED(no_probability, moire_dropout_at(here, x, 1))
REFUSED(vectors, moire_matmul_at(here, moire_sum_at(here, x, 0, false), m))
REFUSED(lead, moire_matmul_at(here, moire_constant_at(here, g, MOIRE_F32, MOIRE_SHAPE(2, 4, 5), 0),
                              moire_constant_at(here, g, MOIRE_F32, MOIRE_SHAPE(3, 5, 4), 0)))
REFUSED(twice, moire_input_at(here, g, "x", MOIRE_F32, MOIRE_SCALAR))
REFUSED(same_output, moire_output_at(here, g, "y", x); moire_output_at(here, g, "y", m))
REFUSED(no_state, moire_update_at(here, g, "w", x))
REFUSED(other_type, moire_parameter_at(here, g, "w", MOIRE_SHAPE(3, 4), moire_init_constant(0));
        moire_update_at(here, g, "w", m))
REFUSED(two_updates, moire_parameter_at(here, g, "w", MOIRE_SHAPE(3, 5), moire_init_constant(0));
        moire_update_at(here, g, "w", m); moire_update_at(here, g, "w", m))
REFUSED(two_states, moire_parameter_at(here, g, "w", MOIRE_SHAPE(3, 5), moire_init_constant(0));
        moire_parameter_at(here, g, "w", MOIRE_SHAPE(3, 5), moire_init_constant(1)))
REFUSED(named_state,
        moire_parameter_at(here, g, "w", MOIRE_SHAPE(moire_extent(g, "B")), moire_init_constant(0)))
REFUSED(negative, moire_input_at(here, g, "n", MOIRE_F32, MOIRE_SHAPE(3, -2)))
REFUSED(immense, moire_input_at(here, g, "n", MOIRE_F32, MOIRE_SHAPE((int64_t)1 << 30, (int64_t)1 << 30)))
REFUSED(stranger, moire_input_at(here, g, "n", MOIRE_F32, MOIRE_SHAPE(moire__dim_make(1, 5))))
REFUSED(popped, moire_scope_pop(g))
REFUSED(permuted, moire_permute_at(here, m, 1, (const int[]){0}))
REFUSED(filter, moire_filter_bank_at(here, x, &m, (const int64_t[]){1}, 1))
REFUSED(no_bands, moire_filter_bank_at(here, x, &m, (const int64_t[]){1}, 0))
REFUSED(mean_of_int, moire_mean_all_at(here, moire_iota_at(here, g, MOIRE_SHAPE(3), 0)))

static const refusal refusals[] = {
    {"add: shapes do not broadcast: a is f32[B,4], b is f32[3,5] (m.c:1)", MOIRE_ERROR_SHAPE, unalike},
    {"sum: axis 2 of a value of rank 2 (m.c:1)", MOIRE_ERROR_SHAPE, no_axis},
    {"value_dim: axis -3 of a value of rank 2", MOIRE_ERROR_ARGUMENT, axis_of_dim},
    {"dropout: probability 1 is not in [0, 1) (m.c:1)", MOIRE_ERROR_ARGUMENT, no_probability},
    {"matmul: wants matrices: x is f32[4], w is f32[3,5] (m.c:1)", MOIRE_ERROR_SHAPE, vectors},
    {"matmul: leading extents do not broadcast: x is f32[2,4,5], w is f32[3,5,4] (m.c:1)", MOIRE_ERROR_SHAPE,
     lead},
    {"input: there is an input x already (m.c:1)", MOIRE_ERROR_ARGUMENT, twice},
    {"output: there is an output y already (m.c:1)", MOIRE_ERROR_ARGUMENT, same_output},
    {"update: there is no state w (m.c:1)", MOIRE_ERROR_ARGUMENT, no_state},
    {"update: the state w is f32[3,4], the value f32[3,5] (m.c:1)", MOIRE_ERROR_SHAPE, other_type},
    {"update: the state w is updated twice (m.c:1)", MOIRE_ERROR_ARGUMENT, two_updates},
    {"state: w: it was declared before with another type or initial value (m.c:1)", MOIRE_ERROR_ARGUMENT,
     two_states},
    {"state: w: the extents of a state are static (m.c:1)", MOIRE_ERROR_SHAPE, named_state},
    {"input: attribute shape: extent -2 of axis 1 is negative (m.c:1)", MOIRE_ERROR_SHAPE, negative},
    {"input: attribute shape: there are 2^48 elements or more (m.c:1)", MOIRE_ERROR_SHAPE, immense},
    {"input: attribute shape: the extent of axis 0 is not one of this graph's (m.c:1)", MOIRE_ERROR_SHAPE,
     stranger},
    {"scope_pop: no scope is open", MOIRE_ERROR_ARGUMENT, popped},
    {"permute: 1 axes for a value of rank 2 (m.c:1)", MOIRE_ERROR_SHAPE, permuted},
    {"filter_bank: the weight is f32[3,5], wanted [D,1,k] (m.c:1)", MOIRE_ERROR_SHAPE, filter},
    {"filter_bank: 0 bands, wanted 1 to 64 (m.c:1)", MOIRE_ERROR_ARGUMENT, no_bands},
    {"mean_all: the mean of i32 values; cast them first (m.c:1)", MOIRE_ERROR_TYPE, mean_of_int},
};

Test(graph_mistakes, each_has_its_sentence) {
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    moire_graph *g = training();
    moire_value x = f32_input(g, "x", MOIRE_SHAPE(moire_extent(g, "B"), 4));
    moire_value m = f32_input(g, "m", MOIRE_SHAPE(3, 5));
    refusals[i].make(g, x, m);
    expect_mistake(g, refusals[i].status, refusals[i].sentence);
  }
}

/* ---- scopes, states, sources ----------------------------------------------------------------------------- */

Test(graph_build, scopes_prefix_the_names_of_states) {
  moire_graph *g = training();
  moire_scope_push(g, "layers.%d", 0);
  moire_scope_push(g, "attn");
  moire_scope_push(g, "%s", "");
  moire_value q = moire_parameter(g, "q", MOIRE_SHAPE(3), moire_init_normal(0, 0.02));
  moire_scope_pop(g);
  moire_scope_pop(g);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
  moire_scope_pop(g);
  moire_value bare = moire_state(g, "count", MOIRE_I32, MOIRE_SCALAR, moire_init_constant(0));
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  cr_assert_eq(moire__graph_find_state(g, "layers.0.attn.q"), 0);
  cr_assert_eq(moire__graph_find_state(g, "count"), 1);
  cr_assert(g->states[0].trained);
  cr_assert_not(g->states[1].trained);
  cr_assert_str_eq(moire__node_of(g, q.id)->scope, "layers.0.attn");
  cr_assert_str_eq(moire__node_of(g, x.id)->scope, "layers.0");
  cr_assert_str_eq(moire__node_of(g, bare.id)->scope, "");
  cr_assert_eq(moire__graph_find_input(g, "x"), x.id);
  moire_graph_destroy(g);
}

Test(graph_build, a_state_is_declared_once_and_read_often) {
  moire_graph *g = training();
  moire_init init = {.kind = MOIRE_INIT_NORMAL, .b = 0.02, .stream = "shared"};
  moire_value a = moire_parameter(g, "w", MOIRE_SHAPE(3), init);
  moire_value b = moire_parameter(g, "w", MOIRE_SHAPE(3), init);
  cr_assert_neq(a.id, b.id);
  cr_assert_eq(g->n_states, 1);
  cr_assert_str_eq(g->states[0].init.stream, "shared");
  cr_assert_neq(g->states[0].init.stream, init.stream);
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  moire_graph_destroy(g);
}

Test(graph_build, a_pin_holds_source_and_scope) {
  moire_graph *g = training();
  moire_scope_push(g, "outer");
#line 31 "models/qia.c"
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
#line 297 "tests/ir/graph_build_test.c"
  moire_scope_pop(g);
  moire__graph_pin(g, moire__node_of(g, x.id));
  moire_value y = moire_exp(x);
  moire__graph_unpin(g);
  moire_value z = moire_exp(x);
  cr_assert_str_eq(moire__node_of(g, y.id)->source.file, "models/qia.c");
  cr_assert_eq(moire__node_of(g, y.id)->source.line, 31);
  cr_assert_str_eq(moire__node_of(g, y.id)->scope, "outer");
  cr_assert_str_eq(moire__node_of(g, z.id)->scope, "");
  cr_assert_neq(moire__node_of(g, z.id)->source.line, 31);
  moire_graph_destroy(g);
}

Test(graph_build, dropouts_have_streams_of_their_own) {
  moire_graph *g = training();
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
  moire_value z = moire_complex(x, x);
  cr_assert_eq(moire_dropout(x, 0).id, x.id);
  moire_value first = moire_dropout(x, 0.5);
  moire_dropout(z, 0.5);
  moire_value last = moire_dropout(x, 0.5);
  cr_assert_eq(moire__node_int(moire__node_of(g, first.id), "stream"), 0);
  cr_assert_eq(moire__node_int(moire__node_of(g, last.id), "stream"), 3);
  int inputs = 0;
  for (int i = 0; i < g->n_nodes; i++) inputs += g->nodes[i].op == MOIRE__OP_input;
  cr_assert_eq(inputs, 2);
  cr_assert_neq(moire__graph_find_input(g, "rng"), 0);
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_OK);
  moire_graph_destroy(g);
  g = moire_graph_create("test", MOIRE_INFERENCE);
  x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3));
  cr_assert_eq(moire_dropout(x, 0.5).id, x.id);
  moire_graph_destroy(g);
}

/* ---- what the language adds ------------------------------------------------------------------------------ */

Test(graph_language, operands_are_broadcast_by_nodes) {
  moire_graph *g = training();
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 1, 64));
  moire_value y = moire_input(g, "y", MOIRE_F32, MOIRE_SHAPE(50, 1));
  moire_value sum = moire_add(x, y);
  expect_shape(sum, MOIRE_SHAPE(b, 50, 64));
  const moire__node *node = moire__node_of(g, sum.id);
  cr_assert_eq(moire__node_of(g, node->operands[0])->op, MOIRE__OP_broadcast);
  cr_assert_eq(moire__node_of(g, node->operands[1])->op, MOIRE__OP_broadcast);
  expect_shape(moire_where(moire_less(x, x), y, x), MOIRE_SHAPE(b, 50, 64));
  node = moire__node_of(g, moire_add(x, x).id);
  cr_assert_eq(node->operands[0], x.id);
  moire_graph_destroy(g);
}

Test(graph_language, real_operands_become_complex) {
  moire_graph *g = training();
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(3, 4));
  moire_value z = moire_input(g, "z", MOIRE_C64, MOIRE_SHAPE(4));
  moire_value w = moire_input(g, "w", MOIRE_C64, MOIRE_SHAPE(4, 5));
  cr_assert_eq(moire_value_dtype(moire_add(x, z)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_mul(x, z)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_div(z, x)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_matmul(x, w)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_scale(z, 2)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_add_scalar(z, 2)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_gelu(z)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_mean_all(z)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_abs(z)), MOIRE_F32);
  cr_assert_eq(moire_value_dtype(moire_abs(x)), MOIRE_F32);
  cr_assert_eq(moire_value_dtype(moire_angle(z)), MOIRE_F32);
  cr_assert_eq(moire_value_dtype(moire_polar(x, x)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_cast(x, MOIRE_C64)), MOIRE_C64);
  moire_value weight = moire_input(g, "weight", MOIRE_C64, MOIRE_SHAPE(7, 4));
  moire_value bias = moire_input(g, "bias", MOIRE_F32, MOIRE_SHAPE(7));
  cr_assert_eq(moire_value_dtype(moire_linear(x, weight, bias)), MOIRE_C64);
  cr_assert_eq(moire_value_dtype(moire_linear(x, weight, (moire_value){0})), MOIRE_C64);
  expect_shape(moire_hermitian(w), MOIRE_SHAPE(5, 4));
  moire_graph_destroy(g);
}

Test(graph_language, matrices_meet_in_few_shapes) {
  moire_graph *g = training();
  moire_dim b = moire_extent(g, "B"), c = moire_extent(g, "C");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 4, 50, 64));
  moire_value w = moire_input(g, "w", MOIRE_F32, MOIRE_SHAPE(64, 7));
  moire_value y = moire_matmul(x, w);
  expect_shape(y, MOIRE_SHAPE(b, 4, 50, 7));
  const moire__node *node = moire__node_of(g, y.id);
  cr_assert_eq(node->op, MOIRE__OP_reshape);
  expect_shape((moire_value){g, node->operands[0]}, MOIRE_SHAPE(moire_dim_times(b, 200), 7));
  moire_value keys = moire_input(g, "keys", MOIRE_F32, MOIRE_SHAPE(4, 64, 50));
  expect_shape(moire_matmul(x, keys), MOIRE_SHAPE(b, 4, 50, 50));
  moire_value two = moire_input(g, "two", MOIRE_F32, MOIRE_SHAPE(b, c, 64));
  expect_shape(moire_matmul(two, w), MOIRE_SHAPE(b, c, 7));
  moire_graph_destroy(g);
}

Test(graph_language, reductions_keep_or_drop_their_axis) {
  moire_graph *g = training();
  moire_dim b = moire_extent(g, "B"), c = moire_extent(g, "C");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 50, 64));
  expect_shape(moire_sum(x, -1, true), MOIRE_SHAPE(b, 50, 1));
  expect_shape(moire_sum(x, 0, false), MOIRE_SHAPE(50, 64));
  expect_shape(moire_mean(x, 1, false), MOIRE_SHAPE(b, 64));
  expect_shape(moire_mean(x, 0, true), MOIRE_SHAPE(1, 50, 64));
  expect_shape(moire_max(x, 1, true), MOIRE_SHAPE(b, 1, 64));
  expect_shape(moire_mean_all(x), MOIRE_SCALAR);
  expect_shape(moire_mean_all(moire_input(g, "y", MOIRE_F32, MOIRE_SHAPE(b, 3, c))), MOIRE_SCALAR);
  expect_shape(moire_sum_all(moire_sum_all(x)), MOIRE_SCALAR);
  moire_graph_destroy(g);
}
