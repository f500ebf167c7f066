/* The interpreter of the loop IR against plain C, its two modes, and its refusals. */
#include <criterion/criterion.h>

#include "compiler/ir/loop/loop.h"
#include "runtime/base/philox.h"
#include "tests/support/loop_kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t three[] = {0, 3}; /* the batch */

static float sample(int i) { return (float)sin(i * 1.7) * 3; }

static void run(const moire__loop_kernel *k, void *const *buffers, int64_t end, bool in_double) {
  moire_error error = {0};
  cr_assert_eq(moire__loop_interpret(k, buffers, three, 0, end, in_double, &error), MOIRE_OK, "%s",
               error.message);
}

Test(loop_interpret, affine_with_a_tail) {
  moire__arena arena = {0};
  float x[150], y[150];
  for (int i = 0; i < 150; i++) x[i] = sample(i);
  run(test_kernel_affine(&arena), (void *[]){x, y}, 3, false);
  for (int i = 0; i < 150; i++) cr_assert_eq(y[i], fmaf(x[i], 2, 1));
  moire__arena_free(&arena);
}

Test(loop_interpret, a_range_of_iterations_touches_its_part_alone) {
  moire__arena arena = {0};
  moire_error error = {0};
  float x[150] = {0}, y[150] = {0};
  const moire__loop_kernel *k = test_kernel_affine(&arena);
  cr_assert_eq(moire__loop_interpret(k, (void *[]){x, y}, three, 1, 2, false, &error), MOIRE_OK);
  for (int i = 0; i < 150; i++) cr_assert_eq(y[i], i >= 64 && i < 128 ? 1 : 0);
  moire__arena_free(&arena);
}

Test(loop_interpret, softmax_in_float_and_in_double) {
  moire__arena arena = {0};
  enum { N = TEST_SOFTMAX_ROW };
  double x[3 * N], y[3 * N];
  float narrow[3 * N], rounded[3 * N];
  for (int i = 0; i < 3 * N; i++) x[i] = narrow[i] = sample(i);
  const moire__loop_kernel *k = test_kernel_softmax(&arena);
  run(k, (void *[]){x, y}, 3, true);
  run(k, (void *[]){narrow, rounded}, 3, false);
  for (int r = 0; r < 3; r++) {
    double sum = 0;
    for (int i = 0; i < N; i++) sum += exp(x[r * N + i]);
    for (int i = 0; i < N; i++) {
      double want = exp(x[r * N + i]) / sum;
      cr_assert(fabs(y[r * N + i] - want) <= 1e-14 * want, "%g, not %g", y[r * N + i], want);
      cr_assert(fabs((double)rounded[r * N + i] - want) <= 2e-6 * want);
    }
  }
  moire__arena_free(&arena);
}

Test(loop_interpret, matmul_in_tiles) {
  moire__arena arena = {0};
  enum { M = TEST_MATMUL_ROWS, K = TEST_MATMUL_DEPTH, N = TEST_MATMUL_COLUMNS };
  float a[M * K], b[K * N], c[M * N];
  for (int i = 0; i < M * K; i++) a[i] = sample(i);
  for (int i = 0; i < K * N; i++) b[i] = sample(i + 1000);
  run(test_kernel_matmul(&arena), (void *[]){a, b, c}, M / 4, false);
  for (int i = 0; i < M * N; i++) {
    float sum = 0;
    for (int d = 0; d < K; d++) sum = fmaf(a[i / N * K + d], b[d * N + i % N], sum);
    cr_assert_eq(c[i], sum);
  }
  moire__arena_free(&arena);
}

Test(loop_interpret, gather_reads_bf16_in_both_modes) {
  moire__arena arena = {0};
  enum { WIDTH = TEST_GATHER_WIDTH };
  uint16_t table[TEST_GATHER_ROWS * WIDTH];
  int32_t rows[3] = {9, 0, 4};
  float y[3 * WIDTH];
  double wide[3 * WIDTH];
  for (int i = 0; i < TEST_GATHER_ROWS * WIDTH; i++) table[i] = (uint16_t)(0x3f80 + i); /* 1 + i / 128 */
  const moire__loop_kernel *k = test_kernel_gather(&arena);
  run(k, (void *[]){table, rows, y}, 3, false);
  run(k, (void *[]){table, rows, wide}, 3, true);
  for (int i = 0; i < 3 * WIDTH; i++) {
    int row = rows[i / WIDTH];
    double want = row ? 1 + (row * WIDTH + i % WIDTH) / 128.0 : 0;
    cr_assert_eq((double)y[i], want);
    cr_assert_eq(wide[i], want);
  }
  moire__arena_free(&arena);
}

Test(loop_interpret, dropout_draws_the_bits_of_philox) {
  moire__arena arena = {0};
  float x[200], y[200];
  int32_t rng[3] = {-5, 77, 3};
  uint8_t kept[200];
  int n_kept = 0;
  for (int i = 0; i < 200; i++) x[i] = sample(i);
  run(test_kernel_dropout(&arena), (void *[]){x, rng, y, kept}, 1, false);
  for (int i = 0; i < 200; i++) {
    bool keep = moire__philox_bits((uint32_t)-5, 77, 3, 7, (uint64_t)i) >= 1 << 15;
    cr_assert_eq(kept[i], keep);
    cr_assert_eq(y[i], keep ? 2 * x[i] : 0);
    n_kept += keep;
  }
  cr_assert(n_kept > 70 && n_kept < 130, "%d", n_kept);
  moire__arena_free(&arena);
}

/* ---- single operations ----------------------------------------------------------------------------------- */

/* Runs `text`, whose only buffers are `in f64 x[2]` and `out f64 y[1]`, and returns y. */
static double evaluate(const char *body, double x0, double x1) {
  moire__arena arena = {0};
  moire_error error = {0};
  char text[1000];
  double x[2] = {x0, x1}, y = 0;
  snprintf(text, sizeof text,
           "kernel @k (in f64 %%x[2], out f64 %%y[1]) parallel %%p < 1 { local bf16 %%h[1] local i32 %%t[1]\n"
           "%%a = load %%x[0] : f64 %%b = load %%x[1] : f64 %s store %%y[0] = %%r }",
           body);
  const moire__loop_kernel *k = moire__loop_parse(&arena, text, "t", &error);
  cr_assert_not_null(k, "%s", error.message);
  cr_assert_eq(moire__loop_interpret(k, (void *[]){x, &y}, NULL, 0, 1, false, &error), MOIRE_OK, "%s",
               error.message);
  moire__arena_free(&arena);
  return y;
}

Test(loop_interpret, float_operations) {
  static const struct {
    const char *op;
    double want;
  } cases[] = {{"add %a, %b", 2.5 + 0.75},
               {"sub %a, %b", 2.5 - 0.75},
               {"mul %a, %b", 2.5 * 0.75},
               {"div %a, %b", 2.5 / 0.75},
               {"min %a, %b", 0.75},
               {"max %a, %b", 2.5},
               {"fma %a, %b, %b", 2.625},
               {"neg %a", -2.5},
               {"abs %a", 2.5},
               {"sqrt %a", 1.5811388300841898},
               {"floor %a", 2},
               {"exp %b", 2.1170000166126748},
               {"log %a", 0.91629073187415511},
               {"sin %a", 0.59847214410395644},
               {"cos %a", -0.80114361554693371},
               {"tanh %b", 0.63514895238728730},
               {"erf %b", 0.71115563365351508},
               {"pow %a, %b", 1.9881768219176266},
               {"atan2 %a, %b", 1.2793395323170296}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char body[100];
    snprintf(body, sizeof body, "%%r = %s : f64", cases[i].op);
    double got = evaluate(body, 2.5, 0.75);
    cr_expect(fabs(got - cases[i].want) <= 1e-15 * fabs(cases[i].want), "%s is %.17g", cases[i].op, got);
  }
}

Test(loop_interpret, minimum_and_maximum_give_the_second_operand_at_a_nan) {
  const double nan_value = (double)NAN;
  cr_assert_eq(evaluate("%r = min %a, %b : f64", nan_value, 3), 3);
  cr_assert_eq(evaluate("%r = max %a, %b : f64", nan_value, 3), 3);
  cr_assert(isnan(evaluate("%r = min %a, %b : f64", 3, nan_value)));
  cr_assert(isnan(evaluate("%r = max %a, %b : f64", 3, nan_value)));
}

Test(loop_interpret, casts) {
  cr_assert_eq(evaluate("%c = cast %a : i32 %r = cast %c : f64", -2.9, 0), -2);
  cr_assert_eq(evaluate("%c = cast %a : i32 %r = cast %c : f64", 3e9, 0), -2147483648.0);
  cr_assert_eq(evaluate("%c = cast %a : i64 %r = cast %c : f64", (double)NAN, 0), -0x1p63);
  cr_assert_eq(evaluate("%c = cast %a : f32 %r = cast %c : f64", 0.1, 0), (double)0.1f);
  cr_assert_eq(evaluate("%c = cast %a : bool %r = cast %c : f64", 0.5, 0), 1);
  cr_assert_eq(evaluate("%c = cast 5000000000 : i32 %r = cast %c : f64", 0, 0), 705032704);
  cr_assert_eq(evaluate("%c = cast 16777217 : f32 %r = cast %c : f64", 0, 0), 16777216);
}

Test(loop_interpret, integers_wrap) {
  cr_assert_eq(evaluate("%c = add 2147483647_i32, 1_i32 : i32 %r = cast %c : f64", 0, 0), -2147483648.0);
  cr_assert_eq(evaluate("%c = mul 65536_i32, 65536_i32 : i32 %r = cast %c : f64", 0, 0), 0);
  cr_assert_eq(evaluate("%c = abs -2147483648_i32 : i32 %r = cast %c : f64", 0, 0), -2147483648.0);
  cr_assert_eq(evaluate("%c = mod 17, 5 : i64 %r = cast %c : f64", 0, 0), 2);
}

Test(loop_interpret, bf16_is_rounded_to_nearest_even) {
  const char *body = "%c = cast %a : f32 store %h[0] = %c %d = load %h[0] : f32 %r = cast %d : f64";
  cr_assert_eq(evaluate(body, 1 + 1 / 256.0, 0), 1);             /* a tie, to even */
  cr_assert_eq(evaluate(body, 1 + 3 / 256.0, 0), 1 + 4 / 256.0); /* a tie, to even */
  cr_assert_eq(evaluate(body, 1 + 1.01 / 256, 0), 1 + 2 / 256.0);
  cr_assert(isnan(evaluate(body, (double)NAN, 0)));
  cr_assert_eq(evaluate(body, 3.4e38, 0), (double)INFINITY);
}

Test(loop_interpret, locals_start_out_as_nonsense) {
  cr_assert(isnan(evaluate("%c = load %h[0] : f32 %r = cast %c : f64", 0, 0)));
  cr_assert_lt(evaluate("%c = load %t[0] : i32 %r = cast %c : f64", 0, 0), -1e9);
}

Test(loop_interpret, loops_and_variables) {
  cr_assert_eq(evaluate("var $s = 0.0_f64 : f64 for %i = 3 to 10 step 3 { %c = cast %i : f64 reduce $s add %c }"
                        "%r = get $s : f64",
                        0, 0),
               18);
  cr_assert_eq(evaluate("var $s = 5 : i64 for %i = 0 to 3 { reduce $s mul 2 } reduce $s max 7 reduce $s min 39"
                        "%c = get $s : i64 %r = cast %c : f64",
                        0, 0),
               39);
  cr_assert_eq(evaluate("var $s = false : bool for %i = 0 to 5 { %c = eq %i, 3 : bool reduce $s or %c }"
                        "var $t = false : bool for %j = 0 to 3 { %d = eq %j, 3 : bool reduce $t or %d }"
                        "%e = get $s : bool %f = get $t : bool %g = cast %e : f64 %h = cast %f : f64"
                        "%k = mul %h, 2.0_f64 : f64 %r = add %g, %k : f64",
                        0, 0),
               1);
  cr_assert_eq(evaluate("var $s = 1.0_f64 : f64 %c = lt %a, %b : bool if %c { set $s = 2.0_f64 }"
                        "%r = get $s : f64",
                        3, 4),
               2);
  cr_assert_eq(evaluate("var $s = 0 : i64 for %i = 9223372036854775800 to 9223372036854775807 step 5 {"
                        "reduce $s add 1 } %c = get $s : i64 %r = cast %c : f64",
                        0, 0),
               2);
}

/* ---- refusals -------------------------------------------------------------------------------------------- */

static void expect_refused(const char *body, const char *sentence) {
  moire__arena arena = {0};
  moire_error error = {0};
  char text[1000], want[400];
  float y[8] = {0};
  snprintf(text, sizeof text, "kernel @k (out f32 %%y[8]) parallel %%p < 10 { local i32 %%t[4]\n%s }", body);
  snprintf(want, sizeof want, "kernel @k%s", sentence);
  const moire__loop_kernel *k = moire__loop_parse(&arena, text, "t", &error);
  cr_assert_not_null(k, "%s", error.message);
  cr_expect_eq(moire__loop_interpret(k, (void *[]){y}, NULL, 0, 10, false, &error), MOIRE_ERROR_INTERNAL);
  cr_expect_str_eq(error.message, want, "%s\nwant %s", error.message, want);
  moire__arena_free(&arena);
}

Test(loop_interpret, what_has_no_meaning_is_refused) {
  expect_refused("store %y[%p] = 1.0",
                 ", iteration 8: `store %y[%p] = 1.0`: offset 8 is outside of %y, which has 8 elements");
  expect_refused("%a = sub %p, 2 : i64 %b = load %y[%a] : f32",
                 ", iteration 0: `%v2 = load %y[%v1] : f32`: offset -2 is outside of %y, which has 8 elements");
  expect_refused("%a = load %t[4] : i32",
                 ", iteration 0: `%v1 = load %t[4] : i32`: offset 4 is outside of %t, which has 4 elements");
  expect_refused("%a = div 7, %p : i64",
                 ", iteration 0: `%v1 = div 7, %p : i64`: 7 by 0: the operands of div are "
                 "not negative, and the second not zero");
  expect_refused("%a = mod -7, 3 : i64",
                 ", iteration 0: `%v1 = mod -7, 3 : i64`: -7 by 3: the operands of mod are "
                 "not negative, and the second not zero");
  expect_refused("if 1 { }", ": `if 1`: the condition is i64, not bool");
}
