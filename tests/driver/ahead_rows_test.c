/* Which graphs compute the samples of a batch apart. */
#include "compiler/driver/ahead/rows.h"

#include <criterion/criterion.h>

typedef struct sources {
  moire_dim b;
  moire_value x, sequence, ids, weight, table; /* [B, 4], [B, 5, 4], i32[B, 5], [4, 4], [9, 4] */
} sources;

typedef moire_value make(moire_graph *g, const sources *s);

static bool are_apart(make *make_output) {
  moire_error error = {0};
  static const char *const outputs[] = {"y"};
  moire_graph *g = moire_graph_create("rows", MOIRE_INFERENCE);
  sources s = {.b = moire_extent(g, "B")};
  s.x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(s.b, 4));
  s.sequence = moire_input(g, "sequence", MOIRE_F32, MOIRE_SHAPE(s.b, 5, 4));
  s.ids = moire_input(g, "ids", MOIRE_I32, MOIRE_SHAPE(s.b, 5));
  s.weight = moire_parameter(g, "weight", MOIRE_SHAPE(4, 4), moire_init_constant(1));
  s.table = moire_parameter(g, "table", MOIRE_SHAPE(9, 4), moire_init_constant(1));
  moire_output(g, "y", make_output(g, &s));
  moire_output(g, "elsewhere", moire_mean_all(s.x)); /* what is not asked for does not matter */
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  bool apart = moire__ahead_rows_are_apart(g, outputs, 1);
  moire_graph_destroy(g);
  return apart;
}

/* ---- Apart ------------------------------------------------------------------------------------------ */

static moire_value layers(moire_graph *g, const sources *s) {
  (void)g;
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(4), moire_init_constant(0));
  return moire_softmax(moire_tanh(moire_linear(moire_scale(s->x, 2), s->weight, bias)));
}
static moire_value attention(moire_graph *g, const sources *s) {
  (void)g;
  moire_value scores = moire_matmul(s->sequence, moire_swap_axes(s->sequence, -1, -2));
  return moire_matmul(moire_softmax(scores), s->sequence);
}
static moire_value merged(moire_graph *g, const sources *s) {
  (void)g;
  moire_value rows = moire_reshape(s->sequence, MOIRE_SHAPE(moire_dim_times(s->b, 5), 4));
  return moire_reshape(moire_matmul(rows, s->weight), MOIRE_SHAPE(s->b, 20));
}
static moire_value turned(moire_graph *g, const sources *s) {
  (void)g;
  moire_value by_time = moire_permute(s->sequence, 3, (const int[]){1, 0, 2});
  return moire_permute(moire_softmax(by_time), 3, (const int[]){1, 0, 2});
}
static moire_value looked_up(moire_graph *g, const sources *s) {
  (void)g;
  return moire_sum(moire_embedding(s->table, s->ids, 0), 1, false);
}
static moire_value numbered(moire_graph *g, const sources *s) {
  return moire_add(s->x, moire_cast(moire_iota(g, MOIRE_SHAPE(s->b, 4), 1), MOIRE_F32));
}
static moire_value waves(moire_graph *g, const sources *s) {
  (void)g;
  return moire_abs2(moire_complex(s->x, moire_matmul(s->x, s->weight)));
}
static moire_value cut(moire_graph *g, const sources *s) {
  (void)g;
  return moire_concat((const moire_value[]){moire_slice(s->sequence, 1, 4, 1), s->sequence}, 2, 1);
}
static moire_value weights(moire_graph *g, const sources *s) {
  (void)g;
  return moire_matmul(s->weight, s->weight);
}

Test(ahead_rows, samples_that_are_apart) {
  cr_expect(are_apart(layers));
  cr_expect(are_apart(attention));
  cr_expect(are_apart(merged));
  cr_expect(are_apart(turned));
  cr_expect(are_apart(looked_up));
  cr_expect(are_apart(numbered));
  cr_expect(are_apart(waves));
  cr_expect(are_apart(cut));
  cr_expect(are_apart(weights));
}

/* ---- Together --------------------------------------------------------------------------------------- */

static moire_value mean_of_batch(moire_graph *g, const sources *s) {
  (void)g;
  return moire_sub(s->x, moire_broadcast(moire_mean(s->x, 0, true), MOIRE_SHAPE(s->b, 4)));
}
static moire_value samples_turned_around(moire_graph *g, const sources *s) {
  (void)g;
  return moire_flip(s->x, 0);
}
static moire_value softmax_of_batch(moire_graph *g, const sources *s) {
  (void)g;
  return moire_softmax(moire_sum(s->x, 1, false));
}
static moire_value softmax_of_turned(moire_graph *g, const sources *s) {
  (void)g;
  return moire_swap_axes(moire_softmax(moire_swap_axes(s->x, 0, 1)), 0, 1);
}
static moire_value products_of_samples(moire_graph *g, const sources *s) {
  (void)g;
  return moire_matmul(s->x, moire_matmul(moire_swap_axes(s->x, 0, 1), s->x));
}
static moire_value numbered_samples(moire_graph *g, const sources *s) {
  return moire_add(s->x, moire_cast(moire_iota(g, MOIRE_SHAPE(s->b, 4), 0), MOIRE_F32));
}
static moire_value mixed_rows(moire_graph *g, const sources *s) {
  (void)g;
  moire_value by_time = moire_permute(s->sequence, 3, (const int[]){1, 0, 2}); /* [5, B, 4] */
  return moire_reshape(by_time, MOIRE_SHAPE(s->b, 20));
}
static moire_value total(moire_graph *g, const sources *s) {
  (void)g;
  return moire_mean_all(s->x);
}

static moire_value number_of_samples(moire_graph *g, const sources *s) {
  moire_value ones = moire_constant(g, MOIRE_F32, MOIRE_SHAPE(s->b, s->b), 1);
  return moire_mul(moire_sum(s->x, 1, false), moire_sum(ones, 1, false));
}

Test(ahead_rows, samples_that_meet) {
  cr_expect_not(are_apart(number_of_samples));
  cr_expect_not(are_apart(mean_of_batch));
  cr_expect_not(are_apart(samples_turned_around));
  cr_expect_not(are_apart(softmax_of_batch));
  cr_expect_not(are_apart(softmax_of_turned));
  cr_expect_not(are_apart(products_of_samples));
  cr_expect_not(are_apart(numbered_samples));
  cr_expect_not(are_apart(mixed_rows));
  cr_expect_not(are_apart(total));
}
