/* nearest_code {bf16 = 1} finds the codes that the search in float32 finds, on whatever data; and where this
 * CPU searches in bf16 at all.
 *
 * The two ways are compiled and compared to the last code: random data, codes that differ in their last bits,
 * exact ties, all codes twice, products whose rounding errors all have one sign, lists that overflow, numbers
 * that underflow and overflow, NaN. Odd sizes, blocks with a rest, one row, 1 and 3 threads. Sizes that are too
 * small to be searched in bf16 by native code are so in loop nests, which the judge compares with the
 * reference.
 */
#include <criterion/criterion.h>

#include "compiler/codegen/codegen.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "tests/support/judge.h"
#include "tests/support/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 203 };

typedef struct size {
  int64_t codes, width;
} size;

/* ---- data -------------------------------------------------------------------------------------------------
 */

typedef struct data {
  size n;
  float *x, *codes; /* [ROWS, width], [codes, width] */
  moire__random random;
} data;

static float draw(data *d) { return (float)moire__random_real(&d->random) * 2 - 1; }

static void draw_all(data *d) {
  for (int64_t i = 0; i < ROWS * d->n.width; i++) d->x[i] = draw(d);
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] = draw(d);
}

static void near_rows(data *d, float apart) {
  for (int64_t r = 0; r < ROWS; r++) {
    int64_t code = (int64_t)moire__random_below(&d->random, (uint64_t)d->n.codes);
    for (int64_t j = 0; j < d->n.width; j++)
      d->x[r * d->n.width + j] = d->codes[code * d->n.width + j] + apart * draw(d);
  }
}

/* Every `members` codes are one, but for some last bits. */
static void group(data *d, int64_t members) {
  int64_t w = d->n.width;
  for (int64_t k = 0; k < d->n.codes; k++) {
    for (int64_t j = 0; j < w; j++) {
      float base = d->codes[(k - k % members) * w + j];
      int bits = (int)moire__random_below(&d->random, 8 * (uint64_t)w); /* few numbers change */
      d->codes[k * w + j] = bits < 5 ? base * (1 + (float)bits * 0x1p-23f) : base;
    }
  }
  near_rows(d, 0.1f);
}

static void make_random(data *d) { draw_all(d); }
static void make_pairs(data *d) { draw_all(d), group(d, 2); }
static void make_groups(data *d) { draw_all(d), group(d, 7); }
static void make_crowds(data *d) { draw_all(d), group(d, 50); } /* more than a list holds */

static void make_planted(data *d) {
  draw_all(d);
  near_rows(d, 0.3f);
}

static void make_whole(data *d) { /* all distances are exact, many equal */
  for (int64_t i = 0; i < ROWS * d->n.width; i++) d->x[i] = (float)moire__random_below(&d->random, 3) - 1;
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++)
    d->codes[i] = (float)moire__random_below(&d->random, 3) - 1;
}

static void make_twice(data *d) {
  int64_t half = d->n.codes / 2 * d->n.width;
  draw_all(d);
  memcpy(d->codes + half, d->codes, (size_t)half * sizeof *d->codes);
}

/* The worst that rounding can do: all numbers lie at the middle between two of bf16, those of even columns a
 * little above it, the others below, so that errors of both operands add up in the even code of each pair, and
 * against it in its opposite, the odd one. In truth the odd one is nearer, by what the last column says. Pairs
 * after the first are longer, and the mean of all is about 0. */
static void make_biased(data *d) {
  int64_t w = d->n.width;
  for (int64_t i = 0; i < (ROWS + d->n.codes) * w; i++) {
    int64_t row = i / w, j = i % w, k = row - ROWS;
    float value = 1 + (j % 2 ? 0x1.fcp-9f : 0x1.02p-8f);
    if (j % 7 < 3) value = -value;
    if (row < ROWS) {
      d->x[i] = ldexpf(j == w - 1 ? 1 : value, (int)(row % 3));
      continue;
    }
    if (j % 2) value = -value;
    if (j == w - 1) value = (float)w * -0x1p-11f;
    d->codes[k * w + j] = ldexpf(k % 2 ? -value : value, (int)(k < 8 ? k / 2 : 4));
  }
}

static void make_far(data *d) { /* bf16 sees no difference: every list overflows */
  draw_all(d);
  for (int64_t i = 0; i < ROWS * d->n.width; i++) d->x[i] = 1000 + 0.1f * d->x[i];
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] = 1000 + 0.1f * d->codes[i];
}

static void scale(data *d, float x, float codes) {
  draw_all(d);
  for (int64_t i = 0; i < ROWS * d->n.width; i++) d->x[i] *= x;
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] *= codes;
}

static void make_tiny(data *d) { scale(d, 0x1p-66f, 0x1p-66f); }
static void make_subnormal(data *d) { scale(d, 0x1p-130f, 0x1p-3f); }
static void make_lost(data *d) { scale(d, 0x1p-140f, 0x1p-140f); }
static void make_long_rows(data *d) { scale(d, 0x1p50f, 0x1p-3f); }
static void make_long_codes(data *d) { scale(d, 1, 0x1p62f); }
static void make_overflow(data *d) { scale(d, 0x1p62f, 0x1p62f); }

static void make_lengths(data *d) { /* rows and codes of all lengths */
  draw_all(d);
  for (int64_t i = 0; i < ROWS * d->n.width; i++) d->x[i] *= ldexpf(1, (int)(i / d->n.width % 80) - 40);
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++)
    d->codes[i] *= ldexpf(1, (int)(i / d->n.width % 60) - 30);
}

static void make_odd(data *d) { /* NaN, infinities and zeros here and there */
  static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, 0};
  draw_all(d);
  near_rows(d, 0.5f);
  for (int64_t r = 0; r < ROWS; r += 17) d->x[r * d->n.width + r % d->n.width] = odd[r % 5];
  for (int64_t k = 3; k < d->n.codes; k += 11) d->codes[k * d->n.width + k % d->n.width] = odd[k % 5];
  memset(d->x + d->n.width, 0, (size_t)d->n.width * sizeof *d->x);
}

static void make_nothing(data *d) { /* no code is at any distance */
  draw_all(d);
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] = NAN;
}

static void make_zero(data *d) {
  memset(d->x, 0, (size_t)(ROWS * d->n.width) * sizeof *d->x);
  memset(d->codes, 0, (size_t)(d->n.codes * d->n.width) * sizeof *d->codes);
}

static const struct kind {
  const char *name;
  void (*make)(data *d);
} kinds[] = {
    {"random", make_random},
    {"pairs", make_pairs},
    {"groups", make_groups},
    {"crowds", make_crowds},
    {"planted", make_planted},
    {"whole", make_whole},
    {"twice", make_twice},
    {"biased", make_biased},
    {"far", make_far},
    {"tiny", make_tiny},
    {"subnormal", make_subnormal},
    {"lost", make_lost},
    {"long rows", make_long_rows},
    {"long codes", make_long_codes},
    {"overflow", make_overflow},
    {"lengths", make_lengths},
    {"odd", make_odd},
    {"nothing", make_nothing},
    {"zero", make_zero},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- both ways --------------------------------------------------------------------------------------------
 */

static moire_graph *build(size n) {
  moire_graph *g = moire_graph_create("search", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), n.width));
  moire_value codes = moire_input(g, "codes", MOIRE_F32, MOIRE_SHAPE(n.codes, n.width));
  moire_output(g, "rows", moire_nearest_code(x, codes));
  return g;
}

static moire_compile_options options_of(moire_precision precision) {
  static const char *const outputs[] = {"rows"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.precision = precision;
  return options;
}

static test_machine make(size n, moire_precision precision, int threads) {
  moire_graph *g = build(n);
  moire_compile_options options = options_of(precision);
  test_machine m = test_machine_make(g, &options, threads, 1);
  moire_graph_destroy(g);
  return m;
}

static const int32_t *search(test_machine *m, const data *d, int64_t first, int64_t rows) {
  moire_error error = {0};
  int64_t w = d->n.width;
  moire_status status = moire_runner_set_extent(m->runner, "B", rows, &error);
  if (!status) status = moire_runner_set_input(m->runner, "x", d->x + first * w, rows * w, &error);
  if (!status) status = moire_runner_set_input(m->runner, "codes", d->codes, d->n.codes * w, &error);
  if (!status) status = moire_runner_run(m->runner, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  return moire_runner_output(m->runner, "rows", NULL);
}

static void compare(test_machine m[3], const data *d, const char *kind) {
  const int32_t *want = search(&m[0], d, 0, ROWS);
  for (int i = 1; i < 3; i++) {
    const int32_t *got = search(&m[i], d, 0, ROWS);
    for (int r = 0; r < ROWS; r++)
      cr_assert_eq(got[r], want[r], "%s, %lld codes, width %lld, row %d: %d, in float32 %d", kind,
                   (long long)d->n.codes, (long long)d->n.width, r, got[r], want[r]);
  }
  for (int r = 0; r < ROWS; r += 40)
    cr_assert_eq(*search(&m[1], d, r, 1), want[r], "%s, row %d alone", kind, r);
}

static void compare_all(const size *sizes, int n) {
  for (int i = 0; i < n; i++) {
    test_machine m[3] = {make(sizes[i], MOIRE_PRECISION_F32, 1), make(sizes[i], MOIRE_PRECISION_BF16, 1),
                         make(sizes[i], MOIRE_PRECISION_BF16, 3)};
    data d = {.n = sizes[i], .random = moire__random_start(3, (uint32_t)i)};
    d.x = moire__allocate_array((size_t)(ROWS * d.n.width), sizeof *d.x);
    d.codes = moire__allocate_array((size_t)(d.n.codes * d.n.width), sizeof *d.codes);
    for (int k = 0; k < KINDS; k++) {
      kinds[k].make(&d);
      compare(m, &d, kinds[k].name);
    }
    moire__release(d.x);
    moire__release(d.codes);
    for (int k = 0; k < 3; k++) test_machine_destroy(&m[k]);
  }
}

Test(nearest_narrow, as_in_float32, .timeout = 200) {
  static const size sizes[] = {{192, 81}, {193, 129}, {256, 65}, {257, 64}, {300, 65}, {1000, 33}, {1025, 21}};
  compare_all(sizes, sizeof sizes / sizeof *sizes);
}

/* In bf16 where blocks are made small (MOIRE_HOSTILE), and in float32 elsewhere. */
Test(nearest_narrow, small_sizes, .timeout = 200) {
  static const size sizes[] = {{1, 1}, {7, 13}, {13, 7}, {17, 17}, {63, 65}, {65, 63}, {64, 1}, {100, 2}};
  compare_all(sizes, sizeof sizes / sizeof *sizes);
}

/* ---- against the reference --------------------------------------------------------------------------------
 */

Test(nearest_narrow, means_what_the_reference_does, .timeout = 200) {
  static const size sizes[] = {{1, 1}, {7, 13}, {13, 17}, {63, 7}, {65, 3}, {130, 8}, {256, 64}};
  static const test_way ways[] = {{.target = "x86-64-v4-bf16"}, {.target = "x86-64-v3"}};
  test_pools pools = test_pools_make();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    moire_graph *g = build(sizes[i]);
    moire_compile_options options = options_of(MOIRE_PRECISION_BF16);
    moire__text why = {0};
    test_subject s;
    bool good = test_subject_make(&s, g, &options, ways, 2, &why);
    for (int64_t rows = 1; rows < 40 && good; rows += 12) {
      test_feed feed = test_feed_draw(g, NULL, 0, rows, 7);
      good = test_subject_judge(&s, &feed, TEST_CHECK_ALL, &pools, 11, &why);
      test_feed_free(&feed);
    }
    cr_assert(good, "%lld codes of %lld: %s", (long long)sizes[i].codes, (long long)sizes[i].width,
              moire__text_string(&why));
    test_subject_free(&s);
    moire__text_free(&why);
    moire_graph_destroy(g);
  }
  test_pools_free(&pools);
}

static int steps_of(size n, moire_precision precision) {
  test_machine m = make(n, precision, 1);
  int steps = moire_program_plan(m.program)->n_steps;
  test_machine_destroy(&m);
  return steps;
}

Test(nearest_narrow, large_codebooks_alone) {
  moire_error error = {0};
  moire__target target;
  if (moire__target_named("host", &target, &error) != MOIRE_OK || !target.has_bf16)
    cr_skip_test("this CPU does not multiply pairs of bf16");
  cr_assert_eq(steps_of((size){1024, 64}, MOIRE_PRECISION_BF16),
               steps_of((size){1024, 64}, MOIRE_PRECISION_F32) + 3);
#ifndef MOIRE_HOSTILE
  cr_assert_eq(steps_of((size){64, 64}, MOIRE_PRECISION_BF16), steps_of((size){64, 64}, MOIRE_PRECISION_F32));
#endif
}

Test(nearest_narrow, the_attribute_is_a_flag) {
  moire_error error = {0};
  static const char text[] = "graph @g inference {\n"
                             "  %1 = input {name = \"x\", dtype = f32, shape = [2,2]} : f32[2,2]\n"
                             "  %2 = nearest_code(%1, %1) {bf16 = 2} : i32[2]\n"
                             "  output \"y\" = %2\n}\n";
  cr_assert_null(moire_graph_parse(text, "text", &error));
  cr_assert(strstr(error.message, "bf16"), "%s", error.message);
}
