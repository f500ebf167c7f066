#!/bin/bash
# The item coder on the item embeddings of a recommender: it trains, codes and decodes, resumes to the same bits,
# and refuses what it cannot take.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out recommender >/dev/null 2>log.txt || complain "$(cat log.txt)"

cat >coder.yaml <<'END'
model: semantic_id
codebook_sizes: [8, 16, 32]
restart_after: 3
batch_size: 32
epochs: 6
patience: 6
END
features=(--features recommender/best.safetensors --tensor item_embeddings.weight)
train=("$MOIRE" train coder.yaml "${features[@]}")

# train_into DIR OPTION...: its losses in DIR.jsonl, without the times.
train_into() {
  "${train[@]}" --out "$@" >"$1.txt" 2>log.txt || complain "training into $1: $(cat log.txt)"
  sed 's/"[a-z]*_seconds":[0-9.]*//g' "$1/metrics.jsonl" >"$1.jsonl"
}

same() {
  cmp "$1/best.safetensors" "$2/best.safetensors" || complain "best differs: $1 $2"
  cmp "$1/last.safetensors" "$2/last.safetensors" || complain "last differs: $1 $2"
  cmp "$1.jsonl" "$2.jsonl" || complain "metrics differ: $1 $2"
}

train_into whole --threads 1
train_into again --threads 3
same whole again
train_into parts --set epochs=2
train_into parts --set epochs=4 --resume
train_into parts --set epochs=6 --resume
cmp whole/best.safetensors parts/best.safetensors || complain 'best differs after resuming'
cmp <(grep -v best_epoch whole.jsonl) <(grep -v best_epoch parts.jsonl) || complain 'metrics differ after resuming'
kill_within killed "${train[@]}"
train_into killed --resume --set save_minutes=0.00001
cmp whole/best.safetensors killed/best.safetensors || complain 'best differs after resuming within an epoch'
cmp whole.jsonl killed.jsonl || complain 'metrics differ after resuming within an epoch'
for key in reconstruction commitment collisions utilisation.0 perplexity.2; do
  grep -q "\"$key\":" whole.jsonl || complain "no $key in metrics.jsonl"
done
"${train[@]}" --out mlp --set hidden=12 --set code_dim=6 --set initialisation=uniform --json >mlp.txt 2>log.txt ||
  complain "with layers: $(cat log.txt)"
grep -q '"test":{"reconstruction":' mlp.txt || complain "what is printed: $(cat mlp.txt)"

# Codes do not depend on the batch or the threads, and decode to what the training measured.
encode=("$MOIRE" encode --checkpoint whole/best.safetensors)
"${encode[@]}" "${features[@]}" -o codes.tsv || complain 'encode'
for batch in 1 7 80; do
  "${encode[@]}" "${features[@]}" --batch $batch --threads 3 | cmp codes.tsv - || complain "codes in batches of $batch"
done
in_parts codes.tsv "${encode[@]}" "${features[@]}"
"$MOIRE" eval --checkpoint whole/best.safetensors --data "${features[1]}" --tensor "${features[3]}" --batch 7 --json >coded.json ||
  complain 'eval'
in_parts coded.json "$MOIRE" eval --checkpoint whole/best.safetensors --data "${features[1]}" --tensor "${features[3]}" --batch 7 --json
[[ $(wc -l <codes.tsv) == "$(sed -n 's/.*item_size: //p' recommender/config.yaml)" ]] || complain 'a line an item'
grep -qP '^0\t[0-7]\t[0-9]+\t[0-9]+$' codes.tsv || complain "the first line: $(head -1 codes.tsv)"
"$MOIRE" decode --checkpoint whole/best.safetensors --ids codes.tsv -o decoded.npy || complain 'decode'
"$MOIRE" decode --checkpoint whole/best.safetensors --ids codes.tsv -o decoded.safetensors || complain 'decode'
cmp <(tail -c +129 decoded.npy) <(tail -c "$(($(stat -c %s decoded.npy) - 128))" decoded.safetensors) ||
  complain 'the two formats differ'
"${encode[@]}" --features decoded.npy -o twice.tsv || complain 'encode what was decoded'

# Names, and a digit that makes ids unique.
sed 's/\t.*//; s/^/item /' codes.tsv >names.txt
"$MOIRE" train coder.yaml "${features[@]}" --out unique --set unique_digit=true --set 'codebook_sizes=[2, 2]' \
  >/dev/null 2>log.txt || complain "$(cat log.txt)"
"$MOIRE" encode --checkpoint unique/best.safetensors "${features[@]}" --names names.txt -o unique.tsv || complain 'names'
in_parts unique.tsv "$MOIRE" encode --checkpoint unique/best.safetensors "${features[@]}" --names names.txt
[[ $(cut -f 2- unique.tsv | sort -u | wc -l) == "$(wc -l <unique.tsv)" ]] || complain 'ids are not unique'
[[ $(cut -f 1 unique.tsv) == "$(cat names.txt)" ]] || complain 'names are not those of the rows'
"$MOIRE" decode --checkpoint unique/best.safetensors --ids unique.tsv -o decoded.npy || complain 'decode with a digit'

# What cannot be taken.
printf '%s' '0 4 1' >text.npy
: >empty.npy
refused 1 empty.npy 'is empty' -- "$MOIRE" train coder.yaml --features empty.npy
refused 1 text.npy -- "$MOIRE" train coder.yaml --features text.npy
refused 1 best.safetensors matrices --tensor -- "$MOIRE" train coder.yaml --features recommender/best.safetensors
refused 1 'no tensor' absent -- "$MOIRE" train coder.yaml --features recommender/best.safetensors --tensor absent
refused 1 codebook_sizes 'level 0' 100000 rows -- "${train[@]}" --set 'codebook_sizes=[100000]'
refused 1 feature_dim 9 -- "${train[@]}" --set feature_dim=9
refused 1 code_dim -- "${train[@]}" --set code_dim=5
refused 1 codebook_sizes -- "${train[@]}" --set 'codebook_sizes=[]'
head -5 names.txt >few.txt
refused 1 few.txt 'has 5 names' -- "${encode[@]}" "${features[@]}" --names few.txt
head -c 200 decoded.npy >short.npy
refused 1 short.npy -- "${encode[@]}" --features short.npy
cp decoded.npy nan.npy
printf '\x00\x00\xc0\x7f' | dd of=nan.npy bs=1 seek=$((128 + 3 * 8 * 4 + 4)) conv=notrunc status=none
refused 1 nan.npy 'row 3' 'feature 1' nan -- "${encode[@]}" --features nan.npy
refused 1 nan.npy 'row item 3' -- "${encode[@]}" --features nan.npy --names names.txt
sed '3s/\t[0-9]*$/\t32/' codes.tsv >range.tsv
refused 1 range.tsv:3 'code 32' 'column 4' -- "$MOIRE" decode --checkpoint whole/best.safetensors --ids range.tsv -o x.npy
cut -f -3 codes.tsv >columns.tsv
refused 1 columns.tsv:1 -- "$MOIRE" decode --checkpoint whole/best.safetensors --ids columns.tsv -o x.npy
sed '2s/\t/\tx/' codes.tsv >letters.tsv
refused 1 letters.tsv:2 -- "$MOIRE" decode --checkpoint whole/best.safetensors --ids letters.tsv -o x.npy
refused 1 empty.npy 'is empty' -- "$MOIRE" decode --checkpoint whole/best.safetensors --ids empty.npy -o x.npy
[[ ! -e x.npy ]] || complain 'something was written'
refused 1 qia sequential -- "$MOIRE" encode --checkpoint recommender/best.safetensors "${features[@]}"
refused 1 semantic_id coder 'moire recommend' 'moire decode' -- \
  "$MOIRE" recommend --checkpoint whole/best.safetensors --data data.txt
refused 1 --ranks -- "$MOIRE" eval --checkpoint whole/best.safetensors --data decoded.npy --ranks ranks.txt

# --- measured again, several seeds, and what they differ in
"$MOIRE" eval --checkpoint whole/best.safetensors --data recommender/best.safetensors \
  --tensor item_embeddings.weight --batch 7 --json >eval.json || complain 'eval'
tested=$(sed -n 's/.*"test":{"reconstruction":\([0-9.e-]*\).*/\1/p' whole/metrics.jsonl)
measured=$(sed -n 's/.*"reconstruction":\([0-9.e-]*\).*/\1/p' eval.json)
awk "BEGIN { exit !($tested > 0 && ($tested - $measured) ^ 2 < ($tested * 1e-5) ^ 2) }" ||
  complain "eval gives $measured, the training gave $tested"
"${train[@]}" --seeds 2 --set epochs=2 --out seeds >seeds.txt 2>log.txt || complain "--seeds: $(cat log.txt)"
"$MOIRE" runs seeds whole >runs.txt || complain "runs: $(cat runs.txt)"
grep -q 'gap of reconstruction' runs.txt || complain "the table: $(cat runs.txt)"
best=6 other=2
cat whole/metrics.jsonl seeds/*/metrics.jsonl | sed -n 's/.*"test":{"reconstruction":\([0-9.e-]*\).*/\1/p' |
  awk 'NR == 1 { whole = $1 } NR > 1 { sum += $1 } END { exit !(NR == 3 && whole > sum / 2) }' && best=2 other=6
grep -q '^2 .*±' runs.txt || complain "the row of two seeds: $(cat runs.txt)"
grep -q "^$other .*no values$" runs.txt || complain "a coder has no values of single items: $(cat runs.txt)"
grep -q "^$best .*baseline$" runs.txt || complain "the best row is that with the least reconstruction: $(cat runs.txt)"
"$MOIRE" sweep coder.yaml "${features[@]}" --grid code_dim=4,6 --set hidden=12 --set epochs=1 --out grid --json \
  >grid.json 2>log.txt || complain "sweep: $(cat log.txt)"
[[ $(grep -o '"name":"code_dim=[46]"' grid.json | wc -l) == 2 ]] || complain "the grid: $(cat grid.json)"

# --- where its time goes
for mode in training inference; do
  [[ $mode == training ]] || features+=(--infer)
  "$MOIRE" profile coder.yaml "${features[@]}" --steps 2 --all >profile.txt 2>log.txt || complain "profile: $(cat log.txt)"
  grep -q "^semantic_id, $mode: 2 steps of" profile.txt || complain "profile: $(head -n 1 profile.txt)"
  grep -q nearest_code profile.txt || complain "the profile of $mode knows no nearest_code"
done
finish
