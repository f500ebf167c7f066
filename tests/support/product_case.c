#include "tests/support/product_case.h"

#include "ops/product/product.h"

#include <stdio.h>

static moire_dim dim(moire_graph *g, int64_t extent) {
  return extent ? moire__dim_make(extent, 0) : moire_extent(g, "B");
}

void test_product_operand(moire_graph *g, const char *name, const test_product *c, int64_t rows,
                          int64_t columns, bool transposed, bool complex, moire_value planes[2]) {
  moire_shape shape = {0};
  if (c->lead != 1) shape.dims[shape.rank++] = dim(g, c->lead);
  shape.dims[shape.rank++] = dim(g, transposed ? columns : rows);
  shape.dims[shape.rank++] = dim(g, transposed ? rows : columns);
  char im[16];
  snprintf(im, sizeof im, "%s.im", name);
  planes[0] = moire_input(g, name, MOIRE_F32, shape);
  if (complex) planes[1] = moire_input(g, im, MOIRE_F32, shape);
}

moire_graph *test_product_graph(const test_product *c, int flags, bool complex, bool only_im) {
  moire_graph *g = moire_graph_create("product", MOIRE_INFERENCE);
  moire__product_flags f = {.transpose_a = flags & 1,
                            .transpose_b = (flags & 2) != 0,
                            .conj_a = complex && flags & 4,
                            .conj_b = complex && flags & 8};
  moire_value a[2], b[2];
  test_product_operand(g, "a", c, c->m, c->k, f.transpose_a, complex, a);
  test_product_operand(g, "b", c, c->k, c->n, f.transpose_b, complex, b);
  for (int i = 0; i < (complex ? 2 : 1) && flags & TEST_PRODUCT_COMPUTED; i++) {
    a[i] = moire_scale(a[i], 0.5);
    b[i] = moire_scale(b[i], 0.5);
  }
  moire_value y = complex ? moire__product(g, moire_complex(a[0], a[1]), moire_complex(b[0], b[1]), f)
                          : moire__product(g, a[0], b[0], f);
  moire_output(g, "y", !complex ? y : only_im ? moire_imag(y) : moire_real(y));
  if (complex && !only_im) moire_output(g, "z", moire_imag(y));
  return g;
}

bool test_product_agrees(moire_graph *g, const char *const *outputs, int n_outputs, const test_way *ways,
                         int n_ways, const int64_t *sizes, int n_sizes, const test_pools *pools,
                         moire__text *why) {
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = n_outputs;
  test_subject s;
  bool good = test_subject_make(&s, g, &options, ways, n_ways, why);
  for (int i = 0; i < n_sizes && good; i++) {
    test_feed feed = test_feed_draw(g, NULL, 0, sizes[i], 7);
    unsigned checks = sizes[i] > 13 ? TEST_CHECK_NATIVE : TEST_CHECK_ALL;
    good = test_subject_judge(&s, &feed, checks, pools, 11, why);
    test_feed_free(&feed);
  }
  test_subject_free(&s);
  moire_graph_destroy(g);
  return good;
}
