/* Searches for the nearest code on data that are hard for one over operands in bf16: see search_case.h. */
#include "tests/support/search_case.h"

#include "runtime/base/memory.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static float draw(test_search_data *d) { return (float)moire__random_real(&d->random) * 2 - 1; }

static void draw_all(test_search_data *d) {
  for (int64_t i = 0; i < TEST_SEARCH_ROWS * d->n.width; i++) d->x[i] = draw(d);
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] = draw(d);
}

static void near_rows(test_search_data *d, float apart) {
  for (int64_t r = 0; r < TEST_SEARCH_ROWS; r++) {
    int64_t code = (int64_t)moire__random_below(&d->random, (uint64_t)d->n.codes);
    for (int64_t j = 0; j < d->n.width; j++)
      d->x[r * d->n.width + j] = d->codes[code * d->n.width + j] + apart * draw(d);
  }
}

/* Every `members` codes are one, but for some last bits. */
static void group(test_search_data *d, int64_t members) {
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

static void make_random(test_search_data *d) { draw_all(d); }
static void make_pairs(test_search_data *d) { draw_all(d), group(d, 2); }
static void make_groups(test_search_data *d) { draw_all(d), group(d, 7); }
static void make_crowds(test_search_data *d) { draw_all(d), group(d, 50); } /* more than a list holds */

static void make_planted(test_search_data *d) {
  draw_all(d);
  near_rows(d, 0.3f);
}

static void make_whole(test_search_data *d) { /* all distances are exact, many equal */
  for (int64_t i = 0; i < TEST_SEARCH_ROWS * d->n.width; i++)
    d->x[i] = (float)moire__random_below(&d->random, 3) - 1;
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++)
    d->codes[i] = (float)moire__random_below(&d->random, 3) - 1;
}

static void make_twice(test_search_data *d) {
  int64_t half = d->n.codes / 2 * d->n.width;
  draw_all(d);
  memcpy(d->codes + half, d->codes, (size_t)half * sizeof *d->codes);
}

/* The worst that rounding can do: all numbers lie at the middle between two of bf16, those of even columns a
 * little above it, the others below, so that errors of both operands add up in the even code of each pair, and
 * against it in its opposite, the odd one. In truth the odd one is nearer, by what the last column says. Pairs
 * after the first are longer, and the mean of all is about 0. */
static void make_biased(test_search_data *d) {
  int64_t w = d->n.width;
  for (int64_t i = 0; i < (TEST_SEARCH_ROWS + d->n.codes) * w; i++) {
    int64_t row = i / w, j = i % w, k = row - TEST_SEARCH_ROWS;
    float value = 1 + (j % 2 ? 0x1.fcp-9f : 0x1.02p-8f);
    if (j % 7 < 3) value = -value;
    if (row < TEST_SEARCH_ROWS) {
      d->x[i] = ldexpf(j == w - 1 ? 1 : value, (int)(row % 3));
      continue;
    }
    if (j % 2) value = -value;
    if (j == w - 1) value = (float)w * -0x1p-11f;
    d->codes[k * w + j] = ldexpf(k % 2 ? -value : value, (int)(k < 8 ? k / 2 : 4));
  }
}

static void make_far(test_search_data *d) { /* bf16 sees no difference: every list overflows */
  draw_all(d);
  for (int64_t i = 0; i < TEST_SEARCH_ROWS * d->n.width; i++) d->x[i] = 1000 + 0.1f * d->x[i];
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] = 1000 + 0.1f * d->codes[i];
}

static void scale(test_search_data *d, float x, float codes) {
  draw_all(d);
  for (int64_t i = 0; i < TEST_SEARCH_ROWS * d->n.width; i++) d->x[i] *= x;
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] *= codes;
}

static void make_tiny(test_search_data *d) { scale(d, 0x1p-66f, 0x1p-66f); }
static void make_subnormal(test_search_data *d) { scale(d, 0x1p-130f, 0x1p-3f); }
static void make_lost(test_search_data *d) { scale(d, 0x1p-140f, 0x1p-140f); }
static void make_long_rows(test_search_data *d) { scale(d, 0x1p50f, 0x1p-3f); }
static void make_long_codes(test_search_data *d) { scale(d, 1, 0x1p62f); }
static void make_overflow(test_search_data *d) { scale(d, 0x1p62f, 0x1p62f); }

static void make_lengths(test_search_data *d) { /* rows and codes of all lengths */
  draw_all(d);
  for (int64_t i = 0; i < TEST_SEARCH_ROWS * d->n.width; i++)
    d->x[i] *= ldexpf(1, (int)(i / d->n.width % 80) - 40);
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++)
    d->codes[i] *= ldexpf(1, (int)(i / d->n.width % 60) - 30);
}

static void make_odd(test_search_data *d) { /* NaN, infinities and zeros here and there */
  static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, 0};
  draw_all(d);
  near_rows(d, 0.5f);
  for (int64_t r = 0; r < TEST_SEARCH_ROWS; r += 17) d->x[r * d->n.width + r % d->n.width] = odd[r % 5];
  for (int64_t k = 3; k < d->n.codes; k += 11) d->codes[k * d->n.width + k % d->n.width] = odd[k % 5];
  memset(d->x + d->n.width, 0, (size_t)d->n.width * sizeof *d->x);
}

static void make_nothing(test_search_data *d) { /* no code is at any distance */
  draw_all(d);
  for (int64_t i = 0; i < d->n.codes * d->n.width; i++) d->codes[i] = NAN;
}

static void make_zero(test_search_data *d) {
  memset(d->x, 0, (size_t)(TEST_SEARCH_ROWS * d->n.width) * sizeof *d->x);
  memset(d->codes, 0, (size_t)(d->n.codes * d->n.width) * sizeof *d->codes);
}

const test_search_kind test_search_kinds[TEST_SEARCH_KINDS] = {
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

test_search_data test_search_data_make(test_search_size n, uint32_t stream) {
  test_search_data d = {.n = n, .random = moire__random_start(3, stream)};
  d.x = moire__allocate_array((size_t)(TEST_SEARCH_ROWS * n.width), sizeof *d.x);
  d.codes = moire__allocate_array((size_t)(n.codes * n.width), sizeof *d.codes);
  return d;
}

void test_search_data_free(test_search_data *d) {
  moire__release(d->x);
  moire__release(d->codes);
}

/* ---- both ways --------------------------------------------------------------------------------------------
 */

moire_graph *test_search_graph(test_search_size n) {
  moire_graph *g = moire_graph_create("search", MOIRE_INFERENCE);
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), n.width));
  moire_value codes = moire_input(g, "codes", MOIRE_F32, MOIRE_SHAPE(n.codes, n.width));
  moire_output(g, "rows", moire_nearest_code(x, codes));
  return g;
}

moire_compile_options test_search_options(moire_precision precision, const char *target) {
  static const char *const outputs[] = {"rows"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.precision = precision;
  options.target = target;
  return options;
}

static test_machine make(test_search_size n, moire_precision precision, const char *target, int threads) {
  moire_graph *g = test_search_graph(n);
  moire_compile_options options = test_search_options(precision, target);
  test_machine m = test_machine_make(g, &options, threads, 1);
  moire_graph_destroy(g);
  return m;
}

static const int32_t *search(test_machine *m, const test_search_data *d, int64_t first, int64_t rows) {
  moire_error error = {0};
  int64_t w = d->n.width;
  moire_status status = moire_runner_set_extent(m->runner, "B", rows, &error);
  if (!status) status = moire_runner_set_input(m->runner, "x", d->x + first * w, rows * w, &error);
  if (!status) status = moire_runner_set_input(m->runner, "codes", d->codes, d->n.codes * w, &error);
  if (!status) status = moire_runner_run(m->runner, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  return moire_runner_output(m->runner, "rows", NULL);
}

static void compare(test_machine m[3], const test_search_data *d, const char *kind) {
  const int32_t *want = search(&m[0], d, 0, TEST_SEARCH_ROWS);
  for (int i = 1; i < 3; i++) {
    const int32_t *got = search(&m[i], d, 0, TEST_SEARCH_ROWS);
    for (int r = 0; r < TEST_SEARCH_ROWS; r++)
      cr_assert_eq(got[r], want[r], "%s, %lld codes, width %lld, row %d: %d, in float32 %d", kind,
                   (long long)d->n.codes, (long long)d->n.width, r, got[r], want[r]);
  }
  for (int r = 0; r < TEST_SEARCH_ROWS; r += 40)
    cr_assert_eq(*search(&m[1], d, r, 1), want[r], "%s, row %d alone", kind, r);
}

void test_search_compare(const char *target, const test_search_size *sizes, int n) {
  for (int i = 0; i < n; i++) {
    test_machine m[3] = {make(sizes[i], MOIRE_PRECISION_F32, target, 1),
                         make(sizes[i], MOIRE_PRECISION_BF16, target, 1),
                         make(sizes[i], MOIRE_PRECISION_BF16, target, 3)};
    test_search_data d = test_search_data_make(sizes[i], (uint32_t)i);
    for (int k = 0; k < TEST_SEARCH_KINDS; k++) {
      test_search_kinds[k].make(&d);
      compare(m, &d, test_search_kinds[k].name);
    }
    test_search_data_free(&d);
    for (int k = 0; k < 3; k++) test_machine_destroy(&m[k]);
  }
}
