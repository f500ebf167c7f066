#!/bin/bash
# indra and llama against the goldens of the language models: outputs, losses and their terms, gradients, norms, and
# parameters after some steps, by native code and by the interpreter.
set -euo pipefail
goldens="$SOURCE_DIR/../shared/goldens"
[[ -d $goldens ]] || {
  echo 'no ../shared: its goldens are not here'
  exit 77
}
files=("$goldens"/{indra_small,indra_options,indra_distil,indra_distil_topk,llama_small}.safetensors)
for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" "${files[@]}"
done
