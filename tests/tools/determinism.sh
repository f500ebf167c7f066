#!/bin/bash
# One seed, one result, bit for bit: from run to run and for any number of threads.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
for run in '1 first' '1 again' '2 two' '3 three'; do
  read -r threads name <<<"$run"
  "$MOIRE" train config.yaml --data data.txt --threads "$threads" --out "$name" >"$name.txt" 2>log.txt ||
    complain "--threads $threads: $(cat log.txt)"
  cmp first/best.safetensors "$name/best.safetensors" || complain "best differs: $name"
  cmp first/last.safetensors "$name/last.safetensors" || complain "last differs: $name"
  cmp first.txt "$name.txt" || complain "results differ: $name"
done
"$MOIRE" train config.yaml --data data.txt --set seed=8 --out other >other.txt 2>log.txt || complain "$(cat log.txt)"
cmp -s first/best.safetensors other/best.safetensors && complain 'another seed gives the same'
"$MOIRE" recommend --checkpoint first/best.safetensors --data data.txt --threads 1 >one.txt
"$MOIRE" recommend --checkpoint first/best.safetensors --data data.txt --threads 3 >three.txt
cmp one.txt three.txt || complain 'recommendations differ by thread'
finish
