/* Two named extents and their product: what compiled code gives is what the oracle says, at any sizes. */
#include <criterion/criterion.h>

#include "moire/compile.h"
#include "moire/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 8, HEADS = 2, MOST = 7 * 70 };
#define CHECK(call) cr_assert_eq((call), MOIRE_OK, "%s", error.message)

static moire_error error;

static moire_value heads_of(moire_value x, moire_dim b, moire_dim t) {
  return moire_swap_axes(moire_reshape(x, MOIRE_SHAPE(b, t, HEADS, WIDTH / HEADS)), 1, 2);
}

/* A causal layer over sequences of any length; its loss is a mean over all B T tokens. */
static moire_graph *model(void) {
  moire_graph *g = moire_graph_create("tokens", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B"), t = moire_extent(g, "T"), all = moire_dim_times(b, t);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, t, WIDTH));
  moire_value valid = moire_input(g, "valid", MOIRE_BOOL, MOIRE_SHAPE(b, t));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(WIDTH, WIDTH), moire_init_normal(0, 0.5));
  moire_value q = moire_linear(x, w, (moire_value){0});
  moire_attention_options options = {
      .score = MOIRE_SCORE_DOT, .scale = 0.5, .mask_value = -10000, .causal = true, .key_valid = valid};
  moire_value y = moire_attention(heads_of(q, b, t), heads_of(x, b, t), heads_of(x, b, t), options);
  y = moire_reshape(moire_swap_axes(y, 1, 2), MOIRE_SHAPE(all, WIDTH));
  moire_value rows = moire_add(y, moire_reshape(x, MOIRE_SHAPE(all, WIDTH)));
  moire_value pairs = moire_matmul(moire_mean(x, 1, false), moire_swap_axes(moire_mean(x, 1, false), 0, 1));
  moire_output(g, "rows", rows);
  moire_output(g, "again", moire_reshape(rows, MOIRE_SHAPE(b, t, WIDTH)));
  moire_output(g, "pairs", pairs);
  moire_output(g, "loss", moire_add(moire_mean_all(moire_mul(rows, rows)), moire_mean_all(pairs)));
  CHECK(moire_graph_status(g, &error));
  return g;
}

static const char *const outputs[] = {"rows", "again", "pairs", "loss"};

static moire_compile_options options(void) {
  moire_compile_options o = moire_compile_defaults();
  o.outputs = outputs;
  o.n_outputs = 4;
  o.loss = "loss";
  o.keep_gradients = true;
  return o;
}

static void expect_near(const moire_runner *runner, const moire_oracle *oracle, const char *name,
                        int64_t elements) {
  int64_t n, wanted;
  const float *got = moire_runner_output(runner, name, &n);
  const double *want = moire_oracle_output(oracle, name, &wanted);
  cr_assert(got && want && n == elements && wanted == elements, "%s: %lld and %lld elements, not %lld", name,
            (long long)n, (long long)wanted, (long long)elements);
  for (int64_t i = 0; i < n; i++)
    cr_assert(fabs((double)got[i] - want[i]) < 1e-4 * (1 + fabs(want[i])), "%s[%lld] is %g, not %g", name,
              (long long)i, (double)got[i], want[i]);
}

static void run_at(moire_runner *runner, moire_oracle *oracle, int64_t b, int64_t t) {
  static float x[MOST * WIDTH];
  static double wide[MOST * WIDTH], wide_valid[MOST];
  static unsigned char valid[MOST];
  for (int64_t i = 0; i < b * t * WIDTH; i++) x[i] = (float)(i * 37 % 64) / 32 - 1;
  for (int64_t i = 0; i < b * t * WIDTH; i++) wide[i] = (double)x[i];
  for (int64_t i = 0; i < b * t; i++) wide_valid[i] = valid[i] = i % t == 0 || i % 5 != 1;
  CHECK(moire_runner_set_extent(runner, "B", b, &error));
  CHECK(moire_runner_set_extent(runner, "T", t, &error));
  CHECK(moire_oracle_set_extent(oracle, "B", b, &error));
  CHECK(moire_oracle_set_extent(oracle, "T", t, &error));
  CHECK(moire_runner_set_input(runner, "x", x, b * t * WIDTH, &error));
  CHECK(moire_runner_set_input(runner, "valid", valid, b * t, &error));
  CHECK(moire_oracle_set_input(oracle, "x", wide, b * t * WIDTH, &error));
  CHECK(moire_oracle_set_input(oracle, "valid", wide_valid, b * t, &error));
  CHECK(moire_runner_run(runner, &error));
  CHECK(moire_oracle_run(oracle, &error));
  const int64_t elements[] = {b * t * WIDTH, b * t * WIDTH, b * b, 1};
  for (int i = 0; i < 4; i++) expect_near(runner, oracle, outputs[i], elements[i]);
  expect_near(runner, oracle, "grad.w", WIDTH * WIDTH);
}

Test(extents, a_model_of_two_runs_at_any_sizes) {
  static const int64_t sizes[][2] = {{3, 5}, {7, 70}, {1, 1}, {2, 33}, {7, 4}, {1, 65}};
  moire_graph *g = model();
  moire_compile_options o = options();
  moire_program *program = moire_compile(g, &o, &error);
  cr_assert(program, "%s", error.message);
  moire_threads *threads = moire_threads_create(2, &error);
  moire_store *store = moire_store_create();
  CHECK(moire_store_declare(store, moire_program_plan(program), 3, &error));
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, threads, &error);
  moire_oracle *oracle = moire_oracle_create(g, &o, &error);
  cr_assert(runner && oracle, "%s", error.message);
  double *to = moire_oracle_state_data(oracle, "w", NULL);
  const float *from = moire_store_data(store, "w", NULL);
  for (int i = 0; i < WIDTH * WIDTH; i++) to[i] = (double)from[i];
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) run_at(runner, oracle, sizes[i][0], sizes[i][1]);
  moire_oracle_destroy(oracle);
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire_threads_destroy(threads);
  moire_program_destroy(program);
  moire_graph_destroy(g);
}

/* No scores are kept: attention over a named length is the kernel of packed samples. */
Test(extents, attention_over_a_named_length_is_one_kernel) {
  moire_graph *g = model();
  moire_compile_options o = options();
  char *text = moire_compile_print(g, &o, "fuse", &error);
  cr_assert(text, "%s", error.message);
  cr_expect(strstr(text, "= attend_real(") && strstr(text, "= attend_real_backward("));
  cr_expect_null(strstr(text, "[B,2,T,T]"));
  free(text);
  moire_graph_destroy(g);
}

Test(extents, products_are_written_and_read) {
  moire_graph *g = model();
  char *text = moire_graph_print(g);
  cr_assert(strstr(text, "f32[B*T,8]"), "%s", text);
  moire_graph *again = moire_graph_parse(text, "text", &error);
  cr_assert(again, "%s", error.message);
  char *text_again = moire_graph_print(again);
  cr_assert_str_eq(text_again, text);
  moire_port rows = moire_graph_find_output(again, "rows");
  cr_assert_str_eq(moire_dim_extent_name(again, rows.shape.dims[0], 0), "B");
  cr_assert_str_eq(moire_dim_extent_name(again, rows.shape.dims[0], 1), "T");
  cr_assert_null(moire_dim_extent_name(again, rows.shape.dims[0], 2));
  free(text);
  free(text_again);
  moire_graph_destroy(again);
  static const char *const stages[] = {"memory_plan", "lower"}, *const parts[] = {"f32[B*T,8]", "[8*B*T]"};
  moire_compile_options o = options();
  for (int i = 0; i < 2; i++) {
    text = moire_compile_print(g, &o, stages[i], &error);
    cr_assert(text, "%s", error.message);
    cr_assert(strstr(text, parts[i]), "%s", text);
    free(text);
  }
  moire_graph_destroy(g);
}

static void expect_refusal(const char *text, const char *sentence) {
  cr_assert_null(moire_graph_parse(text, "text", &error));
  cr_assert(strstr(error.message, sentence), "%s", error.message);
  error = (moire_error){0};
}

Test(extents, what_is_no_dim_is_refused) {
  moire_graph *g = moire_graph_create("test", MOIRE_INFERENCE);
  moire_dim b = moire_extent(g, "B"), t = moire_extent(g, "T"), square = moire_dim_times(b, b);
  cr_assert_eq(moire_dim_times(square, moire_dim_times(t, t)), -1);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(square, t));
  moire_broadcast(x, MOIRE_SHAPE(t, square, t));
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_ERROR_SHAPE);
  cr_assert(strstr(error.message, "it has more than 3 named extents"), "%s", error.message);
  error = (moire_error){0};
  moire_graph_destroy(g);
  expect_refusal(
      "graph @g inference { extent B %1 = input {name = \"x\", dtype = f32, shape = [B*B*B*B]} : f32[B] }",
      "more than 3 extents in one");
  expect_refusal(
      "graph @g inference { extent B %1 = input {name = \"x\", dtype = f32, shape = [B*C]} : f32[B] }",
      "there is no extent C");
}
