/* StableHLO text: what the reader takes and refuses, how things are called, and that the page for users names
 * each row. */
#include "compiler/import/hlo/program.h"
#include "compiler/import/hlo/rows.h"
#include "moire/compile.h"
#include "runtime/files/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const moire__hlo_row *const families[] = {
    moire__hlo_rows_bits,     moire__hlo_rows_constant, moire__hlo_rows_control, moire__hlo_rows_convolution,
    moire__hlo_rows_function, moire__hlo_rows_gather,   moire__hlo_rows_order,   moire__hlo_rows_pointwise,
    moire__hlo_rows_product,  moire__hlo_rows_reduce,   moire__hlo_rows_scatter, moire__hlo_rows_shape,
    moire__hlo_rows_window};
enum { FAMILIES = sizeof families / sizeof *families };

Test(hlo_rows, are_found_by_their_names_alone) {
  for (int f = 0; f < FAMILIES; f++) {
    for (const moire__hlo_row *row = families[f]; row->op; row++)
      cr_assert_eq(moire__hlo_row_find(row->op), row, "%s comes twice", row->op);
  }
  cr_assert_null(moire__hlo_row_find("stablehlo."));
}

Test(hlo_rows, stand_on_the_page) {
  const char *source = getenv("SOURCE_DIR");
  char path[4096], *page = NULL;
  size_t n = 0;
  moire_error error = {0};
  snprintf(path, sizeof path, "%s/docs/jax.md", source ? source : ".");
  cr_assert_eq(moire__file_read(path, 0, &page, &n, &error), MOIRE_OK, "%s", error.message);
  for (int f = 0; f < FAMILIES; f++) {
    for (const moire__hlo_row *row = families[f]; row->op; row++) {
      char wanted[128];
      bool own = !strncmp(row->op, "stablehlo.", 10);
      if (!strncmp(row->op, "check.", 6) || !strcmp(row->op, "call")) continue; /* of tests; func.call */
      snprintf(wanted, sizeof wanted, "`%s`", own ? row->op + 10 : row->op);
      cr_assert(strstr(page, wanted), "docs/jax.md does not name %s", wanted);
    }
  }
  moire__release(page);
}

/* ---- texts ------------------------------------------------------------------------------------------------
 */

/* The graph of main, owned; refusals are appended to `refusals`. */
static moire_graph *build_of(moire__hlo_program *p, const char *text, moire__text *refusals) {
  moire_error error = {0};
  cr_assert_eq(moire__hlo_open_bytes(p, "a.mlir", text, strlen(text), 1, &error), MOIRE_OK, "%s",
               error.message);
  moire_graph *g = moire_graph_create("test", MOIRE_INFERENCE);
  moire__hlo_build(&p->module, "main", false, NULL, g, refusals);
  return g;
}

static moire_graph *build(const char *text, moire__text *refusals) {
  moire__hlo_program p = {0};
  moire_graph *g = build_of(&p, text, refusals);
  moire__hlo_close(&p);
  return g;
}

static void expect_error(const char *text, const char *wanted) {
  moire__hlo_program p = {0};
  moire_error error = {0};
  cr_assert_neq(moire__hlo_open_bytes(&p, "a.mlir", text, strlen(text), 1, &error), MOIRE_OK, "%s", text);
  cr_assert(strstr(error.message, wanted), "\"%s\" does not say \"%s\"", error.message, wanted);
  moire__hlo_close(&p);
}

/* Every refusal, a line each, is what is wanted. */
static void expect_refusals(const char *text, const char *wanted) {
  moire__text refusals = {0};
  moire_graph *g = build(text, &refusals);
  cr_assert_str_eq(moire__text_string(&refusals), wanted);
  cr_assert_eq(moire_graph_status(g, NULL), MOIRE_ERROR_UNSUPPORTED);
  moire__text_free(&refusals);
  moire_graph_destroy(g);
}

/* The one output of main, of n numbers, for the input x. */
static void expect(const char *text, const double *x, int n_x, const double *want, int n) {
  moire__text refusals = {0};
  moire_error error = {0};
  moire__hlo_program p = {0};
  moire_graph *g = build_of(&p, text, &refusals);
  cr_assert_eq(refusals.length, 0, "%s", moire__text_string(&refusals));
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  const char *const outputs[] = {moire_graph_output(g, 0).name};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  moire_oracle *oracle = moire_oracle_create(g, &options, &error);
  cr_assert(oracle, "%s", error.message);
  for (int i = 0; i < p.base.n_states; i++) {
    int64_t n_state = 0;
    double *data = moire_oracle_state_data(oracle, p.base.states[i].name, &n_state);
    if (data) p.base.kind->read(&p.base.states[i], 0, data);
  }
  cr_assert_eq(moire_oracle_set_input(oracle, "x", x, n_x, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
  int64_t there = 0;
  const double *y = moire_oracle_output(oracle, outputs[0], &there);
  cr_assert_eq(there, n);
  for (int i = 0; i < n; i++) cr_assert_float_eq(y[i], want[i], 1e-9, "%d: %g, wanted %g", i, y[i], want[i]);
  moire_oracle_destroy(oracle);
  moire_graph_destroy(g);
  moire__text_free(&refusals);
  moire__hlo_close(&p);
}

#define MAIN(in, out, body) "func.func public @main(%x: " in " loc(\"x\")) -> " out " {\n" body "}\n"
#define F4 "tensor<4xf32>"

Test(hlo, generic_and_pretty_forms_are_one) {
  const double x[] = {1, 2, 3, 4}, want[] = {3, 5, 7, 9};
  expect(MAIN(F4, F4,
              "  %c = stablehlo.constant dense<1.0> : " F4 "\n"
              "  %0 = stablehlo.add %x, %x : " F4 "\n"
              "  %1 = stablehlo.add %0, %c : " F4 "\n"
              "  return %1 : " F4 "\n"),
         x, 4, want, 4);
  expect("\"builtin.module\"() <{sym_name = \"m\"}> ({\n"
         "  \"func.func\"() <{function_type = (" F4 ") -> " F4
         ", sym_name = \"main\", arg_attrs = [{a.b = 1 : i64}]}> "
         "({\n"
         "  ^bb0(%arg0: " F4 " loc(\"x\")):\n"
         "    %0 = \"stablehlo.constant\"() <{value = dense<1.0> : " F4 "}> : () -> " F4 "\n"
         "    %1 = \"stablehlo.add\"(%arg0, %arg0) : (" F4 ", " F4 ") -> " F4 "\n"
         "    %2 = \"stablehlo.add\"(%1, %0) : (" F4 ", " F4 ") -> " F4 "\n"
         "    \"func.return\"(%2) : (" F4 ") -> ()\n"
         "  }) : () -> ()\n"
         "}) {mhlo.num_partitions = 1 : i32} : () -> ()\n",
         x, 4, want, 4);
}

Test(hlo, loops_are_written_out_and_calls_inlined) {
  const double x[] = {1, 2, 3, 4}, want[] = {8, 16, 24, 32};
  expect(MAIN(F4, F4,
              "  %n = stablehlo.constant dense<0> : tensor<i32>\n"
              "  %0:2 = stablehlo.while(%i = %n, %s = %x) : tensor<i32>, " F4 "\n"
              "   cond {\n"
              "    %m = stablehlo.constant dense<3> : tensor<i32>\n"
              "    %1 = stablehlo.compare LT, %i, %m, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n"
              "    stablehlo.return %1 : tensor<i1>\n"
              "  } do {\n"
              "    %1 = stablehlo.constant dense<1> : tensor<i32>\n"
              "    %2 = stablehlo.add %i, %1 : tensor<i32>\n"
              "    %3 = func.call @twice(%s) : (" F4 ") -> " F4 "\n"
              "    stablehlo.return %2, %3 : tensor<i32>, " F4 "\n"
              "  }\n"
              "  return %0#1 : " F4 "\n") //
         "func.func private @twice(%a: " F4 ") -> " F4 " {\n"
         "  %0 = stablehlo.add %a, %a : " F4 "\n"
         "  return %0 : " F4 "\n"
         "}\n",
         x, 4, want, 4);
}

/* The place of the largest, a NaN being that, by the body that JAX writes. */
Test(hlo, reductions_of_any_body) {
  const double x[] = {1, 5, 3, 5}, want[] = {1};
  expect(MAIN(F4, "tensor<i32>",
              "  %0 = stablehlo.iota dim = 0 : tensor<4xi32>\n"
              "  %cst = stablehlo.constant dense<0xFF800000> : tensor<f32>\n"
              "  %c = stablehlo.constant dense<0> : tensor<i32>\n"
              "  %1:2 = stablehlo.reduce(%x init: %cst), (%0 init: %c) across dimensions = [0] : (" F4
              ", tensor<4xi32>, tensor<f32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)\n"
              "   reducer(%a: tensor<f32>, %b: tensor<f32>) (%i: tensor<i32>, %k: tensor<i32>)  {\n"
              "    %2 = stablehlo.compare GT, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
              "    %3 = stablehlo.compare EQ, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
              "    %4 = stablehlo.compare LT, %i, %k, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n"
              "    %5 = stablehlo.and %3, %4 : tensor<i1>\n"
              "    %6 = stablehlo.or %2, %5 : tensor<i1>\n"
              "    %7 = stablehlo.select %2, %a, %b : tensor<i1>, tensor<f32>\n"
              "    %8 = stablehlo.select %6, %i, %k : tensor<i1>, tensor<i32>\n"
              "    stablehlo.return %7, %8 : tensor<f32>, tensor<i32>\n"
              "  }\n"
              "  return %1#1 : tensor<i32>\n"),
         x, 4, want, 1);
}

Test(hlo, branches_by_a_value_are_both_built) {
  const char *text =
      MAIN("tensor<f32>", "tensor<f32>",
           "  %c = stablehlo.constant dense<0.0> : tensor<f32>\n"
           "  %0 = stablehlo.compare LT, %x, %c, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
           "  %1 = \"stablehlo.if\"(%0) ({\n"
           "    %2 = stablehlo.negate %x : tensor<f32>\n"
           "    stablehlo.return %2 : tensor<f32>\n"
           "  }, {\n"
           "    stablehlo.return %x : tensor<f32>\n"
           "  }) : (tensor<i1>) -> tensor<f32>\n"
           "  return %1 : tensor<f32>\n");
  const double below[] = {-2}, above[] = {3}, two[] = {2};
  expect(text, below, 1, two, 1);
  expect(text, above, 1, above, 1);
}

/* Places outside are left out; of several updates of one place the last counts. */
Test(hlo, scatters_take_the_last_update) {
  const double x[] = {1, 2, 3, 4}, want[] = {1, 30, 3, 10};
  expect(MAIN(F4, F4,
              "  %i = stablehlo.constant dense<[[3], [1], [9], [1]]> : tensor<4x1xi32>\n"
              "  %u = stablehlo.constant dense<[10.0, 20.0, 40.0, 30.0]> : " F4 "\n"
              "  %0 = \"stablehlo.scatter\"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<"
              "inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({\n"
              "  ^bb0(%a: tensor<f32>, %b: tensor<f32>):\n"
              "    stablehlo.return %b : tensor<f32>\n"
              "  }) : (" F4 ", tensor<4x1xi32>, " F4 ") -> " F4 "\n"
              "  return %0 : " F4 "\n"),
         x, 4, want, 4);
}

/* With digits where 1 - erf has none; and inverse functions of complex numbers, on both sides of their cuts. */
Test(hlo, functions_keep_their_digits) {
  const double x[] = {-3, 0.4, 2.5, 9};
  const double erfc[] = {1.9999779095030015, 0.5716076449533316, 4.0695201744495897e-4, 4.1370317465138102e-37};
  expect(MAIN(F4, F4,
              "  %0 = chlo.erfc %x : " F4 " -> " F4 "\n  %1 = stablehlo.divide %0, %0 : " F4
              "\n  %2 = stablehlo.constant dense<[1.9999779, 0.57160764, 4.0695202e-4, 4.1370317e-37]> : " F4
              "\n  %3 = stablehlo.divide %0, %2 : " F4 "\n  return %3 : " F4 "\n"),
         x, 4,
         (double[]){erfc[0] / (double)1.9999779f, erfc[1] / (double)0.57160764f,
                    erfc[2] / (double)4.0695202e-4f, erfc[3] / (double)4.1370317e-37f},
         4);
  /* sinh(asinh z) = z, cosh(acosh z) = z, tan(atan z) = z: here of z = x + 0.5 i */
  expect(MAIN(F4, F4,
              "  %h = stablehlo.constant dense<0.5> : " F4 "\n"
              "  %z = stablehlo.complex %x, %h : tensor<4xcomplex<f32>>\n"
              "  %0 = chlo.asinh %z : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %1 = chlo.sinh %0 : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %2 = chlo.acosh %1 : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %3 = chlo.cosh %2 : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %4 = chlo.asin %3 : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %5 = stablehlo.sine %4 : tensor<4xcomplex<f32>>\n"
              "  %6 = chlo.acos %5 : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %7 = stablehlo.cosine %6 : tensor<4xcomplex<f32>>\n"
              "  %8 = chlo.atanh %7 : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>\n"
              "  %9 = stablehlo.tanh %8 : tensor<4xcomplex<f32>>\n"
              "  %r = stablehlo.real %9 : (tensor<4xcomplex<f32>>) -> " F4 "\n"
              "  return %r : " F4 "\n"),
         x, 4, x, 4);
}

/* ---- refusals ---------------------------------------------------------------------------------------------
 */

Test(hlo, refuses_all_at_once_with_lines_and_what_would_do) {
  expect_refusals(MAIN(F4, F4,
                       "  %0 = stablehlo.cholesky %x : " F4 " loc(\"net.py\":7:3 to :20)\n"
                       "  %1 = stablehlo.add %0, %x : " F4 "\n"
                       "  %2 = stablehlo.tanh %x {speed = 3 : i64} : " F4 " loc(#loc1)\n"
                       "  %3 = stablehlo.negate %x : tensor<5xf32>\n"
                       "  %4 = stablehlo.custom_call @lapack_sgetrf(%x) : (" F4 ") -> " F4 "\n"
                       "  return %4 : " F4
                       "\n") "#loc1 = loc(\"f\"(callsite(\"other.py\":9:1 at \"net.py\":1:1)))\n",
                  "stablehlo.cholesky (net.py:7): is an operation that Moire does not import; write it in "
                  "products and sums\n"
                  "stablehlo.tanh (other.py:9): the argument speed is not understood\n"
                  "stablehlo.negate (a.mlir:5): gives f32[4] here, but the text says tensor<5xf32>\n"
                  "stablehlo.custom_call (a.mlir:6): calls lapack_sgetrf, which is not in the program: write "
                  "it in operations of "
                  "jax.numpy and jax.lax\n");
}

Test(hlo, refuses_types_and_sizes_that_are_not_known) {
  expect_refusals(
      MAIN("tensor<?x3xf32>", "tensor<?x3xf32>", "  return %x : tensor<?x3xf32>\n"),
      "x (a.mlir:1): is an input of tensor<?x3xf32>: a size that is not known when the program is lowered: "
      "lower it for fixed shapes\n");
  expect_refusals(
      MAIN("tensor<2xui8>", "tensor<2xui8>", "  return %x : tensor<2xui8>\n"),
      "x (a.mlir:1): is an input of tensor<2xui8>: ui8 are numbers that Moire does not compute with: wanted "
      "f32, complex<f32>, f64, i32, i64 or i1\n");
}

Test(hlo, refuses_loops_without_end_and_rings_of_functions) {
  moire__text refusals = {0};
  moire_graph *g = build(MAIN("tensor<i32>", "tensor<i32>",
                              "  %0 = stablehlo.while(%a = %x) : tensor<i32>\n"
                              "   cond {\n"
                              "    %t = stablehlo.constant dense<true> : tensor<i1>\n"
                              "    stablehlo.return %t : tensor<i1>\n"
                              "  } do {\n"
                              "    stablehlo.return %a : tensor<i32>\n"
                              "  }\n"
                              "  return %0 : tensor<i32>\n"),
                         &refusals);
  cr_assert(strstr(moire__text_string(&refusals), "never ends"));
  moire_graph_destroy(g);
  moire__text_free(&refusals);
  g = build(MAIN(F4, F4, "  %0 = call @main(%x) : (" F4 ") -> " F4 "\n  return %0 : " F4 "\n"), &refusals);
  cr_assert(strstr(moire__text_string(&refusals), "a function calls itself"));
  moire_graph_destroy(g);
  moire__text_free(&refusals);
}

Test(hlo, says_where_a_text_is_not_well_formed) {
  expect_error("", "there is no function");
  expect_error("module {", "wanted }");
  expect_error("func.func @main() {\n  return", "the text ends within a region");
  expect_error("func.func @main() {\n  %0 = stablehlo.add %a, %a : " F4 "\n}",
               "a.mlir:2: a value that nothing before it");
  expect_error("func.func @main(%a: " F4 ") {\n  %a = stablehlo.negate %a : " F4 "\n}", "%a is made twice");
  expect_error("func.func @f() {\n}\nfunc.func @f() {\n}", "the function f comes twice");
  expect_error("func.func @main(%a: tensor<99999999999x99999999999xf32>) {\n}", "more than 2^47 elements");
  expect_error("func.func @main() {\n  %0 = stablehlo.constant dense<[1, 2]> : tensor<3xi32>\n}",
               "does not hold the elements of tensor<3xi32>");
  expect_error("func.func @main() {\n  %0 = stablehlo.constant dense<\"0x0102\"> : tensor<3xi32>\n}",
               "does not hold the elements of tensor<3xi32>");
  expect_error("func.func @main() {\n  %0 = stablehlo.constant dense<300000000000> : tensor<3xi32>\n}",
               "does not hold the elements of tensor<3xi32>");
  moire__text deep = {0};
  moire__text_add(&deep, "func.func @main() {\n  %%0 = a.b {c = ");
  for (int i = 0; i < 10000; i++) moire__text_add(&deep, "[");
  expect_error(moire__text_string(&deep), "nested more than");
  moire__text_free(&deep);
}
