/* Rounding to bf16, pairs, words and dot products of compiled kernels against the interpreter, on targets with
 * and without instructions for them, in serial and vector loops with rests. */
#include "tests/support/compiled_kernels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const targets[] = {"x86-64-v4-bf16", "x86-64-v4", "x86-64-v3", "generic"};
static const char *const forms[] = {"step 1", "vector 8", "vector 16", "vector 32", "vector 64"};
enum { N_TARGETS = sizeof targets / sizeof *targets, N_FORMS = sizeof forms / sizeof *forms };

/* `body` computes from %i, the index of 77 elements. */
static void expect_agreement(const char *parameters, const char *body, test_compiled_case how,
                             int first_target) {
  for (int t = first_target; t < N_TARGETS; t++) {
    how.target = targets[t];
    for (int f = 0; f < N_FORMS && test_target_runs(targets[t]); f++) {
      moire__arena arena = {0};
      moire__loop_kernel *k = test_kernel_text(&arena,
                                               "kernel @k (%s) parallel %%p < 1 {\n"
                                               "  for %%i = 0 to 77 %s {\n%s  }\n}\n",
                                               parameters, forms[f], body);
      test_compiled_agrees(k, &how);
      moire__arena_free(&arena);
    }
  }
}

Test(bf16, narrow_rounds_to_the_same_bits) {
  static const char body[] = "%x = load %a[%i] : f32\n%y = narrow %x : f32\nstore %b[%i] = %y\n";
  static const char parameters[] = "in f32 %a[77], out f32 %b[77]";
  expect_agreement(parameters, body, (test_compiled_case){.hard = true}, 0);
  expect_agreement(parameters, body, (test_compiled_case){.low = -3.4e38, .high = 3.4e38}, 0);
}

static const char pair_parameters[] = "in f32 %a[77], in f32 %b[77], out i32 %c[77]";
static const char pair_body[] =
    "%x = load %a[%i] : f32\n%y = load %b[%i] : f32\n%z = pair %x, %y : i32\nstore %c[%i] = %z\n";

Test(bf16, pairs_are_the_same_bits) {
  expect_agreement(pair_parameters, pair_body, (test_compiled_case){0}, 0);
  expect_agreement(pair_parameters, pair_body, (test_compiled_case){.low = -3.4e38, .high = 3.4e38}, 0);
}

/* Numbers below the normal range may count as zero where there are instructions. */
Test(bf16, pairs_without_instructions_keep_everything) {
  expect_agreement(pair_parameters, pair_body, (test_compiled_case){.hard = true}, 1);
}

Test(bf16, words_are_two_elements) {
  expect_agreement("in bf16 %a[154], out i32 %b[77]", "%x = word %a[%i] : i32\nstore %b[%i] = %x\n",
                   (test_compiled_case){.hard = true}, 0);
}

/* Of like signs, so that the order of the sums shows in the last places alone. */
Test(bf16, dot_multiplies_and_adds) {
  expect_agreement("in f32 %a[77], in f32 %b[77], in f32 %c[77], out f32 %d[77]",
                   "%u = load %a[%i] : f32\n%v = load %b[%i] : f32\n%w = load %c[%i] : f32\n"
                   "%x = pair %u, %v : i32\n%y = pair %v, %w : i32\n%z = dot %x, %y, %w : f32\n"
                   "store %d[%i] = %z\n",
                   (test_compiled_case){.low = 0.5, .high = 2, .ulps = 2}, 0);
}

/* One word for all lanes, as tiles have it. */
Test(bf16, dot_broadcasts_a_word) {
  expect_agreement("in bf16 %a[2], in i32 %b[77], in f32 %c[77], out f32 %d[77]",
                   "%x = word %a[0] : i32\n%u = load %c[%i] : f32\n%y = pair %u, %u : i32\n"
                   "%z = dot %x, %y, %u : f32\nstore %d[%i] = %z\n",
                   (test_compiled_case){.low = 0.5, .high = 2, .ulps = 2}, 0);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void expect_refusal(const char *statement, const char *sentence) {
  char text[400];
  moire__arena arena = {0};
  moire_error error = {0};
  snprintf(text, sizeof text, "kernel @k (in f32 %%a[8], out i32 %%b[8]) parallel %%p < 1 {\n%s\n}\n",
           statement);
  moire__loop_kernel *k = moire__loop_parse(&arena, text, "text", &error);
  cr_assert(!k && strstr(error.message, sentence), "%s", error.message);
  moire__arena_free(&arena);
}

Test(bf16, wrong_operands_are_refused) {
  expect_refusal("%x = word %a[0] : i32", "a word is read from a bf16 buffer, not from one of f32");
  expect_refusal("%x = load %a[0] : f32\n%y = dot %x, %x, %x : f32", "dot does not take (f32, f32, f32)");
  expect_refusal("%x = pair 1, 2 : i32", "pair does not take (i64, i64)");
}

/* A word that lies half outside. */
Test(bf16, the_interpreter_sees_both_elements) {
  moire__arena arena = {0};
  moire_error error = {0};
  uint16_t halves[3] = {0x3f80, 0x4000, 0x4040};
  int32_t word = 0;
  void *buffers[] = {halves, &word};
  const char *format = "kernel @k (in bf16 %%a[3], out i32 %%b[1]) parallel %%p < 1 {\n"
                       "%%x = word %%a[%d] : i32\nstore %%b[0] = %%x\n}\n";
  moire__loop_kernel *good = test_kernel_text(&arena, format, 0), *bad = test_kernel_text(&arena, format, 1);
  cr_assert_eq(moire__loop_interpret(good, buffers, NULL, 0, 1, false, &error), MOIRE_OK);
  cr_assert_eq(word, 0x40003f80);
  cr_assert_neq(moire__loop_interpret(bad, buffers, NULL, 0, 1, false, &error), MOIRE_OK);
  cr_assert(strstr(error.message, "offset 3 is outside"), "%s", error.message);
  moire__arena_free(&arena);
}
