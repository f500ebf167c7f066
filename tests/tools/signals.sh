#!/bin/bash
# Radio signals from end to end, in small: made, learnt by the complex network and by the real one, measured by their
# signal to noise ratio, compiled, and told apart by a C program with the results of the command.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
examples=$SOURCE_DIR/docs/examples signals_so=$BUILD_DIR/examples/signals.so
[[ -r $signals_so ]] || complain "the build has left no $signals_so"
(($(wc -l <"$examples/signals.c") < 150)) || complain 'signals.c has 150 lines or more'

"$MOIRE" synth --kind signals --records 400 -o data.safetensors
"$MOIRE" synth --kind signals --records 400 -o again.safetensors
cmp data.safetensors again.safetensors || complain 'the same seed gives other signals'
"$MOIRE" synth --kind signals --records 160 --seed 2 --least-snr 20 -o test.safetensors

# train FIELD KEY=VALUE...: one epoch, and the accuracy of each sample of the test.
train() {
  local field=$1 changes=() change
  shift
  for change in "$@" field="$field" model="$signals_so" epochs=1 batch_size=64; do changes+=(--set "$change"); done
  "$MOIRE" train "$examples/signals.yaml" "${changes[@]}" --data data.safetensors --test test.safetensors --out "$field" \
    >"$field.txt" 2>log.txt || complain "train $field: $(cat log.txt)"
  "$MOIRE" eval --checkpoint "$field/best.safetensors" --model "$signals_so" --data test.safetensors \
    --values "$field.values.safetensors" >eval.txt 2>log.txt || complain "eval $field: $(cat log.txt)"
}
train complex
train real width=44 hidden=30
grep -q '^1 epoch.* 10664 parameters' complex.txt || complain "complex: $(cat complex.txt)"
grep -q '^1 epoch.* 10662 parameters' real.txt || complain "real: $(cat real.txt)"
refused 1 stride -- "$MOIRE" train "$examples/signals.yaml" --set model="$signals_so" --set stride=3 --data data.safetensors
[[ -n ${MOIRE_SANITIZE:-} ]] && finish # what follows is built as a user would

accuracy=$("$MOIRE" eval --checkpoint complex/best.safetensors --model "$signals_so" --data test.safetensors 2>log.txt |
  awk '$1 == "accuracy" { print $2 }')
link=(-I. -I"$SOURCE_DIR/include" -L"$BUILD_DIR" -Wl,-rpath,"$BUILD_DIR" -lmoire -lm)
gcc -O2 -std=c17 -Wall -Wextra -Werror "$examples/files/by.c" -o by "${link[@]}"
./by test.safetensors snr accuracy plot.svg complex=complex.values.safetensors \
  both=complex.values.safetensors,real.values.safetensors >table.txt || complain 'by failed'
grep -q "^| 20 | $accuracy ± 0.0000 |" table.txt || complain "by prints $(cat table.txt), not $accuracy"
grep -q '^| all |' table.txt && grep -q '</svg>' plot.svg || complain 'by draws nothing'
./by test.safetensors snr loss plot.svg a=complex.values.safetensors 2>log.txt && complain 'by takes a measure that is not there'
grep -q 'complex.values.safetensors' log.txt || complain "by says $(cat log.txt)"

"$MOIRE" compile --checkpoint complex/best.safetensors --model "$signals_so" --cpu host -o signals 2>log.txt ||
  complain "compile: $(cat log.txt)"
gcc -O2 -Wall -Wextra -Werror -std=c99 "$examples/aot/classify.c" -o classify signals.a "${link[@]}" ||
  complain 'classify.c does not compile'
./classify test.safetensors - >all.txt || complain 'classify failed'
grep -q "^$accuracy of 160 records are right" all.txt || complain "classify says $(cat all.txt), the command $accuracy"
./classify test.safetensors 5 >five.txt || complain 'classify failed'
(($(grep -cE '^record [0-4]: [0-9A-Z]+ at 20 dB, said to be [0-9A-Z]+$' five.txt) == 5)) ||
  complain "classify says $(cat five.txt)"
./classify complex.values.safetensors 2>log.txt && complain 'classify takes a file that is not of signals'
grep -q 'label i32' log.txt || complain "classify says $(cat log.txt)"
finish
