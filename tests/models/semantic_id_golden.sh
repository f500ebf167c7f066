#!/bin/bash
# The item coder against its goldens, by both engines: codes are equal, and one that is not is found.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared goldens/semantic_id_small.safetensors goldens/semantic_id_mlp.safetensors

for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" "$shared"/goldens/semantic_id_*.safetensors || complain "verify --engine $engine"
done

"$MOIRE" verify --precision bf16 "$shared"/goldens/semantic_id_*.safetensors || complain 'verify --precision bf16'

# offset_of FILE TENSOR: where its first byte is.
offset_of() {
  local length begin
  length=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
  begin=$(head -c $((8 + length)) "$1" | tail -c "$length" |
    grep -o "\"$2\": *{[^}]*}" | sed 's/.*"data_offsets": *\[\([0-9]*\).*/\1/')
  echo $((8 + length + begin))
}

# One code that is another; an F64 whose last two bytes say about 100.
golden=$shared/goldens/semantic_id_small.safetensors
for change in output/codes.1:0:'\x6e' trained/quantizers.2.ema_w:6:'\x59\x40' commitment_losses:6:'\x59\x40'; do
  IFS=: read -r tensor offset bytes <<<"$change"
  cp "$golden" changed.safetensors
  chmod u+w changed.safetensors
  printf %b "$bytes" | dd of=changed.safetensors bs=1 seek=$(($(offset_of "$golden" "$tensor") + offset)) conv=notrunc status=none
  refused 1 "changed.safetensors: $tensor: " -- "$MOIRE" verify changed.safetensors
done

"$MOIRE" graph semantic_id --goal infer --after fuse >graph.txt || complain 'graph semantic_id'
grep -q nearest_code graph.txt || complain 'graph semantic_id has no nearest_code'
finish
