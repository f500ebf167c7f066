#!/bin/bash
# A small checkpoint whose configuration claims more than it holds is refused before anything of that size is made.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run --set epochs=1 >/dev/null 2>train.txt || complain "$(cat train.txt)"

# claim WORD ASSIGNMENT COMMAND...: little processor time, and a sentence with file and tensor
claim() {
  local word=$1 assignment=$2
  shift 2
  echo "$assignment" >claim.yaml
  refused 1 run/best.safetensors "$word" -- bash -c 'ulimit -t 20; exec "$@"' bash \
    "$MOIRE" "$@" --checkpoint run/best.safetensors --config claim.yaml
}
export MOIRE_CACHE=off
for size in 100000000 2147483647; do
  claim "item_embeddings.weight: wanted shape [$size," "item_size: $size" eval --data data.txt
  claim "item_embeddings.weight: wanted shape [$size," "item_size: $size" recommend --data data.txt
done
claim 'has no tensor' "num_hidden_layers: 1000" eval --data data.txt
((failures == 0))
