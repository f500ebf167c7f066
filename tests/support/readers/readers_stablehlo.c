/* StableHLO text: what was read is built, and its comparisons become outputs. */
#include "compiler/import/hlo/program.h"
#include "tests/support/readers/readers.h"

#include <string.h>

static void build(const moire__hlo_program *p, const char *entry, bool compares) {
  moire__hlo_checks checks = {0};
  moire__text refusals = {0};
  moire_graph *g = moire_graph_create("fuzz", MOIRE_INFERENCE);
  moire__hlo_build(&p->module, entry, p->module.wide, compares ? &checks : NULL, g, &refusals);
  if (refusals.length && !moire_graph_status(g, NULL)) __builtin_abort();
  moire__text_free(&refusals);
  moire__arena_free(&checks.arena);
  moire_graph_destroy(g);
}

void test_read_stablehlo(const uint8_t *bytes, size_t n) {
  moire__hlo_program p = {0};
  if (!moire__hlo_open_bytes(&p, "fuzz.mlir", (const char *)bytes, n, 1, NULL)) {
    build(&p, "main", false);
    if (moire__hlo_find(&p.module, "judge")) build(&p, "judge", true);
    for (int i = 0; i < p.base.n_states && p.base.states[i].count < 64; i++) {
      double values[64];
      p.base.kind->read(&p.base.states[i], 0, values);
    }
  }
  moire__hlo_close(&p);
}

#define X "tensor<4x6xf32>"
#define REGION(type, op)                                                                                       \
  "({\n^bb0(%a: tensor<" type ">, %b: tensor<" type ">):\n  %r = " op " %a, %b : tensor<" type                 \
  ">\n  stablehlo.return %r : tensor<" type ">\n})"

/* Operations on %x f32[4,6], %i i32[], %z c64[4,6], %k i64[3,1], %y f32[3,6] and the constants %c 0, %n 3. */
static const char *const bodies[] = {
    "%0 = stablehlo.add %x, %x : " X "\n%1 = stablehlo.compare  LT, %0, %x,  FLOAT : (" X ", " X
    ") -> tensor<4x6xi1>\n%2 = stablehlo.select %1, %x, %0 : tensor<4x6xi1>, " X,
    "%0 = \"stablehlo.add\"(%x, %x) : (" X ", " X ") -> " X "\n%1 = chlo.tan %0 : " X " -> " X
    "\n%2 = stablehlo.tanh %1 {a = 1 : i64, b = #loc} : " X " loc(\"f\"(#loc2))",
    "%0 = stablehlo.abs %z : (tensor<4x6xcomplex<f32>>) -> " X "\n%1 = stablehlo.complex %0, %x : "
    "tensor<4x6xcomplex<f32>>\n%2 = stablehlo.exponential %1 : tensor<4x6xcomplex<f32>>",
    "%0 = stablehlo.constant dense<[[1.0, -2.5e1, 0x7F800000], [0.0, 1.0, 2.0]]> : tensor<2x3xf32>\n"
    "%1 = stablehlo.constant dense<\"0x0000803F0000004000000000\"> : tensor<3xf32>\n"
    "%2 = stablehlo.constant dense<(1.0, -1.0)> : tensor<2xcomplex<f32>>\n"
    "%3 = stablehlo.constant dense<[true, false]> : tensor<2xi1>\n%4 = stablehlo.constant dense<> : "
    "tensor<0xi64>",
    "%0 = stablehlo.slice %x [1:3, 0:6:2] : (" X
    ") -> tensor<2x3xf32>\n%1 = stablehlo.transpose %0, dims = [1, 0] : "
    "(tensor<2x3xf32>) -> tensor<3x2xf32>\n%2 = stablehlo.reverse %1, dims = [0, 1] : tensor<3x2xf32>\n"
    "%3 = stablehlo.broadcast_in_dim %2, dims = [2, 0] : (tensor<3x2xf32>) -> tensor<2x5x3xf32>\n"
    "%4 = stablehlo.reshape %3 : (tensor<2x5x3xf32>) -> tensor<30xf32>",
    "%0 = stablehlo.pad %x, %c, low = [1, -1], high = [0, 2], interior = [1, 0] : (" X
    ", tensor<f32>) -> tensor<8x7xf32>\n%1 = stablehlo.concatenate %0, %0, dim = 1 : (tensor<8x7xf32>, "
    "tensor<8x7xf32>) -> tensor<8x14xf32>\n%2 = stablehlo.iota dim = 0 : tensor<15xi32>",
    "%0 = stablehlo.reduce(%x init: %c) applies stablehlo.maximum across dimensions = [1] : (" X
    ", tensor<f32>) -> tensor<4xf32>\n%1:2 = stablehlo.reduce(%x init: %c), (%x init: %c) across dimensions = "
    "[0] : (" X ", " X
    ", tensor<f32>, tensor<f32>) -> (tensor<6xf32>, tensor<6xf32>)\n reducer(%a: tensor<f32>, %b: tensor<f32>) "
    "(%d: tensor<f32>, %e: tensor<f32>)  {\n%2 = stablehlo.add %a, %e : tensor<f32>\nstablehlo.return %2, %b : "
    "tensor<f32>, tensor<f32>\n}",
    "%0 = \"stablehlo.reduce\"(%x, %c) <{dimensions = array<i64: 0>}> " REGION(
        "f32", "stablehlo.multiply") " : (" X ", tensor<f32>) -> tensor<6xf32>",
    "%0 = \"stablehlo.reduce_window\"(%x, %c) <{padding = dense<[[1, 0], [0, 1]]> : tensor<2x2xi64>, "
    "window_dimensions = array<i64: 2, 3>, window_strides = array<i64: 1, 2>, window_dilations = array<i64: 2, "
    "1>}> " REGION("f32", "stablehlo.add") " : (" X ", tensor<f32>) -> tensor<3x3xf32>",
    "%0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (" X
    ", tensor<3x6xf32>) -> tensor<4x3xf32>\n%1 = \"stablehlo.dot_general\"(%x, %x) <{dot_dimension_numbers = "
    "#stablehlo.dot<lhs_batching_dimensions = [0], rhs_batching_dimensions = [0], lhs_contracting_dimensions = "
    "[1], "
    "rhs_contracting_dimensions = [1]>}> : (" X ", " X ") -> tensor<4xf32>",
    "%0 = stablehlo.reshape %x : (" X
    ") -> tensor<1x4x6xf32>\n%1 = stablehlo.reshape %y : (tensor<3x6xf32>) -> "
    "tensor<3x6x1xf32>\n%2 = stablehlo.convolution(%0, %1) dim_numbers = [b, 0, f]x[0, i, o]->[b, 0, f], "
    "window = "
    "{stride = [1], pad = [[2, 0]], lhs_dilate = [1], rhs_dilate = [1], reverse = [true]} {batch_group_count = "
    "1 : i64, "
    "feature_group_count = 1 : i64} : (tensor<1x4x6xf32>, tensor<3x6x1xf32>) -> tensor<1x4x1xf32>",
    "%0 = stablehlo.fft %z, type = IFFT, length = [4, 6] : (tensor<4x6xcomplex<f32>>) -> "
    "tensor<4x6xcomplex<f32>>\n"
    "%1 = stablehlo.fft %x, type =  RFFT, length = [6] : (" X ") -> tensor<4x4xcomplex<f32>>",
    "%0 = \"stablehlo.gather\"(%x, %k) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], "
    "collapsed_slice_dims = "
    "[0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: "
    "1, 6>}> : (" X ", tensor<3x1xi64>) -> tensor<3x6xf32>",
    "%0 = \"stablehlo.scatter\"(%x, %k, %y) <{indices_are_sorted = false, scatter_dimension_numbers = "
    "#stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = "
    "[0], "
    "index_vector_dim = 1>, unique_indices = false}> " REGION(
        "f32", "stablehlo.maximum") " : (" X ", tensor<3x1xi64>, tensor<3x6xf32>) -> " X,
    "%0 = stablehlo.dynamic_slice %x, %i, %i, sizes = [2, 6] : (" X
    ", tensor<i32>, tensor<i32>) -> tensor<2x6xf32>\n%1 = stablehlo.dynamic_update_slice %x, %0, %i, %n : (" X
    ", tensor<2x6xf32>, tensor<i32>, tensor<i32>) -> " X,
    "%0:2 = \"stablehlo.sort\"(%x, %x) <{dimension = 1 : i64, is_stable = true}> ({\n^bb0(%a: tensor<f32>, %b: "
    "tensor<f32>, %d: tensor<f32>, %e: tensor<f32>):\n%1 = stablehlo.compare  GT, %a, %b,  TOTALORDER : "
    "(tensor<f32>, "
    "tensor<f32>) -> tensor<i1>\nstablehlo.return %1 : tensor<i1>\n}) : (" X ", " X ") -> (" X ", " X ")",
    "%0:2 = stablehlo.while(%a = %n, %b = %x) : tensor<i32>, " X
    "\n cond {\n%1 = stablehlo.constant dense<5> : tensor<i32>\n%2 = stablehlo.compare  LT, %a, %1,  SIGNED : "
    "(tensor<i32>, tensor<i32>) -> tensor<i1>\nstablehlo.return %2 : tensor<i1>\n} do {\n%1 = "
    "stablehlo.constant dense<1> "
    ": tensor<i32>\n%2 = stablehlo.add %a, %1 : tensor<i32>\n%3 = func.call @f(%b) : (" X ") -> " X
    "\nstablehlo.return %2, %3 : tensor<i32>, " X "\n}",
    "%0 = \"stablehlo.case\"(%i) ({\nstablehlo.return %x : " X "\n}, {\n%1 = stablehlo.negate %x : " X
    "\nstablehlo.return %1 : " X "\n}) : (tensor<i32>) -> " X,
    "%0 = \"stablehlo.map\"(%x, %x) <{dimensions = array<i64: 0, 1>}> " REGION(
        "f32", "stablehlo.power") " : (" X ", " X ") -> " X,
    "%0:2 = chlo.top_k(%x, k = 3) : " X
    " -> (tensor<4x3xf32>, tensor<4x3xi32>)\n%1 = stablehlo.custom_call @other(%x) "
    "{backend_config = \"\", has_side_effect = true} : (" X ") -> tensor<?x!quant.uniform<i8:f32, 1.0>>",
};

bool test_seed_stablehlo(int n, moire__text *out) {
  int count = (int)(sizeof bodies / sizeof *bodies);
  if (n > count) return false;
  moire__text_add(
      out,
      "#loc = loc(unknown)\nmodule @m attributes {mhlo.num_partitions = 1 : i32} {\n"
      "func.func public @main(%%x: " X
      " loc(\"p['w']\"), %%i: tensor<i32>, %%z: tensor<4x6xcomplex<f32>>, %%k: "
      "tensor<3x1xi64>, %%y: tensor<3x6xf32>) -> (" X " {jax.result_info = \"result['a']\"}) {\n"
      "%%c = stablehlo.constant dense<0.0> : tensor<f32>\n%%n = stablehlo.constant dense<3> : tensor<i32>\n%s\n"
      "return %%x : " X " loc(callsite(\"g\"(\"a.py\":3:4 to :9) at #loc2))\n}\n"
      "func.func private @f(%%a: " X ") -> " X " {\n%%0 = stablehlo.sqrt %%a : " X "\nreturn %%0 : " X "\n}\n"
      "func.func @judge() {\n%%0 = stablehlo.constant dense<1> : tensor<i64>\n"
      "check.expect_eq_const %%0, dense<1> : tensor<i64>\nfunc.return\n}\n}\n#loc2 = loc(fused[#loc, "
      "\"b.py\":1:2])\n",
      n ? bodies[n - 1] : "");
  return true;
}
