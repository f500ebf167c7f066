/* The text form: what is printed reads back as the same text; what is not a graph is a sentence. */
#include <criterion/criterion.h>

#include "compiler/ir/op.h"
#include "runtime/base/philox.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every construct of the text form. */
static const char *const sample_text =
    "graph @sample training {\n"
    "  extent B\n"
    "  state $items.weight : f32[7,4] trained normal(0.0, 0.02)\n"
    "  state $\"odd name\" : f32[3] uniform(-0.5, 0.5) stream \"a \\\"stream\\\"\"\n"
    "  state $count : i32[] constant(0.0, 0.0)\n"
    "  %1 = input {name = \"x\", dtype = f32, shape = [B,4]} : f32[B,4] at \"m.c\":3\n"
    "  %2 = input {name = \"wide\", dtype = f32, shape = [50*B]} : f32[50*B]\n"
    "  %3 = state {name = \"items.weight\"} : f32[7,4] in \"layers.0\" at \"m.c\":4\n"
    "  %4 = matmul(%1, %3) {transpose_b = 1} : f32[B,7] in \"layers.0\" at \"m.c\":5 kernel 2\n"
    "  %5 = constant {value = -1e-30, dtype = f32, shape = [B,7]} : f32[B,7]\n"
    "  %6 = constant {value = inf, dtype = f32, shape = []} : f32[]\n"
    "  %7 = add(%4, %5) : f32[B,7]\n"
    "  %8 = sum(%7) {axes = (0,1)} : f32[1,1]\n"
    "  %9 = permute(%7) {axes = (1,0)} : f32[7,B]\n"
    "  %10, %11 = cmatmul(%1, %1, %3, %3) {transpose_b = 1, conj_b = 1} : f32[B,7], f32[B,7]\n"
    "  %12 = exp(%3) : f32[7,4] in \"layers.0\" at \"m.c\":9 also \"m.c\":11, \"n \\\"o\\\".c\":12 as "
    "\"norm+bias\" "
    "backward kernel 3\n"
    "  %13 = neg(%12) : f32[7,4] also \"m.c\":11 optimizer\n"
    "  output \"sum\" = %8\n"
    "  output \"a \\x01 name\" = %11\n"
    "  update $items.weight = %12\n"
    "}\n";

static void expect_round_trip(const char *text) {
  moire_error error = {0};
  moire_graph *g = moire_graph_parse(text, "sample", &error);
  cr_assert_not_null(g, "%s", error.message);
  cr_assert_eq(moire__graph_verify(g, &error), MOIRE_OK, "%s", error.message);
  char *again = moire_graph_print(g);
  cr_assert_str_eq(again, text);
  free(again);
  moire_graph_destroy(g);
}

Test(graph_text, what_is_read_prints_the_same) { expect_round_trip(sample_text); }

Test(graph_text, what_is_built_reads_back) {
  moire_graph *g = moire_graph_create("a \"graph\"", MOIRE_INFERENCE);
  moire_dim b = moire_extent(g, "B");
  moire_scope_push(g, "scope \\ \n");
  moire_value x = moire_input(g, "x", MOIRE_C64, MOIRE_SHAPE(b, 50, 64));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(64, 64), moire_init_uniform(-1.0 / 3, 1e300));
  const double logs[] = {0, 0.6931471805599453, 1.0986122886681098};
  moire_value gain = moire_parameter(g, "gain", MOIRE_SHAPE(64), moire_init_list(logs, 3));
  moire_value y = moire_gelu(moire_matmul(moire_mul(moire_scale(x, 1.0 / 7), gain), w));
  moire_output(g, "y", moire_mean_all(moire_abs(y)));
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  char *text = moire_graph_print(g);
  moire_graph_destroy(g);
  expect_round_trip(text);
  free(text);
}

Test(graph_text, reals_keep_every_bit) {
  const double values[] = {0.0,     -0.0, 1.0 / 3,  1e22,      123456789.0, 5e-324, DBL_MAX,
                           DBL_MIN, 0.1,  INFINITY, -INFINITY, 16777217,    -2.5e-7};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    moire_graph *g = moire_graph_create("g", MOIRE_INFERENCE);
    moire_constant(g, MOIRE_F64, MOIRE_SCALAR, values[i]);
    char *text = moire_graph_print(g);
    moire_error error = {0};
    moire_graph *back = moire_graph_parse(text, "text", &error);
    cr_assert_not_null(back, "%s", error.message);
    double got = moire__node_real(&back->nodes[0], "value");
    cr_assert_eq(memcmp(&got, &values[i], sizeof got), 0, "%s", text);
    free(text);
    moire_graph_destroy(g);
    moire_graph_destroy(back);
  }
}

static const struct {
  const char *text, *sentence;
} wrong_texts[] = {
    {"", "f:1:1: expected `graph`, found the end of the text"},
    {"graph @g", "f:1:9: expected training or inference, found the end of the text"},
    {"graph @g training {\n  extent B\n  extent B\n}", "f:3:11: a second extent has the name B"},
    {"graph @g training {\n  %2 = rng\n}", "f:2:5: the next value is %1, not %2"},
    {"graph @g training {\n  %1 = nothing\n}", "f:2:15: there is no op nothing"},
    {"graph @g training {\n  %1, %2 = exp\n}", "f:2:15: exp has 1 results, not 2"},
    {"graph @g training {\n  %1 = exp(%1) : f32[]\n}", "f:2:14: there is no value %1 yet"},
    {"graph @g training {\n  %1 = iota {axis = 0, shape = [3]} : i32[4]\n}", "f:2:3: %1 is i32[3], not i32[4]"},
    {"graph @g training {\n  %1 = iota {axis = 0} : i32[4]\n}", NULL},
    {"graph @g training {\n  %1 = iota {axis = 0.0, shape = [3]} : i32[3]\n}", NULL},
    {"graph @g training {\n  %1 = iota {axis = 0, axis = 0, shape = [3]} : i32[3]\n}",
     "f:2:3: iota: attribute axis is given twice"},
    {"graph @g training {\n  %1 = constant {value = 1, dtype = f32, shape = []} : f32[]\n}", NULL},
    {"graph @g training {\n  %1 = input {dtype = f32, shape = [C]} : f32[]\n}", "f:2:38: there is no extent C"},
    {"graph @g training {\n  %1 = iota {axis = 0, shape = [3]} : i32[3] at \"m.c\":-1\n}", NULL},
    {"graph @g training {\n  %1 = iota {axis = 0, shape = [3]} : i32[3] also\n}", NULL},
    {"graph @g training {\n  %1 = iota {axis = 0, shape = [3]} : i32[3] also \"m.c\":1,\n}", NULL},
    {"graph @g training {\n  %1 = iota {axis = 0, shape = [3]} : i32[3] as iota\n}", NULL},
    {"graph @g training {\n  %1 = iota {axis = 0, shape = [3]} : i32[3] also "
     "\"m\":1,\"m\":2,\"m\":3,\"m\":4,\"m\":5,\"m\":6,"
     "\"m\":7,\"m\":8,\"m\":9,\"m\":10,\"m\":11,\"m\":12,\"m\":13,\"m\":14,\"m\":15,\"m\":16,\"m\":17\n}",
     NULL},
    {"graph @g training {\n  output \"y\" = %1\n}", "f:2:18: there is no value %1 yet"},
    {"graph @g training {\n  state $s : f32[2] normal(0, 1)\n}",
     "f:2:29: a real number is written with a point or an exponent"},
    {"graph @g training {\n  state $s : f32[-2] constant(0.0, 0.0)\n}", NULL},
    {"graph @g training {\n}\ngraph", "f:3:1: expected the end of the text, found `graph`"},
};

Test(graph_text, what_is_no_graph_is_a_sentence) {
  for (size_t i = 0; i < sizeof wrong_texts / sizeof wrong_texts[0]; i++) {
    moire_error error = {0};
    cr_assert_null(moire_graph_parse(wrong_texts[i].text, "f", &error), "%s", wrong_texts[i].text);
    cr_assert_neq(error.status, MOIRE_OK);
    if (wrong_texts[i].sentence) cr_assert_str_eq(error.message, wrong_texts[i].sentence);
  }
}

/* One change to the text, which has room for one more character. */
static void damage(char *text, moire__random *random) {
  static const char alphabet[] = "%$@\"{}()[],:=.*-0123456789BCeix \n";
  size_t length = strlen(text);
  if (length == 0) return;
  size_t at = moire__random_below(random, length);
  char c = alphabet[moire__random_below(random, sizeof alphabet - 1)];
  switch (moire__random_below(random, 4)) {
    case 0: text[at] = c; break;
    case 1: memmove(text + at, text + at + 1, length - at); break;
    case 2:
      memmove(text + at + 1, text + at, length - at + 1);
      text[at] = c;
      break;
    default: text[at] = text[moire__random_below(random, length)]; break;
  }
}

/* Damaged text is read or refused, never worse; what is read verifies, and prints a text that reads back.
 * Returns how many of the rounds were read. */
static int survive_damage(const char *original, int rounds, moire__random *random) {
  size_t length = strlen(original);
  char *text = malloc(length + 5);
  int accepted = 0;
  for (int round = 0; round < rounds; round++) {
    memcpy(text, original, length + 1);
    for (uint64_t n = moire__random_below(random, 4) + 1; n > 0; n--) damage(text, random);
    moire_error error = {0};
    moire_graph *g = moire_graph_parse(text, "f", &error);
    cr_assert_eq(g == NULL, error.status != MOIRE_OK);
    if (!g) continue;
    accepted++;
    cr_assert_eq(moire__graph_verify(g, &error), MOIRE_OK, "%s\n%s", text, error.message);
    char *printed = moire_graph_print(g);
    expect_round_trip(printed);
    free(moire_graph_print_dot(g));
    free(printed);
    moire_graph_destroy(g);
  }
  free(text);
  return accepted;
}

Test(graph_text, damage_is_harmless) {
  moire__random random = moire__random_start(7, 1);
  cr_assert_gt(survive_damage(sample_text, 2000, &random), 10);
}

/* Every sample of every op: its text reads back, and damage to it is harmless. */
Test(graph_text, every_op_reads_back) {
  moire__random random = moire__random_start(7, 2);
  for (int op = MOIRE__OP_none + 1; op < MOIRE__OP_COUNT; op++) {
    int samples = 0;
    for (int kind = MOIRE__SAMPLE_GOOD; kind <= MOIRE__SAMPLE_HARD; kind++) {
      for (int index = 0;; index++) {
        moire__sampler sampler = {.g = moire_graph_create("sample", MOIRE_TRAINING),
                                  .kind = (moire__sample_kind)kind,
                                  .index = index};
        bool any = moire__op_get((moire__op)op)->sample(&sampler);
        moire_error error = {0};
        if (any) cr_assert_eq(moire_graph_status(sampler.g, &error), MOIRE_OK, "%s", error.message);
        char *text = any ? moire_graph_print(sampler.g) : NULL;
        moire_graph_destroy(sampler.g);
        if (!any) break;
        expect_round_trip(text);
        survive_damage(text, 60, &random);
        free(text);
        samples++;
      }
    }
    cr_assert_gt(samples, 0, "%s has no samples", moire__op_get((moire__op)op)->name);
  }
}

Test(graph_text, a_picture_has_every_node) {
  moire_error error = {0};
  moire_graph *g = moire_graph_parse(sample_text, "sample", &error);
  cr_assert_not_null(g, "%s", error.message);
  char *dot = moire_graph_print_dot(g);
  cr_assert(strstr(dot, "subgraph cluster2 {"));
  cr_assert(strstr(dot, "n3 [label=\"matmul\\n%4 : f32[B,7]\""));
  cr_assert(strstr(dot, "n0 -> n3;"));
  cr_assert(strstr(dot, "update0 [label=\"update items.weight\""));
  free(dot);
  moire_graph_destroy(g);
}
