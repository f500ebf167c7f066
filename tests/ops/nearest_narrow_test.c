/* nearest_code {bf16 = 1} finds the codes that the search in float32 finds, on whatever data; and where this
 * CPU searches in bf16 at all.
 *
 * The two ways are compiled and compared to the last code on the data of tests/support/search_case.h: odd
 * sizes, blocks with a rest, one row, 1 and 3 threads. Sizes that are too small to be searched in bf16 by
 * native code are so in loop nests, which the judge compares with the reference. The loop nests for tiles of
 * AMX are interpreted on all the data: tests/tiles/codes_test.c executes their code.
 */
#include <criterion/criterion.h>

#include "compiler/codegen/codegen.h"
#include "compiler/driver/compile.h"
#include "tests/support/judge.h"
#include "tests/support/search_case.h"

#include <string.h>

Test(nearest_narrow, as_in_float32, .timeout = 200) {
  static const test_search_size sizes[] = {{192, 81}, {193, 129}, {256, 65}, {257, 64},
                                           {300, 65}, {1000, 33}, {1025, 21}};
  test_search_compare(NULL, sizes, sizeof sizes / sizeof *sizes);
}

/* In bf16 where blocks are made small (MOIRE_HOSTILE), and in float32 elsewhere. */
Test(nearest_narrow, small_sizes, .timeout = 200) {
  static const test_search_size sizes[] = {{1, 1},   {7, 13},  {13, 7}, {17, 17},
                                           {63, 65}, {65, 63}, {64, 1}, {100, 2}};
  test_search_compare(NULL, sizes, sizeof sizes / sizeof *sizes);
}

/* ---- loop nests for tiles ---------------------------------------------------------------------------------
 */

/* All steps of the plan, interpreted in float32, on the first `rows` rows; returns the buffer "rows". */
static const int32_t *interpret(const moire__module *m, const test_search_data *d, int64_t rows,
                                moire__arena *arena) {
  const moire_plan *plan = &m->plan;
  const int64_t extents[] = {0, rows};
  moire_error error = {0};
  void **buffers = moire__arena_array(arena, (size_t)plan->n_buffers, sizeof *buffers);
  const int32_t *result = NULL;
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    buffers[i] = moire__arena_array(arena, (size_t)moire__dim_size(b->elements, extents), sizeof(float));
    if (strcmp(b->name, "x") == 0) memcpy(buffers[i], d->x, (size_t)(rows * d->n.width) * sizeof *d->x);
    if (strcmp(b->name, "codes") == 0)
      memcpy(buffers[i], d->codes, (size_t)(d->n.codes * d->n.width) * sizeof *d->codes);
    if (b->role == MOIRE_PLAN_OUTPUT) result = buffers[i];
  }
  for (int i = 0; i < plan->n_steps; i++) {
    const moire_plan_step *step = &plan->steps[i];
    void *arguments[16];
    cr_assert_leq(step->n_buffers, 16);
    for (int k = 0; k < step->n_buffers; k++) arguments[k] = buffers[step->buffers[k]];
    int64_t count = moire__dim_size(step->count, extents), pieces = (count + step->block - 1) / step->block;
    moire_status status =
        moire__loop_interpret(m->kernels[step->kernel], arguments, extents, 0, pieces, false, &error);
    cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  }
  return result;
}

Test(nearest_narrow, loop_nests_for_tiles_find_the_same, .timeout = 300) {
  static const test_search_size sizes[] = {{192, 81}, {257, 64}};
  static const moire_precision precisions[] = {MOIRE_PRECISION_F32, MOIRE_PRECISION_BF16};
  static const int64_t rows[] = {43, 7}; /* two blocks of tiles, the second of half the height; one */
  moire_error error = {0};
  moire__target target;
  cr_assert_eq(moire__target_named("x86-64-v4-amx", &target, &error), MOIRE_OK);
  for (int i = 0; i < 2; i++) {
    moire__module *m[2];
    moire_graph *g = test_search_graph(sizes[i]);
    for (int p = 0; p < 2; p++) {
      moire_compile_options options = test_search_options(precisions[p], target.name);
      m[p] = moire__driver_lower(g, &options, &target, &error);
      cr_assert(m[p], "%s", error.message);
    }
    test_search_data d = test_search_data_make(sizes[i], 7);
    for (int k = 0; k < TEST_SEARCH_KINDS; k++) {
      moire__arena arena = {0};
      test_search_kinds[k].make(&d);
      const int32_t *want = interpret(m[0], &d, rows[i], &arena), *got = interpret(m[1], &d, rows[i], &arena);
      for (int64_t r = 0; r < rows[i]; r++)
        cr_assert_eq(got[r], want[r], "%s, row %lld", test_search_kinds[k].name, (long long)r);
      moire__arena_free(&arena);
    }
    test_search_data_free(&d);
    for (int p = 0; p < 2; p++) moire__module_destroy(m[p]);
    moire_graph_destroy(g);
  }
}

/* ---- against the reference --------------------------------------------------------------------------------
 */

Test(nearest_narrow, means_what_the_reference_does, .timeout = 200) {
  static const test_search_size sizes[] = {{1, 1}, {7, 13}, {13, 17}, {63, 7}, {65, 3}, {130, 8}, {256, 64}};
  static const test_way ways[] = {
      {.target = "x86-64-v4-amx"}, {.target = "x86-64-v4-bf16"}, {.target = "x86-64-v3"}};
  test_pools pools = test_pools_make();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    moire_graph *g = test_search_graph(sizes[i]);
    moire_compile_options options = test_search_options(MOIRE_PRECISION_BF16, NULL);
    moire__text why = {0};
    test_subject s;
    bool good = test_subject_make(&s, g, &options, ways, 3, &why);
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

/* ---- where -------------------------------------------------------------------------------------------------
 */

static int steps_of(test_search_size n, const char *target, moire_precision precision, unsigned off) {
  moire_error error = {0};
  moire__target level;
  moire_graph *g = test_search_graph(n);
  moire_compile_options options = test_search_options(precision, target);
  options.off = off;
  cr_assert_eq(moire__target_named(target, &level, &error), MOIRE_OK);
  moire__module *m = moire__driver_lower(g, &options, &level, &error);
  cr_assert(m, "%s", error.message);
  int steps = m->plan.n_steps;
  moire__module_destroy(m);
  moire_graph_destroy(g);
  return steps;
}

Test(nearest_narrow, large_codebooks_alone) {
  static const struct {
    const char *target;
    int more;
  } levels[] = {{"x86-64-v4-amx", 3}, {"x86-64-v4-bf16", 3}, {"x86-64-v4", 0}, {"x86-64-v3", 0}};
  static const test_search_size large = {1024, 64}, small = {64, 64};
  for (int i = 0; i < 4; i++) {
    const char *target = levels[i].target;
    int single = steps_of(large, target, MOIRE_PRECISION_F32, 0);
    cr_assert_eq(steps_of(large, target, MOIRE_PRECISION_BF16, 0), single + levels[i].more, "%s", target);
    cr_assert_eq(steps_of(large, target, MOIRE_PRECISION_BF16, 1u << MOIRE_OPTIMIZATION_coarse), single);
#ifndef MOIRE_HOSTILE
    cr_assert_eq(steps_of(small, target, MOIRE_PRECISION_BF16, 0), single, "%s", target);
#else
    (void)small;
#endif
  }
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
