/* Attention by tiles: what it computes, and what its code is made of.
 *
 * Lengths and widths on both sides of a tile and of a part, several blocks of queries and of keys, several
 * heads, masks, dropout. Loop nests are interpreted in double, where they agree with the reference of the op to
 * the last digits, since both round to bf16 at the same places; the code is executed, by the processor or the
 * emulator, against bounds of float32, and 1, 2 and 3 threads give the same bits. Assembly needs no processor.
 */
#include <criterion/criterion.h>

#include "compiler/driver/compile.h"
#include "compiler/driver/driver.h"
#include "tests/support/amx/amx_emulator.h"
#include "tests/support/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct attention {
  int64_t heads, queries, keys, d, e;
  bool waves, causal, has_valid, named; /* named: the length is, "L" */
  double dropout;
} attention;

static const attention cases[] = {
    {1, 128, 128, 16, 16, .causal = true},
    {2, 129, 161, 17, 33, .has_valid = true},
    {2, 161, 161, 40, 24, .causal = true, .has_valid = true, .dropout = 0.3},
    {1, 150, 131, 64, 64, .dropout = 0.2},
    {2, 200, 200, 32, 32, .named = true, .causal = true},
    {1, 130, 130, 16, 17, .waves = true, .causal = true},
    {2, 131, 140, 33, 16, .waves = true, .has_valid = true, .dropout = 0.3},
};
enum { CASES = sizeof cases / sizeof *cases };

static moire_value operand(moire_graph *g, const attention *c, const char *name, int64_t length,
                           int64_t width) {
  static const int by_head[] = {0, 2, 1, 3};
  moire_dim rows = c->named ? moire_extent(g, "L") : length;
  moire_shape shape = MOIRE_SHAPE(moire_extent(g, "B"), rows, c->heads, width);
  char im[16];
  snprintf(im, sizeof im, "%s.im", name);
  moire_value x = moire_input(g, name, MOIRE_F32, shape);
  if (c->waves) x = moire_complex(x, moire_input(g, im, MOIRE_F32, shape));
  return moire_permute(x, 4, by_head);
}

/* y, its imaginary plane as z; or, with gradients, what a loss gives of factors that stand before q, k and v.
 */
static moire_graph *graph_of(const attention *c, bool backward) {
  moire_graph *g = moire_graph_create("attention", MOIRE_TRAINING);
  if (c->named) moire_extent(g, "L");
  moire_value x[] = {operand(g, c, "q", c->queries, c->d), operand(g, c, "k", c->keys, c->d),
                     operand(g, c, "v", c->keys, c->e)};
  static const char *const names[] = {"a", "b", "c"};
  for (int i = 0; i < 3 && backward; i++) {
    moire_shape shape = moire_value_shape(x[i]);
    moire_value factor =
        moire_parameter(g, names[i], MOIRE_SHAPE(1, c->heads, c->named ? 1 : shape.dims[2], shape.dims[3]),
                        moire_init_constant(1));
    factor = moire_broadcast(factor, shape);
    x[i] = moire_mul(x[i], c->waves ? moire_complex(factor, factor) : factor);
  }
  moire_attention_options options = {.score = c->waves ? MOIRE_SCORE_INTERFERENCE : MOIRE_SCORE_DOT,
                                     .scale = 2 / sqrt((double)c->d),
                                     .mask_value = -10000,
                                     .causal = c->causal,
                                     .dropout = c->dropout};
  moire_dim keys = c->named ? moire_extent(g, "L") : c->keys;
  if (c->has_valid)
    options.key_valid = moire_input(g, "valid", MOIRE_BOOL, MOIRE_SHAPE(moire_extent(g, "B"), keys));
  moire_value y = moire_attention(x[0], x[1], x[2], options);
  moire_value re = c->waves ? moire_real(y) : y, im = c->waves ? moire_imag(y) : y;
  moire_output(g, "y", re);
  moire_output(g, "z", im);
  if (backward) {
    moire_value toward = moire_input(g, "g", MOIRE_F32, moire_value_shape(re));
    moire_output(g, "loss", moire_sum_all(moire_add(moire_mul(re, toward), moire_mul(moire_sin(im), toward))));
  }
  return g;
}

static moire_compile_options options_of(bool backward) {
  static const char *const outputs[] = {"y", "z"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  if (backward) {
    options.loss = "loss";
    options.keep_gradients = true;
  }
  options.precision = MOIRE_PRECISION_BF16;
  options.target = TEST_TILES_TARGET;
  return options;
}

/* The first extent is the length where it is named. */
static test_feed feed_of(const moire_graph *g, const attention *c) {
  static const test_range ranges[] = {{"a", 0.5, 1.5}, {"b", 0.5, 1.5}, {"c", 0.5, 1.5}, {"rng", -1000, 1000}};
  return test_feed_draw(g, ranges, 4, c->named ? c->queries : 2, 7);
}

/* ---- in double --------------------------------------------------------------------------------------------
 */

static void expect_exact(const attention *c, bool backward, bool small_blocks) {
  moire_graph *g = graph_of(c, backward);
  moire_compile_options options = options_of(backward);
  moire__goal goal = moire__goal_from_options(&options);
  moire_error error = {0};
  test_feed feed = feed_of(g, c);
  moire_graph *marked = moire__driver_run_passes(g, &goal, "narrow", NULL, &error);
  moire_graph *fused = moire__driver_run_passes(g, &goal, NULL, NULL, &error);
  cr_assert(marked && fused, "%s", error.message);
  moire__lower_target shape = {
      .lanes = 16, .registers = 32, .pairs = true, .tiles = true, .small_blocks = small_blocks};
  moire__module *module = moire__pass_lower(fused, shape, &error);
  cr_assert(module, "%s", error.message);
  int tiled = 0;
  for (int i = 0; i < module->n_kernels; i++) tiled += module->kernels[i]->has_tiles;
  cr_assert_eq(tiled, backward ? 2 : 1, "%d kernels have tiles", tiled);
  test_values want, got;
  cr_assert_eq(test_bounds_run(marked, &feed, 1, TEST_DOUBLE, 1, &want, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(test_run_loops(module, &feed, false, &want, &got, &error), MOIRE_OK, "%s", error.message);
  for (int i = 0; i < want.n; i++) {
    const test_value *w = &want.list[i], *x = test_values_find(&got, w->name, w->is_update);
    double off = 0, size = 0;
    for (int64_t e = 0; e < w->elements; e++) {
      off = fmax(off, isnan(x->value[e]) ? INFINITY : fabs(x->value[e] - w->value[e]));
      size = fmax(size, fabs(w->value[e]));
    }
    cr_assert(off <= 1e-11 * size, "case %d, %s: off by %g of %g", (int)(c - cases), w->name, off, size);
  }
  test_values_free(&want);
  test_values_free(&got);
  test_feed_free(&feed);
  moire__module_destroy(module);
  moire_graph_destroy(marked);
  moire_graph_destroy(g);
}

Test(tile_attention, loop_nests_round_where_the_reference_does) {
  for (int i = 0; i < 2 * CASES; i++) expect_exact(&cases[i / 2], i % 2 != 0, i / 2 % 2 != 0);
}

/* ---- executed ---------------------------------------------------------------------------------------------
 */

static void expect_code_agrees(const attention *c, bool backward, const test_pools *pools) {
  static const test_way way = {.target = TEST_TILES_TARGET};
  moire_graph *g = graph_of(c, backward);
  moire_compile_options options = options_of(backward);
  moire__text why = {0};
  test_subject s;
  int64_t before = test_tiles_products();
  bool good = test_subject_make(&s, g, &options, &way, 1, &why);
  test_feed feed = feed_of(g, c);
  good = good && test_subject_judge(&s, &feed, TEST_CHECK_NATIVE, pools, 11, &why);
  if (good && test_tiles_emulated() && test_tiles_products() == before) {
    moire__text_add(&why, "no tiles were multiplied");
    good = false;
  }
  cr_assert(good, "case %d: %s", (int)(c - cases), moire__text_string(&why));
  test_feed_free(&feed);
  test_subject_free(&s);
  moire__text_free(&why);
  moire_graph_destroy(g);
}

Test(tile_attention, code_agrees_for_any_number_of_threads) {
  if (!test_tiles_start()) cr_skip_test("this machine runs no AVX2");
  test_pools pools = test_pools_make();
  for (int i = 0; i < 2 * CASES; i++) expect_code_agrees(&cases[i / 2], i % 2 != 0, &pools);
  test_pools_free(&pools);
}

/* ---- assembly, and which nodes it is ----------------------------------------------------------------------
 */

static int count(const char *text, const char *word) {
  int found = 0;
  for (const char *at = text; (at = strstr(at, word)); at++) found++;
  return found;
}

static char *text_of(const attention *c, bool backward, const moire_compile_options *options,
                     const char *after) {
  moire_graph *g = graph_of(c, backward);
  moire_error error = {0};
  char *text = moire_compile_print(g, options, after, &error);
  cr_assert(text, "%s", error.message);
  moire_graph_destroy(g);
  return text;
}

/* Scores, values: 2 x 2 tiles each, a load a product; what is packed is turned in registers. */
Test(tile_attention, a_product_loads_one_tile_and_nothing_is_scattered) {
#ifdef MOIRE_HOSTILE
  cr_skip_test("the hostile build has blocks of other sizes");
#endif
  static const attention c = {2, 512, 512, 32, 32, .causal = true};
  moire_compile_options options = options_of(false);
  char *text = text_of(&c, false, &options, "assembly");
  cr_assert_eq(count(text, "tdpbf16ps"), 8);
  cr_assert_eq(count(text, "tileloadd"), 8);
  cr_assert_eq(count(text, "gather"), 0);
  cr_assert_eq(count(text, "scatter"), 0);
  cr_assert_eq(count(text, "ldtilecfg"), 1);
  free(text);
}

static bool is_marked(const attention *c, bool backward, moire_compile_options options) {
  char *text = text_of(c, backward, &options, "narrow");
  const char *node = strstr(text, "= attend");
  cr_assert(node);
  size_t n = strcspn(node, "\n");
  const char *mark = strstr(node, "bf16 = 1");
  bool marked = mark && mark < node + n;
  free(text);
  return marked;
}

Test(tile_attention, long_sequences_of_targets_with_tiles_are_marked) {
  static const attention longer = {1, 128, 128, 16, 16, .dropout = 0},
                         shorter = {1, 127, 128, 16, 16, .dropout = 0},
                         narrow = {1, 128, 128, 16, 15, .dropout = 0};
  moire_compile_options options = options_of(false), other = options;
  cr_assert(is_marked(&longer, false, options));
  cr_assert(!is_marked(&shorter, false, options));
  cr_assert(!is_marked(&narrow, false, options));
  other.target = "x86-64-v4-bf16";
  cr_assert(!is_marked(&longer, false, other));
  other = options;
  other.precision = MOIRE_PRECISION_F32;
  cr_assert(!is_marked(&longer, false, other));
  other = options;
  other.off = 1u << MOIRE_OPTIMIZATION_attend_tiles;
  cr_assert(!is_marked(&longer, false, other));
}
