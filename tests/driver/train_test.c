/* Training loops of users: moire/train.h. */
#include "moire/train.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MOST = 12, WIDTH = 3 };

static moire_graph *build(void) {
  moire_graph *g = moire_graph_create("line", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, WIDTH));
  moire_value y = moire_input(g, "y", MOIRE_F32, MOIRE_SHAPE(b));
  moire_value w = moire_parameter(g, "weight", MOIRE_SHAPE(1, WIDTH), moire_init_normal(0, 1));
  moire_value c = moire_parameter(g, "bias", MOIRE_SHAPE(1), moire_init_constant(0));
  moire_value got = moire_reshape(moire_linear(moire_dropout(x, 0.1), w, c), MOIRE_SHAPE(b));
  moire_value error = moire_sub(got, y);
  moire_output(g, "got", got);
  moire_output(g, "loss", moire_mean_all(moire_mul(error, error)));
  return g;
}

static moire_compile_options options_of(void) {
  static const char *const biases[] = {"bias"};
  static moire_parameter_group group;
  moire_compile_options o = moire_compile_defaults();
  o.loss = "loss";
  o.training.optimizer = MOIRE_OPTIMIZER_SGD;
  o.training.lr = 0.1;
  o.training.momentum = 0.5;
  o.training.accumulate = 2;
  o.training.ema = 0.9;
  o.training.schedule = (moire_schedule){.kind = MOIRE_SCHEDULE_LINEAR, .total_steps = 50, .warmup_steps = 3};
  group = moire_parameter_group_of(&o.training);
  group.match = biases;
  group.n_match = 1;
  group.lr = 0.2;
  o.training.groups = &group;
  o.training.n_groups = 1;
  return o;
}

static moire_train *create(void) {
  moire_error error = {0};
  moire_graph *g = build();
  moire_compile_options o = options_of();
  moire_train *t = moire_train_create(g, &o, 5, 2, &error);
  cr_assert(t, "%s", error.message);
  moire_graph_destroy(g);
  return t;
}

/* Batch `number` has 4 to 6 rows of y = 1 + 2 x0 - x1. */
static double step(moire_train *t, int number) {
  moire_error error = {0};
  float x[MOST * WIDTH], y[MOST];
  int rows = 4 + number % 3;
  for (int i = 0; i < rows * WIDTH; i++) x[i] = (float)((number * 31 + i * i * 7) % 11 - 5) / 5;
  for (int i = 0; i < rows; i++) y[i] = 1 + 2 * x[i * WIDTH] - x[i * WIDTH + 1];
  const moire_train_input inputs[] = {{"x", x, rows * WIDTH}, {"y", y, rows}};
  double loss = -1;
  cr_assert_eq(moire_train_step(t, inputs, 2, &loss, &error), MOIRE_OK, "%s", error.message);
  return loss;
}

Test(train, learns_and_goes_on_where_it_was) {
  moire_train *whole = create(), *first = create(), *second = create();
  double begin = 0, end = 0;
  for (int i = 0; i < 80; i++) {
    double loss = step(whole, i);
    if (i < 10) begin += loss;
    if (i >= 70) end += loss;
  }
  cr_expect_lt(end, 0.3 * begin, "the loss went from %g to %g", begin, end);
  cr_expect_eq(moire_train_batches(whole), 80);
  for (int i = 0; i < 33; i++) step(first, i); /* in the middle of a step */
  moire_store *from = moire_train_store(first), *to = moire_train_store(second);
  for (int i = 0; i < moire_store_count(from); i++) {
    const char *name = moire_store_at(from, i).name;
    int64_t n = 0;
    const void *data = moire_store_data(from, name, &n);
    memcpy(moire_store_data(to, name, NULL), data, (size_t)n * sizeof(float));
  }
  moire_train_set_batches(second, 33);
  for (int i = 33; i < 80; i++) step(second, i);
  moire_store *want = moire_train_store(whole);
  int n_states = moire_store_count(want);
  cr_expect_eq(n_states, 2 * 4);
  for (int i = 0; i < n_states; i++) {
    const char *name = moire_store_at(want, i).name;
    int64_t n = 0;
    const void *data = moire_store_data(want, name, &n);
    cr_expect(!memcmp(data, moire_store_data(to, name, NULL), (size_t)n * sizeof(float)), "%s differs", name);
  }
  moire_train_destroy(whole);
  moire_train_destroy(first);
  moire_train_destroy(second);
}

static void refuse_step(moire_train *t, const moire_train_input *inputs, int n, const char *word) {
  moire_error error = {0};
  cr_expect_neq(moire_train_step(t, inputs, n, NULL, &error), MOIRE_OK, "%s", word);
  cr_expect(strstr(error.message, word), "%s", error.message);
}

Test(train, refuses_with_a_sentence) {
  moire_train *t = create();
  const float numbers[MOST * WIDTH] = {0};
  refuse_step(t, (moire_train_input[]){{"x", numbers, 7}, {"y", numbers, 2}}, 2, "wanted a multiple of 3");
  refuse_step(t, (moire_train_input[]){{"x", numbers, 6}, {"y", numbers, 3}}, 2,
              "input \"y\" has 3 elements, wanted 2 by the sizes of the others");
  refuse_step(t, (moire_train_input[]){{"x", numbers, 6}}, 1, "y");
  refuse_step(t, (moire_train_input[]){{"z", numbers, 6}}, 1, "z");
  cr_expect_eq(moire_train_batches(t), 0);
  moire_train_destroy(t);
  moire_train_destroy(NULL);

  moire_graph *g = build();
  moire_error error = {0};
  moire_compile_options o = options_of();
  o.loss = NULL;
  cr_expect_null(moire_train_create(g, &o, 1, 1, &error));
  cr_expect(strstr(error.message, "options.loss"), "%s", error.message);
  error = (moire_error){0};
  o = options_of();
  o.training.optimizer = MOIRE_OPTIMIZER_NONE;
  cr_expect_null(moire_train_create(g, &o, 1, 1, &error));
  cr_expect(strstr(error.message, "optimizer"), "%s", error.message);
  error = (moire_error){0};
  o = options_of();
  o.training.schedule.total_steps = 0;
  cr_expect_null(moire_train_create(g, &o, 1, 1, &error));
  cr_expect(strstr(error.message, "total_steps is 0"), "%s", error.message);
  moire_graph_destroy(g);
}

/* Two extents, of which only the one of the mask is told by an input of its own; and a complex input. */
static moire_graph *build_tokens(void) {
  moire_graph *g = moire_graph_create("tokens", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B"), t = moire_extent(g, "T");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, t, 2));
  moire_value z = moire_input(g, "z", MOIRE_C64, MOIRE_SHAPE(t));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(2), moire_init_constant(1));
  moire_value error = moire_sub(moire_sum(moire_mul(x, w), -1, false), moire_abs2(z));
  moire_output(g, "loss", moire_mean_all(moire_mul(error, error)));
  return g;
}

Test(train, finds_the_sizes_of_products) {
  moire_error error = {0};
  moire_graph *g = build_tokens();
  moire_compile_options o = moire_compile_defaults();
  o.loss = "loss";
  o.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  o.training.lr = 0.05;
  moire_train *t = moire_train_create(g, &o, 1, 1, &error);
  cr_assert(t, "%s", error.message);
  moire_graph_destroy(g);
  const float x[12] = {1, 0, 0, 1, 1, 1, 2, 0, 0, 2, 2, 2}, z[6] = {1, 0, 0, 1, 0.5, 0.5};
  const moire_train_input inputs[] = {{"x", x, 12}, {"z", z, 3}};
  double first = 0, last = 0;
  for (int i = 0; i < 50; i++)
    cr_assert_eq(moire_train_step(t, inputs, 2, i ? &last : &first, &error), MOIRE_OK, "%s", error.message);
  cr_expect(last < first && first > 0, "%g to %g", first, last);
  refuse_step(t, inputs, 1, "no input tells the extent");
  cr_assert_eq(moire_train_set_extent(t, "T", 2, &error), MOIRE_OK);
  refuse_step(t, inputs, 2, "input \"z\" has 3 elements, wanted 2");
  moire_train_destroy(t);
}
