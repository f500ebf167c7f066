#!/bin/bash
# Hybrid, its text view and its graph view against their goldens, by both engines, with and without optimizations.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared goldens/hybrid_small.safetensors goldens/hybrid_graph.safetensors goldens/hybrid_text.safetensors

goldens=("$shared"/goldens/hybrid_{small,graph,text}.safetensors)
for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" "${goldens[@]}" || complain "verify --engine $engine"
done
"$MOIRE" verify --threads 1 "${goldens[@]}" || complain 'verify --threads 1'
"$MOIRE" verify --precision bf16 "${goldens[@]}" || complain 'verify --precision bf16'
for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" --set tables=false "${goldens[@]}" || complain "verify without tables, $engine"
done

# A row that does not exist is a sentence, not a read out of bounds.
cp "${goldens[0]}" changed.safetensors
chmod u+w changed.safetensors
length=$(od -An -t u8 -N 8 changed.safetensors | tr -d ' ')
begin=$(head -c $((8 + length)) changed.safetensors | tail -c "$length" |
  grep -o '"input/positives": *{[^}]*}' | sed 's/.*"data_offsets": *\[\([0-9]*\).*/\1/')
printf '\x1d' | dd of=changed.safetensors bs=1 seek=$((8 + length + begin)) conv=notrunc status=none
refused 1 changed.safetensors input/positives 'holds 29' -- "$MOIRE" verify changed.safetensors
finish
