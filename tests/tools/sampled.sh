#!/bin/bash
# Recommenders that are trained by losses that read some of the items: every way to draw them trains, to the same bits on
# any number of threads and after resuming, and what is measured is the ranking of all items.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml
for keys in 'sampled_softmax uniform' 'sampled_softmax log_uniform' 'sampled_softmax frequency' 'sampled_softmax in_batch' \
  'gbce uniform' 'gbce in_batch'; do
  read -r loss sampling <<<"$keys"
  train=("$MOIRE" train config.yaml --data data.txt --quiet --set "loss=$loss" --set "negative_sampling=$sampling" --set negatives=12 --set lr=0.01 --set epochs=6)
  "${train[@]}" --out run --threads 1 >/dev/null 2>log.txt || complain "$keys: $(cat log.txt)"
  "${train[@]}" --out again --threads 3 >/dev/null 2>log.txt || complain "$keys: $(cat log.txt)"
  cmp run/last.safetensors again/last.safetensors || complain "$keys: other threads, other bits"
  "${train[@]}" --out parts --set epochs=2 >/dev/null 2>log.txt || complain "$keys: $(cat log.txt)"
  "${train[@]}" --out parts --resume >/dev/null 2>log.txt || complain "$keys: --resume: $(cat log.txt)"
  cmp run/last.safetensors parts/last.safetensors || complain "$keys: resumed, other bits"
  losses=$(sed -n 's/.*"train_loss":\([0-9.e-]*\).*/\1/p' run/metrics.jsonl | xargs)
  awk "BEGIN { n = split(\"$losses\", l, \" \"); for (i = 2; i <= n; i++) down = down || l[i] < l[1]; exit !down }" || complain "$keys: losses $losses"
  "$MOIRE" eval --checkpoint run/best.safetensors --data data.txt --json | grep -q '"NDCG@10":0\.[0-9]' || complain "$keys: eval"
  rm -r run again parts
done
# The loss of the whole softmax is about what the drawn ones are without a step: 80 items, 12 drawn.
for loss in softmax sampled_softmax; do
  "$MOIRE" train config.yaml --data data.txt --quiet --set loss=$loss --set negatives=12 --set epochs=1 --set lr=1e-9 --out $loss \
    >/dev/null 2>log.txt || complain "$(cat log.txt)"
  sed -n 's/.*"train_loss":\([0-9.e-]*\).*/\1/p' $loss/metrics.jsonl >$loss.txt
done
awk "BEGIN { d = $(cat softmax.txt) - $(cat sampled_softmax.txt); exit !(d < 0.05 && d > -0.05) }" ||
  complain "the softmax begins with $(cat softmax.txt), drawn with $(cat sampled_softmax.txt)"
refused 1 loss softmax sampled_softmax -- "$MOIRE" train config.yaml --data data.txt --out bad --set loss=hinge
refused 1 negatives -- "$MOIRE" train config.yaml --data data.txt --out bad --set negatives=0
finish
