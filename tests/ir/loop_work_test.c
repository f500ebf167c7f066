/* Operations and bytes of kernels against counts by hand; how often statements run against the interpreter. */
#include "compiler/driver/compile.h"
#include "compiler/ir/loop/loop_work.h"
#include "runtime/base/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The loop nests of a graph's text, for B = batch, with zeros in every buffer. */
typedef struct counted {
  double flop, touched;
  bool exact;
} counted;

static double touched_bytes(const moire__loop_kernel *k, const moire__loop_work *work, const int64_t *extents) {
  double sum = 0;
  for (int i = 1; i <= k->n_parameters; i++) {
    double bytes = (double)moire__dim_size(k->buffers[i].elements, extents) *
                   (double)moire__loop_type_bytes(k->buffers[i].type);
    sum += work->buffers[i] < bytes ? work->buffers[i] : bytes;
  }
  return sum;
}

static void count_step(const moire__module *m, int step, const int64_t *extents, counted *out) {
  const moire__loop_kernel *k = m->steps[step].kernel;
  moire__arena arena = {0};
  moire_error error = {0};
  void **buffers = moire__arena_array(&arena, (size_t)k->n_parameters + 1, sizeof *buffers);
  for (int i = 1; i <= k->n_parameters; i++) {
    size_t elements = (size_t)moire__dim_size(k->buffers[i].elements, extents);
    buffers[i - 1] = moire__arena_array(&arena, elements + 1, sizeof(double));
  }
  moire__loop_slice slice = moire__loop_slice_make(k, &arena);
  moire__loop_runs runs = moire__loop_runs_make(k, &arena);
  moire_status status = moire__loop_count(k, &slice, buffers, extents, &runs, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  moire__loop_work work = moire__loop_work_make(k, &runs, &arena);
  out->flop += work.flop;
  out->touched += touched_bytes(k, &work, extents);
  out->exact = out->exact && slice.exact;
  moire__arena_free(&arena);
}

static counted count_without(const char *text, int64_t batch, unsigned off) {
  moire_error error = {0};
  moire_graph *g = moire_graph_parse(text, "test", &error);
  cr_assert(g, "%s", error.message);
  moire__target target;
  cr_assert_eq(moire__target_named("x86-64-v4", &target, &error), MOIRE_OK);
  moire_compile_options options = moire_compile_defaults();
  static const char *const outputs[] = {"y"};
  options.outputs = outputs;
  options.n_outputs = 1;
  options.off = off;
  moire__module *m = moire__driver_lower(g, &options, &target, &error);
  cr_assert(m, "%s", error.message);
  int64_t extents[MOIRE_MAX_EXTENTS + 1] = {0, batch};
  counted out = {.exact = true};
  for (int i = 0; i < m->plan.n_steps; i++) count_step(m, i, extents, &out);
  moire__module_destroy(m);
  moire_graph_destroy(g);
  return out;
}

static counted count(const char *text, int64_t batch) { return count_without(text, batch, 0); }

static void expect(const char *text, double flop, double bytes) {
  counted got = count(text, 37);
  cr_expect(got.exact);
  cr_expect_eq(got.flop, flop, "%s: %.0f operations by hand, but %.0f", text, flop, got.flop);
  cr_expect_eq(got.touched, bytes, "%s: %.0f bytes by hand, but %.0f", text, bytes, got.touched);
}

/* x w: a multiplication and an addition for each of 37 * 24 * 48 pairs; x, w and y once. Columns that fill
 * no panel would be dots, whose lanes are added up in the end. */
Test(loop_work, a_product) {
  expect("graph @g inference {\n extent B\n"
         " %1 = input {name = \"x\", dtype = f32, shape = [B,48]} : f32[B,48]\n"
         " %2 = input {name = \"w\", dtype = f32, shape = [48,24]} : f32[48,24]\n"
         " %3 = matmul(%1, %2) : f32[B,24]\n output \"y\" = %3\n}\n",
         2.0 * 37 * 48 * 24, 4.0 * (37 * 48 + 48 * 24 + 37 * 24));
}

static const char complex_product[] = "graph @g inference {\n extent B\n"
                                      " %1 = input {name = \"a\", dtype = f32, shape = [B,48]} : f32[B,48]\n"
                                      " %2 = input {name = \"b\", dtype = f32, shape = [B,48]} : f32[B,48]\n"
                                      " %3 = input {name = \"u\", dtype = f32, shape = [48,20]} : f32[48,20]\n"
                                      " %4 = input {name = \"v\", dtype = f32, shape = [48,20]} : f32[48,20]\n"
                                      " %5, %6 = cmatmul(%1, %2, %3, %4) : f32[B,20], f32[B,20]\n"
                                      " %7 = add(%5, %6) : f32[B,20]\n output \"y\" = %7\n}\n";

/* A complex product: four real multiplications and four additions a pair; two planes of both operands. The sum
 * of its planes is taken as they are stored, so that they never are. */
Test(loop_work, a_complex_product) {
  counted got = count_without(complex_product, 37, 1u << MOIRE_OPTIMIZATION_triple);
  cr_expect(got.exact);
  cr_expect_eq(got.flop, 8.0 * 37 * 48 * 20 + 37 * 20, "%.0f operations", got.flop);
  cr_expect_eq(got.touched, 4.0 * (2 * 37 * 48 + 2 * 48 * 20 + 37 * 20), "%.0f bytes", got.touched);
}

/* Columns of 20 as panels have them: whole ones. */
#ifdef MOIRE_HOSTILE
enum { PANELS = 24 };
#else
enum { PANELS = 32 };
#endif

/* The same as three real products: the sum of the planes of every element of both operands beforehand, and
 * three operations an element of the result afterwards. The planes of b and their sum are packed first, in
 * panels, of which 20 columns are read again. */
Test(loop_work, a_complex_product_of_three) {
  counted got = count(complex_product, 37);
  cr_expect(got.exact);
  cr_expect_eq(got.flop, 6.0 * 37 * 48 * 20 + 37 * 48 + 48 * 20 + 3 * 37 * 20 + 37 * 20, "%.0f operations",
               got.flop);
  cr_expect_eq(got.touched, 4.0 * (2 * 37 * 48 + 2 * 48 * 20 + 3 * 48 * (PANELS + 20) + 37 * 20), "%.0f bytes",
               got.touched);
}

/* With operands in bf16: as many, whatever pairs and panels the target packs them in, if k and the rows fit
 * them. */
Test(loop_work, a_product_of_bf16_operands) {
  static const char text[] = "graph @g inference {\n extent B\n"
                             " %1 = input {name = \"x\", dtype = f32, shape = [B,64]} : f32[B,64]\n"
                             " %2 = input {name = \"w\", dtype = f32, shape = [64,64]} : f32[64,64]\n"
                             " %3 = matmul(%1, %2) {bf16 = 1} : f32[B,64]\n output \"y\" = %3\n}\n";
  counted got = count(text, 48);
  cr_expect(got.exact);
  cr_expect_eq(got.flop, 2.0 * 48 * 64 * 64, "%.0f operations by hand, but %.0f", 2.0 * 48 * 64 * 64, got.flop);
}

/* Element-wise: |x|^2 of two planes is three operations, and its root a fourth; three buffers. */
Test(loop_work, an_amplitude) {
  expect("graph @g inference {\n extent B\n"
         " %1 = input {name = \"a\", dtype = f32, shape = [B,50]} : f32[B,50]\n"
         " %2 = input {name = \"b\", dtype = f32, shape = [B,50]} : f32[B,50]\n"
         " %3 = mul(%1, %1) : f32[B,50]\n %4 = mul(%2, %2) : f32[B,50]\n %5 = add(%3, %4) : f32[B,50]\n"
         " %6 = sqrt(%5) : f32[B,50]\n output \"y\" = %6\n}\n",
         4.0 * 37 * 50, 4.0 * 3 * 37 * 50);
}

/* A row: the largest (1), the difference (1), e^x (20), the sum (1), the quotient (1). */
Test(loop_work, a_softmax) {
  expect("graph @g inference {\n extent B\n"
         " %1 = input {name = \"x\", dtype = f32, shape = [B,50]} : f32[B,50]\n"
         " %2 = softmax(%1) : f32[B,50]\n output \"y\" = %2\n}\n",
         37.0 * 50 * (1 + 1 + 20 + 1 + 1), 4.0 * 2 * 37 * 50);
}

/* Rows of a table: 37 * 3 of them move, whatever the table's size; no operation. */
Test(loop_work, a_look_up) {
  expect("graph @g inference {\n extent B\n"
         " %1 = input {name = \"t\", dtype = f32, shape = [1000,16]} : f32[1000,16]\n"
         " %2 = input {name = \"i\", dtype = i32, shape = [B,3]} : i32[B,3]\n"
         " %3 = gather(%1, %2) {padding = -1} : f32[B,3,16]\n"
         " %4 = neg(%3) : f32[B,3,16]\n output \"y\" = %4\n}\n",
         0, 4.0 * (37 * 3 * 16 + 37 * 3 + 37 * 3 * 16));
}

/* A causal convolution with 3 taps, 2 apart, over 10 positions: taps that would meet what is before the first
 * position are not done: 10 + 8 + 6 products and sums a channel. */
Test(loop_work, a_convolution) {
  counted got = count("graph @g inference {\n extent B\n"
                      " %1 = input {name = \"x\", dtype = f32, shape = [B,10,16]} : f32[B,10,16]\n"
                      " %2 = input {name = \"w\", dtype = f32, shape = [3,16]} : f32[3,16]\n"
                      " %3 = depthwise_conv(%1, %2) {shifts = (0,2,4), reverse = 0} : f32[B,10,16]\n"
                      " output \"y\" = %3\n}\n",
                      37);
  cr_expect(got.exact);
  cr_expect_eq(got.flop, 2.0 * 37 * 16 * (10 + 8 + 6), "%.0f operations", got.flop);
  cr_expect_eq(got.touched, 4.0 * (2 * 37 * 10 * 16 + 3 * 16), "%.0f bytes", got.touched);
}

/* ---- Runs of statements: the slice against running everything -------------------------------------------- */

static const char triangle[] =
    "kernel @triangle <B> (in i32 %n[B], in f32 %x[8*B], out f32 %y[8*B]) parallel %p < ceil(B / 1) {\n"
    "  local f32 %row[8]\n"
    "  %v1 = load %n[%p] : i32\n"
    "  %v2 = cast %v1 : i64\n"
    "  var $1 = 0 : i64\n"
    "  for %i1 = 0 to %v2 {\n"
    "    for %i2 = 0 to 8 vector 4 {\n"
    "      store %row[%i2] = 1.0\n"
    "    }\n"
    "    %v3 = get $1 : i64\n"
    "    %v4 = add %v3, 2 : i64\n"
    "    set $1 = %v4\n"
    "  }\n"
    "  %v5 = get $1 : i64\n"
    "  for %i3 = 0 to %v5 step 3 {\n"
    "    %v6 = load %row[%i3] : f32\n"
    "    %v7 = mul %p, 8 : i64\n"
    "    %v8 = add %v7, %i3 : i64\n"
    "    store %y[%v8] = %v6\n"
    "  }\n"
    "}\n";

/* Rows of 3, 0 and 1: loops of 3, 0, 1 and, 3 apart up to twice that, of 2, 0, 1. */
Test(loop_work, statements_run_as_often_as_the_data_says) {
  moire__arena arena = {0};
  moire_error error = {0};
  moire__loop_kernel *k = moire__loop_parse(&arena, triangle, "triangle", &error);
  cr_assert(k, "%s", error.message);
  int32_t n[3] = {3, 0, 1};
  float x[24] = {0}, y[24] = {0};
  void *buffers[] = {n, x, y};
  int64_t extents[] = {0, 3};
  moire__loop_slice slice = moire__loop_slice_make(k, &arena);
  moire__loop_runs runs = moire__loop_runs_make(k, &arena);
  cr_assert_eq(moire__loop_count(k, &slice, buffers, extents, &runs, &error), MOIRE_OK, "%s", error.message);
  moire__loop_work work = moire__loop_work_make(k, &runs, &arena);
  cr_expect(slice.exact);
  cr_expect_eq(work.buffers[3], 4.0 * (2 + 0 + 1), "%.0f bytes stored to y", work.buffers[3]);
  cr_expect_eq(work.buffers[4], 4.0 * (8 * (3 + 0 + 1) + 2 + 0 + 1), "%.0f bytes of row", work.buffers[4]);
  for (int i = 0; i < 24; i++) cr_expect_eq(y[i], 0.0F, "counting stores nothing");
  moire__arena_free(&arena);
}
