#!/bin/bash
# Six models exported from PyTorch give what PyTorch computed in double: outputs in evaluation, and of the programs
# with a loss, dropout off, the loss, its gradients, a step of Adam and the loss after it.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
models=(QIAPlanes QIAComplex RotaryLM LRU FNet FilterMLP)
need_shared pt2/QIAPlanes.pt2

# judge MODEL PROGRAM CLASSES...: both engines pass, and have judged something of each class.
judge() {
  local model=$1 program=$2 engine said class
  shift 2
  for engine in jit interpreter; do
    said=$("$MOIRE" verify --json --engine "$engine" --model "$shared/pt2/$program.pt2" --set dropout=0 \
      "$shared/pt2/$model.safetensors" 2>&1) || complain "$program ($engine): $said"
    for class; do
      [[ $said == *"\"$class\":{"* ]] || complain "$program ($engine) judged no $class: $said"
    done
  done
}

for model in "${models[@]}"; do
  judge "$model" "$model" outputs
  judge "$model" "${model}_train" losses gradients trained
done

# A golden is only equal if it is: of another model it is not.
if "$MOIRE" verify --model "$shared/pt2/LRU.pt2" "$shared/pt2/FNet.safetensors" >stdout.txt 2>&1; then
  complain "LRU gives what FNet does"
fi
((failures == 0))
