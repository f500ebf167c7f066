#!/bin/bash
# The compiler's time grows with the layers of a model and not with their square, up to the plan of its kernels.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

# milliseconds LAYERS: of processor time
milliseconds() {
  local TIMEFORMAT='%U %S' times
  printf 'model: qia\nhidden_size: 8\nnum_attention_heads: 2\nnum_hidden_layers: %s\nmax_seq_length: 8\n' "$1" >layers.yaml
  times=$({ time "$MOIRE" graph layers.yaml --after memory_plan >/dev/null 2>errors.txt || echo 'nan nan'; } 2>&1)
  [[ ! -s errors.txt ]] || complain "$1 layers: $(head -c 500 errors.txt)"
  awk '{ printf "%d", 1000 * ($1 + $2) + 1 }' <<<"$times"
}

few=$(milliseconds 50)
many=$(milliseconds 250)
echo "50 layers: $few ms, 250: $many ms"
((many < 12 * few)) || complain "5 times the layers take $((many / few)) times as long"
((failures == 0))
