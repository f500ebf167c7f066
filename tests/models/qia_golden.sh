#!/bin/bash
# QIA against its goldens, by both engines; and a golden with one value changed fails and names the tensor.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared goldens/qia_small.safetensors goldens/qia_odd.safetensors goldens/qia_default.safetensors

for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" "$shared"/goldens/qia_*.safetensors || complain "verify --engine $engine"
done

"$MOIRE" verify --precision bf16 "$shared"/goldens/qia_*.safetensors || complain 'verify --precision bf16'

# offset_of FILE TENSOR: where its first byte is.
offset_of() {
  local length begin
  length=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
  begin=$(head -c $((8 + length)) "$1" | tail -c "$length" |
    grep -o "\"$2\": *{[^}]*}" | sed 's/.*"data_offsets": *\[\([0-9]*\).*/\1/')
  echo $((8 + length + begin))
}

# Bytes of an F64 are little-endian: the last two hold sign and exponent.
golden=$shared/goldens/qia_small.safetensors
for tensor in output/logits output/layers.0 loss train_losses grad/collapse_proj.weight trained/LayerNorm.bias; do
  for bytes in '\x59\x40' '\xf8\x7f'; do # about 100, and a NaN
    cp "$golden" changed.safetensors
    chmod u+w changed.safetensors
    printf %b "$bytes" | dd of=changed.safetensors bs=1 seek=$(($(offset_of "$golden" "$tensor") + 6)) conv=notrunc status=none
    refused 1 "changed.safetensors: $tensor: " -- "$MOIRE" verify --engine interpreter changed.safetensors
  done
done

# In bf16, too: the loss of the file is 5 % off, its weights a unit of bf16 less than a tenth of that.
cp "$golden" changed.safetensors
chmod u+w changed.safetensors
printf '\x13' | dd of=changed.safetensors bs=1 seek=$(($(offset_of "$golden" loss) + 6)) conv=notrunc status=none
refused 1 'changed.safetensors: loss: ' -- "$MOIRE" verify --precision bf16 changed.safetensors

# An item that does not exist is a sentence, not a read out of bounds.
cp "$golden" changed.safetensors
chmod u+w changed.safetensors
printf '\x25' | dd of=changed.safetensors bs=1 seek="$(offset_of "$golden" input/answers)" conv=notrunc status=none
refused 1 changed.safetensors input/answers 'item 37' -- "$MOIRE" verify changed.safetensors
finish
