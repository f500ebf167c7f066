#!/bin/bash
# indra and llama against the goldens of the language models: outputs, losses and their terms, gradients, norms,
# parameters after some steps, and what they generate, by native code and by the interpreter.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
files=()
for name in indra_{small,options,distil,distil_topk,generate} llama_{small,stories260k_generate}; do
  need_shared "goldens/$name.safetensors"
  files+=("$shared/goldens/$name.safetensors")
done
need_shared checkpoints/llama_stories260k.safetensors

for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" "${files[@]}" || complain "verify --engine $engine"
done
"$MOIRE" verify --precision bf16 "${files[@]}" || complain 'verify --precision bf16'
need_shared goldens/curve_indra_tok512.safetensors data/tok512/stories_train.safetensors
"$MOIRE" verify "$shared/goldens/curve_indra_tok512.safetensors" || complain 'verify curve_indra_tok512'
refused 1 'native code' -- "$MOIRE" verify --engine interpreter "$shared/goldens/curve_indra_tok512.safetensors"
smollm2=$shared/goldens/smollm2_generate.safetensors
if [[ -r ${MOIRE_CHECKPOINTS:-/nowhere}/smollm2.safetensors && -r $smollm2 ]]; then
  "$MOIRE" verify "$smollm2" || complain 'verify smollm2_generate'
else
  refused 1 MOIRE_CHECKPOINTS -- "$MOIRE" verify "$smollm2"
fi
finish
