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

# put_word N: a 32-bit word, the lowest byte first.
put_word() {
  local hex
  hex=$(printf '%08x' "$1")
  printf "\\x${hex:6:2}\\x${hex:4:2}\\x${hex:2:2}\\x${hex:0:2}"
}

# small_items CHECKPOINT: films.items, the items of a model of small_config, and more.items, with a large one, "more good",
# behind them.
small_items() {
  local word
  {
    printf "\x93NUMPY\x01\x00\x76\x00%-117s\n" "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8), }"
    put_word $((0x42c80000))
    for word in 1 2 3 4 5 6 7; do put_word $((0x3f800000)); done
  } >more.npy
  printf 'more good\n' >more.names
  "$MOIRE" items films.items --from "$1" >films.said 2>log.txt || complain "items: $(cat log.txt)"
  "$MOIRE" items films.items --append more.npy --names more.names -o more.items >more.said 2>log.txt ||
    complain "append: $(cat log.txt)"
}

# put_piece RANK TEXT: a piece of llama2.c's vocabularies, with the score -RANK (1 or more).
put_piece() {
  local exponent=0
  while (($1 >> (exponent + 1))); do exponent=$((exponent + 1)); done
  put_word $((0x80000000 | (127 + exponent) << 23 | ($1 << (23 - exponent) & 0x7fffff)))
  put_word ${#2}
  printf '%s' "$2"
}

# small_tokenizer FILE: 321 words as llama2.c's files have them: three that are special, the bytes, letters, and some
# that are put together.
small_tokenizer() {
  local i rank=0 piece
  {
    put_word 8
    put_piece 1 '<unk>'
    put_piece 1 '<s>'
    put_piece 1 '</s>'
    for ((i = 0; i < 256; i++)); do put_piece 1 "$(printf '<0x%02X>' "$i")"; done
    for piece in 'th' 'the' ' the' ' c' 'at' ' cat' ' s' ' sat' 'on' ' on' ' m' ' mat' ' d' 'og' ' dog' 'an' ' an' ' and' \
      ' a' 'ed' 'er' ' r' 'un' ' run' '. ' ' h' ' he' ' it' ' w' ' was' 'is' ' is' ' b' {a..z} ' ' . ,; do
      put_piece $((rank += 1)) "$piece"
    done
  } >"$1"
}

# small_texts FILE N SEED: N sentences of few words, one a line.
small_texts() {
  awk -v n="$2" -v seed="$3" 'BEGIN {
    split("cat dog mat bird", noun); split("sat on|ran to|was at|and", verb, "|"); srand(seed)
    for (i = 0; i < n; i++) {
      line = "the"
      for (k = 0; k < 3 + int(rand() * 3); k++) line = line " " noun[1 + int(rand() * 4)] " " verb[1 + int(rand() * 4)] " the"
      print line " " noun[1 + int(rand() * 4)] "."
    }
  }' >"$1"
}

# in_parts WHOLE COMMAND...: WHOLE is what the command writes; 1, 3 and 8 parts of it, computed in any order, are joined
# to the same bytes.
in_parts() {
  local whole=$1 n i
  shift
  for n in 1 3 8; do
    for ((i = n; i >= 1; i--)); do
      "$@" --part "$i/$n" -o "$whole.merged" >/dev/null 2>log.txt || complain "part $i of $n of $*: $(cat log.txt)"
    done
    "$MOIRE" merge "$whole".merged.*-of-"$n" -o "$whole.merged" 2>log.txt || complain "merge $n parts of $*: $(cat log.txt)"
    cmp "$whole" "$whole.merged" || complain "$n parts of $*"
    rm -f "$whole".merged*
  done
}

# small_ratings FOLDER CONFIG: 9 items without texts of their own but one, 7 users, of whom user u rated 3 + u; and a
# configuration of hybrid for them.
small_ratings() {
  local head item i
  mkdir -p "$1/graph"
  printf 'Action|0\nDrama|1\n' >"$1/u.genre"
  for item in {1..9}; do printf '%d|Film %d|1-Jan-1995|||%d|%d\n' "$item" "$item" $((item % 2)) 1; done >"$1/u.item"
  awk 'BEGIN { for (u = 1; u <= 7; u++) for (i = 1; i <= 1 + u; i++)
    printf "%d\t%d\t%d\t%d\n", 10 + u, (u * 5 + i * 7) % 9 + 1, 1 + (u * i + (i == 1) * 4) % 5, 1000 + (i * 7919 * u) % 977 }' |
    awk -F '\t' '!($1 in liked) { $3 = 5; liked[$1] } { print $1 "\t" $2 "\t" $3 "\t" $4 }' >"$1/u1.base"
  awk 'BEGIN { for (u = 1; u <= 7; u++) printf "%d\t%d\t5\t9000\n", 10 + u, (u * 5) % 9 + 1 }' >"$1/u1.test"
  { printf 'movie_id\tage\n'; for item in {1..9}; do printf '%d\t%d\n' "$item" $((item % 3)); done; } >"$1/context.tsv"
  printf 'feature\tsize\nage\t3\n' >"$1/context_sizes.tsv"
  printf 'node\tkey\tname\n0\ta\t\n1\tb\tB\n' >"$1/graph/genre.nodes.tsv"
  printf 'movie_id\tnode\n1\t0\n2\t0\n2\t1\n3\t1\n7\t1\n' >"$1/graph/genre.edges.tsv"
  head='{"movie_ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"overview":{"dtype":"F32","shape":[2,8],"data_offsets":[16,80]},"reviews":{"dtype":"F32","shape":[2,1,8],"data_offsets":[80,144]},"review_mask":{"dtype":"U8","shape":[2,1],"data_offsets":[144,146]}}'
  {
    printf "\\x$(printf %02x $((${#head} & 255)))\\x$(printf %02x $((${#head} >> 8)))\0\0\0\0\0\0%s" "$head"
    printf '\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0'
    for i in {1..32}; do printf "\\x$(printf %02x $((i * 37 % 256)))\0\\x80\x3e"; done
    printf '\0\x01'
  } >"$1/text_embeddings.safetensors"
  cat >"$2" <<'END'
model: hybrid
hidden_size: 8
num_attention_heads: 2
review_hidden: 4
gate_hidden: 4
predictor_hidden: [8, 4]
num_time_buckets: 8
relations: [genre]
max_history: 4
batch_size: 4
epochs: 2
lr: 0.01
END
}

# kill_within DIR COMMAND...: a training that is killed once it has saved a part of an epoch in DIR. A short one may be
# over between two looks: it is run again.
kill_within() {
  local directory=$1 process i
  shift
  for ((i = 0; i < 20; i++)); do
    "$@" --out "$directory" --overwrite --set save_minutes=0.00001 >killed.txt 2>&1 &
    process=$!
    until [[ -e $directory/part.safetensors ]] || ! kill -0 "$process" 2>/dev/null; do sleep 0.002; done
    kill -KILL "$process" 2>/dev/null || true
    { wait "$process"; } 2>/dev/null || true
    [[ ! -e $directory/part.safetensors ]] || return 0
  done
  complain "no part of an epoch is saved: $(cat killed.txt)"
}

finish() {
  ((failures == 0)) || echo "$failures failure(s)"
  exit $((failures > 0))
}
