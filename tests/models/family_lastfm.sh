#!/bin/bash
# The published checkpoints on LastFM: the published metrics to four decimals, and the published ranks.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

# check MODEL HR@5 NDCG@5 HR@10 NDCG@10 HR@20 NDCG@20
check() {
  local model=$1 name
  shift
  need_shared "checkpoints/${model}_lastfm.safetensors" data/LastFM.txt "curves/${model}_lastfm_ranks.txt"
  "$MOIRE" eval --checkpoint "$shared/checkpoints/${model}_lastfm.safetensors" --data "$shared/data/LastFM.txt" \
    --ranks ranks.txt >metrics.txt || complain "$model: eval"
  for name in HR@5 NDCG@5 HR@10 NDCG@10 HR@20 NDCG@20; do
    echo "$name $1"
    shift
  done >want.txt
  tail -n +2 metrics.txt | awk '{ print $1, $2 }' | diff want.txt - || complain "$model: the metrics differ"
  paste ranks.txt "$shared/curves/${model}_lastfm_ranks.txt" | awk -v model="$model" '
    { off = $1 > $2 ? $1 - $2 : $2 - $1; equal += off == 0; far += off > 2 }
    END { printf "%s: %d of %d ranks agree\n", model, equal, NR; exit !(NR == 1090 && equal >= 0.99 * NR && far == 0) }' ||
    complain "$model: the ranks differ"
}

check pswrec_v13 0.0532 0.0368 0.0743 0.0434 0.1037 0.0507
check pm_ssd 0.0294 0.0203 0.0431 0.0246 0.0734 0.0322
check wearec 0.0505 0.0341 0.0899 0.0465 0.1202 0.0543
finish
