/* The text of the loop IR: exact, read back as printed, and refused with a line where it is wrong. */
#include <criterion/criterion.h>

#include "compiler/ir/loop/loop.h"
#include "runtime/base/philox.h"
#include "tests/support/loop_kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void expect_round_trip(const char *text) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__loop_kernel *k = moire__loop_parse(&arena, text, "t", &error);
  cr_assert_not_null(k, "%s\n%s", error.message, text);
  moire__text again = {0};
  moire__loop_print(k, &again);
  cr_assert_str_eq(moire__text_string(&again), text);
  moire__text_free(&again);
  moire__arena_free(&arena);
}

Test(loop_text, hand_built_kernels_verify_and_read_back) {
  for (size_t i = 0; i < sizeof test_kernels / sizeof test_kernels[0]; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    moire__text text = {0};
    const moire__loop_kernel *k = test_kernels[i](&arena);
    moire__loop_print(k, &text);
    cr_assert_eq(moire__loop_verify(k, &error), MOIRE_OK, "%s\n%s", error.message, moire__text_string(&text));
    expect_round_trip(moire__text_string(&text));
    moire__text_free(&text);
    moire__arena_free(&arena);
  }
}

static void print_with_sources(const char *from, moire__text *text) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__loop_kernel *k = moire__loop_parse(&arena, from, "t", &error);
  cr_assert_not_null(k, "%s", error.message);
  moire__loop_print_sources(k, text);
  moire__arena_free(&arena);
}

Test(loop_text, statements_keep_their_sources) {
  const char *text = "kernel @k (out f32 %y[8]) parallel %p < 1 {\n"
                     "  for %i1 = 0 to 8 at \"models/qia.c\":41 {\n"
                     "    %v1 = cast %i1 : f32\n"
                     "    var $1 = 0.0 : f32 at \"a \\\"b\\\".c\":7\n"
                     "    set $1 = %v1 at \"models/qia.c\":42\n"
                     "    %v2 = get $1 : f32 at \"models/qia.c\":43\n"
                     "    store %y[%i1] = %v2 at \"models/qia.c\":44\n"
                     "  }\n"
                     "}\n";
  moire__text with = {0};
  print_with_sources(text, &with);
  cr_assert_str_eq(moire__text_string(&with), text);
  moire__text_free(&with);
}

Test(loop_text, softmax_looks_like_this) {
  moire__arena arena = {0};
  moire__text text = {0};
  moire__loop_print(test_kernel_softmax(&arena), &text);
  cr_assert_str_eq(moire__text_string(&text),
                   "kernel @layers.0.softmax <B> (in f32 %x[50*B], out f32 %y[50*B]) parallel %p < B {\n"
                   "  source \"models/qia.c\":41\n"
                   "  source \"models/\\\"odd\\\" name.c\":7\n"
                   "  local f32 %row[50]\n"
                   "  %v1 = mul %p, 50 : i64\n"
                   "  var $1 = -inf : f32\n"
                   "  for %i1 = 0 to 50 vector 16 {\n"
                   "    %v2 = add %v1, %i1 : i64\n"
                   "    %v3 = load %x[%v2] : f32\n"
                   "    reduce $1 max %v3\n"
                   "  }\n"
                   "  %v4 = get $1 : f32\n"
                   "  var $2 = 0.0 : f32\n"
                   "  for %i2 = 0 to 50 vector 16 {\n"
                   "    %v5 = add %v1, %i2 : i64\n"
                   "    %v6 = load %x[%v5] : f32\n"
                   "    %v7 = sub %v6, %v4 : f32\n"
                   "    %v8 = exp %v7 : f32\n"
                   "    store %row[%i2] = %v8\n"
                   "    reduce $2 add %v8\n"
                   "  }\n"
                   "  %v9 = get $2 : f32\n"
                   "  %v10 = div 1.0, %v9 : f32\n"
                   "  for %i3 = 0 to 50 vector 16 {\n"
                   "    %v11 = add %v1, %i3 : i64\n"
                   "    %v12 = load %row[%i3] : f32\n"
                   "    %v13 = mul %v12, %v10 : f32\n"
                   "    store %y[%v11] = %v13\n"
                   "  }\n"
                   "}\n");
  moire__text_free(&text);
  moire__arena_free(&arena);
}

Test(loop_text, constants_read_back_bit_for_bit) {
  static const double reals[] = {0.0,  -0.0, 0.1,     1.0 / 3,  1e-12,     5e-324,      1.7976931348623157e308,
                                 1e22, 1e23, -123456, INFINITY, -INFINITY, (double)NAN, 0x1.fffffep127};
  for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
    for (int t = MOIRE__LOOP_F32; t <= MOIRE__LOOP_F64; t++) {
      moire__arena arena = {0};
      moire__text text = {0};
      moire__loop_kernel *k = moire__loop_kernel_create(&arena, "k", NULL);
      moire__loop_builder b = moire__loop_begin(k, 1, 1);
      moire__loop_value v = moire__loop_const(&b, (moire__loop_type)t, reals[i]);
      moire__loop_unary(&b, MOIRE__LOOP_neg, v);
      moire__loop_print(k, &text);
      moire__loop_kernel *again = moire__loop_parse(&arena, moire__text_string(&text), "t", NULL);
      cr_assert_not_null(again, "%s", moire__text_string(&text));
      const moire__loop_value_info *info = &again->values[again->values[again->body->value].operands[0]];
      cr_assert_eq((int)info->type, t);
      cr_assert_eq(memcmp(&info->real, &k->values[v].real, sizeof info->real), 0, "%s",
                   moire__text_string(&text));
      moire__text_free(&text);
      moire__arena_free(&arena);
    }
  }
}

Test(loop_text, names_constants_and_forms_of_all_kinds_read_back) {
  expect_round_trip("kernel @\"a b\" <B, \"two words\", \"true\"> (\n"
                    "    inout i64 %\"x y\"[\"two words\"],\n"
                    "    in bool %f[3*\"true\"]) parallel %p < ceil(7*B / 3) {\n"
                    "  local i32 %\"tab\\x09 quote\\\" back\\\\\"[0]\n"
                    "  %v1 = select true, 7_i32, -2147483648_i32 : i32\n"
                    "  %v2 = lt 0.5_f64, inf_f64 : bool\n"
                    "  %v3 = and %v2, false : bool\n"
                    "  %v4 = add 50*B, -9223372036854775808 : i64\n"
                    "  %v5 = random %v1, 1_i32, 2_i32, 3_i32, %p : i32\n"
                    "  %v6 = cast \"two words\" : f64\n"
                    "  var $1 = 1e-12 : f32\n"
                    "  if %v3 {\n"
                    "    for %i1 = %p to 3*\"true\" step 4 {\n"
                    "      set $1 = nan\n"
                    "    }\n"
                    "  }\n"
                    "}\n");
}

Test(loop_text, long_heads_are_broken_into_lines) {
  expect_round_trip("kernel @many (\n"
                    "    in f32 %a_rather_long_name.weight[64],\n"
                    "    in f32 %another_rather_long_name.weight[64],\n"
                    "    out f32 %y[64]) parallel %p < 64 {\n"
                    "}\n");
}

Test(loop_text, space_comments_and_names_are_free) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__text text = {0};
  moire__loop_kernel *k = moire__loop_parse(&arena,
                                            "// a comment\nkernel @k(out i64 %y[8])parallel %row<8{ // more\n"
                                            "%twice=mul %row,2_i64:i64 store%y[%row]=%twice}",
                                            "t", &error);
  cr_assert_not_null(k, "%s", error.message);
  moire__loop_print(k, &text);
  cr_assert_str_eq(moire__text_string(&text), "kernel @k (out i64 %y[8]) parallel %p < 8 {\n"
                                              "  %v1 = mul %p, 2 : i64\n"
                                              "  store %y[%p] = %v1\n"
                                              "}\n");
  moire__text_free(&text);
  moire__arena_free(&arena);
}

Test(loop_text, reading_folds_nothing) {
  expect_round_trip("kernel @k () parallel %p < 1 {\n"
                    "  %v1 = add 1, 2 : i64\n"
                    "  %v2 = mul %v1, 1 : i64\n"
                    "}\n");
}

/* A body, the line of the mistake (1 is the head) and the sentence. */
static const struct {
  const char *body;
  int line;
  const char *sentence;
} mistakes[] = {
    {"\n%v = add %p, %q : i64", 2, "there is no value q yet"},
    {"\n\n%v = add %p, 1.0 : i64", 3, "add does not take (i64, f32)"},
    {"\n%v = add %p, 1 : f32", 2, "this add gives i64, not f32"},
    {"\n%v = plus %p, 1 : i64", 2, "expected an operation, found `plus`"},
    {"\n%v = add %p : i64", 2, "expected `,`, found `:`"},
    {"\n%v = load %z[0] : f32", 2, "there is no buffer z yet"},
    {"\n%v = load %x[0] : i64", 2, "this load gives f32, not i64"},
    {"\n%v = get $1 : f32", 2, "there is no variable 1 yet"},
    {"\n%v = neg 1 : i64\n%v = neg 1 : i64", 3, "a second value has the name v"},
    {"\nvar $s = 0.0 : f64", 2, "the variable is f64, its first value f32"},
    {"\nset $s = 0.0", 2, "there is no variable s yet"},
    {"\nfor %i = 0 until 5 {}", 2, "expected `to`, found `until`"},
    {"\nfor %i = 0 to 5 step 0.5 {}", 2, "expected `{`, found `.5`"},
    {"\nstore %x[0] 1.0", 2, "expected `=`, found `1.0`"},
    {"\nwhile true {}", 2, "expected a statement or `}`, found `while`"},
    {"\n%v = add 5*N, 1 : i64", 2, "the kernel has no extent N"},
    {"\n%v = neg 99999999999999999999 : i64", 2, "99999999999999999999 is not a number"},
    {"\n%v = neg 3000000000_i32 : i32", 2, "3000000000 does not fit in i32"},
    {"\n%v = neg 1.0_i32 : i32", 2, "a number with a point or exponent is not written as a number of type i32"},
    {"\n%v = neg 1e5x : f32", 2, "1e5x is not a number"},
    {"\n%v = neg %\"no end\n", 2, "a string has no end"},
    {"\n%v = neg %\"\\q\" : i64", 2, "a string has an escape other than \\\", \\\\ and \\x01 to \\xff"},
    {"\n%v = add 5_u8, 1 : i64", 2, "expected an element type, found `u8,`"},
    {"\n%v = neg infinity : f32", 2, "the kernel has no extent infinity"},
    {"\nif true {", 3, "expected a statement or `}`, found the end of the text"},
    {"}\nkernel", 2, "expected the end of the text, found `kernel`"},
};

Test(loop_text, mistakes_are_sentences_with_their_line) {
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    char text[500], want[300];
    snprintf(text, sizeof text, "kernel @k <B> (in f32 %%x[B]) parallel %%p < B {%s\n}", mistakes[i].body);
    snprintf(want, sizeof want, "file:%d: %s", mistakes[i].line, mistakes[i].sentence);
    cr_expect_null(moire__loop_parse(&arena, text, "file", &error));
    cr_expect_str_eq(error.message, want, "%s\nwant %s\nfor %s", error.message, want, text);
    moire__arena_free(&arena);
  }
}

Test(loop_text, nesting_has_a_limit) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__text text = {0};
  moire__text_add(&text, "kernel @k () parallel %%p < 1 {");
  for (int i = 0; i < 100000; i++) moire__text_add(&text, "if true {");
  cr_assert_null(moire__loop_parse(&arena, moire__text_string(&text), "t", &error));
  cr_assert_str_eq(error.message, "t:1: more than 32 nested blocks");
  moire__text_free(&text);
  moire__arena_free(&arena);
}

/* Replaces, removes or copies a few characters or words. */
static void mutate(moire__random *random, moire__text *text) {
  static const char *const words[] = {"%",
                                      "$",
                                      "@",
                                      "\"",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      ":",
                                      "//",
                                      "-",
                                      "e",
                                      "*",
                                      "B",
                                      "load",
                                      "vector",
                                      "9999999999999999999",
                                      "\\x",
                                      "%v1",
                                      "for %z = 0 to"};
  size_t n_words = sizeof words / sizeof words[0];
  moire__text out = {0};
  size_t at = moire__random_below(random, text->length), kind = moire__random_below(random, 4);
  size_t span = moire__random_below(random, 12);
  if (span > text->length - at) span = text->length - at;
  moire__text_add_bytes(&out, text->data, at);
  if (kind == 0) moire__text_add(&out, "%s", words[moire__random_below(random, n_words)]);
  if (kind == 1) moire__text_add_char(&out, (char)(1 + moire__random_below(random, 255)));
  if (kind == 2) {
    size_t from = moire__random_below(random, text->length);
    moire__text_add_bytes(&out, text->data + from, span < text->length - from ? span : text->length - from);
  }
  moire__text_add_bytes(&out, text->data + at + (kind ? span : 0), text->length - at - (kind ? span : 0));
  moire__text_free(text);
  *text = out;
}

Test(loop_text, mutated_text_is_read_or_refused) {
  moire__random random = moire__random_start(17, 0);
  int read = 0, verified = 0;
  for (int i = 0; i < 4000; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    moire__text text = {0}, first = {0};
    moire__loop_print(test_kernels[i % 5](&arena), &text);
    for (int n = 1 + (int)moire__random_below(&random, 3); n > 0 && text.length > 1; n--)
      mutate(&random, &text);
    const moire__loop_kernel *k = moire__loop_parse(&arena, moire__text_string(&text), "t", &error);
    cr_assert_eq(k == NULL, error.status != MOIRE_OK, "mutation %d", i);
    if (k) {
      moire__loop_print(k, &first);
      expect_round_trip(moire__text_string(&first));
      read++;
      verified += moire__loop_verify(k, NULL) == MOIRE_OK;
    }
    moire__text_free(&first);
    moire__text_free(&text);
    moire__arena_free(&arena);
  }
  cr_assert_gt(read, 100);
  cr_assert_gt(verified, 50);
}
