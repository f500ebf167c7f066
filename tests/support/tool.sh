# What the tests of the command share. Sourced; needs MOIRE and SOURCE_DIR in the environment. Works in a fresh
# directory that is removed at the end.
# shellcheck shell=bash
set -euo pipefail
shared=$SOURCE_DIR/../shared
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
cd "$work"
failures=0

complain() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# skip WHY
skip() {
  echo "skipped: $*"
  exit 77
}

# need_shared FILE...: skips where the reference material is absent.
need_shared() {
  local file
  for file in "$@"; do
    [[ -r $shared/$file ]] || skip "there is no ../shared/$file"
  done
}

# refused STATUS WORD... -- COMMAND...: the command exits with STATUS, and its one line on stderr holds each WORD.
refused() {
  local want=$1 words=() word status=0
  shift
  while [[ $1 != -- ]]; do
    words+=("$1")
    shift
  done
  shift
  "$@" >stdout.txt 2>stderr.txt || status=$?
  if [[ $status != "$want" ]]; then
    complain "exit status $status, not $want: $*"
    head -c 2000 stderr.txt
    return
  fi
  for word in "${words[@]}"; do
    grep -qF -- "$word" stderr.txt || {
      complain "no \"$word\" in what is said about: $*"
      head -c 2000 stderr.txt
    }
  done
}

# A small data set, and a configuration that trains on it in about a second.
small_data() {
  "$MOIRE" synth --users 60 --items 80 --length 8 --ring 4 --cycle 8 --out "$1"
}

small_config() {
  cat >"$1" <<'END'
model: qia
hidden_size: 8
num_hidden_layers: 1
num_attention_heads: 2
inner_size: 8
max_seq_length: 6
band_kernel_sizes: [2, 3]
band_dilations: [1, 2]
batch_size: 64
epochs: 3
seed: 7
END
}

finish() {
  ((failures == 0)) || echo "$failures failure(s)"
  exit $((failures > 0))
}
