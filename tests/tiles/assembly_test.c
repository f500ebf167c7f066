/* What the code of a product by tiles is made of: its inner loop has the products and loads that
 * ops/product/narrow_tiles.c says, and tiles are configured once, before, and released once, after, with no
 * call in between. This needs no processor. */
#include <criterion/criterion.h>

#include "ops/product/product.h"
#include "moire/compile.h"
#include "tests/support/search_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORWARD, BY_TRANSPOSED, GRADIENT, KINDS };

/* What is counted is what blocks and vectors of the usual size take. */
static void need_usual_sizes(void) {
#ifdef MOIRE_HOSTILE
  cr_skip_test("the hostile build has blocks and vectors of other sizes");
#endif
}

static moire_value operand(moire_graph *g, const char *name, moire_shape shape, bool complex) {
  char other[20];
  snprintf(other, sizeof other, "%s.im", name);
  moire_value re = moire_input(g, name, MOIRE_F32, shape);
  return complex ? moire_complex(re, moire_input(g, other, MOIRE_F32, shape)) : re;
}

/* Assembly for x86-64-v4-amx, for a named number of rows, of x w, x w^T, or x^H v. */
static char *assembly_of(bool complex, int kind) {
  static const char *const outputs[] = {"y", "z"};
  moire_graph *g = moire_graph_create("product", MOIRE_INFERENCE);
  moire_value x = operand(g, "x", MOIRE_SHAPE(moire_extent(g, "B"), 128), complex), y = {0};
  if (kind == GRADIENT) {
    moire_value v = operand(g, "v", MOIRE_SHAPE(moire_extent(g, "B"), 64), complex);
    y = moire__product(g, x, v, (moire__product_flags){.transpose_a = true, .conj_a = true});
  } else {
    bool turned = kind == BY_TRANSPOSED;
    moire_value w = operand(g, "w", turned ? MOIRE_SHAPE(64, 128) : MOIRE_SHAPE(128, 64), complex);
    y = moire__product(g, x, w, (moire__product_flags){.transpose_b = turned});
  }
  moire_output(g, "y", complex ? moire_real(y) : y);
  if (complex) moire_output(g, "z", moire_imag(y));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = complex ? 2 : 1;
  options.precision = MOIRE_PRECISION_BF16;
  options.target = "x86-64-v4-amx";
  moire_error error = {0};
  char *text = moire_compile_print(g, &options, "assembly", &error);
  cr_assert(text, "%s", error.message);
  moire_graph_destroy(g);
  return text;
}

static int count(const char *text, size_t n, const char *word) {
  int found = 0;
  for (const char *at = text; (at = strstr(at, word)) && at < text + n; at++) found++;
  return found;
}

/* How many of a product's inner loops there are with so many products, loads and vector instructions: what
 * stands between two labels and has a product of tiles in it. */
static int loops_with(const char *text, int products, int loads) {
  int found = 0;
  for (const char *label = strstr(text, "\n.LBB"); label;) {
    const char *next = strstr(label + 1, "\n.LBB");
    size_t n = next ? (size_t)(next - label) : strlen(label);
    if (count(label, n, "tdpbf16ps") == products && count(label, n, "tileloadd") == loads) {
      found++;
      cr_assert_eq(count(label, n, "zmm"), 0, "a loop over tiles has vector instructions:\n%.*s", (int)n,
                   label);
      cr_assert_eq(count(label, n, "call"), 0);
    }
    label = next;
  }
  return found;
}

static void expect_configured_once(const char *text) {
  size_t n = strlen(text);
  cr_assert_eq(count(text, n, "ldtilecfg"), 1);
  cr_assert_eq(count(text, n, "tilerelease"), 1);
  cr_assert_eq(count(text, n, "sttilecfg"), 0);
  const char *first = strstr(text, "ldtilecfg"), *last = strstr(text, "tilerelease");
  cr_assert_lt(first, strstr(text, "tileloadd"));
  cr_assert_lt(first, last);
  cr_assert_eq(count(first, (size_t)(last - first), "\tcall"), 0, "a function may change tiles");
}

/* Two rows of tiles, which are stored where they belong, and one for the rest. */
Test(tile_assembly, a_complex_product_loads_seven_tiles_for_eight_products) {
  need_usual_sizes();
  for (int kind = 0; kind < KINDS; kind++) {
    char *text = assembly_of(true, kind);
    bool goes_on = kind == GRADIENT, rest = kind != GRADIENT;
    size_t n = strlen(text);
    cr_assert_eq(loops_with(text, 8, 7), 1, "%s", text);
    cr_assert_eq(loops_with(text, 4, 5), rest, "%s", text);
    cr_assert_eq(count(text, n, "tdpbf16ps"), rest ? 12 : 8);
    cr_assert_eq(count(text, n, "tileloadd"), 7 + (rest ? 5 : 0) + (goes_on ? 4 : 0));
    cr_assert_eq(count(text, n, "tilestored"), rest ? 6 : 4);
    expect_configured_once(text);
    free(text);
  }
}

Test(tile_assembly, a_real_product_loads_four_tiles_for_four_products) {
  for (int kind = 0; kind < KINDS; kind++) {
    char *text = assembly_of(false, kind);
    bool rest = kind != GRADIENT;
    cr_assert_eq(loops_with(text, 4, 4), 1, "%s", text);
    cr_assert_eq(loops_with(text, 2, 3), rest, "%s", text);
    cr_assert_eq(count(text, strlen(text), "tdpbf16ps"), rest ? 6 : 4);
    expect_configured_once(text);
    free(text);
  }
}

/* Lines are made by one rounding of two vectors; an operand that lies the other way is turned in registers, of
 * a plane 64 shuffles. Nothing is scattered or gathered, also where tiles are not full. */
Test(tile_assembly, packing_rounds_two_vectors_at_once_and_scatters_nothing) {
  need_usual_sizes();
  for (int i = 0; i < 2 * KINDS; i++) {
    bool complex = i % 2;
    char *text = assembly_of(complex, i / 2);
    size_t n = strlen(text);
    cr_assert_eq(count(text, n, "scatter"), 0, "%s", text);
    cr_assert_eq(count(text, n, "gather"), 0, "%s", text);
    cr_assert_eq(count(text, n, "vcvtneps2bf16"), 0, "%s", text);
    cr_assert_gt(count(text, n, "vcvtne2ps2bf16"), 0, "%s", text);
    int shuffles = count(text, n, "vunpck") + count(text, n, "vpunpck") + count(text, n, "vshuf");
    if (i / 2 == GRADIENT) cr_assert_geq(shuffles, 64 * (1 + complex), "%d shuffles:\n%s", shuffles, text);
    free(text);
  }
}

/* Of each row and panel, whether some code is near enough is one look at a mask of two comparisons. */
Test(tile_assembly, a_search_for_codes_loads_four_tiles_for_four_products) {
  moire_error error = {0};
  moire_graph *g = test_search_graph((test_search_size){4096, 256});
  moire_compile_options options = test_search_options(MOIRE_PRECISION_BF16, "x86-64-v4-amx");
  char *text = moire_compile_print(g, &options, "assembly", &error);
  cr_assert(text, "%s", error.message);
  cr_assert_eq(loops_with(text, 4, 4), 1, "%s", text);
  cr_assert_eq(loops_with(text, 2, 3), 1, "%s", text);
  cr_assert_eq(count(text, strlen(text), "tdpbf16ps"), 6);
  expect_configured_once(text);
  const char *first = strstr(text, "ldtilecfg"), *last = strstr(text, "tilerelease");
  size_t n = (size_t)(last - first);
  cr_assert_eq(count(first, n, "gather"), 0, "%.*s", (int)n, first);
  cr_assert_eq(count(first, n, "scatter"), 0, "%.*s", (int)n, first);
  const char *look = strstr(first, "\tkortest"), *row = look;
  cr_assert(look && look < last && count(first, n, "\tkortest") == 1, "%.*s", (int)n, first);
  while (row > first && row[0] != '.') row--; /* the row begins at the label before */
  cr_assert_eq(count(row, (size_t)(look - row), "vcmp"), 2, "%.*s", (int)(look - row), row);
  cr_assert_eq(count(row, (size_t)(look - row), "vextract"), 0, "%.*s", (int)(look - row), row);
  moire_graph_destroy(g);
  free(text);
}
