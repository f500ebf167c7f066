#!/bin/bash
# Every configuration of a recommender in configs/ trains: an epoch on little data, and its checkpoint is found to be as good as it says.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
for config in "$SOURCE_DIR"/configs/*.yaml; do
  name=$(basename "$config" .yaml)
  [[ $name != semantic_id ]] || continue # tests/models/semantic_id.sh
  [[ $name != hybrid_* ]] || continue    # tests/models/hybrid.sh
  [[ $name != indra ]] || continue       # tests/tools/tokens.sh
  "$MOIRE" train "$config" --data data.txt --out "$name" --set epochs=1 --threads 2 >/dev/null 2>log.txt ||
    complain "$name: $(cat log.txt)"
  "$MOIRE" eval --checkpoint "$name/best.safetensors" --data data.txt --json >eval.json || complain "$name: eval"
  grep -qF "\"test\":$(cat eval.json)" "$name/metrics.jsonl" || complain "$name: eval finds $(cat eval.json)"
done

# What a model cannot do is refused in a sentence.
refused 1 num_attention_heads hidden_size -- \
  "$MOIRE" train "$SOURCE_DIR/configs/pswrec_v13_lastfm.yaml" --data data.txt --set num_attention_heads=5
refused 1 num_heads hidden_size -- \
  "$MOIRE" train "$SOURCE_DIR/configs/wearec_lastfm.yaml" --data data.txt --set num_heads=3
refused 1 max_seq_length even -- \
  "$MOIRE" train "$SOURCE_DIR/configs/wearec_lastfm.yaml" --data data.txt --set max_seq_length=49
refused 1 phase_aux max_seq_length -- \
  "$MOIRE" train "$SOURCE_DIR/configs/pswrec_v13_lastfm.yaml" --data data.txt --set max_seq_length=1
refused 1 mag_tau -- "$MOIRE" train "$SOURCE_DIR/configs/pswrec_v13_lastfm.yaml" --data data.txt --set mag_tau=1
finish
