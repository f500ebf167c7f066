/* The verifier refuses each kind of damage; rewriting keeps what it does not change. */
#include <criterion/criterion.h>

#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"

#include <stdlib.h>
#include <string.h>

/* A dense layer with a dropout and an update: nodes x, w, matmul (reshapes), rng, dropout, … */
static moire_graph *layer(void) {
  moire_graph *g = moire_graph_create("layer", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_scope_push(g, "dense");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 4));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(4, 3), moire_init_normal(0, 1));
  moire_value y = moire_dropout(moire_matmul(x, w), 0.25);
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_mean_all(y));
  moire_update(g, "dense.w", moire_scale(w, 0.5));
  moire_error error = {0};
  cr_assert_eq(moire__graph_verify(g, &error), MOIRE_OK, "%s", error.message);
  return g;
}

static moire__node *node_with(moire_graph *g, moire__op op) {
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op == op) return &g->nodes[i];
  }
  cr_assert_fail("no such node");
  return NULL;
}

static void self_reference(moire_graph *g) {
  moire__node *node = node_with(g, MOIRE__OP_matmul);
  ((int32_t *)(uintptr_t)node->operands)[0] = node->first_result;
}
static void null_operand(moire_graph *g) {
  ((int32_t *)(uintptr_t)node_with(g, MOIRE__OP_matmul)->operands)[1] = 0;
}
static void other_type(moire_graph *g) { g->values[1].dtype = MOIRE_F64; }
static void other_shape(moire_graph *g) {
  g->values[node_with(g, MOIRE__OP_matmul)->first_result].shape.dims[1] = 9;
}
static void other_op(moire_graph *g) { node_with(g, MOIRE__OP_matmul)->op = MOIRE__OP_exp; }
static void no_op(moire_graph *g) { node_with(g, MOIRE__OP_matmul)->op = MOIRE__OP_COUNT; }
static void gap(moire_graph *g) { node_with(g, MOIRE__OP_matmul)->first_result++; }
static void owner(moire_graph *g) { g->values[2].node = 0; }
static void more_values(moire_graph *g) { g->n_nodes--; }
static void output_gone(moire_graph *g) { g->outputs[1].value = g->n_values; }
static void output_twice(moire_graph *g) { g->outputs[1].name = "y"; }
static void update_of_none(moire_graph *g) { g->updates[0].name = "dense.v"; }
static void update_type(moire_graph *g) { g->updates[0].value = 1; }
static void state_shape(moire_graph *g) { g->states[0].shape.dims[0] = moire__dim_make(1, 1); }
static void attribute_gone(moire_graph *g) { node_with(g, MOIRE__OP_dropout)->n_attrs = 0; }
static void extent_twice(moire_graph *g) {
  g->extents[2] = "B";
  g->n_extents = 2;
}
static void mistake(moire_graph *g) { moire_graph_fail(g, MOIRE_ERROR_SHAPE, "broken"); }

static void (*const damages[])(moire_graph *) = {
    self_reference, null_operand,   other_type,  other_shape,  other_op,       no_op,       gap,
    owner,          more_values,    output_gone, output_twice, update_of_none, update_type, state_shape,
    extent_twice,   attribute_gone, mistake,
};

Test(graph_verify, every_damage_is_refused) {
  for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
    moire_graph *g = layer();
    damages[i](g);
    moire_error error = {0};
    cr_assert_neq(moire__graph_verify(g, &error), MOIRE_OK, "damage %zu", i);
    cr_assert_neq(error.message[0], 0);
    moire_graph_destroy(g);
  }
}

/* ---- rewriting ------------------------------------------------------------------------------------------- */

Test(graph_rewrite, a_clone_is_the_same_text) {
  moire_graph *g = layer();
  g->nodes[2].kernel = 5;
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) moire__rewrite_clone(&r, &g->nodes[i]);
  moire_error error = {0};
  moire_graph *copy = moire__rewrite_finish(&r, &error);
  cr_assert_not_null(copy, "%s", error.message);
  cr_assert_eq(moire__graph_verify(copy, &error), MOIRE_OK, "%s", error.message);
  char *before = moire_graph_print(g), *after = moire_graph_print(copy);
  cr_assert_str_eq(before, after);
  free(before);
  free(after);
  moire_graph_destroy(g);
  moire_graph_destroy(copy);
}

Test(graph_rewrite, a_replacement_carries_the_pin) {
  moire_graph *g = layer();
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op == MOIRE__OP_dropout) {
      moire__graph_pin(r.to, node);
      moire_value x = moire__rewrite_value(&r, node->operands[0]);
      moire__rewrite_set(&r, node->first_result, moire_neg(moire_neg(x)));
      moire__graph_unpin(r.to);
    } else {
      moire__rewrite_clone(&r, node);
    }
  }
  moire_graph *result = moire__rewrite_finish(&r, NULL);
  cr_assert_not_null(result);
  const moire__node *neg = moire__node_of(result, moire__graph_find_output(result, "y"));
  cr_assert_eq(neg->op, MOIRE__OP_neg);
  cr_assert_str_eq(neg->scope, "dense");
  cr_assert_eq(neg->source.line, node_with(g, MOIRE__OP_dropout)->source.line);
  moire_graph_destroy(g);
  moire_graph_destroy(result);
}

Test(graph_rewrite, what_is_lost_is_reported) {
  moire_graph *g = layer();
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op != MOIRE__OP_dropout) moire__rewrite_clone(&r, &g->nodes[i]);
  }
  moire_error error = {0};
  cr_assert_null(moire__rewrite_finish(&r, &error));
  cr_assert_eq(error.status, MOIRE_ERROR_INTERNAL);
  cr_assert(strstr(error.message, "was dropped"));
  r = moire__rewrite_begin(g);
  moire__rewrite_abandon(&r);
  r = moire__rewrite_begin(g);
  moire_graph *bare = moire__rewrite_finish_bare(&r, NULL);
  cr_assert_not_null(bare);
  cr_assert_eq(bare->n_outputs, 0);
  moire_graph_destroy(bare);
  moire_graph_destroy(g);
}

Test(graph_rewrite, uses_are_counted) {
  moire_graph *g = layer();
  moire__arena arena = {0};
  int *uses = moire__graph_count_uses(g, &arena);
  cr_assert_eq(uses[1], 1);
  cr_assert_eq(uses[2], 2);                                /* matmul, scale */
  cr_assert_eq(uses[moire__graph_find_output(g, "y")], 2); /* output, mean */
  cr_assert_eq(uses[moire__graph_find_output(g, "loss")], 1);
  moire__arena_free(&arena);
  moire_graph_destroy(g);
}
