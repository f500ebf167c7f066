#!/bin/bash
# What a training takes is said, and refused before anything is taken where there is no room for it; memory that is
# not to be had names what it was for.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer takes more address space than any limit'
small_data data.txt
small_config config.yaml
train=("$MOIRE" train config.yaml --data data.txt --set epochs=1)

"${train[@]}" --out said >/dev/null 2>log.txt || complain "$(cat log.txt)"
grep -Eq 'weights and moments take .* MB, a step of batch_size 64 .* MB; .* has .* left' log.txt ||
  complain "memory is not told: $(cat log.txt)"
"${train[@]}" --out json --log json >/dev/null 2>log.txt
grep -Eq '"event":"memory".*"states":[0-9]+,"workspace":[0-9]+,"left":[0-9]+' log.txt || complain "$(cat log.txt)"

# limited KILOBYTES COMMAND...
limited() {
  (ulimit -v "$1" && shift && exec "$@")
}
"$MOIRE" synth --users 30000 --items 80 --length 8 --ring 4 --cycle 8 --out many.txt
wide=("$MOIRE" train config.yaml --data many.txt --set epochs=1 --set hidden_size=64 --set inner_size=256)
refused 1 'batch_size 30000' 'ulimit -v' 'smaller batch_size' -- \
  limited 1500000 "${wide[@]}" --set inner_size=2048 --set batch_size=30000 --out big
refused 1 'weights and the' 'ulimit -v' 'fc_r.weight [30000, 2048]' -- \
  limited 1500000 "${wide[@]}" --set hidden_size=2048 --set inner_size=30000 --out big
[[ -e big/last.safetensors ]] && complain 'a refused training leaves a checkpoint'
finish
