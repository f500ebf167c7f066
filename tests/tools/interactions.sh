#!/bin/bash
# Data as people have them, from the file to recommendations: one interaction a line is the training that one user a line
# is, ids of any text are what comes out, and pipes and gzip change nothing.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
# What is the same in every form: the weights, up to the names of items.
train() {
  "$MOIRE" train config.yaml --data "$1" --out "$2" --set epochs=1 "${@:3}" >"$2.txt" 2>"$2.log" || complain "$1: $(cat "$2.log")"
}
train data.txt plain
grep -q '^data.txt: one user a line' plain.log || complain "what was taken is not said: $(cat plain.log)"
awk '{ for (i = 2; i <= NF; i++) print $1 "\t" $i "\t" 3 "\t" 1000000 + i }' data.txt >ratings.tsv
(
  printf 'user_id:token\titem_id:token\trating:float\ttimestamp:float\n'
  awk '{ for (i = NF; i >= 2; i--) print $1 "\t" $i "\t" 4.5 "\t" 1000000 + i }' data.txt
) >data.inter
train ratings.tsv tabs
train data.inter header
gzip -k data.txt data.inter
train data.inter.gz packed
train <(cat data.inter) pipe
"$MOIRE" train config.yaml --data /dev/stdin --out stdin --set epochs=1 <data.txt >stdin.txt 2>stdin.log || complain "$(cat stdin.log)"
"$MOIRE" train config.yaml --data /dev/stdin --out stdin2 --set epochs=1 < <(zcat data.txt.gz) >stdin.txt 2>stdin.log ||
  complain "$(cat stdin.log)"
for run in tabs header packed pipe stdin stdin2; do
  cmp plain/best.safetensors $run/best.safetensors || complain "$run: other weights than of one user a line"
done
grep -q 'ratings.tsv: one interaction a line (user, item, rating, time; tabs), sorted by time' tabs.log ||
  complain "what was taken is not said: $(cat tabs.log)"
train ratings.tsv said --format interactions
grep -q 'one interaction' said.log && complain 'what was asked for is said'
grep -q '^format: "auto"' plain/config.yaml || complain 'the form is no key of the configuration'
refused 1 ratings.tsv:2 'there twice' -- "$MOIRE" train config.yaml --data ratings.tsv --out none --format users
refused 2 --format -- "$MOIRE" train config.yaml --data ratings.tsv --out none --format csv
head -c 200 data.inter.gz >cut.gz
refused 1 cut.gz gzip 'cut short' -- "$MOIRE" train config.yaml --data cut.gz --out none
[[ ! -e none ]] || complain 'a folder was made for what was refused'

# ---- ids of any text ----------------------------------------------------------------------------------------------

# Items named i1 …, users named "user 1" …, by commas.
awk 'BEGIN { print "userId,movieId,timestamp" }
  { for (i = 2; i <= NF; i++) print "user " $1 ",i" $i "," 1000000 + i }' data.txt >named.csv
train named.csv named
items=$(tail -n +2 named.csv | cut -d, -f2 | sort -u | wc -l)
grep -q "^item_size: $((items + 1))\$" named/config.yaml || complain "item_size: $(grep item_size named/config.yaml)"
recommend=("$MOIRE" recommend --checkpoint named/best.safetensors --top 3)
"${recommend[@]}" --data named.csv >all.txt 2>log.txt || complain "$(cat log.txt)"
[[ $(wc -l <all.txt) == 60 ]] || complain "not a line a user: $(wc -l <all.txt)"
grep -qE '^user user 1: .* i[0-9]+  -> i[0-9]+ i[0-9]+ i[0-9]+$' all.txt || complain "$(head -1 all.txt)"
# The same items by the same names in another file and another form, in another order, for users with one item or two.
history=$(sed -n 's/^user user 1: \(\.\.\. \)\?\(.*\)  -> .*/\2/p' all.txt)
# shellcheck disable=SC2086 # as many as there are
set -- $history
printf 'zo\xc3\xab %s\nann %s %s nothing\nnobody nothing\n' "$1" "$2" "$3" >some.txt
"${recommend[@]}" --data some.txt --json >some.json 2>log.txt || complain "$(cat log.txt)"
[[ $(wc -l <some.json) == 2 ]] || complain "$(cat some.json)"
grep -qE $'^\{"user":"zo\xc3\xab","items":\["i[0-9]+","i[0-9]+","i[0-9]+"\],"scores":\[' some.json || complain "$(cat some.json)"
grep -q 'some.txt: 2 interactions with items that the model does not know are left out' log.txt || complain "$(cat log.txt)"
grep -q 'some.txt: 1 users with too few' log.txt || complain "$(cat log.txt)"
printf 'red\033[31m %s\n' "$1" >colour.txt
refused 1 colour.txt:1 'not printable' -- "${recommend[@]}" --data colour.txt
grep -q $'\033' stderr.txt && complain 'an escape sequence of a name reaches the terminal'
printf 'a %s %s %s\nb %s nothing %s %s\n' "$1" "$2" "$3" "$1" "$2" "$3" >unknown.txt
refused 1 unknown.txt:2 nothing 'the model knows' -- "$MOIRE" eval --checkpoint named/best.safetensors --data unknown.txt
"$MOIRE" eval --checkpoint named/best.safetensors --data named.csv --json >eval.json 2>log.txt || complain "$(cat log.txt)"
grep -qF "\"test\":$(cat eval.json)" named/metrics.jsonl || complain "eval finds $(cat eval.json)"
# A continued run keeps the map; other names are other data.
"$MOIRE" train config.yaml --data named.csv --out named --resume --set epochs=2 >/dev/null 2>log.txt || complain "$(cat log.txt)"
"${recommend[@]}" --data named.csv --users 1 2>/dev/null | grep -q '> i' || complain 'the map is gone after --resume'
sed 's/,i/,j/' named.csv >other.csv
refused 1 last.safetensors 'other data' -- "$MOIRE" train config.yaml --data other.csv --out named --resume --set epochs=3
# Numbers far apart take as much memory as there are items.
awk '{ printf "%s", $1; for (i = 2; i <= NF; i++) printf " %d", $i * 1234567; print "" }' data.txt >sparse.txt
(
  [[ -n ${MOIRE_SANITIZE:-} ]] || ulimit -v 6000000 # a sanitizer takes more address space than any limit
  train sparse.txt wide
  ((failures == 0))
) || complain "sparse: $(cat wide.log)"
"$MOIRE" recommend --checkpoint wide/best.safetensors --data sparse.txt --users 2 --json >sparse.json 2>log.txt ||
  complain "$(cat log.txt)"
grep -qE '^\{"user":1,"items":\[[0-9]{7,9},' sparse.json || complain "$(cat sparse.json)"
finish
