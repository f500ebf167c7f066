#!/bin/bash
# A user's own model: built against the public headers alone, named by its path, trained, and used.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

echo_so=$BUILD_DIR/examples/echo.so
[[ -r $echo_so ]] || complain "the build has left no $echo_so"
small_data data.txt
small_config echo.yaml
sed -i "s|model: qia|model: $echo_so|; s|epochs: 3|epochs: 1|" echo.yaml
echo 'reach: 4' >>echo.yaml

"$MOIRE" models "$echo_so" >keys.txt
grep -q '^  reach ' keys.txt || complain 'models does not list the keys of the model'
"$MOIRE" train echo.yaml --data data.txt --out run --json >result.json 2>log.txt || complain "train: $(cat log.txt)"
grep -q '"test":{"HR@5":' result.json || complain 'train prints no test'
[[ $(wc -l <run/metrics.jsonl) == 2 ]] || complain 'metrics.jsonl has not the two lines of one epoch'
"$MOIRE" eval --checkpoint run/best.safetensors --data data.txt --model "$echo_so" --json >eval.json 2>log.txt ||
  complain "eval: $(cat log.txt)"
grep -qF "$(cat eval.json)" result.json || complain "eval says $(cat eval.json), training said $(cat result.json)"
"$MOIRE" graph "$echo_so" >graph.txt
grep -q 'state \$filter.re' graph.txt || complain 'graph does not print the model'

# Its graph at other values, by name and by configuration, and its profile.
"$MOIRE" graph "$echo_so" --set reach=3 --set hidden_size=10 >graph.txt 2>log.txt || complain "graph --set: $(cat log.txt)"
grep -q 'state \$filter.re : f32\[10,1,3\]' graph.txt || complain "graph --set: $(grep filter graph.txt)"
"$MOIRE" graph echo.yaml --set hidden_size=10 --goal infer --after lower >kernels.txt 2>log.txt || complain "$(cat log.txt)"
grep -q '^kernel ' kernels.txt || complain 'graph of a configuration with a model of its own'
for from in echo.yaml "--checkpoint run/best.safetensors --model $echo_so"; do
  for goal in '' --infer; do
    # shellcheck disable=SC2086
    "$MOIRE" profile $from $goal --data data.txt --steps 2 -o profile >table.txt 2>log.txt ||
      complain "profile $from $goal: $(cat log.txt)"
    grep -q 'echo.c:[0-9]' table.txt || complain "profile $from $goal does not name the model's lines: $(cat table.txt)"
    [[ -s profile/report.html ]] || complain "profile $from $goal writes no report"
  done
done
refused 1 run/best.safetensors echo --model -- "$MOIRE" profile --checkpoint run/best.safetensors --data data.txt

# One that draws negatives in its step: it trains, and eval finds what training has found.
sed "s|model: .*|model: $BUILD_DIR/examples/sasrec.so|; /reach/d" echo.yaml >sasrec.yaml
"$MOIRE" train sasrec.yaml --data data.txt --out sasrec --json >result.json 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" eval --checkpoint sasrec/best.safetensors --data data.txt --model "$BUILD_DIR/examples/sasrec.so" --json \
  >eval.json 2>log.txt || complain "eval: $(cat log.txt)"
grep -qF "$(cat eval.json)" result.json || complain "eval says $(cat eval.json), training said $(cat result.json)"

# verify: y = x * w with w (2, 3) at x (1, 1) and (2, -1), the mean of y as the loss, and its gradient.
cat >scale.c <<'END'
#include "moire/graph.h"
#include "moire/model.h"
static void build(moire_graph *g, const moire_config *config) {
  (void)config;
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 2));
  moire_value y = moire_mul(x, moire_parameter(g, "w", MOIRE_SHAPE(2), moire_init_constant(1)));
  moire_output(g, "y", y);
  moire_output(g, "loss", moire_mean_all(y));
}
const moire_model *moire_model_main(void);
const moire_model *moire_model_main(void) {
  static const moire_model model = {
      .abi = MOIRE_MODEL_ABI, .task = "tensors", .name = "scale", .summary = "a product", .build = build};
  return &model;
}
END
gcc -shared -fPIC -I"$SOURCE_DIR/include" scale.c -o scale.so
# golden FILE BYTES: the golden, whose first weight has the four bytes.
golden() {
  local header='{"__metadata__":{"format":"golden/1","model":"scale","config":"{}"},'
  header+='"param/w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"input/x":{"dtype":"F32","shape":[2,2],'
  header+='"data_offsets":[8,24]},"output/y":{"dtype":"F32","shape":[2,2],"data_offsets":[24,40]},'
  header+='"loss":{"dtype":"F32","shape":[],"data_offsets":[40,44]},"grad/w":{"dtype":"F32","shape":[2],'
  header+='"data_offsets":[44,52]}}'
  while ((${#header} % 8)); do header+=' '; done
  {
    # shellcheck disable=SC2059
    printf "$(printf '\\x%02x\\x%02x\\0\\0\\0\\0\\0\\0' $((${#header} % 256)) $((${#header} / 256)))"
    printf '%s' "$header"
    # shellcheck disable=SC2059
    printf "$2"'\0\0\x40\x40\0\0\x80\x3f\0\0\x80\x3f\0\0\0\x40\0\0\x80\xbf\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\x40\xc0'
    printf '\0\0\xc0\x3f\0\0\x40\x3f\0\0\0\0'
  } >"$1"
}
golden good.safetensors '\0\0\0\x40'
golden bad.safetensors '\0\0\x80\x40'
for engine in jit interpreter; do
  "$MOIRE" verify good.safetensors --model ./scale.so --engine $engine >verify.txt 2>log.txt ||
    complain "verify by the $engine: $(cat verify.txt log.txt)"
  grep -q outputs verify.txt && grep -q gradients verify.txt || complain "verify compares: $(cat verify.txt)"
  refused 1 output/y -- "$MOIRE" verify bad.safetensors --model ./scale.so --engine $engine
done
refused 1 good.safetensors scale -- "$MOIRE" verify good.safetensors

# A checkpoint does not get to say which code is loaded.
refused 1 run/best.safetensors echo --model -- "$MOIRE" eval --checkpoint run/best.safetensors --data data.txt
refused 1 ./absent.so 'cannot be loaded' -- "$MOIRE" models ./absent.so
printf 'int x;' | gcc -shared -fPIC -xc - -o empty.so
refused 1 ./empty.so moire_model_main -- "$MOIRE" models ./empty.so
refused 1 empty.so moire_model_main -- "$MOIRE" models empty.so
cat >old.c <<'END'
#include "moire/model.h"
const moire_model *moire_model_main(void);
const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = 999, .name = "old"};
  return &model;
}
END
gcc -shared -fPIC -I"$SOURCE_DIR/include" old.c -o old.so
refused 1 ./old.so 'version 999' -- "$MOIRE" graph ./old.so

# Nor does a golden.
header='{"__metadata__":{"format":"golden/1","model":"./echo.so","config":"{}"}}'
printf "\\x$(printf %02x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header" >code.safetensors
refused 1 code.safetensors ./echo.so --model -- "$MOIRE" verify code.safetensors
finish
