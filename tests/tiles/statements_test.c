/* Statements on tiles: their text, what is refused, what they mean, and that the processor's or the emulator's
 * instructions do it. */
#include <criterion/criterion.h>

#include "compiler/ir/loop/loop_work.h"
#include "runtime/base/philox.h"
#include "tests/support/amx/amx_emulator.h"
#include "tests/support/compiled_kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------------------ */

static const char head[] = "kernel @k (in bf16 %a[512], in i32 %b[512], in f32 %f[512], out f32 %c[600]) "
                           "parallel %p < 1 {\n";

static const char product[] = "  tile 0 = zero\n"
                              "  for %i1 = 0 to 2 {\n"
                              "    %v1 = mul %i1, 0 : i64\n"
                              "    tile 4 = load %a[%v1] pitch 32\n"
                              "    tile 7 = load %b[0] pitch 32\n"
                              "    tile 0 += dot 4, 7\n"
                              "  }\n"
                              "  tile 0 to %c[8] pitch 18\n";

static moire__loop_kernel *read(moire__arena *arena, const char *body, moire_error *error) {
  char text[1200];
  snprintf(text, sizeof text, "%s%s\n}\n", head, body);
  return moire__loop_parse(arena, text, "t", error);
}

Test(tile_statements, text_reads_back) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__text text = {0}, want = {0};
  moire__loop_kernel *k = read(&arena, product, &error);
  cr_assert(k, "%s", error.message);
  cr_assert(k->has_tiles);
  cr_assert_eq(moire__loop_verify(k, &error), MOIRE_OK, "%s", error.message);
  moire__loop_print(k, &text);
  moire__text_add(&want, "%s%s}\n", head, product);
  cr_assert_str_eq(moire__text_string(&text), moire__text_string(&want));
  moire__text_free(&text);
  moire__text_free(&want);
  moire__arena_free(&arena);
}

/* By the parser, or else by the verifier. */
static const struct {
  const char *body, *sentence;
} refused[] = {
    {"tile 8 = zero", "is not in [0, 7]"},
    {"tile 0 = 1", "expected `zero`, found `1`"},
    {"tile 0 += dot 1", "expected `,`"},
    {"tile 0 = load %x[0] pitch 32", "there is no buffer x yet"},
    {"tile 0 = load %a[0]", "expected `pitch`"},
    {"tile 0 = load %f[0] pitch 15", "`tile 0 = load %f[0] pitch 15`: the rows overlap"},
    {"tile 0 = load %f[0] pitch 16 tile 0 = load %a[0] pitch 32", "tile 0 holds sums elsewhere"},
    {"turn %c[0] pitch 16 = %b[0] pitch 16 side 16", "%b is i32"},
    {"turn %b[0] pitch 16 = %a[0] pitch 32 side 16", "%b is an `in` buffer"},
    {"tile 0 = load %a[0] pitch 31", "`tile 0 = load %a[0] pitch 31`: the rows overlap"},
    {"tile 0 = load %b[0] pitch 15", "the rows overlap"},
    {"tile 0 = load %a[0.5] pitch 32", "the address is f32, not i64"},
    {"tile 0 to %b[0] pitch 32", "`tile 0 to %b[0] pitch 32`: %b is i32"},
    {"tile 0 to %f[0] pitch 32", "%f is an `in` buffer"},
    {"tile 0 = zero tile 0 = load %a[0] pitch 32",
     "`tile 0 = load %a[0] pitch 32`: tile 0 holds sums elsewhere"},
    {"tile 1 = load %a[0] pitch 32 tile 1 to %c[0] pitch 16", "tile 1 holds pairs elsewhere"},
    {"tile 0 += dot 1, 1", "`tile 0 += dot 1, 1`: a tile is multiplied by itself"},
    {"tile 0 += dot 0, 1", "tile 0 holds sums elsewhere"},
    {"for %i = 0 to 16 vector 16 { tile 0 = zero }", "`tile 0 = zero`: a tile in a vector loop"},
};

Test(tile_statements, what_is_wrong_is_a_sentence) {
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    moire__loop_kernel *k = read(&arena, refused[i].body, &error);
    moire_status status = k ? moire__loop_verify(k, &error) : MOIRE_ERROR_FORMAT;
    cr_expect(status && strstr(error.message, refused[i].sentence), "%s: %s", refused[i].body, error.message);
    moire__arena_free(&arena);
  }
}

Test(tile_statements, work_is_counted) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__loop_kernel *k = read(&arena, product, &error);
  cr_assert(k, "%s", error.message);
  moire__loop_slice slice = moire__loop_slice_make(k, &arena);
  moire__loop_runs runs = moire__loop_runs_make(k, &arena);
  cr_assert_eq(moire__loop_count(k, &slice, (void *[]){NULL, NULL, NULL, NULL}, NULL, &runs, &error), MOIRE_OK);
  moire__loop_work work = moire__loop_work_make(k, &runs, &arena);
  cr_assert_eq(work.flop, 2 * 16 * 16 * 32 * 2);
  cr_assert_eq(work.buffers[1], 2 * 1024);
  cr_assert_eq(work.buffers[4], 1024);
  moire__arena_free(&arena);
}

/* ---- meaning --------------------------------------------------------------------------------------------- */

Test(tile_statements, the_interpreter_checks_every_access) {
  static const struct {
    const char *body, *sentence;
  } cases[] = {{"tile 1 = load %a[2] pitch 32", "offset 512 is outside of %a"},
               {"tile 1 = load %b[0] pitch 34", "offset 512 is outside of %b"},
               {"tile 0 = zero tile 0 to %c[360] pitch 16", "offset 600 is outside of %c"}};
  static uint16_t a[512];
  static int32_t b[512];
  static float f[512], c[600];
  void *buffers[] = {a, b, f, c};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    moire__loop_kernel *k = read(&arena, cases[i].body, &error);
    cr_assert(k, "%s", error.message);
    cr_assert_neq(moire__loop_interpret(k, buffers, NULL, 0, 1, false, &error), MOIRE_OK);
    cr_assert(strstr(error.message, cases[i].sentence), "%s", error.message);
    moire__arena_free(&arena);
  }
}

static void need_tiles(void) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
}

/* All eight tiles, pairs from both kinds of buffer, at offsets, with gaps between rows; pairs of one kind are
 * made in a local. Of like signs, so that the order of the sums shows in the last places alone. */
Test(tile_statements, compiled_code_does_what_they_mean) {
  need_tiles();
  moire__arena arena = {0};
  moire__loop_kernel *k = test_kernel_text(&arena, "%s",
                                           "kernel @k (in bf16 %a[3000], in f32 %f[1200], out f32 %c[1200])\n"
                                           "    parallel %p < 2 {\n"
                                           "  local i32 %b[600]\n"
                                           "  for %i = 0 to 600 vector 16 {\n"
                                           "    %x = load %f[%i] : f32\n    %j = add %i, 600 : i64\n"
                                           "    %y = load %f[%j] : f32\n    %z = pair %x, %y : i32\n"
                                           "    store %b[%i] = %z\n  }\n"
                                           "  tile 0 = zero\n  tile 5 = zero\n"
                                           "  tile 2 = load %b[5] pitch 17\n  tile 3 = load %b[300] pitch 18\n"
                                           "  tile 7 = load %a[1800] pitch 64\n"
                                           "  for %k = 0 to 3 {\n    %o = mul %k, 34 : i64\n"
                                           "    tile 1 = load %a[%o] pitch 100\n    tile 0 += dot 1, 2\n"
                                           "    %q = add %o, 7 : i64\n    tile 4 = load %a[%q] pitch 90\n"
                                           "    tile 5 += dot 4, 3\n    tile 5 += dot 7, 2\n"
                                           "    tile 6 = load %b[0] pitch 16\n    tile 0 += dot 4, 6\n  }\n"
                                           "  %r = mul %p, 600 : i64\n  tile 0 to %c[%r] pitch 16\n"
                                           "  %s = add %r, 256 : i64\n  tile 5 to %c[%s] pitch 21\n}\n");
  test_compiled_agrees(k,
                       &(test_compiled_case){.target = TEST_TILES_TARGET, .low = 0.5, .high = 2, .ulps = 12});
  moire__arena_free(&arena);
}

/* What packing is made of: squares of pairs turned, of words and of bf16; and sums that go on.
 */
Test(tile_statements, squares_of_pairs_and_sums_are_moved_as_they_say) {
  need_tiles();
  moire__arena arena = {0};
  moire__loop_kernel *k = test_kernel_text(
      &arena, "%s",
      "kernel @k (in bf16 %a[1000], in i32 %w[600], in f32 %f[600], out i32 %c[600], out i32 %d[300],\n"
      "    out f32 %s[300]) parallel %p < 1 {\n"
      "  local i32 %b[256]\n"
      "  turn %c[3] pitch 17 = %w[5] pitch 20 side 16\n"
      "  turn %b[0] pitch 16 = %a[7] pitch 50 side 16\n"
      "  for %i = 0 to 256 vector 16 {\n"
      "    %x = load %b[%i] : i32\n    store %d[%i] = %x\n  }\n"
      "  tile 0 = load %f[2] pitch 19\n"
      "  tile 1 = load %a[0] pitch 32\n  tile 2 = load %a[1] pitch 33\n  tile 0 += dot 1, 2\n"
      "  tile 0 to %s[1] pitch 16\n}\n");
  test_compiled_agrees(k,
                       &(test_compiled_case){.target = TEST_TILES_TARGET, .low = 0.5, .high = 2, .ulps = 12});
  moire__arena_free(&arena);
}

/* ---- one instruction, bit by bit --------------------------------------------------------------------------
 */

static float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

static float widened(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return flushed(x);
}

/* TDPBF16PS of one element, as its operation is described in volume 2 of Intel's manual. */
static float dot_of(const uint16_t *a, const uint16_t *b, int row, int column, float sum) {
  float part[2] = {0, 0};
  for (int k = 0; k < 16; k++) {
    for (int half = 0; half < 2; half++) {
      float x = widened(a[row * 32 + 2 * k + half]), y = widened(b[k * 32 + 2 * column + half]);
      part[half] = flushed(fmaf(x, y, part[half]));
    }
  }
  return flushed(flushed(sum) + flushed(part[0] + part[1]));
}

/* Random bf16 of like size, of wide range down to below the normal numbers, or both signs of what flushes. */
static void draw(uint16_t *x, int kind, moire__random *random) {
  for (int i = 0; i < 512; i++) {
    uint64_t r = moire__random_bits(random);
    uint64_t exponent = kind == 0 ? 120 + (r >> 8) % 12 : kind == 1 ? (r >> 8) % 160 : (r >> 8) % 3 + 55;
    x[i] = (uint16_t)((r & 0x807f) | exponent << 7);
  }
}

Test(tile_statements, the_instruction_rounds_as_it_is_described) {
  need_tiles();
  moire__arena arena = {0};
  moire_error error = {0};
  moire__loop_kernel *k =
      test_kernel_text(&arena, "%s",
                       "kernel @k (in bf16 %a[512], in bf16 %b[512], out f32 %c[256]) parallel %p < 1 {\n"
                       "  tile 0 = zero\n  tile 1 = load %a[0] pitch 32\n  tile 2 = load %b[0] pitch 32\n"
                       "  tile 0 += dot 1, 2\n  tile 0 += dot 1, 2\n  tile 0 to %c[0] pitch 16\n}\n");
  moire__target target;
  cr_assert_eq(moire__target_named(TEST_TILES_TARGET, &target, &error), MOIRE_OK);
  moire__jit *jit = moire__jit_create(&error);
  moire_kernel_function function = NULL;
  const moire__loop_kernel *kernels[] = {k};
  moire_status status = moire__jit_compile(jit, kernels, 1, &target, NULL, 1, &function, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  moire__random random = moire__random_start(5, 1);
  for (int round = 0; round < 30; round++) {
    _Alignas(64) static uint16_t a[512], b[512];
    _Alignas(64) static float c[256];
    void *buffers[] = {a, b, c};
    draw(a, round % 3, &random);
    draw(b, round % 3, &random);
    function(buffers, NULL, 0, 1);
    for (int i = 0; i < 256; i++) {
      float want = dot_of(a, b, i / 16, i % 16, dot_of(a, b, i / 16, i % 16, 0));
      cr_assert_eq(memcmp(&want, &c[i], sizeof want), 0, "round %d, element %d: %a, wanted %a", round, i,
                   (double)c[i], (double)want);
    }
  }
  moire__jit_destroy(jit);
  moire__arena_free(&arena);
}

/* Without the wrapped question the level is refused where the processor lacks it. */
Test(tile_statements, the_level_is_refused_where_it_does_not_run) {
  moire__target target;
  moire_error error = {0};
  cr_assert_eq(moire__target_named(TEST_TILES_TARGET, &target, &error), MOIRE_OK);
  bool runs = __real_moire__target_runs_here(&target, &error) == MOIRE_OK;
  cr_assert(runs || strstr(error.message, "target x86-64-v4-amx: th"), "%s", error.message);
  cr_assert_eq(runs, strcmp(moire__target_host().name, TEST_TILES_TARGET) == 0);
}
