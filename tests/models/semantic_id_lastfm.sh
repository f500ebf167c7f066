#!/bin/bash
# The item embeddings of the published QIA, in 64 / 128 / 256 codes: no worse than 1.02 of what FAISS's
# ResidualQuantizer with a beam of 1 reaches on them, 0.000494, and all codes of the first level in use.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared checkpoints/qia_lastfm.safetensors
cat >coder.yaml <<'END'
model: semantic_id
codebook_sizes: [64, 128, 256]
restart_after: 200
epochs: 20
END
"$MOIRE" train coder.yaml --features "$shared/checkpoints/qia_lastfm.safetensors" --tensor item_embeddings.weight \
  --out out --json >out.json 2>log.txt || complain "$(cat log.txt)"
cat out.json
error=$(sed 's/.*"reconstruction":\([0-9.e-]*\).*/\1/' out.json)
used=$(sed 's/.*"utilisation.0":\([0-9.]*\).*/\1/' out.json)
awk "BEGIN { exit !($error <= 1.02 * 0.000494) }" || complain "the error is $error"
awk "BEGIN { exit !($used >= 0.95) }" || complain "$used of the first codes are used"
finish
