#!/bin/bash
# A loss that is no number is traced to the kernel and the line of the model where it began: in the forward pass of
# the first step, in a gradient a step before the loss shows it, and after a resumption.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

# constant NAME BYTES: NAME.npy, f4 [64, 4], with one number throughout.
constant() {
  local header="{'descr': '<f4', 'fortran_order': False, 'shape': (64, 4), }"
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header" >"$1"
  for _ in {1..256}; do printf '%b' "$2"; done >>"$1"
}
mkdir ones zeros
constant ones/x.npy '\x00\x00\x80\x3f'
constant zeros/x.npy '\x00\x00\x00\x00'

# model NAME EXPRESSION-OF-h
model() {
  cat >"$1.c" <<END
#include "moire/graph.h"
#include "moire/model.h"
static void build(moire_graph *g, const moire_config *config) {
  (void)config;
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(moire_extent(g, "B"), 4));
  moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(4, 4), moire_init_normal(0, 1));
  moire_value h = moire_linear(x, w, (moire_value){0});
  moire_value squares = moire_mul(h, h);
  moire_value wrong = $2;
  moire_value fine = moire_mul(wrong, wrong);
  moire_output(g, "loss", moire_mean_all(fine));
}
const moire_model *moire_model_main(void);
const moire_model *moire_model_main(void) {
  static const moire_model model = {
      .abi = MOIRE_MODEL_ABI, .task = "tensors", .name = "$1", .summary = "goes wrong", .build = build};
  return &model;
}
END
  gcc -shared -fPIC -I"$SOURCE_DIR/include" "$1.c" -o "$1.so" || complain "$1.c does not compile"
  printf 'model: ./%s.so\nbatch_size: 16\nlr: 0.01\nepochs: 3\n' "$1" >"$1.yaml"
}

model logarithm 'moire_log(moire_neg(squares))'
refused 1 'epoch 0, step 0' 'the first NaN came out of' 'logarithm.c:9' 'forward' -- \
  "$MOIRE" train logarithm.yaml --data ones --out a
grep -q 'smaller lr' stderr.txt && complain "the first step is blamed on lr: $(cat stderr.txt)"

model root 'moire_sqrt(squares)'
refused 1 'epoch 0, step 1' 'root.c:9' 'backward) in step 0' 'smaller lr than 0.01' -- \
  "$MOIRE" train root.yaml --data zeros --out b
[[ -e b/best.safetensors ]] && complain 'weights that are no numbers were kept'

# The first epoch is fine; resumed after it, steps that grow throw the weights far off.
model growing 'moire_exp(squares)'
printf 'warmup_steps: 300\nschedule: linear\ntotal_steps: 100000\nlr: 100\n' >more.yaml
sed -i '/^lr:/d' growing.yaml && cat more.yaml >>growing.yaml
"$MOIRE" train growing.yaml --data ones --out c --set epochs=1 >/dev/null 2>log.txt || complain "$(cat log.txt)"
cp c/last.safetensors kept
refused 1 'in epoch ' 'growing.c:10; forward' 'smaller lr' -- \
  "$MOIRE" train growing.yaml --data ones --out c --set epochs=50 --resume
grep -q 'in epoch 0' stderr.txt && complain "the resumed run fails in the epoch before: $(cat stderr.txt)"
"$MOIRE" train growing.yaml --data ones --out d --set epochs=50 >/dev/null 2>whole.txt && complain 'uninterrupted, all is well'
[[ $(tail -n 1 stderr.txt) == "$(tail -n 1 whole.txt)" ]] || complain "another answer uninterrupted: $(tail -n 1 whole.txt)"
finish
