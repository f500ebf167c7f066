/* What the code of a product by tiles is made of: its inner loop has the products and loads that
 * ops/product/narrow_tiles.c says, and tiles are configured once, before, and released once, after, with no
 * call in between. This needs no processor. */
#include <criterion/criterion.h>

#include "ops/product/product.h"
#include "moire/compile.h"
#include "tests/support/search_case.h"

#include <stdlib.h>
#include <string.h>

/* Assembly of x w for a named number of rows, for x86-64-v4-amx. */
static char *assembly_of(bool complex) {
  static const char *const outputs[] = {"y", "z"};
  moire_graph *g = moire_graph_create("product", MOIRE_INFERENCE);
  moire_shape shape = MOIRE_SHAPE(moire_extent(g, "B"), 128);
  moire_value x = moire_input(g, "x", MOIRE_F32, shape),
              w = moire_parameter(g, "w", MOIRE_SHAPE(128, 64), moire_init_constant(0));
  if (complex) {
    x = moire_complex(x, moire_input(g, "x.im", MOIRE_F32, shape));
    w = moire_complex(w, moire_parameter(g, "w.im", MOIRE_SHAPE(128, 64), moire_init_constant(0)));
  }
  moire_value y = moire_matmul(x, w);
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

Test(tile_assembly, a_complex_product_loads_seven_tiles_for_eight_products) {
  char *text = assembly_of(true);
  cr_assert_eq(loops_with(text, 8, 7), 1, "%s", text);
  cr_assert_eq(count(text, strlen(text), "tdpbf16ps"), 8);
  expect_configured_once(text);
  free(text);
}

/* Two rows of tiles, and one for the rest. */
Test(tile_assembly, a_real_product_loads_four_tiles_for_four_products) {
  char *text = assembly_of(false);
  cr_assert_eq(loops_with(text, 4, 4), 1, "%s", text);
  cr_assert_eq(loops_with(text, 2, 3), 1, "%s", text);
  cr_assert_eq(count(text, strlen(text), "tdpbf16ps"), 6);
  expect_configured_once(text);
  free(text);
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
