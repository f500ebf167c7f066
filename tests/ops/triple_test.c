/* Complex products that are made of three real ones: every way to compute them means what the reference does,
 * and errors are as large as ops/product/triple.h says.
 *
 * Odd extents, one row or column, nothing to sum up, sums that come in parts, blocks with a rest, leading axes,
 * all flags; what is packed beforehand from either layout, and what is not; results that something is done to.
 * 1, 2 and 3 threads give the same bits.
 */
#include <criterion/criterion.h>

#include "compiler/ir/op.h"
#include "moire/run.h"
#include "ops/product/product.h"
#include "runtime/base/memory.h"
#include "tests/support/judge.h"
#include "tests/support/product_case.h"

#include <math.h>
#include <string.h>

static const test_product cases[] = {
    {1, 0, 7, 13},  {1, 1, 1, 1},   {1, 0, 17, 65},  {1, 63, 0, 33},  {1, 13, 65, 0},   {2, 7, 17, 63},
    {0, 13, 7, 17}, {1, 5, 300, 3}, {1, 65, 63, 64}, {1, 130, 0, 17}, {3, 0, 1, 7},     {1, 4, 3, 0},
    {1, 17, 2, 1},  {1, 0, 64, 32}, {1, 9, 1030, 5}, {1, 0, 1026, 6}, {2, 5, 1025, 33}, {1, 5, 8200, 18},
};
enum { CASES = sizeof cases / sizeof *cases };

/* With `scaled`, the planes of the result are doubled, which is done where they are computed. */
static moire_graph *build(const test_product *c, int flags, bool scaled) {
  moire_graph *g = moire_graph_create("product", MOIRE_INFERENCE);
  moire__product_flags f = {.transpose_a = flags & 1,
                            .transpose_b = (flags & 2) != 0,
                            .conj_a = (flags & 4) != 0,
                            .conj_b = (flags & 8) != 0};
  moire_value x[4];
  test_product_operand(g, "a", c, c->m, c->k, f.transpose_a, true, &x[0]);
  test_product_operand(g, "b", c, c->k, c->n, f.transpose_b, true, &x[2]);
  moire__attr attrs[MOIRE__PRODUCT_ATTRS + 1];
  int n = moire__product_attrs(f, attrs);
  attrs[n++] = moire__attr_make_int("triple", 1);
  moire_value re = moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_cmatmul, x, 4, attrs, n);
  moire_value im = moire__value(g, re.id + 1);
  moire_output(g, "y", scaled ? moire_scale(re, 2) : re);
  moire_output(g, "z", scaled ? moire_scale(im, 2) : im);
  return g;
}

static void check(const test_product *c, int flags, bool scaled, const int64_t *sizes, int n_sizes,
                  const test_pools *pools) {
  static const test_way ways[] = {{.target = "x86-64-v4"}, {.target = "x86-64-v3"}, {.target = "generic"}};
  static const char *const outputs[] = {"y", "z"};
  moire__text why = {0};
  bool good = test_product_agrees(build(c, flags, scaled), outputs, 2, ways, 3, sizes, n_sizes, pools, &why);
  cr_assert(good, "[%lld] %lld x %lld x %lld, flags %d: %s", (long long)c->lead, (long long)c->m,
            (long long)c->k, (long long)c->n, flags, moire__text_string(&why));
  moire__text_free(&why);
}

Test(triple, products) {
  static const int64_t sizes[] = {1, 13, 130};
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++)
    for (int j = 0; j < 2; j++) check(&cases[i], (j * 7 + i) % 16, (i + j) % 2, sizes, 3, &pools);
  test_pools_free(&pools);
}

/* Each of the pieces that a gradient of a weight is cut into has more to sum up than is done at once. */
Test(triple, sums_in_pieces_and_parts) {
  static const test_product c = {1, 7, 0, 18};
  static const int64_t sizes[] = {9001};
  test_pools pools = test_pools_make();
  check(&c, 1, false, sizes, 1, &pools);
  check(&c, 6, false, sizes, 1, &pools);
  test_pools_free(&pools);
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

enum { M = 40, N = 33, MOST_K = 512 };

typedef struct matrices {
  float a[2][M * MOST_K], b[2][MOST_K * N], y[2][M * N];
} matrices;

/* The compiled product of the two. */
static void multiply(matrices *x, int64_t k) {
  static const char *const outputs[] = {"y", "z"}, *const names[] = {"a", "a.im", "b", "b.im"};
  moire_graph *g = build(&(test_product){1, M, k, N}, 0, false);
  moire_error error = {0};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  moire_program *program = moire_compile(g, &options, &error);
  cr_assert(program, "%s", error.message);
  moire_store *store = moire_store_create();
  moire_threads *threads = moire_threads_create(1, &error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, threads, &error);
  for (int i = 0; i < 4 && !error.status; i++)
    moire_runner_set_input(runner, names[i], i < 2 ? x->a[i] : x->b[i - 2], i < 2 ? M * k : k * N, &error);
  if (!error.status) moire_runner_run(runner, &error);
  cr_assert(!error.status, "%s", error.message);
  for (int p = 0; p < 2; p++) memcpy(x->y[p], moire_runner_output(runner, outputs[p], NULL), sizeof x->y[p]);
  moire_runner_destroy(runner);
  moire_threads_destroy(threads);
  moire_store_destroy(store);
  moire_program_destroy(program);
  moire_graph_destroy(g);
}

static void draw(matrices *x, int64_t k, const float size[2][2]) {
  uint32_t seed = 1;
  for (int p = 0; p < 2; p++) {
    for (int64_t i = 0; i < (M + N) * k; i++) {
      seed = seed * 1664525u + 1013904223u;
      float number = (float)(seed >> 8) / (float)(1 << 23) - 1;
      if (i < M * k)
        x->a[p][i] = number * size[0][p];
      else
        x->b[p][i - M * k] = number * size[1][p];
    }
  }
}

/* Errors of both planes of element (i, j) as parts of what an element may be off by: sum |a| |b| 2^-24. */
static void errors_of(const matrices *x, int64_t k, int64_t i, int64_t j, double error[2]) {
  double re = 0, im = 0, size = 0;
  for (int64_t n = 0; n < k; n++) {
    double ar = (double)x->a[0][i * k + n], ai = (double)x->a[1][i * k + n];
    double br = (double)x->b[0][n * N + j], bi = (double)x->b[1][n * N + j];
    re += ar * br - ai * bi;
    im += ar * bi + ai * br;
    size += hypot(ar, ai) * hypot(br, bi) * 0x1p-24;
  }
  error[0] = size > 0 ? fabs((double)x->y[0][i * N + j] - re) / size : 0;
  error[1] = size > 0 ? fabs((double)x->y[1][i * N + j] - im) / size : 0;
}

/* The bound is (k + 4) 2 sqrt(2); random roundings come to about sqrt(k). Sizes are of the planes of a and b.
 */
Test(triple, error_is_of_the_size_of_both_planes) {
  static const float sizes[][2][2] = {{{1, 1}, {1, 1}}, {{1, 1e-4f}, {1, 1e-4f}}, {{1e-6f, 1}, {1, 1e-3f}}};
  static matrices x;
  for (int s = 0; s < 3; s++) {
    for (int64_t k = 64; k <= MOST_K; k *= 2) {
      draw(&x, k, sizes[s]);
      multiply(&x, k);
      for (int64_t i = 0; i < M * N; i++) {
        double error[2];
        errors_of(&x, k, i / N, i % N, error);
        double limit = 2 * sqrt((double)k);
        cr_assert(error[0] <= limit && error[1] <= limit, "k %lld, sizes %d: errors of %g and %g", (long long)k,
                  s, error[0], error[1]);
      }
    }
  }
}

/* What is real or imaginary in both operands is so in the product: nothing is left of x u - x u. */
Test(triple, planes_of_zeros_stay) {
  static const float sizes[][2][2] = {{{1, 0}, {1, 0}}, {{0, 1}, {0, 1}}, {{1, 0}, {0, 1}}, {{0, 1}, {1, 0}}};
  static matrices x;
  for (int s = 0; s < 4; s++) {
    draw(&x, 64, sizes[s]);
    multiply(&x, 64);
    int zero = s < 2 ? 1 : 0;
    for (int i = 0; i < M * N; i++) cr_assert(x.y[zero][i] == 0, "sizes %d: %g", s, (double)x.y[zero][i]);
  }
}
