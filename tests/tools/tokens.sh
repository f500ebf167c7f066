#!/bin/bash
# Language models from token files to their measures: published numbers of two checkpoints, a training that is
# interrupted and one with a teacher, and sentences for bad data.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared data/tok512/stories_train.safetensors
need_shared data/tok512/stories_valid.safetensors
need_shared checkpoints/indra_tok512.safetensors
need_shared checkpoints/llama_stories260k.safetensors
data=$shared/data/tok512 checkpoints=$shared/checkpoints

# The measures that the checkpoints' metadata say.
near() { # JSON KEY WANT
  jq -e --arg key "$2" --argjson want "$3" '.[$key] - $want | fabs < ($want * 1e-5)' "$1" > /dev/null ||
    complain "$1: $2 is $(jq ".[\"$2\"]" "$1"), wanted $3"
}
"$MOIRE" eval --checkpoint "$checkpoints/llama_stories260k.safetensors" --data "$data/stories_valid.safetensors" --json > llama.json
near llama.json ce 1.216824965
near llama.json bits_per_byte 0.786709125
near llama.json top1 0.661200787
near llama.json top5 0.878740157
"$MOIRE" eval --checkpoint "$checkpoints/indra_tok512.safetensors" --data "$data/stories_valid.safetensors" \
  --teacher "$checkpoints/llama_stories260k.safetensors" --values rows.safetensors --json > indra.json
near indra.json perplexity 26.853018587
near indra.json top5 0.484015748
near indra.json teacher_agreement 0.313622047
near indra.json teacher_kl 2.076812851
[[ -s rows.safetensors ]] || complain 'eval --values left no file'
for i in 1 2; do
  "$MOIRE" eval --checkpoint "$checkpoints/indra_tok512.safetensors" --data "$data/stories_valid.safetensors" --batch 50 \
    --teacher "$checkpoints/llama_stories260k.safetensors" --json --part $i/2 -o half
done
"$MOIRE" eval --checkpoint "$checkpoints/indra_tok512.safetensors" --data "$data/stories_valid.safetensors" --batch 50 \
  --teacher "$checkpoints/llama_stories260k.safetensors" --values fifty.safetensors --json > fifty.json
"$MOIRE" merge half.*-of-2 --samples half.safetensors | cmp fifty.json - || complain 'measures of parts'
cmp fifty.safetensors half.safetensors || complain 'values of parts'

cat > small.yaml <<E2
model: indra
data: $data/stories_valid.safetensors
d_model: 16
n_layers: 1
n_heads: 2
max_positions: 128
epochs: 2
batch_size: 40
optimizer: adamw
lr: 0.003
clip_norm: 1
E2
"$MOIRE" train small.yaml --out whole --quiet > /dev/null || complain 'train'
"$MOIRE" train small.yaml --out parts --quiet --set epochs=1 > /dev/null || complain 'train: the first epoch'
"$MOIRE" train small.yaml --out parts --quiet --resume > /dev/null || complain 'train --resume'
cmp -s whole/best.safetensors parts/best.safetensors || complain 'a resumed training came out otherwise'
diff <(grep '"step"' whole/metrics.jsonl) <(grep '"step"' parts/metrics.jsonl) > /dev/null || complain 'its steps differ'
kill_within killed "$MOIRE" train small.yaml --quiet
"$MOIRE" train small.yaml --out killed --quiet --resume --set save_minutes=0.00001 > /dev/null || complain 'train --resume within an epoch'
cmp -s whole/best.safetensors killed/best.safetensors || complain 'resumed within an epoch, a training came out otherwise'
diff <(sed 's/"[a-z]*_seconds":[0-9.]*//g' whole/metrics.jsonl) <(sed 's/"[a-z]*_seconds":[0-9.]*//g' killed/metrics.jsonl) ||
  complain 'resumed within an epoch, its metrics differ'
[[ $(grep -c '^{"step":' whole/metrics.jsonl) == 2 ]] || complain 'wanted the lines of steps 0 and 10'
for chart in loss ce_kd magnitude_phase; do
  grep -q '<polyline' "whole/$chart.svg" || complain "$chart.svg has no line"
done
for teacher in "$data/teacher_valid_top8.safetensors" "$checkpoints/llama_stories260k.safetensors"; do
  "$MOIRE" train small.yaml --out taught --overwrite --quiet --set epochs=1 --set accumulate=2 --set "teacher=$teacher" \
    > /dev/null || complain "train with the teacher $teacher"
  head -1 taught/metrics.jsonl | jq -e '.kd > 0 and .phase > 0 and .mag > 0 and (.kd_weight - 0.01 | fabs) < 1e-6 and .aux_weight == 0' \
    > /dev/null || complain "the terms of $teacher are not there"
done

# --- the configuration of the document, on little
"$MOIRE" train "$SOURCE_DIR/configs/indra.yaml" --data "$data/stories_valid.safetensors" --out document --quiet \
  --set epochs=1 --set n_layers=1 --set d_model=32 > /dev/null || complain 'configs/indra.yaml'

# --- stored logits: the published ones, whether or not the run was interrupted
teach=("$MOIRE" teach --checkpoint "$checkpoints/llama_stories260k.safetensors" --data "$data/stories_valid.safetensors" --top 8)
"${teach[@]}" -o teacher.safetensors --batch 7 || complain 'teach'
[[ -e teacher.safetensors.partial ]] && complain 'teach left its partial file'
{ "${teach[@]}" -o again.safetensors & } 2> /dev/null
pid=$!
for _ in {1..100}; do
  [[ -s again.safetensors.partial ]] && break
  sleep 0.05
done
kill -9 "$pid" 2> /dev/null || true
wait "$pid" 2> /dev/null || true
"${teach[@]}" -o again.safetensors 2> /dev/null || complain 'teach did not go on'
cmp teacher.safetensors again.safetensors || complain 'an interrupted teacher says something else'
"$MOIRE" eval --checkpoint "$checkpoints/indra_tok512.safetensors" --data "$data/stories_valid.safetensors" \
  --teacher teacher.safetensors --json > stored.json
near stored.json teacher_agreement 0.313622047
refused 1 '512 words' -- "${teach[@]}" --top 600 -o bad.safetensors

# --- text: the checkpoint keeps its tokenizer
"$MOIRE" train small.yaml --out told --quiet --set epochs=1 --set "tokenizer=$data/tok512.bin" > /dev/null || complain 'train with a tokenizer'
"$MOIRE" generate --checkpoint told/best.safetensors --prompt 'Once upon a time' --max 5 > /dev/null 2>&1 || complain 'the tokenizer was not kept'
got=$("$MOIRE" generate --checkpoint "$checkpoints/llama_stories260k.safetensors" --tokenizer "$data/tok512.bin" \
  --prompt 'Once upon a time' --max 16 2> /dev/null)
[[ $got == ', there was a little girl named Lily. She loved to play' ]] || complain "a story goes on with $got"
refused 1 'keeps no tokenizer' -- "$MOIRE" generate --checkpoint "$checkpoints/indra_tok512.safetensors" --prompt Once
refused 1 pieces -- "$MOIRE" train small.yaml --out bad --set "tokenizer=$shared/data/llama_tokenizer/tokenizer.model"

# What is wrong is said in a sentence.
train=("$MOIRE" train small.yaml --out bad)
refused 1 vocab_size 512 -- "${train[@]}" --set vocab_size=100
refused 1 'rows of 128' teacher_valid_top8 -- "${train[@]}" --set "teacher=$data/teacher_valid_top8.safetensors" \
  --data "$data/stories_train.safetensors"
refused 1 sequence_length max_positions -- "${train[@]}" --set max_positions=64
refused 1 n_heads -- "${train[@]}" --set n_heads=3
refused 1 tokens/1 -- "${train[@]}" --data "$checkpoints/indra_tok512.safetensors"
refused 1 kd_weight -- "${train[@]}" --set 'kd_weight=[1]'
refused 1 tokens/1 -- "$MOIRE" eval --checkpoint "$checkpoints/indra_tok512.safetensors" \
  --data "$data/teacher_valid_top8.safetensors"
refused 1 'a language model' -- "$MOIRE" recommend --checkpoint "$checkpoints/indra_tok512.safetensors" --data small.yaml
finish
