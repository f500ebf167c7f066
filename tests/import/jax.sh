#!/bin/bash
# A program as JAX prints it goes wherever the name of a model does: import, models, graph, verify's golden, compile. The
# library computes what it says, with its constants. What cannot be imported is said all at once.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"

cat >wave.mlir <<'E2'
#loc1 = loc("p['scale']")
#loc2 = loc("wave")
module @jit_net attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<3xf32> loc("p['scale']"), %arg1: tensor<2x3xcomplex<f32>> loc("wave")) -> (tensor<2x3xf32> {jax.result_info = "result['power']"}, tensor<2x3xcomplex<f32>> {jax.result_info = "result['wave']"}) {
    %cst = stablehlo.constant dense<[1.000000e+00, 1.000000e+01, -2.000000e+00]> : tensor<3xf32> loc(#loc)
    %0 = stablehlo.multiply %arg0, %cst : tensor<3xf32> loc(#loc7)
    %1 = stablehlo.broadcast_in_dim %0, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc(#loc7)
    %2 = stablehlo.convert %1 : (tensor<2x3xf32>) -> tensor<2x3xcomplex<f32>> loc(#loc7)
    %3 = stablehlo.multiply %2, %arg1 : tensor<2x3xcomplex<f32>> loc(#loc8)
    %4 = call @power(%3) : (tensor<2x3xcomplex<f32>>) -> tensor<2x3xf32> loc(#loc8)
    return %4, %3 : tensor<2x3xf32>, tensor<2x3xcomplex<f32>> loc(#loc)
  } loc(#loc)
  func.func private @power(%arg0: tensor<2x3xcomplex<f32>>) -> tensor<2x3xf32> {
    %0 = stablehlo.abs %arg0 : (tensor<2x3xcomplex<f32>>) -> tensor<2x3xf32> loc(#loc9)
    %1 = chlo.square %0 : tensor<2x3xf32> -> tensor<2x3xf32> loc(#loc9)
    return %1 : tensor<2x3xf32> loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc3 = loc("net.py":12:8 to :30)
#loc4 = loc("net.py":13:8 to :30)
#loc5 = loc("net.py":5:11 to :20)
#loc7 = loc("jit(net)/mul"(#loc3))
#loc8 = loc("jit(net)/mul"(#loc4))
#loc9 = loc("jit(net)/power"(callsite(#loc5 at #loc4)))
E2

"$MOIRE" import wave.mlir -o imported >said.txt 2>stderr.txt || complain "import: $(cat stderr.txt)"
cat >want.txt <<'E2'
input    p.scale: f32[3]
input    wave: c64[2, 3]
output   power: f32[2, 3]
output   wave: c64[2, 3]
weights  0 tensors of 0 numbers
E2
cmp -s said.txt want.txt || complain "import says: $(cat said.txt)"
"$MOIRE" graph imported/wave.txt >/dev/null || complain 'the graph that import writes cannot be read'
"$MOIRE" models wave.mlir >said.txt || complain 'models fails'
"$MOIRE" graph wave.mlir --goal infer >said.txt || complain 'graph fails'
for line in 12 13 5; do
  grep -q "\"net.py\":$line" said.txt || complain "the graph does not name line $line"
done

"$MOIRE" compile --checkpoint wave.mlir --cpu host -o ./wave >stdout.txt 2>stderr.txt || complain "compile: $(cat stderr.txt)"
cat >main.c <<'E2'
#include "wave.h"

#include <math.h>
#include <stdio.h>

int main(void) {
  const float scale[3] = {2, 1, 0.5f}, wave[12] = {1, 0, 0, 2, 3, 4, -1, 1, 0, 0, 1, 1};
  const float factor[3] = {2, 10, -1};
  float power[6], out[12];
  wave_workspace workspace = {0};
  wave_inputs inputs = {.p_scale = scale, .wave = wave};
  wave_outputs outputs = {.power = power, .wave = out};
  if (wave_run(NULL, &workspace, 1, &inputs, &outputs)) return 1;
  for (int i = 0; i < 6; i++) {
    float re = factor[i % 3] * wave[2 * i], im = factor[i % 3] * wave[2 * i + 1];
    if (out[2 * i] != re || out[2 * i + 1] != im || fabsf(power[i] - re * re - im * im) > 1e-4f) return 2;
  }
  wave_workspace_free(&workspace);
  return 0;
}
E2
${CC:-cc} -std=c11 -I. main.c wave.a -lm -o main || complain 'the library cannot be linked'
./main || complain "the library computes something else: $?"

sed 's/chlo.square/chlo.lgamma/; s/stablehlo.convert/stablehlo.bitcast_convert/; s/-> (tensor<2x3xf32> {/-> (tensor<?x3xf32> {/' wave.mlir >bad.mlir
refused 1 'bad.mlir: stablehlo.bitcast_convert (net.py:12): is an operation that Moire does not import' \
  'bad.mlir: 1 of its operations cannot be imported' -- "$MOIRE" import bad.mlir
sed 's/%0 = stablehlo.abs/%0 = chlo.lgamma/; s/stablehlo.convert/stablehlo.bitcast_convert/; s/multiply %2, %arg1/multiply %arg1, %arg1/' wave.mlir >bad.mlir
refused 1 'stablehlo.bitcast_convert (net.py:12)' 'chlo.lgamma (net.py:5)' \
  'bad.mlir: 2 of its operations cannot be imported' -- "$MOIRE" import bad.mlir
head -c 1200 wave.mlir >cut.mlir
refused 1 'cut.mlir:' -- "$MOIRE" import cut.mlir
refused 2 '.mlir' -- "$MOIRE" import wave.txt
((failures == 0))
