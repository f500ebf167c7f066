/* Real products by blocks: every way to compute them means what the reference does, and gives the bits of the
 * product without blocks, for any target of fused multiply-adds and any number of threads.
 *
 * Odd extents, one row or column, nothing to sum up, sums that come in parts, blocks with a rest, leading axes,
 * either layout of either operand, operands that are packed before, by the piece, or not at all; results that
 * something is done to.
 */
#include <criterion/criterion.h>

#include "compiler/ir/op.h"
#include "moire/run.h"
#include "runtime/base/memory.h"
#include "tests/support/judge.h"
#include "tests/support/product_case.h"

#include <string.h>

static const test_product cases[] = {
    {1, 0, 7, 13},   {1, 1, 1, 1},     {1, 0, 17, 65},   {1, 63, 0, 33},   {1, 13, 65, 0},   {2, 7, 17, 63},
    {0, 13, 7, 17},  {1, 5, 300, 3},   {1, 65, 63, 64},  {1, 130, 0, 17},  {3, 0, 1, 7},     {1, 4, 3, 0},
    {1, 17, 2, 1},   {1, 0, 64, 32},   {1, 9, 1030, 5},  {1, 0, 1026, 6},  {2, 35, 70, 33},  {1, 3, 40, 1000},
    {1, 1, 200, 40}, {2, 40, 33, 0},   {0, 33, 50, 20},  {1, 500, 3, 2},   {1, 2, 100, 70},  {1, 3, 70, 0},
    {1, 90, 75, 3},  {1, 0, 64, 4},    {1, 40, 7, 8},    {1, 63, 65, 33},  {1, 37, 40, 65},  {1, 4, 31, 130},
    {2, 3, 64, 100}, {1, 40, 0, 6},    {1, 5, 0, 130},   {1, 1, 0, 70},    {1, 5, 8200, 18}, {1, 40, 8200, 3},
    {1, 3, 8200, 1}, {1, 1, 20011, 2}, {1, 4, 9000, 40}, {1, 90, 8500, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

static void check(const test_product *c, int flags, const int64_t *sizes, int n_sizes,
                  const test_pools *pools) {
  static const test_way ways[] = {{.target = "x86-64-v4"},
                                  {.target = "x86-64-v3"},
                                  {.target = "generic"},
                                  {.target = "host", .off = 1u << MOIRE_OPTIMIZATION_blocking}};
  static const char *const outputs[] = {"y"};
  moire__text why = {0};
  bool good = test_product_agrees(test_product_graph(c, flags, false, false), outputs, 1, ways, 4, sizes,
                                  n_sizes, pools, &why);
  cr_assert(good, "[%lld] %lld x %lld x %lld, flags %d: %s", (long long)c->lead, (long long)c->m,
            (long long)c->k, (long long)c->n, flags, moire__text_string(&why));
  moire__text_free(&why);
}

Test(blocked, products) {
  static const int64_t sizes[] = {1, 13, 130};
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++)
    for (int flags = i % 2; flags < 4; flags += 2) check(&cases[i], flags, sizes, 3, &pools);
  test_pools_free(&pools);
}

/* ---- bits ------------------------------------------------------------------------------------------------ */

enum { MOST = 1 << 20 };

typedef struct matrices {
  float a[MOST], b[MOST], y[2][MOST];
} matrices;

/* y = relu(2 a b), or a b alone. */
static void multiply(matrices *x, const test_product *c, int flags, bool goes_on, unsigned off, float *y) {
  moire_graph *g = moire_graph_create("product", MOIRE_INFERENCE);
  moire_value a[2], b[2];
  test_product_operand(g, "a", c, c->m, c->k, flags & 1, false, a);
  test_product_operand(g, "b", c, c->k, c->n, flags & 2, false, b);
  if (flags & 1) a[0] = moire_permute(a[0], 2, (const int[]){1, 0});
  if (flags & 2) b[0] = moire_permute(b[0], 2, (const int[]){1, 0});
  moire_value ab = moire_matmul(a[0], b[0]);
  moire_output(g, "y", goes_on ? moire_relu(moire_scale(ab, 2)) : ab);
  moire_error error = {0};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"y"};
  options.n_outputs = 1;
  options.off = off;
  moire_program *program = moire_compile(g, &options, &error);
  cr_assert(program, "%s", error.message);
  moire_store *store = moire_store_create();
  moire_threads *threads = moire_threads_create(2, &error);
  moire_runner *runner = moire_runner_create(moire_program_plan(program), store, threads, &error);
  cr_assert(runner, "%s", error.message);
  cr_assert(moire_runner_set_input(runner, "a", x->a, c->m * c->k, &error) == MOIRE_OK, "%s", error.message);
  cr_assert(moire_runner_set_input(runner, "b", x->b, c->k * c->n, &error) == MOIRE_OK, "%s", error.message);
  cr_assert(moire_runner_run(runner, &error) == MOIRE_OK, "%s", error.message);
  memcpy(y, moire_runner_output(runner, "y", NULL), (size_t)(c->m * c->n) * sizeof *y);
  moire_runner_destroy(runner);
  moire_threads_destroy(threads);
  moire_store_destroy(store);
  moire_program_destroy(program);
  moire_graph_destroy(g);
}

/* Large enough that rows are copied, b is packed, and k comes in parts. */
Test(blocked, bits_are_those_without_blocks) {
  static const test_product large[] = {
      {1, 150, 1024, 200}, {1, 130, 2050, 161}, {1, 64, 2048, 64},  {1, 700, 40, 512},
      {1, 33, 1500, 130},  {1, 100, 63, 72},    {1, 256, 256, 256}, {1, 3, 300, 1100},
      {1, 1, 20, 16000},   {1, 2, 259, 1027},   {1, 16, 530, 260},
  };
  matrices *x = moire__allocate(sizeof *x);
  for (int i = 0; i < MOST; i++) {
    x->a[i] = (float)((i % 1009 * 791) % 1009) / 1009 - 0.5f;
    x->b[i] = (float)((i % 997 * 523) % 997) / 997 - 0.5f;
  }
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    const test_product *c = &large[i];
    for (int flags = 0; flags < 4; flags++) {
      if (c->m <= 4 && flags & 2) continue; /* dots, which have an order of their own */
      bool goes_on = (flags + (int)i) % 2;
      multiply(x, c, flags, goes_on, 0, x->y[0]);
      multiply(x, c, flags, goes_on, 1u << MOIRE_OPTIMIZATION_blocking, x->y[1]);
      cr_assert(!memcmp(x->y[0], x->y[1], (size_t)(c->m * c->n) * sizeof(float)),
                "%lld x %lld x %lld, flags %d", (long long)c->m, (long long)c->k, (long long)c->n, flags);
    }
  }
  moire__release(x);
}
