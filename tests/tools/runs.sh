#!/bin/bash
# Tables of runs that are no recommenders' by ranks: language models and models of ratings show what matters, are compared
# sample by sample, and by what is better the less the best row is the least.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

# --- language models
small_tokenizer tokenizer.bin
small_texts texts.txt 120 1
"$MOIRE" tokenize texts.txt --tokenizer tokenizer.bin --length 32 -o tokens.safetensors 2>/dev/null
cat >llama.yaml <<'YAML'
model: llama
data: tokens.safetensors
hidden_size: 16
intermediate_size: 24
num_hidden_layers: 1
num_attention_heads: 2
num_key_value_heads: 2
max_position_embeddings: 48
epochs: 2
batch_size: 16
YAML
for lr in 0.0001 0.01; do
  for seed in 1 2; do
    "$MOIRE" train llama.yaml --valid tokens.safetensors --set lr=$lr --set seed=$seed --out words/$lr.$seed --quiet \
      >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
  done
done
"$MOIRE" runs words >table.txt 2>log.txt || complain "runs: $(cat log.txt)"
grep -qE '^lr +parameters +runs +ce +perplexity +bits_per_byte +top1 +top5 +gap of ce$' table.txt || complain "head: $(head -n 1 table.txt)"
grep -qE '^0.01 .* 2 .* ±.* baseline$' table.txt || complain "the best row: $(cat table.txt)"
grep -qE '^0.0001 .*\+[0-9.]+ \[\+[0-9.]+, \+[0-9.]+\]$' table.txt || complain "the other row: $(cat table.txt)"
"$MOIRE" runs words --metric top1 >table.txt || complain 'by top1'
grep -qE '^0.01 .*baseline$' table.txt || complain "by top1: $(cat table.txt)"
grep -qE '^0.0001 .*no values$' table.txt || complain "there are no values of top1: $(cat table.txt)"
"$MOIRE" runs words --metric targets >table.txt || complain 'by targets'
head -n 1 table.txt | grep -q ' targets .*gap of targets$' || complain "what is asked for is shown: $(head -n 1 table.txt)"
"$MOIRE" runs words --json | jq -e '.metric == "ce" and (.rows[0].test | has("targets"))' >/dev/null || complain 'as JSON'

# --- models of ratings
small_ratings films hybrid.yaml
for lr in 0.00001 0.01; do
  "$MOIRE" train hybrid.yaml --data films --set lr=$lr --out rated/$lr --quiet >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
done
"$MOIRE" runs rated >table.txt 2>log.txt || complain "runs: $(cat log.txt)"
head -n 1 table.txt | grep -qE ' P@10 +R@10 +NDCG@10 .*gap of NDCG@10$' || complain "head: $(head -n 1 table.txt)"
head -n 1 table.txt | grep -q '@50' && complain "there is no room for all: $(head -n 1 table.txt)"
[[ $(grep -cE '(baseline|\])( noise)?$' table.txt) == 2 ]] || complain "gaps: $(cat table.txt)"
eval=("$MOIRE" eval --checkpoint rated/0.01/best.safetensors --data films)
"${eval[@]}" --values values.safetensors --json >all.json 2>log.txt || complain "eval: $(cat log.txt)"
cmp values.safetensors rated/0.01/values.safetensors || complain 'values of a test and of eval'
refused 1 --ranks --values -- "${eval[@]}" --ranks ranks.txt
finish
