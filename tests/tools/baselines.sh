#!/bin/bash
# What a sequential model has to beat: eval --baselines as a table and as JSON, with the popularity that training
# found; a catalogue that is too large is a sentence; models that recommend nothing have none.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run --set epochs=1 --json >result.json 2>log.txt || complain "$(cat log.txt)"
eval=("$MOIRE" eval --baselines --checkpoint run/best.safetensors --data)

"${eval[@]}" data.txt --json --threads 1 >one.json || complain 'eval --baselines --json'
"${eval[@]}" data.txt --json --threads 3 | cmp -s - one.json || complain 'threads change the baselines'
"$MOIRE" eval --checkpoint run/best.safetensors --data data.txt --json >plain.json
number='[0-9.e-]+'
object="\{(\"[A-Z]+@[0-9]+\":$number,?)+\}"
grep -qE "^$(sed 's/}$//; s/[{.]/\\&/g' plain.json),\"baselines\":\{\"popularity\":$object,\"item-kNN\":$object,\"EASE\":$object\}\}\$" one.json ||
  complain "JSON: $(cat one.json)"
popularity=$(grep -oE "\"popularity\":$object" result.json)
grep -qF "$popularity" one.json || complain "training found $popularity: $(cat one.json)"
# Each column of the table is what JSON says.
"${eval[@]}" data.txt >table.txt
grep -qE '^ +test +popularity +item-kNN +EASE$' table.txt || complain "$(head -1 table.txt)"
mapfile -t hits < <(grep -oE "\"HR@10\":$number" one.json | cut -d: -f2)
row=$(printf 'HR@10 %.4f %.4f %.4f %.4f' "${hits[@]}")
[[ $(grep '^HR@10' table.txt | tr -s ' ') == "$row" ]] || complain "table: $(grep '^HR@10' table.txt), JSON: $row"
"${eval[@]}" data.txt --split valid | grep -qE '^ +validation +popularity' || complain 'no baselines of the validation'
# Items that follow each other are told from what users have together: neighbours beat popularity.
awk -v p="${hits[1]}" -v k="${hits[2]}" -v e="${hits[3]}" 'BEGIN { exit !(k > p && e > p) }' || complain "HR@10: ${hits[*]}"

# 14,000 items by as many take 1.6 GB.
if [[ -z ${MOIRE_SANITIZE:-} ]]; then
  awk 'BEGIN { for (u = 1; u <= 2000; u++) { printf "%d", u; for (i = 1; i <= 7; i++) printf " %d", (u - 1) * 7 + i; print "" } }' >many.txt
  "$MOIRE" train config.yaml --data many.txt --out many --set epochs=1 --set eval_batch_size=64 >/dev/null 2>log.txt || complain "$(cat log.txt)"
  refused 1 'item-kNN: a matrix of 14001 items by as many takes 1.6 GB, but ulimit -v' -- \
    bash -c 'ulimit -v 1500000 && exec "$@"' bash "$MOIRE" eval --baselines --checkpoint many/best.safetensors --data many.txt --threads 1
fi
finish
