#!/bin/bash
# Tables of items: what is recommended from one is what the model's own scores say; items come and go without the model
# being touched; and what is no table, or another model's, is told.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run >/dev/null 2>log.txt || complain "$(cat log.txt)"
model=(--checkpoint run/best.safetensors --data data.txt)
small_items run/best.safetensors
grep -q '^films.items: 81 items of 8 numbers, 0 retired$' films.said || complain "what is said: $(cat films.said)"
"$MOIRE" items films.items --check | grep -q 'checksums as they say' || complain '--check'

# --- the model's own lists, of any number of threads and in parts; scores to the last digits
"$MOIRE" recommend "${model[@]}" --top 10 >own.txt 2>log.txt || complain "$(cat log.txt)"
"$MOIRE" recommend "${model[@]}" --top 10 --items films.items --threads 3 >table.txt 2>log.txt || complain "--items: $(cat log.txt)"
cmp own.txt table.txt || complain 'a table lists others than the model'
in_parts table.txt "$MOIRE" recommend "${model[@]}" --top 10 --items films.items
for from in '' '--items films.items'; do
  # shellcheck disable=SC2086
  "$MOIRE" recommend "${model[@]}" --top 3 --json $from 2>/dev/null | jq -s -c '[.[].scores[]]'
done >scores.txt
jq -s -e '[.[0], .[1]] | transpose | all((.[0] - .[1]) | fabs < 1e-4)' scores.txt >/dev/null || complain 'scores differ'

# --- items that the model has never seen, ahead of all; and some that go
grep -q '^more.items: 82 items' more.said || complain "append: $(cat more.said)"
"$MOIRE" recommend "${model[@]}" --top 3 --items more.items >more.txt || complain 'with more'
up=$(grep -c -- '-> more good' more.txt || true)
[[ $up -gt 0 && $up -lt 61 ]] || complain "a large item is ahead of $up users"
"$MOIRE" recommend "${model[@]}" --top 1 --items more.items --json | jq -s -e '[.[].items[0]] | all(type == "string")' >/dev/null ||
  complain 'names of a table are text'
first=$(awk 'NR == 1 { print $NF }' <("$MOIRE" recommend "${model[@]}" --top 1 --items films.items))
printf '%s\nmore good\n' "$first" >gone.txt
"$MOIRE" items more.items --retire gone.txt >said.txt 2>log.txt || complain "retire: $(cat log.txt)"
grep -q ' 2 retired$' said.txt || complain "retire: $(cat said.txt)"
"$MOIRE" recommend "${model[@]}" --top 82 --items more.items >rest.txt || complain 'after retiring'
sed 's/.*->//' rest.txt | grep -qE "( $first( |\$)|more good)" && complain 'what was retired is listed'
[[ $(sed 1q rest.txt | sed 's/.*->//' | wc -w) -lt 80 ]] || complain 'what a user had is listed'

# --- what cannot be
refused 1 none.items -- "$MOIRE" recommend "${model[@]}" --items none.items
refused 1 data.txt 'no table of items' -- "$MOIRE" recommend "${model[@]}" --items data.txt
refused 1 'no table of items' -- "$MOIRE" items data.txt
"$MOIRE" items short.items --from more.npy >/dev/null || complain 'a table of one row'
refused 1 short.items fewer -- "$MOIRE" recommend "${model[@]}" --items short.items
"$MOIRE" train config.yaml --data data.txt --out wide --set hidden_size=16 --set epochs=1 >/dev/null 2>&1 || complain 'wide'
refused 1 '8 numbers' 16 -- "$MOIRE" recommend --checkpoint wide/best.safetensors --data data.txt --items films.items
refused 1 'rows of 8 numbers' 16 -- "$MOIRE" items films.items --append wide/best.safetensors
printf 'nobody\n' >bad.txt
refused 1 nobody 'no item' -- "$MOIRE" items films.items --retire bad.txt
refused 1 more.names '1 names' -- "$MOIRE" items films.items --append run/best.safetensors --names more.names
refused 1 'is text' -- "$MOIRE" items x.items --from data.txt
refused 2 --from -- "$MOIRE" items films.items --from more.npy --append more.npy
refused 1 nothing item_embeddings -- "$MOIRE" items x.items --from run/best.safetensors --tensor nothing
head -c 6000 films.items >cut.items
refused 1 cut.items 'cut short' -- "$MOIRE" items cut.items
cp films.items other.items
printf 'x' | dd of=other.items bs=1 seek=5000 conv=notrunc 2>/dev/null
refused 1 other.items checksum -- "$MOIRE" items other.items --check
[[ ! -e x.items ]] || complain 'a table was made of what was refused'
finish
