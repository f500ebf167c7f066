#!/bin/bash
# The published checkpoint on LastFM: the published metrics to four decimals, and the published ranks.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared checkpoints/qia_lastfm.safetensors data/LastFM.txt curves/qia_lastfm_ranks.txt

checkpoint=$shared/checkpoints/qia_lastfm.safetensors
"$MOIRE" eval --checkpoint "$checkpoint" --data "$shared/data/LastFM.txt" --ranks ranks.txt >metrics.txt || complain 'eval'
cat >want.txt <<'END'
HR@5 0.0239
NDCG@5 0.0156
HR@10 0.0385
NDCG@10 0.0203
HR@20 0.0578
NDCG@20 0.0250
END
tail -n +2 metrics.txt | awk '{ print $1, $2 }' | diff want.txt - || complain 'the metrics differ'
paste ranks.txt "$shared/curves/qia_lastfm_ranks.txt" | awk '
  { off = $1 > $2 ? $1 - $2 : $2 - $1; equal += off == 0; far += off > 2 }
  END { printf "%d of %d ranks agree\n", equal, NR; exit !(NR == 1090 && equal >= 0.99 * NR && far == 0) }' ||
  complain 'the ranks differ'

# The same weights as PyTorch would save them: no metadata, so model and configuration come from outside.
length=$(od -An -t u8 -N 8 "$checkpoint" | tr -d ' ')
header=$(head -c $((8 + length)) "$checkpoint" | tail -c "$length" | sed 's/.*},"item_embeddings/{"item_embeddings/')
{
  head -c 8 "$checkpoint"
  printf "%-${length}s" "$header"
  tail -c +$((8 + length + 1)) "$checkpoint"
} >bare.safetensors
refused 1 bare.safetensors --model --config -- "$MOIRE" eval --checkpoint bare.safetensors --data "$shared/data/LastFM.txt"
"$MOIRE" eval --checkpoint bare.safetensors --data "$shared/data/LastFM.txt" --model qia \
  --config "$SOURCE_DIR/configs/qia_lastfm.yaml" >bare.txt || complain 'eval of a bare state dict'
diff metrics.txt bare.txt || complain 'a bare state dict gives other metrics'
finish
